//! Sent in pieces, as traces: what leaves is what `publish` would have sent, and the payload is asked for when its turn comes.

use core::num::NonZeroU16;
use core::time::Duration;

use mqtt_session::{
    CloseReason, CommandError, Connect, Disconnect, Event, Outcome, PayloadRequest, Properties, Property, Publish, QoS,
    ReasonCode, SizeLimit, Source, Step, TopicAliases, Version,
};

use crate::known_failures::trace::{Bytes, TOPIC, Trace, both, packet_id, puback, pubcomp, pubrec, pubrel, qos0, qos1};

use super::{LEVELS, VERSIONS, payload};

/// What `publish` sends of this message in a session like that of the trace.
fn whole(version: Version, publish: &Publish<'_>) -> Vec<u8> {
    let mut t = Trace::<100_000>::new(version);
    t.connects();
    t.session.publish(publish).unwrap();
    let mut bytes = Vec::new();
    let now = t.clock();
    while let Step::Transmit(shown) = t.session.poll(&mut t.inbox, now) {
        bytes.extend(shown);
        t.session.transmitted(usize::MAX);
    }
    bytes
}

/// The session asks for the piece at `offset`, and is given as much of it as it takes.
#[track_caller]
fn asks<const STORE: usize, const CONTROL: usize>(
    t: &mut Trace<STORE, 8, 8, CONTROL>,
    payload: &[u8],
    offset: usize,
) -> usize {
    t.event(|session, event| match event {
        Event::PayloadRequested(PayloadRequest { source: 3, offset: at, remaining, .. }) => {
            assert_eq!((at as usize, remaining as usize), (offset, payload.len() - offset));
            session.supply(&payload[offset..])
        }
        event => panic!("{event:?}"),
    })
}

/// All of a message leaves, `bytes` in all, with its payload asked for piece by piece.
#[track_caller]
fn sends_all<const STORE: usize, const CONTROL: usize>(
    t: &mut Trace<STORE, 8, 8, CONTROL>,
    bytes: &[u8],
    payload: &[u8],
) {
    let front = bytes.len() - payload.len();
    t.sends(bytes[..front].to_vec());
    let mut offset = 0;
    while offset < payload.len() {
        let len = asks(t, payload, offset);
        t.sends(payload[offset..offset + len].to_vec());
        offset += len;
    }
    t.quiet();
}

const SOURCE: Source = Source::new(3, 0);

fn message(qos: QoS) -> Publish<'static> {
    Publish { qos, ..Publish::new(TOPIC, &[]) }
}

#[test]
fn what_leaves_is_what_publish_would_send() {
    for version in VERSIONS {
        for qos in LEVELS {
            for (len, piece) in
                [(0, 8), (1, 8), (8, 8), (9, 8), (120, 100), (121, 64), (130, 7), (16_380, 256), (70_000, 60_000)]
            {
                for retain in [false, true] {
                    let payload = payload(len);
                    let properties = Properties::for_version(
                        version,
                        &[Property::MessageExpiryInterval(60), Property::ContentType("log")],
                    );
                    let publish = Publish { retain, properties, ..message(qos) };
                    let expected = whole(version, &Publish { payload: &payload, ..publish });
                    let mut t = Trace::<100_000>::new(version);
                    t.connects();
                    let source = Source { len: u32::try_from(len).unwrap(), piece, ..SOURCE };
                    let id = t.session.publish_from(&publish, &source).unwrap();
                    assert_eq!(id.is_some(), qos != QoS::AtMostOnce);
                    sends_all(&mut t, &expected, &payload);
                    match qos {
                        QoS::AtMostOnce => {}
                        QoS::AtLeastOnce => {
                            t.receives(puback(1));
                            t.acknowledged(1);
                        }
                        QoS::ExactlyOnce => {
                            t.receives(pubrec(1));
                            t.sends(pubrel(1));
                            t.receives(pubcomp(1));
                            t.acknowledged(1);
                        }
                    }
                    t.quiet();
                    assert_eq!(t.session.free_space(), 99_984);
                }
            }
        }
    }
}

/// The topic alias is decided on when the message leaves, and the server learns the topic once. [MQTT-3.3.2-12]
#[test]
fn with_a_topic_alias() {
    let mut t = Trace::<1024>::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 1, topic: 20 };
    t.connects_with(false, "22 00 01");
    let payload = payload(300);
    let publish = Publish { topic_alias: NonZeroU16::new(1), ..message(QoS::AtLeastOnce) };
    for (id, front) in [(1, "32 B5 02 00 01 74 00 01 03 23 00 01"), (2, "32 B4 02 00 00 00 02 03 23 00 01")] {
        t.session.publish_from(&publish, &Source { len: 300, ..SOURCE }).unwrap();
        let bytes = [Bytes::bytes(front, Version::V5), payload.clone()].concat();
        sends_all(&mut t, &bytes, &payload);
        t.receives(puback(id));
        t.acknowledged(id);
    }
}

