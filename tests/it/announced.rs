//! What each end announces of itself, and how it holds its peer to that. (5.0: 3.1.2.11, 3.2.2.3)
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

use mqtt_session::server::{self, Accept};
use mqtt_session::wire::{Packet, Properties};
use mqtt_session::{
    Acknowledge, CloseReason, Connect, Event, Handle, Inbox, Instant, MaximumPacketSize, Oversized, Property, QoS,
    Role, Session, Step, TopicAliases, Version, Violation,
};

use crate::known_failures::trace::{
    Bytes, Pub, Trace, aliased, connack, puback, pubcomp, pubrec, pubrel, qos1, qos2, with_header,
};
use crate::server::trace as theirs;

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

const SIZES: [(MaximumPacketSize, Option<u32>); 6] = [
    (MaximumPacketSize::Inbox, Some(64)),
    (MaximumPacketSize::Bytes(0), Some(64)),
    (MaximumPacketSize::Bytes(63), Some(64)),
    (MaximumPacketSize::Bytes(65), Some(65)),
    (MaximumPacketSize::Bytes(u32::MAX), Some(u32::MAX)),
    (MaximumPacketSize::Absent, None),
];

/// Receive Maximum, Maximum Packet Size and Topic Alias Maximum.
type Announced = (Option<u16>, Option<u32>, Option<u16>);

fn announced(properties: &Properties<'_>) -> Announced {
    let mut found = (None, None, None);
    for property in properties.iter() {
        match property {
            Property::ReceiveMaximum(maximum) => found.0 = Some(maximum),
            Property::MaximumPacketSize(maximum) => found.1 = Some(maximum),
            Property::TopicAliasMaximum(maximum) => found.2 = Some(maximum),
            _ => {}
        }
    }
    found
}

/// What CONNECT says.
fn asked(connect: &Connect<'_>, aliases: TopicAliases) -> Announced {
    let mut session: Session<256, 4, 4> = Session::new();
    let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    inbox.set_topic_aliases(aliases);
    session.connect(&mut inbox, connect).unwrap();
    let Step::Transmit(bytes) = session.poll(&mut inbox, Instant::from_millis(0)) else { panic!() };
    let (packet, _) = Packet::decode(connect.version, Role::Server, bytes).unwrap().unwrap();
    let Packet::Connect(packet) = packet else { panic!("{packet:?}") };
    announced(&packet.properties)
}

/// What CONNACK says.
fn answered(version: Version, accept: &Accept<'_>) -> Announced {
    let mut session: server::Session<256, 4, 4> = server::Session::new();
    let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    session.open(core::time::Duration::from_secs(10));
    let hello: &[u8] = match version {
        Version::V5 => b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01a",
        _ => b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a",
    };
    inbox.space()[..hello.len()].copy_from_slice(hello);
    inbox.filled(hello.len());
    assert!(matches!(session.poll(&mut inbox, Instant::from_millis(0)), Step::Event(_)));
    session.accept(accept).unwrap();
    let Step::Transmit(bytes) = session.poll(&mut inbox, Instant::from_millis(0)) else { panic!() };
    let (packet, _) = Packet::decode(version, Role::Client, bytes).unwrap().unwrap();
    let Packet::Connack(packet) = packet else { panic!("{packet:?}") };
    announced(&packet.properties)
}

/// At least what the inbox has room for: nobody is told less.
#[test]
fn the_maximum_packet_size_that_is_announced() {
    for (maximum_packet_size, expected) in SIZES {
        for version in VERSIONS {
            let is_v5 = version == Version::V5;
            let expected = if is_v5 { (Some(4), expected, None) } else { (None, None, None) };
            let connect = Connect { maximum_packet_size, ..Connect::new(version, "c") };
            assert_eq!(asked(&connect, TopicAliases::NONE), expected, "{maximum_packet_size:?}");
            let accept = Accept { maximum_packet_size, ..Accept::default() };
            assert_eq!(answered(version, &accept), expected, "{maximum_packet_size:?}");
        }
        // Aliases are told in any case, and take their bytes from the inbox.
        let connect = Connect { maximum_packet_size, ..Connect::new(Version::V5, "c") };
        let aliases = TopicAliases { maximum: 2, topic: 5 };
        let (receive_maximum, packet_size, maximum) = asked(&connect, aliases);
        assert_eq!((receive_maximum, packet_size.is_none(), maximum), (Some(4), expected.is_none(), Some(2)));
    }
}

fn hands_out(t: &mut Trace, message: Pub) -> Handle {
    t.receives(message);
    t.hands_out(message)
}

