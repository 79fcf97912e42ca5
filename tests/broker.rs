//! The example broker, each test with a process of its own.
//!
//! `cargo test` builds it; `cargo test --test broker` needs `cargo build --examples` before. `MQTT_SEEDS=n` runs the tests
//! with faults over n seeds instead of three.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

#[macro_use]
#[path = "interop/versions.rs"]
mod versions;

#[path = "broker/bridge.rs"]
mod bridge;
#[path = "interop/process.rs"]
mod clients;
#[path = "broker/cuts.rs"]
mod cuts;
#[path = "interop/driver.rs"]
mod driver;
#[path = "broker/limits.rs"]
mod limits;
#[path = "broker/messages.rs"]
mod messages;
#[path = "broker/mosquitto.rs"]
mod mosquitto;
#[path = "broker/paho.rs"]
mod paho;
#[path = "broker/process.rs"]
mod process;
#[path = "interop/proxy.rs"]
mod proxy;
#[path = "broker/raw.rs"]
mod raw;
#[path = "broker/sessions.rs"]
mod sessions;
#[path = "broker/tools.rs"]
mod tools;
#[path = "interop/wire.rs"]
mod wire;

in_both_versions! {
    messages::the_lower_qos_counts;
    messages::retained_messages;
    messages::system_topics;
    messages::shared_subscriptions;
    sessions::messages_wait;
    sessions::a_queue_has_an_end;
    sessions::a_session_is_taken_over;
    sessions::a_will_is_a_message;
    sessions::the_broker_ends;
    tools::publish_to_subscribe;
    tools::many_lines;
}

/// Clients of paho-mqtt.
mod with_paho {
    use super::paho;

    in_both_versions! {
        paho::plain;
        paho::cuts;
    }
}
