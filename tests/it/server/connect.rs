//! How a connection begins, or does not.

use mqtt_session::server::{Accept, Event, Session};
use mqtt_session::wire::ConnectPacket;
use mqtt_session::{
    CloseReason, CommandError, Inbox, Instant, Properties, Property, ReasonCode, SizeLimit, Step, TopicAliases,
    Version, Violation,
};

use super::packets::{Bytes, connack, puback, pubrec, qos0, qos1, qos2, subscribe, to_hex, with_header};
use super::trace::{Hello, LASTING, PASSING, Trace, both, text};

/// Every field of CONNECT arrives as it was written, in the version that it names.
#[test]
fn the_version_and_all_fields_are_those_of_connect() {
    let v311 = "10 1B 0004 4D515454 04 EE 003C 0001 63 0001 77 0002 6279 0001 75 0002 7077";
    let v5 = "10 25 0004 4D515454 05 EE 003C 03 21 0007 0001 63 05 18 00000009 0001 77 0002 6279 0001 75 0002 7077";
    for (bytes, version) in [(v311, Version::V311), (v5, Version::V5)] {
        let mut t = <Trace>::new(version);
        t.opens();
        t.receives(bytes);
        t.event(|_, event| {
            let Event::Connecting { version: found, connect, session_present: false } = event else {
                panic!("{event:?}")
            };
            let ConnectPacket { clean_start, keep_alive, client_id, will, user_name, password, properties } = connect;
            let will = will.unwrap();
            assert_eq!((found, clean_start, keep_alive, client_id), (version, true, 60, "c"));
            assert_eq!((user_name, password), (Some("u"), Some(&b"pw"[..])));
            assert_eq!((will.topic, will.payload, will.qos as u8, will.retain), ("w", &b"by"[..], 1, true));
            let delay = will.properties.will_delay_interval();
            let expected = if version == Version::V5 { (Some(7), Some(9)) } else { (None, None) };
            assert_eq!((properties.receive_maximum(), delay), expected);
        });
    }
}

#[test]
fn connack_announces_what_there_is_room_for() {
    let mut t = <Trace<1024, 8, 8, 256, 256>>::new(Version::V311);
    t.opens();
    t.receives(t.hello);
    t.connecting(false);
    t.accepts();
    t.sends("20 02 00 00");
    assert!(t.session.is_online());
    t.quiet();

    let mut t = Trace::<1024, 8, 3, 256, 1000>::new(Version::V5);
    t.asks(false);
    t.accepts();
    t.sends("20 0B 00 00 08  21 0003  27 000003E8");
    t.quiet();

    // 2 aliases of 10 bytes take 24 bytes of the inbox.
    let mut t = Trace::<1024, 8, 3, 256, 1000>::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 2, topic: 10 });
    t.asks(false);
    t.accepts();
    t.sends("20 0E 00 00 0B  21 0003  27 000003D0  22 0002");
    t.quiet();

    // In 3.1.1 nothing of it is said.
    let mut t = Trace::<1024, 8, 3, 256, 1000>::new(Version::V311);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 2, topic: 10 });
    t.asks(false);
    t.accepts();
    t.sends("20 02 00 00");
}

/// No place at all is still a Receive Maximum of 1: 0 would be an error.
#[test]
fn a_session_without_places_announces_one() {
    let mut t = Trace::<64, 0, 0, 64, 64>::new(Version::V5);
    t.connects();
    t.quiet();
}

#[test]
fn connack_says_what_the_application_says() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "19 01";
    t.accept.properties = Properties::of(&[
        Property::SessionExpiryInterval(9),
        Property::MaximumQos(mqtt_session::QoS::AtLeastOnce),
        Property::RetainAvailable(false),
        Property::AssignedClientIdentifier("x"),
        Property::ReasonString("r"),
        Property::UserProperty("a", "b"),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(true),
        Property::ServerKeepAlive(77),
        Property::ResponseInformation("i"),
        Property::ServerReference("s"),
    ]);
    t.said = "11 00000009  24 01  25 00  12 0001 78  1F 0001 72  26 0001 61 0001 62  28 01  29 00  2A 01  13 004D  \
              1A 0001 69  1C 0001 73";
    t.connects();
    t.quiet();
}

