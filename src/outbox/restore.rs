//! A store that is filled again from records, which come in any order.

use super::{Label, Lifetime, Order, Outbox, Part, Place, Store, index, packet_start, place, size, start};
use crate::bytes;

impl Store<'_> {
    /// Puts a packet between others, all of which lie together at the front: in front of the first for whose slot `is_later`
    /// says so. `false`: it has no room. The sequence is not yet linked.
    pub(crate) fn put(&mut self, slot: u16, lifetime: Lifetime, packet: &[u8], is_later: impl Fn(u16) -> bool) -> bool {
        let (size, end) = (size(packet.len()), self.outbox.end);
        let Some(new_end) = end.checked_add(size).filter(|&new_end| new_end <= self.records().len()) else {
            return false;
        };
        let mut at = Place::MIN;
        while start(at) < end && !is_later(self.records().slot(at)) {
            at = place(start(at).wrapping_add(self.records().size(at)));
        }
        let tail = self.bytes.get_mut(index(start(at))..index(new_end)).unwrap_or_default();
        bytes::rotate_left(tail, index(end.wrapping_sub(start(at))));
        self.outbox.end = new_end;
        self.set_part(at, Part::Lifetime, lifetime.number());
        self.set_part(at, Part::SlotAndAlias, slot.into());
        bytes::copy(self.bytes.get_mut(packet_start(at)..).unwrap_or_default(), packet);
        true
    }

    /// What was put, and for which slot.
    pub(crate) fn unlinked(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let (records, end) = (self.records(), self.outbox.end);
        let mut next = 0_u32;
        core::iter::from_fn(move || {
            let at = place(next);
            let packet = Some(records.packet(at)).filter(|packet| next < end && !packet.is_empty())?;
            next = next.wrapping_add(size(packet.len()));
            Some((records.slot(at), packet))
        })
    }

    /// Links what was put.
    pub(crate) fn link(&mut self) {
        let end = self.outbox.end;
        *self.outbox = Outbox::EMPTY;
        while self.outbox.end < end {
            let place = place(self.outbox.end);
            let label = Label { slot: self.slot(place), alias: self.alias(place), lifetime: self.lifetime(place) };
            let len = self.records().packet(place).len();
            self.accept(Order::Acknowledged, label, place, len);
        }
    }
}
