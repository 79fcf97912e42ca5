//! The inbox: which bytes are a packet, how many fit, and what it keeps of the past.
#![cfg(all(feature = "v311", feature = "v5"))]

use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;

use crate::support::{CONNECTIONS, hex, receive};
use mqtt_session::wire::Packet;
use mqtt_session::{Inbox, PacketId, Role, Version, Violation};

use Role::Client;
use Version::{V5, V311};

/// A PUBLISH of 7 bytes.
const PUBLISH: &[u8] = b"\x30\x05\x00\x01txy";
const PINGRESP: &[u8] = b"\xD0\x00";

fn payload<'p>(packet: &Packet<'p>) -> &'p [u8] {
    if let Packet::Publish(publish) = packet { publish.payload } else { &[] }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn a_packet_may_fill_the_capacity() {
    let mut inbox = Inbox::<[u8; 7]>::new();
    assert_eq!(inbox.capacity(), 7);
    for _ in 0..3 {
        assert_eq!(receive(&mut inbox, PUBLISH), b"");
        assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
        assert_eq!(inbox.packet(V311, Client), Ok(None));
        assert_eq!(inbox.space().len(), 7);
    }
}

#[test]
fn a_packet_one_byte_larger_is_refused_from_its_header_alone() {
    for version in [V311, V5] {
        let mut inbox = Inbox::<[u8; 6]>::new();
        receive(&mut inbox, PUBLISH.split_at(1).0);
        assert_eq!(inbox.packet(version, Client), Ok(None));
        receive(&mut inbox, &PUBLISH[1..2]);
        assert_eq!(inbox.packet(version, Client), Err(Violation::PacketTooLarge));
        assert_eq!(Violation::PacketTooLarge.reason_code() as u8, 0x95);
    }
}

#[test]
fn the_longest_packet_is_refused_and_nothing_grows() {
    let mut inbox = Inbox::<[u8; 16]>::new();
    receive(&mut inbox, &hex("30 ffffff7f 0001"));
    assert_eq!(inbox.packet(V5, Client), Err(Violation::PacketTooLarge));
    assert_eq!((inbox.capacity(), inbox.unread().len()), (16, 7));
}

#[test]
fn several_packets_in_one_read() {
    let mut inbox = Inbox::<[u8; 32]>::new();
    let id = PacketId::new(10).unwrap();
    receive(&mut inbox, &[PINGRESP, PUBLISH, &hex("4002000a"), &PUBLISH[..3]].concat());
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
    let Ok(Some(Packet::Acknowledgement(puback))) = inbox.packet(V311, Client) else { panic!("a PUBACK") };
    assert_eq!(puback.packet_id, id);
    assert_eq!(inbox.packet(V311, Client), Ok(None));
    assert_eq!(inbox.unread(), &PUBLISH[..3]);
    receive(&mut inbox, &PUBLISH[3..]);
    assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
    assert!(inbox.unread().is_empty());
}

#[test]
fn all_of_it_is_free_once_all_is_taken() {
    let mut inbox = Inbox::<[u8; 16]>::new();
    receive(&mut inbox, PINGRESP);
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    assert_eq!(inbox.space().len(), 16);
}

/// A part that is longer than what lies free in front of it is moved once there is no room behind it.
#[test]
fn what_was_taken_makes_room_for_the_rest_of_a_packet() {
    let mut inbox = Inbox::<[u8; 7]>::new();
    assert_eq!(receive(&mut inbox, &[PINGRESP, &PUBLISH[..5]].concat()), b"");
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    assert_eq!(inbox.packet(V311, Client), Ok(None));
    assert_eq!(inbox.space().len(), 2);
    assert_eq!(receive(&mut inbox, &PUBLISH[5..]), b"");
    assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
}

#[test]
fn one_packet_in_many_reads() {
    let mut inbox = Inbox::<[u8; 16]>::new();
    for byte in PUBLISH.chunks(1) {
        assert_eq!(inbox.packet(V311, Client), Ok(None));
        assert_eq!(inbox.packet(V311, Client), Ok(None), "asking twice changes nothing");
        receive(&mut inbox, byte);
    }
    assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
}

/// Whatever arrives, an inbox that waits has space.
#[test]
fn small_capacities_never_wedge() {
    let streams =
        ["d000", "d0000000", "d08000", "d0808000", "d080808000", "4082000001", "3000", "300300017431", "d0ffffffff"];
    for capacity in 0..=8 {
        for (stream, (version, to)) in streams.iter().flat_map(|stream| CONNECTIONS.map(|both| (stream, both))) {
            let bytes = hex(stream).repeat(3);
            let mut inbox = Inbox::over(vec![0; capacity]);
            let mut rest = &bytes[..];
            loop {
                match inbox.packet(version, to) {
                    Ok(None) => assert!(!inbox.space().is_empty(), "{capacity} bytes, {stream} at {}", rest.len()),
                    Ok(Some(_)) => continue,
                    Err(_) => break,
                }
                if rest.is_empty() {
                    break;
                }
                let (next, later) = rest.split_at(1);
                assert_eq!(receive(&mut inbox, next), b"");
                rest = later;
            }
        }
    }
}

