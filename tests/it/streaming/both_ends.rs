//! Two real ends: one sends in pieces what the other receives in parts, over a link that is cut after any byte.

use mqtt_session::server::{self, Accept};
use mqtt_session::{
    Connect, Event, Inbox, Instant, MaximumPacketSize, Message, MessagePart, Outcome, Oversized, PayloadRequest,
    Properties, Property, Publish, QoS, Session, Source, Step, Version,
};

use super::{LEVELS, VERSIONS, payload};

const INBOX: usize = 40;

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

/// What the application of one end saw of messages.
#[derive(Default)]
struct Seen {
    /// Of the message that is being received, what came so far.
    open: Option<Vec<u8>>,
    messages: Vec<(String, Vec<u8>)>,
    aborted: usize,
    outcomes: Vec<Outcome>,
    dropped: usize,
    /// The offsets that were asked for.
    asked: Vec<(u32, u32)>,
}

impl Seen {
    fn message(&mut self, message: &Message<'_>) {
        assert!(self.open.is_none(), "a message within a message");
        let whole = message.payload.to_vec();
        self.messages.push((message.topic.to_owned(), Vec::new()));
        if message.remaining == 0 {
            self.messages.last_mut().unwrap().1 = whole;
        } else {
            self.open = Some(whole);
        }
    }

    fn part(&mut self, part: &MessagePart<'_>) {
        let open = self.open.as_mut().expect("a part without a front");
        open.extend_from_slice(part.payload);
        if part.remaining == 0 {
            self.messages.last_mut().unwrap().1 = self.open.take().unwrap();
        }
    }

    fn abort(&mut self) {
        assert!(self.open.take().is_some(), "nothing was begun");
        self.messages.pop();
        self.aborted += 1;
    }
}

struct World {
    version: Version,
    client: Session<600, 4, 4>,
    server: server::Session<600, 4, 4>,
    inboxes: [Inbox<[u8; INBOX]>; 2],
    /// What each end's application saw: the client's, the server's.
    seen: [Seen; 2],
    /// What the sender's sources have.
    payloads: Vec<Vec<u8>>,
    /// How many bytes cross the link at once, and how many in all before it is cut.
    chunk: usize,
    left: usize,
}

impl World {
    fn new(version: Version, chunk: usize, left: usize) -> Self {
        let (client, server) = (Session::new(), server::Session::new());
        let inboxes = [Inbox::new(), Inbox::new()];
        Self { version, client, server, inboxes, seen: Default::default(), payloads: vec![], chunk, left }
    }

    fn connect(&mut self) {
        let lasting = [Property::SessionExpiryInterval(u32::MAX)];
        let connect = Connect {
            clean_start: false,
            oversized: Oversized::InPieces,
            maximum_packet_size: MaximumPacketSize::Absent,
            properties: Properties::for_version(self.version, &lasting),
            ..Connect::new(self.version, "c")
        };
        self.client.connect(&mut self.inboxes[0], &connect).unwrap();
        self.inboxes[1].clear();
        self.server.open(core::time::Duration::from_secs(10));
    }

    /// Runs until nothing more happens, or the link is cut; tells whether it was.
    fn run(&mut self) -> bool {
        for _ in 0..200_000 {
            let moved = [self.step_of_client(), self.step_of_server()];
            if self.left == 0 {
                self.cut();
                return true;
            }
            if moved == [false, false] {
                return false;
            }
        }
        panic!("runs for ever");
    }

    fn cut(&mut self) {
        self.client.connection_lost();
        self.server.connection_lost();
        self.left = usize::MAX;
        while self.step_of_client() {}
        while self.step_of_server() {}
        assert!(self.seen.iter().all(|seen| seen.open.is_none()), "nobody said that the message broke off");
    }

    /// Moves bytes into an inbox; tells how many.
    fn carry(chunk: usize, left: &mut usize, bytes: &[u8], to: &mut Inbox<[u8; INBOX]>) -> usize {
        let space = to.space();
        let len = bytes.len().min(space.len()).min(chunk).min(*left);
        space[..len].copy_from_slice(&bytes[..len]);
        to.filled(len);
        *left -= len;
        len
    }

    fn step_of_client(&mut self) -> bool {
        let [inbox, peer] = &mut self.inboxes;
        let seen = &mut self.seen[0];
        match self.client.poll(inbox, Instant::from_millis(0)) {
            Step::Transmit(bytes) => {
                let len = Self::carry(self.chunk, &mut self.left, bytes, peer);
                self.client.transmitted(len);
                len != 0
            }
            Step::Event(event) => {
                match event {
                    Event::Message(message) => seen.message(&message),
                    Event::MessagePart(part) => seen.part(&part),
                    Event::MessageAborted => seen.abort(),
                    Event::Published { outcome, .. } => seen.outcomes.push(outcome),
                    Event::Dropped { count } => seen.dropped += usize::from(count),
                    Event::PayloadRequested(PayloadRequest { source, offset, .. }) => {
                        seen.asked.push((source, offset));
                        self.client.supply(&self.payloads[source as usize][offset as usize..]);
                    }
                    _ => {}
                }
                true
            }
            Step::Wait(_) | Step::Close(_) => false,
        }
    }

