//! The store against a naive model: a list of packets in the order of their acceptance.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "lengths and places of small stores; a fault here is a failed test"
)]

extern crate std;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::vec::Vec;

use super::{Instant, Label, Lifetime, ORDERS, OVERHEAD, Order, Outbox, PacketId, Part, Place, Records, Store, Stored};
use crate::trials::trials;

const DUP: u8 = 0x08;

#[derive(Clone, Debug)]
struct Record {
    order: Order,
    label: Label,
    packet: Vec<u8>,
    place: Place,
    shown: bool,
    /// On this connection or an earlier one.
    shown_before: bool,
    /// In no sequence any more: half written when it was removed.
    detached: bool,
}

impl Record {
    fn start(&self) -> usize {
        self.place.get() as usize - 1
    }

    fn stop(&self) -> usize {
        self.start() + self.packet.len() + OVERHEAD
    }
}

/// A store and what it should hold.
struct Pair {
    outbox: Outbox,
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// The place of the packet that is half written, and how much of it is.
    writing: Option<(Place, usize)>,
    end: usize,
    count: u16,
}

#[derive(Clone, Debug)]
enum Operation {
    Accept(Order, usize),
    /// Shows the next record of a sequence, with DUP set before if it is a PUBLISH that was shown before.
    /// Of some, the first bytes count as written, or all.
    Show(Order, Option<Index>),
    Write(Index),
    WriteAll,
    Remove(Index),
    RemoveHalfWritten,
    CarryOver,
    Rewind,
    Renew(u16),
    Stamp(u16, Instant),
    RemoveAll,
}

fn operation() -> impl Strategy<Value = Operation> {
    let order = || select(ORDERS.to_vec());
    let body = prop_oneof![6 => 0..24_usize, 3 => 0..100_usize, 2 => 100..160_usize, 1 => 0..600_usize];
    prop_oneof![
        24 => (order(), body).prop_map(|(order, body)| Operation::Accept(order, body)),
        12 => (order(), prop::option::weighted(0.3, any::<Index>())).prop_map(|(order, skipped)| Operation::Show(order, skipped)),
        6 => any::<Index>().prop_map(Operation::Write),
        7 => Just(Operation::WriteAll),
        12 => any::<Index>().prop_map(Operation::Remove),
        2 => Just(Operation::RemoveHalfWritten),
        2 => Just(Operation::CarryOver),
        2 => (1..=u16::MAX).prop_map(Operation::Renew),
        2 => (0..6_u16, any::<u32>()).prop_map(|(count, now)| Operation::Stamp(count, Instant::from_millis(now.into()))),
        2 => prop_oneof![Just(Operation::Rewind), Just(Operation::RemoveAll)],
    ]
}

/// A packet whose body has this many bytes, no two alike: a PUBLISH with a topic of up to three bytes if there is room.
fn packet(order: Order, body: usize, count: u16) -> Vec<u8> {
    let first = if order == Order::Acknowledged { 0x32 } else { 0x82 };
    let mut packet = std::vec![first];
    match u8::try_from(body) {
        Ok(len @ 0..=127) => packet.push(len),
        _ => packet.extend([body as u8 | 0x80, (body >> 7) as u8]),
    }
    let start = packet.len();
    packet.extend((0..body).map(|at| (at as u8).wrapping_mul(31) ^ (count as u8).wrapping_mul(7)));
    if order == Order::Acknowledged && body >= 4 {
        let topic = (body - 4).min(3) as u8;
        packet[start..start + 2].copy_from_slice(&[0, topic]);
    }
    packet
}

/// Where the identifier of such a PUBLISH lies, if it has one.
fn identifier_at(packet: &[u8]) -> Option<usize> {
    let header = if packet[1] < 0x80 { 2 } else { 3 };
    let topic = packet.get(header + 1).filter(|_| packet.len() >= header + 4)?;
    Some(header + 2 + usize::from(*topic))
}

impl Pair {
    fn new(size: usize) -> Self {
        // Stale bytes must not matter.
        let bytes = std::vec![0xA5; size];
        Self { outbox: Outbox::EMPTY, bytes, records: Vec::new(), writing: None, end: 0, count: 0 }
    }

