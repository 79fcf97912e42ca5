//! Whom messages reach, and how.

use core::time::Duration;

use mqtt_session::{Outcome, Properties, Property, Publish, QoS, ReasonCode, RetainHandling, Subscription, Version};

use super::driver::{Plain, connect_as};
use super::process::Broker;

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
