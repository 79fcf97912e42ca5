//! What happens at the bounds of queues, of retained messages and of places, and what one client can cost the others.

use core::time::Duration;
use std::time::Instant as Clock;

use mqtt_session::wire::{ConnectPacket, Packet, SubscribePacket};
use mqtt_session::{
    Connect, List, Outcome, PacketId, Properties, Publish, QoS, ReasonCode, Subscription, Version, Will,
};

use super::driver::{Client, Plain, connect_as};
use super::process::Broker;
use super::raw::Raw;

/// How long nothing more may come.
const LATER: Duration = Duration::from_millis(100);

/// A client that takes many messages at once.
type Large = Client<100_000, 64, 1_024, 100_000>;

/// How many messages it has under way at most: one place is kept for a request.
const MESSAGES: u16 = 63;

fn connected(broker: &Broker, version: Version, name: &str) -> Plain {
    Plain::connected(broker.address(), &connect_as(version, name, false))
}

fn retained<'a>(topic: &'a str, payload: &'a [u8], qos: QoS) -> Publish<'a> {
    Publish { qos, retain: true, ..Publish::new(topic, payload) }
}

/// Retains so many messages below `kept/`.
fn fill(broker: &Broker, count: usize, payload: &[u8]) {
    let mut publisher: Large = Client::connected(broker.address(), &connect_as(Version::V5, "filler", false));
    for number in 0..count {
        let topic = format!("kept/{number:05}");
        publisher.session.publish(&retained(&topic, payload, QoS::AtLeastOnce)).unwrap();
        if publisher.session.pending() == MESSAGES || publisher.session.free_space() < payload.len() + 100 {
            publisher.run_until("outcomes", |seen| seen.published.len() > number);
        }
    }
    publisher.run_until("outcomes", |seen| seen.published.len() == count);
    let refused = publisher.seen.published.iter().find(|(_, outcome)| !matches!(outcome, Outcome::Acknowledged(_)));
    assert_eq!(refused, None);
}

/// A 3.1.1 client, a QoS 0 message and a will cannot be told that there is no room: they are delivered all the same.
pub(crate) fn what_cannot_be_retained_is_delivered(version: Version) {
    for flags in [["--retained", "30"], ["--retained-bytes", "6000"]] {
        let broker = Broker::launch(&format!("unretained-{}{}", version.level(), flags[0]), &flags);
        let mut watcher = connected(&broker, version, "watcher");
        watcher.subscribe(&[Subscription::new("#", QoS::ExactlyOnce)]);
        let mut publisher = connected(&broker, Version::V5, "filler");
        for number in 0..100 {
            let (topic, payload) = (format!("kept/{number}"), [b'.'; 100]);
            publisher.session.publish(&retained(&topic, &payload, QoS::AtMostOnce)).unwrap();
            publisher.flush();
        }
        watcher.run_until_messages(100);
        watcher.seen.messages.clear();

        let large = [b'x'; 150];
        let mut client = connected(&broker, version, "client");
        let mut expected = Vec::new();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.session.publish(&retained("new", &large, qos)).unwrap();
            client.flush();
            if qos == QoS::AtMostOnce || version != Version::V5 {
                expected.push(("new".to_owned(), qos));
            }
        }
        client.run_until("outcomes", |seen| seen.published.len() == 2);
        let outcome = match version {
            Version::V5 => Outcome::Rejected(ReasonCode::QuotaExceeded),
            _ => Outcome::Acknowledged(ReasonCode::Success),
        };
        assert!(client.seen.published.iter().all(|(_, told)| *told == outcome), "{:?}", client.seen.published);

        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let will = Will { topic: "will", payload: &large, qos, retain: true, ..Will::default() };
            let connect = Connect { will: Some(will), ..connect_as(version, "mortal", false) };
            Plain::connected(broker.address(), &connect).drop_socket();
            expected.push(("will".to_owned(), qos));
            watcher.run_until_messages(expected.len());
        }
        watcher.run_for(LATER);
        let came = watcher.seen.messages.iter();
        assert!(came.clone().all(|message| message.payload == large && !message.retain));
        assert_eq!(came.map(|message| (message.topic.clone(), message.qos)).collect::<Vec<_>>(), expected);
        broker
            .await_log("1 message dropped or not retained: \"filler\": there is no room to retain what it published (");
    }
}

