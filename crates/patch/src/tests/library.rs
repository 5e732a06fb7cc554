//! The patches that ship, as far as their protocols are there.

use std::path::{Path, PathBuf};

use crate::{Group, Options, Patch, compile, load, render};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches")
}

#[test]
fn every_shipped_patch_compiles_with_all_others() {
    let patches = load(&[root()]).unwrap_or_else(|found| panic!("{}", render(&found)));
    assert!(!patches.is_empty());
    for patch in &patches {
        assert!(patch.tests.len() >= 3, "{} has fewer than three test cases", patch.name);
        assert!(
            patch.equivalence.is_some(),
            "{} does not say how it stands to the fix",
            patch.name
        );
    }
    let group = Group::everywhere(patches.len());
    if let Err(found) = compile(&patches, &[group], &Options::default()) {
        panic!("{}", render(&found));
    }
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let found = load(&[PathBuf::from("nowhere.yaml")]).unwrap_err();
    assert!(render(&found).contains("--> nowhere.yaml"), "{found:?}");
}

#[test]
fn the_same_file_by_two_paths_is_one() {
    let dir = root().join("ftp");
    let all = load(&[dir.clone(), dir.join(".").join("../ftp")]).unwrap();
    let names: std::collections::HashSet<_> = all.iter().map(|patch: &Patch| &patch.name).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn the_manuals_examples_are_patches() {
    let manual = include_str!("../../../../docs/patch-language.md");
    let blocks: Vec<&str> =
        manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    // Between them is the list of verbs: see `tables`.
    let [patch, _, tests] = blocks.as_slice() else { panic!("{} examples", blocks.len()) };
    assert!(Patch::from_yaml("manual", patch).is_ok());
    let text = format!(
        "patch: p\ntitle: x\nprotocol: ftp\nrules:\n  - {{ replace: ftp.request.arg, pattern: ':)', with: '_)' }}\n{tests}"
    );
    if let Err(found) = Patch::from_yaml("manual", &text) {
        panic!("{}", render(&found));
    }
}
