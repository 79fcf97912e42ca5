//! Received in parts, as traces: what the peer sends, what is told, what leaves.

use mqtt_session::server;
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Disconnect, DisconnectWhen, Event, Handle, MaximumPacketSize,
    Oversized, QoS, ReasonCode, TopicAliases, Version, Violation,
};

use crate::known_failures::trace::{
    Bytes, Trace, aliased, dup, puback, pubcomp, pubrec, pubrel, qos0, qos1, with_header,
};
use crate::server::trace as theirs;

use super::{LEVELS, VERSIONS, payload};

type Small = Trace<1024, 8, 8, 256, 40>;

/// A connection that takes what is larger than its 40 bytes in parts.
fn online(version: Version, acknowledgement: Acknowledge) -> Small {
    let mut t = Small::new(version);
    t.options = Connect {
        oversized: Oversized::InPieces,
        maximum_packet_size: MaximumPacketSize::Absent,
        acknowledgement,
        ..t.options
    };
    t.begins();
    t.writes();
    t.receives(crate::known_failures::trace::connack(false, ""));
    t.connected(false);
    t
}

fn both(acknowledgement: Acknowledge) -> [Small; 2] {
    VERSIONS.map(|version| online(version, acknowledgement))
}

/// The server still has the session, and has announced nothing of the size of packets.
fn resumes(t: &mut Small) {
    t.begins();
    t.writes();
    t.receives(crate::known_failures::trace::connack(true, ""));
    t.connected(true);
}

/// A PUBLISH to "t".
fn publish(version: Version, qos: QoS, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01t".to_vec();
    if qos != QoS::AtMostOnce {
        body.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(payload);
    with_header(0x30 | (qos as u8) << 1, &body)
}

/// The front of a message is told, with what of its payload came with it.
#[track_caller]
fn front(t: &mut Small, qos: QoS) -> Vec<u8> {
    t.event(|_, event| match event {
        Event::Message(message) if message.topic == "t" && message.qos() == qos && message.remaining > 0 => {
            assert_eq!(message.handle, None);
            message.payload.to_vec()
        }
        event => panic!("{event:?}"),
    })
}

/// The next part, and how much is still to come.
#[track_caller]
fn part(t: &mut Small) -> (Vec<u8>, u32, Option<Handle>) {
    t.event(|_, event| match event {
        Event::MessagePart(part) => (part.payload.to_vec(), part.remaining, part.handle),
        event => panic!("{event:?}"),
    })
}

/// All parts, in order.
#[track_caller]
fn parts(t: &mut Small, so_far: Vec<u8>) -> (Vec<u8>, Option<Handle>) {
    let mut whole = so_far;
    loop {
        let (payload, remaining, handle) = part(t);
        assert!(!payload.is_empty() && (handle.is_none() || remaining == 0));
        whole.extend(payload);
        if remaining == 0 {
            return (whole, handle);
        }
    }
}

/// Nothing is acknowledged before the last part was handled, and a message that fits is told whole.
#[test]
fn a_large_message_comes_in_parts_and_counts_with_the_last() {
    for version in VERSIONS {
        for qos in LEVELS {
            for len in [40, 41, 127, 128, 1_000, 20_000] {
                let mut t = online(version, Acknowledge::AfterHandling);
                let payload = payload(len);
                t.receives(publish(version, qos, 7, &payload));
                let first = front(&mut t, qos);
                assert_eq!(t.session.pending_received(), 0);
                let (whole, handle) = parts(&mut t, first);
                assert!(whole == payload && handle.is_none());
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => t.sends(puback(7)),
                    QoS::ExactlyOnce => {
                        t.sends(pubrec(7));
                        t.receives(pubrel(7));
                        t.sends(pubcomp(7));
                    }
                }
                t.receives(qos0("small"));
                t.message(qos0("small"));
                t.quiet();
            }
        }
    }
}

/// The pieces are where the bytes were read to, and none is waited for.
#[test]
fn a_part_is_told_as_soon_as_bytes_of_it_are_here() {
    for mut t in both(Acknowledge::AfterHandling) {
        let bytes = publish(t.version, QoS::AtLeastOnce, 7, &payload(100));
        let front_len = bytes.len() - 100;
        t.receives(bytes[..front_len].to_vec());
        assert!(front(&mut t, QoS::AtLeastOnce).is_empty());
        for (at, byte) in bytes[front_len..].iter().enumerate() {
            t.quiet();
            t.receives(vec![*byte]);
            assert_eq!(part(&mut t), (vec![*byte], 99 - u32::try_from(at).unwrap(), None));
        }
        t.sends(puback(7));
    }
}

