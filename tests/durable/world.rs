//! Two durable ends, a link that is cut, and power that goes at any moment, with any part of the last step written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::rows;
use mqtt_session::durable::{self, Batch, Key};
use mqtt_session::sim::Random;
use mqtt_session::{
    Acknowledge, Connect, Endpoint, Event, Handle, Inbox, Instant, LostSession, Offline, Outcome, Properties, Property,
    Publish, QoS, ReasonCode, Step, Version, server,
};

pub(crate) const STORE: usize = 160;
pub(crate) const PLACES: usize = 3;

pub(crate) type Client = durable::Session<STORE, PLACES, PLACES, 64>;
pub(crate) type Server = durable::server::Session<STORE, PLACES, PLACES, 64>;

/// What matters of an event.
pub(crate) enum Happened {
    Message { number: u32, qos: QoS, handle: Option<Handle> },
    Published { id: u16, outcome: Outcome },
    Connecting { session_present: bool },
    Connected { session_present: bool },
    Other,
}

/// What an application has in one database: the records, and what it knows itself.
#[derive(Clone, Default, Debug)]
pub(crate) struct Disk {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    /// Which of its messages were taken, and where each was when it was published.
    pub(crate) taken: BTreeSet<u32>,
    flight: BTreeMap<u16, u32>,
    /// What is to be published again.
    again: VecDeque<u32>,
    /// How often each was told as lost, and which came to an end.
    pub(crate) lost: BTreeMap<u32, usize>,
    finished: BTreeSet<u32>,
    pub(crate) received: Vec<u32>,
}

/// The number in a packet of ours.
fn number(payload: &[u8]) -> u32 {
    u32::from_be_bytes(*payload.last_chunk().expect("four bytes"))
}

impl Disk {
    /// One record, written as a whole.
    fn write(&mut self, key: Key, value: Option<&[u8]>) {
        match value {
            None => drop(self.records.remove(&key)),
            Some(value) => drop(self.records.insert(key, value.to_vec())),
        }
    }

    /// A message is to be published once more.
    fn lose(&mut self, number: u32) {
        *self.lost.entry(number).or_default() += 1;
        self.again.push_back(number);
    }

    /// What the records say of the application's own messages: those that are there were taken.
    fn take_note(&mut self) {
        for value in self.records.values().filter(|value| value[0] == 0x11) {
            let (id, number) = (u16::from_be_bytes([value[19], value[20]]), number(value));
            self.taken.insert(number);
            self.again.retain(|&again| again != number);
            self.flight.insert(id, number);
        }
    }
}

fn values(batch: &Batch<'_>) -> Vec<(Key, Option<Vec<u8>>)> {
    let bytes = |value: durable::Value<'_>| {
        let mut bytes = vec![0; value.len()];
        value.write(&mut bytes).expect("it fits");
        bytes
    };
    batch.iter().map(|(key, value)| (key, value.map(bytes))).collect()
}

/// Either end, as this world needs it.
pub(crate) trait Side: Sized + 'static + for<'s> Endpoint<Record<'s> = Batch<'s>> {
    fn fresh() -> Self;
    fn restored(records: &[(Key, Vec<u8>)], version: Version, now: Instant) -> Self;
    fn begin(&mut self, inbox: &mut Inbox, plan: &Plan, clean_start: bool);
    fn happened(event: &Self::Event<'_>) -> Happened;
    fn accept(&mut self, _: &Plan) {}
    fn send(&mut self, publish: &Publish<'_>) -> Option<u16>;
    fn due(&mut self) -> Option<Batch<'_>>;
    fn committed(&mut self);
    fn persisted(&mut self);
    fn not_persisted(&mut self);
    fn acknowledge(&mut self, handle: Handle) -> bool;
    fn pending(&self) -> u16;
}

/// What stays the same in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) manual: bool,
    /// The application commits a publish together with its record, or leaves the record to the step.
    pub(crate) transactions: bool,
    /// Sessions are lost, too: the server forgets its own, and the client asks for a clean start.
    pub(crate) losses: bool,
}

impl Plan {
    const fn acknowledgement(&self) -> Acknowledge {
        if self.manual { Acknowledge::Manually } else { Acknowledge::AfterHandling }
    }
}

macro_rules! common {
    () => {
        fn fresh() -> Self {
            Self::new()
        }
        fn restored(records: &[(Key, Vec<u8>)], version: Version, now: Instant) -> Self {
            let mut restore = Self::restore();
            for (key, value) in records {
                restore.record(*key, value).unwrap_or_else(|error| panic!("{error}"));
            }
            restore.finish(version, "c", now).unwrap_or_else(|error| panic!("{error}: {records:?}"))
        }
        fn send(&mut self, publish: &Publish<'_>) -> Option<u16> {
            self.publish(publish).ok().flatten().map(|id| id.get())
        }
        fn due(&mut self) -> Option<Batch<'_>> {
            self.records()
        }
        fn committed(&mut self) {
            self.committed();
        }
        fn persisted(&mut self) {
            self.persisted();
        }
        fn not_persisted(&mut self) {
            self.not_persisted();
        }
        fn acknowledge(&mut self, handle: Handle) -> bool {
            self.acknowledge(handle, ReasonCode::Success).is_ok()
        }
        fn pending(&self) -> u16 {
            self.pending()
        }
    };
}

