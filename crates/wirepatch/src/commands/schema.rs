//! `wirepatch schema` and `wirepatch completions`: for editors and shells.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;

use super::code;
use crate::cli::{Cli, CompletionsArgs, SchemaArgs, SchemaOf};
use crate::output;

/// A JSON Schema.
pub(crate) fn schema(args: &SchemaArgs) -> Result<ExitCode> {
    let schema = match args.of {
        SchemaOf::Patch => patch::patch_schema(),
        SchemaOf::Config => control::schema(),
    };
    output::say_json(&schema)?;
    Ok(code(true))
}

/// A completion script. It is made whole before it is written: the generator panics on a closed
/// pipe.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wirepatch", &mut script);
    output::say(&String::from_utf8_lossy(&script))?;
    Ok(code(true))
}