/// With DUP, from the beginning, on each connection until it is acknowledged; never after.
#[test]
fn a_cut_asks_again_from_the_beginning() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = payload(60);
            let first = whole(version, &Publish { payload: &payload, ..message(qos) });
            let again = crate::known_failures::trace::dup(first.clone());
            for cut in 1..first.len() {
                let mut t = Trace::<1024>::new(version);
                t.connects();
                let source = Source { len: 60, piece: 16, ..SOURCE };
                t.session.publish_from(&message(qos), &source).unwrap();
                let mut written = 0;
                while written < cut {
                    let now = t.clock();
                    match t.session.poll(&mut t.inbox, now) {
                        Step::Transmit(bytes) => {
                            let len = bytes.len().min(cut - written);
                            assert_eq!(bytes[..len], first[written..written + len]);
                            t.session.transmitted(len);
                            written += len;
                        }
                        Step::Event(Event::PayloadRequested(request)) => {
                            assert_eq!(request.packet_id, Some(packet_id(1)));
                            t.session.supply(&payload[request.offset as usize..]);
                        }
                        step => panic!("{step:?}"),
                    }
                }
                t.cut();
                assert!(t.session.payload_space().is_empty());
                t.resumes();
                sends_all(&mut t, &again, &payload);
                if qos == QoS::AtLeastOnce {
                    t.receives(puback(1));
                } else {
                    t.receives(pubrec(1));
                    t.sends(pubrel(1));
                    t.cut();
                    t.resumes();
                    t.sends(pubrel(1));
                    t.receives(pubcomp(1));
                }
                t.acknowledged(1);
                t.quiet();
            }
        }
    }
}

/// One of QoS 0 is never shown on another connection.
#[test]
fn a_cut_drops_what_was_half_written_of_qos_0() {
    for mut t in both() {
        t.connects();
        t.session.publish_from(&message(QoS::AtMostOnce), &Source { len: 60, ..SOURCE }).unwrap();
        t.writes();
        asks(&mut t, &payload(60), 0);
        t.loses_link();
        t.dropped(1);
        t.closes(CloseReason::ConnectionLost);
        t.resumes();
        t.quiet();
    }
}

/// The application may take its time; meanwhile what is received is taken, and answered once the message has left.
#[test]
fn what_is_received_meanwhile_is_taken() {
    for mut t in both() {
        t.connects();
        let payload = payload(20);
        let bytes = whole(t.version, &Publish { payload: &payload, ..message(QoS::AtLeastOnce) });
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, ..SOURCE }).unwrap();
        let behind = t.publish(QoS::AtMostOnce, "behind");
        assert_eq!(behind, 0);
        t.sends(bytes[..bytes.len() - 20].to_vec());
        t.event(|_, event| assert!(matches!(event, Event::PayloadRequested(_)), "{event:?}"));
        t.quiet();
        t.receives(qos1(9, "m"));
        t.message(qos1(9, "m"));
        t.quiet();
        assert!(t.session.publish(&Publish::new("another", b"waits")).is_ok());
        t.session.payload_space()[..5].copy_from_slice(&payload[..5]);
        t.session.payload_filled(0);
        t.quiet();
        t.session.payload_filled(5);
        t.sends(payload[..5].to_vec());
        asks(&mut t, &payload, 5);
        t.sends(payload[5..].to_vec());
        t.sends(puback(9));
        t.sends(qos0("behind"));
        t.writes();
        t.quiet();
    }
}

#[test]
fn a_source_that_does_not_answer_ends_the_connection() {
    for mut t in both() {
        t.options.payload_timeout = Duration::from_secs(4);
        t.options.keep_alive = 2;
        t.begins();
        t.writes();
        t.receives(crate::known_failures::trace::connack(false, ""));
        t.connected(false);
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, ..SOURCE }).unwrap();
        t.writes();
        t.event(|_, event| assert!(matches!(event, Event::PayloadRequested(_)), "{event:?}"));
        // PINGREQ is due in between, and waits.
        for _ in 0..3 {
            t.passes(1_000);
            t.quiet();
        }
        t.passes(999);
        t.quiet();
        // Each piece has as long.
        assert_eq!(t.session.supply(&[0; 5]), 5);
        t.writes();
        t.event(|_, event| assert!(matches!(event, Event::PayloadRequested(_)), "{event:?}"));
        t.passes(3_999);
        t.quiet();
        t.passes(1);
        // As with every limit, the transport is read once more.
        let now = t.clock();
        let closes = (0..100).any(|_| matches!(t.session.poll(&mut t.inbox, now), Step::Close(_)));
        assert!(closes);
        t.closes(CloseReason::PayloadTimeout);
    }
}

