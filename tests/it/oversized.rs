//! Messages that are larger than the inbox: let pass where that was asked for and the peer may send them, and refused otherwise.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use crate::known_failures::trace::{Bytes, puback, pubcomp, pubrec, pubrel, qos1, with_header};
use mqtt_session::{
    Acknowledge, CloseReason, Connect, Event, Inbox, Instant, Oversized, QoS, ReasonCode, Session, Step, Version,
    Violation,
};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const MODES: [Acknowledge; 2] = [Acknowledge::AfterHandling, Acknowledge::Manually];

/// The capacity of the inbox.
const CAPACITY: usize = 32;

/// A session, the bytes on their way to it, and what it did: events and written bytes in their order.
struct Rig<const INBOUND: usize> {
    session: Session<256, 4, INBOUND>,
    inbox: Inbox<[u8; CAPACITY]>,
    version: Version,
    acknowledgement: Acknowledge,
    did: Vec<String>,
    handles: Vec<mqtt_session::Handle>,
    closed: Option<CloseReason>,
}

impl<const INBOUND: usize> Rig<INBOUND> {
    fn new(version: Version, acknowledgement: Acknowledge) -> Self {
        let (session, inbox) = (Session::new(), Inbox::new());
        Self { session, inbox, version, acknowledgement, did: vec![], handles: vec![], closed: None }
    }

    /// A connection of 3.1.1 that skips what is too large.
    fn online(acknowledgement: Acknowledge) -> Self {
        let mut rig = Self::new(Version::V311, acknowledgement);
        rig.connects(Oversized::Skipped);
        rig
    }

    fn connects(&mut self, oversized: Oversized) {
        self.begins(oversized);
        self.receive(if self.version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 1, 0] }, usize::MAX);
        self.did.clear();
    }

    fn begins(&mut self, oversized: Oversized) {
        let acknowledgement = self.acknowledgement;
        let connect = Connect {
            clean_start: false,
            keep_alive: 0,
            acknowledgement,
            oversized,
            ..Connect::new(self.version, "c")
        };
        self.session.connect(&mut self.inbox, &connect).unwrap();
        self.closed = None;
        self.settle();
    }

    /// The server sends this, of which at most so many bytes come in at once.
    fn receive(&mut self, bytes: &[u8], chunk: usize) {
        let mut rest = bytes;
        while !rest.is_empty() && self.closed.is_none() {
            let space = self.inbox.space();
            assert!(!space.is_empty(), "waits for bytes that have no space");
            let (now, later) = rest.split_at(rest.len().min(space.len()).min(chunk));
            space[..now.len()].copy_from_slice(now);
            self.inbox.filled(now.len());
            rest = later;
            self.settle();
        }
    }

    fn settle(&mut self) {
        for _ in 0..1_000 {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Event(Event::Message(message)) => {
                    self.handles.extend(message.handle);
                    self.did.push(format!("{} {:?}", message.topic, message.qos()));
                }
                Step::Event(Event::Skipped { topic, qos, retain, len }) => {
                    self.did.push(format!("skipped {topic} {qos:?} {retain} {len}"));
                }
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    for packet in bytes.chunks(4) {
                        self.did.push(format!("{packet:02X?}"));
                    }
                    self.session.transmitted(len);
                }
                Step::Wait(_) => return,
                Step::Close(cause) => {
                    self.closed = Some(cause);
                    return;
                }
            }
        }
        panic!("polls for ever: {:?}", self.did);
    }

    fn acknowledge(&mut self, at: usize) {
        self.session.acknowledge(self.handles[at], ReasonCode::Success).unwrap();
        self.settle();
    }

    /// What was done since this was last asked.
    #[track_caller]
    fn did(&mut self, expected: &[String]) {
        assert_eq!(core::mem::take(&mut self.did), expected);
    }
}

/// A PUBLISH of this length, in either version: in 5.0 the first byte of the payload stands for no properties.
fn large(qos: QoS, id: u16, topic: &str, len: usize) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.bytes());
    if qos != QoS::AtMostOnce {
        body.extend(id.to_be_bytes());
    }
    let header = if len <= 129 { 2 } else { 3 };
    // Bytes that would be packets, were they taken for such.
    body.extend([0x00, 0xD0].iter().cycle().take(len - header - body.len()));
    let packet = with_header(0x30 | (qos as u8) << 1, &body);
    assert_eq!(packet.len(), len);
    packet
}

