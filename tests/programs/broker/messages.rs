//! Whom messages reach, and how.

use core::time::Duration;

use mqtt_session::wire::{ConnectPacket, Packet, SubscribePacket};
use mqtt_session::{
    List, Outcome, PacketId, Properties, Property, Publish, QoS, ReasonCode, RetainHandling, Subscription, Version,
};

use super::driver::{Client, Plain, connect_as};
use super::process::Broker;
use super::raw::Raw;

const EACH_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How long nothing more may come.
const LATER: Duration = Duration::from_millis(100);

fn connected(broker: &Broker, version: Version, name: &str) -> Plain {
    Plain::connected(broker.address(), &connect_as(version, name, false))
}

fn retained<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new(topic, payload) }
}

/// Goes on until a message has come that was published last, and forgets it.
fn texts(client: &mut Plain, publisher: &mut Plain, topic: &str) -> Vec<String> {
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new(topic, b"last") });
    client.run_until("the last one", |seen| seen.messages.iter().any(|message| message.payload == b"last"));
    client.run_for(LATER);
    let mut texts = client.seen.texts();
    client.seen.messages.clear();
    let last = texts.iter().rposition(|text| text.ends_with(" last")).unwrap();
    texts.remove(last);
    texts
}

/// [MQTT-3.8.4-6] of 3.1.1, [MQTT-3.8.4-8] of 5.0
pub(crate) fn the_lower_qos_counts(version: Version) {
    let broker = Broker::launch(&format!("qos-{}", version.level()), &[]);
    let mut publisher = connected(&broker, version, "publisher");
    for granted in EACH_QOS {
        let mut client = connected(&broker, version, "subscriber");
        client.subscribe(&[Subscription::new("a", granted)]);
        for published in EACH_QOS {
            publisher.publish(&Publish { qos: published, ..Publish::new("a", b"") });
        }
        client.run_until_messages(3);
        let got: Vec<_> = client.seen.messages.iter().map(|message| message.qos).collect();
        assert_eq!(got, EACH_QOS.map(|published| published.min(granted)));
    }
}

pub(crate) fn retained_messages(version: Version) {
    let broker = Broker::launch(&format!("retained-{}", version.level()), &[]);
    let mut publisher = connected(&broker, version, "publisher");
    for (topic, payload) in [("a/b", "old"), ("a/b", "new"), ("a/c", "gone"), ("a", "level above"), ("ab/b", "other")] {
        publisher.publish(&retained(topic, payload.as_bytes()));
    }
    publisher.publish(&retained("a/c", b""));
    for (filter, expected) in [
        ("a/b", &["a/b 0 1 new"][..]),
        ("a/#", &["a 0 1 level above", "a/b 0 1 new"]),
        ("+/b", &["a/b 0 1 new", "ab/b 0 1 other"]),
        ("#", &["a 0 1 level above", "a/b 0 1 new", "ab/b 0 1 other"]),
        ("a/c", &[]),
        ("$share/g/a/b", &[]),
    ] {
        let mut client = connected(&broker, version, "subscriber");
        client.subscribe(&[Subscription::new(filter, QoS::AtMostOnce), Subscription::new("end", QoS::AtMostOnce)]);
        assert_eq!(texts(&mut client, &mut publisher, "end"), expected, "{filter}");
    }
    // What comes to a subscription that is there already is not marked. [MQTT-3.3.1-9] in 3.1.1, [MQTT-3.3.1-12] in 5.0
    let mut client = connected(&broker, version, "subscriber");
    client.subscribe(&[Subscription::new("new/+", QoS::AtLeastOnce)]);
    publisher.publish(&retained("new/1", b"1"));
    assert_eq!(texts(&mut client, &mut publisher, "new/end"), ["new/1 1 0 1"]);
}

