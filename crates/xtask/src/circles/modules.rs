//! The modules of one crate, and the file that each path leads to.
//!
//! A path through a re-export leads to the file that defines the item, so a facade of `pub use`
//! lines closes no circle. A `pub use` counts as an import where the file also uses the name.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

use crate::source::{self, RustSource, is_punct};

type ModulePath = Vec<String>;

/// Imports that lead to imports: so many steps are followed.
const STEPS_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Modules<'a> {
    crate_name: &'a str,
    modules: BTreeMap<ModulePath, Module<'a>>,
}

#[derive(Debug, Default)]
struct Module<'a> {
    file: &'a str,
    imports: Vec<Import>,
    /// Paths of two names or more in its code.
    paths: BTreeSet<Vec<String>>,
    /// The names that its items define.
    items: BTreeSet<String>,
    /// Every name of its code, imports left out.
    words: BTreeSet<String>,
}

#[derive(Debug)]
struct Import {
    path: Vec<String>,
    /// `*` for all names.
    alias: String,
    is_public: bool,
}

impl<'a> Modules<'a> {
    /// From a crate's root downwards; files that only tests reach are left out.
    pub(super) fn of(
        root: &'a RustSource,
        sources: &[&'a RustSource],
        crate_name: &'a str,
    ) -> Self {
        let mut modules = Self { crate_name, modules: BTreeMap::new() };
        let folder = parent(&root.path).to_owned();
        let place = OpenModule { source: root, module: Vec::new(), folder };
        modules.read(&place, &root.syntax.items, sources);
        modules
    }

    fn read(&mut self, place: &OpenModule<'a>, items: &[syn::Item], sources: &[&'a RustSource]) {
        let mut module = Module { file: &place.source.path, ..Module::default() };
        for item in items {
            let code = source::without_tests(item.to_token_stream());
            if code.is_empty() {
                continue;
            }
            if let syn::Item::Use(import) = item {
                let is_public = !matches!(import.vis, syn::Visibility::Inherited);
                leaves(&import.tree, &mut Vec::new(), &mut |path, alias| {
                    module.imports.push(Import { path, alias, is_public });
                });
            } else if let syn::Item::Mod(child) = item {
                self.read_child(place, child, sources);
            } else {
                module.items.extend(name_of(item));
                module.code(code);
            }
        }
        self.modules.insert(place.module.clone(), module);
    }

