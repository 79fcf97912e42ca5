//! The state and memory of a session, borrowed for one call, and the end that it is. The order of work in a poll is here.

use core::fmt::Debug;
use core::hash::Hash;

use crate::control::{DISCONNECT_RESERVE, Queue};
use crate::error::{CloseReason, CommandError, SizeLimit};
use crate::event::{CommonEvent, Step};
use crate::flow::held::Entry;
use crate::flow::identifiers::{Slot, SlotId};
use crate::inbox::{Inbox, Unread};
use crate::outbox::{Lifetime, Place, Store};
use crate::report::{Reportable, report};
use crate::time::Instant;
use crate::timer::Timer;
use crate::wire::{
    AckType, Acknowledgement, Frame, Layout, Measured, PacketId, PacketType, Properties, PublishPacket, Reader,
    ReasonCode, Role, ShortAcknowledgement, Version,
};

use super::state::{Authentication, Core, Met, Overdue, Phase, SessionLoss, Turn};

/// What differs between the two ends. Everything else is written once, for both.
pub(crate) trait End: Copy + Eq + Hash + Debug {
    /// All zero bits.
    const NEW: Self;
    /// This end, and the other one.
    const ROLE: Role;
    const PEER: Role;
    /// Why a connection ends that never comes about.
    const NO_BEGINNING: CloseReason;
    /// Why a connection ends on which nothing comes in any more.
    const SILENCE: CloseReason;
    /// Whether what was never sent is of use to the next session.
    const QUEUE_OUTLIVES_SESSION: bool;

    type Event<'i>: From<CommonEvent<'i>> + Reportable;

    /// The protocol level of the connection, or else of the session.
    fn level(core: &Core<Self>) -> u8;

    /// The next packet in an inbox if all of it is here.
    fn next<'i>(engine: &mut Engine<'_, Self>, inbox: &Unread<'i>) -> Result<Option<Frame<'i>>, CloseReason>;

    /// What comes of a packet that only this end receives, or that begins the connection.
    fn take<'m, 'i>(
        engine: &mut Engine<'m, Self>,
        packet_type: PacketType,
        body: Reader<'i>,
        step: &mut StepOf<'m, 'i, Self>,
    ) -> Result<Processed, CloseReason>;

    /// Whether a packet that is neither a PUBLISH nor one of its acknowledgements still matters once the application wants to
    /// disconnect.
    fn is_awaited(engine: &Engine<'_, Self>, packet_type: PacketType) -> bool;

    /// Whether CONNACK is still to come or to be given.
    fn is_beginning(engine: &Engine<'_, Self>) -> bool;

    /// What this end does not want to be told with an answer.
    fn check_diagnostics(engine: &Engine<'_, Self>, properties: &Properties<'_>) -> Result<(), CloseReason>;

    /// Of the properties of an answer, those that the peer wants to have. [MQTT-3.1.2-29]
    fn diagnostics<'p>(_: &Engine<'_, Self>, properties: Properties<'p>) -> Properties<'p> {
        properties
    }

    /// How many bytes of the queue an answer needs that the application is still to give.
    fn reserved(_: &Engine<'_, Self>) -> usize {
        0
    }

    /// What this end does not take of what it receives.
    fn check_publish(engine: &Engine<'_, Self>, publish: &PublishPacket<'_>) -> Result<(), CloseReason>;

    /// How long a packet may be that is larger than the inbox; 0: of any length.
    fn packet_limit(engine: &Engine<'_, Self>, inbox: &Unread<'_>) -> u32;

    /// Bytes of the queue are written.
    fn queue_written(_: &mut Engine<'_, Self>) {}

    /// Answers what the application left unanswered.
    fn answer_neglected(engine: &mut Engine<'_, Self>);

    /// Whether there is something else to tell.
    fn has_report(_core: &Core<Self>) -> bool {
        false
    }

    /// Tells it.
    fn report<'m, 'i>(_engine: &mut Engine<'m, Self>, _step: &mut StepOf<'m, 'i, Self>) -> bool {
        false
    }

    /// A message that was in flight when the session was lost has become a new one, where that is done.
    fn republished<'i>(_lost: PacketId, _packet_id: PacketId) -> Option<Self::Event<'i>> {
        None
    }

    /// How many slots messages leave to requests.
    fn kept_slots(_core: &Core<Self>, _slots: usize) -> usize {
        0
    }

    /// A request was lost with its connection.
    fn lose_request<'i>(_engine: &mut Engine<'_, Self>, _id: SlotId) -> Option<Self::Event<'i>> {
        None
    }

    /// A request that is next must not be sent on this connection.
    fn vet_request<'i>(_engine: &mut Engine<'_, Self>, _id: SlotId, _place: Place) -> Option<Self::Event<'i>> {
        None
    }

