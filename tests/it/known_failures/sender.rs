//! Failures of senders: acknowledgements, resumption, and what is on the way when a link drops.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::AckType::{Puback, Pubcomp, Pubrec};
use mqtt_session::wire::{List, Properties};
use mqtt_session::{
    CloseReason, CommandError, Disconnect, Event, LostSession, Outcome, Property, ReasonCode, TopicAliases, Version,
};

use super::trace::{
    Bytes, TOPIC, Trace, aliased, both, connack, dup, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2,
    suback, subscribe,
};

/// PUBREC with a code of 0x80 or above ends the exchange: no PUBREL, and everything it held is free.
#[test]
fn s01_pubrec_with_error_ends_the_exchange() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.publish(ExactlyOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.sends(qos2(1, "a"));
    t.quiet();
    t.receives(pubrec(1).code(0x97));
    t.published(1, Outcome::Rejected(ReasonCode::QuotaExceeded));
    t.sends(qos2(2, "b"));
    t.quiet();
    assert_eq!(t.session.pending(), 1);
    t.receives(pubrec(1));
    t.stray(Pubrec, 1);
    t.sends(pubrel(1).code(0x92));
    t.quiet();
}

#[test]
fn s02_a_second_puback_is_reported_and_nothing_else() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.receives([puback(1), puback(1)]);
        t.acknowledged(1);
        t.stray(Puback, 1);
        t.quiet();
        t.publish(AtLeastOnce, "b");
        t.sends(qos1(2, "b"));
        t.receives(puback(2));
        t.acknowledged(2);
        t.quiet();
    }
}

#[test]
fn s03_pubrec_for_an_unknown_identifier_is_answered() {
    for mut t in both() {
        t.connects();
        t.receives(pubrec(77));
        t.stray(Pubrec, 77);
        t.sends(pubrel(77).code(0x92));
        t.receives(pubcomp(77).code(0x92));
        t.stray(Pubcomp, 77);
        t.quiet();
    }
}

#[test]
fn s04_a_second_pubrec_is_answered_by_pubrel_again() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        for _ in 0..2 {
            t.receives(pubrec(1));
            t.sends(pubrel(1));
            t.quiet();
        }
        t.receives(pubcomp(1));
        t.acknowledged(1);
        t.quiet();
    }
}

/// However much of the first write was reported.
#[test]
fn s05_a_publish_cut_off_in_the_middle_is_sent_again_whole() {
    for written in 0..=8 {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.shows(qos1(1, "a"), written);
            t.cut();
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.receives(puback(1));
            t.acknowledged(1);
            t.quiet();
        }
    }
}

/// The server got the first copy, so its answer may be here before the second one leaves.
#[test]
fn s05_an_answer_to_the_first_copy_spares_the_second() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.cut();
        t.connect();
        t.receives((connack(true, ""), puback(1), pubrec(2)));
        t.connected(true);
        t.acknowledged(1);
        t.sends(pubrel(2));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
    }
}

/// However much of the PUBREL was written, and even if it was never shown.
#[test]
fn s06_a_pubrel_cut_off_is_sent_again() {
    for written in [None, Some(0), Some(3), Some(4)] {
        for mut t in both() {
            t.connects();
            t.publish(ExactlyOnce, "a");
            t.sends(qos2(1, "a"));
            t.receives(pubrec(1));
            match written {
                Some(written) => {
                    t.shows(pubrel(1), written);
                    t.cut();
                }
                // PUBREC is read only after the loss.
                None => t.cut(),
            }
            t.resumes();
            t.sends(pubrel(1));
            t.quiet();
            t.receives(pubcomp(1));
            t.acknowledged(1);
            t.quiet();
        }
    }
}

#[test]
fn s07_after_pubrec_only_pubrel_is_resumed() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives(pubrec(1));
        t.sends(pubrel(1));
        for _ in 0..3 {
            t.cut();
            t.resumes();
            t.sends(pubrel(1));
            t.quiet();
        }
        t.receives(pubcomp(1).code(0x92));
        let code = if t.is_v5() { ReasonCode::PacketIdentifierNotFound } else { ReasonCode::Success };
        t.published(1, Outcome::Acknowledged(code));
        t.quiet();
    }
}

