//! The server's end as packet traces: what the client sends, what the application hears and says, and what must leave.
#![cfg(all(feature = "server", feature = "v311", feature = "v5"))]
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fault here is a failed test"
)]

mod answers;
mod authentication;
mod beginnings;
mod commands;
mod connect;
mod flows;
mod keep_alive;
mod known_failures;
mod requests;
mod session;
mod time;
pub(crate) mod trace;
mod unconfirmed;
mod variants;
mod vectors;
mod will;

use crate::known_failures::trace as packets;
