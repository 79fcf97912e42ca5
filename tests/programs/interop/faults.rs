//! Many messages both ways over a link that breaks again and again. The other side of the broker is a second client whose
//! link is whole.

use core::fmt;
use core::mem::take;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::thread::{scope, sleep};
use std::time::Instant as Clock;

use mqtt_session::{
    CloseReason, CommandError, Connect, Event, LostSession, Outcome, Publish, QoS, ReasonCode, Role, Subscribe,
    Subscription,
};

use super::driver::{Client, Turn, connect_as};
use super::on::On;
use super::process::say;
use super::proxy::{Counts, Faults, Proxy};
use super::wire::Wire;

const MESSAGES: usize = On::MESSAGES;

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(100);

/// How long nothing may happen, and how long a client waits for a broker that does not answer before it gives its session
/// up.
const STALL: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_secs(2);

/// How long nothing more may arrive behind the last message.
const LATER: Duration = Duration::from_millis(200);

/// How many messages are under way at most in each direction. Beyond 20 in flight mosquitto queues, and drops when its
/// queue is full.
const WINDOW: usize = 15;

/// A run.
#[derive(Clone, Copy)]
struct Run {
    on: On,
    qos: QoS,
    seed: u64,
    faults: Faults,
    strictness: Strictness,
}

/// What the two clients of a run know of each other.
#[derive(Default)]
struct Shared {
    subscribed: [AtomicBool; 2],
    /// How many of the messages of each have arrived, repeats not counted.
    arrived: [AtomicUsize; 2],
    /// Whether each has got all that is for it, and the outcomes of all that it published.
    done: [AtomicBool; 2],
    failed: AtomicBool,
}

/// One of the two clients of a run: 0 has the link with faults, 1 the other one.
struct Side<'s, const INBOUND: usize> {
    index: usize,
    run: Run,
    shared: &'s Shared,
    client: Client<16_384, 32, INBOUND, 4_096>,
    published: usize,
    state: Progress,
    /// When the last message or outcome came, or the last connection began.
    moved: Clock,
}

#[derive(Default)]
struct Progress {
    /// How many messages have had the outcome that lets the next one out, and how many the broker has acknowledged.
    acknowledged: usize,
    confirmed: usize,
    /// Whether it asks for a new session, which it does until there is one.
    begins_anew: bool,
    wants_subscription: bool,
    subscribed: bool,
    received: Vec<usize>,
    distinct: BTreeSet<usize>,
    faults: Vec<String>,
    closed: Vec<CloseReason>,
}

/// What came of a run.
struct Report {
    counts: Counts,
    /// What each client received.
    received: [Vec<usize>; 2],
    faults: Vec<String>,
    /// The messages with which the broker broke the rules of QoS 2, and the story of the first.
    broken: (BTreeSet<usize>, String),
    /// How many messages of each client the broker has acknowledged.
    confirmed: [usize; 2],
    /// Whether messages may come twice, as those of QoS 1 do.
    repeats: bool,
    least_cuts: usize,
    /// Why connections ended but for the cuts, and how many.
    ended: BTreeMap<String, usize>,
    time: Duration,
}

const HARSH: Faults = Faults { cut_within: 450, refusals: 20, fragments: 8, delays: 12, stalls: 25, ..Faults::NONE };
const SPARING: Faults = Faults { cut_within: 300, spare_resume: true, ..HARSH };

/// Exactly once and in order, both ways, as long as cuts keep out of what mosquitto does not survive.
pub(crate) fn exactly_once(on: On) {
    for seed in 1..=seeds() {
        let strictness = Strictness::ExactlyOnce;
        let run = Run { on, qos: QoS::ExactlyOnce, seed, faults: SPARING, strictness };
        let Some(report) = run.go::<64>("exactly-once") else { return };
        report.judge(strictness);
    }
}

/// With cuts anywhere the client delivers nothing twice but what mosquitto publishes again after its PUBREL: nothing, where
/// the broker is a better one.
///
/// There are many places: what mosquitto has in flight grows beyond its window then, and it may send something that the
/// client does not hold in front of something that it does.
pub(crate) fn exactly_once_but_for_the_broker(on: On) {
    for seed in 1..=seeds() {
        let strictness = if On::KEEPS_QOS_2 { Strictness::ExactlyOnce } else { Strictness::ButForTheBroker };
        let run = Run { on, qos: QoS::ExactlyOnce, seed, faults: HARSH, strictness };
        let Some(report) = run.go::<256>("cuts-anywhere") else { return };
        report.judge(strictness);
    }
}

