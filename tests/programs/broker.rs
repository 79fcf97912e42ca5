//! The example broker, each test with a process of its own.
//!
//! `MQTT_SEEDS=n` runs the tests with faults over n seeds instead of three, `MQTT_CUTS=n` the tools over n seeds instead of
//! three.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

mod cuts;
mod limits;
mod messages;
mod mosquitto;
mod paho;
mod process;
mod raw;
mod sessions;
mod tools;

use crate::interop::{driver, process as clients, proxy, wire};

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
