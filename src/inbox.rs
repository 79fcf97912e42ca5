//! Received bytes until they are packets.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::aliases::{BadAlias, TopicAliases};
use crate::bytes;
use crate::wire::{self, Frame, Packet, PublishPacket, Role, Version, Violation, connect_version, packet_len};

/// The receive buffer of one connection.
///
/// Its capacity is the largest packet that it takes: a larger one is refused as soon as its header is here, or passes by where a
/// session was told so ([`Oversized`](crate::Oversized)). It holds
/// any number of packets, and any part of one. Nothing is allocated, and each byte moves at most as often as [`space`]
/// is called before its packet is taken.
///
/// `B` is where the bytes lie: `Inbox<[u8; 1024]>`. A `&mut Inbox<[u8; N]>` coerces to `&mut Inbox`, which is what a session
/// takes, and so does a box: inboxes of several sizes may stand in one collection.
///
/// ```
/// use mqtt_session::Inbox;
///
/// let inboxes: [Box<Inbox>; 2] = [Box::<Inbox<[u8; 256]>>::default(), Box::<Inbox<[u8; 16_384]>>::default()];
/// assert_eq!(inboxes.map(|inbox| inbox.capacity()), [256, 16_384]);
/// ```
///
/// Without a session, to decode a stream of packets, any other buffer that stays the same will do, whose size may be known at
/// run time only: `Inbox::over(vec![0; len])`, or `Inbox::over(&mut buffer[..])`.
///
/// Two inboxes are equal if the bytes in them that are not yet taken are equal, and what the aliases stand for is.
///
/// [`space`]: Self::space
///
/// ```
/// use mqtt_session::wire::Packet;
/// use mqtt_session::{Inbox, Role, Version};
/// # #[cfg(feature = "v311")] {
/// let mut inbox: Inbox<[u8; 64]> = Inbox::new();
/// let received = [0xD0, 0x00, 0xD0]; // a PINGRESP and a half
/// inbox.space()[..3].copy_from_slice(&received);
/// inbox.filled(3);
/// assert_eq!(inbox.packet(Version::V311, Role::Client), Ok(Some(Packet::Pingresp)));
/// assert_eq!(inbox.packet(Version::V311, Role::Client), Ok(None));
/// # }
/// ```
#[derive(Clone)]
pub struct Inbox<B: ?Sized = [u8]> {
    mark: Mark,
    /// The topics that the peer's aliases stand for, behind everything else in the buffer.
    aliases: TopicAliases,
    /// The Maximum Packet Size that was announced above the capacity; 0: none.
    limit: u32,
    bytes: B,
}

/// What is known of the bytes in an inbox.
#[derive(Clone)]
struct Mark {
    /// Where the bytes begin that are not yet taken.
    start: usize,
    /// Where they end; never before `start` nor behind the buffer.
    end: usize,
    /// What is known of the packet in front, and of what came in.
    rest: Rest,
}

/// How many bytes of the packet in front are still to come, as far as that is known; and besides, as flags, what no length reaches.
#[derive(Clone, Copy)]
struct Rest(u32);

impl Rest {
    const NONE: Self = Self(0);

    /// The packet is too large: its bytes are dropped as they come. Otherwise it is taken once all of it is here.
    const SKIPPED: u32 = 1 << 31;
    /// Bytes came in since that was last asked.
    const NEWS: u32 = 1 << 30;
    const MISSING: u32 = Self::NEWS - 1;

    const fn missing(self) -> u32 {
        self.0 & Self::MISSING
    }

    const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// So many bytes are missing of a packet that is skipped, or is not.
    const fn with_missing(self, missing: u32, skipped: u32) -> Self {
        Self(self.0 & Self::NEWS | skipped | missing & Self::MISSING)
    }
}

impl Mark {
    /// Whether there may be a whole packet, or, without any room, there can never be one.
    const fn is_worth_a_look(&self, capacity: usize) -> bool {
        self.rest.missing() == 0 && (self.start < self.end || capacity == 0)
    }
}

