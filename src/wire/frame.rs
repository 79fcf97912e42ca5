//! A packet of which nothing but the header was read.

use super::header::Header;
use super::kind::PacketType;
use super::reader::{Reader, VariableByteInteger};
use super::version::{Role, Version};
use super::violation::Violation;

/// A packet, or the front of one: its header, and what is behind that.
///
/// An error that stands in the place of a frame lies over `first_byte`. Where it lies over a part of a pointer, that pointer
/// goes through memory in pieces, which costs as much as everything else that is done with a short message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Frame<'a> {
    pub(crate) packet_type: PacketType,
    pub(crate) first_byte: u8,
    /// The length of the whole packet in bytes.
    pub(crate) len: u32,
    pub(crate) body: Reader<'a>,
}

impl<'a> Frame<'a> {
    /// The packet at the front of `bytes` if all of it is here; `capacity` is the length of the longest that there is room for.
    pub(crate) fn next(
        version: Version,
        to: Role,
        bytes: &'a [u8],
        capacity: usize,
    ) -> Result<Option<Self>, Violation> {
        // A capacity below five bytes can be exhausted by a header.
        let incomplete = || if bytes.len() < capacity { Ok(None) } else { Err(Violation::PacketTooLarge) };
        let Some((&first_byte, behind)) = bytes.split_first() else { return incomplete() };
        let packet_type = PacketType::of_first_byte(version, to, first_byte)?;
        let Some(remaining) = packet_type.remaining_length(version, behind)? else { return incomplete() };
        let header = usize::from(remaining.len());
        let len = usize::try_from(remaining.value).unwrap_or(usize::MAX);
        let packet_len = remaining.value.wrapping_add(remaining.len().into()).wrapping_add(1);
        match behind.get(header..).and_then(|body| body.get(..len)) {
            Some(body) => {
                Ok(Some(Self { packet_type, first_byte, len: packet_len, body: Reader::new(version, to, body) }))
            }
            None if usize::try_from(packet_len).is_ok_and(|len| len <= capacity) => Ok(None),
            None => Err(Violation::PacketTooLarge),
        }
    }

    /// The PUBLISH that begins with `bytes` and is longer than these. Its header was found sound by [`next`](Self::next).
    pub(crate) fn front(version: Version, to: Role, bytes: &'a [u8]) -> Option<Self> {
        let (&first_byte, behind) = bytes.split_first()?;
        if first_byte >> 4 != PacketType::Publish as u8 {
            return None;
        }
        let remaining = VariableByteInteger::read(behind).ok()?;
        let len = remaining.value.wrapping_add(remaining.len().into()).wrapping_add(1);
        let body = Reader::new(version, to, behind.get(remaining.len().into()..)?);
        Some(Self { packet_type: PacketType::Publish, first_byte, len, body })
    }

    /// The packet that begins with `bytes`, whose header is `header`.
    pub(crate) fn new(version: Version, to: Role, header: Header, bytes: &'a [u8]) -> Self {
        let Header { packet_type, first_byte, len, .. } = header;
        let body = Reader::new(version, to, bytes.get(len.into()..).unwrap_or_default());
        Self { packet_type, first_byte, len: header.packet_len(), body }
    }
}
