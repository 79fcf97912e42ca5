//! What a session receives: messages, and what answers them.

use crate::error::{Cause, Refused};
use crate::event::{Event, Handle, Message, StrayPacket};
use crate::flow::held::{EntryId, Table, entry, entry_mut};
use crate::flow::receiver::{Arrival, Held};
use crate::flow::sender::{Level, Sent};
use crate::inbox::Unread;
use crate::wire::{
    AckType, Acknowledgement, Delivery, Packet, PacketId, Properties, Publish, ReasonCode, Role, Violation,
};

use super::command::Acknowledge;
use super::engine::{ANSWER, Engine, Owed, Phase};

/// What came of a packet.
pub(crate) enum Taken<'i> {
    Event(Event<'i>),
    /// Nothing to tell.
    Silently,
    /// It stays in the inbox for now.
    NotYet,
}

impl<'i> From<Option<Event<'i>>> for Taken<'i> {
    fn from(event: Option<Event<'i>>) -> Self {
        event.map_or(Self::Silently, Self::Event)
    }
}

impl Engine<'_> {
    /// Takes packets until one is worth an event, as long as there is room for the answer.
    pub(crate) fn receive<'i>(&mut self, mut inbox: Unread<'i>) -> Option<Event<'i>> {
        while self.listens() {
            let position = inbox.position();
            match inbox.packet(self.version(), Role::Client) {
                Ok(Some(packet)) => match self.take(packet) {
                    Ok(Taken::Event(event)) => return Some(event),
                    Ok(Taken::Silently) => {}
                    Ok(Taken::NotYet) => {
                        inbox.go_back(position);
                        // What would show that the server is alive may be behind.
                        self.core.keep_alive.heard();
                        // Nothing more could come in, and an empty buffer looks like the end of the stream.
                        if inbox.is_full() {
                            self.fail(Cause::TooManyHeld);
                        }
                        break;
                    }
                    Err(cause) => self.fail(cause),
                },
                Ok(None) => break,
                Err(violation) => self.fail(violation.into()),
            }
        }
        if self.core.phase == Phase::Draining {
            self.end(self.core.cause);
        }
        None
    }

    /// Whether the next packet is taken: its answer must have room. Once the link is gone there are no answers.
    fn listens(&self) -> bool {
        match self.core.phase {
            Phase::Connecting | Phase::Online => self.core.owed.is_none() && self.queue.has_room(ANSWER),
            Phase::Draining => true,
            _ => false,
        }
    }

    fn take<'i>(&mut self, packet: Packet<'i>) -> Result<Taken<'i>, Cause> {
        // [MQTT-3.2.0-1]
        if self.core.awaits_connack {
            return self.take_before_connack(packet);
        }
        self.check_diagnostics(&packet)?;
        match packet {
            Packet::Publish(publish) => self.take_publish(&publish),
            Packet::Acknowledgement(packet) if packet.kind == AckType::Pubrel => {
                self.take_release(packet.packet_id).map(|()| Taken::Silently)
            }
            Packet::Acknowledgement(packet) => self.acknowledged(&packet).map(Taken::from),
            Packet::Suback(packet) => {
                let known =
                    self.answered(Sent::Subscribing, packet.packet_id, Some(packet.reason_codes.iter().count()))?;
                Ok(Taken::Event(if known {
                    let (reason_codes, properties) = (packet.reason_codes, packet.properties);
                    Event::Subscribed { packet_id: packet.packet_id, reason_codes, properties }
                } else {
                    Event::Stray { packet: StrayPacket::Suback, packet_id: packet.packet_id }
                }))
            }
            Packet::Unsuback(packet) => {
                // 3.1.1 has no codes to count.
                let codes = self.version().is_v5().then(|| packet.reason_codes.iter().count());
                Ok(Taken::Event(if self.answered(Sent::Unsubscribing, packet.packet_id, codes)? {
                    let (reason_codes, properties) = (packet.reason_codes, packet.properties);
                    Event::Unsubscribed { packet_id: packet.packet_id, reason_codes, properties }
                } else {
                    Event::Stray { packet: StrayPacket::Unsuback, packet_id: packet.packet_id }
                }))
            }
            Packet::Pingresp => {
                self.core.keep_alive.answered();
                Ok(Taken::Silently)
            }
            Packet::Connack(_) => Err(Cause::ConnackRepeated),
            Packet::Auth(auth) => self.take_reauthentication(auth),
            Packet::Disconnect(disconnect) => {
                self.end(Cause::DisconnectedByPeer(disconnect.reason_code));
                Ok(Taken::Event(Event::Disconnected(disconnect)))
            }
            _ => Err(Cause::Violation(Violation::PacketNotForThisEnd)),
        }
    }

    /// Diagnostics that we did not ask for. [MQTT-3.1.2-29]
    fn check_diagnostics(&self, packet: &Packet<'_>) -> Result<(), Cause> {
        let properties = match packet {
            Packet::Acknowledgement(packet) => packet.properties,
            Packet::Suback(packet) => packet.properties,
            Packet::Unsuback(packet) => packet.properties,
            Packet::Auth(packet) => packet.properties,
            _ => Properties::EMPTY,
        };
        let talks = || properties.reason_string().is_some() || properties.user_properties().next().is_some();
        if self.core.request.undiagnosed && talks() { Err(Cause::DiagnosticsUnrequested) } else { Ok(()) }
    }

    fn take_publish<'i>(&mut self, publish: &Publish<'i>) -> Result<Taken<'i>, Cause> {
        if publish.properties.topic_alias().is_some() {
            return Err(Cause::TopicAliasTooHigh);
        }
        let (level, packet_id) = match publish.delivery {
            Delivery::AtMostOnce => return Ok(Taken::Event(Event::Message(Message::new(publish, None)))),
            Delivery::AtLeastOnce { packet_id, .. } => (Level::AtLeastOnce, packet_id),
            Delivery::ExactlyOnce { packet_id, .. } => (Level::ExactlyOnce, packet_id),
        };
        let found = Table::find(self.held, packet_id);
        let held = found.and_then(|id| entry(self.held, id)).map_or(Held::Free, |entry| entry.held);
        match held.published(level) {
            Arrival::Deliver => self.deliver(publish, level, packet_id),
            Arrival::ReceivedAgain => {
                self.answer(AckType::Pubrec, packet_id, ReasonCode::Success);
                Ok(Taken::Silently)
            }
            Arrival::HandedAgain => {
                if let Some(id) = found {
                    self.reopen(id);
                }
                Ok(Taken::Silently)
            }
            Arrival::Repeated if !self.version().is_v5() => Ok(Taken::Silently),
            Arrival::InUse if self.version().is_v5() => {
                self.answer(first_answer(level), packet_id, ReasonCode::PacketIdentifierInUse);
                Ok(Taken::Silently)
            }
            Arrival::Repeated | Arrival::InUse => Err(Cause::PacketIdentifierReused),
        }
    }

    fn deliver<'i>(&mut self, publish: &Publish<'i>, level: Level, packet_id: PacketId) -> Result<Taken<'i>, Cause> {
        self.check_receive_maximum()?;
        let held = match (self.core.acknowledge, level) {
            (Acknowledge::AfterHandling, Level::AtLeastOnce) => None,
            (Acknowledge::AfterHandling, Level::ExactlyOnce) => Some(Held::Received),
            (Acknowledge::Manually, Level::AtLeastOnce) => Some(Held::Pending),
            (Acknowledge::Manually, Level::ExactlyOnce) => Some(Held::Handed),
        };
        let id = match held.map(|held| self.core.table.insert(self.held, packet_id, held)) {
            None => None,
            Some(Some(id)) => Some(id),
            // An application that has yet to acknowledge frees a place; a PUBREL that would is behind in the stream.
            Some(None) if level == Level::AtLeastOnce && !self.version().is_v5() && self.awaits_verdict() => {
                return Ok(Taken::NotYet);
            }
            Some(None) => return Err(Cause::TooManyHeld),
        };
        self.core.receiving = self.core.receiving.saturating_add(1);
        let handle = match (self.core.acknowledge, id) {
            (Acknowledge::Manually, Some(id)) => {
                self.core.table.enqueue(self.held, id);
                entry(self.held, id).map(|entry| Handle { entry: id.get(), generation: entry.generation })
            }
            _ => {
                self.core.owed = Some(packet_id);
                self.core.owed_by = if level == Level::AtLeastOnce { Owed::Puback } else { Owed::Pubrec };
                None
            }
        };
        Ok(Taken::Event(Event::Message(Message::new(publish, handle))))
    }

    /// Whether a message is in the hands of the application.
    fn awaits_verdict(&self) -> bool {
        let first = self.core.table.first_due().and_then(|id| entry(self.held, id));
        first.is_some_and(|entry| entry.verdict().is_none())
    }

    /// A message that was handed out on an earlier connection is acknowledged on this one. A repeat takes no new place, and
    /// servers repeat what they sent under an earlier Receive Maximum, so none is refused for exceeding ours.
    fn reopen(&mut self, id: EntryId) {
        if let Some(entry) = entry_mut(self.held, id) {
            entry.held = Held::Handed;
        }
        self.core.receiving = self.core.receiving.saturating_add(1);
        self.core.table.enqueue(self.held, id);
        self.answer_judged();
    }

    /// [MQTT-3.3.4-9]
    fn check_receive_maximum(&self) -> Result<(), Cause> {
        if self.version().is_v5() && self.core.receiving >= self.core.receive_maximum {
            return Err(Cause::ReceiveMaximumExceeded);
        }
        Ok(())
    }

    /// PUBREL: the identifier is forgotten, and PUBCOMP answers in any case. [MQTT-4.3.3-11] of 5.0
    fn take_release(&mut self, packet_id: PacketId) -> Result<(), Cause> {
        let found = Table::find(self.held, packet_id).and_then(|id| Some((id, *entry(self.held, id)?)));
        let code = match found {
            Some((_, entry)) if matches!(entry.held, Held::Handed | Held::HandedBefore) => {
                return Err(Cause::AcknowledgementContradicts);
            }
            Some((id, entry)) if matches!(entry.held, Held::Received | Held::ReceivedBefore) => {
                if entry.is_counted() {
                    self.core.closing = self.core.closing.saturating_add(1);
                }
                self.core.table.remove(self.held, id);
                ReasonCode::Success
            }
            _ => ReasonCode::PacketIdentifierNotFound,
        };
        self.answer(AckType::Pubcomp, packet_id, code);
        Ok(())
    }

    /// Acknowledges what is to be acknowledged, as long as acknowledgements may leave.
    pub(crate) fn answer_owed(&mut self) {
        match self.core.phase {
            Phase::Connecting | Phase::Online | Phase::Leaving => {
                self.answer_handled();
                self.answer_judged();
            }
            _ => self.core.owed = None,
        }
    }

    /// Acknowledges the message whose event was returned by the last poll: its handler has run.
    fn answer_handled(&mut self) {
        let Some(packet_id) = self.core.owed else { return };
        let kind = match self.core.owed_by {
            Owed::Puback => AckType::Puback,
            Owed::Pubrec => AckType::Pubrec,
        };
        if !self.queue.has_room(ANSWER) {
            return;
        }
        self.answer(kind, packet_id, ReasonCode::Success);
        if kind == AckType::Puback {
            self.core.closing = self.core.closing.saturating_add(1);
        }
        self.core.owed = None;
    }

    /// Sends the acknowledgements that the application gave, in the order of their messages. [MQTT-4.6.0-2],
    /// [MQTT-4.6.0-3]
    fn answer_judged(&mut self) {
        while let Some(id) = self.core.table.first_due() {
            let Some(&due) = entry(self.held, id) else { return };
            let (Some(verdict), Some(packet_id)) = (due.verdict(), due.packet_id) else { return };
            if !self.queue.has_room(ANSWER) {
                return;
            }
            self.core.table.dequeue(self.held);
            let level = if due.held == Held::Pending { Level::AtLeastOnce } else { Level::ExactlyOnce };
            if !self.answer(first_answer(level), packet_id, verdict) {
                return;
            }
            if level == Level::ExactlyOnce && !verdict.is_error() {
                if let Some(entry) = entry_mut(self.held, id) {
                    entry.held = Held::Received;
                }
            } else {
                self.core.closing = self.core.closing.saturating_add(1);
                self.core.table.remove(self.held, id);
            }
        }
    }

    /// What the application says of a message.
    pub(crate) fn judge(&mut self, handle: Handle, reason_code: ReasonCode) -> Result<(), Refused> {
        let id = EntryId::new(handle.entry).ok_or(Refused::Dead)?;
        let version = self.version();
        let entry = entry_mut(self.held, id).ok_or(Refused::Dead)?;
        let level = match entry.held {
            Held::Pending => Level::AtLeastOnce,
            Held::Handed | Held::HandedBefore => Level::ExactlyOnce,
            Held::Free | Held::Received | Held::ReceivedBefore => return Err(Refused::Dead),
        };
        if entry.generation != handle.generation || entry.verdict().is_some() {
            return Err(Refused::Dead);
        }
        Acknowledgement::check_code(first_answer(level), version, reason_code)?;
        entry.judge(reason_code);
        Ok(())
    }
}

/// What answers a PUBLISH of this level. [MQTT-3.3.4-1]
const fn first_answer(level: Level) -> AckType {
    match level {
        Level::AtLeastOnce => AckType::Puback,
        Level::ExactlyOnce => AckType::Pubrec,
    }
}
