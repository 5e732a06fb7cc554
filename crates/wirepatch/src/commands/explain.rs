//! `wirepatch explain`: what was compiled.

use std::process::ExitCode;

use anyhow::Result;
use patch::{Group, Options, compile, render};
use serde_json::json;

use super::{code, load};
use crate::cli::ExplainArgs;
use crate::{output, say_error};

/// Says it.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let compiled = load(&args.patches).and_then(|patches| {
        compile(&patches, &[Group::everywhere(patches.len())], &Options::default())
    });
    match compiled {
        Ok(plan) => {
            let explanation = patch::explain(&plan);
            if args.json {
                output::say_json(&explanation)?;
            } else {
                output::say(&explanation.to_string())?;
            }
            Ok(code(true))
        }
        Err(found) => {
            if args.json {
                output::say_json(&json!({ "diagnostics": found }))?;
            } else {
                say_error(&render(&found));
            }
            Ok(code(false))
        }
    }
}
