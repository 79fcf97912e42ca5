//! Fields put behind each other into the caller's buffer.

use core::{fmt, mem};

use crate::bytes::copy;

use super::kind::PacketType;
use super::reader::{PacketId, VariableByteInteger, text_is_clean};
use super::version::{Role, Version};
use super::violation::Violation;

/// Why a packet cannot be encoded. The output buffer may have been overwritten.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unencodable {
    /// The output is too small; the packet takes this many bytes.
    NoRoom(usize),
    /// A string or binary field is longer than 65,535 bytes, what follows the fixed header longer than 268,435,455, or a
    /// subscription identifier above that.
    TooLong {
        /// The length in bytes, or the number.
        needed: u32,
        /// The most that the standard has room for.
        available: u32,
    },
    /// The version of the connection has no such field: in 3.1.1 properties, most reason codes, and subscription
    /// options other than QoS.
    NotInVersion,
    /// A conforming peer would refuse the packet for breaking this rule.
    Forbidden(Violation),
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom(needed) => write!(f, "the packet takes {needed} bytes, more than there is room for"),
            Self::TooLong { needed, available } => {
                write!(f, "a field takes {needed}, and the standard allows {available}")
            }
            Self::NotInVersion => f.write_str("this version of the protocol has no such field"),
            Self::Forbidden(violation) => write!(f, "a peer would refuse the packet: {violation}"),
        }
    }
}

impl core::error::Error for Unencodable {}

/// Where the fields of a packet go.
///
/// Each packet is laid out twice by the same code: once into nothing, which tells the lengths that stand in front of
/// what they count, and once into the output. The first fault is kept until all is laid out, so that a layout reads as the
/// list of its fields.
pub struct Writer<'o> {
    pub(crate) version: Version,
    pub(crate) to: Role,
    purpose: Purpose,
    fault: Option<Fault>,
    free: &'o mut [u8],
    written: usize,
}

/// What a packet is laid out for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To learn its length, and whether a peer would take it.
    Check,
    /// To learn the length of a part.
    Measure,
    /// To be sent.
    Write,
}

/// What is wrong with a packet itself.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// By how much it is too long is known from how long it is: all lengths but those of fields are variable byte integers.
    TooLong(u32),
    NotInVersion,
    Forbidden(Violation),
}

impl From<Fault> for Unencodable {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLong(needed) if needed > VariableByteInteger::MAX => {
                Self::TooLong { needed, available: VariableByteInteger::MAX }
            }
            Fault::TooLong(needed) => Self::TooLong { needed, available: u16::MAX.into() },
            Fault::NotInVersion => Self::NotInVersion,
            Fault::Forbidden(violation) => Self::Forbidden(violation),
        }
    }
}

impl<'o> Writer<'o> {
    const fn new(purpose: Purpose, version: Version, to: Role, out: &'o mut [u8]) -> Self {
        Self { version, to, purpose, fault: None, free: out, written: 0 }
    }

