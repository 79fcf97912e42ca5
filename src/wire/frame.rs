//! A packet of which nothing but the header was read.

use super::header::Header;
use super::kind::PacketType;
use super::reader::Reader;
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
        let Some(header) = Header::decode(version, to, bytes)? else {
            // A capacity below five bytes can be exhausted by a header.
            return if bytes.len() < capacity { Ok(None) } else { Err(Violation::PacketTooLarge) };
        };
        let len = usize::try_from(header.packet_len()).unwrap_or(usize::MAX);
        match bytes.get(..len) {
            Some(packet) => Ok(Some(Self::new(version, to, header, packet))),
            None if len <= capacity => Ok(None),
            None => Err(Violation::PacketTooLarge),
        }
    }

    /// The packet that begins with `bytes`, whose header is `header`.
    pub(crate) fn new(version: Version, to: Role, header: Header, bytes: &'a [u8]) -> Self {
        let Header { packet_type, first_byte, len, .. } = header;
        let body = Reader::new(version, to, bytes.get(len.into()..).unwrap_or_default());
        Self { packet_type, first_byte, len: header.packet_len(), body }
    }
}
