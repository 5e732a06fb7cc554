//! The table of retired identifiers.

use Wanted::{Field, Function, Identifier, Key, Module, Type, Variant};

/// As what a word is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any identifier of Rust code, and a word of any other file: a configuration key, a metric.
    Key,
    /// Any identifier of Rust code. `Owner::name` is a path.
    Identifier,
    /// The names of definitions. `Owner::name` is a function, field or variant of `Owner`.
    Type,
    Variant,
    Function,
    Field,
    Module,
}

#[derive(Debug)]
pub(super) struct Retired {
    pub(super) was: &'static str,
    pub(super) instead: &'static str,
    pub(super) wanted: Wanted,
    /// Paths that it covers; none for all.
    pub(super) places: &'static [&'static str],
    /// Paths that it leaves alone.
    pub(super) except: &'static [&'static str],
}

const fn row(
    was: &'static str,
    wanted: Wanted,
    places: &'static [&'static str],
    instead: &'static str,
) -> Retired {
    Retired { was, instead, wanted, places, except: &[] }
}

const ALL: &[&str] = &[];
const DATAPATH: &[&str] = &["crates/datapath/"];
const ENGINE: &[&str] = &["crates/engine/src/"];
const FLOW: &[&str] = &["crates/flow/"];
const PATH: &[&str] =
    &["crates/datapath/", "crates/engine/", "crates/flow/", "crates/plan/", "crates/stage/"];
const PLAN: &[&str] = &["crates/plan/"];
const PROTO: &[&str] = &["crates/proto/"];
const WORDS: &[&str] =
    &["crates/engine/", "crates/fuzzing/", "crates/plan/", "crates/proto/", "crates/datapath/"];
const TCP: &[&str] = &["crates/datapath/", "crates/flow/", "crates/wire/"];

#[rustfmt::skip] // A row a line.
pub(super) const RETIRED: &[Retired] = &[
    // The interface between the stages.
    row("Way", Type, ALL, "stage::Direction"),
    row("ToServer", Identifier, ALL, "Direction::Request"),
    row("ToClient", Identifier, ALL, "Direction::Response"),
    row("Then", Type, ALL, "Next"),
    row("Back", Type, ALL, "ReverseState"),
    row("Release", Type, ALL, "Deadline"),
    row("Look", Type, ALL, "InspectContext"),
    row("End", Type, PATH, "ConnectionEnd"),
    row("HoldKind::Window", Identifier, ALL, "HoldKind::PartialMatch"),
    row("HoldKind::Window", Variant, ALL, "HoldKind::PartialMatch"),
    row("Scope::Window", Identifier, ALL, "Scope::PartialMatch"),
    Retired { except: KEY_DOCUMENTS, ..row("window_hold_ms", Key, ALL, "pattern_hold_ms") },
    // TCP.
    row("custody", Identifier, ALL, "proxy_acknowledged"),
    row("Custody", Identifier, ALL, "ProxyAcknowledged"),
    row("Flight", Type, TCP, "InFlightBuffers"),
    row("take_off", Identifier, ALL, "acquire"),
    row("land", Function, TCP, "release"),
    row("Connection::take", Function, FLOW, "on_segment"),
    row("hear", Function, TCP, "on_ack"),
    row("binds", Function, TCP, "enforcing"),
    row("believed", Function, TCP, "acceptable"),
    row("State", Type, FLOW, "ConnectionState"),
    row("Kind", Type, FLOW, "EditKind"),
    row("Key", Type, FLOW, "FlowKey"),
    row("Outcome", Type, FLOW, "SegmentOutcome"),
    row("captured", Field, TCP, "offline_capture"),
    row("captured", Function, TCP, "offline_capture"),
    row("quoted", Field, TCP, "original_of_icmp_quote"),
    row("quoted", Function, TCP, "original_of_icmp_quote"),
    row("realm", Identifier, PATH, "vlan_key"),
    row("Realm", Identifier, PATH, "VlanKey"),
    row("hand", Field, TCP, "sweep_cursor"),
    // The journey.
    row("InForce", Identifier, ALL, "ActivePlan"),
    row("force", Field, PATH, "active_plan, or flush_pending"),
    row("force", Module, PATH, "active_plan"),
    row("Glance", Identifier, ALL, "Prefilter"),
    row("Elsewhere", Identifier, DATAPATH, "OutOfScope"),
    row("Lap", Identifier, ALL, "StageTimer"),
    row("Desk", Identifier, ALL, "UnitScratch"),
    row("Stage", Type, DATAPATH, "JourneyStage"),
    row("Fate", Type, ALL, "FrameFate"),
    row("State", Type, DATAPATH, "TcpState"),
    row("Tally", Identifier, ALL, "PlanCounters (datapath) or HitLog (engine)"),
    // Plans and decoders.
    row("Guard", Type, PLAN, "Precondition"),
    row("guard", Module, PLAN, "precondition"),
    row("guard", Field, PLAN, "precondition"),
    row("guarded_by", Function, PLAN, "with_precondition"),
    row("Side", Type, PLAN, "DirectionRules"),
    row("Found", Type, PLAN, "ScopeMatch"),
    row("screen", Field, ALL, "field_prefilter"),
    row("screen", Function, ALL, "field_prefilter"),
    row("screen", Module, ALL, "field_prefilter"),
    row("Screen", Identifier, ALL, "FieldPrefilter"),
    row("set_screen", Identifier, ALL, "set_field_prefilter"),
    row("watch", Function, PROTO, "watched_range"),
    row("watch", Field, PROTO, "watched_range"),
    row("Watch", Type, PROTO, "WatchedRange"),
    row("Sieve", Identifier, ALL, "HeaderPrefilter"),
    row("sieve", Identifier, ALL, "header_prefilter"),
    row("Mesh", Identifier, ALL, "its per-field part of the HeaderPrefilter"),
    row("mesh", Identifier, ALL, "its per-field part of the header_prefilter"),
    row("Signs", Identifier, WORDS, "ByteHints"),
    row("signs", Identifier, WORDS, "byte_hints"),
    row("Needles", Identifier, ALL, "Literals"),
    row("needles", Identifier, ALL, "literals"),
    row("Grams", Identifier, ALL, "NgramFilter"),
    row("grams", Identifier, ALL, "ngram_filter"),
    row("Sight", Identifier, ALL, "PrefilterVerdict"),
    row("sight", Identifier, ALL, "prefilter_verdict"),
    row("owed", Identifier, WORDS, "outstanding_responses"),
    row("withdraw", Identifier, ALL, "cancel_request"),
    row("literal", Function, PROTO, "shape_custom_reply"),
    row("literal", Function, ENGINE, "shape_custom_reply"),
    row("Kind", Type, &["crates/proto/src/schema"], "FieldKind"),
    row("State", Type, &["crates/proto/src/state"], "DecoderState"),
];

/// Where an operator reads which old keys are still accepted.
const KEY_DOCUMENTS: &[&str] = &["docs/configuration.md", "docs/decisions/"];
