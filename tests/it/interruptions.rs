//! What comes at a bad moment: connections that are given up before anything of them is seen, answers before their
//! questions, places that nobody can free.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fault here is a failed test"
)]

use mqtt_session::wire::{Auth, Packet, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, CommandError, Connect, Event, Handle, Inbox, Instant, Oversized, PacketId, Property,
    Publish, QoS, ReasonCode, Role, Session, Step, StrayPacket, Subscribe, Subscription, Version,
};

use crate::known_failures::trace::{
    Trace, both, connack, packet_id, puback, pubcomp, pubrec, pubrel, qos1, qos2, suback,
};

/// A session, its inbox, and what it did.
struct Rig<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> {
    session: Session<STORE, OUTBOUND, INBOUND>,
    inbox: Inbox<[u8; 128]>,
    events: Vec<String>,
    written: Vec<u8>,
    handles: Vec<Handle>,
    closed: Option<CloseReason>,
}

impl<const STORE: usize, const OUTBOUND: usize, const INBOUND: usize> Rig<STORE, OUTBOUND, INBOUND> {
    fn connecting(connect: &Connect<'_>) -> Self {
        let (session, inbox) = (Session::new(), Inbox::new());
        let mut rig = Self { session, inbox, events: vec![], written: vec![], handles: vec![], closed: None };
        rig.connect(connect);
        rig
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        self.closed = None;
        self.session.connect(&mut self.inbox, connect).unwrap();
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.inbox.space()[..bytes.len()].copy_from_slice(bytes);
        self.inbox.filled(bytes.len());
        self.run();
    }

    /// Runs until there is nothing to do; more steps than can be due are a fault.
    fn run(&mut self) {
        for _ in 0..100 {
            match self.session.poll(&mut self.inbox, Instant::from_millis(0)) {
                Step::Event(Event::Message(message)) => {
                    self.events.push(format!("Message {:?}", message.delivery.packet_id()));
                    self.handles.extend(message.handle);
                }
                Step::Event(event) => self.events.push(format!("{event:?}")),
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    self.written.extend_from_slice(bytes);
                    self.session.transmitted(len);
                }
                Step::Wait(_) => return,
                Step::Close(cause) => {
                    self.closed = Some(cause);
                    return;
                }
            }
        }
        assert_eq!(self.events.len(), 0, "no end of steps");
    }

    fn publish(&mut self, qos: QoS, payload: &[u8]) -> Option<PacketId> {
        self.session.publish(&Publish { qos, ..Publish::new("t", payload) }).unwrap()
    }

    fn subscribe(&mut self) -> PacketId {
        let subscriptions = [Subscription::new("a", QoS::AtMostOnce)];
        self.session.subscribe(&Subscribe::new(&subscriptions)).unwrap()
    }
}

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

#[test]
fn requests_are_lost_once_however_often_the_connection_is_given_up() {
    let connect = Connect::new(Version::V311, "c");
    let mut rig = Rig::<256, 4, 4>::connecting(&connect);
    rig.receive(&CONNACK);
    let requests = [rig.subscribe(), rig.subscribe()];
    rig.events.clear();
    for _ in 0..3 {
        rig.connect(&connect);
    }
    rig.run();
    rig.events.sort();
    assert_eq!(rig.events, requests.map(|packet_id| format!("RequestLost {{ packet_id: {packet_id} }}")));
    rig.receive(&CONNACK);
    let mut identifiers: Vec<_> = (0..3).map(|_| rig.publish(QoS::AtLeastOnce, b"x").unwrap()).collect();
    identifiers.push(rig.subscribe());
    identifiers.dedup();
    assert_eq!(identifiers.len(), 4);
}

#[test]
fn a_request_that_was_never_shown_cannot_be_answered() {
    let mut rig = Rig::<120, 3, 4>::connecting(&Connect::new(Version::V311, "c"));
    rig.receive(&CONNACK);
    rig.publish(QoS::AtMostOnce, &[0; 20]);
    let Step::Transmit(_) = rig.session.poll(&mut rig.inbox, Instant::from_millis(0)) else { unreachable!() };
    let packet_id = rig.subscribe();
    rig.events.clear();
    rig.written.clear();
    rig.receive(&[0x90, 3, 0, 1, 0]);
    assert_eq!(rig.events, [format!("Stray {{ packet: Suback, packet_id: {packet_id} }}")]);
    assert!(rig.written.ends_with(&[0x82, 6, 0, 1, 0, 1, b'a', 0]));
    rig.events.clear();
    rig.receive(&[0x90, 3, 0, 1, 0]);
    assert!(rig.events[0].starts_with("Subscribed { packet_id: 1"));
    assert_eq!(rig.session.pending(), 0);
}

