//! Two ends, a link with faults, and virtual time: for tests of protocols and of applications. (feature `sim`)
//!
//! A [`Simulation`] carries bytes between a client's [`Session`](crate::Session) and a
//! [`server::Session`](crate::server::Session), both real. It can cut the link after any byte, lose what is under way, report
//! as written what never arrives, tear and join and delay what does arrive; and it jumps in time to whatever is next. All of
//! it follows from a seed, so what went wrong once goes wrong again. A [`Chart`] draws what it does.
//!
//! The application logic on both ends is the caller's: [`Simulation::step`] hands out events, and "do what it says, then step
//! again" is the whole contract; commands in between are followed by [`Simulation::wake`]. To lose the server's session,
//! replace it by a new one.
//!
//! ```
//! use mqtt_session::sim::{Chart, Faults, Simulation, Turn};
//! use mqtt_session::{Connect, Event, Inbox, Publish, QoS, Session, Version, server};
//!
//! # #[cfg(feature = "v311")] {
//! let mut client: Session<256, 4, 4> = Session::new();
//! let mut server: server::Session<256, 4, 4> = server::Session::new();
//! let mut inboxes: [Inbox<[u8; 256]>; 2] = [Inbox::new(), Inbox::new()];
//! let [client_inbox, server_inbox] = &mut inboxes;
//!
//! let mut chart = String::new();
//! let mut sim: Simulation<_> = Simulation::new(1, Faults { fragments: true, delay: 30, ..Faults::NONE }, Chart::new(&mut chart));
//! sim.connect();
//! server.open(core::time::Duration::from_secs(10));
//! client.connect(client_inbox, &Connect::new(Version::V311, "meter-7"))?;
//! client.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("power", b"230 W") })?;
//! let mut delivered = 0;
//! loop {
//!     match sim.step(&mut client, client_inbox, &mut server, server_inbox) {
//!         Turn::Server(server::Event::Connecting { .. }) => server.accept(&server::Accept::default())?,
//!         Turn::Server(server::Event::Message(message)) => delivered += message.payload.len(),
//!         Turn::Client(Event::Published { .. }) => break,
//!         Turn::Idle => panic!("stuck"),
//!         _ => {}
//!     }
//! }
//! assert_eq!(delivered, 5);
//! assert!(chart.contains("PUBREL 1"));
//! # }
//! # Ok::<(), mqtt_session::CommandError>(())
//! ```
//!
//! With cuts: when both ends have closed, both get a new transport. With a keep alive there is always a ping to come, so
//! that nothing is ever idle: bound the steps, or test without. A [`Harness`] does all that for one application and a server that
//! does what it is asked, and is where to begin.

mod chart;
mod harness;
mod pipe;
mod random;

use crate::error::CloseReason;
use crate::event::Step;
use crate::inbox::Inbox;
use crate::time::Instant;
use crate::wire::{Packet, PacketType, Role, Version, connect_version, packet_len};

use self::pipe::Pipe;

pub use crate::endpoint::{Endpoint, PlainEndpoint};

pub use self::chart::Chart;
pub use self::harness::{Happened, Harness};
pub use self::random::Random;

/// What a link does to what it carries, besides carrying it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes are taken, and bytes arrive, in pieces of any size.
    pub fragments: bool,
    /// How many milliseconds bytes may be under way.
    pub delay: u32,
    /// Once in so many transfers the link is cut; 0: only when it is asked for.
    pub cut_once_in: u32,
    /// Once in so many arrivals a bit of what arrives is wrong, which no transport of MQTT does; 0: never.
    pub corrupt_once_in: u32,
}

impl Faults {
    /// A link without faults.
    pub const NONE: Self = Self { fragments: false, delay: 0, cut_once_in: 0, corrupt_once_in: 0 };
}

/// What a step of a simulation came to.
#[derive(Debug)]
pub enum Turn<C, S> {
    /// Something happened on the client's end.
    Client(C),
    /// Something happened on the server's end.
    Server(S),
    /// An end has closed; it takes no further turn until [`Simulation::connect`].
    Closed {
        /// Which.
        end: Role,
        /// Why.
        reason: CloseReason,
    },
    /// Bytes or time moved.
    Moved,
    /// Nothing will ever happen again, unless the application does something.
    Idle,
}

