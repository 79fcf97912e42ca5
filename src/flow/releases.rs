//! The order of the PUBRELs: that of their PUBRECs. [MQTT-4.6.0-4]

use super::identifiers::{Slot, SlotId, slot, slot_mut};

/// The exchanges that wait for PUBCOMP, in the order of their PUBRECs. They are chained both ways through the links of
/// their slots, so that a PUBCOMP takes its exchange out wherever it stands: a circle, behind the last comes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Releases {
    last: Option<SlotId>,
}

impl Releases {
    pub(crate) const NEW: Self = Self { last: None };

    pub(crate) fn first(&self, slots: &[Slot]) -> Option<SlotId> {
        Neighbours::of(slot(slots, self.last?)?).next
    }

    /// The exchange behind `id`.
    pub(crate) fn after(&self, slots: &[Slot], id: SlotId) -> Option<SlotId> {
        if self.last == Some(id) { None } else { Neighbours::of(slot(slots, id)?).next }
    }

    pub(crate) fn push(&mut self, slots: &mut [Slot], id: SlotId) {
        let last = self.last.unwrap_or(id);
        let first = self.first(slots).unwrap_or(id);
        Neighbours { previous: Some(last), next: Some(first) }.store(slots, id);
        Neighbours::update(slots, last, |neighbours| neighbours.next = Some(id));
        Neighbours::update(slots, first, |neighbours| neighbours.previous = Some(id));
        self.last = Some(id);
    }

    pub(crate) fn remove(&mut self, slots: &mut [Slot], id: SlotId) {
        let Some(Neighbours { previous: Some(previous), next: Some(next) }) = slot(slots, id).map(Neighbours::of)
        else {
            return;
        };
        if self.last == Some(id) {
            self.last = Some(previous).filter(|&previous| previous != id);
        }
        Neighbours::update(slots, previous, |neighbours| neighbours.next = Some(next));
        Neighbours::update(slots, next, |neighbours| neighbours.previous = Some(previous));
    }
}

/// The two neighbours of an exchange, which are the halves of its link.
struct Neighbours {
    previous: Option<SlotId>,
    next: Option<SlotId>,
}

impl Neighbours {
    const fn of(slot: &Slot) -> Self {
        let [previous, next] = slot.halves;
        Self { previous: SlotId::new(previous), next: SlotId::new(next) }
    }

    fn store(&self, slots: &mut [Slot], id: SlotId) {
        if let Some(slot) = slot_mut(slots, id) {
            slot.halves = [number(self.previous), number(self.next)];
        }
    }

    fn update(slots: &mut [Slot], id: SlotId, change: impl FnOnce(&mut Self)) {
        if let Some(mut neighbours) = slot(slots, id).map(Self::of) {
            change(&mut neighbours);
            neighbours.store(slots, id);
        }
    }
}

fn number(id: Option<SlotId>) -> u16 {
    id.map_or(0, SlotId::get)
}

const _: () = assert!(size_of::<Releases>() == 2);

#[cfg(test)]
#[path = "releases_tests.rs"]
mod tests;
