//! A server, the link to it, and the time.

use real::cell::RefCell;
use real::collections::VecDeque;
use real::convert::Infallible;

use mqtt_session::server::{self, Accept};
use mqtt_session::sim::{Endpoint, Faults, Simulation, Turn};
use mqtt_session::wire::Suback;
use mqtt_session::{
    Acknowledge, CloseReason, Handle, Inbox, Instant, List, Properties, Publish, QoS, ReasonCode, Step,
};

use crate::io::{Error, ErrorKind, Result};
use crate::time::Duration;

/// More than any run takes.
const STEPS: u32 = 200_000;

/// After so many milliseconds in which nothing happened nothing more will.
const QUIET: u64 = 10_000;

/// How many bytes a socket takes before it is full.
const UNSENT: usize = 512;

/// What the server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Accepts it with another session than before.
    Forget,
    Reject(ReasonCode),
    /// Nobody listens.
    Refuse,
}

/// What happens in a run.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    /// The answers to the first connections; those that follow are accepted.
    pub(crate) answers: VecDeque<Answer>,
    /// How many questions are asked, of how many bytes each.
    pub(crate) questions: u8,
    pub(crate) len: usize,
    /// Answers to questions are acknowledged on connections from this one on.
    pub(crate) acknowledges_from: usize,
    /// Behind this many questions the link is cut.
    pub(crate) cut_after: Option<u8>,
}

type Server = server::Session<4096, 32, 2>;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Does something with the world of this thread.
pub(crate) fn with<T>(action: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| action(world.as_mut().expect("there is a world")))
}

pub(crate) struct World {
    plan: Plan,
    sim: Simulation<()>,
    socket: Socket,
    socket_inbox: Inbox<[u8; 1024]>,
    server: Server,
    server_inbox: Inbox<[u8; 1024]>,
    steps: u32,
    asked: u8,
    outcomes: u8,
    subscribed: bool,
    last_event: Instant,
    is_over: bool,
    unacknowledged: VecDeque<Handle>,
    pub(crate) seen: Seen,
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Seen {
    /// When each transport was asked for.
    pub(crate) dialled: Vec<Instant>,
    pub(crate) subscribes: usize,
    /// How many questions there had been when the server lost its session.
    pub(crate) asked_before_loss: usize,
    /// How often the answer to each question arrived.
    pub(crate) answered: Vec<u32>,
}

impl World {
    /// Runs the client until its server refuses it, and tells why it ended.
    pub(crate) fn run(plan: Plan) -> (CloseReason, Seen) {
        let world = Self {
            sim: Simulation::new(plan.seed, plan.faults, ()),
            socket: Socket::default(),
            socket_inbox: Inbox::new(),
            server: Server::new(),
            server_inbox: Inbox::new(),
            steps: 0,
            asked: 0,
            outcomes: 0,
            subscribed: false,
            last_event: Instant::from_millis(0),
            is_over: false,
            unacknowledged: VecDeque::new(),
            seen: Seen { answered: vec![0; plan.questions.into()], ..Seen::default() },
            plan,
        };
        WORLD.set(Some(world));
        let ended = crate::client::run().expect_err("it ends with an error only");
        let reason = ended.downcast::<CloseReason>().expect("it ends with its connection");
        let world = WORLD.take().expect("nobody takes it");
        (*reason, world.seen)
    }

    pub(crate) const fn now(&self) -> Instant {
        self.sim.now()
    }

    pub(crate) fn dial(&mut self) -> Result<()> {
        self.seen.dialled.push(self.now());
        let answer = self.plan.answers.front().copied().unwrap_or(Answer::Accept);
        if answer == Answer::Refuse {
            self.plan.answers.pop_front();
            return Err(ErrorKind::ConnectionRefused.into());
        }
        if answer == Answer::Forget {
            self.server = Server::new();
            self.subscribed = false;
            self.outcomes = self.asked;
            self.seen.asked_before_loss = self.asked.into();
        }
        self.socket = Socket::default();
        self.socket_inbox.clear();
        self.server_inbox.clear();
        self.server.open(Duration::from_secs(10));
        self.sim.connect();
        Ok(())
    }

