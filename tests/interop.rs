//! The client's session against mosquitto, each test with a broker of its own. Where mosquitto is not installed they pass
//! with a word about it, but not in continuous integration (`CI=true`).
//!
//! `MQTT_SEEDS=n` runs the tests with faults over n seeds instead of three, `MQTT_LONG=1` the idle connection for a minute.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

#[macro_use]
#[path = "interop/versions.rs"]
mod versions;

#[path = "interop/broker.rs"]
mod broker;
#[path = "interop/connection.rs"]
mod connection;
#[path = "interop/driver.rs"]
mod driver;
#[path = "interop/exchange.rs"]
mod exchange;
#[path = "interop/faults.rs"]
mod faults;
#[path = "interop/process.rs"]
mod process;
#[path = "interop/proxy.rs"]
mod proxy;
#[path = "interop/tools.rs"]
mod tools;
#[path = "interop/wire.rs"]
mod wire;

in_both_versions! {
    exchange::every_qos_out;
    exchange::every_qos_in;
    exchange::retained;
    exchange::wildcards;
    exchange::shared_subscriptions;
    exchange::empty_payload;
    exchange::large_payload;
    connection::will;
    connection::broker_restart;
    connection::keep_alive;
    connection::wrong_password;
    connection::take_over;
    connection::session_life;
    faults::exactly_once;
    faults::exactly_once_but_for_the_broker;
    faults::at_least_once;
    faults::few_places;
    tools::publish_to_mosquitto_sub;
    tools::mosquitto_pub_to_subscribe;
    tools::echo_between_both;
}
