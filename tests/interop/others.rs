//! Which brokers there are besides mosquitto, what each of them lacks, and how it is started. `.ci/brokers` installs them.

use core::fmt;
use core::panic::AssertUnwindSafe;
use std::collections::BTreeSet;
use std::fs::{self, read_link};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_session::Version::{self, V3, V5};
use mqtt_session::{Cause, ReasonCode};

use self::Kind::{Aedes, Amqtt, Mqttv5};
use super::broker::{Broker, say};
use super::driver::{Plain, connect_as};

/// A broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mosquitto,
    Aedes,
    Amqtt,
    Mqttv5,
}

/// A broker and the version that it is to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct On {
    pub(crate) kind: Kind,
    pub(crate) version: Version,
}

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
    lack(Aedes, V3, "shared_subscriptions", "one of them got no share", "it has none"),
    lack(Aedes, V3, "retained", r#"left: ["kept/theirs 0 0 "#, "a filter with a wildcard gets more than its QoS"),
    lack(
        Aedes,
        V3,
        "at_least_once",
        "1000 of 1000 arrived; the first in a wrong",
        "new messages overtake those sent again",
    )
    .at_times(),
    lack(Aedes, V3, "without_cuts", "arrived; the first in a wrong", "a PUBREL goes astray when PUBRECs come together"),
    lack(Aedes, V3, "exactly_once", "arrived; the first in a wrong", "a PUBREL goes astray when PUBRECs come together"),
    lack(Amqtt, V3, "shared_subscriptions", "one of them got no share", "it has none"),
    lack(Amqtt, V3, "every_qos_out", r#"["out/a 2 0 hello", "out/a 2 0 hello","#, "it raises QoS to what was granted"),
    lack(Amqtt, V3, "every_qos_in", r#"["in/2 2 0 hello", "in/2 2 0 hello","#, "it raises QoS to what was granted"),
    lack(Amqtt, V3, "empty_payload", r#"["b 2 0 ", "b 2 0 ","#, "it raises QoS to what was granted"),
    lack(Amqtt, V3, "take_over", "waited for the end too long", "it leaves the first connection open"),
    lack(Amqtt, V3, "session_life", "Some(true)", "it keeps a session that is not to last"),
    lack(Amqtt, V3, "resume", "waited for", "it forgets what it has in flight"),
    lack(Amqtt, V3, "at_least_once", "took too long", "it forgets what it has in flight"),
    lack(Amqtt, V3, "exactly_once", "took too long", "it does not answer a PUBREL that comes again"),
    lack(Amqtt, V5, "unsupported_version", "ConnackTimeout", "it reads a 5.0 CONNECT as one of 3.1.1, and waits"),
    lack(Mqttv5, V3, "take_over", "PacketNotForThisEnd", "it sends DISCONNECT with a reason code in 3.1.1"),
    lack(Mqttv5, V3, "exactly_once", "down: ", "it sends PUBCOMP with a reason code in 3.1.1"),
    lack(Mqttv5, V5, "exactly_once", "down: ", "it counts identifiers from 1 again").at_times(),
    lack(Mqttv5, V5, "properties", "|answers|1|90|a:1 a:2 x-mqtt-client-id:tested|hello", "it adds a user property"),
    lack(Mqttv5, V5, "message_expiry", "x-mqtt-client-id", "it adds a user property"),
];

impl On {
    pub(crate) fn mosquitto(version: Version) -> Self {
        Self { kind: Kind::Mosquitto, version }
    }

    /// A broker that lets everybody in. `None`, after a word about it, where mosquitto is not installed; the others must be.
    pub(crate) fn start(self, name: &str) -> Option<Broker> {
        let name = format!("{}{name}-{}", self.kind.prefix(), self.version.level());
        match self.kind {
            Kind::Mosquitto => Broker::start(&name, ""),
            other => Broker::start_other(other, &name),
        }
    }

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

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, MQTT {}", self.kind, self.version.level())
    }
}

impl Kind {
    /// How the broker is started on a port of the loopback interface, in a folder of its own; its state is in memory alone.
    pub(crate) fn command(self, folder: &Path, port: u16) -> Command {
        let here = format!("127.0.0.1:{port}");
        match self {
            Self::Mosquitto => unreachable!("it has a configuration of the test's own"),
            Self::Aedes => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/aedes.mjs");
                let mut command = Command::new("node");
                command.arg(script).arg(installed("aedes/node_modules/aedes/aedes.js")).arg(port.to_string());
                command
            }
            Self::Amqtt => {
                let file = folder.join("amqtt.yaml");
                let settings = format!(
                    "listeners:\n  default:\n    type: tcp\n    bind: {here}\nplugins:\n  \
                     amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
                );
                fs::write(&file, settings).expect("the folder is ours");
                let mut command = Command::new(installed("amqtt/bin/amqtt"));
                command.arg("-c").arg(file);
                command
            }
            Self::Mqttv5 => {
                let mut command = Command::new(installed("mqttv5/bin/mqttv5"));
                command.args([
                    "broker",
                    "--non-interactive",
                    "--allow-anonymous",
                    "true",
                    "--storage-backend",
                    "memory",
                ]);
                command.args(["--no-sys-topics", "--host", &here]);
                command
            }
        }
    }

    fn prefix(self) -> String {
        match self {
            Self::Mosquitto => String::new(),
            other => format!("{other:?}-").to_lowercase(),
        }
    }
}

/// The broker says that it does not speak the version, and the session understands.
pub(crate) fn unsupported_version(on: On) {
    let Some(broker) = on.start("unsupported-version") else { return };
    let mut client = Plain::new(broker.address());
    client.open(&connect_as(on.version, "tested", false)).expect("CONNECT is legal");
    let cause = client.run_until_closed();
    assert!(
        matches!(cause, Cause::UnsupportedVersion | Cause::Refused(ReasonCode::UnsupportedProtocolVersion)),
        "{cause:?}"
    );
}

/// Whether a process listens on this port of the loopback interface, and nowhere else. Only Linux tells.
pub(crate) fn listens_here_alone(process: u32, port: u16) -> bool {
    let Some(sockets) = sockets_of(process) else { return true };
    let here = format!("0100007F:{port:04X}");
    let mut addresses = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for fields in text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            // 0A: it listens. A datagram socket needs no such state.
            let open = fields.get(3) == Some(&"0A") || table.starts_with("udp");
            let [address, inode] = [1, 9].map(|index| fields.get(index).copied().unwrap_or_default().to_owned());
            if open && sockets.contains(&inode) {
                addresses.push(address);
            }
        }
    }
    assert!(addresses.iter().all(|address| *address == here), "it listens on {addresses:?}");
    !addresses.is_empty()
}

/// The inodes of the sockets of a process.
fn sockets_of(process: u32) -> Option<BTreeSet<String>> {
    let links =
        fs::read_dir(format!("/proc/{process}/fd")).ok()?.filter_map(|entry| read_link(entry.ok()?.path()).ok());
    let inode = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    Some(links.filter_map(inode).collect())
}

/// Where `.ci/brokers` puts things.
fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let file = target.join("brokers").join(path);
    assert!(file.is_file(), "{} is not there: `.ci/brokers` installs it", file.display());
    file
}
