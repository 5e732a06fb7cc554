//! The tables of verbs and functions: each row is used by everyone who has to.

use super::ground::{patch_text, read};
use crate::condition::functions::FUNCTIONS;
use crate::verbs::VERBS;
use crate::{Group, Options, Patch, compile, explain, manual};

/// The example of a verb as a patch of the protocol whose fields it names.
fn patch_of(example: &str) -> Patch {
    let mut complaints = String::new();
    for protocol in crate::protocols() {
        let text = format!(
            "patch: p\ntitle: t\nprotocol: {protocol}\nscope: {{ ports: [9] }}\nrules:\n  - {example}\n"
        );
        match Patch::from_yaml("example.yaml", &text) {
            Ok(patch) => return patch,
            Err(found) if found.iter().any(|one| one.message.contains("is a field of")) => {}
            Err(found) => complaints.push_str(&crate::render(&found)),
        }
    }
    panic!("{example} is right for no protocol:\n{}", complaints);
}

#[test]
fn every_verb_compiles_and_is_explained_by_its_name() {
    for row in VERBS {
        assert!(row.example.contains(&format!("{}: ", row.name)), "{}", row.example);
        let patch = patch_of(row.example);
        let plan = compile(&[patch], &[Group::everywhere(1)], &Options::default())
            .unwrap_or_else(|found| panic!("{}", crate::render(&found)));
        let rules: Vec<_> = explain(&plan)
            .modules
            .into_iter()
            .flat_map(|module| module.sides)
            .flat_map(|side| side.rules)
            .collect();
        assert!(!rules.is_empty(), "{}", row.name);
        for rule in rules {
            assert_eq!(rule.does.split([' ', ',']).next(), Some(row.name), "{}", row.example);
        }
    }
}

#[test]
fn every_transform_is_made_by_a_verb() {
    let mut kinds: Vec<_> = VERBS
        .iter()
        .flat_map(|row| patch_of(row.example).rules)
        .map(|rule| std::mem::discriminant(&rule.transform))
        .collect();
    kinds.dedup();
    assert_eq!(kinds.len(), VERBS.len(), "each verb makes a transform of its own");
}

#[test]
fn every_function_is_taken_by_the_checker() {
    for row in FUNCTIONS {
        let field = match row.name {
            "duplicate" => "toy.record",
            _ => "toy.name",
        };
        let arguments: Vec<_> = row
            .arguments
            .iter()
            .map(|argument| if argument.starts_with('"') { "\"a-z\"" } else { field })
            .collect();
        let call = format!("{}({})", row.name, arguments.join(", "));
        let condition = match row.yields() {
            crate::condition::functions::ExprType::Bytes => format!("{call} == \"a\""),
            _ => call,
        };
        let text = patch_text(&format!("  - when: '{condition}'\n    drop: message\n"));
        if let Err(found) = read(&text) {
            panic!("{}", crate::render(&found));
        }
    }
}

#[test]
fn the_manual_has_every_verb_and_function() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/patch-language.md");
    let page = std::fs::read_to_string(path).unwrap();
    let anew = manual::with_tables(&page).unwrap();
    assert!(
        page == anew,
        "out of date: `cargo run -p wirepatch --no-default-features -- fields --markdown docs` \
         writes it anew"
    );
}