#[test]
fn the_application_acknowledges_by_the_handle_of_the_last_part() {
    for mut t in both(Acknowledge::Manually) {
        for (qos, answer) in [(QoS::AtLeastOnce, puback(7)), (QoS::ExactlyOnce, pubrec(7))] {
            t.receives(publish(t.version, qos, 7, &payload(100)));
            let first = front(&mut t, qos);
            let (_, handle) = parts(&mut t, first);
            t.quiet();
            t.acknowledge(handle.unwrap());
            t.sends(answer);
        }
    }
}

/// Acknowledgements leave in the order of their messages, whoever gives them. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn a_message_that_is_discarded_is_answered_in_its_turn() {
    for mut t in both(Acknowledge::Manually) {
        t.receives(qos1(3, "first"));
        let first = t.hands_out(qos1(3, "first"));
        t.receives(publish(t.version, QoS::AtLeastOnce, 7, &payload(100)));
        front(&mut t, QoS::AtLeastOnce);
        t.session.discard_message(ReasonCode::QuotaExceeded).unwrap();
        t.quiet();
        t.acknowledge(first);
        while !t.wants_to_write() {
            t.quiet();
        }
        let code = if t.is_v5() { 0x97 } else { 0 };
        if t.wants_to_read() {
            t.sends(puback(3));
        } else {
            t.sends((puback(3), puback(7).code(code)));
            continue;
        }
        while !t.wants_to_write() {
            t.quiet();
        }
        t.sends(puback(7).code(code));
    }
}

/// The rest passes unseen, and the answer is the code that was given, or the acknowledgement of 3.1.1.
#[test]
fn the_application_may_give_up_in_the_middle() {
    for acknowledgement in [Acknowledge::AfterHandling, Acknowledge::Manually] {
        for mut t in both(acknowledgement) {
            for qos in LEVELS {
                t.receives(publish(t.version, qos, 7, &payload(200)));
                front(&mut t, qos);
                part(&mut t);
                t.session.discard_message(ReasonCode::ImplementationSpecificError).unwrap();
                let again = t.session.discard_message(ReasonCode::Success);
                assert_eq!(again, Err(CommandError::NothingToAnswer));
                while t.wants_to_read() && !t.wants_to_write() {
                    t.quiet();
                }
                let code = if t.is_v5() { 0x83 } else { 0 };
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => t.sends(puback(7).code(code)),
                    QoS::ExactlyOnce => {
                        t.sends(pubrec(7).code(code));
                        // 5.0: the exchange is over. 3.1.1 cannot refuse, so it goes on.
                        if !t.is_v5() {
                            t.receives(pubrel(7));
                            t.sends(pubcomp(7));
                        }
                    }
                }
                assert_eq!(t.session.pending_received(), 0);
                t.quiet();
            }
        }
    }
}

#[test]
fn what_cannot_be_discarded() {
    for mut t in both(Acknowledge::AfterHandling) {
        assert_eq!(t.session.discard_message(ReasonCode::Success), Err(CommandError::NothingToAnswer));
        t.receives(publish(t.version, QoS::AtLeastOnce, 7, &payload(100)));
        front(&mut t, QoS::AtLeastOnce);
        if t.is_v5() {
            let refused = t.session.discard_message(ReasonCode::ServerBusy);
            assert_eq!(refused, Err(CommandError::Forbidden(Violation::PubackCodeReserved)));
        }
        parts(&mut t, vec![]);
        assert_eq!(t.session.discard_message(ReasonCode::Success), Err(CommandError::NothingToAnswer));
        t.sends(puback(7));
    }
}

