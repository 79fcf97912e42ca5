//! Known failures of other implementations, as a server's end meets them: S are failures of senders, R of receivers. The
//! numbers are those of the client's tests; left out is what only a client does (S13, S20, S23, S25, S26, S31, S32).

use std::thread;

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::server::Event;
use mqtt_session::wire::AckType::{Puback, Pubcomp, Pubrec};
use mqtt_session::{
    CloseReason, CommandError, Outcome, Property, Publish, QoS, ReasonCode, TopicAliases, Version, Violation,
};

use super::packets::{Bytes, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2};
use super::trace::{PASSING, Trace, both};

fn receive_maximum(t: &mut Trace, maximum: u16) {
    t.hello.properties = match maximum {
        1 => "11 FFFFFFFF 21 0001",
        2 => "11 FFFFFFFF 21 0002",
        _ => "11 FFFFFFFF",
    };
}

#[test]
fn s01_pubrec_with_error_ends_the_exchange() {
    let mut t = <Trace>::new(Version::V5);
    receive_maximum(&mut t, 1);
    t.connects();
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

/// The answer to the first copy may come with CONNECT.
#[test]
fn s05_an_answer_to_the_first_copy_spares_the_second() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends((qos1(1, "a"), qos2(2, "b")));
        t.cut();
        t.opens();
        t.receives((t.hello, puback(1), pubrec(2)));
        t.connecting(true);
        t.accepts();
        t.acknowledged(1);
        t.sends((t.connack(true), pubrel(2)));
        t.receives(pubcomp(2));
        t.acknowledged(2);
        t.quiet();
    }
}

#[test]
fn s06_a_pubrel_cut_off_is_sent_again() {
    for written in [None, Some(0), Some(3), Some(4)] {
        for mut t in both() {
            t.connects();
            t.publish(ExactlyOnce, "a");
            t.sends(qos2(1, "a"));
            t.receives(pubrec(1));
            if let Some(written) = written {
                t.shows(pubrel(1), written);
            }
            t.cut();
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

#[test]
fn s08_what_is_unanswered_is_resumed_in_its_order() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<1024, 4, 4, 256, 256>::new(version);
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
    }
}

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

#[test]
fn s09_a_smaller_receive_maximum_bounds_what_is_sent_again() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    for payload in ["a", "b", "c", "d"] {
        t.publish(AtLeastOnce, payload);
    }
    t.sends([qos1(1, "a"), qos1(2, "b"), qos1(3, "c"), qos1(4, "d")]);
    t.cut();
    receive_maximum(&mut t, 2);
    t.resumes();
    t.sends([qos1(1, "a").dup(), qos1(2, "b").dup()]);
    t.quiet();
    for (id, next) in [(1, qos1(3, "c")), (2, qos1(4, "d"))] {
        t.receives(puback(id));
        t.acknowledged(id);
        t.sends(next.dup());
        t.quiet();
    }
    t.publish(AtLeastOnce, "e");
    t.quiet();
    t.receives([puback(3), puback(4)]);
    t.acknowledged(3);
    t.acknowledged(4);
    t.sends(qos1(5, "e"));
    t.quiet();
}

#[test]
fn s10_a_message_counts_until_pubcomp() {
    let mut t = <Trace>::new(Version::V5);
    receive_maximum(&mut t, 1);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.sends(qos2(1, "a"));
    t.quiet();
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.quiet();
    t.receives(pubcomp(1));
    t.acknowledged(1);
    t.sends(qos1(2, "b"));
    t.quiet();
}

/// A PUBREL that was carried over has taken no quota here.
#[test]
fn s10_the_pubcomp_of_an_earlier_connection_frees_nothing() {
    let mut t = <Trace>::new(Version::V5);
    receive_maximum(&mut t, 1);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.sends(qos2(1, "a"));
    t.receives(pubrec(1));
    t.sends(pubrel(1));
    t.cut();
    t.publish(AtLeastOnce, "b");
    t.publish(AtLeastOnce, "c");
    t.resumes();
    t.sends((pubrel(1), qos1(2, "b")));
    t.receives(pubcomp(1));
    t.acknowledged(1);
    t.quiet();
    t.receives(puback(2));
    t.acknowledged(2);
    t.sends(qos1(3, "c"));
}

