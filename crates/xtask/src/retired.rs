//! Identifiers that are no more, and what to write instead.
//!
//! Many of the words are English or TCP's: `take`, `window`, `force`. So each row tells where the
//! identifier is refused: as any identifier, as the name of a definition, or within some paths.

mod table;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::complaint::Complaint;
use crate::source::{self, RustSource, is_punct};
use table::{RETIRED, Retired, Wanted};

/// The table itself.
const TABLE: &str = "crates/xtask/src/retired";

pub(crate) fn check(source: &RustSource, complaints: &mut Vec<Complaint>) {
    let here = || RETIRED.iter().filter(|row| row.covers(&source.path));
    let mut complain = |row: &Retired, line: usize| {
        let text = format!("{}:{line}: {}: say {}", source.path, row.was, row.instead);
        complaints.push(Complaint::new("retired", source.area(), text));
    };
    let mut names = Vec::new();
    identifiers(source.tokens.clone(), &mut names);
    for (name, line) in &names {
        let wanted = |row: &&Retired| row.wanted.is_any_identifier() && row.was == name;
        here().filter(wanted).for_each(|row| complain(row, *line));
    }
    let mut definitions = Definitions::default();
    definitions.visit_file(&source.syntax);
    for Definition { kind, name, owned, line } in &definitions.found {
        let wanted = |row: &&Retired| {
            row.wanted == *kind && (row.was == name || Some(row.was) == owned.as_deref())
        };
        here().filter(wanted).for_each(|row| complain(row, *line));
    }
}

/// Configuration keys and metrics in files that are not Rust.
pub(crate) fn check_text(path: &str, text: &str, complaints: &mut Vec<Complaint>) {
    for row in RETIRED.iter().filter(|row| row.wanted == Wanted::Key && row.covers(path)) {
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| word == row.was) {
                let number = at.saturating_add(1);
                let text = format!("{path}:{number}: {}: say {}", row.was, row.instead);
                complaints.push(Complaint::new("retired", source::area(path), text));
            }
        }
    }
}

impl Wanted {
    fn is_any_identifier(self) -> bool {
        matches!(self, Self::Identifier | Self::Key)
    }
}

impl Retired {
    fn covers(&self, path: &str) -> bool {
        let within = |place: &str| path.starts_with(place);
        !path.starts_with(TABLE)
            && !self.except.iter().any(|place| within(place))
            && (self.places.is_empty() || self.places.iter().any(|place| within(place)))
    }
}

/// Each identifier, and `Owner::name` for each path of two.
fn identifiers(tokens: TokenStream, into: &mut Vec<(String, usize)>) {
    let mut owner: Option<String> = None;
    let mut colons = 0_usize;
    for token in tokens {
        if is_punct(&token, ':') {
            colons = colons.saturating_add(1);
            continue;
        }
        if let TokenTree::Ident(name) = &token {
            let line = name.span().start().line;
            if let (Some(owner), 2) = (&owner, colons) {
                into.push((format!("{owner}::{name}"), line));
            }
            into.push((name.to_string(), line));
            owner = Some(name.to_string());
        } else {
            owner = None;
        }
        if let TokenTree::Group(group) = token {
            identifiers(group.stream(), into);
        }
        colons = 0;
    }
}

#[derive(Debug)]
struct Definition {
    kind: Wanted,
    name: String,
    /// `Connection::take` for a function of `impl Connection`, a field or a variant.
    owned: Option<String>,
    line: usize,
}

#[derive(Debug, Default)]
struct Definitions {
    found: Vec<Definition>,
    owner: Option<String>,
}

impl Definitions {
    fn add(&mut self, kind: Wanted, name: &syn::Ident) {
        let owned = self.owner.as_ref().map(|owner| format!("{owner}::{name}"));
        let line = name.span().start().line;
        self.found.push(Definition { kind, name: name.to_string(), owned, line });
    }

    fn within(&mut self, owner: Option<String>, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = outer;
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(Wanted::Type, &item.ident);
        let owner = Some(item.ident.to_string());
        self.within(owner, |inner| visit::visit_item_struct(inner, item));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(Wanted::Type, &item.ident);
        let owner = Some(item.ident.to_string());
        self.within(owner, |inner| visit::visit_item_enum(inner, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(Wanted::Type, &item.ident);
        let owner = Some(item.ident.to_string());
        self.within(owner, |inner| visit::visit_item_trait(inner, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = if let syn::Type::Path(of) = item.self_ty.as_ref() {
            of.path.segments.last().map(|last| last.ident.to_string())
        } else {
            None
        };
        self.within(owner, |inner| visit::visit_item_impl(inner, item));
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add(Wanted::Type, &item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add(Wanted::Module, &item.ident);
        self.within(None, |inner| visit::visit_item_mod(inner, item));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.add(Wanted::Field, name);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.add(Wanted::Variant, &variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(Wanted::Function, &item.sig.ident);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(Wanted::Function, &item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.add(Wanted::Function, &item.sig.ident);
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        check(&RustSource::parse(path, text.to_owned()).unwrap(), &mut complaints);
        complaints.into_iter().map(|complaint| complaint.text).collect()
    }

    #[test]
    fn every_kind_of_row_has_a_bad_example() {
        let flow = "crates/flow/src/a.rs";
        for bad in [
            "fn f() { let take_off = 1; }",
            "fn f() { assert!(ActivePlan::new() == InForce::new()); }",
            "fn f() -> Next { HoldKind::Window }",
            "enum HoldKind { Window }",
            "enum Then { On }",
            "impl Connection { fn take(&mut self) {} }",
            "struct State;",
        ] {
            assert_eq!(told(flow, bad).len(), 1, "{bad}: {:?}", told(flow, bad));
        }
        assert_eq!(told("crates/datapath/src/a.rs", "struct Run { force: bool }").len(), 1);
        assert_eq!(told("crates/datapath/src/a.rs", "mod force;").len(), 1);
    }

    #[test]
    fn the_same_words_with_other_meanings_are_left_alone() {
        let flow = "crates/flow/src/a.rs";
        for good in [
            "// take_off, in prose",
            "fn f(window: u16) { let literal = values.take(); let force = 1; }",
            "fn f() { x.load(Ordering::Release) }",
            "struct ConnectionState; enum WindowScale { Window }",
            "impl Cell { fn take(&mut self) {} }",
        ] {
            assert_eq!(told(flow, good), [] as [&str; 0], "{good}");
        }
        assert_eq!(told("crates/sim/src/a.rs", "struct Stage;"), [] as [&str; 0]);
    }

    #[test]
    fn keys_are_found_in_any_file() {
        let mut complaints = Vec::new();
        check_text("deploy/wirepatch.yaml", "limits:\n  window_hold_ms: 5\n", &mut complaints);
        check_text("deploy/wirepatch.yaml", "my_window_hold_ms: 5\n", &mut complaints);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].text.starts_with("deploy/wirepatch.yaml:2: "), "{complaints:?}");
    }
}