#[test]
fn a_place_that_the_application_cannot_free_is_not_waited_for() {
    let manual = Connect { acknowledgement: Acknowledge::Manually, ..Connect::new(Version::V311, "c") };
    let mut rig = Rig::<256, 4, 1>::connecting(&manual);
    rig.receive(&CONNACK);
    rig.receive(&[0x34, 5, 0, 1, b't', 0, 1]);
    // Its place is the application's: the next message waits.
    rig.receive(&[0x32, 5, 0, 1, b't', 0, 2]);
    assert_eq!(rig.closed, None);
    // Its place waits for the PUBREL, which would be behind in the stream.
    let handle = rig.handles[0];
    rig.session.acknowledge(handle, ReasonCode::Success).unwrap();
    rig.run();
    assert_eq!(rig.closed, Some(CloseReason::TooManyHeld));
}

/// What frees its place is PUBREL, which is behind it in the stream, even where the application has yet to acknowledge.
#[test]
fn a_message_of_qos_2_does_not_wait_for_a_place() {
    let manual = Connect { acknowledgement: Acknowledge::Manually, ..Connect::new(Version::V311, "c") };
    let mut rig = Rig::<256, 4, 1>::connecting(&manual);
    rig.receive(&CONNACK);
    rig.receive(&[0x34, 5, 0, 1, b't', 0, 1]);
    assert_eq!(rig.closed, None);
    rig.receive(&[0x34, 5, 0, 1, b't', 0, 2]);
    assert_eq!(rig.closed, Some(CloseReason::TooManyHeld));
}

#[test]
fn the_older_version_is_spoken_though_something_was_queued() {
    let mut rig = Rig::<256, 4, 4>::connecting(&Connect::new(Version::V5, "c"));
    rig.publish(QoS::AtMostOnce, b"zero");
    let queued = rig.publish(QoS::AtLeastOnce, b"one").unwrap();
    rig.run();
    rig.receive(&[0x20, 2, 0, 1]);
    assert_eq!(rig.closed, Some(CloseReason::UnsupportedVersion));
    let older = Connect::new(Version::V311, "c");
    let keep = Connect { clean_start: false, ..older };
    assert!(rig.session.connect(&mut rig.inbox, &keep).is_err(), "what is queued was made for 5.0");
    rig.events.clear();
    rig.written.clear();
    rig.connect(&older);
    rig.run();
    let lost = format!("Published {{ packet_id: {queued}, outcome: Lost, properties: [] }}");
    assert_eq!(rig.events, [lost, "Dropped { count: 1 }".to_owned()]);
    rig.receive(&CONNACK);
    assert_eq!(rig.written[0], 0x10);
    assert!(!rig.written.windows(4).any(|bytes| bytes == b"zero"));
}

#[test]
fn limits_end_with_their_connection() {
    let mut rig = Rig::<256, 4, 4>::connecting(&Connect::new(Version::V5, "c"));
    rig.receive(&[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 10]);
    rig.session.connection_lost();
    rig.run();
    assert!(rig.publish(QoS::AtLeastOnce, &[0; 20]).is_some());
}

/// The server may have begun it, or have had it for long: this end knows nothing of it. [MQTT-3.2.2-4] The next attempt ends it.
#[test]
fn a_session_whose_connack_was_lost_is_not_resumed() {
    let lasting = [Property::SessionExpiryInterval(100)];
    let connect =
        Connect { clean_start: false, properties: Properties::of(&lasting), ..Connect::new(Version::V5, "c") };
    let resumed = [0x20, 3, 1, 0, 0];
    for attempts in 0..3 {
        let mut rig = Rig::<256, 4, 4>::connecting(&connect);
        for _ in 0..attempts {
            rig.run();
            rig.session.connection_lost();
            rig.run();
            rig.connect(&connect);
        }
        rig.receive(&resumed);
        assert_eq!(rig.closed, Some(CloseReason::SessionUnknown));
        rig.written.clear();
        rig.connect(&connect);
        rig.run();
        assert_eq!(rig.written[9], 2, "a clean start");
        rig.receive(&[0x20, 3, 0, 0, 0]);
        rig.session.connection_lost();
        rig.run();
        rig.written.clear();
        rig.connect(&connect);
        rig.run();
        assert_eq!(rig.written[9], 0, "no clean start");
        rig.receive(&resumed);
        assert!(rig.session.is_online());
    }
}