/// Nothing is lost, and the first arrivals are in order.
pub(crate) fn at_least_once(on: On) {
    for seed in 1..=seeds() {
        let strictness = Strictness::AtLeastOnce;
        let run = Run { on, qos: QoS::AtLeastOnce, seed, faults: HARSH, strictness };
        let Some(report) = run.go::<64>("at-least-once") else { return };
        report.judge(strictness);
    }
}

/// As many places as mosquitto has messages in flight. It has more at times, and connections end for it, but the client
/// always gets on.
pub(crate) fn few_places(on: On) {
    for seed in 1..=seeds() {
        let strictness = Strictness::ExactlyOnce;
        let run = Run { on, qos: QoS::ExactlyOnce, seed, faults: SPARING, strictness };
        let Some(report) = run.go::<20>("few-places") else { return };
        report.judge(strictness);
    }
}

/// Exactly once and in order over a link that is slow at times and never cut.
pub(crate) fn without_cuts(on: On) {
    let strictness = Strictness::WithoutCuts;
    let run =
        Run { on, qos: QoS::ExactlyOnce, seed: 1, faults: Faults { cut_within: 0, refusals: 0, ..HARSH }, strictness };
    let Some(report) = run.go::<64>("without-cuts") else { return };
    report.judge(strictness);
}

