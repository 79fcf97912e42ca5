//! Packets in the order in which they leave, until they are written or acknowledged.
//!
//! The store is a ring of records. A record is sixteen bytes of links and an encoded packet, which is sent from where
//! it lies. Records come in the order of acceptance and go in any order; what is free is known from the oldest record
//! that is left, so nothing is ever searched for. Two sequences run through the ring: PUBLISHes of QoS 1
//! and 2, which stay until they are acknowledged, and everything else, which stays until it is written.

use core::num::NonZeroU32;

use crate::bytes;
use crate::wire::{PacketId, PublishFlags, packet_len, publish_expiry_offset, publish_id_offset};

/// Where a record begins, plus one, so that a state of zeros is a valid one.
pub(crate) type Place = NonZeroU32;

/// One of the two sequences of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// PUBLISHes of QoS 1 and 2: they wait for quota, and stay until they are acknowledged.
    Acknowledged,
    /// PUBLISHes of QoS 0, SUBSCRIBE and UNSUBSCRIBE: they never wait, and stay until they are written.
    Immediate,
}

/// What a record is besides its packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// The exchange that the packet belongs to; 0 for QoS 0.
    pub(crate) slot: u16,
    /// The topic alias that is asked for; 0: none.
    pub(crate) alias: u16,
    /// How long the packet may wait to be sent.
    pub(crate) lifetime: Lifetime,
}

/// How long a packet may wait: without end, or so many seconds from the poll that follows, or until a second of the
/// caller's clock. The clock may begin anywhere, so seconds are compared in a circle; intervals of more than 17 years
/// count as endless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lifetime(u32);

impl Lifetime {
    pub(crate) const ENDLESS: Self = Self(0);

    /// The value is a number of seconds from the poll that follows.
    const UNSTAMPED: u32 = 1 << 31;
    /// The value is a second of the clock.
    const STAMPED: u32 = 1 << 30;
    const VALUE: u32 = Self::STAMPED - 1;
    const HALF: u32 = 1 << 29;

    pub(crate) const fn of(seconds: u32) -> Self {
        if seconds < Self::HALF { Self(seconds | Self::UNSTAMPED) } else { Self::ENDLESS }
    }

    /// Says that it is this second, where that was not yet said.
    const fn stamped(self, second: u32) -> Self {
        if self.0 & Self::UNSTAMPED == 0 {
            self
        } else {
            Self(self.0.wrapping_add(second) & Self::VALUE | Self::STAMPED)
        }
    }

    /// How many seconds are left in this second, where that is known.
    pub(crate) const fn left(self, second: u32) -> Option<u32> {
        if self.0 & Self::STAMPED == 0 { None } else { Some(self.0.wrapping_sub(second) & Self::VALUE) }
    }

    /// Whether it is over in this second.
    pub(crate) const fn is_over(self, second: u32) -> bool {
        self.0 & Self::STAMPED != 0 && second.wrapping_sub(self.0) & Self::VALUE < Self::HALF
    }
}

/// How many bytes of the store a packet takes besides its own.
pub(crate) const OVERHEAD: usize = 16;

/// The PUBLISHes of QoS 1 and 2.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    last: Option<Place>,
    /// The first one that was not yet shown on this connection.
    next: Option<Place>,
}

/// The packet that was shown to the transport and is not yet reported as written, if there is one.
#[derive(Clone, Copy, Debug)]
struct Writing {
    place: Option<Place>,
    written: u32,
}

/// A packet in a store, and all that it means besides its exchange.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stored<'a> {
    packet: &'a [u8],
    /// The slot of its exchange, which says nothing by itself.
    pub(crate) slot: u16,
    alias: u16,
    lifetime: Lifetime,
    /// How much of it is written, if it is being written.
    shown: Option<u32>,
    /// Whether it is the next of its sequence to be shown.
    is_next: bool,
}

impl Stored<'_> {
    pub(crate) const fn without_slot(self) -> Self {
        Self { slot: 0, ..self }
    }
}

/// The state of a store; the bytes are the caller's. Each sequence is a circle: behind its last record comes its first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outbox {
    acknowledged: Acknowledged,
    /// The last record of everything else. What of it was shown is the first and being written, or gone.
    immediate: Option<Place>,
    /// Where the next record begins.
    end: u32,
    writing: Writing,
}

/// A store and its state.
#[derive(Debug)]
pub(crate) struct Store<'m> {
    pub(crate) outbox: &'m mut Outbox,
    pub(crate) bytes: &'m mut [u8],
}

