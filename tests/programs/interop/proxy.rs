//! A link with faults between a client and its broker.

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, scope, sleep, spawn};
use std::time::Instant as Clock;

use mqtt_session::sim::Random;
use mqtt_session::{Role, Version};

use super::driver::is_timeout;
use super::wire::{Splitter, Wire};

/// How long a read may block, so that the end of the test is noticed.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a broker may take to close a connection that its client has closed.
const DRAIN: Duration = Duration::from_secs(5);

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Each connection is cut after fewer bytes than this in one direction; 0: none is.
    pub(crate) cut_within: usize,
    /// Cuts wait until the broker has brought to an end what was under way when the connection began.
    pub(crate) spare_resume: bool,
    /// One in so many connections is cut within its first packets, whatever the rest says; 0: none.
    pub(crate) handshakes: u32,
    /// Of the cuts, one in so many tells the client by the end of its stream alone, and takes what it still writes; of the
    /// others, one in so many does not tell the client at all.
    pub(crate) half_closed: u32,
    pub(crate) half_open: u32,
    /// One in so many connections is closed as soon as it is accepted; 0: none.
    pub(crate) refusals: u32,
    /// Of the others, one in so many is accepted and left alone.
    pub(crate) silences: u32,
    /// One in so many passes its bytes one by one, late, or stops for a while in one direction.
    pub(crate) fragments: u32,
    pub(crate) delays: u32,
    pub(crate) stalls: u32,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        cut_within: 0,
        spare_resume: false,
        handshakes: 0,
        half_closed: 0,
        half_open: 0,
        refusals: 0,
        silences: 0,
        fragments: 0,
        delays: 0,
        stalls: 0,
    };
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: usize,
    pub(crate) refused: usize,
    pub(crate) left_alone: usize,
    /// Cuts within CONNECT, then before CONNACK, then later, towards the server or the client.
    pub(crate) cut_in_connect: usize,
    pub(crate) cut_before_connack: usize,
    pub(crate) cut_up: usize,
    pub(crate) cut_down: usize,
    /// How many of the cuts were between two packets.
    pub(crate) at_boundaries: usize,
    /// How many of the cuts threw away what the broker had yet to say.
    pub(crate) abrupt: usize,
    /// How many of the cuts the client was told in half, or not at all.
    pub(crate) half_closed: usize,
    pub(crate) half_open: usize,
    pub(crate) fragmented: usize,
    pub(crate) delayed: usize,
    pub(crate) stalled: usize,
    /// How many PUBLISHes were passed to the client, repeats included.
    pub(crate) published_down: usize,
}

impl Counts {
    pub(crate) fn cuts(&self) -> usize {
        self.refused + self.left_alone + self.cut_in_connect + self.cut_before_connack + self.cut_up + self.cut_down
    }
}

/// A proxy that takes one connection at a time; it ends with this value.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    broker: SocketAddr,
    version: Version,
    ended: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// What is planned for each connection depends on the seed alone, what is drawn in its course also on the threads.
    plans: Random,
    random: Random,
    faults: Faults,
    counts: Counts,
    wire: Wire,
}

/// What is to happen to a connection.
#[derive(Clone, Copy)]
struct Plan {
    cut: Option<Cut>,
    kind: CutKind,
    fragments: bool,
    delay: Duration,
    /// The direction that stops once.
    stall: Option<Role>,
}

/// What the two ends learn of a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CutKind {
    /// Both streams of both end.
    Plain,
    /// The same, and the broker's last words are thrown away.
    Abrupt,
    /// What the client reads ends.
    HalfClosed,
    /// The client learns nothing.
    HalfOpen,
}

/// What becomes of a connection that is accepted.
enum Fate {
    CommandError,
    LeftAlone,
    Passed(Plan),
}

#[derive(Clone, Copy)]
struct Cut {
    towards: Role,
    after: After,
}

#[derive(Clone, Copy)]
enum After {
    Bytes(usize),
    Packets(usize),
}

