//! Many at once, clients that break rules, and the bounds of what the broker takes.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant as Clock;

use mqtt_session::sim::Random;
use mqtt_session::wire::ConnectPacket;
use mqtt_session::{
    CloseReason, CommandError, Connect, Outcome, Properties, Property, Publish, QoS, ReasonCode, Subscription, Version,
};

use super::driver::{Client, Plain, connect_as};
use super::process::Broker;
use super::raw::Raw;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn connected(broker: &Broker, version: Version, name: &str) -> Plain {
    Plain::connected(broker.address(), &connect_as(version, name, false))
}

/// The broker serves others as if nothing had happened.
fn assert_well(broker: &Broker) {
    let mut client = connected(broker, Version::V5, "well");
    client.subscribe(&[Subscription::new("well", QoS::ExactlyOnce)]);
    client.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("well", b"?") });
    client.run_until_messages(1);
}

#[test]
fn two_hundred_at_once() {
    let broker = Broker::launch("many", &[]);
    let mut clients: Vec<_> =
        (0..200).map(|number| connected(&broker, BOTH[number % 2], &format!("client-{number}"))).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let own = format!("to/{number}");
        client.subscribe(&[Subscription::new("all", QoS::ExactlyOnce), Subscription::new(&own, QoS::AtLeastOnce)]);
    }
    // Each to the next one, and one to all.
    for (number, client) in clients.iter_mut().enumerate() {
        let topic = format!("to/{}", (number + 1) % 200);
        client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new(&topic, b"x") });
    }
    clients[0].publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("all", b"x") });
    for (number, client) in clients.iter_mut().enumerate() {
        client.run_until_messages(2);
        assert_eq!(client.seen.texts(), [format!("to/{number} 1 0 x"), "all 2 0 x".to_owned()]);
    }
}

