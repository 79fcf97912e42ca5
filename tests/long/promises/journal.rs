//! What was seen: on the wire, and by the two applications. Nothing here knows how a session works.

use core::cell::RefCell;
use std::rc::Rc;

use mqtt_session::sim::{Chart, Observer, Sight};
use mqtt_session::wire::{Header, Packet, PublishPacket};
use mqtt_session::{AckType, CloseReason, Instant, Outcome, PacketId, Properties, QoS, ReasonCode, Role, Version};

/// Something that was seen, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A new transport; the packets before it are those of another connection.
    Connected,
    Cut,
    /// An end has shown the first byte of a packet to its transport.
    Shown {
        from: Role,
        packet: Wire,
    },
    /// An end has handed out what breaks the contract of a transmit.
    Garbled {
        from: Role,
        fault: &'static str,
    },
    /// The client allows so many messages at a time, though its CONNECT was made to say more.
    Allowed(u16),
    /// A packet came in whole.
    Arrived {
        from: Role,
        packet: Wire,
    },
    /// An end has accepted a message.
    Accepted {
        from: Role,
        number: u32,
        qos: QoS,
        packet_id: Option<PacketId>,
        expiry: Option<u32>,
        topic: String,
        len: usize,
    },
    /// A command was refused, which has left the session as it was, or not.
    Refused {
        unchanged: bool,
        full: bool,
    },
    /// An application has asked to take a message back.
    Cancelled {
        number: u32,
        taken: bool,
    },
    /// An application has given up a message that was sent.
    GaveUp {
        number: u32,
        taken: bool,
    },
    /// An application was given a message.
    Delivered {
        to: Role,
        number: u32,
        qos: QoS,
        packet_id: Option<PacketId>,
        intact: bool,
        manual: bool,
        /// Tells this delivery from others.
        serial: u32,
    },
    /// An application has acknowledged a message; `None`: the handle is stale.
    Judged {
        by: Role,
        number: u32,
        packet_id: PacketId,
        qos: QoS,
        code: Option<ReasonCode>,
        serial: u32,
    },
    /// An application was told how its message ended.
    Told {
        from: Role,
        number: Option<u32>,
        outcome: Outcome,
    },
    /// A message was published anew.
    Republished {
        number: Option<u32>,
        packet_id: PacketId,
    },
    /// A subscribe or unsubscribe was accepted, and its end.
    Requested(PacketId),
    Answered {
        packet_id: PacketId,
        lost: bool,
    },
    Stray {
        at: Role,
    },
    /// The client asks for a connection; whether the session is to last, and whether it is to be new.
    Connecting {
        clean: bool,
        lasting: bool,
    },
    /// The server has accepted it.
    Admitted {
        session_present: bool,
        lasting: bool,
    },
    /// CONNACK is written whole.
    Announced,
    /// The client knows.
    Online {
        session_present: bool,
    },
    Closed {
        end: Role,
        cause: CloseReason,
    },
    /// The server has lost its session.
    Replaced,
    /// From here on nothing goes wrong.
    Settling,
    /// Whether everything came to its end.
    Settled(bool),
    /// How many identifiers are under way after it.
    InFlight(Role, u16),
}

/// A packet, as far as a promise speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Connect { receive_maximum: u16, packet_size: u32 },
    Connack { success: bool, receive_maximum: u16, packet_size: u32 },
    Publish { qos: QoS, dup: bool, packet_id: Option<PacketId>, topic: String, expiry: Option<u32>, len: u32 },
    Answer { kind: AckType, packet_id: PacketId, code: ReasonCode },
    Request(PacketId),
    Response(PacketId),
    Ping,
    Pong,
    Disconnect(ReasonCode),
    Auth,
}

/// The facts, and when they were seen, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) facts: Vec<(u64, Fact)>,
    pub(crate) now: u64,
}

/// A journal that several hands write into.
pub(crate) type Pen = Rc<RefCell<Journal>>;

/// Looks at the wire: draws it if that is asked for, and writes down what comes in.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) chart: Option<Chart<String>>,
    pub(crate) journal: Pen,
}

/// Looks at what one end shows to its transport.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    role: Role,
    version: Version,
    journal: Pen,
    /// What was shown on this connection, and how much of it was reported as written.
    stream: Vec<u8>,
    written: usize,
    /// Where the next packet begins.
    next: usize,
}

pub(crate) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

impl Journal {
    pub(crate) fn note(&mut self, fact: Fact) {
        self.facts.push((self.now, fact));
    }
}

impl Observer for Watcher {
    fn observe(&mut self, now: Instant, sight: &Sight<'_>) {
        if let Some(chart) = &mut self.chart {
            chart.observe(now, sight);
        }
        let mut journal = self.journal.borrow_mut();
        journal.now = now.as_millis();
        match sight {
            Sight::Connected => journal.note(Fact::Connected),
            Sight::Cut => journal.note(Fact::Cut),
            Sight::Packet { from, packet, arrived: true } => {
                let len = 0;
                journal.note(Fact::Arrived { from: *from, packet: Wire::of(packet, len) });
            }
            _ => {}
        }
    }
}

impl Tap {
    pub(crate) const fn new(role: Role, version: Version, journal: Pen) -> Self {
        Self { role, version, journal, stream: Vec::new(), written: 0, next: 0 }
    }

    /// A new transport.
    pub(crate) fn begin(&mut self) {
        self.stream.clear();
        self.written = 0;
        self.next = 0;
    }

