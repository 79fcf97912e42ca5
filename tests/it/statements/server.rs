//! What a server's end does, as packet traces.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::{Accept, Event};
use mqtt_session::wire::{Auth, List, Properties, Suback, Unsuback};
use mqtt_session::{CloseReason, CommandError, Disconnect, Property, Publish, ReasonCode, Subscription, Version};

use super::packets::{
    Bytes, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, subscribe, to_hex, with_header,
};
use super::trace::{Hello, PASSING, Trace, both, text};

const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Of digits and letters, of 1 to 23 bytes.
#[test]
fn every_plain_client_identifier_is_taken() {
    for mut t in both() {
        for start in 0..ALPHABET.len() {
            let len = (start % 23 + 1).min(ALPHABET.len() - start);
            t.hello = Hello { client: &ALPHABET[start..start + len], ..PASSING };
            t.connects();
            t.quiet();
            t.cut();
        }
    }
}

/// All properties that a message may have, in an order of the client's, and those that may repeat twice.
const PROPERTIES: &str = "26 0001 62 0001 31 08 0003 722F74 26 0001 61 0001 32 03 0004 74797065 01 01 09 0002 FF00 \
                          26 0001 62 0001 31 02 00000009";

/// A PUBLISH with these properties to "a/b".
fn publish(first: u8, id: &[u8], properties: &str, payload: &[u8]) -> Vec<u8> {
    let properties = Bytes::bytes(properties, Version::V5);
    let len = [u8::try_from(properties.len()).unwrap()];
    with_header(first, &[&text("a/b"), id, &len, &properties, payload].concat())
}

/// What comes from one client leaves to another as it came, but for its identifier and DUP. A payload of nothing is one.
#[test]
fn a_message_passes_on_as_it_came() {
    for payload in [&b"payload"[..], &[]] {
        for (first, id, sent) in
            [(0x31, &[][..], 0x31), (0x3A, &[0, 7], 0x32), (0x3D, &[0, 7], 0x35), (0x30, &[], 0x30)]
        {
            let mut one = <Trace>::new(Version::V5);
            let mut other = <Trace>::new(Version::V5);
            one.connects();
            other.connects();
            one.receives(publish(first, id, PROPERTIES, payload));
            one.event(|_, event| {
                let Event::Message(message) = event else { panic!("{event:?}") };
                let forwarded = Publish {
                    topic: message.topic,
                    payload: message.payload,
                    qos: message.qos(),
                    retain: message.retain,
                    properties: message.properties,
                    topic_alias: None,
                    offline: None,
                };
                other.session.publish(&forwarded).unwrap();
            });
            let id: &[u8] = if id.is_empty() { &[] } else { &[0, 1] };
            other.sends(publish(sent, id, PROPERTIES, payload));
            other.quiet();
        }
    }
    for mut t in both() {
        t.connects();
        let retained = if t.is_v5() { "31 06 0003 612F62 00" } else { "31 05 0003 612F62" };
        t.receives(retained);
        let payload = t.event(|session, event| {
            let Event::Message(message) = event else { panic!("{event:?}") };
            let forwarded = Publish { retain: message.retain, ..Publish::new(message.topic, message.payload) };
            session.publish(&forwarded).unwrap();
            message.payload.to_vec()
        });
        assert_eq!(to_hex(&payload), "");
        t.sends(retained);
    }
}

/// With its properties in their order.
#[test]
fn a_will_is_told_as_it_came() {
    let will = Bytes::bytes(PROPERTIES, Version::V5);
    let len = u8::try_from(will.len()).unwrap();
    for (flags, qos, retain) in [(0x06, 0, false), (0x0E, 1, false), (0x36, 2, true)] {
        let body = [&b"\0\x04MQTT\x05"[..], &[flags, 0, 0, 0], &text("c"), &[len], &will, &text("w"), &text("bye")];
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(with_header(0x10, &body.concat()));
        t.event(|_, event| {
            let Event::Connecting { connect, .. } = event else { panic!("{event:?}") };
            let found = connect.will.unwrap();
            assert_eq!((found.topic, found.payload, found.qos as u8, found.retain), ("w", &b"bye"[..], qos, retain));
            let pairs: Vec<_> = found.properties.user_properties().collect();
            assert_eq!(pairs, [("b", "1"), ("a", "2"), ("b", "1")]);
            let mut passed = [0; 128];
            let publish = mqtt_session::wire::PublishPacket {
                delivery: mqtt_session::Delivery::AtMostOnce,
                retain: false,
                topic: "a/b",
                properties: found.properties,
                payload: b"",
            };
            let packet = mqtt_session::wire::Packet::Publish(publish);
            let len = packet.encode(Version::V5, mqtt_session::Role::Client, &mut passed).unwrap();
            assert_eq!(passed[..len], self::publish(0x30, &[], PROPERTIES, b""));
        });
    }
}

