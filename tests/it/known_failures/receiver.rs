//! Failures of receivers: duplicates, losses, acknowledgements, and packets in pieces.

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Event, Oversized, Properties, QoS, ReasonCode, TopicAliases, Version,
    Violation,
};

use super::trace::{
    Bytes, Trace, aliased, both, connack, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, with_header,
};

fn manual(mut t: Trace) -> Trace {
    t.options.acknowledgement = Acknowledge::Manually;
    t
}

#[test]
fn r01_a_repeat_before_pubrel_is_answered_and_not_delivered() {
    for mut t in both() {
        t.connects();
        t.receives(qos2(7, "a"));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        for repeat in [qos2(7, "a").dup(), qos2(7, "a")] {
            t.receives(repeat);
            t.sends(pubrec(7));
            t.quiet();
        }
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.receives(qos2(7, "b"));
        t.message(qos2(7, "b"));
        t.sends(pubrec(7));
        t.quiet();
    }
}

/// The repeat is in the same read, before the first PUBREC has left.
#[test]
fn r01_a_repeat_before_pubrec_is_not_delivered() {
    for mut t in both() {
        t.connects();
        t.receives([qos2(7, "a"), qos2(7, "a").dup()]);
        t.message(qos2(7, "a"));
        t.sends([pubrec(7), pubrec(7)]);
        t.quiet();
    }
}

#[test]
fn r02_an_identifier_is_free_after_pubcomp() {
    for mut t in both() {
        t.connects();
        for message in [qos2(7, "a"), qos2(7, "b"), qos2(7, "b").dup()] {
            t.receives(message);
            t.message(message);
            t.sends(pubrec(7));
            t.receives(pubrel(7));
            t.sends(pubcomp(7));
            t.quiet();
        }
    }
}

#[test]
fn r03_a_second_pubrel_is_answered() {
    for written in 0..=4 {
        for mut t in both() {
            t.connects();
            t.receives(qos2(7, "a"));
            t.message(qos2(7, "a"));
            t.sends(pubrec(7));
            t.receives(pubrel(7));
            t.shows(pubcomp(7), written);
            t.cut();
            t.resumes();
            t.quiet();
            t.receives(pubrel(7));
            t.sends(pubcomp(7).code(0x92));
            t.quiet();
        }
    }
}

/// The server has lost the session, or we gave it up.
#[test]
fn r04_held_identifiers_end_with_the_session() {
    for clean_start in [false, true] {
        for mut t in both() {
            t.connects();
            t.receives(qos2(7, "a"));
            t.message(qos2(7, "a"));
            t.sends(pubrec(7));
            t.cut();
            t.options.clean_start = clean_start;
            t.announced = if clean_start { 8 } else { 7 };
            t.connects();
            t.receives(qos2(7, "b"));
            t.message(qos2(7, "b"));
            t.sends(pubrec(7));
            t.quiet();
        }
    }
}

/// A session that ends with its connection, too.
#[test]
fn r04_held_identifiers_end_with_a_short_session() {
    for mut t in both() {
        t.options.clean_start = true;
        t.options.properties = Properties::EMPTY;
        for payload in ["a", "b"] {
            t.connects();
            t.receives(qos2(7, payload));
            t.message(qos2(7, payload));
            t.sends(pubrec(7));
            t.cut();
        }
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

/// The peer breaks our Receive Maximum.
#[test]
fn r06_more_than_receive_maximum_is_refused() {
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5);
    t.connects();
    t.receives([qos2(1, "a"), qos2(2, "b"), qos2(3, "c")]);
    t.message(qos2(1, "a"));
    t.message(qos2(2, "b"));
    t.sends(vec![0x50, 2, 0, 1, 0x50, 2, 0, 2, 0xE0, 1, 0x93]);
    t.closes(CloseReason::ReceiveMaximumExceeded);
    nothing_is_lost(&mut t);
}

/// Identifiers of earlier connections fill the table, while the peer's quota starts afresh.
#[test]
fn r06_a_table_full_of_earlier_identifiers_loses_nothing() {
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5);
    t.connects();
    t.receives([qos2(1, "a"), qos2(2, "b")]);
    t.message(qos2(1, "a"));
    t.message(qos2(2, "b"));
    t.sends([pubrec(1), pubrec(2)]);
    t.cut();
    t.announced = 1;
    t.resumes();
    t.receives(qos2(3, "c"));
    t.fails(CloseReason::TooManyHeld, 0x97);
    nothing_is_lost(&mut t);
}

