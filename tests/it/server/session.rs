//! What is kept from one connection to the next, for whom, and for how long.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::{Accept, Event};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Instant, Offline, Outcome, Properties, Property, Publish, ReasonCode,
    Version,
};

use super::packets::{puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2};
use super::trace::{Hello, LASTING, PASSING, Trace, both};

/// Out: 1 (QoS 1) and 2 (QoS 2) shown, 3 with PUBREC, 4 never shown, and one of QoS 0 for later. In: 7 held. Then the link
/// is lost.
fn leave_behind(t: &mut Trace) {
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.publish(ExactlyOnce, "c");
    t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
    t.receives((pubrec(3), qos2(7, "in")));
    t.message(qos2(7, "in"));
    t.sends((pubrel(3), pubrec(7)));
    t.cut();
    assert_eq!(t.publish(AtLeastOnce, "d"), 4);
    assert_eq!(t.publish(AtMostOnce, "e"), 0);
}

/// Everything is there.
#[track_caller]
fn goes_on(t: &mut Trace) {
    t.announced = 7;
    t.resumes();
    t.sends((pubrel(3), qos1(1, "a").dup(), (qos2(2, "b").dup(), qos1(4, "d"), qos0("e"))));
    t.quiet();
    t.receives(qos2(7, "in").dup());
    t.sends(pubrec(7));
    t.receives((puback(1), pubrec(2), (puback(4), pubcomp(3), pubrel(7))));
    t.acknowledged(1);
    t.acknowledged(4);
    t.acknowledged(3);
    t.sends((pubrel(2), "70 02 0007"));
    t.receives(pubcomp(2));
    t.acknowledged(2);
    t.quiet();
    assert_eq!(t.session.pending(), 0);
}

/// Nothing is: what was to be delivered is lost, and what was held is forgotten.
#[track_caller]
fn begins_anew(t: &mut Trace) {
    t.announced = 8;
    t.asks(false);
    t.accepts();
    is_lost(t);
    t.sends(t.connack(false));
    t.quiet();
    t.receives(qos2(7, "new"));
    t.message(qos2(7, "new"));
    t.sends(pubrec(7));
    assert_eq!(t.session.pending(), 0);
    assert_eq!(t.publish(AtLeastOnce, "f"), 5);
    t.sends(qos1(5, "f"));
    t.quiet();
}

#[track_caller]
fn is_lost(t: &mut Trace) {
    t.published(3, Outcome::LostUnconfirmed);
    t.published(1, Outcome::Lost);
    t.published(2, Outcome::Lost);
    t.published(4, Outcome::Lost);
    t.dropped(1);
}

#[test]
fn a_session_that_is_kept_goes_on() {
    for mut t in both() {
        leave_behind(&mut t);
        goes_on(&mut t);
    }
}

#[test]
fn a_session_goes_on_for_its_client_alone() {
    for mut t in both() {
        leave_behind(&mut t);
        t.hello.client = "d";
        begins_anew(&mut t);
        // The first one's is gone for good.
        t.cut();
        t.hello.client = "c";
        t.asks(false);
    }
}

#[test]
fn a_session_goes_on_in_its_version_alone() {
    for mut t in both() {
        leave_behind(&mut t);
        t.version = if t.is_v5() { Version::V311 } else { Version::V5 };
        begins_anew(&mut t);
        t.cut();
        t.announced = 7;
        t.resumes();
        t.sends(qos1(5, "f").dup());
    }
}

/// [MQTT-3.1.2-6] in 3.1.1, [MQTT-3.1.2-4] in 5.0
#[test]
fn a_clean_start_gives_a_session_up() {
    for mut t in both() {
        leave_behind(&mut t);
        t.hello.clean = true;
        begins_anew(&mut t);
        t.loses_link();
        t.hello.clean = false;
        if t.is_v5() {
            // Clean Start says nothing of the end of the session.
            t.closes(CloseReason::ConnectionLost);
            t.announced = 7;
            t.resumes();
            t.sends(qos1(5, "f").dup());
        } else {
            t.published(5, Outcome::Lost);
            t.closes(CloseReason::ConnectionLost);
            t.connects();
        }
        t.quiet();
    }
}