/// What explains a packet is refused where it makes it too large for the client; without it the packet leaves.
#[test]
fn diagnostics_that_do_not_fit_are_refused() {
    for diagnostic in [Property::ReasonString("ten bytes."), Property::UserProperty("ten", "bytes..")] {
        let said = [diagnostic];
        let properties = Properties::of(&said);
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = "11 FFFFFFFF 27 00000018";
        t.asks(false);
        assert!(matches!(
            t.session.accept(&Accept { properties: Properties::of(&said), ..t.accept }),
            Err(CommandError::TooLarge { .. })
        ));
        t.accepts();
        t.sends(t.connack(false));
        t.cut();

        t.hello.properties = "11 FFFFFFFF 27 0000000D";
        t.resumes();
        let reason_codes = List::of(&[ReasonCode::Success]);
        t.receives((subscribe(5, "f"), "A2 06 0006 00 0001 66"));
        t.asked(5, 1);
        let packet_id = packet_id(5);
        let full = t.session.suback(&Suback { packet_id, properties, reason_codes });
        assert!(matches!(full, Err(CommandError::TooLarge { .. })));
        t.session.suback(&Suback { packet_id, properties: Properties::EMPTY, reason_codes }).unwrap();
        t.asked(6, 1);
        let packet_id = super::packets::packet_id(6);
        let full = t.session.unsuback(&Unsuback { packet_id, properties, reason_codes });
        assert!(matches!(full, Err(CommandError::TooLarge { .. })));
        t.session.unsuback(&Unsuback { packet_id, properties: Properties::EMPTY, reason_codes }).unwrap();
        t.sends("90 04 0005 00 00 B0 04 0006 00 00");
        let farewell = Disconnect { reason_code: ReasonCode::ServerBusy, properties, ..Disconnect::default() };
        assert!(matches!(t.session.disconnect(&farewell), Err(CommandError::TooLarge { .. })));
        t.disconnect(ReasonCode::ServerBusy);
        t.sends("E0 01 89");
        t.closes(CloseReason::Disconnected);
        t.asks(true);
        assert!(matches!(
            t.session.reject(ReasonCode::ServerBusy, Properties::of(&said)),
            Err(CommandError::TooLarge { .. })
        ));
        t.rejects(ReasonCode::ServerBusy);
        t.sends("20 03 00 89 00");

        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = "15 0001 6D 27 0000000A";
        t.asks(false);
        let long = [Property::AuthenticationMethod("m"), diagnostic];
        let auth = |properties| Auth { reason_code: ReasonCode::ContinueAuthentication, properties };
        assert!(matches!(t.session.authenticate(&auth(List::of(&long))), Err(CommandError::TooLarge { .. })));
        t.session.authenticate(&auth(List::of(&long[..1]))).unwrap();
        t.sends("F0 06 18 04 15 0001 6D");
    }
}

/// Five bytes at most, so that each fits where any of them does.
#[test]
fn acknowledgements_say_no_more_than_their_code() {
    let mut t = <Trace>::new(Version::V5).manual();
    t.connects();
    t.receives((qos1(7, "a"), qos2(8, "b")));
    let (first, second) = (t.hands_out(qos1(7, "a")), t.hands_out(qos2(8, "b")));
    t.session.acknowledge(first, ReasonCode::NotAuthorized).unwrap();
    t.session.acknowledge(second, ReasonCode::QuotaExceeded).unwrap();
    t.sends("40 03 0007 87 50 03 0008 97");
    t.receives((pubrel(9), pubrec(9)));
    t.stray(mqtt_session::AckType::Pubrec, 9);
    t.sends("70 03 0009 92 62 03 0009 92");
    t.quiet();
}

