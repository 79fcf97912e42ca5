//! The packet identifiers against sets and queues, for tables of all sorts of sizes.
//!
//! What holds of the rotation: slots that were never used come first, in order; then the one that is free for the
//! longest time. A slot goes through its identifiers, at most 2,048 of them, before one comes back. So with one exchange at
//! a time, each identifier that the table has comes once before any comes twice.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "a model in wider integers")]

extern crate std;

use std::collections::{HashMap, HashSet, VecDeque};
use std::vec::Vec;

use super::{Identifiers, PacketId, Sent, Slot, SlotId, find, packet_id, slot};

const SIZES: [usize; 17] = [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 255, 256, 1000, 32_768, 40_000, 65_534, 65_535];
const CYCLES: u32 = 200_000;
/// Any state but `Free` will do.
const BUSY: Sent = Sent::Requesting;

/// The identifiers of a slot, in the order in which they are used: those of its numbers that 16 bits can say, as far as
/// there are generations.
fn identifiers_of(size: usize, index: usize) -> Vec<u16> {
    (0..2048).map(|generation| generation * size + index + 1).map_while(|id| u16::try_from(id).ok()).collect()
}

/// Xorshift: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

struct Model {
    size: usize,
    untouched: VecDeque<usize>,
    free: VecDeque<usize>,
    /// How often each slot has begun an exchange or renewed it.
    uses: Vec<usize>,
    in_flight: Vec<(usize, u16)>,
    set: HashSet<u16>,
    /// The use of its slot at which an identifier came last.
    last_use: HashMap<u16, usize>,
}

impl Model {
    fn new(size: usize) -> Self {
        Self {
            size,
            untouched: (0..size).collect(),
            free: VecDeque::new(),
            uses: std::vec![0; size],
            in_flight: Vec::new(),
            set: HashSet::new(),
            last_use: HashMap::new(),
        }
    }

    /// Checks an identifier that begins to be in flight.
    fn begin(&mut self, index: usize, id: u16) {
        assert_ne!(id, 0);
        assert!(self.set.insert(id), "{id} is in flight");
        let of_slot = (usize::from(u16::MAX) - index).div_ceil(self.size).min(2048);
        let usage = self.uses[index];
        self.uses[index] += 1;
        let expected = usage % of_slot * self.size + index + 1;
        assert_eq!(usize::from(id), expected, "use {usage} of slot {index}");
        if let Some(last) = self.last_use.insert(id, usage) {
            assert_eq!(usage - last, of_slot, "{id} came back after {} others", usage - last);
        }
    }

    fn take(&mut self, identifiers: &mut Identifiers, slots: &mut [Slot]) {
        let expected = self.untouched.pop_front().or_else(|| self.free.pop_front());
        let taken = identifiers.take(slots, BUSY, 0);
        let Some(index) = expected else { return assert_eq!(taken, None) };
        let (slot_id, id) = taken.unwrap();
        assert_eq!(usize::from(slot_id.get()), index + 1);
        assert_eq!(slot(slots, slot_id).map(|slot| (slot.sent(), slot.link())), Some((BUSY, 0)));
        self.begin(index, id.get());
        self.in_flight.push((index, id.get()));
    }

    fn release(&mut self, identifiers: &mut Identifiers, slots: &mut [Slot], at: usize) {
        let (index, id) = self.in_flight.swap_remove(at);
        let slot_id = slot_id(index);
        // What the exchange kept in its link must not matter.
        super::slot_mut(slots, slot_id).unwrap().set_link(u32::MAX);
        identifiers.release(slots, slot_id);
        assert_eq!(slot(slots, slot_id).map(Slot::sent), Some(Sent::Free));
        self.set.remove(&id);
        self.free.push_back(index);
    }

    fn renew(&mut self, slots: &mut [Slot], at: usize) {
        let (index, old) = self.in_flight[at];
        let id = Identifiers::renew(slots, slot_id(index)).unwrap().get();
        assert!(identifiers_of(self.size, index).len() == 1 || id != old);
        self.set.remove(&old);
        self.begin(index, id);
        self.in_flight[at].1 = id;
    }

    fn check_one(&self, identifiers: &Identifiers, slots: &[Slot], random: &mut Random) {
        assert_eq!(usize::from(identifiers.taken()), self.in_flight.len());
        if let Some(&(index, id)) = self.in_flight.get(random.below(self.in_flight.len().max(1))) {
            assert_eq!(find(slots, PacketId::new(id).unwrap()), Some(slot_id(index)));
            assert_eq!(packet_id(slots, slot_id(index)), PacketId::new(id));
        }
    }

    /// Every identifier there is: exactly those in flight are found.
    fn check_all(&self, slots: &[Slot]) {
        let by_id: HashMap<u16, usize> = self.in_flight.iter().map(|&(index, id)| (id, index)).collect();
        for id in 1..=u16::MAX {
            assert_eq!(find(slots, PacketId::new(id).unwrap()), by_id.get(&id).map(|&index| slot_id(index)), "{id}");
        }
    }
}

