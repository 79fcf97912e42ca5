//! Two real ends over a simulated link, and the applications on both of them, which do what a list of operations says.

use core::cell::RefCell;
use core::mem;
use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use mqtt_session::sim::{Chart, Faults, Simulation, Turn};
use mqtt_session::strategies;
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Disconnect, Event, Handle, Inbox, MaximumPacketSize, Message,
    MessagePart, Offline, Outcome, Oversized, PacketId, PayloadRequest, Properties, Property, Publish, QoS, ReasonCode,
    Role, Source, Subscribe, Subscription, TopicAliases, Unsubscribe, Version, server,
};

use super::end::{ClientEnd, Commands, ServerEnd, Watched};
use super::journal::{Fact, Journal, Pen, Tap, Watcher, Wire, other};
use super::operation::{Operation, Plan, ServerPlan, Setup};

/// How a run is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// To be judged: a chart would take longer than all the rest.
    Undrawn,
    Drawn,
    /// Each session is replaced by a clone again and again.
    DrawnOfClones,
}

pub(crate) struct World<C, S> {
    setup: Setup,
    sim: Simulation<Watcher>,
    pub(crate) client: Watched<C>,
    pub(crate) server: Watched<S>,
    inboxes: [Box<Inbox>; 2],
    journal: Pen,
    plan: Plan,
    /// A clean start was asked for, and not answered yet, or the client knows of no session: it goes on to ask for one.
    clean_owed: bool,
    /// Only a clean start helps, and the application is to ask for it.
    clean_needed: bool,
    /// What was published, by number.
    sent: Vec<Sent>,
    /// The numbers of the messages that each end has under way.
    under_way: [BTreeMap<PacketId, u32>; 2],
    handles: [Vec<Unjudged>; 2],
    /// The message that each end receives in parts.
    arriving: [Option<Whole>; 2],
    requests: BTreeSet<PacketId>,
    /// How many messages of each end were never acknowledged: their identifiers may stay taken.
    kept: [u16; 2],
    closed: [bool; 2],
    /// How many messages were delivered.
    deliveries: u32,
    drawing: Drawing,
}

struct Sent {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
}

/// A message as an application has it once all of it is here.
struct Whole {
    topic: String,
    payload: Vec<u8>,
    retain: bool,
    qos: QoS,
    packet_id: Option<PacketId>,
}

struct Unjudged {
    handle: Handle,
    number: u32,
    packet_id: PacketId,
    qos: QoS,
    serial: u32,
}

/// What a turn told, without what it borrows.
enum News {
    Idle,
    Nothing,
    Closed(Role, CloseReason),
    Message { to: Role, message: Whole, remaining: u32, handle: Option<Handle> },
    Part { to: Role, payload: Vec<u8>, remaining: u32, handle: Option<Handle> },
    Aborted(Role),
    Requested { from: Role, number: u32, offset: u32 },
    Skipped { to: Role, topic: String, qos: QoS },
    Published(Role, PacketId, Outcome),
    Republished(PacketId, PacketId),
    Answered { packet_id: PacketId, lost: bool },
    Online(bool),
    Connecting { session_present: bool, lasting: bool },
    Subscribing(PacketId, usize),
    Unsubscribing(PacketId, usize),
    Stray(Role),
}

const ALIASES: TopicAliases = TopicAliases { maximum: 2, topic: 3 };

