//! Messages both ways, what bounds them, and what a server's end does not take.

use core::num::NonZeroU16;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::wire::Properties;
use mqtt_session::{
    CloseReason, CommandError, Disconnect, Message, Oversized, Property, Publish, ReasonCode, TopicAliases, Version,
    Violation,
};

use super::packets::{puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, with_header};
use super::trace::{Trace, both};

#[test]
fn messages_arrive_and_are_acknowledged() {
    for mut t in both() {
        t.connects();
        t.receives([qos0("a"), qos1(1, "b"), qos2(2, "c")]);
        t.message(qos0("a"));
        t.message(qos1(1, "b"));
        t.message(qos2(2, "c"));
        t.sends([puback(1), pubrec(2)]);
        t.receives(pubrel(2));
        t.sends(pubcomp(2));
        t.receives(pubrel(2));
        t.sends(pubcomp(2).code(0x92));
        t.quiet();
    }
}

/// With codes, where the version has them.
#[test]
fn the_application_acknowledges_as_it_likes() {
    for t in both() {
        let mut t = t.manual();
        t.connects();
        t.receives([qos1(1, "a"), qos2(2, "b"), qos0("c")]);
        let (first, second) = (t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b")));
        assert_eq!(t.message(qos0("c")), None);
        t.quiet();
        if t.is_v5() {
            let wrong = t.session.acknowledge(first, ReasonCode::Banned);
            assert_eq!(wrong, Err(CommandError::Forbidden(Violation::PubackCodeReserved)));
            t.session.acknowledge(first, ReasonCode::NoMatchingSubscribers).unwrap();
            t.session.acknowledge(second, ReasonCode::NotAuthorized).unwrap();
            t.sends([puback(1).code(0x10), pubrec(2).code(0x87)]);
            t.receives(pubrel(2));
            t.sends(pubcomp(2).code(0x92));
        } else {
            let wrong = t.session.acknowledge(first, ReasonCode::NotAuthorized);
            assert_eq!(wrong, Err(CommandError::NotInVersion));
            t.acknowledge(first);
            t.acknowledge(second);
            t.sends([puback(1), pubrec(2)]);
        }
        assert_eq!(t.session.acknowledge(first, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.quiet();
    }
}

#[test]
fn messages_leave_and_come_to_their_end() {
    for mut t in both() {
        t.connects();
        t.publish(AtMostOnce, "a");
        t.publish(AtLeastOnce, "b");
        t.publish(ExactlyOnce, "c");
        assert_eq!(t.session.pending(), 2);
        t.sends((qos0("a"), qos1(1, "b"), qos2(2, "c")));
        t.receives([pubrec(2), puback(1)]);
        t.acknowledged(1);
        t.sends(pubrel(2));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        assert_eq!(t.session.pending(), 0);
        t.quiet();
    }
}

/// What a message says besides its payload leaves with it, subscription identifiers included.
#[test]
fn a_message_leaves_as_it_is_given() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    let properties = [
        Property::SubscriptionIdentifier(1),
        Property::SubscriptionIdentifier(300),
        Property::ContentType("x"),
        Property::MessageExpiryInterval(9),
    ];
    let publish =
        Publish { qos: AtLeastOnce, retain: true, properties: Properties::of(&properties), ..Publish::new("a/b", b"") };
    t.session.publish_with(&publish, 3, |buffer| buffer.copy_from_slice(b"put")).unwrap();
    t.sends("33 19 0003 612F62 0001 0E 0B 01 0B AC02 03 0001 78 02 00000009 707574");
    t.quiet();
}

#[test]
fn what_was_never_shown_may_be_taken_back() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "11 FFFFFFFF 21 0001";
    t.connects();
    let ids = ["a", "b", "c"].map(|payload| mqtt_session::PacketId::new(t.publish(AtLeastOnce, payload)).unwrap());
    t.sends(qos1(1, "a"));
    assert_eq!(ids.map(|id| t.session.cancel(id)), [false, true, true]);
    t.receives(puback(1));
    t.acknowledged(1);
    t.quiet();
}

/// The Receive Maximum of the client. [MQTT-3.3.4-9]
#[test]
fn no_more_is_in_flight_than_the_client_takes() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "21 0002";
    t.connects();
    for (qos, payload) in [(AtLeastOnce, "a"), (ExactlyOnce, "b"), (AtLeastOnce, "c"), (ExactlyOnce, "d")] {
        t.publish(qos, payload);
    }
    t.publish(AtMostOnce, "free");
    t.sends((qos1(1, "a"), qos2(2, "b"), qos0("free")));
    t.quiet();
    t.receives(pubrec(2));
    t.sends(pubrel(2));
    t.quiet();
    t.receives(puback(1).code(0x80));
    t.published(1, mqtt_session::Outcome::Rejected(ReasonCode::UnspecifiedError));
    t.sends(qos1(3, "c"));
    t.quiet();
    t.receives(pubcomp(2));
    t.acknowledged(2);
    t.sends(qos2(4, "d"));
    t.quiet();
}

