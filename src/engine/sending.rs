//! What a session sends: publishes, and what their acknowledgements do.

use core::num::NonZeroU16;

use crate::bytes;
use crate::command::Publish;
use crate::error::{CloseReason, CommandError, SizeLimit};
use crate::event::{CommonEvent, Outcome, StrayPacket};
use crate::flow::identifiers::{self, Slot, SlotId, slot, slot_mut};
use crate::flow::sender::{Counted, Level, Reaction, Receipt, Sent};
use crate::outbox::{Label, Lifetime, OVERHEAD, Order, Place};
use crate::report::report;
use crate::wire::{
    self, AckType, Acknowledgement, Aliased, Delivery, Extent, Layout, Measured, PacketId, QoS, ReasonCode, Role,
    Version, Writer,
};

#[cfg(feature = "durable")]
use super::journal::Change;
use super::machine::{ANSWER, End, Engine, Processed, SHOWN, StepOf, tell};
use super::state::{Phase, SessionLoss, Turn};

/// A PUBLISH whose payload is put in later.
pub(super) struct Head<'a> {
    pub(super) publish: wire::PublishPacket<'a>,
    pub(super) payload: usize,
}

impl<'a> Head<'a> {
    /// Of a message that has no packet identifier yet.
    pub(super) fn new(publish: &Publish<'a>, payload: usize) -> Self {
        let packet = wire::PublishPacket {
            delivery: delivery(level_of(publish.qos), PacketId::MIN),
            retain: publish.retain,
            topic: publish.topic,
            properties: publish.properties,
            payload: &[],
        };
        Self { publish: packet, payload }
    }
}

impl Layout for Head<'_> {
    fn first_byte(&self) -> u8 {
        self.publish.first_byte()
    }

    fn body(&self, to: &mut Writer<'_>) {
        self.publish.body(to);
    }

    fn tail(&self) -> usize {
        self.payload
    }
}

/// What a packet needs besides its bytes in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A slot for a message.
    MessageSlot,
    /// A slot for SUBSCRIBE or UNSUBSCRIBE.
    RequestSlot,
}

/// A message that was accepted, besides its packet.
pub(super) struct Accepted {
    pub(super) packet_id: Option<PacketId>,
    pub(super) order: Order,
    pub(super) label: Label,
}

/// The room for a packet in the store: how much, and where.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    extent: Extent,
    place: Place,
}

impl<'m, E: End> Engine<'m, E> {
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<PacketId>, CommandError> {
        self.publish_with(publish, publish.payload.len(), |buffer| {
            bytes::copy(buffer, publish.payload);
        })
    }