#[test]
fn s11_limits_are_not_those_of_the_connection_before() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "11 FFFFFFFF 21 0001 27 00000010 22 0005";
    t.accept.topic_aliases = TopicAliases { maximum: 5, topic: 4 };
    t.connects();
    t.cut();
    receive_maximum(&mut t, 0);
    t.resumes();
    for payload in ["a", "b"] {
        t.publish(AtLeastOnce, payload);
    }
    t.publish(AtMostOnce, "more than sixteen bytes");
    t.sends((qos1(1, "a"), qos1(2, "b"), qos0("more than sixteen bytes")));
    let aliased = Publish { topic_alias: core::num::NonZeroU16::new(1), ..Publish::new("t", b"") };
    assert_eq!(t.session.publish(&aliased), Err(CommandError::TopicAliasUnsupported));
}

#[test]
fn s12_every_message_is_released() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<1024, 20, 4, 30, 256>::new(version);
        t.connects();
        for id in 1..=20 {
            t.publish(ExactlyOnce, "a");
            t.sends(qos2(id, "a"));
        }
        t.receives((1..=20).map(pubrec).collect::<Vec<_>>().as_slice());
        for id in 1..=20 {
            t.sends(pubrel(id));
        }
        t.quiet();
        t.cut();
        t.resumes();
        for id in 1..=20 {
            t.sends(pubrel(id));
        }
        t.quiet();
    }
}

/// An identifier in flight is passed over, however often the others go round.
#[test]
fn s14_an_identifier_in_flight_is_not_given_again() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 1, 64, 64>::new(version);
        t.connects();
        let kept = t.publish(ExactlyOnce, "kept");
        t.sends(qos2(kept, "kept"));
        for _ in 0..70_000_u32 {
            let publish = Publish { qos: AtLeastOnce, ..Publish::new("t", b"a") };
            let id = t.session.publish(&publish).unwrap().unwrap().get();
            assert!(id != kept && id != 0);
            assert!(t.session.cancel(mqtt_session::PacketId::new(id).unwrap()));
        }
        t.receives(pubrec(kept));
        t.sends(pubrel(kept));
        t.receives(pubcomp(kept));
        t.acknowledged(kept);
        t.quiet();
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
        assert_eq!(t.session.pending(), 1);
    }
}

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
        t.publish(ExactlyOnce, "out");
        t.sends(qos2(1, "out"));
        t.receives((pubrec(1), qos2(1, "in")));
        t.message(qos2(1, "in"));
        t.sends((pubrel(1), pubrec(1)));
        t.cut();
        t.announced = 7;
        t.resumes();
        t.sends(pubrel(1));
        t.quiet();
        t.receives(qos2(1, "in").dup());
        t.sends(pubrec(1));
        t.receives(pubcomp(1));
        t.acknowledged(1);
        t.receives(pubrel(1));
        t.sends(pubcomp(1));
        t.quiet();
    }
}

#[test]
fn s19_a_full_store_refuses_and_takes_again() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 8, 1, 64, 64>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(AtLeastOnce, "b");
        let before = t.session.free_space();
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
        assert_eq!(t.session.free_space(), before);
        assert_eq!(t.session.pending(), 2);
        t.sends(qos1(1, "a"));
        t.tells(&Event::Writable);
        t.sends(qos1(2, "b"));
        assert_eq!(t.try_publish(AtLeastOnce, "c"), Err(CommandError::Full));
        t.receives(puback(1));
        t.acknowledged(1);
        t.tells(&Event::Writable);
        let third = t.publish(AtLeastOnce, "c");
        t.sends(qos1(third, "c"));
        t.quiet();
        // A full store does not stand in the way of a connection, nor of acknowledgements.
        t.cut();
        t.resumes();
        t.sends((qos1(2, "b").dup(), qos1(third, "c").dup()));
        t.receives(qos1(9, "in"));
        t.message(qos1(9, "in"));
        t.sends(puback(9));
    }
}

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
            t.asks(true);
            t.accepts();
            let connack = t.connack(true);
            t.shows(&connack, written.min(3));
            t.cut();
            t.resumes();
            t.sends(qos1(1, "a").dup());
            t.quiet();
        }
    }
}

