//! Statements of the standards that no other test would miss; `conformance.md` says which test shows which statement.
#![cfg(all(feature = "server", feature = "v311", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

mod client;
mod fields;
mod server;

use crate::known_failures::trace as packets;
use crate::server::trace;
