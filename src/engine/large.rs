//! Messages that are larger than the inbox: received in parts, or let pass.
//!
//! What makes a message in parts count, its identifier, its acknowledgement and its place among the received ones, waits for its last part:
//! one that breaks off was never there, and the peer sends it again. What passes is acknowledged with its last part, too.

use crate::command::Oversized;
use crate::error::CloseReason;
#[cfg(feature = "streaming")]
use crate::error::CommandError;
use crate::event::CommonEvent;
#[cfg(feature = "streaming")]
use crate::event::{Message, MessagePart};
use crate::flow::held::Table;
use crate::flow::receiver::Held;
use crate::flow::sender::Level;
use crate::inbox::Unread;
#[cfg(feature = "streaming")]
use crate::wire::{AckType, Acknowledgement, ReasonCode};
use crate::wire::{Delivery, PublishPacket};

use super::machine::{End, Engine, Processed, StepOf, tell};
#[cfg(feature = "streaming")]
use super::receiving::first_answer;
use super::receiving::{Arrived, Handling};
#[cfg(feature = "streaming")]
use super::state::Arriving;
use super::state::Phase;

/// What is known of a message once its front is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Front {
    /// It is told, and counts with its last part.
    New,
    /// It was told before. Its last part is answered.
    Repeat,
    /// It is not taken: there is no place for it, it exceeds the quota, or its answer is on its way.
    Refused,
}

impl<'m, E: End> Engine<'m, E> {
    /// Whether a PUBLISH that is larger than the inbox does not end the connection.
    pub(super) fn takes_large(&self) -> bool {
        self.core.terms.oversized() != Oversized::Disconnect && !E::is_beginning(self)
    }

    /// Takes the front of a PUBLISH that is larger than the inbox.
    #[inline(never)]
    pub(super) fn take_large<'i>(
        &mut self,
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        let limit = E::packet_limit(self, inbox);
        let found = inbox.large(self.version(), E::ROLE, limit)?;
        let Some((mut publish, len)) = found else { return Ok(Processed::Incomplete) };
        if self.is_leaving() {
            inbox.skip(len);
            return Ok(Processed::Nothing);
        }
        let alias = publish.alias();
        if let Some(alias) = alias {
            inbox.map_topic(alias, publish.topic)?;
        }
        E::check_publish(self, &publish)?;
        match self.judge_front(&publish.delivery) {
            Front::New => {
                let remaining = inbox.take_front(len, &publish.delivery);
                if let Some(alias) = alias
                    && publish.topic.is_empty()
                {
                    publish.topic = inbox.take_topic(alias);
                }
                Ok(self.tell_front(&publish, len, remaining, step))
            }
            Front::Repeat => {
                inbox.take_front(len, &publish.delivery);
                Ok(Processed::Nothing)
            }
            Front::Refused => {
                let taken = match self.arrive(&publish.delivery, self.handling())? {
                    Arrived::Delivered(_) | Arrived::Silently => Processed::Nothing,
                    Arrived::Again => self.tolerate_repeat(step),
                    Arrived::NotYet => return Ok(Processed::Deferred),
                };
                inbox.skip(len);
                Ok(taken)
            }
        }
    }

    fn judge_front(&self, delivery: &Delivery) -> Front {
        let (level, packet_id, dup) = match *delivery {
            Delivery::AtMostOnce => return Front::New,
            Delivery::AtLeastOnce { packet_id, dup } => (Level::AtLeastOnce, packet_id, dup),
            Delivery::ExactlyOnce { packet_id, dup } => (Level::ExactlyOnce, packet_id, dup),
        };
        if Table::find(self.held, packet_id).is_some() {
            return Front::Repeat;
        }
        // Nothing else is received before its last part, so a place that there is now is still there then.
        let needs_place = level == Level::ExactlyOnce || self.handling_of_large() != Handling::Automatic;
        let is_refused = self.is_receive_quota_used()
            || (dup && self.is_answer_unshown(level, packet_id))
            || (needs_place && self.core.table.is_full(self.held));
        if is_refused { Front::Refused } else { Front::New }
    }

    /// Who acknowledges a large message: one that passes is the session's affair.
    fn handling_of_large(&self) -> Handling {
        if self.core.terms.oversized() == Oversized::Skipped { self.own_handling() } else { self.handling() }
    }

    /// Tells the front of a message, and the part of its payload that is here; or that it passes.
    fn tell_front<'i>(
        &mut self,
        publish: &PublishPacket<'i>,
        len: u32,
        _remaining: u32,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Processed {
        #[cfg(feature = "streaming")]
        if self.core.terms.oversized() == Oversized::InPieces {
            self.core.arriving = Arriving::Begun;
            return tell(step, CommonEvent::Message(Message { remaining: _remaining, ..Message::new(publish, None) }));
        }
        // It is told now, so that its repeat must not be, wherever it breaks off. Its last part is answered.
        if let Delivery::ExactlyOnce { packet_id, .. } = publish.delivery {
            let _held = self.core.table.insert(self.held, packet_id, Held::ReceivedBefore);
            #[cfg(feature = "durable")]
            if let Some(id) = _held {
                self.note_held(id);
            }
            self.open_one();
        }
        let PublishPacket { topic, retain, .. } = *publish;
        tell(step, CommonEvent::Skipped { topic, qos: publish.delivery.qos(), retain, len })
    }

    /// Takes what is here of a payload.
    #[inline(never)]
    pub(super) fn take_part<'i>(
        &mut self,
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        let Some((payload, remaining, delivery)) = inbox.piece() else { return Ok(Processed::Incomplete) };
        // Nobody takes the message any more, and the end of the connection says so.
        let is_dropped = self.is_leaving() && self.core.phase != Phase::Completing;
        let arrived = if remaining != 0 || is_dropped { Arrived::Silently } else { self.complete_message(&delivery)? };
        if matches!(arrived, Arrived::NotYet) {
            return Ok(Processed::Deferred);
        }
        inbox.take_piece(payload.len(), remaining);
        #[cfg(feature = "streaming")]
        {
            let is_told = self.core.arriving == Arriving::Begun && !is_dropped;
            if remaining == 0 && !is_dropped {
                self.core.arriving = Arriving::Nothing;
            }
            if is_told {
                let handle = if let Arrived::Delivered(handle) = arrived { handle } else { None };
                return Ok(tell(step, CommonEvent::MessagePart(MessagePart { payload, remaining, handle })));
            }
        }
        // Without an event there is no handler to wait for.
        self.acknowledge_received();
        Ok(if matches!(arrived, Arrived::Again) { self.tolerate_repeat(step) } else { Processed::Nothing })
    }

    /// The last part is here: the message counts.
    fn complete_message(&mut self, delivery: &Delivery) -> Result<Arrived, CloseReason> {
        #[cfg(feature = "streaming")]
        if let Arriving::Discarded(reason) = self.core.arriving {
            return self.refuse_message(delivery, reason);
        }
        self.arrive(delivery, self.handling_of_large())
    }
}

