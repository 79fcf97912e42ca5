//! The state and memory of a session, borrowed for one call, and the end that it is. The order of work in a poll is here.

use core::fmt::Debug;
use core::hash::Hash;

use crate::aliases::TopicAliases;
use crate::control::Queue;
use crate::error::Cause;
use crate::event::{Happened, Step};
use crate::flow::held::Entry;
use crate::flow::identifiers::Slot;
use crate::flow::sender::{Counted, Sent};
use crate::inbox::{Inbox, Unread};
use crate::keepalive::Demand;
use crate::outbox::Store;
use crate::report::{Reportable, report};
use crate::time::Instant;
use crate::timer::Timer;
use crate::wire::{
    AckType, Acknowledgement, Frame, Layout, Measured, PacketId, PacketType, Properties, Property, Publish, Reader,
    ReasonCode, Role, ShortAcknowledgement, Version,
};

use super::state::{Authentication, Core, Phase};

/// What differs between the two ends. Everything else is written once, for both.
pub(crate) trait End: Copy + Eq + Hash + Debug {
    /// All zero bits.
    const NEW: Self;
    /// This end, and the other one.
    const ROLE: Role;
    const PEER: Role;
    /// Why a connection ends that never comes about.
    const NO_BEGINNING: Cause;
    /// Why a connection ends on which nothing comes in any more.
    const SILENCE: Cause;
    /// Whether what was never sent is of use to the next session.
    const QUEUE_OUTLIVES_SESSION: bool;

    type Event<'i>: From<Happened<'i>> + Reportable;

    /// The protocol level of the connection, or else of the session.
    fn level(core: &Core<Self>) -> u8;

    /// The next packet in an inbox if all of it is here.
    fn next<'i>(engine: &mut Engine<'_, Self>, inbox: &Unread<'i>) -> Result<Option<Frame<'i>>, Cause>;

    /// What comes of a packet that only this end receives, or that begins the connection.
    fn take<'m, 'i>(
        engine: &mut Engine<'m, Self>,
        packet_type: PacketType,
        body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Self>,
    ) -> Result<Taken, Cause>;

