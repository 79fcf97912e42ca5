//! Packets that a full store must never hold up: CONNECT, AUTH, acknowledgements, PUBREL, PINGREQ and DISCONNECT.

use crate::aliases::{BadAlias, TopicAliases};
use crate::bytes;
use crate::error::{CommandError, SizeLimit};
use crate::wire::{Measured, PacketId, PacketType, packet_len};

/// What is kept free for the shortest DISCONNECT that says all it must: a reason code and a session expiry interval.
pub(crate) const DISCONNECT_RESERVE: usize = 9;

/// How CONNACK begins.
const CONNACK: u8 = PacketType::Connack.first_byte();

/// The state of a queue of whole packets, which leave together; the bytes are the caller's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// What is reported as written, what was shown, and what is queued: ends of ranges that begin at 0.
    written: u16,
    shown: u16,
    end: u16,
    /// The length of the DISCONNECT that waits at the end of the bytes; 0: none does.
    disconnect: u16,
    /// The topics that our aliases stand for, behind the end of those bytes.
    aliases: TopicAliases,
}

/// A queue and its state.
#[derive(Debug)]
pub(crate) struct Queue<'m> {
    pub(crate) control: &'m mut Control,
    pub(crate) bytes: &'m mut [u8],
}

impl Control {
    pub(crate) const EMPTY: Self = Self { written: 0, shown: 0, end: 0, disconnect: 0, aliases: TopicAliases::NONE };

    pub(crate) const fn is_empty(&self) -> bool {
        self.end == self.written
    }

    /// What is queued and not yet written, without a DISCONNECT that is kept.
    pub(crate) fn unwritten<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.written.into()..self.end.into()).unwrap_or_default()
    }

    /// The DISCONNECT that is kept.
    pub(crate) fn disconnect<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let stop = capacity(in_reach(bytes), self.aliases);
        bytes.get(stop.wrapping_sub(self.disconnect.into())..stop).unwrap_or_default()
    }

    /// How much of that was shown: what is queued behind it leaves later.
    pub(crate) const fn unreported(&self) -> u16 {
        self.shown.wrapping_sub(self.written)
    }

    /// What our aliases stand for.
    pub(crate) fn topics<'a>(&self, bytes: &'a [u8]) -> (TopicAliases, &'a [u8]) {
        let bytes = in_reach(bytes);
        (self.aliases, bytes.get(capacity(bytes, self.aliases)..).unwrap_or_default())
    }

    /// Whether a packet is half written, or may be.
    pub(crate) const fn is_writing(&self) -> bool {
        self.shown != self.written
    }
}

impl<'m> Queue<'m> {
    /// A queue in the front of these bytes, as far as its ends of 16 bits reach.
    pub(crate) fn over(control: &'m mut Control, bytes: &'m mut [u8]) -> Self {
        let len = in_reach(bytes).len();
        Self { control, bytes: bytes.get_mut(..len).unwrap_or_default() }
    }

