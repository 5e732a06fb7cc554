//! Sums the per-core counters when asked, and shows them in Prometheus' text format.
//!
//! Holds:     [`Telemetry`], and the totals of plans that are no longer in force, per patch name.
//! Promises:  a patch's counters never fall, whatever is reloaded; label values are names of the
//!            configuration and of tables in the code, never of the network.
//! Never:     runs on a data-path thread, or reads a clock: the time is passed in.

mod metrics;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datapath::counters::{Cell, UNDECIDED};
use datapath::{
    ActivePlan, CoreCounters, Event, EventUnit, FrameFate, JourneyStage, ModuleNo, PatchNo, PortNo,
    Publisher, Reason,
};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, Registry, TextEncoder};
use stage::Direction;

pub use metrics::{Family, MetricKind, MetricLabel, metrics_page};

/// Events that were reasons in the release before. For one release their series of
/// `wirepatch_packets_total` stay, under a fate of their own: alerts by reason go on, and sums by
/// fate are right.
const FORMER_REASONS: [Event; 9] = [
    Event::FragmentTimedOut,
    Event::TcpPickedUp,
    Event::FlowEvicted,
    Event::TcpIdleReset,
    Event::TcpHoldEnded,
    Event::TcpHoldReset,
    Event::TcpResent,
    Event::TcpFrameless,
    Event::TxQueueFull,
];

/// Facts that do not change while the appliance runs.
#[derive(Clone, Debug, Default)]
pub struct ApplianceInfo {
    /// Its version.
    pub version: String,
    /// DPDK's; empty without it.
    pub dpdk: String,
    /// Names of the ports, as the configuration gives them; indexed by [`PortNo`].
    pub ports: Vec<String>,
    /// When it was started, in Unix seconds.
    pub started: i64,
}

/// Values of one scrape, for sources outside the data path to add to.
#[derive(Debug, Default)]
pub struct Samples {
    families: BTreeMap<Family, Vec<Metric>>,
}