/// Ours: counted from the message to the acknowledgement that leaves. [MQTT-3.3.4-8]
#[test]
fn more_than_our_receive_maximum_ends_the_connection() {
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5).manual();
    t.connects();
    t.receives([qos1(1, "a"), qos1(2, "b")]);
    let first = t.hands_out(qos1(1, "a"));
    t.hands_out(qos1(2, "b"));
    t.acknowledge(first);
    t.sends(puback(1));
    t.receives(qos1(3, "c"));
    t.hands_out(qos1(3, "c"));
    t.receives(qos1(4, "d"));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
    // A repeat of what is held is counted once, and QoS 0 never.
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5);
    t.connects();
    t.receives([qos2(1, "a"), qos2(2, "b"), qos2(1, "a").dup(), qos0("c")]);
    t.message(qos2(1, "a"));
    t.message(qos2(2, "b"));
    t.message(qos0("c"));
    t.sends([pubrec(1), pubrec(2), pubrec(1)]);
    t.receives(pubrel(1));
    t.sends(pubcomp(1));
    t.receives(qos1(3, "d"));
    t.message(qos1(3, "d"));
    t.sends(puback(3));
    t.receives([qos1(4, "e"), qos1(5, "f")]);
    t.message(qos1(4, "e"));
    t.sends(puback(4));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
}

/// [MQTT-3.2.2-11]
#[test]
fn a_qos_above_the_maximum_ends_the_connection() {
    let levels = [(AtMostOnce, "24 00"), (AtLeastOnce, "24 01"), (ExactlyOnce, "")];
    for (maximum, said) in levels {
        for (qos, message) in [(AtMostOnce, qos0("a")), (AtLeastOnce, qos1(1, "a")), (ExactlyOnce, qos2(1, "a"))] {
            let mut t = <Trace>::new(Version::V5);
            t.accept.properties = match maximum {
                AtMostOnce => Properties::of(&[Property::MaximumQos(AtMostOnce)]),
                AtLeastOnce => Properties::of(&[Property::MaximumQos(AtLeastOnce)]),
                ExactlyOnce => Properties::EMPTY,
            };
            t.said = said;
            t.connects();
            t.receives(message);
            if qos > maximum {
                t.fails(CloseReason::QosUnsupported, 0x9B);
                t.accept.properties = Properties::EMPTY;
                t.said = "";
                t.resumes();
                t.receives(message);
            }
            t.message(message);
            // To the client any QoS may go.
            t.publish(qos, "out");
        }
    }
}

/// [MQTT-3.2.2-14]
#[test]
fn a_retained_message_may_not_be_available() {
    let retained = "31 04 0001 74 00";
    for (properties, said) in
        [(&[][..], ""), (&[Property::RetainAvailable(true)], "25 01"), (&[Property::RetainAvailable(false)], "25 00")]
    {
        let mut t = <Trace>::new(Version::V5);
        t.accept.properties = Properties::of(properties);
        t.said = said;
        t.connects();
        t.receives((qos0("a"), retained));
        t.message(qos0("a"));
        if said == "25 00" {
            t.fails(CloseReason::RetainUnsupported, 0x9A);
        } else {
            t.event(|_, event| assert!(matches!(event, Event::Message(Message { retain: true, .. }))));
        }
    }
}

/// As soon as its header shows it.
#[test]
fn a_packet_larger_than_the_inbox_ends_the_connection() {
    for mut t in both() {
        t.connects();
        let head: &[u8] = if t.is_v5() { b"\0\x01t\0" } else { b"\0\x01t" };
        let fits = with_header(0x30, &[head, &vec![b'p'; 256 - 3 - head.len()]].concat());
        assert_eq!(fits.len(), 256);
        t.receives(fits);
        t.event(|_, event| assert!(matches!(event, Event::Message(_))));
        t.receives("30 FE 01");
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        t.resumes();
    }
}