impl Side for Client {
    common!();
    fn begin(&mut self, inbox: &mut Inbox, plan: &Plan, clean_start: bool) {
        let properties = Properties::for_version(plan.version, &[Property::SessionExpiryInterval(u32::MAX)]);
        let connect = Connect {
            clean_start,
            lost_session: if plan.losses { LostSession::Report } else { LostSession::Standard },
            properties,
            acknowledgement: plan.acknowledgement(),
            offline: Offline::Everything,
            keep_alive: 0,
            ..Connect::new(plan.version, "c")
        };
        self.connect(inbox, &connect).expect("a connect that is allowed");
    }
    fn happened(event: &Event<'_>) -> Happened {
        match event {
            Event::Message(message) => {
                Happened::Message { number: number(message.payload), qos: message.qos(), handle: message.handle }
            }
            Event::Published { packet_id, outcome, .. } => {
                Happened::Published { id: packet_id.get(), outcome: *outcome }
            }
            Event::Connected(connack) => Happened::Connected { session_present: connack.session_present },
            _ => Happened::Other,
        }
    }
}

impl Side for Server {
    common!();
    fn begin(&mut self, inbox: &mut Inbox, _: &Plan, _: bool) {
        inbox.clear();
        self.open(core::time::Duration::from_secs(30));
    }
    fn accept(&mut self, plan: &Plan) {
        let accept = server::Accept { acknowledgement: plan.acknowledgement(), ..server::Accept::default() };
        self.accept(&accept).expect("it may be accepted");
    }
    fn happened(event: &server::Event<'_>) -> Happened {
        match event {
            server::Event::Message(message) => {
                Happened::Message { number: number(message.payload), qos: message.qos(), handle: message.handle }
            }
            server::Event::Published { packet_id, outcome, .. } => {
                Happened::Published { id: packet_id.get(), outcome: *outcome }
            }
            server::Event::Connecting { session_present, .. } => {
                Happened::Connecting { session_present: *session_present }
            }
            _ => Happened::Other,
        }
    }
}

/// One end: what it has in memory, and what it has on its disk.
pub(crate) struct End<S> {
    pub(crate) session: S,
    inbox: Inbox<[u8; 96]>,
    pub(crate) disk: Disk,
    /// What is to arrive here.
    incoming: VecDeque<u8>,
    is_open: bool,
    /// Messages in the hands of the application.
    handles: Vec<(Handle, u32, QoS)>,
    pub(crate) last_number: u32,
    /// Where each message was when it was published, whether or not that is on the disk.
    flight: BTreeMap<u16, u32>,
    /// The last step was written, which is still to be confirmed.
    is_written: bool,
    /// CONNACK says that there was no session: it is to be sent, or not yet recorded that it came.
    is_told_of_end: bool,
    /// Such a CONNACK was written whole.
    has_told: bool,
    /// How many bytes are left of the packet that is half written.
    left: usize,
    pub(crate) counts: Counts,
}

/// What came about, so that a run which shows nothing is noticed.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) power_cuts: u32,
    pub(crate) torn: u32,
    pub(crate) persisted: u32,
    pub(crate) lost: u32,
    pub(crate) holes: u32,
    pub(crate) shown: u32,
    pub(crate) restored_in_flight: u32,
}

