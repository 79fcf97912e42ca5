//! The drivers over transports that take and bring bytes as they like: both ends, everything arrives once, deadlines are met,
//! dropped futures lose nothing, and every failure has its name.
#![cfg(all(
    feature = "v3",
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

#[path = "drivers/application.rs"]
mod application;
#[path = "drivers/asynchronous.rs"]
mod asynchronous;
#[path = "drivers/blocking.rs"]
mod blocking;
#[path = "drivers/faults.rs"]
mod faults;
#[path = "drivers/wire.rs"]
mod wire;
