//! Failures around acknowledgements: what they say, when they count, and in which order they leave. T are failures that
//! users and an audit of this crate found.

use mqtt_session::QoS::{AtLeastOnce, ExactlyOnce};
use mqtt_session::{
    AckType, Acknowledge, CloseReason, CommandError, Disconnect, Event, Outcome, Oversized, Properties, ReasonCode,
    Unsubscribe, Version, Violation,
};

use super::trace::{
    Bytes, Pub, Trace, both, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1, qos2, suback, subscribe, var_int,
    with_header,
};

const DISCONNECT: &str = "E0 00";

fn manual<const INBOUND: usize>(version: Version) -> Trace<1024, 8, INBOUND> {
    let mut t = Trace::new(version);
    t.options.acknowledgement = Acknowledge::Manually;
    t
}

/// A message is handed out, and its handler disconnects.
#[track_caller]
fn handler_disconnects(t: &mut Trace, message: Pub) {
    let disconnected = t.event(|session, event| {
        assert!(matches!(event, Event::Message(found) if message.is(&found)));
        session.disconnect(&Disconnect::default())
    });
    assert_eq!(disconnected, Ok(()));
}

fn subscribed(t: &mut Trace, id: u16) {
    t.event(|_, event| assert!(matches!(event, Event::Subscribed { packet_id: found, .. } if found.get() == id)));
}

fn unsubscribed(t: &mut Trace, id: u16) {
    t.event(|_, event| assert!(matches!(event, Event::Unsubscribed { packet_id: found, .. } if found.get() == id)));
}

/// One of each under way: QoS 1, QoS 2 before and after its PUBREC, a subscribe and an unsubscribe.
fn five_under_way(t: &mut Trace) {
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.publish(ExactlyOnce, "b");
    t.publish(ExactlyOnce, "c");
    t.sends((qos1(1, "a"), qos2(2, "b"), qos2(3, "c")));
    t.receives(pubrec(3));
    t.sends(pubrel(3));
    t.subscribe("f");
    t.sends(subscribe(4, "f"));
    let unsubscribed = t.session.unsubscribe(&Unsubscribe::new(&["f"]));
    assert_eq!(unsubscribed, Ok(packet_id(5)));
    t.sends(if t.is_v5() { "A2 06 0005 00 0001 66" } else { "A2 05 0005 0001 66" });
}

/// Their answers, with messages between them.
fn answers_between_messages(t: &Trace) -> impl Bytes + use<> {
    let unsuback = if t.is_v5() { "B0 04 0005 00 00" } else { "B0 02 0005" };
    let first = (puback(1), qos2(8, "x"), pubrec(2));
    let second = (qos0("y"), (pubcomp(3), qos1(9, "z")), suback(4, &[0]));
    (first, second, unsuback)
}

/// T7. One read brings a message whose handler disconnects, and behind it acknowledgements: they count. The messages between
/// them are neither told nor acknowledged, so they come again.
#[test]
fn t07_acknowledgements_that_are_here_count_when_a_handler_disconnects() {
    for mut t in both() {
        five_under_way(&mut t);
        t.receives((qos1(7, "in"), answers_between_messages(&t)));
        handler_disconnects(&mut t, qos1(7, "in"));
        t.acknowledged(1);
        t.acknowledged(3);
        subscribed(&mut t, 4);
        unsubscribed(&mut t, 5);
        t.sends((puback(7), pubrel(2), DISCONNECT));
        t.closes(CloseReason::Disconnected);
        assert_eq!(t.session.pending(), 1);
        t.resumes();
        t.sends(pubrel(2));
        t.receives((pubcomp(2), qos2(8, "x").dup(), qos1(9, "z").dup()));
        t.acknowledged(2);
        t.message(qos2(8, "x").dup());
        t.message(qos1(9, "z").dup());
        t.sends((pubrec(8), puback(9)));
        t.quiet();
    }
}

