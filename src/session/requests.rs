//! The client's end: SUBSCRIBE, UNSUBSCRIBE and their answers.

use crate::engine::{Engine, Room, SHOWN};
use crate::error::{CloseReason, CommandError};
use crate::flow::identifiers::{self, SlotId, slot};
use crate::flow::sender::Sent;
use crate::outbox::{Label, Order};
use crate::wire::{self, Layout, PacketId, has_wildcard, shared_subscription};

use super::command::{Subscribe, Unsubscribe};
use super::connection::Client;

impl Engine<'_, Client> {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        self.check_online()?;
        let support = self.core.support();
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
        let (properties, elements) = (subscribe.properties, subscribe.subscriptions);
        let mut packet = wire::Request { packet_id: PacketId::MIN, properties, elements };
        let room = self.make_room(&packet, true)?;
        let (id, packet_id) = self.begin_request(Sent::Subscribing, subscribe.subscriptions.len())?;
        packet.packet_id = packet_id;
        self.enter_request(&packet, id, room)?;
        Ok(packet_id)
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError> {
        self.check_online()?;
        let (properties, elements) = (unsubscribe.properties, unsubscribe.filters);
        let mut packet = wire::Request { packet_id: PacketId::MIN, properties, elements };
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
            sent if sent == request => {
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
