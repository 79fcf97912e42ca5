//! The plan of the house: imports go downward, here and in `benches`, functions are short, and neither `std` nor `alloc` is
//! used (but for `alloc` in the strategies, which are for tests on a host).
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a fault here is a failed test")]

mod source;

use std::collections::BTreeSet;
use std::path::Path;

use source::{Module, Said, Sources, read, read_folder};

/// The top modules of each layer; a module may import only from layers before its own.
type Layers = [&'static [&'static str]];

const CRATE: &Layers = &[
    &["backoff", "bytes", "trials"],
    &["time", "timer", "wire"],
    &["journal", "record"],
    &["aliases", "flow", "keepalive", "outbox"],
    &["error"],
    &["inbox", "control", "command"],
    &["event", "report"],
    &["engine"],
    &["session", "server"],
    &["endpoint"],
    &["durable", "io", "sim"],
    &["strategies"],
    &["lib"],
];

const BENCHES: &Layers = &[
    &["allocations", "link", "work", "bin"],
    &["contestant", "peer"],
    &["lanes"],
    &["contestants"],
    &["options", "race"],
    &["instructions", "table"],
    &["budget", "chart"],
    &["lib"],
];

/// The top modules that may allocate, each behind a feature: they are for tests on a host. `std` is for none.
const ALLOCATING: [&str; 1] = ["strategies"];

const LONGEST_FUNCTION: usize = 60;

type Imports = BTreeSet<(Module, Module)>;

#[test]
fn imports_go_downward() {
    assert_eq!(upward(&sources("src"), CRATE), [""; 0]);
}

#[test]
fn no_file_needs_itself() {
    assert_eq!(circle(imports(&sources("src"))), [""; 0]);
}

#[test]
fn imports_of_the_benches_go_downward_and_no_file_needs_itself() {
    let sources = sources("benches/src");
    assert_eq!(upward(&sources, BENCHES), [""; 0]);
    assert_eq!(circle(imports(&sources)), [""; 0]);
}

#[test]
fn functions_are_short() {
    assert_eq!(long_functions(&sources("src")), [""; 0]);
}

#[test]
fn neither_std_nor_alloc() {
    assert_eq!(outside_core(&sources("src")), [""; 0]);
}

#[test]
fn an_upward_import_is_found() {
    let faults =
        |text| upward(&crate_of(&[("wire", "pub struct A;"), ("inbox", text), ("session", "pub struct S;")]), CRATE);
    assert_eq!(faults("use crate::wire::A;"), [""; 0]);
    let found = ["inbox imports session"];
    assert_eq!(faults("use crate::session::S;"), found);
    assert_eq!(faults("use crate::{session, wire::A};"), found);
    assert_eq!(faults("use super::session as other;"), found);
    assert_eq!(faults("fn f() -> crate::session::S { loop {} }"), found);
    assert_eq!(faults("fn f() { matches!(1, crate::session::S); }"), found);
    assert_eq!(faults("macro_rules! m { () => { $crate::session::S } }"), found);
    assert_eq!(faults("#[cfg(test)] mod tests { use super::*; use crate::session::S; }"), found);
    assert_eq!(faults("mod inner { use super::super::session::S; }"), found);
    assert_eq!(faults("#[cfg(test)] mod tests { use super::*; }"), [""; 0]);
    assert_eq!(faults("pub(crate) struct A; pub(in super) fn f() {} m! { pub(crate) const B }"), [""; 0]);
    assert_eq!(faults("use crate::Anything;"), ["inbox imports lib"]);
}

#[test]
fn an_import_beside_is_found() {
    assert_eq!(
        upward(&crate_of(&[("outbox", "use crate::keepalive::O;"), ("keepalive", "")]), CRATE),
        ["outbox imports keepalive"]
    );
    assert_eq!(upward(&crate_of(&[("surprise", "use crate::wire;"), ("wire", "")]), CRATE), ["surprise has no layer"]);
}

