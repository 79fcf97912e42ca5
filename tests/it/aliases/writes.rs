//! A packet that leaves in two parts: whatever a write takes, and whenever the link or the peer fails.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::wire::{Packet, PublishPacket};
use mqtt_session::{CloseReason, Event, Role, Version, Violation};

use super::trace::{Bytes, Trace, aliased, dup, puback, pubrec, qos1, qos2};
use super::{LEVELS, online, sent, write};

const CHUNKS: [usize; 6] = [1, 2, 3, 5, 7, usize::MAX];

/// What is shown is the front of an aliased packet; acknowledgements wait behind it, and another packet behind those.
fn crowded(payload: &str) -> Trace {
    let mut t = online();
    t.publish_as(1, AtMostOnce, "a/b", payload);
    t.shows(front(payload), 0);
    t.receives((qos1(7, "m"), qos1(8, "m"), qos2(9, "m")));
    for _ in 0..3 {
        t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
    }
    t.publish_as(1, AtMostOnce, "a/b", payload);
    t
}

/// What of the first message is shown at once.
fn front(payload: &str) -> Vec<u8> {
    let mut front = aliased(AtMostOnce, 0, "a/b", 1, payload);
    front.truncate(front.len() - payload.len());
    front
}

/// The packets that leave a crowded session, in order.
fn packets(payload: &str) -> [Vec<u8>; 5] {
    [
        aliased(AtMostOnce, 0, "a/b", 1, payload),
        puback(7).bytes(Version::V5),
        puback(8).bytes(Version::V5),
        pubrec(9).bytes(Version::V5),
        aliased(AtMostOnce, 0, "", 1, payload),
    ]
}

#[test]
fn acknowledgements_behind_an_aliased_packet_follow_it() {
    for payload in ["", "x", "payload"] {
        for chunk in CHUNKS {
            let mut t = crowded(payload);
            assert_eq!(write(&mut t, usize::MAX, chunk), packets(payload).concat(), "{chunk} at a time");
            t.quiet();
        }
    }
}

#[test]
fn acknowledgements_before_an_aliased_packet_precede_it() {
    for chunk in CHUNKS {
        let mut t = online();
        t.receives((qos1(7, "m"), qos2(8, "m")));
        t.message(qos1(7, "m"));
        t.message(qos2(8, "m"));
        let id = t.publish_as(1, ExactlyOnce, "a/b", "x");
        let expected = (puback(7), pubrec(8), aliased(ExactlyOnce, id, "a/b", 1, "x")).bytes(Version::V5);
        assert_eq!(write(&mut t, usize::MAX, chunk), expected, "{chunk} at a time");
        t.quiet();
    }
}

/// Between any two bytes of a packet; the acknowledgement waits.
#[test]
fn an_acknowledgement_due_in_the_middle_of_an_aliased_packet_waits() {
    for qos in LEVELS {
        let id = u16::from(qos != AtMostOnce);
        let packet = aliased(qos, id, "a/b", 1, "payload");
        for written in 0..packet.len() {
            let mut t = online();
            t.publish_as(1, qos, "a/b", "payload");
            t.wants_to_write();
            assert_eq!(write(&mut t, written, 1), packet[..written]);
            // So that the packet is shown, if nothing of it was written.
            assert_eq!(write(&mut t, 0, 1), [0_u8; 0]);
            t.receives(qos1(7, "m"));
            t.message(qos1(7, "m"));
            let expected = if written == 0 {
                [puback(7).bytes(Version::V5), packet.clone()].concat()
            } else {
                [packet[written..].to_vec(), puback(7).bytes(Version::V5)].concat()
            };
            t.sends(expected);
            t.quiet();
        }
    }
}

/// Its place stays as it is until the last byte.
#[test]
fn an_answer_to_a_half_written_aliased_packet_does_not_disturb_it() {
    let packet = aliased(AtLeastOnce, 1, "a/b", 1, "payload");
    for written in 1..packet.len() {
        let mut t = online();
        t.publish_as(1, AtLeastOnce, "a/b", "payload");
        assert_eq!(write(&mut t, written, usize::MAX), packet[..written]);
        t.receives(puback(1));
        t.acknowledged(1);
        t.publish_as(1, AtMostOnce, "a/b", "in its place?");
        t.sends(packet[written..].to_vec());
        t.sends(aliased(AtMostOnce, 0, "", 1, "in its place?"));
        t.quiet();
    }
}

