//! What a `Cargo.toml` may depend on, and that the crate uses what it depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};

use crate::complaint::Complaint;
use crate::layers;
use crate::source::{self, RustSource};

/// Every manifest of the workspace, of `fuzz/`, and the workspace's own.
pub(crate) fn check(
    root: &Path,
    sources: &[RustSource],
    complaints: &mut Vec<Complaint>,
) -> Result<()> {
    let words = Words::of(sources);
    let mut wanted = BTreeSet::new();
    let mut top = None;
    for (path, text) in source::texts(root, &["toml"])? {
        let Some(folder) = path.strip_suffix("Cargo.toml") else { continue };
        let manifest = Manifest::parse(folder.trim_end_matches('/'), &text)
            .with_context(|| format!("parsing {path}"))?;
        if folder.is_empty() {
            top = Some(manifest);
            continue;
        }
        wanted.extend(manifest.all().map(|(key, _)| key.to_owned()));
        manifest.check_layers(complaints)?;
        manifest.check_used(&words, complaints);
    }
    top.context("the root has no Cargo.toml")?.check_workspace(&wanted, complaints);
    Ok(())
}

#[derive(Debug)]
struct Manifest {
    /// From the root: `crates/flow`.
    folder: String,
    table: toml::Table,
}

/// Which sources may use a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsedBy {
    Product,
    Tests,
    BuildScript,
}

const TABLES: &[(&str, UsedBy)] = &[
    ("dependencies", UsedBy::Product),
    ("dev-dependencies", UsedBy::Tests),
    ("build-dependencies", UsedBy::BuildScript),
];

impl Manifest {
    fn parse(folder: &str, text: &str) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), table: text.parse()? })
    }

    fn all(&self) -> impl Iterator<Item = (&str, UsedBy)> {
        TABLES.iter().flat_map(|(table, used_by)| {
            let keys = self.table.get(*table).and_then(toml::Value::as_table);
            keys.into_iter().flat_map(toml::Table::keys).map(|key| (key.as_str(), *used_by))
        })
    }

    fn check_layers(&self, complaints: &mut Vec<Complaint>) -> Result<()> {
        let package = self.table.get("package").and_then(|package| package.get("name"));
        let name = package.and_then(toml::Value::as_str);
        let name = name.with_context(|| format!("{} has no package name", self.folder))?;
        let mut complain = |text| complaints.push(Complaint::new("layers", name, text));
        if self.folder == "fuzz" {
            return Ok(());
        }
        if Path::new(&self.folder).file_name().and_then(|name| name.to_str()) != Some(name) {
            complain(format!("{}: crate {name} does not bear its folder's name", self.folder));
        }
        let Some(allowed) = layers::may_use(name) else {
            complain(format!("{name}: not in the table of layers (crates/xtask/src/layers.rs)"));
            return Ok(());
        };
        for (key, used_by) in self.all() {
            if used_by == UsedBy::Product && layers::is_ours(key) && !allowed.contains(&key) {
                complain(format!("{name}: may not depend on {key} (crates/xtask/src/layers.rs)"));
            }
        }
        Ok(())
    }

    fn check_used(&self, words: &Words, complaints: &mut Vec<Complaint>) {
        for (key, used_by) in self.all() {
            let crate_name = key.replace('-', "_");
            if !words.has(&self.folder, used_by, &crate_name) {
                let path = format!("{}/Cargo.toml", self.folder);
                let text = format!("{path}: nothing uses {key}: take the line out");
                let area = source::area(&path);
                complaints.push(Complaint::new("unused-dependencies", area, text));
            }
        }
    }

    fn check_workspace(&self, wanted: &BTreeSet<String>, complaints: &mut Vec<Complaint>) {
        let workspace = self.table.get("workspace");
        let keys = workspace.and_then(|workspace| workspace.get("dependencies"));
        let keys = keys.and_then(toml::Value::as_table);
        for key in keys.into_iter().flat_map(toml::Table::keys) {
            if !wanted.contains(key) {
                let text = format!("Cargo.toml: no member depends on {key}: take the line out");
                complaints.push(Complaint::new("unused-dependencies", "workspace", text));
            }
        }
    }
}

