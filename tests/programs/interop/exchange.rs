//! Messages both ways, with mosquitto's own clients on the other side.

use core::num::NonZeroU16;
use core::time::Duration;
use std::time::Instant as Clock;

use mqtt_session::{
    Properties, Property, Publish, QoS, ReasonCode, RetainHandling, Subscription, TopicAliases, Version,
};

use super::broker::Broker;
use super::driver::{Client, Plain, connect_as};
use super::on::On;
use super::proxy::{Faults, Proxy};

const EACH_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Room for messages of 64 KiB.
type Large = Client<80_000, 4, 4, 80_000>;

pub(crate) fn every_qos_out(on: On) {
    let Some(broker) = on.start("every-qos-out") else { return };
    let version = on.version;
    let listener = broker.subscribe(version, "listener", &["-q", "2", "-t", "out/#", "-C", "3", "-F", "%t %q %r %p"]);
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    for qos in EACH_QOS {
        client.publish(&Publish { qos, ..Publish::new("out/a", b"hello") });
    }
    assert_eq!(listener.lines(), ["out/a 0 0 hello", "out/a 1 0 hello", "out/a 2 0 hello"]);
    assert_eq!(client.seen.published.len(), 2);
}

pub(crate) fn every_qos_in(on: On) {
    let Some(broker) = on.start("every-qos-in") else { return };
    let version = on.version;
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    let granted = client.subscribe(&[
        Subscription::new("in/0", QoS::AtMostOnce),
        Subscription::new("in/1", QoS::AtLeastOnce),
        Subscription::new("in/2", QoS::ExactlyOnce),
    ]);
    assert_eq!(granted, [ReasonCode::Success, ReasonCode::GrantedQos1, ReasonCode::GrantedQos2]);
    for (published, topic) in [("0", "in/2"), ("1", "in/2"), ("2", "in/2"), ("2", "in/1"), ("2", "in/0")] {
        broker.publish(version, &["-q", published, "-t", topic, "-m", "hello"]);
    }
    client.run_until_messages(5);
    let expected = ["in/2 0 0 hello", "in/2 1 0 hello", "in/2 2 0 hello", "in/1 1 0 hello", "in/0 0 0 hello"];
    assert_eq!(client.seen.texts(), expected);
}

pub(crate) fn retained(on: On) {
    let Some(broker) = on.start("retained") else { return };
    let version = on.version;
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    client.publish(&Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new("kept/ours", b"ours") });
    let listener = broker.subscribe(version, "listener", &["-t", "kept/ours", "-C", "1", "-F", "%t %r %p"]);
    assert_eq!(listener.lines(), ["kept/ours 1 ours"]);

    broker.publish(version, &["-q", "1", "-r", "-t", "kept/theirs", "-m", "theirs"]);
    client.subscribe(&[Subscription::new("kept/theirs", QoS::AtMostOnce)]);
    client.run_until_messages(1);
    // To a subscription that is there already it comes as any message does.
    broker.publish(version, &["-q", "1", "-r", "-t", "kept/theirs", "-m", "new"]);
    client.run_until_messages(2);
    assert_eq!(client.seen.texts(), ["kept/theirs 0 1 theirs", "kept/theirs 0 0 new"]);

    // An empty one takes it away.
    client.publish(&Publish { qos: QoS::AtLeastOnce, retain: true, ..Publish::new("kept/theirs", b"") });
    client.run_until_messages(3);
    client.subscribe(&[Subscription::new("kept/#", QoS::AtMostOnce)]);
    client.run_until_messages(4);
    assert_eq!(client.seen.texts()[2..], ["kept/theirs 0 0 ", "kept/ours 0 1 ours"]);
}

pub(crate) fn wildcards(on: On) {
    let Some(broker) = on.start("wildcards") else { return };
    let version = on.version;
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    client.subscribe(&[Subscription::new("a/+/c", QoS::AtMostOnce), Subscription::new("b/#", QoS::AtMostOnce)]);
    for topic in ["a/1/c", "a/1/2/c", "a//c", "a/c", "b", "b/", "b/1/2", "c", "a/é/c"] {
        broker.publish(version, &["-t", topic, "-m", "."]);
    }
    broker.publish(version, &["-t", "b/end", "-m", "."]);
    let is_last = |topic: &str| topic == "b/end";
    client.run_until("the last one", |seen| seen.messages.iter().any(|message| is_last(&message.topic)));
    let topics: Vec<&str> = client.seen.messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, ["a/1/c", "a//c", "b", "b/", "b/1/2", "a/é/c", "b/end"]);

    client.unsubscribe("b/#");
    broker.publish(version, &["-t", "b/1", "-m", "."]);
    broker.publish(version, &["-t", "a/last/c", "-m", "."]);
    client.run_until_messages(8);
    assert_eq!(client.seen.messages[7].topic, "a/last/c");
}

