//! What went over the wire between a client and its broker, and which rules of QoS 2 the senders broke.

use core::fmt::Display;
use core::mem::take;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant as Clock;

use mqtt_session::wire::{Acknowledgement, Header, Packet, PublishPacket};
use mqtt_session::{AckType, Delivery, QoS, Role, Version};

/// Received bytes of one direction until they are packets.
#[derive(Debug, Default)]
pub(crate) struct Splitter(Vec<u8>);

impl Splitter {
    /// The length of the front of `bytes` up to the end of a packet, if one ends in them. Behind a header that is wrong
    /// nothing can be told apart: all is one packet.
    pub(crate) fn packet_end(&self, version: Version, to: Role, bytes: &[u8]) -> Option<usize> {
        let mut all = self.0.clone();
        // A header is at most five bytes long.
        all.extend_from_slice(&bytes[..bytes.len().min(5)]);
        let Ok(header) = Header::decode(version, to, &all) else { return Some(bytes.len()) };
        let header = header?;
        let behind = usize::try_from(header.packet_len()).ok()?.checked_sub(self.0.len())?;
        (behind <= bytes.len()).then_some(behind)
    }

    /// Takes bytes of at most one packet, and gives it back once it is whole.
    pub(crate) fn push(&mut self, bytes: &[u8], whole: bool) -> Option<Vec<u8>> {
        self.0.extend_from_slice(bytes);
        whole.then(|| take(&mut self.0))
    }
}

/// The packets of all connections of one client.
#[derive(Debug)]
pub(crate) struct Wire {
    version: Version,
    start: Clock,
    /// To the client, and to the server.
    down: Sender,
    up: Sender,
    /// One line per packet.
    pub(crate) trace: Vec<String>,
    /// Packets that break a rule by themselves.
    pub(crate) malformed: Vec<String>,
    pub(crate) connections: usize,
    /// Whether CONNECT and CONNACK have passed on this connection.
    pub(crate) connect_passed: bool,
    pub(crate) connack_passed: bool,
}

/// One end as a sender of messages of QoS 2 whose payloads all differ.
#[derive(Debug, Default)]
struct Sender {
    /// What is under way, by identifier.
    open: BTreeMap<u16, Vec<u8>>,
    /// The identifiers under which each message was sent first.
    first: BTreeMap<Vec<u8>, u16>,
    /// The messages for which PUBREL was sent.
    released: BTreeSet<Vec<u8>>,
    /// What was open when this connection began and has not been completed since.
    resumed: BTreeSet<u16>,
    /// What was sent again after its PUBREL, under another identifier, under that of another message or after the end of
    /// its session, against [MQTT-4.3.3-6], [MQTT-4.4.0-1] and [MQTT-2.2.1-3]: with the line of the trace and the
    /// identifiers, the first one first.
    broken: BTreeMap<Vec<u8>, (usize, [u16; 2])>,
    /// What was sent in sessions that are gone.
    earlier: BTreeSet<Vec<u8>>,
    /// Every PUBLISH of any QoS, repeats included.
    sent: Vec<Vec<u8>>,
    /// What each identifier was used for last, in any QoS.
    latest: BTreeMap<u16, Vec<u8>>,
    /// What the other end has answered with PUBACK or PUBREC.
    taken: BTreeSet<Vec<u8>>,
    /// The identifiers that are answered with PUBREC, and not yet with PUBCOMP.
    received: BTreeSet<u16>,
    /// The identifiers that it released before they were answered, against [MQTT-4.3.3-1].
    hasty: Vec<u16>,
}

