//! From a checked configuration to a proved plan, at start and at every reload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use patch::{Diagnostic, Group, Options, Patch, compile, load, nearest};
use plan::{Mode, Plan};

use crate::config::Config;

/// Everything of a configuration that can change while the box runs.
#[derive(Debug)]
pub struct Loaded {
    /// Ready to be put in force.
    pub plan: Plan,
    /// What it was made of.
    pub patches: Vec<Patch>,
    /// What an operator should know although nothing is wrong.
    pub warnings: Vec<String>,
}

/// Reads, compiles and proves the patch set of `config`, whole or not at all. `modes` are the modes that `ctl mode` has set;
/// `prove` runs the patches' own test cases and says which failed. `now` is the wall clock, Unix seconds.
///
/// # Errors
/// Everything that stands in the way.
pub fn load_plan(
    config: &Config,
    modes: &BTreeMap<String, Mode>,
    now: i64,
    prove: impl FnOnce(&[Patch]) -> Vec<Diagnostic>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut files: Vec<PathBuf> =
        config.groups.iter().flat_map(|group| group.patches.clone()).collect();
    files.sort();
    files.dedup();
    let patches = load(&files)?;
    let number: BTreeMap<&str, usize> =
        patches.iter().enumerate().map(|(number, patch)| (patch.file.name(), number)).collect();
    let groups: Vec<Group> = config
        .groups
        .iter()
        .map(|group| Group {
            name: group.name.clone(),
            mode: modes.get(&group.name).copied().unwrap_or(group.mode),
            prefixes: group.prefixes.clone(),
            ports: group.ports.clone(),
            patches: group
                .patches
                .iter()
                .filter_map(|path| number.get(path.display().to_string().as_str()).copied())
                .collect(),
        })
        .collect();
    let options = Options { hold_bytes_max: config.limits.hold_bytes, fail: config.fail_mode };
    let plan = compile(&patches, &groups, &options)?;
    let failed = prove(&patches);
    if !failed.is_empty() {
        return Err(failed);
    }
    Ok(Loaded { warnings: warnings(&patches, now), plan, patches })
}

/// A group's name, checked; an error that names the nearest one.
///
/// # Errors
/// There is no such group.
pub fn known_group<'a>(config: &'a Config, name: &str) -> Result<&'a str, String> {
    let names = || config.groups.iter().map(|group| group.name.as_str());
    names().find(|known| *known == name).ok_or_else(|| match nearest(name, names()) {
        Some(near) => format!("no server group is called `{name}`; did you mean `{near}`?"),
        None => format!(
            "no server group is called `{name}`; there are: {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// What changed in `new` that only a restart can take up.
pub fn wants_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut compare = |what: &'static str, old: String, new: String| {
        if old != new {
            changed.push(what);
        }
    };
    compare("eal", format!("{:?}", old.eal), format!("{:?}", new.eal));
    compare("ports", format!("{:?}", old.ports), format!("{:?}", new.ports));
    compare("bridges", format!("{:?}", old.bridges), format!("{:?}", new.bridges));
    compare("workers", format!("{:?}", old.workers), format!("{:?}", new.workers));
    let hold_apart = |config: &Config| {
        let mut limits = config.limits.clone();
        // The one limit that is compiled into a plan.
        limits.hold_bytes = 0;
        format!("{limits:?}")
    };
    compare("limits", hold_apart(old), hold_apart(new));
    compare("midstream", format!("{:?}", old.midstream), format!("{:?}", new.midstream));
    compare("tunnels", format!("{:?}", old.tunnels), format!("{:?}", new.tunnels));
    compare("metrics", old.metrics.to_string(), new.metrics.to_string());
    compare("control", format!("{:?}", old.control), format!("{:?}", new.control));
    compare(
        "logging",
        format!("{:?}", (old.log_level, old.log_format)),
        format!("{:?}", (new.log_level, new.log_format)),
    );
    changed
}

fn warnings(patches: &[Patch], now: i64) -> Vec<String> {
    const DAY_SECONDS: i64 = 86_400;
    let overdue = patches.iter().filter_map(|patch| {
        let days = now.checked_sub(patch.postpone_until?)?.checked_div(DAY_SECONDS)?;
        (days >= 0).then(|| {
            format!("{}: the vendor's patch was postponed until {days} day(s) ago: install it, or set a new postpone_until", patch.name)
        })
    });
    let untested = patches.iter().filter(|patch| patch.tests.is_empty()).map(|patch| {
        format!("{}: has no test cases, so nothing proves it before it is put in force", patch.name)
    });
    overdue.chain(untested).collect()
}

/// Adds `path`, or every patch file under it, in order of name.
pub(crate) fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    for pattern in ["**/*.yaml", "**/*.yml"] {
        if let Ok(found) = glob::glob(&path.join(pattern).to_string_lossy()) {
            files.extend(found.flatten().filter(|file| file.is_file()));
        }
    }
}
