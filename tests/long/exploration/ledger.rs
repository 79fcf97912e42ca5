//! What was accepted, written, received, delivered and told, and what of it breaks a promise.

use core::hash::{Hash, Hasher};

use mqtt_session::wire::Packet;
use mqtt_session::{CloseReason, Handle, Outcome, PacketId, QoS, ReasonCode, Role};

use super::ends::{number, other};
use super::plan::Plan;

/// The most messages of one end.
pub(crate) const MESSAGES: usize = 4;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A publish of QoS 1 or 2 got an outcome that it should not have, or a second one.
    OutcomeUnasked,
    Qos0Twice,
    Qos2Twice,
    /// Acknowledged, or confirmed, and never handed out.
    Undelivered,
    /// The first deliveries are not in the order of the publishes.
    Disordered,
    IdentifierReused,
    ReceiveMaximumExceeded,
    /// An end waits though it owes an answer.
    Owing,
    AnswersDisordered,
    AnswerUnasked,
    /// DUP on a first PUBLISH, or none on a second one.
    DupWrong,
    /// An end closed though nothing was wrong with the link.
    Closed(CloseReason),
    /// An acknowledgement came that nobody waited for.
    Stray,
    /// A command was refused that must not be.
    CommandRefused,
    /// The client goes on with a session that it gave up, or never knew, or that nobody was told of.
    Resumed,
    /// Once the link is gone an end still wants to write, or waits.
    LingersAfterLoss,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    #[default]
    Unaccepted,
    Open,
    Acknowledged,
    Rejected,
    Lost,
    LostUnconfirmed,
    /// The application gave it up.
    GivenUp,
    /// Its server lost it, and all memory of it.
    Gone,
    /// QoS 0 has no outcome.
    Accepted,
}

/// The messages of one end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) accepted: usize,
    pub(crate) fates: [Fate; MESSAGES],
    /// Which were delivered at all: a second time is a fault at once, or means nothing.
    delivered: [bool; MESSAGES],
    /// Which were delivered in the present session of the receiver.
    here: [bool; MESSAGES],
    /// Which the receiving application has acknowledged, and which it has ever refused.
    judged: [bool; MESSAGES],
    refused: [bool; MESSAGES],
    /// Which were shown to a transport.
    shown: [bool; MESSAGES],
    /// Which the sending application has given up, and of which of them the session has been lost since.
    given_up: [bool; MESSAGES],
    abandoned: [bool; MESSAGES],
    /// The identifiers of those whose outcome is told: they stay in use.
    pub(crate) kept: Vec<PacketId>,
    /// The identifiers that are in use.
    ids: [Option<PacketId>; MESSAGES],
    /// The identifiers that became free, in order, as long as there is anything to publish: they decide which comes next.
    freed: Vec<PacketId>,
    /// Which PUBRECs came, in order, and whether their PUBRELs were written on this connection.
    recs: Vec<(PacketId, bool)>,
}

/// What an end has to do on this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Duties {
    /// Its own PUBLISHes that are under way, and how many may be.
    open: Vec<PacketId>,
    pub(crate) limit: u16,
    /// The answers that it owes, in order, and whether they may leave.
    owed: Vec<(u8, PacketId, bool)>,
}

/// A message in the hands of an application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand {
    pub(crate) index: usize,
    pub(crate) packet_id: PacketId,
    pub(crate) handle: Handle,
}

/// Which place of its table a session has chosen means nothing.
impl PartialEq for Hand {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.packet_id) == (other.index, other.packet_id)
    }
}

impl Eq for Hand {}

impl Hash for Hand {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.index, self.packet_id).hash(state);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    /// By sender.
    pub(crate) streams: [Stream; 2],
    pub(crate) duties: [Duties; 2],
    pub(crate) hands: [Vec<Hand>; 2],
    pub(crate) fault: Option<Fault>,
    pub(crate) knowledge: Knowledge,
    pub(crate) belief: Belief,
    /// Whether the session ends with the connection: in 3.1.1 after a clean start.
    is_passing: bool,
}

/// Whether the client has a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Belief {
    /// It never had one, or that has ended.
    #[default]
    None,
    /// It gave up what the server may still have.
    GivenUp,
    Known,
}

