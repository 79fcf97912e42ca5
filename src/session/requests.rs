//! The client's end: SUBSCRIBE, UNSUBSCRIBE, PINGREQ as the application asks for it, and their answers.

use core::time::Duration;

use crate::engine::state::Phase;
use crate::engine::{ANSWER, Engine, Processed, Room, SHOWN, StepOf, tell};
use crate::error::{CloseReason, CommandError};
use crate::event::Event;
use crate::flow::identifiers::{self, SlotId, slot};
use crate::flow::sender::Sent;
use crate::outbox::{Label, Order};
use crate::wire::{self, Layout, List, PacketId, PacketType, has_wildcard, shared_subscription};

use super::command::{Subscribe, Unsubscribe};
use super::connection::Client;
use super::ping::Ping;

impl Engine<'_, Client> {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        self.check_online()?;
        let support = self.core.support;
        for subscription in subscribe.subscriptions {
            if !support.wildcards() && has_wildcard(subscription.filter) {
                return Err(CommandError::WildcardUnsupported);
            }
            if !support.shared() && shared_subscription(subscription.filter).is_some() {
                return Err(CommandError::SharedUnsupported);
            }
        }
        if !support.subscription_identifiers() && subscribe.properties.subscription_identifier().is_some() {
            return Err(CommandError::SubscriptionIdentifierUnsupported);
        }
        let mut packet = wire::SubscribePacket {
            packet_id: PacketId::MIN,
            properties: subscribe.properties,
            subscriptions: List::of(subscribe.subscriptions),
        };
        let room = self.make_room(&packet, true)?;
        let (id, packet_id) = self.begin_request(Sent::Subscribing, subscribe.subscriptions.len())?;
        packet.packet_id = packet_id;
        self.enter_request(&packet, id, room)?;
        Ok(packet_id)
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError> {
        self.check_online()?;
        let mut packet = wire::UnsubscribePacket {
            packet_id: PacketId::MIN,
            properties: unsubscribe.properties,
            filters: List::of(unsubscribe.filters),
        };
        let room = self.make_room(&packet, true)?;
        let (id, packet_id) = self.begin_request(Sent::Unsubscribing, unsubscribe.filters.len())?;
        packet.packet_id = packet_id;
        self.enter_request(&packet, id, room)?;
        Ok(packet_id)
    }

    fn begin_request(&mut self, request: Sent, filters: usize) -> Result<(SlotId, PacketId), CommandError> {
        let filters = u32::try_from(filters).unwrap_or(u32::MAX) & !SHOWN;
        self.core.identifiers.take(self.slots, request, filters).ok_or(CommandError::Full)
    }

    fn enter_request(&mut self, packet: &dyn Layout, id: SlotId, room: Room) -> Result<(), CommandError> {
        self.enter(packet, Order::Immediate, Label { slot: id.get(), ..Label::default() }, room).map(|_| ())
    }

    /// SUBACK or UNSUBACK: frees its request if it answers one.
    pub(super) fn answered(
        &mut self,
        request: Sent,
        packet_id: PacketId,
        codes: Option<usize>,
    ) -> Result<bool, CloseReason> {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return Ok(false) };
        let Some(slot) = slot(self.slots, id) else { return Ok(false) };
        match slot.sent() {
            // What was never shown cannot have been answered.
            Sent::Subscribing | Sent::Unsubscribing if slot.link() & SHOWN == 0 => Ok(false),
            sent if matches!(sent, Sent::Subscribing) == matches!(request, Sent::Subscribing)
                && matches!(sent, Sent::Subscribing | Sent::Unsubscribing) =>
            {
                if codes.is_some_and(|codes| u32::try_from(codes) != Ok(slot.link() & !SHOWN)) {
                    return Err(CloseReason::AnswerMismatched);
                }
                self.free(id);
                Ok(true)
            }
            Sent::Subscribing | Sent::Unsubscribing => Err(CloseReason::AnswerMismatched),
            _ => Ok(false),
        }
    }
}

impl<'m> Engine<'m, Client> {
    pub(super) fn ping(&mut self) -> Result<(), CommandError> {
        self.check_online()?;
        let pingreq = PacketType::Pingreq.alone();
        if self.is_oversize(pingreq.len()) {
            return Err(CommandError::TooLarge);
        }
        if self.core.end.ping != Ping::NONE {
            return Ok(());
        }
        if self.core.keep_alive.awaits() {
            self.core.end.ping = Ping::WAITING;
            return Ok(());
        }
        if !self.queue.has_room(ANSWER) {
            self.wait_for_space();
            return Err(CommandError::Full);
        }
        self.send_ping();
        Ok(())
    }

    /// There is room for it.
    fn send_ping(&mut self) {
        self.push_encoded(&PacketType::Pingreq.alone());
        self.core.keep_alive.wanted();
        self.core.end.ping = if self.queue.control.is_writing() { Ping::BEHIND } else { Ping::QUEUED };
    }

    /// Bytes of the queue are written.
    pub(super) fn ping_written(&mut self) {
        if self.queue.control.is_writing() {
            return;
        }
        if self.core.end.ping == Ping::QUEUED {
            self.core.end.ping = Ping::written(self.core.now);
        } else if self.core.end.ping == Ping::BEHIND {
            self.core.end.ping = Ping::QUEUED;
        }
    }

    /// PINGRESP: of what the application asked for, there is something to tell.
    #[cold]
    #[inline(never)]
    pub(super) fn pinged<'i>(&mut self, step: &mut StepOf<'m, 'i, Client>) -> Processed {
        let ping = self.core.end.ping;
        let millis = match ping.age(self.core.now) {
            Some(millis) => millis,
            // It is shown, which may be enough, and not yet reported as written.
            None if ping == Ping::QUEUED && self.queue.control.is_writing() => 0,
            None => {
                if ping == Ping::WAITING && self.core.phase == Phase::Online {
                    self.send_ping();
                }
                return Processed::Nothing;
            }
        };
        self.core.end.ping = Ping::NONE;
        tell(
            step,
            Event::Pinged {
                round_trip: Duration::new((millis / 1000).into(), (millis % 1000).wrapping_mul(1_000_000)),
            },
        )
    }
}
