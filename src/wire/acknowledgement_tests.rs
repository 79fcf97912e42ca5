//! The short way to encode an acknowledgement, against the long one.

use super::*;
use crate::wire::{Packet, Role};

#[test]
fn the_shortest_form_is_what_is_encoded() {
    let packet_id = PacketId::new(0x1234).unwrap();
    for kind in [AckType::Puback, AckType::Pubrec, AckType::Pubrel, AckType::Pubcomp] {
        for code in (0..=u8::MAX).filter_map(ReasonCode::of_byte) {
            let packet =
                Packet::Acknowledgement(Acknowledgement { reason_code: code, ..Acknowledgement::new(kind, packet_id) });
            let mut out = [0; 16];
            for version in [4, 5].into_iter().filter_map(Version::of_level) {
                if let Ok(len) = packet.encode(version, Role::Server, &mut out) {
                    assert_eq!(Acknowledgement::shortest(kind, packet_id, code).bytes(), &out[..len]);
                }
            }
        }
    }
}
