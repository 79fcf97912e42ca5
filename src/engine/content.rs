//! What a session means, as opposed to how it lies in memory: for equality and hash.

use core::hash::{Hash, Hasher};
use core::iter::successors;

use crate::control::Control;
use crate::flow::chain::{Ages, Chain};
use crate::flow::held::{Entry, Table, entry};
use crate::flow::identifiers::{self, Identifiers, Slot, SlotId, slot};
use crate::flow::sender::Sent;
use crate::keepalive::KeepAlive;
use crate::outbox::{Order, Records, Stored};
use crate::time::Instant;
use crate::timer::Timer;
use crate::wire::{PacketId, Version};

use super::machine::End;
use super::state::{Core, PendingAnswer, Phase, SpaceWait};

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
    fn comparable(self) -> Core<E> {
        let keep_alive = match self.core.phase {
            Phase::Connecting | Phase::Awaiting | Phase::Online | Phase::Completing => self.core.keep_alive.content(),
            Phase::Leaving | Phase::Failing | Phase::Parting => self.core.keep_alive.content_of_end(),
            _ => KeepAlive::OFF,
        };
        // 3.1.1 has no Receive Maximum, so what is counted for it means nothing there.
        let is_counted = Version::nearest(E::level(self.core)).is_v5();
        let mut news = self.core.news;
        news.set_space_wait(match news.space_wait() {
            // A command that was refused has changed nothing.
            SpaceWait::No | SpaceWait::Yes => SpaceWait::No,
            SpaceWait::Relieved | SpaceWait::Again => SpaceWait::Relieved,
        });
        Core {
            now: Instant::from_millis(0),
            keep_alive,
            receive_quota: if is_counted { self.core.receive_quota } else { 0 },
            closing: if is_counted { self.core.closing } else { 0 },
            identifiers: Identifiers::NEW,
            releases: Chain::NEW,
            untold: Chain::NEW,
            next_release: None,
            table: Table::NEW,
            news,
            // Where nothing waits, it says nothing.
            expiry: if self.records.outbox.is_waiting() { self.core.expiry } else { Timer::OFF },
            pending_answer_type: self
                .core
                .pending_answer
                .map_or(PendingAnswer::Puback, |_| self.core.pending_answer_type),
            end: E::comparable(self.core),
            ..*self.core
        }
    }

    /// The stored packets of a sequence, with their exchanges.
    fn packets(self, order: Order) -> impl Iterator<Item = (Exchange, Stored<'a>)> {
        let is_v5 = self.version().is_v5();
        self.records.stored(order).map(move |stored| {
            let has_exchange = stored.has_exchange(order);
            let exchange = if has_exchange { self.exchange(SlotId::new(stored.slot)) } else { None };
            let stored = if has_exchange { stored.without_slot() } else { stored };
            if is_v5 {
                return (exchange, stored);
            }
            let ages = self.core.retry_interval != 0 && matches!(exchange, Some((Sent::Published(_), _)));
            (exchange, stored.with_age(ages.then(|| self.core.now.millisecond())))
        })
    }

    /// The exchanges that wait for PUBCOMP, in order, whether each is the next to be released again, and how old it is where
    /// that matters.
    fn releases(self) -> impl Iterator<Item = (Exchange, bool, u32)> {
        let ages = self.core.retry_interval != 0;
        successors(self.core.releases.first(self.slots), move |&id| self.core.releases.after(self.slots, id)).map(
            move |id| {
                let released = slot(self.slots, id).filter(|slot| ages && matches!(slot.sent(), Sent::Released(..)));
                let ages = Ages::new(self.slots, self.core.retry_interval);
                let age = released.map_or(0, |slot| ages.age(slot, self.core.now.millisecond()));
                (self.exchange(Some(id)), self.core.next_release == Some(id), age)
            },
        )
    }

    /// The version of what is stored.
    fn version(self) -> Version {
        Version::nearest(self.core.level)
    }

    fn exchange(self, id: Option<SlotId>) -> Exchange {
        let id = id?;
        Some((slot(self.slots, id)?.sent(), identifiers::packet_id(self.slots, id)?))
    }

    /// The messages whose outcome is still to be told, in order.
    fn untold(self) -> impl Iterator<Item = Exchange> {
        successors(self.core.untold.first(self.slots), move |&id| self.core.untold.after(self.slots, id))
            .map(move |id| self.exchange(Some(id)))
            .filter(|exchange| !matches!(exchange, Some((Sent::RequestLost, _))))
    }

    /// The messages whose acknowledgements are due, in order.
    fn due(self) -> impl Iterator<Item = Option<PacketId>> {
        self.core.table.due(self.held).map(move |id| entry(self.held, id).and_then(|entry| entry.packet_id))
    }

    /// What a request asks for and whether it was shown. Of those that were lost only that is told.
    fn request_facts(slot: &Slot) -> Option<u32> {
        (slot.sent() == Sent::Requesting).then(|| slot.link())
    }

    /// Whether the same requests are under way, and the same messages given up, in whatever slots.
    fn others_same(self, other: Self) -> bool {
        self.core.identifiers.taken() == other.core.identifiers.taken()
            && self.slots.iter().enumerate().filter(|(_, slot)| slot.stands_alone()).all(|(index, slot)| {
                let packet_id = identifiers::packet_id_at(self.slots, index);
                let theirs = packet_id.and_then(|packet_id| identifiers::find(other.slots, packet_id));
                theirs.and_then(|id| identifiers::slot(other.slots, id)).is_some_and(|theirs| {
                    theirs.sent() == slot.sent() && Self::request_facts(theirs) == Self::request_facts(slot)
                })
            })
    }

    /// Whether the same received messages are under way, in whatever entries.
    fn holds_same(self, other: Self) -> bool {
        self.core.table.len() == other.core.table.len()
            && self.held.iter().filter(|mine| mine.packet_id.is_some()).all(|mine| {
                let theirs = mine.packet_id.and_then(|packet_id| Table::find(other.held, packet_id));
                theirs
                    .and_then(|id| entry(other.held, id))
                    .is_some_and(|theirs| theirs.held() == mine.held() && theirs.reason() == mine.reason())
            })
    }
}

