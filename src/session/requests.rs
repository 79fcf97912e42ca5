//! The client's end: SUBSCRIBE, UNSUBSCRIBE, PINGREQ as the application asks for it, and their answers.

use core::time::Duration;

use crate::engine::state::{Phase, Support};
use crate::engine::{ANSWER, Engine, Needs, Processed, Room, SHOWN, StepOf, tell};
use crate::error::{CloseReason, CommandError};
use crate::event::Event;
use crate::flow::identifiers::{self, SlotId, slot};
use crate::flow::sender::Sent;
use crate::outbox::{Label, Order, Place};
use crate::wire::{self, Layout, PacketId, PacketType, has_wildcard, shared_subscription};

use super::command::{Subscribe, Unsubscribe};
use super::connection::{Client, Kind};
use super::ping::Ping;

/// What the link of its slot says of a request besides [`SHOWN`]: its kind, what the server must support, and how many filters
/// await their codes. Even of the shortest filters no packet has more than these bits can count.
#[derive(Clone, Copy)]
struct Asked(u32);

impl Asked {
    const UNSUBSCRIBE: u32 = 1 << 30;
    const WILDCARD: u32 = 1 << 29;
    const SHARED: u32 = 1 << 28;
    const IDENTIFIER: u32 = 1 << 27;
    const FILTERS: u32 = Self::IDENTIFIER - 1;

    fn by_subscribe(subscribe: &Subscribe<'_>) -> Self {
        let mut asked = Self::filters(subscribe.subscriptions.len());
        for subscription in subscribe.subscriptions {
            if has_wildcard(subscription.filter) {
                asked |= Self::WILDCARD;
            }
            if shared_subscription(subscription.filter).is_some() {
                asked |= Self::SHARED;
            }
        }
        if subscribe.properties.subscription_identifier().is_some() {
            asked |= Self::IDENTIFIER;
        }
        Self(asked)
    }

    fn by_unsubscribe(unsubscribe: &Unsubscribe<'_>) -> Self {
        Self(Self::filters(unsubscribe.filters.len()) | Self::UNSUBSCRIBE)
    }

    fn filters(count: usize) -> u32 {
        u32::try_from(count).unwrap_or(u32::MAX) & Self::FILTERS
    }

    const fn kind(self) -> Kind {
        if self.0 & Self::UNSUBSCRIBE == 0 { Kind::Subscribe } else { Kind::Unsubscribe }
    }

    /// What of it the server does not support. (5.0: 3.2.2.3.11 to 3.2.2.3.13)
    const fn check(self, support: Support) -> Result<(), CommandError> {
        if self.0 & Self::WILDCARD != 0 && !support.wildcards() {
            return Err(CommandError::WildcardUnsupported);
        }
        if self.0 & Self::SHARED != 0 && !support.shared() {
            return Err(CommandError::SharedUnsupported);
        }
        if self.0 & Self::IDENTIFIER != 0 && !support.subscription_identifiers() {
            return Err(CommandError::SubscriptionIdentifierUnsupported);
        }
        Ok(())
    }
}

impl Engine<'_, Client> {
    pub(crate) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<PacketId, CommandError> {
        let (properties, elements) = (subscribe.properties, subscribe.subscriptions);
        let mut packet = wire::Request { packet_id: PacketId::MIN, properties, elements };
        let (room, id, packet_id) = self.begin_request(&packet, Asked::by_subscribe(subscribe))?;
        packet.packet_id = packet_id;
        self.enter_request(&packet, id, room)?;
        Ok(packet_id)
    }

    pub(crate) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<PacketId, CommandError> {
        let (properties, elements) = (unsubscribe.properties, unsubscribe.filters);
        let mut packet = wire::Request { packet_id: PacketId::MIN, properties, elements };
        let (room, id, packet_id) = self.begin_request(&packet, Asked::by_unsubscribe(unsubscribe))?;
        packet.packet_id = packet_id;
        self.enter_request(&packet, id, room)?;
        Ok(packet_id)
    }

    /// What the server supports is known once CONNACK is here; before, it is checked when CONNACK has come.
    fn begin_request(&mut self, packet: &dyn Layout, asked: Asked) -> Result<(Room, SlotId, PacketId), CommandError> {
        if self.core.phase != Phase::Connecting {
            self.check_online()?;
            asked.check(self.core.support())?;
        }
        let room = self.make_room(packet, Needs::RequestSlot)?;
        let taken = self.core.identifiers.take(self.slots, Sent::Requesting, asked.0);
        let (id, packet_id) = taken.ok_or(CommandError::Full)?;
        self.core.end.requests = self.core.end.requests.wrapping_add(1);
        Ok((room, id, packet_id))
    }

    fn enter_request(&mut self, packet: &dyn Layout, id: SlotId, room: Room) -> Result<(), CommandError> {
        self.enter(packet, Order::Immediate, Label { slot: id.get(), ..Label::default() }, room).map(|_| ())
    }

    /// A request is over: its slot is free.
    pub(super) fn end_request(&mut self, id: SlotId) -> Option<PacketId> {
        let packet_id = identifiers::packet_id(self.slots, id);
        self.core.end.requests = self.core.end.requests.wrapping_sub(1);
        self.forget(id);
        packet_id
    }

    /// Takes a request out that is next and that the server, as CONNACK says, does not take.
    // Its checks were made by the command unless that came before CONNACK.
    #[inline(never)]
    pub(super) fn vet_request<'i>(&mut self, id: SlotId, place: Place) -> Option<Event<'i>> {
        if !self.core.phase.publishes() {
            return None;
        }
        let asked = Asked(slot(self.slots, id)?.link());
        let checked = asked.check(self.core.support());
        let error = checked.and_then(|()| self.check_peer(self.store.packet(place).len())).err()?;
        self.store.remove(Order::Immediate, place);
        self.end_request(id).map(|packet_id| Event::RequestUnsendable { packet_id, error })
    }

    /// SUBACK or UNSUBACK: frees its request if it answers one.
    pub(super) fn answered(
        &mut self,
        kind: Kind,
        packet_id: PacketId,
        codes: Option<usize>,
    ) -> Result<bool, CloseReason> {
        let Some(id) = identifiers::find(self.slots, packet_id) else { return Ok(false) };
        let Some(slot) = slot(self.slots, id).filter(|slot| slot.sent() == Sent::Requesting) else { return Ok(false) };
        // What was never shown cannot have been answered.
        if slot.link() & SHOWN == 0 {
            return Ok(false);
        }
        let asked = Asked(slot.link());
        let is_counted = codes.is_none_or(|codes| u32::try_from(codes) == Ok(asked.0 & Asked::FILTERS));
        if asked.kind() != kind || !is_counted {
            return Err(CloseReason::AnswerMismatched);
        }
        self.end_request(id);
        Ok(true)
    }
}

impl<'m> Engine<'m, Client> {
    pub(crate) fn ping(&mut self) -> Result<(), CommandError> {
        self.check_online()?;
        let pingreq = PacketType::Pingreq.alone();
        self.check_peer(pingreq.len())?;
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
