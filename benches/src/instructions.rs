//! Instructions per message, which are the same in every run: counted by valgrind, in a run of its own with few messages and
//! one with more, so that what comes before and after falls out.

use std::error::Error;
use std::process::Command;

use crate::contestant::Entry;
use crate::race::Outcome;
use crate::work::{Kind, Work};

/// Fills in the instructions of all that were measured.
pub fn add(work: &Work, entries: &[&Entry], outcomes: &mut [Outcome]) -> Result<(), Box<dyn Error>> {
    for (entry, outcome) in entries.iter().zip(outcomes) {
        if let Outcome::Measured(measured) = outcome
            // What takes so long as this is not worth hours under valgrind.
            && measured.nanoseconds < 50_000.0
        {
            measured.instructions = Some(per_message(entry.name, work)?);
        }
    }
    Ok(())
}

/// The instructions that one message takes.
pub fn per_message(name: &str, work: &Work) -> Result<f64, Box<dyn Error>> {
    let few = if work.kind == Kind::Large { 4 } else { 1_000 };
    let counts = [count(name, work, few)?, count(name, work, 3 * few)?];
    let rounded = |messages: usize| (messages / work.batch()).max(1) * work.batch();
    Ok((counts[1] as f64 - counts[0] as f64) / (rounded(3 * few) - rounded(few)) as f64)
}

/// The instructions of a whole run with one round of so many messages.
fn count(name: &str, work: &Work, messages: usize) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--rounds", "1", "--only", name, "--work", &work.to_string(), "--messages", &messages.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = collected.ok_or_else(|| format!("valgrind counted nothing:\n{said}"))?;
    Ok(number.trim().parse()?)
}
