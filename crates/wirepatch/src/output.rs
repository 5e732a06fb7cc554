//! The output of the commands: standard output and error, wrong usage, progress.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// The arguments contradict themselves, or name what is not there: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The error of a command that needs the drivers, with the packages to install.
#[cfg(not(feature = "dpdk"))]
pub(crate) fn no_dpdk(command: &str) -> anyhow::Error {
    anyhow::Error::new(Usage(format!(
        "`{command}` needs the drivers, and this wirepatch was built without DPDK: install libdpdk-dev (21.11 or later), \
         pkg-config and libclang-dev, then build with the feature `dpdk` (`cargo build --release -p wirepatch`)"
    )))
}

/// The reader has closed the pipe, which is no error.
pub(crate) fn reader_is_gone(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// Writes to standard error; nobody is told if that fails.
pub(crate) fn say_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output.
pub(crate) fn say(text: &str) -> Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).context("writing to standard output")
}

/// The same, of a value as JSON.
pub(crate) fn say_json(value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    say(&text)
}

/// Progress on standard error; nothing where that is no terminal.
pub(crate) fn progress(length: usize, unit: ProgressUnit) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match unit {
        ProgressUnit::Bytes => "{wide_bar} {bytes}/{total_bytes} {eta}",
        ProgressUnit::Patches => "{wide_bar} {pos}/{len} patches {eta}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_style(style)
}

/// The unit of the progress.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProgressUnit {
    Bytes,
    Patches,
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 patch`, `2 patches`.
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    let shown = grouped(u64::try_from(number).unwrap_or(u64::MAX));
    format!("{shown} {}", if number == 1 { one } else { many })
}

/// Columns side by side, two spaces between them; those whose cells are all numbers are set right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &'_ [String], at: usize| row.get(at).cloned().unwrap_or_default();
    let columns: Vec<(usize, bool)> = head
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let widths = rows.iter().map(|row| cell(row, at).chars().count());
            let number = |text: &str| {
                text == "-"
                    || text.bytes().all(|byte| byte.is_ascii_digit() || b",.-".contains(&byte))
            };
            let right = !rows.is_empty() && rows.iter().all(|row| number(&cell(row, at)));
            (widths.chain([name.chars().count()]).max().unwrap_or(0), right)
        })
        .collect();
    let mut out = String::new();
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for (at, (width, right)) in columns.iter().enumerate() {
            let text = cell(row, at);
            let padding = " ".repeat(width.saturating_sub(text.chars().count()));
            if at > 0 {
                line.push_str("  ");
            }
            if *right {
                line.push_str(&padding);
                line.push_str(&text);
            } else {
                line.push_str(&text);
                line.push_str(&padding);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_set_right() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1,234,567");
        let rows =
            [vec!["a".to_owned(), "7".to_owned()], vec!["bcd".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["name", "n"], &rows), "name      n\na         7\nbcd   1,000\n");
    }

    #[test]
    fn a_closed_pipe_is_known_behind_any_context() {
        let broken = io::Error::from(ErrorKind::BrokenPipe);
        assert!(reader_is_gone(&anyhow::Error::new(broken).context("writing")));
        assert!(!reader_is_gone(&anyhow::Error::new(io::Error::from(ErrorKind::NotFound))));
    }
}