    /// The peer is at fault before the connection has begun. `false`: there is nothing special to do.
    fn refuse(engine: &mut Engine<'_, Self>, cause: CloseReason) -> bool;

    /// The connection is over.
    fn ended(engine: &mut Engine<'_, Self>);

    /// How many seconds the session waits for its client, at the server's end.
    #[cfg(feature = "durable")]
    fn expiry(_core: &Core<Self>) -> u32 {
        0
    }

    /// The session was restored, and has waited since `now` at the longest.
    #[cfg(feature = "durable")]
    fn restored(_core: &mut Core<Self>, _expiry: u32, _now: Instant) {}

    /// The clock was set back by so many milliseconds.
    fn set_back(&mut self, _millis: u64) {}

    /// How many messages of QoS 0 were dropped since that was told last; 255: at least so many.
    fn dropped(&mut self) -> &mut u8;

    /// What is left of this end when it is compared: places and orders without a meaning left out.
    fn comparable(core: &Core<Self>) -> Self;
}

/// What a poll of this end answers. Whatever has something to tell is given the place where it goes: events are large, and
/// would be moved by each function that they are returned through.
pub(crate) type StepOf<'m, 'i, E> = Step<'m, <E as End>::Event<'i>>;

/// What came of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processed {
    /// An event, which is the step now.
    Event,
    /// Nothing to tell.
    Nothing,
    /// It stays in the inbox for now.
    Deferred,
    /// Not all of it is here.
    Incomplete,
}

/// Of a request, says in the link of its slot that it was shown; the rest is what it asks for.
pub(crate) const SHOWN: u32 = 1 << 31;

/// The longest acknowledgement of ours.
pub(crate) const ANSWER: usize = ShortAcknowledgement::LONGEST;

/// The fewest bytes that a queue of answers can do with: one of them, and a DISCONNECT. With fewer nothing would be received.
pub(crate) const SHORTEST: usize = ANSWER + DISCONNECT_RESERVE;

/// A session for the time of one call.
#[derive(Debug)]
pub(crate) struct Engine<'m, E> {
    pub(crate) core: &'m mut Core<E>,
    pub(crate) store: Store<'m>,
    pub(crate) queue: Queue<'m>,
    pub(crate) slots: &'m mut [Slot],
    pub(crate) held: &'m mut [Entry],
    /// What of the session is in the store of the application, if it has one.
    #[cfg(feature = "durable")]
    pub(crate) journal: Option<crate::journal::Journal<'m>>,
}

