//! `wirepatch explain`: the compiled plan, or the packet rate that it sustains.

use std::process::ExitCode;

use anyhow::Result;
use patch::{Group, Options, compile, render};
use serde_json::json;

use super::{code, load};
use crate::budget::{self, Budget};
use crate::cli::ExplainArgs;
use crate::output::{self, say_error};

/// Prints it.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    // Only a budget can do without: it then speaks of what is out of scope.
    let loaded = if args.patches.is_empty() { Ok(Vec::new()) } else { load(&args.patches) };
    let compiled = loaded.and_then(|patches| {
        compile(&patches, &[Group::everywhere(patches.len())], &Options::default())
    });
    match compiled {
        Ok(plan) => {
            let explanation = patch::explain(&plan);
            if let Some(gbit_per_s) = args.budget {
                let budget = Budget::new(&explanation, gbit_per_s, args.cpu_ghz)?;
                if args.json {
                    output::say_json(&budget)?;
                } else {
                    output::say(&budget::table(&budget))?;
                }
            } else if args.json {
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