#[test]
fn retain_options() {
    let broker = Broker::launch("retain-options", &[]);
    let mut publisher = connected(&broker, Version::V5, "publisher");
    publisher.publish(&retained("a", b"kept"));
    let mut client = connected(&broker, Version::V5, "subscriber");
    client.subscribe(&[Subscription::new("end", QoS::AtMostOnce)]);
    let plain = Subscription::new("a", QoS::AtMostOnce);
    for (retain_handling, expected) in [
        (RetainHandling::DoNotSend, &[][..]),
        (RetainHandling::SendIfNew, &[]),
        (RetainHandling::Send, &["a 0 1 kept"]),
        (RetainHandling::Send, &["a 0 1 kept"]),
    ] {
        client.subscribe(&[Subscription { retain_handling, ..plain }]);
        assert_eq!(texts(&mut client, &mut publisher, "end"), expected, "{retain_handling:?}");
    }
    client.unsubscribe("a");
    client.subscribe(&[Subscription {
        retain_handling: RetainHandling::SendIfNew,
        retain_as_published: true,
        ..plain
    }]);
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"fleeting") });
    publisher.publish(&retained("a", b"new"));
    assert_eq!(texts(&mut client, &mut publisher, "end"), ["a 0 1 kept", "a 0 0 fleeting", "a 0 1 new"]);
}

/// The broker's own topics are read by those who ask for them, and written by nobody else. (4.7.2)
pub(crate) fn system_topics(version: Version) {
    let broker = Broker::launch(&format!("system-{}", version.level()), &[]);
    let mut client = connected(&broker, version, "subscriber");
    client
        .subscribe(&[Subscription::new("#", QoS::AtMostOnce), Subscription::new("+/broker/version", QoS::AtMostOnce)]);
    let mut publisher = connected(&broker, version, "publisher");
    assert_eq!(texts(&mut client, &mut publisher, "end"), [""; 0]);
    client.subscribe(&[Subscription::new("$SYS/broker/+", QoS::AtMostOnce)]);
    client.run_until_messages(1);
    assert!(client.seen.texts()[0].starts_with("$SYS/broker/version 0 1 mqtt-session"), "{:?}", client.seen.texts());

    client.seen.messages.clear();
    let forged = Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new("$SYS/broker/version", b"mine") };
    publisher.session.publish(&forged).unwrap();
    publisher.run_until("its outcome", |seen| seen.published.len() == 2);
    let outcome = match version {
        Version::V5 => Outcome::Rejected(ReasonCode::NotAuthorized),
        _ => Outcome::Acknowledged(ReasonCode::Success),
    };
    assert_eq!(publisher.seen.published[1].1, outcome);
    assert_eq!(texts(&mut client, &mut publisher, "end"), [""; 0]);
}

/// Messages wait for nobody who is away as long as somebody of the group is there.
pub(crate) fn shared_subscriptions(version: Version) {
    let broker = Broker::launch(&format!("shared-{}", version.level()), &[]);
    let lasting = |name| Plain::connected(broker.address(), &connect_as(version, name, true));
    let topic = [Subscription::new("$share/g/work/+", QoS::ExactlyOnce)];
    let mut clients = ["one", "two", "three"].map(lasting);
    for client in &mut clients {
        client.subscribe(&topic);
    }
    clients[1].drop_socket();
    broker.await_log("\"two\" is gone");
    let mut publisher = connected(&broker, version, "publisher");
    for number in 0..10 {
        let payload = number.to_string();
        publisher.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("work/1", payload.as_bytes()) });
    }
    for (index, count) in [(0, 5), (2, 5)] {
        clients[index].run_until_messages(count);
        clients[index].run_for(LATER);
        assert_eq!(clients[index].seen.messages.len(), count);
    }
    // When all are away it waits for one of them.
    for index in [0, 2] {
        clients[index].drop_socket();
    }
    broker.await_log("\"three\" is gone");
    broker.await_log("\"one\" is gone");
    publisher.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("work/1", b"late") });
    for (client, name) in clients.iter_mut().zip(["one", "two", "three"]) {
        client.seen.messages.clear();
        client.connect(&connect_as(version, name, true));
        client.run_for(LATER);
    }
    let late: Vec<_> = clients.iter().flat_map(|client| client.seen.texts()).collect();
    assert_eq!(late, ["work/1 2 0 late"]);
}

