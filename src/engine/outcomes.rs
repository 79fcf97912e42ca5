//! How a publish ends that no answer ends: taken back, given up, expired, or not to be sent. And what becomes of its identifier.

use crate::event::{CommonEvent, Outcome};
use crate::flow::identifiers::{self, Slot, SlotId, slot, slot_mut};
use crate::flow::sender::{Counted, Sent};
use crate::outbox::{ORDERS, Order, Place};
use crate::timer::Timer;
use crate::wire::{PacketId, Properties, PublishFlags};

#[cfg(feature = "durable")]
use super::journal::Change;
use super::machine::{End, Engine, Processed, StepOf, tell};
use super::state::SessionLoss;

impl<'m, E: End> Engine<'m, E> {
    /// A publish that was never shown is taken back; its event does not come.
    pub(crate) fn cancel(&mut self, packet_id: PacketId) -> bool {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return false };
        let queued = slot(self.slots, id).is_some_and(|slot| matches!(slot.sent(), Sent::Queued(_)));
        if queued {
            self.forget(id);
        }
        queued
    }

    /// A publish that was shown is not shown again; its event is still to come, and its identifier stays taken.
    pub(crate) fn give_up(&mut self, packet_id: PacketId) -> bool {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return false };
        // The outcome of what is lost is decided.
        let is_lost = self.core.news.session_loss() != SessionLoss::Nothing;
        #[cfg(feature = "streaming")]
        let is_lost = is_lost || self.is_half_given(id);
        let given_up = match slot(self.slots, id).map(Slot::sent) {
            Some(Sent::Published(level)) if !is_lost => Sent::GivingUp(level, Counted::Here),
            Some(Sent::Resend(level)) if !is_lost => Sent::GivingUp(level, Counted::Before),
            _ => return false,
        };
        self.unstore(id);
        self.core.untold.push(self.slots, id);
        if let Some(slot) = slot_mut(self.slots, id) {
            slot.set_sent(given_up);
        }
        #[cfg(feature = "durable")]
        self.note_sent(id, Change::GivenUp);
        true
    }

    /// Passes once over what was never shown. What has expired gives its bytes back at once and its outcome is told in its
    /// turn; the next pass is made when the next message expires. [MQTT-3.3.2-5]
    // Once in the life of a message, and in no message that does not expire.
    #[inline(never)]
    pub(super) fn expire(&mut self) {
        self.core.expiry = Timer::OFF;
        // In 3.1.1 nothing expires, and what is said of time there is something else.
        if !self.stored_version().is_v5() {
            return;
        }
        for order in ORDERS {
            let mut next = self.store.next(order);
            while let Some(place) = next {
                next = self.store.after(place);
                self.expire_at(order, place);
            }
        }
    }

    /// Tells the outcome of one message that has expired or was given up, or of one request that was lost. Mostly there is none.
    pub(super) fn tell_outcome<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        let Some(id) = self.core.untold.first(self.slots) else { return false };
        self.tell_outcome_of(id, step).is_some()
    }

    #[cold]
    #[inline(never)]
    fn tell_outcome_of<'i>(&mut self, id: SlotId, step: &mut StepOf<'m, 'i, E>) -> Option<Processed> {
        match slot(self.slots, id)?.sent() {
            Sent::RequestLost => E::lose_request(self, id).map(|event| tell::<E::Event<'i>, _>(step, event)),
            Sent::Expired => self.finish(id, Outcome::Expired, step),
            _ => self.finish(id, Outcome::GivenUp, step),
        }
    }

    fn expire_at(&mut self, order: Order, place: Place) {
        let Some(left) = self.store.lifetime(place).millis_left(self.core.now) else { return };
        // That of QoS 0 has no slot, and no other packet of its sequence expires.
        let id = if order == Order::Acknowledged { self.store.slot(place) } else { 0 };
        let slot = SlotId::new(id).and_then(|id| slot_mut(self.slots, id));
        // What was shown once is sent again, however late.
        if slot.as_ref().is_some_and(|slot| !matches!(slot.sent(), Sent::Queued(_))) {
            return;
        }
        if left != 0 {
            return self.expire_in(left);
        }
        #[cfg(feature = "durable")]
        let is_sent = slot.is_some();
        #[cfg(feature = "durable")]
        if let Some(id) = SlotId::new(id).filter(|_| is_sent) {
            self.note_unstored(id, place);
            self.note_sent(id, Change::Expired);
        }
        let slot = SlotId::new(id).and_then(|id| slot_mut(self.slots, id));
        self.store.remove(order, place);
        match (slot, SlotId::new(id)) {
            (Some(slot), Some(id)) => {
                slot.set_sent(Sent::Expired);
                self.core.untold.push(self.slots, id);
            }
            _ => {
                self.count_dropped();
                self.space_freed();
            }
        }
    }

    /// A message that waits expires in so many milliseconds.
    pub(super) fn expire_in(&mut self, millis: u32) {
        self.core.expiry = self.core.expiry.or_sooner(Timer::of(millis));
    }

    /// The session is gone, and with it what the peer knows of the identifiers of messages that were given up.
    pub(crate) fn free_identifiers(&mut self) {
        let mut next = Some(SlotId::MIN);
        while let Some(id) = next
            && let Some(slot) = slot_mut(self.slots, id)
        {
            match slot.sent() {
                sent if sent.is_told() => self.forget(id),
                Sent::GivingUp(..) => slot.set_sent(Sent::Abandoned),
                _ => {}
            }
            next = id.checked_add(1);
        }
    }

    /// Tells the end of a publish that no packet ended. The identifier of one that was shown stays taken where the session goes on:
    /// the peer may have it half way, and would take another message under it for a repeat.
    #[inline(never)]
    pub(super) fn finish<'i>(
        &mut self,
        id: SlotId,
        outcome: Outcome,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Option<Processed> {
        let packet_id = identifiers::packet_id(self.slots, id)?;
        let kept = match (slot(self.slots, id)?.sent(), outcome) {
            (Sent::GivingUp(level, counted), _) => Some(Sent::GivenUp(level, counted)),
            (Sent::Resend(level), Outcome::Unsendable) => Some(Sent::GivenUp(level, Counted::Before)),
            _ => None,
        };
        self.detach(id);
        match (kept, slot_mut(self.slots, id)) {
            (Some(kept), Some(slot)) => {
                slot.set_sent(kept);
                slot.set_link(0);
                #[cfg(feature = "durable")]
                self.note_sent(
                    id,
                    if matches!(outcome, Outcome::Unsendable) { Change::GivenUp } else { Change::Altered },
                );
            }
            _ => self.free(id),
        }
        Some(tell(step, CommonEvent::Published { packet_id, outcome, properties: Properties::EMPTY }))
    }

    /// Ends an exchange.
    pub(crate) fn forget(&mut self, id: SlotId) {
        self.detach(id);
        self.free(id);
    }

    /// Takes an exchange out of whatever it is in.
    pub(super) fn detach(&mut self, id: SlotId) {
        match slot(self.slots, id).map(Slot::sent) {
            Some(Sent::Queued(_) | Sent::Published(_) | Sent::Resend(_)) => self.unstore(id),
            Some(Sent::Released(..) | Sent::ResendRelease(_)) => {
                if self.core.next_release == Some(id) {
                    self.core.next_release = self.core.releases.after(self.slots, id);
                }
                self.core.releases.remove(self.slots, id);
            }
            Some(Sent::Expired | Sent::GivingUp(..) | Sent::Abandoned | Sent::RequestLost) => {
                self.core.untold.remove(self.slots, id);
            }
            _ => {}
        }
    }

    pub(super) fn unstore(&mut self, id: SlotId) {
        if let Some(place) = slot(self.slots, id).and_then(|slot| Place::new(slot.link())) {
            #[cfg(feature = "durable")]
            self.note_unstored(id, place);
            self.store.remove(Order::Acknowledged, place);
            self.space_freed();
        }
    }

    pub(crate) fn free(&mut self, id: SlotId) {
        #[cfg(feature = "durable")]
        self.note_sent(id, Change::Over);
        self.core.identifiers.release(self.slots, id);
        self.space_freed();
    }

    /// Takes out what must not be sent on this connection, as far as it is next, and tells of it. [MQTT-3.2.2-11]
    pub(super) fn vet<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        if self.core.news.session_loss() != SessionLoss::Nothing {
            return false;
        }
        while let Some(place) = self.store.next(Order::Immediate) {
            if !self.store.is_publish(place) {
                let id = SlotId::new(self.store.slot(place));
                if let Some(event) = id.and_then(|id| E::vet_request(self, id, place)) {
                    tell::<E::Event<'_>, _>(step, event);
                    return true;
                }
                break;
            }
            if !self.is_unsendable(place) {
                break;
            }
            self.store.remove(Order::Immediate, place);
            self.count_dropped();
            self.space_freed();
        }
        self.vet_acknowledged(step).is_some()
    }

    fn vet_acknowledged<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> Option<Processed> {
        let place = self.store.next(Order::Acknowledged)?;
        let id = SlotId::new(self.store.slot(place))?;
        if self.is_unsendable(place) { self.finish(id, Outcome::Unsendable, step) } else { None }
    }

    /// Whether the limits of this connection, once they are known, forbid a stored PUBLISH. [MQTT-3.2.2-11], [MQTT-3.2.2-14],
    /// [MQTT-3.2.2-15]
    fn is_unsendable(&self, place: Place) -> bool {
        if !self.core.phase.publishes() {
            return false;
        }
        let packet = self.store.packet(place);
        let flags = packet.first().and_then(|&first| PublishFlags::of_first_byte(first).ok());
        let Some(PublishFlags { qos, retain, .. }) = flags else { return false };
        let support = self.core.support();
        #[cfg(feature = "streaming")]
        let len = self.store.records().sent_len(place);
        #[cfg(not(feature = "streaming"))]
        let len = packet.len();
        !support.has(qos) || (retain && !support.retain()) || self.is_oversize(len)
    }
}
