//! Thousands of messages both ways over a link that breaks again and again: what `tests/programs/interop/faults.rs` does with
//! mosquitto, and without the exceptions that are made for it.

use super::{clients as process, driver, proxy, wire};

#[path = "../interop/faults.rs"]
mod faults;
#[path = "../interop/recovery.rs"]
mod recovery;

mod on {
    use core::fmt;

    use mqtt_session::Version;

    use crate::broker::process::Broker;

    /// The example broker, and the version that it is to speak.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct On {
        pub(crate) version: Version,
    }

    impl On {
        pub(crate) const KEEPS_QOS_2: bool = true;
        /// It answers at once, so there is less to cut per message.
        pub(crate) const MESSAGES: usize = 2_000;

        /// There always is one.
        pub(crate) fn start(self, name: &str) -> Option<Broker> {
            Some(Broker::launch(&format!("{name}-{}", self.version.level()), &[]))
        }

        pub(crate) fn least_cuts(self) -> usize {
            100
        }

        pub(crate) fn tells_of_unknown_identifiers(self) -> bool {
            self.version == Version::V5
        }
    }

    impl From<Version> for On {
        fn from(version: Version) -> Self {
            Self { version }
        }
    }

    impl fmt::Display for On {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "the example broker, MQTT {}", self.version.level())
        }
    }
}

in_both_versions! {
    faults::exactly_once;
    faults::exactly_once_but_for_the_broker;
    faults::at_least_once;
    faults::few_places;
    faults::without_cuts;
    faults::the_clients_part;
    recovery::tools_come_back;
}
