//! The tests that take seconds, in one program: each file is a module, so `cargo test --all-features --test it commands::`
//! runs those of `commands.rs`, and the name of a test that fails begins with its file.
//!
//! What takes longer is in `tests/long`, what starts other programs in `tests/programs`.

mod aliases;
mod chart;
mod commands;
mod conformance;
mod conservation;
mod corners;
mod debug;
mod drivers;
mod encode;
mod equality;
mod formats;
mod fuzz;
mod harness;
mod inbox;
mod interruptions;
mod known_failures;
mod layers;
mod one_version;
mod oversized;
mod properties;
mod report;
mod room;
mod rules;
mod scenarios;
mod server;
mod statements;
mod statics;
mod strategies;
#[cfg(all(feature = "v311", feature = "v5"))]
#[path = "../support/mod.rs"]
mod support;
mod texts;
mod topic_tree;
mod topics;
mod vectors;
