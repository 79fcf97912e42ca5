//! What the broker does with what its sessions tell: it knows sessions, topics and retained messages, but no sockets.

use core::hash::BuildHasher;
use core::mem::take;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::RandomState;
use std::rc::Rc;

use mio::Token;
use mqtt_session::server::{Accept, Event};
use mqtt_session::wire::{Connect, Suback, Unsuback, shared_subscription};
use mqtt_session::{
    Acknowledge, Cause, Disconnect, Instant, List, Offline, Outcome, PacketId, Properties, Property, QoS, ReasonCode,
    RetainHandling, Subscription, Version,
};

use crate::client::{Client, Queued};
use crate::limits::{CLIENT_ID, LEVELS, SUBSCRIPTIONS, WINDOW, WINDOW_OF_3_1_1};
use crate::message::{Delivery, Key, Message};
use crate::options::Options;
use crate::report::{Counts, Log};
use crate::retained::Retained;
use crate::topics::{self, Topics};

pub(crate) struct Broker {
    pub(crate) clients: HashMap<Key, Client>,
    pub(crate) ready: Ready,
    pub(crate) counts: Counts,
    pub(crate) log: Log,
    /// The sessions by client identifier.
    names: HashMap<String, Key>,
    topics: Topics<Key>,
    retained: Retained,
    options: Options,
    last_key: u64,
    /// What client identifiers of our own begin with, so that they are no client's own.
    prefix: String,
}

/// The connections for which there is something to do, each once.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    queue: VecDeque<Token>,
    members: HashSet<Token>,
}

