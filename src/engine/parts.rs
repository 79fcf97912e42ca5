//! Messages that are larger than the inbox, received in parts.
//!
//! The payload is told as it comes in. What makes the message count, its identifier, its acknowledgement and its place among the received
//! ones, waits for the last part: a message that breaks off was never there, and the peer sends it again.

use crate::command::Oversized;
use crate::error::{CloseReason, CommandError};
use crate::event::{CommonEvent, Message, MessagePart};
use crate::flow::held::Table;
use crate::flow::sender::Level;
use crate::inbox::Unread;
use crate::wire::{AckType, Acknowledgement, Delivery, PublishPacket, ReasonCode};

use super::machine::{End, Engine, Processed, StepOf, tell};
use super::receiving::{Arrived, Handling, first_answer};
use super::state::{Arriving, Phase};

impl<'m, E: End> Engine<'m, E> {
    /// Whether a PUBLISH that is larger than the inbox is told in parts. If not, because it is a repeat or has no place, its front
    /// decides what becomes of it, as with any other.
    pub(super) fn is_taken_in_pieces(&self, delivery: &Delivery) -> bool {
        if self.core.terms.oversized() != Oversized::InPieces {
            return false;
        }
        let (level, packet_id, dup) = match *delivery {
            Delivery::AtMostOnce => return true,
            Delivery::AtLeastOnce { packet_id, dup } => (Level::AtLeastOnce, packet_id, dup),
            Delivery::ExactlyOnce { packet_id, dup } => (Level::ExactlyOnce, packet_id, dup),
        };
        let is_new = Table::find(self.held, packet_id).is_none()
            && !self.is_receive_quota_used()
            && !(dup && self.is_answer_unshown(level, packet_id));
        // Nothing else is received before its last part, so the place is still there then.
        let needs_place = level == Level::ExactlyOnce || self.handling() != Handling::Automatic;
        is_new && !(needs_place && self.core.table.is_full(self.held))
    }

    /// Tells the front of a message, and the part of its payload that is here.
    pub(super) fn take_front<'i>(
        &mut self,
        publish: &PublishPacket<'i>,
        len: u32,
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Processed {
        self.core.arriving = Arriving::Begun;
        let remaining = inbox.take_front(len, publish.delivery);
        let mut message = Message { remaining, ..Message::new(publish, None) };
        if let Some(alias) = publish.alias()
            && message.topic.is_empty()
        {
            message.topic = inbox.take_topic(alias);
        }
        tell(step, CommonEvent::Message(message))
    }

    /// Takes what is here of a payload, if that is what comes next.
    pub(super) fn take_part<'i>(
        &mut self,
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Option<Result<Processed, CloseReason>> {
        let (payload, remaining, delivery) = inbox.piece()?;
        // Nobody takes the message any more, and the end of the connection says so.
        let is_dropped = self.is_leaving() && self.core.phase != Phase::Completing;
        let handle = if remaining != 0 || is_dropped {
            None
        } else {
            match self.complete_message(&delivery) {
                Ok(Arrived::Delivered(handle)) => handle,
                Ok(Arrived::NotYet) => return Some(Ok(Processed::Deferred)),
                Ok(Arrived::Silently | Arrived::Again) => None,
                Err(cause) => return Some(Err(cause)),
            }
        };
        inbox.take_piece(payload.len(), remaining);
        let is_told = self.core.arriving == Arriving::Begun && !is_dropped;
        if remaining == 0 && !is_dropped {
            self.core.arriving = Arriving::Nothing;
        }
        Some(Ok(if is_told {
            tell(step, CommonEvent::MessagePart(MessagePart { payload, remaining, handle }))
        } else {
            Processed::Nothing
        }))
    }

    /// The last part is here: the message counts.
    fn complete_message(&mut self, delivery: &Delivery) -> Result<Arrived, CloseReason> {
        let Arriving::Discarded(reason) = self.core.arriving else {
            return self.arrive(delivery, self.handling());
        };
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
        // It is refused at once, and takes no place.
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
