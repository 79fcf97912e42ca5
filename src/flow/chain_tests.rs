//! A chain of slots against a list, with removals anywhere.
#![allow(clippy::arithmetic_side_effects, reason = "indices of small tables")]

extern crate std;

use proptest::prelude::*;
use proptest::sample::Index;
use std::vec::Vec;

use super::{Ages, Chain, Side, Slot, SlotId, neighbour, slot};
use crate::trials::trials;

#[derive(Clone, Debug)]
enum Operation {
    Push(Index),
    Remove(Index),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => any::<Index>().prop_map(Operation::Push),
        2 => any::<Index>().prop_map(Operation::Remove),
    ]
}

fn check(chain: &Chain, slots: &[Slot], model: &[SlotId]) {
    let mut found = Vec::new();
    let mut next = chain.first(slots);
    while let Some(id) = next {
        assert!(found.len() < model.len(), "too long: {found:?}, {id}, expected {model:?}");
        found.push(id);
        next = chain.after(slots, id);
    }
    assert_eq!(found, model);
    for (at, &id) in model.iter().enumerate() {
        let previous = model[at.checked_sub(1).unwrap_or(model.len() - 1)];
        assert_eq!(neighbour(slots, id, Side::InFront), Some(previous));
    }
    assert_eq!(chain.last, model.last().copied());
}

fn run(size: u16, operations: &[Operation]) {
    let mut slots = std::vec![Slot::FREE; size.into()];
    let mut chain = Chain::NEW;
    let mut model: Vec<SlotId> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Push(index) => {
                let idle: Vec<_> = (1..=size).filter_map(SlotId::new).filter(|id| !model.contains(id)).collect();
                if !idle.is_empty() {
                    let id = *index.get(&idle);
                    // What a PUBLISH leaves in its link, the place of its packet, must not matter.
                    super::slot_mut(&mut slots, id).unwrap().set_link(u32::MAX);
                    chain.push(&mut slots, id);
                    model.push(id);
                }
            }
            Operation::Remove(index) if !model.is_empty() => {
                let id = model.remove(index.index(model.len()));
                let sent = slot(&slots, id).map(Slot::sent);
                chain.remove(&mut slots, id);
                assert_eq!(slot(&slots, id).map(Slot::sent), sent);
            }
            Operation::Remove(_) => {}
        }
        check(&chain, &slots, &model);
    }
}

proptest! {
    #![proptest_config(trials(400))]

    #[test]
    fn follow_the_order_of_a_list(size in 1_u16..=12, operations in prop::collection::vec(operation(), 0..80)) {
        run(size, &operations);
    }
}

/// Identifiers above 255 and at the very end of the largest table keep both halves of a link apart.
#[test]
fn a_chain_through_the_largest_table() {
    let mut slots = std::vec![Slot::FREE; 65_535];
    let mut chain = Chain::NEW;
    let mut model: Vec<SlotId> =
        [65_535, 1, 256, 255, 65_534, 257, 32_768, 2].map(|id| SlotId::new(id).unwrap()).into();
    for &id in &model {
        chain.push(&mut slots, id);
    }
    check(&chain, &slots, &model);
    for at in [3, 0, 5, 1] {
        chain.remove(&mut slots, model.remove(at));
        check(&chain, &slots, &model);
    }
    while let Some(id) = model.pop() {
        chain.remove(&mut slots, id);
        check(&chain, &slots, &model);
    }
    assert_eq!(chain.first(&slots), None);
}

/// None is sent too early, and none much too late, whatever the size of the table; and the order is not touched.
#[test]
fn ages_are_told_as_exactly_as_there_is_room() {
    for (size, rounding) in [(1, 0), (8, 0), (64, 0), (65, 4), (512, 64), (4096, 4096)] {
        let mut slots = std::vec![Slot::FREE; size];
        let ids: Vec<_> = [1, size].into_iter().filter_map(|id| SlotId::new(u16::try_from(id).unwrap())).collect();
        let mut chain = Chain::NEW;
        ids.iter().take(size).for_each(|&id| chain.push(&mut slots, id));
        for (seconds, begun) in [(1, 0), (20, u32::MAX - 10_000), (20, 1 << 31), (255, 77)] {
            let limit = u32::from(seconds) * 1000;
            let rounding = u32::min(rounding, limit / 16);
            let ages = Ages::new(&slots, seconds);
            for &id in &ids {
                ages.note(&mut slots, id, begun);
                let left = |millis: u32| ages.left(&slots, id, begun.wrapping_add(millis));
                assert!((limit..=limit + 2 * rounding).contains(&left(0)), "{size} {seconds}: {}", left(0));
                assert!(left(limit - 1) >= 1, "{size} {seconds}");
                assert_eq!(left(limit + 2 * rounding), 0, "{size} {seconds}");
                assert_eq!(left(2 * limit), 0, "{size} {seconds}");
                let slot = super::slot_mut(&mut slots, id).unwrap();
                ages.set_back(slot, begun.wrapping_add(limit / 2), begun.wrapping_sub(3_600_000));
                let left = ages.left(&slots, id, begun.wrapping_sub(3_600_000));
                assert!((limit / 2..=limit / 2 + 3 * rounding).contains(&left), "{size} {seconds}: {left}");
                ages.note_due(&mut slots, id, begun);
                assert_eq!(ages.left(&slots, id, begun), 0);
            }
        }
        if size > 1 {
            check(&chain, &slots, &ids);
        }
    }
    let mut slots = std::vec![Slot::FREE; 65_535];
    let ages = Ages::new(&slots, 20);
    ages.note(&mut slots, SlotId::MAX, 5);
    assert_eq!(ages.left(&slots, SlotId::MAX, 5), 0, "it is not known");
}