/// DUP, the same identifiers, the original order: also when the table has wrapped around and after acknowledgements out
/// of order.
#[test]
fn s08_what_is_unanswered_is_resumed_in_its_order() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<1024, 5, 4, 256, 256>::new(version);
        t.connects();
        for (qos, payload) in [(AtLeastOnce, "a"), (ExactlyOnce, "b"), (AtLeastOnce, "c"), (ExactlyOnce, "d")] {
            t.publish(qos, payload);
        }
        t.sends((qos1(1, "a"), qos2(2, "b"), (qos1(3, "c"), qos2(4, "d"))));
        t.receives(puback(3));
        t.acknowledged(3);
        let fifth = t.publish(ExactlyOnce, "e");
        t.sends(qos2(fifth, "e"));
        t.receives(puback(1));
        t.acknowledged(1);
        let sixth = t.publish(AtLeastOnce, "f");
        t.sends(qos1(sixth, "f"));
        for _ in 0..2 {
            t.cut();
            t.resumes();
            t.sends([qos2(2, "b").dup(), qos2(4, "d").dup(), qos2(fifth, "e").dup(), qos1(sixth, "f").dup()]);
            t.quiet();
        }
        t.receives(puback(sixth));
        t.acknowledged(sixth);
        t.cut();
        t.resumes();
        t.sends([qos2(2, "b").dup(), qos2(4, "d").dup(), qos2(fifth, "e").dup()]);
        t.quiet();
    }
}

/// PUBRELs in the order of their PUBRECs, before any PUBLISH.
#[test]
fn s08_pubrels_are_resumed_in_the_order_of_their_pubrecs() {
    for mut t in both() {
        t.connects();
        for payload in ["a", "b", "c", "d"] {
            t.publish(ExactlyOnce, payload);
        }
        t.sends([qos2(1, "a"), qos2(2, "b"), qos2(3, "c"), qos2(4, "d")]);
        t.receives([pubrec(4), pubrec(1), pubrec(3)]);
        t.sends([pubrel(4), pubrel(1), pubrel(3)]);
        t.receives(pubcomp(1));
        t.acknowledged(1);
        t.cut();
        t.resumes();
        t.sends((pubrel(4), pubrel(3), qos2(2, "b").dup()));
        t.quiet();
    }
}

/// The session of 5.0 that the server has lost: one outcome for each message that was in flight.
#[test]
fn s13_messages_in_flight_are_lost_with_the_session() {
    for policy in [LostSession::Standard, LostSession::Report] {
        let mut t = <Trace>::new(Version::V5);
        t.options.lost_session = policy;
        in_flight_and_queued(&mut t);
        t.connects();
        t.published(3, Outcome::LostUnconfirmed);
        t.published(1, Outcome::Lost);
        t.published(2, Outcome::Lost);
        t.sends(qos1(4, "d"));
        t.quiet();
        t.receives(puback(4));
        t.acknowledged(4);
        t.quiet();
        assert_eq!(t.session.pending(), 0);
    }
}

#[test]
fn s13_messages_in_flight_are_published_anew_by_policy() {
    let mut t = <Trace>::new(Version::V5);
    t.options.lost_session = LostSession::Republish;
    in_flight_and_queued(&mut t);
    t.connects();
    t.published(3, Outcome::LostUnconfirmed);
    let mut renewed = [0; 2];
    for (renewed, old) in renewed.iter_mut().zip([1, 2]) {
        *renewed = t.event(|_, event| match event {
            Event::Republished { lost, packet_id } if lost.get() == old => packet_id.get(),
            _ => 0,
        });
        assert!(![0, 1, 2, 3, 4].contains(renewed), "{renewed}");
    }
    t.sends((qos1(renewed[0], "a"), qos2(renewed[1], "b"), qos1(4, "d")));
    t.quiet();
    t.receives(puback(1));
    t.stray(Puback, 1);
    t.receives(puback(renewed[0]));
    t.acknowledged(renewed[0]);
    t.quiet();
}

/// 3.1.1 resumes whatever Session Present says, unless the application wants otherwise. [MQTT-4.4.0-1]
#[test]
fn s13_in_3_1_1_messages_in_flight_are_sent_again_or_reported() {
    for policy in [LostSession::Standard, LostSession::Report] {
        let mut t = <Trace>::new(Version::V311);
        t.options.lost_session = policy;
        in_flight_and_queued(&mut t);
        t.connects();
        if policy == LostSession::Report {
            t.published(3, Outcome::LostUnconfirmed);
            t.published(1, Outcome::Lost);
            t.published(2, Outcome::Lost);
        } else {
            t.sends((pubrel(3), qos1(1, "a").dup(), qos2(2, "b").dup()));
        }
        t.sends(qos1(4, "d"));
        t.quiet();
    }
}