#[test]
fn a_capacity_of_none_takes_no_packet() {
    assert_eq!(Inbox::<[u8; 0]>::new().packet(V311, Client), Err(Violation::PacketTooLarge));
    let mut inbox = Inbox::<[u8; 2]>::new();
    receive(&mut inbox, &hex("d080"));
    assert_eq!(inbox.packet(V311, Client), Err(Violation::PacketTooLarge), "a header that needs a third byte");
    let mut inbox = Inbox::<[u8; 3]>::new();
    receive(&mut inbox, &hex("d08000"));
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
}

#[test]
fn more_than_there_is_space_counts_as_all_of_it() {
    let mut inbox = Inbox::<[u8; 4]>::new();
    inbox.space().copy_from_slice(&hex("d000d000"));
    inbox.filled(usize::MAX);
    inbox.filled(1);
    assert_eq!(inbox.unread(), hex("d000d000"));
    assert!(inbox.space().is_empty());
    inbox.filled(1);
    assert_eq!(inbox.unread().len(), 4);
}

#[test]
fn clear_forgets_half_a_packet() {
    let mut inbox = Inbox::<[u8; 8]>::new();
    receive(&mut inbox, &[PINGRESP, &PUBLISH[..4]].concat());
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    inbox.clear();
    assert!(inbox.unread().is_empty());
    assert_eq!(inbox.space().len(), 8);
    receive(&mut inbox, PINGRESP);
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
}

#[test]
fn an_error_stays_and_takes_nothing() {
    for (bytes, rule) in [("d00100", Violation::TrailingBytes), ("c0", Violation::PacketNotForThisEnd)] {
        let mut inbox = Inbox::<[u8; 16]>::new();
        let bytes = [&hex(bytes)[..], PINGRESP].concat();
        receive(&mut inbox, &bytes);
        for _ in 0..3 {
            assert_eq!(inbox.packet(V311, Client), Err(rule));
            assert_eq!(inbox.unread(), bytes);
        }
        receive(&mut inbox, PINGRESP);
        assert_eq!(inbox.packet(V311, Client), Err(rule));
        inbox.clear();
        receive(&mut inbox, PINGRESP);
        assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    }
}

#[test]
fn equal_is_what_is_unread() {
    let mut travelled = Inbox::<[u8; 16]>::new();
    receive(&mut travelled, &[PUBLISH, PINGRESP, b"\x30"].concat());
    travelled.packet(V311, Client).unwrap();
    travelled.packet(V311, Client).unwrap();
    let mut fresh = Inbox::<[u8; 16]>::new();
    assert_ne!(travelled, fresh);
    receive(&mut fresh, b"\x30");
    assert_eq!(travelled, fresh);
    assert_eq!(hash(&travelled), hash(&fresh));
    travelled.space();
    assert_eq!(travelled, fresh);
    receive(&mut fresh, b"\x05");
    assert_ne!(travelled, fresh);
    assert_ne!(hash(&travelled), hash(&fresh));
    assert_eq!(travelled.clone(), travelled);
}

#[test]
fn debug_shows_no_bytes() {
    let mut inbox = Inbox::<[u8; 32]>::new();
    receive(&mut inbox, b"secret 115 101");
    assert_eq!(format!("{inbox:?}"), "Inbox { unread: 14, capacity: 32 }");
}

#[test]
fn bytes_may_lie_anywhere() {
    fn pingresp(inbox: &mut Inbox) {
        assert_eq!(receive(inbox, PINGRESP), b"");
        assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    }
    static EMPTY: Inbox<[u8; 4]> = Inbox::new();
    pingresp(&mut EMPTY.clone());
    pingresp(&mut Inbox::<[u8; 2]>::default());
    let mut buffer = [0; 4];
    let mut borrowed = Inbox::over(&mut buffer[..]);
    receive(&mut borrowed, PINGRESP);
    assert_eq!(borrowed.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    let mut owned = Inbox::over(vec![0; 4]);
    receive(&mut owned, PINGRESP);
    assert_eq!(owned.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    let mut boxed: Box<Inbox> = Box::new(Inbox::<[u8; 3]>::new());
    pingresp(&mut boxed);
}

/// `space` makes room in front by moving what is unread.
#[test]
fn half_a_packet_survives_the_move_to_the_front() {
    let mut inbox = Inbox::<[u8; 9]>::new();
    assert_eq!(receive(&mut inbox, &[PUBLISH, PINGRESP].concat()), b"");
    inbox.packet(V311, Client).unwrap();
    assert_eq!(inbox.unread(), PINGRESP);
    assert_eq!(inbox.space().len(), 7);
    receive(&mut inbox, PUBLISH);
    assert_eq!(inbox.packet(V311, Client), Ok(Some(Packet::Pingresp)));
    assert_eq!(inbox.packet(V311, Client).unwrap().as_ref().map(payload), Some(&b"xy"[..]));
}
