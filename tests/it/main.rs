//! The tests that take seconds, in one program: each file is a module, so `cargo test --all-features --test it commands::`
//! runs those of `commands.rs`, and the name of a test that fails begins with its file.
//!
//! What takes longer is in `tests/long`, what starts other programs in `tests/programs`.

mod acknowledge_with;
mod aliases;
mod announced;
mod chart;
mod commands;
mod completing;
mod conformance;
mod conservation;
mod corners;
mod debug;
mod drivers;
mod dropped;
mod early;
mod encode;
mod equality;
mod formats;
mod fuzz;
mod given_up;
mod harness;
mod inbox;
mod interruptions;
mod known_failures;
mod layers;
mod long_connect;
mod one_version;
mod oversized;
mod ping;
mod properties;
mod report;
mod room;
mod rules;
mod scenarios;
mod server;
mod statements;
mod statics;
mod strategies;
mod streaming;
#[cfg(all(feature = "v311", feature = "v5"))]
#[path = "../support/mod.rs"]
mod support;
mod texts;
mod topic_tree;
mod topics;
mod unconfirmed;
mod vectors;