    /// Whether `len` bytes fit besides a DISCONNECT, kept or to come.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let disconnect = if self.control.disconnect == 0 { DISCONNECT_RESERVE } else { 0 };
        len.saturating_add(disconnect) <= self.free()
    }

    /// Refuses a packet of `len` bytes that does not fit into an empty queue besides so many that are kept for others.
    pub(crate) fn check_size(&self, len: usize, kept: usize) -> Result<(), CommandError> {
        check_size(len, self.capacity(), kept)
    }

    /// How many bytes are in use, a DISCONNECT not counted.
    #[cfg(feature = "server")]
    pub(crate) fn end(&self) -> usize {
        self.control.end.into()
    }

    /// The bytes that are free, those for a DISCONNECT included.
    pub(crate) fn free(&self) -> usize {
        self.limit().wrapping_sub(self.control.end.into())
    }

    /// Queues a packet, or the front of one that ends elsewhere; `false` if it does not fit.
    pub(crate) fn push(&mut self, packet: &Measured<'_>) -> bool {
        let len = packet.front_len();
        if len > self.free() {
            return false;
        }
        let Some(free) = self.bytes.get_mut(self.control.end.into()..) else { return false };
        let is_whole = packet.encode(free).is_ok();
        if is_whole {
            self.control.end = self.control.end.wrapping_add(short(len));
        }
        is_whole
    }

    /// Queues an encoded packet; `false` if it does not fit.
    pub(crate) fn push_encoded(&mut self, packet: &[u8]) -> bool {
        let fits = packet.len() <= self.free();
        if fits && let Some(free) = self.bytes.get_mut(self.control.end.into()..) {
            bytes::copy(free, packet);
            self.control.end = self.control.end.wrapping_add(short(packet.len()));
        }
        fits
    }

    /// Keeps a packet for the time when all others have left; `false` if it does not fit.
    pub(crate) fn keep_disconnect(&mut self, packet: &Measured<'_>) -> bool {
        let len = packet.len();
        if len > self.capacity().wrapping_sub(self.control.end.into()) {
            return false;
        }
        self.drop_disconnect();
        let start = self.capacity().wrapping_sub(len);
        let Some(tail) = self.bytes.get_mut(start..) else { return false };
        let is_whole = packet.encode(tail).is_ok();
        if is_whole {
            self.control.disconnect = short(len);
        }
        is_whole
    }

    /// Queues the packet that was kept, if there is one.
    pub(crate) fn release_disconnect(&mut self) {
        let (end, stop, gap) = (usize::from(self.control.end), self.capacity(), self.free());
        if let Some(rest) = self.bytes.get_mut(end..stop) {
            bytes::rotate_left(rest, gap);
        }
        self.control.end = self.control.end.wrapping_add(core::mem::take(&mut self.control.disconnect));
    }

    /// Whether an acknowledgement of the kind that begins with `first` is queued for this message, and not yet shown.
    pub(crate) fn has_unshown(&self, first: u8, packet_id: PacketId) -> bool {
        let mut rest = self.bytes.get(self.control.shown.into()..self.control.end.into()).unwrap_or_default();
        while let Some((packet, behind)) = packet_len(rest).and_then(|len| rest.split_at_checked(len)) {
            if packet.first() == Some(&first) && identifier(packet) == Some(&packet_id.get().to_be_bytes()) {
                return true;
            }
            rest = behind;
        }
        false
    }

    /// Whether a packet that begins with `first` is in front, and not a byte of it was written.
    pub(crate) fn is_untouched(&self, first: u8) -> bool {
        self.control.written == 0 && self.control.end != 0 && self.bytes.first() == Some(&first)
    }

    /// Notes that all of the queue is shown.
    pub(crate) const fn show(&mut self) {
        self.control.shown = self.control.end;
    }

    /// What was shown and is not yet written, for as long as the queue lives.
    pub(crate) fn into_shown(self) -> &'m [u8] {
        let Self { control, bytes } = self;
        bytes.get(control.written.into()..control.shown.into()).unwrap_or_default()
    }

    /// Notes that `len` bytes more were written.
    pub(crate) fn written(&mut self, len: usize) {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        self.control.written = self.control.written.saturating_add(len).min(self.control.shown);
        self.settle();
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.erase(0, self.bytes.len());
        *self.control = Control::EMPTY;
    }

    /// Sets bytes aside for the topics of aliases, which stand for nothing yet. None were set aside before, and nothing is
    /// queued there.
    pub(crate) const fn set_aliases(&mut self, aliases: TopicAliases) {
        self.control.aliases = aliases;
    }

    /// How many aliases there are.
    pub(crate) const fn alias_maximum(&self) -> u16 {
        self.control.aliases.maximum
    }

    /// The topic that one of our aliases stands for.
    pub(crate) fn topic(&self, alias: u16) -> Option<&[u8]> {
        self.control.aliases.topic(self.bytes.get(self.capacity()..)?, alias)
    }

    /// Says what one of our aliases stands for.
    pub(crate) fn set_topic(&mut self, alias: u16, topic: &[u8]) -> Result<(), BadAlias> {
        let capacity = self.capacity();
        self.control.aliases.set(self.bytes.get_mut(capacity..).unwrap_or_default(), alias, topic)
    }

    /// Where the packet ends that is half written, or CONNACK if that is behind it: nothing comes before CONNACK.
    /// [MQTT-3.14.0-1] A packet that ends beyond `stop` ends elsewhere, and is kept as soon as it is next.
    fn kept_end(&self, stop: u16) -> u16 {
        let (written, stop) = (usize::from(self.control.written), usize::from(stop));
        let kept = self
            .packets(stop)
            .filter(|&(start, end, first)| start < written || (start == written && end > stop) || first == CONNACK);
        short(kept.last().map_or(0, |(_, end, _)| end).min(stop))
    }

    /// Whether a packet that begins with `first` is here, and not all of it is written.
    #[cfg(feature = "server")]
    pub(crate) fn holds(&self, first: u8) -> bool {
        self.packets(self.end()).any(|(_, end, begin)| begin == first && end > self.control.written.into())
    }

    /// Where each packet begins and ends, and its first byte.
    fn packets(&self, stop: usize) -> impl Iterator<Item = (usize, usize, u8)> {
        let mut start = 0_usize;
        core::iter::from_fn(move || {
            let packet = self.bytes.get(start..stop)?;
            let end = start.wrapping_add(packet_len(packet)?);
            Some((core::mem::replace(&mut start, end), end, *packet.first()?))
        })
    }

    fn drop_disconnect(&mut self) {
        self.erase(self.limit(), self.capacity());
        self.control.disconnect = 0;
    }

    /// Drops everything but the packet that is half written and CONNACK. The packet whose front was shown last may end elsewhere:
    /// tells whether it leaves.
    pub(crate) fn cut_short(&mut self, ends_elsewhere: bool) -> bool {
        let Control { shown, end: all, .. } = *self.control;
        let end = self.kept_end(if ends_elsewhere { shown } else { all });
        self.erase(end.into(), all.into());
        *self.control = Control { shown: shown.min(end), end, ..*self.control };
        self.drop_disconnect();
        self.settle();
        ends_elsewhere && end == shown
    }

    /// Forgets what was shown once all of it is written; it may have been a packet that ends elsewhere.
    fn settle(&mut self) {
        if self.control.is_writing() {
            return;
        }
        let Control { written, end, .. } = *self.control;
        let left = end.wrapping_sub(written);
        bytes::move_down(self.bytes, written.into(), 0, left.into());
        self.erase(left.into(), end.into());
        *self.control = Control { written: 0, shown: 0, end: left, ..*self.control };
    }

    /// Bytes that are not in use are zeros: they may have been secrets.
    #[inline(never)]
    fn erase(&mut self, start: usize, stop: usize) {
        if let Some(bytes) = self.bytes.get_mut(start..stop) {
            bytes.fill(0);
        }
    }

    /// Where a DISCONNECT that is kept begins.
    fn limit(&self) -> usize {
        self.capacity().wrapping_sub(self.control.disconnect.into())
    }

    /// How many bytes there are for packets.
    pub(crate) fn capacity(&self) -> usize {
        capacity(self.bytes, self.control.aliases)
    }
}

/// How many bytes of a queue are left for packets besides the topics of these aliases.
pub(crate) fn capacity(bytes: &[u8], aliases: TopicAliases) -> usize {
    bytes.len().saturating_sub(aliases.len())
}

/// Refuses a packet of `len` bytes that does not fit into so many, of which some are kept for others.
pub(crate) fn check_size(len: usize, capacity: usize, kept: usize) -> Result<(), CommandError> {
    match capacity.checked_sub(kept) {
        Some(available) if len <= available => Ok(()),
        available => Err(CommandError::too_large(SizeLimit::Control, len, available.unwrap_or_default())),
    }
}

/// The identifier of an acknowledgement: behind its length, of which all bytes but the last are 0x80 or above.
fn identifier(packet: &[u8]) -> Option<&[u8; 2]> {
    let len = packet.iter().skip(1).position(|&byte| byte < 0x80)?;
    packet.get(len.saturating_add(2)..)?.first_chunk()
}

fn in_reach(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len().min(u16::MAX.into())).unwrap_or_default()
}

/// A length within the capacity.
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