#[test]
fn what_connack_cannot_say_is_refused_and_may_be_said_better() {
    for mut t in both() {
        t.asks(false);
        let before = t.session.clone();
        let mut refused = vec![
            (Property::ReceiveMaximum(1), CommandError::Reserved),
            (Property::MaximumPacketSize(1), CommandError::Reserved),
            (Property::TopicAliasMaximum(1), CommandError::Reserved),
        ];
        if t.is_v5() {
            refused.push((Property::WillDelayInterval(1), CommandError::Forbidden(Violation::PropertyNotAllowed)));
            refused.push((Property::AuthenticationMethod("m"), CommandError::NotAuthenticating));
        } else {
            refused.push((Property::ServerKeepAlive(1), CommandError::NotInVersion));
        }
        for (property, refused) in refused {
            let properties = [property];
            let accept = Accept { properties: Properties::of(&properties), ..Accept::default() };
            assert_eq!(t.session.accept(&accept), Err(refused), "{property:?}");
            assert!(t.session == before, "{property:?}");
        }
        if t.is_v5() {
            let long = "x".repeat(250);
            let properties = [Property::ReasonString(&long)];
            let accept = Accept { properties: Properties::of(&properties), ..Accept::default() };
            assert!(matches!(t.session.accept(&accept), Err(CommandError::TooLarge { .. })));
        }
        let aliases = TopicAliases { maximum: 8, topic: 30 };
        assert!(matches!(
            t.session.accept(&Accept { topic_aliases: aliases, ..Accept::default() }),
            Err(CommandError::TooLarge { .. })
        ));
        assert!(t.session == before);
        t.accepts();
        t.sends(t.connack(false));
        t.quiet();
    }
}

/// To the byte, and beside it there is room for the longest answer and a farewell.
#[test]
fn connack_fits_beside_the_aliases_or_is_refused() {
    let mut t = Trace::<64, 1, 1, 64, 256>::new(Version::V5);
    t.asks(false);
    for len in 0..60 {
        let text = "x".repeat(len);
        let properties = [Property::ReasonString(&text)];
        let done = t.session.clone().accept(&Accept { properties: Properties::of(&properties), ..Accept::default() });
        let needed = u32::try_from(13 + 3 + len).unwrap();
        let refused = CommandError::TooLarge { limit: SizeLimit::Control, needed, available: 64 };
        assert_eq!(done, if needed <= 64 { Ok(()) } else { Err(refused) }, "{len}");
    }
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 1, 1, 64, 256>::new(version);
        t.asks(false);
        for topic in 0..100 {
            let topic_aliases = TopicAliases { maximum: 1, topic };
            let done = t.session.clone().accept(&Accept { topic_aliases, ..Accept::default() });
            let room = 64_usize.saturating_sub(topic_aliases.len());
            let available = u32::try_from(room).unwrap();
            let refused = CommandError::TooLarge { limit: SizeLimit::Control, needed: 5 + 9, available };
            assert_eq!(done, if available >= 5 + 9 { Ok(()) } else { Err(refused) }, "{version:?} {topic}");
        }
    }
}

/// The client takes no packet as large as CONNACK: neither accepted nor rejected aloud.
#[test]
fn a_connack_larger_than_the_client_takes_is_not_sent() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "27 0000000C";
    t.asks(false);
    assert!(matches!(t.session.accept(&t.accept), Err(CommandError::TooLarge { .. })));
    t.rejects(ReasonCode::NotAuthorized);
    t.sends("20 03 00 87 00");
    t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
    t.hello.properties = "27 0000000D";
    t.connects();
    t.hello.properties = "27 00000004";
    t.asks(false);
    assert!(matches!(t.session.accept(&t.accept), Err(CommandError::TooLarge { .. })));
    assert!(matches!(
        t.session.reject(ReasonCode::NotAuthorized, Properties::EMPTY),
        Err(CommandError::TooLarge { .. })
    ));
    t.closes(CloseReason::Rejected(ReasonCode::ServerUnavailable));
}