fn slot_id(index: usize) -> SlotId {
    SlotId::new(u16::try_from(index + 1).unwrap()).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn random_cycles() {
    for size in SIZES {
        let mut slots = std::vec![Slot::FREE; size];
        let mut identifiers = Identifiers::NEW;
        let mut model = Model::new(size);
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ size as u64);
        for cycle in 0..CYCLES {
            // In turns mostly taken and mostly released, so that the table fills up and empties again.
            let inclination = if cycle / 20_000 % 2 == 0 { 3 } else { 1 };
            match random.below(4) {
                _ if model.in_flight.is_empty() => model.take(&mut identifiers, &mut slots),
                choice if choice < inclination => model.take(&mut identifiers, &mut slots),
                _ => {
                    let at = random.below(model.in_flight.len());
                    if random.below(16) == 0 {
                        model.renew(&mut slots, at);
                    } else {
                        model.release(&mut identifiers, &mut slots, at);
                    }
                }
            }
            model.check_one(&identifiers, &slots, &mut random);
            if cycle % 10_000 == 0 && size <= 256 {
                model.check_all(&slots);
            }
        }
        model.check_all(&slots);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn a_full_table_has_an_identifier_for_each_slot_and_no_more() {
    for size in SIZES {
        let mut slots = std::vec![Slot::FREE; size];
        let mut identifiers = Identifiers::NEW;
        let mut model = Model::new(size);
        for _ in 0..=size {
            model.take(&mut identifiers, &mut slots);
        }
        assert_eq!(model.in_flight.len(), size);
        model.check_all(&slots);
        for _ in 0..size {
            model.release(&mut identifiers, &mut slots, 0);
        }
        model.check_all(&slots);
        for _ in 0..=size {
            model.take(&mut identifiers, &mut slots);
        }
        model.check_all(&slots);
    }
}

/// The longest way to the first repetition: 2,048 identifiers of each slot, or all 65,535 where there are 32 slots or more.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn one_at_a_time_each_identifier_comes_once_before_any_comes_twice() {
    for size in SIZES {
        let mut slots = std::vec![Slot::FREE; size];
        let mut identifiers = Identifiers::NEW;
        let mut seen = HashSet::new();
        let all: usize = (0..size).map(|index| identifiers_of(size, index).len()).sum();
        assert_eq!(all, (size * 2048).min(65_535));
        for _ in 0..all {
            let (slot_id, id) = identifiers.take(&mut slots, BUSY, 0).unwrap();
            assert!(seen.insert(id), "{id} again after {} of {all}", seen.len());
            identifiers.release(&mut slots, slot_id);
        }
    }
}

#[test]
fn the_first_ones_count_up() {
    let mut slots = [Slot::FREE; 8];
    let mut identifiers = Identifiers::NEW;
    for expected in 1..=8 {
        let (slot_id, id) = identifiers.take(&mut slots, BUSY, 0).unwrap();
        assert_eq!((slot_id.get(), id.get()), (expected, expected));
    }
    assert_eq!(identifiers.take(&mut slots, BUSY, 0), None);
    for slot_id in (1..=8).filter_map(SlotId::new) {
        identifiers.release(&mut slots, slot_id);
    }
    for expected in 9..=16 {
        assert_eq!(identifiers.take(&mut slots, BUSY, 0).map(|(_, id)| id.get()), Some(expected));
    }
}

/// A full table that is larger than half of all identifiers: what was freed comes back under another one, so that a late
/// answer to the old exchange does not end the new one.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn an_identifier_of_a_large_full_table_does_not_come_back_at_once() {
    for size in [32_767, 32_768, 40_000] {
        let mut slots = std::vec![Slot::FREE; size];
        let mut identifiers = Identifiers::NEW;
        while identifiers.take(&mut slots, BUSY, 0).is_some() {}
        let spare = 65_535 - size;
        for index in [0, 1, size / 2, spare - 1].into_iter().filter(|&index| index < size.min(spare)) {
            let slot_id = slot_id(index);
            let old = packet_id(&slots, slot_id).unwrap();
            identifiers.release(&mut slots, slot_id);
            let (_, new) = identifiers.take(&mut slots, BUSY, 0).unwrap();
            assert_ne!(old, new, "slot {index} of {size}");
            assert_eq!(find(&slots, old), None);
        }
    }
}

#[test]
fn an_identifier_that_was_replaced_is_not_found() {
    let mut slots = [Slot::FREE; 5];
    let mut identifiers = Identifiers::NEW;
    let (slot_id, old) = identifiers.take(&mut slots, BUSY, 0).unwrap();
    let new = Identifiers::renew(&mut slots, slot_id).unwrap();
    assert_eq!((find(&slots, old), find(&slots, new)), (None, Some(slot_id)));
    assert_eq!(identifiers.taken(), 1);
    assert_eq!(Identifiers::renew(&mut slots, SlotId::new(6).unwrap()), None);
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn what_a_slot_holds_is_kept_apart() {
    let mut slot = Slot::FREE;
    assert!(slot.is_free());
    for generation in 1..=2047 {
        slot.advance(16, SlotId::MIN);
        assert_eq!(slot.generation(), generation);
        for link in [1, 0xFFFF, 0x1_0000, 0x1234_5678, u32::MAX] {
            slot.set_link(link);
            slot.set_sent(Sent::RequestLost);
            assert_eq!((slot.sent(), slot.generation(), slot.link()), (Sent::RequestLost, generation, link));
            slot.set_sent(BUSY);
            assert_eq!((slot.sent(), slot.generation(), slot.link()), (BUSY, generation, link));
        }
    }
    slot.advance(16, SlotId::MIN);
    assert_eq!((slot.sent(), slot.generation()), (BUSY, 0), "the generations go around");
}
