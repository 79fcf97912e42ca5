//! How sessions begin, wait, pass over and end, and their wills.

use core::time::Duration;
use std::thread::sleep;

use mqtt_session::wire::{Connack, ConnectPacket, Packet};
use mqtt_session::{
    CloseReason, Connect, Disconnect, Outcome, Properties, Property, Publish, QoS, ReasonCode, Role, Subscription,
    Version, Will,
};

use super::driver::{Client, Plain, connect_as};
use super::process::Broker;
use super::raw::Raw;

/// How long nothing more may come.
const LATER: Duration = Duration::from_millis(100);

fn connected(broker: &Broker, version: Version, name: &str) -> Plain {
    Plain::connected(broker.address(), &connect_as(version, name, false))
}

/// A client whose session waits with a subscription to everything.
fn left_behind(broker: &Broker, connect: &Connect<'_>) -> Plain {
    let mut client = Plain::connected(broker.address(), connect);
    client.subscribe(&[Subscription::new("#", QoS::ExactlyOnce)]);
    client.drop_socket();
    broker.await_log(&format!("{:?} is gone", connect.client_id));
    client
}

fn is_resumed(client: &Plain) -> bool {
    client.seen.connected.last().unwrap().session_present
}

pub(crate) fn messages_wait(version: Version) {
    let broker = Broker::launch(&format!("offline-{}", version.level()), &[]);
    let lasting = connect_as(version, "subscriber", true);
    let mut client = left_behind(&broker, &lasting);
    let mut publisher = connected(&broker, version, "publisher");
    for number in 0..300 {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
        publisher.publish(&Publish { qos, ..Publish::new("a", number.to_string().as_bytes()) });
    }
    client.connect(&lasting);
    assert!(is_resumed(&client));
    client.run_until_messages(200);
    client.run_for(LATER);
    let expected: Vec<_> = (0..300).filter(|number| number % 3 != 0).map(|n| format!("a {} 0 {n}", n % 3)).collect();
    assert_eq!(client.seen.texts(), expected);
}

/// What does not fit is refused, if nobody else gets it; QoS 0 never is.
pub(crate) fn a_queue_has_an_end(version: Version) {
    let broker = Broker::launch(&format!("queue-{}", version.level()), &["--queue", "5"]);
    let lasting = connect_as(version, "subscriber", true);
    let mut client = left_behind(&broker, &lasting);
    let mut publisher = connected(&broker, version, "publisher");
    let publish = |publisher: &mut Plain, number: u8| {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(number % 2)];
        publisher.session.publish(&Publish { qos, ..Publish::new("a", &[b'0' + number]) }).unwrap();
        publisher.run_until("its outcome", |seen| seen.published.len() == usize::from(number) + 1);
    };
    (0..7).for_each(|number| publish(&mut publisher, number));
    // Somebody else gets the last one.
    let mut other = connected(&broker, version, "other");
    other.subscribe(&[Subscription::new("a", QoS::AtMostOnce)]);
    publish(&mut publisher, 7);
    other.run_until_messages(1);
    let refusal = match version {
        Version::V5 => Outcome::Rejected(ReasonCode::QuotaExceeded),
        _ => Outcome::Acknowledged(ReasonCode::Success),
    };
    let outcomes: Vec<_> = publisher.seen.published.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(outcomes[..5], [Outcome::Acknowledged(ReasonCode::Success); 5]);
    assert_eq!(outcomes[5..7], [refusal; 2]);
    assert_eq!(outcomes[7], Outcome::Acknowledged(ReasonCode::Success));
    client.connect(&lasting);
    client.run_until_messages(5);
    client.run_for(LATER);
    assert_eq!(client.seen.texts(), ["a 1 0 0", "a 2 0 1", "a 1 0 2", "a 2 0 3", "a 1 0 4"]);
    // There is room again.
    publish(&mut publisher, 8);
    client.run_until_messages(6);
}

#[test]
fn a_session_expires() {
    let broker = Broker::launch("session-expiry", &[]);
    let lasting = |kept| Connect { properties: Properties::of(kept), ..connect_as(Version::V5, "subscriber", true) };
    let short = [Property::SessionExpiryInterval(3)];
    for (pause, expected) in [(500, true), (3_600, false)] {
        let mut client = Plain::connected(broker.address(), &Connect { clean_start: true, ..lasting(&short) });
        client.subscribe(&[Subscription::new("a", QoS::AtLeastOnce)]);
        client.drop_socket();
        sleep(Duration::from_millis(pause));
        let mut publisher = connected(&broker, Version::V5, "publisher");
        publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"x") });
        // Nothing is left of it, so nobody has subscribed.
        let code = if expected { ReasonCode::Success } else { ReasonCode::NoMatchingSubscribers };
        assert_eq!(publisher.seen.published[0].1, Outcome::Acknowledged(code));
        client.connect(&lasting(&short));
        assert_eq!(is_resumed(&client), expected);
        client.run_for(LATER);
        assert_eq!(client.seen.messages.len(), usize::from(expected));
    }
}