    /// Whether CONNACK is still to come or to be given.
    fn is_beginning(engine: &Engine<'_, Self>) -> bool;

    /// What this end does not want to be told with an answer.
    fn check_diagnostics(engine: &Engine<'_, Self>, properties: &Properties<'_>) -> Result<(), Cause>;

    /// What this end does not take of what it receives.
    fn check_publish(engine: &Engine<'_, Self>, publish: &Publish<'_>) -> Result<(), Cause>;

    /// Bytes of the queue are written.
    fn queue_written(_: &mut Engine<'_, Self>) {}

    /// Answers what the application left unanswered.
    fn answer_neglected(engine: &mut Engine<'_, Self>);

    /// Tells something else, if there is anything.
    fn report<'m, 'i>(engine: &mut Engine<'m, Self>, step: &mut StepOf<'m, 'i, Self>) -> bool;

    /// A message that was in flight when the session was lost has become a new one, where that is done.
    fn republished<'i>(_lost: PacketId, _packet_id: PacketId) -> Option<Self::Event<'i>> {
        None
    }

    /// The peer is at fault before the connection has begun. `false`: there is nothing special to do.
    fn refuse(engine: &mut Engine<'_, Self>, cause: Cause) -> bool;

    /// The connection is over.
    fn ended(engine: &mut Engine<'_, Self>);

    /// What is left of this end when it is compared: places and orders without a meaning left out.
    fn facts(self) -> Self;
}

/// What a poll of this end answers. Whatever has something to tell is given the place where it goes: events are large, and
/// would be moved by each function that they are returned through.
pub(crate) type StepOf<'m, 'i, E> = Step<'m, <E as End>::Event<'i>>;

/// What came of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An event, which is the step now.
    Told,
    /// Nothing to tell.
    Silently,
    /// It stays in the inbox for now.
    NotYet,
    /// Not all of it is here.
    InPart,
}

/// Of a request, says in the link of its slot that it was shown; the rest is the number of its filters.
pub(crate) const SHOWN: u32 = 1 << 31;

/// The longest acknowledgement of ours.
pub(crate) const ANSWER: usize = ShortAcknowledgement::LONGEST;

/// A session for the time of one call.
#[derive(Debug)]
pub(crate) struct Engine<'m, E> {
    pub(crate) core: &'m mut Core<E>,
    pub(crate) store: Store<'m>,
    pub(crate) queue: Queue<'m>,
    pub(crate) slots: &'m mut [Slot],
    pub(crate) held: &'m mut [Entry],
}

impl<'m, E: End> Engine<'m, E> {
    /// Received packets first, as long as their answers fit; then what time demands; then what is to be written.
    // On its own, so that the frame of the application that calls it stays small.
    #[inline(never)]
    pub(crate) fn poll<'i>(mut self, inbox: &'i mut Inbox, now: Instant, step: &mut StepOf<'m, 'i, E>) {
        self.elapse(now);
        if inbox.take_news() {
            self.core.keep_alive.stirred();
        }
        E::answer_neglected(&mut self);
        self.answer_owed();
        let told = self.report(step) || (inbox.is_worth_a_look() && self.receive(inbox, step));
        if !told {
            self.act(step);
        }
        if let Step::Event(_event) = step {
            report!(debug, "{:?}", _event);
        }
    }

    /// What is to be done once nothing more is received.
    fn act<'i>(mut self, step: &mut StepOf<'m, 'i, E>) {
        if self.core.phase == Phase::Draining {
            self.end(self.core.cause);
        }
        let mut pause = self.core.pause();
        if pause == 0 || self.core.retry_interval != 0 {
            self.meet_deadlines();
            pause = self.core.pause();
        }
        if !self.is_quiet() {
            if self.vet(step) {
                return;
            }
            self.prepare();
            // Where both are being written, the queue holds the head of what the store holds.
            if self.queue.control.is_writing() {
                *step = Step::Transmit(self.queue.into_shown());
                return;
            }
            if self.store.outbox.is_writing() {
                *step = Step::Transmit(self.store.into_shown());
                return;
            }
        }
        if !self.report(step) {
            *step = match self.core.phase {
                Phase::Reporting => self.close(),
                Phase::Offline => Step::Close(self.core.cause),
                _ => Step::Wait(self.core.after(pause)),
            };
        }
    }

    /// Whether nothing is shown, and there is nothing that could be. So it is in most polls.
    fn is_quiet(&self) -> bool {
        self.core.phase == Phase::Online
            && self.queue.control.is_empty()
            && !self.store.outbox.is_waiting()
            && !self.store.outbox.is_writing()
            && self.core.next_release.is_none()
    }

    /// The bytes that were shown last and are written by now.
    pub(crate) fn transmitted(&mut self, len: usize) {
        if len == 0 || !self.is_writing() {
            return;
        }
        self.core.keep_alive.sent();
        if self.queue.control.is_writing() {
            self.queue.written(len);
            E::queue_written(self);
        } else {
            self.store.written(len);
        }
        if !self.is_writing() {
            self.relieve();
        }
    }

    /// Whether a packet is half written, or may be.
    pub(super) fn is_writing(&self) -> bool {
        self.queue.control.is_writing() || self.store.outbox.is_writing()
    }

    fn close<'i>(&mut self) -> Step<'m, E::Event<'i>> {
        self.core.phase = Phase::Offline;
        if matches!(self.core.cause, Cause::Disconnected | Cause::DisconnectedByPeer(ReasonCode::Success)) {
            report!(info, "the connection is over: {:?}", self.core.cause);
        } else {
            report!(warn, "the connection is over: {:?}", self.core.cause);
        }
        Step::Close(self.core.cause)
    }

    /// Time that goes backwards changes nothing.
    fn elapse(&mut self, now: Instant) {
        let millis = now.millis_since(self.core.now);
        // Most polls follow within the same millisecond.
        if millis != 0 {
            let millis = u32::try_from(millis).unwrap_or(u32::MAX);
            self.core.now = now;
            self.core.keep_alive.elapse(millis);
            self.core.deadline.elapse(millis);
        }
        self.core.deadline.begin();
        if Version::LATEST.is_v5() && self.core.unstamped != 0 {
            self.stamp();
        }
    }

    /// What time demands of the connection.
    #[inline(never)]
    fn meet_deadlines(&mut self) {
        if self.core.deadline.is_over() {
            match self.core.phase {
                Phase::Connecting => self.end(E::NO_BEGINNING),
                Phase::Leaving | Phase::Failing | Phase::Parting => self.end(self.core.cause),
                _ => {}
            }
        }
        if self.core.phase != Phase::Online {
            return;
        }
        match self.core.keep_alive.demand() {
            Demand::Ask if self.queue.has_room(ANSWER) && !self.is_writing() => {
                self.core.keep_alive.asked();
                self.push_encoded(&PacketType::Pingreq.alone());
            }
            Demand::Ask => self.core.keep_alive.stalled(),
            Demand::GiveUp => return self.fail(E::SILENCE),
            Demand::Nothing => {}
        }
        if !self.retries() {
            self.core.deadline = Timer::OFF;
        } else if self.core.deadline.is_off() {
            self.begin_retry_interval();
        } else if self.core.deadline.is_over() {
            self.retry();
        }
    }

    /// Shows what is to be written next, if nothing is shown already.
    fn prepare(&mut self) {
        if self.is_writing() {
            return;
        }
        if matches!(self.core.phase, Phase::Online | Phase::Leaving) {
            self.release_again();
        }
        match self.core.phase {
            Phase::Leaving if self.queue.control.is_empty() && self.eligible().is_none() => {
                self.queue.release_farewell();
                self.core.phase = Phase::Parting;
            }
            Phase::Failing => self.say_farewell(),
            _ => {}
        }
        if self.core.phase == Phase::Parting && self.queue.control.is_empty() {
            self.end(self.core.cause);
        }
        if !self.queue.control.is_empty() {
            self.core.receiving = self.core.receiving.saturating_sub(core::mem::take(&mut self.core.closing));
            self.queue.show();
            report!(trace, "sends {:?}", self.queued_packets());
        } else if let Some((order, place)) = self.eligible() {
            self.show(order, place);
            report!(trace, "sends {:?}", self.stored_packet(place));
        }
    }

    /// What is shown of the queue, to be reported.
    #[cfg(any(feature = "defmt", feature = "log"))]
    pub(crate) fn queued_packets(&self) -> crate::report::Packets<'_> {
        self.packets(self.queue.control.unwritten(self.queue.bytes))
    }