/// A store and its state, borrowed for reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    pub(crate) outbox: &'a Outbox,
    pub(crate) bytes: &'a [u8],
}

impl Acknowledged {
    const EMPTY: Self = Self { last: None, next: None };
}

impl Writing {
    const NONE: Self = Self { place: None, written: 0 };
}

impl Outbox {
    pub(crate) const EMPTY: Self =
        Self { acknowledged: Acknowledged::EMPTY, immediate: None, end: 0, writing: Writing::NONE };

    const fn last(&self, order: Order) -> Option<Place> {
        match order {
            Order::Acknowledged => self.acknowledged.last,
            Order::Immediate => self.immediate,
        }
    }

    const fn last_mut(&mut self, order: Order) -> &mut Option<Place> {
        match order {
            Order::Acknowledged => &mut self.acknowledged.last,
            Order::Immediate => &mut self.immediate,
        }
    }

    /// Whether a packet is half written, or may be.
    pub(crate) const fn is_writing(&self) -> bool {
        self.writing.place.is_some()
    }

    /// Whether there may be a packet that was not yet shown on this connection.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.acknowledged.next.is_some() || self.immediate.is_some()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.acknowledged.last.is_none() && self.immediate.is_none()
    }
}

impl<'a> Records<'a> {
    /// The first record of a sequence.
    pub(crate) fn first(self, order: Order) -> Option<Place> {
        self.links(self.outbox.last(order)?).next
    }

    /// The first record of a sequence that was not yet shown on this connection.
    pub(crate) fn next(self, order: Order) -> Option<Place> {
        match order {
            Order::Acknowledged => self.outbox.acknowledged.next,
            Order::Immediate => match self.first(order) {
                Some(first) if self.outbox.writing.place == Some(first) => self.after(first),
                first => first,
            },
        }
    }

    /// The record behind `place` in its sequence.
    pub(crate) fn after(self, place: Place) -> Option<Place> {
        let is_last = [self.outbox.acknowledged.last, self.outbox.immediate].contains(&Some(place));
        if is_last { None } else { self.links(place).next }
    }

