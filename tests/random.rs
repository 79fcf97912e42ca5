//! Random valid packets go there and back; damaged ones and noise are taken or refused, and nothing else happens.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "lengths and positions are small")]

#[path = "support/strategy.rs"]
mod strategy;
mod support;

use core::iter::successors;

use bumpalo::Bump;
use mqtt_session::wire::{Delivery, Header, Packet, Properties, Publish};
use mqtt_session::{Inbox, Property, Role, Version, Violation};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use support::build::Builder;
use support::{CONNECTIONS, Verdict, encode, encode_again, neutral, normal, receive};

type Connection = (Version, Role);

fn connection() -> impl Strategy<Value = Connection> {
    select(CONNECTIONS.to_vec())
}

fn described() -> impl Strategy<Value = (Connection, Value)> {
    connection().prop_flat_map(|(version, to)| (Just((version, to)), strategy::packet(version, to)))
}

fn bytes_of((version, to): Connection, description: &Value) -> Vec<u8> {
    let arena = Bump::new();
    let packet = Builder { arena: &arena, version }.packet(description).unwrap();
    encode(version, to, &packet).unwrap_or_else(|fault| panic!("{description}: {fault}"))
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

/// A way to damage bytes; positions are taken modulo the length.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    Truncate(Index),
    Repeat(Index, Index),
    /// Adds to the remaining length, where that takes one byte.
    Length(i8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        2 => (at(), select(vec![0, 1, 2, 0x23, 0x2B, 0x7F, 0x80, 0xFF])).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => at().prop_map(Damage::Delete),
        1 => at().prop_map(Damage::Truncate),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        2 => (-3..=3_i8).prop_map(Damage::Length),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match damage {
        Damage::Flip(at, bits) => bytes[at.index(len)] ^= bits,
        Damage::Set(at, byte) => bytes[at.index(len)] = *byte,
        Damage::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        Damage::Delete(at) => drop(bytes.remove(at.index(len))),
        Damage::Truncate(at) => bytes.truncate(at.index(len)),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(len).min(to.index(len)), from.index(len).max(to.index(len)));
            let slice = bytes[from..to].to_vec();
            bytes.splice(to..to, slice);
        }
        Damage::Length(by) => {
            if let Some(length) = bytes.get_mut(1) {
                *length = length.saturating_add_signed(*by);
            }
        }
    }
}

/// Sets the remaining length right, so that the damage reaches what is behind the header.
fn with_its_length(bytes: &[u8]) -> Vec<u8> {
    let (first, body) = bytes.split_first().unwrap_or((&0x30, &[]));
    let skipped = body.iter().take_while(|&&byte| byte >= 0x80).count().min(3) + 1;
    let body = body.get(skipped..).unwrap_or_default();
    Vec::from_iter([*first].into_iter().chain(variable(body.len())).chain(body.iter().copied()))
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

    #[test]
    fn valid_packets_go_there_and_back(((version, to), description) in described()) {
        let arena = Bump::new();
        let packet = Builder { arena: &arena, version }.packet(&description).unwrap();
        prop_assert_eq!(normal(&neutral::describe(version, &packet)), normal(&description));
        let bytes = encode(version, to, &packet).unwrap();
        prop_assert_eq!(Packet::decode(version, to, &bytes), Ok(Some((packet, bytes.len()))));
        prop_assert_eq!(Verdict::of_bytes(version, to, &bytes), Verdict::Taken(normal(&description), bytes.len()));
        check_any_bytes((version, to), &bytes);
    }

    #[test]
    fn damaged_packets((connection, description) in described(), damage in prop::collection::vec(damage(), 1..4)) {
        let mut bytes = bytes_of(connection, &description);
        damage.iter().for_each(|damage| apply(damage, &mut bytes));
        check_any_bytes(connection, &bytes);
        check_any_bytes(connection, &with_its_length(&bytes));
    }
}

proptest! {
    #![proptest_config(at_least(4_000))]

    #[test]
    fn long_noise(connection in connection(), bytes in noise()) {
        check_any_bytes(connection, &bytes);
        check_any_bytes(connection, &with_its_length(&bytes));
    }

    #[test]
    fn streams_in_any_pieces(
        (connection, packets) in connection().prop_flat_map(|(version, to)| {
            (Just((version, to)), prop::collection::vec(strategy::packet(version, to), 1..8))
        }),
        room in prop_oneof![Just(0_usize), 0..64_usize, 0..40_000_usize],
        cuts in prop::collection::vec(prop_oneof![1..4_usize, 1..200_usize, 1..20_000_usize], 1..30),
    ) {
        let (version, to) = connection;
        let packets: Vec<_> = packets.iter().map(|description| bytes_of(connection, description)).collect();
        let longest = packets.iter().map(Vec::len).max().unwrap_or_default();
        let mut inbox = Inbox::over(vec![0; longest + room]);
        let stream = packets.concat();
        let mut rest = &stream[..];
        let mut alone = packets.iter();
        for cut in cuts.iter().cycle() {
            let (piece, _) = rest.split_at(rest.len().min(*cut));
            let left = receive(&mut inbox, piece);
            prop_assert!(left.len() < piece.len(), "no space");
            rest = &rest[piece.len() - left.len()..];
            while let Some(packet) = inbox.packet(version, to).unwrap() {
                let bytes = alone.next().expect("as many packets as were sent");
                prop_assert_eq!(Packet::decode(version, to, bytes), Ok(Some((packet, bytes.len()))));
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(alone.next().is_none() && inbox.unread().is_empty());
    }
}

fn publish<'a>(properties: Properties<'a>, payload: &'a [u8]) -> Packet<'a> {
    Packet::Publish(Publish { delivery: Delivery::AtMostOnce, retain: false, topic: "t", properties, payload })
}

/// Remaining and property lengths on both sides of each step of a variable byte integer, and how many bytes that takes.
#[test]
fn lengths_at_their_steps() {
    let steps = [(5, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4)];
    let filler = "x".repeat(65_535);
    for (len, width) in steps {
        let payload = vec![0x5A; len - 3];
        let packet = publish(Properties::EMPTY, &payload);
        let bytes = encode(Version::V3, Role::Client, &packet).unwrap();
        assert_eq!(bytes.len(), 1 + width + len);
        assert_eq!(Packet::decode(Version::V3, Role::Client, &bytes), Ok(Some((packet, bytes.len()))));

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
    assert_eq!(Packet::decode(Version::V3, Role::Client, &padded), Ok(Some((Packet::Pingresp, 5))));
    assert_eq!(Packet::decode(Version::V5, Role::Client, &padded), Err(Violation::IntegerPadded));
}
