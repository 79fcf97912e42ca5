//! The bodies of the fuzz targets over their seeds, as normal tests.
#![cfg(all(feature = "v311", feature = "v5"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]
#![allow(clippy::arithmetic_side_effects, reason = "lengths of small files")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::Path;

/// Runs a body over the files of its corpus, and prefixes of each; an interpreter runs two of the files.
fn run(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "{target} has {} seeds", files.len());
    if cfg!(miri) {
        files.sort();
        files.truncate(2);
    }
    for file in files {
        let seed = fs::read(file).unwrap();
        body(&seed);
        for len in (0..seed.len()).step_by(seed.len() / 16 + 1).filter(|_| !cfg!(miri)) {
            body(&seed[..len]);
        }
    }
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