#[test]
fn a_session_of_one_connection_may_not_be_resumed_though_connack_was_lost() {
    let connect = Connect { clean_start: false, ..Connect::new(Version::V5, "c") };
    let mut rig = Rig::<256, 4, 4>::connecting(&connect);
    rig.run();
    rig.session.connection_lost();
    rig.run();
    rig.connect(&connect);
    rig.receive(&[0x20, 3, 1, 0, 0]);
    assert_eq!(rig.closed, Some(CloseReason::SessionUnknown));
}

#[test]
fn the_loss_of_a_session_is_told_though_another_connack_was_lost() {
    let lasting = [Property::SessionExpiryInterval(100)];
    let connect =
        Connect { clean_start: false, properties: Properties::of(&lasting), ..Connect::new(Version::V5, "c") };
    let mut rig = Rig::<256, 4, 4>::connecting(&connect);
    rig.receive(&[0x20, 3, 0, 0, 0]);
    let packet_id = rig.publish(QoS::AtLeastOnce, b"in flight").unwrap();
    rig.run();
    for _ in 0..2 {
        rig.session.connection_lost();
        rig.run();
        rig.connect(&connect);
        rig.run();
    }
    rig.events.clear();
    rig.receive(&[0x20, 3, 0, 0, 0]);
    assert_eq!(rig.events[1..], [format!("Published {{ packet_id: {packet_id}, outcome: Lost, properties: [] }}")]);
}

#[test]
fn nothing_but_the_farewell_leaves_once_the_connection_has_failed() {
    let manual = Connect { acknowledgement: Acknowledge::Manually, ..Connect::new(Version::V5, "c") };
    let mut rig = Rig::<256, 4, 4>::connecting(&manual);
    rig.receive(&[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 4]);
    rig.receive(&[0x32, 6, 0, 1, b't', 0, 1, 0, 0x32, 6, 0, 1, b't', 0, 2, 0]);
    rig.written.clear();
    // Five bytes are more than the server takes.
    rig.session.acknowledge(rig.handles[0], ReasonCode::UnspecifiedError).unwrap();
    rig.session.acknowledge(rig.handles[1], ReasonCode::Success).unwrap();
    rig.run();
    assert_eq!(rig.written, [0xE0, 1, 0x83]);
    assert_eq!(rig.closed, Some(CloseReason::MaximumPacketSizeTooSmall));
}

#[test]
fn the_front_of_a_message_that_is_skipped_may_come_byte_by_byte() {
    let connect = Connect { oversized: Oversized::Skipped, ..Connect::new(Version::V311, "c") };
    let mut rig: Rig<64, 1, 1> = Rig::connecting(&connect);
    rig.run();
    rig.receive(&[0x20, 2, 0, 0]);
    let mut packet = vec![0x32, 0xC8, 0x01, 0, 1, b't', 0, 7];
    packet.resize(203, 0);
    for byte in packet {
        rig.receive(&[byte]);
    }
    assert_eq!(rig.events.len(), 2, "{:?}", rig.events);
    assert!(rig.events[1].starts_with("Skipped"), "{:?}", rig.events);
    assert_eq!(rig.written[rig.written.len() - 4..], [0x40, 2, 0, 7]);
    assert_eq!(rig.closed, None);
}

#[test]
fn how_the_last_message_was_acknowledged_is_no_part_of_a_session() {
    let mut sessions = [0x32, 0x34].map(|first| {
        let mut rig: Rig<64, 1, 1> = Rig::connecting(&Connect::new(Version::V311, "c"));
        rig.run();
        rig.receive(&[0x20, 2, 0, 0]);
        rig.receive(&[first, 5, 0, 1, b't', 0, 7]);
        rig.receive(&[0x62, 2, 0, 7]);
        rig.session
    });
    sessions.iter_mut().for_each(|session| session.connection_lost());
    assert!(sessions[0] == sessions[1]);
}