/// 3.1.1 and 5.0 are two sessions, of which one takes the place of the other.
#[test]
fn another_version_begins_anew() {
    let broker = Broker::launch("versions", &[]);
    for (first, second) in [(Version::V311, Version::V5), (Version::V5, Version::V311)] {
        let name = format!("from-{}", first.level());
        left_behind(&broker, &connect_as(first, &name, true));
        let client = Plain::connected(broker.address(), &connect_as(second, &name, true));
        assert!(!is_resumed(&client));
        let mut publisher = connected(&broker, Version::V5, "publisher");
        publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"x") });
        assert_eq!(publisher.seen.published[0].1, Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers));
    }
}

/// What the first connection had not acknowledged comes over the second one.
pub(crate) fn a_session_is_taken_over(version: Version) {
    let broker = Broker::launch(&format!("take-over-{}", version.level()), &[]);
    let connect = ConnectPacket {
        client_id: "taken",
        properties: Properties::of(if version == Version::V5 { &[Property::SessionExpiryInterval(60)] } else { &[] }),
        ..ConnectPacket::default()
    };
    let mut first = Raw::connected(broker.address(), version, connect);
    let subscribe =
        if version == Version::V5 { &b"\x82\x07\0\x01\0\0\x01a\x01"[..] } else { b"\x82\x06\0\x01\0\x01a\x01" };
    first.bytes(subscribe);
    assert_eq!(first.next().unwrap()[0], 0x90);
    let mut publisher = connected(&broker, version, "publisher");
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"x") });
    let message = first.next().unwrap();
    assert_eq!(message[0], 0x32);
    let mut second = Raw::connected(broker.address(), version, connect);
    let disconnect: &[Vec<u8>] = if version == Version::V5 { &[vec![0xE0, 1, 0x8E]] } else { &[] };
    assert_eq!(first.rest(), disconnect);
    // The same, with DUP.
    assert_eq!(second.next().unwrap(), [&[0x3A], &message[1..]].concat());
    // And once more, without an end.
    for _ in 0..100 {
        second = Raw::connected(broker.address(), version, connect);
        assert_eq!(second.next().unwrap()[0], 0x3A);
    }
}

/// With a delay the will waits for the client, for the end of its time, or for the end of the session.
#[test]
fn wills_are_delayed() {
    let broker = Broker::launch("will-delay", &[]);
    let mut watcher = connected(&broker, Version::V5, "watcher");
    watcher.subscribe(&[Subscription::new("wills/+", QoS::ExactlyOnce)]);
    let leave = |name: &'static str, delay, expiry| {
        let (delay, expiry) = ([Property::WillDelayInterval(delay)], [Property::SessionExpiryInterval(expiry)]);
        let topic = format!("wills/{name}");
        let will = Will { topic: &topic, properties: Properties::of(&delay), ..Will::default() };
        let connect = Connect {
            will: Some(will),
            properties: Properties::of(&expiry),
            clean_start: false,
            ..Connect::new(Version::V5, name)
        };
        let mut client = Plain::connected(broker.address(), &connect);
        client.drop_socket();
        broker.await_log(&format!("{name:?} is gone"));
        client
    };
    leave("at-once", 0, 60);
    leave("with-its-session", 60, 0);
    leave("after-two-seconds", 2, 60);
    leave("when-the-session-ends", 60, 4);
    let mut back = leave("never", 2, 60);
    let mut anew = leave("at-a-clean-start", 60, 60);
    back.connect(&connect_as(Version::V5, "never", true));
    assert!(is_resumed(&back));
    anew.connect(&connect_as(Version::V5, "at-a-clean-start", false));
    watcher.run_until_messages(3);
    watcher.run_for(Duration::from_millis(4_700));
    let topics: Vec<_> = watcher.seen.messages.iter().map(|message| message.topic.as_str()).collect();
    let expected = ["at-once", "with-its-session", "at-a-clean-start", "after-two-seconds", "when-the-session-ends"];
    assert_eq!(topics, expected.map(|name| format!("wills/{name}")));
}

pub(crate) fn a_will_is_a_message(version: Version) {
    let broker = Broker::launch(&format!("will-{}", version.level()), &[]);
    let will = Will { topic: "will", payload: b"gone", qos: QoS::AtLeastOnce, retain: true, ..Will::default() };
    let with_will = Connect { will: Some(will), ..connect_as(version, "mortal", false) };
    let mut watcher = connected(&broker, version, "watcher");
    watcher.subscribe(&[Subscription::new("will", QoS::ExactlyOnce)]);
    Plain::connected(broker.address(), &with_will).disconnect(&Disconnect::default());
    let mut first = Plain::connected(broker.address(), &with_will);
    // Taken over, which is no good end.
    let mut second = Plain::connected(broker.address(), &connect_as(version, "mortal", false));
    first.run_until_closed();
    watcher.run_until_messages(1);
    second.subscribe(&[Subscription::new("will", QoS::ExactlyOnce)]);
    second.run_until_messages(1);
    watcher.run_for(LATER);
    assert_eq!(
        (watcher.seen.texts(), second.seen.texts()),
        (vec!["will 1 0 gone".into()], vec!["will 1 1 gone".into()])
    );
}