#[test]
fn s22_acknowledgements_die_with_their_connection() {
    for written in [None, Some(0), Some(3)] {
        for mut t in both() {
            t.connects();
            t.receives(qos1(9, "a"));
            t.message(qos1(9, "a"));
            if let Some(written) = written {
                t.shows(puback(9), written);
            }
            t.cut();
            t.resumes();
            t.quiet();
        }
    }
}

#[test]
fn s24_what_was_sent_under_an_alias_is_sent_again_with_its_topic() {
    let mut t = <Trace>::new(Version::V5);
    t.hello.properties = "11 FFFFFFFF 22 0005";
    t.accept.topic_aliases = TopicAliases { maximum: 5, topic: 10 };
    t.connects();
    let alias = core::num::NonZeroU16::new(5);
    let publish = |qos| Publish { qos, topic_alias: alias, ..Publish::new("long/topic", b"") };
    t.session.publish(&publish(AtMostOnce)).unwrap();
    t.session.publish(&publish(AtLeastOnce)).unwrap();
    t.sends(("30 10 000A 6C6F6E672F746F706963 03 23 0005", "32 08 0000 0001 03 23 0005"));
    t.cut();
    t.hello.properties = "11 FFFFFFFF";
    t.resumes();
    t.sends("3A 0F 000A 6C6F6E672F746F706963 0001 00");
    t.quiet();
    t.cut();
    // Under its alias again, which is new to the new connection.
    t.hello.properties = "11 FFFFFFFF 22 0005";
    t.resumes();
    t.sends("3A 12 000A 6C6F6E672F746F706963 0001 03 23 0005");
    t.quiet();
}

#[test]
fn s27_every_identifier_in_flight() {
    let all = || {
        for version in [Version::V311, Version::V5] {
            let mut t = Box::new(Trace::<{ 30 * 65_535 }, 65_535, 1, 64, 64>::new(version));
            t.connects();
            let publish = Publish { qos: AtLeastOnce, ..Publish::new("t", b"a") };
            for _ in 0..65_535 {
                t.session.publish(&publish).unwrap();
            }
            assert_eq!(t.session.publish(&publish), Err(CommandError::Full));
            assert_eq!(t.session.pending(), 65_535);
            t.sends(qos1(1, "a"));
            t.tells(&Event::Writable);
            t.receives(puback(1));
            t.acknowledged(1);
            assert_eq!(t.session.publish(&publish).unwrap().unwrap().get(), 1);
        }
    };
    thread::Builder::new().stack_size(256 << 20).spawn(all).unwrap().join().unwrap();
}

/// Its bytes stay as they are until the last one is written.
#[test]
fn s28_a_half_written_packet_survives_its_acknowledgement() {
    for (qos, packet, ack) in [(AtLeastOnce, qos1(1, "half"), puback(1)), (ExactlyOnce, qos2(1, "half"), pubrec(1))] {
        for version in [Version::V311, Version::V5] {
            let mut t = Trace::<64, 8, 1, 64, 64>::new(version);
            t.connects();
            t.publish(qos, "half");
            t.shows(packet, 3);
            t.receives(ack);
            if qos == AtLeastOnce {
                t.acknowledged(1);
            }
            let rest = packet.bytes(version)[3..].to_vec();
            let next = t.try_publish(AtLeastOnce, "b");
            let refused = t.try_publish(AtLeastOnce, "c").is_err();
            t.shows(&rest, 1);
            if refused && qos == ExactlyOnce {
                t.tells(&Event::Writable);
            }
            t.sends(rest[1..].to_vec());
            if refused && qos == AtLeastOnce {
                t.tells(&Event::Writable);
            }
            if qos == ExactlyOnce {
                t.sends(pubrel(1));
            }
            t.sends(qos1(next.unwrap(), "b"));
        }
    }
}