    /// Keeps the first fault; the rest of the layout is then of no interest.
    #[inline(never)]
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.fault = self.fault.or(Some(fault));
    }

    /// Checks what a receiver would check. Once is enough.
    pub(crate) fn check(&mut self, rule: impl FnOnce() -> Result<(), Violation>) {
        if self.purpose == Purpose::Check
            && let Err(violation) = rule()
        {
            self.fail(Fault::Forbidden(violation));
        }
    }

    /// The length of a part.
    pub(crate) fn measure(&mut self, part: impl FnOnce(&mut Self)) -> usize {
        let before = self.written;
        let free = mem::take(&mut self.free);
        let purpose = mem::replace(&mut self.purpose, Purpose::Measure);
        part(self);
        (self.free, self.purpose) = (free, purpose);
        mem::replace(&mut self.written, before).saturating_sub(before)
    }

    /// Refuses what only 5.0 can say, where `present`; tells whether the version is 5.0.
    pub(crate) fn is_v5_or_without(&mut self, present: bool) -> bool {
        let is_v5 = self.version.is_v5();
        if present && !is_v5 {
            self.fail(Fault::NotInVersion);
        }
        is_v5
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Some((target, rest)) = mem::take(&mut self.free).split_at_mut_checked(bytes.len()) {
            copy(target, bytes);
            self.free = rest;
        }
        self.written = self.written.saturating_add(bytes.len());
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    pub(crate) fn two(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn four(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.byte(value.into());
    }

    pub(crate) fn packet_id(&mut self, packet_id: PacketId) {
        self.two(packet_id.get());
    }

    /// A variable byte integer in its shortest form. [MQTT-1.5.5-1]
    pub(crate) fn variable(&mut self, value: u32) {
        if value > VariableByteInteger::MAX {
            return self.fail(Fault::TooLong(value));
        }
        let [_, _, _, mut low] = value.to_be_bytes();
        let mut high = value >> 7;
        while high != 0 {
            self.byte(low | 0x80);
            [_, _, _, low] = high.to_be_bytes();
            high >>= 7;
        }
        self.byte(low & 0x7F);
    }

    /// Binary data behind its two byte length.
    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        match u16::try_from(bytes.len()) {
            Ok(len) => self.two(len),
            Err(_) => self.fail(Fault::TooLong(u32::try_from(bytes.len()).unwrap_or(u32::MAX))),
        }
        self.bytes(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.check(|| text_is_clean(text));
        self.binary(text.as_bytes());
    }

    pub(crate) fn pair(&mut self, name: &str, value: &str) {
        self.text(name);
        self.text(value);
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("written", &self.written).finish_non_exhaustive()
    }
}

/// A packet as the list of its fields.
pub(crate) trait Layout {
    fn first_byte(&self) -> u8;

    /// Writes what follows the fixed header.
    fn body(&self, to: &mut Writer<'_>);

    /// How many bytes follow that come from elsewhere.
    fn tail(&self) -> usize {
        0
    }
}

/// The length of a packet: its Remaining Length.
#[derive(Clone, Copy)]
pub(crate) struct Extent(u32);

impl Extent {
    /// That of a packet with so many bytes behind its fixed header.
    #[cfg(feature = "streaming")]
    pub(crate) fn of(remaining: usize) -> Self {
        Self(u32::try_from(remaining).unwrap_or(u32::MAX))
    }

    /// How many bytes are behind the fixed header.
    #[cfg(feature = "streaming")]
    pub(crate) const fn remaining(self) -> u32 {
        self.0
    }

    /// The length of the whole packet in bytes.
    pub(crate) fn len(self) -> usize {
        let remaining = usize::try_from(self.0).unwrap_or(usize::MAX);
        remaining.saturating_add(1).saturating_add(VariableByteInteger::shortest(self.0).into())
    }
}

/// A packet whose length is known and which the other end may be sent.
pub(crate) struct Measured<'p> {
    packet: &'p dyn Layout,
    version: Version,
    to: Role,
    extent: Extent,
}

impl<'p> Measured<'p> {
    pub(crate) fn new(packet: &'p dyn Layout, version: Version, to: Role) -> Result<Self, Unencodable> {
        let mut measured = Writer::new(Purpose::Check, version, to, &mut []);
        measured.check(|| PacketType::of_first_byte(version, to, packet.first_byte()).map(drop));
        packet.body(&mut measured);
        let remaining = u32::try_from(measured.written.saturating_add(packet.tail())).unwrap_or(u32::MAX);
        if remaining > VariableByteInteger::MAX {
            measured.fail(Fault::TooLong(remaining));
        }
        match measured.fault {
            None => Ok(Self::again(packet, version, to, Extent(remaining))),
            Some(fault) => Err(fault.into()),
        }
    }

    /// A packet that differs from one that was measured by its identifier alone.
    pub(crate) const fn again(packet: &'p dyn Layout, version: Version, to: Role, extent: Extent) -> Self {
        Self { packet, version, to, extent }
    }

    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    /// The length of the whole packet in bytes.
    pub(crate) fn len(&self) -> usize {
        self.extent.len()
    }

    /// The length of what [`encode`](Self::encode) writes.
    pub(crate) fn front_len(&self) -> usize {
        self.len().saturating_sub(self.packet.tail())
    }

    #[cfg(feature = "streaming")]
    pub(crate) fn first_byte(&self) -> u8 {
        self.packet.first_byte()
    }

    /// The length of what [`encode_body`](Self::encode_body) writes.
    #[cfg(feature = "streaming")]
    pub(crate) fn body_len(&self) -> usize {
        usize::try_from(self.extent.0).unwrap_or(usize::MAX).saturating_sub(self.packet.tail())
    }

    /// Writes what follows the fixed header, but for its tail, to the front of `out` and tells the length of that.
    #[cfg(feature = "streaming")]
    pub(crate) fn encode_body(&self, out: &mut [u8]) -> Result<usize, Unencodable> {
        let room = out.len();
        let mut writer = Writer::new(Purpose::Write, self.version, self.to, out);
        self.packet.body(&mut writer);
        if writer.written > room { Err(Unencodable::NoRoom(writer.written)) } else { Ok(writer.written) }
    }

    /// Writes the packet, but for its tail, to the front of `out` and tells the length of that.
    pub(crate) fn encode(&self, out: &mut [u8]) -> Result<usize, Unencodable> {
        let room = out.len();
        let mut writer = Writer::new(Purpose::Write, self.version, self.to, out);
        writer.byte(self.packet.first_byte());
        writer.variable(self.extent.0);
        self.packet.body(&mut writer);
        if writer.written > room { Err(Unencodable::NoRoom(writer.written)) } else { Ok(writer.written) }
    }
}
