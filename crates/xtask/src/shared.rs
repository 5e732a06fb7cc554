//! The table of every shared atomic, lock and reference count of the product, and the check that
//! holds the sources against it.
//!
//! It keeps a promise to the packet path. A value that is written while packets flow has one
//! writer, on cache lines that no other core writes. A value that all cores read is written at a
//! reload or a stop only. Nothing on the packet path locks a cache line (`fetch_add`, `swap`,
//! `compare_exchange`), takes a lock or counts references. `docs/architecture.md` has the rest.

mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::complaint::Complaint;
use crate::source::RustSource;
use Room::{Cold, Counted, Own, Within};
use scan::{Declared, FileScan};

/// Where a shared value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// On cache lines of its own: its type is aligned to 128 bytes. That is two lines, because
    /// processors also fetch the neighbour of a line that misses.
    Own,
    /// Declared in a type that only ever stands inside these, which have such lines.
    Within(&'static [&'static str]),
    /// A reference count, or a lock's, that no packet touches: what it leads to is read without it.
    Counted,
    /// Anywhere: nothing on the packet path reads or writes it.
    Cold,
}

/// `(file under crates/, name, kind, where it is kept, who writes and reads it, and when)`.
/// `Type.*` are all cells of a type.
type SharedRow = (&'static str, &'static str, &'static str, Room, &'static str);