/// T7. The transport is lost before another poll, or while the farewell is written.
#[test]
fn t07_acknowledgements_that_are_here_count_though_the_link_is_lost() {
    for is_shown in [false, true] {
        for mut t in both() {
            five_under_way(&mut t);
            if is_shown {
                t.disconnect();
                t.shows(DISCONNECT, 1);
            }
            t.receives(answers_between_messages(&t));
            if !is_shown {
                t.disconnect();
            }
            t.loses_link();
            t.acknowledged(1);
            t.acknowledged(3);
            subscribed(&mut t, 4);
            unsubscribed(&mut t, 5);
            // Not all of DISCONNECT was written.
            t.closes(CloseReason::ConnectionLost);
            t.resumes();
            t.sends(pubrel(2));
            t.quiet();
        }
    }
}

/// T7. What comes in while the farewell is being written counts, too; nothing is sent behind the farewell.
#[test]
fn t07_nothing_leaves_behind_disconnect() {
    for mut t in both() {
        five_under_way(&mut t);
        t.receives(qos2(10, "held"));
        t.message(qos2(10, "held"));
        t.sends(pubrec(10));
        t.disconnect();
        t.shows(DISCONNECT, 1);
        t.receives((answers_between_messages(&t), pubrel(10), pubrec(99)));
        t.acknowledged(1);
        t.acknowledged(3);
        subscribed(&mut t, 4);
        unsubscribed(&mut t, 5);
        t.stray(AckType::Pubrec, 99);
        t.sends("00");
        t.closes(CloseReason::Disconnected);
    }
}

/// T7. A session that ends with its connection: what was acknowledged is not lost, and what was received is known to be.
#[test]
fn t07_nothing_that_was_acknowledged_is_lost_with_a_short_session() {
    for mut t in both() {
        t.options.clean_start = true;
        t.options.properties = Properties::EMPTY;
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.publish(AtLeastOnce, "c");
        t.sends((qos1(1, "a"), qos2(2, "b"), qos1(3, "c")));
        t.receives((qos0("in"), puback(1), pubrec(2)));
        handler_disconnects(&mut t, qos0("in"));
        t.acknowledged(1);
        t.sends((pubrel(2), DISCONNECT));
        t.published(2, Outcome::LostUnconfirmed);
        t.published(3, Outcome::Lost);
        t.closes(CloseReason::Disconnected);
    }
}

/// T7. Quota that an acknowledgement frees is used before the end, and refusals are told with what they say.
#[test]
fn t07_a_refusal_that_is_here_is_told_and_frees_quota() {
    let mut t = <Trace>::new(Version::V5);
    t.connects_with(false, "21 0001");
    t.publish(AtLeastOnce, "a");
    t.publish(AtLeastOnce, "b");
    t.sends(qos1(1, "a"));
    t.receives((qos0("in"), puback(1).code(0x97)));
    handler_disconnects(&mut t, qos0("in"));
    t.published(1, Outcome::Rejected(ReasonCode::QuotaExceeded));
    t.sends((qos1(2, "b"), DISCONNECT));
    t.closes(CloseReason::Disconnected);
}

/// T7. Behind a packet that is wrong nothing is read, and the farewell leaves as it was asked for.
#[test]
fn t07_nothing_is_read_behind_a_fault() {
    for fault in ["40 02 0000", "D1 00", "30 FF FF FF 7F", "70 02 0003"] {
        for mut t in both() {
            t.connects();
            let payloads = ["a", "b", "c"];
            for payload in payloads {
                t.publish(AtLeastOnce, payload);
            }
            t.sends([qos1(1, "a"), qos1(2, "b"), qos1(3, "c")]);
            t.receives((qos1(7, "in"), puback(1), (fault, puback(2))));
            handler_disconnects(&mut t, qos1(7, "in"));
            t.acknowledged(1);
            t.sends((puback(7), DISCONNECT));
            t.closes(CloseReason::Disconnected);
        }
    }
}

