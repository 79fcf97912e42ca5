//! Failures around acknowledgements, as a server's end meets them; the numbers are those of the client's tests.

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::{AckType, CloseReason, Disconnect, Outcome, ReasonCode, Version, Violation};

use super::packets::{Pub, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2};
use super::trace::{Hello, LASTING, PASSING, Trace, both};

/// What a server says last: nothing in 3.1.1.
fn farewell(t: &Trace) -> &'static str {
    if t.is_v5() { "E0 00" } else { "" }
}

#[track_caller]
fn handler_disconnects(t: &mut Trace, message: Pub) {
    let disconnected = t.event(|session, event| {
        assert!(matches!(event, Event::Message(found) if message.is(&found)));
        session.disconnect(&Disconnect::default())
    });
    assert_eq!(disconnected, Ok(()));
}

fn three_under_way(t: &mut Trace) {
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.publish(ExactlyOnce, "c");
    t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
    t.receives(pubrec(3));
    t.sends(pubrel(3));
}

/// T7. One read brings a message whose handler disconnects, and behind it acknowledgements: they count. The messages and
/// requests between them do not.
#[test]
fn t07_acknowledgements_that_are_here_count_when_a_handler_disconnects() {
    for mut t in both() {
        three_under_way(&mut t);
        let subscribe = if t.is_v5() { "82 07 0005 00 0001 66 00" } else { "82 06 0005 0001 66 00" };
        t.receives((qos1(7, "in"), (puback(1), subscribe, qos2(8, "x")), (pubrec(2), qos0("y"), pubcomp(3))));
        handler_disconnects(&mut t, qos1(7, "in"));
        t.acknowledged(1);
        t.acknowledged(3);
        t.sends((puback(7), pubrel(2), farewell(&t)));
        t.closes(CloseReason::Disconnected);
        assert_eq!(t.session.pending(), 1);
        t.resumes();
        t.sends(pubrel(2));
        t.receives((pubcomp(2), qos2(8, "x").dup()));
        t.acknowledged(2);
        t.message(qos2(8, "x").dup());
        t.sends(pubrec(8));
        t.quiet();
    }
}

/// T7. The transport is lost before another poll.
#[test]
fn t07_acknowledgements_that_are_here_count_though_the_link_is_lost() {
    for mut t in both() {
        three_under_way(&mut t);
        t.receives((puback(1), qos1(7, "x"), (pubrec(2), pubcomp(3))));
        t.disconnect(ReasonCode::Success);
        t.loses_link();
        t.acknowledged(1);
        t.acknowledged(3);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.sends(pubrel(2));
        t.quiet();
    }
}

/// T7. A session that ends with its connection.
#[test]
fn t07_nothing_that_was_acknowledged_is_lost_with_a_short_session() {
    for mut t in both() {
        t.hello = PASSING;
        three_under_way(&mut t);
        t.receives((qos0("in"), puback(1), pubrec(2)));
        handler_disconnects(&mut t, qos0("in"));
        t.acknowledged(1);
        t.sends((pubrel(2), farewell(&t)));
        t.published(3, Outcome::LostUnconfirmed);
        t.published(2, Outcome::LostUnconfirmed);
        t.closes(CloseReason::Disconnected);
    }
}

/// T7. The client has disconnected, and that is here: its will is taken back. [MQTT-3.14.4-3]
#[test]
fn t07_a_disconnect_that_is_here_takes_the_will_back() {
    for (client_leaves, version) in [true, false].into_iter().flat_map(|it| [(it, Version::V311), (it, Version::V5)]) {
        let mut t = <Trace>::new(version);
        t.hello = Hello { will: Some(""), ..LASTING };
        t.connects();
        t.receives((qos0("in"), qos0("not told"), if client_leaves { "E0 00" } else { "" }));
        handler_disconnects(&mut t, qos0("in"));
        if client_leaves {
            t.disconnected(ReasonCode::Success);
            t.closes(CloseReason::DisconnectedByPeer(ReasonCode::Success));
        } else {
            t.sends(farewell(&t));
            t.will_due(0);
            t.closes(CloseReason::Disconnected);
        }
    }
}

/// T8. What PUBREC says of a message of QoS 2 is told, and the outcome does not forget it.
#[test]
fn t08_what_pubrec_says_is_told() {
    for is_cut in [false, true] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives("50 09 0001 10 05 1F 0002 6869");
        let found = t.event(|_, event| match event {
            Event::Received { packet_id, reason_code, properties } => {
                (packet_id.get(), reason_code, properties.reason_string() == Some("hi"))
            }
            _ => (0, ReasonCode::Success, false),
        });
        assert_eq!(found, (1, ReasonCode::NoMatchingSubscribers, true));
        if is_cut {
            t.cut();
            t.resumes();
        }
        t.sends(pubrel(1));
        t.receives(pubcomp(1));
        t.published(1, Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers));
        t.quiet();
    }
}