impl Broker {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            clients: HashMap::new(),
            ready: Ready::default(),
            counts: Counts::default(),
            log: Log::new(options.verbose),
            names: HashMap::new(),
            topics: Topics::new(),
            retained: Retained::default(),
            options,
            last_key: 0,
            prefix: format!("auto-{:016x}-", RandomState::new().hash_one(std::process::id())),
        }
    }

    /// The session to which a connection belongs that begins with this CONNECT. [MQTT-3.1.2-4], [MQTT-3.2.2-16]
    pub(crate) fn find(&mut self, connect: &Connect<'_>) -> Key {
        if let Some(code) = self.objection(connect) {
            return self.stranger(Some(code));
        }
        if let Some(&key) = self.names.get(connect.client_id) {
            return key;
        }
        let key = self.stranger(None);
        let Some(client) = self.clients.get_mut(&key) else { return key };
        client.name = match connect.client_id {
            "" => format!("{}{}", self.prefix, key.0),
            name => name.to_owned(),
        };
        self.names.insert(client.name.clone(), key);
        key
    }

    /// A session for somebody who is nobody yet, or will be turned away.
    pub(crate) fn stranger(&mut self, refusal: Option<ReasonCode>) -> Key {
        self.last_key = self.last_key.saturating_add(1);
        let key = Key(self.last_key);
        self.clients.insert(key, Client::new(String::new(), refusal, self.options.queue));
        key
    }

    /// Why nobody is to be let in by this CONNECT.
    fn objection(&self, connect: &Connect<'_>) -> Option<ReasonCode> {
        if connect.properties.authentication_method().is_some() {
            Some(ReasonCode::BadAuthenticationMethod)
        } else if connect.client_id.len() > CLIENT_ID {
            Some(ReasonCode::ClientIdentifierNotValid)
        } else if !self.names.contains_key(connect.client_id) && self.names.len() >= self.options.sessions {
            Some(ReasonCode::QuotaExceeded)
        } else {
            None
        }
    }

    pub(crate) fn happened(&mut self, key: Key, event: Event<'_>, now: Instant) {
        match event {
            Event::Connecting { version, connect, session_present } => {
                self.welcome(key, version, &connect, session_present, now);
            }
            Event::Message(message) => self.received(key, &message, now),
            Event::Subscribing { packet_id, subscriptions, properties } => {
                self.subscribe(key, packet_id, &subscriptions, &properties, now);
            }
            Event::Unsubscribing { packet_id, filters, .. } => self.unsubscribe(key, packet_id, &filters),
            Event::WillDue { delay } => {
                let due = now.after_millis(u64::from(delay).saturating_mul(1000));
                if let Some(client) = self.clients.get_mut(&key) {
                    client.will_due = Some(due);
                }
                self.publish_will_if_due(key, now);
            }
            Event::Published { outcome, .. } => {
                if matches!(outcome, Outcome::Rejected(_) | Outcome::Unsendable | Outcome::Lost) {
                    self.counts.dropped = self.counts.dropped.saturating_add(1);
                }
            }
            Event::Writable => {
                if let Some(client) = self.clients.get_mut(&key) {
                    client.full = false;
                }
            }
            // Stray acknowledgements follow from nothing that was done wrong here; DISCONNECT is followed by the end.
            _ => {}
        }
    }

    /// CONNECT: CONNACK answers it.
    fn welcome(&mut self, key: Key, version: Version, connect: &Connect<'_>, session_present: bool, now: Instant) {
        if !session_present {
            self.end_session(key, now);
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Some(code) = client.refusal {
            // 3.1.1 has a code for few reasons.
            if client.session.reject(code, &[]).is_err() {
                // What remains to be said always can be, and unless it is the session says it itself.
                _ = client.session.reject(ReasonCode::ServerUnavailable, &[]);
            }
            return;
        }
        client.version = version;
        // The client is back in time. [MQTT-3.1.3-9]
        client.will_due = None;
        client.will = connect.will.map(|will| Message::of_will(&will, key));
        client.full = false;
        client.window = match version {
            Version::V5 => connect.properties.receive_maximum().unwrap_or(WINDOW).min(WINDOW),
            _ => WINDOW_OF_3_1_1,
        };
        let mut properties = Vec::new();
        if version == Version::V5 {
            if connect.client_id.is_empty() {
                properties.push(Property::AssignedClientIdentifier(&client.name));
            }
            let longest = self.options.keep_alive;
            if longest != 0 && !(1..=longest).contains(&connect.keep_alive) {
                properties.push(Property::ServerKeepAlive(longest));
            }
        }
        let acknowledgement = Acknowledge::Manually;
        let accept =
            Accept { properties: &properties, acknowledgement, offline: Offline::Acknowledged, ..Accept::default() };
        match client.session.accept(&accept) {
            Ok(()) => {
                self.log.line(|| {
                    let session = if session_present { "its session goes on" } else { "a new session" };
                    format!("{} connected{}, MQTT {}, {session}", client.title(), client.from(), version.level())
                });
            }
            // CONNACK is larger than the client allows; it cannot be told.
            Err(refused) => {
                self.log.line(|| format!("{} cannot be accepted: {refused}", client.title()));
                client.session.connection_lost();
            }
        }
    }

    /// PUBLISH of a client.
    fn received(&mut self, key: Key, message: &mqtt_session::Message<'_>, now: Instant) {
        self.counts.received = self.counts.received.saturating_add(1);
        // What begins with `$` is the broker's own. (4.7.2)
        let outcome = if message.topic.starts_with('$') {
            Err(ReasonCode::NotAuthorized)
        } else {
            self.publish(Message::received(message, key), now)
        };
        let Some(client) = self.clients.get_mut(&key) else { return };
        let Some(handle) = message.handle else { return };
        // 3.1.1 has but one answer. [MQTT-3.3.5-2] of 3.1.1
        let code = match outcome {
            _ if client.version != Version::V5 => ReasonCode::Success,
            Ok(0) => ReasonCode::NoMatchingSubscribers,
            Ok(_) => ReasonCode::Success,
            Err(code) => code,
        };
        if let Err(refused) = client.session.acknowledge(handle, code) {
            self.log.line(|| format!("{}: a message cannot be acknowledged: {refused}", client.title()));
        }
    }

    /// Passes a message on, and tells to how many; `Err`: nobody has got it.
    pub(crate) fn publish(&mut self, message: Message, now: Instant) -> Result<usize, ReasonCode> {
        let message = Rc::new(message.published(now));
        let retained = message.retain && self.retained.has_room(&message, now);
        if message.retain && !retained && message.qos != QoS::AtMostOnce {
            return Err(ReasonCode::QuotaExceeded);
        }
        let clients = &self.clients;
        let is_ready = |key| clients.get(&key).is_some_and(Client::is_ready);
        let receivers = self.topics.receivers(&message.topic, message.publisher, is_ready);
        let (mut reached, mut missed) = (0_usize, 0_usize);
        for receiver in receivers {
            let key = receiver.key;
            if self.enqueue(key, Delivery::new(&message, receiver)) {
                reached = reached.saturating_add(1);
            } else {
                missed = missed.saturating_add(1);
            }
        }
        if reached == 0 && missed != 0 && message.qos != QoS::AtMostOnce {
            return Err(ReasonCode::QuotaExceeded);
        }
        if retained {
            self.retained.set(&message);
        }
        Ok(reached)
    }

    /// `false`: there was no room.
    fn enqueue(&mut self, key: Key, delivery: Delivery) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let queued = client.enqueue(delivery);
        let lost = match queued {
            Queued::Whole => 0,
            Queued::InPlaceOf(others) => others,
            Queued::No => 1,
        };
        self.counts.dropped = self.counts.dropped.saturating_add(lost);
        if let Some(connection) = client.connection {
            self.ready.push(connection);
        }
        queued != Queued::No
    }

    fn subscribe(
        &mut self,
        key: Key,
        packet_id: PacketId,
        subscriptions: &List<'_, Subscription<'_>>,
        properties: &Properties<'_>,
        now: Instant,
    ) {
        let identifier = properties.subscription_identifier();
        let mut codes = Vec::new();
        let mut retained = Vec::new();
        for subscription in subscriptions.iter() {
            let is_new = self.enter(key, &subscription, identifier);
            codes.push(match (&is_new, subscription.qos) {
                (Err(code), _) => *code,
                (Ok(_), QoS::AtMostOnce) => ReasonCode::Success,
                (Ok(_), QoS::AtLeastOnce) => ReasonCode::GrantedQos1,
                (Ok(_), QoS::ExactlyOnce) => ReasonCode::GrantedQos2,
            });
            let wanted = match (is_new, subscription.retain_handling) {
                (Err(_), _) | (_, RetainHandling::DoNotSend) => false,
                (Ok(is_new), RetainHandling::SendIfNew) => is_new,
                (Ok(_), RetainHandling::Send) => true,
            };
            if wanted && shared_subscription(subscription.filter).is_none() {
                let messages = self.retained.matching(subscription.filter, now);
                let delivery = |message| Delivery::of_retained(message, subscription.qos, identifier);
                retained.extend(messages.into_iter().map(delivery));
            }
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        let suback = Suback { packet_id, reason_codes: List::of(&codes), properties: Properties::EMPTY };
        if client.session.suback(&suback).is_err() {
            // There was room for it when the request came, so this does not happen; without an answer nothing would do.
            client.session.connection_lost();
        }
        for delivery in retained {
            self.enqueue(key, delivery);
        }
    }

    /// Notes a subscription. `Ok(false)`: there was one to this filter.
    fn enter(
        &mut self,
        key: Key,
        subscription: &Subscription<'_>,
        identifier: Option<u32>,
    ) -> Result<bool, ReasonCode> {
        let Subscription { filter, qos, no_local, retain_as_published, .. } = *subscription;
        let Some(client) = self.clients.get_mut(&key) else { return Err(ReasonCode::UnspecifiedError) };
        // 3.1.1 has one code for all failures. [MQTT-3.9.3-2]
        let failure = |code| Err(if client.version == Version::V5 { code } else { ReasonCode::UnspecifiedError });
        if filter.split('/').nth(LEVELS).is_some() {
            return failure(ReasonCode::TopicFilterInvalid);
        }
        if client.filters.len() >= SUBSCRIPTIONS && !client.filters.contains(filter) {
            return failure(ReasonCode::QuotaExceeded);
        }
        client.filters.insert(filter.to_owned());
        self.log.line(|| format!("{} subscribed to {filter}, QoS {}", client.title(), qos as u8));
        Ok(self.topics.subscribe(filter, key, topics::Options { qos, no_local, retain_as_published, identifier }))
    }

    fn unsubscribe(&mut self, key: Key, packet_id: PacketId, filters: &List<'_, &str>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let mut codes = Vec::new();
        for filter in filters.iter() {
            client.filters.remove(filter);
            let was_there = self.topics.unsubscribe(filter, key);
            codes.push(if was_there { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted });
        }
        let unsuback = Unsuback { packet_id, reason_codes: List::of(&codes), properties: Properties::EMPTY };
        if client.session.unsuback(&unsuback).is_err() {
            client.session.connection_lost();
        }
    }

    /// The connection of a session is over.
    pub(crate) fn closed(&mut self, key: Key, cause: Cause, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        self.log.line(|| format!("{} is gone: {cause}", client.title()));
        client.went_offline();
        if client.will_due.is_none() {
            client.will = None;
        }
        if !client.session.is_lasting() {
            self.forget(key, now);
        }
    }

    /// What time demands of sessions without a connection, and when it demands something next. [MQTT-3.1.2-23],
    /// [MQTT-3.1.3-9] of 5.0
    pub(crate) fn elapse(&mut self, now: Instant) -> Option<Instant> {
        let offline = self.clients.iter().filter(|(_, client)| client.connection.is_none());
        let dated = offline.flat_map(|(&key, client)| {
            let times = [client.session.expires_at(), client.will_due];
            times.into_iter().flatten().map(move |time| (time, key))
        });
        let (due, later): (Vec<_>, Vec<_>) = dated.partition(|(time, _)| *time <= now);
        for (_, key) in due {
            self.publish_will_if_due(key, now);
            let client = self.clients.get(&key);
            if client.and_then(|client| client.session.expires_at()).is_some_and(|end| end <= now) {
                self.forget(key, now);
            }
        }
        later.into_iter().map(|(time, _)| time).min()
    }

    /// Takes leave of everybody.
    pub(crate) fn shut_down(&mut self) {
        let farewell = Disconnect { reason_code: ReasonCode::ServerShuttingDown, ..Disconnect::default() };
        for client in self.clients.values_mut() {
            if let Some(connection) = client.connection {
                leave(client, &farewell);
                self.ready.push(connection);
            }
        }
    }

    /// Tells of the broker itself, by `$SYS`.
    pub(crate) fn report(&mut self, now: Instant) {
        let online = self.clients.values().filter(|client| client.session.is_online()).count();
        for (topic, value) in self.counts.report(online, self.names.len(), self.retained.len()) {
            // Nobody is there to be told that there is no room.
            _ = self.publish(Message::new(topic, value.into_bytes()), now);
        }
    }

    fn publish_will_if_due(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.will_due.is_some_and(|due| due <= now) {
            client.will_due = None;
            if let Some(will) = client.will.take() {
                // As above.
                _ = self.publish(will, now);
            }
        }
    }

    /// What belongs to a session ends with it; a will that still waits is due. [MQTT-3.1.3-9]
    fn end_session(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.clear_queue();
        client.will_due = client.will_due.map(|_| now);
        for filter in take(&mut client.filters) {
            self.topics.unsubscribe(&filter, key);
        }
        self.publish_will_if_due(key, now);
    }

    /// A session is over, and nobody comes back to it.
    fn forget(&mut self, key: Key, now: Instant) {
        self.end_session(key, now);
        if let Some(client) = self.clients.remove(&key)
            && self.names.get(&client.name) == Some(&key)
        {
            self.names.remove(&client.name);
        }
    }
}

impl Ready {
    pub(crate) fn push(&mut self, connection: Token) {
        if self.members.insert(connection) {
            self.queue.push_back(connection);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Token> {
        let connection = self.queue.pop_front()?;
        self.members.remove(&connection);
        Some(connection)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Begins to end a connection with DISCONNECT, or ends it if there is nobody to be told.
pub(crate) fn leave(client: &mut Client, farewell: &Disconnect<'_>) {
    if client.session.disconnect(farewell).is_err() {
        client.session.connection_lost();
    }
}