/// T7. Of a message that is larger than the inbox, neither: it comes again.
#[test]
fn t07_a_large_message_is_not_skipped_while_leaving() {
    let large = with_header(0x32, &[b"\0\x01t\0\x08", &[b'p'; 300][..]].concat());
    let len = u32::try_from(large.len()).unwrap();
    let mut t = <Trace>::new(Version::V311);
    t.options.oversized = Oversized::Skipped;
    t.connects();
    t.publish(AtLeastOnce, "a");
    t.sends(qos1(1, "a"));
    t.receives((qos1(7, "in"), large.clone(), puback(1)));
    handler_disconnects(&mut t, qos1(7, "in"));
    t.sends(puback(7));
    // The rest of it, and what is behind, comes in before the farewell is written.
    t.acknowledged(1);
    t.sends(DISCONNECT);
    t.closes(CloseReason::Disconnected);
    t.resumes();
    t.receives(large);
    t.tells(&Event::Skipped { topic: "t", qos: AtLeastOnce, retain: false, len });
    t.sends(puback(8));
    t.quiet();
}

/// T7. After an error of the peer no further packet is read.
#[test]
fn t07_nothing_is_read_after_an_error_of_the_peer() {
    for mut t in both() {
        t.connects();
        t.publish(AtLeastOnce, "a");
        t.sends(qos1(1, "a"));
        t.receives(("D1 00", puback(1)));
        t.fails(CloseReason::Violation(Violation::PacketFlagsReserved), 0x81);
        t.resumes();
        t.sends(qos1(1, "a").dup());
        t.quiet();
    }
}

/// PUBREC of message 1 with this code and, as hex digits, these properties.
fn pubrec_saying(code: u8, properties: &str) -> Vec<u8> {
    let properties = Bytes::bytes(properties, Version::V5);
    with_header(0x50, &[&[0, 1, code], &var_int(properties.len())[..], &properties].concat())
}

/// A Reason String "hi" and a User Property.
const WORDS: &str = "1F 0002 6869 26 0001 6B 0001 76";

#[track_caller]
fn received(t: &mut Trace, code: ReasonCode, says: bool) {
    let found = t.event(|_, event| match event {
        Event::Received { packet_id, reason_code, properties } => {
            let words = (properties.reason_string(), properties.user_properties().next());
            Some((packet_id.get(), reason_code, words == (Some("hi"), Some(("k", "v"))), properties.is_empty()))
        }
        _ => None,
    });
    assert_eq!(found, Some((1, code, says, !says)));
}

/// T8. What PUBREC says of a message of QoS 2 is told, and the outcome does not forget it.
#[test]
fn t08_what_pubrec_says_is_told() {
    let none = ReasonCode::NoMatchingSubscribers;
    for (code, words, told) in [(0x10, WORDS, none), (0x10, "", none), (0x00, WORDS, ReasonCode::Success)] {
        for is_cut in [false, true] {
            for (last, outcome) in [(0x00, told), (0x92, ReasonCode::PacketIdentifierNotFound)] {
                let mut t = <Trace>::new(Version::V5);
                t.connects();
                t.publish(ExactlyOnce, "a");
                t.sends(qos2(1, "a"));
                t.receives(pubrec_saying(code, words));
                received(&mut t, told, !words.is_empty());
                if is_cut {
                    t.cut();
                    t.resumes();
                }
                t.sends(pubrel(1));
                // A repeat says nothing new.
                t.receives(pubrec_saying(code, words));
                t.sends(pubrel(1));
                t.receives(pubcomp(1).code(last));
                t.published(1, Outcome::Acknowledged(outcome));
                t.quiet();
            }
        }
    }
}

/// T8. With nothing to tell nothing is told; and before the message is sent again it is told as ever.
#[test]
fn t08_a_pubrec_without_words_tells_nothing() {
    for mut t in both() {
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives(pubrec(1).code(0));
        t.sends(pubrel(1));
        t.receives(pubcomp(1));
        t.acknowledged(1);
        t.quiet();
    }
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.shows(qos2(1, "a"), 2);
    t.cut();
    t.connect();
    t.receives((super::trace::connack(true, ""), pubrec_saying(0x10, "")));
    t.connected(true);
    received(&mut t, ReasonCode::NoMatchingSubscribers, false);
    t.sends(pubrel(1));
    t.receives(pubcomp(1));
    t.published(1, Outcome::Acknowledged(ReasonCode::NoMatchingSubscribers));
}

