//! Where several of the failures meet, at the server's end.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::wire::{Auth, Properties};
use mqtt_session::{CloseReason, Property, ReasonCode, Version};

use super::packets::{puback, pubrec, pubrel, qos0, qos1, qos2};
use super::trace::{LASTING, Trace, both};

/// T10: CONNACK is behind an AUTH that is being written, and before everything else.
#[test]
fn t10_connack_leaves_before_what_is_stored_also_behind_auth() {
    const CONTINUE: &str = "F0 06 18 04 15 0001 6D";
    for stored in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let mut t = <Trace>::new(Version::V5);
        t.hello.properties = "11 FFFFFFFF 15 0001 6D";
        t.accept.properties = Properties::of(&[Property::AuthenticationMethod("m")]);
        t.said = "15 0001 6D";
        let mut last = 0;
        for present in [false, true] {
            t.asks(present);
            if present {
                last = t.publish(stored, "a");
            }
            let properties = [Property::AuthenticationMethod("m")];
            let properties = Properties::of(&properties);
            t.session.authenticate(&Auth { reason_code: ReasonCode::ContinueAuthentication, properties }).unwrap();
            t.shows(CONTINUE, 0);
            t.receives(CONTINUE);
            t.event(|_, event| assert!(matches!(event, Event::Authenticating(_))));
            t.accepts();
            t.transmits(8);
            t.sends(t.connack(present));
            if !present {
                t.cut();
            }
        }
        t.sends(match stored {
            AtMostOnce => qos0("a"),
            AtLeastOnce => qos1(last, "a"),
            ExactlyOnce => qos2(last, "a"),
        });
        t.quiet();
    }
}

/// T11: the session is to end with its connection, DISCONNECT says otherwise, and CONNACK has not left.
#[test]
fn t11_disconnect_that_says_how_long_makes_no_session_known() {
    let connack = {
        let mut t = <Trace>::new(Version::V5);
        t.said = "11 00000000";
        t.connack(false)
    };
    for written in 0..=connack.len() {
        let mut t = <Trace>::new(Version::V5);
        t.accept.properties = Properties::of(&[Property::SessionExpiryInterval(0)]);
        t.said = "11 00000000";
        t.asks(false);
        t.accepts();
        t.shows(connack.clone(), written);
        t.receives("E0 07 00 05 11 00000064");
        t.disconnected(ReasonCode::Success);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        t.connects_with(written == connack.len());
    }
}

/// The same of a session that the client knows.
#[test]
fn t11_disconnect_that_says_how_long_keeps_a_session_that_is_known() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.cut();
    t.accept.properties = Properties::of(&[Property::SessionExpiryInterval(0)]);
    t.said = "11 00000000";
    t.asks(true);
    t.accepts();
    t.receives("E0 07 00 05 11 00000064");
    t.disconnected(ReasonCode::Success);
    t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
    t.resumes();
}

/// T10: as at the client's end.
#[test]
fn t10_a_pubrel_that_is_queued_during_a_write_is_before_a_publish() {
    for mut t in both() {
        t.connects();
        let released = t.publish(ExactlyOnce, "out");
        t.sends(qos2(released, "out"));
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        let id = t.publish(AtLeastOnce, "next");
        t.shows(puback(1), 0);
        t.receives(pubrec(released));
        t.shows(puback(1), 0);
        t.transmits(4);
        t.sends(pubrel(released));
        t.sends(qos1(id, "next"));
        t.quiet();
    }
}

/// Two sessions whose last connections ended at different times do not end together.
#[test]
fn sessions_that_end_at_different_times_differ() {
    let mut a = <Trace>::new(Version::V5);
    a.hello = super::trace::Hello { properties: "11 00000064", ..LASTING };
    a.connects();
    let mut b = a.clone();
    a.cut();
    b.passes(50_000);
    b.cut();
    a.passes(50_000);
    a.closes(CloseReason::ConnectionLost);
    assert_ne!(a.session.expires_at(), b.session.expires_at());
    assert!(a.session != b.session);
}

/// T7: as at the client's end.
#[test]
fn t07_an_acknowledgement_counts_behind_a_message_that_has_no_place() {
    let mut t = Trace::<1024, 8, 1>::new(Version::V311).manual();
    t.connects();
    let id = t.publish(AtLeastOnce, "a");
    t.sends(qos1(id, "a"));
    t.receives((qos1(1, "in"), qos1(2, "in"), puback(id)));
    t.hands_out(qos1(1, "in"));
    t.quiet();
    t.loses_link();
    t.acknowledged(id);
    t.closes(CloseReason::ConnectionLost);
}

/// T15: half written, cut, and sent again with what is left, from each byte on; the clock is set back meanwhile.
#[test]
fn t15_a_message_that_was_half_written_ages_too() {
    let packet = |dup: u8, left: u8| vec![0x32 | dup, 12, 0, 1, b't', 0, 1, 5, 2, 0, 0, 0, left, b'e'];
    for written in 0..14 {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        let properties = [Property::MessageExpiryInterval(100)];
        let properties = Properties::of(&properties);
        t.session
            .publish(&mqtt_session::Publish { qos: AtLeastOnce, properties, ..mqtt_session::Publish::new("t", b"e") })
            .unwrap();
        t.shows(packet(0, 100), written);
        t.passes(30_000);
        t.cut();
        t.now -= 20_000;
        t.closes(CloseReason::ConnectionLost);
        t.passes(10_000);
        t.asks(true);
        t.accepts();
        t.sends((t.connack(true), packet(8, 60)));
        t.quiet();
    }
}
