//! The retained messages. (3.3.1.3)

use core::ops::Bound;
use std::collections::BTreeMap;
use std::rc::Rc;

use mqtt_session::{Instant, matches};

use crate::limits::{RETAINED, RETAINED_BYTES};
use crate::message::Message;

/// The last message of each topic that was to be retained.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    messages: BTreeMap<String, Rc<Message>>,
    /// The lengths of all of them.
    bytes: usize,
}

impl Retained {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether a message can be retained. One that takes another's place always can, if it is not longer, and so can the few
    /// of the broker's own.
    pub(crate) fn has_room(&mut self, message: &Message, now: Instant) -> bool {
        if message.payload.is_empty() || message.topic.starts_with('$') || self.fits(message) {
            return true;
        }
        self.drop_expired(now);
        self.fits(message)
    }

    /// Retains a message in place of the one before; an empty one only takes that away. [MQTT-3.3.1-5], [MQTT-3.3.1-6],
    /// [MQTT-3.3.1-7] in 5.0, [MQTT-3.3.1-10], [MQTT-3.3.1-11] in 3.1.1
    pub(crate) fn set(&mut self, message: &Rc<Message>) {
        if let Some(old) = self.messages.remove(&message.topic) {
            self.bytes = self.bytes.saturating_sub(old.len());
        }
        if !message.payload.is_empty() {
            self.bytes = self.bytes.saturating_add(message.len());
            self.messages.insert(message.topic.clone(), Rc::clone(message));
        }
    }

    /// The messages that a new subscription is to get.
    pub(crate) fn matching(&self, filter: &str, now: Instant) -> Vec<Rc<Message>> {
        // Only topics that begin as the filter does come into question.
        let literal = filter.split(['+', '#']).next().unwrap_or_default();
        let front = if literal.len() == filter.len() { filter } else { literal.trim_end_matches('/') };
        let from = (Bound::Included(front), Bound::Unbounded);
        let candidates = self.messages.range::<str, _>(from).take_while(|(topic, _)| topic.starts_with(front));
        let found = candidates.filter(|(topic, message)| matches(filter, topic) && !message.is_expired(now));
        found.map(|(_, message)| Rc::clone(message)).collect()
    }

    fn fits(&self, message: &Message) -> bool {
        let old = self.messages.get(&message.topic);
        let bytes = self.bytes.saturating_sub(old.map_or(0, |old| old.len())).saturating_add(message.len());
        (old.is_some() || self.messages.len() < RETAINED) && bytes <= RETAINED_BYTES
    }

    /// [MQTT-3.3.2-5]
    fn drop_expired(&mut self, now: Instant) {
        self.messages.retain(|_, message| !message.is_expired(now));
        self.bytes = self.messages.values().map(|message| message.len()).sum();
    }
}
