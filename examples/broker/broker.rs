//! What the broker does with what its sessions tell: it knows sessions, topics and retained messages, but no sockets.

use core::hash::BuildHasher;
use core::net::SocketAddr;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::RandomState;

use mio::Token;
use mqtt_session::server::{Accept, Event};
use mqtt_session::wire::ConnectPacket;
use mqtt_session::{Acknowledge, CloseReason, Disconnect, Instant, Offline, Properties, Property, ReasonCode, Version};

use crate::client::Client;
use crate::limits::{CLIENT_ID, CROWDS, Session, WINDOW, WINDOW_OF_3_1_1};
use crate::message::{Key, Message};
use crate::options::Options;
use crate::pool::Pool;
use crate::report::{Counts, Log, Losses, State};
use crate::retained::Retained;
use crate::routing::Answer;
use crate::seat::{Seat, Size};
use crate::topics::Topics;

pub(crate) struct Broker {
    pub(crate) clients: HashMap<Key, Client>,
    pub(crate) ready: Ready,
    pub(crate) counts: Counts,
    pub(crate) log: Log,
    pub(crate) losses: Losses,
    pub(crate) topics: Topics<Key>,
    pub(crate) retained: Retained,
    /// The sessions by client identifier.
    names: HashMap<String, Key>,
    /// The 3.1.1 clients that have had more QoS 2 messages under way than most sessions have places for.
    crowds: HashSet<String>,
    sessions: Pool<Session>,
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
            losses: Losses::default(),
            topics: Topics::new(),
            retained: Retained::new(options.retained),
            names: HashMap::new(),
            crowds: HashSet::new(),
            sessions: Pool::of_sessions(),
            options,
            last_key: 0,
            prefix: format!("auto-{:016x}-", RandomState::new().hash_one(std::process::id())),
        }
    }

    /// The session to which a connection belongs that begins with this CONNECT. [MQTT-3.1.2-4], [MQTT-3.2.2-16]
    pub(crate) fn find(
        &mut self,
        version: Version,
        connect: &ConnectPacket<'_>,
        peer: Option<SocketAddr>,
        now: Instant,
    ) -> Key {
        if let Some(code) = self.objection(connect) {
            return self.stranger(Some(code));
        }
        let is_crowd = version != Version::V5 && self.crowds.contains(&crowd(connect.client_id, peer));
        let size = if is_crowd { Size::Wide } else { Size::Usual };
        if let Some(&key) = self.names.get(connect.client_id) {
            if is_crowd {
                self.widen(key, version, connect, now);
            }
            return key;
        }
        let key = self.enter(None, size);
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
        self.enter(refusal, Size::Usual)
    }

    fn enter(&mut self, refusal: Option<ReasonCode>, size: Size) -> Key {
        self.last_key = self.last_key.saturating_add(1);
        let key = Key(self.last_key);
        let session = Seat::new(&mut self.sessions, size);
        self.clients.insert(key, Client::new(session, refusal, self.options.queue));
        key
    }

    /// A session that begins anew has room for a crowd; one that goes on stays where it is.
    fn widen(&mut self, key: Key, version: Version, connect: &ConnectPacket<'_>, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let begins_anew = connect.clean_start || client.version != version;
        if begins_anew && client.connection.is_none() && matches!(client.session, Seat::Usual(_)) {
            let wide = Seat::new(&mut self.sessions, Size::Wide);
            core::mem::replace(&mut client.session, wide).leave_to(&mut self.sessions);
            self.give_up_given(key, now);
        }
    }

    /// Why nobody is to be let in by this CONNECT.
    fn objection(&self, connect: &ConnectPacket<'_>) -> Option<ReasonCode> {
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
                self.subscribe(key, packet_id, &subscriptions, &properties);
            }
            Event::Unsubscribing { packet_id, filters, .. } => self.unsubscribe(key, packet_id, &filters),
            Event::WillDue { delay } => {
                let due = now.after_millis(u64::from(delay).saturating_mul(1000));
                if let Some(client) = self.clients.get_mut(&key) {
                    client.will_due = Some(due);
                }
                self.publish_will_if_due(key, now);
            }
            Event::Published { packet_id, outcome, .. } => self.ended(key, packet_id, outcome, now),
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
    fn welcome(
        &mut self,
        key: Key,
        version: Version,
        connect: &ConnectPacket<'_>,
        session_present: bool,
        now: Instant,
    ) {
        if !session_present {
            self.end_session(key, now);
        }
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Some(code) = client.refusal {
            // 3.1.1 has a code for few reasons.
            if client.session.reject(code, Properties::EMPTY).is_err() {
                // What remains to be said always can be, and unless it is the session says it itself.
                _ = client.session.reject(ReasonCode::ServerUnavailable, Properties::EMPTY);
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
        let accept = Accept {
            properties: Properties::of(&properties),
            acknowledgement,
            offline: Offline::Acknowledged,
            ..Accept::default()
        };
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
        let Some(client) = self.clients.get(&key) else { return };
        let is_told = client.version == Version::V5 && message.handle.is_some();
        let answer = if is_told { Answer::Code } else { Answer::None };
        let outcome = self.publish(Message::received(message, key), answer, now);
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

    /// The connection of a session is over.
    pub(crate) fn closed(&mut self, key: Key, reason: CloseReason, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        self.log.line(|| format!("{} is gone: {reason}", client.title()));
        if reason == CloseReason::TooManyHeld && client.version != Version::V5 {
            if self.crowds.len() >= CROWDS {
                self.crowds.clear();
            }
            let is_nameless = client.name.starts_with(&self.prefix);
            self.crowds.insert(crowd(if is_nameless { "" } else { &client.name }, client.address));
        }
        if client.will_due.is_none() {
            client.will = None;
        }
        client.went_offline();
        if client.session.is_lasting() {
            self.give_away(key, now);
        } else {
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
        let clients = || self.clients.values();
        let state = State {
            connected: clients().filter(|client| client.session.is_online()).count(),
            sessions: self.names.len(),
            retained: self.retained.len(),
            retained_bytes: self.retained.bytes(),
            queued: clients().map(|client| client.queue.len()).sum(),
            queued_bytes: clients().map(|client| client.queue.bytes()).sum(),
        };
        for (topic, value) in self.counts.report(state) {
            // Nobody is there to be told that there is no room.
            _ = self.publish(Message::new(topic, value.into_bytes()), Answer::None, now);
        }
        self.tell_losses(now);
    }

    fn publish_will_if_due(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.will_due.is_some_and(|due| due <= now) {
            client.will_due = None;
            if let Some(will) = client.will.take() {
                // As above.
                _ = self.publish(will, Answer::None, now);
            }
        }
    }

    /// What belongs to a session ends with it; a will that still waits is due. [MQTT-3.1.3-9]
    fn end_session(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.will_due = client.will_due.map(|_| now);
        for filter in client.filters.take() {
            self.topics.unsubscribe(&filter, key);
        }
        self.give_up_queue(key, now);
        self.publish_will_if_due(key, now);
    }

    /// A session is over, and nobody comes back to it.
    fn forget(&mut self, key: Key, now: Instant) {
        self.end_session(key, now);
        self.give_up_given(key, now);
        let Some(client) = self.clients.remove(&key) else { return };
        if self.names.get(&client.name) == Some(&key) {
            self.names.remove(&client.name);
        }
        client.session.leave_to(&mut self.sessions);
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

/// By what a client is remembered that comes with this client identifier.
fn crowd(client_id: &str, peer: Option<SocketAddr>) -> String {
    match (client_id, peer) {
        ("", Some(peer)) => peer.ip().to_string(),
        _ => client_id.to_owned(),
    }
}

/// Begins to end a connection with DISCONNECT, or ends it if there is nobody to be told.
pub(crate) fn leave(client: &mut Client, farewell: &Disconnect<'_>) {
    if client.session.disconnect(farewell).is_err() {
        client.session.connection_lost();
    }
}
