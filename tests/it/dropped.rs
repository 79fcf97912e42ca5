//! Messages of QoS 0 that are dropped, and whether all have left.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, reason = "a fault here is a failed test")]

use mqtt_session::QoS::{self, AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::{CloseReason, CommandError, Connect, Event, Offline, Properties, Property, Publish, Version};

use crate::known_failures::trace::{Trace, both, connack, puback, qos0, qos1, qos2, subscribe};

fn drops(mut t: Trace) -> Trace {
    t.options.offline = Offline::Acknowledged;
    t
}

#[test]
fn what_does_not_leave_with_its_connection_is_told() {
    for t in both() {
        let mut t = drops(t);
        t.connects();
        t.publish(AtMostOnce, "a");
        t.publish(AtMostOnce, "b");
        t.publish(AtLeastOnce, "c");
        t.publish(AtMostOnce, "d");
        t.sends(qos0("a"));
        t.loses_link();
        t.dropped(2);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.sends(qos1(1, "c"));
        t.quiet();
    }
}

#[test]
fn what_waits_is_not_dropped() {
    for mut t in both() {
        t.connects();
        t.publish(AtMostOnce, "a");
        t.cut();
        t.publish(AtMostOnce, "b");
        assert!(!t.session.is_flushed());
        t.resumes();
        t.sends((qos0("a"), qos0("b")));
        t.quiet();
        assert!(t.session.is_flushed());
    }
}

#[test]
fn what_is_half_written_is_told() {
    for mut t in both() {
        t.connects();
        t.publish(AtMostOnce, "half");
        t.publish(AtMostOnce, "b");
        t.shows(qos0("half"), 3);
        t.loses_link();
        t.dropped(1);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.sends(qos0("b"));
        // Nothing of QoS 1, and no request, counts as one.
        t.subscribe("f");
        t.shows(subscribe(1, "f"), 3);
        t.loses_link();
        t.event(|_, event| assert!(matches!(event, Event::RequestLost { .. })));
        t.closes(CloseReason::ConnectionLost);
        t.publish(AtLeastOnce, "half");
        t.resumes();
        t.shows(qos1(2, "half"), 3);
        t.cut();
    }
}

#[test]
fn what_expires_or_may_not_be_sent_is_told() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.cut();
    let expires = [Property::MessageExpiryInterval(5)];
    for _ in 0..3 {
        let publish = Publish { properties: Properties::of(&expires), ..Publish::new("t", b"x") };
        assert_eq!(t.tries(&publish), Ok(0));
    }
    t.closes(CloseReason::ConnectionLost);
    t.passes(5_000);
    t.dropped(3);
    t.closes(CloseReason::ConnectionLost);
    t.publish(AtMostOnce, "far too long for this connection");
    t.connects_with(true, "27 0000000F");
    t.dropped(1);
    t.quiet();
}

#[test]
fn what_another_version_gives_up_is_told() {
    let mut t = <Trace>::new(Version::V311);
    t.connects();
    t.cut();
    for _ in 0..7 {
        t.publish(AtMostOnce, "a");
    }
    t.session.connect(&mut t.inbox, &Connect::new(Version::V5, "c")).unwrap_or_else(|error| panic!("{error}"));
    t.dropped(7);
    t.looks();
}

#[test]
fn more_than_255_are_told_as_255() {
    let mut t = Trace::<65_536>::new(Version::V5);
    t.options.offline = Offline::Acknowledged;
    t.connects();
    for _ in 0..300 {
        assert_eq!(t.try_publish(AtMostOnce, "a"), Ok(0));
    }
    t.loses_link();
    t.dropped(255);
    t.closes(CloseReason::ConnectionLost);
}

#[test]
fn flushed_is_what_has_left() {
    for mut t in both() {
        assert!(t.session.is_flushed());
        t.connects();
        assert!(t.session.is_flushed());
        t.publish(AtMostOnce, "a");
        assert!(!t.session.is_flushed());
        t.shows(qos0("a"), 3);
        assert!(!t.session.is_flushed());
        t.sends_rest_of(qos0("a"), 3);
        assert!(t.session.is_flushed());
        // The PUBLISH that waits for its PUBACK has left.
        t.publish(AtLeastOnce, "b");
        t.sends(qos1(1, "b"));
        assert!(t.session.is_flushed());
        t.receives(qos1(7, "c"));
        t.message(qos1(7, "c"));
        assert!(!t.session.is_flushed(), "PUBACK is due");
        t.sends(puback(7));
        assert!(t.session.is_flushed());
        t.subscribe("f");
        assert!(!t.session.is_flushed());
        t.sends(subscribe(2, "f"));
        assert!(t.session.is_flushed());
    }
}

const LEVELS: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];

const CHOICES: [Option<Offline>; 4] =
    [None, Some(Offline::Everything), Some(Offline::Acknowledged), Some(Offline::Nothing)];

