//! Exchanges in an order of their own: PUBRELs in that of their PUBRECs ([MQTT-4.6.0-4]), and messages that have expired.

use super::identifiers::{Slot, SlotId, slot, slot_mut};

/// Exchanges whose packets are gone, chained both ways through the links of their slots, so that each can be taken out wherever
/// it stands: a circle, behind the last comes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    last: Option<SlotId>,
}

impl Chain {
    pub(crate) const NEW: Self = Self { last: None };

    pub(crate) fn first(&self, slots: &[Slot]) -> Option<SlotId> {
        next(slots, self.last?)
    }

    /// The exchange behind `id`.
    pub(crate) fn after(&self, slots: &[Slot], id: SlotId) -> Option<SlotId> {
        if self.last == Some(id) { None } else { next(slots, id) }
    }

    pub(crate) fn push(&mut self, slots: &mut [Slot], id: SlotId) {
        // One that is alone is before and behind itself.
        join(slots, id, id);
        let last = self.last.replace(id).unwrap_or(id);
        let first = next(slots, last).unwrap_or(id);
        join(slots, last, id);
        join(slots, id, first);
    }

    pub(crate) fn remove(&mut self, slots: &mut [Slot], id: SlotId) {
        let Some([previous, next]) = slot(slots, id).map(|slot| slot.halves.map(SlotId::new)) else { return };
        let (Some(previous), Some(next)) = (previous, next) else { return };
        if self.last == Some(id) {
            self.last = Some(previous).filter(|&previous| previous != id);
        }
        join(slots, previous, next);
    }
}

fn next(slots: &[Slot], id: SlotId) -> Option<SlotId> {
    let [_, next] = slot(slots, id)?.halves;
    SlotId::new(next)
}

/// Makes neighbours of two exchanges. What is in front of one is the first half of its link, what is behind it the second.
fn join(slots: &mut [Slot], previous: SlotId, next: SlotId) {
    if let Some(Slot { halves: [_, behind], .. }) = slot_mut(slots, previous) {
        *behind = next.get();
    }
    if let Some(Slot { halves: [in_front, _], .. }) = slot_mut(slots, next) {
        *in_front = previous.get();
    }
}

const _: () = assert!(size_of::<Chain>() == 2);

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
