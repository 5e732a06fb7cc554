//! `wirepatch replay`: a capture through the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use datapath::{ActivePlan, Core, CoreConfig, CoreCounters, Limits};
use offline::pcap::{ReplayReport, replay as run};
use patch::{Group, Options, compile, render};
use plan::{Mode, Plan, Publisher, Subscriber};
use serde::Serialize;

use super::{code, load, ports};
use crate::cli::ReplayArgs;
use crate::output::{self, ProgressUnit, Usage, say_error};

/// What one patch did, summed.
#[derive(Clone, Debug, Default, Serialize)]
struct PatchSum {
    packets: u64,
    edits: u64,
    removed_bytes: u64,
    inserted_bytes: u64,
    verdicts: u64,
    would_have: u64,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    input: String,
    output: String,
    format: &'a str,
    packets: u64,
    unchanged: u64,
    changed: u64,
    left_out: u64,
    inserted: u64,
    cut_short: u64,
    other_links: u64,
    reasons: &'a BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    events: &'a BTreeMap<&'static str, u64>,
    undecided: &'a BTreeMap<&'static str, u64>,
    patches: BTreeMap<&'a str, PatchSum>,
}

/// Replays.
pub(crate) fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    if same_file(&args.input, &args.output) {
        let message = "IN and OUT are the same file; write the output elsewhere";
        return Err(Usage(message.to_owned()).into());
    }
    let plan = match plan(args)? {
        Ok(plan) => plan,
        Err(found) => {
            if args.json {
                output::say_json(&serde_json::json!({ "diagnostics": found }))?;
            } else {
                say_error(&render(&found));
            }
            return Ok(code(false));
        }
    };
    let input = fs::read(&args.input).with_context(|| {
        format!("cannot read {}: IN is a pcap or pcapng file", args.input.display())
    })?;
    let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
    let config = CoreConfig {
        trust_checksums: args.trust_checksums,
        limits: limits(input.len()),
        ..CoreConfig::default()
    };
    let mut core = Core::new(config, Subscriber::new(publisher), Arc::new(CoreCounters::default()));
    let progress = output::progress(input.len(), ProgressUnit::Bytes);
    let outcome = run(&input, &mut core, |done| {
        progress.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    });
    progress.finish_and_clear();
    fs::write(&args.output, &outcome.output)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    if let Some(path) = &args.report {
        let mut text =
            serde_json::to_string_pretty(&outcome.report).context("writing the report")?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if outcome.report.format == "unknown" {
        say_error(&format!(
            "warning: {} is neither pcap nor pcapng: it was copied as it is; convert it with `editcap -F pcap`\n",
            args.input.display()
        ));
    }
    let summary = summary(args, &outcome.report);
    if args.json {
        output::say_json(&summary)?;
    } else {
        output::say(&shown(&summary))?;
    }
    Ok(code(true))
}

/// Room for what a capture of so many bytes can hold, up to what one core of an appliance has by
/// default.
fn limits(capture_bytes: usize) -> Limits {
    /// A connection needs a packet, and a block holds at least one segment's bytes.
    const PACKET_BYTES_MIN: usize = 40;
    let mut most = Limits::default();
    most.flow.offline_capture = true;
    let packets = u32::try_from(capture_bytes / PACKET_BYTES_MIN).unwrap_or(u32::MAX);
    Limits {
        flows_max: packets.clamp(64, most.flows_max),
        blocks_max: packets.clamp(1_024, most.blocks_max),
        ..most
    }
}

/// The plan of the arguments' patches, or what is wrong with them.
fn plan(args: &ReplayArgs) -> Result<Result<Plan, Vec<patch::Diagnostic>>> {
    let ports = ports::parse(&args.ports)?;
    let mode = if args.observe { Mode::Observe } else { Mode::Enforce };
    Ok(load(&args.patches).and_then(|patches| {
        let group = Group { mode, ports, ..Group::everywhere(patches.len()) };
        compile(&patches, &[group], &Options::default())
    }))
}

/// Writing over what is read would lose it if anything went wrong.
fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn summary<'a>(args: &ReplayArgs, report: &'a ReplayReport) -> Summary<'a> {
    let mut patches: BTreeMap<&str, PatchSum> = BTreeMap::new();
    for entry in &report.edits {
        let Some(name) = &entry.patch else { continue };
        let sum = patches.entry(name).or_default();
        sum.packets += 1;
        sum.edits += entry.edits;
        sum.removed_bytes += entry.removed_bytes;
        sum.inserted_bytes += entry.inserted_bytes;
        sum.verdicts += entry.verdicts;
        sum.would_have += entry.would_have;
    }
    Summary {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        format: report.format,
        packets: report.packets,
        unchanged: report.unchanged,
        changed: report.changed,
        left_out: report.left_out,
        inserted: report.inserted,
        cut_short: report.cut_short,
        other_links: report.other_links,
        reasons: &report.reasons,
        events: &report.events,
        undecided: &report.undecided,
        patches,
    }
}

fn shown(summary: &Summary<'_>) -> String {
    let g = output::grouped;
    let mut out = format!(
        "{} packets: {} unchanged, {} changed, {} left out, {} new\n",
        g(summary.packets),
        g(summary.unchanged),
        g(summary.changed),
        g(summary.left_out),
        g(summary.inserted)
    );
    for (count, what) in [
        (summary.cut_short, "were cut short when they were captured"),
        (summary.other_links, "have a link type that is not understood"),
    ] {
        if count > 0 {
            out.push_str(&format!("{} {what}, and were not looked at\n", g(count)));
        }
    }
    let counts = |counts: &BTreeMap<&'static str, u64>| -> Vec<Vec<String>> {
        counts.iter().map(|(name, count)| vec![(*name).to_owned(), g(*count)]).collect()
    };
    if !summary.reasons.is_empty() {
        out.push('\n');
        out.push_str(&output::table(&["packets by reason", ""], &counts(summary.reasons)));
    }
    if !summary.events.is_empty() {
        out.push('\n');
        out.push_str(&output::table(&["events", ""], &counts(summary.events)));
    }
    if !summary.undecided.is_empty() {
        out.push('\n');
        out.push_str(&output::table(&["not decided", ""], &counts(summary.undecided)));
    }
    if !summary.patches.is_empty() {
        let rows: Vec<Vec<String>> = summary
            .patches
            .iter()
            .map(|(name, sum)| {
                let numbers = [
                    sum.packets,
                    sum.edits,
                    sum.removed_bytes,
                    sum.inserted_bytes,
                    sum.verdicts,
                    sum.would_have,
                ];
                [(*name).to_owned()].into_iter().chain(numbers.map(g)).collect()
            })
            .collect();
        let head = ["patch", "packets", "edits", "bytes out", "bytes in", "verdicts", "would have"];
        out.push('\n');
        out.push_str(&output::table(&head, &rows));
    }
    out
}