    /// What is shown of the store, to be reported; without the topic alias that it may leave with.
    #[cfg(any(feature = "defmt", feature = "log"))]
    fn stored_packet(&self, place: crate::outbox::Place) -> crate::report::Packets<'_> {
        self.packets(self.store.records().packet(place))
    }

    #[cfg(any(feature = "defmt", feature = "log"))]
    fn packets<'p>(&self, bytes: &'p [u8]) -> crate::report::Packets<'p> {
        crate::report::Packets { version: self.version(), to: E::PEER, bytes }
    }

    /// Whether all that is unanswered is to be sent again after a time. (3.1.1, an option)
    fn retries(&self) -> bool {
        self.core.retry_interval != 0
            && self.core.phase == Phase::Online
            && !self.version().is_v5()
            && self.core.identifiers.taken() != 0
    }

    fn begin_retry_interval(&mut self) {
        self.core.deadline = Timer::set(self.core.retry_interval);
        self.core.deadline.begin();
    }

    /// Sends again what is unanswered, in order.
    fn retry(&mut self) {
        self.begin_retry_interval();
        if self.store.outbox.is_writing() {
            return;
        }
        for slot in self.slots.iter_mut() {
            if let Sent::Published(level) = slot.sent() {
                slot.set_sent(Sent::Resend(level));
            }
        }
        self.store.carry_over();
        self.core.next_release = self.core.releases.first(self.slots);
        // PUBRELs that are still to be answered free their quota then.
        let open = self.slots.iter().filter(|slot| slot.sent() == Sent::Released(Counted::Here)).count();
        self.core.quota = self.core.limits.receive_maximum.saturating_sub(u16::try_from(open).unwrap_or(u16::MAX));
    }

    /// CONNACK has come or is given: everything may flow. A connection that is drained after its loss stays lost.
    pub(crate) fn go_online(&mut self) {
        self.core.quota = self.core.limits.receive_maximum;
        self.core.deadline = Timer::OFF;
        if self.core.authentication != Authentication::Without {
            self.core.authentication = Authentication::Settled;
        }
        if self.core.phase == Phase::Connecting {
            self.core.phase = Phase::Online;
        }
    }

    /// How many received messages there are places for.
    pub(crate) fn places(&self) -> u16 {
        u16::try_from(self.held.len()).unwrap_or(u16::MAX)
    }

    /// The version of the connection.
    pub(crate) fn version(&self) -> Version {
        Version::nearest(E::level(self.core))
    }

    /// Queues an answer. There is room for it, or the packet that it answers would not have been taken; a connection that
    /// is gone gets none. `false`: the server does not take it, and the connection ends.
    pub(crate) fn answer(&mut self, kind: AckType, packet_id: PacketId, reason_code: ReasonCode) -> bool {
        if self.core.phase == Phase::Draining {
            return true;
        }
        let code = if self.version().is_v5() { reason_code } else { ReasonCode::Success };
        let packet = Acknowledgement::shortest(kind, packet_id, code);
        let fits = self.push_encoded(packet.bytes());
        if !fits {
            self.fail(Cause::MaximumPacketSizeTooSmall);
        }
        fits
    }

    /// Queues an encoded packet that has room; `false` if the peer does not take it.
    pub(crate) fn push_encoded(&mut self, packet: &[u8]) -> bool {
        !self.is_oversize(packet.len()) && self.queue.push_encoded(packet)
    }

    /// Queues a packet that has room; `false` if the peer does not take it.
    pub(crate) fn push(&mut self, packet: &dyn Layout) -> bool {
        match Measured::new(packet, self.version(), E::PEER) {
            Ok(measured) => !self.is_oversize(measured.len()) && self.queue.push(&measured),
            Err(_) => false,
        }
    }

    /// Whether the server does not take a packet of `len` bytes on this connection. [MQTT-3.2.2-15]
    pub(crate) fn is_oversize(&self, len: usize) -> bool {
        let limit = self.core.limits.packet_size;
        limit != 0 && u32::try_from(len).map_or(true, |len| len > limit)
    }

    /// A message lives from its acceptance on, which is told the time by the poll that follows.
    #[inline(never)]
    fn stamp(&mut self) {
        let count = core::mem::take(&mut self.core.unstamped);
        self.store.stamp(count, self.core.now.after_millis(999).second());
    }
}

