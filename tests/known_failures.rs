//! Known failures of other implementations, each as a packet trace with the right outcome.
//!
//! S are failures of senders, R of receivers, W those of decoders as the other end sees them. Tests that share a number
//! are sides of one failure.
#![cfg(all(feature = "v3", feature = "v5"))]

#[path = "known_failures/receiver.rs"]
mod receiver;
#[path = "known_failures/sender.rs"]
mod sender;
#[path = "known_failures/sender_limits.rs"]
mod sender_limits;
#[path = "known_failures/sessions.rs"]
mod sessions;
#[path = "known_failures/trace.rs"]
mod trace;
#[path = "known_failures/wire.rs"]
mod wire;