/// A member that has subscribed to the group as a client of bytes, so that it acknowledges nothing by itself.
fn member(broker: &Broker, version: Version, name: &str, qos: QoS, expiry: u32) -> Raw {
    let properties = [Property::SessionExpiryInterval(expiry)];
    let connect = ConnectPacket {
        client_id: name,
        clean_start: expiry == 0,
        properties: Properties::of(if version == Version::V5 { &properties } else { &[] }),
        ..ConnectPacket::default()
    };
    let mut raw = Raw::connected(broker.address(), version, connect);
    let work = [Subscription::new("$share/g/work", qos)];
    let (packet_id, properties) = (PacketId::MIN, Properties::EMPTY);
    raw.send(&Packet::Subscribe(SubscribePacket { packet_id, properties, subscriptions: List::of(&work) }));
    assert_eq!(raw.next().unwrap()[0], 0x90);
    raw
}

/// Publishes so many messages, and forgets their outcomes.
fn publish_work(publisher: &mut Plain, qos: QoS, range: core::ops::Range<u8>) {
    for number in range {
        publisher.publish(&Publish { qos, ..Publish::new("work", &[number]) });
    }
}

/// All that comes until a message with this payload.
fn until(raw: &mut Raw, last: u8) -> Vec<u8> {
    let mut got = Vec::new();
    while got.last() != Some(&last) {
        let packet = raw.next().unwrap();
        assert_eq!(packet[0] & 0xF0, 0x30, "{packet:02x?}");
        got.push(*packet.last().unwrap());
    }
    got
}

/// Ends a session in one of the ways there are.
fn end(broker: &Broker, version: Version, mut raw: Raw, name: &str, way: usize) {
    match way {
        0 => {
            raw.bytes(&[0xE0, 0]);
            raw.rest();
        }
        1 => drop(raw),
        // The end of its time.
        4 => drop(raw),
        // A fault.
        2 => {
            raw.bytes(&[0xFF, 0xFF]);
            raw.rest();
        }
        _ => {
            let connect = ConnectPacket { client_id: name, clean_start: true, ..ConnectPacket::default() };
            drop(raw);
            Raw::connected(broker.address(), version, connect);
        }
    }
    broker.await_log(&format!("{name:?} is gone"));
}

/// What a member had not acknowledged when its session ended goes to the others, and so does what waited for it. (5.0: 4.8.2)
pub(crate) fn a_share_is_inherited(version: Version) {
    let ways = if version == Version::V5 { 0..5 } else { 0..4 };
    for way in ways {
        let broker = Broker::launch(&format!("inherited-{}-{way}", version.level()), &[]);
        let mut heir = member(&broker, version, "heir", QoS::AtLeastOnce, 0);
        let expiry = [0, 0, 0, 60, 1][way];
        let first = member(&broker, version, "first", QoS::AtLeastOnce, expiry);
        let mut publisher = connected(&broker, version, "publisher");
        // More than are under way to one of them at once.
        publish_work(&mut publisher, QoS::AtLeastOnce, 0..200);
        heir.bytes(&[0xC0, 0]);
        let mut got = Vec::new();
        while let Some(packet) = heir.next().filter(|packet| packet[0] != 0xD0) {
            got.push(packet);
        }
        let window = if version == Version::V5 { 64 } else { 20 };
        assert_eq!(got.len(), window);
        end(&broker, version, first, "first", way);
        let mut numbers = Vec::new();
        let identifier = |packet: &[u8]| [packet[8], packet[9]];
        while numbers.len() < 200 {
            let packet = if got.is_empty() { heir.next().unwrap() } else { got.remove(0) };
            heir.bytes(&[&[0x40, 2], &identifier(&packet)[..]].concat());
            numbers.push(*packet.last().unwrap());
        }
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..200), "{way}: {numbers:?}");
    }
}