/// A PUBCOMP for a message of an earlier connection raises the quota of the peer as any other does, and so does one for a
/// message that is not known here. (5.0: 4.9)
#[test]
fn r06_a_pubcomp_of_an_earlier_connection_raises_the_quota_of_the_peer() {
    let mut t = Trace::<256, 2, 4, 256, 256>::new(Version::V5);
    t.connects();
    for (id, payload) in [(1, "a"), (2, "b"), (3, "c")] {
        t.receives(qos2(id, payload));
        t.message(qos2(id, payload));
        t.sends(pubrec(id));
    }
    t.cut();
    t.announced = 1;
    t.resumes();
    t.receives(qos2(4, "d"));
    t.message(qos2(4, "d"));
    t.sends(pubrec(4));
    for (released, id) in [(1, 5), (2, 6)] {
        t.receives(pubrel(released));
        t.sends(pubcomp(released));
        t.receives(qos2(id, "e"));
        t.message(qos2(id, "e"));
        t.sends(pubrec(id));
    }
    t.receives(pubrel(9));
    t.sends(pubcomp(9).code(0x92));
    t.receives(qos1(7, "f"));
    t.message(qos1(7, "f"));
    t.sends(puback(7));
    t.receives([qos2(3, "c").dup(), qos1(8, "g"), qos1(9, "h")]);
    t.message(qos1(8, "g"));
    t.sends(vec![0x50, 2, 0, 3, 0x40, 2, 0, 8, 0xE0, 1, 0x93]);
    t.closes(CloseReason::ReceiveMaximumExceeded);
}

#[test]
fn r06_in_3_1_1_a_full_table_closes_and_loses_nothing() {
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V311);
    t.connects();
    t.receives([qos2(1, "a"), qos2(2, "b")]);
    t.message(qos2(1, "a"));
    t.message(qos2(2, "b"));
    t.sends([pubrec(1), pubrec(2)]);
    t.receives(qos2(3, "c"));
    t.closes(CloseReason::TooManyHeld);
    nothing_is_lost(&mut t);
}

/// A server has more in flight than there are places, and sends all of it again in one piece. If the answers to the front
/// of it did not leave, it would do so on each connection, and nothing would ever change.
#[test]
fn r06_the_answers_leave_before_a_full_table_closes() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 2, 256, 256>::new(version);
        t.connects();
        t.receives([qos2(1, "a"), qos2(2, "b")]);
        t.message(qos2(1, "a"));
        t.message(qos2(2, "b"));
        t.cut();
        t.announced = 1;
        t.resumes();
        t.receives([qos2(1, "a").dup(), qos2(2, "b").dup(), qos2(3, "c").dup()]);
        let answers = [0x50, 2, 0, 1, 0x50, 2, 0, 2];
        let farewell: &[u8] = if t.is_v5() { &[0xE0, 1, 0x97] } else { &[] };
        t.sends([&answers, farewell].concat());
        t.closes(CloseReason::TooManyHeld);
        nothing_is_lost(&mut t);
    }
}

