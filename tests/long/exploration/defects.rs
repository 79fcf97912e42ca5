//! Ends that misbehave on the wire, as other implementations do: each must be found.

use mqtt_session::{PacketId, QoS, Role};

use super::ends::{Did, number, other};
use super::ledger::{Fate, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Sketch};
use super::link::packets;
use super::plan::Plan;
use super::world::World;

/// What an end does wrong, under the number that the known failures have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Defect {
    /// S7: the client publishes again after PUBREC, once the connection was lost.
    PublishesAfterPubrec,
    /// S8: the client sends again without DUP.
    DropsDup,
    /// S8: the client sends again in another order.
    ForgetsOrder,
    /// S9: the client goes by a Receive Maximum that does not hold any more.
    IgnoresReceiveMaximum,
    /// S21: the client sends the rest of a half-written packet on the next connection.
    FinishesHalfPacket,
    /// S22: the client sends an acknowledgement on the next connection that was meant for the last one.
    SendsStaleAnswers,
    /// S30: the client sends QoS 0 again.
    ResendsQos0,
    /// R4: the client still holds the identifiers of a session that the server has lost.
    KeepsLostSession,
    /// T11: the server keeps a session though its CONNACK was not written.
    KeepsUntoldSession,
    /// R5: the server has forgotten the identifiers that it holds once the connection was lost.
    ForgetsHeld,
    /// R8: the server acknowledges before it hands out.
    AcknowledgesFirst,
    /// R11: the server takes for a repeat whatever has DUP.
    BelievesDup,
    /// R3: the server does not answer PUBREL.
    LeavesPubrelUnanswered,
    /// S6: the client does not send PUBREL again once the connection was lost.
    ForgetsPubrel,
    /// T14: the server answers a message that comes again before those in front of it.
    AnswersRepeatsFirst,
}

/// What a misbehaving end keeps for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    kept: Vec<u8>,
    done: bool,
}

