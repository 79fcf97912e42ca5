//! What `room` says is what a publish takes: to the byte, in any state. And which messages are kept for a connection.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use core::num::NonZeroU16;

use crate::known_failures::trace::{self, Trace, both, pubrec, pubrel, qos0, qos1, qos2};
use mqtt_session::{
    CommandError, Connect, Event, Inbox, Instant, Offline, PacketId, Properties, Property, Publish, QoS, Session, Step,
    TopicAliases, Version,
};
use proptest::prelude::*;

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A payload with which a packet of this QoS to the topic "t" has this length, if there is one.
fn payload(version: Version, qos: QoS, len: usize) -> Option<Vec<u8>> {
    let besides = 3 + if qos == QoS::AtMostOnce { 0 } else { 2 } + usize::from(version == Version::V5);
    let header = match len {
        0..=129 => 2,
        130 => return None,
        _ => 3,
    };
    Some(vec![b'p'; len.checked_sub(header + besides)?])
}

/// Whether a packet of this length is taken now. The session is left as it was.
fn takes<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize>(
    session: &Session<STORE, OUTBOUND, INBOUND>,
    version: Version,
    qos: QoS,
    len: usize,
) -> Option<bool> {
    let payload = payload(version, qos, len)?;
    match session.clone().publish(&Publish { qos, ..Publish::new("t", &payload) }) {
        Ok(_) => Some(true),
        Err(CommandError::Full | CommandError::TooLarge { .. }) => Some(false),
        Err(refused) => panic!("{refused:?}"),
    }
}

/// So many bytes fit, and not one more; by way of any QoS for which there is an exchange left.
#[track_caller]
fn check<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize>(
    session: &mut Session<STORE, OUTBOUND, INBOUND>,
    version: Version,
) {
    let before = session.clone();
    let room = session.free_space();
    assert!(*session == before && room <= STORE.saturating_sub(16));
    for qos in LEVELS {
        // One is kept for a request.
        if qos != QoS::AtMostOnce && usize::from(session.pending()) + usize::from(OUTBOUND > 1) >= OUTBOUND {
            continue;
        }
        assert_ne!(takes(session, version, qos, room), Some(false), "{qos:?}: {room} bytes do not fit");
        for more in 1..4 {
            assert_ne!(takes(session, version, qos, room + more), Some(true), "{qos:?}: {room} bytes and {more} fit");
        }
    }
}

#[test]
fn an_empty_store_has_room_for_all_but_a_record() {
    assert_eq!(Session::<0, 1, 1>::new().free_space(), 0);
    assert_eq!(Session::<16, 1, 1>::new().free_space(), 0);
    assert_eq!(Session::<17, 1, 1>::new().free_space(), 1);
    assert_eq!(Session::<100, 1, 1>::new().free_space(), 84);
    for mut t in both() {
        assert_eq!(t.session.free_space(), 1008);
        t.connects();
        assert_eq!(t.session.free_space(), 1008, "CONNECT lies elsewhere");
        check(&mut t.session, t.version);
    }
}

#[test]
fn each_packet_takes_sixteen_bytes_besides_its_own() {
    for mut t in both() {
        t.connects();
        let mut room = 1008;
        for qos in LEVELS {
            let id = t.publish(qos, "payload");
            room -= 16 + if qos == QoS::AtMostOnce { 12 } else { 14 } + usize::from(t.is_v5());
            assert_eq!(t.session.free_space(), room);
            assert_eq!(id == 0, qos == QoS::AtMostOnce);
        }
        check(&mut t.session, t.version);
    }
}

/// Its bytes cannot move: what is free is what lies on one side of them.
#[test]
fn a_half_written_packet_divides_the_room() {
    for mut t in [Trace::<200, 8, 8>::new(Version::V311), Trace::<200, 8, 8>::new(Version::V5)] {
        t.connects();
        let first = t.publish(QoS::AtLeastOnce, "x");
        let id = t.publish(QoS::AtLeastOnce, "half written");
        let room = t.session.free_space();
        t.sends(qos1(first, "x"));
        t.shows(qos1(id, "half written"), 1);
        t.receives(trace::puback(first));
        t.acknowledged(first);
        let record = 16 + 8 + usize::from(t.is_v5());
        assert_eq!(t.session.free_space(), room, "in front of it there is less");
        check(&mut t.session, t.version);
        let packet = trace::Bytes::bytes(&qos1(id, "half written"), t.version);
        t.sends(packet[1..].to_vec());
        assert_eq!(t.session.free_space(), room + record, "the store can be moved together");
        check(&mut t.session, t.version);
        t.receives(trace::puback(id));
        t.acknowledged(id);
        assert_eq!(t.session.free_space(), 184);
    }
}