#[test]
fn s29_shown_is_sent() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.shows(qos2(1, "a"), 0);
        t.cut();
        t.resumes();
        t.sends(qos2(1, "a").dup());
        t.cut();
        // To a new session it is lost.
        t.hello.clean = true;
        t.asks(false);
        t.accepts();
        t.published(1, Outcome::Lost);
        t.sends(t.connack(false));
        t.quiet();
    }
}

#[test]
fn s30_of_qos_0_nothing_is_sent_twice() {
    for written in 0..5 {
        for mut t in both() {
            t.connects();
            t.publish(AtMostOnce, "a");
            t.publish(AtMostOnce, "b");
            t.shows(qos0("a"), written);
            t.loses_link();
            t.dropped(1);
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.sends(qos0("b"));
            t.quiet();
        }
    }
}

#[test]
fn r01_a_repeat_before_pubrel_is_answered_and_not_delivered() {
    for mut t in both() {
        t.connects();
        t.receives([qos2(7, "a"), qos2(7, "a").dup(), qos2(7, "a")]);
        t.message(qos2(7, "a"));
        t.sends([pubrec(7), pubrec(7), pubrec(7)]);
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.quiet();
    }
}

#[test]
fn r02_an_identifier_may_be_used_again() {
    for mut t in both() {
        t.connects();
        for payload in ["a", "b", "c"] {
            t.receives((qos2(7, payload), pubrel(7)));
            t.message(qos2(7, payload));
            t.sends((pubrec(7), pubcomp(7)));
            t.quiet();
        }
    }
}

#[test]
fn r03_a_second_pubrel_is_answered() {
    for mut t in both() {
        t.connects();
        t.receives((qos2(7, "a"), pubrel(7)));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        t.cut();
        t.resumes();
        t.receives(pubrel(7));
        t.sends(pubcomp(7).code(0x92));
        t.quiet();
    }
}

#[test]
fn r04_held_identifiers_are_forgotten_with_their_session() {
    for mut t in both() {
        t.connects();
        t.receives(qos2(7, "a"));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        t.cut();
        t.hello = PASSING;
        t.connects();
        t.receives(qos2(7, "b"));
        t.message(qos2(7, "b"));
        t.sends(pubrec(7));
        t.cut();
        t.connects();
        t.receives(qos2(7, "c"));
        t.message(qos2(7, "c"));
        t.sends(pubrec(7));
    }
}

#[test]
fn r05_held_identifiers_survive_a_reconnect() {
    for mut t in both() {
        t.connects();
        t.receives(qos2(7, "a"));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        t.announced = 7;
        for _ in 0..3 {
            t.cut();
            t.resumes();
            t.quiet();
            t.receives(qos2(7, "a").dup());
            t.sends(pubrec(7));
            t.quiet();
        }
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.quiet();
    }
}

/// The client breaks our Receive Maximum, or fills the table with what an earlier connection left, or knows of none.
#[test]
fn r06_a_full_table_loses_nothing() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 2, 256, 256>::new(version);
        t.connects();
        t.receives([qos2(1, "a"), qos2(2, "b"), qos2(3, "c")]);
        t.message(qos2(1, "a"));
        t.message(qos2(2, "b"));
        // What was taken is answered, or it would come again and again.
        t.sends([pubrec(1), pubrec(2)]);
        if t.is_v5() {
            t.sends("E0 01 93");
            t.closes(CloseReason::ReceiveMaximumExceeded);
        } else {
            t.closes(CloseReason::TooManyHeld);
        }
        t.announced = 1;
        t.resumes();
        t.receives(qos2(3, "c").dup());
        t.fails(CloseReason::TooManyHeld, 0x97);
        t.resumes();
        t.receives(pubrel(1));
        t.sends(pubcomp(1));
        t.receives(qos2(3, "c").dup());
        t.message(qos2(3, "c").dup());
        t.sends(pubrec(3));
        t.quiet();
    }
}

