//! The link is cut after every byte of a conversation, in either direction, and the promise of each QoS is checked after
//! the resume: at most once, at least once, exactly once, and one outcome for each publish. (promises 1 and 2)
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

mod peer;

use core::fmt;
use std::collections::BTreeMap;

use mqtt_session::{
    Acknowledge, Connect, Event, Inbox, Instant, Outcome, PacketId, Properties, Property, Publish, QoS, ReasonCode,
    Session, Step, Version,
};
use peer::Peer;

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What the transport tells the client of the write in which the link breaks.
#[derive(Clone, Copy, Debug)]
enum Report {
    /// Nothing, although bytes may have arrived.
    Nothing,
    /// That all was written, although bytes may not have arrived.
    Everything,
    /// What arrived.
    Truth,
}

/// Where the link breaks: how many bytes still arrive, in each direction.
#[derive(Clone, Copy, Debug)]
struct Link {
    to_server: usize,
    to_client: usize,
    report: Report,
}

impl Link {
    const WHOLE: Self = Self { to_server: usize::MAX, to_client: usize::MAX, report: Report::Truth };
}

/// The client and all that it saw.
#[derive(Clone)]
struct Client {
    session: Session<512, 6, 6>,
    inbox: Inbox<[u8; 128]>,
    version: Version,
    acknowledge: Acknowledge,
    delivered: BTreeMap<(QoS, u8), u32>,
    outcomes: BTreeMap<PacketId, Vec<Outcome>>,
    has_published: bool,
}

impl Client {
    fn new(version: Version, acknowledge: Acknowledge) -> Self {
        Self {
            session: Session::new(),
            inbox: Inbox::new(),
            version,
            acknowledge,
            delivered: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            has_published: false,
        }
    }

    fn connect(&mut self) {
        let lasting = [Property::SessionExpiryInterval(u32::MAX)];
        let properties = Properties::for_version(self.version, &lasting);
        let acknowledgement = self.acknowledge;
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties,
            acknowledgement,
            ..Connect::new(self.version, "c")
        };
        self.session.connect(&mut self.inbox, &connect).unwrap();
    }

    /// Two messages of each QoS, once.
    fn publish(&mut self) {
        if core::mem::replace(&mut self.has_published, true) {
            return;
        }
        for payload in 0..6 {
            let qos = LEVELS[usize::from(payload) % 3];
            let accepted = self.session.publish(&Publish { qos, ..Publish::new("t", &[payload]) }).unwrap();
            if let Some(packet_id) = accepted {
                assert!(self.outcomes.insert(packet_id, Vec::new()).is_none());
            }
        }
    }

    /// Runs one connection until nothing is left to do or the link breaks.
    fn run(&mut self, peer: &mut Peer, mut link: Link) {
        peer.accept();
        self.connect();
        let mut is_accepted = false;
        loop {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Event(Event::Connected(_)) => {
                    self.publish();
                    is_accepted = true;
                }
                Step::Event(Event::Message(message)) => {
                    *self.delivered.entry((message.qos(), message.payload[0])).or_default() += 1;
                    if let Some(handle) = message.handle {
                        self.session.acknowledge(handle, ReasonCode::Success).unwrap();
                    }
                }
                Step::Event(Event::Published { packet_id, outcome, .. }) => {
                    self.outcomes.get_mut(&packet_id).unwrap().push(outcome);
                }
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let is_connect = bytes[0] >> 4 == 1 || peer.has_half_a_connect();
                    assert!(is_accepted || is_connect, "nothing but CONNECT leaves before CONNACK");
                    let (all, arrived) = (bytes.len(), bytes.len().min(link.to_server));
                    peer.receive(&bytes[..arrived]);
                    link.to_server -= arrived;
                    match link.report {
                        Report::Nothing if arrived < all => {}
                        Report::Everything => self.session.transmitted(all),
                        Report::Nothing | Report::Truth => self.session.transmitted(arrived),
                    }
                    if arrived < all {
                        self.session.connection_lost();
                    }
                }
                Step::Wait(_) if peer.output.is_empty() || link.to_client == 0 => {
                    if link.to_client == 0 || link.to_server == 0 {
                        self.session.connection_lost();
                    } else {
                        return;
                    }
                }
                Step::Wait(_) => {
                    let space = self.inbox.space();
                    let len = peer.output.len().min(space.len()).min(link.to_client);
                    space[..len].copy_from_slice(&peer.output[..len]);
                    peer.output.drain(..len);
                    self.inbox.filled(len);
                    link.to_client -= len;
                }
                Step::Close(_) => return,
            }
        }
    }
}

