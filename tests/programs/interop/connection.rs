//! How connections and sessions begin and end.

use core::time::Duration;
use std::env;

use mqtt_session::{
    CloseReason, Connect, Disconnect, Properties, Property, Publish, QoS, ReasonCode, Subscription, Version, Will,
};

use super::broker::Broker;
use super::driver::{Client, Plain, connect_as};
use super::on::On;
use super::proxy::{Faults, Proxy};

/// The will comes if the socket is closed without a word, and not after DISCONNECT.
pub(crate) fn will(on: On) {
    let Some(broker) = on.start("will") else { return };
    let version = on.version;
    let mut watcher = Plain::connected(broker.address(), &connect_as(version, "watcher", false));
    watcher.subscribe(&[Subscription::new("wills", QoS::ExactlyOnce)]);
    let with_will = |payload| {
        let will = Will { topic: "wills", payload, qos: QoS::ExactlyOnce, ..Will::default() };
        Connect { will: Some(will), ..connect_as(version, "tested", false) }
    };
    Plain::connected(broker.address(), &with_will(b"peaceful")).disconnect(&Disconnect::default());
    Plain::connected(broker.address(), &with_will(b"sudden")).drop_socket();
    watcher.run_until_messages(1);
    assert_eq!(watcher.seen.texts(), ["wills 2 0 sudden"]);
    if version == Version::V5 {
        let reason_code = ReasonCode::DisconnectWithWill;
        let disconnect = Disconnect { reason_code, ..Disconnect::default() };
        Plain::connected(broker.address(), &with_will(b"asked for")).disconnect(&disconnect);
        watcher.run_until_messages(2);
        assert_eq!(watcher.seen.texts()[1], "wills 2 0 asked for");
    }
}

/// A session, and messages in both directions, outlive the broker.
pub(crate) fn broker_restart(on: On) {
    let Some(mut broker) = on.start("restart") else { return };
    let version = on.version;
    let ours = connect_as(version, "tested", true);
    let theirs = connect_as(version, "other", true);
    let mut client = Plain::connected(broker.address(), &ours);
    let mut other = Plain::connected(broker.address(), &theirs);
    client.subscribe(&[Subscription::new("down", QoS::ExactlyOnce)]);
    other.subscribe(&[Subscription::new("up", QoS::ExactlyOnce)]);

    // Towards the client the broker queues, and then it is gone itself.
    client.drop_socket();
    for (qos, payload) in [(QoS::AtLeastOnce, b"1"), (QoS::ExactlyOnce, b"2")] {
        other.publish(&Publish { qos, ..Publish::new("down", payload) });
    }
    broker.stop();
    assert_eq!(other.run_until_closed(), CloseReason::ConnectionLost);
    for (qos, payload) in [(QoS::AtLeastOnce, b"3"), (QoS::ExactlyOnce, b"4")] {
        let publish = Publish { qos, ..Publish::new("up", payload) };
        assert!(client.session.publish(&publish).expect("it is queued").is_some());
        assert!(other.session.publish(&Publish { topic: "down", ..publish }).expect("it is queued").is_some());
    }
    broker.restart();
    client.connect(&ours);
    other.connect(&theirs);
    for client in [&client, &other] {
        assert!(client.seen.connected.last().is_some_and(|welcome| welcome.session_present));
    }
    client.run_until("outcomes", |seen| seen.published.len() == 2);
    other.run_until("outcomes", |seen| seen.published.len() == 4);
    other.run_until_messages(2);
    client.run_until_messages(4);
    client.run_for(Duration::from_millis(100));
    other.run_for(Duration::from_millis(100));
    assert_eq!(client.seen.texts(), ["down 1 0 1", "down 2 0 2", "down 1 0 3", "down 2 0 4"]);
    assert_eq!(other.seen.texts(), ["up 1 0 3", "up 2 0 4"]);
}