fn skipped(topic: &str, qos: QoS, len: usize) -> String {
    format!("skipped {topic} {qos:?} false {len}")
}

fn written(packet: impl Bytes) -> String {
    format!("{:02X?}", packet.bytes(Version::V311))
}

/// What answers a message of this QoS at first.
fn answer(qos: QoS, id: u16) -> Option<String> {
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(written(puback(id))),
        QoS::ExactlyOnce => Some(written(pubrec(id))),
    }
}

#[test]
fn what_is_too_large_is_told_acknowledged_and_dropped() {
    for acknowledgement in MODES {
        for qos in LEVELS {
            for len in [CAPACITY + 1, CAPACITY + 2, 2 * CAPACITY, 100, 129, 131, 1000] {
                for chunk in [1, 2, 3, 5, 7, 31, 32, usize::MAX] {
                    let mut rig = Rig::<4>::online(acknowledgement);
                    rig.receive(&large(qos, 7, "a/b", len), chunk);
                    let mut expected = vec![skipped("a/b", qos, len)];
                    expected.extend(answer(qos, 7));
                    rig.did(&expected);
                    if qos == QoS::ExactlyOnce {
                        rig.receive(&pubrel(7).bytes(Version::V311), chunk);
                        rig.did(&[written(pubcomp(7))]);
                    }
                    assert!(rig.inbox.unread().is_empty() && rig.handles.is_empty());
                    assert_eq!(rig.inbox, Inbox::new());
                }
            }
        }
    }
}

#[test]
fn what_just_fits_is_delivered() {
    for qos in LEVELS {
        for chunk in 1..=CAPACITY {
            let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
            rig.receive(&large(qos, 7, "a/b", CAPACITY), chunk);
            let mut expected = vec![format!("a/b {qos:?}")];
            expected.extend(answer(qos, 7));
            rig.did(&expected);
        }
    }
}

#[test]
fn nothing_is_told_before_the_front_is_whole() {
    for (qos, front) in [(QoS::AtMostOnce, 7), (QoS::AtLeastOnce, 9), (QoS::ExactlyOnce, 9)] {
        let packet = large(qos, 7, "a/b", 100);
        let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
        rig.receive(&packet[..front - 1], 1);
        rig.did(&[]);
        rig.receive(&packet[front - 1..front], 1);
        assert_ne!(rig.inbox, Inbox::new(), "what is still to come is to be skipped");
        assert_eq!(rig.did[0], skipped("a/b", qos, 100));
    }
}

/// Whatever shares a read with its end.
#[test]
fn what_follows_is_seen() {
    for acknowledgement in MODES {
        for qos in LEVELS {
            for chunk in 1..=CAPACITY {
                for len in CAPACITY + 1..4 * CAPACITY {
                    let mut rig = Rig::<4>::online(acknowledgement);
                    let stream = [
                        large(qos, 7, "first", len),
                        qos1(8, "m").bytes(Version::V311),
                        large(QoS::AtLeastOnce, 9, "second", len),
                        pubrel(99).bytes(Version::V311),
                    ];
                    rig.receive(&stream.concat(), chunk);
                    if acknowledgement == Acknowledge::Manually {
                        rig.acknowledge(0);
                    }
                    let mut events = rig.did.clone();
                    events.retain(|it| !it.starts_with('['));
                    let second = skipped("second", QoS::AtLeastOnce, len);
                    assert_eq!(events, [skipped("first", qos, len), "t AtLeastOnce".to_owned(), second]);
                    rig.did.retain(|it| it.starts_with('[') && *it != written(pubcomp(99)));
                    let mut answers: Vec<_> = answer(qos, 7).into_iter().collect();
                    answers.extend([written(puback(8)), written(puback(9))]);
                    rig.did(&answers);
                }
            }
        }
    }
}