/// What the client knows of the server's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Knowledge {
    #[default]
    Right,
    /// It was lost, and the client was not told of it.
    Outdated,
    /// It was lost, and the CONNACK that says so was written.
    Told,
    /// It was lost, and the CONNACK that said so, too: the next one says that there is a session, which is another one. MQTT
    /// has no means against that.
    Wrong,
}

/// The first byte of CONNACK.
const CONNACK: u8 = 0x20;

pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;

/// A packet as far as it matters here.
#[derive(Clone, Copy)]
pub(crate) struct Sketch {
    pub(crate) kind: u8,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) packet_id: Option<PacketId>,
    /// Of a PUBLISH, which message it is.
    pub(crate) index: usize,
    /// Of an acknowledgement, whether it refuses.
    pub(crate) refuses: bool,
}

impl Sketch {
    /// The topic has one letter, the payload one byte.
    pub(crate) fn of(packet: &[u8]) -> Self {
        let kind = packet[0] >> 4;
        let (qos, dup) = (packet[0] >> 1 & 3, packet[0] & 8 != 0);
        let at = match kind {
            PUBLISH if qos != 0 => Some(5),
            PUBACK..=PUBCOMP => Some(2),
            _ => None,
        };
        let digits = at.and_then(|at| packet.get(at..at + 2));
        let packet_id = digits.and_then(|digits| PacketId::new(u16::from_be_bytes([digits[0], digits[1]])));
        let index = usize::from(packet[packet.len() - 1].wrapping_sub(b'0'));
        let refuses = matches!(kind, PUBACK | PUBREC) && packet.get(4).is_some_and(|&code| code >= 0x80);
        Self { kind, qos, dup, packet_id, index, refuses }
    }
}

impl Ledger {
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    pub(crate) fn stream(&mut self, sender: Role) -> &mut Stream {
        &mut self.streams[number(sender)]
    }

    /// An end has shown a packet to its transport.
    pub(crate) fn written(&mut self, plan: &Plan, role: Role, packet: &[u8]) {
        let sketch = Sketch::of(packet);
        match (sketch.kind, sketch.packet_id) {
            (PUBLISH, Some(packet_id)) => self.published(plan, role, sketch, packet_id),
            (PUBACK | PUBREC | PUBCOMP, Some(packet_id)) => self.answered(role, sketch.kind, packet_id),
            (PUBREL, Some(packet_id)) => {
                let duties = &mut self.duties[number(role)];
                duties.owed.retain(|&(kind, owed, _)| (kind, owed) != (PUBREL, packet_id));
                let recs = &mut self.streams[number(role)].recs;
                let place = recs.iter().position(|&(rec, _)| rec == packet_id);
                match place {
                    Some(place) if recs[..place].iter().all(|&(_, sent)| sent) => recs[place].1 = true,
                    Some(_) => self.fail(Fault::AnswersDisordered),
                    None => self.fail(Fault::AnswerUnasked),
                }
            }
            _ => {
                if packet[0] == CONNACK && packet[2] == 0 && self.knowledge == Knowledge::Outdated {
                    self.knowledge = Knowledge::Told;
                }
                self.announced(plan, role, packet);
            }
        }
    }

    /// How many messages an end takes, as CONNECT and CONNACK say.
    fn announced(&mut self, plan: &Plan, role: Role, packet: &[u8]) {
        let properties = match Packet::decode(plan.version, other(role), packet) {
            Ok(Some((Packet::Connect(connect), _))) => connect.properties,
            Ok(Some((Packet::Connack(connack), _))) => connack.properties,
            _ => return,
        };
        self.duties[number(other(role))].limit = properties.receive_maximum().unwrap_or(u16::MAX);
    }

    fn published(&mut self, plan: &Plan, role: Role, sketch: Sketch, packet_id: PacketId) {
        let stream = self.stream(role);
        let repeated = core::mem::replace(&mut stream.shown[sketch.index], true);
        if repeated != sketch.dup {
            self.fail(Fault::DupWrong);
        }
        let duties = &mut self.duties[number(role)];
        duties.open.push(packet_id);
        if plan.is_v5() && duties.open.len() > duties.limit.into() {
            self.fail(Fault::ReceiveMaximumExceeded);
        }
    }