/// In 3.1.1 it may be let pass: acknowledged, reported, and nothing after it is lost.
#[test]
fn in_3_1_1_a_large_message_may_be_skipped() {
    for version in [Version::V311, Version::V5] {
        let mut t = <Trace>::new(version);
        t.accept.oversized = Oversized::Skipped;
        t.connects();
        let large = with_header(0x35, &[&b"\0\x01t\0\x07"[..], &[b'p'; 400]].concat());
        if !t.is_v5() {
            // As long as its front is not here, nothing can be told.
            for &byte in &large[..7] {
                t.receives(vec![byte]);
                t.quiet();
            }
            t.receives(large[7..].to_vec());
        } else {
            t.receives(large);
            t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
            continue;
        }
        t.tells(&Event::Skipped { topic: "t", qos: ExactlyOnce, retain: true, len: 408 });
        t.receives((qos0("behind"), pubrel(7)));
        t.message(qos0("behind"));
        t.sends((pubrec(7), pubcomp(7)));
        t.quiet();
        // What is no message is too large all the same.
        t.receives("82 FF 7F");
        t.closes(CloseReason::Violation(Violation::PacketTooLarge));
    }
}

/// The aliases of the client: set, used, replaced, and forgotten with the connection.
#[test]
fn topic_aliases_of_the_client() {
    let mut t = <Trace>::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 2, topic: 3 });
    let connack = |present: u8| format!("20 0E {present:02X} 00 0B 21 0008 27 000000F6 22 0002");
    t.asks(false);
    t.accepts();
    t.sends(connack(0).as_str());
    t.receives(("30 08 0001 61 03 23 0001 31", "30 07 0000 03 23 0001 32", "30 08 0001 62 03 23 0002 33"));
    t.message_of("a", "1");
    t.message_of("a", "2");
    t.message_of("b", "3");
    t.receives(("30 08 0001 63 03 23 0001 34", "30 07 0000 03 23 0001 35", "32 09 0000 0007 03 23 0002 36"));
    t.message_of("c", "4");
    t.message_of("c", "5");
    t.message_of("b", "6");
    t.sends(puback(7));
    // Also by a repeat that is not delivered.
    t.receives(("34 08 0002 7431 0008 00 31", "3C 0B 0002 7431 0008 03 23 0001 31", "30 07 0000 03 23 0001 32"));
    t.message_of("t1", "1");
    t.message_of("t1", "2");
    t.sends([pubrec(8), pubrec(8)]);
    t.receives("30 08 0001 61 03 23 0003 31");
    t.fails(CloseReason::TopicAliasTooHigh, 0x94);
    t.asks(true);
    t.accepts();
    t.sends("20 0E 01 00 0B 21 0007 27 000000F6 22 0002");
    t.receives("30 07 0000 03 23 0001 32");
    t.fails(CloseReason::TopicAliasUnknown, 0x82);
    t.asks(true);
    t.accepts();
    t.sends("20 0E 01 00 0B 21 0007 27 000000F6 22 0002");
    t.receives("30 0B 0004 61616161 03 23 0001 32");
    t.fails(CloseReason::TopicTooLong, 0x97);
    t.asks(true);
    t.accepts();
    t.sends("20 0E 01 00 0B 21 0007 27 000000F6 22 0002");
    t.receives("30 07 0001 61 03 23 0000");
    t.fails(CloseReason::Violation(Violation::TopicAliasZero), 0x94);
}

/// Ours: as many as the client takes and there are bytes for.
#[test]
fn topic_aliases_of_the_server() {
    let publish = |alias, topic| Publish { topic_alias: NonZeroU16::new(alias), ..Publish::new(topic, b"x") };
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "22 0002";
    t.accept.topic_aliases = TopicAliases { maximum: 5, topic: 3 };
    t.connects();
    t.session.publish(&publish(2, "abc")).unwrap();
    t.session.publish(&publish(2, "abc")).unwrap();
    t.session.publish(&publish(2, "d")).unwrap();
    t.session.publish(&publish(1, "abc")).unwrap();
    t.session.publish(&publish(1, "long")).unwrap();
    assert_eq!(t.session.publish(&publish(3, "abc")), Err(CommandError::TopicAliasUnsupported));
    t.sends((
        "30 0A 0003 616263 03 23 0002 78",
        "30 07 0000 03 23 0002 78",
        ("30 08 0001 64 03 23 0002 78", "30 0A 0003 616263 03 23 0001 78", "30 08 0004 6C6F6E67 00 78"),
    ));
    t.quiet();
    t.cut();
    t.hello.properties = "22 0009";
    t.connects();
    assert_eq!(t.session.publish(&publish(6, "abc")), Err(CommandError::TopicAliasUnsupported));
    t.session.publish(&publish(2, "abc")).unwrap();
    t.sends("30 0A 0003 616263 03 23 0002 78");
    t.quiet();

    let mut t = <Trace>::new(Version::V311);
    t.connects();
    assert_eq!(t.session.publish(&publish(1, "abc")), Err(CommandError::NotInVersion));
}