    pub(crate) fn publish_with(
        &mut self,
        publish: &Publish<'_>,
        payload: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Option<PacketId>, CommandError> {
        let waits = publish.offline.unwrap_or(self.core.terms.offline()).keeps(publish.qos);
        self.check_publish(publish, waits)?;
        let mut head = Head::new(publish, payload);
        let room = self.make_room(&head, needs(publish.qos))?;
        let Accepted { packet_id, order, label } = self.accept_message(publish, waits, room.place, &mut head)?;
        let packet = self.enter(&head, order, label, room)?;
        let start = packet.len().saturating_sub(payload);
        fill(packet.get_mut(start..).unwrap_or_default());
        #[cfg(feature = "durable")]
        if let Some(id) = SlotId::new(label.slot).filter(|_| order == Order::Acknowledged) {
            self.note_sent(id, Change::Begun);
        }
        Ok(packet_id)
    }

    /// A message has room at `place`: takes its identifier, and says what it is besides its packet.
    #[inline(always)]
    pub(super) fn accept_message(
        &mut self,
        publish: &Publish<'_>,
        waits: bool,
        place: Place,
        head: &mut Head<'_>,
    ) -> Result<Accepted, CommandError> {
        let level = level_of(publish.qos);
        let seconds = if Version::LATEST.is_v5() { publish.properties.message_expiry_interval() } else { None };
        let lifetime = seconds.map_or(Lifetime::ENDLESS, Lifetime::of);
        let slot = match level {
            None => None,
            Some(level) => {
                let taken = self.core.identifiers.take(self.slots, Sent::Queued(level), place.get());
                Some(taken.ok_or(CommandError::Full)?)
            }
        };
        let packet_id = slot.map(|(_, packet_id)| packet_id);
        if let Some(packet_id) = packet_id {
            head.publish.delivery = delivery(level, packet_id);
        }
        let order = if level.is_some() { Order::Acknowledged } else { Order::Immediate };
        let label = Label {
            slot: slot.map_or(u16::from(!waits), |(id, _)| id.get()),
            alias: publish.topic_alias.map_or(0, NonZeroU16::get),
            lifetime,
        };
        Ok(Accepted { packet_id, order, label })
    }

    /// `waits`: whether the message waits for a connection.
    pub(super) fn check_publish(&self, publish: &Publish<'_>, waits: bool) -> Result<(), CommandError> {
        match self.core.phase {
            Phase::Awaiting | Phase::Completing | Phase::Leaving | Phase::Parting | Phase::Failing => {
                return Err(CommandError::Closing);
            }
            _ if self.core.level == 0 => return Err(CommandError::Offline),
            _ => {}
        }
        if publish.properties.topic_alias().is_some() {
            return Err(CommandError::Reserved);
        }
        if publish.topic_alias.is_some() && !self.version().is_v5() {
            return Err(CommandError::NotInVersion);
        }
        if !waits && self.core.phase != Phase::Online {
            return Err(CommandError::Offline);
        }
        if self.core.phase == Phase::Online {
            let aliases = self.core.limits.topic_alias_maximum.min(self.queue.alias_maximum());
            if publish.topic_alias.is_some_and(|alias| alias.get() > aliases) {
                return Err(CommandError::TopicAliasUnsupported);
            }
            if !self.core.support().has(publish.qos) {
                return Err(CommandError::QosUnsupported);
            }
            if publish.retain && !self.core.support().retain() {
                return Err(CommandError::RetainUnsupported);
            }
        }
        Ok(())
    }

    /// The version of what is stored. A server that is asked to speak another one has not yet agreed.
    pub(super) fn stored_version(&self) -> Version {
        Version::nearest(self.core.level)
    }

    pub(crate) fn check_online(&self) -> Result<(), CommandError> {
        match self.core.phase {
            Phase::Online => Ok(()),
            Phase::Awaiting | Phase::Completing | Phase::Leaving | Phase::Parting | Phase::Failing => {
                Err(CommandError::Closing)
            }
            _ => Err(CommandError::Offline),
        }
    }

    /// Makes room for a packet, in the store and, if it takes a slot, among the slots.
    pub(crate) fn make_room(&mut self, packet: &dyn Layout, needs: Needs) -> Result<Room, CommandError> {
        let extent = Measured::new(packet, self.stored_version(), E::PEER)?.extent();
        let place = self.make_room_for(extent, extent.len(), needs)?;
        Ok(Room { extent, place })
    }

    /// The same for a packet that takes `len` bytes of the store.
    #[inline(always)]
    pub(super) fn make_room_for(&mut self, extent: Extent, len: usize, needs: Needs) -> Result<Place, CommandError> {
        let capacity = self.store.bytes.len().saturating_sub(OVERHEAD);
        if len > capacity || self.store.bytes.len() < OVERHEAD {
            return Err(CommandError::too_large(SizeLimit::Store, len, capacity));
        }
        if needs != Needs::Nothing && self.slots.is_empty() {
            return Err(CommandError::too_large(SizeLimit::Outbound, 1, 0));
        }
        self.check_peer(extent.len())?;
        let (taken, slots) = (usize::from(self.core.identifiers.taken()), self.slots.len());
        let has_slot = match needs {
            Needs::Nothing => true,
            Needs::MessageSlot => taken.saturating_add(E::kept_slots(self.core, slots)) < slots,
            Needs::RequestSlot => taken < slots,
        };
        let place = if has_slot { self.find_place(len) } else { None };
        let Some(place) = place else {
            self.wait_for_space();
            return Err(CommandError::Full);
        };
        Ok(place)
    }

    /// Where a packet of `len` bytes has room in the store.
    pub(crate) fn find_place(&mut self, len: usize) -> Option<Place> {
        let slots = &mut *self.slots;
        self.store.make_room(len, |id, place| {
            if let Some(slot) = SlotId::new(id).and_then(|id| slot_mut(slots, id)) {
                slot.set_link(place.get());
            }
        })
    }

    /// Puts a packet into the store, where there is room for it, and shows what was put there.
    pub(crate) fn enter(
        &mut self,
        packet: &dyn Layout,
        order: Order,
        label: Label,
        Room { extent, place }: Room,
    ) -> Result<&mut [u8], CommandError> {
        let len = extent.len();
        self.accept_record(order, label, place, len);
        let measured = Measured::again(packet, self.stored_version(), E::PEER, extent);
        let packet = self.store.packet_mut(place, len);
        measured.encode(packet)?;
        Ok(packet)
    }

    /// Enters a record of `len` bytes, where it has room.
    #[inline(always)]
    pub(super) fn accept_record(&mut self, order: Order, label: Label, place: Place, len: usize) {
        self.store.accept(order, label, place, len);
        if Version::LATEST.is_v5() && (label.lifetime != Lifetime::ENDLESS || self.core.unstamped != 0) {
            self.core.unstamped = self.core.unstamped.saturating_add(1);
        }
    }

    /// The record that is to be shown next: the older of the two that may be. None before CONNACK. [MQTT-3.1.2-30]
    pub(crate) fn eligible(&self) -> Option<(Order, Place)> {
        if !self.core.phase.publishes() {
            return None;
        }
        let immediate = self.store.next(Order::Immediate);
        let acknowledged = self.store.next(Order::Acknowledged).filter(|_| {
            let may = self.core.quota != 0 || self.is_next_published();
            may && self.core.next_release.is_none() && self.core.news.session_loss() == SessionLoss::Nothing
        });
        match (acknowledged, immediate) {
            (Some(a), Some(b)) if self.store.outbox.is_older(b, a) => Some((Order::Immediate, b)),
            (Some(a), _) => Some((Order::Acknowledged, a)),
            (None, Some(b)) => Some((Order::Immediate, b)),
            (None, None) => None,
        }
    }

    /// Whether the next record is sent again after a time, which takes no quota.
    fn is_next_published(&self) -> bool {
        self.retry_interval() != 0 && self.next_published().is_some()
    }

    /// The next record, if it was shown on this connection before.
    pub(super) fn next_published(&self) -> Option<Place> {
        let place = self.store.next(Order::Acknowledged)?;
        let id = SlotId::new(self.store.slot(place))?;
        matches!(slot(self.slots, id)?.sent(), Sent::Published(_)).then_some(place)
    }

    /// Notes that a packet is shown, which counts as sent. (5.0: 4.9)
    pub(crate) fn show(&mut self, order: Order, place: Place) {
        let id = SlotId::new(self.store.slot(place));
        if order == Order::Acknowledged {
            if let Some(slot) = id.and_then(|id| slot_mut(self.slots, id)) {
                match slot.sent() {
                    Sent::Queued(level) => {
                        slot.set_sent(Sent::Published(level));
                        self.core.quota = self.core.quota.saturating_sub(1);
                        self.shorten(place);
                    }
                    Sent::Resend(level) => {
                        slot.set_sent(Sent::Published(level));
                        self.core.quota = self.core.quota.saturating_sub(1);
                        self.shorten(place);
                        self.store.set_dup(place);
                    }
                    // It is sent again after a time, and counts already.
                    Sent::Published(_) => self.store.set_dup(place),
                    _ => {}
                }
            }
            self.note_shown(place);
        }
        if order == Order::Immediate {
            if self.store.is_publish(place) {
                self.shorten(place);
            } else if let Some(slot) = id.and_then(|id| slot_mut(self.slots, id)) {
                slot.set_link(slot.link() | SHOWN);
            }
        }
        let skipped = self.show_front(place);
        self.store.show(order, place, skipped);
    }

    /// What a server sends lives no longer than is left of its time, each time that it is sent. A client says how long it lives
    /// in all. [MQTT-3.3.2-6]
    fn shorten(&mut self, place: Place) {
        if E::ROLE == Role::Server
            && self.version().is_v5()
            && let Some(left) = self.store.lifetime(place).left(self.core.now)
        {
            self.store.shorten(place, left);
        }
    }

    /// Shows the front of a PUBLISH with the topic alias that it asks for, if the peer takes it. Tells how much of the
    /// stored packet that stands for. [MQTT-3.2.2-17], [MQTT-3.2.2-18]
    // Rare, and not to be paid for by each packet.
    #[inline(never)]
    fn show_front(&mut self, place: Place) -> usize {
        let alias = self.store.alias(place);
        if !self.version().is_v5() || alias == 0 || alias > self.core.limits.topic_alias_maximum {
            return 0;
        }
        let Some(mut packet) = Aliased::new(self.store.packet(place), alias) else { return 0 };
        #[cfg(feature = "streaming")]
        if let Some(payload) = self.store.records().payload(place) {
            packet = packet.with_payload(payload.stored(), usize::try_from(payload.len).unwrap_or(usize::MAX));
        }
        let topic = packet.topic;
        let is_known = self.queue.topic(alias) == Some(topic);
        if is_known {
            packet.topic = &[];
        }
        let Ok(measured) = Measured::new(&packet, self.version(), E::PEER) else { return 0 };
        if self.is_oversize(measured.len()) || !self.queue.has_room(measured.front_len()) {
            return 0;
        }
        if !is_known && self.queue.set_topic(alias, topic).is_err() {
            return 0;
        }
        self.queue.push(&measured);
        self.queue.show();
        let replaced = packet.replaced;
        // What is queued in front of it leaves with it.
        self.close_received();
        replaced
    }

    /// PUBRELs of earlier connections, or those that are to be sent again, in the order of their PUBRECs, before any PUBLISH.
    /// [MQTT-4.4.0-1]
    pub(crate) fn release_again(&mut self) {
        let mut passed = 0_u32;
        let was_empty = self.queue.control.is_empty();
        while let Some(id) = self.core.next_release {
            passed = passed.wrapping_add(1);
            let was_sent = matches!(slot(self.slots, id).map(Slot::sent), Some(Sent::Released(..)));
            let left = if was_sent { self.until_released_again(id) } else { 0 };
            if left != 0 {
                self.look_again_in(left, passed);
            } else if was_sent && !was_empty && self.is_release_queued(id) {
                // It has waited behind a write for so long, and is about to leave.
                self.note_released(id);
            } else if !self.release_one(id) {
                return;
            }
            self.core.next_release = self.core.releases.after(self.slots, id);
        }
    }

    fn is_release_queued(&self, id: SlotId) -> bool {
        let first = AckType::Pubrel.packet_type().first_byte();
        identifiers::packet_id(self.slots, id).is_some_and(|packet_id| self.queue.has_unshown(first, packet_id))
    }

    fn release_one(&mut self, id: SlotId) -> bool {
        let Some(packet_id) = identifiers::packet_id(self.slots, id) else { return false };
        if !self.queue.has_room(ANSWER) || !self.answer(AckType::Pubrel, packet_id, ReasonCode::Success) {
            return false;
        }
        if let Some(slot) = slot_mut(self.slots, id)
            && let Sent::ResendRelease(receipt) = slot.sent()
        {
            slot.set_sent(Sent::Released(Counted::Before, receipt));
        }
        self.core.turn = Turn::Ahead;
        self.note_released(id);
        true
    }

    /// PUBREL leaves now, where it is sent again after a time.
    fn note_released(&mut self, id: SlotId) {
        if self.retry_interval() != 0 {
            self.ages().note(self.slots, id, self.core.now.millisecond());
        }
    }

    /// The milliseconds until PUBREL is sent again, where that is after a time.
    fn until_released_again(&self, id: SlotId) -> u32 {
        if self.retry_interval() == 0 { 0 } else { self.ages().left(self.slots, id, self.core.now.millisecond()) }
    }

    /// PUBACK, PUBREC or PUBCOMP.
    pub(super) fn acknowledged<'i>(
        &mut self,
        packet: &Acknowledgement<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        let Acknowledgement { kind, packet_id, reason_code, properties } = *packet;
        let found = identifiers::find(self.slots, packet_id);
        let sent = found.and_then(|id| slot(self.slots, id)).map_or(Sent::Free, Slot::sent);
        let reaction = sent.acknowledged(kind, reason_code);
        if let Reaction::Stray { release } = reaction {
            if release {
                self.answer(AckType::Pubrel, packet_id, ReasonCode::PacketIdentifierNotFound);
            }
            let packet = StrayPacket::Acknowledgement(kind);
            return Ok(tell(step, CommonEvent::Stray { packet, packet_id }));
        }
        let id = found.ok_or(CloseReason::UnexpectedAcknowledgement)?;
        #[cfg(feature = "streaming")]
        if self.is_beyond_reach(id) {
            return Err(CloseReason::UnexpectedAcknowledgement);
        }
        let (counted, outcome) = match reaction {
            Reaction::Accepted(counted) => (counted, Outcome::Acknowledged(sent.outcome(reason_code))),
            Reaction::Rejected(counted) => {
                report!(warn, "the peer refuses message {}: {:?}", packet_id, reason_code);
                (counted, Outcome::Rejected(reason_code))
            }
            Reaction::Release(counted) => {
                let receipt = sent.receipt(reason_code);
                self.release(id, counted, receipt);
                // Mostly there is nothing to tell: that the message arrived is told by PUBCOMP.
                if receipt == Receipt::GivenUp || (reason_code == ReasonCode::Success && properties.is_empty()) {
                    return Ok(Processed::Nothing);
                }
                return Ok(tell(step, CommonEvent::Received { packet_id, reason_code, properties }));
            }
            Reaction::ReleaseAgain => {
                // As long as PUBRELs are still to be sent again, each goes out in its turn.
                if self.core.next_release.is_none() {
                    self.answer(AckType::Pubrel, packet_id, ReasonCode::Success);
                    self.note_released(id);
                }
                return Ok(Processed::Nothing);
            }
            Reaction::Contradiction | Reaction::Stray { .. } => return Err(CloseReason::UnexpectedAcknowledgement),
        };
        #[cfg(feature = "durable")]
        if matches!(reaction, Reaction::Accepted(_)) {
            self.note_sent(id, Change::Accepted);
        }
        self.count(counted);
        self.forget(id);
        if sent.is_told() {
            return Ok(Processed::Nothing);
        }
        Ok(tell(step, CommonEvent::Published { packet_id, outcome, properties }))
    }