/// What there is to see on a link.
#[non_exhaustive]
#[derive(Debug)]
pub enum Sight<'a> {
    /// A transport is there.
    Connected,
    /// A packet arrived whole, or was lost.
    Packet {
        /// The end that sent it.
        from: Role,
        /// The packet.
        packet: Packet<'a>,
        /// Whether it arrived whole.
        arrived: bool,
    },
    /// A packet was lost before all of it was sent.
    Part {
        /// The end that sent it.
        from: Role,
        /// What it began to be.
        packet_type: PacketType,
    },
    /// The link was cut.
    Cut,
}

/// Someone who looks at a link.
pub trait Observer {
    /// Something was to be seen.
    fn observe(&mut self, now: Instant, sight: &Sight<'_>);
}

/// Nobody.
impl Observer for () {
    fn observe(&mut self, _: Instant, _: &Sight<'_>) {}
}

impl<O: Observer> Observer for &mut O {
    fn observe(&mut self, now: Instant, sight: &Sight<'_>) {
        (**self).observe(now, sight);
    }
}

/// A link between two ends, and the time.
///
/// `IN_FLIGHT`: how many bytes fit into each direction; a write that finds no room waits, as with TCP.
#[derive(Clone, Debug)]
pub struct Simulation<O, const IN_FLIGHT: usize = 1024> {
    now: Instant,
    random: Random,
    faults: Faults,
    observer: O,
    /// Whether bytes still pass.
    is_up: bool,
    /// After how many more bytes the link is cut.
    cut_after: Option<usize>,
    version: Version,
    client: Side<IN_FLIGHT>,
    server: Side<IN_FLIGHT>,
}

/// One end as the link sees it.
#[derive(Clone, Debug)]
struct Side<const N: usize> {
    /// What is on its way from here to the other end.
    outgoing: Pipe<N>,
    attention: Attention,
}

/// When an end is polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    Now,
    /// When bytes come in, or at this time.
    Input(Option<Instant>),
    /// The same, or when the pipe takes bytes again.
    Output(Option<Instant>),
    /// Never: it has closed.
    Closed,
}

impl<O: Observer, const IN_FLIGHT: usize> Simulation<O, IN_FLIGHT> {
    /// A simulation without a link at the time 0. The same seed leads to the same events.
    #[must_use]
    pub const fn new(seed: u64, faults: Faults, observer: O) -> Self {
        let side = Side { outgoing: Pipe::EMPTY, attention: Attention::Closed };
        Self {
            now: Instant::from_millis(0),
            random: Random::new(seed),
            faults,
            observer,
            is_up: false,
            cut_after: None,
            version: Version::LATEST,
            client: Side { outgoing: Pipe::EMPTY, attention: Attention::Closed },
            server: side,
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u64) {
        self.now = self.now.after_millis(millis);
    }

    /// Chance, for the application's own use.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// What the link does from now on.
    pub const fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Who looks on.
    pub const fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Whether bytes pass.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.is_up
    }

    /// A new transport, empty. Call `connect` and `open` of the ends, too, and clear the inbox of the server's end.
    pub fn connect(&mut self) {
        self.drop_transport();
        self.is_up = true;
        self.cut_after = None;
        self.client.attention = Attention::Now;
        self.server.attention = Attention::Now;
        self.observer.observe(self.now, &Sight::Connected);
    }

    /// Cuts the link now. Of what is under way some arrives and the rest is lost, in each direction; each end notices in its
    /// own time.
    pub fn cut(&mut self) {
        if !self.is_up {
            return;
        }
        self.is_up = false;
        for role in [Role::Client, Role::Server] {
            let under_way = self.side(role).outgoing.in_flight().len();
            let kept = self.random.below(under_way.saturating_add(1));
            self.report_lost(role, kept);
            self.side_mut(role).outgoing.lose_after(kept);
        }
        self.observer.observe(self.now, &Sight::Cut);
    }

    /// Cuts the link once `bytes` more bytes have been written, by whichever end.
    pub const fn cut_after(&mut self, bytes: usize) {
        self.cut_after = Some(bytes);
    }

    /// Says that the application has called a command of an end, which may have something new to say: it is polled before
    /// time moves. Not needed after a turn that was not [`Turn::Moved`].
    pub fn wake(&mut self) {
        for role in [Role::Client, Role::Server] {
            if self.side(role).attention != Attention::Closed {
                self.side_mut(role).attention = Attention::Now;
            }
        }
    }