#[test]
fn a_client_without_a_name_is_given_one() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.client = "";
    t.asks(false);
    assert_eq!(t.session.accept(&t.accept), Err(CommandError::ClientIdentifierMissing));
    t.accept.properties = Properties::of(&[Property::AssignedClientIdentifier("new")]);
    t.said = "12 0003 6E6577";
    t.accepts();
    t.sends(t.connack(false));
    t.receives(qos2(1, "a"));
    t.message(qos2(1, "a"));
    t.sends(pubrec(1));
    t.cut();
    // It comes back under that name, and its session is there.
    t.hello.client = "new";
    t.accept.properties = Properties::EMPTY;
    t.said = "";
    t.announced = 7;
    t.resumes();
}

/// A session without a name is never resumed. 3.1.1 has no way to tell a name.
#[test]
fn a_client_without_a_name_has_no_session() {
    let mut t = <Trace>::new(Version::V311);
    t.hello = Hello { client: "", ..PASSING };
    t.connects();
    t.cut();
    t.connects();

    let mut t = <Trace>::new(Version::V5);
    t.hello.client = "";
    t.accept.properties = Properties::of(&[Property::AssignedClientIdentifier("")]);
    t.said = "12 0000";
    t.connects();
    t.cut();
    t.connects();
}

/// An empty client identifier with Clean Session 0. [MQTT-3.1.3-8] in 3.1.1
#[test]
fn in_3_1_1_a_session_that_is_kept_needs_a_name() {
    let mut t = <Trace>::new(Version::V311);
    t.hello.client = "";
    t.opens();
    t.receives(t.hello);
    t.sends("20 02 00 02");
    t.closes(CloseReason::Violation(Violation::ClientIdentifierEmpty));
    t.hello.client = "c";
    t.connects();
}

#[test]
fn every_code_of_3_1_1_rejects() {
    let codes = [
        (ReasonCode::UnsupportedProtocolVersion, 1),
        (ReasonCode::ClientIdentifierNotValid, 2),
        (ReasonCode::ServerUnavailable, 3),
        (ReasonCode::BadUserNameOrPassword, 4),
        (ReasonCode::NotAuthorized, 5),
    ];
    for (code, byte) in codes {
        let mut t = <Trace>::new(Version::V311);
        t.asks(false);
        t.rejects(code);
        t.sends(vec![0x20, 2, 0, byte]);
        t.closes(CloseReason::Rejected(code));
    }
    for code in (0..=u8::MAX).filter_map(ReasonCode::of_byte) {
        let mut t = <Trace>::new(Version::V311);
        t.asks(false);
        if !codes.iter().any(|&(known, _)| known == code) {
            let before = t.session.clone();
            let expected =
                if code == ReasonCode::Success { success_is_no_rejection() } else { CommandError::NotInVersion };
            assert_eq!(t.session.reject(code, Properties::EMPTY), Err(expected), "{code:?}");
            assert!(t.session == before, "{code:?}");
        }
    }
}

fn success_is_no_rejection() -> CommandError {
    CommandError::Forbidden(Violation::ConnackCodeReserved)
}

#[test]
fn every_code_of_5_0_rejects() {
    let codes = [
        0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B,
        0x9C, 0x9D, 0x9F,
    ];
    for byte in 0..=u8::MAX {
        let Some(code) = ReasonCode::of_byte(byte) else { continue };
        let mut t = <Trace>::new(Version::V5);
        t.asks(false);
        let before = t.session.clone();
        let rejected = t.session.reject(code, Properties::of(&[Property::ReasonString("r")]));
        if codes.contains(&byte) {
            assert_eq!(rejected, Ok(()), "{code:?}");
            t.sends(vec![0x20, 7, 0, byte, 4, 0x1F, 0, 1, b'r']);
            t.closes(CloseReason::Rejected(code));
        } else {
            assert_eq!(rejected, Err(success_is_no_rejection()), "{code:?}");
            assert!(t.session == before, "{code:?}");
        }
    }
}

#[test]
fn a_rejected_client_may_try_again() {
    for mut t in both() {
        t.asks(false);
        t.rejects(ReasonCode::NotAuthorized);
        assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer));
        assert_eq!(t.session.reject(ReasonCode::NotAuthorized, Properties::EMPTY), Err(CommandError::NothingToAnswer));
        // What comes behind it is not read.
        t.receives(qos0("a"));
        t.sends(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
        t.connects();
        t.quiet();
    }
}

