//! The same rules over the test protocol in every mode that serves them, every case cut every way.
#![allow(dead_code, reason = "not every test uses all of it")]

use engine::Scratch;
use stage::Direction::Request;

use crate::drive::every_way;
use crate::lines::LineDecoder;
use crate::rules::RulesBuilder;

pub(crate) static LINES: LineDecoder = LineDecoder;

/// Builds the same rules for streaming, line-by-line and whole-message modes.
pub(crate) fn each_mode(
    rules: impl Fn(RulesBuilder) -> RulesBuilder,
) -> Vec<(&'static str, plan::Module)> {
    vec![
        ("streaming", rules(RulesBuilder::new(&LINES)).build()),
        ("lines", rules(RulesBuilder::new(&LINES).hold(16 * 1024)).build()),
        ("whole", rules(RulesBuilder::new(&LINES).whole(16 * 1024)).build()),
    ]
}

#[track_caller]
pub(crate) fn check(modules: &[(&'static str, plan::Module)], cases: &[(&str, &str)]) {
    let mut scratch = Scratch::new();
    for (mode, module) in modules {
        for (input, want) in cases {
            let got = every_way(module, Request, input.as_bytes(), &mut scratch);
            assert_eq!(got.text(), *want, "{mode}: {input:?}");
            assert_eq!(got.undecided, [], "{mode}: {input:?}");
            if input == want {
                assert_eq!((got.edits, got.verdicts), (0, 0), "{mode}: {input:?} is left alone");
            }
        }
    }
}

/// Modes in which a rule that needs the whole field works.
pub(crate) fn held(
    rules: impl Fn(RulesBuilder) -> RulesBuilder,
) -> Vec<(&'static str, plan::Module)> {
    each_mode(rules).into_iter().skip(1).collect()
}