#[test]
fn r07_a_message_waits_for_the_application() {
    for t in both() {
        let mut t = t.manual();
        t.connects();
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        t.passes(1_000_000);
        t.quiet();
        t.acknowledge(handle);
        t.sends(pubrec(7));
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.quiet();
        assert_eq!(t.session.acknowledge(handle, ReasonCode::Success), Err(CommandError::StaleHandle));
    }
}

#[test]
fn r08_nothing_is_acknowledged_before_the_handler_has_run() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(7, "a"));
        t.message(qos1(7, "a"));
        t.cut();
        t.resumes();
        t.quiet();
        t.receives([qos1(7, "a").dup(), qos1(8, "b")]);
        t.message(qos1(7, "a").dup());
        t.message(qos1(8, "b"));
        t.sends([puback(7), puback(8)]);
        t.quiet();
    }
}

#[test]
fn r09_acknowledgements_leave_in_the_order_of_their_messages() {
    for answered in [qos1, qos2] {
        for t in both() {
            let mut t = t.manual();
            t.connects();
            let messages = [answered(5, "a"), answered(3, "b"), answered(4, "c")];
            t.receives(messages);
            let [first, second, third] = messages.map(|message| t.hands_out(message));
            t.acknowledge(third);
            t.quiet();
            t.acknowledge(first);
            t.sends(messages[0].answer());
            t.quiet();
            t.acknowledge(second);
            t.sends([messages[1].answer(), messages[2].answer()]);
            t.quiet();
        }
    }
}

