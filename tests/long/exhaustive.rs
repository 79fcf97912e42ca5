//! Every string of up to three bytes, and every two bytes in many places, in both versions and for both ends.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a fault here is a failed test"
)]

use crate::support::{encode_again, hex};
use mqtt_session::wire::{Header, Packet};
use mqtt_session::{Role, Version, Violation};

#[test]
fn to_a_client_of_3_1_1() {
    all_short_strings(Version::V311, Role::Client);
    all_in_frames(Version::V311, Role::Client);
}

#[test]
fn to_a_server_of_3_1_1() {
    all_short_strings(Version::V311, Role::Server);
    all_in_frames(Version::V311, Role::Server);
}

#[test]
fn to_a_client_of_5_0() {
    all_short_strings(Version::V5, Role::Client);
    all_in_frames(Version::V5, Role::Client);
}

#[test]
fn to_a_server_of_5_0() {
    all_short_strings(Version::V5, Role::Server);
    all_in_frames(Version::V5, Role::Server);
}

/// What is known about a string from a front of it.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    Refused(Violation),
    /// There is a packet of this length.
    Taken(usize),
}

fn all_short_strings(version: Version, to: Role) {
    assert_eq!(Packet::decode(version, to, &[]), Ok(None));
    let (mut taken, mut refused, mut unfinished) = (0_u32, 0_u32, 0_u32);
    for first in 0..=u8::MAX {
        let known = extended(version, to, &[first], Known::Nothing);
        for second in 0..=u8::MAX {
            let known = extended(version, to, &[first, second], known);
            for third in 0..=u8::MAX {
                let counter = match extended(version, to, &[first, second, third], known) {
                    Known::Taken(_) => &mut taken,
                    Known::Refused(_) => &mut refused,
                    Known::Nothing => &mut unfinished,
                };
                *counter = counter.saturating_add(1);
            }
        }
    }
    assert!(taken > 0 && refused > 0 && unfinished > 0, "{taken} {refused} {unfinished}");
}

/// What is known with one more byte: nothing that was known may change.
fn extended(version: Version, to: Role, bytes: &[u8], known: Known) -> Known {
    let decoded = Packet::decode(version, to, bytes);
    let (packet, len) = match (decoded, known) {
        (Ok(None), Known::Nothing) => return known,
        (Err(violation), Known::Nothing) => {
            assert!(!violation.statement(version).is_empty(), "{bytes:02x?}: {violation:?} in {version:?}");
            return Known::Refused(violation);
        }
        (Err(violation), Known::Refused(before)) if violation == before => return known,
        (Ok(Some((_, len))), Known::Taken(before)) if len == before => return known,
        (Ok(Some(taken)), Known::Nothing) => taken,
        _ => panic!("{bytes:02x?}: {decoded:?} against what its front told"),
    };
    assert_eq!(len, bytes.len(), "{bytes:02x?} was incomplete one byte before");
    encode_again(version, to, &packet, len);
    Known::Taken(len)
}

/// What lies in front of and behind two bytes that take every value, in the body of a packet of each kind.
const FRAMES: [(&str, &str); 19] = [
    ("", ""),
    ("00", ""),
    ("01", ""),
    ("0001", ""),
    ("", "0001"),
    ("", "000161"),
    // Two bytes of properties, at once and behind one and two other fields.
    ("02", ""),
    ("0002", ""),
    ("000002", ""),
    ("00010002", ""),
    ("000102", "00016100"),
    ("00016102", "78"),
    // A property of three bytes.
    ("0003", "01"),
    ("000003", "01"),
    // A topic name or filter of two bytes, and the bytes behind it.
    ("0002", "0001"),
    ("00010002", "00"),
    ("0001000002", "00"),
    // The level and the flags of a CONNECT, with and without properties.
    ("00044d515454", "003c 0000 000177 0000 0000"),
    ("00044d515454", "003c 00 0000 00 000177 0000 0000"),
];

/// What a packet is does not depend on what follows, and what is taken can be sent.
fn all_in_frames(version: Version, to: Role) {
    let kinds = (0..=u8::MAX).filter(|&first| matches!(Header::decode(version, to, &[first]), Ok(None)));
    let mut taken = 0_u32;
    for (first, (front, behind)) in kinds.flat_map(|first| FRAMES.map(|frame| (first, frame))) {
        let (front, behind) = (hex(front), hex(behind));
        let len = u8::try_from(front.len() + 2 + behind.len()).unwrap_or(u8::MAX);
        let mut bytes = [&[first, len], &front[..], &[0, 0], &behind, &[0xFF]].concat();
        for two in 0..=u16::MAX {
            bytes[2 + front.len()..][..2].copy_from_slice(&two.to_be_bytes());
            let (alone, _) = bytes.split_at(bytes.len() - 1);
            let decoded = Packet::decode(version, to, &bytes);
            // Of what is refused, one in 31: that takes half of the time, and every value of either byte is among them.
            if decoded.is_ok() || two % 31 == 0 {
                assert_eq!(Packet::decode(version, to, alone), decoded);
            }
            match decoded {
                Ok(None) => panic!("{bytes:02x?} is whole"),
                Ok(Some((packet, len))) => {
                    assert_eq!(len, alone.len());
                    encode_again(version, to, &packet, len);
                    taken += 1;
                }
                Err(violation) => assert!(!violation.statement(version).is_empty(), "{bytes:02x?}: {violation:?}"),
            }
        }
    }
    assert!(taken > 0x1_0000, "{taken}");
}
