//! A chain of slots against a list, with removals anywhere.
#![allow(clippy::arithmetic_side_effects, reason = "indices of small tables")]

extern crate std;

use proptest::prelude::*;
use proptest::sample::Index;
use std::vec::Vec;

use super::{Chain, Slot, SlotId, slot};
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
        let [in_front, _] = slot(slots, id).unwrap().halves;
        assert_eq!(in_front, previous.get());
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
