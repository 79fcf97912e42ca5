//! The exchanges that the peer began and that are not over: which identifiers are held, and in which order the
//! application's acknowledgements are due.
//!
//! The identifiers are the peer's choice, so they are looked up through buckets that lie in the table itself.

use core::num::NonZeroU16;

use crate::wire::{PacketId, ReasonCode};

use super::receiver::Held;

/// A place for one exchange that the peer began, and, independent of it, the head of one bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) packet_id: Option<PacketId>,
    /// The first entry whose identifier belongs into the bucket of this place.
    bucket: Option<EntryId>,
    /// The next entry of the bucket that this exchange is in; of a free entry: the next free one.
    chain: Option<EntryId>,
    /// The next entry for which an acknowledgement of the application is due.
    due: Option<EntryId>,
    /// Grows with each exchange, so that a handle knows whether its exchange is still there.
    pub(crate) generation: u16,
    pub(crate) held: Held,
    /// What the application said, plus one; 0: nothing yet.
    verdict: u8,
}

/// The index of an entry plus one, so that a table of zeros is a valid one.
pub(crate) type EntryId = NonZeroU16;

/// What there is to know about a table of entries as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    free: Option<EntryId>,
    /// How many entries were ever used; those behind them are free, too.
    touched: u16,
    len: u16,
    /// The queue of messages whose acknowledgements are due, in the order of their arrival.
    first_due: Option<EntryId>,
    last_due: Option<EntryId>,
}

impl Table {
    pub(crate) const NEW: Self = Self { free: None, touched: 0, len: 0, first_due: None, last_due: None };

    /// How many exchanges there are.
    pub(crate) const fn len(&self) -> u16 {
        self.len
    }

    /// The exchange with this identifier.
    pub(crate) fn find(entries: &[Entry], packet_id: PacketId) -> Option<EntryId> {
        let mut next = entries.get(bucket(entries, packet_id)?)?.bucket;
        while let Some(id) = next {
            let entry = entry(entries, id)?;
            if entry.packet_id == Some(packet_id) {
                return Some(id);
            }
            next = entry.chain;
        }
        None
    }

    /// Enters an exchange whose identifier is not in the table. `None` if the table is full.
    pub(crate) fn insert(&mut self, entries: &mut [Entry], packet_id: PacketId, held: Held) -> Option<EntryId> {
        let id = self.next_free(entries)?;
        let head = entries.get_mut(bucket(entries, packet_id)?)?;
        let chain = head.bucket.replace(id);
        let entry = entry_mut(entries, id)?;
        entry.packet_id = Some(packet_id);
        entry.chain = chain;
        entry.due = None;
        entry.held = held;
        entry.verdict = 0;
        self.len = self.len.saturating_add(1);
        Some(id)
    }

    /// Forgets an exchange that is not in the queue of due acknowledgements.
    pub(crate) fn remove(&mut self, entries: &mut [Entry], id: EntryId) {
        let Some(&Entry { packet_id: Some(packet_id), chain, .. }) = entry(entries, id) else { return };
        Self::unchain(entries, packet_id, id, chain);
        if let Some(entry) = entry_mut(entries, id) {
            entry.packet_id = None;
            entry.chain = self.free.replace(id);
            entry.generation = entry.generation.wrapping_add(1);
            entry.held = Held::Free;
            entry.verdict = 0;
            self.len = self.len.saturating_sub(1);
        }
    }

    /// Puts an exchange at the end of the queue of due acknowledgements.
    pub(crate) fn enqueue(&mut self, entries: &mut [Entry], id: EntryId) {
        match self.last_due.and_then(|last| entry_mut(entries, last)) {
            Some(last) => last.due = Some(id),
            None => self.first_due = Some(id),
        }
        self.last_due = Some(id);
    }

