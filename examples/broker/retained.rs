//! The retained messages, and how new subscriptions get them. (3.3.1.3)

use core::ops::Bound;
use std::collections::BTreeMap;
use std::rc::Rc;

use mqtt_session::{Instant, QoS, matches};

use crate::message::{Delivery, Message};
use crate::queue::Bounds;

/// The last message of each topic that was to be retained.
#[derive(Debug)]
pub(crate) struct Retained {
    messages: BTreeMap<String, Kept>,
    /// How many there may be, and how many bytes they may have. At the bound a message to be retained under another topic is
    /// refused with 0x97; where nobody can be told, it is delivered, but not retained.
    bounds: Bounds,
    /// The lengths of all of them.
    bytes: usize,
    /// The number of the last one.
    last: u64,
}

#[derive(Debug)]
struct Kept {
    message: Rc<Message>,
    /// They are counted, so that an older one can be told from a newer one.
    number: u64,
}

/// The way of a subscription through the retained messages, of which it gets some whenever there is room in the queue of its
/// session: all at once would be more than a queue holds, and all that is retained many times over in memory.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) filter: String,
    qos: QoS,
    identifier: Option<u32>,
    /// The topic that was looked at last.
    after: Option<String>,
    /// The last message that was there when it began. Newer ones came by the subscription itself.
    newest: u64,
}

/// What a walk came to.
pub(crate) enum Found {
    Message(Delivery),
    /// Not yet anything.
    Nothing,
    /// There is nothing more.
    End,
}

impl Retained {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { messages: BTreeMap::new(), bounds, bytes: 0, last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message can be retained. One that takes another's place always can, if it is not longer, and so can the few
    /// of the broker's own.
    pub(crate) fn has_room(&mut self, message: &Message, now: Instant) -> bool {
        if message.payload.is_empty() || message.publisher.is_none() || self.fits(message) {
            return true;
        }
        self.drop_expired(now);
        self.fits(message)
    }

    /// Retains a message in place of the one before; an empty one only takes that away. [MQTT-3.3.1-5], [MQTT-3.3.1-6],
    /// [MQTT-3.3.1-7] in 5.0, [MQTT-3.3.1-10], [MQTT-3.3.1-11] in 3.1.1
    pub(crate) fn set(&mut self, message: &Rc<Message>) {
        self.remove(&message.topic);
        if !message.payload.is_empty() {
            self.last = self.last.saturating_add(1);
            self.bytes = self.bytes.saturating_add(message.len());
            self.messages.insert(message.topic.clone(), Kept { message: Rc::clone(message), number: self.last });
        }
    }

    /// Forgets the message of a topic: it is out of date.
    pub(crate) fn remove(&mut self, topic: &str) {
        if let Some(old) = self.messages.remove(topic) {
            self.bytes = self.bytes.saturating_sub(old.message.len());
        }
    }

    /// The way of a new subscription.
    pub(crate) fn walk(&self, filter: &str, qos: QoS, identifier: Option<u32>) -> Walk {
        Walk { filter: filter.to_owned(), qos, identifier, after: None, newest: self.last }
    }

    /// Goes on until there is a message that `fits`, and `looks` are used up at most. One that does not fit stays for the next time.
    pub(crate) fn go_on(
        &self,
        walk: &mut Walk,
        looks: &mut usize,
        now: Instant,
        fits: impl Fn(usize) -> bool,
    ) -> Found {
        // Only topics that begin as the filter does come into question.
        let literal = walk.filter.split(['+', '#']).next().unwrap_or_default();
        let is_literal = literal.len() == walk.filter.len();
        let front = if is_literal { literal } else { literal.trim_end_matches('/') };
        let from = walk.after.as_deref().map_or(Bound::Included(front), Bound::Excluded);
        let mut last = None;
        let mut found = Found::End;
        for (topic, Kept { message, number }) in self.messages.range::<str, _>((from, Bound::Unbounded)) {
            if !topic.starts_with(front) || (is_literal && topic.len() != front.len()) {
                break;
            }
            if *looks == 0 {
                found = Found::Nothing;
                break;
            }
            *looks = looks.saturating_sub(1);
            let is_due = *number <= walk.newest && !message.is_expired(now) && matches(&walk.filter, topic);
            if is_due && !fits(message.len()) {
                found = Found::Nothing;
                break;
            }
            last = Some(topic);
            if is_due {
                found = Found::Message(Delivery::of_retained(Rc::clone(message), walk.qos, walk.identifier));
                break;
            }
        }
        if let Some(topic) = last {
            walk.after = Some(topic.clone());
        }
        found
    }

    fn fits(&self, message: &Message) -> bool {
        let old = self.messages.get(&message.topic);
        let bytes = self.bytes.saturating_sub(old.map_or(0, |old| old.message.len())).saturating_add(message.len());
        (old.is_some() || self.messages.len() < self.bounds.messages) && bytes <= self.bounds.bytes
    }

    /// [MQTT-3.3.2-5]
    fn drop_expired(&mut self, now: Instant) {
        self.messages.retain(|_, kept| !kept.message.is_expired(now));
        self.bytes = self.messages.values().map(|kept| kept.message.len()).sum();
    }
}

impl Walk {
    /// From now on newer messages do not come by the subscription itself.
    pub(crate) fn show_newer(&mut self) {
        self.newest = u64::MAX;
    }
}