    /// One step: an end is polled, or time moves.
    pub fn step<'i, C: PlainEndpoint, S: PlainEndpoint>(
        &mut self,
        client: &mut C,
        client_inbox: &'i mut Inbox,
        server: &mut S,
        server_inbox: &'i mut Inbox,
    ) -> Turn<C::Event<'i>, S::Event<'i>> {
        let runnable = (self.is_runnable(Role::Client, client_inbox), self.is_runnable(Role::Server, server_inbox));
        let role = match runnable {
            (true, true) if self.random.below(2) == 0 => Role::Client,
            (_, true) => Role::Server,
            (true, false) => Role::Client,
            (false, false) if self.jump() => return Turn::Moved,
            (false, false) => {
                self.wake();
                return Turn::Idle;
            }
        };
        let turn = match role {
            Role::Client => self.turn(role, client, client_inbox, Turn::Client),
            Role::Server => self.turn(role, server, server_inbox, Turn::Server),
        };
        if !matches!(turn, Turn::Moved) {
            self.wake();
        }
        turn
    }

    fn turn<'i, E: PlainEndpoint, C, S>(
        &mut self,
        role: Role,
        end: &mut E,
        inbox: &'i mut Inbox,
        told: impl FnOnce(E::Event<'i>) -> Turn<C, S>,
    ) -> Turn<C, S> {
        self.deliver(role, end, inbox);
        self.side_mut(role).attention = Attention::Now;
        let deadline = end.deadline();
        match end.poll(inbox, self.now) {
            Step::Event(event) => return told(event),
            Step::Transmit(bytes) => match self.write(role, bytes) {
                Some(0) => self.side_mut(role).attention = Attention::Output(deadline),
                Some(written) => end.transmitted(written),
                None => end.connection_lost(),
            },
            Step::Wait(deadline) => self.side_mut(role).attention = Attention::Input(deadline),
            Step::Close(reason) => {
                self.side_mut(role).attention = Attention::Closed;
                self.is_up = false;
                return Turn::Closed { end: role, reason };
            }
        }
        Turn::Moved
    }

    /// What has arrived goes into the inbox; the end of the stream follows.
    fn deliver<E: PlainEndpoint>(&mut self, role: Role, end: &mut E, inbox: &mut Inbox) {
        let fragments = self.faults.fragments;
        let random = &mut self.random;
        let from = other(role);
        let pipe = match from {
            Role::Client => &mut self.client.outgoing,
            Role::Server => &mut self.server.outgoing,
        };
        let in_flight = pipe.in_flight();
        if in_flight.is_empty() && !self.is_up {
            return end.connection_lost();
        }
        if in_flight.is_empty() || pipe.ready > self.now {
            return;
        }
        let space = inbox.space();
        let possible = in_flight.len().min(space.len());
        let len = if fragments { random.below(possible).saturating_add(1).min(possible) } else { possible };
        for (to, byte) in space.iter_mut().zip(in_flight).take(len) {
            *to = *byte;
        }
        if random.once_in(self.faults.corrupt_once_in)
            && let Some(byte) = space.get_mut(random.below(len))
        {
            *byte ^= 1_u8.checked_shl(u32::try_from(random.below(8)).unwrap_or(0)).unwrap_or(1);
        }
        inbox.filled(len);
        pipe.arrive(len);
        if fragments && !pipe.in_flight().is_empty() {
            pipe.ready = self.now.after_millis(delay(random, self.faults));
        }
        self.report_arrived(from);
    }

    /// How many bytes the link takes; `None`: it is gone.
    fn write(&mut self, role: Role, bytes: &[u8]) -> Option<usize> {
        if !self.is_up {
            // The loss of a link is noticed late: until then what is written is lost without a word.
            return if self.random.once_in(2) { Some(bytes.len()) } else { None };
        }
        let possible = bytes.len().min(self.side(role).outgoing.space());
        let wanted = if self.faults.fragments { self.random.below(possible).saturating_add(1) } else { possible };
        let cuts = self.random.once_in(self.faults.cut_once_in);
        let limit = self.cut_after.filter(|&limit| limit <= wanted.min(possible));
        let len = limit.unwrap_or(wanted).min(possible);
        self.cut_after = self.cut_after.map(|limit| limit.saturating_sub(len));
        self.put(role, bytes.get(..len).unwrap_or_default());
        if limit.is_none() && !cuts {
            return Some(len);
        }
        self.cut();
        // What the transport took before it failed may have been reported, or not.
        if self.random.once_in(2) { Some(len) } else { None }
    }

