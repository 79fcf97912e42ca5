//! Received bytes until they are packets.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::aliases::{BadAlias, TopicAliases};
use crate::bytes;
use crate::wire::{
    self, Delivery, Frame, Packet, PacketId, PublishPacket, QoS, Role, Version, Violation, connect_version, packet_len,
};

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
    /// How many bytes of the packet in front are still to come, as far as that is known, and what becomes of them. Of a packet that is
    /// taken in pieces, those count that are not yet taken.
    missing: u32,
    fate: Fate,
    /// The packet identifier of a message that is taken in pieces.
    packet_id: Option<PacketId>,
    /// Whether bytes came in since that was last asked.
    news: bool,
}

/// What becomes of a packet of which bytes are still to come.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
enum Fate {
    /// It is taken once all of it is here.
    Awaited,
    /// It is too large: its bytes are dropped as they come.
    Skipped,
    /// It is a PUBLISH of this QoS whose front is taken, and whose payload is taken in pieces, as they come.
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl Mark {
    const EMPTY: Self = Self { start: 0, end: 0, missing: 0, fate: Fate::Awaited, packet_id: None, news: false };

    /// Whether there may be a whole packet, or, without any room, there can never be one.
    const fn is_worth_a_look(&self, capacity: usize) -> bool {
        (self.missing == 0 && (self.start < self.end || capacity == 0))
            || (self.is_in_pieces() && self.start < self.end)
    }

    /// Whether what comes next is a piece of a payload.
    const fn is_in_pieces(&self) -> bool {
        matches!(self.fate, Fate::AtMostOnce | Fate::AtLeastOnce | Fate::ExactlyOnce)
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
        let mark = Mark::EMPTY;
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
        let is_in_pieces = self.mark.is_in_pieces();
        let Mark { start, end, missing, fate, news, .. } = &mut self.mark;
        // Mostly whole packets come.
        if *missing != 0 && !is_in_pieces {
            let passed = u32::try_from(len).unwrap_or(u32::MAX).min(*missing);
            *missing = missing.wrapping_sub(passed);
            if *fate == Fate::Skipped {
                // Nothing else is here meanwhile.
                *start = start.wrapping_add(usize::try_from(passed).unwrap_or(usize::MAX));
            }
        }
        *end = end.wrapping_add(len);
        *news |= len != 0;
    }

    /// Forgets everything: what one connection left behind is nothing to the next.
    pub fn clear(&mut self) {
        self.mark = Mark::EMPTY;
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
        self.mark.news && core::mem::replace(&mut self.mark.news, false)
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

    /// A PUBLISH that is larger than the inbox, with as much of its payload as is here, and the length of the whole. `None` as long as
    /// its front is not here. It is refused above `limit`, if there is one.
    pub(crate) fn large(
        &self,
        version: Version,
        to: Role,
        limit: u32,
    ) -> Result<Option<(PublishPacket<'i>, u32)>, Violation> {
        let unread = self.unread();
        let frame = Frame::front(version, to, unread).ok_or(Violation::PacketTooLarge)?;
        if limit != 0 && frame.len > limit {
            return Err(Violation::PacketTooLarge);
        }
        match PublishPacket::read(frame.first_byte, frame.body) {
            Ok(publish) => Ok(Some((publish, frame.len))),
            Err(Violation::FieldTruncated) if unread.len() < self.received.len() => Ok(None),
            _ => Err(Violation::PacketTooLarge),
        }
    }

    /// Lets the packet in front pass, which is of this length and larger than the inbox.
    pub(crate) fn skip(&mut self, len: u32) {
        self.mark.missing = self.missing_of(len);
        self.mark.fate = Fate::Skipped;
        self.mark.start = self.mark.end;
    }

    /// Takes the PUBLISH in front, which is of this length and larger than the inbox, with the bytes of it that are here; the rest
    /// is taken in pieces. Tells how much that is.
    pub(crate) fn take_front(&mut self, len: u32, delivery: &Delivery) -> u32 {
        self.mark.missing = self.missing_of(len);
        self.mark.fate = match delivery.qos() {
            QoS::AtMostOnce => Fate::AtMostOnce,
            QoS::AtLeastOnce => Fate::AtLeastOnce,
            QoS::ExactlyOnce => Fate::ExactlyOnce,
        };
        self.mark.packet_id = delivery.packet_id();
        self.mark.start = self.mark.end;
        self.mark.missing
    }

    /// Whether what comes next is a piece of a payload.
    pub(crate) const fn is_in_pieces(&self) -> bool {
        self.mark.is_in_pieces()
    }

    /// What is here of a payload that is taken in pieces, how much comes behind that, and how the message is delivered.
    pub(crate) fn piece(&self) -> Option<(&'i [u8], u32, Delivery)> {
        let delivery = match (self.mark.fate, self.mark.packet_id) {
            (Fate::Awaited | Fate::Skipped, _) => return None,
            (Fate::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup: false },
            (Fate::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup: false },
            (Fate::AtMostOnce | Fate::AtLeastOnce | Fate::ExactlyOnce, _) => Delivery::AtMostOnce,
        };
        let unread = self.unread();
        let here = usize::try_from(self.mark.missing).map_or(unread.len(), |missing| missing.min(unread.len()));
        let piece = unread.get(..here).unwrap_or_default();
        Some((piece, self.mark.missing.wrapping_sub(u32::try_from(here).unwrap_or_default()), delivery))
    }

    /// Takes such a piece, behind which so much comes.
    pub(crate) const fn take_piece(&mut self, len: usize, remaining: u32) {
        self.mark.start = self.mark.start.wrapping_add(len);
        self.mark.missing = remaining;
        if remaining == 0 {
            self.mark.fate = Fate::Awaited;
        }
    }

    /// Notes how much of the packet in front is missing, so that it is not looked at again with each piece that comes in.
    pub(crate) fn wait_for_rest(&mut self) {
        if let Some(len) = packet_len(self.unread()) {
            self.mark.missing = self.missing_of(u32::try_from(len).unwrap_or(u32::MAX));
            self.mark.fate = Fate::Awaited;
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

/// What becomes of the rest of a packet that is not waited for as a whole, and how much that is.
type Rest = Option<(Fate, u32, Option<PacketId>)>;

impl<B: ?Sized + AsRef<[u8]> + AsMut<[u8]>> Inbox<B> {
    /// What an inbox means, as opposed to where it lies.
    fn content(&self) -> (&[u8], Rest, TopicAliases, &[u8], u32) {
        let topics = self.bytes.as_ref().get(self.capacity()..).unwrap_or_default();
        let rest = match self.mark.fate {
            Fate::Awaited => None,
            // A packet that has passed leaves nothing behind.
            Fate::Skipped if self.mark.missing == 0 => None,
            Fate::Skipped => Some((Fate::Skipped, self.mark.missing, None)),
            fate => Some((fate, self.mark.missing, self.mark.packet_id)),
        };
        (self.unread(), rest, self.aliases, topics, self.limit)
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