/// However far it came: one event says that it broke off, and it is told anew from its beginning.
#[test]
fn a_cut_between_parts_is_told_once() {
    for mut t in both(Acknowledge::AfterHandling) {
        let bytes = publish(t.version, QoS::ExactlyOnce, 7, &payload(100));
        for len in 0..bytes.len() {
            t.receives(bytes[..len].to_vec());
            let mut is_begun = false;
            loop {
                if !t.wants_to_read() && t.session.deadline().is_none() && is_idle(&t) {
                    break;
                }
                t.event(|_, event| assert!(matches!(event, Event::Message(_) | Event::MessagePart(_)), "{event:?}"));
                is_begun = true;
            }
            t.loses_link();
            if is_begun {
                t.tells(&Event::MessageAborted);
            }
            t.closes(CloseReason::ConnectionLost);
            resumes(&mut t);
            t.quiet();
        }
        t.receives(dup(bytes.clone()));
        let first = front(&mut t, QoS::ExactlyOnce);
        assert_eq!(parts(&mut t, first).0, payload(100));
        t.sends(pubrec(7));
        t.cut();
        resumes(&mut t);
        // Its identifier is held now: the repeat passes without an event, and is answered when all of it is here.
        t.receives(dup(bytes));
        while !t.wants_to_write() {
            t.quiet();
        }
        assert!(!t.wants_to_read());
        t.sends(pubrec(7));
        t.receives(pubrel(7));
        t.sends(pubcomp(7));
    }
}

/// Whether a poll of a copy would only wait.
fn is_idle(t: &Small) -> bool {
    let (mut session, mut inbox) = (t.session.clone(), t.inbox.clone());
    matches!(session.poll(&mut inbox, t.clock()), mqtt_session::Step::Wait(_))
}

#[test]
fn connect_in_the_middle_says_that_the_message_broke_off() {
    for mut t in both(Acknowledge::AfterHandling) {
        t.receives(publish(t.version, QoS::AtLeastOnce, 7, &payload(100)));
        front(&mut t, QoS::AtLeastOnce);
        t.begins();
        t.tells(&Event::MessageAborted);
        t.writes();
    }
}

/// What was discarded nobody waits for.
#[test]
fn a_cut_in_what_was_discarded_is_not_told() {
    for mut t in both(Acknowledge::AfterHandling) {
        t.receives(publish(t.version, QoS::AtLeastOnce, 7, &payload(100)));
        front(&mut t, QoS::AtLeastOnce);
        t.session.discard_message(ReasonCode::Success).unwrap();
        t.cut();
    }
}

#[test]
fn disconnect_in_the_middle() {
    for when in [DisconnectWhen::Sent, DisconnectWhen::Completed { timeout: None }] {
        for mut t in both(Acknowledge::AfterHandling) {
            t.receives(publish(t.version, QoS::AtLeastOnce, 7, &payload(60)));
            let first = front(&mut t, QoS::AtLeastOnce);
            t.session.disconnect(&Disconnect { when, ..Disconnect::default() }).unwrap();
            if when == DisconnectWhen::Sent {
                t.sends("E0 00");
                t.tells(&Event::MessageAborted);
            } else {
                // The exchange is waited for.
                assert_eq!(parts(&mut t, first).0, payload(60));
                t.sends(puback(7));
                t.sends("E0 00");
            }
            t.closes(CloseReason::Disconnected);
        }
    }
}

#[test]
fn a_front_that_does_not_fit_ends_the_connection() {
    for mut t in both(Acknowledge::AfterHandling) {
        let topic = "x".repeat(40);
        let properties: &[u8] = if t.is_v5() { &[0] } else { &[] };
        t.receives(with_header(0x30, &[b"\0\x28", topic.as_bytes(), properties, &[b'p'; 100]].concat()));
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
    }
}

#[test]
fn more_than_was_announced_ends_the_connection() {
    let mut t = Small::new(Version::V5);
    let maximum_packet_size = MaximumPacketSize::Bytes(400);
    t.options = Connect { oversized: Oversized::InPieces, maximum_packet_size, ..t.options };
    t.begins();
    t.writes();
    t.receives(crate::known_failures::trace::connack(false, ""));
    t.connected(false);
    let fits = publish(Version::V5, QoS::AtMostOnce, 0, &payload(393));
    assert_eq!(fits.len(), 400);
    t.receives(fits);
    let first = front(&mut t, QoS::AtMostOnce);
    parts(&mut t, first);
    t.receives(publish(Version::V5, QoS::AtMostOnce, 0, &payload(394)));
    t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
}

/// Exceeding our Receive Maximum is answered as soon as the front shows it. [MQTT-3.3.4-9]
#[test]
fn a_large_message_counts_against_receive_maximum() {
    let mut t = Trace::<1024, 8, 1, 256, 40>::new(Version::V5);
    t.options = Connect { oversized: Oversized::InPieces, maximum_packet_size: MaximumPacketSize::Absent, ..t.options };
    t.begins();
    t.writes();
    t.receives(crate::known_failures::trace::connack(false, ""));
    t.connected(false);
    t.receives(crate::known_failures::trace::qos2(3, "m"));
    t.message(crate::known_failures::trace::qos2(3, "m"));
    t.sends(pubrec(3));
    t.receives(publish(Version::V5, QoS::ExactlyOnce, 7, &payload(100)));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
}

