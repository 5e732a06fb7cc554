//! The last counts, kept in the repository, and the difference of a new count.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Growth that is an error. Hash tables with a secret of their own probe a little differently at
/// each start, and another processor makes libc choose another `memcpy`.
const GROWTH_MAX: f64 = 0.03;

/// Counts this small are not held to per cents.
const GROWTH_FLOOR: f64 = 2.0;

/// `record/instructions.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Instructions {
    pub(crate) valgrind: String,
    pub(crate) rows: Vec<RowCount>,
}

/// One row: instructions a packet or message.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RowCount {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) instructions: f64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) steps: BTreeMap<String, f64>,
}

/// How a row differs from the record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    More { name: String, before: f64, now: f64 },
    Less { name: String, before: f64, now: f64 },
    New { name: String, now: f64 },
    Gone { name: String },
}

impl Change {
    pub(crate) const fn is_worse(&self) -> bool {
        matches!(self, Self::More { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |before: f64, now: f64| 100.0 * (now / before - 1.0);
        match self {
            Self::More { name, before, now } => {
                write!(
                    f,
                    "WORSE   {name}: {before:.1} -> {now:.1} instructions ({:+.1} %)",
                    percent(*before, *now)
                )
            }
            Self::Less { name, before, now } => {
                write!(
                    f,
                    "better  {name}: {before:.1} -> {now:.1} instructions ({:+.1} %)",
                    percent(*before, *now)
                )
            }
            Self::New { name, now } => {
                write!(f, "new     {name}: {now:.1} instructions; not in the record")
            }
            Self::Gone { name } => write!(f, "gone    {name}: in the record only"),
        }
    }
}

/// The rows that differ by more than the bound.
pub(crate) fn compare(before: &Instructions, now: &Instructions) -> Vec<Change> {
    let known: BTreeMap<&str, f64> =
        before.rows.iter().map(|row| (row.name.as_str(), row.instructions)).collect();
    let mut changes = Vec::new();
    for row in &now.rows {
        let (name, now) = (row.name.clone(), row.instructions);
        match known.get(row.name.as_str()) {
            None => changes.push(Change::New { name, now }),
            Some(&before) => {
                let room = (before * GROWTH_MAX).max(GROWTH_FLOOR);
                if now > before + room {
                    changes.push(Change::More { name, before, now });
                } else if now < before - room {
                    changes.push(Change::Less { name, before, now });
                }
            }
        }
    }
    let gone =
        before.rows.iter().filter(|row| !now.rows.iter().any(|found| found.name == row.name));
    changes.extend(gone.map(|row| Change::Gone { name: row.name.clone() }));
    changes
}

/// For the terminal.
pub(crate) fn table(counted: &Instructions) -> String {
    counted.rows.iter().map(|row| format!("{:>9.1}  {}\n", row.instructions, row.name)).collect()
}

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("record").join(name)
}

pub(crate) fn read_instructions() -> Result<Instructions> {
    serde_json::from_str(&read("instructions.json")?).context("record/instructions.json")
}

pub(crate) fn write_instructions(counted: &Instructions) -> Result<()> {
    let mut text = serde_json::to_string_pretty(counted).context("writing JSON")?;
    text.push('\n');
    let path = path("instructions.json");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// A file of `record/`.
pub(crate) fn read(name: &str) -> Result<String> {
    let path = path(name);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, f64)]) -> Instructions {
        let row = |&(name, instructions): &(&str, f64)| RowCount {
            name: name.to_owned(),
            title: name.to_owned(),
            instructions,
            steps: BTreeMap::new(),
        };
        Instructions { valgrind: "valgrind".to_owned(), rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn only_growth_of_more_than_three_per_cent_is_worse() {
        let before =
            counts(&[("a", 100.0), ("b", 1_000.0), ("c", 1_000.0), ("d", 10.0), ("e", 5.0)]);
        let now = counts(&[("a", 102.9), ("b", 1_031.0), ("c", 900.0), ("d", 11.9), ("f", 1.0)]);
        let said: Vec<String> =
            compare(&before, &now).iter().map(|change| format!("{change}")).collect();
        assert_eq!(
            said,
            [
                "WORSE   b: 1000.0 -> 1031.0 instructions (+3.1 %)",
                "better  c: 1000.0 -> 900.0 instructions (-10.0 %)",
                "new     f: 1.0 instructions; not in the record",
                "gone    e: in the record only",
            ]
        );
    }
}
