//! The table of statements in `conformance.md`: none is missing or there twice, and each says which tests show it, or why
//! it is no matter of this crate.
#![allow(clippy::expect_used, reason = "a fault here is a failed test")]

mod collected;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use collected::collect;
use table::{Statement, faults};

/// Every statement, read off the standards once: its version and its number.
const STATEMENTS: &str = include_str!("conformance/statements.txt");

/// The folders of `tests` that are programs.
const PROGRAMS: [&str; 3] = ["it", "long", "programs"];

/// Statements of 3.1.1 with a number, of 5.0 with one, and of both without.
const COUNTS: [usize; 3] = [141, 251, 47];

#[test]
fn every_statement_is_shown_or_says_why_not() {
    let table = fs::read_to_string(folder("tests").join("conformance.md")).expect("a table");
    assert_eq!(faults(&table, &statements(STATEMENTS), &tests()), [""; 0]);
}

#[test]
fn the_statements_are_all_of_them() {
    let statements = statements(STATEMENTS);
    let count = |version, is_numbered| {
        statements.iter().filter(|it| it.version == version && it.is_numbered() == is_numbered).count()
    };
    let unnumbered = count("3.1.1", false).saturating_add(count("5.0", false));
    assert_eq!([count("3.1.1", true), count("5.0", true), unnumbered], COUNTS);
    assert_eq!(STATEMENTS.lines().count(), statements.len(), "one stands there twice");
}

/// What the sources cite is a statement of one version at least.
#[test]
fn every_citation_is_a_statement() {
    let statements = statements(STATEMENTS);
    let sources = files(&folder("src"));
    assert!(sources.len() > 10);
    let unknown: Vec<_> = sources.iter().flat_map(|(_, text)| strangers(text, &statements)).collect();
    assert_eq!(unknown, [""; 0]);
}

#[cfg(all(feature = "v311", feature = "v5"))]
#[test]
fn each_rule_cites_a_statement_of_its_version() {
    use mqtt_session::{Version, Violation};
    let statements = statements(STATEMENTS);
    for &rule in Violation::ALL {
        for (version, name) in [(Version::V311, "3.1.1"), (Version::V5, "5.0")] {
            let Some(number) = rule.statement(version).strip_prefix("MQTT-") else { continue };
            let statement = Statement { version: name.to_owned(), number: number.to_owned() };
            assert!(statements.contains(&statement), "{rule:?} cites {statement}");
        }
    }
}

/// A table with one reason and these rows.
fn with_rows(rows: &str) -> String {
    format!("| word | why |\n|---|---|\n| *elsewhere* | It is. |\n\n| version | statement | in short | by |\n{rows}")
}

#[test]
fn a_faulty_table_is_found() {
    let statements = statements("3.1.1 1.1-1\n5.0 1.1-1\n5.0 1.1-a\n");
    let tests: BTreeSet<_> = ["a::b", "src/c::tests::d"].map(str::to_owned).into();
    let found = |rows: &str| faults(&with_rows(rows), &statements, &tests);
    let [first, second, third] = [
        "| 3.1.1 | 1.1-1 | x | `a::b` |\n",
        "| 5.0 | 1.1-1 | y | `a::b`, `src/c::tests::d` |\n",
        "| 5.0 | 1.1-a | z | *elsewhere* |\n",
    ];
    assert_eq!(found(&[first, second, third].concat()), [""; 0]);
    assert_eq!(found(&[first, third].concat()), ["5.0 1.1-1 is missing"]);
    assert_eq!(found(&[first, second, third, second].concat()), ["5.0 1.1-1 is there twice"]);
    let with = |row: &str| found(&[row, second, third].concat());
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | `a::gone` |\n"), ["3.1.1 1.1-1: there is no test a::gone"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | `a::b`, `a` |\n"), ["3.1.1 1.1-1: there is no test a"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | |\n"), ["3.1.1 1.1-1: neither tests nor a reason"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | a::b |\n"), ["3.1.1 1.1-1: neither tests nor a reason"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | ** |\n"), ["3.1.1 1.1-1: neither tests nor a reason"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | x | *nowhere* |\n"), ["3.1.1 1.1-1: nowhere is no reason"]);
    assert_eq!(with("| 3.1.1 | 1.1-1 | | `a::b` |\n"), ["3.1.1 1.1-1 is not put in words"]);
    assert_eq!(
        with("| 3.1.1 | 1.1-1 | `a::b` |\n"),
        ["| 3.1.1 | 1.1-1 | `a::b` | is no row", "3.1.1 1.1-1 is missing"]
    );
    let stranger = "| 5.0 | 1.1-2 | x | `a::b` |\n";
    assert_eq!(found(&[first, second, third, stranger].concat()), ["5.0 1.1-2 is no statement"]);
    let unused = found(&[first, second, "| 5.0 | 1.1-a | z | `a::b` |\n"].concat());
    assert_eq!(unused, ["nothing is elsewhere"]);
    let unsaid = with_rows(&[first, second, third].concat()).replace("It is.", "");
    assert_eq!(faults(&unsaid, &statements, &tests), ["5.0 1.1-a: elsewhere is no reason"]);
}