    /// The client allows so many messages at a time.
    pub(crate) fn allowed(&self, maximum: u16) {
        self.note(Fact::Allowed(maximum));
    }

    /// How much of what was shown is written.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }

    /// The end wants these bytes written, behind those that were.
    pub(crate) fn shown(&mut self, bytes: &[u8]) {
        let repeated = &self.stream[self.written..];
        if !bytes.starts_with(repeated) {
            // What was shown and not begun may be withdrawn for a DISCONNECT; what was begun may not change.
            let end = self.end_of_begun();
            if !bytes.starts_with(&self.stream[self.written..end]) {
                self.note(Fact::Garbled { from: self.role, fault: "a packet changed while it was being written" });
            }
            self.stream.truncate(end);
            self.next = self.next.min(end);
        }
        if bytes.is_empty() {
            self.note(Fact::Garbled { from: self.role, fault: "nothing is to be transmitted" });
        }
        self.stream.truncate(self.written);
        self.stream.extend_from_slice(bytes);
        self.read();
    }

    pub(crate) fn transmitted(&mut self, len: usize) {
        let before = self.written;
        self.written = before.saturating_add(len).min(self.stream.len());
        if let (Role::Server, Ok(Some(first))) =
            (self.role, Header::decode(self.version, Role::Client, &self.stream[..self.written]))
        {
            let end = first.packet_len() as usize;
            if before < end && self.written >= end {
                self.note(Fact::Announced);
            }
        }
    }

    /// Where the packet ends of which a part was written.
    fn end_of_begun(&self) -> usize {
        let mut end = 0;
        while end < self.written {
            match Header::decode(self.version, other(self.role), &self.stream[end..]) {
                Ok(Some(header)) => end += header.packet_len() as usize,
                _ => return self.stream.len(),
            }
        }
        end.min(self.stream.len())
    }

    /// Writes down the packets that begin in what is new.
    fn read(&mut self) {
        while let Some(bytes) = self.stream.get(self.next..).filter(|bytes| !bytes.is_empty()) {
            let to = other(self.role);
            let Ok(Some(header)) = Header::decode(self.version, to, bytes) else {
                return self.note(Fact::Garbled { from: self.role, fault: "what is shown is no packet" });
            };
            let len = header.packet_len();
            let whole = Packet::decode(self.version, to, bytes);
            let packet = match &whole {
                Ok(Some((packet, _))) => Some(Wire::of(packet, len)),
                Ok(None) => glimpse(self.version, bytes, len),
                Err(_) => return self.note(Fact::Garbled { from: self.role, fault: "a malformed packet is shown" }),
            };
            let Some(packet) = packet else { return };
            self.next += len as usize;
            self.note(Fact::Shown { from: self.role, packet });
        }
    }

    fn note(&self, fact: Fact) {
        self.journal.borrow_mut().note(fact);
    }
}

impl Wire {
    fn of(packet: &Packet<'_>, len: u32) -> Self {
        let limits = |properties: &Properties<'_>| {
            (properties.receive_maximum().unwrap_or(u16::MAX), properties.maximum_packet_size().unwrap_or(u32::MAX))
        };
        match packet {
            Packet::Connect(packet) => {
                let (receive_maximum, packet_size) = limits(&packet.properties);
                Self::Connect { receive_maximum, packet_size }
            }
            Packet::Connack(packet) => {
                let (receive_maximum, packet_size) = limits(&packet.properties);
                Self::Connack { success: packet.reason_code == ReasonCode::Success, receive_maximum, packet_size }
            }
            Packet::Publish(PublishPacket { delivery, topic, properties, .. }) => Self::Publish {
                qos: delivery.qos(),
                dup: delivery.dup(),
                packet_id: delivery.packet_id(),
                topic: (*topic).to_owned(),
                expiry: properties.message_expiry_interval(),
                len,
            },
            Packet::Acknowledgement(packet) => {
                Self::Answer { kind: packet.kind, packet_id: packet.packet_id, code: packet.reason_code }
            }
            Packet::Subscribe(packet) => Self::Request(packet.packet_id),
            Packet::Unsubscribe(packet) => Self::Request(packet.packet_id),
            Packet::Suback(packet) => Self::Response(packet.packet_id),
            Packet::Unsuback(packet) => Self::Response(packet.packet_id),
            Packet::Pingreq => Self::Ping,
            Packet::Pingresp => Self::Pong,
            Packet::Disconnect(packet) => Self::Disconnect(packet.reason_code),
            _ => Self::Auth,
        }
    }
}

/// A PUBLISH of which only the front is there.
fn glimpse(version: Version, bytes: &[u8], len: u32) -> Option<Wire> {
    if bytes.first()? >> 4 != 3 {
        return None;
    }
    let start = 1 + bytes.get(1..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let topic_len = usize::from(u16::from_be_bytes([*bytes.get(start)?, *bytes.get(start + 1)?]));
    let topic = str::from_utf8(bytes.get(start + 2..start + 2 + topic_len)?).ok()?.to_owned();
    let behind = start + 2 + topic_len;
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(bytes[0] >> 1 & 3)];
    let id = u16::from_be_bytes([*bytes.get(behind)?, *bytes.get(behind + 1)?]);
    let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(id) };
    let _ = version;
    Some(Wire::Publish { qos, dup: bytes[0] & 8 != 0, packet_id, topic, expiry: None, len })
}
