//! Packets in the order in which they leave, until they are written or acknowledged.
//!
//! The store is a ring of records, and lends its idle bytes to a CONNECT that fits nowhere else. A record is sixteen bytes of links and an encoded packet, which is sent from where
//! it lies. Records come in the order of acceptance and go in any order; what is free is known from the oldest record
//! that is left, so nothing is ever searched for. Two sequences run through the ring: PUBLISHes of QoS 1
//! and 2, which stay until they are acknowledged, and everything else, which stays until it is written.

mod lifetime;
#[cfg(feature = "streaming")]
mod payload;
#[cfg(feature = "streaming")]
mod pieces;

use core::num::NonZeroU32;

use crate::bytes;
use crate::time::Instant;
use crate::wire::{PacketId, PacketType, PublishFlags, packet_len, publish_expiry_offset, publish_id_offset};

pub(crate) use self::lifetime::Lifetime;
#[cfg(feature = "streaming")]
pub(crate) use self::payload::{MAX_STORED, Payload, Piece};

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

pub(crate) const ORDERS: [Order; 2] = [Order::Acknowledged, Order::Immediate];

/// What a record is besides its packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// The exchange that the packet belongs to. QoS 0 has none: 1 if the packet does not outlive its connection, otherwise 0.
    pub(crate) slot: u16,
    /// The topic alias that is asked for; 0: none.
    pub(crate) alias: u16,
    /// How long the packet may wait to be sent.
    pub(crate) lifetime: Lifetime,
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
    /// How many of its bytes are left, and whether it passes.
    left: u32,
}

/// Of a packet that is being written, says that it passes: it is in no sequence, leaves from where it lies, and is wiped then. No
/// packet is so long that its length would need this bit.
const PASSES: u32 = 1 << 31;

/// A packet in a store, and all that it means besides its exchange.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stored<'a> {
    packet: &'a [u8],
    /// Where its payload is, if that stays with the application, and how far it is sent, if it is being sent.
    #[cfg(feature = "streaming")]
    payload: Option<(payload::Payload, Option<payload::Progress>)>,
    /// The slot of its exchange, which says nothing by itself.
    pub(crate) slot: u16,
    alias: u16,
    lifetime: Lifetime,
    /// How much of it is left, if it is being written.
    shown: Option<u32>,
    /// Whether it is the next of its sequence to be shown.
    is_next: bool,
}

impl Stored<'_> {
    /// Whether it belongs to an exchange, so that its slot says which.
    pub(crate) fn has_exchange(&self, order: Order) -> bool {
        order == Order::Acknowledged || !self.packet.first().is_some_and(|&first| is_publish(first))
    }

    pub(crate) const fn without_slot(self) -> Self {
        Self { slot: 0, ..self }
    }

    /// What it means in 3.1.1: when it was shown matters only by how long ago that is, at `now`, if anything asks for it.
    pub(crate) fn with_age(self, now: Option<u32>) -> Self {
        let lifetime = now.map_or(Lifetime::ENDLESS, |now| Lifetime::shown(self.lifetime.age(now)));
        Self { lifetime, ..self }
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
    const NONE: Self = Self { place: None, left: 0 };

    const fn passes(self) -> bool {
        self.left & PASSES != 0
    }

    const fn left(self) -> u32 {
        #[cfg(feature = "streaming")]
        return self.left & !(PASSES | payload::IN_PIECES);
        #[cfg(not(feature = "streaming"))]
        return self.left & !PASSES;
    }
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

    /// Whether all of the packet that is being written leaves in another form.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.writing.place.is_some() && self.writing.left == 0
    }

    /// The packet that is being written.
    pub(crate) const fn written_now(&self) -> Option<Place> {
        self.writing.place
    }

    /// Whether there may be a packet that was not yet shown on this connection.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.acknowledged.next.is_some() || self.immediate.is_some()
    }

    /// Whether nothing is half written, and nothing waits but what waits for an acknowledgement.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.immediate.is_none() && self.writing.place.is_none()
    }

    /// Whether the record at `a` was accepted before the one at `b`.
    pub(crate) const fn is_older(&self, a: Place, b: Place) -> bool {
        // The ring goes around: behind its end come the oldest records, and those in front of it are the farthest.
        a.get().wrapping_sub(self.end) < b.get().wrapping_sub(self.end)
    }
}