/// To the millisecond. In 3.1.1 there is no end.
#[test]
fn a_session_goes_on_until_it_expires() {
    for (after, present) in [(0, true), (99_999, true), (100_000, false), (u64::MAX / 2, false)] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = "11 00000064";
        leave_behind(&mut t);
        assert_eq!(t.session.expires_at(), Some(Instant::from_millis(t.now + 100_000)));
        t.passes(after);
        if present { goes_on(&mut t) } else { begins_anew(&mut t) }
    }
    for properties in ["11 FFFFFFFF", ""] {
        let mut t = <Trace>::new(if properties.is_empty() { Version::V311 } else { Version::V5 });
        t.hello.properties = properties;
        leave_behind(&mut t);
        assert_eq!(t.session.expires_at(), None);
        assert!(t.session.is_lasting());
        t.passes(u64::MAX / 2);
        goes_on(&mut t);
    }
}

/// [MQTT-3.1.2-6] in 3.1.1, [MQTT-3.1.2-23] in 5.0
#[test]
fn a_session_may_end_with_its_connection() {
    for mut t in both() {
        t.hello = PASSING;
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.receives((pubrec(2), qos2(7, "in")));
        t.message(qos2(7, "in"));
        t.sends((pubrel(2), pubrec(7)));
        t.loses_link();
        t.published(2, Outcome::LostUnconfirmed);
        t.published(1, Outcome::Lost);
        t.closes(CloseReason::ConnectionLost);
        assert_eq!(t.session.expires_at(), None);
        assert!(!t.session.is_lasting());
        assert_eq!(t.session.pending(), 0);
        t.hello = LASTING;
        t.connects();
        t.receives(qos2(7, "in"));
        t.message(qos2(7, "in"));
        t.sends(pubrec(7));
        t.quiet();
    }
}

/// The Session Expiry Interval of CONNECT, CONNACK and DISCONNECT: the last one counts.
#[test]
fn the_last_word_on_the_end_of_a_session_counts() {
    let said: [(&str, Option<u32>, &str, Option<u64>); 12] = [
        ("", None, "", None),
        ("11 00000000", None, "", None),
        ("11 0000000A", None, "", Some(10)),
        ("11 0000000A", Some(20), "", Some(20)),
        ("11 0000000A", Some(0), "", None),
        ("", Some(20), "", Some(20)),
        ("11 0000000A", Some(20), "E0 00", Some(20)),
        ("11 0000000A", None, "E0 07 00 05 11 0000001E", Some(30)),
        ("11 0000000A", Some(20), "E0 07 00 05 11 0000001E", Some(30)),
        ("11 0000000A", Some(20), "E0 07 00 05 11 00000000", None),
        ("11 0000000A", Some(0), "E0 07 04 05 11 0000001E", Some(30)),
        ("11 FFFFFFFF", None, "E0 07 00 05 11 0000001E", Some(30)),
    ];
    for (connect, connack, disconnect, expected) in said {
        let what = format!("{connect:?} {connack:?} {disconnect:?}");
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = connect;
        t.asks(false);
        let properties: Vec<_> = connack.map(Property::SessionExpiryInterval).into_iter().collect();
        t.session.accept(&Accept { properties: Properties::of(&properties), ..Accept::default() }).unwrap();
        let said = connack.map_or(String::new(), |seconds| format!("11 {seconds:08X}"));
        t.sends(super::packets::connack(false, &(said + &t.limits())));
        assert_eq!(t.session.expires_at(), None, "{what}: there is a connection");
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.passes(5_000);
        if disconnect.is_empty() {
            t.loses_link();
        } else {
            t.receives(disconnect);
            t.event(|_, event| assert!(matches!(event, Event::Disconnected(_)), "{event:?}"));
        }
        if expected.is_none() {
            t.published(1, Outcome::Lost);
        }
        t.see();
        let end = expected.map(|seconds| Instant::from_millis(t.now + seconds * 1000));
        assert_eq!(t.session.expires_at(), end, "{what}");
        assert_eq!(t.session.is_lasting(), end.is_some(), "{what}");
        t.asks(expected.is_some());
    }
}

/// By the value of CONNECT. (5.0: 3.14.2.2.2)
#[test]
fn a_session_that_was_to_end_cannot_be_kept_by_disconnect() {
    for (connect, said) in [("", ""), ("11 00000000", ""), ("", "11 00000014")] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = connect;
        if !said.is_empty() {
            t.accept.properties = Properties::of(&[Property::SessionExpiryInterval(20)]);
        }
        t.said = said;
        t.connects();
        t.receives("E0 07 00 05 11 0000001E");
        t.fails(CloseReason::ExpiryRaised, 0x82);
        t.asks(!said.is_empty());
        // To repeat that it ends is no fault.
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = connect;
        t.connects();
        t.receives("E0 07 00 05 11 00000000");
        t.disconnected(ReasonCode::NORMAL_DISCONNECTION);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::NORMAL_DISCONNECTION));
        assert_eq!(t.session.expires_at(), None);
    }
}

