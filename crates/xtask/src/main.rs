//! `cargo run -p xtask -- tidy`: the rules of the house that neither rustc nor clippy can hold.

mod book;
mod changed;
mod check;
mod circles;
mod columns;
mod complaint;
mod house;
mod layers;
mod licence;
mod manifest;
mod markdown;
mod names;
mod packages;
mod retired;
mod shared;
mod size;
mod source;
mod tidy;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
cargo run -p xtask -- COMMAND

  tidy            every rule; prints the breaches beyond crates/xtask/ratchet.toml
  tidy --all      prints also the breaches that the ratchet still allows
  tidy --lower    writes the ratchet anew where the tree is better than it; never higher
  graph CRATE     which file of a crate imports which, and through which paths
  check [BASE]    format, tidy, lints and unit tests of the crates that changed since BASE
                  (default: origin/main) and of their dependants
  book            puts README.md and docs/ together in target/book, for mdBook
";

fn run(out: &mut impl std::io::Write) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the workspace root lies two folders above xtask")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["tidy"] => {
            let complaints = tidy::check(root)?;
            if !complaints.is_empty() {
                bail!("{}", complaints.join("\n"));
            }
        }
        ["tidy", "--all"] => writeln!(out, "{}", tidy::everything(root)?.join("\n"))?,
        ["tidy", "--lower"] => tidy::lower(root)?,
        ["graph", package] => writeln!(out, "{}", circles::edges_of(root, package)?.join("\n"))?,
        ["check"] => check::run(root, "origin/main")?,
        ["check", base] => check::run(root, base)?,
        ["book"] => book::write(root)?,
        _ => bail!("{USAGE}"),
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nowhere to complain to; the exit code still tells.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