pub(crate) const fn index(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

impl<C: ClientEnd, S: ServerEnd> World<C, S> {
    pub(crate) fn new(setup: &Setup, drawing: Drawing) -> Self {
        let journal: Pen = Rc::new(RefCell::new(Journal::default()));
        let chart = (drawing != Drawing::Undrawn).then(|| Chart::new(String::new()));
        let watcher = Watcher { chart, journal: Rc::clone(&journal) };
        let tap = |role| Tap::new(role, setup.version, Rc::clone(&journal));
        let mut world = Self {
            setup: setup.clone(),
            sim: Simulation::new(setup.seed, setup.faults, watcher),
            client: Watched::new(C::default(), tap(Role::Client)),
            server: Watched::new(S::default(), tap(Role::Server)),
            inboxes: [inbox(96), inbox(96)],
            plan: setup.plan,
            clean_owed: false,
            clean_needed: false,
            sent: Vec::new(),
            under_way: [BTreeMap::new(), BTreeMap::new()],
            handles: [Vec::new(), Vec::new()],
            arriving: [None, None],
            requests: BTreeSet::new(),
            kept: [0; 2],
            closed: [false; 2],
            deliveries: 0,
            drawing,
            journal,
        };
        world.connect(setup.plan);
        world
    }

    pub(crate) fn run(&mut self, operations: &[Operation]) {
        for operation in operations {
            self.apply(*operation);
        }
    }

    /// What was seen, once all is over.
    pub(crate) fn take_facts(&mut self) -> Vec<(u64, Fact)> {
        mem::take(&mut self.journal.borrow_mut().facts)
    }

    /// Its drawing, or nothing.
    pub(crate) fn chart(&mut self) -> String {
        self.sim.observer().chart.as_mut().map_or_else(String::new, |chart| chart.out().clone())
    }

    pub(crate) fn apply(&mut self, operation: Operation) {
        if self.drawing == Drawing::DrawnOfClones {
            self.client.session.replace_by_clone();
            self.server.session.replace_by_clone();
        }
        match operation {
            Operation::Plain(operation) => self.apply_plain(operation),
            Operation::Burst { from, count } => {
                for number in 0..count {
                    let qos = [QoS::ExactlyOnce, QoS::AtLeastOnce][number % 2];
                    self.publish(from, qos, 8, false, None, None, false);
                }
            }
            Operation::Reconnect(plan) => self.connect(plan),
        }
        self.sim.wake();
    }

    fn apply_plain(&mut self, operation: strategies::Operation) {
        use strategies::Operation;
        match operation {
            Operation::Publish { from, qos, retain, topic, len, expiry, alias } => {
                // What goes to every other topic is written in place.
                self.publish(from, qos, len, retain, expiry, alias.map(NonZeroU16::get), topic % 2 == 1);
            }
            Operation::Subscribe { count, .. } => self.subscribe(count),
            Operation::Unsubscribe { count, .. } => self.unsubscribe(count),
            Operation::Acknowledge { by, which, code } => self.acknowledge(by, which, code),
            Operation::Cancel { from, which } => self.cancel(from, which),
            Operation::GiveUp { from, which } => self.give_up(from, which),
            Operation::Step(steps) => {
                for _ in 0..steps {
                    self.step();
                }
            }
            Operation::Quiet => {
                for _ in 0..2000 {
                    if self.step() || self.closed == [true; 2] {
                        break;
                    }
                }
            }
            Operation::Cut => self.sim.cut(),
            Operation::CutAfter(bytes) => self.sim.cut_after(bytes),
            Operation::Pass(millis) => self.sim.pass(millis.into()),
            Operation::Disconnect { by, code } => self.disconnect(by, code),
            Operation::Lose => self.lose_server(),
            other => panic!("{other:?}: nothing carries it out"),
        }
    }

    fn end(&mut self, role: Role) -> &mut dyn Commands {
        match role {
            Role::Client => &mut self.client.session,
            Role::Server => &mut self.server.session,
        }
    }

    fn note(&self, fact: Fact) {
        let mut journal = self.journal.borrow_mut();
        journal.now = journal.now.max(self.sim.now().as_millis());
        journal.note(fact);
    }

    fn is_v5(&self) -> bool {
        self.setup.version == Version::V5
    }

    /// Notes a refusal.
    fn refused(&self, refused: CommandError, unchanged: bool) {
        self.note(Fact::Refused { unchanged, full: refused == CommandError::Full });
    }

    #[expect(clippy::too_many_arguments, reason = "a message has as many")]
    pub(crate) fn publish(
        &mut self,
        from: Role,
        qos: QoS,
        len: usize,
        retain: bool,
        expiry: Option<u32>,
        alias: Option<u16>,
        in_place: bool,
    ) -> bool {
        let places = self.end(other(from)).held();
        // What a session without places is for; and 3.1.1 leaves it to the applications to fill no more places than there are.
        let qos = if places == 0 { qos.min(QoS::AtLeastOnce) } else { qos };
        // What was given up may take one, too.
        let requests = if from == Role::Client { self.requests.len() } else { 0 };
        let taken = usize::from(self.end(from).pending()).saturating_sub(requests);
        let taken = taken.max(self.under_way[index(from)].len());
        if !self.is_v5() && qos != QoS::AtMostOnce && places != 0 && taken >= places {
            return false;
        }
        let number = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let topic = alias.map_or_else(|| format!("t/{number}"), |alias| format!("a/{}", alias % 2 + u16::from(retain)));
        let mut payload = format!("{number:08x}").into_bytes();
        payload.resize(len.max(8), number.to_le_bytes()[0]);
        let properties = expiry.map(Property::MessageExpiryInterval);
        let publish = Publish {
            qos,
            retain,
            properties: Properties::of(properties.as_slice()),
            topic_alias: alias.and_then(NonZeroU16::new),
            ..Publish::new(&topic, &payload)
        };
        let (answer, unchanged) = if in_place && self.in_pieces() {
            let source = Source { piece: 64, ..Source::new(number, u32::try_from(payload.len()).unwrap_or(u32::MAX)) };
            self.end(from).publish_from(&publish, &source)
        } else {
            self.end(from).publish(&publish, in_place)
        };
        match answer {
            Ok(packet_id) => {
                self.note(Fact::Accepted {
                    from,
                    number,
                    qos,
                    packet_id,
                    expiry,
                    topic: topic.clone(),
                    len: payload.len(),
                });
                if let Some(packet_id) = packet_id {
                    self.under_way[index(from)].insert(packet_id, number);
                }
                self.sent.push(Sent { topic, payload, qos, retain });
            }
            Err(refused) => self.refused(refused, unchanged),
        }
        answer.is_ok()
    }

    fn subscribe(&mut self, filters: usize) {
        let subscriptions = vec![Subscription::new("f/+", QoS::ExactlyOnce); filters];
        let subscribe = Subscribe::new(&subscriptions);
        let (answer, unchanged) = self.client.session.subscribe(&subscribe);
        self.requested(answer, unchanged);
    }

    fn unsubscribe(&mut self, filters: usize) {
        let filters = vec!["f/+"; filters];
        let (answer, unchanged) = self.client.session.unsubscribe(&Unsubscribe::new(&filters));
        self.requested(answer, unchanged);
    }

    fn requested(&mut self, answer: Result<PacketId, CommandError>, unchanged: bool) {
        match answer {
            Ok(packet_id) => {
                self.requests.insert(packet_id);
                self.note(Fact::Requested(packet_id));
            }
            Err(refused) => self.refused(refused, unchanged),
        }
    }

    fn acknowledge(&mut self, by: Role, which: usize, code: ReasonCode) {
        let waiting = self.handles[index(by)].len();
        if waiting == 0 {
            return;
        }
        let Unjudged { handle, number, packet_id, qos, serial } = self.handles[index(by)].remove(which % waiting);
        let (answer, unchanged) = self.end(by).acknowledge(handle, code);
        if let Err(refused) = answer {
            self.refused(refused, unchanged);
        }
        let code = answer.is_ok().then_some(code);
        self.note(Fact::Judged { by, number, packet_id, qos, code, serial });
    }

    fn cancel(&mut self, from: Role, which: usize) {
        let under_way = &self.under_way[index(from)];
        let Some((&packet_id, &number)) = under_way.iter().nth(which.checked_rem(under_way.len()).unwrap_or(0)) else {
            return;
        };
        let (taken, unchanged) = self.end(from).cancel(packet_id);
        if taken {
            self.under_way[index(from)].remove(&packet_id);
        } else {
            self.refused(CommandError::StaleHandle, unchanged);
        }
        self.note(Fact::Cancelled { number, taken });
    }

    fn give_up(&mut self, from: Role, which: usize) {
        let under_way = &self.under_way[index(from)];
        let Some((&packet_id, &number)) = under_way.iter().nth(which.checked_rem(under_way.len()).unwrap_or(0)) else {
            return;
        };
        let (taken, unchanged) = self.end(from).give_up(packet_id);
        if !taken {
            self.refused(CommandError::StaleHandle, unchanged);
        }
        self.note(Fact::GaveUp { number, taken });
    }

    fn disconnect(&mut self, by: Role, reason_code: ReasonCode) {
        let disconnect = Disconnect { reason_code, properties: Properties::EMPTY, ..Disconnect::default() };
        let (answer, unchanged) = self.end(by).disconnect(&disconnect);
        if let Err(refused) = answer {
            self.refused(refused, unchanged);
        }
    }

    /// The server forgets everything, its connection included.
    fn lose_server(&mut self) {
        // What it was receiving ended with it.
        self.arriving[index(Role::Server)] = None;
        self.server.session = S::default();
        self.server.begin(None);
        self.inboxes[1].clear();
        self.under_way[1].clear();
        self.kept[1] = 0;
        self.handles[1].clear();
        self.note(Fact::Replaced);
    }

    /// A new transport, and CONNECT over it.
    pub(crate) fn connect(&mut self, plan: Plan) {
        let v5 = self.is_v5();
        let mut plan = plan;
        plan.manual[0] &= self.client.session.held() != 0;
        plan.manual[1] &= self.server.session.held() != 0;
        let clean_start = plan.clean || self.clean_needed;
        self.clean_owed |= clean_start;
        self.plan = plan;
        let clean = self.clean_owed;
        let lasting = if v5 { plan.expiry != 0 } else { !clean };
        self.inboxes = plan.inboxes.map(inbox);
        if v5 && plan.aliases {
            self.inboxes.iter_mut().for_each(|inbox| inbox.set_topic_aliases(ALIASES));
        }
        let expiry = [Property::SessionExpiryInterval(plan.expiry)];
        let connect = Connect {
            clean_start,
            keep_alive: plan.keep_alive,
            properties: if v5 { Properties::of(&expiry) } else { Properties::EMPTY },
            acknowledgement: acknowledge(plan.manual[0]),
            lost_session: self.setup.lost_session,
            offline: offline(plan.keeps_qos_0),
            oversized: self.oversized(),
            maximum_packet_size: exceeding(plan.exceeds),
            receive_maximum: plan.receive_maximum,
            topic_aliases: if v5 && plan.aliases { ALIASES } else { TopicAliases::NONE },
            retry_interval: core::time::Duration::from_secs(plan.retry_interval.into()),
            ..Connect::new(self.setup.version, "m")
        };
        self.closed = [false; 2];
        self.sim.connect();
        self.note(Fact::Connecting { clean, lasting });
        self.client.begin((v5 && plan.server == ServerPlan::Misled).then_some(40));
        self.server.begin(None);
        self.server.session.open();
        let (answer, _) = self.client.session.connect(&mut self.inboxes[0], &connect);
        answer.expect("CONNECT fits");
    }

    /// One step; tells whether nothing more happens by itself.
    pub(crate) fn step(&mut self) -> bool {
        let before = self.sim.now().as_millis();
        self.journal.borrow_mut().now = before;
        if self.drawing == Drawing::DrawnOfClones {
            self.client.session.replace_by_clone();
        }
        let Self { sim, client, server, inboxes: [client_inbox, server_inbox], .. } = self;
        let news = News::of(sim.step(client, client_inbox, server, server_inbox));
        self.react(news)
    }

    fn react(&mut self, news: News) -> bool {
        match news {
            News::Idle => return true,
            News::Nothing => {}
            News::Closed(end, cause) => {
                self.closed[index(end)] = true;
                // The server knows nothing of what the client knows, or the other way round.
                self.clean_owed |= cause == CloseReason::SessionUnknown;
                self.clean_needed |= cause == CloseReason::TooManyHeld;
                self.note(Fact::Closed { end, cause });
            }
            News::Message { .. } | News::Part { .. } | News::Aborted(_) => self.receive(news),
            News::Requested { from, number, offset } => {
                let payload = self.sent[number as usize].payload.clone();
                self.end(from).supply(&payload[offset as usize..]);
            }
            News::Skipped { to, topic, qos } => {
                let number = topic.get(2..).and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
                let intact = self.sent.get(number as usize).is_some_and(|sent| sent.qos == qos);
                self.note(Fact::Delivered { to, number, qos, packet_id: None, intact, manual: false, serial: 0 });
            }
            News::Published(from, packet_id, outcome) => {
                let number = self.under_way[index(from)].remove(&packet_id);
                self.kept[index(from)] += u16::from(matches!(outcome, Outcome::GivenUp | Outcome::Unsendable));
                self.note(Fact::Told { from, number, outcome });
            }
            News::Republished(lost, packet_id) => {
                let number = self.under_way[0].remove(&lost);
                self.under_way[0].extend(number.map(|number| (packet_id, number)));
                self.note(Fact::Republished { number, packet_id });
            }
            News::Answered { packet_id, lost } => {
                self.requests.remove(&packet_id);
                self.note(Fact::Answered { packet_id, lost });
            }
            News::Stray(at) => self.note(Fact::Stray { at }),
            News::Online(session_present) => {
                (self.clean_owed, self.clean_needed) = (false, false);
                self.note(Fact::Online { session_present });
            }
            News::Connecting { session_present, lasting } => self.answer_connect(session_present, lasting),
            News::Subscribing(packet_id, filters) => {
                self.server.session.suback(packet_id, &vec![ReasonCode::GrantedQos2; filters]);
            }
            News::Unsubscribing(packet_id, filters) => {
                self.server.session.unsuback(packet_id, &vec![ReasonCode::Success; filters]);
            }
        }
        false
    }

    /// A message, or a part of one.
    fn receive(&mut self, news: News) {
        let (to, message, remaining, handle) = match news {
            News::Message { to, message, remaining, handle } => {
                self.broken(self.arriving[index(to)].is_some(), to, "a message within a message");
                (to, message, remaining, handle)
            }
            News::Part { to, payload, remaining, handle } => {
                let Some(mut message) = self.arriving[index(to)].take() else {
                    return self.broken(true, to, "a part without a front");
                };
                message.payload.extend(payload);
                (to, message, remaining, handle)
            }
            News::Aborted(to) => {
                let is_none = self.arriving[index(to)].take().is_none();
                return self.broken(is_none, to, "nothing was begun that could break off");
            }
            _ => return,
        };
        if remaining == 0 {
            self.delivered(to, message, handle);
        } else {
            self.arriving[index(to)] = Some(message);
        }
    }

    /// All of a message is here.
    fn delivered(&mut self, to: Role, message: Whole, handle: Option<Handle>) {
        let Whole { topic, payload, retain, qos, packet_id } = message;
        let number = str::from_utf8(payload.get(..8).unwrap_or_default()).ok();
        let number = number.and_then(|number| u32::from_str_radix(number, 16).ok()).unwrap_or(u32::MAX);
        let intact = self
            .sent
            .get(number as usize)
            .is_some_and(|sent| (&sent.topic, &sent.payload, sent.qos, sent.retain) == (&topic, &payload, qos, retain));
        let manual = handle.is_some();
        self.deliveries += 1;
        let serial = self.deliveries;
        self.note(Fact::Delivered { to, number, qos, packet_id, intact, manual, serial });
        if let (Some(handle), Some(packet_id)) = (handle, packet_id) {
            self.handles[index(to)].push(Unjudged { handle, number, packet_id, qos, serial });
        }
    }

    /// Parts that do not belong together.
    fn broken(&self, is_broken: bool, to: Role, fault: &'static str) {
        if is_broken {
            self.note(Fact::Garbled { from: other(to), fault });
        }
    }

    /// Whether messages that are larger than memory go in pieces, or pass.
    const fn in_pieces(&self) -> bool {
        self.setup.seed.is_multiple_of(2)
    }

    const fn oversized(&self) -> Oversized {
        if self.in_pieces() { Oversized::InPieces } else { Oversized::Skipped }
    }

    fn answer_connect(&mut self, session_present: bool, lasting: bool) {
        let properties: &[Property<'_>] = match self.plan.server {
            ServerPlan::Rejects => return self.server.session.reject(),
            ServerPlan::Neglects => return,
            ServerPlan::AcceptsQos1 if self.is_v5() => &[Property::MaximumQos(QoS::AtLeastOnce)],
            ServerPlan::AcceptsUnretained if self.is_v5() => &[Property::RetainAvailable(false)],
            _ => &[],
        };
        let aliases = self.is_v5() && self.plan.aliases;
        let accepted = self.server.session.accept(&server::Accept {
            properties: Properties::of(properties),
            acknowledgement: acknowledge(self.plan.manual[1]),
            offline: offline(self.plan.keeps_qos_0),
            oversized: self.oversized(),
            maximum_packet_size: exceeding(self.plan.exceeds),
            receive_maximum: self.plan.receive_maximum,
            topic_aliases: if aliases { ALIASES } else { TopicAliases::NONE },
            ..server::Accept::default()
        });
        if accepted {
            self.note(Fact::Admitted { session_present, lasting });
        }
    }

    /// No more faults: everything comes to its end, on this connection or on one of a few others.
    pub(crate) fn settle(&mut self) -> bool {
        self.note(Fact::Settling);
        self.sim.set_faults(Faults::NONE);
        self.sim.cut_after(usize::MAX);
        let mut rest = self.come_to_rest(3_000);
        for _ in 0..4 {
            if rest == Rest::Stuck {
                break;
            }
            self.connect(benign(self.setup.plan));
            rest = self.come_to_rest(20_000);
            if rest == Rest::Done {
                break;
            }
        }
        let settled = rest == Rest::Done;
        self.note(Fact::Settled(settled));
        for role in [Role::Client, Role::Server] {
            let in_flight = self.end(role).pending();
            self.note(Fact::InFlight(role, in_flight));
        }
        settled
    }

    /// Lets everything come to its end; tells whether it has.
    pub(crate) fn rest(&mut self) -> bool {
        self.come_to_rest(5_000) == Rest::Done
    }

    /// A store that is full and stays so, because the other application acknowledges nothing: what else there is to do is
    /// done.
    pub(crate) fn stay_full(&mut self) -> Result<(), String> {
        self.settle();
        let plan = Plan { manual: [false, true], keep_alive: 10, ..benign(self.setup.plan) };
        self.connect(plan);
        for _ in 0..100 {
            self.step();
        }
        // Without places the server has no way not to acknowledge.
        if !self.plan.manual[1] || !self.client.session.is_online() {
            return Ok(());
        }
        // What was given up half way takes places of the other end until the session ends.
        if self.kept != [0; 2] {
            return Ok(());
        }
        for len in [60, 20, 8] {
            while self.publish(Role::Client, QoS::AtLeastOnce, len, false, None, None, false) {}
        }
        let before = self.client.session.pending();
        let mark = self.journal.borrow().facts.len();
        let asked = self.publish(Role::Server, QoS::ExactlyOnce, 8, false, None, None, false);
        let begun = self.sim.now().as_millis();
        while self.sim.now().as_millis() < begun + 30_000 && self.closed == [false; 2] {
            self.step();
        }
        let told = |fact: &(u64, Fact)| matches!(fact.1, Fact::Told { from: Role::Server, .. });
        let pinged = |fact: &(u64, Fact)| matches!(fact.1, Fact::Arrived { packet: Wire::Ping, .. });
        let since = |test: &dyn Fn(&(u64, Fact)) -> bool| self.journal.borrow().facts[mark..].iter().any(test);
        let (told, pinged) = (since(&told), since(&pinged));
        if asked && !told {
            return Err("a message of the server was held up".into());
        }
        if self.client.session.pending() != before || self.closed != [false; 2] || !pinged {
            return Err(format!("in flight {before}, closed {:?}, PINGREQ {pinged}", self.closed));
        }
        self.disconnect(Role::Client, ReasonCode::NORMAL_DISCONNECTION);
        for _ in 0..1000 {
            self.step();
        }
        let left = |fact: &(u64, Fact)| matches!(fact.1, Fact::Arrived { packet: Wire::Disconnect(_), .. });
        let left = self.journal.borrow().facts[mark..].iter().any(left);
        if left { Ok(()) } else { Err("DISCONNECT did not leave".into()) }
    }

    fn come_to_rest(&mut self, steps: usize) -> Rest {
        let begun = self.sim.now().as_millis();
        self.sim.wake();
        for _ in 0..steps {
            if self.sim.now().as_millis() - begun > 300_000 {
                break;
            }
            let waiting = self.handles.iter().map(Vec::len).sum::<usize>();
            for role in [Role::Client, Role::Server] {
                while !self.handles[index(role)].is_empty() {
                    self.acknowledge(role, 0, ReasonCode::Success);
                }
            }
            let is_idle = self.step() && waiting == 0;
            if self.closed == [true; 2] {
                return Rest::Closed;
            }
            if is_idle {
                let is_done = self.is_done() && self.client.session.is_online() && self.server.session.is_online();
                return if is_done { Rest::Done } else { Rest::Stuck };
            }
        }
        Rest::Busy
    }

    fn is_done(&self) -> bool {
        self.under_way.iter().all(BTreeMap::is_empty)
            && self.handles.iter().all(Vec::is_empty)
            && self.requests.is_empty()
            && self.client.session.pending() <= self.kept[0]
            && self.server.session.pending() <= self.kept[1]
    }

    /// The client leaves, comes back, and nothing happens.
    pub(crate) fn come_again(&mut self) -> bool {
        self.disconnect(Role::Client, ReasonCode::NORMAL_DISCONNECTION);
        self.come_to_rest(1_000);
        self.connect(benign(self.setup.plan));
        self.come_to_rest(1_000) == Rest::Done
    }
}

/// How a stretch of steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing is under way.
    Done,
    /// Nothing happens, but something is under way.
    Stuck,
    Closed,
    /// The steps were too few.
    Busy,
}