    fn store(&mut self) -> Store<'_> {
        Store { outbox: &mut self.outbox, bytes: &mut self.bytes }
    }

    fn sequence(&self, order: Order) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.order == order && !record.detached)
    }

    /// The places of a sequence as the store has them.
    fn places(&mut self, order: Order) -> Vec<Place> {
        let most = self.records.len();
        let store = self.store();
        let mut places = Vec::new();
        let mut next = store.records().first(order);
        while let Some(place) = next {
            places.push(place);
            assert!(places.len() <= most, "a circle, or a record too many: {places:?}");
            next = store.records().after(place);
        }
        places
    }

    /// Whether `size` bytes are free in one piece, behind the newest record or in front of the oldest one.
    fn has_run(&self, size: usize) -> bool {
        let Some(oldest) = self.records.first().map(Record::start) else { return size <= self.bytes.len() };
        if self.end > oldest {
            size <= self.bytes.len() - self.end || size <= oldest
        } else {
            size <= oldest - self.end
        }
    }

    fn should_fit(&self, len: usize) -> bool {
        let used: usize = self.records.iter().map(|record| record.packet.len() + OVERHEAD).sum();
        let size = len + OVERHEAD;
        self.has_run(size) || (self.writing.is_none() && used + size <= self.bytes.len())
    }

    fn accept(&mut self, order: Order, body: usize) {
        self.count += 1;
        let packet = packet(order, body, self.count);
        let slot = if order == Order::Immediate && self.count.is_multiple_of(3) { 0 } else { self.count };
        let label = Label { slot, alias: self.count.wrapping_mul(0x101), lifetime: Lifetime::of(self.count.into()) };
        let (fits, must_stay) = (self.should_fit(packet.len()), self.has_run(packet.len() + OVERHEAD));
        assert_eq!(packet.len() <= self.store().records().room(), fits, "{} bytes", packet.len());
        let mut told = Vec::new();
        let place = self.store().make_room(packet.len(), |slot, place| told.push((slot, place)));
        assert_eq!(place.is_some(), fits, "{} bytes", packet.len());
        assert!(told.is_empty() || fits, "moved in vain: {told:?}");
        assert!(told.is_empty() || !must_stay, "moved although there was room: {told:?}");
        assert!(told.is_empty() || self.writing.is_none(), "moved under a half-written packet: {told:?}");
        if let Some(place) = place {
            self.store().accept(order, label, place, packet.len());
            self.store().packet_mut(place, packet.len()).copy_from_slice(&packet);
            self.records.push(Record {
                order,
                label,
                packet,
                place,
                shown: false,
                shown_before: false,
                detached: false,
            });
        }
        self.follow_moves(&told);
        if let (Some(place), Some(newest)) = (place, self.records.last()) {
            assert_eq!(place, newest.place);
        }
        if place.is_some() {
            self.end = self.records.last().map_or(0, Record::stop);
        }
    }

    /// Looks up where the records lie after they may have been moved, and whether that was told.
    fn follow_moves(&mut self, told: &[(u16, Place)]) {
        for order in ORDERS {
            let places = self.places(order);
            let records = self.records.iter_mut().filter(|record| record.order == order && !record.detached);
            let mut followed = 0;
            for (record, &place) in records.zip(&places) {
                let slot = record.label.slot;
                let new: Vec<_> = told.iter().filter(|&&(of, _)| of == slot && slot != 0).collect();
                let most = usize::from(order == Order::Acknowledged);
                assert!(new.iter().all(|&&(_, to)| to == place) && new.len() <= most, "slot {slot}: {new:?}");
                assert!(record.place == place || new.len() == most, "slot {slot} was not told of {place}");
                record.place = place;
                followed += 1;
            }
            assert_eq!(places.len(), followed);
        }
    }

    fn show(&mut self, order: Order, skipped: Option<Index>) {
        if self.writing.is_some() {
            return;
        }
        let Some(place) = self.store().records().next(order) else { return };
        let record = self.records.iter_mut().find(|record| record.place == place).unwrap();
        record.shown = true;
        let record_len = record.packet.len();
        let again = order == Order::Acknowledged && core::mem::replace(&mut record.shown_before, true);
        if again {
            record.packet[0] |= DUP;
            self.store().set_dup(place);
        }
        // As far as behind the end.
        let skipped = skipped.map_or(0, |skipped| skipped.index(record_len + 3));
        self.store().show(order, place, skipped);
        if self.outbox.is_elsewhere() {
            // The rest is written as well.
            self.store().stop_writing();
        }
        self.writing = Some((place, skipped));
        if skipped >= record_len {
            self.stop_writing();
        }
    }

    fn write(&mut self, len: usize) {
        self.store().written(len);
        let Some((place, written)) = self.writing else { return };
        let packet = &self.records.iter().find(|record| record.place == place).unwrap().packet;
        if written + len < packet.len() {
            self.writing = Some((place, written + len));
        } else {
            self.stop_writing();
        }
    }

    /// What is written or cut: a packet without acknowledgement is done with, one that was acknowledged is free.
    fn stop_writing(&mut self) {
        if let Some((place, _)) = self.writing.take() {
            self.records
                .retain(|record| record.place != place || (record.order == Order::Acknowledged && !record.detached));
        }
    }

    fn remove(&mut self, place: Place) {
        let at = self.records.iter().position(|record| record.place == place && !record.detached).unwrap();
        let order = self.records[at].order;
        self.store().remove(order, place);
        if self.writing.is_some_and(|(writing, _)| writing == place) {
            self.records[at].detached = true;
        } else {
            self.records.remove(at);
        }
    }

    /// What is being written and needs no acknowledgement is not shown again: it is gone then.
    fn rewind(&mut self) {
        let writing = self.writing.map(|(place, _)| place);
        for record in &mut self.records {
            record.shown = record.order == Order::Immediate && Some(record.place) == writing;
        }
    }

    fn renew(&mut self, id: u16) {
        let Some(place) = self.store().records().next(Order::Acknowledged) else { return };
        let record = self.records.iter_mut().find(|record| record.place == place).unwrap();
        let Some(at) = identifier_at(&record.packet) else { return };
        if self.writing.is_some_and(|(writing, _)| writing == place) {
            return;
        }
        record.packet[0] &= !DUP;
        record.packet[at..at + 2].copy_from_slice(&id.to_be_bytes());
        record.shown = true;
        record.shown_before = false;
        self.store().renew(place, PacketId::new(id).unwrap());
    }

    fn stamp(&mut self, count: u16, now: Instant) {
        self.store().stamp(count, now);
        for order in ORDERS {
            let of_order = |record: &&mut Record| record.order == order && !record.detached;
            for record in self.records.iter_mut().rev().filter(of_order).take(count.into()) {
                record.label.lifetime = record.label.lifetime.stamped(now);
            }
        }
    }

    fn apply(&mut self, operation: &Operation) {
        let live: Vec<Place> =
            self.records.iter().filter(|record| !record.detached).map(|record| record.place).collect();
        let half_written = self.writing.map(|(place, _)| place).filter(|place| live.contains(place));
        match *operation {
            Operation::Accept(order, body) => self.accept(order, body),
            Operation::Show(order, skipped) => self.show(order, skipped),
            Operation::Write(part) => {
                let left = self.store().records().shown().len();
                self.write(part.index(left + 1));
            }
            Operation::WriteAll => self.write(usize::MAX / 2),
            Operation::Remove(which) if !live.is_empty() => self.remove(*which.get(&live)),
            Operation::Remove(_) => {}
            Operation::RemoveHalfWritten => half_written.into_iter().for_each(|place| self.remove(place)),
            Operation::CarryOver => {
                self.store().stop_writing();
                self.store().rewind();
                self.stop_writing();
                self.rewind();
            }
            Operation::Rewind => {
                self.store().rewind();
                self.rewind();
            }
            Operation::Renew(id) => self.renew(id),
            Operation::Stamp(count, now) => self.stamp(count, now),
            Operation::RemoveAll => live.into_iter().for_each(|place| self.remove(place)),
        }
    }

    fn check(&mut self) {
        for order in ORDERS {
            let places: Vec<_> = self.sequence(order).map(|record| record.place).collect();
            let next = self.sequence(order).find(|record| !record.shown).map(|record| record.place);
            assert_eq!(self.places(order), places, "{order:?}");
            assert_eq!(self.store().records().next(order), next, "{order:?}");
            assert_eq!(self.store().records().first(order), places.first().copied());
            assert_eq!(self.outbox.last(order), places.last().copied());
            for (at, &place) in places.iter().enumerate() {
                let previous = places[at.checked_sub(1).unwrap_or(places.len() - 1)];
                let link = self.store().records().neighbour(place, Part::Previous);
                assert_eq!(link, Some(previous), "{order:?} {places:?}");
            }
        }
        self.check_bytes();
        self.check_stored();
        self.check_writing();
        self.check_room();
    }

    fn check_bytes(&mut self) {
        let records = self.records.clone();
        let mut taken = std::vec![false; self.bytes.len()];
        for record in &records {
            for taken in &mut taken[record.start()..record.stop()] {
                assert!(!*taken, "two records overlap: {records:?}");
                *taken = true;
            }
            let store = self.store();
            assert_eq!(store.records().packet(record.place), record.packet, "at {}", record.place);
            let (slot, alias, lifetime) =
                (store.slot(record.place), store.alias(record.place), store.lifetime(record.place));
            assert_eq!(Label { slot, alias, lifetime }, record.label, "at {}", record.place);
        }
        for (at, older) in records.iter().enumerate() {
            for newer in &records[at + 1..] {
                assert!(self.store().records().is_older(older.place, newer.place), "{older:?} {newer:?}");
                assert!(!self.store().records().is_older(newer.place, older.place), "{older:?} {newer:?}");
            }
        }
    }

    /// What is compared when sessions are.
    fn check_stored(&self) {
        for order in ORDERS {
            let mut unshown = 0;
            let expected = self.sequence(order).map(|record| {
                let Label { slot, alias, lifetime } = record.label;
                unshown += usize::from(!record.shown);
                let writing = self.writing.filter(|&(place, _)| place == record.place);
                let shown = writing.map(|(_, written)| (record.packet.len() - written) as u32);
                let is_next = !record.shown && unshown == 1;
                Stored {
                    packet: &record.packet,
                    #[cfg(feature = "streaming")]
                    payload: None,
                    slot,
                    alias,
                    lifetime,
                    shown,
                    is_next,
                }
            });
            assert!(Records { outbox: &self.outbox, bytes: &self.bytes }.stored(order).eq(expected), "{order:?}");
        }
    }

    fn check_writing(&mut self) {
        let left = self.writing.map(|(place, written)| {
            let record = self.records.iter().find(|record| record.place == place).unwrap();
            record.packet[written..].to_vec()
        });
        assert_eq!(self.outbox.is_writing(), left.is_some());
        let Some(left) = left else { return assert_eq!(self.store().records().shown(), [0; 0]) };
        assert!(!left.is_empty(), "a step has bytes to write");
        assert_eq!(self.store().records().shown(), left);
        assert_eq!(self.store().into_shown(), left);
    }

    /// Asks of many lengths whether they fit, and tries them on a copy.
    fn check_room(&mut self) {
        let size = self.bytes.len();
        let used: usize = self.records.iter().map(|record| record.packet.len() + OVERHEAD).sum();
        let whole = size.saturating_sub(OVERHEAD);
        let rest = (size - used).saturating_sub(OVERHEAD);
        let behind = size.saturating_sub(self.end + OVERHEAD);
        let room = self.store().records().room();
        assert!(room == 0 || self.should_fit(room), "{room} bytes");
        assert!(!self.should_fit(room + 1), "more than {room} bytes");
        let lens = [room, room + 1, 2, 30, 131, behind, behind + 1, rest, rest + 1, whole, whole + 1, usize::MAX];
        // No packet is empty.
        for len in lens.into_iter().filter(|&len| len != 0) {
            let fits = len < usize::MAX / 2 && self.should_fit(len);
            assert_eq!(len <= room, fits, "{len} bytes");
            let (mut outbox, mut bytes) = (self.outbox, self.bytes.clone());
            let mut copy = Store { outbox: &mut outbox, bytes: &mut bytes };
            let place = copy.make_room(len, |_, _| {});
            assert_eq!(place.is_some(), fits, "{len} bytes");
        }
        if self.records.is_empty() && size >= OVERHEAD {
            assert_eq!(self.store().records().room(), size - OVERHEAD, "an empty store takes a packet of full size");
        }
    }
}