#[test]
fn r10_a_handle_dies_with_what_its_message_belongs_to() {
    for t in both() {
        let mut t = t.manual();
        t.connects();
        t.receives((qos1(7, "a"), qos2(8, "b")));
        let (first, second) = (t.hands_out(qos1(7, "a")), t.hands_out(qos2(8, "b")));
        t.cut();
        assert_eq!(t.session.acknowledge(first, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.hello.clean = true;
        t.connects();
        assert_eq!(t.session.acknowledge(second, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.receives((qos1(7, "c"), qos2(8, "d")));
        let new = (t.hands_out(qos1(7, "c")), t.hands_out(qos2(8, "d")));
        for old in [first, second] {
            assert_eq!(t.session.acknowledge(old, ReasonCode::Success), Err(CommandError::StaleHandle));
        }
        t.quiet();
        t.acknowledge(new.0);
        t.acknowledge(new.1);
        t.sends((puback(7), pubrec(8)));
    }
}

#[test]
fn r10b_a_handle_of_qos_2_outlives_its_connection() {
    for early in [false, true] {
        for t in both() {
            let mut t = t.manual();
            t.connects();
            t.receives(qos2(7, "a"));
            let handle = t.hands_out(qos2(7, "a"));
            t.cut();
            t.announced = 7;
            t.resumes();
            if early {
                t.acknowledge(handle);
                t.quiet();
            }
            t.receives(qos2(7, "a").dup());
            if !early {
                t.quiet();
                t.acknowledge(handle);
            }
            t.sends(pubrec(7));
            t.receives(pubrel(7));
            t.sends(pubcomp(7));
            t.quiet();
        }
    }
}

#[test]
fn r11_dup_says_nothing_of_what_we_have_seen() {
    for mut t in both() {
        t.connects();
        for message in [qos1(7, "a").dup(), qos2(8, "b").dup()] {
            t.receives(message);
            t.message(message);
            t.sends(message.answer());
            t.quiet();
        }
    }
}

#[test]
fn r12_a_refused_alias_records_no_identifier() {
    for (bytes, cause, code) in [
        ("34 09 0001 74 0007 03 23 0003 61", CloseReason::TopicAliasTooHigh, 0x94),
        ("34 08 0000 0007 03 23 0001 61", CloseReason::TopicAliasUnknown, 0x82),
        ("34 0C 0004 74747474 0007 03 23 0001 61", CloseReason::TopicTooLong, 0x97),
    ] {
        let mut t = <Trace>::new(Version::V5);
        t.inbox.set_topic_aliases(TopicAliases { maximum: 2, topic: 3 });
        t.said = "";
        t.asks(false);
        t.accepts();
        t.sends("20 0E 00 00 0B 21 0008 27 000000F6 22 0002");
        t.receives(bytes);
        t.fails(cause, code);
        t.asks(true);
        t.accepts();
        t.sends("20 0E 01 00 0B 21 0008 27 000000F6 22 0002");
        t.receives(qos2(7, "a").dup());
        t.message(qos2(7, "a").dup());
        t.sends(pubrec(7));
        t.quiet();
    }
}

#[test]
fn r13_half_a_packet_dies_with_its_connection() {
    for len in 1..8 {
        for mut t in both() {
            t.connects();
            let mut half = qos1(7, "a").bytes(t.version);
            half.truncate(len);
            t.receives(half);
            t.quiet();
            t.cut();
            t.resumes();
            t.receives(qos1(7, "a"));
            t.message(qos1(7, "a"));
            t.sends(puback(7));
            t.quiet();
        }
    }
}

#[test]
fn r14_several_packets_in_one_read_and_one_in_many() {
    for mut t in both() {
        t.opens();
        t.receives((t.hello, (qos0("a"), qos1(7, "b"), qos2(8, "c")), (pubrel(8), "C0 00", qos0("d"))));
        t.connecting(false);
        t.accepts();
        t.message(qos0("a"));
        t.message(qos1(7, "b"));
        t.message(qos2(8, "c"));
        t.message(qos0("d"));
        t.sends((t.connack(false), (puback(7), pubrec(8), pubcomp(8)), "D0 00"));
        t.quiet();
        for byte in (qos2(9, "e"), pubrel(9)).bytes(t.version) {
            if !t.wants_to_write() {
                t.quiet();
            }
            t.receives(vec![byte]);
            if byte == b'e' {
                t.message(qos2(9, "e"));
                t.sends(pubrec(9));
            }
        }
        t.sends(pubcomp(9));
        t.quiet();
    }
}

#[test]
fn r14_whole_packets_are_seen_after_the_loss_of_the_link() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 12, 30, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "out");
        t.sends(qos1(1, "out"));
        let messages: [_; 12] = core::array::from_fn(|index| qos1(u16::try_from(index).unwrap() % 2 + 1, "in"));
        for message in messages {
            t.receives((message, qos0("x")));
        }
        t.receives((puback(1), "30 07"));
        t.loses_link();
        for message in messages {
            t.message(message);
            t.message(qos0("x"));
        }
        t.acknowledged(1);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.quiet();
    }
}

#[test]
fn r16_a_huge_packet_is_refused_from_its_header() {
    for mut t in both() {
        t.connects();
        t.receives("30 FF FF FF 7F");
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        t.resumes();
        t.receives("30 FE 01");
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        t.opens();
        t.receives("10 FF FF FF 7F");
        t.closes(CloseReason::Violation(Violation::PacketTooLarge));
    }
}

#[test]
fn r17_what_is_too_short_is_refused() {
    for mut t in both() {
        let mut wrong = vec![
            ("40 01 00", Violation::FieldTruncated, 0x81),
            ("50 01 00", Violation::FieldTruncated, 0x81),
            ("62 01 00", Violation::FieldTruncated, 0x81),
            ("70 01 00", Violation::FieldTruncated, 0x81),
            ("40 02 00 00", Violation::PacketIdentifierZero, 0x82),
        ];
        if t.is_v5() {
            wrong.push(("32 06 0001 74 0000 00", Violation::PacketIdentifierZero, 0x82));
            wrong.push(("82 03 0001 00", Violation::SubscribeEmpty, 0x82));
            wrong.push(("A2 03 0001 00", Violation::UnsubscribeEmpty, 0x82));
            wrong.push(("82 07 0000 00 0001 61 00", Violation::PacketIdentifierZero, 0x82));
        } else {
            wrong.push(("32 05 0001 74 0000", Violation::PacketIdentifierZero, 0x82));
            wrong.push(("82 02 0001", Violation::SubscribeEmpty, 0x82));
            wrong.push(("A2 02 0001", Violation::UnsubscribeEmpty, 0x82));
            wrong.push(("82 06 0000 0001 61 00", Violation::PacketIdentifierZero, 0x82));
        }
        t.connects();
        for (bytes, violation, code) in wrong {
            t.receives(bytes);
            t.fails(CloseReason::Violation(violation), code);
            t.resumes();
        }
        t.opens();
        t.receives("10 02 00 00");
        assert!(matches!(t.see(), super::trace::Seen::Transmit(_) | super::trace::Seen::Close(_)));
    }
}

/// However many messages come while nothing can be written, each one that is handed out is acknowledged.
#[test]
fn r18_a_message_waits_until_its_acknowledgement_fits() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 2, 16, 30, 256>::new(version);
        t.connects();
        let messages: [_; 12] = core::array::from_fn(|index| {
            let id = u16::try_from(index).unwrap() + 1;
            if index % 2 == 0 { qos1(id, "in") } else { qos2(id, "in") }
        });
        t.receives(messages);
        let mut open = 0;
        for (index, message) in messages.into_iter().enumerate() {
            while t.wants_to_write() {
                assert!(open < index, "it writes what it owes");
                t.sends(messages[open].answer());
                open += 1;
            }
            t.message(message);
        }
        assert!(open > 0, "the room was never scarce");
        for message in &messages[open..] {
            t.sends(message.answer());
        }
        t.quiet();
    }
}