impl<E: End> PartialEq for Content<'_, E> {
    fn eq(&self, other: &Self) -> bool {
        self.comparable() == other.comparable()
            && self.packets(Order::Acknowledged).eq(other.packets(Order::Acknowledged))
            && self.packets(Order::Immediate).eq(other.packets(Order::Immediate))
            && self.records.shown() == other.records.shown()
            && self.releases().eq(other.releases())
            && self.untold().eq(other.untold())
            && self.due().eq(other.due())
            && self.control.unwritten(self.queue) == other.control.unwritten(other.queue)
            && self.control.disconnect(self.queue) == other.control.disconnect(other.queue)
            && self.control.unreported() == other.control.unreported()
            && self.control.topics(self.queue) == other.control.topics(other.queue)
            && self.others_same(*other)
            && self.holds_same(*other)
    }
}

impl<E: End> Eq for Content<'_, E> {}

/// Tells apart what equality tells apart, so that a model checker may go by it alone.
impl<E: End> Hash for Content<'_, E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.comparable().hash(state);
        for order in [Order::Acknowledged, Order::Immediate] {
            hash_sequence(self.packets(order), state);
        }
        self.records.shown().hash(state);
        hash_sequence(self.releases(), state);
        hash_sequence(self.untold(), state);
        hash_sequence(self.due(), state);
        self.control.unwritten(self.queue).hash(state);
        self.control.disconnect(self.queue).hash(state);
        self.control.unreported().hash(state);
        self.control.topics(self.queue).hash(state);
        self.core.identifiers.taken().hash(state);
        let others = self.slots.iter().enumerate().filter(|(_, slot)| slot.stands_alone());
        let facts = |(index, slot): (usize, &Slot)| {
            (slot.sent(), Self::request_facts(slot), identifiers::packet_id_at(self.slots, index))
        };
        hash_set(others.map(facts), state);
        self.core.table.len().hash(state);
        let held = self.held.iter().filter(|entry| entry.packet_id.is_some());
        hash_set(held.map(|entry| (entry.packet_id, entry.held(), entry.reason())), state);
    }
}

fn hash_sequence<H: Hasher>(items: impl Iterator<Item = impl Hash>, state: &mut H) {
    let mut count = 0_usize;
    for item in items {
        item.hash(state);
        count = count.wrapping_add(1);
    }
    count.hash(state);
}

/// Of what has no order, the sum of the hashes, which has none either.
fn hash_set<H: Hasher>(items: impl Iterator<Item = impl Hash>, state: &mut H) {
    let mut sum = 0_u64;
    for item in items {
        let mut digest = Digest::NEW;
        item.hash(&mut digest);
        sum = sum.wrapping_add(digest.finish());
    }
    sum.hash(state);
}

/// FNV-1a of 64 bits.
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const NEW: Self = Self(0xCBF2_9CE4_8422_2325);
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_told_apart_by_a_hash_in_wide_use() {
        for (bytes, expected) in
            [(&b""[..], 0xCBF2_9CE4_8422_2325), (b"a", 0xAF63_DC4C_8601_EC8C), (b"foobar", 0x8594_4171_F739_67E8)]
        {
            let mut digest = Digest::NEW;
            digest.write(bytes);
            assert_eq!(digest.finish(), expected);
        }
    }
}