/// The quota is used up, and a message waits. Everything else leaves.
#[test]
fn an_exhausted_quota_holds_nothing_else_back() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "21 0001";
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.publish(AtLeastOnce, "waits");
    t.sends(qos2(1, "a"));
    t.quiet();
    t.publish(AtMostOnce, "b");
    t.sends(qos0("b"));
    t.receives(("C0 00", (qos1(7, "in"), qos2(8, "in"), pubrel(8)), (subscribe(5, "f"), "A2 06 0006 00 0001 66")));
    t.message(qos1(7, "in"));
    t.message(qos2(8, "in"));
    t.asked(5, 1);
    t.asked(6, 1);
    t.sends(("D0 00", (puback(7), pubrec(8), pubcomp(8)), "90 04 0005 00 80 B0 04 0006 00 80"));
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.quiet();
    t.disconnect(ReasonCode::ServerBusy);
    t.sends("E0 01 89");
}

/// Also where no message of that QoS is taken.
#[test]
fn any_qos_may_be_subscribed_to() {
    for (properties, said) in
        [(&[Property::MaximumQos(AtMostOnce)], "24 00"), (&[Property::MaximumQos(AtLeastOnce)], "24 01")]
    {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut t = <Trace>::new(Version::V5);
            t.accept.properties = Properties::of(properties);
            t.said = said;
            t.connects();
            t.receives(vec![0x82, 7, 0, 1, 0, 0, 1, b'f', qos as u8]);
            t.event(|_, event| {
                let Event::Subscribing { subscriptions, .. } = event else { panic!("{event:?}") };
                assert_eq!(subscriptions.iter().collect::<Vec<_>>(), [Subscription::new("f", qos)]);
            });
        }
    }
}

/// What was begun is completed, whatever the client has unsubscribed from.
#[test]
fn a_delivery_goes_on_behind_unsuback() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.receives(if t.is_v5() { "A2 06 0006 00 0001 74" } else { "A2 05 0006 0001 74" });
        t.asked(6, 1);
        let reason_codes = List::of(&[ReasonCode::Success]);
        let properties = Properties::EMPTY;
        t.session.unsuback(&Unsuback { packet_id: packet_id(6), properties, reason_codes }).unwrap();
        t.sends(if t.is_v5() { "B0 04 0006 00 00" } else { "B0 02 0006" });
        t.cut();
        t.resumes();
        t.sends((qos1(1, "a").dup(), qos2(2, "b").dup()));
        t.receives((puback(1), pubrec(2)));
        t.acknowledged(1);
        t.sends(pubrel(2));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
    }
}

/// What waits here until the client comes, or takes more, leaves with what is left of its time. [MQTT-3.3.2-6]
#[test]
fn a_message_lives_no_longer_for_having_waited() {
    let expiring = |qos, seconds| {
        let first = [0x30, 0x32, 0x34][qos as usize];
        let id: &[u8] = if qos == AtMostOnce { &[] } else { &[0, 1] };
        let seconds = format!("26 0001 6B 0000 02 {seconds:08X} 03 0001 78");
        (publish(first, id, &seconds, b"p"), seconds)
    };
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        for (waited, left) in [(0, 10), (1, 10), (999, 10), (1_000, 9), (1_001, 9), (4_000, 6), (9_999, 1)] {
            let mut t = <Trace>::new(Version::V5);
            t.connects();
            t.cut();
            let properties =
                [Property::UserProperty("k", ""), Property::MessageExpiryInterval(10), Property::ContentType("x")];
            let properties = Properties::of(&properties);
            t.session.publish(&Publish { qos, properties, ..Publish::new("a/b", b"p") }).unwrap();
            t.closes(CloseReason::ConnectionLost);
            t.passes(waited);
            t.resumes();
            let (mut packet, _) = expiring(qos, left);
            t.sends(packet.clone());
            t.quiet();
            // What is sent again has waited for longer, and is sent again however late.
            for (passes, left) in [(1_000, left - 1), (20_000, 0)] {
                t.passes(passes);
                t.cut();
                t.resumes();
                if qos != AtMostOnce {
                    (packet, _) = expiring(qos, left);
                    packet[0] |= 0x08;
                    t.sends(packet.clone());
                }
            }
            t.quiet();
        }
    }
}

