//! Known failures of other implementations, each as a packet trace with the right outcome.
//!
//! S are failures of senders, R of receivers, W those of decoders as the other end sees them, T those of a second collection.
//! Tests that share a number are sides of one failure.
#![cfg(all(feature = "v311", feature = "v5"))]

mod answers;
mod expiry;
mod receiver;
mod sender;
mod sender_limits;
mod sessions;
mod time;
pub(crate) mod trace;
mod turns;
mod variants;
mod wire;
