//! A session whose CONNACK did not reach the transport: nobody was told of it, so it ends with its connection. T11.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::{CloseReason, Outcome, Properties, Property, ReasonCode, Version};

use super::packets::{puback, pubrec, qos0, qos1, qos2};
use super::trace::{Hello, LASTING, Trace, both};

/// A client comes, and is accepted without a session.
fn accepted(mut t: Trace) -> Trace {
    t.asks(false);
    t.accepts();
    t
}

/// T11: accepted, and the link dies before a byte of CONNACK was shown.
#[test]
fn t11_a_session_that_nobody_was_told_of_ends_with_its_connection() {
    for t in both() {
        let mut t = accepted(t);
        assert!(t.session.is_lasting());
        t.cut();
        assert!(!t.session.is_lasting());
        assert_eq!(t.session.expires_at(), None);
        t.connects();
        // A message that is no repeat is none.
        t.receives(qos2(1, "a"));
        t.message(qos2(1, "a"));
        t.sends(pubrec(1));
        t.cut();
        t.announced = 7;
        t.resumes();
    }
}

/// T11: shown and written in part, or shown and the write failed.
#[test]
fn t11_part_of_connack_is_not_enough() {
    for t in both() {
        let len = t.connack(false).len();
        for written in 0..=len {
            let mut t = accepted(t.clone());
            t.shows(t.connack(false), written);
            t.cut();
            assert_eq!(t.session.is_lasting(), written == len, "{written}");
            t.connects_with(written == len);
        }
    }
}

/// T11: CONNACK leaves together with an answer behind it, of which the link takes a part.
#[test]
fn t11_connack_is_what_counts_and_not_what_is_behind_it() {
    for t in both() {
        let connack = t.connack(false);
        for written in [connack.len() - 1, connack.len(), connack.len() + 3, connack.len() + 4] {
            let mut t = accepted(t.clone());
            t.receives(qos1(7, "a"));
            t.message(qos1(7, "a"));
            t.shows((connack.clone(), puback(7)), written);
            t.cut();
            t.connects_with(written >= connack.len());
        }
    }
}

/// What ends a connection.
type Ending = fn(&mut Trace);

/// T11: whatever else ends the connection, or begins the next one without a word.
#[test]
fn t11_however_the_connection_ends() {
    let endings: [(&str, Ending); 5] = [
        ("a new transport", |_| {}),
        ("a fault of the client", |t| {
            t.receives("10 00");
            while !matches!(t.see(), super::trace::Seen::Close(_)) {
                t.session.connection_lost();
            }
        }),
        ("DISCONNECT", |t| {
            t.receives("E0 00");
            t.event(|_, event| assert!(matches!(event, Event::Disconnected(_))));
            t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        }),
        ("the application", |t| {
            t.session.disconnect(&mqtt_session::Disconnect::default()).unwrap();
            t.loses_link();
            t.closes(CloseReason::ConnectionLost);
        }),
        ("time", |t| {
            t.session.disconnect(&mqtt_session::Disconnect::default()).unwrap();
            t.wants_to_write();
            let _ = t.see();
            t.passes(60_000);
            // The caller may write once more.
            let _ = t.see();
            t.passes(1);
            t.closes(CloseReason::DisconnectTimeout);
        }),
    ];
    for (name, ending) in endings {
        for t in both() {
            let mut t = accepted(t);
            ending(&mut t);
            t.connects();
            assert!(t.session.is_lasting(), "{name}");
        }
    }
}

/// T11: a session that is gone on with was told of long ago.
#[test]
fn t11_a_resumed_session_survives_the_loss_of_connack() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.cut();
        for written in 0..4 {
            t.asks(true);
            t.accepts();
            t.shows(t.connack(true), written);
            t.cut();
        }
        t.resumes();
        t.sends(qos2(1, "a").dup());
    }
}

/// T11: what was published into such a session is lost with it, and told so; what was in flight before is lost when it begins.
#[test]
fn t11_what_was_queued_is_lost() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "old");
        t.sends(qos1(1, "old"));
        t.cut();
        t.hello = Hello { clean: true, ..LASTING };
        t.asks(false);
        t.accepts();
        t.published(1, Outcome::Lost);
        t.publish(AtLeastOnce, "new");
        t.publish(AtMostOnce, "zero");
        t.loses_link();
        t.published(2, Outcome::Lost);
        t.dropped(1);
        t.closes(CloseReason::ConnectionLost);
        t.hello = LASTING;
        t.connects();
        t.quiet();
    }
}

/// T11: DISCONNECT may say how long the session lasts, and does not make it known.
#[test]
fn t11_disconnect_keeps_no_session_that_nobody_was_told_of() {
    let mut t = accepted(<Trace>::new(Version::V5));
    t.receives("E0 07 00 05 11 00000064");
    t.event(|_, event| assert!(matches!(event, Event::Disconnected(_))));
    t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
    t.connects();
}

/// A name that CONNECT gave is that of the session, whatever CONNACK assigns.
#[test]
fn an_assigned_client_identifier_that_nobody_needs_changes_nothing() {
    let mut t = <Trace>::new(Version::V5);
    t.accept.properties = Properties::of(&[Property::AssignedClientIdentifier("x")]);
    t.said = "12 0001 78";
    t.connects();
    t.cut();
    t.resumes();
    t.cut();
    t.hello.client = "x";
    t.connects();
}

/// Two names that 32 bits of FNV-1a take for one.
#[test]
fn client_identifiers_are_told_apart_by_more_than_32_bits() {
    for mut t in both() {
        t.hello.client = "meter-462789";
        t.connects();
        t.publish(AtLeastOnce, "for one");
        t.sends(qos1(1, "for one"));
        t.cut();
        t.hello.client = "meter-679192";
        t.asks(false);
        t.accepts();
        t.published(1, Outcome::Lost);
        t.sends(t.connack(false));
        t.quiet();
        t.receives(qos0("a"));
        t.message(qos0("a"));
    }
}