/// The body of a packet that fills a store, if there is a length of header that makes it fit.
fn full_body(size: usize) -> Option<usize> {
    let packet = size.checked_sub(OVERHEAD)?;
    match packet {
        2..=129 => Some(packet - 2),
        131.. => Some(packet - 3),
        _ => None,
    }
}

fn run(size: usize, operations: &[Operation]) {
    let mut pair = Pair::new(size);
    pair.check();
    for operation in operations {
        pair.apply(operation);
        pair.check();
    }
    pair.apply(&Operation::CarryOver);
    pair.apply(&Operation::RemoveAll);
    pair.check();
    if let Some(body) = full_body(size) {
        pair.accept(Order::Acknowledged, body);
        assert_eq!(pair.records.len(), 1, "an emptied store takes a packet of full size");
        pair.check();
    }
}

proptest! {
    #![proptest_config(trials(1500))]

    #[test]
    fn behaves_like_a_list(size in 0..420_usize, operations in prop::collection::vec(operation(), 0..120)) {
        run(size, &operations);
    }

    /// Stores in which a few records fill everything: the ring goes around, is full to the byte, and is compacted.
    #[test]
    #[cfg_attr(miri, ignore = "too much for an interpreter")]
    fn behaves_like_a_list_when_it_is_tight(
        size in 16..120_usize,
        operations in prop::collection::vec(operation(), 0..160),
    ) {
        run(size, &operations);
    }
}