/// Two sessions share a subscription: each message goes to one of them.
pub(crate) fn shared_subscriptions(on: On) {
    let Some(broker) = on.start("shared") else { return };
    let version = on.version;
    let mut clients = ["one", "two"].map(|name| Plain::connected(broker.address(), &connect_as(version, name, false)));
    for client in &mut clients {
        client.subscribe(&[Subscription::new("$share/group/work/#", QoS::ExactlyOnce)]);
    }
    let mut publisher = Plain::connected(broker.address(), &connect_as(version, "publisher", false));
    for number in 0..20 {
        let payload = format!("{number:02}");
        publisher.publish(&Publish { qos: QoS::ExactlyOnce, ..Publish::new("work/1", payload.as_bytes()) });
    }
    let arrived = |clients: &[Plain]| clients.iter().map(|client| client.seen.messages.len()).sum::<usize>();
    let end = Clock::now() + Duration::from_secs(10);
    while arrived(&clients) < 20 && Clock::now() < end {
        clients.iter_mut().for_each(|client| client.run_for(Duration::from_millis(10)));
    }
    clients.iter_mut().for_each(|client| client.run_for(Duration::from_millis(50)));
    assert!(clients.iter().all(|client| !client.seen.messages.is_empty()), "one of them got no share");
    let mut got: Vec<String> = clients.iter().flat_map(|client| client.seen.texts()).collect();
    got.sort();
    let expected: Vec<String> = (0..20).map(|number| format!("work/1 2 0 {number:02}")).collect();
    assert_eq!(got, expected);
}

pub(crate) fn empty_payload(on: On) {
    let Some(broker) = on.start("empty-payload") else { return };
    let version = on.version;
    let listener = broker.subscribe(version, "listener", &["-q", "2", "-t", "a", "-C", "3", "-F", "%q %l"]);
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    client.subscribe(&[Subscription::new("b", QoS::ExactlyOnce)]);
    for qos in EACH_QOS {
        client.publish(&Publish { qos, ..Publish::new("a", b"") });
        broker.publish(version, &["-q", &(qos as u8).to_string(), "-t", "b", "-n"]);
    }
    client.run_until_messages(3);
    assert_eq!(client.seen.texts(), ["b 0 0 ", "b 1 0 ", "b 2 0 "]);
    assert_eq!(listener.lines(), ["0 0", "1 0", "2 0"]);
}

pub(crate) fn large_payload(on: On) {
    let Some(broker) = on.start("large-payload") else { return };
    let version = on.version;
    let payload: Vec<u8> = (0..=u8::MAX).cycle().map(|byte| byte.rotate_left(3) ^ 0x55).take(65_536).collect();
    let file = broker.file("payload");
    std::fs::write(&file, &payload).expect("the folder is ours");
    let listener = broker.subscribe(version, "listener", &["-q", "2", "-t", "a", "-C", "3", "-N"]);
    let mut client = Large::connected(broker.address(), &connect_as(version, "tested", false));
    client.subscribe(&[Subscription::new("b", QoS::ExactlyOnce)]);
    for qos in EACH_QOS {
        client.publish(&Publish { qos, ..Publish::new("a", &payload) });
        let file = file.to_str().expect("its name is text");
        broker.publish(version, &["-q", &(qos as u8).to_string(), "-t", "b", "-f", file]);
    }
    client.run_until_messages(3);
    assert!(client.seen.messages.iter().all(|message| message.payload == payload));
    assert!(listener.output() == payload.repeat(3), "the broker got something else");
}

/// What cannot be in 3.1.1: the properties of a PUBLISH, each way.
pub(crate) fn properties(on: On) {
    let version = on.version;
    let Some(broker) = on.start("properties") else { return };
    let format = "%C|%D|%R|%F|%E|%P|%p";
    let listener = broker.subscribe(version, "listener", &["-q", "1", "-t", "out", "-C", "1", "-F", format]);
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    let properties = [
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(90),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers"),
        Property::CorrelationData(b"question 7"),
        Property::UserProperty("a", "1"),
        Property::UserProperty("a", "2"),
    ];
    let properties = Properties::of(&properties);
    client.publish(&Publish { qos: QoS::AtLeastOnce, properties, ..Publish::new("out", b"hello") });
    assert_eq!(listener.lines(), ["text/plain|question 7|answers|1|90|a:1 a:2|hello"]);

    let two = Property::SubscriptionIdentifier(268_435_455);
    client.subscribe_with(&[Subscription::new("in", QoS::AtLeastOnce)], &[two]);
    let arguments = "-q 1 -t in -m hello -D publish payload-format-indicator 1 -D publish content-type text/plain \
                     -D publish response-topic answers -D publish correlation-data question \
                     -D publish message-expiry-interval 90 -D publish user-property a 1 -D publish user-property a 2";
    broker.publish(version, &arguments.split_whitespace().collect::<Vec<_>>());
    client.run_until_messages(1);
    let mut got = client.seen.messages[0].properties.clone();
    got.sort();
    let mut expected = [
        "payload_format_indicator(true)".to_owned(),
        "message_expiry_interval(90)".to_owned(),
        "content_type(\"text/plain\")".to_owned(),
        "response_topic(\"answers\")".to_owned(),
        format!("correlation_data({:?})", b"question"),
        "user_property(\"a\", \"1\")".to_owned(),
        "user_property(\"a\", \"2\")".to_owned(),
        "subscription_identifier(268435455)".to_owned(),
    ];
    expected.sort();
    assert_eq!(got, expected);
}

