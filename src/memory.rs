//! The arrays of a session: the only const generics. Everything else is written once, for slices.

use crate::flow::held::Entry;
use crate::flow::identifiers::Slot;

/// The memory of a session.
#[derive(Clone, Copy)]
pub(crate) struct Memory<const STORE: usize, const SENT: usize, const HELD: usize, const CONTROL: usize> {
    pub(crate) store: [u8; STORE],
    pub(crate) slots: [Slot; SENT],
    pub(crate) held: [Entry; HELD],
    pub(crate) control: [u8; CONTROL],
}

impl<const STORE: usize, const SENT: usize, const HELD: usize, const CONTROL: usize>
    Memory<STORE, SENT, HELD, CONTROL>
{
    /// All zero bits.
    pub(crate) const ZERO: Self = {
        assert!(SENT <= 65_535 && HELD <= 65_535, "there are no more than 65,535 packet identifiers");
        Self { store: [0; STORE], slots: [Slot::FREE; SENT], held: [Entry::FREE; HELD], control: [0; CONTROL] }
    };
}