/// PUBREL for a message that the application has not acknowledged.
#[test]
fn a_message_is_released_before_it_is_acknowledged() {
    for mut t in both() {
        t.options.acknowledgement = Acknowledge::Manually;
        t.connects();
        t.receives(qos2(7, "a"));
        t.hands_out(qos2(7, "a"));
        t.receives(pubrel(7));
        t.fails(CloseReason::UnexpectedAcknowledgement, 0x82);
    }
}

/// SUBACK and UNSUBACK with the identifier of a message, and with one that nobody has. The message is not touched by that.
#[test]
fn a_request_that_was_never_made_is_answered() {
    for mut t in both() {
        t.connects();
        let id = t.publish(QoS::AtLeastOnce, "a");
        t.sends(qos1(id, "a"));
        for stray in [id, id + 1] {
            t.receives(suback(stray, &[0]));
            t.tells(&Event::Stray { packet: StrayPacket::Suback, packet_id: packet_id(stray) });
            let (high, low) = (0, u8::try_from(stray).unwrap());
            let unsuback = if t.is_v5() { vec![0xB0, 4, high, low, 0, 0] } else { vec![0xB0, 2, high, low] };
            t.receives(unsuback);
            t.tells(&Event::Stray { packet: StrayPacket::Unsuback, packet_id: packet_id(stray) });
        }
        t.quiet();
        t.receives(puback(id));
        t.acknowledged(id);
    }
}

/// PUBREC comes right behind CONNACK, before the PUBREL of another message has left again: its own is behind that one.
#[test]
fn a_pubrec_comes_before_earlier_pubrels_have_left() {
    for mut t in both() {
        t.connects();
        let ids = ["a", "b"].map(|payload| t.publish(QoS::ExactlyOnce, payload));
        t.sends([qos2(ids[0], "a"), qos2(ids[1], "b")]);
        t.receives(pubrec(ids[0]));
        t.sends(pubrel(ids[0]));
        t.cut();
        t.connect();
        t.receives((connack(true, ""), pubrec(ids[1])));
        t.connected(true);
        t.sends([pubrel(ids[0]), pubrel(ids[1])]);
        t.quiet();
        for id in ids {
            t.receives(pubcomp(id));
            t.acknowledged(id);
        }
        t.quiet();
    }
}

/// The PUBREL that is due is larger than what the server takes now.
#[test]
fn a_server_comes_to_take_no_pubrel() {
    let mut t = <Trace>::new(Version::V5);
    t.connects();
    let id = t.publish(QoS::ExactlyOnce, "a");
    t.sends(qos2(id, "a"));
    t.receives(pubrec(id));
    t.sends(pubrel(id));
    t.cut();
    t.connect();
    t.receives(connack(true, "27 00000003"));
    t.connected(true);
    t.fails(CloseReason::MaximumPacketSizeTooSmall, 0x83);
    // It is not lost by that.
    t.resumes();
    t.sends(pubrel(id));
}

/// AUTH takes the room of the acknowledgement that is owed, which leaves behind it.
#[test]
fn an_authentication_takes_the_room_of_an_acknowledgement() {
    let mut most = 45;
    for len in 0..64 {
        let mut t = Trace::<256, 1, 1, 64>::new(Version::V5);
        t.options.properties = Properties::of(&[Property::AuthenticationMethod("m")]);
        t.begins();
        while t.wants_to_write() {
            let Step::Transmit(bytes) = t.session.poll(&mut t.inbox, Instant::from_millis(1_000)) else { break };
            let len = bytes.len();
            t.session.transmitted(len);
        }
        t.receives(connack(false, "15 0001 6D"));
        t.connected(false);
        t.receives(qos1(7, "a"));
        let data = vec![b'x'; len];
        let properties = [Property::AuthenticationMethod("m"), Property::AuthenticationData(&data)];
        let auth = Auth { reason_code: ReasonCode::Reauthenticate, properties: Properties::of(&properties) };
        let done = t.event(|session, event| {
            assert!(matches!(event, Event::Message(_)), "{event:?}");
            session.authenticate(&auth)
        });
        match done {
            Ok(()) => {
                let mut packet = [0; 64];
                let len = Packet::Auth(auth).encode(t.version, Role::Server, &mut packet).unwrap();
                t.sends(packet[..len].to_vec());
            }
            Err(refused) => {
                assert!(matches!(refused, CommandError::TooLarge { .. }) && len == most, "{len} bytes of data");
                most += 1;
            }
        }
        t.sends(puback(7));
        t.quiet();
    }
    assert_eq!(most, 64);
}