/// Two sizes of packets that fill the store exactly, in each of their orders, over several laps.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn laps_without_a_byte_to_spare() {
    for (first, second) in [(16, 16), (2, 30), (30, 2), (131, 16), (0, 129)] {
        let len = |body| packet(Order::Acknowledged, body, 1).len() + OVERHEAD;
        let mut pair = Pair::new(len(first) + len(second));
        for lap in 0..40 {
            let order = ORDERS[lap % 2];
            pair.accept(order, first);
            pair.accept(ORDERS[lap / 2 % 2], second);
            assert_eq!(pair.records.len(), 2, "lap {lap}");
            pair.check();
            pair.apply(&Operation::Accept(order, 0));
            assert_eq!(pair.records.len(), 2, "lap {lap}: no room for a third");
            let oldest = pair.records[0].place;
            pair.remove(oldest);
            pair.check();
            pair.accept(order, first);
            pair.check();
            pair.apply(&Operation::RemoveAll);
            pair.check();
        }
    }
}

/// The acknowledgement comes before the last byte is reported: the bytes stay, and go when they are written.
#[test]
fn a_half_written_packet_outlives_its_acknowledgement() {
    for ends in [Operation::WriteAll, Operation::CarryOver] {
        let mut pair = Pair::new(100);
        pair.accept(Order::Acknowledged, 40);
        pair.show(Order::Acknowledged, None);
        pair.write(7);
        pair.apply(&Operation::RemoveHalfWritten);
        let is_empty = ORDERS.into_iter().all(|order| pair.outbox.last(order).is_none());
        assert!(is_empty && pair.outbox.is_writing());
        pair.accept(Order::Acknowledged, 60);
        assert_eq!(pair.records.len(), 1, "its bytes are not given away");
        pair.accept(Order::Immediate, 20);
        pair.check();
        assert_eq!(pair.records.len(), 2);
        pair.apply(&ends);
        pair.check();
        assert_eq!(pair.records.len(), 1);
    }
}