impl<const N: usize> Inbox<[u8; N]> {
    /// An empty inbox with a capacity of `N` bytes, all zero bits: in a `static` it takes no flash.
    #[must_use]
    pub const fn new() -> Self {
        Self::over([0; N])
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
        let mark = Mark { start: 0, end: 0, rest: Rest::NONE };
        Self { mark, aliases: TopicAliases::NONE, limit: 0, bytes: buffer }
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Inbox<B> {
    /// The length in bytes of the largest packet that fits, header included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.as_ref().len().saturating_sub(self.aliases.len())
    }

    /// Sets memory aside for the topic aliases of the peer, from the next connection on: their maximum is announced, and
    /// messages arrive with their topics whether those were sent or not. The capacity shrinks by it. There are none at
    /// first. The inbox is cleared.
    ///
    /// A topic that is longer than was planned for ends the connection, [`CloseReason::TopicTooLong`](crate::CloseReason::TopicTooLong).
    pub fn set_topic_aliases(&mut self, aliases: TopicAliases) {
        self.aliases = aliases;
        self.clear();
    }

    /// What was set aside for topic aliases.
    #[must_use]
    pub const fn topic_aliases(&self) -> TopicAliases {
        self.aliases
    }

    /// The bytes that are not yet taken as packets.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.bytes.as_ref().get(self.mark.start..self.mark.end).unwrap_or_default()
    }

    /// Where the next received bytes go; report them with [`filled`](Self::filled).
    ///
    /// It is not empty once [`packet`](Self::packet) has returned `Ok(None)`; it may be empty otherwise. To make room, bytes
    /// that are not yet taken may be moved to the front; that is never more than a part of one packet where all whole
    /// packets were taken.
    pub fn space(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        let Self { mark: Mark { start, end, .. }, bytes, .. } = self;
        let bytes = bytes.as_mut();
        let unread = end.wrapping_sub(*start);
        // A move is worth it once it gains as much as it costs, and needed if there is no room otherwise.
        if *start != 0 && (*start >= unread || *end >= capacity) {
            bytes::move_down(bytes, *start, 0, unread);
            (*start, *end) = (0, unread);
        }
        bytes.get_mut(*end..capacity).unwrap_or_default()
    }

    /// Says that the first `len` bytes of [`space`](Self::space) were filled; more than there is counts as all of it.
    pub fn filled(&mut self, len: usize) {
        let len = len.min(self.capacity().saturating_sub(self.mark.end));
        let Mark { start, end, rest } = &mut self.mark;
        let passed = u32::try_from(len).unwrap_or(u32::MAX).min(rest.missing());
        if rest.has(Rest::SKIPPED) {
            // Nothing else is here meanwhile.
            *start = start.wrapping_add(usize::try_from(passed).unwrap_or(usize::MAX));
        }
        *end = end.wrapping_add(len);
        rest.0 = rest.0.wrapping_sub(passed) | if len == 0 { 0 } else { Rest::NEWS };
    }

    /// Forgets everything: what one connection left behind is nothing to the next.
    pub fn clear(&mut self) {
        self.mark = Mark { start: 0, end: 0, rest: Rest::NONE };
        let capacity = self.capacity();
        if let Some(topics) = self.bytes.as_mut().get_mut(capacity..) {
            topics.fill(0);
        }
    }

    /// Notes the Maximum Packet Size that is announced above the capacity; 0: none.
    pub(crate) const fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Whether bytes came in since this was last asked.
    pub(crate) const fn take_news(&mut self) -> bool {
        // Mostly there are none, and nothing is written.
        let news = self.mark.rest.has(Rest::NEWS);
        if news {
            self.mark.rest.0 &= !Rest::NEWS;
        }
        news
    }

