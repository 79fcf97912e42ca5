//! What a session sends: publishes, requests, and what their acknowledgements do.

use crate::error::{Cause, Refused};
use crate::event::{Event, Outcome, StrayPacket};
use crate::flow::identifiers::{self, SlotId, slot, slot_mut};
use crate::flow::releases::Releases;
use crate::flow::sender::{Counted, Level, Reaction, Sent};
use crate::outbox::{Label, Lifetime, Order, Place};
use crate::timer::Timer;
use crate::wire::{
    self, AckType, Acknowledgement, Delivery, Layout, List, Measured, PacketId, Properties, PublishFlags, QoS,
    ReasonCode, Role, Writer, shared_subscription,
};

use super::command::{Publish, Subscribe, Unsubscribe};
use super::engine::{ANSWER, Engine, Losing, Phase, Starved, second_of};

/// Of a request, says in the link of its slot that it was shown; the rest is the number of its filters.
const SHOWN: u32 = 1 << 31;

/// A PUBLISH whose payload is put in later.
struct Head<'a> {
    publish: wire::Publish<'a>,
    payload: usize,
}

impl Layout for Head<'_> {
    fn first_byte(&self) -> u8 {
        self.publish.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.publish.body(to);
        to.skip(self.payload);
    }
}

impl Engine<'_> {
    pub(crate) fn publish_with(
        &mut self,
        publish: &Publish<'_>,
        payload: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Option<PacketId>, Refused> {
        self.check_publish(publish)?;
        let level = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Level::AtLeastOnce),
            QoS::ExactlyOnce => Some(Level::ExactlyOnce),
        };
        let mut head = Head {
            publish: wire::Publish {
                delivery: delivery(level, PacketId::MIN),
                retain: publish.retain,
                topic: publish.topic,
                properties: publish.properties,
                payload: &[],
            },
            payload,
        };
        let len = self.check_room(&head, level.is_some())?;
        let lifetime = publish.properties.message_expiry_interval().map_or(Lifetime::ENDLESS, Lifetime::of);
        let slot = match level {
            None => None,
            Some(level) => Some(self.core.identifiers.take(self.slots, Sent::Queued(level)).ok_or(Refused::Full)?),
        };
        let packet_id = slot.map(|(_, packet_id)| packet_id);
        if let Some(packet_id) = packet_id {
            head.publish.delivery = delivery(level, packet_id);
        }
        let order = if level.is_some() { Order::Acknowledged } else { Order::Immediate };
        let label = Label { slot: slot.map_or(0, |(id, _)| id.get()), lifetime };
        let place = self.enter(&head, order, label, len)?;
        if let Some(slot) = slot.and_then(|(id, _)| slot_mut(self.slots, id)) {
            slot.link = place.get();
        }
        let packet = self.store.packet_mut(place, len);
        let start = packet.len().saturating_sub(payload);
        fill(packet.get_mut(start..).unwrap_or_default());
        Ok(packet_id)
    }

    pub(crate) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, Refused> {
        self.check_online()?;
        let limits = self.core.limits;
        for subscription in subscribe.subscriptions {
            if !limits.wildcards && subscription.filter.contains(['+', '#']) {
                return Err(Refused::WildcardUnsupported);
            }
            if !limits.shared && shared_subscription(subscription.filter).is_some() {
                return Err(Refused::SharedUnsupported);
            }
        }
        if !limits.subscription_identifiers && subscribe.properties.subscription_identifier().is_some() {
            return Err(Refused::SubscriptionIdentifierUnsupported);
        }
        let mut packet = wire::Subscribe {
            packet_id: PacketId::MIN,
            properties: subscribe.properties,
            subscriptions: List::of(subscribe.subscriptions),
        };
        let len = self.check_room(&packet, true)?;
        let (id, packet_id) = self.core.identifiers.take(self.slots, Sent::Subscribing).ok_or(Refused::Full)?;
        packet.packet_id = packet_id;
        self.request(&packet, id, subscribe.subscriptions.len(), len)?;
        Ok(packet_id)
    }

    pub(crate) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, Refused> {
        self.check_online()?;
        let mut packet = wire::Unsubscribe {
            packet_id: PacketId::MIN,
            properties: unsubscribe.properties,
            filters: List::of(unsubscribe.filters),
        };
        let len = self.check_room(&packet, true)?;
        let (id, packet_id) = self.core.identifiers.take(self.slots, Sent::Unsubscribing).ok_or(Refused::Full)?;
        packet.packet_id = packet_id;
        self.request(&packet, id, unsubscribe.filters.len(), len)?;
        Ok(packet_id)
    }

    fn request(&mut self, packet: &dyn Layout, id: SlotId, filters: usize, len: usize) -> Result<(), Refused> {
        self.enter(packet, Order::Immediate, Label { slot: id.get(), lifetime: Lifetime::ENDLESS }, len)?;
        if let Some(slot) = slot_mut(self.slots, id) {
            slot.link = u32::try_from(filters).unwrap_or(u32::MAX) & !SHOWN;
        }
        Ok(())
    }

    /// A publish that was never shown is taken back; its event does not come.
    pub(crate) fn cancel(&mut self, packet_id: PacketId) -> bool {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return false };
        let queued = slot(self.slots, id).is_some_and(|slot| matches!(slot.sent, Sent::Queued(_)));
        if queued {
            self.forget(id);
        }
        queued
    }

    /// Whether a packet of `len` bytes would be accepted now, as far as the store goes.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.store.fits(len)
    }

    fn check_publish(&self, publish: &Publish<'_>) -> Result<(), Refused> {
        match self.core.phase {
            Phase::Leaving | Phase::Parting | Phase::Failing => return Err(Refused::Closing),
            _ if self.core.level == 0 => return Err(Refused::Offline),
            _ => {}
        }
        if publish.properties.topic_alias().is_some() {
            return Err(Refused::Reserved);
        }
        if self.core.phase == Phase::Online {
            if publish.qos > self.core.limits.maximum_qos {
                return Err(Refused::QosUnsupported);
            }
            if publish.retain && !self.core.limits.retain {
                return Err(Refused::RetainUnsupported);
            }
        }
        Ok(())
    }

    fn check_online(&self) -> Result<(), Refused> {
        match self.core.phase {
            Phase::Online => Ok(()),
            Phase::Leaving | Phase::Parting | Phase::Failing => Err(Refused::Closing),
            _ => Err(Refused::Offline),
        }
    }

    /// The length of a packet for which there is room, in the store and, if it takes a slot, among the slots.
    fn check_room(&mut self, packet: &dyn Layout, slot: bool) -> Result<usize, Refused> {
        let len = Measured::new(packet, self.version(), Role::Server)?.len();
        let stored = len.saturating_add(crate::outbox::OVERHEAD);
        if stored > self.store.bytes.len() || (slot && self.slots.is_empty()) || self.is_oversize(len) {
            return Err(Refused::TooLarge);
        }
        let slots_left = usize::from(self.core.identifiers.taken()) < self.slots.len();
        if !self.store.fits(len) || (slot && !slots_left) {
            self.core.starved = Starved::Yes;
            return Err(Refused::Full);
        }
        Ok(len)
    }

    /// Puts a packet into the store; there is room for it.
    fn enter(&mut self, packet: &dyn Layout, order: Order, label: Label, len: usize) -> Result<Place, Refused> {
        let measured = Measured::new(packet, self.version(), Role::Server)?;
        let slots = &mut *self.slots;
        let moved = |id, place: Place| {
            if let Some(slot) = SlotId::new(id).and_then(|id| slot_mut(slots, id))
                && matches!(slot.sent, Sent::Queued(_) | Sent::Published(_) | Sent::Resend(_))
            {
                slot.link = place.get();
            }
        };
        let place = self.store.accept(order, label, len, moved).ok_or(Refused::Full)?;
        measured.encode(self.store.packet_mut(place, len))?;
        if label.lifetime != Lifetime::ENDLESS || self.core.unstamped != 0 {
            self.core.unstamped = self.core.unstamped.saturating_add(1);
        }
        Ok(place)
    }

    /// The record that is to be shown next: the older of the two that may be. None before CONNACK. [MQTT-3.1.2-30]
    pub(crate) fn eligible(&self) -> Option<(Order, Place)> {
        if !matches!(self.core.phase, Phase::Online | Phase::Leaving) {
            return None;
        }
        let immediate = self.store.outbox.next(Order::Immediate);
        let acknowledged = self.store.outbox.next(Order::Acknowledged).filter(|_| {
            self.core.quota != 0 && self.core.next_release.is_none() && self.core.losing == Losing::Nothing
        });
        match (acknowledged, immediate) {
            (Some(a), Some(b)) if self.store.is_older(b, a) => Some((Order::Immediate, b)),
            (Some(a), _) => Some((Order::Acknowledged, a)),
            (None, Some(b)) => Some((Order::Immediate, b)),
            (None, None) => None,
        }
    }

    /// Takes out what need not or must not be sent, as far as it is next. [MQTT-3.3.2-5], [MQTT-3.2.2-11]
    pub(crate) fn vet(&mut self) -> Option<Event<'static>> {
        if self.core.losing != Losing::Nothing {
            return None;
        }
        while let Some(place) = self.store.outbox.next(Order::Immediate) {
            let is_publish = self.store.label(place).slot == 0;
            if !is_publish || !(self.is_expired(place) || self.is_unsendable(place)) {
                break;
            }
            self.store.remove(Order::Immediate, place);
            self.relieve();
        }
        let place = self.store.outbox.next(Order::Acknowledged)?;
        let id = SlotId::new(self.store.label(place).slot)?;
        let queued = matches!(slot(self.slots, id)?.sent, Sent::Queued(_));
        if queued && self.is_expired(place) {
            self.finish(id, Outcome::Expired, Properties::EMPTY)
        } else if self.is_unsendable(place) {
            self.finish(id, Outcome::Unsendable, Properties::EMPTY)
        } else {
            None
        }
    }

    fn is_expired(&self, place: Place) -> bool {
        self.store.label(place).lifetime.is_over(second_of(self.core.now.as_millis() / 1000))
    }

    /// Whether the limits of this connection forbid a stored PUBLISH. [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-15]
    fn is_unsendable(&self, place: Place) -> bool {
        if !matches!(self.core.phase, Phase::Online | Phase::Leaving) {
            return false;
        }
        let packet = self.store.packet(place);
        let flags = packet.first().and_then(|&first| PublishFlags::of_first_byte(first).ok());
        let Some(PublishFlags { qos, retain, .. }) = flags else { return false };
        qos > self.core.limits.maximum_qos || (retain && !self.core.limits.retain) || self.is_oversize(packet.len())
    }

    /// Notes that a packet is shown, which counts as sent. (5.0: 4.9)
    pub(crate) fn show(&mut self, order: Order, place: Place) {
        if order == Order::Acknowledged {
            let id = SlotId::new(self.store.label(place).slot);
            if let Some(slot) = id.and_then(|id| slot_mut(self.slots, id)) {
                match slot.sent {
                    Sent::Queued(level) => slot.sent = Sent::Published(level),
                    Sent::Resend(level) => {
                        slot.sent = Sent::Published(level);
                        self.store.set_dup(place);
                    }
                    _ => {}
                }
            }
            self.core.quota = self.core.quota.saturating_sub(1);
        }
        if order == Order::Immediate
            && let Some(slot) = SlotId::new(self.store.label(place).slot).and_then(|id| slot_mut(self.slots, id))
        {
            slot.link |= SHOWN;
        }
        self.store.show(order, place);
    }

    /// PUBRELs of earlier connections, in the order of their PUBRECs, before any PUBLISH. [MQTT-4.4.0-1]
    pub(crate) fn release_again(&mut self) {
        if self.core.losing != Losing::Nothing {
            return;
        }
        while let Some(id) = self.core.next_release {
            if !self.queue.has_room(ANSWER) {
                return;
            }
            let Some(packet_id) = identifiers::packet_id(self.slots, id) else { return };
            if !self.answer(AckType::Pubrel, packet_id, ReasonCode::Success) {
                return;
            }
            if let Some(slot) = slot_mut(self.slots, id)
                && slot.sent == Sent::ResendRelease
            {
                slot.sent = Sent::Released(Counted::Before);
            }
            self.core.next_release = Releases::after(self.slots, id);
        }
    }

    /// PUBACK, PUBREC or PUBCOMP.
    pub(crate) fn acknowledged<'i>(&mut self, packet: &Acknowledgement<'i>) -> Result<Option<Event<'i>>, Cause> {
        let Acknowledgement { kind, packet_id, reason_code, properties } = *packet;
        let found = identifiers::find(self.slots, packet_id);
        let sent = found.and_then(|id| slot(self.slots, id)).map_or(Sent::Free, |slot| slot.sent);
        let reaction = sent.acknowledged(kind, reason_code);
        if let Reaction::Stray { release } = reaction {
            if release {
                self.answer(AckType::Pubrel, packet_id, ReasonCode::PacketIdentifierNotFound);
            }
            return Ok(Some(Event::Stray { packet: StrayPacket::Acknowledgement(kind), packet_id }));
        }
        self.core.deadline = Timer::OFF;
        let id = found.ok_or(Cause::AcknowledgementContradicts)?;
        match reaction {
            Reaction::Accepted(counted) => {
                self.count(counted);
                Ok(self.finish(id, Outcome::Acknowledged(reason_code), properties))
            }
            Reaction::Rejected(counted) => {
                self.count(counted);
                Ok(self.finish(id, Outcome::Rejected(reason_code), properties))
            }
            Reaction::Release(counted) => {
                self.release(id, counted);
                Ok(None)
            }
            Reaction::ReleaseAgain => {
                // As long as PUBRELs are still to be sent again, each goes out in its turn.
                if self.core.next_release.is_none() {
                    self.answer(AckType::Pubrel, packet_id, ReasonCode::Success);
                }
                Ok(None)
            }
            Reaction::Contradiction | Reaction::Stray { .. } => Err(Cause::AcknowledgementContradicts),
        }
    }

    /// The message is dropped and PUBREL goes out, behind those that are still to be sent again. [MQTT-4.3.3-4]
    fn release(&mut self, id: SlotId, counted: Counted) {
        self.unstore(id);
        self.core.releases.push(self.slots, id);
        if let Some(slot) = slot_mut(self.slots, id) {
            slot.sent = Sent::Released(counted);
        }
        if self.core.next_release.is_some() {
            return;
        }
        if let Some(packet_id) = identifiers::packet_id(self.slots, id) {
            self.answer(AckType::Pubrel, packet_id, ReasonCode::Success);
        }
    }

    /// A PUBLISH of this connection is acknowledged: its quota is free. (5.0: 4.9)
    fn count(&mut self, counted: Counted) {
        if counted == Counted::Here {
            self.core.quota = self.core.quota.saturating_add(1).min(self.core.limits.receive_maximum);
        }
    }

    /// The end of a publish.
    pub(crate) fn finish<'i>(&mut self, id: SlotId, outcome: Outcome, properties: Properties<'i>) -> Option<Event<'i>> {
        let packet_id = identifiers::packet_id(self.slots, id)?;
        self.forget(id);
        Some(Event::Published { packet_id, outcome, properties })
    }

    /// Takes an exchange out of whatever it is in.
    fn forget(&mut self, id: SlotId) {
        match slot(self.slots, id).map(|slot| slot.sent) {
            Some(Sent::Queued(_) | Sent::Published(_) | Sent::Resend(_)) => self.unstore(id),
            Some(Sent::Released(_) | Sent::ResendRelease) => {
                if self.core.next_release == Some(id) {
                    self.core.next_release = Releases::after(self.slots, id);
                }
                self.core.releases.remove(self.slots, id);
            }
            _ => {}
        }
        self.free(id);
    }

    fn unstore(&mut self, id: SlotId) {
        if let Some(place) = slot(self.slots, id).and_then(|slot| Place::new(slot.link)) {
            self.store.remove(Order::Acknowledged, place);
            self.relieve();
        }
    }

    pub(crate) fn free(&mut self, id: SlotId) {
        self.core.identifiers.release(self.slots, id);
        self.relieve();
    }

    /// SUBACK or UNSUBACK: frees its request if it answers one.
    pub(crate) fn answered(&mut self, request: Sent, packet_id: PacketId, codes: Option<usize>) -> Result<bool, Cause> {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return Ok(false) };
        let Some(slot) = slot(self.slots, id) else { return Ok(false) };
        match slot.sent {
            // What was never shown cannot have been answered.
            Sent::Subscribing | Sent::Unsubscribing if slot.link & SHOWN == 0 => Ok(false),
            sent if sent == request => {
                if codes.is_some_and(|codes| u32::try_from(codes) != Ok(slot.link & !SHOWN)) {
                    return Err(Cause::AnswerMismatched);
                }
                self.free(id);
                Ok(true)
            }
            Sent::Subscribing | Sent::Unsubscribing => Err(Cause::AnswerMismatched),
            _ => Ok(false),
        }
    }
}

const fn delivery(level: Option<Level>, packet_id: PacketId) -> Delivery {
    match level {
        None => Delivery::AtMostOnce,
        Some(Level::AtLeastOnce) => Delivery::AtLeastOnce { packet_id, dup: false },
        Some(Level::ExactlyOnce) => Delivery::ExactlyOnce { packet_id, dup: false },
    }
}
