//! How many instructions this crate may take, per message: limits that are committed.

use std::collections::BTreeMap;
use std::error::Error;

use crate::contestants::ALL;
use crate::instructions;
use crate::work::Work;

/// How much more than its budget a work may take: compilers differ.
const TOLERANCE: f64 = 1.05;

/// Counts every work that has a budget. A limit that is far too high is told, so that it can be lowered.
pub fn check(file: &str) -> Result<(), Box<dyn Error>> {
    let mut budgets: BTreeMap<String, f64> = toml::from_str(&std::fs::read_to_string(file)?)?;
    let [ours, ..] = ALL else { return Err("there are no contestants".into()) };
    let mut exceeded = Vec::new();
    println!("{:<36}{:>12}{:>10}", "instructions per message", "counted", "budget");
    for work in Work::all() {
        let Some(budget) = budgets.remove(&work.to_string()) else { continue };
        let counted = instructions::per_message(ours.name, &work)?;
        println!("{:<36}{counted:>12.0}{budget:>10.0}", work.to_string());
        if counted > budget * TOLERANCE {
            exceeded.push(format!("{work}: {counted:.0} instructions, {budget:.0} are allowed"));
        }
        if counted * TOLERANCE < budget {
            println!("  the budget can be lowered");
        }
    }
    exceeded.extend(budgets.keys().map(|name| format!("{name}: there is no such work")));
    if exceeded.is_empty() { Ok(()) } else { Err(exceeded.join("\n").into()) }
}
