//! The commands that need no driver, one file each.

pub(crate) mod check;
pub(crate) mod ctl;
pub(crate) mod decode;
pub(crate) mod explain;
pub(crate) mod fields;
mod manual;
mod ports;
pub(crate) mod replay;
pub(crate) mod schema;
pub(crate) mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use patch::{Diagnostic, Patch};

/// Good or bad.
fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// The patches of the arguments; folders without any are said to be so.
fn load(paths: &[PathBuf]) -> Result<Vec<Patch>, Vec<Diagnostic>> {
    let patches = patch::load(paths)?;
    match (patches.as_slice(), paths) {
        ([], [first, ..]) => {
            let message = "there is no patch file (*.yaml, *.yml) in this folder";
            Err(vec![
                Diagnostic::of_file(first.display().to_string(), message)
                    .help("name a patch file, or a folder that has some"),
            ])
        }
        _ => Ok(patches),
    }
}
