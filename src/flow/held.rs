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
    /// The next entry of the bucket that this exchange is in, 0 if it is the last one; of a free entry: how far behind its
    /// neighbour the next free one is.
    chain: u16,
    /// The next entry for which an acknowledgement of the application is due; of the last one: the first.
    due: Option<EntryId>,
    /// Grows with each exchange and goes around, so that a handle knows whether its exchange is still there.
    pub(crate) generation: u8,
    state: State,
}

/// The index of an entry plus one, so that a table of zeros is a valid one.
pub(crate) type EntryId = NonZeroU16;

/// What there is to know about a table of entries as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    /// The index of the entry that is taken next. Those after it follow in a chain, whose end lies behind the table.
    free: u16,
    len: u16,
    /// The end of the queue of messages whose acknowledgements are due, in the order of their arrival: a circle.
    last_due: Option<EntryId>,
}

impl Table {
    pub(crate) const NEW: Self = Self { free: 0, len: 0, last_due: None };

    /// How many exchanges there are.
    pub(crate) const fn len(&self) -> u16 {
        self.len
    }

    /// Whether there is no place for another one.
    pub(crate) const fn is_full(&self, entries: &[Entry]) -> bool {
        self.len as usize >= entries.len()
    }

    /// The exchange with this identifier.
    pub(crate) fn find(entries: &[Entry], packet_id: PacketId) -> Option<EntryId> {
        let mut next = entries.get(bucket(entries, packet_id)?)?.bucket;
        while let Some(id) = next {
            let entry = entry(entries, id)?;
            if entry.packet_id == Some(packet_id) {
                return Some(id);
            }
            next = EntryId::new(entry.chain);
        }
        None
    }

    /// Enters an exchange whose identifier is not in the table. `None` if the table is full.
    pub(crate) fn insert(&mut self, entries: &mut [Entry], packet_id: PacketId, held: Held) -> Option<EntryId> {
        let id = EntryId::new(self.free.wrapping_add(1))?;
        let next = entry(entries, id)?.chain.wrapping_add(id.get());
        let head = entries.get_mut(bucket(entries, packet_id)?)?;
        let chain = head.bucket.replace(id);
        let entry = entry_mut(entries, id)?;
        entry.packet_id = Some(packet_id);
        entry.chain = chain.map_or(0, EntryId::get);
        entry.due = None;
        entry.state = State::FREE.with_held(held);
        self.free = next;
        self.len = self.len.wrapping_add(1);
        Some(id)
    }

    /// Forgets an exchange that is not in the queue of due acknowledgements.
    pub(crate) fn remove(&mut self, entries: &mut [Entry], id: EntryId) {
        let Some(&Entry { packet_id: Some(packet_id), chain, .. }) = entry(entries, id) else { return };
        Self::unchain(entries, packet_id, id, chain);
        if let Some(entry) = entry_mut(entries, id) {
            entry.packet_id = None;
            // The index of the neighbour is the identifier of the entry. So zeros chain each entry to its neighbour.
            entry.chain = self.free.wrapping_sub(id.get());
            entry.generation = entry.generation.wrapping_add(1);
            entry.state = State::FREE;
            self.free = id.get().wrapping_sub(1);
            self.len = self.len.wrapping_sub(1);
        }
    }

    /// Puts an exchange at the end of the queue of due acknowledgements.
    pub(crate) fn enqueue(&mut self, entries: &mut [Entry], id: EntryId) {
        let first = match self.last_due.and_then(|last| entry_mut(entries, last)) {
            Some(last) => last.due.replace(id),
            None => Some(id),
        };
        if let Some(entry) = entry_mut(entries, id) {
            entry.due = first;
        }
        self.last_due = Some(id);
    }

    /// The exchange whose acknowledgement is due first. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
    pub(crate) fn first_due(&self, entries: &[Entry]) -> Option<EntryId> {
        entry(entries, self.last_due?)?.due
    }

    /// The exchanges whose acknowledgements are due, in the order of their arrival.
    pub(crate) fn due(self, entries: &[Entry]) -> impl Iterator<Item = EntryId> {
        core::iter::successors(self.first_due(entries), move |&id| {
            if self.last_due == Some(id) { None } else { entry(entries, id)?.due }
        })
    }

