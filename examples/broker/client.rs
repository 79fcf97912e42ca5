//! A session: the protocol's part, what waits in front of it, and what the broker knows of its client.

use core::mem::take;
use core::net::SocketAddr;
use std::collections::{BTreeSet, VecDeque};

use mio::Token;
use mqtt_session::{CommandError, Instant, PacketId, Properties, Publish, QoS, ReasonCode, Version};

use crate::message::{Delivery, Message};
use crate::queue::{Bounds, Queue, Queued};
use crate::retained::Walk;
use crate::seat::Seat;

pub(crate) struct Client {
    /// The client identifier.
    pub(crate) name: String,
    pub(crate) session: Seat,
    /// Its connection, if there is one, and where that came from.
    pub(crate) connection: Option<Token>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) version: Version,
    /// Why it is to be turned away.
    pub(crate) refusal: Option<ReasonCode>,
    pub(crate) filters: Filters,
    pub(crate) will: Option<Message>,
    /// When the will is published, after the connection has ended.
    pub(crate) will_due: Option<Instant>,
    /// How many messages of QoS 1 and 2 may be under way.
    pub(crate) window: u16,
    /// Whether to wait for `Event::Writable`.
    pub(crate) full: bool,
    pub(crate) queue: Queue,
    /// Subscriptions whose retained messages are still to be queued.
    pub(crate) walks: VecDeque<Walk>,
    /// The messages of shared subscriptions that the session has.
    given: Vec<(PacketId, Delivery)>,
}

/// The topic filters of the subscriptions of a session, and how large they are.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    names: BTreeSet<String>,
    levels: usize,
    bytes: usize,
}

/// What came of giving messages to a session.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// How many were given, or dropped because they have expired.
    pub(crate) count: usize,
    /// What cannot be sent to this client: it is too large for it. [MQTT-3.1.2-25]
    pub(crate) unsendable: Vec<Delivery>,
}

impl Client {
    /// Somebody who has just come.
    pub(crate) fn new(session: Seat, refusal: Option<ReasonCode>, bounds: Bounds) -> Self {
        Self {
            name: String::new(),
            session,
            connection: None,
            address: None,
            version: Version::V5,
            refusal,
            filters: Filters::default(),
            will: None,
            will_due: None,
            window: 0,
            full: false,
            queue: Queue::new(bounds),
            walks: VecDeque::new(),
            given: Vec::new(),
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

    /// Whether a message of so many bytes would go out soon, rather than wait.
    pub(crate) fn is_ready(&self, len: usize) -> bool {
        self.session.is_online() && self.queue.has_room(len)
    }

    /// Queues a message. For a session without a connection no QoS 0 is queued.
    pub(crate) fn enqueue(&mut self, delivery: Delivery) -> Queued {
        if delivery.qos == QoS::AtMostOnce && !self.session.is_online() {
            return Queued::Whole;
        }
        self.queue.push(delivery)
    }

    /// Gives the session as many messages as it takes now and as leave at once: `room` bytes of them may. So what is given is
    /// sent.
    pub(crate) fn feed(&mut self, room: usize, now: Instant) -> Fed {
        let mut fed = Fed::default();
        let mut left = room;
        while left != 0
            && !self.full
            && self.session.is_online()
            && let Some(delivery) = self.queue.front()
        {
            let Delivery { message, qos, retain, .. } = delivery;
            if !message.is_expired(now) {
                if *qos != QoS::AtMostOnce && self.session.pending() >= self.window {
                    break;
                }
                let properties = if self.version == Version::V5 { delivery.properties(now) } else { Vec::new() };
                let properties = Properties::of(&properties);
                let publish = Publish {
                    qos: *qos,
                    retain: *retain,
                    properties,
                    ..Publish::new(&message.topic, &message.payload)
                };
                left = left.saturating_sub(message.len());
                match self.session.publish(&publish) {
                    Ok(Some(packet_id)) if delivery.share.is_some() => {
                        self.given.extend(self.queue.pop().map(|delivery| (packet_id, delivery)));
                    }
                    Ok(_) => _ = self.queue.pop(),
                    Err(CommandError::Full) => {
                        self.full = true;
                        break;
                    }
                    Err(_) => fed.unsendable.extend(self.queue.pop()),
                }
            } else {
                self.queue.pop();
            }
            fed.count = fed.count.saturating_add(1);
        }
        fed
    }

    /// A message that the session was given has come to its end: what it was, if it came by a shared subscription.
    pub(crate) fn ended(&mut self, packet_id: PacketId) -> Option<Delivery> {
        let index = self.given.iter().position(|(id, _)| *id == packet_id)?;
        Some(self.given.swap_remove(index).1)
    }

    /// What the session was given, and nobody comes back for.
    pub(crate) fn take_given(&mut self) -> Vec<Delivery> {
        take(&mut self.given).into_iter().map(|(_, delivery)| delivery).collect()
    }

    /// The connection has ended.
    pub(crate) fn went_offline(&mut self) {
        self.connection = None;
        // What is published meanwhile may not be queued.
        self.walks.iter_mut().for_each(Walk::show_newer);
    }
}

impl Filters {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many levels and bytes there would be with one more.
    pub(crate) fn with(&self, filter: &str) -> (usize, usize) {
        (self.levels.saturating_add(levels(filter)), self.bytes.saturating_add(filter.len()))
    }

    pub(crate) fn contains(&self, filter: &str) -> bool {
        self.names.contains(filter)
    }

    pub(crate) fn insert(&mut self, filter: &str) {
        if self.names.insert(filter.to_owned()) {
            self.levels = self.levels.saturating_add(levels(filter));
            self.bytes = self.bytes.saturating_add(filter.len());
        }
    }

    pub(crate) fn remove(&mut self, filter: &str) {
        if self.names.remove(filter) {
            self.levels = self.levels.saturating_sub(levels(filter));
            self.bytes = self.bytes.saturating_sub(filter.len());
        }
    }

    pub(crate) fn take(&mut self) -> BTreeSet<String> {
        take(self).names
    }
}

/// How many levels a topic filter has.
pub(crate) fn levels(filter: &str) -> usize {
    filter.split('/').count()
}