impl<'a> Records<'a> {
    /// The first record of a sequence.
    pub(crate) fn first(self, order: Order) -> Option<Place> {
        self.neighbour(self.outbox.last(order)?, Part::Next)
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
        let is_last = self.outbox.acknowledged.last == Some(place) || self.outbox.immediate == Some(place);
        if is_last { None } else { self.neighbour(place, Part::Next) }
    }

    /// The packet of a record.
    pub(crate) fn packet(self, place: Place) -> &'a [u8] {
        let rest = self.bytes.get(packet_start(place)..).unwrap_or_default();
        rest.get(..packet_len(rest).unwrap_or_default()).unwrap_or_default()
    }

    /// What of a record means something as long as it is not being written.
    fn content(self, place: Place) -> &'a [u8] {
        #[cfg(feature = "streaming")]
        if self.payload(place).is_some() {
            return self.begin(place);
        }
        self.packet(place)
    }

    /// Whether it is a PUBLISH.
    pub(crate) fn is_publish(self, place: Place) -> bool {
        self.bytes.get(packet_start(place)).is_some_and(|&first| is_publish(first))
    }

    /// The exchange that a packet belongs to. QoS 0 has none: see [`Label`].
    fn slot(self, place: Place) -> u16 {
        let [a, b, ..] = self.part(place, Part::SlotAndAlias).to_le_bytes();
        u16::from_le_bytes([a, b])
    }

    /// The topic alias that a packet asks for; 0: none.
    fn alias(self, place: Place) -> u16 {
        let [.., a, b] = self.part(place, Part::SlotAndAlias).to_le_bytes();
        u16::from_le_bytes([a, b])
    }

    /// How long a packet may wait to be sent.
    pub(crate) fn lifetime(self, place: Place) -> Lifetime {
        Lifetime(self.part(place, Part::Lifetime))
    }

    /// The packets of a sequence, in order.
    pub(crate) fn stored(self, order: Order) -> impl Iterator<Item = Stored<'a>> {
        let (next, writing) = (self.next(order), self.outbox.writing);
        core::iter::successors(self.first(order), move |&place| self.after(place)).map(move |place| {
            let (slot, alias, lifetime) = (self.slot(place), self.alias(place), self.lifetime(place));
            let shown = if writing.place == Some(place) { Some(writing.left) } else { None };
            Stored {
                packet: self.content(place),
                #[cfg(feature = "streaming")]
                payload: self.payload(place).map(|payload| (payload, self.progress(place))),
                slot,
                alias,
                lifetime,
                shown,
                is_next: next == Some(place),
            }
        })
    }

    /// What was shown and is not yet written.
    pub(crate) fn shown(self) -> &'a [u8] {
        let writing = self.outbox.writing;
        let Some(place) = writing.place else { return &[] };
        #[cfg(feature = "streaming")]
        if writing.is_in_pieces() {
            return self.shown_in_pieces(place);
        }
        let packet = self.packet(place);
        packet.get(packet.len().wrapping_sub(index(writing.left()))..).unwrap_or_default()
    }

    /// Whether a packet passes of which not a byte was written.
    pub(crate) fn is_passing_untouched(self) -> bool {
        let writing = self.outbox.writing;
        writing.passes() && writing.place.is_some_and(|place| self.shown().len() == self.packet(place).len())
    }

    /// The length of the largest packet that would be accepted if nothing were being written; 0: none would.
    pub(crate) fn idle(self) -> usize {
        index(self.len().wrapping_sub(self.used())).saturating_sub(OVERHEAD)
    }

    /// The length of the largest packet that would be accepted; 0: none would.
    pub(crate) fn room(self) -> usize {
        index(self.free()).saturating_sub(OVERHEAD)
    }

    /// Whether the record at `a` was accepted before the one at `b`.
    const fn is_older(self, a: Place, b: Place) -> bool {
        self.outbox.is_older(a, b)
    }

    /// The oldest record whose bytes are in use.
    fn oldest(self) -> Option<Place> {
        let mut oldest = self.outbox.writing.place;
        for order in ORDERS {
            if let Some(first) = self.first(order)
                && oldest.is_none_or(|oldest| self.is_older(first, oldest))
            {
                oldest = Some(first);
            }
        }
        oldest
    }

    /// How many bytes there are for the next record, where records may be moved for it.
    fn free(self) -> u32 {
        if self.outbox.is_writing() {
            let (behind, in_front) = self.gaps();
            behind.max(in_front)
        } else {
            self.len().wrapping_sub(self.used())
        }
    }

    /// How many bytes are free behind the newest record and, if the records do not go around, in front of the oldest one.
    fn gaps(self) -> (u32, u32) {
        let (len, end) = (self.len(), self.outbox.end);
        match self.oldest().map(start) {
            None => (0, len),
            Some(oldest) if end > oldest => (len.wrapping_sub(end), oldest),
            Some(oldest) => (oldest.wrapping_sub(end), 0),
        }
    }

    /// The bytes that live records take; not asked on the way of a packet that finds a run.
    fn used(self) -> u32 {
        let mut used = 0_u32;
        for order in ORDERS {
            let mut next = self.first(order);
            while let Some(place) = next {
                used = used.wrapping_add(self.size(place));
                next = self.after(place);
            }
        }
        used
    }

    /// The length of a record.
    fn size(self, place: Place) -> u32 {
        size(self.packet(place).len())
    }

    fn len(self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// A neighbour of a record in its circle.
    fn neighbour(self, place: Place, side: Part) -> Option<Place> {
        Place::new(self.part(place, side))
    }

    fn part(self, place: Place, part: Part) -> u32 {
        let bytes = self.bytes.get(part.at(place)..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

impl<'m> Store<'m> {
    /// What can be asked without a change.
    pub(crate) const fn records(&self) -> Records<'_> {
        Records { outbox: self.outbox, bytes: self.bytes }
    }

    /// See [`Records::first`].
    // This and the next ones are there once for all callers, and asked by reference: a store is less to hand over than its parts.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn first(&self, order: Order) -> Option<Place> {
        self.records().first(order)
    }

    /// See [`Records::next`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn next(&self, order: Order) -> Option<Place> {
        self.records().next(order)
    }

    /// See [`Records::after`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn after(&self, place: Place) -> Option<Place> {
        self.records().after(place)
    }

    /// See [`Records::packet`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn packet(&self, place: Place) -> &[u8] {
        self.records().packet(place)
    }

    /// See [`Records::is_publish`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn is_publish(&self, place: Place) -> bool {
        self.records().is_publish(place)
    }

    /// See [`Records::slot`].
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn slot(&self, place: Place) -> u16 {
        self.records().slot(place)
    }

    /// See [`Records::alias`].
    pub(crate) fn alias(&self, place: Place) -> u16 {
        self.records().alias(place)
    }

    /// See [`Records::lifetime`].
    pub(crate) fn lifetime(&self, place: Place) -> Lifetime {
        self.records().lifetime(place)
    }

    /// Where a packet of `len` bytes has room. If it has none as the records lie, they are moved together if that helps;
    /// `moved` is told of each that waits for an acknowledgement. `None`: nothing has changed.
    pub(crate) fn make_room(&mut self, len: usize, moved: impl FnMut(u16, Place)) -> Option<Place> {
        let size = u32::try_from(len.checked_add(OVERHEAD)?).ok()?;
        let (behind, in_front) = self.records().gaps();
        if size <= behind {
            return Some(place(self.outbox.end));
        }
        if size <= in_front {
            return Some(Place::MIN);
        }
        // The sum of all records is asked for only if there is no run.
        if size > self.records().free() {
            return None;
        }
        self.compact(moved);
        Some(place(self.outbox.end))
    }

    /// Enters a packet of `len` bytes at the end of a sequence, where it has room.
    pub(crate) fn accept(&mut self, order: Order, label: Label, place: Place, len: usize) {
        self.extend(order, place, size(len));
        let Label { slot, alias, lifetime } = label;
        if let Some(bytes) = self.bytes.get_mut(Part::Lifetime.at(place)..).and_then(|rest| rest.first_chunk_mut()) {
            let ([a, b, c, d], [e, f], [g, h]) = (lifetime.0.to_le_bytes(), slot.to_le_bytes(), alias.to_le_bytes());
            *bytes = [a, b, c, d, e, f, g, h];
        }
        if order == Order::Acknowledged {
            self.outbox.acknowledged.next = self.outbox.acknowledged.next.or(Some(place));
        }
    }

    /// A packet of `len` bytes passes, where it has room: it is shown at once, and was never accepted. Nothing else is being written.
    pub(crate) fn pass(&mut self, place: Place, len: usize) -> &mut [u8] {
        self.outbox.end = start(place).wrapping_add(size(len));
        let left = u32::try_from(len).unwrap_or(u32::MAX) | PASSES;
        self.outbox.writing = Writing { place: Some(place), left };
        self.packet_mut(place, len)
    }

    /// Takes a record out of its sequence. Its bytes stay as long as they are half written.
    pub(crate) fn remove(&mut self, order: Order, place: Place) {
        let records = self.records();
        let neighbours = (records.neighbour(place, Part::Previous), records.neighbour(place, Part::Next));
        let (Some(previous), Some(next)) = neighbours else { return };
        let last = self.outbox.last_mut(order);
        let mut after = Some(next);
        if *last == Some(place) {
            *last = Some(previous).filter(|&previous| previous != place);
            after = None;
        }
        if self.outbox.acknowledged.next == Some(place) {
            self.outbox.acknowledged.next = after;
        }
        self.join(previous, next);
    }

    /// Notes that a packet is being shown. It is the first of its sequence that was not. Its first `skipped` bytes are sent
    /// in another form; if that is all of it, nothing is left, and it is written once they are.
    pub(crate) fn show(&mut self, order: Order, place: Place, skipped: usize) {
        if order == Order::Acknowledged {
            self.outbox.acknowledged.next = self.after(place);
        }
        #[cfg(feature = "streaming")]
        if self.records().payload(place).is_some() {
            return self.show_in_pieces(place, skipped);
        }
        let left = self.packet(place).len().saturating_sub(skipped);
        self.outbox.writing = Writing { place: Some(place), left: u32::try_from(left).unwrap_or(u32::MAX) };
    }

    /// What was shown and is not yet written, for as long as the store lives.
    pub(crate) fn into_shown(self) -> &'m [u8] {
        let Self { outbox, bytes } = self;
        Records { outbox, bytes }.shown()
    }

    /// What can be asked without a change, for as long as the store lives.
    #[cfg(feature = "durable")]
    pub(crate) const fn into_records(self) -> Records<'m> {
        Records { outbox: self.outbox, bytes: self.bytes }
    }

    /// Notes that `len` bytes more of the packet were written.
    pub(crate) fn written(&mut self, len: usize) {
        let writing = &mut self.outbox.writing;
        match u32::try_from(len) {
            Ok(len) if len < writing.left() => writing.left = writing.left.wrapping_sub(len),
            #[cfg(feature = "streaming")]
            _ if writing.is_in_pieces() => self.end_run(),
            _ => self.stop_writing(),
        }
    }

    /// The records before this one need not be looked at again until then.
    pub(crate) const fn look_from(&mut self, place: Place) {
        self.outbox.acknowledged.next = Some(place);
    }

    /// The next packet need not be shown now.
    pub(crate) fn pass_over(&mut self) {
        let next = self.outbox.acknowledged.next;
        self.outbox.acknowledged.next = next.and_then(|place| self.after(place));
    }

    /// Notes when a packet is shown that is sent again after a time.
    pub(crate) fn set_lifetime(&mut self, place: Place, lifetime: Lifetime) {
        self.set_part(place, Part::Lifetime, lifetime.0);
    }

    /// The clock was set back: so is the lifetime of each packet.
    pub(crate) fn set_back(&mut self, by: u32) {
        for order in ORDERS {
            let mut next = self.first(order);
            while let Some(place) = next {
                self.set_lifetime(place, self.lifetime(place).set_back(by));
                next = self.after(place);
            }
        }
    }

    /// Everything that is not being written is still to be shown on this connection.
    pub(crate) fn rewind(&mut self) {
        self.outbox.acknowledged.next = self.first(Order::Acknowledged);
    }

    /// What needs no acknowledgement has done its work once it was written. It is the first of its sequence, if it is still
    /// in it; of the others, one that was acknowledged early gives its bytes back.
    pub(crate) fn stop_writing(&mut self) {
        let writing = core::mem::replace(&mut self.outbox.writing, Writing::NONE);
        let Some(place) = writing.place else { return };
        if writing.passes() {
            self.wipe(place);
        } else if self.first(Order::Immediate) == Some(place) {
            self.remove(Order::Immediate, place);
        }
    }

    /// What has passed may have been a secret.
    #[cold]
    #[inline(never)]
    fn wipe(&mut self, place: Place) {
        let len = self.packet(place).len();
        self.packet_mut(place, len).fill(0);
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
        let Some(offset) = publish_expiry_offset(self.packet(place)) else { return };
        let packet = self.bytes.get_mut(packet_start(place)..).unwrap_or_default();
        if let Some(bytes) = packet.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = u32::from_be_bytes(*bytes).min(seconds).to_be_bytes();
        }
    }

    /// Gives a PUBLISH that was sent another identifier, as if it were a new one.
    pub(crate) fn renew(&mut self, place: Place, packet_id: PacketId) {
        let offset = publish_id_offset(self.packet(place));
        let Some(packet) = self.bytes.get_mut(packet_start(place)..) else { return };
        if let Some(first) = packet.first_mut() {
            *first &= !PublishFlags::DUP;
        }
        if let Some(bytes) = packet.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = packet_id.get().to_be_bytes();
        }
        self.outbox.acknowledged.next = self.after(place);
    }

    /// Tells the time to the last `count` records, in whichever sequence, or to all if there are more than can be counted. Answers
    /// the milliseconds until the first of them expires, if one does.
    pub(crate) fn stamp(&mut self, count: u16, now: Instant) -> Option<u32> {
        let mut shortest = None;
        for order in ORDERS {
            let last = self.outbox.last(order);
            let mut next = last;
            let mut left = count;
            while let Some(place) = next.filter(|_| left != 0) {
                let lifetime = Lifetime(self.records().part(place, Part::Lifetime)).stamped(now);
                self.set_part(place, Part::Lifetime, lifetime.0);
                shortest = match (lifetime.millis_left(now), shortest) {
                    (Some(left), Some(shortest)) if left > shortest => Some(shortest),
                    (None, shortest) => shortest,
                    (left, _) => left,
                };
                // A circle: in front of the first is the last again.
                next = self.records().neighbour(place, Part::Previous).filter(|&previous| Some(previous) != last);
                if count != u16::MAX {
                    left = left.wrapping_sub(1);
                }
            }
        }
        shortest
    }

    /// Moves all records together at the front, oldest first. Not while one is half written.
    fn compact(&mut self, mut moved: impl FnMut(u16, Place)) {
        let Some(oldest) = self.records().oldest().map(start) else { return };
        let (before, len) = (*self.outbox, self.records().len());
        let (mut acknowledged, mut immediate) = (self.open(Order::Acknowledged), self.open(Order::Immediate));
        // Where the records go around, the ring is turned first. What they say of places is still meant as before.
        let turn = if before.end > oldest { 0 } else { oldest };
        bytes::rotate_left(self.bytes, index(turn));
        *self.outbox = Outbox::EMPTY;
        loop {
            let is_immediate = match (acknowledged, immediate) {
                (Some(a), Some(b)) => before.is_older(b, a),
                (a, _) => a.is_none(),
            };
            let (order, next) = if is_immediate {
                (Order::Immediate, &mut immediate)
            } else {
                (Order::Acknowledged, &mut acknowledged)
            };
            let Some(was) = *next else { return };
            let lap = if start(was) < turn { len } else { 0 };
            let from = place(start(was).wrapping_sub(turn).wrapping_add(lap));
            *next = self.records().neighbour(from, Part::Next);
            let place = self.settle(order, from);
            if order == Order::Acknowledged {
                if before.acknowledged.next == Some(was) {
                    self.outbox.acknowledged.next = Some(place);
                }
                moved(self.slot(place), place);
            }
        }
    }

    /// Moves the record at `from` to the end of the records that are moved already, and of its sequence.
    fn settle(&mut self, order: Order, from: Place) -> Place {
        let (size, place) = (self.records().size(from), place(self.outbox.end));
        bytes::move_down(self.bytes, index(start(from)), index(start(place)), index(size));
        self.extend(order, place, size);
        place
    }

    /// Makes the end of a sequence known to its last record, and tells its first one.
    fn open(&mut self, order: Order) -> Option<Place> {
        let first = self.first(order);
        if let Some(last) = self.outbox.last(order) {
            self.set_part(last, Part::Next, 0);
        }
        first
    }

    /// Links a record of `size` bytes, the newest one, to the end of a sequence.
    fn extend(&mut self, order: Order, place: Place, size: u32) {
        self.outbox.end = start(place).wrapping_add(size);
        let last = self.outbox.last_mut(order).replace(place).unwrap_or(place);
        // Of a sequence of its own it is the first as well.
        self.set_part(place, Part::Next, place.get());
        let first = self.records().neighbour(last, Part::Next).unwrap_or(place);
        self.join(last, place);
        self.join(place, first);
    }

    /// Makes neighbours of two records.
    fn join(&mut self, previous: Place, next: Place) {
        self.set_part(previous, Part::Next, next.get());
        self.set_part(next, Part::Previous, previous.get());
    }

    fn set_part(&mut self, place: Place, part: Part, value: u32) {
        if let Some(bytes) = self.bytes.get_mut(part.at(place)..).and_then(|rest| rest.first_chunk_mut()) {
            *bytes = value.to_le_bytes();
        }
    }
}

/// What the sixteen bytes in front of a packet say, four bytes each; where they begin.
#[derive(Clone, Copy)]
enum Part {
    Next = 0,
    Previous = 4,
    Lifetime = 8,
    SlotAndAlias = 12,
}

impl Part {
    fn at(self, place: Place) -> usize {
        index(start(place)).wrapping_add(self as usize)
    }
}

const fn place(start: u32) -> Place {
    Place::MIN.saturating_add(start)
}

/// Whether a packet begins as a PUBLISH does: the type is in the high half.
const fn is_publish(first: u8) -> bool {
    first >> 4 == PacketType::Publish as u8
}

/// The length of a record whose packet has `len` bytes.
fn size(len: usize) -> u32 {
    u32::try_from(len.wrapping_add(OVERHEAD)).unwrap_or(u32::MAX)
}

const fn start(place: Place) -> u32 {
    place.get().wrapping_sub(1)
}

fn index(start: u32) -> usize {
    usize::try_from(start).unwrap_or(usize::MAX)
}

fn packet_start(place: Place) -> usize {
    index(start(place)).wrapping_add(OVERHEAD)
}

const _: () = assert!(size_of::<Outbox>() == 24);

#[cfg(feature = "durable")]
mod restore;

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