    fn step_of_server(&mut self) -> bool {
        let [peer, inbox] = &mut self.inboxes;
        let seen = &mut self.seen[1];
        match self.server.poll(inbox, Instant::from_millis(0)) {
            Step::Transmit(bytes) => {
                let len = Self::carry(self.chunk, &mut self.left, bytes, peer);
                self.server.transmitted(len);
                len != 0
            }
            Step::Event(event) => {
                match event {
                    server::Event::Connecting { .. } => {
                        let accept = Accept {
                            oversized: Oversized::InPieces,
                            maximum_packet_size: MaximumPacketSize::Absent,
                            ..Accept::default()
                        };
                        self.server.accept(&accept).unwrap();
                    }
                    server::Event::Message(message) => seen.message(&message),
                    server::Event::MessagePart(part) => seen.part(&part),
                    server::Event::MessageAborted => seen.abort(),
                    server::Event::Published { outcome, .. } => seen.outcomes.push(outcome),
                    server::Event::Dropped { count } => seen.dropped += usize::from(count),
                    server::Event::PayloadRequested(PayloadRequest { source, offset, .. }) => {
                        seen.asked.push((source, offset));
                        self.server.supply(&self.payloads[source as usize][offset as usize..]);
                    }
                    _ => {}
                }
                true
            }
            Step::Wait(_) | Step::Close(_) => false,
        }
    }

    fn publish(&mut self, sender: Sender, qos: QoS, len: usize, piece: u16) {
        let id = u32::try_from(self.payloads.len()).unwrap();
        self.payloads.push(payload(len));
        let topic = format!("t/{id}");
        let publish = Publish { qos, ..Publish::new(&topic, &[]) };
        let source = Source { piece, ..Source::new(id, u32::try_from(len).unwrap()) };
        match sender {
            Sender::Client => self.client.publish_from(&publish, &source).unwrap(),
            Sender::Server => self.server.publish_from(&publish, &source).unwrap(),
        };
    }

    fn seen(&self, sender: Sender) -> [&Seen; 2] {
        let [client, server] = &self.seen;
        if sender == Sender::Client { [client, server] } else { [server, client] }
    }
}

#[test]
fn every_size_of_pieces_and_of_the_link() {
    for version in VERSIONS {
        for sender in [Sender::Client, Sender::Server] {
            for qos in LEVELS {
                for (len, piece) in
                    [(0, 8), (1, 8), (20, 8), (100, 8), (129, 64), (1_000, 1), (1_000, 300), (20_000, 256)]
                {
                    for chunk in [1, 3, 7, 40, 1_000] {
                        let mut world = World::new(version, chunk, usize::MAX);
                        world.connect();
                        world.run();
                        world.publish(sender, qos, len, piece);
                        world.publish(sender, qos, 30, 8);
                        assert!(!world.run());
                        let [sent, received] = world.seen(sender);
                        let told: Vec<_> = received.messages.iter().map(|(_, payload)| payload.clone()).collect();
                        assert!(told == world.payloads, "{version:?} {sender:?} {qos:?} {len} {piece} {chunk}");
                        assert_eq!(sent.outcomes.len(), if qos == QoS::AtMostOnce { 0 } else { 2 });
                        let topics: Vec<_> = received.messages.iter().map(|(topic, _)| topic.as_str()).collect();
                        assert_eq!((topics, received.aborted), (vec!["t/0", "t/1"], 0));
                    }
                }
            }
        }
    }
}

/// Cuts after every byte, and once more after the reconnect: no message is lost, none of QoS 2 comes twice, and each that was begun is
/// completed or said to be broken.
#[test]
fn cuts_after_every_byte() {
    for version in VERSIONS {
        for sender in [Sender::Client, Sender::Server] {
            for qos in LEVELS {
                for first in 60..420 {
                    for second in [usize::MAX, 130] {
                        cut_twice(version, sender, qos, first, second);
                    }
                }
            }
        }
    }
}

fn cut_twice(version: Version, sender: Sender, qos: QoS, first: usize, second: usize) {
    let mut world = World::new(version, 5, usize::MAX);
    world.connect();
    world.run();
    world.left = first;
    world.publish(sender, qos, 100, 16);
    world.publish(sender, qos, 120, 9);
    if world.run() {
        world.left = second;
        world.connect();
        if world.run() {
            world.connect();
            world.run();
        }
    }
    let [sent, received] = world.seen(sender);
    let mut told: Vec<_> = received.messages.iter().map(|(_, payload)| payload.clone()).collect();
    match qos {
        // At most once: what is half written when the link breaks is dropped, and that is told.
        QoS::AtMostOnce => assert!(told.len() <= 2 && told.iter().all(|it| world.payloads.contains(it))),
        QoS::AtLeastOnce => {
            told.dedup();
            assert_eq!(told.first(), world.payloads.first(), "{version:?} {sender:?} {first} {second}");
            assert_eq!(told.last(), world.payloads.last(), "{version:?} {sender:?} {first} {second}");
        }
        QoS::ExactlyOnce => assert_eq!(told, world.payloads, "{version:?} {sender:?} {first} {second}"),
    }
    if qos == QoS::AtMostOnce {
        assert!(told.len() + sent.dropped <= 2 && sent.outcomes.is_empty());
    } else {
        assert_eq!(sent.outcomes.len(), 2, "{version:?} {sender:?} {first} {second}");
    }
    // The pieces are asked for in order, and from the beginning again.
    for pair in sent.asked.windows(2) {
        let [(before, from), (source, offset)] = [pair[0], pair[1]];
        assert!(offset == 0 || (source == before && offset > from), "{:?}", sent.asked);
    }
}