/// A clean start gives the session up: the same, but before the connection.
#[test]
fn s13_a_clean_start_loses_what_is_in_flight() {
    for version in [Version::V311, Version::V5] {
        let mut t = <Trace>::new(version);
        in_flight_and_queued(&mut t);
        t.options.clean_start = true;
        t.begins();
        t.published(3, Outcome::LostUnconfirmed);
        t.published(1, Outcome::Lost);
        t.published(2, Outcome::Lost);
        t.sends(t.connect_packet());
        t.receives(connack(false, ""));
        t.connected(false);
        t.sends(qos1(4, "d"));
        t.quiet();
    }
}

/// A session that ends with its connection tells it before the end.
#[test]
fn s13_a_short_session_loses_what_is_in_flight() {
    for mut t in both() {
        t.options.clean_start = true;
        t.options.properties = Properties::EMPTY;
        t.connects_with(false, "21 0001");
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.loses_link();
        t.published(1, Outcome::Lost);
        t.closes(CloseReason::ConnectionLost);
        t.publish(ExactlyOnce, "b");
        t.connects();
        t.sends(qos2(2, "b"));
        t.quiet();
    }
}

/// Messages 1 (QoS 1) and 2 (QoS 2) shown, 3 with PUBREC, 4 never shown; then the link is lost.
fn in_flight_and_queued(t: &mut Trace) {
    t.connects_with(false, "21 0003");
    t.publish(AtLeastOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.publish(ExactlyOnce, "c");
    t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
    t.receives(pubrec(3));
    t.sends(pubrel(3));
    if t.is_v5() {
        t.publish(AtLeastOnce, "d");
        t.quiet();
    }
    t.cut();
    if !t.is_v5() {
        t.publish(AtLeastOnce, "d");
    }
}

#[test]
fn s15_a_late_acknowledgement_completes_no_new_message() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 1, 1, 256, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.receives(puback(1));
        t.acknowledged(1);
        let second = t.publish(ExactlyOnce, "b");
        t.sends(qos2(second, "b"));
        t.receives(puback(1));
        t.stray(Puback, 1);
        t.receives(pubrec(second));
        t.sends(pubrel(second));
        t.receives([pubcomp(second), pubcomp(second)]);
        t.acknowledged(second);
        let third = t.publish(ExactlyOnce, "c");
        t.stray(Pubcomp, second);
        t.sends(qos2(third, "c"));
        t.quiet();
        assert_eq!(t.session.pending(), 1);
    }
}

/// The connection ends, the message is kept.
#[test]
fn s16_the_acknowledgement_of_the_other_qos_is_an_error() {
    for (publish, qos, wrong) in
        [(qos1(1, "a"), AtLeastOnce, [pubrec(1), pubcomp(1)]), (qos2(1, "a"), ExactlyOnce, [puback(1), pubcomp(1)])]
    {
        for wrong in wrong {
            for mut t in both() {
                t.connects();
                t.publish(qos, "a");
                t.sends(publish);
                t.receives(wrong);
                t.fails(CloseReason::UnexpectedAcknowledgement, 0x82);
                t.resumes();
                t.sends(publish.dup());
                t.quiet();
            }
        }
    }
}

#[test]
fn s16_puback_after_pubrec_is_an_error() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives(pubrec(1));
        t.sends(pubrel(1));
        t.receives(puback(1));
        t.fails(CloseReason::UnexpectedAcknowledgement, 0x82);
        t.resumes();
        t.sends(pubrel(1));
        t.quiet();
    }
}

#[test]
fn s17_the_identifiers_of_the_two_directions_are_unrelated() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "out");
        t.sends(qos1(1, "out"));
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        t.sends(puback(1));
        t.receives(qos2(1, "in"));
        t.message(qos2(1, "in"));
        t.sends(pubrec(1));
        t.receives((puback(1), pubrel(1)));
        t.acknowledged(1);
        t.sends(pubcomp(1));
        t.quiet();
    }
}

