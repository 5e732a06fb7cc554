//! Every kept input of every target, and every decoder's ordinary messages, through the same
//! functions the fuzzer calls.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use fuzzing::FuzzTarget;

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

#[test]
fn kept_inputs_break_no_promise() {
    let mut inputs = 0;
    for target in fuzzing::targets() {
        // A decoder without kept inputs has its samples: see below.
        let Ok(entries) = std::fs::read_dir(corpus().join(target.name)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            passes(target, &std::fs::read(&path).unwrap(), &path.display().to_string());
            inputs += 1;
        }
    }
    assert!(inputs > fuzzing::targets().count(), "the corpora are there");
}

#[test]
fn ordinary_messages_break_no_promise() {
    for decoder in proto::DECODERS {
        let target = fuzzing::target(decoder.protocol().name).unwrap();
        for sample in decoder.samples() {
            // All fields, and half of them; held, opened and whole; cut nowhere and somewhere;
            // edited here and there.
            for choices in [
                [0; 8],
                [1, 0, 0, 0, 0, 0, 0, 64],
                [3, 0, 0, 7, 3, 2, 0, 16],
                [4, 5, 1, 9, 1, 1, 1, 64],
                [9, 0, 0, 3, 0, 4, 0, 16],
                [25, 0, 2, 1, 9, 3, 2, 64],
            ] {
                passes(target, &[&choices, sample.bytes].concat(), sample.name);
            }
        }
    }
}

fn passes(target: FuzzTarget, input: &[u8], what: &str) {
    let run = std::panic::catch_unwind(AssertUnwindSafe(|| target.run(input)));
    assert!(run.is_ok(), "{}: {what}", target.name);
}

#[test]
fn every_folder_is_a_targets() {
    let names: HashSet<&str> = fuzzing::targets().map(|target| target.name).collect();
    assert_eq!(names.len(), fuzzing::targets().count(), "each has a name of its own");
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&*name), "no target is called {name}");
    }
}