/// No second event, and an answer each time, until PUBREL.
#[test]
fn a_repeat_before_pubrel_is_answered_and_not_told() {
    for acknowledgement in MODES {
        for is_cut in [false, true] {
            let mut rig = Rig::<4>::online(acknowledgement);
            let mut packet = large(QoS::ExactlyOnce, 7, "a/b", 100);
            rig.receive(&packet, 9);
            rig.did(&[skipped("a/b", QoS::ExactlyOnce, 100), written(pubrec(7))]);
            if is_cut {
                rig.session.connection_lost();
                rig.settle();
                rig.connects(Oversized::Skipped);
            }
            for _ in 0..3 {
                packet[0] |= 0x08;
                rig.receive(&packet, 9);
                rig.did(&[written(pubrec(7))]);
            }
            rig.receive(&pubrel(7).bytes(Version::V311), 9);
            rig.did(&[written(pubcomp(7))]);
            rig.receive(&large(QoS::ExactlyOnce, 7, "new", 100), 9);
            rig.did(&[skipped("new", QoS::ExactlyOnce, 100), written(pubrec(7))]);
        }
    }
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: where the application acknowledges, too.
#[test]
fn acknowledgements_leave_in_the_order_of_the_messages() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut rig = Rig::<4>::online(Acknowledge::Manually);
        rig.receive(&qos1(6, "m").bytes(Version::V311), 9);
        rig.receive(&large(qos, 7, "a/b", 100), 9);
        rig.receive(&qos1(8, "m").bytes(Version::V311), 9);
        rig.did(&["t AtLeastOnce".to_owned(), skipped("a/b", qos, 100), "t AtLeastOnce".to_owned()]);
        rig.acknowledge(1);
        rig.did(&[]);
        rig.acknowledge(0);
        assert_eq!(rig.did.concat(), [written(puback(6)), answer(qos, 7).unwrap(), written(puback(8))].concat());
    }
}

/// Not told again either, though it was never answered.
#[test]
fn a_message_whose_turn_did_not_come_is_answered_on_the_next_connection() {
    let mut rig = Rig::<4>::online(Acknowledge::Manually);
    let packet = large(QoS::ExactlyOnce, 7, "a/b", 100);
    rig.receive(&qos1(6, "m").bytes(Version::V311), 9);
    rig.receive(&packet, 9);
    rig.receive(&packet, 9);
    rig.did(&["t AtLeastOnce".to_owned(), skipped("a/b", QoS::ExactlyOnce, 100)]);
    rig.session.connection_lost();
    rig.settle();
    rig.connects(Oversized::Skipped);
    rig.receive(&packet, 9);
    rig.did(&[written(pubrec(7))]);
    rig.receive(&pubrel(7).bytes(Version::V311), 9);
    rig.did(&[written(pubcomp(7))]);
}

/// As with any message that has no place: the connection ends, nothing is acknowledged and nothing lost.
#[test]
fn a_message_without_a_place_is_not_acknowledged() {
    let mut rig = Rig::<1>::online(Acknowledge::AfterHandling);
    rig.receive(&large(QoS::ExactlyOnce, 7, "a/b", 100), 9);
    rig.did(&[skipped("a/b", QoS::ExactlyOnce, 100), written(pubrec(7))]);
    rig.receive(&large(QoS::ExactlyOnce, 8, "a/b", 100), 9);
    rig.did(&[]);
    assert_eq!(rig.closed, Some(CloseReason::TooManyHeld));
}

/// One of QoS 1 waits until the application has acknowledged another one, if the inbox has space for that long.
#[test]
fn a_message_may_wait_for_a_place() {
    let mut rig = Rig::<1>::online(Acknowledge::Manually);
    rig.receive(&qos1(6, "m").bytes(Version::V311), 9);
    let packet = large(QoS::AtLeastOnce, 7, "a/b", 100);
    rig.receive(&packet[..20], 9);
    rig.did(&["t AtLeastOnce".to_owned()]);
    rig.acknowledge(0);
    rig.did(&[skipped("a/b", QoS::AtLeastOnce, 100), written(puback(6))]);
    rig.receive(&packet[20..], 9);
    rig.did(&[written(puback(7))]);
    rig.receive(&qos1(8, "m").bytes(Version::V311), 9);
    rig.did(&["t AtLeastOnce".to_owned()]);
}