#[cfg(feature = "streaming")]
impl<'m, E: End> Engine<'m, E> {
    /// The last part is here of a message that the application does not want.
    fn refuse_message(&mut self, delivery: &Delivery, reason: ReasonCode) -> Result<Arrived, CloseReason> {
        let (level, packet_id) = match *delivery {
            Delivery::AtMostOnce => return Ok(Arrived::Silently),
            Delivery::AtLeastOnce { packet_id, .. } => (Level::AtLeastOnce, packet_id),
            Delivery::ExactlyOnce { packet_id, .. } => (Level::ExactlyOnce, packet_id),
        };
        if self.core.table.first_due(self.held).is_some() {
            return self.arrive(delivery, Handling::InTurn(reason));
        }
        if !reason.is_error() {
            return self.arrive(delivery, Handling::Automatic);
        }
        // It takes no place.
        self.open_one();
        if self.answer(first_answer(level), packet_id, reason) {
            self.close_one();
        }
        Ok(Arrived::Silently)
    }

    /// The application does not want the rest of the message that comes in parts.
    pub(crate) fn discard_message(&mut self, reason_code: ReasonCode) -> Result<(), CommandError> {
        if self.core.arriving != Arriving::Begun {
            return Err(CommandError::NothingToAnswer);
        }
        let is_v5 = self.version().is_v5();
        if is_v5 {
            // PUBREC has the same codes. [MQTT-3.4.2-1], [MQTT-3.5.2-1]
            Acknowledgement::check_code(AckType::Puback, self.version(), reason_code)?;
        }
        self.core.arriving = Arriving::Discarded(if is_v5 { reason_code } else { ReasonCode::Success });
        Ok(())
    }

    /// The connection ends: what was told of a message is of no use.
    pub(super) fn abort_arriving(&mut self) {
        self.core.arriving = match self.core.arriving {
            Arriving::Begun | Arriving::Aborted => Arriving::Aborted,
            Arriving::Nothing | Arriving::Discarded(_) => Arriving::Nothing,
        };
    }

    pub(super) fn tell_aborted<'i>(&mut self, step: &mut StepOf<'m, 'i, E>) -> bool {
        let is_aborted = self.core.arriving == Arriving::Aborted;
        if is_aborted {
            self.core.arriving = Arriving::Nothing;
            tell(step, CommonEvent::MessageAborted);
        }
        is_aborted
    }
}
