//! Messages larger than memory: received in parts, sent in pieces.
#![cfg(all(feature = "streaming", feature = "server", feature = "v311", feature = "v5"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a fault here is a failed test"
)]

mod both_ends;
mod received;
mod sent;

use mqtt_session::{QoS, Version};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A payload whose bytes tell where they are.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect()
}