#[test]
fn a_source_that_cannot_go_on_ends_the_connection() {
    for mut t in both() {
        t.connects();
        assert_eq!(t.session.abort_payload(), Err(CommandError::NothingToAnswer));
        t.session.publish_from(&message(QoS::ExactlyOnce), &Source { len: 20, ..SOURCE }).unwrap();
        assert_eq!(t.session.abort_payload(), Err(CommandError::NothingToAnswer));
        t.writes();
        t.session.abort_payload().unwrap();
        t.closes(CloseReason::PayloadAborted);
        assert!(t.session.give_up(packet_id(1)));
        t.published(1, Outcome::GivenUp);
        t.resumes();
        t.quiet();
    }
}

/// Nobody can have all of what is half written.
#[test]
fn an_acknowledgement_before_the_last_piece_is_a_fault() {
    for mut t in both() {
        t.connects();
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, piece: 8, ..SOURCE }).unwrap();
        t.writes();
        asks(&mut t, &payload(20), 0);
        t.receives(puback(1));
        t.closes(CloseReason::UnexpectedAcknowledgement);
        t.resumes();
    }
}

#[test]
fn what_is_half_written_cannot_be_given_up_or_cancelled() {
    for mut t in both() {
        t.connects();
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, ..SOURCE }).unwrap();
        let second =
            t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 30, ..SOURCE }).unwrap().unwrap();
        t.writes();
        assert!(!t.session.give_up(packet_id(1)) && !t.session.cancel(packet_id(1)));
        // One that was never shown may be taken back as always.
        assert!(t.session.cancel(second));
        let len = asks(&mut t, &payload(20), 0);
        assert_eq!(len, 20);
        t.writes();
        t.receives(puback(1));
        t.acknowledged(1);
        t.quiet();
    }
}

/// It waits for the quota like others, in its order.
#[test]
fn it_waits_for_its_turn() {
    let mut t = Trace::<1024>::new(Version::V5);
    t.connects_with(false, "21 00 01");
    t.publish(QoS::AtLeastOnce, "a");
    t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 10, ..SOURCE }).unwrap();
    t.publish(QoS::AtLeastOnce, "c");
    t.sends(qos1(1, "a"));
    t.quiet();
    t.receives(puback(1));
    t.acknowledged(1);
    let bytes = Bytes::bytes("32 10 00 01 74 00 02 00", Version::V5);
    sends_all(&mut t, &[bytes, payload(10)].concat(), &payload(10));
    t.receives(puback(2));
    t.acknowledged(2);
    t.sends(qos1(3, "c"));
}

#[test]
fn limits() {
    let mut t = Trace::<100>::new(Version::V5);
    t.connects_with(false, "27 00 00 04 00");
    let of = |len, piece| Source { len, piece, ..SOURCE };
    // The whole packet counts for the peer, what the store holds for the store.
    let largest = 1024 - 9;
    let refused = t.session.publish_from(&message(QoS::AtLeastOnce), &of(largest + 1, 8));
    let limit = SizeLimit::Peer;
    assert_eq!(refused, Err(CommandError::TooLarge { limit, needed: 1025, available: 1024 }));
    let refused = t.session.publish_from(&message(QoS::AtLeastOnce), &of(largest, 100));
    let limit = SizeLimit::Store;
    assert_eq!(refused, Err(CommandError::TooLarge { limit, needed: 5 + 6 + 100 + 18, available: 84 }));
    t.session.publish_from(&message(QoS::AtLeastOnce), &of(largest, 8)).unwrap();
    // No packet is longer than this. (5.0: 2.1.4)
    let mut t = Trace::<100>::new(Version::V5);
    t.connects();
    let refused = t.session.publish_from(&message(QoS::AtMostOnce), &of(268_435_455, 8));
    let limit = SizeLimit::Standard;
    assert_eq!(refused, Err(CommandError::TooLarge { limit, needed: 268_435_459, available: 268_435_455 }));
    assert!(t.session.publish_from(&message(QoS::AtMostOnce), &of(268_435_451, 8)).is_ok());
}

