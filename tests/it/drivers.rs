//! The drivers over transports that take and bring bytes as they like: both ends, everything arrives once, deadlines are met,
//! dropped futures lose nothing, and every failure has its name.
#![cfg(all(
    feature = "v311",
    feature = "v5",
    feature = "server",
    feature = "embedded-io",
    feature = "embedded-io-async"
))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a fault here is a failed test"
)]

mod application;
mod asynchronous;
mod blocking;
mod faults;
mod wire;
