//! A session: the protocol's part, the queue in front of it, and what the broker knows of its client.

use core::net::SocketAddr;
use std::collections::{BTreeSet, VecDeque};

use mio::Token;
use mqtt_session::{Instant, Properties, Publish, QoS, ReasonCode, Refused, Version};

use crate::limits::{QUEUE_BYTES, Session};
use crate::message::{Delivery, Message};

pub(crate) struct Client {
    /// The client identifier.
    pub(crate) name: String,
    pub(crate) session: Box<Session>,
    /// Its connection, if there is one, and where that came from.
    pub(crate) connection: Option<Token>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) version: Version,
    /// Why it is to be turned away.
    pub(crate) refusal: Option<ReasonCode>,
    /// The topic filters of its subscriptions.
    pub(crate) filters: BTreeSet<String>,
    pub(crate) will: Option<Message>,
    /// When the will is published, after the connection has ended.
    pub(crate) will_due: Option<Instant>,
    /// How many messages of QoS 1 and 2 may be under way.
    pub(crate) window: u16,
    /// Whether to wait for `Event::Writable`.
    pub(crate) full: bool,
    queue: VecDeque<Delivery>,
    /// How long the queue may become.
    longest: usize,
    /// The bytes in the queue, and how many of its messages have QoS 0.
    bytes: usize,
    at_most_once: usize,
}

/// What became of a message for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Whole,
    /// So many of QoS 0 had to go for it.
    InPlaceOf(u64),
    /// There is no room for it.
    No,
}

impl Client {
    /// Somebody who has just come; `longest`: how many messages may wait.
    pub(crate) fn new(name: String, refusal: Option<ReasonCode>, longest: usize) -> Self {
        Self {
            name,
            session: Box::new(Session::new()),
            connection: None,
            address: None,
            version: Version::V5,
            refusal,
            filters: BTreeSet::new(),
            will: None,
            will_due: None,
            window: 0,
            full: false,
            queue: VecDeque::new(),
            longest,
            bytes: 0,
            at_most_once: 0,
        }
    }

    /// What the log calls it.
    pub(crate) fn title(&self) -> String {
        if self.name.is_empty() { format!("somebody{}", self.from()) } else { format!("{:?}", self.name) }
    }

    /// Where it is.
    pub(crate) fn from(&self) -> String {
        self.address.map_or_else(String::new, |address| format!(" from {address}"))
    }

    /// Whether a message would go out soon, rather than wait.
    pub(crate) fn is_ready(&self) -> bool {
        self.session.is_online() && self.queue.len() < self.longest
    }

    /// Queues a message, and drops those of QoS 0 that are in its way.
    pub(crate) fn enqueue(&mut self, delivery: Delivery) -> Queued {
        let len = delivery.message.len();
        if delivery.qos == QoS::AtMostOnce && !self.session.is_online() {
            return Queued::Whole;
        }
        let mut dropped = 0_u64;
        while self.queue.len() >= self.longest || self.bytes.saturating_add(len) > QUEUE_BYTES {
            if self.at_most_once == 0 || !self.drop_oldest() {
                return Queued::No;
            }
            dropped = dropped.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(len);
        self.at_most_once = self.at_most_once.saturating_add((delivery.qos == QoS::AtMostOnce).into());
        self.queue.push_back(delivery);
        if dropped == 0 { Queued::Whole } else { Queued::InPlaceOf(dropped) }
    }

    /// Gives the session as many messages as it takes now, and tells how many had to be dropped for being too large for the
    /// client. [MQTT-3.1.2-25]
    pub(crate) fn feed(&mut self, now: Instant) -> u64 {
        let mut dropped = 0_u64;
        while let Some(delivery) = self.queue.front().filter(|_| !self.full && self.session.is_online()) {
            let Delivery { message, qos, retain, .. } = delivery;
            if message.is_expired(now) {
                self.dequeue();
                continue;
            }
            if *qos != QoS::AtMostOnce && self.session.in_flight() >= self.window {
                break;
            }
            let properties = if self.version == Version::V5 { delivery.properties(now) } else { Vec::new() };
            let properties = Properties::of(&properties);
            let publish =
                Publish { qos: *qos, retain: *retain, properties, ..Publish::new(&message.topic, &message.payload) };
            match self.session.publish(&publish) {
                Ok(_) => {}
                Err(Refused::Full) => {
                    self.full = true;
                    break;
                }
                Err(_) => dropped = dropped.saturating_add(1),
            }
            self.dequeue();
        }
        dropped
    }

    /// The connection has ended: no QoS 0 waits for the next one.
    pub(crate) fn went_offline(&mut self) {
        self.connection = None;
        self.queue.retain(|delivery| delivery.qos != QoS::AtMostOnce);
        self.bytes = self.queue.iter().map(|delivery| delivery.message.len()).sum();
        self.at_most_once = 0;
    }

    /// Forgets what waits.
    pub(crate) fn clear_queue(&mut self) {
        self.queue.clear();
        self.bytes = 0;
        self.at_most_once = 0;
    }

    /// Drops the oldest message of QoS 0.
    fn drop_oldest(&mut self) -> bool {
        let index = self.queue.iter().position(|delivery| delivery.qos == QoS::AtMostOnce);
        let dropped = index.and_then(|index| self.queue.remove(index));
        self.taken_out(dropped.as_ref());
        dropped.is_some()
    }

    fn dequeue(&mut self) {
        let delivery = self.queue.pop_front();
        self.taken_out(delivery.as_ref());
    }

    fn taken_out(&mut self, delivery: Option<&Delivery>) {
        let Some(delivery) = delivery else { return };
        self.bytes = self.bytes.saturating_sub(delivery.message.len());
        self.at_most_once = self.at_most_once.saturating_sub((delivery.qos == QoS::AtMostOnce).into());
    }
}
