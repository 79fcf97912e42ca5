//! What was promised: each message, what is known of it, and which identifiers stand for which. It follows from what was
//! seen alone.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_session::{AckType, Outcome, PacketId, QoS, Role};

use super::journal::{Fact, Wire, other};
use super::world::index;

/// What is known after some of the facts.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: BTreeMap<u32, Message>,
    /// What the identifiers stand for that are in use, on each end.
    pub(crate) live: [BTreeMap<PacketId, Use>; 2],
    /// The identifiers of messages that were sent and are never sent again: taken until the other end acknowledges them, or the session
    /// ends.
    pub(crate) kept: [BTreeSet<PacketId>; 2],
    /// How many transports there were.
    pub(crate) connection: u32,
    /// Whether the session is to outlive this connection.
    lasting: bool,
    /// The server has begun a session whose CONNACK is not written: it ends with its connection.
    pub(crate) unannounced: bool,
    /// The server has begun a new session, and has told so; the client has not heard it, and will not.
    untold: bool,
    pub(crate) estranged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Message(u32),
    Request,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) from: Role,
    pub(crate) qos: QoS,
    pub(crate) expiry: Option<u32>,
    pub(crate) accepted: u64,
    pub(crate) told: Vec<Outcome>,
    pub(crate) cancelled: bool,
    pub(crate) given_up: bool,
    /// Its end has lost its memory.
    pub(crate) abandoned: bool,
    /// The connections on which it was shown since it was last published (anew).
    pub(crate) shown: Vec<u32>,
    pub(crate) deliveries: u32,
    /// How often the application of the other end has refused it.
    pub(crate) refusals: u32,
    /// How often the other end may have forgotten it while it was in flight.
    pub(crate) forgotten: u32,
    pub(crate) republished: u32,
    /// A session has ended since it was accepted.
    pub(crate) is_lost: bool,
    /// Its PUBREC came in.
    pub(crate) received: bool,
    /// The session may have been lost since it was in flight.
    pub(crate) may_be_lost: bool,
    /// It was sent by a server that has begun a new session of which its client does not know: it may take the message for
    /// another one. The protocol has no answer to that.
    pub(crate) estranged: bool,
}

impl Model {
    /// What is known in the end.
    pub(crate) fn of(facts: &[(u64, Fact)]) -> Self {
        let mut model = Self::default();
        for (now, fact) in facts {
            model.learn(*now, fact);
        }
        model
    }

    /// The message that an end has under way by this identifier.
    pub(crate) fn message(&self, from: Role, packet_id: Option<PacketId>) -> Option<(u32, &Message)> {
        match self.live[index(from)].get(&packet_id?)? {
            Use::Message(number) => Some((*number, self.messages.get(number)?)),
            Use::Request => None,
        }
    }

    pub(crate) fn learn(&mut self, now: u64, fact: &Fact) {
        match fact {
            Fact::Connected => {
                self.connection += 1;
                self.estranged |= self.untold;
            }
            Fact::Accepted { from, number, qos, packet_id, expiry, .. } => {
                let message = Message {
                    from: *from,
                    qos: *qos,
                    expiry: *expiry,
                    accepted: now,
                    told: Vec::new(),
                    cancelled: false,
                    given_up: false,
                    abandoned: false,
                    shown: Vec::new(),
                    deliveries: 0,
                    refusals: 0,
                    forgotten: 0,
                    republished: 0,
                    is_lost: false,
                    received: false,
                    may_be_lost: *from == Role::Server && (!self.lasting || self.unannounced),
                    estranged: false,
                };
                self.messages.insert(*number, message);
                self.live[index(*from)].extend(packet_id.map(|packet_id| (packet_id, Use::Message(*number))));
            }
            Fact::Shown { from, packet: Wire::Publish { packet_id, topic, .. } } => {
                let (connection, lasting, estranged) = (self.connection, self.lasting, self.estranged);
                let number = self.message(*from, *packet_id).map(|(number, _)| number).or_else(|| number_in(topic));
                if let Some(message) = number.and_then(|number| self.messages.get_mut(&number)) {
                    message.shown.push(connection);
                    message.may_be_lost |= !lasting;
                    message.estranged |= estranged && *from == Role::Server;
                }
            }
            Fact::Arrived { from, packet: Wire::Answer { kind: AckType::Pubrec, packet_id, code } }
                if !code.is_error() =>
            {
                let number = self.message(other(*from), Some(*packet_id)).map(|(number, _)| number);
                if let Some(message) = number.and_then(|number| self.messages.get_mut(&number)) {
                    message.received = true;
                }
            }
            Fact::Arrived { from, packet: Wire::Answer { packet_id, .. } } => {
                self.kept[index(other(*from))].remove(packet_id);
            }
            Fact::Delivered { number, .. } => {
                if let Some(message) = self.messages.get_mut(number) {
                    message.deliveries += 1;
                }
            }
            Fact::Judged { number, code: Some(code), .. } if code.is_error() => {
                if let Some(message) = self.messages.get_mut(number) {
                    message.refusals += 1;
                }
            }
            fact => self.learn_of_end(fact),
        }
    }