/// Nothing of it is answered, and nothing of it does harm.
#[test]
fn garbage_before_connect() {
    let broker = Broker::launch("garbage", &[]);
    let mut random = Random::new(7);
    let noise: Vec<u8> = (0..100_000).map(|_| random.next().to_le_bytes()[0] | 0x20).collect();
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0\x01\0", b"\xff\xff\xff\xff\xff\xff", b"\xc0\0", &noise]
    {
        let mut raw = Raw::open(broker.address(), Version::V5);
        raw.bytes(bytes);
        assert_eq!(raw.rest(), [[]; 0], "{:02x?}", &bytes[..bytes.len().min(8)]);
    }
    // A CONNECT that cannot be taken has an answer.
    for (version, connect, connack) in [
        (Version::V311, &b"\x10\x0d\0\x04MQTT\x03\x02\0\x3c\0\x01a"[..], &[0x20, 2, 0, 1][..]),
        (Version::V311, b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01a", &[0x20, 2, 0, 1]),
        (Version::V311, b"\x10\x0c\0\x04MQTT\x04\0\0\x3c\0\0", &[0x20, 2, 0, 2]),
        (Version::V5, b"\x10\x0e\0\x04MQTT\x05\x03\0\x3c\0\0\x01a", &[0x20, 3, 0, 0x81, 0]),
        (Version::V5, b"\x10\x14\0\x04MQTT\x05\x02\0\x3c\x06\x15\0\x03pin\0\x01a", &[0x20, 3, 0, 0x8C, 0]),
    ] {
        let mut raw = Raw::open(broker.address(), version);
        raw.bytes(connect);
        assert_eq!(raw.rest(), [connack]);
    }
    broker.await_log("is gone: the connection was refused: bad authentication method (0x8C)\n");
    let log = broker.log();
    let lines = log.lines().filter(|line| line.starts_with("broker: somebody from 127.0.0.1:")).count();
    assert_eq!(lines, 10, "{log}");
    assert_well(&broker);
}

#[test]
fn garbage_after_connect() {
    let broker = Broker::launch("malformed", &[]);
    for (bytes, code) in [
        (&b"\x36\x06\0\x01a\0\x01\0"[..], 0x81), // QoS 3
        (b"\x30\x04\0\x01#\0", 0x82),
        (b"\x82\x06\0\x01\0\0\x01a", 0x81),
        (b"\x82\x08\0\x01\0\0\x02a#\0", 0x82),
        (b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01a", 0x82),
        (b"\xff", 0x81),
        (b"\x30\xff\xff\x7f", 0x95),
    ] {
        let mut raw = Raw::connected(
            broker.address(),
            Version::V5,
            ConnectPacket { client_id: "bad", clean_start: true, ..ConnectPacket::default() },
        );
        raw.bytes(bytes);
        let rest = raw.rest();
        assert_eq!(rest.len(), 1, "{bytes:02x?}: {rest:02x?}");
        assert_eq!((rest[0][0], rest[0][2]), (0xE0, code), "{bytes:02x?}");
        let mut raw = Raw::connected(
            broker.address(),
            Version::V311,
            ConnectPacket { client_id: "bad", clean_start: true, ..ConnectPacket::default() },
        );
        raw.bytes(bytes);
        assert_eq!(raw.rest(), [[]; 0], "{bytes:02x?}");
    }
    assert_well(&broker);
}

/// Whoever goes on talking after the end is not listened to.
#[test]
fn talking_on() {
    let broker = Broker::launch("talking-on", &[]);
    let mut raw = Raw::open(broker.address(), Version::V5);
    let noise = vec![0xFF; 10_000];
    let end = Clock::now() + Duration::from_secs(10);
    while raw.socket.write_all(&noise).is_ok() {
        assert!(Clock::now() < end, "the broker listens for ever");
    }
    assert_well(&broker);
}

/// A connection that is closed after any byte of an exchange, by either direction of its socket.
#[test]
fn half_packets() {
    let broker = Broker::launch("half", &[]);
    let exchange =
        b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01h\x82\x07\0\x01\0\0\x01h\x02\x34\x08\0\x01h\0\x02\0ab\x62\x02\0\x02";
    for len in 0..=exchange.len() {
        for how in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
            let mut raw = Raw::open(broker.address(), Version::V5);
            raw.bytes(&exchange[..len]);
            if let Some(how) = how {
                // The broker may have closed already.
                _ = raw.socket.shutdown(how);
                raw.rest();
            }
        }
    }
    assert_well(&broker);
}

/// Whoever says nothing, or never all of it, is not waited for longer than that.
#[test]
fn patience_ends() {
    let broker = Broker::launch("response_timeout", &[]);
    let begin = Clock::now();
    let mut silent = Raw::open(broker.address(), Version::V5);
    let mut slow = Raw::open(broker.address(), Version::V5);
    slow.bytes(b"\x10\x0e\0\x04MQTT");
    assert_well(&broker);
    assert_eq!((silent.rest().len(), slow.rest().len()), (0, 0));
    let seconds = begin.elapsed().as_secs();
    assert!((9..14).contains(&seconds), "{seconds} s");
}

/// 100 MB for somebody who does not read: the broker keeps a few of them, the publisher is not held up, and others get all.
#[test]
fn a_slow_reader() {
    let broker = Broker::launch("slow", &[]);
    let mut slow = Raw::connected(
        broker.address(),
        Version::V311,
        ConnectPacket { client_id: "slow", clean_start: true, ..ConnectPacket::default() },
    );
    slow.bytes(b"\x82\x06\0\x01\0\x01a\x01");
    assert_eq!(slow.next().unwrap(), [0x90, 3, 0, 1, 1]);
    let mut publisher: Client<100_000, 32, 8, 4_096> =
        Client::connected(broker.address(), &connect_as(Version::V5, "publisher", false));
    let mut payload = vec![b'.'; 50_000];
    let mut before = 0;
    for number in 0..2_000_u16 {
        if number == 200 {
            before = broker.memory().unwrap_or_default();
        }
        payload[..2].copy_from_slice(&number.to_be_bytes());
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce][usize::from(number % 2)];
        match publisher.session.publish(&Publish { qos, ..Publish::new("a", &payload) }).unwrap() {
            None => publisher.flush(),
            Some(_) => {
                publisher.run_until("outcomes", |seen| seen.published.len() == usize::from(number / 2) + 1);
            }
        }
    }
    if let Some(after) = broker.memory() {
        assert!(after < before + 8_192 && after < 40_000, "from {before} KiB to {after} KiB");
    }
    // The publisher was told of what nobody got.
    let refused = Outcome::Rejected(ReasonCode::QuotaExceeded);
    let told = publisher.seen.published.iter().filter(|(_, outcome)| *outcome == refused).count();
    assert_well(&broker);
    // What was kept comes, in order, once it reads.
    let mut numbers = Vec::new();
    for _ in 0..1_000 - told {
        let message = core::iter::from_fn(|| slow.next()).find(|message| message[0] & 0x06 != 0).unwrap();
        let at = message.len() - payload.len();
        slow.bytes(&[0x40, 2, message[at - 2], message[at - 1]]);
        numbers.push(u16::from_be_bytes([message[at], message[at + 1]]));
    }
    assert!(numbers.is_sorted() && (50..120).contains(&numbers.len()), "{numbers:?}");
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"last") });
    assert!(slow.next().unwrap().ends_with(b"last"));
}

