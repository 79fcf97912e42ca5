//! Exchanges in an order of their own: PUBRELs in that of their PUBRECs ([MQTT-4.6.0-4]), and those that have ended
//! and are to be told. And the ages of PUBRELs, where they are sent again after a time.

use super::identifiers::{Slot, SlotId, bits, slot, slot_mut};

/// Exchanges whose packets are gone, chained both ways through the links of their slots, so that each can be taken out wherever
/// it stands: a circle, behind the last comes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    last: Option<SlotId>,
}

impl Chain {
    pub(crate) const NEW: Self = Self { last: None };

    pub(crate) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) fn first(&self, slots: &[Slot]) -> Option<SlotId> {
        neighbour(slots, self.last?, Side::Behind)
    }

    /// The exchange behind `id`.
    pub(crate) fn after(&self, slots: &[Slot], id: SlotId) -> Option<SlotId> {
        if self.last == Some(id) { None } else { neighbour(slots, id, Side::Behind) }
    }

    pub(crate) fn push(&mut self, slots: &mut [Slot], id: SlotId) {
        let first = self.first(slots);
        if let Some(slot) = slot_mut(slots, id) {
            slot.set_link(0);
        }
        // One that is alone is before and behind itself.
        let last = self.last.replace(id).unwrap_or(id);
        join(slots, last, id);
        join(slots, id, first.unwrap_or(id));
    }

    pub(crate) fn remove(&mut self, slots: &mut [Slot], id: SlotId) {
        let neighbours = (neighbour(slots, id, Side::InFront), neighbour(slots, id, Side::Behind));
        let (Some(previous), Some(next)) = neighbours else { return };
        if self.last == Some(id) {
            self.last = Some(previous).filter(|&previous| previous != id);
        }
        join(slots, previous, next);
    }
}

/// Where the link of a slot names a neighbour, by its index: in as many bits as the table needs. What is left of the link
/// above both is the time.
#[derive(Clone, Copy)]
enum Side {
    InFront = 0,
    Behind = 1,
}

fn neighbour(slots: &[Slot], id: SlotId, side: Side) -> Option<SlotId> {
    let (shift, mask) = field(slots, side);
    let index = slot(slots, id)?.link() >> shift & mask;
    SlotId::new(u16::try_from(index).ok()?.wrapping_add(1))
}

/// Makes neighbours of two exchanges.
fn join(slots: &mut [Slot], previous: SlotId, next: SlotId) {
    name(slots, previous, Side::Behind, next);
    name(slots, next, Side::InFront, previous);
}

fn name(slots: &mut [Slot], id: SlotId, side: Side, other: SlotId) {
    let (shift, mask) = field(slots, side);
    if let Some(slot) = slot_mut(slots, id) {
        let index = u32::from(other.get().wrapping_sub(1));
        slot.set_link(slot.link() & !(mask << shift) | index << shift);
    }
}

/// Where a field begins, and how long it is. A table has at most 65,535 slots.
fn field(slots: &[Slot], side: Side) -> (u32, u32) {
    let width = width(slots);
    (width.wrapping_mul(side as u32), (1_u32 << width).wrapping_sub(1))
}

fn width(slots: &[Slot]) -> u32 {
    bits(slots.len()).min(16)
}

/// How the age of a PUBREL is told that is sent again after a time. In a table of up to 64 slots it is exact. In a larger one it
/// is rounded, and PUBREL comes later by up to a 16th of that time. From 4,097 slots on there is no room for it.
#[derive(Clone, Copy)]
pub(crate) struct Ages {
    /// Where the time is in a link.
    shift: u32,
    /// A unit of it is two to the power of so many milliseconds.
    unit: u32,
    /// After how many milliseconds it is sent again.
    limit: u32,
}

impl Ages {
    /// The fewest bits that are worth a look.
    const FEWEST: u32 = 8;

    pub(crate) fn new(slots: &[Slot], seconds: u8) -> Self {
        let shift = width(slots).wrapping_mul(2);
        let limit = u32::from(seconds).wrapping_mul(1000);
        // The time goes around in a circle of at least four times the limit.
        let needed = u32::BITS.wrapping_sub(limit.leading_zeros()).wrapping_add(2);
        Self { shift, unit: needed.saturating_sub(u32::BITS.wrapping_sub(shift)), limit }
    }

    /// Notes that PUBREL is sent at this millisecond.
    pub(crate) fn note(self, slots: &mut [Slot], id: SlotId, now: u32) {
        if let Some(slot) = slot_mut(slots, id).filter(|_| self.is_known()) {
            slot.set_link(slot.link() & !(u32::MAX << self.shift) | now >> self.unit << self.shift);
        }
    }

    /// Notes that it is due.
    pub(crate) fn note_due(self, slots: &mut [Slot], id: SlotId, now: u32) {
        self.note(slots, id, now.wrapping_sub(self.longest()).wrapping_sub(self.rounding()));
    }

    /// Notes that the clock was set back: what has passed stays passed.
    pub(crate) fn set_back(self, slot: &mut Slot, was: u32, now: u32) {
        if self.is_known() {
            let units = (was >> self.unit).wrapping_sub(now >> self.unit);
            // The time is what is highest, so nothing else changes.
            slot.set_link(slot.link().wrapping_sub(units << self.shift));
        }
    }

    /// The milliseconds since it was sent.
    pub(crate) fn age(self, slot: &Slot, now: u32) -> u32 {
        if !self.is_known() {
            return self.limit;
        }
        let units = (now >> self.unit).wrapping_sub(slot.link() >> self.shift) & (u32::MAX >> self.shift);
        units << self.unit
    }

    /// The milliseconds until it is sent again.
    pub(crate) fn left(self, slots: &[Slot], id: SlotId, now: u32) -> u32 {
        let age = slot(slots, id).map_or(self.limit, |slot| self.age(slot, now));
        if self.is_known() { self.longest().saturating_sub(age) } else { 0 }
    }

    /// What is rounded counts as younger than it is: nothing is sent too early.
    const fn longest(self) -> u32 {
        self.limit.wrapping_add(self.rounding())
    }

    const fn rounding(self) -> u32 {
        (1_u32 << self.unit).wrapping_sub(1)
    }

    const fn is_known(self) -> bool {
        self.shift <= u32::BITS - Self::FEWEST
    }
}

const _: () = assert!(size_of::<Chain>() == 2);

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
