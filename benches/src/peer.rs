//! The other end: it answers what it is sent, and nothing else.

use crate::link::Link;
use crate::work::{PAYLOAD, Version};

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;

/// Reads packets that are known to be sound.
pub struct Packets<'a>(pub &'a [u8]);

/// The first byte of a packet, and what follows its length.
impl<'a> Iterator for Packets<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&first, rest) = self.0.split_first()?;
        let (len, rest) = length(rest);
        let (body, behind) = rest.split_at(len);
        self.0 = behind;
        Some((first, body))
    }
}

/// A variable byte integer and what follows it.
#[inline]
pub fn length(bytes: &[u8]) -> (usize, &[u8]) {
    let (mut value, mut at) = (0, 0);
    loop {
        let byte = bytes[at];
        value |= usize::from(byte & 0x7F) << (7 * at);
        at += 1;
        if byte < 0x80 {
            return (value, &bytes[at..]);
        }
    }
}

/// The packet at the front of bytes that may end within it: its first byte, its body, and how long it is in all.
#[inline]
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, rest) = bytes.split_first()?;
    rest.iter().take(4).find(|&&byte| byte < 0x80)?;
    let (len, behind) = length(rest);
    let header = bytes.len() - behind.len();
    Some((first, behind.get(..len)?, header + len))
}

/// The identifier of a PUBLISH that is not of QoS 0.
#[inline]
pub fn publish_id(body: &[u8]) -> u16 {
    first_two(&body[2 + usize::from(first_two(body))..])
}

/// The identifier of any other packet.
#[inline]
pub fn first_two(body: &[u8]) -> u16 {
    u16::from_be_bytes([body[0], body[1]])
}

/// A packet of four bytes, as one number: bytes that are written one by one are slow to read again as a whole.
#[inline]
pub fn short(first: u8, id: u16) -> [u8; 4] {
    (u32::from(first) << 24 | 2 << 16 | u32::from(id)).to_be_bytes()
}

/// Answers everything that the contestant wrote. `false`: there was nothing to answer.
#[inline]
pub fn answer(link: &mut Link) -> bool {
    let outgoing = std::mem::take(&mut link.outgoing);
    let incoming = link.send();
    let before = incoming.len();
    for (first, body) in Packets(&outgoing) {
        match first >> 4 {
            PUBLISH if first & 0b110 == 0b010 => acknowledge(incoming, PUBACK, publish_id(body)),
            PUBLISH if first & 0b110 == 0b100 => acknowledge(incoming, PUBREC, publish_id(body)),
            PUBREC => acknowledge(incoming, PUBREL, first_two(body)),
            PUBREL => acknowledge(incoming, PUBCOMP, first_two(body)),
            _ => {}
        }
    }
    let answered = incoming.len() != before;
    link.outgoing = outgoing;
    link.written();
    answered
}

#[inline]
fn acknowledge(to: &mut Vec<u8>, kind: u8, id: u16) {
    let flags = if kind == PUBREL { 2 } else { 0 };
    to.extend_from_slice(&short(kind << 4 | flags, id));
}

/// PUBREC for a message.
#[inline]
pub fn received(link: &mut Link, id: u16) {
    acknowledge(link.send(), PUBREC, id);
}

/// A PUBLISH to the contestant.
#[inline]
pub fn publish(to: &mut Vec<u8>, version: Version, qos: u8, topic: &str, id: u16, payload: &[u8]) {
    let id_len = if qos == 0 { 0 } else { 2 };
    let properties = usize::from(version == Version::V5);
    to.push(PUBLISH << 4 | qos << 1);
    let mut len = 2 + topic.len() + id_len + properties + payload.len();
    while len > 0x7F {
        to.push(len as u8 | 0x80);
        len >>= 7;
    }
    to.push(len as u8);
    to.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    to.extend_from_slice(topic.as_bytes());
    to.extend_from_slice(&id.to_be_bytes()[..id_len]);
    to.extend_from_slice(&[0][..properties]);
    to.extend_from_slice(payload);
}

/// The payload of a message, which begins with its number.
#[inline]
pub fn payload(number: u64) -> [u8; PAYLOAD] {
    let mut payload = [b'.'; PAYLOAD];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}