#[test]
fn a_topic_that_does_not_fit_is_refused() {
    for (topic, fits) in [(CAPACITY - 4, true), (CAPACITY - 3, false), (90, false)] {
        let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
        let topic = "t".repeat(topic);
        rig.receive(&large(QoS::AtMostOnce, 0, &topic, 120), 3);
        let too_large = CloseReason::Violation(Violation::PacketTooLarge);
        assert_eq!(rig.closed, if fits { None } else { Some(too_large) });
        rig.did(if fits { vec![skipped(&topic, QoS::AtMostOnce, 120)] } else { vec![] }.as_slice());
        rig.connects(Oversized::Skipped);
        rig.receive(&qos1(8, "m").bytes(Version::V311), 3);
        rig.did(&["t AtLeastOnce".to_owned(), written(puback(8))]);
    }
}

/// After every byte, told or not: the next connection begins with an empty inbox.
#[test]
fn a_cut_in_what_is_skipped_leaves_nothing_over() {
    for qos in LEVELS {
        let packet = large(qos, 7, "a/b", 100);
        for (len, told) in (0..100).flat_map(|len| [(len, false), (len, true)]) {
            let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
            rig.receive(&packet[..len], 13);
            if told {
                rig.session.connection_lost();
                rig.settle();
            }
            let is_seen = !rig.did.is_empty();
            rig.connects(Oversized::Skipped);
            assert_eq!(rig.inbox, Inbox::new());
            rig.receive(&qos1(8, "m").bytes(Version::V311), 13);
            rig.did(&["t AtLeastOnce".to_owned(), written(puback(8))]);
            // A message of QoS 2 is told once, however far it came, and answered when all of it has come.
            rig.receive(&packet, 13);
            let again = (qos != QoS::ExactlyOnce || !is_seen).then(|| skipped("a/b", qos, 100));
            rig.did(&again.into_iter().chain(answer(qos, 7)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn nothing_is_skipped_where_that_was_not_asked_for() {
    for chunk in [1, 7, usize::MAX] {
        for qos in LEVELS {
            let mut rig = Rig::<4>::new(Version::V311, Acknowledge::AfterHandling);
            rig.connects(Oversized::Disconnect);
            rig.receive(&large(qos, 7, "a/b", 100), chunk);
            assert_eq!(rig.closed, Some(CloseReason::Violation(Violation::PacketTooLarge)));
            rig.did(&[]);
        }
    }
}

/// There the server was told how much fits.
#[test]
fn version_5_refuses_in_any_case() {
    for oversized in [Oversized::Disconnect, Oversized::Skipped] {
        for chunk in [1, 7, usize::MAX] {
            let mut rig = Rig::<4>::new(Version::V5, Acknowledge::AfterHandling);
            rig.connects(oversized);
            rig.receive(&large(QoS::AtLeastOnce, 7, "a/b", 100), chunk);
            assert_eq!(rig.closed, Some(CloseReason::Violation(Violation::PacketTooLarge)));
            rig.did(&["[E0, 01, 95]".to_owned()]);
        }
    }
}

/// [MQTT-3.2.0-1]: large or not.
#[test]
fn nothing_is_skipped_before_connack() {
    let mut rig = Rig::<4>::new(Version::V311, Acknowledge::AfterHandling);
    rig.begins(Oversized::Skipped);
    rig.did.clear();
    rig.receive(&large(QoS::AtLeastOnce, 7, "a/b", 100), 9);
    assert!(rig.closed.is_some());
    rig.did(&[]);
}

/// From its header, as ever.
#[test]
fn a_packet_that_is_no_message_is_refused() {
    let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
    rig.receive(&[0x90, 100], 1);
    assert_eq!(rig.closed, Some(CloseReason::Violation(Violation::PacketTooLarge)));
    rig.did(&[]);
}

/// [MQTT-4.7.1-1], [MQTT-2.3.1-1]: what is wrong with its front is wrong however long it is.
#[test]
fn a_large_message_that_breaks_a_rule_is_refused() {
    for packet in [large(QoS::AtMostOnce, 0, "a/#", 100), large(QoS::AtLeastOnce, 0, "a/b", 100)] {
        let mut rig = Rig::<4>::online(Acknowledge::AfterHandling);
        rig.receive(&packet, 9);
        assert!(matches!(rig.closed, Some(CloseReason::Violation(_))));
        rig.did(&[]);
    }
}
