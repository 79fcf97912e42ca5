//! The tests that start programs: the examples, mosquitto and its clients. Each file is a module, so
//! `cargo test --all-features --test programs broker::` runs those of `broker.rs`; `cargo build --all-features --examples`
//! must come before. `cargo test` alone builds the examples, too.
#![allow(clippy::duplicate_mod, reason = "some tests run against mosquitto and against the example broker")]

#[macro_use]
mod versions;

mod blocking;
mod broker;
mod handshakes;
mod interop;
mod tools;
