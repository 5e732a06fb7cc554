//! Every metric there is. One table: what is exported, the manual, and the check that each has its unit and its help.

macro_rules! families {
    ($($name:ident $metric:literal $kind:ident [$($label:literal),*] $help:literal;)+) => {
        /// A metric family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Family { $(#[doc = $help] $name,)+ }

        impl Family {
            /// In the order of the manual.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// `wirepatch_..`, with its unit.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)+ }
            }

            /// Counter or gauge.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            /// The names of its labels.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($label),*],)+ }
            }

            /// The manual's entry, and the HELP line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

/// What a value may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rise, until a restart.
    Counter,
    /// Rise and fall.
    Gauge,
}

families! {
    BuildInfo "wirepatch_build_info" Gauge ["version", "dpdk"] "What is running; always 1.";
    StartTime "wirepatch_start_time_seconds" Gauge [] "When it was started, in Unix time.";
    PortPackets "wirepatch_port_packets_total" Counter ["port", "direction"] "Frames received and transmitted.";
    PortBytes "wirepatch_port_bytes_total" Counter ["port", "direction"] "Bytes of those frames, without the check sequence.";
    PortUp "wirepatch_port_up" Gauge ["port"] "Whether the link is up.";
    Packets "wirepatch_packets_total" Counter ["reason", "fate"] "Received frames by the reason they left the journey with, and their fate. Series with the fate `event` are no frames: they repeat wirepatch_events_total under the names of older releases, and go with the next release.";
    Events "wirepatch_events_total" Counter ["event"] "What happened besides the frames that left: connections reset in silence, holds that ended, frames lost after they had their reason.";
    Drops "wirepatch_drops_total" Counter ["cause"] "Frames lost, by cause: reasons whose fate is dropped, events that lose frames, and what drivers and rings lost.";
    Undecided "wirepatch_undecided_messages_total" Counter ["cause"] "Messages whose rules could not be decided, so that the group's fail mode did.";
    PatchMessages "wirepatch_patch_messages_total" Counter ["patch"] "Messages the patch has looked at.";
    PatchEdits "wirepatch_patch_edits_total" Counter ["patch"] "Edits the patch has made.";
    PatchRemoved "wirepatch_patch_removed_bytes_total" Counter ["patch"] "Bytes its edits took away.";
    PatchInserted "wirepatch_patch_inserted_bytes_total" Counter ["patch"] "Bytes its edits put in.";
    PatchVerdicts "wirepatch_patch_verdicts_total" Counter ["patch"] "Messages it dropped or answered, connections it closed.";
    PatchWouldEdit "wirepatch_patch_would_edit_total" Counter ["patch"] "Edits and verdicts that observe mode only counted.";
    PatchFixAge "wirepatch_patch_vendor_fix_age_seconds" Gauge ["patch"] "Time since the vendor's fix came out.";
    PatchPostponed "wirepatch_patch_postponement_left_seconds" Gauge ["patch"] "Time until the patch's postpone_until; negative once it has passed.";
    Flows "wirepatch_flows" Gauge ["worker"] "TCP connections tracked.";
    HeldSegments "wirepatch_held_segments" Gauge ["worker"] "TCP segments held back.";
    HeldBytes "wirepatch_held_bytes" Gauge ["worker"] "TCP bytes held back, or kept until they are acknowledged.";
    HeldFragments "wirepatch_held_fragments" Gauge ["worker"] "IP fragments that wait for the rest of their datagram.";
    Reassembled "wirepatch_reassembled_datagrams_total" Counter [] "Datagrams put together from fragments.";
    FragmentsMade "wirepatch_fragments_made_total" Counter [] "Fragments made of packets that an edit brought over the MTU.";
    Turns "wirepatch_worker_turns_total" Counter ["worker"] "Times a worker has polled its ports.";
    BusyTurns "wirepatch_worker_busy_turns_total" Counter ["worker"] "Times it found a frame.";
    LcoreCycles "wirepatch_lcore_cycles_total" Counter ["lcore", "state"] "Cycles of the time-stamp counter: busy in turns that found a frame, idle in those that found none and asleep.";
    StageCycles "wirepatch_stage_cycles_total" Counter ["worker", "stage"] "Cycles of the bursts that were measured, one in 61, by stage of the journey: receive (step 1), classify (2, 3), patch (4 to 9), transmit (10).";
    StagePackets "wirepatch_stage_sampled_packets_total" Counter ["worker"] "Frames of those bursts.";
    Generation "wirepatch_plan_generation" Gauge ["worker"] "Which plan a worker runs; counts up with every reload.";
    RetiredPlans "wirepatch_retired_plans" Gauge [] "Plans no longer in force that a worker still holds.";
    Reloads "wirepatch_reloads_total" Counter ["result"] "Reloads of the patch set.";
    RingUsed "wirepatch_ring_used_frames" Gauge ["ring"] "Frames waiting in a ring.";
    RingCapacity "wirepatch_ring_capacity_frames" Gauge ["ring"] "Frames a ring can hold.";
    MempoolAvailable "wirepatch_mempool_available_mbufs" Gauge ["pool"] "Buffers free in a memory pool.";
    MempoolInUse "wirepatch_mempool_in_use_mbufs" Gauge ["pool"] "Buffers of a memory pool that are in use.";
}
