//! The bodies of the fuzz targets over their seeds, as normal tests.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "lengths of small files")]

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::Path;

/// Runs a body over the files of its corpus, and prefixes of each.
fn run(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        body(&seed);
        for len in (0..seed.len()).step_by(seed.len() / 16 + 1) {
            body(&seed[..len]);
        }
        count += 1;
    }
    assert!(count >= 10, "{target} has {count} seeds");
}

#[test]
fn decode() {
    run("decode", bodies::decode);
}

#[test]
fn fragment() {
    run("fragment", bodies::fragment);
}

#[test]
fn session() {
    run("session", bodies::session);
}

#[test]
fn pair() {
    run("pair", bodies::pair);
}
