//! Every metric: one row each. The scrape, its HELP lines and docs/metrics.md are made of the rows.

macro_rules! metrics {
    ($($name:ident $metric:literal $kind:ident $unit:literal [$($label:ident),*] $help:literal;)+) => {
        /// A metric family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Family { $(#[doc = $help] $name,)+ }

        impl Family {
            /// In the order of the manual.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in a scrape.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)+ }
            }

            /// Counter or gauge.
            pub const fn kind(self) -> MetricKind {
                match self { $(Self::$name => MetricKind::$kind,)+ }
            }

            /// The thing that a value of 1 stands for, in the plural.
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)+ }
            }

            /// Its labels.
            pub const fn labels(self) -> &'static [MetricLabel] {
                match self { $(Self::$name => &[$(MetricLabel::$label),*],)+ }
            }

            /// The manual's entry, and the HELP line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

macro_rules! labels {
    ($($name:ident $label:literal $help:literal;)+) => {
        /// A label of a metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MetricLabel { $(#[doc = $help] $name,)+ }

        impl MetricLabel {
            /// In the order of the manual.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in a scrape.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// The manual's entry.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

/// How a value may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only rises, until a restart.
    Counter,
    /// It rises and falls.
    Gauge,
}

labels! {
    Version "version" "Version of wirepatch.";
    Dpdk "dpdk" "Version of DPDK.";
    Port "port" "Name of a port, as the configuration gives it.";
    Direction "direction" "`rx`: received. `tx`: transmitted.";
    Reason "reason" "Why a frame left the journey. [reasons.md](reasons.md) has every reason.";
    Fate "fate" "The fate of a frame, or `event`. [reasons.md](reasons.md) has the fate of every reason.";
    Event "event" "A row of the table of events in [reasons.md](reasons.md).";
    Cause "cause" "Why frames were lost, or why messages could not be decided. \
        A reason, an event, or a loss in a driver or a ring.";
    Patch "patch" "Name of a patch.";
    Worker "worker" "Number of a worker, from 0.";
    Lcore "lcore" "Job of a busy lcore: `worker0`, `receive`, `transmit`, `receive_transmit`.";
    State "state" "`busy`: the turn found a frame. `idle`: it found none, or slept.";
    Stage "stage" "Stage of the journey: `receive` (step 1), `classify` (steps 2 and 3), `patch` \
        (steps 4 to 9), `transmit` (step 10).";
    Outcome "result" "`success` or `failure`.";
    Ring "ring" "Name of a ring.";
    Pool "pool" "Name of a memory pool.";
}

metrics! {
    BuildInfo "wirepatch_build_info" Gauge "" [Version, Dpdk]
        "The running version. The value is always 1.";
    StartTime "wirepatch_start_time_seconds" Gauge "seconds" []
        "Start of the process, in Unix time.";
    PortPackets "wirepatch_port_packets_total" Counter "frames" [Port, Direction]
        "Frames received and transmitted.";
    PortBytes "wirepatch_port_bytes_total" Counter "bytes" [Port, Direction]
        "Bytes received and transmitted, without the frame check sequence.";
    PortUp "wirepatch_port_up" Gauge "" [Port]
        "1 while the link is up, else 0.";
    Packets "wirepatch_packets_total" Counter "frames" [Reason, Fate]
        "Received frames by the reason they left the journey with, and their fate. Series with the fate `event` are no frames: they repeat wirepatch_events_total under the names of older releases, and go with the next release.";
    Events "wirepatch_events_total" Counter "events" [Event]
        "Events that are not the end of a received frame: connections reset in silence, holds that ended, frames lost after they had their reason.";
    Drops "wirepatch_drops_total" Counter "frames" [Cause]
        "Frames lost, by cause: reasons whose fate is dropped, events that lose frames, and losses in drivers and rings.";
    Undecided "wirepatch_undecided_messages_total" Counter "messages" [Cause]
        "Messages whose rules could not be decided. The group's fail mode decided them.";
    PatchMessages "wirepatch_patch_messages_total" Counter "messages" [Patch]
        "Messages the patch has looked at.";
    PatchEdits "wirepatch_patch_edits_total" Counter "edits" [Patch]
        "Edits the patch has made.";
    PatchRemoved "wirepatch_patch_removed_bytes_total" Counter "bytes" [Patch]
        "Bytes the edits of the patch took away.";
    PatchInserted "wirepatch_patch_inserted_bytes_total" Counter "bytes" [Patch]
        "Bytes the edits of the patch put in.";
    PatchVerdicts "wirepatch_patch_verdicts_total" Counter "verdicts" [Patch]
        "Messages the patch dropped or answered, and connections it closed.";
    PatchWouldEdit "wirepatch_patch_would_edit_total" Counter "edits and verdicts" [Patch]
        "Edits and verdicts that observe mode only counted.";
    PatchFixAge "wirepatch_patch_vendor_fix_age_seconds" Gauge "seconds" [Patch]
        "Time since the vendor released the fix (`released` of the patch).";
    PatchPostponed "wirepatch_patch_postponement_left_seconds" Gauge "seconds" [Patch]
        "Time until `postpone_until` of the patch. Negative once it has passed.";
    Flows "wirepatch_flows" Gauge "connections" [Worker]
        "TCP connections tracked.";
    HeldSegments "wirepatch_held_segments" Gauge "segments" [Worker]
        "TCP segments held back.";
    HeldBytes "wirepatch_held_bytes" Gauge "bytes" [Worker]
        "TCP bytes held back, or kept until they are acknowledged.";
    HeldFragments "wirepatch_held_fragments" Gauge "fragments" [Worker]
        "IP fragments that wait for the rest of their datagram.";
    Reassembled "wirepatch_reassembled_datagrams_total" Counter "datagrams" []
        "Datagrams put together from fragments.";
    FragmentsMade "wirepatch_fragments_made_total" Counter "fragments" []
        "Fragments made of packets that an edit brought over the MTU.";
    Turns "wirepatch_worker_turns_total" Counter "turns" [Worker]
        "Times a worker has polled its ports.";
    BusyTurns "wirepatch_worker_busy_turns_total" Counter "turns" [Worker]
        "Times a worker has polled its ports and found a frame.";
    LcoreCycles "wirepatch_lcore_cycles_total" Counter "cycles" [Lcore, State]
        "Cycles of the time-stamp counter that an lcore spent.";
    StageCycles "wirepatch_stage_cycles_total" Counter "cycles" [Worker, Stage]
        "Cycles of the bursts that were measured, one in 61, by stage of the journey.";
    StagePackets "wirepatch_stage_sampled_packets_total" Counter "frames" [Worker]
        "Frames of the bursts that were measured, one in 61.";
    Generation "wirepatch_plan_generation" Gauge "" [Worker]
        "Number of the plan a worker runs. Each reload counts it up.";
    RetiredPlans "wirepatch_retired_plans" Gauge "plans" []
        "Replaced plans that a worker still holds.";
    Reloads "wirepatch_reloads_total" Counter "reloads" [Outcome]
        "Reloads of the patch set.";
    RingUsed "wirepatch_ring_used_frames" Gauge "frames" [Ring]
        "Frames that wait in a ring.";
    RingCapacity "wirepatch_ring_capacity_frames" Gauge "frames" [Ring]
        "Frames a ring can hold.";
    MempoolAvailable "wirepatch_mempool_available_mbufs" Gauge "buffers" [Pool]
        "Free buffers of a memory pool.";
    MempoolInUse "wirepatch_mempool_in_use_mbufs" Gauge "buffers" [Pool]
        "Buffers of a memory pool that are in use.";
}

/// `docs/metrics.md`, without its first line.
pub fn metrics_page() -> String {
    let mut page = "# Metrics\n\n\
        Prometheus scrapes them from `/metrics` at the address `metrics.listen` of the\n\
        [configuration](configuration.md). deploy/prometheus has alerts over them, deploy/grafana a\n\
        dashboard. A renamed metric keeps its old name beside the new one for one release.\n\n\
        ## Labels\n\n\
        Label values are names of the configuration and of tables in the code, never of the network.\n\n\
        | label | value |\n|---|---|\n"
        .to_owned();
    for label in MetricLabel::ALL {
        page.push_str(&format!("| `{}` | {} |\n", label.name(), label.help()));
    }
    page.push_str("\n## Families\n");
    for family in Family::ALL {
        let kind = match family.kind() {
            MetricKind::Counter => "Counter",
            MetricKind::Gauge => "Gauge",
        };
        let unit = match family.unit() {
            "" => String::new(),
            unit => format!(" of {unit}"),
        };
        let names: Vec<String> =
            family.labels().iter().map(|label| format!("`{}`", label.name())).collect();
        let labels = match names.as_slice() {
            [] => "No labels.".to_owned(),
            names => format!("Labels: {}.", names.join(", ")),
        };
        let help = wrapped(family.help());
        page.push_str(&format!("\n### {}\n\n{help}\n\n{kind}{unit}. {labels}\n", family.name()));
    }
    page
}

/// Breaks a text into lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 100;
    let mut out = String::new();
    let mut column: usize = 0;
    for word in text.split(' ') {
        let wide = word.chars().count();
        if column > 0 {
            let fits = column.saturating_add(1).saturating_add(wide) <= COLUMNS;
            out.push(if fits { ' ' } else { '\n' });
            column = if fits { column.saturating_add(1) } else { 0 };
        }
        out.push_str(word);
        column = column.saturating_add(wide);
    }
    out
}
