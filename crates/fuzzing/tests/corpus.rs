//! Every kept input of every target, through the same functions the fuzzer calls.

use std::path::Path;

#[test]
fn kept_inputs_break_no_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for (name, body) in fuzzing::TARGETS {
        let folder = corpus.join(name);
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let run = std::panic::catch_unwind(|| body(&input));
            assert!(run.is_ok(), "{name}: {}", path.display());
            inputs += 1;
        }
    }
    assert!(inputs > fuzzing::TARGETS.len(), "the corpora are there");
}

/// libFuzzer is told of a target by its file; one that names none would run nothing and find nothing.
#[test]
fn every_target_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<String> = entries
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let names: Vec<&str> = fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, names);
    for name in names {
        let text = std::fs::read_to_string(folder.join(name).with_extension("rs")).unwrap();
        assert!(text.contains(&format!("fuzzing::run(\"{name}\", input);")), "{name}");
    }
}