/// The same at QoS 1: without the answers the front would be delivered on each connection, for ever.
#[test]
fn r06_the_answers_leave_where_too_much_is_sent_again() {
    let mut t = Trace::<256, 2, 2, 256, 256>::new(Version::V5);
    t.connects();
    t.receives([qos1(1, "a"), qos1(2, "b"), qos1(3, "c")]);
    t.message(qos1(1, "a"));
    t.message(qos1(2, "b"));
    t.sends(vec![0x40, 2, 0, 1, 0x40, 2, 0, 2, 0xE0, 1, 0x93]);
    t.closes(CloseReason::ReceiveMaximumExceeded);
    t.resumes();
    t.receives(qos1(3, "c").dup());
    t.message(qos1(3, "c").dup());
    t.sends(puback(3));
}

/// Message 3 was refused, with 1 and 2 held: it is delivered as soon as there is a place.
fn nothing_is_lost(t: &mut Trace<256, 2, 2, 256, 256>) {
    t.announced = 1;
    t.resumes();
    t.quiet();
    t.receives(pubrel(1));
    t.sends(pubcomp(1));
    t.receives(qos2(3, "c").dup());
    t.message(qos2(3, "c").dup());
    t.sends(pubrec(3));
    t.receives(pubrel(2));
    t.sends(pubcomp(2));
    t.quiet();
}

/// The application takes its time: it acknowledges after it has stored the message, and sees it once.
#[test]
fn r07_a_message_waits_for_the_application() {
    for t in both() {
        let mut t = manual(t);
        t.connects();
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        t.quiet();
        t.passes(1_000_000);
        t.quiet();
        if !t.is_v5() {
            t.receives(qos2(7, "a").dup());
            t.quiet();
        }
        t.acknowledge(handle);
        t.sends(pubrec(7));
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
        t.quiet();
        assert_eq!(t.session.acknowledge(handle, ReasonCode::Success), Err(CommandError::StaleHandle));
    }
}

/// 5.0 can refuse; then there is no PUBREL, and the identifier is free.
#[test]
fn r07_a_message_may_be_refused() {
    let mut t = manual(Trace::new(Version::V5));
    t.connects();
    for _ in 0..20 {
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        assert_eq!(t.session.acknowledge(handle, ReasonCode::QuotaExceeded), Ok(()));
        t.sends(pubrec(7).code(0x97));
        t.quiet();
    }
}

