//! The server's end as packet traces: what the client sends, what the application hears and says, and what must leave.
#![cfg(all(feature = "server", feature = "v3", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

#[path = "server/authentication.rs"]
mod authentication;
#[path = "server/beginnings.rs"]
mod beginnings;
#[path = "server/commands.rs"]
mod commands;
#[path = "server/connect.rs"]
mod connect;
#[path = "server/flows.rs"]
mod flows;
#[path = "server/keep_alive.rs"]
mod keep_alive;
#[path = "server/known_failures.rs"]
mod known_failures;
#[path = "known_failures/trace.rs"]
mod packets;
#[path = "server/requests.rs"]
mod requests;
#[path = "server/session.rs"]
mod session;
mod support;
#[path = "server/trace.rs"]
mod trace;
#[path = "server/vectors.rs"]
mod vectors;
#[path = "server/will.rs"]
mod will;