/// Aliases that leave no room to answer are not set aside.
#[test]
fn aliases_leave_room_for_answers() {
    let mut t = <Trace>::new(Version::V311);
    t.asks(false);
    let before = t.session.clone();
    let aliases = TopicAliases { maximum: 1, topic: 256 - 2 - 13 };
    let accept = mqtt_session::server::Accept { topic_aliases: aliases, ..t.accept };
    assert!(matches!(t.session.accept(&accept), Err(CommandError::TooLarge { .. })));
    assert!(t.session == before);
    t.accept.topic_aliases = TopicAliases { topic: 256 - 2 - 14, ..aliases };
    t.accepts();
    t.sends("20 02 00 00");
    t.receives(qos1(1, "a"));
    t.message(qos1(1, "a"));
    t.sends(puback(1));
    t.quiet();
}

/// Everything that only servers send, and what does not exist.
#[test]
fn what_a_server_must_not_receive_ends_the_connection() {
    let packets = [
        ("20 02 00 00", Violation::PacketNotForThisEnd, 0x82),
        ("90 04 0001 00 00", Violation::PacketNotForThisEnd, 0x82),
        ("B0 04 0001 00 00", Violation::PacketNotForThisEnd, 0x82),
        ("D0 00", Violation::PacketNotForThisEnd, 0x82),
        ("00 00", Violation::PacketTypeReserved, 0x81),
        ("C1 00", Violation::PacketFlagsReserved, 0x81),
        ("80 06 0001 0001 61 00", Violation::PacketFlagsReserved, 0x81),
        ("C0 01 00", Violation::TrailingBytes, 0x81),
        ("36 00", Violation::PublishQosReserved, 0x81),
        ("38 04 0001 74 00", Violation::DupWithoutQos, 0x81),
    ];
    for mut t in both() {
        t.connects();
        for (packet, violation, code) in packets {
            t.receives((qos0("before"), packet, qos0("behind")));
            t.message(qos0("before"));
            t.fails(CloseReason::Violation(violation), code);
            t.resumes();
        }
        if t.is_v5() {
            for (packet, violation) in [
                ("E0 07 00 05 1C 0002 6161", Violation::ServerReferenceFromClient),
                ("E0 01 8D", Violation::DisconnectCodeReserved),
                ("E0 01 8E", Violation::DisconnectCodeReserved),
                ("30 06 0001 74 02 0B 01", Violation::SubscriptionIdentifierFromClient),
            ] {
                t.receives(packet);
                t.fails(CloseReason::Violation(violation), 0x82);
                t.resumes();
            }
        } else {
            t.receives("F0 00");
            t.closes(CloseReason::Violation(Violation::PacketTypeReserved));
            t.resumes();
            t.receives("E0 01 00");
            t.closes(CloseReason::Violation(Violation::TrailingBytes));
        }
    }
}

/// A client that speaks of a fault is not answered, and nothing behind it is read.
#[test]
fn nothing_follows_a_disconnect() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "out");
        t.receives((qos1(1, "a"), "E0 00", qos0("behind")));
        t.message(qos1(1, "a"));
        t.disconnected(ReasonCode::NORMAL_DISCONNECTION);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::NORMAL_DISCONNECTION));
        t.resumes();
        t.sends(qos1(1, "out"));
        t.quiet();
    }
}