impl Samples {
    /// Adds a value; `labels` in the order of [`Family::labels`].
    pub fn add(&mut self, family: Family, labels: &[&str], value: f64) {
        let pairs = family.labels().iter().zip(labels).map(|(label, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(label.name().to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        match family.kind() {
            MetricKind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            MetricKind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.families.entry(family).or_default().push(metric);
    }

    fn count(&mut self, family: Family, labels: &[&str], value: u64) {
        // Prometheus has no other numbers: above 2^53 a counter loses its last digits.
        #[expect(clippy::cast_precision_loss, reason = "the format's own precision")]
        self.add(family, labels, value as f64);
    }
}

/// Adds values to a scrape that only rings, pools, links and drivers know.
type ScrapeSource = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// The metrics of one appliance.
pub struct Telemetry {
    registry: Registry,
    shared: Arc<ScrapeState>,
}

struct ScrapeState {
    appliance: ApplianceInfo,
    publisher: Arc<Publisher<ActivePlan>>,
    cores: Vec<Arc<CoreCounters>>,
    /// Counts of plans that are gone. Locked around reclaiming and summing, so that a scrape sees
    /// every plan exactly once.
    folded: Mutex<BTreeMap<Box<str>, PatchTotals>>,
    reloads: [AtomicU64; 2],
    now: AtomicI64,
    sources: Mutex<Vec<ScrapeSource>>,
}

/// One patch's counters, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchTotals {
    /// Messages it has looked at.
    pub messages: u64,
    /// Edits made.
    pub edits: u64,
    /// Bytes taken away.
    pub removed_bytes: u64,
    /// Bytes put in.
    pub inserted_bytes: u64,
    /// Messages dropped or answered, connections closed.
    pub verdicts: u64,
    /// Edits and verdicts that observe mode only counted.
    pub would_edit: u64,
}

impl Telemetry {
    /// Over the counters of all `cores`. From now on only [`Self::fold`] may reclaim from
    /// `publisher`.
    pub fn new(
        appliance: ApplianceInfo,
        publisher: Arc<Publisher<ActivePlan>>,
        cores: Vec<Arc<CoreCounters>>,
    ) -> prometheus::Result<Self> {
        let shared = Arc::new(ScrapeState {
            appliance,
            publisher,
            cores,
            folded: Mutex::default(),
            reloads: Default::default(),
            now: AtomicI64::new(0),
            sources: Mutex::default(),
        });
        let registry = Registry::new();
        registry.register(Box::new(Scrape::new(Arc::clone(&shared))?))?;
        Ok(Self { registry, shared })
    }

    /// Asks `source` at every scrape as well.
    pub fn watch(&self, source: impl Fn(&mut Samples) + Send + Sync + 'static) {
        lock(&self.shared.sources).push(Box::new(source));
    }

    /// A reload succeeded, or changed nothing.
    pub fn count_reload(&self, succeeded: bool) {
        let [success, failure] = &self.shared.reloads;
        (if succeeded { success } else { failure }).fetch_add(1, Relaxed);
    }

    /// Frees plans that no core holds any more, and keeps their counts. Cheap; to be called now and
    /// then.
    pub fn fold(&self) {
        self.shared.fold();
    }

    /// Every patch's counters since the start, by name.
    pub fn patches(&self) -> BTreeMap<Box<str>, PatchTotals> {
        self.shared.patches()
    }

    /// The scrape, in text format; `now` in Unix seconds.
    pub fn render(&self, now: i64) -> prometheus::Result<String> {
        self.shared.now.store(now, Relaxed);
        self.fold();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

impl ScrapeState {
    fn fold(&self) {
        let mut folded = lock(&self.folded);
        self.publisher.reclaim(|old| add_patches(&old, &mut folded));
    }

    fn patches(&self) -> BTreeMap<Box<str>, PatchTotals> {
        let folded = lock(&self.folded);
        let mut patches = folded.clone();
        self.publisher.each(|active| add_patches(active, &mut patches));
        drop(folded);
        patches
    }

    fn collect(&self, samples: &mut Samples) {
        let appliance = &self.appliance;
        samples.add(Family::BuildInfo, &[&appliance.version, &appliance.dpdk], 1.0);
        seconds(samples, Family::StartTime, &[], appliance.started);
        self.collect_ports(samples);
        self.collect_reasons(samples);
        self.collect_patches(samples);
        self.collect_workers(samples);
        let retired = u64::try_from(self.publisher.retired()).unwrap_or(u64::MAX);
        samples.count(Family::RetiredPlans, &[], retired);
        for (result, count) in ["success", "failure"].into_iter().zip(&self.reloads) {
            samples.count(Family::Reloads, &[result], count.load(Relaxed));
        }
        for source in lock(&self.sources).iter() {
            source(samples);
        }
    }

    fn sum(&self, cell: impl Fn(&CoreCounters) -> u64) -> u64 {
        self.cores.iter().fold(0, |sum, core| sum.wrapping_add(cell(core)))
    }

    fn collect_ports(&self, samples: &mut Samples) {
        for (at, name) in self.appliance.ports.iter().enumerate() {
            let Ok(port) = u8::try_from(at).map(PortNo) else { return };
            let of = |cell: fn(&datapath::counters::PortCells) -> &Cell| {
                self.sum(|core| core.port(port).map_or(0, |cells| cell(cells).load()))
            };
            for (direction, packets, bytes) in [
                ("rx", of(|cells| &cells.rx_packets), of(|cells| &cells.rx_bytes)),
                ("tx", of(|cells| &cells.tx_packets), of(|cells| &cells.tx_bytes)),
            ] {
                samples.count(Family::PortPackets, &[name, direction], packets);
                samples.count(Family::PortBytes, &[name, direction], bytes);
            }
        }
    }

    fn collect_reasons(&self, samples: &mut Samples) {
        for &reason in Reason::ALL {
            let frames = self.sum(|core| core.reason(reason));
            samples.count(Family::Packets, &[reason.label(), reason.fate().label()], frames);
            if reason.fate() == FrameFate::Dropped {
                samples.count(Family::Drops, &[reason.label()], frames);
            }
        }
        for &event in Event::ALL {
            let times = self.sum(|core| core.event(event));
            samples.count(Family::Events, &[event.label()], times);
            if event.unit() == EventUnit::LostFrame {
                samples.count(Family::Drops, &[event.label()], times);
            }
            if FORMER_REASONS.contains(&event) {
                samples.count(Family::Packets, &[event.label(), "event"], times);
            }
        }
        for (at, cause) in UNDECIDED.iter().enumerate() {
            let messages = self.sum(|core| core.undecided().get(at).copied().unwrap_or_default());
            samples.count(Family::Undecided, &[cause], messages);
        }
        samples.count(Family::Reassembled, &[], self.sum(|core| core.reassembled.load()));
        samples.count(Family::FragmentsMade, &[], self.sum(|core| core.fragments_made.load()));
    }

    fn collect_patches(&self, samples: &mut Samples) {
        for (name, totals) in self.patches() {
            for (family, value) in [
                (Family::PatchMessages, totals.messages),
                (Family::PatchEdits, totals.edits),
                (Family::PatchRemoved, totals.removed_bytes),
                (Family::PatchInserted, totals.inserted_bytes),
                (Family::PatchVerdicts, totals.verdicts),
                (Family::PatchWouldEdit, totals.would_edit),
            ] {
                samples.count(family, &[&name], value);
            }
        }
        let now = self.now.load(Relaxed);
        for patch in &self.publisher.latest().plan.patches {
            if let Some(released) = patch.released {
                seconds(samples, Family::PatchFixAge, &[&patch.name], now.saturating_sub(released));
            }
            if let Some(until) = patch.postpone_until {
                seconds(samples, Family::PatchPostponed, &[&patch.name], until.saturating_sub(now));
            }
        }
    }

    fn collect_workers(&self, samples: &mut Samples) {
        for (at, core) in self.cores.iter().enumerate() {
            let worker = at.to_string();
            for (family, cell) in [
                (Family::Flows, &core.flows),
                (Family::HeldSegments, &core.held_segments),
                (Family::HeldBytes, &core.held_bytes),
                (Family::HeldFragments, &core.held_fragments),
                (Family::Turns, &core.turns),
                (Family::BusyTurns, &core.busy_turns),
                (Family::StagePackets, &core.stage_packets),
                (Family::Generation, &core.generation),
            ] {
                samples.count(family, &[&worker], cell.load());
            }
            for stage in JourneyStage::ALL {
                let cycles = core.stage(stage).load();
                samples.count(Family::StageCycles, &[&worker, stage.label()], cycles);
            }
        }
    }
}

/// Adds every core's counts under one plan, by patch name.
fn add_patches(active: &ActivePlan, totals: &mut BTreeMap<Box<str>, PatchTotals>) {
    let plan = &active.plan;
    let mut messages = HashMap::<PatchNo, u64>::new();
    for (at, module) in plan.modules.iter().enumerate() {
        let Ok(no) = u16::try_from(at).map(ModuleNo) else { break };
        for direction in Direction::BOTH {
            let cells =
                active.all_counters().iter().filter_map(|counters| counters.module(no, direction));
            let seen = cells.fold(0_u64, |sum, cells| sum.wrapping_add(cells.messages.load()));
            for &patch in &module.direction(direction).patches {
                let sum = messages.entry(patch).or_default();
                *sum = sum.wrapping_add(seen);
            }
        }
    }
    for (at, patch) in plan.patches.iter().enumerate() {
        let Ok(no) = u16::try_from(at).map(PatchNo) else { break };
        let sum = totals.entry(patch.name.clone()).or_default();
        sum.messages = sum.messages.wrapping_add(messages.get(&no).copied().unwrap_or(0));
        for cells in active.all_counters().iter().filter_map(|counters| counters.patch(no)) {
            sum.edits = sum.edits.wrapping_add(cells.edits.load());
            sum.removed_bytes = sum.removed_bytes.wrapping_add(cells.removed_bytes.load());
            sum.inserted_bytes = sum.inserted_bytes.wrapping_add(cells.inserted_bytes.load());
            sum.verdicts = sum.verdicts.wrapping_add(cells.verdicts.load());
            sum.would_edit = sum.would_edit.wrapping_add(cells.would_have.load());
        }
    }
}

/// The collector that the registry asks.
struct Scrape {
    shared: Arc<ScrapeState>,
    descriptions: Vec<Desc>,
}

impl Scrape {
    fn new(shared: Arc<ScrapeState>) -> prometheus::Result<Self> {
        let describe = |family: &Family| {
            let labels = family.labels().iter().map(|label| label.name().to_owned()).collect();
            Desc::new(family.name().to_owned(), family.help().to_owned(), labels, HashMap::new())
        };
        let descriptions = Family::ALL.iter().map(describe).collect::<prometheus::Result<_>>()?;
        Ok(Self { shared, descriptions })
    }
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::default();
        self.shared.collect(&mut samples);
        let families = samples.families.into_iter();
        families
            .map(|(family, metrics)| {
                let mut shown = MetricFamily::default();
                shown.set_name(family.name().to_owned());
                shown.set_help(family.help().to_owned());
                shown.set_field_type(match family.kind() {
                    MetricKind::Counter => MetricType::COUNTER,
                    MetricKind::Gauge => MetricType::GAUGE,
                });
                shown.set_metric(metrics);
                shown
            })
            .collect()
    }
}

fn seconds(samples: &mut Samples, family: Family, labels: &[&str], value: i64) {
    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
    samples.add(family, labels, value as f64);
}

/// Nothing behind these locks can be left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