    /// The packet of a record.
    pub(crate) fn packet(self, place: Place) -> &'a [u8] {
        packet_at(self.bytes, place)
    }

    pub(crate) fn label(self, place: Place) -> Label {
        self.links(place).label
    }

    /// The packets of a sequence, in order.
    pub(crate) fn stored(self, order: Order) -> impl Iterator<Item = Stored<'a>> {
        let (next, writing) = (self.next(order), self.outbox.writing);
        core::iter::successors(self.first(order), move |&place| self.after(place)).map(move |place| {
            let Label { slot, alias, lifetime } = self.label(place);
            let shown = if writing.place == Some(place) { Some(writing.written) } else { None };
            Stored { packet: self.packet(place), slot, alias, lifetime, shown, is_next: next == Some(place) }
        })
    }

    /// What was shown and is not yet written.
    pub(crate) fn shown(self) -> &'a [u8] {
        let Writing { place, written } = self.outbox.writing;
        place.and_then(|place| self.packet(place).get(index(written)..)).unwrap_or_default()
    }

    /// Whether a packet of `len` bytes would be accepted; none is empty.
    pub(crate) fn fits(self, len: usize) -> bool {
        let size = len.checked_add(OVERHEAD).and_then(|size| u32::try_from(size).ok());
        // The sum of all records is asked for only if there is no run.
        size.and_then(|size| self.free_run(size)).is_some() || (len != 0 && len <= self.room())
    }

    /// The length of the largest packet that would be accepted; 0: none would.
    pub(crate) fn room(self) -> usize {
        let free = if self.outbox.is_writing() {
            let (behind, in_front) = self.gaps();
            behind.max(in_front)
        } else {
            self.len().saturating_sub(self.used())
        };
        index(free).saturating_sub(OVERHEAD)
    }

    /// Whether the record at `a` was accepted before the one at `b`.
    pub(crate) fn is_older(self, a: Place, b: Place) -> bool {
        self.age(a) > self.age(b)
    }

    /// The bytes from the end of the ring back to a record: the larger, the older.
    fn age(self, place: Place) -> u32 {
        let start = start(place);
        let lap = if start < self.outbox.end { 0 } else { self.len() };
        lap.saturating_add(self.outbox.end).saturating_sub(start)
    }

    /// The oldest record whose bytes are in use.
    fn oldest(self) -> Option<Place> {
        let candidates = [self.first(Order::Acknowledged), self.first(Order::Immediate), self.outbox.writing.place];
        candidates.into_iter().flatten().max_by_key(|&place| self.age(place))
    }

    /// Where `size` bytes are free in one piece.
    fn free_run(self, size: u32) -> Option<u32> {
        let (behind, in_front) = self.gaps();
        if size <= behind {
            Some(self.outbox.end)
        } else if size <= in_front {
            Some(0)
        } else {
            None
        }
    }

    /// How many bytes are free behind the newest record and, if the records do not go around, in front of the oldest one.
    fn gaps(self) -> (u32, u32) {
        let (len, end) = (self.len(), self.outbox.end);
        match self.oldest().map(start) {
            None => (0, len),
            Some(oldest) if end > oldest => (len.saturating_sub(end), oldest),
            Some(oldest) => (oldest.saturating_sub(end), 0),
        }
    }

    /// The bytes that live records take; not asked on the way of a packet that finds a run.
    fn used(self) -> u32 {
        let mut used = 0_usize;
        for order in [Order::Acknowledged, Order::Immediate] {
            let mut next = self.first(order);
            while let Some(place) = next {
                used = used.saturating_add(self.packet(place).len()).saturating_add(OVERHEAD);
                next = self.after(place);
            }
        }
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    fn len(self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn links(self, place: Place) -> Links {
        Links::at(self.bytes, place)
    }
}

impl<'m> Store<'m> {
    /// What can be asked without a change.
    pub(crate) const fn records(&self) -> Records<'_> {
        Records { outbox: self.outbox, bytes: self.bytes }
    }

    /// Makes room for a packet of `len` bytes and enters it at the end of a sequence. Where it does not fit, the records
    /// are moved together if that helps; `moved` is told of each. `None`: nothing has changed but, perhaps, places.
    pub(crate) fn accept(
        &mut self,
        order: Order,
        label: Label,
        len: usize,
        moved: impl FnMut(u16, Place),
    ) -> Option<Place> {
        let size = u32::try_from(len.checked_add(OVERHEAD)?).ok()?;
        let start = match self.records().free_run(size) {
            Some(start) => start,
            None => {
                self.compact(moved);
                self.records().free_run(size)?
            }
        };
        let place = Place::new(start.checked_add(1)?)?;
        self.outbox.end = start.checked_add(size)?;
        self.append(order, place, label);
        if order == Order::Acknowledged {
            self.outbox.acknowledged.next = self.outbox.acknowledged.next.or(Some(place));
        }
        Some(place)
    }

    /// Takes a record out of its sequence. Its bytes stay as long as they are half written.
    pub(crate) fn remove(&mut self, order: Order, place: Place) {
        let Links { next: Some(next), previous: Some(previous), .. } = self.records().links(place) else { return };
        if self.outbox.acknowledged.next == Some(place) {
            self.outbox.acknowledged.next = self.records().after(place);
        }
        let last = self.outbox.last_mut(order);
        if *last == Some(place) {
            *last = Some(previous).filter(|&previous| previous != place);
        }
        self.update_links(previous, |links| links.next = Some(next));
        self.update_links(next, |links| links.previous = Some(previous));
    }

    /// Notes that a packet is being shown. It is the first of its sequence that was not. Its first `skipped` bytes are sent
    /// in another form and count as written; if that is all of it, it is written already.
    pub(crate) fn show(&mut self, order: Order, place: Place, skipped: usize) {
        if order == Order::Acknowledged {
            self.outbox.acknowledged.next = self.records().after(place);
        }
        self.outbox.writing = Writing { place: Some(place), written: 0 };
        self.written(skipped);
    }

    /// What was shown and is not yet written, for as long as the store lives.
    pub(crate) fn into_shown(self) -> &'m [u8] {
        let Self { outbox, bytes } = self;
        Records { outbox, bytes }.shown()
    }

    /// Notes that `len` bytes more of the packet were written.
    pub(crate) fn written(&mut self, len: usize) {
        let left = self.records().shown().len();
        if len < left {
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            self.outbox.writing.written = self.outbox.writing.written.saturating_add(len);
        } else {
            self.stop_writing();
        }
    }

    /// The connection is gone: what was half written is not, and everything is still to be shown on the next one.
    pub(crate) fn carry_over(&mut self) {
        self.stop_writing();
        self.rewind();
    }

    /// The records before this one need not be looked at again until then.
    pub(crate) const fn look_from(&mut self, place: Place) {
        self.outbox.acknowledged.next = Some(place);
    }

    /// Everything that is not being written is still to be shown on this connection.
    pub(crate) fn rewind(&mut self) {
        self.outbox.acknowledged.next = self.records().first(Order::Acknowledged);
    }

    /// What needs no acknowledgement has done its work once it was written. It is the first of its sequence, if it is still
    /// in it; of the others, one that was acknowledged early gives its bytes back.
    fn stop_writing(&mut self) {
        let Writing { place, .. } = core::mem::replace(&mut self.outbox.writing, Writing::NONE);
        if let Some(place) = place.filter(|&place| self.records().first(Order::Immediate) == Some(place)) {
            self.remove(Order::Immediate, place);
        }
    }

    /// The `len` bytes of a record that was just accepted.
    pub(crate) fn packet_mut(&mut self, place: Place, len: usize) -> &mut [u8] {
        self.bytes.get_mut(packet_start(place)..).and_then(|rest| rest.get_mut(..len)).unwrap_or_default()
    }

    /// Sets DUP in a PUBLISH that is sent again. [MQTT-3.3.1-1]
    pub(crate) fn set_dup(&mut self, place: Place) {
        if let Some(first) = self.bytes.get_mut(packet_start(place)) {
            *first |= PublishFlags::DUP;
        }
    }

    /// Says in a PUBLISH that it lives for so many seconds, if it said more. [MQTT-3.3.2-6]
    pub(crate) fn shorten(&mut self, place: Place, seconds: u32) {
        let Some(offset) = publish_expiry_offset(self.records().packet(place)) else { return };
        let packet = self.bytes.get_mut(packet_start(place)..).unwrap_or_default();
        if let Some(bytes) = packet.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = u32::from_be_bytes(*bytes).min(seconds).to_be_bytes();
        }
    }

    /// Gives a PUBLISH that was sent another identifier, as if it were a new one.
    pub(crate) fn renew(&mut self, place: Place, packet_id: PacketId) {
        let offset = publish_id_offset(self.records().packet(place));
        let Some(packet) = self.bytes.get_mut(packet_start(place)..) else { return };
        if let Some(first) = packet.first_mut() {
            *first &= !PublishFlags::DUP;
        }
        if let Some(bytes) = offset.and_then(|offset| packet.get_mut(offset..)).and_then(|rest| rest.first_chunk_mut())
        {
            *bytes = packet_id.get().to_be_bytes();
        }
        self.outbox.acknowledged.next = self.records().after(place);
    }

    /// Says that it is this second of the caller's clock to the last `count` records, in whichever sequence.
    pub(crate) fn stamp(&mut self, count: u16, second: u32) {
        for order in [Order::Acknowledged, Order::Immediate] {
            let (first, mut next) = (self.records().first(order), self.outbox.last(order));
            for _ in 0..count {
                let Some(place) = next else { break };
                self.update_links(place, |links| links.label.lifetime = links.label.lifetime.stamped(second));
                next = self.records().links(place).previous.filter(|_| first != Some(place));
            }
        }
    }

    /// Moves all records together at the front, oldest first. Not while one is half written.
    fn compact(&mut self, mut moved: impl FnMut(u16, Place)) {
        let (None, Some(oldest)) = (self.outbox.writing.place, self.records().oldest()) else { return };
        let turn = start(oldest);
        let turn = if self.outbox.end > turn { 0 } else { turn };
        let part = |order| Part { first: self.records().first(order), last: self.outbox.last(order) };
        let turned = Turn { by: turn, len: self.records().len() };
        let mut merge = Merge { turned, acknowledged: part(Order::Acknowledged), immediate: part(Order::Immediate) };
        bytes::rotate_left(self.bytes, index(turn));
        let next = core::mem::replace(&mut self.outbox.acknowledged, Acknowledged::EMPTY).next;
        self.outbox.immediate = None;
        self.outbox.end = 0;
        while let Some((order, was, from)) = merge.pop(self.records()) {
            let place = self.settle(order, from);
            if next == Some(was) {
                self.outbox.acknowledged.next = Some(place);
            }
            moved(self.records().links(place).label.slot, place);
        }
    }

    /// Moves the record at `from` to the end of the records that are moved already, and of its sequence.
    fn settle(&mut self, order: Order, from: Place) -> Place {
        let Links { label, .. } = self.records().links(from);
        let size = self.records().packet(from).len().saturating_add(OVERHEAD);
        let (old, new) = (index(start(from)), index(self.outbox.end));
        bytes::move_down(self.bytes, old, new, size);
        let place = Place::MIN.saturating_add(self.outbox.end);
        self.outbox.end = self.outbox.end.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        self.append(order, place, label);
        place
    }

    /// Links a record to the end of a sequence.
    fn append(&mut self, order: Order, place: Place, label: Label) {
        let first = self.records().first(order).unwrap_or(place);
        let last = self.outbox.last_mut(order).replace(place).unwrap_or(place);
        self.write_links(place, Links { next: Some(first), previous: Some(last), label });
        self.update_links(last, |links| links.next = Some(place));
        self.update_links(first, |links| links.previous = Some(place));
    }

    fn write_links(&mut self, place: Place, links: Links) {
        if let Some(bytes) = self.bytes.get_mut(index(start(place))..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = links.to_bytes();
        }
    }

    fn update_links(&mut self, place: Place, change: impl FnOnce(&mut Links)) {
        let mut links = self.records().links(place);
        change(&mut links);
        self.write_links(place, links);
    }
}