/// What the other side publishes while there is no connection comes with the next one, and what was published here leaves.
pub(crate) fn resume(on: On) {
    let Some(broker) = on.start("resume") else { return };
    let lasting = connect_as(on.version, "tested", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    let mut other = Plain::connected(broker.address(), &connect_as(on.version, "other", true));
    client.subscribe(&[Subscription::new("down", QoS::ExactlyOnce)]);
    other.subscribe(&[Subscription::new("up", QoS::ExactlyOnce)]);
    for round in 0..3 {
        client.drop_socket();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = format!("{round}");
            other.publish(&Publish { qos, ..Publish::new("down", payload.as_bytes()) });
            let publish = Publish { qos, ..Publish::new("up", payload.as_bytes()) };
            assert!(client.session.publish(&publish).expect("it is queued").is_some());
        }
        client.connect(&lasting);
        assert!(client.seen.connected.last().is_some_and(|welcome| welcome.session_present));
        client.run_until("outcomes", |seen| seen.published.len() == 2 * (round + 1));
        client.run_until_messages(2 * (round + 1));
        other.run_until_messages(2 * (round + 1));
        // The acknowledgements arrive, or messages of QoS 1 come again.
        client.run_for(Duration::from_millis(100));
    }
    client.run_for(Duration::from_millis(100));
    other.run_for(Duration::from_millis(100));
    // Only messages of one QoS are in order.
    for (seen, topic) in [(&client.seen, "down"), (&other.seen, "up")] {
        let mut texts = seen.texts();
        texts.sort_by_key(|text| text[topic.len() + 1..].starts_with('2'));
        let expected = ["1 0 0", "1 0 1", "1 0 2", "2 0 0", "2 0 1", "2 0 2"].map(|text| format!("{topic} {text}"));
        assert_eq!(texts, expected);
    }
}

/// The broker closes after one and a half times the keep alive; pings prevent it. With `MQTT_LONG=1` over a minute.
pub(crate) fn keep_alive(on: On) {
    let Some(broker) = on.start("keep-alive") else { return };
    let version = on.version;
    let idle = if env::var("MQTT_LONG").is_ok() { 61 } else { 7 };
    let proxy = Proxy::start(broker.address(), version, 1, Faults::NONE);
    let connect = Connect { keep_alive: 2, ..connect_as(version, "tested", false) };
    let mut client = Plain::connected(proxy.address(), &connect);
    client.run_for(Duration::from_secs(idle));
    assert_eq!(client.seen.closed, None);
    let count = |text: &str| proxy.wire(|wire| wire.trace.iter().filter(|line| line.contains(text)).count());
    let pings = count("-> Pingreq");
    let least = usize::try_from(idle / 2).expect("it is small");
    assert!((least..=2 * least).contains(&pings) && count("<- Pingresp") == pings, "{pings} pings in {idle} s");
    client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"still here") });
}

/// The broker asks for a shorter keep alive than the client does; mosquitto takes none below 10 seconds.
#[test]
fn server_keep_alive() {
    let version = Version::V5;
    let Some(broker) = Broker::start("server-keep-alive", "max_keepalive 10") else { return };
    let proxy = Proxy::start(broker.address(), version, 1, Faults::NONE);
    let mut client = Plain::connected(proxy.address(), &connect_as(version, "tested", false));
    client.run_for(Duration::from_millis(9_500));
    let pings = proxy.wire(|wire| wire.trace.iter().filter(|line| line.starts_with("-> Pingreq")).count());
    assert_eq!((pings, client.seen.closed), (1, None));
}

