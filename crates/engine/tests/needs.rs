//! A sender of single bytes costs one dissection a unit, not one a byte. Alone in its process: it
//! counts calls.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;
mod lines;
mod rules;

use std::sync::atomic::Ordering::Relaxed;

use engine::Scratch;
use lines::{CALLS, LineDecoder, VALUE};
use plan::{Normalization, Transform};
use rules::RulesBuilder;

static LINES: LineDecoder = LineDecoder;

#[test]
fn the_decoder_is_not_asked_before_its_need_is_met() {
    let mut b = RulesBuilder::new(&LINES).hold(16 * 1024);
    let value = b.slot(VALUE);
    let module = b.on(value, Transform::Normalize(Normalization::WhiteSpace)).build();
    let mut scratch = Scratch::new();
    let input = format!("a: {}\nb: c\n\n", "x ".repeat(4000));
    let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
    let got = drive::run(&module, stage::Direction::Request, &bytes, &mut scratch);
    assert_eq!(got.text().len(), input.len() - 1);
    assert!(CALLS.load(Relaxed) < 10, "{}", CALLS.load(Relaxed));
}