    /// What has ended, or has got another identifier.
    fn learn_of_end(&mut self, fact: &Fact) {
        match fact {
            Fact::Told { from, number: Some(number), outcome } => {
                let is_kept = matches!(outcome, Outcome::GivenUp | Outcome::Unsendable)
                    && self.messages.get(number).is_some_and(|message| !message.shown.is_empty() && !message.is_lost);
                let of_message = self.live[index(*from)].iter().filter(|(_, used)| **used == Use::Message(*number));
                self.kept[index(*from)].extend(of_message.filter(|_| is_kept).map(|(packet_id, _)| *packet_id));
                self.live[index(*from)].retain(|_, used| *used != Use::Message(*number));
                if let Some(message) = self.messages.get_mut(number) {
                    message.told.push(*outcome);
                }
            }
            Fact::GaveUp { number, taken: true } => {
                if let Some(message) = self.messages.get_mut(number) {
                    message.given_up = true;
                }
            }
            Fact::Cancelled { number, taken: true } => {
                self.live.iter_mut().for_each(|live| live.retain(|_, used| *used != Use::Message(*number)));
                if let Some(message) = self.messages.get_mut(number) {
                    message.cancelled = true;
                }
            }
            Fact::Republished { number: Some(number), packet_id } => {
                self.live[0].retain(|_, used| *used != Use::Message(*number));
                self.live[0].insert(*packet_id, Use::Message(*number));
                if let Some(message) = self.messages.get_mut(number) {
                    message.shown.clear();
                    message.republished += 1;
                }
            }
            Fact::Requested(packet_id) => {
                self.live[0].insert(*packet_id, Use::Request);
            }
            Fact::Answered { packet_id, .. } => {
                self.live[0].remove(packet_id);
            }
            fact => self.learn_of_session(fact),
        }
    }

    fn learn_of_session(&mut self, fact: &Fact) {
        match fact {
            Fact::Connecting { clean, lasting } => {
                self.lasting = *lasting;
                if *clean || !*lasting {
                    self.session_ends(Role::Client);
                    self.pending().for_each(|message| message.may_be_lost = true);
                }
            }
            Fact::Admitted { session_present: false, .. } => {
                self.unannounced = true;
                self.session_ends(Role::Server);
                self.pending().for_each(|message| {
                    message.may_be_lost = true;
                    message.forgotten += u32::from(message.from == Role::Client);
                });
            }
            // A client may miss a CONNACK that was written. One that was not leaves no session behind.
            Fact::Announced => self.untold |= core::mem::take(&mut self.unannounced),
            Fact::Online { session_present: false } => {
                (self.untold, self.estranged) = (false, false);
                self.session_ends(Role::Client);
                self.pending().for_each(|message| message.may_be_lost = true);
            }
            Fact::Replaced => {
                self.live[1].clear();
                self.session_ends(Role::Server);
                for message in self.messages.values_mut().filter(|message| message.from == Role::Server) {
                    message.abandoned = true;
                }
            }
            // It may end with its connection.
            Fact::Cut | Fact::Closed { .. } if !self.lasting || self.unannounced => {
                self.session_ends(Role::Client);
                self.session_ends(Role::Server);
            }
            _ => {}
        }
    }

    /// The session of an end is over, so the identifiers are free that it keeps, and those of what is still to be told as given up.
    fn session_ends(&mut self, role: Role) {
        self.kept[index(role)].clear();
        for message in self.messages.values_mut().filter(|message| message.from == role) {
            message.is_lost = true;
        }
    }

    /// What a session that ends may take with it: on the client's end what was shown, on the server's everything.
    fn pending(&mut self) -> impl Iterator<Item = &mut Message> {
        self.messages
            .values_mut()
            .filter(|message| message.told.is_empty() && (message.from == Role::Server || !message.shown.is_empty()))
    }
}

/// The number in the topic of a message without an alias.
pub(crate) fn number_in(topic: &str) -> Option<u32> {
    topic.strip_prefix("t/")?.parse().ok()
}