/// T8. If the session is lost, it is told as lost, whatever PUBREC said.
#[test]
fn t08_a_message_that_was_received_may_be_lost_unconfirmed() {
    let mut t = <Trace>::new(Version::V5);
    t.options.clean_start = true;
    t.options.properties = Properties::EMPTY;
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.sends(qos2(1, "a"));
    t.receives(pubrec_saying(0x10, WORDS));
    received(&mut t, ReasonCode::NoMatchingSubscribers, true);
    t.loses_link();
    t.published(1, Outcome::LostUnconfirmed);
    t.closes(CloseReason::ConnectionLost);
}

/// T13. A peer that counts each PUBCOMP, as 4.9 says, may have one message more under way than we announced: PUBCOMP for a
/// message of the last connection crosses as many new ones as we allowed. One more than that is too much.
#[test]
fn t13_a_peer_that_counts_each_pubcomp_is_borne() {
    for before in [0, 3, 7] {
        let mut t = <Trace>::new(Version::V5);
        t13_resumes_with_eight_under_way(&mut t, before);
    }
}

/// So many messages come before PUBCOMP has left, the others while it is on its way.
fn t13_resumes_with_eight_under_way(t: &mut Trace, before: usize) {
    t.connects();
    t.receives(qos2(1, "old"));
    t.message(qos2(1, "old"));
    t.sends(pubrec(1));
    t.cut();
    t.announced = 7;
    t.resumes();
    let allowed = [11, 12, 13, 14, 15, 16, 17].map(|id| qos2(id, "new"));
    let (early, late) = allowed.split_at(before);
    t.receives(pubrel(1));
    for &message in early {
        t.receives(message);
        t.message(message);
    }
    t.sends(pubcomp(1));
    for &message in early {
        t.sends(message.answer());
    }
    for &message in late {
        t.receives(message);
        t.message(message);
        t.sends(message.answer());
    }
    t.receives(qos2(18, "new"));
    t.message(qos2(18, "new"));
    t.sends(pubrec(18));
    // It goes on so, with eight at a time.
    t.receives(pubrel(11));
    t.sends(pubcomp(11));
    t.receives(qos1(19, "new"));
    t.message(qos1(19, "new"));
    t.sends(puback(19));
    t.receives(qos2(20, "new"));
    t.message(qos2(20, "new"));
    t.sends(pubrec(20));
    t.receives(qos1(21, "new"));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
}

/// T13. Our PUBCOMP was lost, so that only the peer knows of the exchange: the same.
#[test]
fn t13_a_pubcomp_for_a_message_that_is_forgotten_counts() {
    let mut t = manual::<3>(Version::V5);
    t.connects();
    t.receives(pubrel(1));
    t.sends(pubcomp(1).code(0x92));
    let messages = [11, 12, 13].map(|id| qos1(id, "new"));
    t.receives(messages);
    let handles = messages.map(|message| t.hands_out(message));
    // There is no place for a fourth, which is not the fault of the peer: it waits for one.
    t.receives(qos1(14, "new"));
    t.quiet();
    t.acknowledge(handles[0]);
    t.hands_out(qos1(14, "new"));
    t.sends(puback(11));
    t.quiet();
}

/// T13. Before PUBCOMP has left the peer cannot have counted it.
#[test]
fn t13_a_pubcomp_that_has_not_left_raises_nothing() {
    let mut t = Trace::<1024, 8, 2>::new(Version::V5);
    t.connects();
    t.receives(qos2(1, "old"));
    t.message(qos2(1, "old"));
    t.sends(pubrec(1));
    t.cut();
    t.announced = 1;
    t.resumes();
    t.receives((pubrel(1), qos2(2, "a"), qos2(3, "b")));
    t.message(qos2(2, "a"));
    t.sends((pubcomp(1), pubrec(2), "E0 01 93"));
    t.closes(CloseReason::ReceiveMaximumExceeded);
}