#[test]
fn s18_one_identifier_in_both_directions_is_resumed_in_both() {
    for mut t in both() {
        t.connects();
        for id in 1..=4 {
            t.publish(AtLeastOnce, "x");
            t.sends(qos1(id, "x"));
            t.receives(puback(id));
            t.acknowledged(id);
        }
        t.publish(ExactlyOnce, "out");
        t.sends(qos2(5, "out"));
        t.receives((pubrec(5), qos2(5, "in")));
        t.message(qos2(5, "in"));
        t.sends((pubrel(5), pubrec(5)));
        t.cut();
        t.announced = 7;
        t.resumes();
        t.sends(pubrel(5));
        t.quiet();
        t.receives(qos2(5, "in").dup());
        t.sends(pubrec(5));
        t.receives(pubcomp(5));
        t.acknowledged(5);
        t.receives(pubrel(5));
        t.sends(pubcomp(5));
        t.quiet();
    }
}

/// Of QoS 0, QoS 1 and SUBSCRIBE, after each of their bytes.
#[test]
fn s21_the_rest_of_a_packet_is_not_sent_on_the_next_connection() {
    for written in 0..=6 {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.shows(qos1(1, "a"), written);
            t.cut();
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.publish(AtMostOnce, "b");
            t.shows(qos0("b"), written.min(5));
            t.loses_link();
            t.dropped(1);
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.quiet();
            let id = t.subscribe("f");
            t.shows(subscribe(id, "f"), written);
            t.loses_link();
            t.tells(&Event::RequestLost { packet_id: packet_id(id) });
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.quiet();
        }
    }
}

/// Neither never shown, nor shown, nor half written.
#[test]
fn s22_acknowledgements_die_with_their_connection() {
    for written in [None, Some(0), Some(3)] {
        for mut t in both() {
            t.connects();
            t.receives((qos1(7, "a"), qos2(8, "b")));
            t.message(qos1(7, "a"));
            t.message(qos2(8, "b"));
            if let Some(written) = written {
                t.shows((puback(7), pubrec(8)), written);
            }
            t.cut();
            t.announced = 7;
            t.resumes();
            t.quiet();
            t.receives((qos1(7, "other"), qos2(8, "b").dup()));
            t.message(qos1(7, "other"));
            t.sends((puback(7), pubrec(8)));
            t.quiet();
        }
    }
}

#[test]
fn s23_a_refusal_carries_identifier_and_code() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.receives(puback(1).code(0x87));
    t.published(1, Outcome::Rejected(ReasonCode::NotAuthorized));
    t.quiet();
    for mut t in both() {
        t.connects();
        let id = t.subscribe("f");
        t.sends(subscribe(id, "f"));
        t.receives(suback(id, &[0x80]));
        let codes = [ReasonCode::UnspecifiedError];
        t.tells(&Event::Subscribed {
            packet_id: packet_id(id),
            reason_codes: List::of(&codes),
            properties: Properties::EMPTY,
        });
        t.quiet();
        assert_eq!(t.session.pending(), 0);
    }
}

/// QoS 1: whether the cut is before the answer or behind it, and whether the next connection has aliases or not. The
/// peer forgets them with the connection.
#[test]
fn s24_a_topic_alias_dies_with_its_connection() {
    for aliases in ["", "22 0002"] {
        let mut t = aliasing();
        t.connects_with(false, "22 0002");
        let answered = t.publish_as(1, AtLeastOnce, TOPIC, "a");
        t.sends(aliased(AtLeastOnce, answered, TOPIC, 1, "a"));
        let first = t.publish_as(1, AtLeastOnce, TOPIC, "b");
        let second = t.publish_as(1, AtLeastOnce, TOPIC, "c");
        t.sends([aliased(AtLeastOnce, first, "", 1, "b"), aliased(AtLeastOnce, second, "", 1, "c")]);
        t.receives(puback(answered));
        t.acknowledged(answered);
        t.cut();
        t.connects_with(true, aliases);
        if aliases.is_empty() {
            t.sends((qos1(first, "b").dup(), qos1(second, "c").dup()));
        } else {
            t.sends(dup(aliased(AtLeastOnce, first, TOPIC, 1, "b")));
            t.sends(dup(aliased(AtLeastOnce, second, "", 1, "c")));
        }
        t.quiet();
        t.receives((puback(first), puback(second)));
        t.acknowledged(first);
        t.acknowledged(second);
        t.quiet();
    }
}

