//! The active plan, and everything that asks about it or changes it: scrapes, `ctl`, reloads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, Result};

use control::protocol::{Request, Response};
use control::{Config, Words as _, known_group, load_plan, wants_restart};
use datapath::{ActivePlan, Event, PortNo, Reason};
use patch::{Diagnostic, render};
use plan::{Mode, Publisher};
use serde_json::{Value, json};
use telemetry::{ApplianceInfo, Family, PatchTotals, Samples, Telemetry};

use crate::budget::{self, Budget, PortSpeed};

use super::dataplane::Watched;
use super::log::{Log, unix_seconds};

/// The control side of a running box. Shared by the metrics, control and main threads.
pub(super) struct Appliance {
    log: Log,
    publisher: Arc<Publisher<ActivePlan>>,
    cores: usize,
    /// Once it runs.
    running: OnceLock<(Telemetry, Watched)>,
    started: i64,
    /// Serialises reloads and mode changes.
    reloading: Mutex<ReloadState>,
}

/// The state that the next reload starts from.
struct ReloadState {
    config: Config,
    /// Set by `ctl mode`, until the next reload.
    modes: BTreeMap<String, Mode>,
    generation: u64,
}

impl Appliance {
    /// Loads the first plan.
    pub(super) fn load(config: Config, log: Log) -> core::result::Result<Self, Vec<Diagnostic>> {
        let loaded = load_plan(&config, &BTreeMap::new(), unix_seconds(), crate::proof::prove)?;
        for warning in &loaded.warnings {
            log.warn(warning);
        }
        let cores = usize::from(config.settings.workers.count);
        let mut plan = loaded.plan;
        plan.generation = 1;
        let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, cores)));
        Ok(Self {
            log,
            publisher,
            cores,
            running: OnceLock::new(),
            started: unix_seconds(),
            reloading: Mutex::new(ReloadState { config, modes: BTreeMap::new(), generation: 1 }),
        })
    }

    pub(super) const fn publisher(&self) -> &Arc<Publisher<ActivePlan>> {
        &self.publisher
    }

    /// Reports on `watched` from now on.
    pub(super) fn watch(&self, watched: &Watched) -> Result<()> {
        let appliance = ApplianceInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dpdk: capsule::Eal::dpdk_version(),
            ports: watched.ports.iter().map(|(name, _)| name.clone()).collect(),
            started: self.started,
        };
        let telemetry =
            Telemetry::new(appliance, Arc::clone(&self.publisher), watched.cores.clone())
                .context("registering metrics")?;
        telemetry.watch({
            let watched = watched.clone();
            move |samples| sample(&watched, samples)
        });
        let _first = self.running.set((telemetry, watched.clone()));
        Ok(())
    }

    /// One line for the log.
    pub(super) fn summary(&self) -> String {
        let latest = self.publisher.latest();
        let plan = &latest.plan;
        format!(
            "{} patches in {} modules for {} server groups",
            plan.patches.len(),
            plan.modules.len(),
            plan.groups.len()
        )
    }

    /// Warns where the links can bring in more than the workers can hold.
    pub(super) fn budget_warnings(&self, speeds: &[PortSpeed], cpu_ghz: f64) -> Vec<String> {
        let workers = u16::try_from(self.cores).unwrap_or(u16::MAX);
        budget::warnings(workers, speeds, |gbit_per_s| {
            let explanation = patch::explain(&self.publisher.latest().plan);
            Budget::new(&explanation, gbit_per_s, Some(cpu_ghz).filter(|&ghz| ghz > 0.0)).ok()
        })
    }

    /// Keeps the counts of plans that no core runs any more, and frees the plans: on this thread,
    /// never on a core.
    pub(super) fn tidy(&self) {
        if let Some(telemetry) = self.telemetry() {
            telemetry.fold();
        }
    }

    /// The text of `/metrics`.
    pub(super) fn metrics(&self) -> Result<String> {
        let telemetry = self.telemetry().context("not running yet")?;
        telemetry.render(unix_seconds()).context("rendering metrics")
    }

    fn telemetry(&self) -> Option<&Telemetry> {
        self.running.get().map(|(telemetry, _)| telemetry)
    }

    fn watched(&self) -> Option<&Watched> {
        self.running.get().map(|(_, watched)| watched)
    }

    /// Answers `ctl`.
    pub(super) fn answer(&self, request: Request) -> Response {
        match request {
            Request::Status => Response::Ok(self.status()),
            Request::Patches => Response::Ok(json!({ "patches": self.patches() })),
            Request::Flows => Response::Ok(self.flows()),
            Request::Reload => self.reload(),
            Request::Mode { group, observe } => {
                self.mode(&group, if observe { Mode::Observe } else { Mode::Enforce })
            }
        }
    }

    /// Reads the configuration and its patches anew, and activates them. On any error nothing
    /// changes.
    pub(super) fn reload(&self) -> Response {
        let mut state = self.reload_state();
        let config = match Config::load(&state.config.path) {
            Ok(config) => config,
            Err(found) => return self.refused("reload", &found),
        };
        let restart = wants_restart(&state.config, &config);
        let answer = self.activate(&mut state, &config, BTreeMap::new(), "reload");
        if matches!(answer, Response::Ok(_)) {
            for key in restart {
                self.log.warn(&format!(
                    "reload: `{key}` has changed; restart the appliance to take that up"
                ));
            }
            state.config.take_up(config);
        }
        answer
    }

    fn mode(&self, group: &str, mode: Mode) -> Response {
        let mut state = self.reload_state();
        if let Err(unknown) = known_group(&state.config, group) {
            return Response::Error(unknown);
        }
        let mut modes = state.modes.clone();
        modes.insert(group.to_owned(), mode);
        let config = state.config.clone();
        self.activate(&mut state, &config, modes, "mode")
    }

    fn activate(
        &self,
        state: &mut ReloadState,
        config: &Config,
        modes: BTreeMap<String, Mode>,
        what: &str,
    ) -> Response {
        let loaded = match load_plan(config, &modes, unix_seconds(), crate::proof::prove) {
            Ok(loaded) => loaded,
            Err(found) => return self.refused(what, &found),
        };
        for warning in &loaded.warnings {
            self.log.warn(warning);
        }
        let mut plan = loaded.plan;
        state.generation = state.generation.saturating_add(1);
        state.modes = modes;
        plan.generation = state.generation;
        self.publisher.publish(ActivePlan::new(plan, self.cores));
        self.count(true);
        self.log.info(&format!(
            "{what}: generation {} in force: {}",
            state.generation,
            self.summary()
        ));
        Response::Ok(json!({
            "generation": state.generation,
            "patches": loaded.patches.len(),
            "warnings": loaded.warnings,
        }))
    }

    fn refused(&self, what: &str, found: &[Diagnostic]) -> Response {
        self.count(false);
        let said = render(found);
        self.log.error(&format!("{what}: refused, nothing was changed:\n{said}"));
        Response::Error(said)
    }

    fn count(&self, succeeded: bool) {
        if let Some(telemetry) = self.telemetry() {
            telemetry.count_reload(succeeded);
        }
    }

    fn reload_state(&self) -> MutexGuard<'_, ReloadState> {
        // A panic while it was held left at most an old configuration in it.
        self.reloading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> Value {
        let state = self.reload_state();
        let latest = self.publisher.latest();
        let cores = self.watched().into_iter().flat_map(|watched| &watched.cores);
        let ports: Vec<Value> = self
            .watched()
            .into_iter()
            .flat_map(|watched| watched.ports.iter().enumerate())
            .map(|(number, (name, port))| {
                let number = PortNo(u8::try_from(number).unwrap_or(u8::MAX));
                let sum = |pick: fn(&datapath::counters::PortCells) -> u64| -> u64 {
                    cores.clone().filter_map(|core| core.port(number)).map(pick).sum()
                };
                json!({
                    "name": name,
                    "link": if port.link().is_ok_and(|link| link.up) { "up" } else { "down" },
                    "received_packets": sum(|cells| cells.rx_packets.load()),
                    "received_bytes": sum(|cells| cells.rx_bytes.load()),
                    "sent_packets": sum(|cells| cells.tx_packets.load()),
                    "sent_bytes": sum(|cells| cells.tx_bytes.load()),
                })
            })
            .collect();
        let reasons: serde_json::Map<String, Value> = Reason::ALL
            .iter()
            .map(|&reason| (reason, cores.clone().map(|core| core.reason(reason)).sum::<u64>()))
            .filter(|&(_, packets)| packets > 0)
            .map(|(reason, packets)| (reason.label().to_owned(), packets.into()))
            .collect();
        let events: serde_json::Map<String, Value> = Event::ALL
            .iter()
            .map(|&event| (event, cores.clone().map(|core| core.event(event)).sum::<u64>()))
            .filter(|&(_, times)| times > 0)
            .map(|(event, times)| (event.label().to_owned(), times.into()))
            .collect();
        let groups: Vec<Value> = latest
            .plan
            .groups
            .iter()
            .map(|group| json!({ "name": &*group.name, "mode": group.mode.word() }))
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": unix_seconds().saturating_sub(self.started),
            "generation": latest.plan.generation,
            "patches": latest.plan.patches.len(),
            "modules": latest.plan.modules.len(),
            "layout": format!("{:?}", state.config.settings.workers.layout.0),
            "workers": self.cores,
            "server_groups": groups,
            "ports": ports,
            "packets_by_reason": reasons,
            "events": events,
        })
    }

    fn patches(&self) -> Vec<Value> {
        let now = unix_seconds();
        let latest = self.publisher.latest();
        let totals = self.telemetry().map(Telemetry::patches).unwrap_or_default();
        latest
            .plan
            .patches
            .iter()
            .map(|patch| {
                let total: PatchTotals = totals.get(&patch.name).copied().unwrap_or_default();
                let left = patch.postpone_until.map(|at| at.saturating_sub(now) / 86_400);
                json!({
                    "patch": &*patch.name,
                    "cve": patch.cve.iter().map(|cve| &**cve).collect::<Vec<_>>(),
                    "messages": total.messages,
                    "edits": total.edits,
                    "verdicts": total.verdicts,
                    "removed_bytes": total.removed_bytes,
                    "inserted_bytes": total.inserted_bytes,
                    "would_edit": total.would_edit,
                    "fix_available_days": patch.released.map(|at| now.saturating_sub(at) / 86_400),
                    "postponed_days_left": left,
                })
            })
            .collect()
    }

    fn flows(&self) -> Value {
        let workers: Vec<Value> = self
            .watched()
            .into_iter()
            .flat_map(|watched| watched.cores.iter().enumerate())
            .map(|(worker, core)| {
                json!({
                    "worker": worker,
                    "flows": core.flows.load(),
                    "held_segments": core.held_segments.load(),
                    "held_bytes": core.held_bytes.load(),
                    "held_fragments": core.held_fragments.load(),
                    "generation": core.generation.load(),
                })
            })
            .collect();
        json!({ "workers": workers })
    }
}