/// T13. Nor does it for a message that was shown on an earlier connection and comes again: it is new here, and one too many.
#[test]
fn t13_a_message_that_comes_again_counts_as_a_new_one_does() {
    let mut t = Trace::<1024, 8, 2>::new(Version::V5);
    t.connects();
    t.receives([qos2(1, "old"), qos2(2, "old")]);
    t.message(qos2(1, "old"));
    t.message(qos2(2, "old"));
    t.sends([pubrec(1), pubrec(2)]);
    t.cut();
    t.announced = 1;
    t.resumes();
    t.receives(([pubrel(1), pubrel(2)], [qos1(3, "a").dup(), qos2(4, "b").dup(), qos2(5, "c")]));
    t.message(qos1(3, "a").dup());
    // The answers leave, so that the peer does not send the same once more.
    t.sends(([pubcomp(1), pubcomp(2)], puback(3), "E0 01 93"));
    t.closes(CloseReason::ReceiveMaximumExceeded);
}

/// T13. It ends with the connection.
#[test]
fn t13_what_was_borne_is_forgotten_with_the_connection() {
    let mut t = Trace::<1024, 8, 2>::new(Version::V5);
    t.connects();
    t.receives(pubrel(1));
    t.sends(pubcomp(1).code(0x92));
    t.cut();
    t.resumes();
    t.receives([qos2(2, "a"), qos2(3, "b"), qos2(4, "c")]);
    t.message(qos2(2, "a"));
    t.message(qos2(3, "b"));
    t.sends(([pubrec(2), pubrec(3)], "E0 01 93"));
    t.closes(CloseReason::ReceiveMaximumExceeded);
}

/// T14. Message 1 was refused and 2 accepted, and both PUBRECs are lost: on the next connection 1 is new, and its PUBREC leaves
/// before that of 2. [MQTT-4.6.0-3]
#[test]
fn t14_a_repeated_pubrec_leaves_in_the_order_of_the_messages() {
    for repeats in [false, true] {
        for code in [0x97, 0x00] {
            let mut t = manual::<8>(Version::V5);
            t.connects();
            t.receives([qos2(1, "a"), qos2(2, "b")]);
            let (first, second) = (t.hands_out(qos2(1, "a")), t.hands_out(qos2(2, "b")));
            t.acknowledge(second);
            assert_eq!(t.session.acknowledge(first, ReasonCode::QuotaExceeded), Ok(()));
            t.shows([pubrec(1).code(0x97), pubrec(2)], 3);
            t.cut();
            t.announced = 7;
            t.resumes();
            t.receives([qos2(1, "a").dup(), qos2(2, "b").dup()]);
            let again = t.hands_out(qos2(1, "a").dup());
            t.quiet();
            if repeats {
                t.receives(qos2(2, "b").dup());
                t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
                t.quiet();
            }
            let code = ReasonCode::of_byte(code).unwrap();
            assert_eq!(t.session.acknowledge(again, code), Ok(()));
            let first = if code.is_error() { pubrec(1).code(0x97) } else { pubrec(1) };
            t.sends([first, pubrec(2)]);
            t.receives(pubrel(2));
            t.sends(pubcomp(2));
            t.quiet();
        }
    }
}

/// T14. Cut again while it waits for its turn, it still has it on the connection after that; behind nothing it leaves at once.
#[test]
fn t14_a_repeated_pubrec_keeps_its_turn_over_another_cut() {
    let mut t = manual::<8>(Version::V5);
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
    t.cut();
    t.announced = 6;
    t.resumes();
    t.receives([qos2(1, "a").dup(), qos2(2, "b").dup()]);
    t.quiet();
    t.acknowledge(again);
    t.sends([pubrec(1), pubrec(2)]);
    t.receives([pubrel(1), pubrel(2)]);
    t.sends([pubcomp(1), pubcomp(2)]);
    t.cut();
    t.announced = 8;
    t.resumes();
    t.quiet();
}

