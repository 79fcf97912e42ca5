//! The messages that wait in front of a session.

use core::mem::replace;
use std::collections::VecDeque;

use mqtt_session::QoS;

use crate::message::Delivery;

/// What waits for one session, bounded in number and bytes.
#[derive(Debug)]
pub(crate) struct Queue {
    deliveries: VecDeque<Delivery>,
    bounds: Bounds,
    /// The bytes in the queue, and how many of its messages have QoS 0.
    bytes: usize,
    at_most_once: usize,
}

/// How much may wait. At either bound the oldest message of QoS 0 is dropped; if there is none, the new one is. Should it be
/// dropped for everybody, its publisher is told by 0x97, if it speaks 5.0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What became of a message for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Whole,
    /// So many of QoS 0 had to go for it.
    InPlaceOf(u64),
    /// There is no room for it.
    No,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { deliveries: VecDeque::new(), bounds, bytes: 0, at_most_once: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of so many bytes would be queued without another one being dropped for it.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.deliveries.len() < self.bounds.messages && self.bytes.saturating_add(len) <= self.bounds.bytes
    }

    /// Queues a message, and drops those of QoS 0 that are in its way.
    pub(crate) fn push(&mut self, delivery: Delivery) -> Queued {
        let len = delivery.message.len();
        let mut dropped = 0_u64;
        while !self.has_room(len) {
            if self.at_most_once == 0 || !self.drop_oldest() {
                return Queued::No;
            }
            dropped = dropped.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(len);
        self.at_most_once = self.at_most_once.saturating_add((delivery.qos == QoS::AtMostOnce).into());
        self.deliveries.push_back(delivery);
        if dropped == 0 { Queued::Whole } else { Queued::InPlaceOf(dropped) }
    }

    pub(crate) fn front(&self) -> Option<&Delivery> {
        self.deliveries.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front();
        self.taken_out(delivery.as_ref());
        // What a crowd of messages took is not kept for the next one.
        if self.deliveries.is_empty() && self.deliveries.capacity() > SPARE {
            self.deliveries = VecDeque::new();
        }
        delivery
    }

    /// Takes out everything, in order.
    pub(crate) fn take_all(&mut self) -> VecDeque<Delivery> {
        replace(self, Self::new(self.bounds)).deliveries
    }

    /// Drops the oldest message of QoS 0.
    fn drop_oldest(&mut self) -> bool {
        let index = self.deliveries.iter().position(|delivery| delivery.qos == QoS::AtMostOnce);
        let dropped = index.and_then(|index| self.deliveries.remove(index));
        self.taken_out(dropped.as_ref());
        dropped.is_some()
    }

    fn taken_out(&mut self, delivery: Option<&Delivery>) {
        let Some(delivery) = delivery else { return };
        self.bytes = self.bytes.saturating_sub(delivery.message.len());
        self.at_most_once = self.at_most_once.saturating_sub((delivery.qos == QoS::AtMostOnce).into());
    }
}

/// For how many messages an empty queue keeps memory.
const SPARE: usize = 256;
