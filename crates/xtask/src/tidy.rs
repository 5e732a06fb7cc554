//! Tidy: names, unsafe, unfinished work, dependencies between crates, what threads share.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{layers, shared};

/// A source file longer than this tells more than one story. Tests sit in files of their own.
const SOURCE_LINES_MAX: usize = 700;

/// Every complaint, `path:line: what` first.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for manifest in manifests(root)? {
        check_manifest(&manifest, &mut complaints)?;
    }
    for file in sources(root)? {
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        check_source(&shown, &text, &mut complaints);
    }
    complaints.extend(shared::check(root)?);
    Ok(complaints)
}

fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![root.join("benches/Cargo.toml")];
    for entry in fs::read_dir(root.join("crates")).context("listing crates/")? {
        found.push(entry.context("listing crates/")?.path().join("Cargo.toml"));
    }
    found.sort();
    Ok(found)
}

fn check_manifest(path: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: toml::Table =
        text.parse().with_context(|| format!("parsing {}", path.display()))?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .with_context(|| format!("{} has no package name", path.display()))?;
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    if folder != Some(name) {
        complaints
            .push(format!("{}: crate {name} does not bear its folder's name", path.display()));
    }
    let Some(allowed) = layers::may_use(name) else {
        complaints.push(format!("{name}: not in the table of layers (crates/xtask/src/layers.rs)"));
        return Ok(());
    };
    let used = manifest.get("dependencies").and_then(toml::Value::as_table);
    for dependency in used.into_iter().flat_map(toml::Table::keys) {
        if layers::is_ours(dependency) && !allowed.contains(&dependency.as_str()) {
            complaints.push(format!("{name}: may not depend on {dependency} (DESIGN, crates)"));
        }
    }
    Ok(())
}

pub(crate) fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

fn check_source(path: &str, text: &str, complaints: &mut Vec<String>) {
    let mut complain = |line: usize, what: &str| complaints.push(format!("{path}:{line}: {what}"));
    // Built from halves, so that this file does not complain of itself.
    let unfinished = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let ignored = concat!("#[ig", "nore");
    let allows_unsafe = concat!("allow(uns", "afe_code");
    let unsafe_lives_here =
        path.starts_with("crates/dpdk-sys/") || path.starts_with("crates/capsule/");
    for (at, line) in text.lines().enumerate() {
        let number = at.saturating_add(1);
        if unfinished
            .iter()
            .any(|word| line.split(|c: char| !c.is_ascii_alphabetic()).any(|found| found == *word))
        {
            complain(number, "unfinished work is an issue, not a comment");
        }
        if line.trim_start().starts_with(ignored) {
            complain(number, "a test that never runs");
        }
        if line.contains(allows_unsafe) && !unsafe_lives_here {
            complain(number, "unsafe lives in dpdk-sys and capsule only");
        }
        // `get_mut` is std's own name for what it does.
        let code = line.trim_start();
        if code.starts_with("pub fn get_") && !code.starts_with("pub fn get_mut(") {
            complain(number, "no `get_`: name it after what it gives");
        }
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if ["utils", "util", "common", "helpers", "misc"].contains(&stem) {
        complain(1, "a name that says nothing about what is inside");
    }
    if !is_test(path) && text.lines().count() > SOURCE_LINES_MAX {
        complain(1, "longer than 700 lines: it tells more than one story");
    }
    if !is_test(path) && !path.ends_with("build.rs") && !text.starts_with("//!") {
        complain(1, "a file begins by saying what it holds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_of(path: &str, text: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        check_source(path, text, &mut complaints);
        complaints
    }

    #[test]
    fn this_workspace_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let complaints = check(root).unwrap();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn what_it_complains_of() {
        assert!(complaints_of("crates/flow/src/a.rs", "//! Fine.\n").is_empty());
        let unfinished = format!("//! F.\n// {}: later\n", concat!("TO", "DO"));
        assert_eq!(complaints_of("crates/flow/src/a.rs", &unfinished).len(), 1);
        assert_eq!(complaints_of("crates/flow/src/utils.rs", "//! U.\n").len(), 1);
        assert_eq!(complaints_of("crates/flow/src/a.rs", "pub fn get_x() {}\n").len(), 2);
        let allow = format!("//! F.\n#![{}, reason = \"x\")]\n", concat!("allow(uns", "afe_code"));
        assert_eq!(complaints_of("crates/flow/src/a.rs", &allow).len(), 1);
        assert!(complaints_of("crates/capsule/src/a.rs", &allow).is_empty());
    }
}