    /// The exchange whose acknowledgement is due first. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    pub(crate) const fn first_due(&self) -> Option<EntryId> {
        self.first_due
    }

    /// The exchanges whose acknowledgements are due, in the order of their arrival.
    pub(crate) fn due(self, entries: &[Entry]) -> impl Iterator<Item = EntryId> {
        core::iter::successors(self.first_due, |&id| entry(entries, id).and_then(|entry| entry.due))
    }

    /// Takes the first exchange out of the queue of due acknowledgements.
    pub(crate) fn dequeue(&mut self, entries: &mut [Entry]) {
        let next = self.first_due.and_then(|first| entry_mut(entries, first)).and_then(|entry| entry.due.take());
        self.first_due = next;
        if next.is_none() {
            self.last_due = None;
        }
    }

    /// The connection is gone: what is no session state is forgotten, and nothing is due any more.
    pub(crate) fn carry_over(&mut self, entries: &mut [Entry]) {
        self.update(entries, Held::carried_over);
    }

    /// The session is gone: every exchange is forgotten.
    pub(crate) fn clear(&mut self, entries: &mut [Entry]) {
        self.update(entries, |_| Held::Free);
    }

    fn update(&mut self, entries: &mut [Entry], after: impl Fn(Held) -> Held) {
        self.first_due = None;
        self.last_due = None;
        for id in (1..=self.touched).filter_map(EntryId::new) {
            let Some(entry) = entry_mut(entries, id) else { continue };
            entry.due = None;
            entry.held = after(entry.held);
            if entry.held == Held::Free && entry.packet_id.is_some() {
                self.remove(entries, id);
            }
        }
    }

    fn next_free(&mut self, entries: &[Entry]) -> Option<EntryId> {
        if let Some(id) = self.free {
            self.free = entry(entries, id)?.chain;
            return Some(id);
        }
        let id = self.touched.checked_add(1).filter(|&id| usize::from(id) <= entries.len())?;
        self.touched = id;
        EntryId::new(id)
    }

    fn unchain(entries: &mut [Entry], packet_id: PacketId, id: EntryId, after: Option<EntryId>) {
        let Some(head) = bucket(entries, packet_id).and_then(|bucket| entries.get_mut(bucket)) else { return };
        if head.bucket == Some(id) {
            head.bucket = after;
            return;
        }
        let mut next = head.bucket;
        while let Some(entry) = next.and_then(|next| entry_mut(entries, next)) {
            if entry.chain == Some(id) {
                entry.chain = after;
                return;
            }
            next = entry.chain;
        }
    }
}

impl Entry {
    pub(crate) const FREE: Self =
        Self { packet_id: None, bucket: None, chain: None, due: None, generation: 0, held: Held::Free, verdict: 0 };

    /// What the application said.
    pub(crate) const fn verdict(&self) -> Option<ReasonCode> {
        ReasonCode::of_byte(self.verdict.wrapping_sub(1))
    }

    /// Notes what the application says.
    pub(crate) const fn judge(&mut self, verdict: ReasonCode) {
        self.verdict = (verdict as u8).wrapping_add(1);
    }

    /// Whether the exchange counts against our Receive Maximum on this connection. (5.0: 3.3.4)
    pub(crate) const fn is_counted(&self) -> bool {
        !matches!(self.held, Held::ReceivedBefore | Held::HandedBefore | Held::Free)
    }
}

pub(crate) fn entry(entries: &[Entry], id: EntryId) -> Option<&Entry> {
    entries.get(usize::from(id.get()).wrapping_sub(1))
}

pub(crate) fn entry_mut(entries: &mut [Entry], id: EntryId) -> Option<&mut Entry> {
    entries.get_mut(usize::from(id.get()).wrapping_sub(1))
}

/// The bucket of an identifier. Peers count up, so neighbours go to different buckets; at most 256 share one.
fn bucket(entries: &[Entry], packet_id: PacketId) -> Option<usize> {
    usize::from(packet_id.get()).checked_rem(entries.len())
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