/// While one is half written, only a free run helps; afterwards the records are moved together.
#[test]
fn nothing_moves_under_a_half_written_packet() {
    let mut pair = Pair::new(3 * 36);
    for _ in 0..3 {
        pair.accept(Order::Acknowledged, 18);
    }
    let middle = pair.records[1].place;
    pair.remove(middle);
    pair.show(Order::Acknowledged, None);
    pair.write(1);
    let places: Vec<_> = pair.records.iter().map(|record| record.place).collect();
    pair.accept(Order::Immediate, 18);
    assert_eq!(pair.records.iter().map(|record| record.place).collect::<Vec<_>>(), places);
    pair.apply(&Operation::WriteAll);
    pair.accept(Order::Immediate, 18);
    assert_eq!(pair.records.len(), 3);
    pair.check();
}

/// What is sent in another form is not shown. A packet of which nothing else is left stays until that is written.
#[test]
fn what_is_skipped_counts_as_written() {
    for order in ORDERS {
        for (skipped, left) in [(0, 20), (1, 19), (19, 1), (20, 0), (21, 0), (usize::MAX, 0)] {
            let mut pair = Pair::new(100);
            pair.accept(order, 18);
            pair.accept(order, 18);
            let places = pair.places(order);
            pair.store().show(order, places[0], skipped);
            assert_eq!(pair.store().records().shown().len(), left, "{skipped}");
            assert_eq!((pair.outbox.is_writing(), pair.outbox.is_elsewhere()), (true, left == 0), "{skipped}");
            if left == 0 {
                pair.store().stop_writing();
            }
            assert_eq!(pair.store().records().next(order), Some(places[1]));
            let stays = left != 0 || order == Order::Acknowledged;
            assert_eq!(pair.store().records().first(order), Some(places[usize::from(!stays)]), "{order:?} {skipped}");
            pair.store().written(left.saturating_sub(1));
            assert_eq!(pair.store().records().shown().len(), left.min(1));
            pair.store().written(1);
            assert!(!pair.outbox.is_writing());
        }
    }
}