impl<S: Side> End<S> {
    pub(crate) fn new() -> Self {
        Self {
            session: S::fresh(),
            inbox: Inbox::new(),
            disk: Disk::default(),
            incoming: VecDeque::new(),
            is_open: false,
            handles: Vec::new(),
            last_number: 0,
            flight: BTreeMap::new(),
            is_written: false,
            is_told_of_end: false,
            has_told: false,
            left: 0,
            counts: Counts::default(),
        }
    }

    fn is_server(&self) -> bool {
        core::any::TypeId::of::<S>() == core::any::TypeId::of::<Server>()
    }

    /// One transaction of the application: what it does itself, and all records that are due.
    fn transaction(&mut self, change: impl FnOnce(&mut Disk)) {
        let writes = self.session.due().map(|batch| values(&batch)).unwrap_or_default();
        change(&mut self.disk);
        for (key, value) in &writes {
            self.is_told_of_end &= self.is_server() || *key != Key::SESSION;
            self.disk.write(*key, value.as_deref());
        }
        self.disk.take_note();
        self.session.committed();
    }

    pub(crate) fn publish(&mut self, plan: &Plan, qos: QoS, limit: u32) {
        let again = self.disk.again.front().copied();
        if again.is_none() && self.last_number >= limit {
            return;
        }
        let number = again.unwrap_or(self.last_number + 1);
        // Of many lengths, so that the store is full now and then.
        let len = 4 + (number as usize * 13) % 56;
        let mut payload = [0; 60];
        payload[len - 4..len].copy_from_slice(&number.to_be_bytes());
        let Some(id) = self.session.send(&Publish { qos, ..Publish::new("t", &payload[..len]) }) else { return };
        self.flight.insert(id, number);
        if again.is_none() {
            self.last_number = number;
        }
        if plan.transactions || again.is_some() {
            self.transaction(|disk| {
                disk.taken.insert(number);
                disk.flight.insert(id, number);
                disk.again.retain(|&again| again != number);
            });
        }
    }

    /// What an application does once the power is back: what it took without a record was not taken.
    fn restart(&mut self, plan: &Plan, now: Instant, random: &mut Random) {
        let mut records: Vec<_> = self.disk.records.clone().into_iter().collect();
        for index in (1..records.len()).rev() {
            records.swap(index, random.below(index + 1));
        }
        self.disk.take_note();
        self.session = S::restored(&records, plan.version, now);
        self.flight = self.disk.flight.clone();
        self.counts.restored_in_flight += u32::from(self.session.pending());
        self.inbox = Inbox::new();
        self.incoming.clear();
        self.is_open = false;
        self.handles.clear();
        self.is_written = false;
        self.left = 0;
        let missing: Vec<_> = (1..=self.last_number)
            .filter(|number| !self.disk.taken.contains(number) && !self.disk.again.contains(number))
            .collect();
        self.disk.again.extend(missing);
    }

    fn power_cut(&mut self, plan: &Plan, now: Instant, random: &mut Random) {
        self.counts.power_cuts += 1;
        self.restart(plan, now, random);
    }

    fn happen(&mut self, happened: Happened, plan: &Plan) {
        match happened {
            Happened::Connecting { session_present } => {
                self.session.accept(plan);
                self.is_told_of_end = !session_present;
            }
            Happened::Message { number, qos, handle: Some(handle) } => self.handles.push((handle, number, qos)),
            Happened::Message { number, qos: QoS::ExactlyOnce, .. } => {
                self.transaction(|disk| disk.received.push(number));
            }
            Happened::Message { number, .. } => self.disk.received.push(number),
            Happened::Published { id, outcome: Outcome::Acknowledged(_) } => {
                let number = self.flight.get(&id).copied();
                self.disk.finished.insert(number.expect("an outcome of a message that was published"));
            }
            Happened::Published { id, outcome: Outcome::LostUnconfirmed } => {
                // The other end has it.
                let number = self.flight.get(&id).copied().expect("a message of ours");
                self.counts.lost += 1;
                self.transaction(|disk| disk.finished.extend([number]));
            }
            Happened::Published { id, .. } => {
                self.counts.lost += 1;
                let number = self.flight.get(&id).copied().expect("a message of ours");
                self.transaction(|disk| disk.lose(number));
            }
            Happened::Connected { session_present } => self.is_told_of_end = !session_present,
            Happened::Other => {}
        }
    }

