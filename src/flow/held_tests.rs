//! The table of held identifiers against maps and queues of the standard library.
#![allow(clippy::arithmetic_side_effects, reason = "indices of small tables")]

extern crate std;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::vec::Vec;

use super::{Entry, EntryId, Held, PacketId, REASON_CODES, ReasonCode, Table, bucket, entry, entry_mut};
use crate::trials::trials;

const SIZES: [usize; 6] = [0, 1, 2, 7, 8, 300];
const STATES: [Held; 4] = [Held::Pending, Held::Handed, Held::HandedBefore, Held::Received];

#[derive(Clone, Debug)]
enum Operation {
    Insert(u16, Held),
    Find(u16),
    Remove(Index),
    Enqueue(Index),
    Dequeue,
    Judge(Index, ReasonCode),
    CarryOver,
    Clear,
}

/// Identifiers of all kinds: counted up, anywhere, and many that go into the same bucket of any of the tables.
fn identifier() -> impl Strategy<Value = u16> {
    prop_oneof![
        3 => 1..=20_u16,
        1 => 1..=u16::MAX,
        // 16,800 is a multiple of each size but 0.
        2 => select(std::vec![16_800, 33_600, 50_400]),
        3 => (1..=218_u16).prop_map(|factor| factor * 300),
        3 => (1..=1170_u16).prop_map(|factor| factor * 56 - 1),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => (identifier(), select(STATES.to_vec())).prop_map(|(id, held)| Operation::Insert(id, held)),
        6 => identifier().prop_map(Operation::Find),
        12 => any::<Index>().prop_map(Operation::Remove),
        8 => any::<Index>().prop_map(Operation::Enqueue),
        6 => Just(Operation::Dequeue),
        4 => (any::<Index>(), select(REASON_CODES.to_vec())).prop_map(|(at, code)| Operation::Judge(at, code)),
        1 => Just(Operation::CarryOver),
        1 => Just(Operation::Clear),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    entry: EntryId,
    generation: u8,
    held: Held,
    reason: Option<ReasonCode>,
}

/// A table and what it should hold.
struct Pair {
    table: Table,
    entries: Vec<Entry>,
    model: BTreeMap<PacketId, Exchange>,
    due: VecDeque<PacketId>,
    /// The generations that were current when an exchange of the entry ended.
    ended: HashMap<EntryId, Vec<u8>>,
}

impl Pair {
    fn new(size: usize) -> Self {
        Self {
            table: Table::NEW,
            entries: std::vec![Entry::FREE; size],
            model: BTreeMap::new(),
            due: VecDeque::new(),
            ended: HashMap::new(),
        }
    }

    fn insert(&mut self, packet_id: PacketId, held: Held) {
        if self.model.contains_key(&packet_id) {
            return;
        }
        let id = self.table.insert(&mut self.entries, packet_id, held);
        assert_eq!(id.is_some(), self.model.len() < self.entries.len(), "{packet_id}");
        let Some(id) = id else { return };
        assert!(self.model.values().all(|exchange| exchange.entry != id), "entry {id} is in use");
        let generation = entry(&self.entries, id).unwrap().generation;
        let ended = self.ended.entry(id).or_default();
        assert!(!ended.contains(&generation), "a handle of an earlier exchange would fit: {generation}");
        self.model.insert(packet_id, Exchange { entry: id, generation, held, reason: None });
    }

    fn end(&mut self, packet_id: PacketId) {
        let exchange = self.model.remove(&packet_id).unwrap();
        self.ended.entry(exchange.entry).or_default().push(exchange.generation);
    }

    fn nth(&self, at: Index) -> Option<PacketId> {
        self.model.keys().nth(at.index(self.model.len().max(1))).copied()
    }

    fn remove(&mut self, packet_id: PacketId) {
        if !self.due.contains(&packet_id) {
            self.table.remove(&mut self.entries, self.model[&packet_id].entry);
            self.end(packet_id);
        }
    }

    fn enqueue(&mut self, packet_id: PacketId) {
        if !self.due.contains(&packet_id) {
            self.table.enqueue(&mut self.entries, self.model[&packet_id].entry);
            self.due.push_back(packet_id);
        }
    }

    /// What the table does to all entries, done to the model one by one.
    fn update(&mut self, after: impl Fn(Held) -> Held) {
        self.due.clear();
        let all: Vec<_> = self.model.keys().copied().collect();
        for packet_id in all {
            let held = after(self.model[&packet_id].held);
            if held == Held::Free {
                self.end(packet_id);
            } else if let Some(exchange) = self.model.get_mut(&packet_id) {
                exchange.held = held;
            }
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Insert(id, held) => self.insert(PacketId::new(id).unwrap(), held),
            Operation::Find(id) => {
                let id = PacketId::new(id).unwrap();
                assert_eq!(Table::find(&self.entries, id), self.model.get(&id).map(|exchange| exchange.entry));
            }
            Operation::Remove(at) => self.nth(at).into_iter().for_each(|id| self.remove(id)),
            Operation::Enqueue(at) => self.nth(at).into_iter().for_each(|id| self.enqueue(id)),
            Operation::Dequeue => {
                self.table.dequeue(&mut self.entries);
                self.due.pop_front();
            }
            Operation::Judge(at, code) => {
                if let Some(exchange) = self.nth(at).and_then(|id| self.model.get_mut(&id)) {
                    entry_mut(&mut self.entries, exchange.entry).unwrap().set_reason(code);
                    exchange.reason = Some(code);
                }
            }
            Operation::CarryOver => {
                self.table.carry_over(&mut self.entries);
                self.update(Held::carried_over);
            }
            Operation::Clear => {
                self.table.clear(&mut self.entries);
                self.update(|_| Held::Free);
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(usize::from(self.table.len()), self.model.len());
        for (&packet_id, exchange) in &self.model {
            assert_eq!(Table::find(&self.entries, packet_id), Some(exchange.entry), "{packet_id}");
            let entry = entry(&self.entries, exchange.entry).unwrap();
            let Exchange { generation, held, reason, .. } = *exchange;
            assert_eq!((entry.packet_id, entry.held()), (Some(packet_id), held));
            assert_eq!((entry.generation, entry.reason()), (generation, reason));
        }
        let first = self.due.front().map(|id| self.model[id].entry);
        assert_eq!(self.table.first_due(&self.entries), first);
        let used = self.entries.iter().filter(|entry| entry.packet_id.is_some()).count();
        assert_eq!(used, self.model.len());
        for entry in self.entries.iter().filter(|entry| entry.packet_id.is_none()) {
            assert_eq!((entry.held(), entry.reason()), (Held::Free, None));
        }
    }

    /// The queue to its end, by walking along it and by dequeuing from a copy.
    fn check_queue(&self) {
        let (mut table, mut entries) = (self.table, self.entries.clone());
        let walked = table.due(&entries).take(self.due.len() + 1).map(|id| entry(&entries, id).unwrap().packet_id);
        assert_eq!(walked.collect::<Vec<_>>(), self.due.iter().copied().map(Some).collect::<Vec<_>>());
        let mut found = Vec::new();
        while let Some(first) = table.first_due(&entries) {
            assert!(found.len() < self.due.len(), "the queue is too long: {found:?}");
            found.push(entry(&entries, first).and_then(|entry| entry.packet_id).unwrap());
            table.dequeue(&mut entries);
        }
        assert_eq!(found, self.due.iter().copied().collect::<Vec<_>>());
    }

    /// Every identifier there is: exactly those in the table are found.
    fn check_all(&self) {
        for packet_id in (1..=u16::MAX).filter_map(PacketId::new) {
            let expected = self.model.get(&packet_id).map(|exchange| exchange.entry);
            assert_eq!(Table::find(&self.entries, packet_id), expected, "{packet_id}");
        }
    }
}

proptest! {
    #![proptest_config(trials(600))]

    #[test]
    #[cfg_attr(miri, ignore = "too much for an interpreter")]
    fn behaves_like_a_map_and_a_queue(
        size in select(SIZES.to_vec()),
        operations in prop::collection::vec(operation(), 0..150),
    ) {
        let mut pair = Pair::new(size);
        for operation in &operations {
            pair.apply(operation);
            pair.check_queue();
        }
        pair.check_all();
    }
}

/// A peer that picks its identifiers so that all go into one bucket gets a list, in which all is found all the same.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn all_in_one_bucket() {
    let size = 218;
    let mut pair = Pair::new(size);
    let identifiers: Vec<_> = (1..=300).map_while(|factor| PacketId::new(218 * factor)).collect();
    for &packet_id in &identifiers {
        assert_eq!(bucket(&pair.entries, packet_id), Some(0));
        pair.insert(packet_id, Held::Received);
    }
    assert_eq!(usize::from(pair.table.len()), size);
    pair.check();
    // From the front, the back and the middle of the list.
    for (turn, &packet_id) in identifiers.iter().take(size).rev().step_by(2).enumerate() {
        pair.remove(packet_id);
        if turn % 16 == 0 {
            pair.check();
        }
    }
    pair.check_all();
    for &packet_id in &identifiers {
        pair.insert(packet_id, Held::Handed);
    }
    pair.check_all();
}

/// What the comment at `bucket` says: sizes of tables against numbers of identifiers.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn at_most_256_share_a_bucket() {
    for size in 1..=65_535_usize {
        assert!(65_535_usize.div_ceil(size).min(size) <= 256, "{size}");
    }
}

/// No bucket belongs to more identifiers than others: the lists are as short as they can be.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn the_identifiers_are_shared_out_evenly() {
    for size in [1, 2, 7, 8, 255, 256, 300, 65_535] {
        let entries = std::vec![Entry::FREE; size];
        let mut shares = std::vec![0; size];
        for packet_id in (1..=u16::MAX).filter_map(PacketId::new) {
            shares[bucket(&entries, packet_id).unwrap()] += 1;
        }
        let most = shares.iter().max();
        assert_eq!(most, Some(&65_535_usize.div_ceil(size)), "{size}");
    }
    assert_eq!(bucket(&[], PacketId::MIN), None);
}