/// For a place in the client's window, too, and with an alias.
#[test]
fn a_message_that_waits_for_quota_ages() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "21 0001 22 0001";
    t.accept.topic_aliases = mqtt_session::TopicAliases { maximum: 1, topic: 8 };
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    let properties = [Property::MessageExpiryInterval(300)];
    let topic_alias = core::num::NonZeroU16::new(1);
    let properties = Properties::of(&properties);
    let waiting = Publish { qos: AtLeastOnce, properties, topic_alias, ..Publish::new("a/b", b"p") };
    t.session.publish(&waiting).unwrap();
    t.quiet();
    t.passes(256_000);
    t.receives(puback(1));
    t.acknowledged(1);
    t.sends("32 11 0003 612F62 0002 08 23 0001 02 0000002C 70");
    t.quiet();
}

/// Seconds are counted for 17 years; what is to live longer is told so for ever.
#[test]
fn a_message_that_lives_for_more_than_17_years_does_not_age() {
    for (seconds, left) in [((1 << 29) - 1, (1 << 29) - 3), (1 << 29, 1 << 29), (u32::MAX, u32::MAX)] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.cut();
        let properties = [Property::MessageExpiryInterval(seconds)];
        let properties = Properties::of(&properties);
        t.session.publish(&Publish { qos: AtLeastOnce, properties, ..Publish::new("a/b", b"p") }).unwrap();
        t.closes(CloseReason::ConnectionLost);
        t.passes(2_000);
        t.resumes();
        t.sends(publish(0x32, &[0, 1], &format!("02 {left:08X}"), b"p"));
        t.quiet();
    }
}

/// A will that cannot be published must not be accepted. The client is told which limit it broke.
#[test]
fn a_will_must_be_one_that_the_server_can_publish() {
    let limits = [
        (Property::MaximumQos(AtMostOnce), 0, true),
        (Property::MaximumQos(AtLeastOnce), 1, true),
        (Property::RetainAvailable(false), 2, false),
    ];
    for (limit, most, retains) in limits {
        for (qos, retain) in [(0, false), (1, false), (2, false), (0, true), (1, true), (2, true)] {
            let flags = 0x06 | qos << 3 | u8::from(retain) << 5;
            let body = [&b"\0\x04MQTT\x05"[..], &[flags, 0, 0, 0], &text("c"), &[0], &text("w"), &text("bye")];
            let mut t = <Trace>::new(Version::V5);
            t.opens();
            t.receives(with_header(0x10, &body.concat()));
            t.event(|_, event| assert!(matches!(event, Event::Connecting { .. }), "{event:?}"));
            let before = t.session.clone();
            let accepted = t.session.accept(&Accept { properties: Properties::of(&[limit]), ..Accept::default() });
            let (expected, code) = if qos > most {
                (Err(CommandError::QosUnsupported), ReasonCode::QosNotSupported)
            } else if retain && !retains {
                (Err(CommandError::RetainUnsupported), ReasonCode::RetainNotSupported)
            } else {
                (Ok(()), ReasonCode::Success)
            };
            assert_eq!(accepted, expected, "{limit:?} {qos} {retain}");
            if expected.is_err() {
                assert!(t.session == before);
                t.rejects(code);
                t.sends(vec![0x20, 3, 0, code as u8, 0]);
                t.closes(CloseReason::Rejected(code));
            }
        }
    }
}

/// Request Response Information of 0, or none.
#[test]
fn response_information_is_for_those_who_ask() {
    for (asked, allowed) in [("", false), ("19 00", false), ("19 01", true)] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = asked;
        t.accept.properties = Properties::of(&[Property::ResponseInformation("i")]);
        t.said = "1A 0001 69";
        t.asks(false);
        if allowed {
            t.accepts();
        } else {
            assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer), "{asked}");
            t.accept.properties = Properties::EMPTY;
            t.said = "";
            t.accepts();
        }
        t.sends(t.connack(false));
    }
}