    /// Whether there may be a whole packet, or there can never be one.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        self.mark.is_worth_a_look(self.capacity())
    }

    /// Whether [`space`](Self::space) would not be empty.
    pub(crate) fn has_space(&self) -> bool {
        self.mark.end.wrapping_sub(self.mark.start) < self.capacity()
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
        let mut unread = self.split();
        let Some(frame) = unread.frame(version, to)? else { return Ok(None) };
        let packet = Packet::read(to, &frame)?;
        unread.pass(&frame);
        Ok(Some(packet))
    }

    /// The CONNECT that a server's end received as its first packet, and the version that it speaks, without taking it, or
    /// `None` while bytes of it are missing. So a server can first look for the session that it belongs to.
    ///
    /// # Errors
    ///
    /// The rule that the packet breaks. A session that is polled with this inbox answers as is due.
    ///
    /// ```
    /// use mqtt_session::{Inbox, Version};
    /// # #[cfg(feature = "v311")] {
    /// let mut inbox: Inbox<[u8; 64]> = Inbox::new();
    /// let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
    /// inbox.space()[..connect.len()].copy_from_slice(connect);
    /// inbox.filled(connect.len());
    /// let (version, connect) = inbox.peek_connect()?.unwrap();
    /// assert_eq!((version, connect.client_id), (Version::V311, "a"));
    /// # }
    /// # Ok::<(), mqtt_session::Violation>(())
    /// ```
    pub fn peek_connect(&self) -> Result<Option<(Version, wire::ConnectPacket<'_>)>, Violation> {
        let unread = self.unread();
        // Whether it is too large is known before its version is.
        let version = connect_version(unread)?.unwrap_or(Version::OLDEST);
        let Some(frame) = Frame::next(version, Role::Server, unread, self.capacity())? else { return Ok(None) };
        match Packet::read(Role::Server, &frame)? {
            Packet::Connect(connect) => Ok(Some((version, connect))),
            _ => Err(Violation::PacketNotForThisEnd),
        }
    }

    /// The bytes and the mark between what is taken and what is not, borrowed apart, so that a packet may be held while
    /// the next one is taken.
    pub(crate) fn split(&mut self) -> Unread<'_> {
        let capacity = self.capacity();
        let Self { mark, aliases, limit, bytes } = self;
        let (received, topics) = (*bytes).as_mut().split_at_mut_checked(capacity).unwrap_or_default();
        Unread { mark, received, aliases: *aliases, limit: *limit, topics }
    }
}

/// The bytes of an inbox that are not yet taken.
pub(crate) struct Unread<'i> {
    mark: &'i mut Mark,
    /// All that there is room for.
    received: &'i [u8],
    aliases: TopicAliases,
    limit: u32,
    topics: &'i mut [u8],
}