    /// Waits for bytes, as long as `timeout` says.
    pub(crate) fn read(&mut self, into: &mut [u8], timeout: Option<Duration>) -> Result<usize> {
        let until = timeout.map(|timeout| self.now().after_millis(u64::try_from(timeout.as_millis()).unwrap()));
        loop {
            if !self.socket.received.is_empty() {
                let len = self.sim.random().below(into.len().min(self.socket.received.len())) + 1;
                into.iter_mut().zip(self.socket.received.drain(..len)).for_each(|(to, byte)| *to = byte);
                return Ok(len);
            }
            if self.socket.is_lost {
                return Ok(0);
            }
            if until.is_some_and(|until| until <= self.now()) {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.socket.deadline = until;
            self.step();
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        while !self.socket.is_lost && self.socket.unsent.len() >= UNSENT {
            self.socket.deadline = None;
            self.step();
        }
        if self.socket.is_lost {
            return Err(Error::from(ErrorKind::BrokenPipe));
        }
        let len = bytes.len().min(UNSENT - self.socket.unsent.len());
        let len = self.sim.random().below(len) + 1;
        self.socket.unsent.extend_from_slice(&bytes[..len]);
        self.sim.wake();
        Ok(len)
    }

    pub(crate) fn sleep(&mut self, pause: Duration) {
        self.sim.pass(u64::try_from(pause.as_millis()).unwrap());
    }

    pub(crate) fn hang_up(&mut self) {
        self.sim.cut();
    }

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS, "it does not end");
        let turn = self.sim.step(&mut self.socket, &mut self.socket_inbox, &mut self.server, &mut self.server_inbox);
        match turn {
            Turn::Server(event) => {
                let connection = self.seen.dialled.len();
                self.last_event = self.sim.now();
                match event {
                    server::Event::Connecting { .. } => self.answer(),
                    server::Event::Subscribing { packet_id, .. } => {
                        let reason_codes = List::of(&[ReasonCode::GrantedQos2]);
                        let suback = Suback { packet_id, reason_codes, properties: Properties::EMPTY };
                        self.server.suback(&suback).unwrap();
                        self.subscribed = true;
                        self.seen.subscribes += 1;
                    }
                    server::Event::Message(message) => {
                        assert_eq!(message.topic, "meter/7/echo");
                        assert_eq!(message.payload.len(), self.plan.len);
                        self.seen.answered[usize::from(message.payload[0])] += 1;
                        self.unacknowledged.extend(message.handle);
                    }
                    server::Event::Published { .. } => self.outcomes += 1,
                    _ => {}
                }
                if connection >= self.plan.acknowledges_from {
                    for handle in self.unacknowledged.drain(..) {
                        // One of a session that is forgotten is refused.
                        _ = self.server.acknowledge(handle, ReasonCode::Success);
                    }
                }
            }
            Turn::Idle => panic!("it waits for ever"),
            Turn::Client(never) => match never {},
            Turn::Moved | Turn::Closed { .. } => {}
        }
        self.ask();
    }

    fn answer(&mut self) {
        match self.plan.answers.pop_front() {
            Some(Answer::Reject(code)) => self.server.reject(code, Properties::EMPTY).unwrap(),
            None if self.is_over => self.server.reject(ReasonCode::BadUserNameOrPassword, Properties::EMPTY).unwrap(),
            _ => {
                let acknowledgement = Acknowledge::Manually;
                self.server.accept(&Accept { acknowledgement, ..Accept::default() }).unwrap();
            }
        }
    }

    /// Asks one question more, and cuts the link where the plan says so.
    fn ask(&mut self) {
        if !self.subscribed || !self.server.is_online() {
            return;
        }
        if self.plan.cut_after == Some(self.asked) {
            self.plan.cut_after = None;
            return self.sim.cut();
        }
        if self.asked < self.plan.questions {
            let mut payload = vec![b'?'; self.plan.len];
            payload[0] = self.asked;
            let question = Publish { qos: QoS::ExactlyOnce, ..Publish::new("meter/7/ask", &payload) };
            if self.server.publish(&question).is_ok() {
                self.asked += 1;
                self.sim.wake();
            }
        } else if self.outcomes == self.asked && self.now().millis_since(self.last_event) > QUIET {
            // Unless something else is planned, the next connection is the last one.
            self.is_over = self.plan.answers.is_empty();
            self.sim.cut();
        }
    }
}

/// The client's end of the link: what the operating system keeps of a socket.
#[derive(Debug, Default)]
struct Socket {
    unsent: Vec<u8>,
    received: VecDeque<u8>,
    deadline: Option<Instant>,
    is_lost: bool,
}

impl Endpoint for Socket {
    type Event<'i> = Infallible;
    type Record<'s> = Infallible;

    fn poll(&mut self, inbox: &mut Inbox, _: Instant) -> Step<'_, Infallible, Infallible> {
        self.received.extend(inbox.unread());
        inbox.clear();
        if self.is_lost {
            return Step::Close(CloseReason::ConnectionLost);
        }
        if self.unsent.is_empty() { Step::Wait(self.deadline) } else { Step::Transmit(&self.unsent) }
    }

    fn transmitted(&mut self, len: usize) {
        self.unsent.drain(..len);
    }

    fn reading_paused(&mut self) {}

    fn connection_lost(&mut self) {
        self.is_lost = true;
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