/// The application does nothing.
#[test]
fn a_neglected_connect_is_rejected() {
    for mut t in both() {
        t.asks(false);
        t.sends(if t.is_v5() { "20 03 00 88 00" } else { "20 02 00 03" });
        t.closes(CloseReason::Rejected(ReasonCode::ServerUnavailable));
        assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer));
    }
}

/// [MQTT-3.1.0-1]
#[test]
fn any_other_first_packet_closes_without_a_word() {
    let packets = [
        "20 02 00 00",
        "30 03 0001 61",
        "40 02 0001",
        "50 02 0001",
        "62 02 0001",
        "70 02 0001",
        "82 06 0001 0001 61 00",
        "90 03 0001 00",
        "A2 05 0001 0001 61",
        "B0 02 0001",
        "C0 00",
        "D0 00",
        "E0 00",
        "F0 00",
    ];
    for packet in packets {
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(packet);
        t.closes(CloseReason::ConnectMissing);
        t.connects();
        // Also in a session that knows a version already.
        t.cut();
        t.opens();
        t.receives(packet);
        t.closes(CloseReason::ConnectMissing);
    }
    for (packet, violation) in [
        ("00 00", Violation::PacketTypeReserved),
        ("11 0D 0004", Violation::PacketFlagsReserved),
        ("10 FF FF FF FF", Violation::IntegerTooLong),
        ("10 FF FF FF 7F", Violation::PacketTooLarge),
    ] {
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(packet);
        t.closes(CloseReason::Violation(violation));
    }
}

/// 5.0 is told what is wrong, 3.1.1 is not.
#[test]
fn a_malformed_connect_is_answered_in_5_0_alone() {
    let wrong = [
        ("10 0D 0004 4D515454 04 03 0000 0001 63", Violation::ConnectFlagReserved, ""),
        ("10 0D 0004 4D515454 04 08 0000 0001 63", Violation::WillQosWithoutWill, ""),
        ("10 0D 0004 4D515454 04 02 0000 0002 63", Violation::FieldTruncated, ""),
        ("10 0E 0004 4D515454 04 02 0000 0001 63 00", Violation::TrailingBytes, ""),
        ("10 10 0004 4D515454 04 42 0000 0001 63 0001 61", Violation::PasswordWithoutUserName, ""),
        ("10 07 0004 4D515454 04", Violation::FieldTruncated, ""),
        ("10 0E 0004 4D515454 05 03 0000 00 0001 63", Violation::ConnectFlagReserved, "81"),
        ("10 0E 0004 4D515454 05 08 0000 00 0001 63", Violation::WillQosWithoutWill, "82"),
        ("10 11 0004 4D515454 05 02 0000 03 21 0000 0001 63", Violation::ReceiveMaximumZero, "82"),
        ("10 11 0004 4D515454 05 02 0000 03 23 0001 0001 63", Violation::PropertyNotAllowed, "81"),
        ("10 0E 0004 4D515454 05 02 0000 00 0001 00", Violation::StringContainsNull, "81"),
        ("10 11 0004 4D515454 05 02 0000 03 16 0000 0001 63", Violation::AuthenticationDataAlone, "82"),
    ];
    for (bytes, violation, code) in wrong {
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(bytes);
        if !code.is_empty() {
            t.sends(format!("20 03 00 {code} 00").as_str());
        }
        t.closes(CloseReason::Violation(violation));
        t.connects();
    }
}

