//! Topic aliases in both directions: what goes over the wire, byte by byte, and what is forgotten when. (5.0: 3.3.2.3.4)
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

mod ours;
mod random;
mod theirs;
mod writes;

use core::num::NonZeroU16;

use crate::known_failures::trace;
use mqtt_session::wire::Properties;
use mqtt_session::{Instant, Publish, QoS, Step, TopicAliases, Version};
use trace::{Trace, with_header};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A PUBLISH as it is on the wire.
#[derive(Clone, Debug)]
struct Sent<'a> {
    qos: QoS,
    dup: bool,
    id: u16,
    topic: &'a str,
    alias: Option<u16>,
    /// The properties besides the alias, encoded.
    properties: &'a [u8],
    payload: &'a [u8],
}

/// A PUBLISH of QoS 0 without an alias.
const fn sent<'a>(topic: &'a str, payload: &'a [u8]) -> Sent<'a> {
    Sent { qos: QoS::AtMostOnce, dup: false, id: 0, topic, alias: None, properties: &[], payload }
}

impl Sent<'_> {
    fn alias(self, alias: u16) -> Self {
        Self { alias: Some(alias), ..self }
    }

    fn known_as(self, alias: u16) -> Self {
        Self { topic: "", ..self.alias(alias) }
    }

    fn qos(self, qos: QoS, id: u16) -> Self {
        Self { qos, id, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut body = u16::try_from(self.topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend(self.topic.bytes());
        if self.qos != QoS::AtMostOnce {
            body.extend(self.id.to_be_bytes());
        }
        let mut properties = Vec::new();
        if let Some(alias) = self.alias {
            properties.push(0x23);
            properties.extend(alias.to_be_bytes());
        }
        properties.extend(self.properties);
        // The length of the properties is encoded as that of a packet.
        body.extend(&with_header(0, &properties)[1..]);
        body.extend(self.payload);
        with_header(0x30 | u8::from(self.dup) << 3 | (self.qos as u8) << 1, &body)
    }
}

/// A session of 5.0 with two topic aliases of its own, of up to eight bytes, and a server that allows as many.
fn online() -> Trace {
    let mut t = offline();
    t.connects_with(false, "22 0002");
    t
}

/// The same before its first connection.
fn offline<
    const STORE: usize,
    const OUTBOUND: usize,
    const INBOUND: usize,
    const CONTROL: usize,
    const INBOX: usize,
>() -> Trace<STORE, OUTBOUND, INBOUND, CONTROL, INBOX> {
    let mut t = Trace::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 2, topic: 8 };
    t
}

/// A message to publish under an alias.
fn message<'a>(topic: &'a str, alias: u16, payload: &'a [u8]) -> Publish<'a> {
    Publish { topic_alias: NonZeroU16::new(alias), properties: Properties::EMPTY, ..Publish::new(topic, payload) }
}

/// Writes up to `len` bytes, `chunk` at a time, and tells them. Events on the way are of no interest.
fn write(t: &mut Trace, len: usize, chunk: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while written.len() < len {
        match t.session.poll(&mut t.inbox, Instant::from_millis(1_000)) {
            Step::Transmit(bytes) => {
                assert!(!bytes.is_empty());
                let now = bytes.len().min(chunk).min(len - written.len());
                written.extend_from_slice(&bytes[..now]);
                t.session.transmitted(now);
            }
            Step::Event(_) => {}
            Step::Wait(_) | Step::Close(_) => break,
        }
    }
    written
}
