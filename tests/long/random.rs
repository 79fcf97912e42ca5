//! Random valid packets go there and back; damaged ones and noise are taken or refused, and nothing else happens.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "lengths and positions are small")]

use core::iter::successors;
use std::collections::BTreeSet;

use crate::support::build::Builder;
use crate::support::{CONNECTIONS, Verdict, encode, encode_again, neutral, normal, receive};
use bumpalo::Bump;
use mqtt_session::strategies::{Damage, Encoded, Packets, reads};
use mqtt_session::wire::{Delivery, Header, Packet, Properties, PublishPacket};
use mqtt_session::{CloseReason, Connect, Inbox, Instant, Property, Role, Session, Step, Version, Violation};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::TestRunner;

type Connection = (Version, Role);

fn connection() -> impl Strategy<Value = Connection> {
    select(CONNECTIONS.to_vec())
}

/// Packets with lengths on both sides of as many steps of a variable byte integer as there can be in a short time.
fn packets((version, to): Connection) -> Packets {
    Packets { payload: 16_400, text: 140, ..Packets::new(version, to) }
}

/// What there is of each connection.
fn of_any<T: core::fmt::Debug>(strategy: impl Fn(Packets) -> BoxedStrategy<T>) -> impl Strategy<Value = T> {
    Union::new(CONNECTIONS.map(|connection| strategy(packets(connection))))
}

/// What random bytes must pass: any answer will do, but it must not depend on what is behind the packet, it must be the
/// answer to every longer string too, and what is taken must be encodable.
fn check_any_bytes((version, to): Connection, bytes: &[u8]) {
    let decoded = Packet::decode(version, to, bytes);
    let end = match Header::decode(version, to, bytes) {
        Ok(Some(header)) => usize::try_from(header.packet_len()).unwrap(),
        _ => bytes.len(),
    };
    match decoded {
        Ok(None) => assert!(end >= bytes.len()),
        Ok(Some((packet, len))) => {
            assert_eq!(len, end);
            encode_again(version, to, &packet, len);
        }
        Err(violation) => assert!(!violation.statement(version).is_empty(), "{violation:?} in {version:?}"),
    }
    if decoded != Ok(None) {
        let packet = bytes.get(..end).unwrap_or(bytes);
        for tail in [&[][..], &[0x00], &[0xFF; 5], bytes] {
            assert_eq!(Packet::decode(version, to, &[packet, tail].concat()), decoded);
        }
    }
}

/// Sets the remaining length right, so that the damage reaches what is behind the header.
fn with_its_length(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    Damage::Measure.apply(&mut bytes);
    bytes
}

/// A variable byte integer in its shortest form. (1.5.5)
fn variable(value: usize) -> impl Iterator<Item = u8> {
    let digits = successors(Some(value), |rest| Some(rest / 0x80).filter(|&rest| rest > 0));
    digits.filter_map(|rest| u8::try_from(rest % 0x80 + if rest < 0x80 { 0 } else { 0x80 }).ok())
}

/// Bytes of which the first, and then every few, look like a packet.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let first = select(vec![0x10, 0x20, 0x30, 0x32, 0x3D, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xA2, 0xB0, 0xE0, 0xF0]);
    let len = prop_oneof![6 => 0..64_usize, 2 => 64..2_000_usize, 1 => 2_000..65_536_usize];
    let body = len.prop_flat_map(|len| {
        let byte = prop_oneof![3 => Just(0_u8), 2 => 0..0x30_u8, 1 => any::<u8>()];
        prop_oneof![prop::collection::vec(any::<u8>(), len), prop::collection::vec(byte, len)]
    });
    (first, body).prop_map(|(first, body)| [vec![first], body].concat())
}

fn at_least(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(cases), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(at_least(12_000))]

    /// A session names the rule that the decoder names.
    #[test]
    fn a_session_closes_for_what_is_malformed(
        malformed in Union::new([Version::V311, Version::V5].map(|it| packets((it, Role::Client)).malformed())),
        reads in reads(),
    ) {
        let cause = closes_for(malformed.version(), &reads.pieces(malformed.bytes()));
        prop_assert_eq!(cause, malformed.decode().err().map(CloseReason::from));
    }

    /// The strategy itself has compared what was encoded with what is decoded.
    #[test]
    fn valid_packets_go_there_and_back(encoded in of_any(Packets::any)) {
        let (version, to, bytes) = (encoded.version(), encoded.to(), encoded.bytes());
        let arena = Bump::new();
        let description = neutral::describe(version, &encoded.packet());
        let packet = Builder { arena: &arena, version }.packet(&description).unwrap();
        prop_assert_eq!(normal(&neutral::describe(version, &packet)), normal(&description));
        prop_assert_eq!(encode(version, to, &packet).unwrap(), bytes);
        prop_assert_eq!(Packet::decode(version, to, bytes), Ok(Some((packet, bytes.len()))));
        prop_assert_eq!(Verdict::of_bytes(version, to, bytes), Verdict::Taken(normal(&description), bytes.len()));
        check_any_bytes((version, to), bytes);
    }

    #[test]
    fn damaged_packets(damaged in of_any(Packets::damaged)) {
        let connection = (damaged.version(), damaged.to());
        check_any_bytes(connection, damaged.bytes());
        check_any_bytes(connection, &with_its_length(damaged.bytes()));
    }
}

