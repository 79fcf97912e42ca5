//! The packet identifiers of what we send. (2.3.1 in 3.1.1, 2.2.1 in 5.0)
//!
//! The sender chooses its identifiers, so it chooses them such that the slot of an identifier can be computed:
//! `identifier - 1 = generation * slots + slot`. Nothing is searched. Free slots are taken in the order in which they
//! became free, and each time with the next generation, so that an identifier comes back as late as possible.
//!
//! A slot has room for 2,048 generations. In a table of 32 slots or more they have no more, so all 65,535 identifiers are
//! used; in a smaller one, the first 2,048 of each slot: with one exchange at a time, so many times the number of slots
//! come before any comes twice.
//!
//! A table of more than 32,767 slots has slots with a single identifier, because there are no more of them. Such a slot
//! waits behind all other free ones before it is taken again. If none of the others is free, its identifier comes back at
//! once, and a late answer to the old exchange would be taken for one to the new.

use core::num::NonZeroU16;

use crate::wire::PacketId;

use super::sender::Sent;

/// A place for one exchange that we began. A table of zeros is an empty one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The number of `Sent` in the low bits, the generation above them.
    state: u16,
    /// The low and the high half of the link: as one number it would ask for an alignment that costs two bytes per slot.
    halves: [u16; 2],
}

impl Slot {
    pub(crate) const FREE: Self = Self { state: 0, halves: [0, 0] };

    const SENT_BITS: u32 = 5;
    const SENT: u16 = 0b1_1111;
    const LAST_GENERATION: u16 = u16::MAX >> Self::SENT_BITS;

    /// Where the exchange stands.
    pub(crate) fn sent(&self) -> Sent {
        Sent::of_number(self.state & Self::SENT)
    }

    pub(crate) const fn set_sent(&mut self, sent: Sent) {
        self.state = self.state & !Self::SENT | sent.number();
    }

    /// What else there is to know: where the packet is stored (queued, published, to be sent again), what is asked for and how many
    /// filters await their codes (requests), the neighbours in the order of the PUBRELs and when PUBREL was sent (released), the
    /// neighbours among those whose outcome is to be told (expired, lost requests), which slot is free next (free).
    pub(crate) fn link(&self) -> u32 {
        let [low, high] = self.halves;
        u32::from(high) << 16 | u32::from(low)
    }

    pub(crate) const fn set_link(&mut self, link: u32) {
        let [a, b, c, d] = link.to_le_bytes();
        self.halves = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
    }

    pub(crate) const fn is_request(&self) -> bool {
        // Their numbers are the highest.
        self.state & Self::SENT >= Sent::Requesting.number()
    }

    /// Whether it is in no sequence: a request, or a message that was given up.
    pub(crate) fn stands_alone(&self) -> bool {
        self.is_request() || matches!(self.sent(), Sent::GivenUp(..))
    }

    const fn is_free(&self) -> bool {
        self.state & Self::SENT == 0
    }

    const fn generation(&self) -> u16 {
        self.state >> Self::SENT_BITS
    }

    /// Goes on to the next identifier; after the last one, which is at most 65,535, to the first.
    fn advance(&mut self, slots: u32, id: SlotId) {
        let next = self.generation().wrapping_add(1) & Self::LAST_GENERATION;
        let is_past_the_end = number(slots, id, next) >= u32::from(u16::MAX);
        let generation = if is_past_the_end { 0 } else { next };
        self.state = generation << Self::SENT_BITS | self.state & Self::SENT;
    }
}

/// The index of a slot plus one, so that a table of zeros is a valid one.
pub(crate) type SlotId = NonZeroU16;

/// The slots that are free, and how identifiers map to slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identifiers {
    /// The index of the neighbour of the slot that became free last. The free slots are a circle, chained by their links,
    /// in the order in which they became free: behind the last comes the first.
    behind_last: u16,
    taken: u16,
}

impl Identifiers {
    pub(crate) const NEW: Self = Self { behind_last: 0, taken: 0 };

    /// How many identifiers are in use.
    pub(crate) const fn taken(&self) -> u16 {
        self.taken
    }

    /// Takes a free slot, and says what it links to, with an identifier that is not in use. `None` if there is none.
    pub(crate) fn take(&mut self, slots: &mut [Slot], sent: Sent, link: u32) -> Option<(SlotId, PacketId)> {
        let last = self.last(slots)?;
        let id = successor(slots, last)?;
        chain(slots, last, successor(slots, id)?);
        let len = len(slots);
        let slot = slot_mut(slots, id)?;
        slot.set_sent(sent);
        slot.set_link(link);
        self.taken = self.taken.wrapping_add(1);
        Some((id, identifier(len, id, slot)))
    }

    /// Frees a slot and its identifier.
    // Not where it is called, which is in paths that are mostly not taken.
    #[inline(never)]
    pub(crate) fn release(&mut self, slots: &mut [Slot], id: SlotId) {
        let len = len(slots);
        let Some(slot) = slot_mut(slots, id) else { return };
        slot.set_sent(Sent::Free);
        slot.advance(len, id);
        // Where no other is free, it is behind itself.
        chain(slots, id, id);
        let last = self.last(slots).unwrap_or(id);
        chain(slots, id, successor(slots, last).unwrap_or(id));
        chain(slots, last, id);
        self.behind_last = neighbour(slots, id);
        self.taken = self.taken.wrapping_sub(1);
    }