    /// PUBACK, PUBREC or PUBCOMP is written. Those of messages are in the order of the messages.
    fn answered(&mut self, role: Role, kind: u8, packet_id: PacketId) {
        let owed = &mut self.duties[number(role)].owed;
        let Some(place) = owed.iter().position(|&(owed, id, _)| (owed, id) == (kind, packet_id)) else {
            return self.fail(Fault::AnswerUnasked);
        };
        let (_, _, due) = owed[place];
        let in_order = kind == PUBCOMP || owed[..place].iter().all(|&(earlier, ..)| earlier != kind);
        owed.remove(place);
        if !in_order {
            self.fail(Fault::AnswersDisordered);
        }
        if !due {
            self.fail(Fault::AnswerUnasked);
        }
    }

    /// An end is about to take a packet.
    pub(crate) fn received(&mut self, plan: &Plan, role: Role, packet: &[u8]) {
        let sketch = Sketch::of(packet);
        let Some(packet_id) = sketch.packet_id else { return };
        let due =
            !plan.manual || (sketch.qos == 2 && self.streams[number(other(role))].judged[sketch.index % MESSAGES]);
        let duties = &mut self.duties[number(role)];
        let recs = &mut self.streams[number(role)].recs;
        match sketch.kind {
            PUBLISH if sketch.qos == 1 => duties.owed.push((PUBACK, packet_id, due)),
            PUBLISH => duties.owed.push((PUBREC, packet_id, due)),
            PUBREL => duties.owed.push((PUBCOMP, packet_id, true)),
            PUBREC if !sketch.refuses => {
                if recs.iter().all(|&(rec, _)| rec != packet_id) {
                    recs.push((packet_id, false));
                }
                if duties.owed.iter().all(|&(kind, owed, _)| (kind, owed) != (PUBREL, packet_id)) {
                    duties.owed.push((PUBREL, packet_id, true));
                }
            }
            _ => {
                duties.open.retain(|&open| open != packet_id);
                recs.retain(|&(rec, _)| rec != packet_id);
                self.release(plan, role, |kept| kept == packet_id);
            }
        }
    }

    /// An end has nothing to do: then it owes nothing that may leave. Answers to messages leave in the order of the messages.
    pub(crate) fn waits(&mut self, role: Role) {
        let owed = &self.duties[number(role)].owed;
        let mut messages = owed.iter().filter(|&&(kind, ..)| matches!(kind, PUBACK | PUBREC));
        let others = owed.iter().any(|&(kind, ..)| matches!(kind, PUBREL | PUBCOMP));
        if others || messages.next().is_some_and(|&(_, _, due)| due) {
            self.fail(Fault::Owing);
        }
    }

    pub(crate) fn accepted(&mut self, plan: &Plan, role: Role, packet_id: Option<PacketId>) {
        let all = plan.messages[number(role)].len();
        let stream = self.stream(role);
        let is_taken = |id| stream.ids.contains(&Some(id)) || stream.kept.contains(&id);
        let reused = packet_id.is_some_and(is_taken);
        let index = stream.accepted;
        stream.accepted += 1;
        stream.ids[index] = packet_id;
        stream.fates[index] = if packet_id.is_some() { Fate::Open } else { Fate::Accepted };
        if stream.accepted == all {
            stream.freed.clear();
        }
        if reused {
            self.fail(Fault::IdentifierReused);
        }
    }

    pub(crate) fn ended(&mut self, plan: &Plan, role: Role, packet_id: PacketId, outcome: Outcome) {
        let all = plan.messages[number(role)].len();
        let stream = self.stream(role);
        stream.recs.retain(|&(rec, _)| rec != packet_id);
        let Some(index) = stream.ids.iter().position(|&id| id == Some(packet_id)) else {
            return self.fail(Fault::OutcomeUnasked);
        };
        stream.ids[index] = None;
        if outcome == Outcome::GivenUp && !stream.abandoned[index] {
            stream.kept.push(packet_id);
        } else if stream.accepted < all {
            stream.freed.push(packet_id);
        }
        let fate = match outcome {
            Outcome::Acknowledged(_) => Fate::Acknowledged,
            Outcome::Rejected(_) if stream.refused[index] => Fate::Rejected,
            Outcome::GivenUp if stream.given_up[index] => Fate::GivenUp,
            Outcome::Lost => Fate::Lost,
            Outcome::LostUnconfirmed => Fate::LostUnconfirmed,
            _ => return self.fail(Fault::OutcomeUnasked),
        };
        stream.fates[index] = fate;
        if !matches!(fate, Fate::Lost | Fate::GivenUp) && !stream.delivered[index] {
            self.fail(Fault::Undelivered);
        }
    }