impl<'i> Unread<'i> {
    /// The next packet if all of it is here.
    pub(crate) fn frame(&self, version: Version, to: Role) -> Result<Option<Frame<'i>>, Violation> {
        Frame::next(version, to, self.unread(), self.received.len())
    }

    /// Takes the packet in front.
    pub(crate) fn pass(&mut self, frame: &Frame<'_>) {
        let len = usize::try_from(frame.len).unwrap_or(usize::MAX);
        self.mark.start = self.mark.start.wrapping_add(len).min(self.mark.end);
    }

    /// The Maximum Packet Size that was announced above the capacity; 0: none.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// The protocol level of the CONNECT in front, as far as it is here. [MQTT-3.1.0-1]
    #[cfg(feature = "server")]
    pub(crate) fn connect_level(&self) -> Result<Option<u8>, Violation> {
        wire::connect_level(self.unread())
    }

    /// How much fits: the largest packet, and the aliases.
    #[cfg(feature = "server")]
    pub(crate) const fn extent(&self) -> (usize, TopicAliases) {
        (self.received.len(), self.aliases)
    }

    /// The front of a PUBLISH that is larger than the inbox: all but its payload is sound, and here. `None` as long as it is not. Not
    /// above `limit`, if there is one.
    #[cold]
    pub(crate) fn front(&self, version: Version, to: Role, limit: u32) -> Result<Option<Frame<'i>>, Violation> {
        let frame = Frame::front(version, to, self.unread()).filter(|frame| limit == 0 || frame.len <= limit);
        let frame = frame.ok_or(Violation::PacketTooLarge)?;
        match PublishPacket::read(frame.first_byte, frame.body) {
            Ok(_) => Ok(Some(frame)),
            Err(Violation::FieldTruncated) if !self.is_full() => Ok(None),
            Err(_) => Err(Violation::PacketTooLarge),
        }
    }

    /// Lets the packet in front pass, which is of this length and larger than the inbox.
    pub(crate) fn skip(&mut self, len: u32) {
        self.mark.rest = self.mark.rest.with_missing(self.missing_of(len), Rest::SKIPPED);
        self.mark.start = self.mark.end;
    }

    /// Notes how much of the packet in front is missing, so that it is not looked at again with each piece that comes in.
    pub(crate) fn wait_for_rest(&mut self) {
        if let Some(len) = packet_len(self.unread()) {
            let missing = self.missing_of(u32::try_from(len).unwrap_or(u32::MAX));
            self.mark.rest = self.mark.rest.with_missing(missing, 0);
        }
    }

    fn missing_of(&self, len: u32) -> u32 {
        len.saturating_sub(u32::try_from(self.unread().len()).unwrap_or(u32::MAX))
    }

    /// Notes what an alias of the peer stands for. With an empty topic it must stand for something already.
    pub(crate) fn map_topic(&mut self, alias: u16, topic: &str) -> Result<(), BadAlias> {
        if alias > self.aliases.maximum {
            Err(BadAlias::TooHigh)
        } else if !topic.is_empty() {
            self.aliases.set(self.topics, alias, topic.as_bytes())
        } else if self.aliases.topic(self.topics, alias).is_some() {
            Ok(())
        } else {
            Err(BadAlias::Unknown)
        }
    }

    /// The topic that an alias stands for. No alias can be given another meaning any more.
    pub(crate) fn take_topic(&mut self, alias: u16) -> &'i str {
        let topics: &'i mut [u8] = core::mem::take(&mut self.topics);
        let topic = self.aliases.topic(topics, alias).unwrap_or_default();
        core::str::from_utf8(topic).unwrap_or_default()
    }

    fn unread(&self) -> &'i [u8] {
        self.received.get(self.mark.start..self.mark.end).unwrap_or_default()
    }

    /// Where the next packet begins; [`Unread::go_back`] to it takes the packets behind it back.
    pub(crate) const fn position(&self) -> usize {
        self.mark.start
    }

    pub(crate) const fn go_back(&mut self, position: usize) {
        self.mark.start = position;
        self.mark.rest = self.mark.rest.with_missing(0, 0);
    }

    /// Whether there may be a whole packet, or there can never be one.
    pub(crate) const fn is_worth_a_look(&self) -> bool {
        self.mark.is_worth_a_look(self.received.len())
    }

    /// Whether what is not yet taken leaves no room for more.
    pub(crate) const fn is_full(&self) -> bool {
        self.mark.end.wrapping_sub(self.mark.start) >= self.received.len()
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Inbox<B> {
    /// What an inbox means, as opposed to where it lies.
    fn content(&self) -> (&[u8], u32, TopicAliases, &[u8], u32) {
        let topics = self.bytes.as_ref().get(self.capacity()..).unwrap_or_default();
        let skipped = if self.mark.rest.has(Rest::SKIPPED) { self.mark.rest.missing() } else { 0 };
        (self.unread(), skipped, self.aliases, topics, self.limit)
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> PartialEq for Inbox<B> {
    fn eq(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Eq for Inbox<B> {}

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Hash for Inbox<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content().hash(state);
    }
}

/// Shows how many bytes there are, not which.
impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> fmt::Debug for Inbox<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("unread", &self.unread().len()).field("capacity", &self.capacity()).finish()
    }
}

#[cfg(feature = "defmt")]
impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> defmt::Format for Inbox<B> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Inbox {{ unread: {=usize}, capacity: {=usize} }}", self.unread().len(), self.capacity());
    }
}
