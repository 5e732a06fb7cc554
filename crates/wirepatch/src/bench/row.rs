//! A row of the bench, and its result.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use datapath::{ActivePlan, CoreCounters, Event, Limits, Publisher, Reason};
use offline::load::{Load, TrafficKind};
use patch::{Group, Options, Patch};
use plan::Plan;
use serde::Serialize;

use super::latency::Latency;
use crate::output::Usage;

/// Frames of a row that may leave for another reason than the row is about: connections that open
/// and close.
const ODD_SHARE_MAX: f64 = 0.02;

/// Frames of a row whose requests are edited that leave so: there are far more segments of
/// responses.
const EDITED_SHARE_MIN: f64 = 0.03;

/// One row of the table.
#[derive(Debug)]
pub(super) struct BenchRow {
    pub(super) kind: TrafficKind,
    patches: Vec<Patch>,
    loaded: RowPatches,
}

/// The name of a row in records, and one line for a reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowNames {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

/// Which patches a row is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowPatches {
    /// The bench's own, so the fate of each frame is known.
    Own,
    /// The caller's instead.
    Given,
    /// The caller's as well.
    Library,
    /// One side of a pair: its name and title, and, where messages are edited, by how many bytes a
    /// server acknowledges less.
    RowPair { name: &'static str, title: &'static str, edited: Option<u32> },
}

/// The rows of these names, or all; with these patches or their own, and again with the library's.
pub(super) fn chosen(
    names: &[String],
    patches: &[PathBuf],
    library: &[PathBuf],
) -> Result<Vec<BenchRow>> {
    let kinds = if names.is_empty() {
        TrafficKind::ALL.to_vec()
    } else {
        names.iter().map(|name| kind_of(name)).collect::<Result<_>>()?
    };
    let mut rows = Vec::new();
    for &kind in &kinds {
        let (loaded, found) = if patches.is_empty() {
            let own = kind.patches().iter();
            (RowPatches::Own, own.map(|(name, text)| Patch::from_yaml(name, text)).collect())
        } else {
            (RowPatches::Given, patch::load(patches))
        };
        rows.push(BenchRow { kind, patches: good(found)?, loaded });
    }
    if !library.is_empty() {
        let patches = good(patch::load(library))?;
        // Otherwise only measured beside a thousand connections; the aim for a million has the
        // library loaded.
        let many = names.is_empty().then_some(TrafficKind::TcpAcksMany);
        // Under other patches that row would edit other messages.
        for kind in kinds.into_iter().chain(many).filter(|&kind| kind != TrafficKind::DnsEdited) {
            rows.push(BenchRow { kind, patches: patches.clone(), loaded: RowPatches::Library });
        }
    }
    Ok(rows)
}

#[cfg(feature = "dpdk")]
impl BenchRow {
    /// One kind's with the library, or, where there is none, the bench's own patches.
    pub(super) fn loaded(kind: TrafficKind, library: &[PathBuf]) -> Result<Self> {
        if library.is_empty() {
            let own = kind.patches().iter();
            let own = own.map(|(name, text)| Patch::from_yaml(name, text)).collect();
            return Ok(Self { kind, patches: good(own)?, loaded: RowPatches::Own });
        }
        Ok(Self { kind, patches: good(patch::load(library))?, loaded: RowPatches::Library })
    }
}

fn kind_of(name: &str) -> Result<TrafficKind> {
    let many = Some(TrafficKind::TcpAcksMany).filter(|kind| kind.name() == name);
    TrafficKind::by_name(name).or(many).ok_or_else(|| {
        let all: Vec<&str> = TrafficKind::ALL.iter().map(|kind| kind.name()).collect();
        let many = TrafficKind::TcpAcksMany.name();
        Usage(format!("no row is called `{name}`; there are {}, {many}", all.join(", "))).into()
    })
}

fn good(found: Result<Vec<Patch>, Vec<patch::Diagnostic>>) -> Result<Vec<Patch>> {
    found.map_err(|found| anyhow!("{}", patch::render(&found)))
}

impl BenchRow {
    /// Its name on command lines and in records.
    pub(super) fn name(&self) -> String {
        match self.loaded {
            RowPatches::Own | RowPatches::Given => self.kind.name().to_owned(),
            RowPatches::Library => format!("{}-library", self.kind.name()),
            RowPatches::RowPair { name, .. } => name.to_owned(),
        }
    }

    /// One line for a reader.
    pub(super) fn title(&self) -> String {
        match self.loaded {
            RowPatches::Own | RowPatches::Given => self.kind.title().to_owned(),
            RowPatches::Library => format!("{}, {} patches", self.kind.title(), self.patches.len()),
            RowPatches::RowPair { title, .. } => title.to_owned(),
        }
    }

    /// One side of a pair, with these patch files: name and text.
    pub(super) fn of_pair(
        kind: TrafficKind,
        RowNames { name, title }: RowNames,
        patches: &[(String, String)],
        edited: Option<u32>,
    ) -> Result<Self> {
        let read = patches.iter().map(|(name, text)| Patch::from_yaml(name, text)).collect();
        Ok(Self { kind, patches: good(read)?, loaded: RowPatches::RowPair { name, title, edited } })
    }

