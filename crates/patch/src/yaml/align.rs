//! From an offset in a scalar's decoded text back to the file.

use core::ops::Range;

use crate::diagnostic::{Place, SourceFile};

/// For every byte of `decoded`, and one past it, its offset in the file. `place` is the scalar's,
/// quotes included.
///
/// Exact for plain, quoted and block scalars: the file is walked along with the decoded text. Only
/// the file has quotes, escapes, indentation and folded line ends.
pub(super) fn offsets(file: &SourceFile, place: Place, decoded: &str) -> Vec<usize> {
    let source = file.slice(place);
    let quote = source.chars().next().filter(|c| matches!(c, '"' | '\''));
    let block_indent = block_indent(file, place);
    let mut at = quote.map_or(0, char::len_utf8);
    let mut out = Vec::with_capacity(decoded.len().saturating_add(1));
    for wanted in decoded.chars() {
        let rest = source.get(at..).unwrap_or_default();
        let (skip, len) = match rest.chars().next() {
            Some('\n') if wanted.is_whitespace() => (0, fold_bytes(rest, block_indent)),
            Some(found) if found.is_whitespace() && found != wanted => {
                // Blanks before a fold, or indentation: the text has none of them.
                let blank = rest.len().saturating_sub(rest.trim_start().len());
                if wanted.is_whitespace() {
                    (0, blank)
                } else {
                    (blank, char_bytes(rest.get(blank..).unwrap_or_default(), quote))
                }
            }
            _ => (0, char_bytes(rest, quote)),
        };
        let start = place.start.saturating_add(at).saturating_add(skip).min(place.end);
        out.extend(std::iter::repeat_n(start, wanted.len_utf8()));
        at = at.saturating_add(skip).saturating_add(len);
    }
    out.push(place.start.saturating_add(at).min(place.end));
    out
}

/// The indentation of a block scalar (`|`, `>`), which its lines have in common; `None` for other
/// scalars.
fn block_indent(file: &SourceFile, place: Place) -> Option<usize> {
    let before = file.text().get(..place.start)?;
    let (header, indent) = before.rsplit_once('\n')?;
    let header = header.lines().last()?.trim_end();
    let header = header.trim_end_matches(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit());
    let is_block = header.ends_with(['|', '>']) && indent.trim_start().is_empty();
    is_block.then_some(indent.len())
}

/// A line end and the indentation after it.
fn fold_bytes(rest: &str, block_indent: Option<usize>) -> usize {
    let after = rest.get(1..).unwrap_or_default();
    let blank = match block_indent {
        Some(indent) => after.bytes().take(indent).take_while(|&b| b == b' ').count(),
        None => after.len().saturating_sub(after.trim_start().len()),
    };
    blank.saturating_add(1)
}

fn char_bytes(rest: &str, quote: Option<char>) -> usize {
    match rest.chars().next() {
        Some('\\') if quote == Some('"') => escape_bytes(rest),
        Some('\'') if quote == Some('\'') => 2,
        Some(c) => c.len_utf8(),
        None => 0,
    }
}

/// Length of the YAML escape at the front of `rest`.
fn escape_bytes(rest: &str) -> usize {
    match rest.chars().nth(1) {
        Some('x') => 4,
        Some('u') => 6,
        Some('U') => 10,
        Some(c) => c.len_utf8().saturating_add(1),
        None => 1,
    }
}

/// The place of a range of a scalar's decoded text, in bytes.
pub(crate) fn place_within(
    file: &SourceFile,
    place: Place,
    decoded: &str,
    range: Range<usize>,
) -> Place {
    let map = offsets(file, place, decoded);
    let at = |index: usize| map.get(index).or(map.last()).copied().unwrap_or(place.start);
    let first = at(range.start);
    Place { start: first, end: at(range.end).max(first.saturating_add(1)) }
}