/// Whatever the broker does with messages and sessions, with cuts anywhere the client does what is its own: it breaks no
/// rule, delivers each message that it acknowledges, in the order of the wire, and none twice unless the broker breaks the
/// rules for it, every publish of its own has one outcome, and where the broker stays stuck a new session helps.
pub(crate) fn the_clients_part(on: On) {
    for (qos, seed) in
        [QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().flat_map(|qos| (1..=seeds()).map(move |seed| (qos, seed)))
    {
        let strictness = Strictness::ClientAlone;
        let run = Run { on, qos, seed, faults: HARSH, strictness };
        let Some(report) = run.go::<64>("clients-part") else { return };
        report.judge(strictness);
    }
}

fn seeds() -> u64 {
    env::var("MQTT_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

impl Run {
    fn go<const INBOUND: usize>(self, name: &str) -> Option<Report> {
        let Self { on, qos, seed, faults, .. } = self;
        let broker = on.start(&format!("{name}-{}-{seed}", qos as u8))?;
        let proxy = Proxy::start(broker.address(), on.version, seed, faults);
        let (start, shared) = (Clock::now(), Shared::default());
        let (here, there) = scope(|threads| {
            let there = threads.spawn(|| Side::<64>::new(1, self, &shared, Client::new(broker.address())).run());
            let here = Side::<INBOUND>::new(0, self, &shared, Client::new(proxy.address())).run();
            (here, there.join().expect("the other client ends"))
        });
        let mut malformed = proxy.wire(|wire| wire.malformed.clone());
        let (broken, story) = proxy.wire(|wire| wire.broken_by(Role::Server));
        let (ours, our_story) = proxy.wire(|wire| wire.broken_by(Role::Client));
        let mut faults = [here.faults.clone(), there.faults].concat();
        if self.strictness == Strictness::ClientAlone {
            faults.extend(proxy.wire(|wire| here.own_faults(wire)));
            malformed.retain(|packet| packet.starts_with("to Server"));
        }
        faults.extend(malformed);
        if !ours.is_empty() {
            faults.push(format!("the client broke QoS 2 with {} messages:{our_story}", ours.len()));
        }
        if !faults.is_empty() || !broken.is_empty() {
            let path = broker.file("trace");
            // It serves whoever looks for the reason.
            _ = std::fs::write(path, proxy.wire(|wire| wire.trace.join("\n")));
        }
        let ended = here.ended_otherwise();
        let report = Report {
            counts: proxy.counts(),
            received: [here.received, there.received],
            faults,
            broken: (broken.iter().filter_map(|payload| number(payload)).collect(), story),
            repeats: qos == QoS::AtLeastOnce,
            least_cuts: match self.strictness {
                Strictness::WithoutCuts => 0,
                _ => on.least_cuts(),
            },
            confirmed: [here.confirmed, there.confirmed],
            ended,
            time: start.elapsed(),
        };
        say(&format!("{on}, {name}, QoS {}, seed {seed}: {report}", qos as u8));
        Some(report)
    }
}

impl<'s, const INBOUND: usize> Side<'s, INBOUND> {
    fn new(index: usize, run: Run, shared: &'s Shared, client: Client<16_384, 32, INBOUND, 4_096>) -> Self {
        Self { index, run, shared, client, published: 0, state: Progress::default(), moved: Clock::now() }
    }

    fn run(mut self) -> Progress {
        let end = Clock::now() + LIMIT;
        self.connect();
        while !self.is_over() {
            let (arrived, acknowledged) = (self.state.distinct.len(), self.state.acknowledged);
            if Clock::now() > end || self.moved.elapsed() > STALL && !self.is_done() {
                self.fail(format!("took too long: {arrived} have arrived, {acknowledged} are acknowledged"));
            }
            self.turn();
        }
        // What comes too late comes now.
        let end = Clock::now() + LATER;
        while Clock::now() < end && !self.shared.failed.load(Ordering::SeqCst) {
            self.turn();
        }
        self.state
    }

    fn turn(&mut self) {
        self.publish();
        let before = (self.state.received.len(), self.state.acknowledged);
        let state = &mut self.state;
        let expected = self.index;
        let run = self.run;
        match self.client.step(|_, event| state.take(event, expected, run)) {
            Turn::Closed(cause) => {
                self.state.closed.push(cause);
                let expected = matches!(
                    cause,
                    CloseReason::ConnectionLost | CloseReason::TooManyHeld | CloseReason::ReceiveMaximumExceeded
                );
                if (!expected || self.state.is_stuck(20)) && self.run.strictness != Strictness::ClientAlone {
                    self.fail(format!("the connection ended: {cause}"));
                }
                sleep(Duration::from_millis(1));
                self.connect();
            }
            Turn::Went | Turn::Waited => {}
        }
        self.subscribe();
        if before != (self.state.received.len(), self.state.acknowledged) {
            self.moved = Clock::now();
        } else if self.is_let_down() {
            self.client.hang_up();
        }
        let arrived = self.state.distinct.len();
        self.shared.arrived[1 - self.index].store(arrived, Ordering::SeqCst);
        let done =
            (arrived == MESSAGES || run.strictness == Strictness::ClientAlone) && self.state.acknowledged == MESSAGES;
        self.shared.done[self.index].store(done, Ordering::SeqCst);
        if self.state.faults.len() > 20 {
            self.fail("too many faults".to_owned());
        }
    }

    fn connect(&mut self) {
        let name = ["tested", "other"][self.index];
        // What a broker will not finish is given up with its session.
        self.state.begins_anew |= self.gives_up();
        self.moved = Clock::now();
        let connect = Connect {
            keep_alive: 10,
            lost_session: LostSession::Report,
            clean_start: self.state.begins_anew,
            ..connect_as(self.run.on.version, name, true)
        };
        if let Err(refused) = self.client.open(&connect) {
            self.fail(format!("CONNECT was refused: {refused}"));
        }
    }

    /// Subscribes as often as it takes.
    fn subscribe(&mut self) {
        if take(&mut self.state.wants_subscription) {
            let topics = [Subscription::new(["down/#", "up/#"][self.index], self.run.qos)];
            let subscribe = Subscribe::new(&topics);
            match self.client.session.subscribe(&subscribe) {
                Ok(_) | Err(CommandError::Offline) => {}
                Err(refused) => self.fail(format!("SUBSCRIBE was refused: {refused}")),
            }
        }
        self.shared.subscribed[self.index].fetch_or(self.state.subscribed, Ordering::SeqCst);
    }

    /// Publishes what the window allows, once the other side has subscribed.
    fn publish(&mut self) {
        let arrived = self.shared.arrived[self.index].load(Ordering::SeqCst);
        let ended = match self.run.strictness {
            Strictness::ClientAlone => self.state.acknowledged,
            _ => arrived.min(self.state.acknowledged),
        };
        let ready = self.shared.subscribed.iter().all(|subscribed| subscribed.load(Ordering::SeqCst));
        while ready && self.published < MESSAGES && self.published < ended + WINDOW {
            let payload = self.published.to_string();
            let topic = ["up/power", "down/tariff"][self.index];
            let publish = Publish { qos: self.run.qos, ..Publish::new(topic, payload.as_bytes()) };
            match self.client.session.publish(&publish) {
                Ok(_) => self.published += 1,
                Err(CommandError::Full) => return,
                Err(refused) => return self.fail(format!("PUBLISH was refused: {refused}")),
            }
        }
    }

    /// Whether the session has to be given up, for the broker does not finish it.
    fn gives_up(&self) -> bool {
        self.is_let_down() || self.run.strictness == Strictness::ClientAlone && self.state.is_stuck(4)
    }

    /// Whether the broker answers nothing any more.
    fn is_let_down(&self) -> bool {
        self.run.strictness == Strictness::ClientAlone && self.moved.elapsed() > WAIT && !self.is_done()
    }

    fn is_done(&self) -> bool {
        let all_arrived = self.state.distinct.len() == MESSAGES || self.run.strictness == Strictness::ClientAlone;
        all_arrived && self.state.acknowledged == MESSAGES
    }

    fn is_over(&self) -> bool {
        let done = self.shared.done.iter().all(|done| done.load(Ordering::SeqCst));
        done || self.shared.failed.load(Ordering::SeqCst)
    }

    fn fail(&mut self, fault: String) {
        let name = ["the tested client", "the other client"][self.index];
        self.state.faults.push(format!("{name}: {fault}"));
        self.shared.failed.store(true, Ordering::SeqCst);
    }
}

impl Progress {
    fn take(&mut self, event: &Event<'_>, index: usize, run: Run) {
        let lenient = run.strictness == Strictness::ClientAlone;
        match event {
            Event::Connected(connack) => {
                if self.subscribed && !connack.session_present && !lenient {
                    self.faults.push("the broker has lost the session".to_owned());
                }
                self.begins_anew = false;
                self.subscribed &= connack.session_present;
                self.wants_subscription = !self.subscribed;
            }
            Event::Subscribed { reason_codes, .. } => {
                self.subscribed = reason_codes.iter().all(|code| !code.is_error());
            }
            Event::Message(message) => match number(message.payload) {
                Some(number) if message.topic.starts_with(["down", "up"][index]) => {
                    self.received.push(number);
                    self.distinct.insert(number);
                }
                _ => self.faults.push(format!("not one of ours: {message:?}")),
            },
            Event::Published { outcome, .. } if lenient || is_confirmed(run.on, *outcome) => {
                self.acknowledged += 1;
                self.confirmed += usize::from(is_confirmed(run.on, *outcome));
            }
            Event::RequestLost { .. } | Event::Writable => {}
            // The broker may have taken an identifier back before the link broke.
            Event::Stray { .. } => {}
            _ if lenient => {}
            other => self.faults.push(format!("unexpected: {other:?}")),
        }
    }

    /// What the client did wrong whatever the broker did.
    fn own_faults(&self, wire: &Wire) -> Vec<String> {
        let mut faults = Vec::new();
        let (sent, taken) = wire.sent_down();
        let mut left = sent.iter().filter_map(|payload| number(payload));
        if let Some(wrong) = self.received.iter().find(|&&received| !left.any(|sent| sent == received)) {
            faults.push(format!("{wrong} was delivered in another order than that of the wire"));
        }
        let (broken, _) = wire.broken_by(Role::Server);
        let lost: Vec<usize> = taken.difference(&broken).filter_map(|payload| number(payload)).collect();
        let lost: Vec<&usize> = lost.iter().filter(|number| !self.distinct.contains(number)).collect();
        if !lost.is_empty() {
            faults.push(format!("acknowledged and not delivered: {lost:?}"));
        }
        if !wire.released_in_haste().is_empty() {
            faults.push(format!("released before they were answered: {:?}", wire.released_in_haste()));
        }
        let violations = self.closed.iter().filter(|cause| matches!(cause, CloseReason::Violation(_))).count();
        let malformed = wire.malformed.iter().filter(|packet| packet.starts_with("to Client")).count();
        if violations > malformed {
            faults.push(format!("{violations} connections ended for {malformed} malformed packets"));
        }
        faults
    }

    fn ended_otherwise(&self) -> BTreeMap<String, usize> {
        let mut causes = BTreeMap::new();
        for cause in self.closed.iter().filter(|&&cause| cause != CloseReason::ConnectionLost) {
            *causes.entry(cause.to_string()).or_default() += 1;
        }
        causes
    }

    /// Whether so many connections have ended in a row although nobody cut them.
    fn is_stuck(&self, count: usize) -> bool {
        self.closed.len() >= count
            && self.closed.iter().rev().take(count).all(|&cause| cause != CloseReason::ConnectionLost)
    }
}

/// What is expected of a run.
#[derive(Clone, Copy, PartialEq)]
enum Strictness {
    ExactlyOnce,
    ButForTheBroker,
    AtLeastOnce,
    /// Exactly once, over a link that holds.
    WithoutCuts,
    /// Nothing of the broker.
    ClientAlone,
}

impl Report {
    fn judge(self, strictness: Strictness) {
        let mut faults = self.faults.clone();
        let all: Vec<usize> = (0..MESSAGES).collect();
        for (index, received) in self.received.iter().enumerate() {
            let name = ["down", "up"][index];
            let (first, repeated) = sorted_out(received);
            if first != all && strictness != Strictness::ClientAlone {
                let wrong = first.iter().zip(&all).position(|(got, due)| got != due);
                let count = first.len();
                faults.push(format!("{name}: {count} of {MESSAGES} arrived; the first in a wrong place: {wrong:?}"));
            }
            let exempt = match strictness {
                Strictness::ExactlyOnce | Strictness::WithoutCuts => BTreeSet::new(),
                Strictness::ButForTheBroker | Strictness::ClientAlone if index == 0 && !self.repeats => {
                    self.broken.0.clone()
                }
                Strictness::ButForTheBroker => BTreeSet::new(),
                Strictness::AtLeastOnce | Strictness::ClientAlone => repeated.clone(),
            };
            let twice: Vec<&usize> = repeated.difference(&exempt).collect();
            if !twice.is_empty() {
                faults.push(format!("{name}: arrived twice: {twice:?}"));
            }
        }
        if self.counts.cuts() < self.least_cuts {
            faults.push(format!("there were only {} cuts", self.counts.cuts()));
        }
        assert!(faults.is_empty(), "{}\n{self}", faults.join("\n"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { connections, refused, cut_in_connect, cut_before_connack, cut_up, cut_down, .. } = self.counts;
        let Counts { at_boundaries, abrupt, fragmented, delayed, stalled, published_down, .. } = self.counts;
        let [down, up] = self.received.each_ref().map(|received| (received.len(), sorted_out(received)));
        write!(
            f,
            "{} cuts ({refused} refused, {cut_in_connect} in CONNECT, {cut_before_connack} before CONNACK, {cut_up} up, \
             {cut_down} down; {at_boundaries} between packets, {abrupt} abrupt), {connections} connections ({fragmented} \
             in single bytes, {delayed} slow, {stalled} stalled); up {} delivered, {} of them repeats; down {} \
             delivered, {} of them repeats, {} suppressed or not read before a cut",
            self.counts.cuts(),
            up.0,
            up.0 - up.1.0.len(),
            down.0,
            down.0 - down.1.0.len(),
            published_down.saturating_sub(down.0),
        )?;
        for (index, received) in self.received.iter().enumerate() {
            let arrived: BTreeSet<usize> = received.iter().copied().collect();
            let missing: Vec<usize> = (0..MESSAGES).filter(|number| !arrived.contains(number)).collect();
            if let Some(first) = missing.first() {
                let way = ["down", "up"][index];
                write!(f, "; {way}: {} never arrived, the first of them {first}", missing.len())?;
            }
        }
        if self.confirmed != [MESSAGES; 2] {
            write!(f, "; acknowledged by the broker: {} up, {} down", self.confirmed[0], self.confirmed[1])?;
        }
        for (cause, count) in &self.ended {
            write!(f, "; {count} connections ended because {cause}")?;
        }
        write!(f, "; {:.1} s", self.time.as_secs_f32())?;
        if !self.broken.0.is_empty() {
            write!(f, "; the broker published {} messages again after PUBREL: {}", self.broken.0.len(), self.broken.1)?;
        }
        Ok(())
    }
}

/// The first arrival of each message, and what arrived more than once.
fn sorted_out(received: &[usize]) -> (Vec<usize>, BTreeSet<usize>) {
    let (mut first, mut repeated, mut known) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for &number in received {
        if known.insert(number) {
            first.push(number);
        } else {
            repeated.insert(number);
        }
    }
    (first, repeated)
}

/// Whether the broker has taken a message. A PUBREL whose PUBCOMP was lost comes again, and is for an identifier that is not
/// in use any more. (5.0: 3.7.2.1)
fn is_confirmed(on: On, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Acknowledged(ReasonCode::Success) => true,
        Outcome::Acknowledged(ReasonCode::PacketIdentifierNotFound) => on.tells_of_unknown_identifiers(),
        _ => false,
    }
}

fn number(payload: &[u8]) -> Option<usize> {
    str::from_utf8(payload).ok()?.parse().ok()
}