#[test]
fn the_topic_may_be_an_alias() {
    let mut t: Trace<1024, 8, 8, 256, 80> = Trace::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 1, topic: 20 });
    t.options = Connect { oversized: Oversized::InPieces, maximum_packet_size: MaximumPacketSize::Absent, ..t.options };
    t.begins();
    t.writes();
    t.receives(crate::known_failures::trace::connack(false, ""));
    t.connected(false);
    for topic in ["a/b", ""] {
        t.receives(aliased(QoS::AtMostOnce, 0, topic, 1, &"x".repeat(200)));
        let mut left = t.event(|_, event| match event {
            Event::Message(message) => {
                assert_eq!(message.topic, "a/b");
                message.remaining
            }
            event => panic!("{event:?}"),
        });
        while left > 0 {
            left = t.event(|_, event| match event {
                Event::MessagePart(part) => part.remaining,
                event => panic!("{event:?}"),
            });
        }
        t.quiet();
    }
}

/// Without `MaximumPacketSize` 5.0 announces the inbox, and what is larger is a fault of the peer as before.
#[test]
fn what_was_not_announced_is_refused() {
    let mut t = Small::new(Version::V5);
    t.options.oversized = Oversized::InPieces;
    t.connects();
    t.receives(publish(Version::V5, QoS::AtMostOnce, 0, &payload(100)));
    t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
}

/// A slow peer is alive as long as bytes of the message come.
#[test]
fn parts_are_a_sign_of_life() {
    for version in VERSIONS {
        let mut t = Small::new(version);
        t.options = Connect {
            oversized: Oversized::InPieces,
            maximum_packet_size: MaximumPacketSize::Absent,
            keep_alive: 8,
            ..t.options
        };
        t.begins();
        t.writes();
        t.receives(crate::known_failures::trace::connack(false, ""));
        t.connected(false);
        let bytes = publish(version, QoS::AtLeastOnce, 7, &payload(60));
        let front_len = bytes.len() - 60;
        t.receives(bytes[..front_len].to_vec());
        front(&mut t, QoS::AtLeastOnce);
        for byte in &bytes[front_len..] {
            t.passes(6_900);
            t.receives(vec![*byte]);
            // PINGREQ is due because nothing was sent; nothing else ends the wait for its answer.
            if part(&mut t).1 > 0 && t.wants_to_write() {
                t.sends("C0 00");
            }
        }
        t.sends(puback(7));
    }
}

/// The server's end takes what a client sends in the same way.
#[test]
fn the_server_receives_in_parts() {
    for version in VERSIONS {
        let mut t = theirs::Trace::<1024, 8, 8, 256, 40>::new(version);
        t.accept.oversized = Oversized::InPieces;
        t.accept.maximum_packet_size = MaximumPacketSize::Absent;
        t.asks(false);
        t.accepts();
        t.writes();
        t.receives(publish(version, QoS::ExactlyOnce, 7, &payload(300)));
        let mut whole = t.event(|_, event| match event {
            server::Event::Message(message) if message.remaining > 0 => message.payload.to_vec(),
            event => panic!("{event:?}"),
        });
        let mut left = 1;
        while left > 0 {
            left = t.event(|_, event| match event {
                server::Event::MessagePart(part) => {
                    whole.extend(part.payload);
                    part.remaining
                }
                event => panic!("{event:?}"),
            });
        }
        assert!(whole == payload(300));
        t.sends(pubrec(7).bytes(version));
        t.receives(publish(version, QoS::AtMostOnce, 0, &payload(300)));
        t.event(|session, event| {
            assert!(matches!(event, server::Event::Message(_)), "{event:?}");
            session.discard_message(ReasonCode::Success).unwrap();
        });
        t.receives(pubrel(7).bytes(version));
        while !t.wants_to_write() {
            t.quiet();
        }
        t.sends(pubcomp(7).bytes(version));
        t.receives(publish(version, QoS::AtLeastOnce, 9, &payload(300)));
        t.event(|_, event| assert!(matches!(event, server::Event::Message(_)), "{event:?}"));
        t.loses_link();
        t.tells(&server::Event::MessageAborted);
        t.closes(CloseReason::ConnectionLost);
    }
}