/// A place is 32 bits wide, and so is what is asked for: more than that is refused, not cut off.
#[test]
fn absurd_lengths_are_refused() {
    let mut pair = Pair::new(200);
    for len in [usize::MAX, usize::MAX - OVERHEAD, usize::MAX - OVERHEAD + 1, u32::MAX as usize, 185] {
        assert_eq!(pair.store().make_room(len, |_, _| {}), None, "{len}");
    }
    pair.check();
}

/// Both ways to ask for what is half written agree that nothing is.
#[test]
fn nothing_is_shown_before_it_is_shown() {
    let mut pair = Pair::new(64);
    assert_eq!(pair.store().into_shown(), [0; 0], "stale bytes of an empty store");
    pair.accept(Order::Acknowledged, 20);
    assert_eq!(pair.store().records().shown(), [0; 0]);
    assert_eq!(pair.store().into_shown(), [0; 0], "the links of the first record");
}

/// What was passed over is not walked through again before all is to be shown once more.
#[test]
fn records_are_looked_at_from_the_place_that_was_told() {
    let mut pair = Pair::new(200);
    (0..4).for_each(|_| pair.accept(Order::Acknowledged, 20));
    let places = pair.places(Order::Acknowledged);
    assert_eq!(pair.store().records().next(Order::Acknowledged), Some(places[0]));
    pair.store().look_from(places[2]);
    assert_eq!(pair.store().records().next(Order::Acknowledged), Some(places[2]));
    pair.store().remove(Order::Acknowledged, places[2]);
    assert_eq!(pair.store().records().next(Order::Acknowledged), Some(places[3]));
    pair.store().rewind();
    assert_eq!(pair.store().records().next(Order::Acknowledged), Some(places[0]));
}

const SECONDS: [u64; 5] = [0, 1, 1_800_000_000, u32::MAX as u64 - 3, (1 << 30) - 7];

fn at(second: u64, millis: u64) -> Instant {
    Instant::from_millis(second * 1000 + millis)
}

