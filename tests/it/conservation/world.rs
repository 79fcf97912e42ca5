//! Two ends over a link that breaks, and the books that are kept of what they have under way.

use std::collections::{BTreeSet, VecDeque};

use mqtt_session::server::{self, Accept};
use mqtt_session::sim::{Faults, Observer, Sight, Simulation, Turn};
use mqtt_session::strategies::{Break, Link, Operation};
use mqtt_session::wire::{Packet, Suback, Unsuback};
use mqtt_session::{
    AckType, Acknowledge, CommandError, Connect, Disconnect, Event, Handle, Inbox, Instant, List, PacketId, Properties,
    Property, Publish, QoS, ReasonCode, Role, Session, Subscribe, Subscription, Unsubscribe, Version,
};

/// How many messages the client takes at once, and the server.
pub(crate) const INBOUND: [u16; 2] = [4, 3];

type Client = Session<256, 4, { INBOUND[0] as usize }>;
type Server = server::Session<256, 4, { INBOUND[1] as usize }>;

/// What a run is about.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) version: Version,
    pub(crate) link: Link,
    /// The client's own window.
    pub(crate) window: u16,
    /// Whether each application acknowledges what it receives.
    pub(crate) manual: [bool; 2],
}

pub(crate) struct World {
    setup: Setup,
    sim: Simulation<Quota>,
    pub(crate) client: Client,
    pub(crate) server: Server,
    inboxes: [Inbox<[u8; 256]>; 2],
    breaks: VecDeque<Break>,
    /// The identifiers of what each end has under way, as its application knows them.
    pub(crate) under_way: [BTreeSet<PacketId>; 2],
    waiting: [Vec<Handle>; 2],
    closed: [bool; 2],
    pub(crate) tally: Tally,
}

