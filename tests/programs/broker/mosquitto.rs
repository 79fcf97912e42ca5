//! The clients of mosquitto, and what `tests/programs/interop` does with mosquitto itself. Where they are not installed these tests
//! pass with a word about it, but not in continuous integration (`CI=true`).

use super::{driver, proxy};

#[path = "../interop/connection.rs"]
#[allow(dead_code, reason = "this broker has neither passwords nor a store")]
mod connection;
#[path = "../interop/exchange.rs"]
mod exchange;
#[path = "../interop/tools.rs"]
mod tools;

mod broker {
    use core::ops::{Deref, DerefMut};
    use std::ffi::OsStr;
    use std::process::Command;

    use mqtt_session::Version;

    use crate::broker::clients::{Listener, client, installed};
    use crate::broker::process;

    pub(crate) struct Broker(process::Broker);

    impl Broker {
        /// `settings` are those of mosquitto, as far as they mean something here.
        pub(crate) fn start(name: &str, settings: &str) -> Option<Self> {
            for tool in ["mosquitto_pub", "mosquitto_sub"] {
                installed(tool)?;
            }
            let flags: &[&str] = match settings {
                "" => &[],
                "max_keepalive 10" => &["--keep-alive", "10"],
                // As many as each client wants in any case.
                "max_inflight_messages 2" => &[],
                other => panic!("what is {other}?"),
            };
            Some(Self(process::Broker::launch(&format!("mosquitto-{name}"), flags)))
        }

        /// There is none that knows passwords.
        pub(crate) fn with_password(_: &str, _: &str, _: &str) -> Option<Self> {
            None
        }

        /// Starts the broker again on its port.
        pub(crate) fn restart(&mut self) {
            self.0.stop();
            self.0.start();
        }

        /// Publishes with `mosquitto_pub` and waits until it has ended well.
        pub(crate) fn publish<A: AsRef<OsStr>>(&self, version: Version, arguments: &[A]) {
            let output = self.client("mosquitto_pub", version, arguments).output().expect("mosquitto_pub starts");
            assert!(output.status.success(), "mosquitto_pub: {}", String::from_utf8_lossy(&output.stderr));
        }

        /// Starts `mosquitto_sub` and waits until it is subscribed.
        pub(crate) fn subscribe(&self, version: Version, name: &str, arguments: &[&str]) -> Listener {
            let mut command = self.client("mosquitto_sub", version, arguments);
            self.await_subscription(command.args(["-i", name, "-W", "20"]), name)
        }

        fn client<A: AsRef<OsStr>>(&self, tool: &str, version: Version, arguments: &[A]) -> Command {
            client(&installed(tool).expect("it was found before"), self.port(), version, arguments)
        }
    }

    impl Deref for Broker {
        type Target = process::Broker;

        fn deref(&self) -> &process::Broker {
            &self.0
        }
    }

    impl DerefMut for Broker {
        fn deref_mut(&mut self) -> &mut process::Broker {
            &mut self.0
        }
    }
}

mod on {
    use mqtt_session::Version;

    use super::broker::Broker;

    /// The example broker, and the version that it is to speak.
    #[derive(Clone, Copy)]
    pub(crate) struct On {
        pub(crate) version: Version,
    }

    impl On {
        /// `None`, after a word about it, where the clients of mosquitto are not installed.
        pub(crate) fn start(self, name: &str) -> Option<Broker> {
            Broker::start(&format!("{name}-{}", self.version.level()), "")
        }
    }

    impl From<Version> for On {
        fn from(version: Version) -> Self {
            Self { version }
        }
    }
}

/// Links that pass every byte by itself, late, and stop for a while.
mod slow_links {
    use mqtt_session::Version;

    use super::broker::Broker;
    use crate::broker::clients::{Listener, client, installed};
    use crate::broker::proxy::{Faults, Proxy};

    const SLOW: Faults = Faults { fragments: 1, delays: 1, stalls: 1, ..Faults::NONE };

    pub(crate) fn publish_and_subscribe(version: Version) {
        let Some(broker) = Broker::start(&format!("slow-links-{}", version.level()), "") else { return };
        let (Some(publish), Some(subscribe)) = (installed("mosquitto_pub"), installed("mosquitto_sub")) else { return };
        let [up, down] = [1, 2].map(|seed| Proxy::start(broker.address(), version, seed, SLOW));
        let arguments = ["-i", "slow", "-q", "2", "-t", "a/#", "-C", "30", "-W", "30", "-F", "%q %p"];
        let listener: Listener =
            broker.await_subscription(&mut client(&subscribe, down.address().port(), version, &arguments), "slow");
        for number in 0..30 {
            let (qos, payload) = ((number % 3).to_string(), number.to_string());
            let arguments = ["-q", &qos, "-t", "a/b", "-m", &payload];
            let status = client(&publish, up.address().port(), version, &arguments).status();
            assert!(status.expect("mosquitto_pub starts").success());
        }
        // One of QoS 2 is printed with its PUBREL, when another one may have been printed.
        let mut lines = listener.lines();
        lines.sort_by_key(|line| line[2..].parse::<u32>().ok());
        let expected: Vec<_> = (0..30).map(|number| format!("{} {number}", number % 3)).collect();
        assert_eq!(lines, expected);
    }
}

in_both_versions! {
    in both {
        slow_links::publish_and_subscribe;
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