    fn put(&mut self, role: Role, bytes: &[u8]) {
        let ready = self.now.after_millis(delay(&mut self.random, self.faults));
        let pipe = &mut self.side_mut(role).outgoing;
        if pipe.in_flight().is_empty() {
            pipe.ready = ready;
        }
        pipe.write(bytes);
        if role == Role::Client
            && let Ok(Some(version)) = connect_version(pipe.tape())
        {
            self.version = version;
        }
    }

    fn is_runnable(&self, role: Role, inbox: &mut Inbox) -> bool {
        let incoming = &self.side(other(role)).outgoing;
        let is_over = !self.is_up && incoming.in_flight().is_empty();
        let has_input = !incoming.in_flight().is_empty() && incoming.ready <= self.now && !inbox.space().is_empty();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= self.now);
        match self.side(role).attention {
            Attention::Now => true,
            Attention::Input(deadline) => is_over || has_input || is_due(deadline),
            Attention::Output(deadline) => {
                is_over || has_input || is_due(deadline) || !self.is_up || self.side(role).outgoing.space() != 0
            }
            Attention::Closed => false,
        }
    }

    /// Jumps to the next moment at which something happens; `false` if there is none.
    fn jump(&mut self) -> bool {
        let mut next: Option<Instant> = None;
        for role in [Role::Client, Role::Server] {
            let incoming = &self.side(other(role)).outgoing;
            let attention = self.side(role).attention;
            let arrival = Some(incoming.ready).filter(|_| !incoming.in_flight().is_empty());
            let deadline = match attention {
                Attention::Input(deadline) | Attention::Output(deadline) => deadline,
                Attention::Now | Attention::Closed => None,
            };
            let arrival = arrival.filter(|_| attention != Attention::Closed);
            next = [next, arrival, deadline].into_iter().flatten().filter(|&at| at > self.now).min();
        }
        self.now = next.unwrap_or(self.now);
        next.is_some()
    }

    /// Tells of the packets that have arrived whole.
    fn report_arrived(&mut self, from: Role) {
        let version = self.version;
        loop {
            let pipe = outgoing(&self.client, &self.server, from);
            let Some(len) = packet_len(pipe.tape()).filter(|&len| len <= pipe.arrived()) else { return };
            if let Some(sight) = sight(version, from, pipe.tape().get(..len).unwrap_or_default(), true) {
                self.observer.observe(self.now, &sight);
            }
            self.side_mut(from).outgoing.drop_front(len);
        }
    }

    /// Tells of the packets of which not all will arrive.
    fn report_lost(&mut self, from: Role, kept: usize) {
        let pipe = outgoing(&self.client, &self.server, from);
        let arriving = pipe.arrived().saturating_add(kept);
        let mut start = 0_usize;
        while let Some(rest) = pipe.tape().get(start..).filter(|rest| !rest.is_empty()) {
            let len = packet_len(rest).unwrap_or(usize::MAX);
            let end = start.saturating_add(len);
            let packet = rest.get(..len).unwrap_or(rest);
            if end > arriving
                && let Some(sight) = sight(self.version, from, packet, false)
            {
                self.observer.observe(self.now, &sight);
            }
            start = end;
        }
    }

    fn drop_transport(&mut self) {
        self.client.outgoing.clear();
        self.server.outgoing.clear();
    }

    const fn side(&self, role: Role) -> &Side<IN_FLIGHT> {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }

    const fn side_mut(&mut self, role: Role) -> &mut Side<IN_FLIGHT> {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

/// What is on its way from an end.
const fn outgoing<'a, const N: usize>(client: &'a Side<N>, server: &'a Side<N>, from: Role) -> &'a Pipe<N> {
    match from {
        Role::Client => &client.outgoing,
        Role::Server => &server.outgoing,
    }
}

/// How long bytes are under way.
fn delay(random: &mut Random, faults: Faults) -> u64 {
    let longest = usize::try_from(faults.delay).unwrap_or(usize::MAX);
    u64::try_from(random.below(longest.saturating_add(1))).unwrap_or(0)
}

/// What the bytes of one packet, or the first of them, look like.
fn sight(version: Version, from: Role, bytes: &[u8], arrived: bool) -> Option<Sight<'_>> {
    if let Ok(Some((packet, _))) = Packet::decode(version, other(from), bytes) {
        return Some(Sight::Packet { from, packet, arrived });
    }
    let packet_type = PacketType::of_first_byte(version, other(from), *bytes.first()?).ok()?;
    Some(Sight::Part { from, packet_type })
}

/// The other end.
const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}
