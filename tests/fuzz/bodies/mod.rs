//! What the fuzzer runs: one function for each target, over arbitrary bytes. A finding is a panic.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fault is a finding"
)]
#![allow(clippy::arithmetic_side_effects, reason = "the numbers are small")]

mod ends;
mod input;
mod pair;
mod wire;

pub(crate) use ends::session;
pub(crate) use pair::pair;
pub(crate) use wire::{decode, fragment};