impl<'m, E: End> Engine<'m, E> {
    /// Received packets first, as long as their answers fit; then what time demands; then what is to be written.
    // On its own, so that the frame of the application that calls it stays small.
    #[inline(never)]
    pub(crate) fn poll<'i>(mut self, inbox: &'i mut Inbox, now: Instant, step: &mut StepOf<'m, 'i, E>) {
        if let Some(pause) = self.advance(inbox, now, step) {
            self.act(step, pause);
        }
        if let Step::Event(_event) = step {
            report!(debug, "{:?}", _event);
        }
    }

    /// All that comes before something is shown. `None`: the step is taken. Otherwise the milliseconds until time demands something.
    #[inline(always)]
    pub(crate) fn advance<'i>(
        &mut self,
        inbox: &'i mut Inbox,
        now: Instant,
        step: &mut StepOf<'m, 'i, E>,
    ) -> Option<u32> {
        self.elapse(now);
        if Version::LATEST.is_v5()
            && self.core.expiry.is_over()
            && self.core.news.session_loss() == SessionLoss::Nothing
        {
            self.expire();
        }
        let has_space = inbox.has_space();
        if inbox.take_news() {
            self.core.keep_alive.stirred();
            // There may be more.
            if self.core.overdue == Overdue::Reading {
                self.core.overdue = Overdue::Written;
            }
        }
        E::answer_neglected(self);
        self.acknowledge_received();
        let told = self.report(step) || (inbox.is_worth_a_look() && self.receive(inbox, step));
        if told { None } else { self.meet(step, has_space) }
    }

    /// What time demands once nothing more is received. `None`: the step is taken.
    #[inline(always)]
    fn meet<'i>(&mut self, step: &mut StepOf<'m, 'i, E>, has_space: bool) -> Option<u32> {
        if matches!(self.core.phase, Phase::Draining | Phase::Settling) {
            self.end(self.core.cause);
        }
        let mut pause = self.core.pause(self.store.outbox);
        if pause == 0 || self.retry_interval() != 0 || self.core.overdue != Overdue::No {
            if self.meet_deadlines(has_space) == Met::NotRead {
                *step = Step::Wait(Some(self.core.now));
                return None;
            }
            pause = self.core.pause(self.store.outbox);
        }
        if !self.core.untold.is_empty() && self.tell_outcome(step) { None } else { Some(pause) }
    }

    /// What is to be shown, or waited for.
    #[inline(always)]
    pub(crate) fn act<'i>(mut self, step: &mut StepOf<'m, 'i, E>, pause: u32) {
        if self.show_next(step, pause) == Acted::Shows {
            // Where both are being written, the queue holds the head of what the store holds.
            let is_queued = self.queue.control.is_writing();
            *step = Step::Transmit(if is_queued { self.queue.into_shown() } else { self.store.into_shown() });
        }
    }

    fn show_next<'i>(&mut self, step: &mut StepOf<'m, 'i, E>, mut pause: u32) -> Acted {
        if self.is_quiet() {
            self.core.turn = Turn::Queue;
        } else {
            if self.retry_interval() != 0 {
                // As long as it is being written, nobody can answer it.
                if let Some(place) = self.store.outbox.written_now() {
                    self.note_shown(place);
                }
                self.pass_young();
                pause = self.core.pause(self.store.outbox);
            }
            if Version::LATEST.is_v5() && self.vet(step) {
                return Acted::Tells;
            }
            self.prepare();
            if self.is_writing() {
                #[cfg(feature = "streaming")]
                if let Some(place) = self.store.outbox.awaits_piece().filter(|_| !self.queue.control.is_writing()) {
                    return self.await_piece(place, pause, step);
                }
                return Acted::Shows;
            }
        }
        if !self.report(step) {
            *step = match self.core.phase {
                Phase::Reporting => self.close(),
                Phase::Offline => Step::Close(self.core.cause),
                _ => Step::Wait(self.core.after(pause)),
            };
        }
        Acted::Tells
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
        if self.queue.control.is_writing() {
            self.queue.written(len);
            if Version::LATEST.is_v5() && !self.queue.control.is_writing() && self.store.outbox.is_elsewhere() {
                self.store.stop_writing();
            }
            // What is stored by now is not kept waiting by what is queued meanwhile.
            let is_over = !self.queue.control.is_writing() && self.core.turn == Turn::Queue;
            if is_over && self.store.outbox.is_waiting() {
                self.core.turn = Turn::Store;
            }
            E::queue_written(self);
        } else {
            self.store.written(len);
        }
        match self.core.phase {
            phase if phase.is_watched() => self.core.keep_alive.sent(self.queue.control.is_empty()),
            // The application has said how long all of it may take.
            Phase::Awaiting => {}
            phase => self.core.deadline.restart(self.limit(phase)),
        }
        if !self.is_writing() {
            self.space_freed();
        }
    }

    /// Whether a packet is half written, or may be.
    pub(super) fn is_writing(&self) -> bool {
        self.queue.control.is_writing() || self.store.outbox.is_writing()
    }

    fn close<'i>(&mut self) -> Step<'m, E::Event<'i>> {
        self.core.phase = Phase::Offline;
        if self.core.cause.is_disconnected() || self.core.cause == CloseReason::DisconnectedByPeer(ReasonCode::Success)
        {
            report!(info, "the connection is over: {:?}", self.core.cause);
        } else {
            report!(warn, "the connection is over: {:?}", self.core.cause);
        }
        Step::Close(self.core.cause)
    }

    /// How many seconds a phase may take that has an end.
    pub(crate) fn limit(&self, phase: Phase) -> u8 {
        if phase == Phase::Connecting { self.core.keep_alive.response_timeout() } else { self.core.disconnect_timeout }
    }

    /// Shows what is to be written next, if nothing is shown already.
    fn prepare(&mut self) {
        if self.is_writing() {
            return;
        }
        if self.core.phase.publishes() {
            self.release_again();
        }
        if self.core.phase == Phase::Completing {
            self.complete_if_over();
        }
        match self.core.phase {
            Phase::Leaving if self.queue.control.is_empty() && self.eligible().is_none() => self.part(),
            Phase::Failing => self.send_disconnect(),
            _ => {}
        }
        if self.core.phase == Phase::Parting && self.queue.control.is_empty() {
            self.end(self.core.cause);
        }
        let is_queued = !self.queue.control.is_empty();
        if is_queued && self.core.turn != Turn::Store {
            self.show_queue();
        } else if let Some((order, place)) = self.eligible() {
            self.core.turn = Turn::Queue;
            self.show(order, place);
            report!(trace, "sends {:?}", self.stored_packet(place));
        } else if is_queued {
            self.show_queue();
        }
    }

    fn show_queue(&mut self) {
        self.core.turn = Turn::Queue;
        self.close_received();
        self.queue.show();
        report!(trace, "sends {:?}", self.queued_packets());
    }

    /// Of the received messages, those end that are acknowledged by what is queued, which is about to be shown.
    pub(super) fn close_received(&mut self) {
        if Version::LATEST.is_v5() {
            let closing = core::mem::take(&mut self.core.closing);
            self.core.receive_quota = self.core.receive_quota.saturating_add(closing);
        }
    }

    /// What is shown of the queue, to be reported.
    #[cfg(any(feature = "defmt", feature = "log"))]
    pub(crate) fn queued_packets(&self) -> crate::report::Packets<'_> {
        self.packets(self.queue.control.unwritten(self.queue.bytes))
    }

    /// What is shown of the store, to be reported; without the topic alias that it may leave with.
    #[cfg(any(feature = "defmt", feature = "log"))]
    pub(crate) fn stored_packet(&self, place: Place) -> crate::report::Packets<'_> {
        self.packets(self.store.packet(place))
    }

    #[cfg(any(feature = "defmt", feature = "log"))]
    fn packets<'p>(&self, bytes: &'p [u8]) -> crate::report::Packets<'p> {
        crate::report::Packets { version: self.version(), to: E::PEER, bytes }
    }

    /// After how many seconds what is unanswered is sent again; 0: not at all. (3.1.1, an option of clients)
    pub(super) fn retry_interval(&self) -> u8 {
        let may_be = E::ROLE == Role::Client && !Version::OLDEST.is_v5();
        if may_be { self.core.retry_interval } else { 0 }
    }

    /// Notes that a packet of QoS 1 or 2 is shown now, where it is sent again after a time.
    pub(super) fn note_shown(&mut self, place: Place) {
        if self.retry_interval() != 0 {
            self.store.set_lifetime(place, Lifetime::shown(self.core.now.millisecond()));
        }
    }

    /// CONNACK has come or is given: everything may flow. A connection that is drained after its loss stays lost.
    pub(crate) fn go_online(&mut self) {
        self.core.quota = self.core.limits.receive_maximum;
        // Nothing leaves before CONNACK. [MQTT-3.2.0-1]
        self.core.turn = Turn::Queue;
        if self.core.news.authentication() != Authentication::Without {
            self.core.news.set_authentication(Authentication::Settled);
        }
        if self.core.phase == Phase::Connecting {
            self.core.phase = Phase::Online;
            self.core.deadline = Timer::OFF;
        } else if self.core.phase == Phase::Awaiting {
            self.core.phase = Phase::Completing;
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
    /// is gone gets none, and nothing follows a DISCONNECT. `false`: the server does not take it, and the connection ends.
    pub(crate) fn answer(&mut self, kind: AckType, packet_id: PacketId, reason_code: ReasonCode) -> bool {
        if matches!(self.core.phase, Phase::Parting | Phase::Draining | Phase::Settling) {
            return true;
        }
        let code = if self.version().is_v5() { reason_code } else { ReasonCode::Success };
        let packet = Acknowledgement::shortest(kind, packet_id, code);
        let fits = self.push_encoded(packet.bytes());
        if !fits {
            // Only 5.0 has such a limit.
            self.fail_behind_answers(CloseReason::MaximumPacketSizeTooSmall);
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
        // In 3.1.1 there is no limit.
        let limit = if Version::LATEST.is_v5() { self.core.limits.packet_size } else { 0 };
        limit != 0 && u32::try_from(len).map_or(true, |len| len > limit)
    }

    /// Refuses a packet of `len` bytes that the peer does not take.
    pub(crate) fn check_peer(&self, len: usize) -> Result<(), CommandError> {
        if self.is_oversize(len) {
            let limit = usize::try_from(self.core.limits.packet_size).unwrap_or(usize::MAX);
            return Err(CommandError::too_large(SizeLimit::Peer, len, limit));
        }
        Ok(())
    }
}

/// What the step is where nothing was received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Acted {
    /// It is told.
    Tells,
    /// What is shown is to be transmitted.
    Shows,
}

/// A packet that came, told to the loggers.
pub(crate) fn received<T: Reportable>(packet: T) -> T {
    report!(trace, "received {:?}", packet);
    packet
}

/// Puts what happened where the step goes.
// Part of its caller, so that an event is made where it goes.
#[inline(always)]
pub(crate) fn tell<H, T: From<H>>(step: &mut Step<'_, T>, event: H) -> Processed {
    // Not `into`, which would be a call.
    *step = Step::Event(T::from(event));
    Processed::Event
}
