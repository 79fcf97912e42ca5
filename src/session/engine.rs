//! A session taken apart: its state and memory, borrowed for one call. The order of work in a poll is here.

use crate::control::Queue;
use crate::error::Cause;
use crate::event::{Event, Outcome, Step};
use crate::flow::held::{Entry, Table};
use crate::flow::identifiers::{self, Identifiers, Slot, SlotId, slot, slot_mut};
use crate::flow::releases::Releases;
use crate::flow::sender::{Level, Sent};
use crate::inbox::Inbox;
use crate::keepalive::{Demand, KeepAlive};
use crate::outbox::{Order, Place, Store};
use crate::time::Instant;
use crate::timer::Timer;
use crate::wire::{AckType, Acknowledgement, Measured, Packet, PacketId, Properties, QoS, ReasonCode, Role, Version};

use super::command::{Acknowledge, LostSession};

/// All that a session is besides its arrays; all zero bits at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Core {
    pub(crate) now: Instant,
    pub(crate) keep_alive: KeepAlive,
    /// When the phase must be over or, online, when all that is unanswered is sent again.
    pub(crate) deadline: Timer,
    pub(crate) limits: Limits,
    /// The client identifier that the session belongs to, and the authentication method of the connection, as hashes.
    pub(crate) client: u32,
    pub(crate) method: u32,
    pub(crate) identifiers: Identifiers,
    pub(crate) releases: Releases,
    /// The next PUBREL of an earlier connection that is to be sent again.
    pub(crate) next_release: Option<SlotId>,
    /// The requests that were lost with the connection, chained by their links.
    pub(crate) lost_requests: Option<SlotId>,
    pub(crate) table: Table,
    /// How many packets were stored since the last poll, from the first one on that may expire.
    pub(crate) unstamped: u16,
    /// How many PUBLISHes of QoS 1 and 2 may be shown. (5.0: 4.9)
    pub(crate) quota: u16,
    /// How many received messages are open on this connection, how many we allowed, and how many of them will be closed
    /// by what is queued. (5.0: 3.3.4)
    pub(crate) receiving: u16,
    pub(crate) receive_maximum: u16,
    pub(crate) closing: u16,
    pub(crate) retry_interval: u16,
    pub(crate) farewell: u16,
    /// The message that was handed out last, if the session is to acknowledge it.
    pub(crate) owed: Option<PacketId>,
    pub(crate) owed_by: Owed,
    pub(crate) phase: Phase,
    pub(crate) cause: Cause,
    pub(crate) life: Life,
    pub(crate) losing: Losing,
    pub(crate) starved: Starved,
    pub(crate) authentication: Authentication,
    pub(crate) request: Request,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) lost_session: LostSession,
    /// The protocol level; 0: never connected.
    pub(crate) level: u8,
    /// Whether CONNACK is still to come.
    pub(crate) awaits_connack: bool,
}

impl Core {
    /// All zero bits.
    pub(crate) const NEW: Self = Self {
        now: Instant::from_millis(0),
        keep_alive: KeepAlive::OFF,
        deadline: Timer::OFF,
        unstamped: 0,
        limits: Limits::NONE,
        client: 0,
        method: 0,
        identifiers: Identifiers::NEW,
        releases: Releases::NEW,
        next_release: None,
        lost_requests: None,
        table: Table::NEW,
        quota: 0,
        receiving: 0,
        receive_maximum: 0,
        closing: 0,
        retry_interval: 0,
        farewell: 0,
        owed: None,
        owed_by: Owed::Puback,
        phase: Phase::Offline,
        cause: Cause::NotConnected,
        life: Life::None,
        losing: Losing::Nothing,
        starved: Starved::No,
        authentication: Authentication::Without,
        request: Request::NONE,
        acknowledge: Acknowledge::AfterHandling,
        lost_session: LostSession::AsTheStandardSays,
        level: 0,
        awaits_connack: false,
    };
}