/// A connection on which everything can settle.
fn benign(plan: Plan) -> Plan {
    Plan {
        clean: false,
        expiry: 3600,
        keep_alive: 0,
        inboxes: [512; 2],
        retry_interval: 0,
        aliases: false,
        server: ServerPlan::Accepts,
        ..plan
    }
}

fn inbox(capacity: usize) -> Box<Inbox> {
    match capacity {
        96 => Box::new(Inbox::<[u8; 96]>::new()),
        160 => Box::new(Inbox::<[u8; 160]>::new()),
        _ => Box::new(Inbox::<[u8; 512]>::new()),
    }
}

const fn exceeding(exceeds: bool) -> MaximumPacketSize {
    if exceeds { MaximumPacketSize::Absent } else { MaximumPacketSize::Inbox }
}

const fn acknowledge(manually: bool) -> Acknowledge {
    if manually { Acknowledge::Manually } else { Acknowledge::AfterHandling }
}

const fn offline(keeps_qos_0: bool) -> Offline {
    if keeps_qos_0 { Offline::Everything } else { Offline::Acknowledged }
}

impl News {
    fn of(turn: Turn<Event<'_>, server::Event<'_>>) -> Self {
        match turn {
            Turn::Idle => Self::Idle,
            Turn::Moved => Self::Nothing,
            Turn::Closed { end, reason } => Self::Closed(end, reason),
            Turn::Client(event) => Self::of_client(event),
            Turn::Server(event) => Self::of_server(event),
        }
    }