/// The acknowledgement is shown, the next message comes while it is being written, and then all of it is written.
fn acknowledges_while_it_reads(t: &mut Trace, id: u16) {
    t.shows(puback(id), 0);
    t.receives(qos1(id + 1, "in"));
    t.session.transmitted(4);
    t.message(qos1(id + 1, "in"));
}

#[test]
fn t10_a_publish_leaves_in_the_course_of_an_endless_stream() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        for number in 1..=3 {
            t.publish(AtLeastOnce, "out");
            acknowledges_while_it_reads(&mut t, number);
            t.sends(qos1(number, "out"));
        }
        t.sends(puback(4));
        t.quiet();
    }
}

/// CONNACK is behind nothing, whosever turn it is.
#[test]
fn t10_connack_leaves_before_what_is_stored() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        acknowledges_while_it_reads(&mut t, 1);
        t.cut();
        t.publish(AtLeastOnce, "out");
        t.asks(true);
        t.accepts();
        t.sends((t.connack(true), qos1(1, "out")));
        t.quiet();
    }
}

/// A message that is to live for 100 seconds is sent after so many milliseconds, and sent again after so many more.
fn ages(qos: QoS, first: u64, second: u64, says: [u32; 2]) {
    let packet = |dup: u8, seconds: u32| {
        let head = [0x30 | dup | (qos as u8) << 1, 12, 0, 1, b't', 0, 1, 5, 2];
        [&head[..], &seconds.to_be_bytes(), b"e"].concat()
    };
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.cut();
    let properties = [Property::MessageExpiryInterval(100)];
    let properties = mqtt_session::wire::Properties::of(&properties);
    t.session.publish(&Publish { qos, properties, ..Publish::new("t", b"e") }).unwrap();
    t.closes(CloseReason::ConnectionLost);
    t.passes(first);
    t.asks(true);
    t.accepts();
    t.sends((t.connack(true), packet(0, says[0])));
    t.cut();
    t.passes(second);
    t.asks(true);
    t.accepts();
    t.sends((t.connack(true), packet(8, says[1])));
    t.quiet();
}

/// What was shown is sent again however late, and says that nothing is left of its time. [MQTT-3.3.2-6]
#[test]
fn t15_a_message_that_is_sent_again_has_aged() {
    for qos in [AtLeastOnce, ExactlyOnce] {
        ages(qos, 0, 60_000, [100, 40]);
        ages(qos, 10_000, 60_000, [90, 30]);
        ages(qos, 0, 100_000, [100, 0]);
        ages(qos, 99_000, 3_600_000, [1, 0]);
        ages(qos, 0, 40 * 86_400_000, [100, 0]);
    }
}
