//! A session as it lies in memory, whichever end it is: the arrays, and with them the const generics. Everything else is
//! written once, for slices.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::control::{Control, Queue};
use crate::flow::held::Entry;
#[cfg(feature = "durable")]
use crate::flow::identifiers;
use crate::flow::identifiers::Slot;
#[cfg(feature = "durable")]
use crate::flow::sender::Sent;
#[cfg(feature = "durable")]
use crate::journal::{Journal, Ledger, Mark, Numbered};
use crate::outbox::{Outbox, Records, Store};
use crate::time::Instant;
#[cfg(feature = "durable")]
use crate::wire::PacketId;

use super::content::Content;
use super::machine::{End, Engine};
use super::state::Core;

/// What a session consists of.
#[derive(Clone)]
pub(crate) struct Memory<E, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> {
    pub(crate) core: Core<E>,
    outbox: Outbox,
    control: Control,
    slots: [Slot; OUTBOUND],
    held: [Entry; INBOUND],
    store: [u8; STORE],
    queue: [u8; CONTROL],
}

impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// All zero bits.
    pub(crate) const NEW: Self = {
        assert!(OUTBOUND <= 65_535 && INBOUND <= 65_535, "there are no more than 65,535 packet identifiers");
        Self {
            core: Core::new(E::NEW),
            outbox: Outbox::EMPTY,
            control: Control::EMPTY,
            slots: [Slot::FREE; OUTBOUND],
            held: [Entry::FREE; INBOUND],
            store: [0; STORE],
            queue: [0; CONTROL],
        }
    };

    const fn content(&self) -> Content<'_, E> {
        Content {
            core: &self.core,
            records: self.records(),
            control: &self.control,
            queue: &self.queue,
            slots: &self.slots,
            held: &self.held,
        }
    }

    pub(crate) const fn records(&self) -> Records<'_> {
        Records { outbox: &self.outbox, bytes: &self.store }
    }

    /// Whether everything has left that needs no answer, and nothing is half written.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.core.pending_answer.is_none() && self.control.is_empty() && self.outbox.is_flushed()
    }

    /// The next instant at which time demands something.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline(&self.outbox)
    }

    // Every command does this first: where flash is dear, in one place.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn engine(&mut self) -> Engine<'_, E> {
        Engine {
            core: &mut self.core,
            store: Store { outbox: &mut self.outbox, bytes: &mut self.store },
            queue: Queue::over(&mut self.control, &mut self.queue),
            slots: &mut self.slots,
            held: &mut self.held,
            #[cfg(feature = "durable")]
            journal: None,
        }
    }
}

/// What of a session is in the store of an application.
#[cfg(feature = "durable")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Marks<const OUTBOUND: usize, const INBOUND: usize> {
    pub(crate) ledger: Ledger,
    sent: [Numbered; OUTBOUND],
    held: [Mark; INBOUND],
}

#[cfg(feature = "durable")]
impl<const OUTBOUND: usize, const INBOUND: usize> Marks<OUTBOUND, INBOUND> {
    /// All zero bits.
    pub(crate) const NEW: Self =
        Self { ledger: Ledger::NEW, sent: [Numbered::NONE; OUTBOUND], held: [Mark::NONE; INBOUND] };
}

#[cfg(feature = "durable")]
impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize>
    Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    /// With a journal.
    pub(crate) fn engine_of<'m>(&'m mut self, marks: &'m mut Marks<OUTBOUND, INBOUND>) -> Engine<'m, E> {
        let Marks { ledger, sent, held } = marks;
        Engine { journal: Some(Journal { ledger, sent, held }), ..self.engine() }
    }

    /// The identifiers of the messages whose outcome is not yet told.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = PacketId> {
        let untold = |slot: &Slot| slot.sent() != Sent::Free && !slot.is_request() && !slot.sent().is_told();
        let places = self.slots.iter().enumerate().filter(move |(_, slot)| untold(slot));
        places.filter_map(|(index, _)| identifiers::packet_id_at(&self.slots, index))
    }
}

/// Equal if they mean the same.
impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> PartialEq
    for Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn eq(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Eq
    for Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
}

impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> Hash
    for Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content().hash(state);
    }
}

/// Shows the state, never stored bytes.
impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> fmt::Debug
    for Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.core.phase)
            .field("close_reason", &self.core.cause)
            .field("in_flight", &self.core.identifiers.taken())
            .field("held", &self.core.table.len())
            .field("quota", &self.core.quota)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<E: End, const STORE: usize, const OUTBOUND: usize, const INBOUND: usize, const CONTROL: usize> defmt::Format
    for Memory<E, STORE, OUTBOUND, INBOUND, CONTROL>
{
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Session {{ phase: {}, close_reason: {}, in_flight: {=u16}, held: {=u16}, quota: {=u16}, .. }}",
            self.core.phase,
            self.core.cause,
            self.core.identifiers.taken(),
            self.core.table.len(),
            self.core.quota,
        );
    }
}
