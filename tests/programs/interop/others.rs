//! What the brokers besides mosquitto lack.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use mqtt_session::Version::{self, V5, V311};
use mqtt_session::{CloseReason, ReasonCode};

use super::broker::Kind::{self, Aedes, Amqtt, Mqttv5};
use super::driver::{Plain, connect_as};
use super::on::On;
use super::process::say;

/// What a broker does not do.
struct Lack {
    kind: Kind,
    version: Version,
    /// The test that fails for it.
    test: &'static str,
    /// What the failure says.
    says: &'static str,
    because: &'static str,
    often: Often,
}

#[derive(Clone, Copy, PartialEq)]
enum Often {
    Always,
    /// Where cuts fall badly.
    AtTimes,
}

const fn lack(kind: Kind, version: Version, test: &'static str, says: &'static str, because: &'static str) -> Lack {
    Lack { kind, version, test, says, because, often: Often::Always }
}

impl Lack {
    const fn at_times(self) -> Self {
        Self { often: Often::AtTimes, ..self }
    }
}

/// What each broker does not do. These tests are run all the same, and fail as it says here or not at all; `brokers.md` shows why it
/// is the broker that is at fault. aedes and amqtt do not speak 5.0.
const LACKS: &[Lack] = &[
    lack(Aedes, V311, "shared_subscriptions", "one of them got no share", "it has none"),
    lack(Aedes, V311, "retained", r#"left: ["kept/theirs 0 0 "#, "a filter with a wildcard gets more than its QoS"),
    lack(
        Aedes,
        V311,
        "at_least_once",
        "1000 of 1000 arrived; the first in a wrong",
        "new messages overtake those sent again",
    )
    .at_times(),
    lack(
        Aedes,
        V311,
        "without_cuts",
        "arrived; the first in a wrong",
        "a PUBREL goes astray when PUBRECs come together",
    ),
    lack(
        Aedes,
        V311,
        "exactly_once",
        "arrived; the first in a wrong",
        "a PUBREL goes astray when PUBRECs come together",
    ),
    lack(Amqtt, V311, "shared_subscriptions", "one of them got no share", "it has none"),
    lack(
        Amqtt,
        V311,
        "every_qos_out",
        r#"["out/a 2 0 hello", "out/a 2 0 hello","#,
        "it raises QoS to what was granted",
    ),
    lack(Amqtt, V311, "every_qos_in", r#"["in/2 2 0 hello", "in/2 2 0 hello","#, "it raises QoS to what was granted"),
    lack(Amqtt, V311, "empty_payload", r#"["b 2 0 ", "b 2 0 ","#, "it raises QoS to what was granted"),
    lack(Amqtt, V311, "take_over", "waited for the end too long", "it leaves the first connection open"),
    lack(Amqtt, V311, "session_life", "Some(true)", "it keeps a session that is not to last"),
    lack(Amqtt, V311, "resume", "waited for", "it forgets what it has in flight"),
    lack(Amqtt, V311, "at_least_once", "took too long", "it forgets what it has in flight"),
    lack(Amqtt, V311, "exactly_once", "took too long", "it does not answer a PUBREL that comes again"),
    lack(Amqtt, V5, "unsupported_version", "ConnackTimeout", "it reads a 5.0 CONNECT as one of 3.1.1, and waits"),
    lack(Mqttv5, V311, "take_over", "PacketNotForThisEnd", "it sends DISCONNECT with a reason code in 3.1.1"),
    lack(Mqttv5, V311, "exactly_once", "down: ", "it sends PUBCOMP with a reason code in 3.1.1"),
    lack(Mqttv5, V5, "exactly_once", "down: ", "it counts identifiers from 1 again").at_times(),
    lack(Mqttv5, V5, "properties", "|answers|1|90|a:1 a:2 x-mqtt-client-id:tested|hello", "it adds a user property"),
    lack(Mqttv5, V5, "message_expiry", "x-mqtt-client-id", "it adds a user property"),
];

impl On {
    /// Runs a test that the broker passes, or that it fails as the table says.
    pub(crate) fn run(self, name: &str, test: fn(Self)) {
        let found = LACKS.iter().find(|lack| (lack.kind, lack.version, lack.test) == (self.kind, self.version, name));
        let Some(&Lack { says, because, often, .. }) = found else { return test(self) };
        say(&format!("{self} fails {name}: {because}"));
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(self))) else {
            assert!(often == Often::AtTimes, "{self} passes {name}, which the table of what it lacks denies");
            return;
        };
        let literal = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        let text = panic.downcast_ref::<String>().map_or(literal, String::as_str);
        assert!(text.contains(says), "{self} fails {name}, but otherwise: {text}");
    }
}

/// The broker says that it does not speak the version, and the session understands.
pub(crate) fn unsupported_version(on: On) {
    let Some(broker) = on.start("unsupported-version") else { return };
    let mut client = Plain::new(broker.address());
    client.open(&connect_as(on.version, "tested", false)).expect("CONNECT is legal");
    let cause = client.run_until_closed();
    assert!(
        matches!(
            cause,
            CloseReason::UnsupportedVersion | CloseReason::ConnectionRefused(ReasonCode::UnsupportedProtocolVersion)
        ),
        "{cause:?}"
    );
}
