//! How messages get to sessions: into their queues, from there to the session, and from one who shares a subscription to
//! another.

use std::collections::HashMap;
use std::rc::Rc;

use mqtt_session::{Instant, Outcome, PacketId, QoS, ReasonCode};

use crate::broker::Broker;
use crate::client::{Client, Fed};
use crate::limits::{LOOKS, WALK_BYTES, WALK_QUEUE};
use crate::message::{Delivery, Key, Message};
use crate::queue::Queued;
use crate::retained::Found;
use crate::topics::Receiver;

/// Whether the publisher of a message is told what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By the reason code of an acknowledgement.
    Code,
    /// 3.1.1 has but one answer, QoS 0 has none, and of a will nobody is left to be told.
    None,
}

impl Broker {
    /// Passes a message on, and tells to how many; `Err`: nobody has got it.
    ///
    /// Where its publisher is told, one that is to be retained and cannot be reaches nobody; otherwise it reaches all that it
    /// can.
    pub(crate) fn publish(&mut self, message: Message, answer: Answer, now: Instant) -> Result<usize, ReasonCode> {
        // What begins with `$` is the broker's own. (4.7.2)
        if let Some(key) = message.publisher
            && message.topic.starts_with('$')
        {
            self.log.line(|| format!("{} may not publish to {:?}", title(&self.clients, key), message.topic));
            return Err(ReasonCode::NotAuthorized);
        }
        let message = Rc::new(message.published(now));
        let has_place = !message.retain || self.retained.has_room(&message, now);
        if !has_place && answer == Answer::Code {
            return Err(ReasonCode::QuotaExceeded);
        }
        let (clients, len) = (&self.clients, message.len());
        let is_ready = |key| clients.get(&key).is_some_and(|client: &Client| client.is_ready(len));
        let receivers = self.topics.receivers(&message.topic, message.publisher, is_ready);
        let (mut reached, mut missed) = (0_usize, 0_usize);
        for receiver in receivers {
            let key = receiver.key;
            if self.deliver(key, Delivery::new(&message, receiver), now) {
                reached = reached.saturating_add(1);
            } else {
                missed = missed.saturating_add(1);
            }
        }
        if reached == 0 && missed != 0 && answer == Answer::Code {
            return Err(ReasonCode::QuotaExceeded);
        }
        if message.retain {
            self.retain(&message, has_place, now);
        }
        Ok(reached)
    }

    fn retain(&mut self, message: &Rc<Message>, has_place: bool, now: Instant) {
        if has_place {
            self.retained.set(message);
            return;
        }
        // The one before is out of date.
        self.retained.remove(&message.topic);
        self.counts.unretained = self.counts.unretained.saturating_add(1);
        if let Some(key) = message.publisher {
            self.losses.add(1, key, "there is no room to retain what it published (--retained, --retained-bytes)");
        }
        self.tell_losses(now);
    }

    /// Queues a message for a session, or for another one that shares the subscription, if only that has room. `false`: there
    /// was no room.
    fn deliver(&mut self, key: Key, delivery: Delivery, now: Instant) -> bool {
        let len = delivery.message.len();
        let has_room = self.clients.get(&key).is_some_and(|client| client.queue.has_room(len));
        let other = if has_room { None } else { self.another(key, &delivery) };
        match other {
            Some(other) => self.enqueue(other.key, delivery.passed_on(key, other), now),
            None => self.enqueue(key, delivery, now),
        }
    }