#[derive(Clone, Debug)]
enum Action {
    /// A message of so many bytes.
    Publish(usize, usize, u16),
    Cancel(usize),
    Write(usize),
    /// The server answers the exchange that comes so many places behind the first.
    Answer(usize),
    Cut,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0..3_usize, 0..70_usize, 0..3_u16).prop_map(|(qos, len, alias)| Action::Publish(qos, len, alias)),
        2 => (0..4_usize).prop_map(Action::Cancel),
        8 => (0..60_usize).prop_map(Action::Write),
        6 => (0..4_usize).prop_map(Action::Answer),
        1 => Just(Action::Cut),
    ]
}

struct Rig {
    session: Session<300, 6, 2>,
    inbox: Inbox<[u8; 64]>,
    version: Version,
    open: Vec<(PacketId, QoS)>,
}

impl Rig {
    fn online(version: Version) -> Self {
        let mut rig = Self { session: Session::new(), inbox: Inbox::new(), version, open: vec![] };
        rig.connect(false);
        rig
    }

    fn connect(&mut self, session_present: bool) {
        let lasting = [Property::SessionExpiryInterval(u32::MAX)];
        let properties = Properties::for_version(self.version, &lasting);
        let topic_aliases = TopicAliases { maximum: 2, topic: 1 };
        let connect =
            Connect { clean_start: false, keep_alive: 0, properties, topic_aliases, ..Connect::new(self.version, "c") };
        self.session.connect(&mut self.inbox, &connect).unwrap();
        self.poll(usize::MAX);
        self.feed(match self.version {
            Version::V5 => vec![0x20, 6, session_present.into(), 0, 3, 0x22, 0, 2],
            _ => vec![0x20, 2, session_present.into(), 0],
        });
    }

    fn feed(&mut self, bytes: Vec<u8>) {
        self.inbox.space()[..bytes.len()].copy_from_slice(&bytes);
        self.inbox.filled(bytes.len());
        self.poll(0);
    }

