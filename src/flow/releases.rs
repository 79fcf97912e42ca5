//! The order of the PUBRELs: that of their PUBRECs. [MQTT-4.6.0-4]

use super::identifiers::{Slot, SlotId, slot, slot_mut};

/// The exchanges that wait for PUBCOMP, in the order of their PUBRECs. They are chained both ways through the links of
/// their slots, so that a PUBCOMP takes its exchange out wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Releases {
    first: Option<SlotId>,
    last: Option<SlotId>,
}

impl Releases {
    pub(crate) const NEW: Self = Self { first: None, last: None };

    pub(crate) const fn first(&self) -> Option<SlotId> {
        self.first
    }

    /// The exchange behind `id`.
    pub(crate) fn after(slots: &[Slot], id: SlotId) -> Option<SlotId> {
        slot(slots, id).and_then(|slot| Neighbours::of(slot).next)
    }

    pub(crate) fn push(&mut self, slots: &mut [Slot], id: SlotId) {
        Neighbours { previous: self.last, next: None }.store(slots, id);
        match self.last {
            Some(last) => Neighbours::update(slots, last, |neighbours| neighbours.next = Some(id)),
            None => self.first = Some(id),
        }
        self.last = Some(id);
    }

    pub(crate) fn remove(&mut self, slots: &mut [Slot], id: SlotId) {
        let Some(Neighbours { previous, next }) = slot(slots, id).map(Neighbours::of) else { return };
        match previous {
            Some(previous) => Neighbours::update(slots, previous, |neighbours| neighbours.next = next),
            None => self.first = next,
        }
        match next {
            Some(next) => Neighbours::update(slots, next, |neighbours| neighbours.previous = previous),
            None => self.last = previous,
        }
    }
}

/// The two neighbours of an exchange, as its link holds them.
struct Neighbours {
    previous: Option<SlotId>,
    next: Option<SlotId>,
}

impl Neighbours {
    const fn of(slot: &Slot) -> Self {
        let [a, b, c, d] = slot.link.to_be_bytes();
        Self { previous: SlotId::new(u16::from_be_bytes([a, b])), next: SlotId::new(u16::from_be_bytes([c, d])) }
    }

    fn store(&self, slots: &mut [Slot], id: SlotId) {
        if let Some(slot) = slot_mut(slots, id) {
            let [a, b] = number(self.previous).to_be_bytes();
            let [c, d] = number(self.next).to_be_bytes();
            slot.link = u32::from_be_bytes([a, b, c, d]);
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

#[cfg(test)]
#[path = "releases_tests.rs"]
mod tests;
