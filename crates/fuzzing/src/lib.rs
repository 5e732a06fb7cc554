//! What fuzzers run: one ordinary function a target, so that tests replay kept inputs without a
//! fuzzer.
//!
//! Holds:     [`targets`], and how the first bytes of an input choose what is done with the rest
//!            (`recipe`).
//! Promises:  a target returns for every input, or panics with the promise that was broken; the
//!            same input always does the same.
//! Never:     touches the network, the clock or a file but the patch library.

mod capture;
mod conversation;
mod decoder;
mod frame;
pub mod library;
mod recipe;
pub mod rig;
mod seq_map;
mod text;

use std::sync::OnceLock;

use proto::Decoder;

/// Something to fuzz.
#[derive(Clone, Copy)]
pub struct FuzzTarget {
    /// As its folder of kept inputs is called.
    pub name: &'static str,
    body: TargetBody,
}

#[derive(Clone, Copy)]
enum TargetBody {
    Function(fn(&[u8])),
    /// A row of the registry: all decoders are fuzzed alike.
    Decoder(&'static dyn Decoder),
}

impl FuzzTarget {
    const fn function(name: &'static str, body: fn(&[u8])) -> Self {
        Self { name, body: TargetBody::Function(body) }
    }

    /// Does with the input what the target is for.
    pub fn run(&self, input: &[u8]) {
        match self.body {
            TargetBody::Function(body) => body(input),
            TargetBody::Decoder(decoder) => decoder::decoder(decoder, input),
        }
    }
}

/// The targets besides decoders.
const FUNCTIONS: &[FuzzTarget] = &[
    FuzzTarget::function("control", text::control),
    FuzzTarget::function("conversation", conversation::conversation),
    FuzzTarget::function("frame", frame::frames),
    FuzzTarget::function("patch", text::patch),
    FuzzTarget::function("pcap", capture::pcap),
    FuzzTarget::function("seq_map", seq_map::history),
];

/// Every target there is: each decoder, by its protocol's name, and the others.
pub fn targets() -> impl Iterator<Item = FuzzTarget> {
    let decoders = proto::DECODERS.iter().map(|decoder| FuzzTarget {
        name: decoder.protocol().name,
        body: TargetBody::Decoder(*decoder),
    });
    decoders.chain(FUNCTIONS.iter().copied())
}

/// The target of that name.
pub fn target(name: &str) -> Option<FuzzTarget> {
    targets().find(|target| target.name == name)
}

/// Names the target that [`run_chosen`] runs.
pub const CHOICE: &str = "FUZZ_TARGET";

/// Runs the target that the environment names. The program that libFuzzer runs is the same for all
/// of them, so that a new decoder needs no file there, and one build serves all.
pub fn run_chosen(input: &[u8]) {
    static CHOSEN: OnceLock<Option<FuzzTarget>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var(CHOICE).ok().and_then(|name| target(&name)));
    assert!(chosen.is_some(), "{CHOICE} names no target: see `cargo run -p fuzzing --example run`");
    if let Some(chosen) = chosen {
        chosen.run(input);
    }
}