    fn acknowledge_one(&mut self) {
        if self.handles.is_empty() {
            return;
        }
        let (handle, number, qos) = self.handles.remove(0);
        // A handle that is stale changes nothing, and its message comes again.
        if !self.session.acknowledge(handle) {
            return;
        }
        if qos == QoS::ExactlyOnce {
            self.transaction(|disk| disk.received.push(number));
        } else {
            self.disk.received.push(number);
        }
    }
}

/// What one poll came to.
enum Did {
    Nothing,
    Something,
    PowerGone,
}

/// A step, as it is left when the session is free again.
enum Polled {
    Event(Happened),
    Transmit(Vec<u8>),
    Persist(Vec<(Key, Option<Vec<u8>>)>),
    Wait,
    Close,
}

impl<S: Side> End<S> {
    fn polled(&mut self, now: Instant) -> Polled {
        match self.session.poll(&mut self.inbox, now) {
            Step::Event(event) => Polled::Event(S::happened(&event)),
            Step::Transmit(bytes) => Polled::Transmit(bytes.to_vec()),
            Step::Persist(batch) => Polled::Persist(values(&batch)),
            Step::Wait(_) => Polled::Wait,
            Step::Close(_) => Polled::Close,
        }
    }

    /// What the step says is written, or a part of it.
    fn persist(&mut self, mut writes: Vec<(Key, Option<Vec<u8>>)>, random: &mut Random, faults: bool) -> Did {
        assert!(!writes.is_empty());
        for index in (1..writes.len()).rev() {
            writes.swap(index, random.below(index + 1));
        }
        let fate = if faults { random.below(12) } else { 11 };
        for (key, value) in &writes {
            if fate == 0 && random.below(2) == 0 {
                self.counts.torn += 1;
                continue;
            }
            self.disk.write(*key, value.as_deref());
        }
        match fate {
            0 | 1 => return Did::PowerGone,
            2 => {}
            3 if random.below(4) == 0 => self.session.not_persisted(),
            _ => {
                self.counts.persisted += 1;
                self.is_written = true;
            }
        }
        Did::Something
    }