/// A handle names its exchange by entry and generation, and every end of an exchange makes it stale.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn the_generation_changes_at_every_end() {
    type End = fn(&mut Table, &mut [Entry], EntryId);
    let ends: [End; 3] = [
        |table, entries, id| table.remove(entries, id),
        |table, entries, _| table.carry_over(entries),
        |table, entries, _| table.clear(entries),
    ];
    for end in ends {
        let (mut table, mut entries) = (Table::NEW, [Entry::FREE; 1]);
        let mut last = None;
        // Once around, and a bit further.
        for _ in 0..70_000 {
            let id = table.insert(&mut entries, PacketId::MIN, Held::Pending).unwrap();
            let generation = entry(&entries, id).map(|entry| entry.generation);
            assert_ne!(generation, last);
            last = generation;
            end(&mut table, &mut entries, id);
            assert_eq!((table.len(), Table::find(&entries, PacketId::MIN)), (0, None));
        }
    }
}

/// A second removal of the same entry must not put it among the free ones twice.
#[test]
fn what_is_free_is_not_freed_again() {
    let (mut table, mut entries) = (Table::NEW, [Entry::FREE; 2]);
    let id = table.insert(&mut entries, PacketId::MIN, Held::Received).unwrap();
    table.remove(&mut entries, id);
    table.remove(&mut entries, id);
    table.remove(&mut entries, EntryId::MAX);
    assert_eq!(table.len(), 0);
    let taken: Vec<_> =
        (1..=3).map(|number| table.insert(&mut entries, PacketId::new(number).unwrap(), Held::Received)).collect();
    assert!(taken[0].is_some() && taken[1].is_some() && taken[0] != taken[1] && taken[2].is_none());
}

