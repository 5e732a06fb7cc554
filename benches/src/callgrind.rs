//! Runs this program under callgrind and reads its output.
//!
//! The lines of a function carry the file they were written in, inlined or not. So what the
//! compiler melted together is taken apart again by file, and a file of the data path is a step of
//! the journey.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::record::{Instructions, RowCount};
use crate::work::{self, RowSubject};

/// Counts all rows; `None` where there is no valgrind.
pub(crate) fn count() -> Result<Option<Instructions>> {
    let Ok(version) = Command::new("valgrind").arg("--version").output() else { return Ok(None) };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let folder = std::env::temp_dir().join(format!("wirepatch-benches-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let counted = count_in(&folder);
    // Files left in the temporary folder do no harm.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(Some(Instructions { valgrind: version, rows: counted? }))
}

fn count_in(folder: &Path) -> Result<Vec<RowCount>> {
    let own = std::env::current_exe().context("finding this program")?;
    let out = folder.join("out");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "-q", "--toggle-collect=*work*counted*"])
        .args(["--dump-before=*row_is_done*", "--compress-strings=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(own)
        .arg("--work")
        .stdout(Stdio::null())
        .status()
        .context("running valgrind")?;
    ensure!(status.success(), "valgrind ended with {status}");
    let mut rows = Vec::new();
    for (at, row) in work::rows().into_iter().enumerate() {
        let path = folder.join(format!("out.{}", at + 1));
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let costs = by_place(&text).with_context(|| format!("reading {}", path.display()))?;
        let all: u64 = costs.values().sum();
        if all == 0 {
            bail!("callgrind counted nothing in {}: is the program stripped?", row.name);
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "a count below 2^53"
        )]
        let each = |cost: u64| (cost as f64 * 10.0 / row.count as f64).round() / 10.0;
        let mut steps = BTreeMap::new();
        if matches!(row.subject, RowSubject::Journey(..)) {
            for (place, cost) in &costs {
                *steps.entry(step(place).to_owned()).or_insert(0) += cost;
            }
        }
        let steps = steps.into_iter().map(|(step, cost)| (step, each(cost))).collect();
        rows.push(RowCount { name: row.name, title: row.title, instructions: each(all), steps });
    }
    Ok(rows)
}

/// Instructions by the place they were written: `crate/file.rs`, or `copying`, or `standard
/// library`.
fn by_place(text: &str) -> Result<HashMap<String, u64>> {
    let mut files: HashMap<&str, &str> = HashMap::new();
    let mut functions: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<String, u64> = HashMap::new();
    let (mut home, mut file, mut function) = ("", "", "");
    let mut skip = false;
    for line in text.lines() {
        if let Some((key, value)) =
            line.split_once('=').filter(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase()))
        {
            match key {
                "fl" => {
                    home = named(&mut files, value);
                    file = home;
                }
                "fi" | "fe" => file = named(&mut files, value),
                "cfi" | "cfl" => {
                    named(&mut files, value);
                }
                "fn" => {
                    function = named(&mut functions, value);
                    file = home;
                }
                "cfn" => {
                    named(&mut functions, value);
                }
                // The next line is the callee's cost, which the callee's own lines have as well.
                "calls" => skip = true,
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if core::mem::take(&mut skip) {
                continue;
            }
            let cost = line.split(' ').nth(1).context("a cost line without a cost")?;
            let cost: u64 = cost.parse().context("a cost that is no number")?;
            let place = place(file).or_else(|| place(home)).unwrap_or_else(|| elsewhere(function));
            *costs.entry(place).or_default() += cost;
        }
    }
    Ok(costs)
}

/// `(12) name` the first time, `(12)` from then on.
fn named<'a>(names: &mut HashMap<&'a str, &'a str>, value: &'a str) -> &'a str {
    match value.split_once(' ') {
        Some((id, name)) if id.starts_with('(') => {
            names.insert(id, name);
            name
        }
        _ => names.get(value).copied().unwrap_or(value),
    }
}

/// `crate/file.rs` of a source file of this workspace.
fn place(file: &str) -> Option<String> {
    let (before, path) =
        file.rsplit_once("/src/").or_else(|| file.strip_prefix("src/").map(|path| ("", path)))?;
    let folder = before.rsplit('/').next()?;
    // The standard library has crates of its own under this path.
    if file.starts_with("/rustc/") {
        return None;
    }
    let ours = before.ends_with(&format!("crates/{folder}")) || folder == "benches";
    ours.then(|| format!("{folder}/{path}"))
}

fn elsewhere(function: &str) -> String {
    let copies = ["memcpy", "memmove", "memset"].iter().any(|name| function.contains(name));
    if copies { "copying".to_owned() } else { "standard library".to_owned() }
}

/// The step of the journey that a place belongs to.
fn step(place: &str) -> &str {
    let (folder, file) = place.split_once('/').unwrap_or((place, ""));
    match (folder, file) {
        ("datapath", "receive.rs") => "1 receive",
        ("datapath", "parse.rs" | "tunnel.rs") | ("wire", "layers.rs") => "2 parse",
        ("datapath", "classify.rs") | ("plan", "scope.rs") => "3 classify",
        ("datapath", "track.rs") | ("flow", "table.rs") => "4 track",
        ("datapath", "assemble.rs" | "tcp.rs")
        | ("flow" | "stage", _)
        | ("wire", "tcp.rs" | "seq.rs" | "options.rs") => "5 assemble",
        ("datapath", file) if file.starts_with("tcp/") || file.starts_with("assemble/") => {
            "5 assemble"
        }
        ("proto", "edits.rs") | ("datapath", "apply.rs") => "8 apply",
        ("datapath", "dissect.rs") | ("proto", _) => "6 dissect",
        ("datapath", "decide.rs") | ("engine" | "plan", _) => "7 decide",
        ("datapath", "repair.rs" | "headers.rs") => "9 repair",
        ("datapath", file) if file.starts_with("repair/") => "9 repair",
        ("wire", "checksum.rs") => "checksums (3 verifies, 9 repairs)",
        ("datapath", "transmit.rs") => "10 transmit",
        ("datapath", "memory.rs") => "ports in memory",
        ("datapath" | "benches", _) => "the loop, counters",
        ("wire", _) => "2 parse",
        _ => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inlined lines count for the file they were written in; a call's cost is not counted twice.
    #[test]
    fn costs_by_file() {
        let text = "version: 1\nevents: Ir\n\nfl=(1) /r/crates/datapath/src/journey.rs\nfn=(1) turn\n10 5\n+2 3\n\
                    fi=(2) /r/crates/wire/src/layers.rs\n40 7\nfi=(3) /rustc/library/core/src/slice/mod.rs\n9 2\nfe=(1)\n* 1\n\
                    cfi=(4) /r/crates/proto/src/dns/mod.rs\ncfn=(2) datagram\ncalls=3 50\n11 900\n12 1\n\n\
                    fl=(4)\nfn=(2)\n60 100\n\nfl=(5) ???\nfn=(3) __memcpy_avx_unaligned\n0 11\n";
        let costs = by_place(text).unwrap();
        let cost = |place: &str| costs.get(place).copied().unwrap_or(0);
        assert_eq!(cost("datapath/journey.rs"), 5 + 3 + 2 + 1 + 1);
        assert_eq!(cost("wire/layers.rs"), 7);
        assert_eq!(cost("proto/dns/mod.rs"), 100);
        assert_eq!(cost("copying"), 11);
        assert_eq!(costs.values().sum::<u64>(), 130);
    }
}