    /// Its traffic.
    pub(super) fn load(&self) -> Load {
        let load = Load::new(self.kind);
        match self.loaded {
            RowPatches::RowPair { edited: Some(bytes), .. } => load.shortened(bytes),
            RowPatches::Own
            | RowPatches::Given
            | RowPatches::Library
            | RowPatches::RowPair { .. } => load,
        }
    }

    /// What the patches make of a message of this kind; what `wirepatch explain --budget` tells
    /// sets apart by.
    fn work(&self) -> Option<f64> {
        let groups = [Group::everywhere(self.patches.len())];
        let plan = patch::compile(&self.patches, &groups, &Options::default()).ok()?;
        let explanation = patch::explain(&plan);
        let (protocol, port) = self.kind.server()?;
        let module = explanation
            .modules
            .iter()
            .find(|module| module.protocol == protocol && module.ports.contains(&port))?;
        Some(crate::budget::work(module))
    }

    /// Limits of a core that this row's connections fit.
    pub(super) fn limits(&self) -> Limits {
        let default = Limits::default();
        let connections = self.kind.connections();
        Limits { flows_max: default.flows_max.max(connections), ..default }
    }

    /// The row's patches in force for one core.
    pub(super) fn publisher(&self) -> Result<Arc<Publisher<ActivePlan>>> {
        let groups = [Group::everywhere(self.patches.len())];
        let plan: Plan = patch::compile(&self.patches, &groups, &Options::default())
            .map_err(|found| anyhow!("{}", patch::render(&found)))?;
        Ok(Arc::new(Publisher::new(ActivePlan::new(plan, 1))))
    }

    /// Almost all frames left for the reasons that the row is about.
    fn is_as_expected(&self, reasons: &BTreeMap<&'static str, u64>) -> bool {
        let expected: &[Reason] = match self.kind {
            TrafficKind::UdpOutOfScope => &[Reason::NotInPlan],
            TrafficKind::UdpHalf => &[Reason::NotInPlan, Reason::Unchanged],
            TrafficKind::Dns
            | TrafficKind::HttpRequests
            | TrafficKind::HttpResponses
            | TrafficKind::TcpAcks => &[Reason::Unchanged],
            TrafficKind::TcpAcksFew | TrafficKind::TcpAcksMany => &[Reason::Unchanged],
            TrafficKind::DnsEdited => &[Reason::Edited],
        };
        let all: u64 = reasons.values().sum();
        if let RowPatches::RowPair { edited, .. } = self.loaded {
            // Of a pair both sides do the same but for what it is about.
            let edits = reasons.get(Reason::Edited.label()).copied().unwrap_or(0);
            let share = real(edits) / real(all.max(1));
            return all > 0
                && if edited.is_some() { share > EDITED_SHARE_MIN } else { share == 0.0 };
        }
        let odd: u64 = reasons
            .iter()
            .filter(|(label, _)| !expected.iter().any(|reason| reason.label() == **label))
            .map(|(_, frames)| frames)
            .sum();
        self.loaded != RowPatches::Own || (all > 0 && real(odd) <= real(all) * ODD_SHARE_MAX)
    }
}

/// The work of a thread between two snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LcoreWork {
    pub(super) packets: u64,
    /// CPU time of the thread, polls that found nothing taken out.
    pub(super) busy_ns: f64,
    pub(super) wall_ns: f64,
}

impl LcoreWork {
    pub(super) fn ns_per_packet(self) -> f64 {
        self.busy_ns / real(self.packets.max(1))
    }
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub(super) struct RowResult {
    row: String,
    title: String,
    /// The ports of the frames: `rings`, `net_pcap` or `memory`.
    ports: &'static str,
    frame_bytes: f64,
    packets: u64,
    /// The rate of one core with all its time.
    pub(super) mpps: f64,
    gbit_per_s: f64,
    /// Of the time-stamp counter, from the thread's CPU time.
    cycles_per_packet: f64,
    /// The same loop without the journey.
    floor_cycles_per_packet: f64,
    journey_cycles_per_packet: f64,
    /// Of the time-stamp counter as it ran, whoever had the CPU; polls that found nothing included.
    wall_cycles_per_packet: f64,
    /// The rate during the measurement.
    measured_mpps: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Latency>,
    /// See [`crate::budget::work`].
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<f64>,
    /// Memory that was taken into use while the connections opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    opening_bytes: Option<u64>,
    /// Why the frames left.
    reasons: BTreeMap<&'static str, u64>,
    as_expected: bool,
}

impl RowResult {
    pub(super) fn new(
        row: &BenchRow,
        ports: &'static str,
        frame_bytes: f64,
        work: LcoreWork,
        floor: LcoreWork,
        hz: f64,
        reasons: BTreeMap<&'static str, u64>,
    ) -> Self {
        let cycles = |ns: f64| ns * hz / 1e9;
        let (own, floor) = (work.ns_per_packet(), floor.ns_per_packet());
        let mpps = 1e3 / own;
        Self {
            row: row.name(),
            title: row.title(),
            ports,
            frame_bytes,
            packets: work.packets,
            mpps,
            gbit_per_s: mpps * frame_bytes * 8.0 / 1e3,
            cycles_per_packet: cycles(own),
            floor_cycles_per_packet: cycles(floor),
            journey_cycles_per_packet: cycles(own - floor),
            wall_cycles_per_packet: cycles(work.wall_ns / real(work.packets.max(1))),
            measured_mpps: real(work.packets) * 1e3 / work.wall_ns,
            latency_us: None,
            work: row.work(),
            opening_bytes: None,
            as_expected: row.is_as_expected(&reasons),
            reasons,
        }
    }