    /// One poll, and what its step says. `faults`: the power may go meanwhile.
    fn turn(&mut self, to: &mut VecDeque<u8>, plan: &Plan, now: Instant, random: &mut Random, faults: bool) -> Did {
        if core::mem::take(&mut self.is_written) {
            self.session.persisted();
            self.disk.take_note();
            self.is_told_of_end &= self.is_server();
        }
        match self.polled(now) {
            Polled::Event(happened) => {
                self.happen(happened, plan);
                Did::Something
            }
            Polled::Transmit(bytes) => {
                for packet in rows::packets(&bytes, self.left) {
                    rows::check(packet, &self.disk.records);
                    self.counts.shown += 1;
                }
                let len = if faults { random.below(bytes.len() + 1) } else { bytes.len() };
                if self.is_open {
                    to.extend(&bytes[..len]);
                }
                if self.is_server() && self.is_open && len == bytes.len() && core::mem::take(&mut self.is_told_of_end) {
                    self.has_told = true;
                }
                self.left = rows::left_of(&bytes, self.left, len);
                self.session.transmitted(len);
                if self.is_open { Did::Something } else { Did::Nothing }
            }
            Polled::Persist(writes) => self.persist(writes, random, faults),
            Polled::Wait => {
                let space = self.inbox.space();
                let most = space.len().min(self.incoming.len());
                let len = if faults { random.below(most + 1) } else { most };
                for byte in &mut space[..len] {
                    *byte = self.incoming.pop_front().expect("counted");
                }
                self.inbox.filled(len);
                if len == 0 { Did::Nothing } else { Did::Something }
            }
            Polled::Close => {
                self.left = 0;
                self.is_open = false;
                Did::Nothing
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) client: End<Client>,
    pub(crate) server: End<Server>,
    pub(crate) random: Random,
    now: u64,
    /// A CONNACK without a session came to nothing: what no client can know of, nor tell.
    pub(crate) hole: bool,
    /// There was a session before.
    is_established: bool,
}

impl World {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        Self {
            plan,
            client: End::new(),
            server: End::new(),
            random: Random::new(seed),
            now: 0,
            hole: false,
            is_established: false,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub(crate) fn cut(&mut self) {
        self.hole |= core::mem::take(&mut self.server.has_told) && self.is_established;
        self.client.session.connection_lost();
        self.server.session.connection_lost();
        self.client.is_open = false;
        self.server.is_open = false;
        self.client.left = 0;
        self.server.left = 0;
        self.client.incoming.clear();
        self.server.incoming.clear();
    }

    fn connect(&mut self, clean_start: bool) {
        if self.client.is_open && self.server.is_open {
            return;
        }
        self.cut();
        let Self { plan, client, server, .. } = self;
        server.session.begin(&mut server.inbox, plan, false);
        client.session.begin(&mut client.inbox, plan, clean_start);
        client.is_open = true;
        server.is_open = true;
    }

    fn turn(&mut self, of_client: bool, faults: bool) -> bool {
        let (now, plan) = (self.now(), self.plan);
        let Self { client, server, random, .. } = self;
        let did = if of_client {
            client.turn(&mut server.incoming, &plan, now, random, faults)
        } else {
            server.turn(&mut client.incoming, &plan, now, random, faults)
        };
        if self.client.is_told_of_end || self.client.session.plain().is_online() {
            self.server.has_told = false;
            self.is_established |= !self.client.is_told_of_end;
        }
        match did {
            Did::PowerGone => {
                self.power(of_client);
                true
            }
            Did::Something => true,
            Did::Nothing => false,
        }
    }

    /// The power of an end goes; what it has sent may still arrive.
    fn power(&mut self, of_client: bool) {
        self.hole |= of_client && self.client.is_told_of_end && self.is_established;
        self.client.is_told_of_end &= !of_client;
        let (now, plan) = (self.now(), self.plan);
        let Self { client, server, random, .. } = self;
        if of_client { client.power_cut(&plan, now, random) } else { server.power_cut(&plan, now, random) }
    }

    /// The server loses its session, and all records of it. Its application knows which messages had come to an end.
    fn forget(&mut self) {
        self.cut();
        let End { disk, .. } = &mut self.server;
        disk.records.clear();
        let taken: Vec<_> = disk.taken.iter().copied().collect();
        for number in taken {
            if !disk.finished.contains(&number) && !disk.again.contains(&number) {
                disk.lose(number);
            }
        }
        disk.flight.clear();
        self.power(false);
    }

    /// A thing that happens.
    pub(crate) fn step(&mut self, qos: QoS, limit: u32) {
        let plan = self.plan;
        match self.random.below(100) {
            0 => self.power(true),
            1 => self.power(false),
            2 if plan.losses && self.random.below(2) == 0 => self.forget(),
            2 => self.cut(),
            3..=12 => {
                let clean_start = plan.losses && self.random.below(8) == 0;
                self.connect(clean_start);
            }
            13..=18 => self.client.publish(&plan, qos, limit),
            19..=24 => self.server.publish(&plan, qos, limit),
            25..=29 => self.client.acknowledge_one(),
            30..=34 => self.server.acknowledge_one(),
            35..=66 => drop(self.turn(true, true)),
            _ => drop(self.turn(false, true)),
        }
    }

    /// No fault any more: everything comes to an end.
    pub(crate) fn settle(&mut self, qos: QoS, limit: u32) {
        let plan = self.plan;
        for _ in 0..4_000 {
            self.connect(false);
            let mut busy = false;
            while self.turn(true, false) {
                busy = true;
            }
            while self.turn(false, false) {
                busy = true;
            }
            self.client.acknowledge_one();
            self.server.acknowledge_one();
            self.client.publish(&plan, qos, limit);
            self.server.publish(&plan, qos, limit);
            let is_over =
                |taken: &BTreeSet<u32>, again: &VecDeque<u32>| taken.len() == limit as usize && again.is_empty();
            let (client, server) = (&self.client, &self.server);
            if !busy
                && client.session.pending() == 0
                && server.session.pending() == 0
                && client.handles.is_empty()
                && server.handles.is_empty()
                && is_over(&client.disk.taken, &client.disk.again)
                && is_over(&server.disk.taken, &server.disk.again)
            {
                return;
            }
        }
        panic!(
            "it never ends: {:?} {:?} client {:?} {:?} server {:?} {:?}",
            self.client.session,
            self.server.session,
            self.client.disk.taken,
            self.client.disk.again,
            self.server.disk.taken,
            self.server.disk.again
        );
    }
}