/// The identifiers of each crate, by the kind of source.
#[derive(Debug, Default)]
struct Words(BTreeMap<String, PackageWords>);

#[derive(Debug, Default)]
struct PackageWords {
    product: BTreeSet<String>,
    any: BTreeSet<String>,
    build_script: BTreeSet<String>,
}

impl Words {
    fn of(sources: &[RustSource]) -> Self {
        let mut words = Self::default();
        for source in sources {
            let of_crates = source.path.strip_prefix("crates/");
            let folder = match of_crates {
                Some(_) => format!("crates/{}", source.area()),
                None => source.area().to_owned(),
            };
            let package = words.0.entry(folder.clone()).or_default();
            identifiers(source.tokens.clone(), &mut package.any);
            let inside = source.path.strip_prefix(&folder).unwrap_or_default();
            if inside == "/build.rs" {
                identifiers(source.tokens.clone(), &mut package.build_script);
            } else if !source.is_test() && !inside.starts_with("/examples/") {
                let product = source::without_tests(source.tokens.clone());
                identifiers(product, &mut package.product);
            }
        }
        words
    }

    fn has(&self, folder: &str, used_by: UsedBy, name: &str) -> bool {
        self.0.get(folder).is_some_and(|package| match used_by {
            UsedBy::Product => package.product.contains(name),
            UsedBy::Tests => package.any.contains(name),
            UsedBy::BuildScript => package.build_script.contains(name),
        })
    }
}

fn identifiers(tokens: TokenStream, into: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => identifiers(group.stream(), into),
            TokenTree::Ident(name) => {
                into.insert(name.to_string());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unused(manifest: &str, path: &str, text: &str) -> Vec<String> {
        let words = Words::of(&[RustSource::parse(path, text.to_owned()).unwrap()]);
        let mut complaints = Vec::new();
        Manifest::parse("crates/flow", manifest).unwrap().check_used(&words, &mut complaints);
        complaints.into_iter().map(|complaint| complaint.text).collect()
    }

    #[test]
    fn an_unused_dependency_is_found() {
        let manifest = "[dependencies]\nserde-yaml = \"1\"\n";
        let path = "crates/flow/src/lib.rs";
        assert_eq!(unused(manifest, path, "use serde_yaml::Value;").len(), 0);
        assert_eq!(unused(manifest, path, "// serde_yaml").len(), 1);
        let only_tests = "#[cfg(test)] mod tests { use serde_yaml::Value; }";
        assert_eq!(unused(manifest, path, only_tests).len(), 1);
        let dev = "[dev-dependencies]\nserde-yaml = \"1\"\n";
        assert_eq!(unused(dev, path, only_tests).len(), 0);
        let build = "[build-dependencies]\ncc = \"1\"\n";
        assert_eq!(unused(build, path, "use cc::Build;").len(), 1);
        assert_eq!(unused(build, "crates/flow/build.rs", "use cc::Build;").len(), 0);
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        let text = "[package]\nname = \"wire\"\n[dependencies]\ndatapath = \"1\"\n";
        let mut complaints = Vec::new();
        let wire = Manifest::parse("crates/wire", text).unwrap();
        wire.check_layers(&mut complaints).unwrap();
        assert!(complaints[0].text.contains("may not depend on datapath"), "{complaints:?}");
    }

    #[test]
    fn a_dependency_that_no_member_wants_is_found() {
        let text = "[workspace.dependencies]\nserde = \"1\"\nlibc = \"1\"\n";
        let mut complaints = Vec::new();
        let wanted = BTreeSet::from(["serde".to_owned()]);
        Manifest::parse("", text).unwrap().check_workspace(&wanted, &mut complaints);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    }
}
