//! The records of a session as bytes: what the store of an application keeps. `docs/durable.md` shows them byte by byte.

use core::fmt;

/// Which record it is. Small, and no packet identifier: what a key stands for is one place of the session.
///
/// 0 is the session itself; 1 to 65,535 are the exchanges that it began, a PUBLISH and the PUBREL that follows it under one key; 65,537 to 131,071
/// are the messages of QoS 2 that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key(u32);

impl Key {
    /// The record of the session itself.
    pub const SESSION: Self = Self(0);

    const HELD: u32 = 1 << 16;

    /// A key that was read back from a store. Any number is one; `restore` refuses what it does not know.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number, at most 131,071.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn sent(index: usize) -> Self {
        Self(number(index))
    }

    pub(crate) fn held(index: usize) -> Self {
        Self(number(index) | Self::HELD)
    }

    /// Where the place is that it stands for.
    pub(crate) fn place(self) -> Option<KeyPlace> {
        let index = usize::try_from(self.0 & 0xFFFF).ok()?.checked_sub(1);
        match (self.0 >> 16, index) {
            (0, None) => Some(KeyPlace::Session),
            (0, Some(index)) => Some(KeyPlace::Sent(index)),
            (1, Some(index)) => Some(KeyPlace::Held(index)),
            _ => None,
        }
    }
}

/// Which place of a session a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    Session,
    Sent(usize),
    Held(usize),
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).wrapping_add(1) & 0xFFFF
}

/// Why a session was not restored. It is a new one then. Unless a store that has become readable again may help, erase all records and
/// begin with a clean start: what was in flight has an unknown outcome.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RestoreError {
    /// Bytes of this record are damaged, missing, or were stored under another key.
    Damaged(Key),
    /// The record has another format: another version of this crate wrote it.
    OtherFormat(Key),
    /// No record has this key.
    UnknownKey(Key),
    /// There are two records with this key.
    Repeated(Key),
    /// The record says what no session wrote, or what contradicts another record.
    Contradictory(Key),
    /// There are records, but that of the session is not among them.
    SessionMissing,
    /// The records are those of a server's end, or of a client's.
    OtherEnd,
    /// The records belong to another client identifier.
    OtherClient,
    /// The records belong to another version of MQTT.
    OtherVersion,
    /// The session has no place for this exchange: with records in flight `OUTBOUND` must stay as it was, and `INBOUND` must not become
    /// so small that a place in use is gone.
    NoPlace(Key),
    /// The packets do not fit into `STORE` bytes.
    StoreTooSmall,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, key) = match self {
            Self::Damaged(key) => ("damaged", key),
            Self::OtherFormat(key) => ("of another format", key),
            Self::UnknownKey(key) => ("of no known kind", key),
            Self::Repeated(key) => ("there twice", key),
            Self::Contradictory(key) => ("contradictory", key),
            Self::NoPlace(key) => ("without a place in this session", key),
            Self::SessionMissing => return f.write_str("the record of the session is missing"),
            Self::OtherEnd => return f.write_str("the records belong to the other end"),
            Self::OtherClient => return f.write_str("the records belong to another client identifier"),
            Self::OtherVersion => return f.write_str("the records belong to another version of MQTT"),
            Self::StoreTooSmall => return f.write_str("the packets do not fit into the store"),
        };
        write!(f, "record {} is {what}", key.0)
    }
}

impl core::error::Error for RestoreError {}

/// The format of the records. Another one is refused.
const FORMAT: u8 = 0x10;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Session(SessionRecord),
    Publish(PublishRecord<'a>),
    Release(ReleaseRecord),
    GivenUp(GivenUpRecord),
    Held(HeldRecord),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    /// 0: the client's end, 1: the server's.
    pub(crate) end: u8,
    pub(crate) level: u8,
    pub(crate) lifetime: u8,
    pub(crate) number: u32,
    pub(crate) since: u32,
    pub(crate) floor: u64,
    pub(crate) client: u64,
    pub(crate) expiry: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublishRecord<'a> {
    pub(crate) place: u64,
    pub(crate) lifetime: u32,
    pub(crate) packet: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReleaseRecord {
    pub(crate) place: u64,
    pub(crate) number: u32,
    pub(crate) packet_id: u16,
    pub(crate) receipt: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUpRecord {
    pub(crate) place: u64,
    pub(crate) number: u32,
    pub(crate) packet_id: u16,
    /// Bit 0: QoS 2, otherwise 1; bit 1: its outcome is told.
    pub(crate) state: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldRecord {
    pub(crate) number: u32,
    pub(crate) packet_id: u16,
}

/// The longest part of a record that is no packet: that of the session.
pub(crate) const LONGEST_HEAD: usize = 33;

/// A record as bytes: a head, and behind it the packet of a PUBLISH.
#[derive(Clone, Copy)]
pub struct Value<'s> {
    head: [u8; LONGEST_HEAD],
    len: u8,
    packet: &'s [u8],
}

/// Only how long it is.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("len", &self.len()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Value<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Value {{ len: {=usize} }}", self.len());
    }
}

