//! What a session receives: messages, and what answers them.

use crate::command::Acknowledge;
use crate::control::DISCONNECT_RESERVE;
use crate::error::{CloseReason, CommandError};
use crate::event::{CommonEvent, Handle, Message};
use crate::flow::held::{Entry, EntryId, Table, entry, entry_mut};
use crate::flow::receiver::{Arrival, Held};
use crate::flow::sender::Level;
use crate::inbox::{Inbox, Unread};
use crate::report::report;
use crate::wire::{
    AckType, Acknowledgement, Delivery, Measured, PacketId, PacketType, Properties, PublishPacket, Reader, ReasonCode,
    Version, Violation,
};

use super::machine::{ANSWER, End, Engine, Processed, StepOf, received, tell};
use super::state::{PendingAnswer, Phase, Tolerated};

/// Who acknowledges a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    /// The session, once the application has seen it.
    Automatic,
    /// The application.
    Manual,
    /// The session, in its turn behind those of the application, with this code.
    InTurn(ReasonCode),
}

/// What becomes of a message.
pub(super) enum Arrived {
    /// It is handed out; the application acknowledges it by this handle, or not at all.
    Delivered(Option<Handle>),
    /// It was here before, or nobody can take it any more.
    Silently,
    /// It came a second time on this connection, and what is said of the first one answers both.
    Again,
    /// It stays in the inbox for now.
    NotYet,
}