/// [MQTT-3.1.2-2]: by the nearest version that there is.
#[test]
fn an_unknown_protocol_is_told_so() {
    let name = Violation::ProtocolNameUnknown;
    let level = Violation::ProtocolLevelUnsupported;
    for (bytes, violation, answer) in [
        ("10 0C 0004 4D515454 00 02 0000 0000", level, "20 02 00 01"),
        ("10 0C 0004 4D515454 03 02 0000 0000", level, "20 02 00 01"),
        ("10 0E 0004 4D515454 06 02 0000 00 0001 63", level, "20 03 00 84 00"),
        ("10 0E 0004 4D515454 FF 02 0000 00 0001 63", level, "20 03 00 84 00"),
        // Bit 7 says that this is a bridge, as those of mosquitto do; the rest is the version. (T9)
        ("10 0D 0004 4D515454 84 02 0000 0001 63", level, "20 02 00 01"),
        ("10 0D 0004 4D515454 83 02 0000 0001 63", level, "20 02 00 01"),
        ("10 0D 0004 4D515454 80 02 0000 0001 63", level, "20 02 00 01"),
        ("10 0E 0004 4D515454 85 02 0000 00 0001 63", level, "20 03 00 84 00"),
        ("10 0F 0006 4D5149736470 83 02 0000 0001 63", name, "20 02 00 01"),
        ("10 0F 0006 4D5149736470 03 02 0000 0001 63", name, "20 02 00 01"),
        ("10 0D 0004 4D515458 04 02 0000 0001 63", name, "20 02 00 01"),
        ("10 0E 0004 6D717474 05 02 0000 00 0001 63", name, "20 02 00 01"),
    ] {
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(bytes);
        t.sends(answer);
        t.closes(CloseReason::Violation(violation));
        t.connects();
    }
}

#[test]
fn connect_may_come_byte_by_byte() {
    for mut t in both() {
        t.opens();
        for byte in t.hello.bytes(t.version) {
            t.quiet();
            t.receives(vec![byte]);
        }
        t.connecting(false);
        t.accepts();
        t.sends(t.connack(false));
        t.quiet();
    }
}

/// A client need not wait for CONNACK; what it sends waits for the answer.
#[test]
fn what_comes_with_connect_waits_for_its_answer() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, (qos1(9, "a"), subscribe(10, "f"), qos0("b"))));
        t.connecting(false);
        t.accepts();
        t.message(qos1(9, "a"));
        t.asked(10, 1);
        // Nobody answers.
        t.message(qos0("b"));
        let suback = if t.is_v5() { "90 04 000A 00 80" } else { "90 03 000A 80" };
        t.sends((t.connack(false), puback(9), suback));
        t.quiet();

        t.opens();
        t.receives((t.hello, (qos1(9, "a"), subscribe(10, "f"), qos0("b"))));
        t.connecting(true);
        t.rejects(ReasonCode::NotAuthorized);
        t.sends(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
    }
}

/// [MQTT-3.14.0-1]
#[test]
fn no_disconnect_comes_before_connack() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, (qos1(9, "a"), "60 02 0009")));
        t.connecting(false);
        t.accepts();
        t.message(qos1(9, "a"));
        if t.is_v5() {
            t.sends((t.connack(false), "E0 01 81"));
        }
        t.closes(CloseReason::Violation(Violation::PacketFlagsReserved));
    }
    // One that waits longer to be sent than the client may be silent.
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5);
    t.hello = Hello { keep_alive: 2, ..t.hello };
    t.opens();
    t.receives(t.hello);
    t.connecting(false);
    t.accepts();
    t.passes(3_000);
    t.sends((t.connack(false), "E0 01 8D"));
    t.closes(CloseReason::KeepAliveTimeout);
}

/// [MQTT-3.1.0-2]
#[test]
fn a_second_connect_is_an_error() {
    for mut t in both() {
        t.connects();
        t.receives(t.hello);
        t.fails(CloseReason::ConnectRepeated, 0x82);
        t.resumes();
        // Also one of the other version.
        let other = if t.is_v5() { Version::V311 } else { Version::V5 };
        t.receives(t.hello.bytes(other));
        t.fails(CloseReason::ConnectRepeated, 0x82);
    }
}

#[test]
fn connect_must_come_in_time() {
    for mut t in both() {
        t.opens();
        assert_eq!(t.quiet(), Some(11_000));
        t.passes(9_999);
        t.receives("10");
        assert_eq!(t.quiet(), Some(11_000));
        t.passes(1);
        t.closes(CloseReason::ConnectTimeout);
        t.now += 1_000_000;
        t.connects();
        t.passes(1_000_000_000);
        t.quiet();
    }
}