impl Wire {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            start: Clock::now(),
            down: Sender::default(),
            up: Sender::default(),
            trace: Vec::new(),
            malformed: Vec::new(),
            connections: 0,
            connect_passed: false,
            connack_passed: false,
        }
    }

    pub(crate) fn begin(&mut self) {
        self.connections += 1;
        self.connect_passed = false;
        self.connack_passed = false;
        let line = format!("connection {}", self.connections);
        self.note(line);
        for sender in [&mut self.down, &mut self.up] {
            sender.resumed = sender.open.keys().copied().collect();
        }
    }

    /// A line between the packets, with its time.
    pub(crate) fn note(&mut self, line: impl Display) {
        self.trace.push(format!("-- at {} ms: {line}", self.start.elapsed().as_millis()));
    }

    /// A packet that passed towards `to`.
    pub(crate) fn packet(&mut self, to: Role, bytes: &[u8]) {
        let line = self.trace.len();
        let packet = match Packet::decode(self.version, to, bytes) {
            Ok(Some((packet, _))) => packet,
            other => return self.malformed.push(format!("to {to:?}, line {line}: {other:?}: {bytes:02x?}")),
        };
        let payload = match &packet {
            Packet::Publish(publish) => String::from_utf8_lossy(&publish.payload[..publish.payload.len().min(20)]),
            _ => "".into(),
        };
        self.trace.push(format!("{} {packet:?} {payload}", if to == Role::Client { "<-" } else { "->" }));
        let (sender, receiver) = match to {
            Role::Client => (&mut self.down, &mut self.up),
            Role::Server => (&mut self.up, &mut self.down),
        };
        match packet {
            Packet::Connect(_) => self.connect_passed = true,
            Packet::Connack(connack) => {
                self.connack_passed = true;
                if !connack.session_present {
                    self.down.forget();
                }
            }
            Packet::Publish(publish) => sender.publish(&publish, line),
            Packet::Acknowledgement(Acknowledgement { kind, packet_id, .. }) => match kind {
                AckType::Pubrel => sender.release(packet_id.get()),
                AckType::Pubcomp => receiver.complete(packet_id.get()),
                AckType::Puback => receiver.taken(packet_id.get()),
                AckType::Pubrec => {
                    receiver.received.insert(packet_id.get());
                    receiver.taken(packet_id.get());
                }
            },
            _ => {}
        }
    }

    /// Whether the broker has brought to an end all that was under way when the connection began.
    pub(crate) fn is_resumed(&self) -> bool {
        self.down.resumed.is_empty()
    }

    /// The messages that this end sent again after their PUBREL or under another identifier, and the story of the first.
    pub(crate) fn broken_by(&self, end: Role) -> (BTreeSet<Vec<u8>>, String) {
        let sender = if end == Role::Server { &self.down } else { &self.up };
        let story = sender.broken.values().min().map_or_else(String::new, |&(line, ids)| self.story(ids, line));
        (sender.broken.keys().cloned().collect(), story)
    }

    /// Every PUBLISH to the client, repeats included, and those that it has answered.
    pub(crate) fn sent_down(&self) -> (&[Vec<u8>], &BTreeSet<Vec<u8>>) {
        (&self.down.sent, &self.down.taken)
    }

    /// The identifiers that the client released before the broker had answered.
    pub(crate) fn released_in_haste(&self) -> &[u16] {
        &self.up.hasty
    }

    /// What the trace says of two identifiers up to a line, and the beginnings of connections.
    fn story(&self, packet_ids: [u16; 2], until: usize) -> String {
        let names = packet_ids.map(|id| [format!("packet_id: {id},"), format!("packet_id: {id} }}")]).concat();
        let concerns = |line: &&String| line.starts_with("--") || names.iter().any(|name| line.contains(name));
        let mut lines: Vec<&String> = self.trace[..=until].iter().filter(concerns).collect();
        // The last part of it is the one that matters.
        lines.drain(..lines.len().saturating_sub(14));
        lines.iter().fold(String::new(), |text, line| text + "\n    " + line)
    }
}

impl Sender {
    fn publish(&mut self, publish: &PublishPacket<'_>, line: usize) {
        let payload = publish.payload.to_vec();
        self.sent.push(payload.clone());
        let (Delivery::AtLeastOnce { packet_id, .. } | Delivery::ExactlyOnce { packet_id, .. }) = publish.delivery
        else {
            return;
        };
        let packet_id = packet_id.get();
        self.latest.insert(packet_id, payload.clone());
        if publish.delivery.qos() == QoS::AtLeastOnce {
            return;
        }
        let first = *self.first.entry(payload.clone()).or_insert(packet_id);
        let is_used = self.open.get(&packet_id).is_some_and(|open| *open != payload);
        if first != packet_id || is_used || self.released.contains(&payload) || self.earlier.contains(&payload) {
            self.broken.entry(payload.clone()).or_insert((line, [first, packet_id]));
        }
        self.open.insert(packet_id, payload);
    }

    fn release(&mut self, packet_id: u16) {
        let Some(payload) = self.open.get(&packet_id) else { return };
        if self.released.insert(payload.clone()) && !self.received.contains(&packet_id) {
            self.hasty.push(packet_id);
        }
    }

    fn taken(&mut self, packet_id: u16) {
        self.taken.extend(self.latest.get(&packet_id).cloned());
    }

    /// The session is gone.
    fn forget(&mut self) {
        let Self { broken, mut earlier, sent, taken, hasty, first, .. } = take(self);
        earlier.extend(first.into_keys());
        *self = Self { broken, earlier, sent, taken, hasty, ..Self::default() };
    }

    /// PUBCOMP, which may be noted before the PUBREL that it answers: they are on their way in two threads.
    fn complete(&mut self, packet_id: u16) {
        if let Some(payload) = self.open.remove(&packet_id) {
            self.released.insert(payload);
        }
        self.resumed.remove(&packet_id);
        self.received.remove(&packet_id);
    }
}