#[test]
fn an_import_by_way_of_a_re_export_is_found() {
    let root = ("", "mod session; mod wire; pub use session::S; pub use self::wire::A;");
    let faults = |text| upward(&crate_of(&[root, ("session", ""), ("wire", ""), ("inbox", text)]), CRATE);
    assert_eq!(faults("use crate::A;"), [""; 0]);
    assert_eq!(faults("use crate::S;"), ["inbox imports session"]);
}

#[test]
fn a_circle_is_found() {
    let root = ("wire", "mod a; mod b; mod c; pub use a::A; pub(crate) use b::B;");
    let circle_of = |a, b| circle(imports(&crate_of(&[root, ("wire::a", a), ("wire::b", b), ("wire::c", "")])));
    assert_eq!(circle_of("use super::b::B; use super::c;", "use super::c::C;"), [""; 0]);
    assert_eq!(circle_of("use super::b::B; use super::c;", "use super::a::A;"), ["wire::a", "wire::b"]);
    assert_eq!(circle_of("use super::B;", "use crate::wire::A;"), ["wire::a", "wire::b"]);
    let parent = crate_of(&[("flow", "mod sender; use sender::S;"), ("flow::sender", "use super::F;")]);
    assert_eq!(circle(imports(&parent)), ["flow", "flow::sender"]);
}

#[test]
fn a_long_function_is_found() {
    let text = |lines: usize| format!("impl A {{\n    pub const fn f(\n    ) {{\n{}}}\n}}", "\n".repeat(lines));
    assert_eq!(long_functions(&crate_of(&[("wire", &text(57))])), [""; 0]);
    assert_eq!(long_functions(&crate_of(&[("wire", &text(58))])), ["wire: f has 61 lines"]);
    let text = format!("trait T {{ fn f() {{ fn g() {{{}}} }} }}", "\n".repeat(60));
    assert_eq!(long_functions(&crate_of(&[("wire", &text)])).len(), 2);
}

#[test]
fn std_and_alloc_are_found() {
    let faults = |text| outside_core(&crate_of(&[("wire", text), ("wire::fixtures", "use std::vec;")])).len();
    assert_eq!(faults("use std::vec::Vec; extern crate alloc; fn f() -> ::alloc::string::String {}"), 4);
    assert_eq!(faults("fn f() { write!(out, std::string::String::new()); }"), 2);
    assert_eq!(faults("use core::fmt; mod a { struct Standard; }"), 1);
    assert_eq!(faults("#[cfg(test)] mod fixtures; #[cfg(test)] mod tests { use std::vec; }"), 0);
    assert_eq!(faults("#[cfg(not(test))] mod a { use std::vec; }"), 2);
    let in_strategies = |text| outside_core(&crate_of(&[("strategies", ""), ("strategies::text", text)])).len();
    assert_eq!(in_strategies("extern crate alloc; use alloc::vec::Vec;"), 0);
    assert_eq!(in_strategies("use std::vec::Vec;"), 1);
    assert_eq!(
        upward(&crate_of(&[("strategies", ""), ("wire", "use crate::strategies::alloc::vec;")]), CRATE).len(),
        1
    );
}

fn sources(folder: &str) -> Sources {
    let sources = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    assert!(sources.len() > 10 && sources.contains_key(&Module::new()));
    sources
}

fn crate_of(files: &[(&str, &str)]) -> Sources {
    let module = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let files = files.iter().map(|&(name, text)| (module(name), text));
    files.map(|(module, text): (Module, _)| (module.clone(), read(&module, text))).collect()
}

