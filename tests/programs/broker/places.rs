//! Clients that have many QoS 2 messages under way at once.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write;
use std::thread::sleep;

use mqtt_session::wire::ConnectPacket;
use mqtt_session::{Properties, Property, QoS, Subscription, Version};

use super::driver::{Client, connect_as};
use super::process::Broker;
use super::raw::Raw;

/// A publisher like paho: it writes all that it has before it reads, and each PUBREL behind whatever it has written by then. Over a
/// new connection all that is not complete begins again, in order: with PUBREL where PUBREC had come, unless the session is
/// a clean one.
struct Eager {
    version: Version,
    client_id: &'static str,
    clean: bool,
    /// What is not complete, by packet identifier.
    open: BTreeMap<u16, Stage>,
    connections: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Fresh,
    Published,
    Received,
}

impl Eager {
    fn new(version: Version, client_id: &'static str, clean: bool, count: u16) -> Self {
        let open = (1..=count).map(|number| (number, Stage::Fresh)).collect();
        Self { version, client_id, clean, open, connections: 0 }
    }

    /// Publishes everything, over as many connections as it takes.
    fn run(&mut self, broker: &Broker, most: usize) {
        while !self.open.is_empty() {
            self.connections += 1;
            assert!(self.connections <= most, "closed again and again; {} are left", self.open.len());
            self.connect(broker);
        }
    }

    fn connect(&mut self, broker: &Broker) {
        let lasting = [Property::SessionExpiryInterval(60)];
        let has_expiry = self.version == Version::V5 && !self.clean;
        let connect = ConnectPacket {
            client_id: self.client_id,
            clean_start: self.clean,
            properties: Properties::of(if has_expiry { &lasting } else { &[] }),
            ..ConnectPacket::default()
        };
        let mut raw = Raw::connected(broker.address(), self.version, connect);
        let mut bytes = Vec::new();
        for (&number, stage) in &mut self.open {
            if self.clean && *stage == Stage::Received {
                *stage = Stage::Published;
            }
            bytes.extend(packet(self.version, number, *stage));
            if *stage == Stage::Fresh {
                *stage = Stage::Published;
            }
        }
        for piece in bytes.chunks(1_000) {
            // It does not read what has come when it cannot write any more.
            if raw.socket.write_all(piece).is_err() {
                return;
            }
            sleep(Duration::from_millis(1));
        }
        while !self.open.is_empty()
            && let Some(answer) = raw.next()
        {
            let number = u16::from_be_bytes([answer[2], answer[3]]);
            match answer[0] {
                0x50 => {
                    assert_eq!(self.open.insert(number, Stage::Received), Some(Stage::Published), "PUBREC of {number}");
                    raw.bytes(&packet(self.version, number, Stage::Received));
                }
                0x70 => assert_eq!(self.open.remove(&number), Some(Stage::Received), "PUBCOMP of {number}"),
                _ => panic!("{answer:02x?}"),
            }
        }
    }
}

/// PUBLISH with its identifier as the payload, or PUBREL.
fn packet(version: Version, number: u16, stage: Stage) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let first = match stage {
        Stage::Fresh => 0x34,
        Stage::Published => 0x3C,
        Stage::Received => return vec![0x62, 2, high, low],
    };
    match version {
        Version::V5 => vec![first, 8, 0, 1, b'q', high, low, 0, high, low],
        _ => vec![first, 7, 0, 1, b'q', high, low, high, low],
    }
}

/// Publishes, and tells over how many connections, and how often each message came.
fn publish(name: &str, mut eager: Eager, most: usize) -> (usize, BTreeMap<u16, usize>) {
    let name = format!("{name}-{}{}-{}", eager.client_id, eager.clean, eager.version.level());
    let broker = Broker::launch(&name, &["--queue", "200000"]);
    let mut watcher: Client<8_192, 32, 1_024, 65_536> =
        Client::connected(broker.address(), &connect_as(Version::V5, "watcher", false));
    watcher.subscribe(&[Subscription::new("q", QoS::AtMostOnce), Subscription::new("end", QoS::AtMostOnce)]);
    eager.run(&broker, most);
    let mut last = Raw::connected(
        broker.address(),
        Version::V311,
        ConnectPacket { client_id: "last", clean_start: true, ..ConnectPacket::default() },
    );
    last.bytes(b"\x30\x05\0\x03end");
    watcher.run_until("the end", |seen| seen.messages.last().is_some_and(|message| message.topic == "end"));
    watcher.seen.messages.pop();
    let mut times = BTreeMap::new();
    for message in &watcher.seen.messages {
        *times.entry(u16::from_be_bytes([message.payload[0], message.payload[1]])).or_default() += 1;
    }
    (eager.connections, times)
}

/// As many as 5.0 clients are told that they may.
pub(crate) fn a_thousand_at_once(version: Version) {
    for clean in [true, false] {
        let (connections, times) = publish("thousand", Eager::new(version, "eager", clean, 1_000), 1);
        assert_eq!((connections, times.len()), (1, 1_000));
        assert!(times.values().all(|&times| times == 1), "{times:?}");
    }
}

/// With a clean session a 3.1.1 client loses its connection once, and then has room for all packet identifiers, with and
/// without a name.
#[test]
fn a_clean_session_has_room_for_all() {
    for (name, count) in [("eager", 5_000), ("", 5_000), ("all", u16::MAX)] {
        let (connections, times) = publish("clean", Eager::new(Version::V311, name, true, count), 2);
        assert_eq!((connections, times.len()), (2, count.into()), "{name}");
        // What was under way when a clean session ended is published anew by its client.
        assert!(times.values().all(|&times| times <= 2), "{times:?}");
    }
}

/// A session that goes on gets further with each connection, and each message comes once.
#[test]
fn a_lasting_session_gets_further() {
    let (connections, times) = publish("lasting", Eager::new(Version::V311, "eager", false, 5_000), 5);
    assert_eq!((connections, times.len()), (5, 5_000));
    assert!(times.values().all(|&times| times == 1), "{times:?}");
}

/// A client that was closed for it and comes back with a new session later has room, too.
#[test]
fn a_session_that_begins_anew_has_room() {
    let broker = Broker::launch("anew", &["--queue", "200000"]);
    Eager::new(Version::V311, "eager", false, 2_000).run(&broker, 2);
    // Clean once, to end the lasting session; then another one begins.
    Eager::new(Version::V311, "eager", true, 2_000).run(&broker, 1);
    Eager::new(Version::V311, "eager", false, 20_000).run(&broker, 1);
}
