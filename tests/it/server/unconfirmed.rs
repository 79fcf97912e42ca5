//! A client that disconnects before it has seen CONNACK, and what this end can do before it has sent one.

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::{CloseReason, CommandError, Disconnect, DisconnectWhen, ReasonCode};

use super::packets::{qos1, qos2};
use super::trace::{PASSING, both};

const DISCONNECT: &str = "E0 00";

/// CONNECT and DISCONNECT come in one read: what is asked for is decided first, and the will is not due.
#[test]
fn a_client_that_does_not_wait_for_connack_has_disconnected() {
    for mut t in both() {
        t.hello = super::trace::Hello { will: Some(""), ..PASSING };
        t.opens();
        t.receives((t.hello, DISCONNECT));
        t.connecting(false);
        t.accepts();
        t.disconnected(ReasonCode::Success);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
    }
}

/// A session that was there is there afterwards; one that begins with this CONNECT was told to nobody.
#[test]
fn a_session_is_kept_if_there_was_one() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, DISCONNECT));
        t.connecting(false);
        t.accepts();
        t.disconnected(ReasonCode::Success);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        assert!(!t.session.is_lasting());
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.cut();
        t.opens();
        t.receives((t.hello, DISCONNECT));
        t.connecting(true);
        t.accepts();
        t.disconnected(ReasonCode::Success);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        assert!(t.session.is_lasting());
        t.resumes();
        t.sends(qos2(1, "a").dup());
    }
}

/// What comes behind a CONNECT that is rejected is not looked at. [MQTT-3.1.4-5] in 3.1.1, [MQTT-3.1.4-6] in 5.0
#[test]
fn a_disconnect_behind_a_connect_that_is_rejected_is_ignored() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, qos1(1, "x"), DISCONNECT));
        t.connecting(false);
        t.rejects(ReasonCode::NotAuthorized);
        t.sends(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
    }
}

/// Before CONNACK a server says no by CONNACK, not by DISCONNECT. [MQTT-3.14.0-1]
#[test]
fn a_server_does_not_disconnect_before_connack() {
    for mut t in both() {
        t.opens();
        let completed = Disconnect { when: DisconnectWhen::Completed { timeout: None }, ..Disconnect::default() };
        for asked in [false, true] {
            if asked {
                t.receives(t.hello);
                t.connecting(false);
            }
            for disconnect in [Disconnect::default(), completed] {
                assert_eq!(t.session.disconnect(&disconnect), Err(CommandError::Offline));
            }
        }
        t.accepts();
        t.publish(AtLeastOnce, "a");
        // CONNACK is given, though not written: now it may.
        t.disconnect(ReasonCode::Success);
        t.sends((t.connack(false), qos1(1, "a"), if t.is_v5() { DISCONNECT } else { "" }));
        t.closes(CloseReason::Disconnected);
    }
}