    /// Takes events, and writes so many bytes.
    fn poll(&mut self, mut left: usize) {
        loop {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Transmit(bytes) => {
                    assert!(!bytes.is_empty());
                    let now = bytes.len().min(left);
                    left -= now;
                    if now == 0 {
                        return;
                    }
                    self.session.transmitted(now);
                }
                Step::Event(Event::Published { packet_id, .. }) => self.open.retain(|open| open.0 != packet_id),
                Step::Event(_) => {}
                Step::Wait(_) | Step::Close(_) => return,
            }
        }
    }

    fn apply(&mut self, action: &Action) {
        match *action {
            Action::Publish(qos, len, alias) => {
                let (qos, payload) = (LEVELS[qos], vec![b'x'; len]);
                let topic_alias = NonZeroU16::new(alias).filter(|_| self.version == Version::V5);
                match self.session.publish(&Publish { qos, topic_alias, ..Publish::new("t", &payload) }) {
                    Ok(Some(id)) => self.open.push((id, qos)),
                    Ok(None) | Err(CommandError::Full) => {}
                    Err(refused) => panic!("{refused:?}"),
                }
            }
            Action::Cancel(at) => {
                if let Some(&(id, _)) = self.open.get(at)
                    && self.session.cancel(id)
                {
                    self.open.remove(at);
                }
            }
            Action::Write(len) => self.poll(len),
            Action::Answer(at) => {
                if let Some(&(id, qos)) = self.open.get(at) {
                    let [high, low] = id.get().to_be_bytes();
                    let first = if qos == QoS::AtLeastOnce { 0x40 } else { 0x50 };
                    self.feed(vec![first, 2, high, low]);
                    if qos == QoS::ExactlyOnce {
                        self.feed(vec![0x70, 2, high, low]);
                    }
                }
            }
            Action::Cut => {
                self.session.connection_lost();
                self.poll(0);
                self.connect(true);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_room_is_exact_in_any_state(is_v5 in any::<bool>(), actions in prop::collection::vec(action(), 0..60)) {
        let mut rig = Rig::online(if is_v5 { Version::V5 } else { Version::V311 });
        for action in &actions {
            rig.apply(action);
            check(&mut rig.session, rig.version);
        }
    }
}

/// Before the first connection, while one begins, when it is lost, and behind it.
#[test]
fn a_message_of_qos_0_is_refused_without_connection_where_that_was_asked_for() {
    for mut t in both() {
        t.options.offline = Offline::Acknowledged;
        assert_eq!(t.try_publish(QoS::AtMostOnce, "a"), Err(CommandError::Offline));
        for session_present in [false, true] {
            t.connect();
            let refused = t.session.clone();
            assert_eq!(t.try_publish(QoS::AtMostOnce, "b"), Err(CommandError::Offline));
            assert!(t.session == refused, "refused, but something has changed");
            t.receives(trace::connack(session_present, ""));
            assert_eq!(t.try_publish(QoS::AtMostOnce, "c"), Err(CommandError::Offline), "CONNACK is not yet seen");
            t.connected(session_present);
            t.publish(QoS::AtMostOnce, "d");
            t.sends(qos0("d"));
            t.quiet();
            t.loses_link();
            assert_eq!(t.try_publish(QoS::AtMostOnce, "e"), Err(CommandError::Offline), "the loss is told");
            t.closes(mqtt_session::CloseReason::ConnectionLost);
            assert_eq!(t.try_publish(QoS::AtMostOnce, "f"), Err(CommandError::Offline));
        }
        t.resumes();
        t.quiet();
    }
}

/// Not shown, shown, or half written: none of it leaves on another connection.
#[test]
fn a_message_of_qos_0_is_dropped_with_its_connection_where_that_was_asked_for() {
    for written in [None, Some(0), Some(1), Some(3)] {
        for (offline, is_kept) in [(Offline::Acknowledged, false), (Offline::Everything, true)] {
            for mut t in both() {
                t.options.offline = offline;
                t.connects();
                let empty = t.session.free_space();
                t.publish(QoS::AtMostOnce, "first");
                t.publish(QoS::AtMostOnce, "second");
                if let Some(written) = written {
                    t.shows(qos0("first"), written);
                }
                t.loses_link();
                let shown = u8::from(written.is_some());
                match if is_kept { shown } else { 2 } {
                    0 => {}
                    dropped => t.dropped(dropped),
                }
                t.closes(mqtt_session::CloseReason::ConnectionLost);
                assert_eq!(t.session.free_space() == empty, !is_kept);
                t.resumes();
                if is_kept && written.is_none() {
                    t.sends(qos0("first"));
                }
                if is_kept {
                    t.sends(qos0("second"));
                }
                t.quiet();
            }
        }
    }
}

#[test]
fn messages_of_qos_1_and_2_are_kept_in_any_case() {
    for mut t in both() {
        t.options.offline = Offline::Acknowledged;
        t.connects();
        let unshown = t.publish(QoS::AtLeastOnce, "a");
        t.cut();
        let offline = t.publish(QoS::ExactlyOnce, "b");
        t.connect();
        let connecting = t.publish(QoS::AtLeastOnce, "c");
        t.receives(trace::connack(true, ""));
        t.connected(true);
        t.sends((qos1(unshown, "a"), qos2(offline, "b"), qos1(connecting, "c")));
        t.receives(pubrec(offline));
        t.cut();
        t.resumes();
        t.sends((pubrel(offline), qos1(unshown, "a").dup(), qos1(connecting, "c").dup()));
        t.quiet();
    }
}

/// Requests end with their connection as ever, and are told.
#[test]
fn dropping_messages_of_qos_0_drops_nothing_else() {
    for mut t in both() {
        t.options.offline = Offline::Acknowledged;
        t.connects();
        t.publish(QoS::AtMostOnce, "a");
        let request = t.subscribe("f");
        t.publish(QoS::AtMostOnce, "b");
        let id = t.publish(QoS::AtLeastOnce, "c");
        t.loses_link();
        t.tells(&Event::RequestLost { packet_id: trace::packet_id(request) });
        t.dropped(2);
        t.closes(mqtt_session::CloseReason::ConnectionLost);
        t.resumes();
        t.sends(qos1(id, "c"));
        t.quiet();
    }
}

/// What was kept by the connect before stays kept.
#[test]
fn what_was_queued_before_is_not_dropped_by_a_connect() {
    for mut t in both() {
        t.connects();
        t.cut();
        t.publish(QoS::AtMostOnce, "a");
        t.options.offline = Offline::Acknowledged;
        t.resumes();
        t.sends(qos0("a"));
        t.quiet();
    }
}

#[test]
fn what_is_queued_when_the_application_leaves_still_leaves() {
    for mut t in both() {
        t.options.offline = Offline::Acknowledged;
        t.connects();
        t.publish(QoS::AtMostOnce, "a");
        t.disconnect();
        assert_eq!(t.try_publish(QoS::AtMostOnce, "b"), Err(CommandError::Closing));
        t.sends(qos0("a"));
        t.sends("E0 00");
        t.closes(mqtt_session::CloseReason::Disconnected);
    }
}
