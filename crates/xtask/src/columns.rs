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

/// The comments of a Python or shell file, and the first lines of its doc strings.
pub(crate) fn check_script(path: &str, text: &str, complaints: &mut Vec<Complaint>) {
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if bare.starts_with('#') || bare.starts_with("\"\"\"") {
            measure(path, at, line, complaints);
        }
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
        check_script("deploy/a.py", &format!("# {}", "word ".repeat(20)), &mut complaints);
        assert_eq!(complaints.len(), 2);
        let address = format!("# see https://example.org/{}", "a".repeat(90));
        check_script("deploy/a.py", &address, &mut complaints);
        assert_eq!(complaints.len(), 2);
    }
}
