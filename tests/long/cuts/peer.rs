//! A server that does what the tables of the standard say and no more, written apart from the crate's own flows.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_session::wire::{
    AckType, Acknowledgement, Connack, Delivery, List, Packet, PacketId, Properties, PublishPacket, Suback,
};
use mqtt_session::{QoS, ReasonCode, Role, Version};

/// A message on its way to the client.
#[derive(Clone)]
struct Outgoing {
    packet_id: PacketId,
    qos: QoS,
    payload: u8,
    released: bool,
}

/// The server's end: its session, which outlives connections, and the bytes of the present one.
#[derive(Clone)]
pub(crate) struct Peer {
    version: Version,
    has_session: bool,
    held: BTreeSet<PacketId>,
    outgoing: Vec<Outgoing>,
    next_id: u16,
    /// How often each payload was handed on, by QoS.
    pub(crate) delivered: BTreeMap<(QoS, u8), u32>,
    /// Whether CONNECT has come on the present connection.
    is_connected: bool,
    input: Vec<u8>,
    /// What is on its way to the client.
    pub(crate) output: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            has_session: false,
            held: BTreeSet::new(),
            outgoing: Vec::new(),
            next_id: 0,
            delivered: BTreeMap::new(),
            is_connected: false,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// A new connection: what was under way on the last one is gone.
    pub(crate) fn accept(&mut self) {
        self.is_connected = false;
        self.input.clear();
        self.output.clear();
    }

    /// Whether every message of the server's own has reached its end.
    pub(crate) fn is_settled(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Whether the last bytes of CONNECT are still to come.
    pub(crate) fn has_half_a_connect(&self) -> bool {
        !self.is_connected && !self.input.is_empty()
    }

    pub(crate) fn publish(&mut self, qos: QoS, payload: u8) {
        self.next_id += 1;
        let packet_id = PacketId::new(self.next_id).unwrap();
        self.send_publish(packet_id, qos, payload, false);
        if qos != QoS::AtMostOnce {
            self.outgoing.push(Outgoing { packet_id, qos, payload, released: false });
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let input = core::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((packet, len)) = Packet::decode(self.version, Role::Server, rest).unwrap() {
            rest = &rest[len..];
            self.take(packet);
        }
        self.input = rest.to_vec();
    }

    fn take(&mut self, packet: Packet<'_>) {
        assert_eq!(matches!(packet, Packet::Connect(_)), !self.is_connected, "CONNECT comes first, and once");
        self.is_connected = true;
        match packet {
            Packet::Connect(connect) => self.connected(connect.clean_start),
            Packet::Publish(publish) => self.published(&publish),
            Packet::Acknowledgement(packet) => self.acknowledged(packet.kind, packet.packet_id),
            Packet::Subscribe(subscribe) => {
                let (packet_id, reason_codes) = (subscribe.packet_id, List::of(&[ReasonCode::GrantedQos2]));
                self.send(Packet::Suback(Suback { packet_id, reason_codes, properties: Properties::EMPTY }));
            }
            Packet::Pingreq => self.send(Packet::Pingresp),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn connected(&mut self, clean_start: bool) {
        let session_present = self.has_session && !clean_start;
        self.has_session = true;
        self.send(Packet::Connack(Connack { session_present, ..Connack::default() }));
        let again: Vec<_> = self.outgoing.iter().map(|it| (it.packet_id, it.qos, it.payload, it.released)).collect();
        for (packet_id, qos, payload, released) in again {
            if released {
                self.answer(AckType::Pubrel, packet_id);
            } else {
                self.send_publish(packet_id, qos, payload, true);
            }
        }
    }

    fn published(&mut self, publish: &PublishPacket<'_>) {
        let payload = publish.payload[0];
        match publish.delivery {
            Delivery::AtMostOnce => self.deliver(QoS::AtMostOnce, payload),
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.deliver(QoS::AtLeastOnce, payload);
                self.answer(AckType::Puback, packet_id);
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                if self.held.insert(packet_id) {
                    self.deliver(QoS::ExactlyOnce, payload);
                }
                self.answer(AckType::Pubrec, packet_id);
            }
        }
    }

    fn acknowledged(&mut self, kind: AckType, packet_id: PacketId) {
        match kind {
            AckType::Pubrel => {
                self.held.remove(&packet_id);
                self.answer(AckType::Pubcomp, packet_id);
            }
            AckType::Pubrec => {
                for message in self.outgoing.iter_mut().filter(|message| message.packet_id == packet_id) {
                    message.released = true;
                }
                self.answer(AckType::Pubrel, packet_id);
            }
            AckType::Puback | AckType::Pubcomp => self.outgoing.retain(|message| message.packet_id != packet_id),
        }
    }

    fn deliver(&mut self, qos: QoS, payload: u8) {
        *self.delivered.entry((qos, payload)).or_default() += 1;
    }

    fn answer(&mut self, kind: AckType, packet_id: PacketId) {
        self.send(Packet::Acknowledgement(Acknowledgement::new(kind, packet_id)));
    }

    fn send_publish(&mut self, packet_id: PacketId, qos: QoS, payload: u8, dup: bool) {
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        };
        let (topic, payload, properties) = ("t", &[payload][..], Properties::EMPTY);
        self.send(Packet::Publish(PublishPacket { delivery, retain: false, topic, properties, payload }));
    }

    fn send(&mut self, packet: Packet<'_>) {
        let mut bytes = [0; 64];
        let len = packet.encode(self.version, Role::Client, &mut bytes).unwrap();
        self.output.extend_from_slice(&bytes[..len]);
    }
}