/// No more than there are places, and at least one.
#[test]
fn the_receive_maximum_that_is_announced() {
    for (receive_maximum, expected) in [(0, 1), (1, 1), (3, 3), (4, 4), (5, 4), (u16::MAX, 4)] {
        for version in VERSIONS {
            let expected = if version == Version::V5 { Some(expected) } else { None };
            let connect = Connect { receive_maximum, ..Connect::new(version, "c") };
            assert_eq!(asked(&connect, TopicAliases::NONE).0, expected, "{receive_maximum}");
            let accept = Accept { receive_maximum, ..Accept::default() };
            assert_eq!(answered(version, &accept).0, expected, "{receive_maximum}");
        }
    }
}

/// What is announced holds, and counts for one connection. [MQTT-3.3.4-9]
#[test]
fn a_server_that_exceeds_the_receive_maximum_is_left() {
    let mut t = <Trace>::new(Version::V5);
    t.options = Connect { receive_maximum: 2, acknowledgement: Acknowledge::Manually, ..t.options };
    t.announced = 2;
    t.connects();
    let first = hands_out(&mut t, qos1(1, "a"));
    hands_out(&mut t, qos2(2, "b"));
    t.acknowledge(first);
    t.sends(puback(1));
    hands_out(&mut t, qos1(3, "c"));
    t.receives(qos1(4, "d"));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
    t.options.receive_maximum = u16::MAX;
    // One of QoS 2 is open.
    t.announced = 7;
    t.resumes();
    for id in 11..18 {
        hands_out(&mut t, qos1(id, "e"));
    }
    t.quiet();
    // 3.1.1 has no such limit.
    let mut t = <Trace>::new(Version::V311);
    t.options = Connect { receive_maximum: 2, acknowledgement: Acknowledge::Manually, ..t.options };
    t.connects();
    for id in 1..9 {
        hands_out(&mut t, qos1(id, "a"));
    }
    t.quiet();
}

/// [MQTT-3.3.4-7]
#[test]
fn a_client_that_exceeds_the_receive_maximum_is_left() {
    let mut t = <theirs::Trace>::new(Version::V5);
    t.accept = Accept { receive_maximum: 1, acknowledgement: Acknowledge::Manually, ..t.accept };
    t.announced = 1;
    t.connects();
    t.receives(qos2(1, "a"));
    t.event(|_, event| assert!(matches!(event, server::Event::Message(_)), "{event:?}"));
    t.receives(qos1(2, "b"));
    t.fails(CloseReason::ReceiveMaximumExceeded, 0x93);
}

/// A PUBLISH with this payload and no properties.
fn large(first: u8, id: u16, len: usize) -> Vec<u8> {
    let mut body = b"\0\x01t".to_vec();
    if first & 0x06 != 0 {
        body.extend(id.to_be_bytes());
    }
    body.push(0);
    body.resize(len.saturating_sub(if len > 129 { 3 } else { 2 }), b'x');
    let packet = with_header(first, &body);
    assert_eq!(packet.len(), len);
    packet
}

fn exceeding(maximum_packet_size: MaximumPacketSize, oversized: Oversized) -> Trace<1024, 8, 8, 256, 64> {
    let mut t = Trace::new(Version::V5);
    t.options = Connect { maximum_packet_size, oversized, ..t.options };
    t.begins();
    t.writes();
    t.receives(connack(false, ""));
    t.connected(false);
    t
}

/// The rest comes in, and is nothing to anybody.
fn passes<const CONTROL: usize, const INBOX: usize>(t: &mut Trace<1024, 8, 8, CONTROL, INBOX>) {
    while t.wants_to_read() && !t.wants_to_write() {
        t.quiet();
    }
}

/// In 5.0 as in 3.1.1, where it was announced; to the client.
#[test]
fn what_may_exceed_the_inbox_of_a_client_is_skipped() {
    for size in [MaximumPacketSize::Absent, MaximumPacketSize::Bytes(400)] {
        let mut t = exceeding(size, Oversized::Skipped);
        for (first, qos) in [(0x30, QoS::AtMostOnce), (0x33, QoS::AtLeastOnce), (0x34, QoS::ExactlyOnce)] {
            for len in [65, 129, 400] {
                let retain = first & 1 != 0;
                t.receives(large(first, 7, len));
                let len = u32::try_from(len).unwrap();
                t.tells(&Event::Skipped { topic: "t", qos, retain, len });
                passes(&mut t);
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => t.sends(puback(7)),
                    QoS::ExactlyOnce => {
                        t.sends(pubrec(7));
                        t.receives(pubrel(7));
                        t.sends(pubcomp(7));
                    }
                }
                t.quiet();
            }
        }
        // Its topic may be an alias, which was told by it or before; so may what comes next.
        t.receives(large(0x32, 9, 64));
        t.event(|_, event| assert!(matches!(event, Event::Message(_)), "{event:?}"));
        t.sends(puback(9));
        // What exceeds what was announced is no packet of a peer that keeps to it. [MQTT-3.1.2-24]
        if size == MaximumPacketSize::Absent {
            t.receives(large(0x30, 0, 10_000));
            t.tells(&Event::Skipped { topic: "t", qos: QoS::AtMostOnce, retain: false, len: 10_000 });
            passes(&mut t);
            t.receives("D0 00");
            t.quiet();
        } else {
            t.receives(large(0x30, 0, 401));
            t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        }
    }
}