impl Core {
    /// The next instant at which time demands something.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let keep_alive = match self.keep_alive.demand() {
            Demand::Nothing(left) => left,
            Demand::Ask | Demand::GiveUp => Some(0),
        };
        let left = [keep_alive, self.deadline.left()].into_iter().flatten().min()?;
        Some(self.now.after_millis(left.into()))
    }
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Phase {
    /// There is none; its cause is told.
    #[default]
    Offline,
    /// CONNECT is on its way, CONNACK awaited.
    Connecting,
    /// CONNACK has come.
    Online,
    /// The application wants to disconnect: what needs no answer leaves first.
    Leaving,
    /// The peer is at fault: nothing but a farewell leaves.
    Failing,
    /// The last packet is being written.
    Parting,
    /// The transport is gone; whole packets are still taken.
    Draining,
    /// The connection is over; outcomes are told.
    Reporting,
}

/// How long the session lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Life {
    /// There is none.
    #[default]
    None,
    /// As long as its connection.
    UntilClose,
    /// The server may have begun one: CONNECT asked for it, CONNACK never came.
    Sought,
    /// Longer than its connection.
    Kept,
}

/// Whether what was in flight is being reported as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Losing {
    #[default]
    Nothing,
    InFlight,
    /// What may be published anew is; the rest is reported.
    Republishing,
}

/// Whether a command was refused for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Starved {
    #[default]
    No,
    Yes,
    /// And something has become free since.
    Relieved,
}

/// What answers the message that was handed out last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Owed {
    #[default]
    Puback,
    Pubrec,
}

/// Where the enhanced authentication stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Authentication {
    /// There is none.
    #[default]
    Without,
    /// There is a method, and no exchange is going on.
    Settled,
    /// An exchange is going on, and it is the server's turn.
    Awaited,
    /// An exchange is going on, and it is our turn.
    Due,
}

/// What CONNECT asked for, as far as an answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) clean_start: bool,
    pub(crate) nameless: bool,
    /// Session Expiry Interval above 0; in 3.1.1 Clean Session 0.
    pub(crate) lasting: bool,
    /// Request Problem Information 0.
    pub(crate) undiagnosed: bool,
}

impl Request {
    const NONE: Self = Self { clean_start: false, nameless: false, lasting: false, undiagnosed: false };
}

/// What the server allows on this connection. [MQTT-3.2.2-9] and on
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    /// 0: no limit.
    pub(crate) packet_size: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_qos: QoS,
    pub(crate) retain: bool,
    pub(crate) wildcards: bool,
    pub(crate) subscription_identifiers: bool,
    pub(crate) shared: bool,
}

impl Limits {
    pub(crate) const NONE: Self = Self {
        packet_size: 0,
        receive_maximum: 0,
        maximum_qos: QoS::AtMostOnce,
        retain: false,
        wildcards: false,
        subscription_identifiers: false,
        shared: false,
    };
}

/// The longest acknowledgement: with a reason code, and nothing else.
pub(crate) const ANSWER: usize = 5;

/// A session for the time of one call.
#[derive(Debug)]
pub(crate) struct Engine<'m> {
    pub(crate) core: &'m mut Core,
    pub(crate) store: Store<'m>,
    pub(crate) queue: Queue<'m>,
    pub(crate) slots: &'m mut [Slot],
    pub(crate) held: &'m mut [Entry],
}