proptest! {
    #![proptest_config(at_least(1_500))]

    #[test]
    fn long_noise(connection in connection(), bytes in noise()) {
        check_any_bytes(connection, &bytes);
        check_any_bytes(connection, &with_its_length(&bytes));
    }

    #[test]
    fn streams_in_any_pieces(
        packets in of_any(|packets| prop::collection::vec(packets.any(), 1..8).boxed()),
        room in prop_oneof![Just(0_usize), 0..64_usize, 0..40_000_usize],
        reads in reads(),
    ) {
        let (version, to) = (packets[0].version(), packets[0].to());
        let packets: Vec<_> = packets.iter().map(Encoded::bytes).collect();
        let longest = packets.iter().map(|bytes| bytes.len()).max().unwrap_or_default();
        let mut inbox = Inbox::over(vec![0; longest + room]);
        let stream = packets.concat();
        let pieces = reads.pieces(&stream);
        prop_assert_eq!(pieces.concat(), &stream[..]);
        let mut alone = packets.iter();
        for mut piece in pieces {
            while !piece.is_empty() {
                let left = receive(&mut inbox, piece);
                prop_assert!(left.len() < piece.len(), "no space");
                piece = left;
                while let Some(packet) = inbox.packet(version, to).unwrap() {
                    let bytes = alone.next().expect("as many packets as were sent");
                    prop_assert_eq!(Packet::decode(version, to, bytes), Ok(Some((packet, bytes.len()))));
                }
            }
        }
        prop_assert!(alone.next().is_none() && inbox.unread().is_empty());
    }
}

/// What a connected client makes of bytes that come in so.
fn closes_for(version: Version, pieces: &[&[u8]]) -> Option<CloseReason> {
    let mut session: Session<256, 4, 4> = Session::new();
    let mut inbox: Inbox<[u8; 65_536]> = Inbox::new();
    session.connect(&mut inbox, &Connect { keep_alive: 0, ..Connect::new(version, "c") }).unwrap();
    let connack: &[u8] = if version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    for piece in [&[], connack].iter().chain(pieces) {
        assert_eq!(receive(&mut inbox, piece), b"");
        loop {
            match session.poll(&mut inbox, Instant::from_millis(0)) {
                Step::Event(_) => {}
                Step::Transmit(bytes) => {
                    let len = bytes.len();
                    session.transmitted(len);
                }
                Step::Wait(_) => break,
                Step::Close(cause) => return Some(cause),
            }
        }
    }
    None
}

/// Of each packet type that an end may receive there are packets, and among all of them there is each. Damage breaks most,
/// and each kind of damage breaks some.
#[test]
fn packets_and_damage_of_every_kind() {
    let mut runner = TestRunner::deterministic();
    for (connection, types) in CONNECTIONS.into_iter().zip([9, 10, 11, 11]) {
        let (valid, damaged) = (packets(connection).any(), packets(connection).damaged());
        let (mut seen, mut refused, mut harmful) = (BTreeSet::new(), 0, BTreeSet::new());
        for _ in 0..2_000 {
            let encoded = valid.new_tree(&mut runner).unwrap().current();
            seen.insert(encoded.bytes()[0] >> 4);
            let damaged = damaged.new_tree(&mut runner).unwrap().current();
            refused += usize::from(damaged.decode().is_err());
            if let ([damage] | [damage, Damage::Measure], Err(_)) = (damaged.damage(), damaged.decode()) {
                harmful.insert(format!("{damage:?}").split('(').next().map(str::to_owned));
            }
        }
        assert_eq!(seen.len(), types, "{connection:?}: {seen:?}");
        assert!((1_000..1_900).contains(&refused), "{connection:?}: {refused} of 2,000 refused");
        assert_eq!(harmful.len(), 10, "{connection:?}: {harmful:?}");
    }
}

fn publish<'a>(properties: Properties<'a>, payload: &'a [u8]) -> Packet<'a> {
    Packet::Publish(PublishPacket { delivery: Delivery::AtMostOnce, retain: false, topic: "t", properties, payload })
}

/// Remaining and property lengths on both sides of each step of a variable byte integer, and how many bytes that takes.
#[test]
fn lengths_at_their_steps() {
    let steps = [(5, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4)];
    let filler = "x".repeat(65_535);
    for (len, width) in steps {
        let payload = vec![0x5A; len - 3];
        let packet = publish(Properties::EMPTY, &payload);
        let bytes = encode(Version::V311, Role::Client, &packet).unwrap();
        assert_eq!(bytes.len(), 1 + width + len);
        assert_eq!(Packet::decode(Version::V311, Role::Client, &bytes), Ok(Some((packet, bytes.len()))));

        // User properties of 5 to 65,540 bytes each that take `len` bytes together.
        let count = len.div_ceil(65_540);
        let value = |nth: usize| filler.get(..(len + nth) / count - 5).unwrap();
        let properties: Vec<_> = (0..count).map(|nth| Property::UserProperty("", value(nth))).collect();
        let packet = publish(Properties::of(&properties), b"");
        let bytes = encode(Version::V5, Role::Client, &packet).unwrap();
        let header = Header::decode(Version::V5, Role::Client, &bytes).unwrap().unwrap();
        assert_eq!(usize::try_from(header.packet_len()), Ok(bytes.len()));
        let behind = bytes.get(bytes.len() - len - width..).unwrap();
        assert!(behind.starts_with(&Vec::from_iter(variable(len))), "{:02x?}", behind.get(..4));
        assert_eq!(Packet::decode(Version::V5, Role::Client, &bytes), Ok(Some((packet, bytes.len()))));
    }
}

/// A remaining length in more bytes than it needs is legal in 3.1.1 alone.
#[test]
fn padded_lengths() {
    let padded = [0xD0, 0x80, 0x80, 0x80, 0x00];
    assert_eq!(Packet::decode(Version::V311, Role::Client, &padded), Ok(Some((Packet::Pingresp, 5))));
    assert_eq!(Packet::decode(Version::V5, Role::Client, &padded), Err(Violation::IntegerPadded));
}