    /// Takes the first exchange out of the queue of due acknowledgements.
    pub(crate) fn dequeue(&mut self, entries: &mut [Entry]) {
        let Some(first) = self.first_due(entries) else { return };
        let next = entry_mut(entries, first).and_then(|entry| entry.due.take());
        if self.last_due == Some(first) {
            self.last_due = None;
        } else if let Some(last) = self.last_due.and_then(|last| entry_mut(entries, last)) {
            last.due = next;
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

    /// The table of entries into which identifiers were put, and nothing else. One that is there twice is put out of the second
    /// entry.
    #[cfg(feature = "durable")]
    pub(crate) fn restored(entries: &mut [Entry]) -> Self {
        let mut table = Self::NEW;
        let mut last_free = None;
        for id in (1..=u16::MAX).take(entries.len()).filter_map(EntryId::new) {
            let Some(&Entry { packet_id, .. }) = entry(entries, id) else { continue };
            let packet_id = packet_id.filter(|&packet_id| Self::find(entries, packet_id).is_none());
            let head = packet_id.and_then(|packet_id| bucket(entries, packet_id));
            let chained = head.and_then(|head| entries.get_mut(head)).and_then(|head| head.bucket.replace(id));
            if let Some(entry) = entry_mut(entries, id) {
                entry.packet_id = packet_id;
                entry.chain = chained.map_or(0, EntryId::get);
                entry.state =
                    State::FREE.with_held(if packet_id.is_some() { Held::ReceivedBefore } else { Held::Free });
            }
            if packet_id.is_some() {
                table.len = table.len.wrapping_add(1);
                continue;
            }
            let index = id.get().wrapping_sub(1);
            match last_free.replace(id).and_then(|last: EntryId| Some((last, entry_mut(entries, last)?))) {
                Some((last, entry)) => entry.chain = index.wrapping_sub(last.get()),
                None => table.free = index,
            }
        }
        let end = u16::try_from(entries.len()).unwrap_or(u16::MAX);
        match last_free.and_then(|last| Some((last, entry_mut(entries, last)?))) {
            Some((last, entry)) => entry.chain = end.wrapping_sub(last.get()),
            None => table.free = end,
        }
        table
    }

    fn update(&mut self, entries: &mut [Entry], after: impl Fn(Held) -> Held) {
        self.last_due = None;
        let mut next = Some(EntryId::MIN);
        while let Some(id) = next
            && let Some(entry) = entry_mut(entries, id)
        {
            entry.due = None;
            entry.set_held(after(entry.held()));
            if entry.held() == Held::Free {
                self.remove(entries, id);
            }
            next = id.checked_add(1);
        }
    }

    fn unchain(entries: &mut [Entry], packet_id: PacketId, id: EntryId, after: u16) {
        let Some(head) = bucket(entries, packet_id).and_then(|bucket| entries.get_mut(bucket)) else { return };
        if head.bucket == Some(id) {
            head.bucket = EntryId::new(after);
            return;
        }
        let mut next = head.bucket;
        while let Some(entry) = next.and_then(|next| entry_mut(entries, next)) {
            if entry.chain == id.get() {
                entry.chain = after;
                return;
            }
            next = EntryId::new(entry.chain);
        }
    }
}

impl Entry {
    pub(crate) const FREE: Self =
        Self { packet_id: None, bucket: None, chain: 0, due: None, generation: 0, state: State::FREE };

    /// Where the exchange stands.
    pub(crate) const fn held(&self) -> Held {
        self.state.held()
    }

    pub(crate) const fn set_held(&mut self, held: Held) {
        self.state = self.state.with_held(held);
    }

    /// Keeps a number for the time of a restore, in what has no meaning yet.
    #[cfg(feature = "durable")]
    pub(crate) fn keep_number(&mut self, number: u32) {
        let [a, b, c, d] = number.to_be_bytes();
        self.chain = u16::from_be_bytes([a, b]);
        self.due = EntryId::new(u16::from_be_bytes([c, d]));
    }

    /// The number that was kept.
    #[cfg(feature = "durable")]
    pub(crate) fn take_number(&mut self) -> u32 {
        let high = core::mem::take(&mut self.chain);
        u32::from(high) << 16 | u32::from(self.due.take().map_or(0, EntryId::get))
    }

    /// What the application said.
    pub(crate) fn reason(&self) -> Option<ReasonCode> {
        self.state.reason()
    }

    /// Notes what the application says, which PUBACK and PUBREC can say.
    pub(crate) fn set_reason(&mut self, reason: ReasonCode) {
        self.state = self.state.with_reason(reason);
    }
}

/// Where an exchange stands, and what the application said of it, in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u8);

impl State {
    const FREE: Self = Self(0);

    /// Where the exchange stands, in the low bits; above them the number of the reason, 0 as long as there is none.
    const HELD: u8 = 0b0111;
    const REASON_SHIFT: u32 = 3;

    const fn held(self) -> Held {
        match self.0 & Self::HELD {
            1 => Held::Pending,
            2 => Held::Handed,
            3 => Held::HandedBefore,
            4 => Held::Received,
            5 => Held::ReceivedBefore,
            _ => Held::Free,
        }
    }

    const fn with_held(self, held: Held) -> Self {
        Self(self.0 & !Self::HELD | held as u8)
    }

    fn reason(self) -> Option<ReasonCode> {
        let number = self.0 >> Self::REASON_SHIFT;
        REASON_CODES.get(usize::from(number).wrapping_sub(1)).copied()
    }

    fn with_reason(self, reason: ReasonCode) -> Self {
        let number = (1..).zip(&REASON_CODES).find(|&(_, &code)| code == reason).map_or(0, |(number, _)| number);
        Self(self.0 & Self::HELD | number << Self::REASON_SHIFT)
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

/// What an application can say of a message: the codes of PUBACK and PUBREC. (5.0: 3.4.2.1, 3.5.2.1)
const REASON_CODES: [ReasonCode; 9] = [
    ReasonCode::Success,
    ReasonCode::NoMatchingSubscribers,
    ReasonCode::UnspecifiedError,
    ReasonCode::ImplementationSpecificError,
    ReasonCode::NotAuthorized,
    ReasonCode::TopicNameInvalid,
    ReasonCode::PacketIdentifierInUse,
    ReasonCode::QuotaExceeded,
    ReasonCode::PayloadFormatInvalid,
];

const _: () = assert!(size_of::<Entry>() == 10 && size_of::<Table>() == 6);

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