/// T16. A refusal with a code that PUBREC does not have, or that nobody has, is a refusal of that message. A code below 0x80
/// that is not in the table is an error.
#[test]
fn t16_a_code_of_another_table_refuses_the_message() {
    let rule = Violation::PubrecCodeReserved;
    let cases = [
        (0x93, ReasonCode::ReceiveMaximumExceeded),
        (0x92, ReasonCode::PacketIdentifierNotFound),
        (0xA2, ReasonCode::WildcardSubscriptionsNotSupported),
        (0xFE, ReasonCode::UnspecifiedError),
    ];
    for (code, told) in cases {
        let mut t = <Trace>::new(Version::V5);
        t.connects_with(false, "21 0001");
        t.publish(ExactlyOnce, "a");
        t.publish(ExactlyOnce, "b");
        t.sends(qos2(1, "a"));
        t.receives(pubrec(1).code(code));
        t.published(1, Outcome::Rejected(told));
        t.tells(&Event::Tolerated(CloseReason::Violation(rule)));
        t.sends(qos2(2, "b"));
        // With nobody waiting for it, too; and each time.
        t.receives([pubrec(9).code(code), pubrec(2).code(code)]);
        t.stray(AckType::Pubrec, 9);
        t.tells(&Event::Tolerated(CloseReason::Violation(rule)));
        t.published(2, Outcome::Rejected(told));
        t.tells(&Event::Tolerated(CloseReason::Violation(rule)));
        t.quiet();
        assert_eq!(t.session.pending(), 0);
    }
    for code in [0x01, 0x11, 0x7F] {
        let mut t = <Trace>::new(Version::V5);
        t.connects();
        t.publish(ExactlyOnce, "a");
        t.sends(qos2(1, "a"));
        t.receives(pubrec(1).code(code));
        t.fails(CloseReason::Violation(rule), 0x82);
    }
}

/// T16. It comes with words, and behind a cut: the message is refused and does not come back.
#[test]
fn t16_a_message_that_was_refused_so_is_not_sent_again() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    t.publish(ExactlyOnce, "a");
    t.sends(qos2(1, "a"));
    t.cut();
    t.resumes();
    t.sends(qos2(1, "a").dup());
    t.receives(pubrec_saying(0x93, WORDS));
    let refused = t.event(|_, event| match event {
        Event::Published { outcome, properties, .. } => {
            (outcome, properties.reason_string()) == (Outcome::Rejected(ReasonCode::ReceiveMaximumExceeded), Some("hi"))
        }
        _ => false,
    });
    assert!(refused);
    t.loses_link();
    t.tells(&Event::Tolerated(CloseReason::Violation(Violation::PubrecCodeReserved)));
    t.closes(CloseReason::ConnectionLost);
    t.resumes();
    t.quiet();
}

/// T16. What we say ourselves stays in the table.
#[test]
fn t16_an_application_refuses_with_the_codes_of_the_table() {
    let mut t = manual::<8>(Version::V5);
    t.connects();
    t.receives(qos2(7, "a"));
    let handle = t.hands_out(qos2(7, "a"));
    let wrong = t.session.acknowledge(handle, ReasonCode::ReceiveMaximumExceeded);
    assert_eq!(wrong, Err(CommandError::Forbidden(Violation::PubrecCodeReserved)));
    t.acknowledge(handle);
    t.sends(pubrec(7));
    t.quiet();
}

/// T17. The server sends a message again on the same connection while the application has it: it is not told again, takes no
/// second unit of the Receive Maximum, and one acknowledgement answers both. 3.1.1 allows the repeat.
#[test]
fn t17_a_repeat_on_the_same_connection_is_borne() {
    for message in [qos1(7, "a"), qos2(7, "a")] {
        for version in [Version::V311, Version::V5] {
            let mut t = manual::<2>(version);
            t.connects();
            t.receives(message);
            let handle = t.hands_out(message);
            for repeat in [message.dup(), message, message.dup()] {
                t.receives(repeat);
                if version == Version::V5 {
                    t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
                }
                t.quiet();
            }
            // Within the Receive Maximum of 2.
            t.receives(qos1(8, "b"));
            let other = t.hands_out(qos1(8, "b"));
            t.acknowledge(other);
            t.quiet();
            t.acknowledge(handle);
            t.sends((message.answer(), puback(8)));
            t.quiet();
            if message.answer().kind() == AckType::Puback {
                t.receives(message.dup());
                let handle = t.hands_out(message.dup());
                t.acknowledge(handle);
                t.sends(puback(7));
            } else {
                t.receives(pubrel(7));
                t.sends(pubcomp(7));
            }
            t.quiet();
        }
    }
}