/// The server leaves behind what needs no answer: with a code in 5.0, without a word in 3.1.1.
#[test]
fn the_server_leaves_behind_what_it_has_to_say() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        t.publish(AtMostOnce, "a");
        t.publish(AtLeastOnce, "b");
        if t.is_v5() {
            let properties = [Property::ReasonString("r"), Property::ServerReference("s")];
            let properties = Properties::of(&properties);
            t.session
                .disconnect(&Disconnect {
                    reason_code: ReasonCode::UseAnotherServer,
                    properties,
                    ..Disconnect::default()
                })
                .unwrap();
        } else {
            let code = Disconnect { reason_code: ReasonCode::UseAnotherServer, ..Disconnect::default() };
            t.session.disconnect(&code).unwrap();
        }
        assert_eq!(t.try_publish(AtMostOnce, "late"), Err(CommandError::Closing));
        assert_eq!(t.session.disconnect(&Disconnect::default()), Err(CommandError::Closing));
        assert!(!t.session.is_online());
        t.receives(qos0("unread"));
        t.sends((puback(1), qos0("a"), qos1(1, "b")));
        if t.is_v5() {
            t.sends("E0 0A 9C 08 1F 0001 72 1C 0001 73");
        }
        t.closes(CloseReason::Disconnected);
        t.resumes();
        t.sends(qos1(1, "b").dup());
        t.quiet();
    }
}

/// What DISCONNECT of a server cannot say.
#[test]
fn a_server_says_only_what_servers_say() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    let before = t.session.clone();
    for code in [ReasonCode::DisconnectWithWill, ReasonCode::UnsupportedProtocolVersion, ReasonCode::Banned] {
        let refused = t.session.disconnect(&Disconnect { reason_code: code, ..Disconnect::default() });
        assert_eq!(refused, Err(CommandError::Forbidden(Violation::DisconnectCodeReserved)), "{code:?}");
    }
    let properties = Properties::of(&[Property::SessionExpiryInterval(1)]);
    let refused = t.session.disconnect(&Disconnect { properties, ..Disconnect::default() });
    assert_eq!(refused, Err(CommandError::Forbidden(Violation::SessionExpiryFromServer)));
    assert!(t.session == before);
}

/// Packets so small that an acknowledgement does not fit.
#[test]
fn a_client_that_takes_no_acknowledgement_is_left() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "27 00000003";
    t.asks(false);
    assert!(matches!(t.session.accept(&t.accept), Err(CommandError::TooLarge { .. })));
    t.closes(CloseReason::Rejected(ReasonCode::ServerUnavailable));
}

/// An identifier of the other QoS. [MQTT-2.2.1-4]
#[test]
fn an_identifier_in_use_is_refused() {
    for (first, second, code) in [(qos2(7, "a"), qos1(7, "b"), 0x91), (qos1(7, "a"), qos2(7, "b"), 0x91)] {
        for t in both() {
            let mut t = t.manual();
            t.connects();
            t.receives(first);
            let handle = t.hands_out(first);
            t.receives(second);
            if t.is_v5() {
                t.sends(second.answer().code(code));
                t.acknowledge(handle);
                t.sends(first.answer());
                t.quiet();
            } else {
                t.closes(CloseReason::PacketIdentifierReused);
            }
        }
    }
}

/// 3.1.1 lets a client repeat on the same connection, 5.0 does not; it is borne. [MQTT-4.4.0-1] of 5.0
#[test]
fn a_repeat_before_the_acknowledgement_is_due_is_told_in_version_5() {
    for message in [qos1(7, "a"), qos2(7, "a")] {
        for t in both() {
            let mut t = t.manual();
            t.connects();
            t.receives(message);
            let handle = t.hands_out(message);
            t.receives(message.dup());
            if t.is_v5() {
                t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
            }
            t.quiet();
            t.acknowledge(handle);
            t.sends(message.answer());
            t.quiet();
        }
    }
}

/// The identifier is that of a message which PUBREL does not release.
#[test]
fn a_pubrel_does_not_end_a_message_of_qos_1() {
    for t in both() {
        let mut t = t.manual();
        t.connects();
        t.receives(qos1(7, "a"));
        let handle = t.hands_out(qos1(7, "a"));
        t.receives(pubrel(7));
        t.sends(pubcomp(7).code(0x92));
        t.acknowledge(handle);
        t.sends(puback(7));
        t.quiet();
    }
}

/// The outcome tells what the client said with it.
#[test]
fn an_outcome_brings_its_properties() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.receives("40 09 0001 10 05 1F 0002 6F6B");
    t.event(|_, event| {
        let Event::Published { outcome, properties, .. } = event else { panic!("{event:?}") };
        assert_eq!(outcome, mqtt_session::Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers));
        assert_eq!(properties.reason_string(), Some("ok"));
    });
}
