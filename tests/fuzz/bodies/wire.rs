//! The decoder, and the inbox in front of it.

use mqtt_session::wire::{Header, Packet, Unencodable};
use mqtt_session::{Inbox, Role, Version, Violation};

use super::input::Input;

/// Any bytes are taken or refused; what is taken can be encoded, and decodes to the same packet. What is behind a packet
/// makes no difference.
pub(crate) fn decode(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (version, to) = (input.version(), input.role());
    let bytes = input.rest();
    match Packet::decode(version, to, bytes) {
        Ok(Some((packet, len))) => {
            assert!(len <= bytes.len());
            assert_eq!(Packet::decode(version, to, &bytes[..len]), Ok(Some((packet, len))));
            assert_eq!(Packet::decode(version, to, &bytes[..len - 1]), Ok(None));
            encode(version, to, &packet, len);
        }
        Ok(None) => {
            let header = Header::decode(version, to, bytes).unwrap();
            assert!(header.is_none_or(|header| header.packet_len() as usize > bytes.len()));
        }
        Err(violation) => assert!(!violation.statement(version).is_empty()),
    }
}

/// What was decoded from `len` bytes takes no more when it is encoded.
fn encode(version: Version, to: Role, packet: &Packet<'_>, len: usize) {
    let mut shortest = vec![0; len];
    let written = packet.encode(version, to, &mut shortest).unwrap();
    assert!(written <= len);
    assert_eq!(Packet::decode(version, to, &shortest[..written]), Ok(Some((*packet, written))));
    let short = written - 1;
    assert_eq!(packet.encode(version, to, &mut shortest[..short]), Err(Unencodable::NoRoom(written)));
}

/// However a stream is split, the same packets come out of it, and the same error.
pub(crate) fn fragment(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (version, to) = (input.version(), input.role());
    let pieces: Vec<usize> = input.bytes(8).iter().map(|&len| usize::from(len).max(1)).collect();
    let stream = input.rest();
    let whole = receive(version, to, stream, &[stream.len().max(1)]);
    assert_eq!(receive(version, to, stream, &pieces), whole);
    assert_eq!(receive(version, to, stream, &[1]), whole);
}

type Received = (Vec<Vec<u8>>, Option<Violation>);

/// The packets, encoded again, and the error that ends them.
fn receive(version: Version, to: Role, stream: &[u8], pieces: &[usize]) -> Received {
    let mut inbox: Inbox<[u8; 96]> = Inbox::new();
    let mut packets = Vec::new();
    let mut rest = stream;
    let mut sizes = pieces.iter().cycle();
    loop {
        loop {
            match inbox.packet(version, to) {
                Ok(Some(packet)) => {
                    let mut encoded = [0; 96];
                    let len = packet.encode(version, to, &mut encoded).unwrap();
                    packets.push(encoded[..len].to_vec());
                }
                Ok(None) => break,
                Err(violation) => return (packets, Some(violation)),
            }
        }
        if rest.is_empty() {
            return (packets, None);
        }
        let space = inbox.space();
        let len = sizes.next().copied().unwrap_or(1).min(rest.len()).min(space.len());
        assert_ne!(len, 0, "the inbox is stuck");
        let piece = rest.split_off(..len).unwrap_or_default();
        space[..len].copy_from_slice(piece);
        inbox.filled(len);
    }
}