/// The connection says it, unless the message does.
#[test]
fn each_message_may_wait_or_not() {
    for of_connection in [Offline::Everything, Offline::Acknowledged, Offline::Nothing] {
        for of_message in CHOICES {
            for qos in LEVELS {
                for mut t in both() {
                    let waits = match of_message.unwrap_or(of_connection) {
                        Offline::Everything => true,
                        Offline::Acknowledged => qos != AtMostOnce,
                        _ => false,
                    };
                    let publish = Publish { qos, offline: of_message, ..Publish::new("t", b"x") };
                    let expected = if waits { Ok(()) } else { Err(CommandError::Offline) };
                    t.options.offline = of_connection;
                    assert_eq!(t.tries(&publish).err(), Some(CommandError::Offline), "no version is agreed on");
                    t.connects();
                    t.cut();
                    assert_eq!(t.tries(&publish).map(drop), expected);
                    t.connect();
                    assert_eq!(t.tries(&publish).map(drop), expected);
                    t.receives(connack(true, ""));
                    t.connected(true);
                    assert!(t.tries(&publish).is_ok());
                }
            }
        }
    }
}

#[test]
fn each_message_of_qos_0_outlives_its_connection_or_not() {
    for of_connection in [Offline::Everything, Offline::Acknowledged, Offline::Nothing] {
        for mut t in both() {
            t.options.offline = of_connection;
            t.connects();
            let payloads: [&[u8]; 4] = [b"0", b"1", b"2", b"3"];
            for (offline, payload) in CHOICES.into_iter().zip(payloads) {
                assert_eq!(t.tries(&Publish { offline, ..Publish::new("t", payload) }), Ok(0));
            }
            // A request is in the same sequence.
            t.subscribe("f");
            t.loses_link();
            t.event(|_, event| assert!(matches!(event, Event::RequestLost { .. })));
            t.dropped(if of_connection == Offline::Everything { 2 } else { 3 });
            t.closes(CloseReason::ConnectionLost);
            t.options.offline = Offline::Everything;
            t.resumes();
            if of_connection == Offline::Everything {
                t.sends(qos0("0"));
            }
            t.sends(qos0("1"));
            t.quiet();
        }
    }
}

/// Of QoS 1 and 2 what is accepted is kept.
#[test]
fn what_is_accepted_and_acknowledged_is_never_dropped() {
    for mut t in both() {
        t.options.offline = Offline::Nothing;
        t.options.max_inflight = 1;
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends(qos1(1, "a"));
        t.cut();
        t.resumes();
        t.sends(qos1(1, "a").dup());
        t.receives(puback(1));
        t.acknowledged(1);
        t.sends(qos2(2, "b"));
    }
}

/// What waits and what does not are different sessions.
#[test]
fn how_long_it_waits_is_part_of_what_a_session_means() {
    let run = |offline| {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        assert_eq!(t.tries(&Publish { offline, ..Publish::new("t", b"x") }), Ok(0));
        t.session
    };
    assert!(run(None) == run(Some(Offline::Everything)));
    assert!(run(Some(Offline::Acknowledged)) == run(Some(Offline::Nothing)));
    assert!(run(None) != run(Some(Offline::Nothing)));
}

/// Its expiry, and its room.
#[test]
fn what_does_not_outlive_its_connection_is_like_any_other_until_then() {
    let mut t = <Trace>::new(Version::V5);
    t.options.offline = Offline::Nothing;
    t.connects();
    let room = t.session.free_space();
    t.publish(AtLeastOnce, "half");
    t.shows(qos1(1, "half"), 2);
    let expires = [Property::MessageExpiryInterval(5)];
    assert_eq!(t.tries(&Publish { properties: Properties::of(&expires), ..Publish::new("t", b"x") }), Ok(0));
    t.looks();
    t.passes(5_000);
    t.dropped(1);
    t.sends_rest_of(qos1(1, "half"), 2);
    t.receives(puback(1));
    t.acknowledged(1);
    t.quiet();
    assert_eq!(t.session.free_space(), room);
}

#[cfg(feature = "server")]
mod server {
    use super::*;
    use crate::server::trace::both;

    #[test]
    fn the_servers_end_tells_it_too() {
        for mut t in both() {
            t.accept.offline = Offline::Acknowledged;
            t.connects();
            assert!(t.session.is_flushed());
            t.publish(AtMostOnce, "a");
            t.publish(AtMostOnce, "b");
            assert!(!t.session.is_flushed());
            t.shows(qos0("a"), 1);
            t.loses_link();
            t.dropped(2);
            t.closes(CloseReason::ConnectionLost);
        }
    }

    #[test]
    fn what_waits_for_a_session_that_is_gone_is_told() {
        for mut t in both() {
            t.connects();
            t.cut();
            t.publish(AtMostOnce, "a");
            t.hello.clean = true;
            t.asks(false);
            t.accepts();
            t.dropped(1);
            t.sends(t.connack(false));
            t.quiet();
        }
    }

    #[test]
    fn each_message_to_a_client_may_wait_or_not() {
        for mut t in both() {
            t.accept.offline = Offline::Nothing;
            t.connects();
            t.cut();
            for qos in LEVELS {
                assert_eq!(t.try_publish(qos, "x"), Err(CommandError::Offline));
                let publish = Publish { qos, offline: Some(Offline::Everything), ..Publish::new("t", b"y") };
                assert!(t.session.publish(&publish).is_ok());
            }
            t.resumes();
            t.sends((qos0("y"), qos1(1, "y"), qos2(2, "y")));
            t.quiet();
        }
    }
}