    /// The message is dropped and PUBREL goes out, behind those that are still to be sent again. [MQTT-4.3.3-4]
    fn release(&mut self, id: SlotId, counted: Counted, receipt: Receipt) {
        self.detach(id);
        self.core.releases.push(self.slots, id);
        if let Some(slot) = slot_mut(self.slots, id) {
            slot.set_sent(Sent::Released(counted, receipt));
        }
        #[cfg(feature = "durable")]
        self.note_sent(id, Change::Released);
        if self.core.next_release.is_some() {
            if self.retry_interval() != 0 {
                self.ages().note_due(self.slots, id, self.core.now.millisecond());
            }
            return;
        }
        self.core.turn = Turn::Ahead;
        self.note_released(id);
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
}

/// What a message needs besides its bytes.
pub(super) const fn needs(qos: QoS) -> Needs {
    match qos {
        QoS::AtMostOnce => Needs::Nothing,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Needs::MessageSlot,
    }
}

/// What acknowledges a message of this QoS, if anything does.
const fn level_of(qos: QoS) -> Option<Level> {
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(Level::AtLeastOnce),
        QoS::ExactlyOnce => Some(Level::ExactlyOnce),
    }
}

const fn delivery(level: Option<Level>, packet_id: PacketId) -> Delivery {
    match level {
        None => Delivery::AtMostOnce,
        Some(Level::AtLeastOnce) => Delivery::AtLeastOnce { packet_id, dup: false },
        Some(Level::ExactlyOnce) => Delivery::ExactlyOnce { packet_id, dup: false },
    }
}
