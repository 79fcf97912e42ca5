//! The packet identifiers of what we send. (2.3.1 in 3.1.1, 2.2.1 in 5.0)
//!
//! The sender chooses its identifiers, so it chooses them such that the slot of an identifier can be computed:
//! `identifier - 1 = generation << bits | slot`. Nothing is searched. Free slots are taken in the order in which they
//! became free, and each time with the next generation, so that an identifier comes back as late as possible.

use core::num::NonZeroU16;

use crate::wire::PacketId;

use super::sender::Sent;

/// A place for one exchange that we began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Where the exchange stands.
    pub(crate) sent: Sent,
    generation: u16,
    /// What else there is to know: where the packet is stored (queued, published, to be sent again), how many filters
    /// await their codes (requests), the neighbours in the order of the PUBRELs (released), the next free slot (free).
    pub(crate) link: u32,
}

impl Slot {
    pub(crate) const FREE: Self = Self { sent: Sent::Free, generation: 0, link: 0 };

    pub(crate) const fn is_request(&self) -> bool {
        matches!(self.sent, Sent::Subscribing | Sent::Unsubscribing)
    }
}

/// The index of a slot plus one, so that a table of zeros is a valid one.
pub(crate) type SlotId = NonZeroU16;

/// The slots that are free, and how identifiers map to slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identifiers {
    /// The queue of slots that were used before and are free again, chained by `link`.
    first_free: Option<SlotId>,
    last_free: Option<SlotId>,
    /// How many slots were ever used; those behind them are free, too.
    touched: u16,
    taken: u16,
}

impl Identifiers {
    pub(crate) const NEW: Self = Self { first_free: None, last_free: None, touched: 0, taken: 0 };

    /// How many identifiers are in use.
    pub(crate) const fn taken(&self) -> u16 {
        self.taken
    }

    /// Takes a free slot with an identifier that is not in use. `None` if there is none.
    pub(crate) fn take(&mut self, slots: &mut [Slot], sent: Sent) -> Option<(SlotId, PacketId)> {
        let id = self.next_free(slots)?;
        let bits = bits(slots.len());
        let slot = slot_mut(slots, id)?;
        slot.sent = sent;
        slot.link = 0;
        self.taken = self.taken.saturating_add(1);
        Some((id, identifier(bits, id, slot)))
    }

    /// Frees a slot and its identifier.
    pub(crate) fn release(&mut self, slots: &mut [Slot], id: SlotId) {
        let bits = bits(slots.len());
        let Some(slot) = slot_mut(slots, id) else { return };
        slot.sent = Sent::Free;
        slot.link = 0;
        slot.generation = next_generation(bits, id, slot.generation);
        match self.last_free.and_then(|last| slot_mut(slots, last)) {
            Some(last) => last.link = id.get().into(),
            None => self.first_free = Some(id),
        }
        self.last_free = Some(id);
        self.taken = self.taken.saturating_sub(1);
    }

    /// Gives the exchange in a slot another identifier, as if it were a new one.
    pub(crate) fn renew(slots: &mut [Slot], id: SlotId) -> Option<PacketId> {
        let bits = bits(slots.len());
        let slot = slot_mut(slots, id)?;
        slot.generation = next_generation(bits, id, slot.generation);
        Some(identifier(bits, id, slot))
    }

    fn next_free(&mut self, slots: &mut [Slot]) -> Option<SlotId> {
        if usize::from(self.touched) < slots.len() {
            self.touched = self.touched.checked_add(1)?;
            return SlotId::new(self.touched);
        }
        let id = self.first_free?;
        let next = slot(slots, id)?.link;
        self.first_free = u16::try_from(next).ok().and_then(SlotId::new);
        if self.first_free.is_none() {
            self.last_free = None;
        }
        Some(id)
    }
}

/// The slot whose exchange has this identifier now; `None` if no exchange has.
pub(crate) fn find(slots: &[Slot], packet_id: PacketId) -> Option<SlotId> {
    let bits = bits(slots.len());
    let number = packet_id.get().wrapping_sub(1);
    let index = number & !(u16::MAX.checked_shl(bits).unwrap_or(0));
    let id = SlotId::new(index.checked_add(1)?)?;
    let slot = slot(slots, id)?;
    (slot.sent != Sent::Free && identifier(bits, id, slot) == packet_id).then_some(id)
}

/// The identifier of the exchange in a slot.
pub(crate) fn packet_id(slots: &[Slot], id: SlotId) -> Option<PacketId> {
    slot(slots, id).map(|slot| identifier(bits(slots.len()), id, slot))
}

pub(crate) fn slot(slots: &[Slot], id: SlotId) -> Option<&Slot> {
    slots.get(usize::from(id.get()).wrapping_sub(1))
}

pub(crate) fn slot_mut(slots: &mut [Slot], id: SlotId) -> Option<&mut Slot> {
    slots.get_mut(usize::from(id.get()).wrapping_sub(1))
}

/// The identifier of the exchange in the slot at `index`.
pub(crate) fn packet_id_at(slots: &[Slot], index: usize) -> Option<PacketId> {
    packet_id(slots, SlotId::new(u16::try_from(index.checked_add(1)?).ok()?)?)
}

/// How many bits of an identifier tell the slot: 0 to 16.
const fn bits(slots: usize) -> u32 {
    usize::BITS.saturating_sub(slots.saturating_sub(1).leading_zeros())
}

fn identifier(bits: u32, id: SlotId, slot: &Slot) -> PacketId {
    let number = slot.generation.checked_shl(bits).unwrap_or(0) | id.get().wrapping_sub(1);
    // 65,536 is left out by `next_generation`.
    PacketId::new(number.wrapping_add(1)).unwrap_or(PacketId::MAX)
}

/// The next generation; after the last one whose identifier is at most 65,535, the first.
fn next_generation(bits: u32, id: SlotId, generation: u16) -> u16 {
    let last = u16::MAX.checked_shr(bits).unwrap_or(0);
    let next = generation.wrapping_add(1) & last;
    let number = next.checked_shl(bits).unwrap_or(0) | id.get().wrapping_sub(1);
    if number == u16::MAX { 0 } else { next }
}

#[cfg(test)]
#[path = "identifiers_tests.rs"]
mod tests;