/// What takes the place of another one and is too large for it: the old one is out of date.
pub(crate) fn no_old_message_is_retained(version: Version) {
    let broker = Broker::launch(&format!("outdated-{}", version.level()), &["--retained-bytes", "5000"]);
    let mut publisher = connected(&broker, version, "publisher");
    let large = [b'.'; 4_000];
    publisher.publish(&retained("a", b"old", QoS::AtMostOnce));
    publisher.publish(&retained("b", &[b'.'; 2_000], QoS::AtMostOnce));
    publisher.publish(&retained("a", &large, QoS::AtMostOnce));
    let mut client = connected(&broker, version, "client");
    client.subscribe(&[Subscription::new("a", QoS::AtMostOnce), Subscription::new("b", QoS::AtMostOnce)]);
    client.run_until_messages(1);
    client.run_for(LATER);
    let topics: Vec<_> = client.seen.messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, ["b"]);
}

/// More than its queue holds, in number or in bytes: they come as it reads, each once.
pub(crate) fn all_retained_messages_come(version: Version) {
    let broker = Broker::launch(&format!("all-retained-{}", version.level()), &["--queue", "50"]);
    fill(&broker, 1_000, &[b'.'; 10_000]);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut client: Large = Client::connected(broker.address(), &connect_as(version, "subscriber", false));
        client.subscribe(&[Subscription::new("kept/+", qos), Subscription::new("none", qos)]);
        client.run_until_messages(1_000);
        client.run_for(LATER);
        let topics: Vec<_> = client.seen.messages.iter().map(|message| message.topic.clone()).collect();
        let expected: Vec<_> = (0..1_000).map(|number| format!("kept/{number:05}")).collect();
        assert!(topics == expected, "{} came: {qos:?}", topics.len());
        assert!(client.seen.messages.iter().all(|message| message.retain && message.qos == qos.min(QoS::AtLeastOnce)));
    }
}

/// Those that are left come with the next connection, and no more after the subscription has ended.
pub(crate) fn retained_messages_wait(version: Version) {
    let broker = Broker::launch(&format!("retained-wait-{}", version.level()), &[]);
    fill(&broker, 1_000, b"x");
    let lasting = connect_as(version, "subscriber", true);
    let mut client: Large = Client::connected(broker.address(), &lasting);
    client.subscribe(&[Subscription::new("kept/#", QoS::AtLeastOnce)]);
    client.drop_socket();
    broker.await_log("\"subscriber\" is gone");
    let mut publisher = connected(&broker, version, "publisher");
    publisher.publish(&retained("kept/00999", b"newer", QoS::AtLeastOnce));
    client.connect(&lasting);
    client.run_until("the last one", |seen| {
        seen.messages.iter().any(|message| message.topic == "kept/00999" && message.payload == b"newer")
    });
    client.run_until("all of them", |seen| {
        let mut topics: Vec<_> = seen.messages.iter().map(|message| &message.topic).collect();
        topics.sort();
        topics.dedup();
        topics.len() == 1_000
    });

    let mut raw = Raw::connected(
        broker.address(),
        version,
        ConnectPacket { client_id: "quick", clean_start: true, ..ConnectPacket::default() },
    );
    let (subscribe, unsubscribe): (&[u8], &[u8]) = match version {
        Version::V5 => (b"\x82\x07\0\x01\0\0\x01#\x01", b"\xa2\x06\0\x02\0\0\x01#"),
        _ => (b"\x82\x06\0\x01\0\x01#\x01", b"\xa2\x05\0\x02\0\x01#"),
    };
    raw.bytes(subscribe);
    raw.bytes(unsubscribe);
    let mut before = 0;
    while raw.next().unwrap()[0] != 0xB0 {
        before += 1;
    }
    // What was under way already may still come, and is never acknowledged.
    assert!(before < 200, "{before}");
    raw.bytes(&[0xC0, 0]);
    while raw.next().unwrap()[0] != 0xD0 {}
}