/// A response_timeout of nothing takes what is here, and waits for nothing.
#[test]
fn without_patience_connect_must_be_there() {
    for mut t in both() {
        t.session.open(core::time::Duration::from_secs(0));
        t.receives(t.hello);
        t.connecting(false);
        t.accepts();
        t.sends(t.connack(false));
        t.quiet();
        t.cut();
        t.inbox.clear();
        t.session.open(core::time::Duration::from_secs(0));
        t.closes(CloseReason::ConnectTimeout);
    }
}

/// Nothing is asked that could not be answered.
#[test]
fn a_link_lost_before_connect_was_seen_tells_nothing() {
    for mut t in both() {
        for len in 0..=t.hello.bytes(t.version).len() {
            t.opens();
            t.receives(t.hello.bytes(t.version)[..len].to_vec());
            t.loses_link();
            t.closes(CloseReason::ConnectionLost);
        }
    }
}

#[test]
fn a_link_lost_before_the_answer_tells_nothing_more() {
    for mut t in both() {
        t.hello.will = Some("");
        t.opens();
        t.receives((t.hello, (qos0("a"), qos1(1, "b"))));
        t.connecting(false);
        t.loses_link();
        assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer));
        assert_eq!(t.session.reject(ReasonCode::NotAuthorized, Properties::EMPTY), Err(CommandError::NothingToAnswer));
        t.closes(CloseReason::ConnectionLost);
        t.hello.will = None;
        t.connects();
    }
}

/// Accepted, and lost before CONNACK left: what had come is told, and the session that nobody was told of is over.
#[test]
fn a_link_lost_after_the_answer_tells_what_had_come() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, (qos0("a"), qos1(1, "b"))));
        t.connecting(false);
        t.accepts();
        t.loses_link();
        t.message(qos0("a"));
        t.message(qos1(1, "b"));
        t.closes(CloseReason::ConnectionLost);
        t.connects();
        t.quiet();
    }
}

/// Many packets without an event, more than there was room to answer.
#[test]
fn a_lost_link_hides_no_message_behind_pings() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 2, 30, 256>::new(version);
        t.connects();
        t.receives(([0xC0, 0].repeat(100), qos0("a")));
        t.loses_link();
        t.message(qos0("a"));
        t.closes(CloseReason::ConnectionLost);
    }
}

/// What `peek_connect` says of these bytes, and what a poll does with them.
fn peek(bytes: &[u8]) -> (Result<Option<(Version, String)>, Violation>, String) {
    let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    inbox.space()[..bytes.len()].copy_from_slice(bytes);
    inbox.filled(bytes.len());
    let peeked = inbox.peek_connect().map(|found| found.map(|(version, connect)| (version, format!("{connect:?}"))));
    assert_eq!(inbox.unread(), bytes, "it takes nothing");
    let mut session: Session<64, 1, 1> = Session::new();
    session.open(core::time::Duration::from_secs(1));
    let polled = match session.poll(&mut inbox, Instant::from_millis(0)) {
        Step::Event(Event::Connecting { version, connect, .. }) => format!("{:?}", (version, format!("{connect:?}"))),
        Step::Event(event) => panic!("{event:?}"),
        Step::Wait(_) => "wait".to_owned(),
        // CONNACK with a code.
        Step::Transmit(bytes) => to_hex(bytes),
        Step::Close(cause) => format!("{cause:?}"),
    };
    (peeked, polled)
}