#[test]
fn a_citation_of_nothing_is_found() {
    let statements = statements("3.1.1 1.1-1\n5.0 1.1-2\n5.0 1.1-a\n");
    assert_eq!(strangers("[MQTT-1.1-1] and \"MQTT-1.1-2\", MQTT_VECTORS, MQTT-session", &statements), [""; 0]);
    assert_eq!(strangers("see [MQTT-1.1-3], [MQTT-1.1-12]", &statements), ["MQTT-1.1-3", "MQTT-1.1-12"]);
}

#[test]
fn tests_are_found_in_whatever_form() {
    let tests = |text: &str| collect(text).tests.into_iter().collect::<Vec<_>>();
    assert_eq!(tests("#[test] fn a() {} fn b() {} /// Said.\n #[test]\n #[ignore] fn c() {}"), ["a", "c"]);
    assert_eq!(
        tests("#[cfg(test)] mod tests { #[test] fn a() {} mod inner { #[test] fn b() {} } }"),
        ["tests::a", "tests::inner::b"]
    );
    let random = "proptest! { #![config] /// Said.\n #[test] fn a(x in any::<bool>()) {} #[test] fn b(y in 0..1) {} }";
    assert_eq!(tests(random), ["a", "b"]);
    assert_eq!(tests("mod tests { proptest! { #[test] fn a() {} fn b() {} } }"), ["tests::a"]);
    let listed = "macro_rules! all { ($($name:ident),*) => { $(#[test] fn $name() { run(help::$name) })* } }";
    assert_eq!(tests(&format!("{listed} all!(a, b,); other!(c);")), ["a", "b"]);
    let in_modules = "macro_rules! all { ($($name:path;)*) => { mod v311 { $(#[test] fn $name() {})* } mod v5 { } } }";
    assert_eq!(tests(&format!("{in_modules} all! {{ m::a; b; }}")), ["v311::a", "v311::b"]);
    assert_eq!(tests("macro_rules! m { () => { #[test] fn a() {} } }"), [""; 0]);
}

fn statements(text: &str) -> BTreeSet<Statement> {
    text.lines().map(|line| Statement::of_line(line).expect("version and number")).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The citations in a text that are no statement of either version.
fn strangers(text: &str, statements: &BTreeSet<Statement>) -> Vec<String> {
    let known: BTreeSet<_> = statements.iter().map(|it| it.number.as_str()).collect();
    let cited = text.split("MQTT-").skip(1).map(|behind| {
        let end = behind.find(|letter: char| !(letter.is_ascii_digit() || ".-".contains(letter)));
        behind.get(..end.unwrap_or(behind.len())).unwrap_or_default().trim_end_matches(['.', '-'])
    });
    cited
        .filter(|number| !number.is_empty() && !known.contains(number))
        .map(|number| format!("MQTT-{number}"))
        .collect()
}

/// The tests of this crate as the table names them.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, text) in files(&folder("src")) {
        found.extend(collect(&text).tests.into_iter().map(|test| format!("src/{file}::{test}")));
    }
    for program in PROGRAMS.map(|program| folder("tests").join(program)) {
        let root = fs::read_to_string(program.join("main.rs")).expect("a program");
        add_tests(&program, "", &root, &mut found);
    }
    found
}

/// Adds the tests of a file and of the modules below it: a file that is no module is part of no program.
fn add_tests(program: &Path, file: &str, text: &str, found: &mut BTreeSet<String>) {
    let collected = collect(text);
    found.extend(collected.tests.into_iter().map(|test| format!("{file}::{test}")));
    for module in collected.modules {
        let module = if file.is_empty() { module } else { format!("{file}/{module}") };
        if let Ok(text) = fs::read_to_string(program.join(&module).with_extension("rs")) {
            add_tests(program, &module, &text, found);
        }
    }
}

/// The source files in a folder and below: their paths without ending, and their texts.
fn files(root: &Path) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(root, &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a text");
        let name = path.strip_prefix(root).expect("a file in it").with_extension("");
        (name.to_str().expect("a name").replace('\\', "/"), text)
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