pub(crate) fn wrong_password(On { version, .. }: On) {
    let name = format!("password-{}", version.level());
    let Some(broker) = Broker::with_password(&name, "meter", "right") else { return };
    let connect = Connect { user_name: Some("meter"), ..connect_as(version, "tested", false) };
    let mut client = Plain::new(broker.address());
    let refusal = ReasonCode::NotAuthorized;
    for password in [None, Some(&b"wrong"[..])] {
        client.seen.refused.clear();
        client.open(&Connect { password, ..connect }).expect("CONNECT is legal");
        assert_eq!(client.run_until_closed(), CloseReason::ConnectionRefused(refusal));
        assert_eq!(client.seen.refused, [refusal]);
    }
    client.connect(&Connect { password: Some(b"right"), ..connect });
    client.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"hello") });
}

/// A second client with the same identifier. 5.0 is told why the connection ends, but not by mosquitto 2.0.11, which says
/// in 3.1.1 and 5.0 alike nothing.
pub(crate) fn take_over(on: On) {
    let Some(broker) = on.start("take-over") else { return };
    let version = on.version;
    let proxy = Proxy::start(broker.address(), version, 1, Faults::NONE);
    for lasting in [false, true] {
        let connect = connect_as(version, "tested", lasting);
        let mut first = Plain::connected(proxy.address(), &connect);
        // It knows nothing of the session, so it begins a new one.
        let mut second = Plain::connected(broker.address(), &Connect { clean_start: true, ..connect });
        let cause = first.run_until_closed();
        let told = proxy.wire(|wire| wire.trace.iter().any(|line| line.starts_with("<- Disconnect")));
        if told {
            assert_eq!(first.seen.disconnected, [ReasonCode::SessionTakenOver]);
            assert_eq!(cause, CloseReason::DisconnectedByPeer(ReasonCode::SessionTakenOver));
        } else {
            assert_eq!(cause, CloseReason::ConnectionLost);
        }
        second.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("a", b"hello") });
    }
}

/// A session that is not to last does not, and one that lasts ends with a clean start.
pub(crate) fn session_life(on: On) {
    let Some(broker) = on.start("session-life") else { return };
    let version = on.version;
    let (short, lasting) = (connect_as(version, "tested", false), connect_as(version, "tested", true));
    let clean = Connect { clean_start: true, ..lasting };
    let topic = [Subscription::new("a", QoS::AtLeastOnce)];
    let mut client = Plain::connected(broker.address(), &short);
    client.subscribe(&topic);
    client.disconnect(&Disconnect::default());

    // Nothing of it is left. The next one lasts, by a cut and by DISCONNECT.
    for (connect, present) in [(&lasting, false), (&lasting, true), (&lasting, true)] {
        client.connect(connect);
        assert_eq!(client.seen.connected.last().map(|welcome| welcome.session_present), Some(present));
        if !present {
            client.subscribe(&topic);
        }
        client.drop_socket();
        broker.publish(version, &["-q", "1", "-t", "a", "-m", "meanwhile"]);
    }
    client.connect(&lasting);
    client.run_until_messages(3);
    client.disconnect(&Disconnect::default());
    broker.publish(version, &["-q", "1", "-t", "a", "-m", "lost"]);
    client.connect(&clean);
    client.run_for(Duration::from_millis(100));
    assert_eq!(client.seen.connected.last().map(|welcome| welcome.session_present), Some(false));
    assert_eq!(client.seen.texts(), ["a 1 0 meanwhile"; 3]);

    if version == Version::V5 {
        // DISCONNECT may still shorten its life.
        let properties = [Property::SessionExpiryInterval(0)];
        client.disconnect(&Disconnect { properties: Properties::of(&properties), ..Disconnect::default() });
        client.connect(&lasting);
        assert_eq!(client.seen.connected.last().map(|welcome| welcome.session_present), Some(false));
    }
}

