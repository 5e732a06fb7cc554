//! `cargo run -p xtask -- tidy`: the rules of the house that neither rustc nor clippy can hold.

mod layers;
mod shared;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the workspace root lies two folders above xtask")?;
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => {
            let complaints = tidy::check(root)?;
            if complaints.is_empty() {
                return Ok(());
            }
            bail!("{}", complaints.join("\n"));
        }
        other => bail!("xtask does not know {other:?}; there is: tidy"),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // A closed stderr leaves nowhere to complain to; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