impl<'m, E: End> Engine<'m, E> {
    /// Takes packets until one is worth an event, as long as there is room for the answer. Tells whether one was.
    // A frame of its own where stack is dear; on larger machines it is the call that would be.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn receive<'i>(&mut self, inbox: &'i mut Inbox, step: &mut StepOf<'m, 'i, E>) -> bool {
        let mut inbox = inbox.split();
        // That the inbox is worth a look was found before.
        while self.listens() {
            let position = inbox.position();
            let taken = self.take_next(&mut inbox, step);
            // What waits in the inbox is not heard again and again.
            if !matches!(taken, Ok(Processed::Deferred | Processed::Incomplete)) {
                self.core.keep_alive.heard();
            }
            match taken {
                Ok(Processed::Event) => return true,
                Ok(Processed::Nothing) => {}
                Ok(Processed::Incomplete) => return false,
                Ok(Processed::Deferred) => {
                    report!(trace, "it stays in the inbox until there is room");
                    inbox.go_back(position);
                    self.wait_for_room(&inbox);
                    return false;
                }
                Err(_) if self.is_leaving() => {
                    // The end is near anyway. Behind the fault nothing is read.
                    if self.core.phase == Phase::Completing {
                        self.complete(CloseReason::DisconnectedIncomplete);
                    }
                    inbox.go_back(position);
                    return false;
                }
                Err(cause) => self.fail(cause),
            }
            if !inbox.is_worth_a_look() {
                break;
            }
        }
        false
    }

    /// Whether the next packet is taken: its answer must have room. Once the link is gone, and behind a DISCONNECT, there are no
    /// answers.
    fn listens(&self) -> bool {
        match self.core.phase {
            Phase::Connecting | Phase::Awaiting | Phase::Online | Phase::Completing | Phase::Leaving => {
                self.core.pending_answer.is_none() && self.queue.has_room(ANSWER)
            }
            Phase::Parting => self.is_leaving(),
            Phase::Draining | Phase::Settling => true,
            _ => false,
        }
    }

    /// The packet in front is not looked at again before all of it is here. Of a CONNECT only its version says what its
    /// header may be, so that is looked at with each piece.
    fn wait_for_rest(&self, inbox: &mut Unread<'_>) {
        if !E::is_beginning(self) {
            inbox.wait_for_rest();
        }
    }

    /// A packet stays in the inbox until something frees what it needs.
    fn wait_for_room(&mut self, inbox: &Unread<'_>) {
        // A peer that does not take what is written has its time; one that the application keeps waiting has not.
        if self.is_writing() || !self.queue.control.is_empty() {
            return;
        }
        // What would show that the peer is alive may be behind.
        self.core.keep_alive.heard();
        // Nothing more could come in, and an empty buffer looks like the end of the stream.
        if inbox.is_full() {
            self.fail(CloseReason::TooManyHeld);
        }
    }

    fn take_next<'i>(
        &mut self,
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        if inbox.is_in_pieces() {
            return self.take_part(inbox, step);
        }
        match E::next(self, inbox) {
            Ok(Some(frame)) => {
                inbox.pass(&frame);
                if frame.packet_type == PacketType::Publish && !E::is_beginning(self) {
                    if self.is_leaving() && self.core.phase != Phase::Completing {
                        return Ok(Processed::Nothing);
                    }
                    self.take_publish(frame.first_byte, frame.body.rest(), inbox, step)
                } else {
                    self.take(frame.packet_type, frame.body.rest(), step)
                }
            }
            Ok(None) => {
                self.wait_for_rest(inbox);
                Ok(Processed::Incomplete)
            }
            Err(CloseReason::Violation(Violation::PacketTooLarge)) if self.takes_large() => {
                self.take_large(inbox, step)
            }
            Err(cause) => Err(cause),
        }
    }

    // Most polls find nothing else, and should not pay for what would be done with it. Its arguments have room in registers: a
    // frame that goes through memory is read there in other pieces than it was written in, which costs more than the rest.
    #[inline(never)]
    fn take<'i>(
        &mut self,
        packet_type: PacketType,
        body: &'i [u8],
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        let mut reader = Reader::new(self.version(), E::ROLE, body);
        match AckType::of(packet_type) {
            Some(kind) if !E::is_beginning(self) => {
                let packet = Acknowledgement::read(kind, &mut reader);
                reader.end()?;
                received(&packet);
                E::check_diagnostics(self, &packet.properties)?;
                if kind == AckType::Pubrel {
                    return self.take_release(packet.packet_id);
                }
                let taken = self.acknowledged(&packet, step)?;
                let is_refusal = Version::LATEST.is_v5() && kind == AckType::Pubrec && packet.reason_code.is_error();
                if is_refusal && Acknowledgement::is_code_foreign(body) {
                    self.core.news.set_tolerated(Tolerated::PubrecCode);
                }
                Ok(taken)
            }
            _ if self.is_leaving() && !self.is_awaited(packet_type) => Ok(Processed::Nothing),
            _ => E::take(self, packet_type, reader, step),
        }
    }

    /// Whether a packet still matters that is neither a PUBLISH nor one of its acknowledgements, although the application wants to
    /// disconnect.
    fn is_awaited(&self, packet_type: PacketType) -> bool {
        let goes_on = matches!(packet_type, PacketType::Pingreq | PacketType::Pingresp | PacketType::Disconnect);
        (goes_on && self.core.phase == Phase::Completing) || E::is_awaited(self, packet_type)
    }

    /// Whether a message of this identifier is known, so that its exchange may go on.
    fn is_repeat(&self, packet_id: Option<PacketId>) -> bool {
        packet_id.is_some_and(|packet_id| Table::find(self.held, packet_id).is_some())
    }

    // As with `receive`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn take_publish<'i>(
        &mut self,
        first_byte: u8,
        body: &'i [u8],
        inbox: &mut Unread<'i>,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Result<Processed, CloseReason> {
        let publish = received(PublishPacket::read(first_byte, Reader::new(self.version(), E::ROLE, body))?);
        let alias = publish.alias();
        if let Some(alias) = alias {
            inbox.map_topic(alias, publish.topic)?;
        }
        E::check_publish(self, &publish)?;
        if self.core.phase == Phase::Completing && !self.is_repeat(publish.delivery.packet_id()) {
            return Ok(Processed::Nothing);
        }
        let handle = match self.arrive(&publish.delivery, self.handling())? {
            Arrived::Delivered(handle) => handle,
            Arrived::Silently => return Ok(Processed::Nothing),
            Arrived::Again => return Ok(self.tolerate_repeat(step)),
            Arrived::NotYet => return Ok(Processed::Deferred),
        };
        let mut message = Message::new(&publish, handle);
        if let Some(alias) = alias
            && message.topic.is_empty()
        {
            message.topic = inbox.take_topic(alias);
        }
        Ok(tell(step, CommonEvent::Message(message)))
    }

    /// How a message is acknowledged.
    pub(super) fn handling(&self) -> Handling {
        if self.core.terms.acknowledgement() == Acknowledge::Manually { Handling::Manual } else { self.own_handling() }
    }

    /// How a message is acknowledged that the session acknowledges itself. The application may still have others, also of an
    /// earlier connection on which that was its task. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    pub(super) fn own_handling(&self) -> Handling {
        if self.core.table.first_due(self.held).is_some() {
            Handling::InTurn(ReasonCode::Success)
        } else {
            Handling::Automatic
        }
    }

    /// What becomes of a message that is delivered so.
    pub(super) fn arrive(&mut self, delivery: &Delivery, handling: Handling) -> Result<Arrived, CloseReason> {
        match *delivery {
            Delivery::AtMostOnce => Ok(Arrived::Delivered(None)),
            Delivery::AtLeastOnce { packet_id, dup } => self.admit(Level::AtLeastOnce, packet_id, dup, handling),
            Delivery::ExactlyOnce { packet_id, dup } => self.admit(Level::ExactlyOnce, packet_id, dup, handling),
        }
    }

    /// Whether a message was acknowledged, and nobody has seen that yet: then its identifier is not free for the peer.
    pub(super) fn is_answer_unshown(&self, level: Level, packet_id: PacketId) -> bool {
        self.queue.has_unshown(first_answer(level).packet_type().first_byte(), packet_id)
    }

    /// Tells that a message came again on the same connection, which 3.1.1 allows. Senders do it that have waited too long for
    /// the application; if the connection ended, they would wait again on the next one. [MQTT-4.4.0-1] of 5.0
    pub(super) fn tolerate_repeat<'i>(&self, step: &mut StepOf<'m, 'i, E>) -> Processed {
        if !self.version().is_v5() {
            return Processed::Nothing;
        }
        tell(step, CommonEvent::Tolerated(CloseReason::PacketIdentifierReused))
    }

    /// What becomes of a message that is acknowledged.
    // As with `receive`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn admit(
        &mut self,
        level: Level,
        packet_id: PacketId,
        dup: bool,
        handling: Handling,
    ) -> Result<Arrived, CloseReason> {
        let found = Table::find(self.held, packet_id);
        let held = found.and_then(|id| entry(self.held, id)).map_or(Held::Free, Entry::held);
        match held.published(level) {
            Arrival::Deliver => {
                let is_too_much = self.is_receive_quota_used();
                // Only what may be a repeat is searched for.
                if (dup || is_too_much) && self.is_answer_unshown(level, packet_id) {
                    return Ok(Arrived::Again);
                }
                if is_too_much {
                    return Err(CloseReason::ReceiveMaximumExceeded);
                }
                self.deliver(level, packet_id, handling)
            }
            Arrival::ReceivedAgain => {
                self.answer(AckType::Pubrec, packet_id, ReasonCode::Success);
                Ok(Arrived::Silently)
            }
            Arrival::ReceivedBefore => {
                if let Some(id) = found {
                    self.receive_again(id, packet_id);
                }
                Ok(Arrived::Silently)
            }
            Arrival::HandedAgain => {
                if let Some(id) = found {
                    self.reopen(id);
                }
                Ok(Arrived::Silently)
            }
            Arrival::Repeated => Ok(Arrived::Again),
            Arrival::InUse if self.version().is_v5() => {
                self.answer(first_answer(level), packet_id, ReasonCode::PacketIdentifierInUse);
                Ok(Arrived::Silently)
            }
            Arrival::InUse => {
                // The peer has given the exchange up; if we did not, it would end every connection from now on.
                if let (Held::Received | Held::ReceivedBefore | Held::HandedBefore, Some(id)) = (held, found) {
                    self.core.table.remove(self.held, id);
                    #[cfg(feature = "durable")]
                    self.note_held(id);
                }
                Err(CloseReason::PacketIdentifierReused)
            }
        }
    }

    fn deliver(&mut self, level: Level, packet_id: PacketId, handling: Handling) -> Result<Arrived, CloseReason> {
        let held = match (handling, level) {
            (Handling::Automatic, Level::AtLeastOnce) => None,
            (Handling::Automatic, Level::ExactlyOnce) => Some(Held::Received),
            (Handling::Manual | Handling::InTurn(_), Level::AtLeastOnce) => Some(Held::Pending),
            (Handling::Manual | Handling::InTurn(_), Level::ExactlyOnce) => Some(Held::Handed),
        };
        let id = match held.map(|held| self.core.table.insert(self.held, packet_id, held)) {
            None => None,
            Some(Some(id)) => Some(id),
            // An application that has yet to acknowledge frees a place; a PUBREL that would is behind in the stream.
            Some(None) if level == Level::AtLeastOnce && self.awaits_acknowledgement() => {
                // Once the link is gone nothing gets a place any more, and the peer sends it again. What is behind it counts.
                let is_gone = self.core.phase == Phase::Draining;
                return Ok(if is_gone { Arrived::Silently } else { Arrived::NotYet });
            }
            Some(None) => return Err(CloseReason::TooManyHeld),
        };
        self.open_one();
        let handle = match (handling, id) {
            (Handling::Manual | Handling::InTurn(_), Some(id)) => {
                self.core.table.enqueue(self.held, id);
                entry_mut(self.held, id).and_then(|entry| match handling {
                    Handling::InTurn(reason) => {
                        entry.set_reason(reason);
                        None
                    }
                    _ => Some(Handle { packet_id, entry: id.get(), generation: entry.generation }),
                })
            }
            _ => {
                self.core.pending_answer = Some(packet_id);
                self.core.pending_answer_type =
                    if level == Level::AtLeastOnce { PendingAnswer::Puback } else { PendingAnswer::Pubrec };
                None
            }
        };
        #[cfg(feature = "durable")]
        if let Some(id) = id {
            self.note_held(id);
        }
        Ok(Arrived::Delivered(handle))
    }

    /// Whether a message is in the hands of the application.
    fn awaits_acknowledgement(&self) -> bool {
        let first = self.core.table.first_due(self.held).and_then(|id| entry(self.held, id));
        first.is_some_and(|entry| entry.reason().is_none())
    }

    /// A message that was handed out on an earlier connection is acknowledged on this one. A repeat takes no new place, and
    /// servers repeat what they sent under an earlier Receive Maximum, so none is refused for exceeding ours.
    fn reopen(&mut self, id: EntryId) {
        if let Some(entry) = entry_mut(self.held, id) {
            entry.set_held(Held::Handed);
        }
        self.open_one();
        self.core.table.enqueue(self.held, id);
        self.answer_acknowledged();
    }

    /// A message for which PUBREC was sent on an earlier connection is answered again, behind those that the application has
    /// yet to acknowledge: one of them may have come before it, and be here again because its refusal was lost.
    /// [MQTT-4.6.0-3]
    fn receive_again(&mut self, id: EntryId, packet_id: PacketId) {
        let is_next = self.core.table.first_due(self.held).is_none();
        let Some(entry) = entry_mut(self.held, id) else { return };
        if is_next {
            entry.set_held(Held::Received);
            self.answer(AckType::Pubrec, packet_id, ReasonCode::Success);
        } else {
            entry.set_held(Held::Handed);
            entry.set_reason(ReasonCode::Success);
            self.core.table.enqueue(self.held, id);
        }
    }

    /// A received message takes quota, which 3.1.1 does not have.
    pub(super) fn open_one(&mut self) {
        if Version::LATEST.is_v5() {
            self.core.receive_quota = self.core.receive_quota.saturating_sub(1);
        }
    }

    /// A received message ends with what is queued last, and gives its quota back.
    pub(super) fn close_one(&mut self) {
        if Version::LATEST.is_v5() {
            self.core.closing = self.core.closing.saturating_add(1);
        }
    }

    /// Whether the peer may send no other message now. [MQTT-3.3.4-9]
    pub(super) fn is_receive_quota_used(&self) -> bool {
        self.version().is_v5() && self.core.receive_quota == 0
    }

    /// PUBREL: the identifier is forgotten, and PUBCOMP answers in any case. [MQTT-4.3.3-11] of 5.0
    ///
    /// An identifier that is not known is answered by 0x92 on a resumed session, too, where it mostly means that PUBCOMP was lost:
    /// 5.0 calls that no error there. Success would say of a message that may never have come that it is complete. A sender that
    /// takes the answer for a failed publish, as mqtt.js does, errs in its own log alone: the exchange is over on both ends.
    ///
    /// PUBCOMP raises the quota of the peer also where the message does not count on this connection. If messages were under way
    /// then, it may have more of them under way than we announced. (5.0: 4.9)
    fn take_release(&mut self, packet_id: PacketId) -> Result<Processed, CloseReason> {
        let found = Table::find(self.held, packet_id).and_then(|id| Some((id, *entry(self.held, id)?)));
        let code = match found {
            Some((_, entry)) if matches!(entry.held(), Held::Handed | Held::HandedBefore) => {
                return Err(CloseReason::UnexpectedAcknowledgement);
            }
            Some((id, entry)) if matches!(entry.held(), Held::Received | Held::ReceivedBefore) => {
                self.core.table.remove(self.held, id);
                #[cfg(feature = "durable")]
                self.note_held(id);
                ReasonCode::Success
            }
            _ => ReasonCode::PacketIdentifierNotFound,
        };
        self.close_one();
        self.answer(AckType::Pubcomp, packet_id, code);
        Ok(Processed::Nothing)
    }

    /// Acknowledges what is to be acknowledged, as long as acknowledgements may leave.
    pub(crate) fn acknowledge_received(&mut self) {
        match self.core.phase {
            Phase::Connecting | Phase::Online | Phase::Completing | Phase::Leaving => {
                self.answer_handled();
                self.answer_acknowledged();
            }
            _ => self.core.pending_answer = None,
        }
    }

    /// Acknowledges the message whose event was returned by the last poll: its handler has run.
    fn answer_handled(&mut self) {
        let Some(packet_id) = self.core.pending_answer else { return };
        let kind = match self.core.pending_answer_type {
            PendingAnswer::Puback => AckType::Puback,
            PendingAnswer::Pubrec => AckType::Pubrec,
        };
        if !self.queue.has_room(ANSWER) {
            return;
        }
        self.answer(kind, packet_id, ReasonCode::Success);
        if kind == AckType::Puback {
            self.close_one();
        }
        self.core.pending_answer = None;
    }

    /// Sends the acknowledgements that the application gave, in the order of their messages. [MQTT-4.6.0-2],
    /// [MQTT-4.6.0-3]
    fn answer_acknowledged(&mut self) {
        while let Some(id) = self.core.table.first_due(self.held) {
            if !self.answer_due(id) {
                return;
            }
        }
    }

    /// Sends the acknowledgement that is next, if it was given and may leave.
    #[inline(never)]
    fn answer_due(&mut self, id: EntryId) -> bool {
        let Some(&due) = entry(self.held, id) else { return false };
        let (Some(reason), Some(packet_id)) = (due.reason(), due.packet_id) else { return false };
        if !self.queue.has_room(ANSWER) {
            return false;
        }
        self.core.table.dequeue(self.held);
        let level = level_of(&due);
        if !self.answer(first_answer(level), packet_id, reason) {
            return false;
        }
        self.answered_due(id, level, reason);
        true
    }

    /// What becomes of a message whose acknowledgement was due, and is queued.
    fn answered_due(&mut self, id: EntryId, level: Level, reason: ReasonCode) {
        if level == Level::ExactlyOnce && !reason.is_error() {
            if let Some(entry) = entry_mut(self.held, id) {
                entry.set_held(Held::Received);
            }
        } else {
            self.close_one();
            self.core.table.remove(self.held, id);
        }
        #[cfg(feature = "durable")]
        self.note_held_if_new(id);
    }

    /// What the application says of a message.
    pub(crate) fn acknowledge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), CommandError> {
        let (id, level) = self.check_handle(handle)?;
        Acknowledgement::check_code(first_answer(level), self.version(), reason_code)?;
        if let Some(entry) = entry_mut(self.held, id) {
            entry.set_reason(reason_code);
        }
        #[cfg(feature = "durable")]
        self.note_held(id);
        Ok(())
    }

    /// The same, with properties. They have no place to wait in, so the acknowledgement is queued at once: it must be the next one.
    /// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    pub(crate) fn acknowledge_with(
        &mut self,
        handle: Handle,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), CommandError> {
        let properties = E::diagnostics(self, properties);
        if properties.is_empty() {
            return self.acknowledge(handle, reason_code);
        }
        let (id, level) = self.check_handle(handle)?;
        let kind = first_answer(level);
        Acknowledgement::check_code(kind, self.version(), reason_code)?;
        let packet = Acknowledgement { kind, packet_id: handle.packet_id, reason_code, properties };
        let measured = Measured::new(&packet, self.version(), E::PEER)?;
        if !self.core.phase.publishes() {
            return Err(CommandError::Offline);
        }
        // [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2], [MQTT-3.5.2-3]
        self.check_peer(measured.len())?;
        self.queue.check_size(measured.len(), DISCONNECT_RESERVE)?;
        let ahead = self.answers_ahead(id).ok_or(CommandError::NotNext)?;
        let needed = measured.len().saturating_add(ahead).saturating_add(E::reserved(self));
        if !self.queue.has_room(needed) {
            self.wait_for_space();
            return Err(CommandError::Full);
        }
        self.answer_acknowledged();
        self.queue.push(&measured);
        self.core.table.dequeue(self.held);
        self.answered_due(id, level, reason_code);
        Ok(())
    }

    /// How many bytes the acknowledgements take, at most, that leave before this one. `None`: one of them was not yet given, or this
    /// one is not due.
    fn answers_ahead(&self, id: EntryId) -> Option<usize> {
        let mut ahead = 0_usize;
        for next in self.core.table.due(self.held) {
            if next == id {
                return Some(ahead);
            }
            entry(self.held, next)?.reason()?;
            ahead = ahead.saturating_add(ANSWER);
        }
        None
    }

    /// The message that a handle stands for, if it is still to be acknowledged.
    fn check_handle(&self, handle: Handle) -> Result<(EntryId, Level), CommandError> {
        let id = EntryId::new(handle.entry).ok_or(CommandError::StaleHandle)?;
        let entry = entry(self.held, id).ok_or(CommandError::StaleHandle)?;
        let is_handed_out = matches!(entry.held(), Held::Pending | Held::Handed | Held::HandedBefore);
        // Generations go around soon, and peers use many identifiers: together they tell old handles from new ones.
        let is_same = entry.generation == handle.generation && entry.packet_id == Some(handle.packet_id);
        if !is_handed_out || !is_same || entry.reason().is_some() {
            return Err(CommandError::StaleHandle);
        }
        Ok((id, level_of(entry)))
    }
}

/// The QoS of a message that the application acknowledges.
fn level_of(entry: &Entry) -> Level {
    if entry.held() == Held::Pending { Level::AtLeastOnce } else { Level::ExactlyOnce }
}

/// What answers a PUBLISH of this level. [MQTT-3.3.4-1]
pub(super) const fn first_answer(level: Level) -> AckType {
    match level {
        Level::AtLeastOnce => AckType::Puback,
        Level::ExactlyOnce => AckType::Pubrec,
    }
}