/// A packet that came, told to the loggers.
pub(crate) fn received<T: Reportable>(packet: T) -> T {
    report!(trace, "received {:?}", packet);
    packet
}

/// Puts what happened where the step goes.
// Part of its caller, so that an event is made where it goes.
#[inline(always)]
pub(crate) fn tell<T>(step: &mut Step<'_, T>, event: impl Into<T>) -> Taken {
    *step = Step::Event(event.into());
    Taken::Told
}

/// What each end says of itself in CONNECT and CONNACK: how much it takes. (5.0)
pub(crate) struct Announcement {
    properties: [Property<'static>; 3],
    said: usize,
}

impl Announcement {
    pub(crate) fn new(version: Version, capacity: usize, aliases: TopicAliases, receive_maximum: u16) -> Self {
        let packet_size = u32::try_from(capacity).unwrap_or(u32::MAX).max(1);
        let properties = [
            Property::ReceiveMaximum(receive_maximum),
            Property::MaximumPacketSize(packet_size),
            Property::TopicAliasMaximum(aliases.maximum),
        ];
        let said = match (version.is_v5(), aliases.is_empty()) {
            (false, _) => 0,
            (true, true) => 2,
            (true, false) => 3,
        };
        Self { properties, said }
    }

    pub(crate) fn properties(&self) -> &[Property<'static>] {
        self.properties.get(..self.said).unwrap_or_default()
    }
}

/// Whether a property is one of those.
pub(crate) const fn is_announced(property: &Property<'_>) -> bool {
    matches!(property, Property::ReceiveMaximum(_) | Property::MaximumPacketSize(_) | Property::TopicAliasMaximum(_))
}
