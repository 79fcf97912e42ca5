//! Statements of the standards that no other test would miss; `conformance.md` says which test shows which statement.
#![cfg(all(feature = "server", feature = "v3", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

#[path = "statements/client.rs"]
mod client;
#[path = "statements/fields.rs"]
mod fields;
#[path = "known_failures/trace.rs"]
mod packets;
#[path = "statements/server.rs"]
mod server;
mod support;
#[path = "server/trace.rs"]
#[allow(dead_code, reason = "it is that of the tests of the server's end")]
mod trace;
