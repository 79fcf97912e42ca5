//! When the will is due, and when it is not.

use mqtt_session::QoS::AtLeastOnce;
use mqtt_session::server::Event;
use mqtt_session::{Acknowledge, CloseReason, Outcome, Properties, Property, ReasonCode, Version, Violation};

use super::packets::{packet_id, qos0, qos1};
use super::trace::{Hello, LASTING, PASSING, Trace, both};

const WITH_WILL: Hello = Hello { will: Some(""), ..LASTING };

fn with_will() -> [Trace; 2] {
    both().map(|mut t| {
        t.hello = WITH_WILL;
        t.connects();
        t
    })
}

/// [MQTT-3.1.2-8]
#[test]
fn a_lost_link_makes_the_will_due() {
    for mut t in with_will() {
        t.receives(qos0("a"));
        t.loses_link();
        t.message(qos0("a"));
        t.will_due(0);
        t.closes(CloseReason::ConnectionLost);
        // Once.
        t.hello.will = None;
        t.resumes();
        t.cut();
    }
}

/// [MQTT-3.1.2-10] in 3.1.1, [MQTT-3.14.4-3] in 5.0
#[test]
fn a_clean_end_takes_the_will_back() {
    for mut t in with_will() {
        t.receives("E0 00");
        t.disconnected(ReasonCode::NORMAL_DISCONNECTION);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::NORMAL_DISCONNECTION));
        t.resumes();
        // Also if the link is lost with it.
        t.receives("E0 00");
        t.loses_link();
        t.disconnected(ReasonCode::NORMAL_DISCONNECTION);
        t.closes(CloseReason::DisconnectedByPeer(ReasonCode::NORMAL_DISCONNECTION));
    }
}

/// Any other code than success.
#[test]
fn a_disconnect_may_ask_for_the_will() {
    for byte in [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99] {
        let code = ReasonCode::of_byte(byte).unwrap();
        let mut t = <Trace>::new(Version::V5);
        t.hello = WITH_WILL;
        t.connects();
        t.receives(vec![0xE0, 1, byte]);
        t.disconnected(code);
        t.will_due(0);
        t.closes(CloseReason::DisconnectedByPeer(code));
    }
}

#[test]
fn a_fault_of_the_client_makes_the_will_due() {
    for mut t in with_will() {
        t.receives("36 00");
        if t.is_v5() {
            t.sends("E0 01 81");
        }
        t.will_due(0);
        t.closes(CloseReason::Violation(Violation::PublishQosReserved));
    }
}

#[test]
fn silence_makes_the_will_due() {
    for mut t in both() {
        t.hello = Hello { keep_alive: 10, ..WITH_WILL };
        t.connects();
        t.passes(15_000);
        if t.is_v5() {
            t.sends("E0 01 8D");
        }
        t.will_due(0);
        t.closes(CloseReason::KeepAliveTimeout);
    }
}

/// The server's own end of the connection, for whatever reason, and a take-over.
#[test]
fn the_end_by_the_server_makes_the_will_due() {
    for mut t in with_will() {
        if t.is_v5() {
            t.disconnect(ReasonCode::SessionTakenOver);
            t.sends("E0 01 8E");
        } else {
            t.disconnect(ReasonCode::Success);
        }
        t.will_due(0);
        t.closes(CloseReason::Disconnected);
        t.resumes();
        // Over a new transport alone.
        t.opens();
        t.receives(t.hello);
        t.will_due(0);
        t.connecting(true);
    }
}

/// [MQTT-3.1.3-9]: a delay does not outlast the session.
#[test]
fn the_will_waits_for_its_delay_or_the_end_of_the_session() {
    for (expiry, said, delay, disconnect, due) in [
        ("11 FFFFFFFF", None, "18 0000003C", "", 60),
        ("11 0000003D", None, "18 0000003C", "", 60),
        ("11 0000003B", None, "18 0000003C", "", 59),
        ("11 0000003B", Some(10), "18 0000003C", "", 10),
        ("11 0000003B", Some(100), "18 0000003C", "", 60),
        ("11 0000003B", Some(0), "18 0000003C", "", 0),
        ("", None, "18 0000003C", "", 0),
        ("", Some(7), "18 0000003C", "", 7),
        ("11 0000003B", None, "18 FFFFFFFF", "E0 07 04 05 11 00000014", 20),
        ("11 0000003B", None, "18 FFFFFFFF", "E0 07 04 05 11 00000000", 0),
        ("11 0000003B", None, "", "", 0),
    ] {
        let mut t = <Trace>::new(Version::V5);
        t.hello = Hello { will: Some(delay), properties: expiry, ..LASTING };
        t.asks(false);
        let properties: Vec<_> = said.map(Property::SessionExpiryInterval).into_iter().collect();
        let accept = mqtt_session::server::Accept { properties: Properties::of(&properties), ..t.accept };
        t.session.accept(&accept).unwrap();
        let said = said.map_or(String::new(), |seconds| format!("11 {seconds:08X}"));
        t.sends(super::packets::connack(false, &(said + &t.limits())));
        if disconnect.is_empty() {
            t.loses_link();
        } else {
            t.receives(disconnect);
            t.event(|_, event| assert!(matches!(event, Event::Disconnected(_))));
        }
        t.will_due(due);
        t.see();
        // The next connection has another will.
        t.hello.will = Some("18 00000005");
        t.hello.properties = "11 0000003B";
        t.opens();
        t.receives(t.hello);
        let session_present = t.event(|session, event| {
            session.accept(&mqtt_session::server::Accept::default()).unwrap();
            matches!(event, Event::Connecting { session_present: true, .. })
        });
        t.sends(super::packets::connack(session_present, &t.limits()));
        t.loses_link();
        t.will_due(5);
    }
}

/// Neither rejected, nor neglected, nor lost before the answer, nor malformed.
#[test]
fn a_will_that_was_never_accepted_is_never_due() {
    for mut t in both() {
        t.hello = WITH_WILL;
        t.asks(false);
        t.rejects(ReasonCode::NotAuthorized);
        t.sends(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
        t.asks(false);
        t.sends(if t.is_v5() { "20 03 00 88 00" } else { "20 02 00 03" });
        t.closes(CloseReason::Rejected(ReasonCode::ServerUnavailable));
        t.asks(false);
        t.cut();
    }
}

/// Before what the session loses with it, and with an acknowledgement that the application still owes.
#[test]
fn the_will_is_told_before_the_losses() {
    for t in both() {
        let mut t = t.manual();
        assert_eq!(t.accept.acknowledgement, Acknowledge::Manually);
        t.hello = Hello { will: Some(""), ..PASSING };
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.receives(qos1(9, "b"));
        t.hands_out(qos1(9, "b"));
        t.loses_link();
        t.will_due(0);
        t.published(packet_id(1).get(), Outcome::Lost);
        t.closes(CloseReason::ConnectionLost);
    }
}

/// A client that was turned away does not set off the will of the one before it, nor take it back.
#[test]
fn a_will_is_told_once_whoever_comes_next() {
    for mut t in with_will() {
        t.loses_link();
        t.opens();
        t.receives(t.hello);
        t.will_due(0);
        t.connecting(true);
        t.rejects(ReasonCode::NotAuthorized);
        t.sends(if t.is_v5() { "20 03 00 87 00" } else { "20 02 00 05" });
        t.closes(CloseReason::Rejected(ReasonCode::NotAuthorized));
    }
}