/// In each state, and whichever of the two changes last.
#[test]
fn every_verdict_is_kept() {
    for held in STATES.into_iter().chain([Held::Free]) {
        for code in REASON_CODES {
            let mut entry = Entry::FREE;
            entry.set_held(held);
            assert_eq!((entry.held(), entry.reason()), (held, None));
            entry.set_reason(code);
            assert_eq!((entry.held(), entry.reason()), (held, Some(code)));
            for other in STATES {
                entry.set_held(other);
                assert_eq!((entry.held(), entry.reason()), (other, Some(code)));
            }
        }
    }
}

#[test]
#[cfg(feature = "v5")]
fn there_is_a_verdict_for_each_code_of_an_acknowledgement() {
    use crate::wire::{AckType, Acknowledgement, Version};
    for kind in [AckType::Puback, AckType::Pubrec] {
        for &code in ReasonCode::ALL {
            let allowed = Acknowledgement::check_code(kind, Version::V5, code).is_ok();
            assert_eq!(REASON_CODES.contains(&code), allowed, "{kind:?} {code:?}");
        }
    }
}

/// What was given back comes before what was never taken, which comes in order, to the end of the largest table.
#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn a_table_of_zeros_is_taken_in_order() {
    let (mut table, mut entries) = (Table::NEW, std::vec![Entry::FREE; 65_535]);
    let mut insert = |id: u16, expected: u16| {
        let inserted = table.insert(&mut entries, PacketId::new(id).unwrap(), Held::Received);
        assert_eq!(inserted, EntryId::new(expected), "{id}");
        if id == 5 {
            [2, 5, 3].into_iter().filter_map(EntryId::new).for_each(|id| table.remove(&mut entries, id));
        }
    };
    (1..=5).for_each(|id| insert(id, id));
    insert(6, 3);
    insert(7, 5);
    insert(8, 2);
    (9..=65_535).for_each(|id| insert(id, id - 3));
    insert(2, 65_533);
    insert(3, 65_534);
    assert_eq!((table.len(), Table::find(&entries, PacketId::new(5).unwrap())), (65_534, None));
    assert_eq!(table.insert(&mut entries, PacketId::new(5).unwrap(), Held::Received), EntryId::new(65_535));
}