    fn read_child(
        &mut self,
        place: &OpenModule<'a>,
        child: &syn::ItemMod,
        sources: &[&'a RustSource],
    ) {
        let name = child.ident.to_string();
        let mut module = place.module.clone();
        module.push(name.clone());
        let folder = format!("{}/{name}", place.folder);
        if let Some((_, items)) = &child.content {
            self.read(&OpenModule { source: place.source, module, folder }, items, sources);
            return;
        }
        let files = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
        if let Some(source) = sources.iter().find(|source| files.contains(&source.path)) {
            self.read(&OpenModule { source, module, folder }, &source.syntax.items, sources);
        }
    }

    /// Gives each import: the file, the file it leads to, and the path.
    pub(super) fn imports(&self, give: &mut dyn FnMut(&str, &str, String)) {
        for (at, module) in &self.modules {
            let used = module
                .imports
                .iter()
                .filter(|import| !import.is_public || module.words.contains(import.alias.as_str()));
            for path in used.map(|import| &import.path).chain(&module.paths) {
                if let Some(file) = self.file_of(at, path, STEPS_MAX)
                    && file != module.file
                {
                    give(module.file, file, path.join("::"));
                }
            }
        }
    }

    /// The file that defines what `path` names in `module`; `None` outside the crate.
    fn file_of(&self, module: &ModulePath, path: &[String], steps: usize) -> Option<&'a str> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => parent_of(module),
            name if name == self.crate_name && !self.knows(module, name) => Vec::new(),
            name => {
                if !self.knows(module, name) && self.glob_of(module, name).is_none() {
                    return None;
                }
                rest = path;
                module.clone()
            }
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at = parent_of(&at);
            } else if name != "*" {
                let mut child = at.clone();
                child.push(name.clone());
                if !self.modules.contains_key(&child) {
                    return self.item_of(&at, rest, steps);
                }
                at = child;
            }
            rest = after;
        }
        self.modules.get(&at).map(|module| module.file)
    }

    /// `rest` begins with a name in `module` that is no module of it.
    fn item_of(&self, module: &ModulePath, rest: &[String], steps: usize) -> Option<&'a str> {
        let here = self.modules.get(module)?;
        let (name, after) = rest.split_first()?;
        let steps = steps.checked_sub(1)?;
        if let Some(import) = here.imports.iter().find(|import| import.alias == *name) {
            let path: Vec<String> = import.path.iter().chain(after).cloned().collect();
            return self.file_of(module, &path, steps);
        }
        if !here.items.contains(name)
            && let Some(target) = self.glob_of(module, name)
        {
            let path: Vec<String> = ["self".to_owned()].iter().chain(rest).cloned().collect();
            return self.file_of(&target, &path, steps);
        }
        Some(here.file)
    }

    /// The module from which a `use some::module::*` of `module` brings in `name`.
    fn glob_of(&self, module: &ModulePath, name: &str) -> Option<ModulePath> {
        let globs = self.modules.get(module)?.imports.iter().filter(|import| import.alias == "*");
        let mut targets = globs.filter_map(|glob| self.glob_target(module, &glob.path));
        targets.find(|target| {
            let there = self.modules.get(target);
            target != module
                && (self.knows(target, name) || there.is_some_and(|m| m.items.contains(name)))
        })
    }

    /// The module that `path`, which ends in `*`, names.
    fn glob_target(&self, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let mut at = module.clone();
        for name in path.iter().filter(|name| *name != "*") {
            match name.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => at = parent_of(&at),
                name => at.push(name.to_owned()),
            }
        }
        self.modules.contains_key(&at).then_some(at)
    }

    fn knows(&self, module: &ModulePath, name: &str) -> bool {
        let mut child = module.clone();
        child.push(name.to_owned());
        let here = self.modules.get(module);
        let imported = |here: &Module<'_>| here.imports.iter().any(|import| import.alias == name);
        self.modules.contains_key(&child) || here.is_some_and(imported)
    }
}

impl Module<'_> {
    fn code(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.code(group.stream()),
                TokenTree::Ident(name) => {
                    self.words.insert(name.to_string());
                    path.push(name.to_string());
                    if tokens.peek().is_some_and(|next| is_punct(next, ':')) {
                        tokens.next();
                        if tokens.peek().is_some_and(|next| is_punct(next, ':')) {
                            tokens.next();
                            continue;
                        }
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            if path.len() > 1 {
                self.paths.insert(std::mem::take(&mut path));
            }
            path.clear();
        }
    }
}

/// A module that is being read.
struct OpenModule<'a> {
    source: &'a RustSource,
    module: ModulePath,
    /// Where the files of its children are.
    folder: String,
}

fn leaves(tree: &syn::UseTree, path: &mut Vec<String>, give: &mut dyn FnMut(Vec<String>, String)) {
    let with = |path: &[String], name: &syn::Ident| {
        let name = name.to_string();
        path.iter().cloned().chain((name != "self").then_some(name)).collect::<Vec<_>>()
    };
    match tree {
        syn::UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path, give);
            path.pop();
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| leaves(tree, path, give));
        }
        syn::UseTree::Name(name) => {
            let full = with(path, &name.ident);
            let alias = full.last().cloned().unwrap_or_default();
            give(full, alias);
        }
        syn::UseTree::Rename(name) => give(with(path, &name.ident), name.rename.to_string()),
        syn::UseTree::Glob(_) => {
            let star = "*".to_owned();
            give(path.iter().cloned().chain([star.clone()]).collect(), star);
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "syn may add kinds of items; these define")]
fn name_of(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn parent_of(module: &ModulePath) -> ModulePath {
    module.split_last().map_or_else(Vec::new, |(_, parent)| parent.to_vec())
}
