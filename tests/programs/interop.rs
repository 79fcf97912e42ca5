//! The client's session against mosquitto, each test with a broker of its own. Where mosquitto is not installed they pass
//! with a word about it, but not in continuous integration (`CI=true`). `.ci/brokers` runs them against other brokers,
//! too, which it installs; these tests are ignored here.
//!
//! `MQTT_SEEDS=n` runs the tests with faults over n seeds instead of three, `MQTT_CUTS=n` the tools over n seeds instead of
//! three, `MQTT_LONG=1` the idle connection for a minute.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

pub(crate) mod broker;
mod connection;
pub(crate) mod driver;
mod exchange;
mod faults;
mod large;
mod on;
mod others;
pub(crate) mod process;
pub(crate) mod proxy;
mod recovery;
mod subscriber;
mod tools;
pub(crate) mod wire;

/// A test for each other broker and version that it speaks, and more of 5.0; for a version that it does not speak, that it
/// says so.
macro_rules! with_others {
    (in both { $($both:tt)* } in v5 { $($more:tt)* }) => {
        mod aedes {
            with_others! { of Aedes v3 V311 { $($both)* } }
            with_others! { of Aedes v5 V5 { others::unsupported_version; } }
        }

        mod amqtt {
            with_others! { of Amqtt v3 V311 { $($both)* } }
            with_others! { of Amqtt v5 V5 { others::unsupported_version; } }
        }

        mod mqttv5 {
            with_others! { of Mqttv5 v3 V311 { $($both)* } }
            with_others! { of Mqttv5 v5 V5 { $($both)* $($more)* } }
        }
    };
    (of $kind:ident $level:ident $version:ident { $($module:ident::$name:ident;)* }) => {
        mod $level {
            use mqtt_session::Version;
            use crate::interop::{broker::Kind, on::On};
            $(
                #[test]
                #[ignore = "`.ci/brokers` installs the broker and runs it"]
                fn $name() {
                    On { kind: Kind::$kind, version: Version::$version }.run(stringify!($name), crate::interop::$module::$name);
                }
            )*
        }
    };
}

in_both_versions! {
    in both {
        exchange::every_qos_out;
        exchange::every_qos_in;
        exchange::retained;
        exchange::wildcards;
        exchange::shared_subscriptions;
        exchange::empty_payload;
        exchange::large_payload;
        connection::will;
        connection::resume;
        connection::broker_restart;
        connection::keep_alive;
        connection::wrong_password;
        connection::take_over;
        connection::session_life;
        faults::exactly_once;
        faults::exactly_once_but_for_the_broker;
        faults::at_least_once;
        faults::few_places;
        faults::without_cuts;
        recovery::tools_come_back;
        large::files_over_cut_links;
        tools::publish_to_mosquitto_sub;
        tools::mosquitto_pub_to_subscribe;
        tools::echo_between_both;
    }
    in v5 {
        exchange::properties;
        exchange::topic_aliases_in;
        exchange::subscription_options;
        connection::message_expiry;
        connection::receive_maximum_below_the_brokers;
    }
}

with_others! {
    in both {
        exchange::every_qos_out;
        exchange::every_qos_in;
        exchange::retained;
        exchange::wildcards;
        exchange::shared_subscriptions;
        exchange::empty_payload;
        exchange::large_payload;
        connection::will;
        connection::resume;
        connection::keep_alive;
        connection::take_over;
        connection::session_life;
        faults::exactly_once;
        faults::at_least_once;
        faults::without_cuts;
        faults::the_clients_part;
    }
    in v5 {
        exchange::properties;
        exchange::topic_aliases_in;
        exchange::subscription_options;
        connection::message_expiry;
        connection::receive_maximum_below_the_brokers;
    }
}