    /// An application has given up a message that was sent.
    pub(crate) fn gave_up(&mut self, role: Role, index: usize) {
        self.stream(role).given_up[index] = true;
    }

    /// A message that is under way, and its identifier.
    pub(crate) fn under_way(&self, role: Role, index: usize) -> Option<PacketId> {
        self.streams[number(role)].ids[index]
    }

    /// Identifiers that were kept are free.
    fn release(&mut self, plan: &Plan, role: Role, is_free: impl Fn(PacketId) -> bool) {
        let all = plan.messages[number(role)].len();
        let stream = self.stream(role);
        let (mut freed, kept): (Vec<_>, _) = stream.kept.drain(..).partition(|&id| is_free(id));
        stream.kept = kept;
        freed.sort_unstable();
        stream.recs.retain(|(rec, _)| !freed.contains(rec));
        if stream.accepted < all {
            stream.freed.extend(freed);
        }
    }

    /// A message is published anew, as another one.
    pub(crate) fn renewed(&mut self, role: Role, lost: PacketId, packet_id: PacketId) {
        let stream = self.stream(role);
        let Some(index) = stream.ids.iter().position(|&id| id == Some(lost)) else {
            return self.fail(Fault::OutcomeUnasked);
        };
        let reused = stream.ids.contains(&Some(packet_id));
        stream.ids[index] = Some(packet_id);
        stream.shown[index] = false;
        if reused {
            self.fail(Fault::IdentifierReused);
        }
    }

    /// An application was handed a message by `to`.
    pub(crate) fn delivered(&mut self, plan: &Plan, to: Role, index: usize) {
        let sender = other(to);
        let messages = plan.messages[number(sender)];
        let qos = messages[index];
        let again = plan.repeats_after_loss(sender);
        let stream = self.stream(sender);
        let is_first = !stream.delivered[index];
        // What was refused is forgotten, and new if the refusal is lost.
        let twice = !stream.refused[index] && if again { stream.here[index] } else { !is_first };
        let later = (index + 1..messages.len())
            .any(|other| (messages[other] == QoS::AtMostOnce) == (qos == QoS::AtMostOnce) && stream.delivered[other]);
        stream.delivered[index] = true;
        stream.here[index] = true;
        match qos {
            QoS::AtMostOnce if !is_first => self.fail(Fault::Qos0Twice),
            QoS::ExactlyOnce if twice => self.fail(Fault::Qos2Twice),
            _ => {}
        }
        if is_first && later {
            self.fail(Fault::Disordered);
        }
    }

    /// Whether the application has this message for the first time in the receiver's present session.
    pub(crate) fn is_delivered_here(&self, sender: Role, index: usize) -> bool {
        self.streams[number(sender)].here[index]
    }

    /// Whether an end could send the PUBREC of a message, if it did not owe another one before.
    pub(crate) fn waits_for_its_turn(&self, role: Role, packet_id: Option<PacketId>) -> bool {
        let mut owed = self.duties[number(role)].owed.iter().filter(|(kind, ..)| *kind == PUBREC);
        let is_first = owed.next().is_some_and(|&(_, first, _)| Some(first) == packet_id);
        !is_first && owed.any(|&(_, owed, due)| due && Some(owed) == packet_id)
    }

    /// Whether the client answers a PUBREC by this PUBREL.
    pub(crate) fn owes_release(&self, packet_id: Option<PacketId>) -> bool {
        self.duties[0].owed.iter().any(|&(kind, owed, _)| kind == PUBREL && Some(owed) == packet_id)
    }