    /// Gives the exchange in a slot another identifier, as if it were a new one.
    pub(crate) fn renew(slots: &mut [Slot], id: SlotId) -> Option<PacketId> {
        let len = len(slots);
        let slot = slot_mut(slots, id)?;
        slot.advance(len, id);
        Some(identifier(len, id, slot))
    }

    /// The exchange with this identifier in a slot that is free, of a table whose free slots are not yet chained. `false`: the
    /// identifier is not one of this slot.
    #[cfg(feature = "durable")]
    pub(crate) fn restore(slots: &mut [Slot], index: usize, packet_id: PacketId, sent: Sent) -> bool {
        let len = len(slots);
        let number = u32::from(packet_id.get()).wrapping_sub(1);
        let Some(generation) = number.checked_div(len) else { return false };
        let is_here = usize::try_from(number.wrapping_sub(generation.wrapping_mul(len))) == Ok(index);
        match (u16::try_from(generation), slots.get_mut(index)) {
            (Ok(generation @ ..=Slot::LAST_GENERATION), Some(slot)) if is_here => {
                slot.state = generation << Slot::SENT_BITS | sent.number();
                true
            }
            _ => false,
        }
    }

    /// Chains the free slots of a table into which exchanges were put.
    #[cfg(feature = "durable")]
    pub(crate) fn restored(slots: &mut [Slot]) -> Self {
        let (mut first, mut last, mut taken) = (None, None, 0_u16);
        for id in (1..=u16::MAX).take(slots.len()).filter_map(SlotId::new) {
            if !slot(slots, id).is_some_and(Slot::is_free) {
                taken = taken.wrapping_add(1);
                continue;
            }
            chain(slots, last.unwrap_or(id), id);
            first = first.or(Some(id));
            last = Some(id);
        }
        if let (Some(first), Some(last)) = (first, last) {
            chain(slots, last, first);
        }
        Self { behind_last: last.map_or(0, |last| neighbour(slots, last)), taken }
    }

    /// The slot that became free last, if one is free.
    fn last(&self, slots: &[Slot]) -> Option<SlotId> {
        let all = u16::try_from(slots.len()).ok()?;
        let last = if self.behind_last == 0 { all } else { self.behind_last };
        SlotId::new(last).filter(|_| self.taken < all)
    }
}

/// The slot whose exchange has this identifier now; `None` if no exchange has.
pub(crate) fn find(slots: &[Slot], packet_id: PacketId) -> Option<SlotId> {
    let len = len(slots);
    let number = u32::from(packet_id.get()).wrapping_sub(1);
    let generation = number.checked_div(len)?;
    let index = number.wrapping_sub(generation.wrapping_mul(len));
    let id = SlotId::new(u16::try_from(index.wrapping_add(1)).ok()?)?;
    let slot = slot(slots, id)?;
    (!slot.is_free() && u32::from(slot.generation()) == generation).then_some(id)
}

/// The identifier of the exchange in a slot.
pub(crate) fn packet_id(slots: &[Slot], id: SlotId) -> Option<PacketId> {
    slot(slots, id).map(|slot| identifier(len(slots), id, slot))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn slot(slots: &[Slot], id: SlotId) -> Option<&Slot> {
    slots.get(usize::from(id.get()).wrapping_sub(1))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn slot_mut(slots: &mut [Slot], id: SlotId) -> Option<&mut Slot> {
    slots.get_mut(usize::from(id.get()).wrapping_sub(1))
}

/// The identifier of the exchange in the slot at `index`.
pub(crate) fn packet_id_at(slots: &[Slot], index: usize) -> Option<PacketId> {
    packet_id(slots, SlotId::new(u16::try_from(index.checked_add(1)?).ok()?)?)
}

/// The free slot behind a free slot. Links of zeros chain each slot to its neighbour.
fn successor(slots: &[Slot], id: SlotId) -> Option<SlotId> {
    let [link, _] = slot(slots, id)?.halves;
    SlotId::new((link ^ neighbour(slots, id)).wrapping_add(1))
}

fn chain(slots: &mut [Slot], id: SlotId, next: SlotId) {
    let link = next.get().wrapping_sub(1) ^ neighbour(slots, id);
    if let Some(slot) = slot_mut(slots, id) {
        slot.halves = [link, 0];
    }
}

/// The index behind that of a slot; behind the last one the first.
fn neighbour(slots: &[Slot], id: SlotId) -> u16 {
    if usize::from(id.get()) < slots.len() { id.get() } else { 0 }
}

/// How many bits an index takes: 0 to 16; of an empty table it means nothing.
pub(super) const fn bits(slots: usize) -> u32 {
    usize::BITS.wrapping_sub(slots.wrapping_sub(1).leading_zeros())
}

/// There are at most 65,535.
fn len(slots: &[Slot]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(u32::MAX)
}

/// The identifier of a generation of a slot, minus one, in a table of `slots`.
fn number(slots: u32, id: SlotId, generation: u16) -> u32 {
    u32::from(generation).wrapping_mul(slots).wrapping_add(id.get().into()).wrapping_sub(1)
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn identifier(slots: u32, id: SlotId, slot: &Slot) -> PacketId {
    let number = number(slots, id, slot.generation());
    // Larger ones are left out by `advance`.
    u16::try_from(number.wrapping_add(1)).ok().and_then(PacketId::new).unwrap_or(PacketId::MAX)
}

const _: () = assert!(size_of::<Slot>() == 6 && size_of::<Identifiers>() == 4);

#[cfg(test)]
#[path = "identifiers_tests.rs"]
mod tests;
