//! From a checked configuration to a proved plan, at start and at every reload.

use std::collections::BTreeMap;
use std::path::PathBuf;

use patch::{Diagnostic, Group, Options, Patch, compile, load, nearest};
use plan::{Mode, Plan};
use serde_json::Value;

use crate::config::Config;
use crate::keys::{Applies, ConfigKey, KeyKind, KeySection as _, json};
use crate::settings::Settings;

/// Everything of a configuration that can change while the box runs.
#[derive(Debug)]
pub struct LoadedPlan {
    /// Ready to become the active plan.
    pub plan: Plan,
    /// The patches it was made of.
    pub patches: Vec<Patch>,
    /// Facts that an operator should know although nothing is wrong.
    pub warnings: Vec<String>,
}

/// Reads, compiles and proves the patch set of `config`, whole or not at all. `modes` are the modes
/// that `ctl mode` has set. `prove` runs the patches' own test cases and reports those that fail.
/// `now` is the wall clock, Unix seconds.
///
/// # Errors
/// Everything that is wrong with the patches.
pub fn load_plan(
    config: &Config,
    modes: &BTreeMap<String, Mode>,
    now: i64,
    prove: impl FnOnce(&[Patch]) -> Vec<Diagnostic>,
) -> Result<LoadedPlan, Vec<Diagnostic>> {
    let mut files: Vec<PathBuf> = config.patch_files.iter().flatten().cloned().collect();
    files.sort();
    files.dedup();
    let patches = load(&files)?;
    let number: BTreeMap<&str, usize> =
        patches.iter().enumerate().map(|(number, patch)| (patch.file.name(), number)).collect();
    let settings = &config.settings;
    let groups: Vec<Group> = settings
        .server_groups
        .iter()
        .zip(&config.patch_files)
        .map(|(group, files)| Group {
            name: group.name.value.clone(),
            mode: modes.get(&group.name.value).copied().unwrap_or(group.mode.0),
            prefixes: group.addresses.iter().map(|prefix| (prefix.bytes, prefix.bits)).collect(),
            ports: group
                .ports
                .iter()
                .map(|(name, ports)| (name.clone(), ports.value.clone()))
                .collect(),
            patches: files
                .iter()
                .filter_map(|path| number.get(path.display().to_string().as_str()).copied())
                .collect(),
        })
        .collect();
    let options =
        Options { hold_bytes_max: settings.limits.hold_bytes, fail: settings.fail_mode.0 };
    let plan = compile(&patches, &groups, &options)?;
    let failed = prove(&patches);
    if !failed.is_empty() {
        return Err(failed);
    }
    let mut warnings = config.warnings.clone();
    warnings.extend(warnings_of(&patches, now));
    Ok(LoadedPlan { warnings, plan, patches })
}

/// A group's name, checked; an error that names the nearest one.
///
/// # Errors
/// There is no such group.
pub fn known_group<'a>(config: &'a Config, name: &str) -> Result<&'a str, String> {
    let names = || config.settings.server_groups.iter().map(|group| group.name.as_str());
    names().find(|known| *known == name).ok_or_else(|| match nearest(name, names()) {
        Some(near) => format!("no server group is called `{name}`; did you mean `{near}`?"),
        None => format!(
            "no server group is called `{name}`; there are: {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// The keys whose values differ in `new`, and that only a restart takes up.
pub fn wants_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let (old, new) = (json(&old.settings), json(&new.settings));
    compare(Settings::KEYS, &old, &new, "", &mut changed);
    changed
}

fn compare(keys: &[ConfigKey], old: &Value, new: &Value, path: &str, changed: &mut Vec<String>) {
    for key in keys {
        let (Some(old), Some(new)) = (old.get(key.name), new.get(key.name)) else { continue };
        let path = format!("{path}{}", key.name);
        match (key.applies, key.kind) {
            (Applies::Inside, KeyKind::Section(keys)) => {
                compare(keys, old, new, &format!("{path}."), changed);
            }
            (Applies::Restart, _) if old != new => changed.push(path),
            _ => {}
        }
    }
}

fn warnings_of(patches: &[Patch], now: i64) -> Vec<String> {
    const DAY_SECONDS: i64 = 86_400;
    let overdue = patches.iter().filter_map(|patch| {
        let days = now.checked_sub(patch.postpone_until?)?.checked_div(DAY_SECONDS)?;
        (days >= 0).then(|| {
            format!(
                "{}: the vendor's patch was postponed until {days} day(s) ago: install it, or \
                     set a new postpone_until",
                patch.name
            )
        })
    });
    let untested = patches.iter().filter(|patch| patch.tests.is_empty()).map(|patch| {
        format!("{}: has no test cases, so nothing proves it: add `tests`", patch.name)
    });
    overdue.chain(untested).collect()
}
