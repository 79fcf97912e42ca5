//! A floor: what the bytes need, a store for what is not acknowledged, and the checks that this crate makes of what comes:
//! text, topics, properties, codes, and whether it is due.

use crate::contestant::{Contestant, Entry, Lane};
use crate::lanes::lane;
use crate::link::{Link, READ};
use crate::peer::{frame, length, short};
use crate::work::{Setup, Version, Work};

pub const ENTRY: Entry = Entry { name: "floor: checks", enter };

/// What a record in the store takes besides its packet: its length, and whether it is still needed.
const RECORD: usize = 8;
const NEEDED: u32 = 1;

/// Where a publish stands.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Free,
    Once(u32),
    Twice(u32),
    Released,
}

struct Checked {
    version: Version,
    buffer: Vec<u8>,
    len: usize,
    last_id: u16,
    sent: Vec<Sent>,
    held: Vec<bool>,
    store: Store,
    link: Link,
}

/// A ring of packets, which go in any order.
struct Store {
    bytes: Vec<u8>,
    oldest: usize,
    end: usize,
    records: usize,
}

fn enter(work: &Work) -> Result<Box<dyn Lane>, &'static str> {
    let Setup { version, sent, packet, .. } = work.setup();
    Ok(lane(
        work,
        Checked {
            version,
            buffer: vec![0; packet + READ],
            len: 0,
            last_id: 0,
            sent: vec![Sent::Free; 1 << 16],
            held: vec![false; 1 << 16],
            store: Store { bytes: vec![0; sent * 128 + 256], oldest: 0, end: 0, records: 0 },
            link: Link::default(),
        },
    ))
}

impl Contestant for Checked {
    fn publish(&mut self, qos: u8, topic: &'static str, payload: &[u8]) {
        check_topic(topic.as_bytes()).expect("the topic is sound");
        let id = self.free_id();
        let mut head = [0; 64];
        let mut to = Head { bytes: &mut head, len: 0 };
        let rest = 2 + topic.len() + 2 + usize::from(self.version == Version::V5) + payload.len();
        to.push(&[0x30 | qos << 1]);
        to.length(rest);
        to.push(&(topic.len() as u16).to_be_bytes());
        to.push(topic.as_bytes());
        to.push(&id.to_be_bytes());
        to.push(&[0][..usize::from(self.version == Version::V5)]);
        let len = to.len;
        let place = self.store.accept(&head[..len], payload);
        self.sent[usize::from(id)] = if qos == 1 { Sent::Once(place) } else { Sent::Twice(place) };
        self.link.write(self.store.packet(place));
    }

    fn turn(&mut self) {
        loop {
            let received = self.link.read(&mut self.buffer[self.len..]);
            if received == 0 {
                return;
            }
            self.len += received;
            let buffer = std::mem::take(&mut self.buffer);
            let mut at = 0;
            while let Some((first, body, len)) = frame(&buffer[at..self.len]) {
                self.take(first, body, len).expect("the peer makes no mistake");
                at += len;
            }
            self.buffer = buffer;
            self.buffer.copy_within(at..self.len, 0);
            self.len -= at;
        }
    }

    fn link<R>(&mut self, show: impl FnOnce(&mut Link) -> R) -> R {
        show(&mut self.link)
    }
}

impl Checked {
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.sent[usize::from(self.last_id)] == Sent::Free {
                return self.last_id;
            }
        }
    }

    #[inline]
    fn take(&mut self, first: u8, body: &[u8], len: usize) -> Option<()> {
        if self.version == Version::V5 && len - body.len() > 1 + shortest(body.len()) {
            return None;
        }
        match (first >> 4, first & 0x0F) {
            (3, flags) => self.publish_came(flags, body),
            (4, 0) => self.ended(body, |sent| if let Sent::Once(place) = sent { Some(Some(place)) } else { None }),
            (5, 0) => {
                let id = self.acknowledged(body)?;
                let Sent::Twice(place) = self.sent[usize::from(id)] else { return None };
                self.store.remove(place);
                self.sent[usize::from(id)] = Sent::Released;
                self.link.write(&short(0x62, id));
                Some(())
            }
            (6, 2) => {
                let id = self.acknowledged(body)?;
                std::mem::take(&mut self.held[usize::from(id)]).then_some(())?;
                self.link.write(&short(0x70, id));
                Some(())
            }
            (7, 0) => self.ended(body, |sent| (sent == Sent::Released).then_some(None)),
            _ => None,
        }
    }

    #[inline]
    fn publish_came(&mut self, flags: u8, body: &[u8]) -> Option<()> {
        let (dup, qos) = (flags & 8 != 0, flags >> 1 & 3);
        if qos == 3 || dup && qos == 0 {
            return None;
        }
        let (topic_len, rest) = body.split_first_chunk()?;
        let (topic, mut rest) = rest.split_at_checked(u16::from_be_bytes(*topic_len).into())?;
        check_topic(topic)?;
        let mut id = 0;
        if qos != 0 {
            let (bytes, behind) = rest.split_first_chunk()?;
            (id, rest) = (u16::from_be_bytes(*bytes), behind);
        }
        if self.version == Version::V5 {
            rest = check_properties(rest)?;
        }
        if qos == 2 {
            if id == 0 || std::mem::replace(&mut self.held[usize::from(id)], true) {
                return None;
            }
            self.link.deliver(topic, rest);
            self.link.write(&short(0x50, id));
        } else {
            self.link.deliver(topic, rest);
        }
        Some(())
    }

    /// The identifier of an acknowledgement that says success.
    #[inline]
    fn acknowledged(&self, body: &[u8]) -> Option<u16> {
        let (id, rest) = body.split_first_chunk()?;
        match (self.version, rest) {
            (_, []) | (Version::V5, [0]) => Some(u16::from_be_bytes(*id)).filter(|&id| id != 0),
            (Version::V5, [0, properties @ ..]) if check_properties(properties)?.is_empty() => {
                Some(u16::from_be_bytes(*id)).filter(|&id| id != 0)
            }
            _ => None,
        }
    }

    /// A publish ends, if it stands where it may.
    #[inline]
    fn ended(&mut self, body: &[u8], may: impl FnOnce(Sent) -> Option<Option<u32>>) -> Option<()> {
        let id = self.acknowledged(body)?;
        let sent = &mut self.sent[usize::from(id)];
        if let Some(place) = may(*sent)? {
            self.store.remove(place);
        }
        *sent = Sent::Free;
        self.link.complete();
        Some(())
    }
}