/// Two thousand times everything: it costs no more than once, and others are served meanwhile.
pub(crate) fn a_subscribe_of_many_filters(version: Version) {
    let broker = Broker::launch(&format!("many-filters-{}", version.level()), &[]);
    fill(&broker, 9_900, b"x");
    let mut other = connected(&broker, version, "other");
    other.subscribe(&[Subscription::new("echo", QoS::AtMostOnce)]);
    let before = broker.memory();
    let mut raw = Raw::connected(
        broker.address(),
        version,
        ConnectPacket { client_id: "greedy", clean_start: true, ..ConnectPacket::default() },
    );
    let all = [Subscription::new("#", QoS::AtLeastOnce); 2_000];
    let (packet_id, properties) = (PacketId::MIN, Properties::EMPTY);
    raw.send(&Packet::Subscribe(SubscribePacket { packet_id, properties, subscriptions: List::of(&all) }));
    let suback = raw.next().unwrap();
    assert!(suback[0] == 0x90 && suback.len() > 2_000);
    // It does not even read what comes.
    other.publish(&Publish::new("echo", b"x"));
    other.run_until_messages(1);
    if let (Some(before), Some(after)) = (before, broker.memory()) {
        assert!(after < before + 4_096, "from {before} KiB to {after} KiB");
    }
}

/// With many filters that are not the same each has its own way, and none takes memory for what is still to come.
#[test]
fn many_filters_that_match_all() {
    let broker = Broker::launch("walks", &[]);
    fill(&broker, 2_000, b"x");
    let before = broker.memory();
    let mut client: Large = Client::connected(broker.address(), &connect_as(Version::V5, "client", false));
    let filters = ["#", "+/#", "+/+", "kept/#", "kept/+", "kept/+/#", "+/+/#"];
    let subscriptions = filters.map(|filter| Subscription::new(filter, QoS::AtLeastOnce));
    client.subscribe(&subscriptions);
    client.run_until_messages(filters.len() * 2_000);
    client.run_for(LATER);
    assert_eq!(client.seen.messages.len(), filters.len() * 2_000);
    if let (Some(before), Some(after)) = (before, broker.memory()) {
        assert!(after < before + 2_048, "from {before} KiB to {after} KiB");
    }
}

/// A will has the rules of a PUBLISH: what begins with `$` is the broker's own.
pub(crate) fn a_will_forges_nothing(version: Version) {
    let broker = Broker::launch(&format!("forged-{}", version.level()), &[]);
    let mut watcher = connected(&broker, version, "watcher");
    for topic in ["$SYS/broker/version", "$SYS/new", "$share/g/a", "$other", "honest"] {
        for (qos, retain) in [(QoS::AtMostOnce, true), (QoS::AtLeastOnce, true), (QoS::ExactlyOnce, false)] {
            watcher.subscribe(&[Subscription::new("#", qos), Subscription::new("$SYS/#", qos)]);
            let will = Will { topic, payload: b"forged", qos, retain, ..Will::default() };
            let connect = Connect { will: Some(will), ..connect_as(version, "mortal", false) };
            Plain::connected(broker.address(), &connect).drop_socket();
        }
    }
    watcher.subscribe(&[Subscription::new("$other/#", QoS::AtMostOnce), Subscription::new("$other", QoS::AtMostOnce)]);
    watcher.run_until("the honest ones", |seen| {
        seen.messages.iter().filter(|message| message.topic == "honest" && !message.retain).count() == 3
    });
    watcher.run_for(LATER);
    let forged = watcher.seen.messages.iter().find(|message| message.topic != "honest" && message.payload == b"forged");
    assert_eq!(forged, None);
}

/// The bytes of a queue have a flag, and what is lost there a line and a count.
pub(crate) fn the_bytes_of_a_queue(version: Version) {
    let flags = ["--queue-bytes", "10000"];
    let broker = Broker::launch(&format!("queue-bytes-{}", version.level()), &flags);
    let lasting = connect_as(version, "subscriber", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    client.subscribe(&[Subscription::new("a", QoS::ExactlyOnce)]);
    client.drop_socket();
    broker.await_log("\"subscriber\" is gone");
    let mut publisher = connected(&broker, version, "publisher");
    for number in 0..20_u8 {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(number % 2)];
        publisher.session.publish(&Publish { qos, ..Publish::new("a", &[b'0'; 1_000]) }).unwrap();
        publisher.run_until("its outcome", |seen| seen.published.len() == usize::from(number) + 1);
    }
    broker.await_log("1 message dropped or not retained: \"subscriber\": its queue is full (--queue, --queue-bytes)\n");
    client.connect(&lasting);
    client.run_for(2 * LATER);
    let came = client.seen.messages.len();
    assert!((6..10).contains(&came), "{came}");
    let refused = publisher.seen.published.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Rejected(_)));
    assert_eq!(refused.count(), if version == Version::V5 { 20 - came } else { 0 });
}