/// A message that has expired does not come; one that waited comes with what is left of its time.
pub(crate) fn message_expiry(on: On) {
    let version = on.version;
    let Some(broker) = on.start("message-expiry") else { return };
    let lasting = connect_as(version, "tested", true);
    let mut client = Plain::connected(broker.address(), &lasting);
    client.subscribe(&[Subscription::new("a", QoS::AtLeastOnce)]);
    client.drop_socket();
    let mut other = Plain::connected(broker.address(), &connect_as(version, "other", false));
    for (payload, seconds) in [("short", 1), ("long", 100)] {
        let properties = [Property::MessageExpiryInterval(seconds)];
        let properties = Properties::of(&properties);
        other.publish(&Publish { qos: QoS::AtLeastOnce, properties, ..Publish::new("a", payload.as_bytes()) });
    }
    std::thread::sleep(Duration::from_millis(2_100));
    client.connect(&lasting);
    client.run_until_messages(1);
    client.run_for(Duration::from_millis(100));
    assert_eq!(client.seen.texts(), ["a 1 0 long"]);
    let left = &client.seen.messages[0].properties;
    assert!(left.len() == 1 && left[0].starts_with("message_expiry_interval(9"), "{left:?}");
}

/// Fewer places than the broker would use: it keeps to what CONNECT says. No more than one message waits, because
/// mosquitto 2.0.11 sends all that wait with the first acknowledgement.
pub(crate) fn receive_maximum_below_the_brokers(on: On) {
    let version = on.version;
    let Some(broker) = on.start("receive-maximum") else { return };
    let proxy = Proxy::start(broker.address(), version, 1, Faults::NONE);
    let mut client: Client<4_096, 4, 3, 1_024> =
        Client::connected(proxy.address(), &connect_as(version, "tested", false));
    client.subscribe(&[Subscription::new("a", QoS::ExactlyOnce)]);
    let mut other = Plain::connected(broker.address(), &connect_as(version, "other", false));
    let count = |start: &str| proxy.wire(|wire| wire.trace.iter().filter(|line| line.starts_with(start)).count());
    let (sent, completed) = ("<- Publish", "-> Acknowledgement(Acknowledgement { kind: Pubcomp");
    for round in 0..8 {
        for number in 0..4 {
            let payload = format!("{:02}", 4 * round + number);
            let qos = if number == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            other.publish(&Publish { qos, ..Publish::new("a", payload.as_bytes()) });
        }
        other.run_while("three are sent", || count(sent) < 4 * round + 3);
        other.run_for(Duration::from_millis(30));
        assert_eq!(count(sent), 4 * round + 3);
        client.run_until_messages(4 * round + 4);
        client.run_while("all are completed", || count(completed) < 3 * round + 3);
        other.run_for(Duration::from_millis(10));
    }
    let payloads: Vec<String> = client.seen.texts().iter().map(|text| text[6..].to_owned()).collect();
    let expected: Vec<String> = (0..32).map(|number| format!("{number:02}")).collect();
    assert_eq!((payloads, client.seen.closed), (expected, None));
}

/// A window of the broker that is smaller than ours: its Receive Maximum is kept. In 3.1.1, where nobody can be told,
/// mosquitto drops what is beyond its window without a word, so there is no such test.
#[test]
fn a_small_window_of_the_broker() {
    let version = Version::V5;
    let Some(broker) = Broker::start("window-5", "max_inflight_messages 2") else { return };
    let mut other = Plain::connected(broker.address(), &connect_as(version, "other", false));
    other.subscribe(&[Subscription::new("a", QoS::ExactlyOnce)]);
    let mut client = Plain::connected(broker.address(), &connect_as(version, "tested", false));
    for number in 0..20 {
        let payload = format!("{number:02}");
        let publish = Publish { qos: QoS::ExactlyOnce, ..Publish::new("a", payload.as_bytes()) };
        client.session.publish(&publish).expect("there is room");
    }
    client.run_until("outcomes", |seen| seen.published.len() == 20);
    other.run_until_messages(20);
    let expected: Vec<String> = (0..20).map(|number| format!("a 2 0 {number:02}")).collect();
    assert_eq!((other.seen.texts(), client.seen.closed), (expected, None));
}