/// The limits of a later connection hold for the whole packet. [MQTT-3.2.2-15]
#[test]
fn it_may_be_unsendable_later() {
    let mut t = Trace::<1024>::new(Version::V5);
    t.connects();
    t.cut();
    // What the store holds of it is shorter than that.
    t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 100, piece: 8, ..SOURCE }).unwrap();
    t.connects_with(true, "27 00 00 00 40");
    t.published(1, Outcome::Unsendable);
    t.quiet();
}

/// It expires like others, as long as it was never shown. [MQTT-3.3.2-5]
#[test]
fn it_may_expire() {
    let mut t = Trace::<1024>::new(Version::V5);
    t.connects();
    t.cut();
    let properties = [Property::MessageExpiryInterval(2)];
    let publish = Publish { properties: Properties::of(&properties), ..message(QoS::AtLeastOnce) };
    t.session.publish_from(&publish, &Source { len: 100, ..SOURCE }).unwrap();
    t.closes(CloseReason::ConnectionLost);
    t.passes(3_000);
    t.begins();
    t.published(1, Outcome::Expired);
}

#[test]
fn disconnect_waits_for_the_rest() {
    for mut t in both() {
        t.connects();
        t.session.publish_from(&message(QoS::AtMostOnce), &Source { len: 10, ..SOURCE }).unwrap();
        t.writes();
        t.session.disconnect(&Disconnect::default()).unwrap();
        let len = asks(&mut t, &payload(10), 0);
        t.sends(payload(10)[..len].to_vec());
        t.sends("E0 00");
        t.closes(CloseReason::Disconnected);
    }
}

/// DISCONNECT cannot leave within a packet.
#[test]
fn a_fault_of_the_peer_ends_what_is_half_written() {
    for mut t in both() {
        t.connects();
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 10, ..SOURCE }).unwrap();
        t.writes();
        t.receives("20 02 00 00");
        let now = t.clock();
        let closes = (0..100).any(|_| matches!(t.session.poll(&mut t.inbox, now), Step::Close(_)));
        assert!(closes);
    }
}

/// Equal is what means the same, whatever earlier pieces have left in the buffer.
#[test]
fn stale_pieces_do_not_count() {
    for version in VERSIONS {
        let begin = || {
            let mut t = Trace::<1024>::new(version);
            t.connects();
            t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 10, ..SOURCE }).unwrap();
            t
        };
        let (mut used, mut fresh) = (begin(), begin());
        assert!(used.session == fresh.session);
        used.writes();
        assert!(used.session != fresh.session);
        asks(&mut used, &payload(10), 0);
        used.writes();
        fresh.writes();
        for t in [&mut used, &mut fresh] {
            t.cut();
            t.resumes();
        }
        assert!(used.session == fresh.session);
    }
}

/// A keep alive that is due within a packet waits for the application, not for the server: nobody was asked, so nobody is silent.
#[test]
fn no_server_is_given_up_for_a_slow_source() {
    for mut t in both() {
        t.options = Connect {
            payload_timeout: Duration::from_secs(200),
            response_timeout: Duration::from_secs(3),
            keep_alive: 2,
            ..t.options
        };
        t.begins();
        t.writes();
        t.receives(crate::known_failures::trace::connack(false, ""));
        t.connected(false);
        t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, ..SOURCE }).unwrap();
        t.writes();
        t.event(|_, event| assert!(matches!(event, Event::PayloadRequested(_)), "{event:?}"));
        for _ in 0..100 {
            t.passes(1_000);
            t.quiet();
        }
        t.session.supply(&payload(20));
        t.sends(payload(20));
        t.receives(puback(1));
        t.acknowledged(1);
    }
}

/// A session of 3.1.1 that sends again after a time asks again, too.
#[test]
fn sent_again_after_a_time() {
    let mut t = Trace::<1024>::new(Version::V311);
    t.options = Connect { retry_interval: Duration::from_secs(5), ..t.options };
    t.connects();
    let payload = payload(20);
    t.session.publish_from(&message(QoS::AtLeastOnce), &Source { len: 20, ..SOURCE }).unwrap();
    let bytes = whole(Version::V311, &Publish { payload: &payload, ..message(QoS::AtLeastOnce) });
    sends_all(&mut t, &bytes, &payload);
    t.passes(5_000);
    sends_all(&mut t, &crate::known_failures::trace::dup(bytes), &payload);
    t.receives(puback(1));
    t.published(1, Outcome::Acknowledged(ReasonCode::Success));
}
