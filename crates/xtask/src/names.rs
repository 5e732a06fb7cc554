//! One name, one thing: no type name that several items of the workspace share.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use crate::complaint::Complaint;
use crate::source::RustSource;

/// So many definitions of one name are refused.
const SHARED_MAX: usize = 5;
/// So many are counted by the ratchet.
const SHARED_SOME: usize = 3;

pub(crate) fn check(sources: &[RustSource], complaints: &mut Vec<Complaint>) {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        let mut types = Types::default();
        types.visit_file(&source.syntax);
        for (name, line) in types.0 {
            places.entry(name).or_default().push(format!("{}:{line}", source.path));
        }
    }
    for (name, places) in places {
        let text = format!(
            "{}: {name} is the name of {} types, say of what: {}",
            places[0],
            places.len(),
            places.join(", ")
        );
        if places.len() >= SHARED_MAX {
            complaints.push(Complaint::new("type-names", &name, text));
        } else if places.len() >= SHARED_SOME {
            complaints.push(Complaint::new("type-names-shared", "workspace", text));
        }
    }
}

/// Types and traits that items define, and their lines.
#[derive(Default)]
struct Types(Vec<(String, usize)>);

impl Types {
    fn add(&mut self, name: &syn::Ident) {
        self.0.push((name.to_string(), name.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(&item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.add(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(count: usize) -> Vec<&'static str> {
        let mut text = "impl A for B { type Phase = u8; }".to_owned();
        for at in 0..count {
            text.push_str(&format!("mod m{at} {{ struct Phase; }}"));
        }
        let mut complaints = Vec::new();
        check(&[RustSource::parse("crates/a/src/lib.rs", text).unwrap()], &mut complaints);
        complaints.into_iter().map(|complaint| complaint.rule).collect()
    }

    #[test]
    fn five_types_of_one_name_are_refused_and_three_counted() {
        assert_eq!(rules_of(2), [] as [&str; 0], "the associated type is none");
        assert_eq!(rules_of(3), ["type-names-shared"]);
        assert_eq!(rules_of(4), ["type-names-shared"]);
        assert_eq!(rules_of(5), ["type-names"]);
    }
}
