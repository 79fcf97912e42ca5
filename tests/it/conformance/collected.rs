//! The tests in a source file: functions with `#[test]`, what `proptest!` makes into such, and what a macro of the file makes
//! of a list of names.
#![allow(clippy::expect_used, reason = "a fault here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn, ItemMacro, ItemMod, Macro};

/// What a file has.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Each with the modules of the file that it is in.
    pub(crate) tests: BTreeSet<String>,
    /// The modules in files of their own.
    pub(crate) modules: Vec<String>,
}

pub(crate) fn collect(text: &str) -> Collected {
    let mut collector = Collector::default();
    collector.visit_file(&syn::parse_file(text).expect("a source file"));
    collector.found
}

#[derive(Default)]
struct Collector {
    found: Collected,
    within: Vec<String>,
    /// The macros of the file that make tests of names, and in which modules.
    makers: BTreeMap<String, Vec<Vec<String>>>,
}

/// The name of a test function in the tokens of a macro.
enum Name {
    Given(String),
    /// It is one of a list that the macro is called with.
    Listed,
}

impl Collector {
    fn add(&mut self, below: &[String], name: &str) {
        let path = [&self.within, below, &[name.to_owned()]].concat();
        self.found.tests.insert(path.join("::"));
    }

    fn learn_maker(&mut self, name: String, tokens: &TokenStream) {
        let made = test_functions(tokens.clone(), &[]);
        let modules = made.into_iter().filter(|(_, name)| matches!(name, Name::Listed)).map(|(module, _)| module);
        self.makers.insert(name, modules.collect());
    }

    fn call(&mut self, called: &Macro) {
        let name = called.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        for module in self.makers.get(&name).cloned().unwrap_or_default() {
            listed(called.tokens.clone()).iter().for_each(|name| self.add(&module, name));
        }
        for (module, name) in test_functions(called.tokens.clone(), &[]) {
            if let Name::Given(name) = name {
                self.add(&module, &name);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if item.attrs.iter().any(is_test) {
            self.add(&[], &item.sig.ident.to_string());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_none() {
            self.found.modules.push(item.ident.to_string());
        }
        self.within.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.within.pop();
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        match &item.ident {
            Some(name) => self.learn_maker(name.to_string(), &item.mac.tokens),
            None => self.call(&item.mac),
        }
    }
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
}

/// The functions behind `#[test]`, each with the modules around it.
fn test_functions(tokens: TokenStream, within: &[String]) -> Vec<(Vec<String>, Name)> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut is_test = false;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        match token {
            TokenTree::Group(group) if is_punct(before, '#') => is_test |= group.stream().to_string() == "test",
            TokenTree::Group(group) => {
                let module = at.checked_sub(2).and_then(|at| tokens.get(at)).filter(|token| is_ident(token, "mod"));
                let module = module.and(before).map(ToString::to_string);
                let below: Vec<_> = within.iter().cloned().chain(module).collect();
                found.extend(test_functions(group.stream(), &below));
            }
            TokenTree::Ident(name) if before.is_some_and(|before| is_ident(before, "fn")) && is_test => {
                found.push((within.to_vec(), Name::Given(name.to_string())));
                is_test = false;
            }
            TokenTree::Punct(mark)
                if mark.as_char() == '$' && before.is_some_and(|before| is_ident(before, "fn")) && is_test =>
            {
                found.push((within.to_vec(), Name::Listed));
                is_test = false;
            }
            _ => {}
        }
    }
    found
}

/// The names in a list, of paths the last one.
fn listed(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let names = tokens.iter().enumerate().filter(|(at, token)| {
        let behind = at.checked_add(1).and_then(|at| tokens.get(at));
        matches!(token, TokenTree::Ident(_)) && (behind.is_none() || is_punct(behind, ',') || is_punct(behind, ';'))
    });
    names.map(|(_, name)| name.to_string()).collect()
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == mark)
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(found) if found == name)
}