/// Whoever falls in the handler has acknowledged nothing.
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
            let mut t = manual(t);
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
fn r10_a_handle_of_qos_1_dies_with_its_connection() {
    for t in both() {
        let mut t = manual(t);
        t.connects();
        t.receives(qos1(7, "a"));
        let old = t.hands_out(qos1(7, "a"));
        t.cut();
        assert_eq!(t.session.acknowledge(old, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.resumes();
        t.receives(qos1(7, "other"));
        let new = t.hands_out(qos1(7, "other"));
        assert_eq!(t.session.acknowledge(old, ReasonCode::Success), Err(CommandError::StaleHandle));
        t.quiet();
        t.acknowledge(new);
        t.sends(puback(7));
        t.quiet();
    }
}

/// Session Present 0 and a clean start.
#[test]
fn r10_a_handle_of_qos_2_dies_with_its_session() {
    for clean_start in [false, true] {
        for t in both() {
            let mut t = manual(t);
            t.connects();
            t.receives(qos2(7, "a"));
            let old = t.hands_out(qos2(7, "a"));
            t.cut();
            t.options.clean_start = clean_start;
            t.announced = if clean_start { 8 } else { 7 };
            t.connects();
            assert_eq!(t.session.acknowledge(old, ReasonCode::Success), Err(CommandError::StaleHandle));
            t.receives(qos2(7, "other"));
            let new = t.hands_out(qos2(7, "other"));
            assert_eq!(t.session.acknowledge(old, ReasonCode::Success), Err(CommandError::StaleHandle));
            t.quiet();
            t.acknowledge(new);
            t.sends(pubrec(7));
            t.quiet();
        }
    }
}

/// Before and after the repeat.
#[test]
fn r10b_a_handle_of_qos_2_outlives_its_connection() {
    for early in [false, true] {
        for t in both() {
            let mut t = manual(t);
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

/// Given between two connections, it is kept for the repeat.
#[test]
fn r10b_a_handle_of_qos_2_may_be_used_while_offline() {
    for t in both() {
        let mut t = manual(t);
        t.connects();
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        t.cut();
        t.acknowledge(handle);
        t.announced = 7;
        t.resumes();
        t.quiet();
        t.receives([qos2(7, "a").dup(), qos2(8, "b")]);
        let second = t.hands_out(qos2(8, "b"));
        t.sends(pubrec(7));
        t.acknowledge(second);
        t.sends(pubrec(8));
        t.quiet();
    }
}

/// The application has a message of an earlier connection in its hands; on this one the session acknowledges, but in order.
#[test]
fn r10b_what_the_session_acknowledges_waits_for_what_the_application_does() {
    for t in both() {
        let mut t = manual(t);
        t.connects();
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        t.cut();
        t.options.acknowledgement = Acknowledge::AfterHandling;
        t.announced = 7;
        t.resumes();
        t.receives([qos2(7, "a").dup(), qos2(8, "b"), qos1(9, "c")]);
        assert_eq!(t.message(qos2(8, "b")), None);
        assert_eq!(t.message(qos1(9, "c")), None);
        t.quiet();
        t.acknowledge(handle);
        t.sends([pubrec(7), pubrec(8)]);
        t.sends(puback(9));
        t.receives(qos2(10, "d"));
        assert_eq!(t.message(qos2(10, "d")), None);
        t.sends(pubrec(10));
        t.quiet();
    }
}

/// A server that has lost its session unheard uses an identifier anew that is held here. 3.1.1 cannot refuse the message
/// alone, so the connection ends; the next one works.
#[test]
fn r04_an_identifier_that_the_server_gave_up_ends_one_connection_only() {
    let [mut t, _] = both();
    t.connects();
    t.receives(qos2(7, "a"));
    t.message(qos2(7, "a"));
    t.sends(pubrec(7));
    t.cut();
    t.resumes();
    t.receives(qos1(7, "b"));
    t.closes(CloseReason::PacketIdentifierReused);
    t.resumes();
    t.receives(qos1(7, "b").dup());
    t.message(qos1(7, "b").dup());
    t.sends(puback(7));
    t.quiet();
}

/// The same where the application has the message in its hands: what it then says comes too late.
#[test]
fn r04b_an_unacknowledged_identifier_that_the_server_gave_up_ends_one_connection_only() {
    let [t, _] = both();
    let mut t = manual(t);
    t.connects();
    t.receives(qos2(7, "a"));
    let dead = t.hands_out(qos2(7, "a"));
    t.cut();
    t.resumes();
    t.receives(qos1(7, "b"));
    t.closes(CloseReason::PacketIdentifierReused);
    t.resumes();
    t.receives(qos1(7, "b").dup());
    let handle = t.hands_out(qos1(7, "b").dup());
    assert_eq!(t.session.acknowledge(dead, ReasonCode::Success), Err(CommandError::StaleHandle));
    t.acknowledge(handle);
    t.sends(puback(7));
    t.quiet();
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

/// An alias above our maximum, which is 0.
/// Neither where no alias is allowed, nor where it stands for nothing, is too high, or has a topic too long to keep.
#[test]
fn r12_a_refused_alias_records_no_identifier() {
    let cases = [
        (0, aliased(ExactlyOnce, 7, "t", 1, "a"), CloseReason::TopicAliasTooHigh, 0x94),
        (2, aliased(ExactlyOnce, 7, "t", 3, "a"), CloseReason::TopicAliasTooHigh, 0x94),
        (2, aliased(ExactlyOnce, 7, "", 2, "a"), CloseReason::TopicAliasUnknown, 0x82),
        (2, aliased(ExactlyOnce, 7, "a topic", 2, "a"), CloseReason::TopicTooLong, 0x97),
    ];
    for manually in [false, true] {
        for (maximum, refused, cause, code) in &cases {
            let mut t = <Trace>::new(Version::V5);
            if manually {
                t = manual(t);
            }
            t.inbox.set_topic_aliases(TopicAliases { maximum: *maximum, topic: 6 });
            t.connects();
            t.receives(refused.clone());
            t.fails(*cause, *code);
            t.resumes();
            t.receives(qos2(7, "a").dup());
            if let Some(handle) = t.message(qos2(7, "a").dup()) {
                t.acknowledge(handle);
            }
            t.sends(pubrec(7));
            t.quiet();
        }
    }
}

/// However large the half, and also if the loss is told by `connect` alone.
#[test]
fn r13_half_a_packet_dies_with_its_connection() {
    for told in [true, false] {
        for len in 1..8 {
            for mut t in both() {
                t.connects();
                let mut half = qos1(7, "a").bytes(t.version);
                half.truncate(len);
                t.receives(half);
                t.quiet();
                if told {
                    t.cut();
                }
                t.resumes();
                t.receives(qos1(7, "a"));
                t.message(qos1(7, "a"));
                t.sends(puback(7));
                t.quiet();
            }
        }
    }
}

#[test]
fn r14_several_packets_in_one_read_are_all_seen() {
    for mut t in both() {
        t.connect();
        t.receives((connack(false, ""), (qos0("a"), qos1(7, "b"), qos2(8, "c")), (pubrel(8), "D0 00", qos0("d"))));
        t.connected(false);
        t.message(qos0("a"));
        t.message(qos1(7, "b"));
        t.message(qos2(8, "c"));
        t.message(qos0("d"));
        t.sends((puback(7), pubrec(8), pubcomp(8)));
        t.quiet();
    }
}

/// What had come before the loss is still handed out, more than could be answered, and whatever has no answer.
#[test]
fn r14_whole_packets_are_seen_after_the_loss_of_the_link() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<256, 2, 12, 30, 256>::new(version);
        t.connects();
        t.publish(AtLeastOnce, "out");
        t.sends(qos1(1, "out"));
        let messages: [_; 12] = core::array::from_fn(|index| qos1(u16::try_from(index).unwrap_or(0) % 2 + 1, "in"));
        for message in messages {
            t.receives((message, qos0("x")));
        }
        t.receives(puback(1));
        t.receives("30 07");
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
fn r14_a_packet_over_many_reads_is_seen_once() {
    for mut t in both() {
        t.connects();
        receives_in_pieces(&mut t, qos2(7, "a"));
        t.message(qos2(7, "a"));
        t.sends(pubrec(7));
        receives_in_pieces(&mut t, pubrel(7));
        t.sends(pubcomp(7));
        t.quiet();
    }
}

/// Byte by byte; nothing happens before the last one.
fn receives_in_pieces(t: &mut Trace, packet: impl Bytes) {
    for byte in packet.bytes(t.version) {
        t.quiet();
        t.receives(vec![byte]);
    }
}

/// From its header; the next connection works.
#[test]
fn r15_a_packet_larger_than_the_inbox_is_refused() {
    for mut t in both() {
        t.connects();
        let payload = |len: usize| vec![b'p'; len];
        let head: &[u8] = if t.is_v5() { b"\0\x01t\0" } else { b"\0\x01t" };
        let fits = with_header(0x30, &[head, &payload(256 - 3 - head.len())].concat());
        assert_eq!(fits.len(), 256);
        t.receives(fits);
        t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
        t.quiet();
        t.receives("30 FE 01");
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        t.resumes();
        t.quiet();
    }
}

/// If asked for in 3.1.1, where nobody can be told how much fits: it is acknowledged and does not come again.
#[test]
fn r15_a_packet_larger_than_the_inbox_is_skipped() {
    for (qos, answer) in [(QoS::AtMostOnce, None), (AtLeastOnce, Some(puback(7))), (ExactlyOnce, Some(pubrec(7)))] {
        let mut t = <Trace>::new(Version::V311);
        t.options.oversized = Oversized::Skipped;
        t.connects();
        let id: &[u8] = if answer.is_some() { &[0, 7] } else { &[] };
        let large = with_header(0x31 | (qos as u8) << 1, &[b"\0\x01t", id, &[b'p'; 1000]].concat());
        let len = u32::try_from(large.len()).unwrap_or(u32::MAX);
        t.receives(large);
        t.tells(&Event::Skipped { topic: "t", qos, retain: true, len });
        // It counts with its last byte.
        while t.wants_to_read() && !t.wants_to_write() {
            t.quiet();
        }
        if let Some(answer) = answer {
            t.sends(answer);
        }
        t.quiet();
        t.receives(qos1(8, "a"));
        t.message(qos1(8, "a"));
        t.sends(puback(8));
        t.cut();
        t.announced = 8;
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
        t.connect();
        t.receives("30 FF FF FF 7F");
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
    }
}

#[test]
fn r17_what_is_too_short_is_refused() {
    for mut t in both() {
        let mut wrong = vec![
            ("10 02 00 00", Violation::PacketNotForThisEnd, 0x82),
            ("40 01 00", Violation::FieldTruncated, 0x81),
            ("50 01 00", Violation::FieldTruncated, 0x81),
            ("62 01 00", Violation::FieldTruncated, 0x81),
            ("70 01 00", Violation::FieldTruncated, 0x81),
            ("40 00", Violation::FieldTruncated, 0x81),
            ("40 02 00 00", Violation::PacketIdentifierZero, 0x82),
        ];
        if t.is_v5() {
            wrong.push(("32 06 0001 74 0000 00", Violation::PacketIdentifierZero, 0x82));
            wrong.push(("90 03 0001 00", Violation::SubackEmpty, 0x82));
        } else {
            wrong.push(("32 05 0001 74 0000", Violation::PacketIdentifierZero, 0x82));
            wrong.push(("90 02 0001", Violation::SubackEmpty, 0x82));
        }
        for (bytes, violation, code) in wrong {
            t.connects();
            t.receives(bytes);
            t.fails(CloseReason::Violation(violation), code);
        }
    }
}

/// However many messages come while nothing can be written, each one that is handed out is acknowledged.
#[test]
fn r18_a_message_waits_until_its_acknowledgement_fits() {
    for version in [Version::V311, Version::V5] {
        let mut t = Trace::<64, 2, 16, 30, 256>::new(version);
        t.connects();
        // The store is full, too.
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        assert!(t.session.free_space() < 40);
        let messages: [_; 12] = core::array::from_fn(|index| {
            let id = u16::try_from(index).unwrap_or(0) + 1;
            if index % 2 == 0 { qos1(id, "in") } else { qos2(id, "in") }
        });
        t.receives(messages);
        let mut open = 0;
        for (index, message) in messages.into_iter().enumerate() {
            // The session says itself when it has no room: it wants to write.
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

/// In 3.1.1 nothing tells the server how many messages the application can hold. One that finds no place stays in the
/// inbox, and is handed out once there is one.
#[test]
fn r18_a_message_waits_until_the_application_has_a_place() {
    let mut t = Trace::<64, 2, 2, 256, 64>::new(Version::V311);
    t.options.acknowledgement = Acknowledge::Manually;
    t.connects();
    let messages = [1, 2, 3, 4, 5].map(|id| qos1(id, "a"));
    t.receives(messages);
    let mut handles = vec![t.hands_out(messages[0]), t.hands_out(messages[1])];
    t.quiet();
    for (index, message) in messages.into_iter().enumerate() {
        t.acknowledge(handles[index]);
        if let Some(&next) = messages.get(index + 2) {
            handles.push(t.hands_out(next));
        }
        t.sends(message.answer());
    }
    t.quiet();
}