/// Mosquitto allows ten aliases. The topic is sent once.
#[test]
fn topic_aliases_out() {
    let version = Version::V5;
    let Some(broker) = Broker::start("topic-aliases-5", "") else { return };
    let listener = broker.subscribe(version, "listener", &["-q", "2", "-t", "#", "-C", "9", "-F", "%t %q %p"]);
    let proxy = Proxy::start(broker.address(), version, 1, Faults::NONE);
    let topic_aliases = TopicAliases { maximum: 4, topic: 20 };
    let mut client = Plain::new(proxy.address());
    client.connect(&mqtt_session::Connect { topic_aliases, ..connect_as(version, "tested", false) });
    assert_eq!(client.seen.connected[0].topic_alias_maximum, 10);
    for (alias, topic) in [(1, "long/topic/one"), (2, "long/topic/two"), (1, "another")] {
        for qos in EACH_QOS {
            let topic_alias = NonZeroU16::new(alias);
            client.publish(&Publish { qos, topic_alias, ..Publish::new(topic, b"x") });
        }
    }
    // One of QoS 2 is printed with its PUBREL, when another one may have been printed.
    let mut printed = listener.lines();
    printed.sort();
    let expected =
        ["another", "long/topic/one", "long/topic/two"].map(|topic| [0, 1, 2].map(|qos| format!("{topic} {qos} x")));
    assert_eq!(printed, expected.concat());
    let sent = |text: &str| proxy.wire(|wire| wire.trace.iter().filter(|line| line.contains(text)).count());
    assert_eq!((sent("topic: \"long"), sent("topic: \"another"), sent("topic: \"\"")), (2, 1, 6));
    assert_eq!(proxy.wire(|wire| wire.malformed.clone()), [""; 0]);
}

/// A broker that may use aliases towards us; mosquitto does not.
pub(crate) fn topic_aliases_in(on: On) {
    let version = on.version;
    let Some(broker) = on.start("topic-aliases-in") else { return };
    let mut client = Plain::new(broker.address());
    client.allow_topic_aliases(TopicAliases { maximum: 10, topic: 30 });
    client.connect(&connect_as(version, "tested", false));
    client.subscribe(&[Subscription::new("in/#", QoS::ExactlyOnce)]);
    for _ in 0..3 {
        broker.publish(version, &["-q", "2", "-t", "in/a/long/topic", "-m", "x"]);
    }
    client.run_until_messages(3);
    assert!(client.seen.texts().iter().all(|text| text == "in/a/long/topic 2 0 x"));
}

pub(crate) fn subscription_options(on: On) {
    let version = on.version;
    let Some(broker) = on.start("subscription-options") else { return };
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    let plain = Subscription::new("quiet", QoS::AtMostOnce);
    client.subscribe(&[Subscription { no_local: true, ..plain }]);
    client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("quiet", b"ours") });
    broker.publish(version, &["-t", "quiet", "-m", "theirs"]);
    client.run_until_messages(1);
    assert_eq!(client.seen.texts(), ["quiet 0 0 theirs"]);

    broker.publish(version, &["-q", "1", "-r", "-t", "kept", "-m", "old"]);
    let plain = Subscription::new("kept", QoS::AtMostOnce);
    let handled = |retain_handling| Subscription { retain_handling, retain_as_published: true, ..plain };
    client.subscribe(&[handled(RetainHandling::DoNotSend)]);
    client.unsubscribe("kept");
    client.subscribe(&[handled(RetainHandling::SendIfNew)]);
    client.subscribe(&[handled(RetainHandling::SendIfNew)]);
    client.run_until_messages(2);
    client.subscribe(&[handled(RetainHandling::Send)]);
    client.run_until_messages(3);
    broker.publish(version, &["-q", "1", "-r", "-t", "kept", "-m", "new"]);
    client.run_until_messages(4);
    assert_eq!(client.seen.texts()[1..], ["kept 0 1 old", "kept 0 1 old", "kept 0 1 new"]);
}