/// It never ends early, and ends with a second. What is left of it is told in whole seconds, by the whole seconds that passed.
#[test]
fn a_lifetime_begins_when_the_clock_is_told_and_ends_once() {
    for second in SECONDS {
        for millis in [0, 1, 500, 999] {
            let lifetime = Lifetime::of(10);
            assert_eq!(lifetime.left(at(second + 1000, 0)), None, "not yet told the time");
            let lifetime = lifetime.stamped(at(second, millis));
            assert_eq!(lifetime.stamped(at(second + 99, 0)), lifetime, "told once");
            let end = if millis == 0 { 10_000 } else { 11_000 };
            for later in [millis, 9_000, 9_999, 10_000, 10_001, 10_999, 11_000, 250_000_000_000] {
                let now = at(second, later);
                assert_eq!(lifetime.millis_left(now), Some(u32::try_from(end - later.min(end)).unwrap()));
                let passed = later.saturating_sub(millis);
                let left = lifetime.left(now).unwrap();
                assert!(u64::from(left).abs_diff(10 - (passed / 1000).min(10)) <= u64::from(later % 1000 != millis));
            }
        }
    }
    assert_eq!(Lifetime::of(u32::MAX), Lifetime::ENDLESS);
    assert_eq!(Lifetime::ENDLESS.stamped(at(5, 0)).left(at(1 << 32, 0)), None);
}

/// A message may be sent at once, whatever it says.
#[test]
fn no_lifetime_is_over_when_it_begins() {
    for millis in [0, 1, 500, 999] {
        assert_ne!(Lifetime::of(0).stamped(at(7, millis)).millis_left(at(7, millis)), Some(0));
        assert_eq!(Lifetime::of(0).stamped(at(7, millis)).millis_left(at(9, millis)), Some(0));
    }
}

/// Half seconds go around a circle of 34 years, of which one half is to come and the other one is over.
#[test]
fn a_lifetime_lasts_for_at_most_17_years_and_is_over_for_as_long() {
    const HALF: u32 = 1 << 29;
    assert_eq!(Lifetime::of(HALF), Lifetime::ENDLESS);
    let half = u64::from(HALF);
    for second in [0, 7, half, u64::from(u32::MAX)] {
        let longest = Lifetime::of(HALF - 1).stamped(at(second, 0));
        for (later, over) in [(0, false), (half - 2, false), (half - 1, true), (2 * half - 2, true), (2 * half, false)]
        {
            assert_eq!(longest.millis_left(at(second + later, 0)) == Some(0), over, "{second} {later}");
        }
    }
}

/// What passes lies where nothing else is, touches nothing, and leaves zeros behind.
#[test]
fn what_passes_is_wiped_and_touches_nothing() {
    let packet = |first: u8| [&[first, 30][..], &[first; 30]].concat();
    let label = Label::default();
    for (len, ends) in [(100, 0), (100, 1), (160, 0), (160, 2)] {
        let (mut outbox, mut bytes) = (Outbox::EMPTY, std::vec![0; len]);
        let mut store = Store { outbox: &mut outbox, bytes: &mut bytes };
        let accept = |store: &mut Store<'_>, first| {
            let place = store.make_room(32, |_, _| ())?;
            store.accept(Order::Acknowledged, label, place, 32);
            store.packet_mut(place, 32).copy_from_slice(&packet(first));
            Some(place)
        };
        let kept = accept(&mut store, 0x32).expect("room");
        assert_eq!(store.records().idle(), len - 48 - OVERHEAD);
        let place = store.make_room(32, |_, _| ()).expect("room");
        store.pass(place, 32).copy_from_slice(&packet(0x10));
        assert_eq!(store.records().idle(), len - 48 - OVERHEAD, "it does not count");
        assert!(store.records().is_passing_untouched() && store.outbox.is_writing());
        let other = accept(&mut store, 0x34);
        assert_eq!(other.is_some(), len == 160);
        assert_eq!(store.records().shown(), packet(0x10));
        assert_eq!(store.records().stored(Order::Acknowledged).count(), 1 + usize::from(other.is_some()));
        if ends != 0 {
            store.written(7);
            assert_eq!(store.records().shown(), &packet(0x10)[7..]);
            assert!(!store.records().is_passing_untouched());
        }
        if ends == 2 {
            store.stop_writing();
        } else {
            store.written(32);
        }
        assert!(!store.outbox.is_writing() && !store.bytes.contains(&0x10));
        for (place, first) in [(Some(kept), 0x32), (other, 0x34)] {
            assert!(place.is_none_or(|place| store.records().packet(place) == packet(first)));
        }
    }
}
