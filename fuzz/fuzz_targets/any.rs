//! Every fuzz target: `FUZZ_TARGET` names the one to run (docs/fuzzing.md).
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::run_chosen(input));