/// The sixteen bytes in front of a packet.
#[derive(Clone, Copy, Default)]
struct Links {
    next: Option<Place>,
    previous: Option<Place>,
    label: Label,
}

impl Links {
    fn at(bytes: &[u8], place: Place) -> Self {
        let links = bytes.get(index(start(place))..).and_then(|rest| rest.first_chunk());
        links.map_or_else(Self::default, Self::from_bytes)
    }

    const fn from_bytes(bytes: &[u8; OVERHEAD]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        let (slot, alias) = (u16::from_le_bytes([m, n]), u16::from_le_bytes([o, p]));
        Self {
            next: Place::new(u32::from_le_bytes([a, b, c, d])),
            previous: Place::new(u32::from_le_bytes([e, f, g, h])),
            label: Label { slot, alias, lifetime: Lifetime(u32::from_le_bytes([i, j, k, l])) },
        }
    }

    fn to_bytes(self) -> [u8; OVERHEAD] {
        let [a, b, c, d] = self.next.map_or(0, Place::get).to_le_bytes();
        let [e, f, g, h] = self.previous.map_or(0, Place::get).to_le_bytes();
        let [i, j, k, l] = self.label.lifetime.0.to_le_bytes();
        let [m, n] = self.label.slot.to_le_bytes();
        let [o, p] = self.label.alias.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }
}

