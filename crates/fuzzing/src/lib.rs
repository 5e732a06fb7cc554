//! What fuzzers run: one ordinary function a target, so that tests replay kept inputs without a fuzzer.
//!
//! Holds:     [`TARGETS`], and how the first bytes of an input choose what is done with the rest (`recipe`).
//! Promises:  a target returns for every input, or panics with the promise that was broken; the same input always does the same.
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

/// A target's name, as its corpus folder is called, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("control", text::control),
    ("conversation", conversation::conversation),
    ("data", |input| decoder::decoder("data", input)),
    ("dns", |input| decoder::decoder("dns", input)),
    ("frame", frame::frames),
    ("ftp", |input| decoder::decoder("ftp", input)),
    ("http", |input| decoder::decoder("http", input)),
    ("mqtt", |input| decoder::decoder("mqtt", input)),
    ("ntp", |input| decoder::decoder("ntp", input)),
    ("opcua", |input| decoder::decoder("opcua", input)),
    ("patch", text::patch),
    ("pcap", capture::pcap),
    ("seq_map", seq_map::history),
    ("smtp", |input| decoder::decoder("smtp", input)),
    ("ssh", |input| decoder::decoder("ssh", input)),
    ("ssrp", |input| decoder::decoder("ssrp", input)),
    ("tftp", |input| decoder::decoder("tftp", input)),
    ("thrift", |input| decoder::decoder("thrift", input)),
    ("tls", |input| decoder::decoder("tls", input)),
];

/// Runs the target of that name; whether there is one.
pub fn run(name: &str, input: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    if let Some((_, body)) = target {
        body(input);
    }
    target.is_some()
}