/// T17. The repeat came before the acknowledgement had left, though the application has given it, or its handler has run.
#[test]
fn t17_a_repeat_before_the_acknowledgement_has_left_is_borne() {
    for version in [Version::V311, Version::V5] {
        for manually in [false, true] {
            let mut t = Trace::<1024, 8, 2>::new(version);
            if manually {
                t = manual(version);
            }
            t.connects();
            t.receives([qos1(6, "a"), qos1(7, "b")]);
            for message in [qos1(6, "a"), qos1(7, "b")] {
                if let Some(handle) = t.message(message) {
                    t.acknowledge(handle);
                }
            }
            t.receives([qos1(7, "b").dup(), qos1(6, "a").dup()]);
            if version == Version::V5 {
                t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
                t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
            }
            t.sends([puback(6), puback(7)]);
            t.quiet();
            t.receives(qos1(6, "a").dup());
            if let Some(handle) = t.message(qos1(6, "a").dup()) {
                t.acknowledge(handle);
            }
            t.sends(puback(6));
            t.quiet();
        }
    }
}

/// T17. Of QoS 2, refused: one PUBREC answers both, and after it the message is new.
#[test]
fn t17_a_repeat_before_a_refusal_has_left_is_borne() {
    let mut t = manual::<1>(Version::V5);
    t.connects();
    for _ in 0..3 {
        t.receives(qos2(7, "a"));
        let handle = t.hands_out(qos2(7, "a"));
        assert_eq!(t.session.acknowledge(handle, ReasonCode::QuotaExceeded), Ok(()));
        t.receives(qos2(7, "a").dup());
        t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
        t.sends(pubrec(7).code(0x97));
        t.quiet();
    }
}

/// T17. With one place, a server that repeats as often as it likes is served.
#[test]
fn t17_a_server_that_repeats_all_the_time_makes_progress() {
    let mut t = Trace::<1024, 8, 1>::new(Version::V5);
    t.connects();
    for id in 1..100 {
        // With one place, not even DUP is needed to know a repeat.
        let repeat = if id % 2 == 0 { qos1(id, "a") } else { qos1(id, "a").dup() };
        t.receives((qos1(id, "a"), [repeat; 4]));
        t.message(qos1(id, "a"));
        for _ in 0..4 {
            t.tells(&Event::Tolerated(CloseReason::PacketIdentifierReused));
        }
        t.sends(puback(id));
        t.quiet();
    }
}

/// A new connection over a living one announces what there is room for once that one has ended: what the application has not
/// acknowledged of QoS 1 is forgotten with it, and everything with a session that ends with it.
#[test]
fn a_connection_over_a_living_one_announces_all_places_that_will_be_free() {
    for (lasting, announced) in [(true, 6), (false, 8)] {
        let mut t = manual::<8>(Version::V5);
        if !lasting {
            t.options.properties = Properties::EMPTY;
        }
        t.connects();
        t.receives([qos1(1, "a"), qos1(2, "b"), qos2(3, "c")]);
        t.hands_out(qos1(1, "a"));
        t.hands_out(qos1(2, "b"));
        t.hands_out(qos2(3, "c"));
        t.receives(qos2(4, "d"));
        t.hands_out(qos2(4, "d"));
        t.announced = announced;
        t.connect();
        t.quiet();
        t.receives(super::trace::connack(lasting, ""));
        t.connected(lasting);
        // As many may come, and not one more.
        for id in 11..11 + announced {
            t.receives(qos1(id, "n"));
            t.hands_out(qos1(id, "n"));
        }
        t.quiet();
        t.receives(qos1(99, "n"));
        t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
    }
}
