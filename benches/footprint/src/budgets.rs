//! The limits that are committed.

use std::collections::BTreeMap;
use std::error::Error;

use serde::Deserialize;

use crate::report::Report;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.toml");

/// Limits in bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// By target and image, of those that were measured the better optimization level counts.
    flash: BTreeMap<String, BTreeMap<String, u64>>,
    /// By static.
    memory: BTreeMap<String, u64>,
    /// By target, the deepest chain of calls of the same images, and the largest frame of the crate in it.
    stack: BTreeMap<String, u64>,
    frame: BTreeMap<String, u64>,
}

impl Budgets {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        Ok(toml::from_str(&std::fs::read_to_string(FILE)?)?)
    }

    /// A line for each limit that is exceeded or missing.
    pub fn exceeded(&self, report: &Report) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: String, measured: u64, budget: Option<&u64>| match budget {
            Some(budget) if measured <= *budget => {}
            Some(budget) => lines.push(format!("{what}: {measured} bytes, {budget} are allowed")),
            None => lines.push(format!("{what}: {measured} bytes, and no budget")),
        };
        for client in report.best() {
            let budget = self.flash.get(client.target).and_then(|images| images.get(&client.name()));
            compare(format!("flash of {} for {}", client.name(), client.target), client.flash(), budget);
            let budget = self.stack.get(client.target);
            compare(format!("stack of {} for {}", client.name(), client.target), client.image.deepest.bytes, budget);
            let budget = self.frame.get(client.target);
            compare(format!("frame in {} for {}", client.name(), client.target), client.image.largest_frame(), budget);
        }
        for (target, image) in &report.sizes {
            for name in ["SESSION_8", "SESSION_16", "INBOX"] {
                compare(format!("{name} for {target}"), image.size_of(name), self.memory.get(name));
            }
        }
        lines
    }
}
