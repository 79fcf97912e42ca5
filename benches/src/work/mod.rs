//! The works, and how they are done.

mod check;
mod exchange;
mod receive;
mod send;
mod stream;

use std::fmt;

use crate::contestant::{Contestant, Lane, Setup};
use crate::link::Record;

pub const TOPIC: &str = "site/7/meter/1/power";
pub const PAYLOAD: usize = 64;

/// A large payload.
const LARGE: usize = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V3,
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
            Kind::Exchange(65_535),
        ];
        [Version::V3, Version::V5].into_iter().flat_map(move |version| kinds.map(|kind| Self { kind, version }))
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
            Kind::Decode => stream::MESSAGES,
            Kind::Large | Kind::Exchange(_) => 1,
            Kind::Send(_, window) | Kind::Receive(window) => window,
        }
    }

    /// A contestant that is connected, ready for the work.
    pub fn lane<C: Contestant + 'static>(self, contestant: C) -> Box<dyn Lane> {
        match self.kind {
            Kind::Decode => Box::new(stream::Stream::new(self, contestant, PAYLOAD)),
            Kind::Large => Box::new(stream::Stream::new(self, contestant, LARGE)),
            Kind::Send(qos, window) => Box::new(send::Send::new(self, contestant, qos, window)),
            Kind::Receive(window) => Box::new(receive::Receive::new(self, contestant, window)),
            Kind::Exchange(in_flight) => Box::new(exchange::Exchange::new(self, contestant, in_flight)),
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
        write!(f, "-{}", if self.version == Version::V3 { "3.1.1" } else { "5.0" })
    }
}

/// Shows a contestant's transport a new record.
fn begin_record<C: Contestant>(contestant: &mut C) {
    contestant.link(|link| {
        link.record = Some(Record::default());
        (link.delivered, link.completed) = (0, 0);
    });
}

/// What was recorded, and how many messages the application was told to have arrived and to have ended.
fn end_record<C: Contestant>(contestant: &mut C) -> (Record, usize, usize) {
    contestant.link(|link| (link.record.take().unwrap_or_default(), link.delivered, link.completed))
}

impl Version {
    /// CONNACK without anything but success.
    pub fn connack(self) -> &'static [u8] {
        match self {
            Self::V3 => &[0x20, 2, 0, 0],
            Self::V5 => &[0x20, 3, 0, 0, 0],
        }
    }
}