#[test]
fn connections_have_an_end() {
    let broker = Broker::launch("connections", &["--connections", "3"]);
    let mut clients = [0, 1, 2].map(|number| connected(&broker, Version::V5, &format!("client-{number}")));
    let mut fourth = TcpStream::connect(broker.address()).unwrap();
    fourth.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(fourth.read(&mut [0]), Ok(0) | Err(_)));
    clients[0].drop_socket();
    let end = Clock::now() + Duration::from_secs(10);
    loop {
        let mut client = Plain::new(broker.address());
        client.open(&connect_as(Version::V5, "another", false)).unwrap();
        client.run_for(Duration::from_millis(50));
        if !client.seen.connected.is_empty() {
            break;
        }
        assert!(Clock::now() < end, "nobody is let in any more");
    }
}

#[test]
fn sessions_have_an_end() {
    let broker = Broker::launch("sessions", &["--sessions", "2"]);
    for (name, version) in [("one", Version::V311), ("two", Version::V5)] {
        Plain::connected(broker.address(), &connect_as(version, name, true)).drop_socket();
        broker.await_log(&format!("{name:?} is gone"));
    }
    for (version, code) in [(Version::V311, ReasonCode::ServerUnavailable), (Version::V5, ReasonCode::QuotaExceeded)] {
        let mut client = Plain::new(broker.address());
        client.open(&connect_as(version, "three", false)).unwrap();
        assert_eq!(client.run_until_closed(), CloseReason::ConnectionRefused(code));
    }
    // Those that are there are no strangers, and one that ends makes room.
    Plain::connected(broker.address(), &connect_as(Version::V311, "one", true));
    let mut two = connected(&broker, Version::V5, "two");
    two.disconnect(&mqtt_session::Disconnect::default());
    connected(&broker, Version::V5, "three");
}

#[test]
fn subscriptions_have_an_end() {
    let broker = Broker::launch("subscriptions", &[]);
    let deep = |levels: usize| format!("{}#", "+/".repeat(levels - 1));
    for (version, codes) in [
        (Version::V311, [ReasonCode::UnspecifiedError; 2]),
        (Version::V5, [ReasonCode::TopicFilterInvalid, ReasonCode::QuotaExceeded]),
    ] {
        let mut client: Client<100_000, 32, 8, 8_192> =
            Client::connected(broker.address(), &connect_as(version, "greedy", false));
        let (fits, too_deep) = (deep(200), deep(201));
        let granted = client
            .subscribe(&[Subscription::new(&fits, QoS::AtMostOnce), Subscription::new(&too_deep, QoS::AtMostOnce)]);
        assert_eq!(granted, [ReasonCode::Success, codes[0]]);
        let filters: Vec<_> = (0..1_000).map(|number| format!("filter/{number}")).collect();
        let subscriptions: Vec<_> = filters.iter().map(|filter| Subscription::new(filter, QoS::AtMostOnce)).collect();
        let granted = client.subscribe(&subscriptions);
        assert!(granted[..999].iter().all(|&code| code == ReasonCode::Success));
        assert_eq!(granted[999], codes[1]);
        // One that is there may be changed.
        assert_eq!(client.subscribe(&[Subscription::new("filter/0", QoS::AtLeastOnce)]), [ReasonCode::GrantedQos1]);
    }
    assert_well(&broker);
}

