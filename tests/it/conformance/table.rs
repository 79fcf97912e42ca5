//! The rows of the table, and what may be wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A statement of a version of the standard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Statement {
    pub(crate) version: String,
    /// Its number, or, where it has none, its section and a letter.
    pub(crate) number: String,
}

impl Statement {
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (version, number) = line.split_once(' ')?;
        Some(Self { version: version.to_owned(), number: number.to_owned() })
    }

    pub(crate) fn is_numbered(&self) -> bool {
        self.number.ends_with(|letter: char| letter.is_ascii_digit())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.number)
    }
}

/// What is wrong with a table of these statements that names these tests.
pub(crate) fn faults(table: &str, statements: &BTreeSet<Statement>, tests: &BTreeSet<String>) -> Vec<String> {
    let mut reasons = reasons(table);
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| 3.1.1 ") || line.starts_with("| 5.0 ")) {
        let &[version, number, words, by] = &cells(line)[..] else {
            faults.push(format!("{line} is no row"));
            continue;
        };
        let statement = Statement { version: version.to_owned(), number: number.to_owned() };
        if !statements.contains(&statement) {
            faults.push(format!("{statement} is no statement"));
            continue;
        }
        if words.is_empty() {
            faults.push(format!("{statement} is not put in words"));
        }
        faults.extend(wrong_with(by, &mut reasons, tests).into_iter().map(|fault| format!("{statement}: {fault}")));
        if !seen.insert(statement.clone()) {
            faults.push(format!("{statement} is there twice"));
        }
    }
    faults.extend(statements.difference(&seen).map(|statement| format!("{statement} is missing")));
    let unused = reasons.iter().filter(|(_, reason)| !reason.is_used && !reason.why.is_empty());
    faults.extend(unused.map(|(word, _)| format!("nothing is {word}")));
    faults
}

/// Why a statement is no matter of this crate.
struct Reason<'t> {
    why: &'t str,
    is_used: bool,
}

/// The words in italics that stand in front of why.
fn reasons(table: &str) -> BTreeMap<&str, Reason<'_>> {
    let rows = table.lines().filter_map(|line| match cells(line)[..] {
        [word, why] => italic(word).map(|word| (word, Reason { why, is_used: false })),
        _ => None,
    });
    rows.collect()
}

/// What is wrong with the last cell of a row: a reason, or tests.
fn wrong_with(by: &str, reasons: &mut BTreeMap<&str, Reason<'_>>, tests: &BTreeSet<String>) -> Vec<String> {
    if let Some(word) = italic(by) {
        return match reasons.get_mut(word).filter(|reason| !reason.why.is_empty()) {
            Some(reason) => {
                reason.is_used = true;
                Vec::new()
            }
            None => vec![format!("{word} is no reason")],
        };
    }
    let named = |name: &str| name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).map(str::to_owned);
    match by.split(", ").map(named).collect::<Option<Vec<_>>>() {
        None => vec!["neither tests nor a reason".to_owned()],
        Some(names) => {
            let gone = names.into_iter().filter(|name| !tests.contains(name));
            gone.map(|name| format!("there is no test {name}")).collect()
        }
    }
}

fn italic(text: &str) -> Option<&str> {
    text.strip_prefix('*')?.strip_suffix('*').filter(|word| !word.is_empty() && !word.contains('*'))
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map_or_else(Vec::new, |inner| inner.split('|').map(str::trim).collect())
}
