//! Thousands of messages both ways over a link that breaks again and again: what `tests/interop/faults.rs` does with
//! mosquitto, and without the exceptions that are made for it.

use crate::{clients as process, driver, proxy};

#[path = "../interop/faults.rs"]
mod faults;

mod broker {
    use core::ops::Deref;

    use crate::process;

    pub(crate) struct Broker(process::Broker);

    impl Broker {
        pub(crate) const KEEPS_QOS_2: bool = true;
        /// It answers at once, so there is less to cut per message.
        pub(crate) const MESSAGES: usize = 2_000;

        /// There always is one.
        pub(crate) fn start(name: &str, _: &str) -> Option<Self> {
            Some(Self(process::Broker::launch(name, &[])))
        }
    }

    impl Deref for Broker {
        type Target = process::Broker;

        fn deref(&self) -> &process::Broker {
            &self.0
        }
    }
}

in_both_versions! {
    faults::exactly_once;
    faults::exactly_once_but_for_the_broker;
    faults::at_least_once;
    faults::few_places;
}
