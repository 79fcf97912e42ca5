//! Received bytes until they are packets.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::wire::{Header, Packet, Role, Version, Violation};

/// The receive buffer of one connection.
///
/// Its capacity is the largest packet that it takes: a larger one is refused as soon as its header is here. It holds
/// any number of packets, and any part of one. Nothing is allocated, and each byte moves at most as often as [`space`]
/// is called before its packet is taken.
///
/// `B` is where the bytes lie: `Inbox<[u8; 1024]>`, or, for use without a session, `Inbox<&mut [u8]>` or any other buffer
/// that stays the same. A `&mut Inbox<[u8; N]>` coerces to `&mut Inbox`, which is what a session takes.
///
/// Two inboxes are equal if the bytes in them that are not yet taken are equal.
///
/// [`space`]: Self::space
///
/// ```
/// use mqtt_session::wire::Packet;
/// use mqtt_session::{Inbox, Role, Version};
/// # #[cfg(feature = "v3")] {
/// let mut inbox: Inbox<[u8; 64]> = Inbox::new();
/// let received = [0xD0, 0x00, 0xD0]; // a PINGRESP and a half
/// inbox.space()[..3].copy_from_slice(&received);
/// inbox.filled(3);
/// assert_eq!(inbox.packet(Version::V3, Role::Client), Ok(Some(Packet::Pingresp)));
/// assert_eq!(inbox.packet(Version::V3, Role::Client), Ok(None));
/// # }
/// ```
#[derive(Clone)]
pub struct Inbox<B: ?Sized = [u8]> {
    /// Where the bytes begin that are not yet taken.
    start: usize,
    /// Where they end; never before `start` nor behind the buffer.
    end: usize,
    /// Whether bytes came in since that was last asked.
    news: bool,
    bytes: B,
}

impl<const N: usize> Inbox<[u8; N]> {
    /// An empty inbox with a capacity of `N` bytes, all zero bits: in a `static` it takes no flash.
    #[must_use]
    pub const fn new() -> Self {
        Self { start: 0, end: 0, news: false, bytes: [0; N] }
    }
}

impl<const N: usize> Default for Inbox<[u8; N]> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> Inbox<B> {
    /// An empty inbox over a buffer of the caller's.
    #[must_use]
    pub const fn over(buffer: B) -> Self {
        Self { start: 0, end: 0, news: false, bytes: buffer }
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Inbox<B> {
    /// The length in bytes of the largest packet that fits, header included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.as_ref().len()
    }

    /// The bytes that are not yet taken as packets.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.bytes.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// Where the next received bytes go; report them with [`filled`](Self::filled).
    ///
    /// It is not empty once [`packet`](Self::packet) has returned `Ok(None)`; it may be empty otherwise. To make room, bytes that are not yet taken
    /// may be moved to the front; that is never more than a part of one packet where all whole packets were taken.
    pub fn space(&mut self) -> &mut [u8] {
        let behind = self.capacity().saturating_sub(self.end);
        let unread = self.end.saturating_sub(self.start);
        // A move is worth it once it gains as much as it costs, and needed if there is no room otherwise.
        if self.start >= unread || behind == 0 {
            self.bytes.as_mut().copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        self.bytes.as_mut().get_mut(self.end..).unwrap_or_default()
    }

    /// Says that the first `len` bytes of [`space`](Self::space) were filled; more than there is counts as all of it.
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.capacity());
        self.news |= len != 0;
    }

    /// Forgets everything: what one connection left behind is nothing to the next.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
        self.news = false;
    }

    /// Whether bytes came in since this was last asked.
    pub(crate) const fn take_news(&mut self) -> bool {
        core::mem::replace(&mut self.news, false)
    }

    /// Takes the next packet, or `None` while bytes of it are missing. `to` is the end that this inbox belongs to.
    ///
    /// # Errors
    ///
    /// The rule that the packet breaks, the same however its bytes were split: one of the header as soon as its bytes
    /// show it, any other once the packet is whole; [`Violation::PacketTooLarge`] where it exceeds the
    /// [capacity](Self::capacity). Nothing is taken then, and every
    /// further call says the same until [`clear`](Self::clear).
    pub fn packet(&mut self, version: Version, to: Role) -> Result<Option<Packet<'_>>, Violation> {
        self.split().packet(version, to)
    }

    /// The bytes and the mark between what is taken and what is not, borrowed apart, so that a packet may be held while
    /// the next one is taken.
    pub(crate) fn split(&mut self) -> Unread<'_> {
        let Self { start, end, bytes, .. } = self;
        let bytes = (*bytes).as_ref();
        Unread { start, received: bytes.get(..*end).unwrap_or_default(), capacity: bytes.len() }
    }
}

/// The bytes of an inbox that are not yet taken.
pub(crate) struct Unread<'i> {
    start: &'i mut usize,
    received: &'i [u8],
    capacity: usize,
}

impl<'i> Unread<'i> {
    pub(crate) fn packet(&mut self, version: Version, to: Role) -> Result<Option<Packet<'i>>, Violation> {
        let Some((header, len)) = self.next_whole(version, to)? else {
            return Ok(None);
        };
        let end = self.start.saturating_add(len);
        let bytes = self.received.get(*self.start..end).unwrap_or_default();
        let packet = Packet::decode_body(version, to, header, bytes)?;
        *self.start = end;
        Ok(Some(packet))
    }

    /// Whether what is not yet taken leaves no room for more.
    pub(crate) const fn is_full(&self) -> bool {
        self.received.len().saturating_sub(*self.start) >= self.capacity
    }

    /// Where the next packet begins; [`Unread::go_back`] to it takes the packets behind it back.
    pub(crate) const fn position(&self) -> usize {
        *self.start
    }

    pub(crate) const fn go_back(&mut self, position: usize) {
        *self.start = position;
    }

    /// The header and length of the next packet if all of it is here.
    fn next_whole(&self, version: Version, to: Role) -> Result<Option<(Header, usize)>, Violation> {
        let unread = self.received.get(*self.start..).unwrap_or_default();
        let Some(header) = Header::decode(version, to, unread)? else {
            // A capacity below five bytes can be exhausted by a header.
            return if unread.len() < self.capacity { Ok(None) } else { Err(Violation::PacketTooLarge) };
        };
        match usize::try_from(header.packet_len()) {
            Ok(len) if len <= unread.len() => Ok(Some((header, len))),
            Ok(len) if len <= self.capacity => Ok(None),
            _ => Err(Violation::PacketTooLarge),
        }
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> PartialEq for Inbox<B> {
    fn eq(&self, other: &Self) -> bool {
        self.unread() == other.unread()
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Eq for Inbox<B> {}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Hash for Inbox<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unread().hash(state);
    }
}

/// Shows how many bytes there are, not which.
impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> fmt::Debug for Inbox<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("unread", &self.unread().len()).field("capacity", &self.capacity()).finish()
    }
}
