//! What `Debug` shows, character by character: of bytes how many there are, of secrets nothing, of sessions what they are
//! doing.
#![cfg(all(feature = "v311", feature = "v5", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

use core::fmt::Debug;
use core::num::NonZeroU16;

use mqtt_session::strategies::{Damage, Packets};
use mqtt_session::wire::{self, Packet, Properties};
use mqtt_session::{
    CloseReason, Connect, Delivery, Event, Inbox, Instant, List, Message, Property, Publish, QoS, ReasonCode, Role,
    Session, Step, Subscription, Version, Will, server,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

fn assert_shown(value: &impl Debug, text: &str) {
    assert_eq!(format!("{value:?}"), text);
}

const SECRETS: &[Property<'_>] = &[Property::AuthenticationMethod("SCRAM"), Property::AuthenticationData(b"proof")];

/// One property of each kind of value, and its name.
#[test]
fn of_properties() {
    for (property, text) in [
        (Property::PayloadFormatIndicator(true), "payload_format_indicator(true)"),
        (Property::MessageExpiryInterval(7), "message_expiry_interval(7)"),
        (Property::ContentType("text/plain"), r#"content_type("text/plain")"#),
        (Property::CorrelationData(b"abc"), "correlation_data([3 bytes])"),
        (Property::AuthenticationData(b"proof"), "authentication_data([hidden])"),
        (Property::ServerKeepAlive(60), "server_keep_alive(60)"),
        (Property::MaximumQos(QoS::AtLeastOnce), "maximum_qos(AtLeastOnce)"),
        (Property::UserProperty("name", "value"), r#"user_property("name", "value")"#),
    ] {
        assert_shown(&property, text);
    }
}

#[test]
fn of_lists() {
    let codes = List::of(&[ReasonCode::Success, ReasonCode::Banned]);
    assert_shown(&codes, "[Success, Banned]");
    let mut left = codes.iter();
    left.next();
    assert_shown(&left, "[Banned]");
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [ReasonCode::Success, ReasonCode::Banned]);
    assert_shown(&Properties::default(), "[]");
    assert_eq!(List::from(&[ReasonCode::Banned][..]), List::of(&[ReasonCode::Banned]));
}

/// An event is a line that a person can read, however much the peer has to say.
#[test]
fn of_long_lists() {
    let codes = [ReasonCode::Success; 8];
    assert_shown(&List::of(&codes), &format!("[{}]", ["Success"; 8].join(", ")));
    let codes = [ReasonCode::Success; 20];
    assert_shown(&List::of(&codes), &format!("[{}, 12 more]", ["Success"; 8].join(", ")));
    let long = "x".repeat(60_000);
    let fits = &long[..120 - r#"reason_string("")"#.len()];
    assert_shown(&Properties::of(&[Property::ReasonString(fits)]), &format!("[reason_string({fits:?})]"));
    let said = vec![Property::UserProperty("name", &long); 1_000];
    let cut = format!("{}..", &format!("user_property(\"name\", {long:?}")[..120]);
    let properties = Properties::of(&said);
    assert_shown(&properties, &format!("[{}, 992 more]", vec![cut; 8].join(", ")));
    let event = Event::Subscribed { packet_id: NonZeroU16::MIN, reason_codes: List::of(&codes), properties };
    assert!(format!("{event:?}").len() < 1_200, "{event:?}");
}

#[test]
fn of_commands() {
    let will = Will { topic: "will", payload: b"last words", ..Will::default() };
    let (user_name, password) = (Some("someone"), Some(&b"hunter2"[..]));
    let connect = Connect {
        will: Some(will),
        user_name,
        password,
        properties: Properties::of(SECRETS),
        ..Connect::new(Version::V5, "meter-7")
    };
    assert_shown(
        &connect,
        "Connect { version: V5, client_id: \"meter-7\", clean_start: true, keep_alive: 60, \
        will: Some(Will { topic: \"will\", payload: [10 bytes], qos: AtMostOnce, retain: false, properties: [] }), \
        user_name: Some(\"someone\"), password: Some([hidden]), \
        properties: [authentication_method(\"SCRAM\"), authentication_data([hidden])], .. }",
    );
    assert_shown(
        &Connect::new(Version::V311, ""),
        "Connect { version: V311, client_id: \"\", clean_start: true, keep_alive: 60, will: None, user_name: None, \
        password: None, properties: [], .. }",
    );
    let properties = Properties::of(&[Property::CorrelationData(b"abc")]);
    let topic_alias = NonZeroU16::new(3);
    let publish = Publish { qos: QoS::ExactlyOnce, properties, topic_alias, ..Publish::new("t", b"hello") };
    assert_shown(
        &publish,
        "Publish { topic: \"t\", payload: 5, qos: ExactlyOnce, retain: false, \
        properties: [correlation_data([3 bytes])], topic_alias: Some(3), offline: None }",
    );
}

#[test]
fn of_packets() {
    let connect = wire::ConnectPacket {
        client_id: "meter-7",
        password: Some(b"hunter2"),
        properties: Properties::of(SECRETS),
        ..wire::ConnectPacket::default()
    };
    assert_shown(
        &Packet::Connect(connect),
        "Connect(ConnectPacket { clean_start: false, keep_alive: 0, client_id: \"meter-7\", will: None, user_name: None, \
        password: Some([hidden]), properties: [authentication_method(\"SCRAM\"), authentication_data([hidden])] })",
    );
    let publish = wire::PublishPacket {
        delivery: Delivery::AtMostOnce,
        retain: true,
        topic: "t",
        properties: Properties::EMPTY,
        payload: b"hello",
    };
    assert_shown(
        &publish,
        "PublishPacket { delivery: AtMostOnce, retain: true, topic: \"t\", properties: [], payload: [5 bytes] }",
    );
    assert_shown(
        &List::of(&[Subscription::new("a/#", QoS::AtLeastOnce)]),
        "[Subscription { filter: \"a/#\", qos: AtLeastOnce, no_local: false, retain_as_published: false, \
        retain_handling: Send }]",
    );
}

#[test]
fn of_steps() {
    type Client<'s> = Step<'s, Event<'s>>;
    assert_shown(&Client::Transmit(b"hunter2"), "Transmit([7 bytes])");
    assert_shown(&Client::Wait(None), "Wait(None)");
    assert_shown(&Client::Wait(Some(Instant::from_millis(5))), "Wait(Some(Instant(5)))");
    assert_shown(&Client::Close(CloseReason::PingTimeout), "Close(PingTimeout)");
    assert_shown(&Client::Event(Event::Writable), "Event(Writable)");
    let message = Message {
        topic: "t",
        payload: b"hello",
        remaining: 0,
        delivery: Delivery::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        handle: None,
    };
    assert_shown(
        &message,
        "Message { topic: \"t\", payload: 5, remaining: 0, delivery: AtMostOnce, retain: false, properties: [], \
        handle: None }",
    );
}

/// The password is in the session as long as CONNECT is not written.
#[test]
fn of_sessions() {
    let mut session = Session::<256, 4, 4>::default();
    assert_shown(
        &session,
        "Session { phase: Offline, close_reason: NotConnected, in_flight: 0, held: 0, quota: 0, .. }",
    );
    let mut inbox: Inbox<[u8; 64]> = Inbox::default();
    assert_shown(&inbox, "Inbox { unread: 0, capacity: 64 }");
    let connect = Connect { password: Some(b"hunter2"), ..Connect::new(Version::V5, "meter-7") };
    session.connect(&mut inbox, &connect).unwrap();
    assert_shown(
        &session,
        "Session { phase: Connecting, close_reason: NotConnected, in_flight: 0, held: 0, quota: 65535, .. }",
    );
    let Step::Transmit(bytes) = session.poll(&mut inbox, Instant::default()) else { unreachable!("CONNECT is due") };
    let len = bytes.len();
    session.transmitted(len);
    let received = [0x20, 6, 0, 0, 3, 0x21, 0, 9, 0x34, 6, 0, 1, b't', 0, 7, 0];
    inbox.space()[..received.len()].copy_from_slice(&received);
    inbox.filled(received.len());
    assert_shown(&inbox, "Inbox { unread: 16, capacity: 64 }");
    for _ in 0..2 {
        assert!(matches!(session.poll(&mut inbox, Instant::default()), Step::Event(_)));
    }
    session.publish(&Publish { qos: QoS::AtLeastOnce, ..Publish::new("t", b"hello") }).unwrap();
    assert_shown(
        &session,
        "Session { phase: Online, close_reason: NotConnected, in_flight: 1, held: 1, quota: 9, .. }",
    );
    session.connection_lost();
    while !matches!(session.poll(&mut inbox, Instant::default()), Step::Close(_)) {}
    assert_shown(
        &session,
        "Session { phase: Offline, close_reason: ConnectionLost, in_flight: 1, held: 0, quota: 0, .. }",
    );
}

#[test]
fn of_the_other_end() {
    let mut session = server::Session::<256, 4, 4>::default();
    assert_eq!(session, server::Session::new());
    assert_shown(
        &session,
        "Session { phase: Offline, close_reason: NotConnected, in_flight: 0, held: 0, quota: 0, .. }",
    );
    session.open(core::time::Duration::from_secs(10));
    assert_shown(
        &session,
        "Session { phase: Connecting, close_reason: NotConnected, in_flight: 0, held: 0, quota: 0, .. }",
    );
}

/// What a property test prints of a failure.
#[test]
fn of_strategies() {
    let packets = Packets { properties: false, ..Packets::new(Version::V311, Role::Client) };
    let pings = packets.of_type(wire::PacketType::Pingresp).unwrap();
    let encoded = pings.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    assert_shown(&encoded, "Encoded { version: V311, to: Client, packet: Pingresp, bytes: [d0, 00] }");
    let damaged = packets.damaged().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let (origin, damage, bytes) = (damaged.origin(), damaged.damage(), damaged.bytes());
    let decoded = Packet::decode(Version::V311, Role::Client, bytes);
    assert_shown(
        &damaged,
        &format!("Damaged {{ origin: {origin:?}, damage: {damage:?}, bytes: {bytes:02x?}, decoded: {decoded:?} }}"),
    );
    assert_shown(&Damage::Pad(2), "Pad(2)");
}
