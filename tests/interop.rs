//! The client's session against mosquitto, each test with a broker of its own. Where mosquitto is not installed they pass
//! with a word about it, but not in continuous integration (`CI=true`).
//!
//! `MQTT_SEEDS=n` runs the tests with faults over n seeds instead of one.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

#[path = "interop/broker.rs"]
mod broker;
#[path = "interop/driver.rs"]
mod driver;
#[path = "interop/faults.rs"]
mod faults;
#[path = "interop/proxy.rs"]
mod proxy;
#[path = "interop/wire.rs"]
mod wire;

/// A test for each version.
macro_rules! in_both_versions {
    ($($module:ident::$name:ident;)*) => {
        mod v3 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V3); })*
        }

        mod v5 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V5); })*
        }
    };
}

in_both_versions! {
    faults::exactly_once;
    faults::exactly_once_but_for_the_broker;
    faults::at_least_once;
    faults::few_places;
}