/// QoS 2: before PUBREC the message with its topic, behind it PUBREL alone.
#[test]
fn s24_a_topic_alias_dies_with_its_connection_in_qos_2() {
    for aliases in ["", "22 0002"] {
        let mut t = aliasing();
        t.connects_with(false, "22 0002");
        let received = t.publish_as(1, ExactlyOnce, TOPIC, "a");
        t.sends(aliased(ExactlyOnce, received, TOPIC, 1, "a"));
        let id = t.publish_as(1, ExactlyOnce, TOPIC, "b");
        t.sends(aliased(ExactlyOnce, id, "", 1, "b"));
        t.receives(pubrec(received));
        t.sends(pubrel(received));
        t.cut();
        t.connects_with(true, aliases);
        t.sends(pubrel(received));
        if aliases.is_empty() {
            t.sends(qos2(id, "b").dup());
        } else {
            t.sends(dup(aliased(ExactlyOnce, id, TOPIC, 1, "b")));
        }
        t.quiet();
        t.receives((pubcomp(received), pubrec(id)));
        t.acknowledged(received);
        t.sends(pubrel(id));
        t.receives(pubcomp(id));
        t.acknowledged(id);
        t.quiet();
    }
}

/// A session with two topic aliases of its own.
fn aliasing() -> Trace {
    let mut t = Trace::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 2, topic: 8 };
    t
}

#[test]
fn s25_a_second_connack_is_an_error_and_the_state_is_kept() {
    for session_present in [false, true] {
        for mut t in both() {
            t.connects();
            t.publish(AtLeastOnce, "a");
            t.sends(qos1(1, "a"));
            t.receives(connack(session_present, ""));
            t.fails(CloseReason::ConnackRepeated, 0x82);
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.receives(puback(1));
            t.acknowledged(1);
            t.quiet();
        }
    }
}

#[test]
fn s26_nothing_may_come_before_connack() {
    for mut t in both() {
        let mut early = vec![qos0("a").bytes(t.version), qos1(1, "a").bytes(t.version), qos2(1, "a").bytes(t.version)];
        early.extend([puback(1).bytes(t.version), pubrec(1).bytes(t.version), pubrel(1).bytes(t.version)]);
        early.extend([vec![0xD0, 0x00], suback(1, &[0]).bytes(t.version)]);
        if t.is_v5() {
            early.push(vec![0xE0, 0x00]);
        }
        for packet in early {
            t.connect();
            t.receives(packet);
            t.fails(CloseReason::ConnackMissing, 0x82);
        }
        t.connects();
        t.quiet();
    }
}

/// Neither what is stored from before nor what is published meanwhile.
#[test]
fn s26_nothing_leaves_before_connack() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.receives(pubrec(2));
        t.sends(pubrel(2));
        t.cut();
        t.publish(AtMostOnce, "c");
        t.connect();
        t.publish(AtLeastOnce, "d");
        t.publish(AtMostOnce, "e");
        t.quiet();
        t.passes(9_000);
        t.quiet();
        t.receives(connack(true, ""));
        t.connected(true);
        t.sends((pubrel(2), qos1(1, "a").dup(), (qos0("c"), qos1(3, "d"), qos0("e"))));
        t.quiet();
    }
}

/// Behind a packet that is half written, nothing is moved, changed or used for another message.
#[test]
fn s28_a_half_written_publish_is_pinned() {
    for (publish, qos) in [(qos1(1, "first"), AtLeastOnce), (qos2(1, "first"), ExactlyOnce)] {
        for version in [Version::V311, Version::V5] {
            // Two packets fit, but not three.
            let mut t = Trace::<60, 4, 4, 256, 256>::new(version);
            t.connects();
            t.publish(qos, "first");
            t.shows(publish, 3);
            t.receives(if qos == AtLeastOnce { puback(1) } else { pubrec(1) });
            if qos == AtLeastOnce {
                t.acknowledged(1);
            }
            let rest = publish.bytes(t.version).split_off(3);
            t.shows(rest.clone(), 0);
            t.publish(AtLeastOnce, "2");
            assert!(t.try_publish(AtLeastOnce, "third").is_err());
            t.shows(rest.clone(), 2);
            t.sends(rest.get(2..).unwrap_or_default().to_vec());
            t.tells(&Event::Writable);
            if qos == ExactlyOnce {
                t.sends(pubrel(1));
            }
            t.sends(qos1(2, "2"));
            t.publish(AtLeastOnce, "third");
            t.sends(qos1(3, "third"));
            t.quiet();
        }
    }
}

/// Nothing of it is reported as written, but it may have arrived.
#[test]
fn s29_shown_is_sent() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.shows(qos2(1, "a"), 0);
        t.cut();
        t.resumes();
        t.shows(qos2(1, "a").dup(), 0);
        t.cut();
        t.connects();
        if t.is_v5() {
            t.published(1, Outcome::Lost);
        } else {
            t.sends(qos2(1, "a").dup());
        }
        t.quiet();
    }
}

