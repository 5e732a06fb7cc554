//! One breach of a rule, and the ratchet: how many breaches each area of the tree may still have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The rule's name, a table of `ratchet.toml`.
    pub(crate) rule: &'static str,
    /// What the ratchet counts by: a crate, a folder, or a name.
    pub(crate) area: String,
    /// `path:line: what is wrong and what to do`.
    pub(crate) text: String,
}

impl Complaint {
    pub(crate) fn new(rule: &'static str, area: &str, text: String) -> Self {
        Self { rule, area: area.to_owned(), text }
    }
}

/// So many breaches of one rule are shown for an area.
const TOLD_MAX: usize = 12;

type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// The breaches that the tree may still have, by rule and area. The numbers only fall.
#[derive(Debug, Default)]
pub(crate) struct Ratchet {
    allowed: Counts,
}

impl Ratchet {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = file(root);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        Self::parse(&text).with_context(|| format!("parsing {path:?}"))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut allowed = Counts::new();
        for (rule, areas) in &text.parse::<toml::Table>()? {
            let areas = areas.as_table().with_context(|| format!("{rule} is no table"))?;
            for (area, count) in areas {
                let count = count.as_integer().and_then(|count| usize::try_from(count).ok());
                let count = count.with_context(|| format!("{rule}.{area} is no count"))?;
                allowed.entry(rule.clone()).or_default().insert(area.clone(), count);
            }
        }
        Ok(Self { allowed })
    }

    /// The complaints of every rule and area that has more of them than it may have.
    pub(crate) fn judge(&self, complaints: &[Complaint]) -> Vec<String> {
        let mut told = Vec::new();
        for (rule, areas) in &count(complaints) {
            for (area, count) in areas {
                let allowed = self.allowed(rule, area);
                if *count <= allowed {
                    continue;
                }
                let of_area = complaints.iter().filter(|c| c.rule == rule && c.area == *area);
                told.extend(of_area.take(TOLD_MAX).map(|complaint| complaint.text.clone()));
                if allowed > 0 || *count > TOLD_MAX {
                    told.push(format!(
                        "{rule}: {area} has {count}, and may have {allowed}; tidy --all has the rest"
                    ));
                }
            }
        }
        told
    }

    fn allowed(&self, rule: &str, area: &str) -> usize {
        self.allowed.get(rule).and_then(|areas| areas.get(area)).copied().unwrap_or(0)
    }

    /// Writes the ratchet anew: each number falls to the count of now, none rises.
    pub(crate) fn lower(&self, root: &Path, complaints: &[Complaint]) -> Result<()> {
        let path = file(root);
        fs::write(&path, self.lowered(complaints)).with_context(|| format!("writing {path:?}"))
    }

    fn lowered(&self, complaints: &[Complaint]) -> String {
        let now = count(complaints);
        let mut text = HEAD.to_owned();
        for (rule, areas) in &self.allowed {
            let left = areas.iter().filter_map(|(area, allowed)| {
                let count = now.get(rule)?.get(area)?;
                Some((area, *count.min(allowed)))
            });
            let left: Vec<_> = left.collect();
            if !left.is_empty() {
                let _ = writeln!(text, "\n[{rule}]");
            }
            for (area, count) in left {
                let _ = writeln!(text, "{area:?} = {count}");
            }
        }
        text
    }
}

const HEAD: &str = "\
# Breaches that the tree may still have, by rule and area. A number only falls:
# `cargo run -p xtask -- tidy --lower` writes it down once the tree is better.
# `cargo run -p xtask -- tidy --all` lists the breaches.
";

fn file(root: &Path) -> PathBuf {
    root.join("crates/xtask/ratchet.toml")
}

fn count(complaints: &[Complaint]) -> Counts {
    let mut counts = Counts::new();
    for complaint in complaints {
        let areas = counts.entry(complaint.rule.to_owned()).or_default();
        let count = areas.entry(complaint.area.clone()).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(count: usize) -> Vec<Complaint> {
        (0..count).map(|at| Complaint::new("file-lines", "flow", format!("a{at}"))).collect()
    }

    #[test]
    fn more_than_allowed_is_told_and_all_of_it() {
        let ratchet = Ratchet::parse("[file-lines]\nflow = 2\n").unwrap();
        assert_eq!(ratchet.judge(&complaints(2)), [] as [&str; 0]);
        let told = ratchet.judge(&complaints(3));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[3].contains("has 3, and may have 2"), "{told:?}");
        assert_eq!(Ratchet::default().judge(&complaints(1)), ["a0"]);
    }

    #[test]
    fn the_ratchet_falls_and_never_rises() {
        let ratchet = Ratchet::parse("[file-lines]\nflow = 2\nwire = 1\n").unwrap();
        let lowered = ratchet.lowered(&complaints(1));
        assert!(lowered.ends_with("\n[file-lines]\n\"flow\" = 1\n"), "{lowered}");
        let kept = ratchet.lowered(&complaints(9));
        assert!(kept.ends_with("\n[file-lines]\n\"flow\" = 2\n"), "{kept}");
        assert_eq!(ratchet.lowered(&[]), HEAD);
    }
}
