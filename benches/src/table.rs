//! What was measured, as tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::contestant::Entry;
use crate::race::{Measured, Outcome};
use crate::work::Work;

pub struct Table {
    pub names: Vec<&'static str>,
    pub rows: Vec<(Work, Vec<Outcome>)>,
}

impl Table {
    pub fn new(entries: &[&'static Entry]) -> Self {
        Self { names: entries.iter().map(|entry| entry.name).collect(), rows: Vec::new() }
    }

    pub fn add(&mut self, work: Work, outcomes: Vec<Outcome>) {
        self.rows.push((work, outcomes));
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("Nanoseconds per message, and how many times what this crate takes:\n\n");
        self.write(&mut text, |measured, ours| {
            let ratio =
                ours.map_or_else(String::new, |ours| format!(" ({:.2})", measured.nanoseconds / ours.nanoseconds));
            format!("{:.1}{ratio}", measured.nanoseconds)
        });
        text.push_str("\nHeap allocations per message:\n\n");
        self.write(&mut text, |measured, _| format!("{:.2}", measured.allocations));
        if self.rows.iter().flat_map(|(_, outcomes)| outcomes).any(has_instructions) {
            text.push_str("\nInstructions per message, and how many times what this crate takes:\n\n");
            self.write(&mut text, |measured, ours| {
                let Some(count) = measured.instructions else { return "–".to_owned() };
                let ours = ours.and_then(|ours| ours.instructions);
                let ratio = ours.map_or_else(String::new, |ours| format!(" ({:.2})", count / ours));
                format!("{count:.0}{ratio}")
            });
        }
        self.write_reasons(&mut text);
        text
    }

    /// A table with a cell for each contestant and work; `cell` is told what this crate took, too.
    fn write(&self, to: &mut String, cell: impl Fn(&Measured, Option<&Measured>) -> String) {
        let rule = "--:|".repeat(self.names.len());
        // Writing to a string cannot fail.
        let _ = writeln!(to, "| work | {} |\n|---|{rule}", self.names.join(" | "));
        for (work, outcomes) in &self.rows {
            let ours = outcomes.first().and_then(measured);
            let cells: Vec<String> = outcomes
                .iter()
                .map(|outcome| measured(outcome).map_or_else(|| "–".to_owned(), |measured| cell(measured, ours)))
                .collect();
            let _ = writeln!(to, "| {work} | {} |", cells.join(" | "));
        }
    }

    /// Why contestants are missing.
    fn write_reasons(&self, to: &mut String) {
        let mut reasons = BTreeSet::new();
        for (work, outcomes) in &self.rows {
            for (name, outcome) in self.names.iter().zip(outcomes) {
                if let Outcome::Skipped(reason) = outcome {
                    reasons.insert(format!("* {name}, {work}: {reason}"));
                }
            }
        }
        if !reasons.is_empty() {
            to.push_str("\nNot measured:\n\n");
        }
        for reason in reasons {
            to.push_str(&reason);
            to.push('\n');
        }
    }
}

pub fn measured(outcome: &Outcome) -> Option<&Measured> {
    match outcome {
        Outcome::Measured(measured) => Some(measured),
        Outcome::Skipped(_) => None,
    }
}

fn has_instructions(outcome: &Outcome) -> bool {
    measured(outcome).is_some_and(|measured| measured.instructions.is_some())
}
