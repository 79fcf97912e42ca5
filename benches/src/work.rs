//! The works: what is done, how often, and what that needs.

use std::fmt;

pub const TOPIC: &str = "site/7/meter/1/power";
pub const PAYLOAD: usize = 64;

/// A large payload.
pub const LARGE: usize = 256 * 1024;

/// How many small messages a stream has before it begins anew.
pub const STREAM: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V311,
    V5,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stream of messages of QoS 0 comes in.
    Decode,
    /// Messages of this QoS are published, as many at a time as the window says, and all are acknowledged.
    Send(u8, usize),
    /// Messages of QoS 2 come in, as many at a time as the window says.
    Receive(usize),
    /// Messages of QoS 0 with large payloads come in.
    Large,
    /// While so many messages of QoS 2 are in flight, the oldest is acknowledged and another one published.
    Exchange(usize),
}

/// What is done, in which version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub kind: Kind,
    pub version: Version,
}

/// What a contestant is made for.
#[derive(Clone, Copy)]
pub struct Setup {
    pub version: Version,
    /// How many publishes may be under way.
    pub sent: usize,
    /// How many received messages may be under way.
    pub held: usize,
    /// The length of the largest packet that comes.
    pub packet: usize,
}

impl Work {
    pub fn all() -> impl Iterator<Item = Self> {
        let kinds = [
            Kind::Decode,
            Kind::Large,
            Kind::Send(1, 1),
            Kind::Send(1, 16),
            Kind::Send(1, 1_000),
            Kind::Send(2, 1),
            Kind::Send(2, 16),
            Kind::Send(2, 1_000),
            Kind::Receive(1),
            Kind::Receive(16),
            Kind::Receive(1_000),
            Kind::Exchange(1),
            Kind::Exchange(16),
            Kind::Exchange(256),
            Kind::Exchange(4_096),
            Kind::Exchange(65_534),
        ];
        [Version::V311, Version::V5].into_iter().flat_map(move |version| kinds.map(|kind| Self { kind, version }))
    }

    /// What it needs of a contestant.
    pub fn setup(&self) -> Setup {
        let (sent, held) = match self.kind {
            Kind::Decode | Kind::Large => (1, 1),
            Kind::Send(_, window) | Kind::Exchange(window) => (window, 1),
            Kind::Receive(window) => (1, window),
        };
        let packet = if self.kind == Kind::Large { LARGE + 64 } else { 2_048 };
        Setup { version: self.version, sent, held, packet }
    }

    /// How many messages a round has.
    pub fn messages(&self) -> usize {
        if self.kind == Kind::Large { 200 } else { 100_000 }
    }

    /// How many messages belong together.
    pub fn batch(&self) -> usize {
        match self.kind {
            Kind::Decode => STREAM,
            Kind::Large | Kind::Exchange(_) => 1,
            Kind::Send(_, window) | Kind::Receive(window) => window,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Decode => write!(f, "decode")?,
            Kind::Large => write!(f, "receive-256k")?,
            Kind::Send(qos, window) => write!(f, "send-qos{qos}-window{window}")?,
            Kind::Receive(window) => write!(f, "receive-qos2-window{window}")?,
            Kind::Exchange(in_flight) => write!(f, "exchange-qos2-inflight{in_flight}")?,
        }
        write!(f, "-{}", if self.version == Version::V311 { "3.1.1" } else { "5.0" })
    }
}

impl Version {
    /// CONNACK without anything but success.
    pub fn connack(self) -> &'static [u8] {
        match self {
            Self::V311 => &[0x20, 2, 0, 0],
            Self::V5 => &[0x20, 3, 0, 0, 0],
        }
    }
}