    /// An application has a message in its hands, and it is up to it to answer.
    pub(crate) fn handed(&mut self, role: Role, hand: Hand) {
        self.stream(other(role)).judged[hand.index] = false;
        for (kind, packet_id, due) in &mut self.duties[number(role)].owed {
            *due &= !(matches!(*kind, PUBACK | PUBREC) && *packet_id == hand.packet_id);
        }
        self.hands[number(role)].push(hand);
    }

    /// An application has acknowledged, or refused.
    pub(crate) fn judged(&mut self, role: Role, hand: Hand, code: ReasonCode) {
        let stream = self.stream(other(role));
        stream.judged[hand.index] = true;
        stream.refused[hand.index] |= code.is_error();
        for (kind, packet_id, due) in &mut self.duties[number(role)].owed {
            *due |= matches!(*kind, PUBACK | PUBREC) && *packet_id == hand.packet_id;
        }
    }

    /// The connection is over on both ends. What is in the hands of an application with QoS 1 cannot be acknowledged any more.
    pub(crate) fn disconnected(&mut self, plan: &Plan) {
        for role in [Role::Client, Role::Server] {
            self.duties[number(role)] = Duties::default();
            for (_, sent) in &mut self.stream(role).recs {
                *sent = false;
            }
            let messages = plan.messages[number(other(role))];
            self.hands[number(role)].retain(|hand| messages[hand.index] == QoS::ExactlyOnce);
        }
        if self.is_passing && self.belief == Belief::Known {
            self.belief = Belief::None;
            self.forgot(plan, Role::Client);
        }
    }

    /// The receiver has forgotten what it holds.
    pub(crate) fn forgot(&mut self, plan: &Plan, receiver: Role) {
        self.release(plan, receiver, |_| true);
        let own = self.stream(receiver);
        for index in 0..MESSAGES {
            own.abandoned[index] |= own.given_up[index] && own.ids[index].is_some();
        }
        let stream = self.stream(other(receiver));
        stream.here = Default::default();
        stream.judged = Default::default();
        self.hands[number(receiver)].clear();
    }

    /// The client asks for a connection. What it has given up stays given up until it is told so.
    pub(crate) fn asked(&mut self, plan: &Plan, clean_start: bool) {
        let is_clean = clean_start || self.belief == Belief::GivenUp;
        self.is_passing = is_clean && !plan.is_v5();
        if is_clean {
            self.belief = Belief::GivenUp;
            self.forgot(plan, Role::Client);
        }
    }

    /// The server has begun a session.
    pub(crate) fn begun(&mut self, plan: &Plan) {
        self.knowledge = Knowledge::Outdated;
        self.forgot(plan, Role::Server);
    }

    /// The client has heard whether there is a session.
    pub(crate) fn connected(&mut self, plan: &Plan, session_present: bool) {
        let belief = core::mem::replace(&mut self.belief, Belief::Known);
        let knowledge = core::mem::replace(&mut self.knowledge, Knowledge::Right);
        if !session_present {
            return self.forgot(plan, Role::Client);
        }
        match (belief, knowledge) {
            (Belief::GivenUp, _) | (Belief::Known, Knowledge::Outdated) => self.fail(Fault::Resumed),
            // 3.1.1 does not forbid it, and it began for this client.
            (Belief::None, _) if plan.is_v5() => self.fail(Fault::Resumed),
            (Belief::None, _) | (Belief::Known, Knowledge::Right) => {}
            (Belief::Known, Knowledge::Told | Knowledge::Wrong) => self.knowledge = Knowledge::Wrong,
        }
    }

    /// The server has lost everything.
    pub(crate) fn server_lost(&mut self, plan: &Plan) {
        self.knowledge = Knowledge::Outdated;
        self.forgot(plan, Role::Server);
        let stream = self.stream(Role::Server);
        for fate in &mut stream.fates {
            if matches!(fate, Fate::Open | Fate::Accepted) {
                *fate = Fate::Gone;
            }
        }
        stream.ids = Default::default();
        stream.kept.clear();
        stream.freed.clear();
        stream.recs.clear();
    }

    /// Whether every message was accepted and has come to its end.
    pub(crate) fn is_settled(&self, plan: &Plan) -> bool {
        self.streams
            .iter()
            .zip(plan.messages)
            .all(|(stream, messages)| stream.accepted == messages.len() && !stream.fates.contains(&Fate::Open))
    }
}
