//! The packages that the workspace builds on, as cargo knows them: licences, versions that are
//! there twice, and what the program must never contain. `deny.toml` has the lists, so that
//! cargo-deny and this check agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::complaint::Complaint;
use crate::{licence, source};

/// What the program is.
const PROGRAM: &str = "wirepatch";

/// For development only: the program never contains these.
const TOOLS: &[&str] = &["benches", "fuzzing", "sim", "xtask"];

pub(crate) fn check(root: &Path, complaints: &mut Vec<Complaint>) -> Result<()> {
    let lists = Lists::read(root)?;
    let packages = Packages::of(&metadata(root)?)?;
    let lock = source::read(&root.join("Cargo.lock"))?;
    complaints.extend(lists.licences(&packages));
    complaints.extend(lists.duplicates(&lock)?);
    complaints.extend(packages.tools_of_the_program());
    complaints.extend(packages.circles());
    Ok(())
}

/// What cargo tells about the workspace.
pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform"];
    let output = Command::new(cargo)
        .args(arguments)
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(root)
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("parsing what cargo metadata printed")
}

/// One package; dependencies by name.
#[derive(Debug, Default)]
struct Package {
    licence: Option<String>,
    is_ours: bool,
    is_library: bool,
    /// What is compiled into it.
    normal: BTreeSet<String>,
    /// Build scripts and tests too.
    all: BTreeSet<String>,
}

/// Packages by name and version, dependencies by the same key.
#[derive(Debug)]
pub(crate) struct Packages(BTreeMap<String, Package>);

impl Packages {
    pub(crate) fn of(metadata: &Value) -> Result<Self> {
        let mut keys = BTreeMap::new();
        let mut packages = BTreeMap::new();
        for package in list(metadata, "packages") {
            let is_ours = package.get("source").is_none_or(Value::is_null);
            let name = text(package, "name")?;
            let key = match is_ours {
                true => name.to_owned(),
                false => format!("{name}@{}", text(package, "version")?),
            };
            keys.insert(text(package, "id")?, key.clone());
            let licence = package.get("license").and_then(Value::as_str).map(str::to_owned);
            let mut targets = list(package, "targets").iter().flat_map(|of| list(of, "kind"));
            let is_library = targets.any(|kind| kind == "lib");
            let found = Package { licence, is_ours, is_library, ..Package::default() };
            packages.insert(key, found);
        }
        let resolve = metadata.get("resolve").context("cargo metadata resolved nothing")?;
        for node in list(resolve, "nodes") {
            let key = keys.get(text(node, "id")?).context("a node that is no package")?;
            let package = packages.get_mut(key).context("a node that is no package")?;
            for dependency in list(node, "deps") {
                let on = keys.get(text(dependency, "pkg")?).context("an unknown dependency")?;
                package.all.insert(on.clone());
                let kinds = list(dependency, "dep_kinds").iter();
                if kinds.filter_map(|kind| kind.get("kind")).any(Value::is_null) {
                    package.normal.insert(on.clone());
                }
            }
        }
        Ok(Self(packages))
    }

    /// The workspace's crates.
    pub(crate) fn ours(&self) -> BTreeSet<String> {
        let ours = self.0.iter().filter(|(_, package)| package.is_ours);
        ours.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn is_library(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|package| package.is_library)
    }

    /// The workspace's crates that depend on one of `names`, and `names` themselves.
    pub(crate) fn dependants(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        let mut reached = names;
        loop {
            let ours = self.0.iter().filter(|(_, package)| package.is_ours);
            let more: BTreeSet<String> = ours
                .filter(|(_, package)| package.all.iter().any(|on| reached.contains(on)))
                .map(|(name, _)| name.clone())
                .filter(|name| !reached.contains(name))
                .collect();
            if more.is_empty() {
                return reached;
            }
            reached.extend(more);
        }
    }

    /// Everything that `from` contains through `edges`, without itself unless a circle leads back.
    fn reached<'a>(
        &'a self,
        from: &str,
        edges: impl Fn(&'a Package) -> &'a BTreeSet<String>,
    ) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = vec![from];
        while let Some(name) = open.pop() {
            for on in self.0.get(name).into_iter().flat_map(&edges) {
                if reached.insert(on.as_str()) {
                    open.push(on.as_str());
                }
            }
        }
        reached
    }

    fn tools_of_the_program(&self) -> Vec<Complaint> {
        let contained = self.reached(PROGRAM, |package| &package.normal);
        let tools = TOOLS.iter().filter(|tool| contained.contains(**tool));
        let complain = |tool: &&str| {
            let text = format!("{PROGRAM} contains {tool}, which is for development only");
            Complaint::new("program-tree", PROGRAM, text)
        };
        tools.map(complain).collect()
    }

    /// Cargo itself refuses circles of the product; tests can still close one.
    fn circles(&self) -> Vec<Complaint> {
        let ours = self.0.iter().filter(|(_, package)| package.is_ours);
        let circular = ours
            .filter(|(name, _)| self.reached(name, |package| &package.all).contains(name.as_str()));
        let complain = |(name, _): (&String, _)| {
            let text = format!("{name}: its dependencies lead back to it through a test");
            Complaint::new("crate-circles", name, text)
        };
        circular.map(complain).collect()
    }
}