#[rustfmt::skip] // A row a line.
const SHARED: &[SharedRow] = &[
    // Written while packets flow: one writer each.
    ("datapath/src/counters.rs", "Cell.0", "AtomicU64", Within(&["CoreCounters", "ModuleLines", "PatchLines", "PlanCounters", "Lost", "LcoreCycles"]), "its core stores, per packet; a scrape loads"),
    ("datapath/src/counters.rs", "CoreCounters.*", "Cell", Own, "its core, per packet and per turn; scrapes read"),
    ("datapath/src/counters.rs", "PortCells.*", "Cell", Within(&["CoreCounters"]), "its core, per burst; scrapes read"),
    ("datapath/src/counters.rs", "PlanCounters.*", "Cell", Own, "its core, per message that a patch edits; scrapes read"),
    ("datapath/src/counters.rs", "ModuleCells.*", "Cell", Within(&["ModuleLines"]), "its core, per message; scrapes read"),
    ("datapath/src/counters.rs", "PatchCells.*", "Cell", Within(&["PatchLines"]), "its core, per message that the patch edits; scrapes read"),
    ("datapath/src/counters.rs", "Lost.*", "Cell", Own, "its lcore, per burst in which frames were lost, or when idle; scrapes read"),
    ("datapath/src/counters.rs", "LcoreCycles.*", "Cell", Own, "its lcore, per turn; scrapes read"),
    // Read by every core once a turn.
    ("plan/src/publish.rs", "Generation.0", "AtomicU64", Own, "control, at a reload; every core reads once a turn"),
    ("wirepatch/src/run/worker.rs", "Stop.0", "AtomicBool", Own, "control, once; every lcore reads once a turn"),
    // References to the values above. Counts change at the start, a reload and a scrape.
    ("datapath/src/core.rs", "Core.counters", "Arc", Counted, "counted at the start"),
    ("plan/src/publish.rs", "Subscriber.publisher", "Arc", Counted, "counted at the start"),
    ("plan/src/publish.rs", "Subscriber.current", "Arc", Counted, "its core, at the first turn after a reload"),
    ("plan/src/publish.rs", "Subscriber.previous", "Arc", Counted, "its core, once no connection of its runs on that plan"),
    ("plan/src/publish.rs", "Published.latest", "Arc", Counted, "control, at a reload; scrapes count it"),
    ("plan/src/publish.rs", "Published.retired", "Arc", Counted, "control, at a reload"),
    ("plan/src/publish.rs", "Publisher.published", "Mutex", Counted, "control, at a reload and a scrape; a core tries it at the first turn after a reload"),
    ("plan/src/index/precondition.rs", "AtomKind.Matches", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/index/literal_set.rs", "LiteralSet.expressions", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/index/literal_set.rs", "Waiter.Expression", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/index/program.rs", "Automaton.Regex", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/index/slot.rs", "SlotIndex.expressions", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/pattern.rs", "Pattern.anchored", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/pattern.rs", "Search.Literals", "Arc", Counted, "counted when a plan is compiled"),
    ("plan/src/pattern.rs", "Search.Regex", "Arc", Counted, "counted when a plan is compiled"),
    ("capsule/src/mempool.rs", "Mempool._lease", "Arc", Counted, "counted at the start"),
    ("capsule/src/port/device.rs", "EthDevice._lease", "Arc", Counted, "counted at the start"),
    ("capsule/src/port/queue.rs", "RxQueue.device", "Arc", Counted, "counted at the start"),
    ("capsule/src/port/queue.rs", "TxQueue.device", "Arc", Counted, "counted at the start"),
    ("capsule/src/ring.rs", "Ring._lease", "Arc", Counted, "counted at the start"),
    ("capsule/src/ring.rs", "RingConsumer.ring", "Arc", Counted, "counted at the start"),
    ("capsule/src/ring.rs", "RingProducer.ring", "Arc", Counted, "counted at the start"),
    ("capsule/src/ring.rs", "RingProducers.ring", "Arc", Counted, "counted at the start"),
    ("wirepatch/src/nic/queues.rs", "QueueNic.too_long", "Arc", Counted, "counted at the start"),
    ("wirepatch/src/nic/rings.rs", "Receiver.full", "Arc", Counted, "counted at the start"),
    ("wirepatch/src/run/worker.rs", "Loop.cycles", "Arc", Counted, "counted at the start"),
    ("wirepatch/src/run/worker.rs", "Loop.stop", "Arc", Counted, "counted at the start"),
    // Off the packet path.
    ("plan/src/index.rs", "IDS", "AtomicU32", Cold, "whoever compiles a plan"),
    ("patch/src/library.rs", "Patch.file", "Arc", Cold, "whoever reads patches"),
    ("capsule/src/eal.rs", "STARTED", "AtomicBool", Cold, "control, at the start"),
    ("capsule/src/eal.rs", "Eal.lease", "Arc", Cold, "control, at the start and the stop"),
    ("capsule/src/eal.rs", "Lease.lcores_busy", "AtomicBool", Cold, "control when a job begins, its lcore when it ends"),
    ("capsule/src/eal.rs", "Lease.pools", "Mutex", Cold, "control, at the start and the stop"),
    ("capsule/src/lcore.rs", "LcoreHandle.result", "mpsc", Cold, "an lcore when its job ends; control"),
    ("capsule/src/port.rs", "Port.device", "Arc", Cold, "control, at the start"),
    ("capsule/src/port/device.rs", "CONTROL", "Mutex", Cold, "control, at the start, and whoever asks a port for its counters"),
    ("control/src/server.rs", "ControlServer.stop", "Arc", Cold, "control"),
    ("control/src/server.rs", "ControlServer.stop", "AtomicBool", Cold, "control, at the stop"),
    ("telemetry/src/lib.rs", "Scrape.shared", "Arc", Cold, "control"),
    ("telemetry/src/lib.rs", "ScrapeState.cores", "Arc", Cold, "control, at the start"),
    ("telemetry/src/lib.rs", "ScrapeState.folded", "Mutex", Cold, "scrapes"),
    ("telemetry/src/lib.rs", "ScrapeState.now", "AtomicI64", Cold, "scrapes"),
    ("telemetry/src/lib.rs", "ScrapeState.publisher", "Arc", Cold, "control, at the start"),
    ("telemetry/src/lib.rs", "ScrapeState.reloads", "AtomicU64", Cold, "control, at a reload; scrapes"),
    ("telemetry/src/lib.rs", "ScrapeState.sources", "Mutex", Cold, "scrapes"),
    ("telemetry/src/lib.rs", "Telemetry.shared", "Arc", Cold, "control"),
    ("wirepatch/src/nic/rings.rs", "RingPlan.full", "Arc", Cold, "control, at the start"),
    ("wirepatch/src/run/appliance.rs", "Appliance.publisher", "Arc", Cold, "control"),
    ("wirepatch/src/run/appliance.rs", "Appliance.running", "OnceLock", Cold, "control"),
    ("wirepatch/src/run/appliance.rs", "Appliance.reloading", "Mutex", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Dataplane.stop", "Arc", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Watched.cores", "Arc", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Watched.cycles", "Arc", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Watched.ports", "Arc", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Watched.ring_full", "Arc", Cold, "control"),
    ("wirepatch/src/run/dataplane.rs", "Watched.too_long", "Arc", Cold, "control"),
    ("wirepatch/src/run/metrics.rs", "MetricsServer.server", "Arc", Cold, "the thread that answers scrapes"),
    // `wirepatch bench` only.
    ("wirepatch/src/bench/feeder.rs", "FeederOrders.opened", "AtomicU64", Cold, "the feeding lcore, once; main"),
    ("wirepatch/src/bench/feeder.rs", "FeederOrders.pace", "AtomicU64", Cold, "main, a row; the feeding lcore"),
    ("wirepatch/src/bench/feeder.rs", "FeederOrders.stretch_ticks", "AtomicU64", Cold, "main, a row; the feeding lcore"),
    ("wirepatch/src/bench/lcore.rs", "LcoreWatch.idle_ticks", "AtomicU64", Cold, "the measured lcore, per turn; main reads"),
    ("wirepatch/src/bench/lcore.rs", "LcoreWatch.packets", "AtomicU64", Cold, "the measured lcore, per turn; main reads"),
    ("wirepatch/src/bench/lcore.rs", "LcoreWatch.stop", "AtomicBool", Cold, "main, once; the measured lcore"),
    ("wirepatch/src/bench/lcore.rs", "LcoreWatch.task", "OnceLock", Cold, "the measured lcore, once; main"),
    ("wirepatch/src/bench/ports.rs", "DEVICES", "AtomicUsize", Cold, "main, a row"),
    ("wirepatch/src/bench/turns.rs", "StretchOrder.0", "AtomicU64", Cold, "the feeding lcore, twice a stretch; the measured lcore"),
];

/// Not in the product.
const TOOLS: &[&str] = &["fuzzing/", "sim/", "xtask/"];

/// What runs while packets flow; folders and files under `crates/`.
const PACKET_PATH: &[&str] = &[
    "wire/src/",
    "proto/src/",
    "plan/src/",
    "engine/src/",
    "flow/src/",
    "datapath/src/",
    "capsule/src/backoff.rs",
    "capsule/src/mbuf.rs",
    "capsule/src/mempool.rs",
    "capsule/src/port/queue.rs",
    "capsule/src/prefetch.rs",
    "capsule/src/ring.rs",
    "wirepatch/src/nic/",
    "wirepatch/src/run/worker.rs",
];

/// `(file, function, call, when)`: what stands in those files and is not for packets.
#[rustfmt::skip] // A row a line.
const CALLS: &[(&str, &str, &str, &str)] = &[
    ("capsule/src/mempool.rs", "Mempool::new", "Arc::clone", "at the start"),
    ("capsule/src/ring.rs", "Ring::gauge", "Arc::downgrade", "at the start"),
    ("capsule/src/ring.rs", "Ring::new", "Arc::clone", "at the start"),
    ("capsule/src/ring.rs", "mpsc", "Arc::clone", "at the start"),
    ("capsule/src/ring.rs", "spsc", "Arc::clone", "at the start"),
    ("plan/src/index.rs", "Index::with_preconditions", "fetch_add", "when a plan is compiled"),
    ("plan/src/index/precondition.rs", "Precondition::of_pattern", "Arc::clone", "when a plan is compiled"),
    ("plan/src/index/program.rs", "ProgramParts::add_pattern", "Arc::clone", "when a plan is compiled"),
    ("plan/src/publish.rs", "Publisher::latest", "Arc::clone", "at a scrape"),
    ("plan/src/publish.rs", "Publisher::publish", "fetch_add", "at a reload"),
    ("plan/src/publish.rs", "Publisher::reclaim", "Arc::try_unwrap", "at a scrape"),
    ("plan/src/publish.rs", "Publisher::published", "lock", "at a reload and a scrape"),
    ("plan/src/publish.rs", "Subscriber::refresh", "Arc::clone", "at the first turn after a reload"),
    ("plan/src/publish.rs", "Subscriber::refresh", "Arc::ptr_eq", "at the first turn after a reload"),
    ("plan/src/publish.rs", "Subscriber::refresh", "try_lock", "at the first turn after a reload"),
    ("wirepatch/src/nic/queues.rs", "QueueNic::new", "Arc::default", "at the start"),
    ("wirepatch/src/nic/queues.rs", "QueueNic::too_long", "Arc::clone", "at the start"),
    ("wirepatch/src/nic/rings.rs", "lay_rings", "Arc::clone", "at the start"),
];

/// Every complaint about what threads share.
pub(crate) fn check(sources: &[RustSource], complaints: &mut Vec<Complaint>) {
    let mut held = Held::default();
    for source in sources {
        let Some(shown) = source.path.strip_prefix("crates/") else { continue };
        let product = shown.contains("/src/") && !source.is_test();
        if product && !TOOLS.iter().any(|tool| shown.starts_with(tool)) {
            held.file(shown, &source.syntax);
        }
    }
    complaints.extend(held.end().into_iter().map(|text| Complaint::new("shared", "shared", text)));
}

/// The sources held against the tables so far.
#[derive(Default)]
struct Held {
    rows: Vec<usize>,
    calls: Vec<usize>,
    /// Types on lines of their own.
    aligned: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Held {
    fn file(&mut self, shown: &str, syntax: &syn::File) {
        let found = FileScan::of(syntax);
        self.aligned.extend(found.aligned);
        for declared in &found.declared {
            let row = SHARED.iter().position(|row| row.0 == shown && names(row, declared));
            self.declared(shown, declared, row);
        }
        if !PACKET_PATH.iter().any(|path| shown.starts_with(path)) {
            return;
        }
        for call in &found.called {
            let (within, what) = (call.within.as_str(), call.what.as_str());
            match CALLS.iter().position(|row| (row.0, row.1, row.2) == (shown, within, what)) {
                Some(at) => self.calls.push(at),
                None => self.complaints.push(format!(
                    "crates/{shown}: {within} calls {what}, which takes a cache line from the other cores, where packets pass: \
                     count with plain stores (datapath::counters), or, if no packet comes there, add a row to CALLS in \
                     crates/xtask/src/shared.rs that says when it runs"
                )),
            }
        }
    }

    fn declared(&mut self, shown: &str, declared: &Declared, row: Option<usize>) {
        let Declared { name, kind, own_lines } = declared;
        let Some((at, (_, _, _, room, _))) = row.and_then(|at| Some((at, SHARED.get(at)?))) else {
            self.complaints.push(format!(
                "crates/{shown}: {name} ({kind}) can be shared by threads, and no row of crates/xtask/src/shared.rs names it: say \
                 there who writes it, who reads it, and when. What is written while packets flow has one writer and stands in a \
                 block aligned to 128 bytes (datapath::counters)"
            ));
            return;
        };
        self.rows.push(at);
        if *room == Own && !own_lines {
            self.complaints.push(format!(
                "crates/{shown}: {name} is to stand on cache lines of its own: #[repr(align(128))] is missing"
            ));
        }
    }

    fn end(mut self) -> Vec<String> {
        for (at, (file, name, kind, room, _)) in SHARED.iter().enumerate() {
            let row = format!("{name} ({kind}) of crates/{file}");
            if !self.rows.contains(&at) {
                self.complaints.push(format!("crates/xtask/src/shared.rs: {row} is no more"));
            }
            let Within(owners) = room else { continue };
            for owner in owners.iter().filter(|owner| !self.aligned.contains(**owner)) {
                self.complaints.push(format!(
                    "crates/xtask/src/shared.rs: {row} is to stand in {owner}, which has no #[repr(align(128))]"
                ));
            }
        }
        for (at, (file, function, call, _)) in CALLS.iter().enumerate() {
            if !self.calls.contains(&at) {
                let row = format!("{call} in {function} of crates/{file}");
                self.complaints.push(format!("crates/xtask/src/shared.rs: {row} is no more"));
            }
        }
        self.complaints
    }
}

/// `Type.*` names all cells of a type, and nothing else of it.
fn names(row: &SharedRow, declared: &Declared) -> bool {
    let (_, name, kind, ..) = row;
    let named = match name.strip_suffix('*') {
        Some(owner) => *kind == "Cell" && declared.name.starts_with(owner),
        None => *name == declared.name,
    };
    named && *kind == declared.kind
}