impl<'s> Value<'s> {
    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.len as usize).saturating_add(self.packet.len())
    }

    /// Never: no record is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The two parts of it, of which the second may be empty: what is to be stored is one behind the other.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &'s [u8]) {
        (self.head.get(..self.len.into()).unwrap_or_default(), self.packet)
    }

    /// Writes it to the front of a buffer, and says how long it is; `None` if it does not fit.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let (head, packet) = self.parts();
        let target = buffer.get_mut(..self.len())?;
        let (first, second) = target.split_at_mut_checked(head.len())?;
        crate::bytes::copy(first, head);
        crate::bytes::copy(second, packet);
        Some(self.len())
    }

    pub(crate) fn new(key: Key, record: &Record<'s>) -> Self {
        let mut value = Self { head: [0; LONGEST_HEAD], len: 5, packet: &[] };
        value.put(0, &[FORMAT | kind(record)]);
        match *record {
            Record::Session(SessionRecord { end, level, lifetime, number, since, floor, client, expiry }) => {
                value.push(&[end, level, lifetime]);
                value.push(&number.to_be_bytes());
                value.push(&since.to_be_bytes());
                value.push_place(floor);
                value.push(&client.to_be_bytes());
                value.push(&expiry.to_be_bytes());
            }
            Record::Publish(PublishRecord { place, lifetime, packet }) => {
                value.push_place(place);
                value.push(&lifetime.to_be_bytes());
                value.packet = packet;
            }
            Record::Release(ReleaseRecord { place, number, packet_id, receipt: last })
            | Record::GivenUp(GivenUpRecord { place, number, packet_id, state: last }) => {
                value.push_place(place);
                value.push(&number.to_be_bytes());
                value.push(&packet_id.to_be_bytes());
                value.push(&[last]);
            }
            Record::Held(HeldRecord { number, packet_id }) => {
                value.push(&number.to_be_bytes());
                value.push(&packet_id.to_be_bytes());
            }
        }
        let sum = {
            let (head, packet) = value.parts();
            checksum(key, head, packet)
        };
        value.put(1, &sum.to_be_bytes());
        value
    }

    fn push(&mut self, bytes: &[u8]) {
        let at = self.len.into();
        self.put(at, bytes);
        self.len = self.len.saturating_add(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    }

    fn push_place(&mut self, place: u64) {
        let [_, _, _, rest @ ..] = place.to_be_bytes();
        self.push(&rest);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        crate::bytes::copy(self.head.get_mut(at..).unwrap_or_default(), bytes);
    }
}

const fn kind(record: &Record<'_>) -> u8 {
    match record {
        Record::Session(_) => 0,
        Record::Publish(_) => 1,
        Record::Release(_) => 2,
        Record::GivenUp(_) => 3,
        Record::Held(_) => 4,
    }
}

impl<'a> Record<'a> {
    /// The record that these bytes are under this key.
    pub(crate) fn read(key: Key, bytes: &'a [u8]) -> Result<Self, RestoreError> {
        let (&[first, a, b, c, d], rest) = bytes.split_first_chunk().ok_or(RestoreError::Damaged(key))?;
        if first & 0xF0 != FORMAT {
            return Err(RestoreError::OtherFormat(key));
        }
        if checksum(key, &[first, 0, 0, 0, 0], rest) != u32::from_be_bytes([a, b, c, d]) {
            return Err(RestoreError::Damaged(key));
        }
        let mut fields = Fields(rest);
        let record = fields.record(first & 0x0F).ok_or(RestoreError::Damaged(key))?;
        if fields.0.is_empty() { Ok(record) } else { Err(RestoreError::Damaged(key)) }
    }
}

/// The fields of a record that are not yet read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn record(&mut self, kind: u8) -> Option<Record<'a>> {
        Some(match kind {
            0 => {
                let [end, level, lifetime] = self.take()?;
                Record::Session(SessionRecord {
                    end,
                    level,
                    lifetime,
                    number: u32::from_be_bytes(self.take()?),
                    since: u32::from_be_bytes(self.take()?),
                    floor: self.place()?,
                    client: u64::from_be_bytes(self.take()?),
                    expiry: u32::from_be_bytes(self.take()?),
                })
            }
            1 => Record::Publish(PublishRecord {
                place: self.place()?,
                lifetime: u32::from_be_bytes(self.take()?),
                packet: core::mem::take(&mut self.0),
            }),
            2 => Record::Release(ReleaseRecord {
                place: self.place()?,
                number: u32::from_be_bytes(self.take()?),
                packet_id: u16::from_be_bytes(self.take()?),
                receipt: u8::from_be_bytes(self.take()?),
            }),
            3 => Record::GivenUp(GivenUpRecord {
                place: self.place()?,
                number: u32::from_be_bytes(self.take()?),
                packet_id: u16::from_be_bytes(self.take()?),
                state: u8::from_be_bytes(self.take()?),
            }),
            4 => Record::Held(HeldRecord {
                number: u32::from_be_bytes(self.take()?),
                packet_id: u16::from_be_bytes(self.take()?),
            }),
            _ => return None,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn place(&mut self) -> Option<u64> {
        let [a, b, c, d, e] = self.take()?;
        Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }
}

/// CRC-32 (that of Ethernet) over the key, the head with zeros in the place of the sum, and the packet.
fn checksum(key: Key, head: &[u8], packet: &[u8]) -> u32 {
    let sum = [&key.0.to_be_bytes()[..], head, packet].into_iter().flatten().fold(u32::MAX, |sum, &byte| {
        let sum = sum ^ u32::from(byte);
        let sum = sum >> 4 ^ nibble(sum);
        sum >> 4 ^ nibble(sum)
    });
    !sum
}

fn nibble(sum: u32) -> u32 {
    let index = usize::try_from(sum & 0x0F).unwrap_or_default();
    NIBBLES.get(index).copied().unwrap_or_default()
}

/// What four bits do to the sum.
const NIBBLES: [u32; 16] = [
    0x0000_0000,
    0x1DB7_1064,
    0x3B6E_20C8,
    0x26D9_30AC,
    0x76DC_4190,
    0x6B6B_51F4,
    0x4DB2_6158,
    0x5005_713C,
    0xEDB8_8320,
    0xF00F_9344,
    0xD6D6_A3E8,
    0xCB61_B38C,
    0x9B64_C2B0,
    0x86D3_D2D4,
    0xA00A_E278,
    0xBDBD_F21C,
];

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