/// In the front that leaves from one place, in the rest that leaves from another, and between them.
#[test]
fn a_cut_in_an_aliased_packet_leaves_nothing_over() {
    for payload in ["", "payload"] {
        for qos in LEVELS {
            for is_known in [false, true] {
                let id = u16::from(qos != AtMostOnce);
                let topic = if is_known { "" } else { "a/b" };
                let packet = aliased(qos, id, topic, 1, payload);
                for (written, chunk) in (0..=packet.len()).flat_map(|written| CHUNKS.map(|chunk| (written, chunk))) {
                    let mut t = online();
                    if is_known {
                        t.publish_as(1, AtMostOnce, "a/b", "");
                        t.sends(aliased(AtMostOnce, 0, "a/b", 1, ""));
                    }
                    t.publish_as(1, qos, "a/b", payload);
                    let front = packet.len() - payload.len();
                    t.shows(packet[..front].to_vec(), 0);
                    assert_eq!(write(&mut t, written, chunk), packet[..written]);
                    let is_dropped = qos == AtMostOnce && (0..packet.len()).contains(&written);
                    // Otherwise `connect` alone tells of the loss.
                    if written % 2 == 0 {
                        t.loses_link();
                        if is_dropped {
                            t.dropped(1);
                        }
                        t.closes(mqtt_session::CloseReason::ConnectionLost);
                    } else if is_dropped {
                        t.begins();
                        t.dropped(1);
                    }
                    resumes_with_the_topic(
                        t,
                        &super::Sent { dup: true, ..sent("a/b", payload.as_bytes()).qos(qos, id) },
                    );
                }
            }
        }
    }
}

/// To a server without aliases, and then to one with them; a message of QoS 0 is gone.
fn resumes_with_the_topic(mut t: Trace, again: &super::Sent<'_>) {
    let has_left = again.qos == AtMostOnce;
    t.resumes();
    if !has_left {
        t.sends(again.bytes());
    }
    t.quiet();
    t.cut();
    t.connects_with(true, "22 0001");
    if !has_left {
        t.sends(again.clone().alias(1).bytes());
    }
    t.quiet();
}

/// However far the session came: what is begun is ended, what is not begun does not leave, and DISCONNECT is last.
#[test]
fn a_protocol_error_leaves_whole_packets() {
    for payload in ["", "x", "payload"] {
        let all = packets(payload);
        let total: usize = all.iter().map(Vec::len).sum();
        let ends: Vec<usize> = all
            .iter()
            .scan(0, |end, packet| {
                *end += packet.len();
                Some(*end)
            })
            .collect();
        for (written, chunk) in (0..=total).flat_map(|written| CHUNKS.map(|chunk| (written, chunk))) {
            for is_shown in [false, true] {
                let mut t = crowded(payload);
                let mut stream = write(&mut t, written, chunk);
                if is_shown && written < total {
                    assert!(t.wants_to_write());
                    let _ = t.session.poll(&mut t.inbox, mqtt_session::Instant::from_millis(1_000));
                }
                t.receives("36 00");
                stream.extend(write(&mut t, usize::MAX, chunk));
                t.closes(CloseReason::Violation(Violation::PublishQosReserved));
                let (packets, farewell) = stream.split_at(stream.len() - 3);
                assert_eq!(farewell, [0xE0, 1, 0x81], "{written} {chunk} {stream:02X?}");
                assert!(total >= packets.len() && all.concat()[..packets.len()] == *packets, "{stream:02X?}");
                assert!(packets.len() >= written, "{written} {chunk}: {stream:02X?}");
                // What is shown, but not begun, may leave or not, as long as it does so as a whole.
                let begun = ends.iter().filter(|&&end| end < packets.len() && end > written).count();
                let whole = packets.is_empty() || ends.contains(&packets.len());
                assert!(whole && begun == 0, "{written} {chunk}: {stream:02X?}");
            }
        }
    }
}

#[test]
fn a_protocol_error_while_nothing_of_an_aliased_packet_is_shown() {
    let mut t = online();
    t.publish_as(1, AtLeastOnce, "t", "x");
    t.receives("36 00");
    t.fails(CloseReason::Violation(Violation::PublishQosReserved), 0x81);
    t.resumes();
    t.sends(qos1(1, "x"));
    t.quiet();
}

/// The server gets to see each message whole, once it may, and with the topic that was given.
#[test]
fn a_message_cut_off_by_a_protocol_error_is_sent_again_with_its_topic() {
    let packet = aliased(AtLeastOnce, 1, "a/b", 1, "x");
    for written in 0..packet.len() {
        let mut t = online();
        t.publish_as(1, AtLeastOnce, "a/b", "x");
        t.shows(packet[..packet.len() - 1].to_vec(), 0);
        assert_eq!(write(&mut t, written, 1), packet[..written]);
        t.receives("36 00");
        t.sends(packet[written..].to_vec());
        t.fails(CloseReason::Violation(Violation::PublishQosReserved), 0x81);
        t.connects_with(true, "22 0001");
        t.sends(dup(packet.clone()));
        t.quiet();
    }
}

/// The trace builder is not the only witness.
#[test]
fn what_leaves_in_two_parts_is_one_packet_to_a_decoder() {
    let mut t = online();
    t.publish_as(1, ExactlyOnce, "a/b", "payload");
    let bytes = write(&mut t, usize::MAX, 1);
    let Ok(Some((Packet::Publish(PublishPacket { topic, properties, payload, delivery, .. }), len))) =
        Packet::decode(Version::V5, Role::Server, &bytes)
    else {
        panic!("{bytes:02X?}")
    };
    assert_eq!((topic, properties.topic_alias(), payload), ("a/b", Some(1), &b"payload"[..]));
    assert_eq!((delivery.packet_id().map(mqtt_session::PacketId::get), len), (Some(1), bytes.len()));
}