#[test]
fn s30_a_shown_message_of_qos_0_is_gone_with_its_connection() {
    for written in 0..=5 {
        for mut t in both() {
            t.connects();
            t.publish(AtMostOnce, "shown");
            t.publish(AtMostOnce, "queued");
            t.shows(qos0("shown"), written);
            t.loses_link();
            t.dropped(1);
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.sends(qos0("queued"));
            t.quiet();
        }
    }
}

#[test]
fn s31_the_refusal_of_an_older_server_is_understood() {
    let mut t = <Trace>::new(Version::V5);
    t.connect();
    t.receives("20 02 00 01");
    t.closes(CloseReason::UnsupportedVersion);
    let mut older = <Trace>::new(Version::V311);
    older.session = t.session;
    older.connects();
    older.quiet();
}

#[test]
fn s32_what_needs_no_answer_leaves_before_disconnect() {
    for mut t in both() {
        t.connects();
        t.publish(AtMostOnce, "a");
        t.publish(AtLeastOnce, "b");
        t.disconnect();
        t.sends((qos0("a"), qos1(1, "b"), "E0 00"));
        t.closes(CloseReason::Disconnected);
        t.resumes();
        t.sends(qos1(1, "b").dup());
        t.quiet();
    }
}

#[test]
fn s32_disconnect_within_a_handler_acknowledges_its_message() {
    for message in [qos1(7, "in"), qos2(7, "in")] {
        for mut t in both() {
            t.connects();
            t.receives((message, qos1(8, "not seen")));
            let done = t.event(|session, event| {
                assert!(matches!(event, Event::Message(_)), "{event:?}");
                session.disconnect(&Disconnect::default())
            });
            assert_eq!(done, Ok(()));
            t.sends((message.answer(), "E0 00"));
            t.closes(CloseReason::Disconnected);
        }
    }
}

/// However long nothing has happened before.
#[test]
fn s32_disconnect_leaves_after_a_long_silence() {
    for mut t in both() {
        t.connects();
        t.passes(3_600_000);
        t.publish(AtMostOnce, "a");
        t.disconnect();
        t.sends((qos0("a"), "E0 00"));
        t.closes(CloseReason::Disconnected);
    }
}

/// A DISCONNECT with a text may be refused as long as there is no room for it, but it drops no acknowledgement.
#[test]
fn s32_a_long_disconnect_displaces_no_acknowledgement() {
    let text = [Property::ReasonString("twenty-one characters")];
    let farewell = Disconnect { properties: List::of(&text), ..Disconnect::default() };
    let packet = ("E0 1A 00 18 1F 0015", text_of(&text));
    for message in [qos1(7, "in"), qos2(7, "in")] {
        let mut t = Trace::<64, 1, 1, 40, 64>::new(Version::V5);
        t.connects();
        t.receives(message);
        let done = t.event(|session, event| {
            assert!(matches!(event, Event::Message(_)), "{event:?}");
            session.disconnect(&farewell)
        });
        t.sends(message.answer());
        if done.is_err() {
            assert_eq!(t.session.disconnect(&farewell), Ok(()));
        }
        t.sends(&packet);
        t.closes(CloseReason::Disconnected);
    }
}

fn text_of(properties: &[Property<'_>]) -> Vec<u8> {
    match properties {
        [Property::ReasonString(text)] => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// A command refused for want of room is told when there is room.
#[test]
fn s32_a_refused_disconnect_is_told_when_to_try_again() {
    let text = [Property::ReasonString("twenty-one characters")];
    let farewell = Disconnect { properties: List::of(&text), ..Disconnect::default() };
    let mut t = Trace::<64, 1, 4, 40, 64>::new(Version::V5);
    t.connects();
    t.receives([qos1(1, "a"), qos1(2, "b"), qos1(3, "c"), qos1(4, "d")]);
    for (id, payload) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        t.message(qos1(id, payload));
    }
    t.shows([puback(1), puback(2), puback(3), puback(4)], 0);
    assert_eq!(t.session.disconnect(&farewell), Err(CommandError::Full));
    t.sends([puback(1), puback(2), puback(3), puback(4)]);
    t.tells(&Event::Writable);
    assert_eq!(t.session.disconnect(&farewell), Ok(()));
    t.sends(("E0 1A 00 18 1F 0015", text_of(&text)));
    t.closes(CloseReason::Disconnected);
}