fn check(client: &Client, peer: &Peer, what: fmt::Arguments<'_>) {
    assert!(peer.is_settled(), "{what}: the server's messages are not settled");
    assert_eq!(client.session.pending(), 0, "{what}: exchanges are left over");
    for (packet_id, outcomes) in &client.outcomes {
        assert_eq!(outcomes.as_slice(), [Outcome::Acknowledged(ReasonCode::Success)], "{what}: {packet_id}");
    }
    for (side, delivered) in [("server", &peer.delivered), ("client", &client.delivered)] {
        for payload in 0..6 {
            let qos = LEVELS[usize::from(payload) % 3];
            let times = delivered.get(&(qos, payload)).copied().unwrap_or(0);
            let kept = match qos {
                QoS::AtMostOnce => times <= 1,
                QoS::AtLeastOnce => times >= 1,
                QoS::ExactlyOnce => times == 1,
            };
            assert!(kept, "{what}: {side} got {qos:?} {payload} {times} times");
        }
    }
}

/// A client and a server, and the links that they had.
#[derive(Clone)]
struct Conversation {
    client: Client,
    peer: Peer,
    links: Vec<Link>,
}

impl Conversation {
    /// The first connection sets the session up, so that every later one resumes.
    fn new(version: Version, acknowledge: Acknowledge) -> Self {
        let mut client = Client::new(version, acknowledge);
        let mut peer = Peer::new(version);
        client.has_published = true;
        client.run(&mut peer, Link::WHOLE);
        client.has_published = false;
        for payload in 0..6 {
            let qos = LEVELS[usize::from(payload) % 3];
            // What is sent to a client that is away and has QoS 0 is lost, as it may be.
            peer.publish(qos, payload);
        }
        Self { client, peer, links: Vec::new() }
    }

    /// Goes on over a link that breaks as given.
    fn over(&self, link: Link) -> Self {
        let mut later = self.clone();
        later.client.run(&mut later.peer, link);
        later.links.push(link);
        later
    }

    /// Comes to its end over a whole link.
    fn end(mut self) {
        let Self { client, peer, links } = &mut self;
        client.run(peer, Link::WHOLE);
        check(client, peer, format_args!("{:?} {:?} {links:?}", client.version, client.acknowledge));
    }
}

fn every_setting(mut test: impl FnMut(&Conversation, Report)) {
    for version in [Version::V311, Version::V5] {
        for acknowledge in [Acknowledge::AfterHandling, Acknowledge::Manually] {
            for report in [Report::Nothing, Report::Everything, Report::Truth] {
                test(&Conversation::new(version, acknowledge), report);
            }
        }
    }
}

/// More bytes than the conversation has, in either direction.
const LONGEST: usize = 200;

#[test]
fn cut_after_every_byte_to_the_server() {
    every_setting(|conversation, report| {
        for to_server in 0..LONGEST {
            conversation.over(Link { to_server, report, ..Link::WHOLE }).end();
        }
    });
}

#[test]
fn cut_after_every_byte_to_the_client() {
    every_setting(|conversation, report| {
        for to_client in 0..LONGEST {
            conversation.over(Link { to_client, report, ..Link::WHOLE }).end();
        }
    });
}

#[test]
fn cut_twice_in_any_two_places() {
    every_setting(|conversation, report| {
        for first in 0..LONGEST / 2 {
            let conversation = conversation.over(Link { to_server: first, to_client: LONGEST / 2 - first, report });
            for second in 0..LONGEST / 2 {
                conversation.over(Link { to_server: LONGEST / 2 - second, to_client: second, report }).end();
            }
        }
    });
}
