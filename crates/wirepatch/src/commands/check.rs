//! `wirepatch check`: everything that would stop `run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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

/// The outcome of every check.
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
    let mut effective = None;
    if let Some(path) = &args.config {
        match found.add_config(path) {
            Ok(config) if args.effective => effective = Some(config.effective()?),
            Ok(_) => {}
            Err(wrong) => found.diagnostics.extend(wrong),
        }
    }
    if !args.patches.is_empty()
        && let Err(wrong) = found.add_patches(&args.patches)
    {
        found.diagnostics.extend(wrong);
    }
    found.ok = found.diagnostics.is_empty() && found.problems.is_empty();
    if args.json {
        output::say_json(&found)?;
    } else {
        found.say(effective.as_deref())?;
    }
    Ok(code(found.ok))
}

impl Findings {
    /// Checks a configuration and its patches, and gives the configuration.
    fn add_config(&mut self, path: &Path) -> core::result::Result<Config, Vec<Diagnostic>> {
        let config = Config::load(path)?;
        self.problems = problems_here(&config);
        let loaded = load_plan(&config, &BTreeMap::new(), unix_seconds(), crate::proof::prove)?;
        self.patches += loaded.patches.len();
        self.modules += loaded.plan.modules.len();
        self.warnings = loaded.warnings;
        self.warnings.extend(budget::warnings(
            config.settings.workers.count,
            &budget::kernel_speeds(&config),
            |gbit_per_s| Budget::new(&patch::explain(&loaded.plan), gbit_per_s, None).ok(),
        ));
        Ok(config)
    }

    /// Compiles patches together, as one group in front of every server.
    fn add_patches(&mut self, paths: &[PathBuf]) -> core::result::Result<(), Vec<Diagnostic>> {
        let patches = load(paths)?;
        let group = Group::everywhere(patches.len());
        let plan = compile(&patches, &[group], &Options::default())?;
        self.patches += patches.len();
        self.modules += plan.modules.len();
        Ok(())
    }

    /// Problems and warnings go to standard error. `effective` takes the place of the summary.
    fn say(&self, effective: Option<&str>) -> Result<()> {
        say_error(&render(&self.diagnostics));
        for problem in &self.problems {
            say_error(&format!("error: {problem}\n"));
        }
        for warning in &self.warnings {
            say_error(&format!("warning: {warning}\n"));
        }
        if let Some(yaml) = effective {
            return output::say(yaml);
        }
        if self.ok {
            let patches = output::counted(self.patches, "patch", "patches");
            let modules = output::counted(self.modules, "module", "modules");
            output::say(&format!("good: {patches} in {modules}\n"))?;
        }
        Ok(())
    }
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
