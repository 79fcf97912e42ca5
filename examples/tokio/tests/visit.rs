//! The example as a process: against mosquitto, and against brokers that are of no use.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a fault here is a failed test")]

#[path = "../../../tests/programs/interop/broker.rs"]
#[allow(dead_code, reason = "shared with tests that need more")]
mod broker;
#[path = "../../../tests/programs/interop/process.rs"]
#[allow(dead_code, reason = "shared with tests that need more")]
mod process;
#[path = "../../../tests/programs/blocking/visit.rs"]
mod visit;

use std::path::Path;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mqtt-session-tokio"))
}

#[test]
fn visits_mosquitto() {
    visit::mosquitto("tokio", program());
}

#[test]
fn tells_in_one_line_what_went_wrong() {
    visit::useless_brokers("tokio", program());
}
