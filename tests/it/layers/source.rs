//! What a source file says: its paths, the names that it binds by `use`, and its functions.
#![allow(clippy::expect_used, reason = "a fault here is a failed test")]

use core::mem;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ExprLit, ImplItemFn, ItemExternCrate, ItemFn, ItemMod, ItemUse, Lit, Macro, Meta, Path,
    Signature,
};
use syn::{TraitItemFn, UseTree, Visibility};

/// The path of a module from the crate root, which is itself the empty path.
pub(crate) type Module = Vec<String>;

/// A path in a source file.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) path: Vec<String>,
    /// The module that says it, inline modules included.
    pub(crate) by: Module,
    pub(crate) in_test: bool,
    /// Whether it makes the name known to others: `pub use`, `pub(crate) use`.
    pub(crate) exports: bool,
}

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) said: Vec<Said>,
    /// The path behind each name that the file itself, no module in it, binds by `use`.
    pub(crate) bound: BTreeMap<String, Vec<String>>,
    /// Name and number of lines of each function, from `fn` to its closing brace.
    pub(crate) functions: Vec<(String, usize)>,
    /// The modules in files of their own that exist only in test builds.
    pub(crate) test_modules: Vec<Module>,
}

/// The sources of a crate by module.
pub(crate) type Sources = BTreeMap<Module, Source>;

/// Reads all files under a folder.
pub(crate) fn read_folder(folder: &FilePath) -> Sources {
    let mut sources = Sources::new();
    read_into(&mut sources, folder, &Module::new());
    sources
}

fn read_into(sources: &mut Sources, folder: &FilePath, module: &Module) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let mut below = module.clone();
        below.push(stem.clone());
        if path.is_dir() {
            read_into(sources, &path, &below);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if matches!(stem.as_str(), "lib" | "main" | "mod") { module.clone() } else { below };
            let text = fs::read_to_string(&path).expect("a text");
            sources.insert(module.clone(), read(&module, &text));
        }
    }
}

/// Reads the text of the file of `module`.
pub(crate) fn read(module: &Module, text: &str) -> Source {
    let mut reader = Reader { source: Source::default(), file: module.clone(), by: module.clone(), in_test: false };
    reader.visit_file(&syn::parse_file(text).expect("a source file"));
    reader.source
}

struct Reader {
    source: Source,
    file: Module,
    by: Module,
    in_test: bool,
}

impl Reader {
    fn say(&mut self, path: Vec<String>, exports: bool) {
        self.source.said.push(Said { path, by: self.by.clone(), in_test: self.in_test, exports });
    }

    fn say_tree(&mut self, tree: &UseTree, front: &[String], exports: bool) {
        let with = |name: &Ident| [front, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.say_tree(&path.tree, &with(&path.ident), exports),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.say_tree(tree, front, exports)),
            UseTree::Name(name) if name.ident == "self" => (front.to_vec(), front.last().cloned().unwrap_or_default()),
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
            _ => ([front, &["*".to_owned()]].concat(), "*".to_owned()),
        };
        if self.by == self.file && name != "*" {
            self.source.bound.insert(name, path.clone());
        }
        self.say(path, exports);
    }

    /// Paths in what a macro is given, or in what it says, where the syntax is the macro's own.
    fn say_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut follows_colon = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if !follows_colon {
                        self.say_whole(&mut path);
                    }
                    path.push(name.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    follows_colon = true;
                    continue;
                }
                TokenTree::Group(group) => self.say_tokens(group.stream()),
                _ => self.say_whole(&mut path),
            }
            follows_colon = false;
        }
        self.say_whole(&mut path);
    }

    fn say_whole(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.say(mem::take(path), false);
        }
    }

    fn measure(&mut self, signature: &Signature, body: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        self.source.functions.push((signature.ident.to_string(), last.saturating_sub(first).saturating_add(1)));
    }

    fn within(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let before = self.in_test;
        self.in_test |= attributes.iter().any(is_for_tests);
        visit(self);
        self.in_test = before;
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.by.push(item.ident.to_string());
        self.within(&item.attrs, |this| {
            if item.content.is_none() && this.in_test {
                this.source.test_modules.push(this.by.clone());
                let beside = this.file.split_last().map_or(&[][..], |(_, folder)| folder);
                this.source.test_modules.extend(path_stem(&item.attrs).map(|stem| [beside, &[stem]].concat()));
            }
            visit::visit_item_mod(this, item);
        });
        self.by.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let exports = !matches!(item.vis, Visibility::Inherited);
        self.within(&item.attrs, |this| this.say_tree(&item.tree, &[], exports));
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        self.within(&item.attrs, |this| this.say(vec![item.ident.to_string()], false));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        self.say(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.say_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.sig, &item.block);
        self.within(&item.attrs, |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// The file of `#[path = "name.rs"]`, without its ending.
fn path_stem(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(file), .. }) => file.value().strip_suffix(".rs").map(str::to_owned),
            _ => None,
        },
        _ => None,
    })
}

/// `#[cfg(test)]`, alone or with further conditions.
fn is_for_tests(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}
