//! `make check`: what a change needs before it is shown to anyone, in three minutes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::changed::{self, Changed};
use crate::tidy;

/// Format, tidy, lints, and the unit tests of the crates that changed and of their dependants.
pub(crate) fn run(root: &Path, base: &str) -> Result<()> {
    cargo(root, &["fmt", "--all", "--check"])?;
    let complaints = tidy::check(root)?;
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    let Changed { crates, libraries } = changed::since(root, base)?;
    if crates.is_empty() {
        return Ok(());
    }
    let packages = crates.iter().flat_map(|name| ["-p", name]);
    let mut lint = vec!["clippy", "--locked", "--all-targets"];
    lint.extend(packages.clone());
    lint.extend(["--", "-D", "warnings"]);
    cargo(root, &lint)?;
    let mut test = vec!["test", "--locked", "-q", "--bins"];
    if libraries {
        test.push("--lib");
    }
    test.extend(packages);
    cargo(root, &test)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo).args(arguments).current_dir(root).status();
    if !status.context("starting cargo")?.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