#[test]
fn retained_messages_have_an_end() {
    let broker = Broker::launch("retained-end", &[]);
    let mut client: Client<100_000, 64, 8, 4_096> =
        Client::connected(broker.address(), &connect_as(Version::V5, "client", false));
    for number in 0..10_001 {
        let topic = format!("kept/{number}");
        let publish = Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new(&topic, b"x") };
        client.session.publish(&publish).unwrap();
        // One of the 64 places is kept for a request.
        if client.session.pending() == 63 {
            client.run_until("outcomes", |seen| seen.published.len() > number);
        }
    }
    client.run_until("outcomes", |seen| seen.published.len() == 10_001);
    let outcomes: Vec<_> = client.seen.published.iter().map(|(_, outcome)| *outcome).collect();
    let accepted = Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers);
    // Some places are those of the broker's own messages.
    let count = outcomes.iter().take_while(|outcome| **outcome == accepted).count();
    assert!((9_990..10_000).contains(&count), "{count}");
    assert!(outcomes[count..].iter().all(|outcome| *outcome == Outcome::Rejected(ReasonCode::QuotaExceeded)));
    // Others may change, and make room.
    let mut publish = |topic: &str, payload: &[u8]| {
        client.publish(&Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new(topic, payload) });
    };
    publish("kept/7", b"new");
    publish("kept/8", b"");
    publish("kept/10000", b"x");
}

/// Nothing comes for one and a half times the keep alive, and longer ones are not for 5.0 to choose.
#[test]
fn keep_alive() {
    let broker = Broker::launch("keep-alive", &["--keep-alive", "1"]);
    let connect =
        |keep_alive| ConnectPacket { client_id: "idle", clean_start: true, keep_alive, ..ConnectPacket::default() };
    let begin = Clock::now();
    let mut idle = Raw::connected(broker.address(), Version::V5, connect(0));
    assert_eq!(idle.rest(), [[0xE0, 1, 0x8D]]);
    assert!((1_400..5_000).contains(&begin.elapsed().as_millis()));
    let mut idle = Raw::connected(broker.address(), Version::V311, connect(1));
    assert_eq!(idle.rest(), [[]; 0]);
    assert!((2_900..8_000).contains(&begin.elapsed().as_millis()));
    let mut idle = Raw::connected(broker.address(), Version::V311, connect(0));
    idle.socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    assert!(idle.socket.read(&mut [0]).is_err());
}

/// What 5.0 clients are told of the broker's limits.
#[test]
fn a_message_larger_than_the_broker_takes() {
    let broker = Broker::launch("too-large", &[]);
    let mut client: Client<100_000, 8, 8, 4_096> = Client::new(broker.address());
    let properties = [Property::SessionExpiryInterval(0)];
    client.connect(&Connect { properties: Properties::of(&properties), ..connect_as(Version::V5, "client", false) });
    let payload = vec![b'.'; 80_000];
    let publish = Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", &payload) };
    assert!(matches!(client.session.publish(&publish), Err(CommandError::TooLarge { .. })));
    let mut client: Client<100_000, 8, 8, 4_096> =
        Client::connected(broker.address(), &connect_as(Version::V311, "client", false));
    assert!(client.session.publish(&publish).is_ok());
    assert_eq!(client.run_until_closed(), CloseReason::ConnectionLost);
    assert_well(&broker);
}