/// Adds the values that only drivers, rings and pools know.
fn sample(watched: &Watched, samples: &mut Samples) {
    let mut lost = capsule::PortStats::default();
    for (name, port) in watched.ports.iter() {
        let up = port.link().is_ok_and(|link| link.up);
        samples.add(Family::PortUp, &[name], f64::from(u8::from(up)));
        if let Ok(stats) = port.stats() {
            lost.rx_missed = lost.rx_missed.saturating_add(stats.rx_missed);
            lost.rx_errors = lost.rx_errors.saturating_add(stats.rx_errors);
            lost.rx_no_mbuf = lost.rx_no_mbuf.saturating_add(stats.rx_no_mbuf);
            lost.tx_errors = lost.tx_errors.saturating_add(stats.tx_errors);
        }
    }
    let too_long = watched.too_long.iter().map(|lost| lost.frames.load()).sum::<u64>();
    let ring_full = watched.ring_full.as_ref().map_or(0, |lost| lost.frames.load());
    for (cause, frames) in [
        ("nic_missed", lost.rx_missed),
        ("nic_rx_error", lost.rx_errors),
        ("nic_no_mbuf", lost.rx_no_mbuf),
        ("nic_tx_error", lost.tx_errors),
        ("frame_too_long", too_long),
        ("ring_full", ring_full),
    ] {
        samples.add(Family::Drops, &[cause], number(frames));
    }
    for (lcore, cycles) in &watched.cycles {
        for (state, cell) in [("busy", &cycles.busy), ("idle", &cycles.idle)] {
            samples.add(Family::LcoreCycles, &[lcore, state], number(cell.load()));
        }
    }
    for (name, ring) in &watched.rings {
        samples.add(Family::RingUsed, &[name], number(ring.len()));
        samples.add(Family::RingCapacity, &[name], number(ring.capacity()));
    }
    samples.add(Family::MempoolAvailable, &["frames"], number(watched.pool.available()));
    samples.add(Family::MempoolInUse, &["frames"], number(watched.pool.in_use()));
}

/// Prometheus has floating-point numbers only.
fn number(value: impl TryInto<u64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the format's own precision: exact below 2^53")]
    #[expect(clippy::as_conversions, reason = "no From for u64 to f64")]
    value.try_into().map_or(f64::INFINITY, |value| value as f64)
}