/// One connection.
struct Link<'s> {
    shared: &'s Shared,
    plan: Plan,
    client: TcpStream,
    broker: TcpStream,
    cut: AtomicBool,
    /// Whether the client has closed it.
    left: AtomicBool,
}

/// One direction of a connection.
struct Pump<'l> {
    link: &'l Link<'l>,
    to: Role,
    splitter: Splitter,
    /// When this direction is cut.
    due: Option<After>,
    stalls: bool,
}

impl Proxy {
    pub(crate) fn start(broker: SocketAddr, version: Version, seed: u64, faults: Faults) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a loopback interface");
        let address = listener.local_addr().expect("it is bound");
        let (plans, random) = (Random::new(seed), Random::new(!seed));
        let state = State { plans, random, faults, counts: Counts::default(), wire: Wire::new(version) };
        let shared = Arc::new(Shared { broker, version, ended: AtomicBool::new(false), state: Mutex::new(state) });
        let theirs = Arc::clone(&shared);
        Self { address, shared, thread: Some(spawn(move || theirs.serve(&listener))) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn counts(&self) -> Counts {
        self.shared.state().counts.clone()
    }

    /// Adds a line to the log of the packets.
    pub(crate) fn note(&self, line: &str) {
        self.shared.state().wire.note(line);
    }

    /// Looks at what went over the wire.
    pub(crate) fn wire<T>(&self, look: impl FnOnce(&Wire) -> T) -> T {
        look(&self.shared.state().wire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, if it waits for somebody to come.
        _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn serve(&self, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.has_ended() {
                return;
            }
            let fate = self.state().fate();
            match fate {
                Fate::CommandError => {}
                Fate::LeftAlone => self.outwait(&client),
                Fate::Passed(plan) => self.pass(client, plan),
            }
        }
    }

    /// Takes what the client writes until it gives up.
    fn outwait(&self, mut client: &TcpStream) {
        client.set_read_timeout(Some(PAUSE)).expect("it is a TCP socket");
        let (end, mut buffer) = (Clock::now() + DRAIN, [0; 1024]);
        while !self.has_ended() && Clock::now() < end {
            match client.read(&mut buffer) {
                Ok(0) => return,
                Err(error) if !is_timeout(&error) => return,
                _ => {}
            }
        }
    }

    fn pass(&self, client: TcpStream, plan: Plan) {
        // A broker that is down closes the connection, too.
        if let Ok(broker) = TcpStream::connect(self.broker) {
            self.state().wire.begin();
            Link { shared: self, plan, client, broker, cut: AtomicBool::new(false), left: AtomicBool::new(false) }
                .run();
        }
    }
}

impl State {
    /// What happens to the next connection.
    fn fate(&mut self) -> Fate {
        let Self { plans: random, faults, counts, wire, .. } = self;
        counts.connections += 1;
        if random.once_in(faults.refusals) {
            counts.refused += 1;
            wire.note("refused");
            return Fate::CommandError;
        }
        if random.once_in(faults.silences) {
            counts.left_alone += 1;
            wire.note("accepted, and left alone");
            return Fate::LeftAlone;
        }
        let cut = if random.once_in(faults.handshakes) {
            Some(Cut::in_handshake(random))
        } else {
            (faults.cut_within != 0).then(|| Cut::draw(random, faults.cut_within))
        };
        let plan = Plan {
            cut,
            kind: CutKind::draw(random, faults),
            fragments: random.once_in(faults.fragments),
            delay: Duration::from_millis(if random.once_in(faults.delays) { 1 + random.next() % 3 } else { 0 }),
            stall: random.once_in(faults.stalls).then(|| if random.once_in(2) { Role::Client } else { Role::Server }),
        };
        counts.fragmented += usize::from(plan.fragments);
        counts.delayed += usize::from(!plan.delay.is_zero());
        counts.stalled += usize::from(plan.stall.is_some());
        Fate::Passed(plan)
    }

    /// Whether a connection may be cut now; `ends_packet`: at the end of a packet.
    fn may_cut(&self, ends_packet: bool) -> bool {
        let in_connect = !self.wire.connect_passed && !ends_packet;
        !self.faults.spare_resume || in_connect || self.wire.is_resumed()
    }

    fn count_cut(&mut self, to: Role, kind: CutKind, boundary: bool) {
        let Self { counts, wire, .. } = self;
        let count = match to {
            _ if !wire.connect_passed => &mut counts.cut_in_connect,
            _ if !wire.connack_passed => &mut counts.cut_before_connack,
            Role::Server => &mut counts.cut_up,
            Role::Client => &mut counts.cut_down,
        };
        *count += 1;
        counts.at_boundaries += usize::from(boundary);
        match kind {
            CutKind::Plain => {}
            CutKind::Abrupt => counts.abrupt += 1,
            CutKind::HalfClosed => counts.half_closed += 1,
            CutKind::HalfOpen => counts.half_open += 1,
        }
        wire.note(format_args!("cut towards the {to:?}: {kind:?}"));
    }
}

impl CutKind {
    fn draw(random: &mut Random, faults: &Faults) -> Self {
        if random.once_in(faults.half_closed) {
            Self::HalfClosed
        } else if random.once_in(faults.half_open) {
            Self::HalfOpen
        } else if !faults.spare_resume && random.once_in(2) {
            Self::Abrupt
        } else {
            Self::Plain
        }
    }
}

impl Cut {
    fn draw(random: &mut Random, within: usize) -> Self {
        let towards = if random.once_in(2) { Role::Client } else { Role::Server };
        let after = match random.below(8) {
            // In the midst of CONNECT, or of CONNACK.
            0 if towards == Role::Server => After::Bytes(1 + random.below(40)),
            0 => After::Bytes(1 + random.below(5)),
            1..4 => After::Packets(1 + random.below(within / 10)),
            _ => After::Bytes(1 + random.below(within)),
        };
        Self { towards, after }
    }

    /// Within or behind CONNECT, CONNACK, SUBSCRIBE, SUBACK and what is resumed.
    fn in_handshake(random: &mut Random) -> Self {
        let towards = if random.once_in(2) { Role::Client } else { Role::Server };
        let after = match towards {
            _ if random.once_in(2) => After::Packets(1 + random.below(3)),
            Role::Server => After::Bytes(1 + random.below(60)),
            Role::Client => After::Bytes(1 + random.below(16)),
        };
        Self { towards, after }
    }
}

impl Link<'_> {
    fn run(&self) {
        for socket in [&self.client, &self.broker] {
            socket.set_nodelay(true).expect("it is a TCP socket");
            socket.set_read_timeout(Some(PAUSE)).expect("it is a TCP socket");
        }
        scope(|threads| {
            threads.spawn(|| Pump::new(self, Role::Client).run());
            Pump::new(self, Role::Server).run();
        });
    }

    /// Cuts both ways. Unless that is abrupt, what the broker had said by then is still noted.
    fn cut(&self, to: Role, boundary: bool) {
        let Plan { kind, .. } = self.plan;
        if !self.cut.swap(true, Ordering::SeqCst) {
            self.shared.state().count_cut(to, kind, boundary);
        }
        // It may be closed already from the other side.
        _ = match kind {
            CutKind::Plain | CutKind::Abrupt => self.client.shutdown(Shutdown::Both),
            CutKind::HalfClosed => self.client.shutdown(Shutdown::Write),
            CutKind::HalfOpen => Ok(()),
        };
        _ = self.broker.shutdown(if kind == CutKind::Abrupt { Shutdown::Both } else { Shutdown::Write });
    }

    /// Whether a direction has nothing more to do once the link is cut.
    fn is_done_when_cut(&self, to: Role) -> bool {
        match self.plan.kind {
            CutKind::Plain => to == Role::Server,
            CutKind::Abrupt => true,
            CutKind::HalfClosed | CutKind::HalfOpen => false,
        }
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

impl<'l> Pump<'l> {
    fn new(link: &'l Link<'l>, to: Role) -> Self {
        let due = link.plan.cut.filter(|cut| cut.towards == to).map(|cut| cut.after);
        Self { link, to, splitter: Splitter::default(), due, stalls: link.plan.stall == Some(to) }
    }

    fn run(mut self) {
        let (mut from, to) = match self.to {
            Role::Server => (&self.link.client, &self.link.broker),
            Role::Client => (&self.link.broker, &self.link.client),
        };
        let mut buffer = vec![0; 16 * 1024];
        let mut over_at = None;
        while !self.link.shared.has_ended() {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => self.pass(&buffer[..len], to),
                Err(error) if is_timeout(&error) => {}
                Err(_) => break,
            }
            if self.link.is_cut() && self.link.is_done_when_cut(self.to) {
                return;
            }
            let is_over = self.link.is_cut() || self.link.left.load(Ordering::SeqCst);
            if is_over && over_at.get_or_insert_with(Clock::now).elapsed() > DRAIN {
                return;
            }
        }
        if self.link.is_cut() {
            return;
        }
        // The end of the stream is passed on; the other direction goes on until its own end.
        _ = to.shutdown(Shutdown::Write);
        self.link.left.fetch_or(self.to == Role::Server, Ordering::SeqCst);
        if self.to == Role::Client {
            _ = to.shutdown(Shutdown::Both);
        }
    }

    /// Passes bytes on, piece by piece, each of at most one packet.
    fn pass(&mut self, mut bytes: &[u8], to: &TcpStream) {
        let Plan { delay, .. } = self.link.plan;
        sleep(delay);
        let version = self.link.shared.version;
        while !bytes.is_empty() {
            let end = self.splitter.packet_end(version, self.to, bytes);
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.pass_piece(piece, end.is_some(), to);
            bytes = rest;
        }
    }

    fn pass_piece(&mut self, piece: &[u8], whole: bool, to: &TcpStream) {
        if self.link.is_cut() {
            // Said by the broker, and lost.
            if self.to == Role::Client {
                self.note(piece, whole, false);
            }
            return;
        }
        if self.stalls && self.link.shared.state().random.once_in(10) {
            self.stalls = false;
            sleep(Duration::from_millis(60));
        }
        let cut = self.cut_in(piece.len(), whole);
        let passed = &piece[..cut.unwrap_or(piece.len())];
        // What the broker has said counts before it arrives, what the client has said once it is on its way.
        let all = whole && passed.len() == piece.len();
        if self.to == Role::Client {
            self.note(piece, whole, all);
        }
        self.write(passed, to);
        if self.to == Role::Server {
            self.note(passed, all, all);
        }
        if cut.is_some() {
            self.link.cut(self.to, all);
        }
    }

    fn note(&mut self, piece: &[u8], whole: bool, passed: bool) {
        if let Some(packet) = self.splitter.push(piece, whole) {
            let mut state = self.link.shared.state();
            let is_publish = self.to == Role::Client && packet[0] >> 4 == 3;
            state.counts.published_down += usize::from(passed && is_publish);
            state.wire.packet(self.to, &packet);
        }
    }

    /// After how many bytes of the next piece the link is to be cut.
    fn cut_in(&mut self, len: usize, whole: bool) -> Option<usize> {
        let mut state = self.link.shared.state();
        let at = match self.due? {
            After::Bytes(left) if left > len => {
                self.due = Some(After::Bytes(left - len));
                return None;
            }
            After::Packets(left) if !whole || left > 1 => {
                self.due = Some(After::Packets(if whole { left - 1 } else { left }));
                return None;
            }
            After::Bytes(left) => left,
            After::Packets(_) => len,
        };
        if state.may_cut(whole && at == len) {
            return Some(at);
        }
        self.due = Some(match self.due? {
            After::Bytes(_) => After::Bytes(1 + state.random.below(100)),
            After::Packets(_) => After::Packets(1 + state.random.below(5)),
        });
        None
    }

    fn write(&self, bytes: &[u8], mut to: &TcpStream) {
        let size = if self.link.plan.fragments { 1 } else { bytes.len().max(1) };
        for fragment in bytes.chunks(size) {
            if to.write_all(fragment).is_err() {
                return;
            }
        }
    }
}