#[test]
fn peek_connect_agrees_with_poll() {
    for version in [Version::V311, Version::V5] {
        for hello in [LASTING, PASSING, Hello { will: Some("18 00000001"), keep_alive: 7, ..LASTING }] {
            let bytes = hello.bytes(version);
            for len in 0..bytes.len() {
                assert_eq!(peek(&bytes[..len]), (Ok(None), "wait".to_owned()), "{}", to_hex(&bytes[..len]));
            }
            let (peeked, polled) = peek(&bytes);
            let (found, connect) = peeked.unwrap().unwrap();
            assert_eq!(found, version);
            assert!(connect.contains("client_id: \"c\""), "{connect}");
            assert_eq!(polled, format!("{:?}", (found, connect)));
            // What comes behind it does not matter.
            let longer = [&bytes[..], &[0x30, 0xFF]].concat();
            assert_eq!(peek(&longer), peek(&bytes));
        }
    }
    for (bytes, violation, polled) in [
        ("C0 00", Violation::PacketNotForThisEnd, "ConnectMissing"),
        ("82", Violation::PacketNotForThisEnd, "ConnectMissing"),
        ("00 00", Violation::PacketTypeReserved, "Violation(PacketTypeReserved)"),
        ("11 00", Violation::PacketFlagsReserved, "Violation(PacketFlagsReserved)"),
        ("10 3F", Violation::PacketTooLarge, "Violation(PacketTooLarge)"),
        ("10 FF FF FF 7F", Violation::PacketTooLarge, "Violation(PacketTooLarge)"),
        ("10 3F 0004 4D515454 04", Violation::PacketTooLarge, "Violation(PacketTooLarge)"),
        ("10 3F 0004 4D515454 05", Violation::PacketTooLarge, "2003009500"),
        ("10 0C 0004 4D515454 03 02 0000 0000", Violation::ProtocolLevelUnsupported, "20020001"),
        ("10 0C 0004 4D515454 04 00 0000 0000", Violation::ClientIdentifierEmpty, "20020002"),
        ("10 0D 0004 4D515454 04 03 0000 0001 63", Violation::ConnectFlagReserved, "Violation(ConnectFlagReserved)"),
        ("10 0E 0004 4D515454 05 03 0000 00 0001 63", Violation::ConnectFlagReserved, "2003008100"),
        ("10 00", Violation::FieldTruncated, "Violation(FieldTruncated)"),
    ] {
        let (peeked, found) = peek(&Bytes::bytes(bytes, Version::V5));
        assert_eq!(peeked, Err(violation), "{bytes}");
        assert_eq!(found.to_lowercase(), polled.to_lowercase(), "{bytes}");
    }
}

/// A length that is longer than needed is an error in 5.0 alone.
#[test]
fn a_padded_length_is_accepted_in_3_1_1() {
    let mut t = <Trace>::new(Version::V311);
    t.hello = PASSING;
    t.opens();
    for byte in Bytes::bytes("10 8D 00 0004 4D515454 04 02 0000 0001 63", Version::V311) {
        t.quiet();
        t.receives(vec![byte]);
    }
    t.connecting(false);
    t.accepts();
    t.sends(connack(false, ""));

    // Refused with the byte that tells the version, whatever is still to come.
    for (front, behind) in [("10 8E 00 0004 4D515454", "05"), ("", "10 8E 00 0004 4D515454 05 02 0000 00 0001 63")] {
        let mut t = <Trace>::new(Version::V5);
        t.opens();
        t.receives(front);
        t.quiet();
        t.receives(behind);
        t.sends("20 03 00 81 00");
        t.closes(CloseReason::Violation(Violation::IntegerPadded));
    }
}

#[test]
fn nothing_is_done_before_a_transport_is_there() {
    for mut t in both() {
        t.receives(t.hello);
        t.closes(CloseReason::NotConnected);
        assert_eq!(t.session.accept(&t.accept), Err(CommandError::NothingToAnswer));
        assert_eq!(t.session.deadline(), None);
        assert_eq!(t.session.expires_at(), None);
    }
}

/// A packet as large as the inbox is taken, a larger CONNECT is not; 5.0 is told once its version is known.
#[test]
fn a_connect_larger_than_the_inbox_is_refused() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 1, 1, 64, 32>::new(version);
        let name = "n".repeat(if t.is_v5() { 17 } else { 18 });
        let body = |name: &str| {
            let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
            [b"\0\x04MQTT", &[version.level(), 2, 0, 0][..], properties, &text(name)].concat()
        };
        t.opens();
        let fits = with_header(0x10, &body(&name));
        assert_eq!(fits.len(), 32);
        t.receives(fits);
        t.event(|_, event| assert!(matches!(event, Event::Connecting { .. })));
        t.accepts();
        t.sends(t.connack(false));
        t.cut();
        t.opens();
        t.receives(with_header(0x10, &body(&(name + "n"))));
        if t.is_v5() {
            t.sends("20 03 00 95 00");
        }
        t.closes(CloseReason::Violation(Violation::PacketTooLarge));
    }
}