/// The lists of `deny.toml`.
#[derive(Debug)]
struct Lists {
    licences: BTreeSet<String>,
    /// `name@version` that may be there beside another version, each with a reason.
    doubles: BTreeSet<String>,
}

impl Lists {
    fn read(root: &Path) -> Result<Self> {
        let text = source::read(&root.join("deny.toml"))?;
        Self::parse(&text).context("parsing deny.toml")
    }

    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let array = |section: &str, key: &str| -> Vec<toml::Value> {
            let section = table.get(section).and_then(|section| section.get(key));
            section.and_then(toml::Value::as_array).cloned().unwrap_or_default()
        };
        let mut doubles = BTreeSet::new();
        for skip in array("bans", "skip") {
            let name = skip.get("crate").and_then(toml::Value::as_str);
            let reason = skip.get("reason").and_then(toml::Value::as_str);
            reason.context("bans.skip: each entry has a reason")?;
            doubles.insert(name.context("bans.skip: each entry names a crate")?.to_owned());
        }
        let allowed = array("licenses", "allow");
        let licences = allowed.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect();
        Ok(Self { licences, doubles })
    }

    fn licences(&self, packages: &Packages) -> Vec<Complaint> {
        let theirs = packages.0.iter().filter(|(_, package)| !package.is_ours);
        let refused = theirs.filter(|(_, package)| {
            let licence = package.licence.as_deref().unwrap_or_default();
            !licence::permitted(licence, &|name| self.licences.contains(name))
        });
        let complain = |(name, package): (&String, &Package)| {
            let licence = package.licence.as_deref().unwrap_or("no licence");
            let text = format!("{name}: {licence} is not among licenses.allow of deny.toml");
            Complaint::new("licences", "workspace", text)
        };
        refused.map(complain).collect()
    }

    fn duplicates(&self, lock: &str) -> Result<Vec<Complaint>> {
        let lock: toml::Table = lock.parse().context("parsing Cargo.lock")?;
        let packages = lock.get("package").and_then(toml::Value::as_array);
        let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for package in packages.into_iter().flatten() {
            let part = |key| package.get(key).and_then(toml::Value::as_str).unwrap_or_default();
            let name = part("name");
            versions.entry(name).or_default().push(format!("{name}@{}", part("version")));
        }
        let mut complaints = Vec::new();
        for versions in versions.values() {
            let more = versions.iter().filter(|version| !self.doubles.contains(*version)).count();
            if versions.len() > 1 && more > 1 {
                let text = format!("Cargo.lock: {}: one of them is enough", versions.join(", "));
                complaints.push(Complaint::new("duplicates", "workspace", text));
            }
        }
        Ok(complaints)
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, key: &str) -> Result<&'a str> {
    of.get(key).and_then(Value::as_str).with_context(|| format!("cargo metadata has no {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `sim` tests with `wirepatch`, and `wirepatch` contains `sim`.
    fn packages() -> Packages {
        let edge = |on: &str, kind: Value| json!({"pkg": on, "dep_kinds": [{"kind": kind}]});
        let of = json!({
            "packages": [
                {"id": "w", "name": "wirepatch", "version": "1.0.0", "source": null},
                {"id": "s", "name": "sim", "version": "1.0.0", "source": null},
                {"id": "g", "name": "copy", "version": "1.0.0", "source": "registry",
                 "license": "GPL-3.0"},
            ],
            "resolve": {"nodes": [
                {"id": "w", "deps": [edge("s", Value::Null), edge("g", Value::Null)]},
                {"id": "s", "deps": [edge("w", json!("dev"))]},
            ]},
        });
        Packages::of(&of).unwrap()
    }

    #[test]
    fn the_program_contains_no_simulator() {
        let told = packages().tools_of_the_program();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains("contains sim"), "{told:?}");
    }

    #[test]
    fn a_circle_through_a_test_is_found() {
        assert_eq!(packages().circles().len(), 2);
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_found() {
        let lists = Lists::parse("[licenses]\nallow = [\"MIT\"]\n").unwrap();
        let told = lists.licences(&packages());
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_second_version_is_found_unless_it_has_a_reason() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\n\
                    [[package]]\nname = \"a\"\nversion = \"2\"\n";
        let skip = "[bans]\nskip = [{ crate = \"a@1\", reason = \"b wants it\" }]\n";
        assert_eq!(Lists::parse("").unwrap().duplicates(lock).unwrap().len(), 1);
        assert_eq!(Lists::parse(skip).unwrap().duplicates(lock).unwrap().len(), 0);
        assert!(Lists::parse("[bans]\nskip = [{ crate = \"a@1\" }]\n").is_err(), "no reason");
    }

    #[test]
    fn dependants_follow_tests_too() {
        let changed = BTreeSet::from(["wirepatch".to_owned()]);
        assert!(packages().dependants(changed).contains("sim"));
    }
}
