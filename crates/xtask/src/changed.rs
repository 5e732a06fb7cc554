//! Which crates a change touches: those with changed files, and all that depend on them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::packages::{self, Packages};
use crate::source;

/// The crates with changes since the last common commit with `base`, committed or not, and their
/// dependants. Without `base` (a clone without remotes) the last commit counts.
pub(crate) fn since(root: &Path, base: &str) -> Result<Changed> {
    let fork = git(root, &["merge-base", "HEAD", base]);
    let fork = fork.or_else(|_| git(root, &["rev-parse", "HEAD"]))?;
    let changed = git(root, &["diff", "--name-only", fork.trim()])?;
    let added = git(root, &["ls-files", "--others", "--exclude-standard"])?;
    let packages = Packages::of(&packages::metadata(root)?)?;
    let touched = touched(changed.lines().chain(added.lines()));
    let crates = match touched {
        Touched::Everything => packages.ours(),
        Touched::Crates(names) => packages.dependants(names),
    };
    let libraries = crates.iter().any(|name| packages.is_library(name));
    Ok(Changed { crates, libraries })
}

/// The crates to test.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) crates: BTreeSet<String>,
    /// Whether one of them is a library: cargo refuses `--lib` where none is.
    pub(crate) libraries: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Touched {
    Everything,
    Crates(BTreeSet<String>),
}

fn touched<'a>(paths: impl Iterator<Item = &'a str>) -> Touched {
    let mut names = BTreeSet::new();
    for path in paths {
        if ["Cargo.toml", "Cargo.lock", "clippy.toml", "rustfmt.toml"].contains(&path) {
            return Touched::Everything;
        }
        if path.starts_with("crates/") || path.starts_with("benches/") {
            names.insert(source::area(path).to_owned());
        }
        // The tests of these read the library and the documents.
        if path.starts_with("patches/") || path.starts_with("deploy/") {
            names.insert("patch".to_owned());
        }
        if path.starts_with("docs/") {
            names.insert("xtask".to_owned());
        }
    }
    Touched::Crates(names)
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output();
    let output = output.context("starting git")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("git printed something that is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_crates() {
        let crates =
            |names: &[&str]| Touched::Crates(names.iter().map(|name| (*name).to_owned()).collect());
        let paths = ["crates/flow/src/lib.rs", "benches/src/main.rs", "README.md"];
        assert_eq!(touched(paths.into_iter()), crates(&["benches", "flow"]));
        assert_eq!(touched(["patches/http/a.yaml"].into_iter()), crates(&["patch"]));
        assert_eq!(touched(["docs/cli.md", "Cargo.lock"].into_iter()), Touched::Everything);
    }
}
