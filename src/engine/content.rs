//! What a session means, as opposed to how it lies in memory: for equality and hash.

use core::hash::{Hash, Hasher};
use core::iter::successors;

use crate::control::Control;
use crate::flow::held::{Entry, Table, entry};
use crate::flow::identifiers::{self, Identifiers, Slot, SlotId, slot};
use crate::flow::releases::Releases;
use crate::flow::sender::Sent;
use crate::outbox::{Order, Records, Stored};
use crate::time::Instant;
use crate::wire::PacketId;

use super::machine::End;
use super::state::{Core, Owed, Starved};

/// A session borrowed for reading.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a, E> {
    pub(crate) core: &'a Core<E>,
    pub(crate) records: Records<'a>,
    pub(crate) control: &'a Control,
    pub(crate) queue: &'a [u8],
    pub(crate) slots: &'a [Slot],
    pub(crate) held: &'a [Entry],
}

/// An exchange that we began: where it stands, and its identifier.
type Exchange = Option<(Sent, PacketId)>;

impl<'a, E: End> Content<'a, E> {
    /// Everything that is not in a table. The clock and what only says where things lie are left out.
    fn facts(self) -> Core<E> {
        Core {
            now: Instant::from_millis(0),
            identifiers: Identifiers::NEW,
            releases: Releases::NEW,
            next_release: None,
            table: Table::NEW,
            starved: Starved::No,
            owed_by: self.core.owed.map_or(Owed::Puback, |_| self.core.owed_by),
            end: self.core.end.facts(),
            ..*self.core
        }
    }

    /// The stored packets of a sequence, with their exchanges.
    fn packets(self, order: Order) -> impl Iterator<Item = (Exchange, Stored<'a>)> {
        self.records.stored(order).map(move |stored| (self.exchange(SlotId::new(stored.slot)), stored.without_slot()))
    }

    /// The exchanges that wait for PUBCOMP, in order, and whether each is the next to be released again.
    fn releases(self) -> impl Iterator<Item = (Exchange, bool)> {
        successors(self.core.releases.first(self.slots), move |&id| self.core.releases.after(self.slots, id))
            .map(move |id| (self.exchange(Some(id)), self.core.next_release == Some(id)))
    }

    fn exchange(self, id: Option<SlotId>) -> Exchange {
        let id = id?;
        Some((slot(self.slots, id)?.sent(), identifiers::packet_id(self.slots, id)?))
    }

    /// The messages whose acknowledgements are due, in order.
    fn due(self) -> impl Iterator<Item = Option<PacketId>> {
        self.core.table.due(self.held).map(move |id| entry(self.held, id).and_then(|entry| entry.packet_id))
    }

    /// Whether the same requests are under way, in whatever slots.
    fn requests_same(self, other: Self) -> bool {
        self.core.identifiers.taken() == other.core.identifiers.taken()
            && self.slots.iter().enumerate().filter(|(_, slot)| slot.is_request()).all(|(index, slot)| {
                let packet_id = identifiers::packet_id_at(self.slots, index);
                let theirs = packet_id.and_then(|packet_id| identifiers::find(other.slots, packet_id));
                theirs
                    .and_then(|id| identifiers::slot(other.slots, id))
                    .is_some_and(|theirs| theirs.sent() == slot.sent())
            })
    }

    /// Whether the same received messages are under way, in whatever entries.
    fn holds_same(self, other: Self) -> bool {
        self.core.table.len() == other.core.table.len()
            && self.held.iter().filter(|mine| mine.packet_id.is_some()).all(|mine| {
                let theirs = mine.packet_id.and_then(|packet_id| Table::find(other.held, packet_id));
                theirs
                    .and_then(|id| entry(other.held, id))
                    .is_some_and(|theirs| theirs.held() == mine.held() && theirs.verdict() == mine.verdict())
            })
    }
}

impl<E: End> PartialEq for Content<'_, E> {
    fn eq(&self, other: &Self) -> bool {
        self.facts() == other.facts()
            && self.packets(Order::Acknowledged).eq(other.packets(Order::Acknowledged))
            && self.packets(Order::Immediate).eq(other.packets(Order::Immediate))
            && self.releases().eq(other.releases())
            && self.due().eq(other.due())
            && self.control.unwritten(self.queue) == other.control.unwritten(other.queue)
            && self.control.farewell(self.queue) == other.control.farewell(other.queue)
            && self.control.topics(self.queue) == other.control.topics(other.queue)
            && self.requests_same(*other)
            && self.holds_same(*other)
    }
}

impl<E: End> Eq for Content<'_, E> {}

impl<E: End> Hash for Content<'_, E> {
    /// What has no order, the requests and the received messages, counts by number alone.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.facts().hash(state);
        for order in [Order::Acknowledged, Order::Immediate] {
            self.packets(order).for_each(|packet| packet.hash(state));
        }
        self.releases().for_each(|release| release.hash(state));
        self.due().for_each(|due| due.hash(state));
        self.control.unwritten(self.queue).hash(state);
        self.control.farewell(self.queue).hash(state);
        self.control.topics(self.queue).hash(state);
        self.core.identifiers.taken().hash(state);
        self.core.table.len().hash(state);
    }
}