#[test]
fn what_is_skipped_may_name_its_topic_by_an_alias() {
    let mut t: Trace<1024, 8, 8, 256, 128> = Trace::new(Version::V5);
    t.inbox.set_topic_aliases(TopicAliases { maximum: 2, topic: 20 });
    let maximum_packet_size = MaximumPacketSize::Absent;
    t.options = Connect { maximum_packet_size, oversized: Oversized::Skipped, ..t.options };
    t.begins();
    t.writes();
    t.receives(connack(false, ""));
    t.connected(false);
    let payload = "x".repeat(200);
    for (topic, told) in [("a/b", "a/b"), ("", "a/b"), ("c", "c"), ("", "c")] {
        let packet = aliased(QoS::AtMostOnce, 0, topic, 1, &payload);
        let len = u32::try_from(packet.len()).unwrap();
        t.receives(packet);
        t.tells(&Event::Skipped { topic: told, qos: QoS::AtMostOnce, retain: false, len });
        passes(&mut t);
        t.receives(aliased(QoS::AtMostOnce, 0, "", 1, "small"));
        t.event(|_, event| assert!(matches!(event, Event::Message(ref message) if message.topic == told), "{event:?}"));
    }
    t.receives(aliased(QoS::AtMostOnce, 0, "", 2, &payload));
    t.fails(CloseReason::TopicAliasUnknown, 0x82);
}

/// Without having asked for it, or without having allowed it.
#[test]
fn what_exceeds_the_inbox_of_a_client_ends_the_connection() {
    for (size, oversized) in [
        (MaximumPacketSize::Absent, Oversized::Disconnect),
        (MaximumPacketSize::Bytes(400), Oversized::Disconnect),
        (MaximumPacketSize::Bytes(64), Oversized::Disconnect),
        (MaximumPacketSize::Inbox, Oversized::Skipped),
        (MaximumPacketSize::Bytes(64), Oversized::Skipped),
    ] {
        let mut t = exceeding(size, oversized);
        t.receives(large(0x30, 0, 65));
        t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
    }
    // Of what is no message nothing can be skipped.
    let mut t = exceeding(MaximumPacketSize::Absent, Oversized::Skipped);
    let mut body = b"\0\x01\x90\x50\x1f\0\x4d".to_vec();
    body.resize(150, b'x');
    t.receives(with_header(0x40, &body));
    t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
}

/// One connection may exceed the inbox, and the next one not.
#[test]
fn each_connection_announces_anew() {
    let mut t = exceeding(MaximumPacketSize::Bytes(400), Oversized::Skipped);
    t.cut();
    t.options.maximum_packet_size = MaximumPacketSize::Absent;
    t.begins();
    t.writes();
    t.receives(connack(true, ""));
    t.connected(true);
    t.receives(large(0x30, 0, 401));
    t.tells(&Event::Skipped { topic: "t", qos: QoS::AtMostOnce, retain: false, len: 401 });
    t.cut();
    t.options.maximum_packet_size = MaximumPacketSize::Inbox;
    t.resumes();
    t.receives(large(0x30, 0, 65));
    t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
}

/// The same at the server's end, which answers by DISCONNECT, too. [MQTT-3.2.2-15]
#[test]
fn what_may_exceed_the_inbox_of_a_server_is_skipped() {
    for (size, oversized, len, is_skipped) in [
        (MaximumPacketSize::Absent, Oversized::Skipped, 10_000, true),
        (MaximumPacketSize::Bytes(400), Oversized::Skipped, 400, true),
        (MaximumPacketSize::Bytes(400), Oversized::Skipped, 401, false),
        (MaximumPacketSize::Absent, Oversized::Disconnect, 65, false),
        (MaximumPacketSize::Inbox, Oversized::Skipped, 65, false),
    ] {
        let mut t = theirs::Trace::<1024, 8, 8, 256, 64>::new(Version::V5);
        t.accept.maximum_packet_size = size;
        t.accept.oversized = oversized;
        t.asks(false);
        t.accepts();
        t.writes();
        t.receives(large(0x32, 7, len));
        if is_skipped {
            let len = u32::try_from(len).unwrap();
            t.tells(&server::Event::Skipped { topic: "t", qos: QoS::AtLeastOnce, retain: false, len });
            while !t.wants_to_write() {
                t.quiet();
            }
            t.sends(puback(7).bytes(Version::V5));
            t.quiet();
        } else {
            t.fails(CloseReason::Violation(Violation::PacketTooLarge), 0x95);
        }
    }
}