/// T13. A client that counts each PUBCOMP, as 4.9 says, may have one message more under way than we announced.
#[test]
fn t13_a_peer_that_counts_each_pubcomp_is_borne() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.receives(qos2(1, "old"));
    t.message(qos2(1, "old"));
    t.sends(pubrec(1));
    t.cut();
    t.announced = 7;
    t.resumes();
    t.receives(pubrel(1));
    t.sends(pubcomp(1));
    for message in [11, 12, 13, 14, 15, 16, 17].map(|id| qos2(id, "new")) {
        t.receives(message);
        t.message(message);
        t.sends(message.answer());
    }
    t.receives(qos2(18, "new"));
    t.message(qos2(18, "new"));
    t.sends(pubrec(18));
    t.receives(qos1(19, "new"));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
}

/// T14. Message 1 was refused and 2 accepted, and both PUBRECs are lost. [MQTT-4.6.0-3]
#[test]
fn t14_a_repeated_pubrec_leaves_in_the_order_of_the_messages() {
    let mut t = <Trace>::new(Version::V5).manual();
    t.connects();
    t.receives([qos2(1, "a"), qos2(2, "b")]);
    let (first, second) = (t.hands_out(qos2(1, "a")), t.hands_out(qos2(2, "b")));
    t.acknowledge(second);
    assert_eq!(t.session.acknowledge(first, ReasonCode::QuotaExceeded), Ok(()));
    t.shows([pubrec(1).code(0x97), pubrec(2)], 0);
    t.cut();
    t.announced = 7;
    t.resumes();
    t.receives([qos2(1, "a").dup(), qos2(2, "b").dup()]);
    let again = t.hands_out(qos2(1, "a").dup());
    t.quiet();
    t.acknowledge(again);
    t.sends([pubrec(1), pubrec(2)]);
    t.receives([pubrel(1), pubrel(2)]);
    t.sends([pubcomp(1), pubcomp(2)]);
    t.quiet();
}

/// T16. A refusal with a code that PUBREC does not have is a refusal of that message; below 0x80 it is an error.
#[test]
fn t16_a_code_of_another_table_refuses_the_message() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.sends((qos2(1, "a"), qos2(2, "b")));
    t.receives(pubrec(1).code(0x93));
    t.published(1, Outcome::Rejected(ReasonCode::ReceiveMaximumExceeded));
    t.tells(&Event::Tolerated(CloseReason::Violation(Violation::PubrecCodeReserved)));
    t.quiet();
    t.receives(pubrec(2).code(0x01));
    t.fails(CloseReason::Violation(Violation::PubrecCodeReserved), 0x82);
}

/// T17. The client sends a message again on the same connection before it is acknowledged.
#[test]
fn t17_a_repeat_on_the_same_connection_is_borne() {
    for message in [qos1(7, "a"), qos2(7, "a")] {
        for t in both() {
            let mut t = t.manual();
            t.connects();
            t.receives(message);
            let handle = t.hands_out(message);
            for _ in 0..20 {
                t.receives(message.dup());
                if t.is_v5() {
                    t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
                }
                t.quiet();
            }
            t.acknowledge(handle);
            t.sends(message.answer());
            t.quiet();
            if message.answer().kind() == AckType::Puback {
                t.receives(message.dup());
                t.hands_out(message.dup());
            }
        }
    }
}

/// T17. While the handler runs, in the order in which a client repeats.
#[test]
fn t17_a_repeat_while_it_is_handled_is_borne() {
    for mut t in both() {
        t.connects();
        t.receives(([qos1(6, "a"), qos1(7, "b")], [qos1(6, "a").dup(), qos1(7, "b").dup()]));
        t.message(qos1(6, "a"));
        t.message(qos1(7, "b"));
        if t.is_v5() {
            t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
            t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
        }
        t.sends([puback(6), puback(7)]);
        t.receives(qos1(6, "a").dup());
        t.message(qos1(6, "a").dup());
        t.sends(puback(6));
        t.quiet();
    }
}

/// A new connection over a living one announces what there is room for once that one has ended.
#[test]
fn a_connection_over_a_living_one_announces_all_places_that_will_be_free() {
    for (hello, announced) in [(LASTING, 7), (PASSING, 8)] {
        let mut t = <Trace>::new(Version::V5).manual();
        t.hello = hello;
        t.connects();
        t.receives([qos1(1, "a"), qos1(2, "b"), qos2(3, "c")]);
        t.hands_out(qos1(1, "a"));
        t.hands_out(qos1(2, "b"));
        t.hands_out(qos2(3, "c"));
        t.announced = announced;
        t.connects_with(!hello.clean);
    }
}