const DUP: u8 = 8;
const CONNACK: u8 = 2;
const RECEIVE_MAXIMUM: u8 = 0x21;

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> World<STORE, OUTBOUND, INBOUND> {
    /// What leaves instead of these packets.
    pub(crate) fn spoil_outgoing(&mut self, plan: &Plan, role: Role, bytes: &[u8]) -> Vec<u8> {
        let Some(defect) = plan.defect else { return bytes.to_vec() };
        packets(bytes).flat_map(|packet| self.spoil_packet(defect, role, packet)).collect()
    }

    fn spoil_packet(&mut self, defect: Defect, role: Role, packet: &[u8]) -> Vec<u8> {
        let Sketch { kind, qos, dup, packet_id, .. } = Sketch::of(packet);
        let is_publish = kind == PUBLISH;
        let mut packet = packet.to_vec();
        match (defect, role) {
            (Defect::DropsDup, Role::Client) if is_publish => packet[0] &= !DUP,
            (Defect::ResendsQos0, Role::Client) if is_publish && qos == 0 => self.memory.kept.clone_from(&packet),
            (Defect::PublishesAfterPubrec, Role::Client) if is_publish && qos == 2 => {
                self.memory.kept.clone_from(&packet);
            }
            (Defect::PublishesAfterPubrec, Role::Client)
                if kind == PUBREL && !self.ledger.owes_release(packet_id) && !self.memory.kept.is_empty() =>
            {
                packet = core::mem::take(&mut self.memory.kept);
                packet[0] |= DUP;
            }
            (Defect::ForgetsOrder, Role::Client) if is_publish => {
                let open = self.ledger.streams[0].fates.iter().filter(|&&fate| fate == Fate::Open).count();
                if dup && open >= 2 && !self.memory.done {
                    self.memory.done = true;
                    return core::mem::replace(&mut self.memory.kept, packet);
                }
                packet.append(&mut self.memory.kept);
            }
            (Defect::ForgetsPubrel, Role::Client) if kind == PUBREL && !self.ledger.owes_release(packet_id) => {
                return Vec::new();
            }
            (Defect::KeepsUntoldSession, Role::Server) if kind == CONNACK => {
                packet[2] |= u8::from(core::mem::take(&mut self.memory.done));
            }
            (Defect::LeavesPubrelUnanswered, Role::Server) if kind == PUBCOMP => return Vec::new(),
            (Defect::AcknowledgesFirst, Role::Server) if kind == PUBACK => return Vec::new(),
            _ => {}
        }
        packet
    }

    /// What arrives instead of these bytes.
    pub(crate) fn spoil_incoming(&mut self, plan: &Plan, role: Role, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let Some(packet) = packets(&bytes).next() else { return bytes };
        let Sketch { kind, qos, dup, packet_id, index, .. } = Sketch::of(packet);
        match (plan.defect, role) {
            (Some(Defect::IgnoresReceiveMaximum), Role::Client) if kind == CONNACK && bytes[5] == RECEIVE_MAXIMUM => {
                bytes[6] = u8::MAX;
            }
            (Some(Defect::KeepsLostSession), Role::Client) if kind == CONNACK => {
                bytes[2] = u8::from(core::mem::replace(&mut self.memory.done, true));
            }
            (Some(Defect::BelievesDup), Role::Server)
                if kind == PUBLISH && qos == 1 && dup && !self.ledger.is_delivered_here(Role::Client, index) =>
            {
                self.answer(role, PUBACK, packet_id);
                bytes.clear();
            }
            _ => {}
        }
        bytes
    }

    /// What an end does beside, once a packet is here. `true`: it does not look at it yet.
    pub(crate) fn spoil_arrived(&mut self, plan: &Plan, role: Role, packet: &[u8]) -> bool {
        let Sketch { kind, qos, dup, packet_id, index, .. } = Sketch::of(packet);
        match (plan.defect, role) {
            (Some(Defect::ForgetsHeld), Role::Server)
                if kind == PUBLISH && qos == 2 && dup && self.ledger.is_delivered_here(other(role), index) =>
            {
                self.ledger.delivered(plan, role, index);
            }
            (Some(Defect::AcknowledgesFirst), Role::Server) if kind == PUBLISH && qos == 1 => {
                self.answer(role, PUBACK, packet_id);
                return true;
            }
            (Some(Defect::AnswersRepeatsFirst), Role::Server)
                if kind == PUBLISH && qos == 2 && dup && self.ledger.waits_for_its_turn(role, packet_id) =>
            {
                let [high, low] = packet_id.map_or(0, PacketId::get).to_be_bytes();
                self.ledger.written(plan, role, &[PUBREC << 4, 2, high, low]);
            }
            (Some(Defect::ResendsQos0 | Defect::SendsStaleAnswers), Role::Client) if kind == CONNACK => {
                let kept = core::mem::take(&mut self.memory.kept);
                self.pipes[number(role)].push(&kept);
            }
            _ => {}
        }
        false
    }

    fn answer(&mut self, role: Role, kind: u8, packet_id: Option<PacketId>) {
        let [high, low] = packet_id.map_or(0, PacketId::get).to_be_bytes();
        self.pipes[number(role)].push(&[kind << 4, 2, high, low]);
    }

    /// What an end keeps of a connection that is lost.
    pub(crate) fn spoil_cut(&mut self, plan: &Plan) {
        match plan.defect {
            Some(Defect::FinishesHalfPacket) if self.writing[0].seen != 0 && self.writing[0].sent == 0 => {
                if let Did::Transmit(rest) = self.ends.would(Role::Client) {
                    self.memory.kept = rest;
                }
            }
            Some(Defect::KeepsUntoldSession) => {
                let untold = matches!(self.ends.would(Role::Server), Did::Transmit(bytes) if bytes[0] >> 4 == CONNACK);
                self.memory.done |= untold;
            }
            Some(Defect::SendsStaleAnswers) => {
                let mut lost = self.pipes[0].clone();
                let lost = core::iter::from_fn(|| lost.take());
                self.memory.kept = lost.filter(|packet| matches!(packet[0] >> 4, PUBACK | PUBREC)).flatten().collect();
            }
            _ => {}
        }
    }

    /// What an end does first on a new connection.
    pub(crate) fn spoil_connection(&mut self, plan: &Plan) {
        match plan.defect {
            Some(Defect::FinishesHalfPacket) => self.pipes[0].push(&core::mem::take(&mut self.memory.kept)),
            Some(Defect::ForgetsOrder) => self.memory = Memory::default(),
            _ => {}
        }
    }
}

const Q0: QoS = QoS::AtMostOnce;
const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

/// Where each defect shows, and how.
pub(crate) const SEEDED: [(Defect, [&[QoS]; 2], &str); 15] = [
    (Defect::PublishesAfterPubrec, [&[Q2], &[]], "QoS 2 at most once"),
    (Defect::DropsDup, [&[Q1], &[]], "DUP if and only if sent again"),
    (Defect::ForgetsOrder, [&[Q1, Q2], &[]], "in order"),
    (Defect::IgnoresReceiveMaximum, [&[Q1, Q1], &[]], "never more than the Receive Maximum"),
    (Defect::FinishesHalfPacket, [&[Q1], &[]], "nobody closes"),
    (Defect::SendsStaleAnswers, [&[], &[Q1]], "no stray acknowledgements"),
    (Defect::ResendsQos0, [&[Q0], &[]], "QoS 0 at most once"),
    (Defect::KeepsLostSession, [&[], &[Q2, Q2]], "what is acknowledged was delivered"),
    (Defect::KeepsUntoldSession, [&[Q2], &[]], "only a session that is known is resumed"),
    (Defect::ForgetsHeld, [&[Q2], &[]], "QoS 2 at most once"),
    (Defect::AcknowledgesFirst, [&[Q1], &[]], "what is acknowledged was delivered"),
    (Defect::BelievesDup, [&[Q1], &[]], "what is acknowledged was delivered"),
    (Defect::LeavesPubrelUnanswered, [&[Q2], &[]], "whoever waits owes nothing"),
    (Defect::ForgetsPubrel, [&[Q2], &[]], "everything can still be finished"),
    (Defect::AnswersRepeatsFirst, [&[Q2, Q2], &[]], "answers in order"),
];