/// What waits for a member without a connection goes to one that has one, and what it has no room for does as well.
pub(crate) fn a_share_that_was_never_sent(version: Version) {
    let broker = Broker::launch(&format!("never-sent-{}", version.level()), &["--queue", "30"]);
    let away = member(&broker, version, "away", QoS::AtLeastOnce, 60);
    let mut publisher = connected(&broker, version, "publisher");
    let window = if version == Version::V5 { 64 } else { 20 };
    // All that it may have under way, and some in its queue.
    publish_work(&mut publisher, QoS::AtLeastOnce, 0..window + 20);
    let mut heir = member(&broker, version, "heir", QoS::AtLeastOnce, 0);
    end(&broker, version, away, "away", 1);
    let expected: Vec<_> = (window..window + 20).collect();
    assert_eq!(until(&mut heir, window + 19), expected);

    // Nobody reads any more: one queue is filled, and then the other one.
    let mut heir = member(&broker, version, "heir", QoS::AtLeastOnce, 0);
    let mut slow = member(&broker, version, "slow", QoS::AtLeastOnce, 0);
    publish_work(&mut publisher, QoS::AtLeastOnce, 0..2 * (window + 30));
    let mut numbers = Vec::new();
    for raw in [&mut heir, &mut slow] {
        raw.bytes(&[0xC0, 0]);
        while let Some(packet) = raw.next().filter(|packet| packet[0] != 0xD0) {
            numbers.push(*packet.last().unwrap());
        }
    }
    assert_eq!(numbers.len(), 2 * usize::from(window));
}

/// Its client may have it. [MQTT-4.8.2-5]
pub(crate) fn a_share_of_qos_2_is_not_repeated(version: Version) {
    let broker = Broker::launch(&format!("share-2-{}", version.level()), &[]);
    let mut first = member(&broker, version, "first", QoS::ExactlyOnce, 0);
    let mut publisher = connected(&broker, version, "publisher");
    let window = if version == Version::V5 { 64 } else { 20 };
    publish_work(&mut publisher, QoS::ExactlyOnce, 0..window + 5);
    until(&mut first, window - 1);
    let mut heir = member(&broker, version, "heir", QoS::ExactlyOnce, 0);
    end(&broker, version, first, "first", 1);
    let expected: Vec<_> = (window..window + 5).collect();
    assert_eq!(until(&mut heir, window + 4), expected);
    heir.bytes(&[0xC0, 0]);
    assert_eq!(heir.next().unwrap(), [0xD0, 0]);
}

/// What is too large for one member is not for all. [MQTT-3.1.2-25]
pub(crate) fn a_share_that_is_too_large(version: Version) {
    let broker = Broker::launch(&format!("share-large-{}", version.level()), &[]);
    let topic = [Subscription::new("$share/g/work", QoS::ExactlyOnce)];
    let mut small: [Client<2_048, 8, 8, 100>; 2] =
        ["one", "two"].map(|name| Client::connected(broker.address(), &connect_as(Version::V5, name, false)));
    let mut large = connected(&broker, version, "large");
    small.iter_mut().for_each(|client| _ = client.subscribe(&topic));
    large.subscribe(&topic);
    let mut publisher = connected(&broker, version, "publisher");
    for qos in EACH_QOS.into_iter().cycle().take(9) {
        publisher.publish(&Publish { qos, ..Publish::new("work", &[b'.'; 200]) });
    }
    large.run_until_messages(9);
    // Without it they go nowhere.
    large.drop_socket();
    broker.await_log("\"large\" is gone");
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("work", &[b'.'; 200]) });
    broker.await_log("one is too large for its client");
    small.iter_mut().for_each(|client| client.run_for(LATER));
    assert!(small.iter().all(|client| client.seen.messages.is_empty()));
}