impl<'m> Engine<'m> {
    /// Received packets first, as long as their answers fit; then what time demands; then what is to be written.
    pub(crate) fn poll<'i>(mut self, inbox: &'i mut Inbox, now: Instant) -> Step<'m, 'i> {
        self.elapse(now);
        if inbox.take_news() {
            self.core.keep_alive.heard();
        }
        self.answer_owed();
        if let Some(event) = self.report() {
            return Step::Event(event);
        }
        if let Some(event) = self.receive(inbox.split()) {
            return Step::Event(event);
        }
        self.meet_deadlines();
        if let Some(event) = self.vet() {
            return Step::Event(event);
        }
        self.prepare();
        if self.core.phase == Phase::Reporting {
            return match self.report() {
                Some(event) => Step::Event(event),
                None => self.close(),
            };
        }
        if self.core.phase == Phase::Offline {
            return Step::Close(self.core.cause);
        }
        if self.store.outbox.is_writing() {
            return Step::Transmit(self.store.into_shown());
        }
        if self.queue.control.is_writing() {
            return Step::Transmit(self.queue.into_shown());
        }
        Step::Wait(self.core.next_deadline())
    }

    /// The bytes that were shown last and are written by now.
    pub(crate) fn transmitted(&mut self, len: usize) {
        let stores = self.store.outbox.is_writing();
        if len == 0 || !(stores || self.queue.control.is_writing()) {
            return;
        }
        self.core.keep_alive.sent();
        if stores {
            self.store.written(len);
        } else {
            self.queue.written(len);
        }
        let is_whole = !(self.store.outbox.is_writing() || self.queue.control.is_writing());
        if is_whole {
            self.relieve();
        }
    }

    fn close(&mut self) -> Step<'m, 'static> {
        self.core.phase = Phase::Offline;
        Step::Close(self.core.cause)
    }

    /// Time that goes backwards changes nothing.
    fn elapse(&mut self, now: Instant) {
        let millis = u32::try_from(now.millis_since(self.core.now)).unwrap_or(u32::MAX);
        self.core.now = self.core.now.max(now);
        self.core.keep_alive.elapse(millis);
        self.core.deadline.elapse(millis);
        self.stamp();
    }

    /// What time demands of the connection.
    fn meet_deadlines(&mut self) {
        if self.core.deadline.is_over() {
            match self.core.phase {
                Phase::Connecting => self.end(Cause::ConnackTimeout),
                Phase::Leaving | Phase::Failing | Phase::Parting => self.end(self.core.cause),
                _ => {}
            }
        }
        if self.core.phase != Phase::Online {
            return;
        }
        match self.core.keep_alive.demand() {
            Demand::Ask if self.queue.has_room(ANSWER) => {
                self.core.keep_alive.asked();
                self.push(&Packet::Pingreq);
            }
            Demand::Ask => self.core.keep_alive.stalled(),
            Demand::GiveUp => self.end(Cause::PingTimeout),
            Demand::Nothing(_) => {}
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
        if self.store.outbox.is_writing() || self.queue.control.is_writing() {
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
            Phase::Parting if self.queue.control.is_empty() => self.end(self.core.cause),
            _ => {}
        }
        if !self.queue.control.is_empty() {
            self.core.receiving = self.core.receiving.saturating_sub(core::mem::take(&mut self.core.closing));
            self.queue.show();
        } else if let Some((order, place)) = self.eligible() {
            self.show(order, place);
        }
    }

    /// One outcome that is decided, if there is one.
    pub(crate) fn report(&mut self) -> Option<Event<'static>> {
        if let Some(id) = self.core.lost_requests {
            let next = slot(self.slots, id).map_or(0, |slot| slot.link);
            self.core.lost_requests = u16::try_from(next).ok().and_then(SlotId::new);
            let packet_id = identifiers::packet_id(self.slots, id)?;
            self.free(id);
            return Some(Event::RequestLost { packet_id });
        }
        if self.core.losing != Losing::Nothing {
            let event = self.lose();
            if event.is_some() {
                return event;
            }
            self.core.losing = Losing::Nothing;
            self.store.rewind();
        }
        if self.core.starved == Starved::Relieved {
            self.core.starved = Starved::No;
            return Some(Event::Writable);
        }
        None
    }

    /// One exchange of a session that is gone.
    fn lose(&mut self) -> Option<Event<'static>> {
        if let Some(id) = self.core.releases.first() {
            return self.finish(id, Outcome::LostUnconfirmed, Properties::EMPTY);
        }
        let (place, id, level) = self.next_resend()?;
        if self.core.losing == Losing::InFlight {
            return self.finish(id, Outcome::Lost, Properties::EMPTY);
        }
        let lost = identifiers::packet_id(self.slots, id)?;
        let packet_id = Identifiers::renew(self.slots, id)?;
        slot_mut(self.slots, id)?.sent = Sent::Queued(level);
        self.store.renew(place, packet_id);
        Some(Event::Republished { lost, packet_id })
    }

    /// The first PUBLISH that was in flight. Those in front of it were published anew before a cut.
    fn next_resend(&mut self) -> Option<(Place, SlotId, Level)> {
        let mut next = self.store.outbox.next(Order::Acknowledged);
        while let Some(place) = next {
            let id = SlotId::new(self.store.label(place).slot)?;
            if let Sent::Resend(level) = slot(self.slots, id)?.sent {
                return Some((place, id, level));
            }
            next = self.store.after(place);
        }
        None
    }

    /// Notes that something has become free.
    pub(crate) const fn relieve(&mut self) {
        if matches!(self.core.starved, Starved::Yes) {
            self.core.starved = Starved::Relieved;
        }
    }

    /// The connection is over. One pass over the tables, no more per connection.
    pub(crate) fn end(&mut self, cause: Cause) {
        self.core.cause = cause;
        self.core.phase = Phase::Reporting;
        self.core.deadline = Timer::OFF;
        self.core.keep_alive = KeepAlive::OFF;
        self.core.owed = None;
        self.core.closing = 0;
        self.core.receiving = 0;
        self.core.authentication = Authentication::Without;
        self.core.limits = Limits::NONE;
        self.core.quota = 0;
        if self.core.awaits_connack && self.core.request.lasting && self.core.life == Life::None {
            self.core.life = Life::Sought;
        }
        self.queue.clear();
        self.store.carry_over();
        self.drop_requests();
        self.carry_over();
        self.core.table.carry_over(self.held);
        self.core.next_release = self.core.releases.first();
        self.relieve();
        if self.core.life == Life::UntilClose {
            self.lose_session(Losing::InFlight);
            self.core.life = Life::None;
        }
    }

    /// The session is gone, on whichever end: what was in flight will be reported, what was held is forgotten.
    pub(crate) fn lose_session(&mut self, losing: Losing) {
        self.core.losing = losing;
        self.core.table.clear(self.held);
    }

    /// Each exchange as it stands after the loss of a connection.
    fn carry_over(&mut self) {
        // Those of an earlier connection that were not told yet are found again.
        self.core.lost_requests = None;
        for id in (1..=u16::MAX).map_while(SlotId::new).take(self.slots.len()) {
            let Some(slot) = slot_mut(self.slots, id) else { return };
            if matches!(slot.sent, Sent::Subscribing | Sent::Unsubscribing) {
                slot.link = self.core.lost_requests.map_or(0, SlotId::get).into();
                self.core.lost_requests = Some(id);
            } else {
                slot.sent = slot.sent.carried_over();
            }
        }
    }

    /// SUBSCRIBE and UNSUBSCRIBE are no session state, not even unsent.
    fn drop_requests(&mut self) {
        let mut next = self.store.outbox.first(Order::Immediate);
        while let Some(place) = next {
            next = self.store.after(place);
            if self.store.label(place).slot != 0 {
                self.store.remove(Order::Immediate, place);
            }
        }
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
        self.core.deadline.elapse(0);
    }

    /// Sends again what is unanswered, in order.
    fn retry(&mut self) {
        if self.store.outbox.is_writing() {
            return;
        }
        self.begin_retry_interval();
        for slot in self.slots.iter_mut() {
            if let Sent::Published(level) = slot.sent {
                slot.sent = Sent::Resend(level);
            }
        }
        self.store.carry_over();
        self.core.next_release = self.core.releases.first();
        self.core.quota = self.core.limits.receive_maximum;
    }

    /// The version of the connection.
    pub(crate) fn version(&self) -> Version {
        Version::of_level(self.core.level).unwrap_or(Version::LATEST)
    }

    /// Queues an answer. There is room for it, or the packet that it answers would not have been taken; a connection that
    /// is gone gets none. `false`: the server does not take it, and the connection ends.
    pub(crate) fn answer(&mut self, kind: AckType, packet_id: PacketId, reason_code: ReasonCode) -> bool {
        if self.core.phase == Phase::Draining {
            return true;
        }
        let mut packet = Acknowledgement::new(kind, packet_id);
        if self.version().is_v5() {
            packet.reason_code = reason_code;
        }
        let fits = self.push(&Packet::Acknowledgement(packet));
        if !fits {
            self.fail(Cause::MaximumPacketSizeTooSmall);
        }
        fits
    }

    /// Queues a packet that has room; `false` if the server does not take it.
    pub(crate) fn push(&mut self, packet: &Packet<'_>) -> bool {
        match Measured::new(packet.layout(), self.version(), Role::Server) {
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
    fn stamp(&mut self) {
        let count = core::mem::take(&mut self.core.unstamped);
        if count != 0 {
            self.store.stamp(count, second_of(self.core.now.as_millis().div_ceil(1000)));
        }
    }
}

/// A second of the caller's clock, in the circle in which lifetimes are compared.
#[expect(clippy::cast_possible_truncation, reason = "the rest goes around the circle")]
pub(crate) const fn second_of(seconds: u64) -> u32 {
    seconds as u32
}
