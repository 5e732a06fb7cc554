//! `wirepatch check`: everything `run` would stumble over.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use control::{Config, load_plan, problems_here};
use patch::{Diagnostic, Group, Options, compile, render};
use serde::Serialize;

use super::{code, load};
use crate::budget::{self, Budget};
use crate::cli::CheckArgs;
use crate::output::{self, say_error};

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    ok: bool,
    patches: usize,
    modules: usize,
    /// Wrong with the files.
    diagnostics: Vec<Diagnostic>,
    /// Wrong with this machine.
    problems: Vec<String>,
    /// Nothing is wrong, but good to know.
    warnings: Vec<String>,
}

/// Types and compiles.
pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let mut found = Findings::default();
    if let Some(path) = &args.config {
        let checked = Config::load(path).and_then(|config| {
            found.problems = problems_here(&config);
            let loaded = load_plan(&config, &BTreeMap::new(), unix_seconds(), crate::proof::prove)?;
            Ok((config, loaded))
        });
        match checked {
            Ok((config, loaded)) => {
                found.patches += loaded.patches.len();
                found.modules += loaded.plan.modules.len();
                found.warnings = loaded.warnings;
                found.warnings.extend(budget::warnings(
                    config.workers.count,
                    &budget::kernel_speeds(&config),
                    |gbit_per_s| Budget::new(&patch::explain(&loaded.plan), gbit_per_s, None).ok(),
                ));
            }
            Err(wrong) => found.diagnostics.extend(wrong),
        }
    }
    if !args.patches.is_empty() {
        let checked = load(&args.patches).and_then(|patches| {
            let group = Group::everywhere(patches.len());
            let plan = compile(&patches, &[group], &Options::default())?;
            Ok((patches.len(), plan.modules.len()))
        });
        match checked {
            Ok((patches, modules)) => {
                found.patches += patches;
                found.modules += modules;
            }
            Err(wrong) => found.diagnostics.extend(wrong),
        }
    }
    found.ok = found.diagnostics.is_empty() && found.problems.is_empty();
    if args.json {
        output::say_json(&found)?;
        return Ok(code(found.ok));
    }
    say_error(&render(&found.diagnostics));
    for problem in &found.problems {
        say_error(&format!("error: {problem}\n"));
    }
    for warning in &found.warnings {
        say_error(&format!("warning: {warning}\n"));
    }
    if found.ok {
        let patches = output::counted(found.patches, "patch", "patches");
        let modules = output::counted(found.modules, "module", "modules");
        output::say(&format!("good: {patches} in {modules}\n"))?;
    }
    Ok(code(found.ok))
}

/// Now, for how long fixes have been out.
#[expect(clippy::disallowed_methods, reason = "the control side's look at the wall clock")]
fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}
