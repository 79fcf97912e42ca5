//! One direction of a link.

use crate::time::Instant;

/// The bytes under way in one direction, from the front of the first packet that has not arrived whole.
#[derive(Clone, Debug)]
pub(super) struct Pipe<const N: usize> {
    bytes: [u8; N],
    len: usize,
    /// How many of them have arrived.
    arrived: usize,
    /// When the next of them may arrive.
    pub(super) ready: Instant,
}

impl<const N: usize> Pipe<N> {
    pub(super) const EMPTY: Self = Self { bytes: [0; N], len: 0, arrived: 0, ready: Instant::from_millis(0) };

    /// Everything from the front of a packet on.
    pub(super) fn tape(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// How much of the tape has arrived.
    pub(super) const fn arrived(&self) -> usize {
        self.arrived
    }

    /// What is under way.
    pub(super) fn in_flight(&self) -> &[u8] {
        self.bytes.get(self.arrived..self.len).unwrap_or_default()
    }

    pub(super) const fn space(&self) -> usize {
        N.saturating_sub(self.len)
    }

    /// Takes as many of these bytes as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let free = self.bytes.get_mut(self.len..).unwrap_or_default();
        let mut taken = 0_usize;
        for (to, from) in free.iter_mut().zip(bytes) {
            *to = *from;
            taken = taken.saturating_add(1);
        }
        self.len = self.len.saturating_add(taken);
        taken
    }

    /// Lets `len` bytes arrive.
    pub(super) fn arrive(&mut self, len: usize) {
        self.arrived = self.arrived.saturating_add(len).min(self.len);
    }

    /// Loses what is under way but for the next `kept` bytes.
    pub(super) fn lose_after(&mut self, kept: usize) {
        self.len = self.arrived.saturating_add(kept).min(self.len);
    }

    /// Drops the first `len` bytes of the tape, a packet that has arrived.
    pub(super) fn drop_front(&mut self, len: usize) {
        let len = len.min(self.len);
        self.bytes.rotate_left(len.min(N));
        self.len = self.len.saturating_sub(len);
        self.arrived = self.arrived.saturating_sub(len);
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
        self.arrived = 0;
    }
}
