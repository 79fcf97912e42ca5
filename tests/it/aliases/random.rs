//! Whatever is published under whatever alias, the server reads the topics that were given.

use core::num::NonZeroU16;

use mqtt_session::wire::{Connack, Packet, Properties};
use mqtt_session::{
    CommandError, Connect, Event, Inbox, Instant, Outcome, PacketId, Property, Publish, QoS, ReasonCode, Role, Session,
    Step, TopicAliases, Version,
};
use proptest::prelude::*;

use super::LEVELS;

const TOPICS: [&str; 6] = ["a", "b", "a/long/topic", "another/long", "a/topic/that/is/too/long", "c/d"];
const LASTING: [Property<'static>; 1] = [Property::SessionExpiryInterval(u32::MAX)];

#[derive(Clone, Debug)]
enum Action {
    Publish {
        topic: usize,
        alias: u16,
        qos: usize,
        len: usize,
        expires: bool,
    },
    /// So many bytes leave, at most so many at once.
    Write(usize, usize),
    /// What the server has written so far comes in.
    Read,
    /// The server publishes something, which is to be acknowledged.
    Message,
    /// The link is lost; the next server allows so many aliases, and packets of up to so many bytes more than 30.
    Cut(u16, Option<u8>),
}

fn action() -> impl Strategy<Value = Action> {
    let publish = (0..TOPICS.len(), 0..5_u16, 0..3_usize, 0..12_usize, any::<bool>())
        .prop_map(|(topic, alias, qos, len, expires)| Action::Publish { topic, alias, qos, len, expires });
    prop_oneof![
        12 => publish,
        8 => (0..60_usize, 1..20_usize).prop_map(|(len, chunk)| Action::Write(len, chunk)),
        4 => Just(Action::Read),
        3 => Just(Action::Message),
        1 => (0..5_u16, proptest::option::of(0..60_u8)).prop_map(|(aliases, size)| Action::Cut(aliases, size)),
    ]
}

/// The server, of which only the decoder is that of the crate: topics are resolved by a list.
#[derive(Default)]
struct Server {
    input: Vec<u8>,
    output: Vec<u8>,
    topics: Vec<Option<String>>,
    maximum: u16,
    packet_size: usize,
    /// The payloads of QoS 1 and 2 messages are their numbers in `accepted`.
    arrived: Vec<(String, Vec<u8>)>,
    next_id: u16,
    has_session: bool,
    /// How many messages it may publish now.
    quota: u16,
}

impl Server {
    fn accept(&mut self, aliases: u16, size: Option<u8>) {
        self.input.clear();
        self.output.clear();
        self.quota = 0;
        self.maximum = aliases;
        self.topics = vec![None; usize::from(aliases) + 1];
        self.packet_size = size.map_or(1000, |size| 30 + usize::from(size));
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let input = core::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((packet, len)) = Packet::decode(Version::V5, Role::Server, rest).unwrap() {
            assert!(len <= self.packet_size || matches!(packet, Packet::Connect(_)), "larger than allowed");
            self.take(&packet);
            rest = &rest[len..];
        }
        self.input = rest.to_vec();
    }

    fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect(_) => self.accept_session(),
            Packet::Publish(publish) => {
                let topic = self.resolve(publish.topic, publish.properties.topic_alias());
                self.arrived.push((topic, publish.payload.to_vec()));
                let kind = if publish.delivery.qos() == QoS::AtLeastOnce { 0x40 } else { 0x50 };
                if let Some(id) = publish.delivery.packet_id() {
                    self.answer(kind, id);
                }
            }
            Packet::Acknowledgement(packet) if packet.kind == mqtt_session::wire::AckType::Pubrel => {
                self.answer(0x70, packet.packet_id);
            }
            Packet::Acknowledgement(_) => self.quota += 1,
            other => panic!("unexpected {other:?}"),
        }
    }

    fn accept_session(&mut self) {
        let properties = [
            Property::TopicAliasMaximum(self.maximum),
            Property::MaximumPacketSize(u32::try_from(self.packet_size).unwrap()),
            Property::ReceiveMaximum(3),
        ];
        self.quota = 4;
        // What the client was not told of is no session.
        let session_present = self.has_session;
        let connack =
            Connack { session_present, reason_code: ReasonCode::Success, properties: Properties::of(&properties) };
        let mut bytes = [0; 64];
        let len = Packet::Connack(connack).encode(Version::V5, Role::Client, &mut bytes).unwrap();
        self.output.extend_from_slice(&bytes[..len]);
    }

    fn resolve(&mut self, topic: &str, alias: Option<u16>) -> String {
        let Some(alias) = alias else { return topic.to_owned() };
        assert!((1..=self.maximum).contains(&alias), "{alias} is not allowed");
        let known = &mut self.topics[usize::from(alias)];
        if !topic.is_empty() {
            *known = Some(topic.to_owned());
        }
        known.clone().expect("an alias that stands for nothing")
    }

    fn answer(&mut self, first: u8, id: PacketId) {
        let [high, low] = id.get().to_be_bytes();
        self.output.extend([first, 2, high, low]);
    }

    fn publish(&mut self) {
        let Some(quota) = self.quota.checked_sub(1) else { return };
        self.quota = quota;
        self.next_id = self.next_id % 1000 + 1;
        let [high, low] = self.next_id.to_be_bytes();
        self.output.extend([0x32, 6, 0, 1, b'm', high, low, 0]);
    }
}

