//! The example broker, each test with a process of its own.
//!
//! `MQTT_SEEDS=n` runs the tests with faults over n seeds instead of three, `MQTT_CUTS=n` the tools over n seeds instead of
//! three.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

mod bounds;
mod bridge;
mod cuts;
mod limits;
mod messages;
mod mosquitto;
mod paho;
mod places;
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
    messages::a_share_is_inherited;
    messages::a_share_that_was_never_sent;
    messages::a_share_of_qos_2_is_not_repeated;
    messages::a_share_that_is_too_large;
    bounds::what_cannot_be_retained_is_delivered;
    bounds::no_old_message_is_retained;
    bounds::all_retained_messages_come;
    bounds::retained_messages_wait;
    bounds::a_subscribe_of_many_filters;
    bounds::a_will_forges_nothing;
    bounds::the_bytes_of_a_queue;
    bounds::deep_filters;
    bounds::idle_connections_are_small;
    places::a_thousand_at_once;
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
        paho::crowd;
        paho::cuts;
    }
}