/// While a connection is on its way out it is still one.
#[test]
fn a_session_has_no_end_while_there_is_a_connection() {
    let online = |version| {
        let mut t = <Trace>::new(version);
        t.hello.properties = "11 0000000A";
        t.connects();
        t.passes(50_000);
        t.quiet();
        t
    };
    let waits = |t: &Trace| t.session.expires_at().map(Instant::as_millis);
    let mut t = online(Version::V5);
    t.disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(waits(&t), None);
    t.shows("E0 01 8B", 2);
    assert_eq!(waits(&t), None);
    t.sends("8B");
    t.closes(CloseReason::Disconnected);
    assert_eq!(waits(&t), Some(t.now + 10_000));

    let mut t = online(Version::V5);
    t.receives("36 00");
    t.shows("E0 01 81", 1);
    assert_eq!(waits(&t), None);

    let mut t = online(Version::V5);
    t.loses_link();
    assert_eq!(waits(&t), None);
    t.closes(CloseReason::ConnectionLost);
    assert_eq!(waits(&t), Some(t.now + 10_000));
    // The next transport is nobody's yet.
    t.opens();
    t.passes(3_000);
    t.receives(t.hello);
    assert_eq!(waits(&t), Some(t.now + 7_000));
    t.connecting(true);
    assert_eq!(waits(&t), Some(t.now + 7_000));
    t.accepts();
    assert_eq!(waits(&t), None);
}

/// Whoever is turned away has touched nothing, whatever he asked for.
#[test]
fn a_rejected_connect_leaves_the_session_as_it_was() {
    let asks = [
        LASTING,
        PASSING,
        Hello { client: "d", ..LASTING },
        Hello { client: "d", ..PASSING },
        Hello { properties: "11 00000001 27 00000008 21 0001", ..LASTING },
        Hello { will: Some(""), keep_alive: 1, ..LASTING },
    ];
    for mut t in both() {
        leave_behind(&mut t);
        for version in [t.version, if t.is_v5() { Version::V311 } else { Version::V5 }] {
            for hello in asks {
                for way in ["reject", "neglect", "lose", "expire", "break"] {
                    let mut other = t.clone();
                    (other.version, other.hello) = (version, hello);
                    let present = version == t.version && !hello.clean && hello.client == "c";
                    if way == "break" {
                        other.opens();
                        other.receives((hello, "C1 00"));
                        other.connecting(present);
                    } else {
                        other.asks(present);
                    }
                    match way {
                        "reject" => other.rejects(ReasonCode::NotAuthorized),
                        "lose" => other.loses_link(),
                        "expire" => {
                            other.rejects(ReasonCode::NotAuthorized);
                            other.see();
                            other.now += 5_000;
                            other.see();
                            other.now += 1;
                        }
                        _ => {}
                    }
                    let connack = match (way, version) {
                        ("lose" | "expire", _) => "",
                        ("reject", Version::V311) => "20 02 00 05",
                        ("reject", _) => "20 03 00 87 00",
                        (_, Version::V311) => "20 02 00 03",
                        _ => "20 03 00 88 00",
                    };
                    other.sends(connack);
                    let seen = other.see();
                    assert!(matches!(seen, super::trace::Seen::Close(_)), "{way}: {}", seen.describe());
                    assert_eq!(other.session.expires_at(), t.session.expires_at());
                    (other.version, other.hello) = (t.version, t.hello);
                    goes_on(&mut other);
                }
            }
        }
    }
}

/// A session that ends tells what becomes of it when it is given up, not before.
#[test]
fn a_rejected_connect_does_not_put_off_the_end() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "11 0000000A";
    leave_behind(&mut t);
    let end = t.session.expires_at();
    t.passes(9_000);
    t.asks(true);
    t.rejects(ReasonCode::ServerBusy);
    t.sends("20 03 00 89 00");
    t.closes(CloseReason::Rejected(ReasonCode::ServerBusy));
    assert_eq!(t.session.expires_at(), end);
    t.passes(1_000);
    begins_anew(&mut t);
}

/// The old connection is told and closed, then the new one goes on. [MQTT-3.1.4-2] in 3.1.1, [MQTT-3.1.4-3] in 5.0
#[test]
fn a_session_is_taken_over() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        if t.is_v5() {
            t.disconnect(ReasonCode::SessionTakenOver);
            t.sends("E0 01 8E");
        } else {
            t.disconnect(ReasonCode::Success);
        }
        t.closes(CloseReason::Disconnected);
        t.resumes();
        t.sends(qos2(1, "a").dup());
        t.quiet();
        // By a new transport alone: the old one counts as lost.
        t.resumes();
        t.sends(qos2(1, "a").dup());
        t.quiet();
    }
}