    fn message(to: Role, message: &Message<'_>) -> Self {
        Self::Message {
            to,
            message: Whole {
                topic: message.topic.to_owned(),
                payload: message.payload.to_vec(),
                retain: message.retain,
                qos: message.qos(),
                packet_id: message.packet_id(),
            },
            remaining: message.remaining,
            handle: message.handle,
        }
    }

    fn part(to: Role, part: &MessagePart<'_>) -> Self {
        Self::Part { to, payload: part.payload.to_vec(), remaining: part.remaining, handle: part.handle }
    }

    const fn requested(from: Role, request: &PayloadRequest) -> Self {
        Self::Requested { from, number: request.source, offset: request.offset }
    }

    fn of_client(event: Event<'_>) -> Self {
        match event {
            Event::Connected(connack) => Self::Online(connack.session_present),
            Event::Message(message) => Self::message(Role::Client, &message),
            Event::MessagePart(part) => Self::part(Role::Client, &part),
            Event::MessageAborted => Self::Aborted(Role::Client),
            Event::PayloadRequested(request) => Self::requested(Role::Client, &request),
            Event::Skipped { topic, qos, .. } => Self::Skipped { to: Role::Client, topic: topic.to_owned(), qos },
            Event::Published { packet_id, outcome, .. } => Self::Published(Role::Client, packet_id, outcome),
            Event::Republished { lost, packet_id } => Self::Republished(lost, packet_id),
            Event::Subscribed { packet_id, .. } | Event::Unsubscribed { packet_id, .. } => {
                Self::Answered { packet_id, lost: false }
            }
            Event::RequestLost { packet_id } | Event::RequestUnsendable { packet_id, .. } => {
                Self::Answered { packet_id, lost: true }
            }
            Event::Stray { .. } => Self::Stray(Role::Client),
            _ => Self::Nothing,
        }
    }

    fn of_server(event: server::Event<'_>) -> Self {
        use server::Event;
        match event {
            Event::Connecting { version, connect, session_present } => {
                let lasting = if version == Version::V5 {
                    connect.properties.session_expiry_interval().is_some_and(|seconds| seconds != 0)
                } else {
                    !connect.clean_start
                };
                Self::Connecting { session_present, lasting }
            }
            Event::Message(message) => Self::message(Role::Server, &message),
            Event::MessagePart(part) => Self::part(Role::Server, &part),
            Event::MessageAborted => Self::Aborted(Role::Server),
            Event::PayloadRequested(request) => Self::requested(Role::Server, &request),
            Event::Skipped { topic, qos, .. } => Self::Skipped { to: Role::Server, topic: topic.to_owned(), qos },
            Event::Published { packet_id, outcome, .. } => Self::Published(Role::Server, packet_id, outcome),
            Event::Subscribing { packet_id, subscriptions, .. } => {
                Self::Subscribing(packet_id, subscriptions.iter().count())
            }
            Event::Unsubscribing { packet_id, filters, .. } => Self::Unsubscribing(packet_id, filters.iter().count()),
            Event::Stray { .. } => Self::Stray(Role::Server),
            _ => Self::Nothing,
        }
    }
}
