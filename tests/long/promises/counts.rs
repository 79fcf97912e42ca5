//! How often what is interesting happens.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_session::{AckType, CloseReason, Outcome, QoS, ReasonCode, Role};

use super::journal::{Fact, Wire, other};
use super::model::Model;
use super::world::index;

/// What must occur in the runs, or they would show nothing.
pub(crate) const SITUATIONS: [&str; 29] = [
    "PUBLISH sent again",
    "PUBREL sent again",
    "duplicate suppressed",
    "topic left out for an alias",
    "DISCONNECT 0x93",
    "PINGREQ",
    "cut",
    "server's session lost",
    "session not present",
    "session present",
    "acknowledged by PUBACK",
    "acknowledged by PUBCOMP",
    "rejected",
    "unsendable",
    "given up",
    "too late to give up",
    "expired",
    "lost",
    "lost unconfirmed",
    "published anew",
    "taken back",
    "too late to take back",
    "refused for want of room",
    "refused otherwise",
    "request lost",
    "dead handle",
    "stray acknowledgement",
    "window full and more to send",
    "closed for silence",
];

pub(crate) fn count(facts: &[(u64, Fact)], counts: &mut BTreeMap<&'static str, u32>) {
    let mut model = Model::default();
    let mut wire = OnWire::default();
    for (now, fact) in facts {
        let named = wire.see(&model, fact).or_else(|| told(&model, fact));
        if let Some(name) = named {
            *counts.entry(name).or_default() += 1;
        }
        model.learn(*now, fact);
    }
}

/// What is to be seen on the wire alone.
#[derive(Default)]
struct OnWire {
    released: [BTreeSet<u16>; 2],
    open: [BTreeSet<u16>; 2],
    maximum: [usize; 2],
    arrived: [Option<u16>; 2],
}

impl OnWire {
    fn see(&mut self, model: &Model, fact: &Fact) -> Option<&'static str> {
        match fact {
            Fact::Connected => {
                (self.open, self.maximum, self.arrived) = Default::default();
                None
            }
            Fact::Arrived {
                from,
                packet: Wire::Connect { receive_maximum, .. } | Wire::Connack { receive_maximum, .. },
            } => {
                self.maximum[index(other(*from))] = usize::from(*receive_maximum);
                None
            }
            Fact::Arrived { from, packet: Wire::Publish { qos: QoS::ExactlyOnce, packet_id, dup: true, .. } } => {
                self.arrived[index(*from)] = packet_id.map(|id| id.get());
                None
            }
            Fact::Delivered { to, .. } => {
                self.arrived[index(other(*to))] = None;
                None
            }
            Fact::Shown { from, packet: Wire::Answer { kind: AckType::Pubrec, packet_id, .. } } => {
                let again = self.arrived[index(other(*from))].take() == Some(packet_id.get());
                again.then_some("duplicate suppressed")
            }
            Fact::Shown { from, packet: Wire::Answer { kind: AckType::Pubrel, packet_id, .. } } => {
                let again = !self.released[index(*from)].insert(packet_id.get());
                again.then_some("PUBREL sent again")
            }
            Fact::Shown { packet: Wire::Publish { dup: true, .. }, .. } => Some("PUBLISH sent again"),
            Fact::Shown { from, packet: Wire::Publish { packet_id, topic, .. } } => {
                let end = index(*from);
                self.open[end].extend(packet_id.map(|id| id.get()));
                self.released[end].retain(|id| Some(*id) != packet_id.map(|id| id.get()));
                let waiting = model.messages.values().filter(|message| {
                    message.from == *from && message.qos != QoS::AtMostOnce && message.shown.is_empty()
                });
                if self.open[end].len() == self.maximum[end] && waiting.count() > 1 {
                    return Some("window full and more to send");
                }
                topic.is_empty().then_some("topic left out for an alias")
            }
            Fact::Shown { packet: Wire::Disconnect(ReasonCode::ReceiveMaximumExceeded), .. } => Some("DISCONNECT 0x93"),
            Fact::Shown { packet: Wire::Ping, .. } => Some("PINGREQ"),
            Fact::Cut => Some("cut"),
            _ => None,
        }
    }
}

fn told(model: &Model, fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::Replaced => "server's session lost",
        Fact::Online { session_present: false } => "session not present",
        Fact::Online { session_present: true } => "session present",
        Fact::Told { number, outcome, .. } => match (outcome, model.messages.get(number.as_ref()?)?.qos) {
            (Outcome::Acknowledged(_), QoS::AtLeastOnce) => "acknowledged by PUBACK",
            (Outcome::Acknowledged(_), _) => "acknowledged by PUBCOMP",
            (Outcome::Rejected(_), _) => "rejected",
            (Outcome::Unsendable, _) => "unsendable",
            (Outcome::GivenUp, _) => "given up",
            (Outcome::Expired, _) => "expired",
            (Outcome::Lost, _) => "lost",
            (Outcome::LostUnconfirmed, _) => "lost unconfirmed",
            _ => return None,
        },
        Fact::Republished { .. } => "published anew",
        Fact::Cancelled { taken: true, .. } => "taken back",
        Fact::Cancelled { taken: false, .. } => "too late to take back",
        Fact::GaveUp { taken: false, .. } => "too late to give up",
        Fact::Refused { full: true, .. } => "refused for want of room",
        Fact::Refused { full: false, .. } => "refused otherwise",
        Fact::Answered { lost: true, .. } => "request lost",
        Fact::Judged { code: None, .. } => "dead handle",
        Fact::Stray { .. } => "stray acknowledgement",
        Fact::Closed {
            end: Role::Client | Role::Server,
            cause: CloseReason::PingTimeout | CloseReason::KeepAliveTimeout,
        } => "closed for silence",
        _ => return None,
    })
}