/// Also one that ends with its connection: its losses come first.
#[test]
fn a_session_that_ended_is_told_on_the_next_transport() {
    for mut t in both() {
        t.hello = PASSING;
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.opens();
        t.receives(t.hello);
        t.published(1, Outcome::Lost);
        t.connecting(false);
        t.accepts();
        t.sends(t.connack(false));
        t.quiet();
    }
}

/// What is published while the client is away waits for it; of QoS 0 as the application likes.
#[test]
fn messages_wait_for_the_client() {
    for mut t in both() {
        assert_eq!(t.try_publish(AtLeastOnce, "never"), Err(CommandError::Offline), "no version is agreed on");
        t.accept.offline = Offline::Acknowledged;
        t.connects();
        t.publish(AtMostOnce, "not written");
        t.loses_link();
        t.dropped(1);
        t.closes(CloseReason::ConnectionLost);
        assert_eq!(t.try_publish(AtMostOnce, "x"), Err(CommandError::Offline));
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.resumes();
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.quiet();
        t.publish(AtMostOnce, "c");
        t.sends(qos0("c"));
        t.quiet();
    }
}

/// The clock is no part of what a session means.
#[test]
fn sessions_that_ended_at_different_times_are_equal() {
    for version in [Version::V311, Version::V5] {
        let ended = |millis| {
            let mut t = <Trace>::new(version);
            t.passes(millis);
            t.connects();
            t.cut();
            t.session
        };
        assert!(ended(0) == ended(7_000), "{version:?}");
    }
}

/// Never shown, it lives as long as it may; 5.0 alone.
#[test]
fn a_message_that_waits_too_long_expires() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.cut();
    let properties = [Property::MessageExpiryInterval(5)];
    let publish = Publish {
        qos: AtLeastOnce,
        properties: mqtt_session::wire::Properties::of(&properties),
        ..Publish::new("t", b"")
    };
    t.session.publish(&publish).unwrap();
    t.publish(AtLeastOnce, "b");
    t.closes(CloseReason::ConnectionLost);
    t.passes(5_999);
    t.asks(true);
    t.accepts();
    t.published(1, Outcome::Expired);
    t.sends((t.connack(true), qos1(2, "b")));
    t.quiet();
}

/// Less room for messages, and limits that are those of the present connection alone.
#[test]
fn limits_are_those_of_the_present_connection() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "11 FFFFFFFF 21 0001 27 00000014";
    t.connects();
    for payload in ["a", "b", "c"] {
        t.publish(AtLeastOnce, payload);
    }
    assert!(matches!(t.try_publish(AtLeastOnce, "this is too long a text"), Err(CommandError::TooLarge { .. })));
    t.sends(qos1(1, "a"));
    t.quiet();
    t.cut();
    // Without a connection there are none.
    t.publish(AtLeastOnce, "this is too long a text");
    t.hello.properties = "11 FFFFFFFF";
    t.resumes();
    t.sends((qos1(1, "a").dup(), qos1(2, "b"), (qos1(3, "c"), qos1(4, "this is too long a text"))));
    t.quiet();
    t.cut();
    // What has become too large cannot be sent again.
    t.hello.properties = "11 FFFFFFFF 21 0002 27 00000014";
    t.resumes();
    t.sends((qos1(1, "a").dup(), qos1(2, "b").dup()));
    t.quiet();
    t.receives((puback(1), puback(2)));
    t.acknowledged(1);
    t.acknowledged(2);
    t.sends(qos1(3, "c").dup());
    t.published(4, Outcome::Unsendable);
    t.quiet();
}

/// The manner of acknowledging may change from one connection to the next.
#[test]
fn a_handle_outlives_its_connection_as_its_message_does() {
    for t in both() {
        let mut t = t.manual();
        t.connects();
        t.receives((qos1(1, "a"), qos2(2, "b")));
        let (first, second) = (t.hands_out(qos1(1, "a")), t.hands_out(qos2(2, "b")));
        t.cut();
        assert_eq!(t.session.acknowledge(first, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.acknowledge(second);
        t.announced = 7;
        t.accept.acknowledgement = Acknowledge::AfterHandling;
        t.resumes();
        t.quiet();
        t.receives((qos2(2, "b").dup(), qos1(3, "c")));
        assert_eq!(t.message(qos1(3, "c")), None);
        t.sends((pubrec(2), puback(3)));
        t.quiet();
    }
}