struct Pair {
    session: Session<600, 6, 4, 160>,
    inbox: Inbox<[u8; 128]>,
    server: Server,
    /// Topic and level of each accepted message; the payload begins with its number.
    accepted: Vec<(&'static str, QoS)>,
    numbers: std::collections::BTreeMap<PacketId, usize>,
    ended: Vec<Option<Outcome>>,
}

impl Pair {
    fn new() -> Self {
        let (session, inbox, server) = (Session::new(), Inbox::new(), Server::default());
        let mut pair = Self { session, inbox, server, accepted: vec![], numbers: Default::default(), ended: vec![] };
        pair.connect(3, None);
        pair
    }

    fn connect(&mut self, aliases: u16, size: Option<u8>) {
        self.server.accept(aliases, size);
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            properties: Properties::of(&LASTING),
            topic_aliases: TopicAliases { maximum: 3, topic: 14 },
            ..Connect::new(Version::V5, "c")
        };
        self.session.connect(&mut self.inbox, &connect).unwrap();
    }

    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Publish { topic, alias, qos, len, expires } => self.publish(topic, alias, qos, len, expires),
            Action::Write(len, chunk) => self.write(len, chunk),
            Action::Read => self.read(),
            Action::Message => self.server.publish(),
            Action::Cut(aliases, size) => {
                self.session.connection_lost();
                self.write(usize::MAX, 1);
                self.connect(aliases, size);
            }
        }
    }

    fn publish(&mut self, topic: usize, alias: u16, qos: usize, len: usize, expires: bool) {
        let number = self.accepted.len();
        let mut payload = u32::try_from(number).unwrap().to_be_bytes().to_vec();
        payload.resize(4 + len, b'p');
        let property = [Property::MessageExpiryInterval(1000)];
        let properties = Properties::of(if expires { &property[..] } else { &[] });
        let (topic, qos, topic_alias) = (TOPICS[topic], LEVELS[qos], NonZeroU16::new(alias));
        let before = self.session.clone();
        match self.session.publish(&Publish { qos, properties, topic_alias, ..Publish::new(topic, &payload) }) {
            Ok(packet_id) => {
                self.accepted.push((topic, qos));
                self.ended.push(None);
                if let Some(packet_id) = packet_id {
                    self.numbers.insert(packet_id, number);
                }
            }
            Err(CommandError::TopicAliasUnsupported) => {
                assert!(self.session.is_online() && alias > self.server.maximum.min(3));
                assert!(self.session == before);
            }
            Err(CommandError::TooLarge { .. }) => assert!(self.session.is_online() && self.server.packet_size < 100),
            Err(refused) => assert_eq!(refused, CommandError::Full),
        }
    }

    fn write(&mut self, mut left: usize, chunk: usize) {
        while left != 0 {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Transmit(bytes) => {
                    assert!(!bytes.is_empty());
                    let now = bytes.len().min(chunk).min(left);
                    self.server.receive(&bytes[..now]);
                    self.session.transmitted(now);
                    left -= now;
                }
                Step::Event(Event::Published { packet_id, outcome, .. }) => {
                    let number = self.numbers.remove(&packet_id).unwrap();
                    assert!(self.ended[number].replace(outcome).is_none());
                }
                Step::Event(Event::Connected(_)) => self.server.has_session = true,
                Step::Event(_) => {}
                Step::Wait(_) | Step::Close(_) => break,
            }
        }
    }

    fn read(&mut self) {
        let space = self.inbox.space();
        let len = space.len().min(self.server.output.len());
        space[..len].copy_from_slice(&self.server.output[..len]);
        self.server.output.drain(..len);
        self.inbox.filled(len);
    }

    /// Everything comes to its end.
    fn settle(&mut self) {
        self.apply(&Action::Cut(2, None));
        for _ in 0..100 {
            self.write(usize::MAX, 7);
            self.read();
        }
        assert_eq!(self.server.output.len(), 0);
        // What was sent before, and is unsendable since, keeps its identifier until the server acknowledges it.
        let unsendable = self.ended.iter().filter(|outcome| **outcome == Some(Outcome::Unsendable)).count();
        assert!(usize::from(self.session.pending()) <= unsendable);
        assert!(self.server.input.is_empty(), "half a packet is left over");
    }

    fn check(&self) {
        for (topic, payload) in &self.server.arrived {
            let number = usize::try_from(u32::from_be_bytes(*payload.first_chunk().unwrap())).unwrap();
            assert_eq!(topic, self.accepted[number].0, "message {number}");
        }
        for (number, (_, qos)) in self.accepted.iter().enumerate() {
            let arrived = self
                .server
                .arrived
                .iter()
                .any(|(_, payload)| payload[..4] == u32::try_from(number).unwrap().to_be_bytes());
            match self.ended[number] {
                None => assert_eq!(*qos, QoS::AtMostOnce, "message {number} has no end"),
                Some(Outcome::Acknowledged(_)) => assert!(arrived, "message {number} never arrived"),
                Some(outcome) => assert_eq!(outcome, Outcome::Unsendable, "message {number}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_arrives_with_its_topic(actions in prop::collection::vec(action(), 0..120)) {
        let mut pair = Pair::new();
        for action in &actions {
            pair.apply(action);
        }
        pair.settle();
        pair.check();
    }
}
