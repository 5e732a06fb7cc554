//! Rules of single lines and of file names: unfinished work, `unsafe`, tests that never run.

use std::path::Path;

use crate::complaint::Complaint;
use crate::source::{RustSource, is_test};

pub(crate) fn check(source: &RustSource, complaints: &mut Vec<Complaint>) {
    let mut complain = |line: usize, what: &str| {
        let text = format!("{}:{line}: {what}", source.path);
        complaints.push(Complaint::new("house", source.area(), text));
    };
    for (at, line) in source.text.lines().enumerate() {
        let number = at.saturating_add(1);
        if let Some(what) = of_line(&source.path, line) {
            complain(number, what);
        }
    }
    let path = Path::new(&source.path);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if ["utils", "util", "common", "helpers", "misc"].contains(&stem) {
        complain(1, "the file name does not tell what is inside");
    }
    let headless = is_test(&source.path) || stem == "build" || source.path.starts_with("fuzz/");
    if !headless && !source.text.starts_with("//!") {
        complain(1, "a file begins with a comment that tells what it holds");
    }
}

fn of_line(path: &str, line: &str) -> Option<&'static str> {
    // Built from halves, so that this file does not complain of itself.
    let unfinished = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let mut words = line.split(|c: char| !c.is_ascii_alphabetic());
    if words.any(|word| unfinished.contains(&word)) {
        return Some("unfinished work is an issue, not a comment");
    }
    if line.trim_start().starts_with(concat!("#[ig", "nore")) {
        return Some("a test that never runs");
    }
    let unsafe_lives_here =
        path.starts_with("crates/dpdk-sys/") || path.starts_with("crates/capsule/");
    if line.contains(concat!("allow(uns", "afe_code")) && !unsafe_lives_here {
        return Some("unsafe code is allowed in dpdk-sys and capsule only");
    }
    // `get_mut` is std's own name for what it does.
    let code = line.trim_start();
    if code.starts_with("pub fn get_") && !code.starts_with("pub fn get_mut(") {
        return Some("no `get_`: name it after the value that it gives");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_of(path: &str, text: &str) -> usize {
        let mut complaints = Vec::new();
        check(&RustSource::parse(path, text.to_owned()).unwrap(), &mut complaints);
        complaints.len()
    }

    #[test]
    fn each_rule_has_a_bad_example() {
        assert_eq!(complaints_of("crates/flow/src/a.rs", "//! Fine.\n"), 0);
        let unfinished = format!("//! F.\n// {}: later\n", concat!("TO", "DO"));
        assert_eq!(complaints_of("crates/flow/src/a.rs", &unfinished), 1);
        assert_eq!(complaints_of("crates/flow/src/utils.rs", "//! U.\n"), 1);
        assert_eq!(complaints_of("crates/flow/src/a.rs", "pub fn get_x() {}\n"), 2);
        let ignored = format!("//! F.\n{}]\nfn f() {{}}\n", concat!("#[ig", "nore"));
        assert_eq!(complaints_of("crates/flow/src/a.rs", &ignored), 1);
        let allow = format!("//! F.\n#![{}, reason = \"x\")]\n", concat!("allow(uns", "afe_code"));
        assert_eq!(complaints_of("crates/flow/src/a.rs", &allow), 1);
        assert_eq!(complaints_of("crates/capsule/src/a.rs", &allow), 0);
    }
}
