//! Comments and documents keep to 100 columns; rustfmt holds the code.

use crate::complaint::Complaint;
use crate::source::{self, RustSource};

const COLUMNS_MAX: usize = 100;

/// The comments of a Rust source.
pub(crate) fn check(source: &RustSource, complaints: &mut Vec<Complaint>) {
    for (at, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            measure(&source.path, at, line, complaints);
        }
    }
}

/// A Python, shell or YAML file, whole.
pub(crate) fn check_lines(path: &str, text: &str, complaints: &mut Vec<Complaint>) {
    for (at, line) in text.lines().enumerate() {
        measure(path, at, line, complaints);
    }
}

/// `at` counts from zero. A line that is one long word, an address, cannot be broken.
pub(crate) fn measure(path: &str, at: usize, line: &str, complaints: &mut Vec<Complaint>) {
    let columns = line.chars().count();
    let longest = line.split_whitespace().map(|word| word.chars().count()).max();
    if columns > COLUMNS_MAX && longest.is_some_and(|longest| longest <= COLUMNS_MAX / 2) {
        let number = at.saturating_add(1);
        let text = format!("{path}:{number}: {columns} columns; a line has {COLUMNS_MAX} at most");
        complaints.push(Complaint::new("columns", source::area(path), text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_comment_is_found_and_a_long_address_is_not() {
        let mut complaints = Vec::new();
        let text = format!("// {}\nfn f() {{}}\n", "word ".repeat(20));
        check(&RustSource::parse("crates/flow/src/a.rs", text).unwrap(), &mut complaints);
        assert_eq!(complaints.len(), 1);
        let address = format!("see https://example.org/{}", "a".repeat(90));
        check_lines("deploy/a.py", &address, &mut complaints);
        assert_eq!(complaints.len(), 1);
    }
}
