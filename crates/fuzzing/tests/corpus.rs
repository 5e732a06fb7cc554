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