    fn enqueue(&mut self, key: Key, delivery: Delivery, now: Instant) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let queued = client.enqueue(delivery);
        let lost = match queued {
            Queued::Whole => 0,
            Queued::InPlaceOf(others) => others,
            Queued::No => 1,
        };
        if let Some(connection) = client.connection {
            self.ready.push(connection);
        }
        if lost != 0 {
            self.lost(key, lost, "its queue is full (--queue, --queue-bytes)", now);
        }
        queued != Queued::No
    }

    /// Gives a session what there is for it, as far as `room` bytes of it can be written. `false`: there was nothing to do.
    pub(crate) fn feed(&mut self, key: Key, room: usize, now: Instant) -> bool {
        let has_walked = self.walk(key, now);
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let Fed { count, unsendable } = client.feed(room, now);
        for delivery in unsendable {
            self.pass_on(key, delivery, "one is too large for its client", now);
        }
        has_walked || count != 0
    }

    /// Queues retained messages for new subscriptions of a session, as long as little else waits for it.
    fn walk(&mut self, key: Key, now: Instant) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let (mut looks, mut found, mut too_large) = (LOOKS, 0_usize, 0_u64);
        while let Some(walk) = client.walks.front_mut()
            && client.session.is_online()
            && client.queue.len() < WALK_QUEUE
            && client.queue.bytes() < WALK_BYTES
        {
            let queue = &client.queue;
            // Where not even an empty queue has room, there never will be.
            let fits = |len| queue.has_room(len) || queue.len() == 0;
            match self.retained.go_on(walk, &mut looks, now, fits) {
                Found::Message(delivery) => {
                    let is_too_large = client.queue.push(delivery) == Queued::No;
                    too_large = too_large.saturating_add(is_too_large.into());
                }
                Found::Nothing => break,
                Found::End => _ = client.walks.pop_front(),
            }
            found = found.saturating_add(1);
        }
        if too_large != 0 {
            self.lost(key, too_large, "its queue is too small (--queue-bytes)", now);
        }
        found != 0 || looks == 0
    }

    /// A message that a session was given has come to its end.
    pub(crate) fn ended(&mut self, key: Key, packet_id: PacketId, outcome: Outcome, now: Instant) {
        let shared = self.clients.get_mut(&key).and_then(|client| client.ended(packet_id));
        match (outcome, shared) {
            // It was never sent, or its session is over before it was acknowledged. (5.0: 4.8.2)
            (Outcome::Unsendable, Some(delivery)) => {
                self.pass_on(key, delivery, "one is too large for its client", now)
            }
            (Outcome::Lost, Some(delivery)) => self.inherit(key, delivery, now),
            (Outcome::Unsendable, None) => self.lost(key, 1, "one is too large for its client", now),
            (Outcome::Lost, None) => self.lost(key, 1, "one was under way when its session ended", now),
            // Nobody else gets it. [MQTT-4.8.2-6]
            (Outcome::Rejected(_), _) => self.lost(key, 1, "one was refused by its client", now),
            _ => {}
        }
    }

    /// What a session was given whose end has come goes to another one, but for QoS 2: its client may have it. [MQTT-4.8.2-5]
    fn inherit(&mut self, key: Key, delivery: Delivery, now: Instant) {
        const WHY: &str = "one was under way when its session ended";
        if delivery.qos == QoS::ExactlyOnce {
            self.lost(key, 1, WHY, now);
        } else {
            self.pass_on(key, delivery, WHY, now);
        }
    }

    /// What a session cannot deliver goes to another one that shares the subscription, or is lost.
    fn pass_on(&mut self, key: Key, delivery: Delivery, why: &'static str, now: Instant) {
        match self.another(key, &delivery) {
            Some(other) => _ = self.enqueue(other.key, delivery.passed_on(key, other), now),
            None => self.lost(key, 1, why, now),
        }
    }

    /// A session has no connection any more: what others could have now does not wait for it, and neither does QoS 0.
    pub(crate) fn give_away(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        for delivery in client.queue.take_all() {
            if let Some(other) = self.somebody_ready(key, &delivery) {
                self.enqueue(other.key, delivery.passed_on(key, other), now);
            } else if let Some(client) = self.clients.get_mut(&key) {
                client.enqueue(delivery);
            }
        }
    }

    /// A session is over: what waits for it goes to others, as far as they share the subscription.
    pub(crate) fn give_up_queue(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.walks.clear();
        for delivery in client.queue.take_all() {
            if delivery.share.is_some() {
                self.pass_on(key, delivery, "its session ended", now);
            }
        }
    }

    /// The session itself is no more: what it was given goes to others.
    pub(crate) fn give_up_given(&mut self, key: Key, now: Instant) {
        let given = self.clients.get_mut(&key).map(Client::take_given);
        for delivery in given.unwrap_or_default() {
            self.inherit(key, delivery, now);
        }
    }

    /// Somebody else for a message of a shared subscription: one who gets it soon, or one for whom it can wait.
    fn another(&self, key: Key, delivery: &Delivery) -> Option<Receiver<Key>> {
        self.somebody_ready(key, delivery).or_else(|| {
            let len = delivery.message.len();
            self.somebody(key, delivery, |client| client.queue.has_room(len))
        })
    }

    fn somebody_ready(&self, key: Key, delivery: &Delivery) -> Option<Receiver<Key>> {
        let len = delivery.message.len();
        self.somebody(key, delivery, |client| client.is_ready(len))
    }

    fn somebody(&self, but: Key, delivery: &Delivery, is_fit: impl Fn(&Client) -> bool) -> Option<Receiver<Key>> {
        let share = delivery.share.as_ref()?;
        let is_other = |key| key != but && !share.passed.contains(&key);
        self.topics.another(&share.filter, |key| is_other(key) && self.clients.get(&key).is_some_and(&is_fit))
    }

    /// Counts messages that do not reach a session, and says so.
    fn lost(&mut self, key: Key, count: u64, why: &'static str, now: Instant) {
        self.counts.dropped = self.counts.dropped.saturating_add(count);
        self.losses.add(count, key, why);
        self.tell_losses(now);
    }

    pub(crate) fn tell_losses(&mut self, now: Instant) {
        if let Some(line) = self.losses.line(now, |key| title(&self.clients, key)) {
            self.log.trouble(&line);
        }
    }
}

/// What the log calls a session, also one that is no more.
fn title(clients: &HashMap<Key, Client>, key: Key) -> String {
    clients.get(&key).map_or_else(|| "somebody".to_owned(), Client::title)
}
