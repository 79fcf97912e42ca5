//! What a test runs against.

use core::fmt;

use mqtt_session::Version;

use super::broker::{Broker, Kind};

/// A broker and the version that it is to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct On {
    pub(crate) kind: Kind,
    pub(crate) version: Version,
}

impl On {
    /// Whether the broker keeps to the rules of QoS 2 wherever a link is cut; none does.
    pub(crate) const KEEPS_QOS_2: bool = false;
    /// How many messages each of two clients publishes over links that break.
    pub(crate) const MESSAGES: usize = 1_000;

    /// A broker that lets everybody in. `None`, after a word about it, where mosquitto is not installed; the others must be.
    pub(crate) fn start(self, name: &str) -> Option<Broker> {
        let name = format!("{}{name}-{}", self.kind.prefix(), self.version.level());
        match self.kind {
            Kind::Mosquitto => Broker::start(&name, ""),
            other => Broker::start_other(other, &name),
        }
    }

    /// How often a link is cut at least while it passes these messages. Where a broker keeps little, little is sent again.
    pub(crate) fn least_cuts(self) -> usize {
        if self.kind == Kind::Mosquitto { 100 } else { 25 }
    }

    /// Whether PUBCOMP tells of an identifier that is not in use any more; mosquitto does not.
    pub(crate) fn tells_of_unknown_identifiers(self) -> bool {
        self.kind != Kind::Mosquitto
    }
}

/// Mosquitto.
impl From<Version> for On {
    fn from(version: Version) -> Self {
        Self { kind: Kind::Mosquitto, version }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, MQTT {}", self.kind, self.version.level())
    }
}
