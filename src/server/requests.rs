//! The server's end: SUBSCRIBE, UNSUBSCRIBE and their answers.

use crate::control::DISCONNECT_RESERVE;
use crate::engine::state::Phase;
use crate::engine::{End, Engine, Processed, StepOf, tell};
use crate::error::{CloseReason, CommandError};
use crate::wire::{
    Layout, List, Measured, PacketId, PacketType, ReasonCode, Role, Suback, SubscribePacket, Unsuback,
    UnsubscribePacket, Writer, has_wildcard, shared_subscription,
};

use super::event::Event;
use super::state::{Kind, Pending, Server};

/// SUBACK or UNSUBACK that says of every filter that it failed.
struct Failure {
    kind: Kind,
    packet_id: PacketId,
    filters: u16,
}

impl Failure {
    fn of(pending: Pending) -> Option<Self> {
        let Pending { kind, filters, .. } = pending;
        pending.packet_id().map(|packet_id| Self { kind, packet_id, filters })
    }
}

impl Layout for Failure {
    fn first_byte(&self) -> u8 {
        match self.kind {
            Kind::Subscribe => PacketType::Suback.first_byte(),
            Kind::Unsubscribe => PacketType::Unsuback.first_byte(),
        }
    }

    fn body(&self, to: &mut Writer<'_>) {
        to.packet_id(self.packet_id);
        if to.version.is_v5() {
            to.byte(NO_PROPERTIES);
        }
        // 3.1.1 has no codes for UNSUBSCRIBE.
        if self.kind == Kind::Subscribe || to.version.is_v5() {
            for _ in 0..self.filters {
                to.byte(ReasonCode::UnspecifiedError as u8);
            }
        }
    }
}

/// The length of no properties.
const NO_PROPERTIES: u8 = 0;

impl<'m> Engine<'m, Server> {
    pub(super) fn take_subscribe<'i>(
        &mut self,
        packet: &SubscribePacket<'i>,
        step: &mut StepOf<'m, 'i, Server>,
    ) -> Result<Processed, CloseReason> {
        let SubscribePacket { packet_id, properties, subscriptions } = *packet;
        let support = self.core.end.support;
        for subscription in subscriptions.iter() {
            if !support.wildcards() && has_wildcard(subscription.filter) {
                return Err(CloseReason::WildcardUnsupported);
            }
            if !support.shared() && shared_subscription(subscription.filter).is_some() {
                return Err(CloseReason::SharedUnsupported);
            }
        }
        if !support.subscription_identifiers() && properties.subscription_identifier().is_some() {
            return Err(CloseReason::SubscriptionIdentifierUnsupported);
        }
        let event = Event::Subscribing { packet_id, subscriptions, properties };
        self.hand_out(packet_id, Kind::Subscribe, subscriptions.iter().count(), event, step)
    }

    pub(super) fn take_unsubscribe<'i>(
        &mut self,
        packet: &UnsubscribePacket<'i>,
        step: &mut StepOf<'m, 'i, Server>,
    ) -> Result<Processed, CloseReason> {
        let UnsubscribePacket { packet_id, properties, filters } = *packet;
        let event = Event::Unsubscribing { packet_id, filters, properties };
        self.hand_out(packet_id, Kind::Unsubscribe, filters.iter().count(), event, step)
    }

    /// Hands a request out once its answer has room.
    fn hand_out<'i>(
        &mut self,
        packet_id: PacketId,
        kind: Kind,
        filters: usize,
        event: Event<'i>,
        step: &mut StepOf<'m, 'i, Server>,
    ) -> Result<Processed, CloseReason> {
        let filters = u16::try_from(filters).map_err(|_| CloseReason::RequestTooLarge)?;
        let pending = Pending::new(packet_id, kind, filters);
        let answer = self.len_of_failure(pending).ok_or(CloseReason::RequestTooLarge)?;
        if answer.saturating_add(DISCONNECT_RESERVE) > self.queue.capacity() || self.is_oversize(answer) {
            return Err(CloseReason::RequestTooLarge);
        }
        if self.core.phase != Phase::Draining && !self.queue.has_room(answer) {
            return Ok(Processed::Deferred);
        }
        self.core.end.pending = pending;
        Ok(tell(step, event))
    }

    /// The length of the shortest answer, with a code for each filter.
    pub(super) fn len_of_failure(&self, pending: Pending) -> Option<usize> {
        let failure = Failure::of(pending)?;
        Measured::new(&failure, self.version(), Role::Client).ok().map(|measured| measured.len())
    }

    pub(crate) fn suback(&mut self, suback: &Suback<'_>) -> Result<(), CommandError> {
        self.check_pending(Kind::Subscribe, suback.packet_id, &suback.reason_codes)?;
        let properties = Server::diagnostics(self, suback.properties);
        self.reply(&Suback { properties, ..*suback })
    }

    pub(crate) fn unsuback(&mut self, unsuback: &Unsuback<'_>) -> Result<(), CommandError> {
        self.check_pending(Kind::Unsubscribe, unsuback.packet_id, &unsuback.reason_codes)?;
        let properties = Server::diagnostics(self, unsuback.properties);
        let reason_codes = if self.version().is_v5() { unsuback.reason_codes } else { List::EMPTY };
        self.reply(&Unsuback { properties, reason_codes, ..*unsuback })
    }

    /// One answer, with as many codes as there are filters. [MQTT-3.8.4-5] in 3.1.1, [MQTT-3.8.4-6] in 5.0
    fn check_pending(&self, kind: Kind, packet_id: PacketId, codes: &List<'_, ReasonCode>) -> Result<(), CommandError> {
        let filters = u16::try_from(codes.count()).map_err(|_| CommandError::NothingToAnswer)?;
        let answered = Pending::new(packet_id, kind, filters);
        if self.core.end.pending == answered { Ok(()) } else { Err(CommandError::NothingToAnswer) }
    }

    fn reply(&mut self, packet: &dyn Layout) -> Result<(), CommandError> {
        if self.core.phase == Phase::Draining {
            self.core.end.pending = Pending::NOTHING;
            return Ok(());
        }
        let measured = Measured::new(packet, self.version(), Role::Client)?;
        self.queue.check_size(measured.len(), DISCONNECT_RESERVE)?;
        self.check_peer(measured.len())?;
        if !self.queue.has_room(measured.len()) || !self.queue.push(&measured) {
            self.wait_for_space();
            return Err(CommandError::Full);
        }
        self.core.end.pending = Pending::NOTHING;
        Ok(())
    }

    /// Says that a request failed that the application did not answer. [MQTT-3.8.4-1], [MQTT-3.10.4-4] in 3.1.1,
    /// [MQTT-3.10.4-5] in 5.0
    pub(super) fn answer_pending(&mut self) {
        let Some(failure) = Failure::of(self.core.end.pending) else { return };
        let waiting = self.core.news.space_wait();
        let answered = self.reply(&failure);
        self.core.end.pending = Pending::NOTHING;
        // If it was refused, it was no command of the application.
        self.core.news.set_space_wait(waiting);
        // There was room for it when the request was handed out, unless the application has sent something else since.
        if answered.is_err() && !matches!(self.core.phase, Phase::Completing | Phase::Leaving) {
            self.fail(CloseReason::RequestTooLarge);
        }
    }
}