/// Both sequences as they were before the ring was turned, merged by age.
struct Merge {
    turned: Turn,
    acknowledged: Part,
    immediate: Part,
}

/// What is left of a sequence.
struct Part {
    first: Option<Place>,
    last: Option<Place>,
}

impl Merge {
    /// The oldest record that is left, where it lay, and where it lies now.
    fn pop(&mut self, records: Records<'_>) -> Option<(Order, Place, Place)> {
        let (acknowledged, immediate) = (self.acknowledged.first, self.immediate.first);
        let is_older = |a, b| self.turned.apply(a) < self.turned.apply(b);
        let (order, part, was) = match (acknowledged, immediate) {
            (Some(a), Some(b)) if is_older(a, b) => (Order::Acknowledged, &mut self.acknowledged, a),
            (Some(a), None) => (Order::Acknowledged, &mut self.acknowledged, a),
            (_, Some(b)) => (Order::Immediate, &mut self.immediate, b),
            (None, None) => return None,
        };
        let from = self.turned.apply(was);
        part.first = if part.last == Some(was) { None } else { records.links(from).next };
        Some((order, was, from))
    }
}

/// A rotation of the ring to the left.
#[derive(Clone, Copy)]
struct Turn {
    by: u32,
    len: u32,
}

impl Turn {
    fn apply(self, place: Place) -> Place {
        let start = start(place);
        let lap = if start < self.by { self.len } else { 0 };
        Place::MIN.saturating_add(start.saturating_add(lap).saturating_sub(self.by))
    }
}

fn packet_at(bytes: &[u8], place: Place) -> &[u8] {
    let rest = bytes.get(packet_start(place)..).unwrap_or_default();
    let len = packet_len(rest).unwrap_or_default();
    rest.get(..len).unwrap_or_default()
}

const fn start(place: Place) -> u32 {
    place.get().saturating_sub(1)
}

fn index(start: u32) -> usize {
    usize::try_from(start).unwrap_or(usize::MAX)
}

fn packet_start(place: Place) -> usize {
    index(start(place)).saturating_add(OVERHEAD)
}

const _: () = assert!(size_of::<Outbox>() == 24);

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