impl Store {
    #[inline]
    fn accept(&mut self, head: &[u8], payload: &[u8]) -> u32 {
        let len = head.len() + payload.len();
        let size = RECORD + len;
        if self.records == 0 {
            (self.oldest, self.end) = (0, 0);
        }
        if self.end + size + RECORD > self.bytes.len() {
            // A record of no length says that the next one is in front.
            self.bytes[self.end..self.end + RECORD].fill(0);
            self.end = 0;
        }
        assert!(self.records == 0 || self.end >= self.oldest || self.end + size < self.oldest, "the store is full");
        let place = self.end;
        let record = &mut self.bytes[place..place + size];
        record[..4].copy_from_slice(&(len as u32).to_le_bytes());
        record[4..8].copy_from_slice(&NEEDED.to_le_bytes());
        record[RECORD..RECORD + head.len()].copy_from_slice(head);
        record[RECORD + head.len()..].copy_from_slice(payload);
        self.end += size;
        self.records += 1;
        place as u32
    }

    #[inline]
    fn packet(&self, place: u32) -> &[u8] {
        let start = place as usize + RECORD;
        &self.bytes[start..start + self.number(place as usize) as usize]
    }

    #[inline]
    fn remove(&mut self, place: u32) {
        self.bytes[place as usize + 4] = 0;
        while self.records != 0 {
            let len = self.number(self.oldest) as usize;
            if len == 0 {
                self.oldest = 0;
            } else if self.bytes[self.oldest + 4] == 0 {
                self.oldest += RECORD + len;
                self.records -= 1;
            } else {
                return;
            }
        }
    }

    #[inline]
    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }
}

/// The front of a packet.
struct Head<'a> {
    bytes: &'a mut [u8; 64],
    len: usize,
}

impl Head<'_> {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn length(&mut self, mut value: usize) {
        while value > 0x7F {
            self.push(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.push(&[value as u8]);
    }
}

const fn shortest(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Text without U+0000 and wildcards, and not empty.
#[inline]
fn check_topic(topic: &[u8]) -> Option<()> {
    std::str::from_utf8(topic).ok()?;
    let found = topic.iter().fold(false, |found, byte| found | matches!(byte, 0 | b'+' | b'#'));
    if found || topic.is_empty() { None } else { Some(()) }
}

/// What is behind the properties of a PUBLISH or an acknowledgement, if they are sound.
#[inline]
fn check_properties(bytes: &[u8]) -> Option<&[u8]> {
    if let [0, rest @ ..] = bytes {
        return Some(rest);
    }
    let (len, rest) = bytes.first().filter(|&&first| first < 0x80).map(|_| length(bytes))?;
    let (mut properties, rest) = rest.split_at_checked(len)?;
    let mut seen = 0_u64;
    while let Some((&id, behind)) = properties.split_first() {
        properties = check_property(id, behind)?;
        let bit = 1_u64.checked_shl(id.into())?;
        if seen & bit != 0 && !matches!(id, 0x0B | 0x26) {
            return None;
        }
        seen |= bit;
    }
    Some(rest)
}

/// What is behind the value of a property.
fn check_property(id: u8, bytes: &[u8]) -> Option<&[u8]> {
    let text = |bytes: &'_ [u8]| -> Option<usize> {
        let (len, rest) = bytes.split_first_chunk()?;
        let text = rest.get(..u16::from_be_bytes(*len).into())?;
        std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'))?;
        Some(2 + text.len())
    };
    let len = match id {
        0x01 => 1,
        0x02 => 4,
        0x23 => 2,
        0x03 | 0x08 | 0x1F => text(bytes)?,
        0x09 => 2 + usize::from(u16::from_be_bytes(*bytes.first_chunk()?)),
        0x0B => bytes.len() - length(bytes.get(..4)?).1.len(),
        0x26 => {
            let name = text(bytes)?;
            name + text(&bytes[name..])?
        }
        _ => return None,
    };
    bytes.get(len..)
}