/// How often what the properties are about has happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) used: usize,
    pub(crate) released: usize,
    pub(crate) full: usize,
    pub(crate) connections: usize,
    pub(crate) losses: usize,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let Link { seed, faults, breaks } = setup.link.clone();
        // 5.0 announces what there is room for; in 3.1.1 the client keeps to its window, and nothing bounds the server.
        let most = if setup.version == Version::V5 { [u16::MAX; 2] } else { [setup.window, u16::MAX] };
        let quota = Quota { most, window: setup.window, ..Quota::default() };
        Self {
            setup: setup.clone(),
            sim: Simulation::new(seed, faults, quota),
            client: Client::new(),
            server: Server::new(),
            inboxes: [Inbox::new(), Inbox::new()],
            breaks: breaks.into(),
            under_way: Default::default(),
            waiting: Default::default(),
            closed: [true; 2],
            tally: Tally::default(),
        }
    }

    /// Whether each end has under way what its application knows of, and neither has ever sent too much.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let in_flight = [self.client.pending(), self.server.pending()].map(usize::from);
        let known = self.under_way.each_ref().map(BTreeSet::len);
        if in_flight != known {
            return Err(format!("{in_flight:?} identifiers are taken, {known:?} are known"));
        }
        Ok(())
    }

    pub(crate) const fn quota(&mut self) -> &Quota {
        self.sim.observer()
    }

    pub(crate) fn apply(&mut self, operation: &Operation) -> Result<(), String> {
        match *operation {
            Operation::Quiet => {
                (0..2_000).try_fold(false, |idle, _| if idle { Ok(true) } else { self.step() }).map(drop)?
            }
            Operation::Step(steps) => (0..steps).try_for_each(|_| self.step().map(drop))?,
            Operation::Pass(millis) => self.sim.pass(millis.into()),
            Operation::Publish { from, qos, topic, len, .. } => self.publish(from, qos, topic, len)?,
            Operation::Subscribe { count, qos, .. } => {
                let subscriptions = vec![Subscription::new("t/+", qos); count];
                let asked = Subscribe::new(&subscriptions);
                let answer = self.client.subscribe(&asked);
                self.used(Role::Client, answer.map(Some))?;
            }
            Operation::Unsubscribe { count, .. } => {
                let answer = self.client.unsubscribe(&Unsubscribe::new(&vec!["t/+"; count]));
                self.used(Role::Client, answer.map(Some))?;
            }
            Operation::Acknowledge { by, which, code } => self.acknowledge(by, which, code),
            Operation::Cancel { from, which } => {
                let under_way = &mut self.under_way[index(from)];
                let chosen = under_way.iter().nth(which.checked_rem(under_way.len()).unwrap_or(0)).copied();
                let taken_back = |id: &PacketId| match from {
                    Role::Client => self.client.cancel(*id),
                    Role::Server => self.server.cancel(*id),
                };
                if let Some(packet_id) = chosen.filter(taken_back) {
                    under_way.remove(&packet_id);
                }
            }
            Operation::Disconnect { by, code } => self.disconnect(by, code),
            Operation::Reconnect => self.connect(),
            Operation::Cut => self.sim.cut(),
            Operation::CutAfter(bytes) => self.sim.cut_after(bytes),
            other => return Err(format!("{other:?}: nothing carries it out")),
        }
        self.sim.wake();
        self.check()
    }

    fn publish(&mut self, from: Role, qos: QoS, topic: usize, len: usize) -> Result<(), String> {
        let (topic, payload) = (format!("t/{topic}"), vec![b'p'; len]);
        let publish = Publish { qos, ..Publish::new(&topic, &payload) };
        let answer = match from {
            Role::Client => self.client.publish(&publish),
            Role::Server => self.server.publish(&publish),
        };
        self.tally.full += usize::from(answer == Err(CommandError::Full));
        self.used(from, answer)
    }

    /// An identifier is taken, which must be free.
    fn used(&mut self, by: Role, answer: Result<Option<PacketId>, CommandError>) -> Result<(), String> {
        let Ok(Some(packet_id)) = answer else { return Ok(()) };
        self.tally.used += 1;
        let is_new = self.under_way[index(by)].insert(packet_id);
        if is_new { Ok(()) } else { Err(format!("{by:?} uses {packet_id} twice")) }
    }

    /// An identifier is free again, which must have been taken.
    fn released(&mut self, by: Role, packet_id: PacketId) -> Result<(), String> {
        self.tally.released += 1;
        let was_taken = self.under_way[index(by)].remove(&packet_id);
        if was_taken { Ok(()) } else { Err(format!("{by:?} is told of {packet_id}, which is not under way")) }
    }

    fn acknowledge(&mut self, by: Role, which: usize, code: ReasonCode) {
        let waiting = &mut self.waiting[index(by)];
        let Some(at) = which.checked_rem(waiting.len()) else { return };
        let handle = waiting.remove(at);
        // A handle may have died with its connection.
        let _ = match by {
            Role::Client => self.client.acknowledge(handle, code),
            Role::Server => self.server.acknowledge(handle, code),
        };
    }

    fn disconnect(&mut self, by: Role, reason_code: ReasonCode) {
        let disconnect = Disconnect { reason_code, properties: Properties::EMPTY, ..Disconnect::default() };
        // There may be no connection.
        let _ = match by {
            Role::Client => self.client.disconnect(&disconnect),
            Role::Server => self.server.disconnect(&disconnect),
        };
    }

    fn connect(&mut self) {
        self.tally.connections += 1;
        self.closed = [false; 2];
        self.sim.connect();
        if let Some(Break { after, is_lost }) = self.breaks.pop_front() {
            self.sim.cut_after(after);
            if is_lost {
                self.tally.losses += 1;
                self.server = Server::new();
                self.under_way[1].clear();
                self.waiting[1].clear();
            }
        }
        self.server.open(core::time::Duration::from_secs(10));
        self.inboxes[1].clear();
        let lasting: &[Property<'_>] =
            if self.setup.version == Version::V5 { &[Property::SessionExpiryInterval(u32::MAX)] } else { &[] };
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: Properties::of(lasting),
            acknowledgement: acknowledgement(self.setup.manual[0]),
            max_inflight: self.setup.window,
            ..Connect::new(self.setup.version, "c")
        };
        self.client.connect(&mut self.inboxes[0], &connect).expect("CONNECT fits");
    }

    /// One step; tells whether nothing more happens by itself.
    fn step(&mut self) -> Result<bool, String> {
        if self.closed == [true; 2] {
            self.connect();
        }
        let Self { sim, client, server, inboxes: [client_inbox, server_inbox], .. } = self;
        let mut released = None;
        match sim.step(client, client_inbox, server, server_inbox) {
            Turn::Idle => return self.check().map(|()| true),
            Turn::Closed { end, .. } => self.closed[index(end)] = true,
            Turn::Client(Event::Message(message)) => self.waiting[0].extend(message.handle),
            Turn::Server(server::Event::Message(message)) => self.waiting[1].extend(message.handle),
            Turn::Client(
                Event::Published { packet_id, .. }
                | Event::Subscribed { packet_id, .. }
                | Event::Unsubscribed { packet_id, .. }
                | Event::RequestLost { packet_id }
                | Event::RequestUnsendable { packet_id, .. },
            ) => released = Some((Role::Client, packet_id)),
            Turn::Server(server::Event::Published { packet_id, .. }) => released = Some((Role::Server, packet_id)),
            Turn::Server(event) => answer(server, &event, self.setup.manual[1]),
            _ => {}
        }
        if let Some((by, packet_id)) = released {
            self.released(by, packet_id)?;
        }
        self.check().map(|()| false)
    }

    /// No more faults: everything comes to its end. Tells whether it has.
    pub(crate) fn settle(&mut self) -> Result<bool, String> {
        self.sim.set_faults(Faults::NONE);
        self.breaks.clear();
        self.sim.cut();
        for _ in 0..20_000 {
            let is_idle = self.step()?;
            for by in [Role::Client, Role::Server] {
                while !self.waiting[index(by)].is_empty() {
                    self.acknowledge(by, 0, ReasonCode::Success);
                    self.sim.wake();
                }
            }
            let is_online = self.client.is_online() && self.server.is_online();
            if is_idle && is_online && self.client.pending() == 0 && self.server.pending() == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The client leaves and comes back, and nothing else happens.
    pub(crate) fn come_again(&mut self) -> Result<bool, String> {
        self.disconnect(Role::Client, ReasonCode::NORMAL_DISCONNECTION);
        self.sim.wake();
        while self.closed != [true; 2] {
            self.step()?;
        }
        self.settle()
    }

    pub(crate) fn free_space(&self) -> [usize; 2] {
        [self.client.free_space(), self.server.free_space()]
    }
}

/// What a server says to what it is asked.
fn answer(server: &mut Server, event: &server::Event<'_>, manual: bool) {
    match event {
        server::Event::Connecting { .. } => {
            let accept = Accept { acknowledgement: acknowledgement(manual), ..Accept::default() };
            server.accept(&accept).expect("CONNECT is to be answered");
        }
        server::Event::Subscribing { packet_id, subscriptions, .. } => {
            let codes = vec![ReasonCode::GrantedQos2; subscriptions.iter().count()];
            let suback = Suback { packet_id: *packet_id, reason_codes: List::of(&codes), properties: List::EMPTY };
            server.suback(&suback).expect("SUBSCRIBE is to be answered");
        }
        server::Event::Unsubscribing { packet_id, filters, .. } => {
            let codes = vec![ReasonCode::Success; filters.iter().count()];
            let unsuback = Unsuback { packet_id: *packet_id, reason_codes: List::of(&codes), properties: List::EMPTY };
            server.unsuback(&unsuback).expect("UNSUBSCRIBE is to be answered");
        }
        _ => {}
    }
}

/// What each end has sent and the other has not closed yet, as the wire shows it: never more than the other end allows.
#[derive(Default)]
pub(crate) struct Quota {
    /// How much the client may have open now, and the server.
    most: [u16; 2],
    /// What the client itself allows.
    window: u16,
    open: [BTreeSet<PacketId>; 2],
    /// How often as much was open as there may be.
    pub(crate) reached: usize,
    pub(crate) fault: Option<String>,
}

impl Observer for Quota {
    fn observe(&mut self, now: Instant, sight: &Sight<'_>) {
        let Sight::Packet { from, packet, arrived: true } = sight else {
            if matches!(sight, Sight::Connected) {
                self.open = Default::default();
            }
            return;
        };
        let (sender, receiver) = (index(*from), 1 - index(*from));
        match packet {
            Packet::Connect(connect) => self.allow(1, connect.properties.receive_maximum()),
            Packet::Connack(connack) => self.allow(0, connack.properties.receive_maximum()),
            Packet::Publish(publish) => self.open[sender].extend(publish.delivery.packet_id()),
            Packet::Acknowledgement(it) => {
                let ends = match it.kind {
                    AckType::Puback | AckType::Pubcomp => true,
                    AckType::Pubrec => it.reason_code.is_error(),
                    AckType::Pubrel => false,
                };
                if ends {
                    self.open[receiver].remove(&it.packet_id);
                }
            }
            _ => {}
        }
        let (open, most) = (self.open[sender].len(), usize::from(self.most[sender]));
        self.reached += usize::from(matches!(packet, Packet::Publish(_)) && open == most);
        if open > most {
            self.fault.get_or_insert(format!("{from:?} has {open} open of {most} at {}", now.as_millis()));
        }
    }
}

impl Quota {
    fn allow(&mut self, of: usize, receive_maximum: Option<u16>) {
        let own = if of == 0 { self.window } else { u16::MAX };
        self.most[of] = receive_maximum.unwrap_or(u16::MAX).min(own);
    }
}

const fn acknowledgement(manual: bool) -> Acknowledge {
    if manual { Acknowledge::Manually } else { Acknowledge::AfterHandling }
}

const fn index(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}
