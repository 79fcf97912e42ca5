//! The tests with many cases: every state, every short string, cuts after every byte, long random runs. Each file is a
//! module, so `cargo test --all-features --test long cuts::` runs those of `cuts.rs`.

mod cuts;
mod exhaustive;
mod exploration;
mod promises;
mod random;
#[cfg(all(feature = "v311", feature = "v5"))]
#[path = "../support/mod.rs"]
mod support;