    #[cfg(feature = "dpdk")]
    pub(super) fn with_latency(self, latency: Option<Latency>) -> Self {
        Self { latency_us: latency, ..self }
    }

    #[cfg(feature = "dpdk")]
    pub(super) fn with_opening(self, bytes: u64) -> Self {
        Self { opening_bytes: Some(bytes), ..self }
    }

    pub(super) const fn is_as_expected(&self) -> bool {
        self.as_expected
    }

    /// Cycles a packet, if this is the row of that name.
    pub(super) fn cycles_of(&self, name: &str) -> Option<f64> {
        (self.row == name).then_some(self.cycles_per_packet)
    }

    /// The same was measured.
    pub(super) fn is_same_row(&self, other: &Self) -> bool {
        (&self.row, self.ports) == (&other.row, other.ports)
    }

    /// Takes over what was better another time: fewer cycles, a lower floor, a shorter latency. A
    /// time that was not as expected stays one.
    pub(super) fn keep_better(&mut self, mut other: Self) {
        let as_expected = self.as_expected && other.as_expected;
        let p99 = |latency: Option<Latency>| latency.map_or(f64::INFINITY, |found| found.p99);
        let latency = if p99(other.latency_us) < p99(self.latency_us) {
            other.latency_us
        } else {
            self.latency_us
        };
        let floor = self.floor_cycles_per_packet.min(other.floor_cycles_per_packet);
        if other.cycles_per_packet < self.cycles_per_packet {
            core::mem::swap(self, &mut other);
        }
        self.floor_cycles_per_packet = floor;
        self.journey_cycles_per_packet = self.cycles_per_packet - floor;
        self.latency_us = latency;
        self.as_expected = as_expected;
    }

    /// A line of the table.
    pub(super) fn cells(&self) -> Vec<String> {
        let latency = |pick: fn(&Latency) -> f64| {
            self.latency_us
                .as_ref()
                .map_or_else(|| "-".to_owned(), |found| format!("{:.1}", pick(found)))
        };
        vec![
            self.title.clone(),
            self.ports.to_owned(),
            format!("{:.2}", self.mpps),
            format!("{:.2}", self.gbit_per_s),
            format!("{:.0}", self.cycles_per_packet),
            format!("{:.0}", self.floor_cycles_per_packet),
            format!("{:.0}", self.journey_cycles_per_packet),
            latency(|found| found.p50),
            latency(|found| found.p99),
            latency(|found| found.p999),
            self.left_as(),
        ]
    }

    /// The reasons, most frequent first.
    fn left_as(&self) -> String {
        let all: u64 = self.reasons.values().sum();
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|&(_, &frames)| std::cmp::Reverse(frames));
        let said: Vec<String> = reasons
            .into_iter()
            .map(|(label, &frames)| (label, 100.0 * real(frames) / real(all.max(1))))
            .filter(|&(_, share)| share >= 0.1)
            .map(|(label, share)| format!("{label} {share:.1} %"))
            .collect();
        if self.as_expected { said.join(", ") } else { format!("UNEXPECTED: {}", said.join(", ")) }
    }
}

/// The counts of all reasons and of all events, which must not happen here.
pub(super) fn reasons(counters: &CoreCounters) -> BTreeMap<&'static str, u64> {
    let reasons = Reason::ALL.iter().map(|&reason| (reason.label(), counters.reason(reason)));
    let events = Event::ALL.iter().map(|&event| (event.label(), counters.event(event)));
    reasons.chain(events).collect()
}

/// The frames added between two readings; reasons without frames left out.
pub(super) fn added(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    after
        .iter()
        .map(|(label, frames)| {
            (*label, frames.saturating_sub(before.get(label).copied().unwrap_or(0)))
        })
        .filter(|&(_, frames)| frames > 0)
        .collect()
}

/// Counts become measurements.
#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a count below 2^53; no From for u64 to f64"
)]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// Ticks of the time-stamp counter, from a measurement.
#[cfg(feature = "dpdk")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "saturates; no TryFrom for f64 to u64"
)]
pub(super) fn ticks(measured: f64) -> u64 {
    measured as u64
}