#[test]
fn no_local() {
    let broker = Broker::launch("no-local", &[]);
    let mut client = connected(&broker, Version::V5, "one");
    let mut other = connected(&broker, Version::V5, "two");
    let plain = Subscription::new("a", QoS::AtLeastOnce);
    let both = [Subscription { no_local: true, ..plain }, Subscription::new("end", QoS::AtMostOnce)];
    client.subscribe(&both);
    other.subscribe(&both);
    for client in [&mut client, &mut other] {
        client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"to others") });
    }
    let mut publisher = connected(&broker, Version::V5, "three");
    assert_eq!(texts(&mut client, &mut publisher, "end"), ["a 1 0 to others"]);
    other.unsubscribe("end");
    assert_eq!(texts(&mut other, &mut publisher, "a"), ["a 1 0 to others", "end 0 0 last"]);
}

/// One delivery with the identifiers of all subscriptions that match. [MQTT-3.3.4-3], [MQTT-3.3.4-4]
#[test]
fn subscription_identifiers() {
    let broker = Broker::launch("identifiers", &[]);
    let mut client = connected(&broker, Version::V5, "subscriber");
    for (filter, number) in [("a/#", 1), ("a/+", 268_435_455), ("b", 3)] {
        let identifier = [Property::SubscriptionIdentifier(number)];
        client.subscribe_with(&[Subscription::new(filter, QoS::AtLeastOnce)], &identifier);
    }
    client.subscribe(&[Subscription::new("+/b", QoS::AtMostOnce)]);
    let mut publisher = connected(&broker, Version::V5, "publisher");
    publisher.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a/b", b"x") });
    client.run_until_messages(1);
    client.run_for(LATER);
    assert_eq!(client.seen.texts(), ["a/b 1 0 x"]);
    let mut properties = client.seen.messages[0].properties.clone();
    properties.sort();
    assert_eq!(properties, ["subscription_identifier(1)", "subscription_identifier(268435455)"]);
}

/// A retained message expires, too. [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn message_expiry() {
    let broker = Broker::launch("expiry", &[]);
    let lasting = connect_as(Version::V5, "subscriber", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    client.subscribe(&[Subscription::new("a/+", QoS::ExactlyOnce)]);
    client.drop_socket();
    broker.await_log("\"subscriber\" is gone");
    let mut publisher = connected(&broker, Version::V5, "publisher");
    for (topic, seconds) in [("a/short", 1), ("a/long", 100)] {
        let properties = [Property::MessageExpiryInterval(seconds)];
        publisher.publish(&Publish { properties: Properties::of(&properties), ..retained(topic, b"x") });
    }
    std::thread::sleep(Duration::from_millis(2_100));
    client.connect(&lasting);
    client.subscribe(&[Subscription::new("a/#", QoS::AtMostOnce), Subscription::new("end", QoS::AtMostOnce)]);
    client.run_until_messages(2);
    for message in &client.seen.messages {
        let left = message.properties[0].strip_prefix("message_expiry_interval(9");
        assert!(left.is_some_and(|rest| rest.len() == 2 && rest != "9)"), "{:?}", message.properties);
    }
    assert_eq!(texts(&mut client, &mut publisher, "end"), ["a/long 1 0 x", "a/long 0 1 x"]);
}

/// What a publisher hears of those whom it did not reach. (5.0: 3.4.2.1, 3.5.2.1)
#[test]
fn nobody_has_subscribed() {
    let broker = Broker::launch("nobody", &[]);
    let mut publisher = connected(&broker, Version::V5, "publisher");
    for (qos, topic, code) in [
        (QoS::AtLeastOnce, "a", ReasonCode::NoMatchingSubscribers),
        (QoS::ExactlyOnce, "a", ReasonCode::NoMatchingSubscribers),
        (QoS::AtLeastOnce, "b", ReasonCode::Success),
    ] {
        if topic == "b" {
            publisher.subscribe(&[Subscription::new("b", QoS::AtMostOnce)]);
        }
        publisher.publish(&Publish { qos, ..Publish::new(topic, b"") });
        assert_eq!(publisher.seen.published.last().unwrap().1, Outcome::Acknowledged(code));
    }
}