/// What is counted is told below `$SYS`.
#[test]
fn losses_are_counted() {
    let broker = Broker::launch("counts", &["--queue", "20", "--retained", "12"]);
    let lasting = connect_as(Version::V311, "subscriber", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    client.subscribe(&[Subscription::new("a/+", QoS::ExactlyOnce)]);
    client.drop_socket();
    broker.await_log("\"subscriber\" is gone");
    let mut publisher = connected(&broker, Version::V311, "publisher");
    for number in 0..23 {
        publisher.publish(&retained(&format!("a/{number}"), b"x", QoS::AtLeastOnce));
    }
    let mut reader = connected(&broker, Version::V311, "reader");
    reader.subscribe(&[Subscription::new("$SYS/#", QoS::AtMostOnce)]);
    for (topic, value) in [("dropped", "3"), ("unretained", "21"), ("queued", "20")] {
        let text = format!("$SYS/broker/messages/{topic} 0 0 {value}");
        reader.run_until("a report", |seen| seen.texts().contains(&text));
    }
}

/// A session may have few filters of many levels or many of few.
pub(crate) fn deep_filters(version: Version) {
    let broker = Broker::launch(&format!("deep-{}", version.level()), &[]);
    let mut client: Client<500_000, 32, 8, 8_192> =
        Client::connected(broker.address(), &connect_as(version, "greedy", false));
    let topic = ["a"; 200].join("/");
    // Each is another one, and all match.
    let filter = |number: usize| {
        let level = |place: usize| if place < 10 && number >> place & 1 == 1 { "+" } else { "a" };
        (0..200).map(level).collect::<Vec<_>>().join("/")
    };
    let filters: Vec<_> = (0..1_000).map(filter).collect();
    let mut granted = Vec::new();
    for filters in filters.chunks(100) {
        let subscriptions: Vec<_> = filters.iter().map(|filter| Subscription::new(filter, QoS::AtLeastOnce)).collect();
        granted.extend(client.subscribe(&subscriptions));
    }
    let code = if version == Version::V5 { ReasonCode::QuotaExceeded } else { ReasonCode::UnspecifiedError };
    assert!(granted[..50].iter().all(|&code| code == ReasonCode::GrantedQos1), "{granted:?}");
    assert!(granted[50..].iter().all(|&told| told == code), "{granted:?}");
    client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new(&topic, b"x") });
    client.run_until_messages(1);
    // What ends makes room.
    client.unsubscribe(&filters[0]);
    let one = |filter| [Subscription::new(filter, QoS::AtLeastOnce)];
    assert_eq!(client.subscribe(&one(&filters[999])), [ReasonCode::GrantedQos1]);
    assert_eq!(client.subscribe(&one("a")), [code]);
    // One that is there may be changed.
    assert_eq!(client.subscribe(&one(&filters[999])), [ReasonCode::GrantedQos1]);
}

/// Connections and sessions take memory as they use it.
pub(crate) fn idle_connections_are_small(version: Version) {
    let broker = Broker::launch(&format!("idle-{}", version.level()), &[]);
    let connections = |name: &str, count: u64| -> Vec<_> {
        let one = |number| {
            let name = format!("{name}-{number}");
            let connect = ConnectPacket { client_id: &name, clean_start: true, ..ConnectPacket::default() };
            let mut raw = Raw::connected(broker.address(), version, connect);
            raw.bytes(&[0xC0, 0]);
            assert_eq!(raw.next().unwrap(), [0xD0, 0]);
            raw
        };
        (0..count).map(one).collect()
    };
    let first = connections("first", 20);
    let before = broker.memory();
    let others = connections("other", 300);
    if let (Some(before), Some(after)) = (before, broker.memory()) {
        let each = after.saturating_sub(before) / 300;
        assert!(each < 48, "{each} KiB each");
    }
    // What was given back is used again.
    drop((first, others));
    let end = Clock::now() + Duration::from_secs(15);
    while broker.log().matches("is gone").count() < 320 {
        assert!(Clock::now() < end, "they are not gone");
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = broker.memory();
    let _again = connections("again", 300);
    if let (Some(before), Some(after)) = (before, broker.memory()) {
        assert!(after < before + 1_024, "from {before} KiB to {after} KiB");
    }
}