/// [MQTT-3.1.3-6], [MQTT-3.2.2-16]
#[test]
fn names_are_assigned() {
    let broker = Broker::launch("assigned", &[]);
    let names = [0, 1].map(|_| {
        let mut raw = Raw::open(broker.address(), Version::V5);
        raw.send(&Packet::Connect(ConnectPacket { clean_start: true, ..ConnectPacket::default() }));
        let connack = raw.next().unwrap();
        match Packet::decode(Version::V5, Role::Client, &connack).unwrap() {
            Some((Packet::Connack(Connack { properties, .. }), _)) => {
                properties.assigned_client_identifier().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        }
    });
    assert_ne!(names[0], names[1]);
    // 3.1.1 has them, too, without being told.
    let mut clients = [0, 1].map(|_| connected(&broker, Version::V311, ""));
    for client in &mut clients {
        client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"x") });
    }
}

/// All that there is ends with the broker, and 5.0 is told that it does.
pub(crate) fn the_broker_ends(version: Version) {
    let mut broker = Broker::launch(&format!("end-{}", version.level()), &[]);
    let lasting = connect_as(version, "client", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    // Somebody who has said nothing is no hindrance.
    let _silent = Raw::open(broker.address(), version);
    client.flush();
    let status = broker.stop();
    assert!(status.success(), "{status}: {}", broker.log());
    let cause = match version {
        Version::V5 => CloseReason::DisconnectedByPeer(ReasonCode::ServerShuttingDown),
        _ => CloseReason::ConnectionLost,
    };
    assert_eq!(client.run_until_closed(), cause);
    broker.start();
    client.connect(&lasting);
    assert!(!is_resumed(&client));
}

/// A small window of the client is kept, also by what has waited. [MQTT-3.3.4-9]
#[test]
fn receive_maximum() {
    let broker = Broker::launch("receive-maximum", &[]);
    let properties = [Property::SessionExpiryInterval(60), Property::ReceiveMaximum(2)];
    let connect =
        ConnectPacket { client_id: "small", properties: Properties::of(&properties), ..ConnectPacket::default() };
    let mut raw = Raw::connected(broker.address(), Version::V5, connect);
    raw.bytes(b"\x82\x07\0\x01\0\0\x01a\x02");
    assert_eq!(raw.next().unwrap()[0], 0x90);
    drop(raw);
    broker.await_log("\"small\" is gone");
    let mut publisher = connected(&broker, Version::V5, "publisher");
    for number in 0..5_u8 {
        publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", &[number]) });
    }
    let mut raw = Raw::connected(broker.address(), Version::V5, connect);
    let mut got = Vec::new();
    for round in [2, 2, 1] {
        let messages: Vec<_> = (0..round).map(|_| raw.next().unwrap()).collect();
        // Nothing more comes: what comes next is the answer to a ping.
        raw.bytes(&[0xC0, 0]);
        assert_eq!(raw.next().unwrap(), [0xD0, 0]);
        for message in messages {
            assert_eq!(message[..5], [0x32, 7, 0, 1, b'a']);
            raw.bytes(&[0x40, 2, message[5], message[6]]);
            got.push(message[8]);
        }
    }
    assert_eq!(got, [0, 1, 2, 3, 4]);
}

/// What is larger than a client takes does not reach it, and nothing else is amiss. [MQTT-3.1.2-24], [MQTT-3.1.2-25]
#[test]
fn maximum_packet_size() {
    let broker = Broker::launch("packet-size", &[]);
    let mut small: Client<2_048, 8, 8, 100> =
        Client::connected(broker.address(), &connect_as(Version::V5, "small", false));
    let mut large = connected(&broker, Version::V5, "large");
    small.subscribe(&[Subscription::new("a", QoS::ExactlyOnce)]);
    large.subscribe(&[Subscription::new("a", QoS::ExactlyOnce)]);
    let mut publisher = connected(&broker, Version::V5, "publisher");
    for (qos, len) in [(QoS::AtMostOnce, 200), (QoS::AtLeastOnce, 92), (QoS::AtLeastOnce, 93), (QoS::ExactlyOnce, 10)] {
        publisher.publish(&Publish { qos, ..Publish::new("a", &vec![b'.'; len]) });
    }
    small.run_until_messages(2);
    large.run_until_messages(4);
    small.run_for(LATER);
    let lens: Vec<_> = small.seen.messages.iter().map(|message| message.payload.len()).collect();
    assert_eq!((lens, small.seen.closed), (vec![92, 10], None));
}