/// Imports between top modules of one layer, or from a layer further up, and modules of no layer.
fn upward(sources: &Sources, layers: &Layers) -> Vec<String> {
    let for_tests: Vec<_> = sources.values().flat_map(|source| &source.test_modules).collect();
    let strangers = sources.keys().filter(|module| layer(module, layers).is_none() && !for_tests.contains(module));
    let strangers = strangers.map(|module| format!("{} has no layer", top(module)));
    let upward = imports(sources).into_iter().filter(|(from, to)| {
        let layers = layer(from, layers).zip(layer(to, layers));
        top(from) != top(to) && layers.is_some_and(|(from, to)| from <= to)
    });
    strangers.chain(upward.map(|(from, to)| format!("{} imports {}", name(&from), name(&to)))).collect()
}

/// The files that are left when, again and again, those that need none of the others are put aside.
fn circle(mut imports: Imports) -> Vec<String> {
    loop {
        let needing: BTreeSet<_> = imports.iter().map(|(from, _)| from.clone()).collect();
        let before = imports.len();
        imports.retain(|(_, to)| needing.contains(to));
        if imports.len() == before {
            return needing.iter().map(name).collect();
        }
    }
}

fn long_functions(sources: &Sources) -> Vec<String> {
    let functions = sources.iter().flat_map(|(module, source)| source.functions.iter().map(move |it| (module, it)));
    let long = functions.filter(|(_, (_, lines))| *lines > LONGEST_FUNCTION);
    long.map(|(module, (function, lines))| format!("{}: {function} has {lines} lines", name(module))).collect()
}

fn outside_core(sources: &Sources) -> Vec<String> {
    let for_tests: Vec<_> = sources.values().flat_map(|source| &source.test_modules).collect();
    let files = sources.iter().filter(|(module, _)| !for_tests.iter().any(|front| module.starts_with(front)));
    let said = files.flat_map(|(module, source)| source.said.iter().map(move |said| (module, said)));
    let outside = said.filter(|(module, said)| match said.path[0].as_str() {
        _ if said.in_test => false,
        "std" => true,
        "alloc" => !ALLOCATING.contains(&top(module)),
        _ => false,
    });
    outside.map(|(module, said)| format!("{}: {}", name(module), said.path.join("::"))).collect()
}

/// Which file imports from which, without what a module passes on of its own submodules.
fn imports(sources: &Sources) -> Imports {
    let mut imports = Imports::new();
    for (file, source) in sources {
        for said in &source.said {
            match origin(sources, said, 8) {
                Some(to) if to == *file || said.exports && to.starts_with(file) => {}
                Some(to) => drop(imports.insert((file.clone(), to))),
                None => {}
            }
        }
    }
    imports
}

/// The file that a path leads to, through at most `steps` re-exports; `None` if it leads out of the crate.
fn origin(sources: &Sources, Said { path, by, .. }: &Said, steps: usize) -> Option<Module> {
    // `self` as a value, `crate` and `super` as a visibility.
    if path.len() == 1 && matches!(path[0].as_str(), "self" | "crate" | "super") {
        return None;
    }
    let supers = path.iter().take_while(|part| *part == "super").count();
    let absolute: Module = match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [by, &path[1..]].concat(),
        "super" => [&by[..by.len().saturating_sub(supers)], &path[supers..]].concat(),
        _ if sources.contains_key(&[by, &path[..1]].concat()) => [by, &path[..]].concat(),
        _ => return None,
    };
    let known = (0..=absolute.len()).rev().find(|&len| sources.contains_key(&absolute[..len]));
    // A small crate made for a test need not have a root.
    let (file, names) = absolute.split_at(known.unwrap_or(0));
    let file = file.to_vec();
    let passed_on = sources.get(&file).zip(names.first()).and_then(|(source, name)| source.bound.get(name));
    let further = passed_on.filter(|_| steps > 0).and_then(|path| {
        let said = Said { path: path.clone(), by: file.clone(), in_test: false, exports: false };
        origin(sources, &said, steps.saturating_sub(1))
    });
    Some(further.unwrap_or(file))
}

fn layer(module: &Module, layers: &Layers) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&top(module)))
}

fn top(module: &Module) -> &str {
    module.first().map_or("lib", String::as_str)
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}
