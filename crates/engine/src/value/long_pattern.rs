//! The effect of a transform with a pattern on a whole value, where a match may be longer than
//! [`plan::index::PARTIAL_MATCH_BYTES_MAX`]. Programs run all other patterns
//! ([`plan::index::Program`]).

use core::ops::Range;

use plan::Pattern;

use super::output::{Rewrite, append, put};

/// How often a value is searched for matches that a replacement made by joining the bytes around
/// it. If it still matches then, somebody built it that way: it is cut before the match.
const REPLACE_PASSES_MAX: u32 = 8;

pub(super) fn cut_at(
    pattern: &Pattern,
    keep_match: bool,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Rewrite {
    let Some((start, end)) = pattern.find(value, 0) else { return Rewrite::Unchanged };
    let to = if keep_match { end } else { start };
    match value.get(..to) {
        Some(kept) if kept.len() < value.len() => put(kept, out),
        _ => Rewrite::Unchanged,
    }
}

pub(super) fn replace(
    pattern: &Pattern,
    with: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Rewrite {
    let Some((start, end)) = pattern.find(value, 0) else { return Rewrite::Unchanged };
    if !replace_once(pattern, with, value, start..end, out) {
        return Rewrite::NoRoom;
    }
    for _ in 1..REPLACE_PASSES_MAX {
        let Some((start, end)) = pattern.find(out, 0) else { return Rewrite::Changed };
        spare.clear();
        if !append(out, spare) {
            return Rewrite::NoRoom;
        }
        out.clear();
        if !replace_once(pattern, with, spare, start..end, out) {
            return Rewrite::NoRoom;
        }
    }
    while let Some((start, _)) = pattern.find(out, 0) {
        out.truncate(start);
    }
    Rewrite::Changed
}

fn replace_once(
    pattern: &Pattern,
    with: &[u8],
    value: &[u8],
    first: Range<usize>,
    out: &mut Vec<u8>,
) -> bool {
    let mut from = 0;
    let mut found = Some((first.start, first.end));
    while let Some((start, end)) = found {
        if !append(value.get(from..start).unwrap_or_default(), out) || !append(with, out) {
            return false;
        }
        from = end;
        found = pattern.find(value, from);
    }
    append(value.get(from..).unwrap_or_default(), out)
}

pub(super) fn mask_pattern(
    pattern: &Pattern,
    with: u8,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Rewrite {
    let Some(mut found) = pattern.find(value, 0) else { return Rewrite::Unchanged };
    if put(value, out) == Rewrite::NoRoom {
        return Rewrite::NoRoom;
    }
    // A match that consists of `with` alone cannot be masked any further.
    let mut changed = false;
    loop {
        let (start, end) = found;
        for byte in out.get_mut(start..end).unwrap_or_default() {
            changed |= *byte != with;
            *byte = with;
        }
        match pattern.find(out, end) {
            Some(next) => found = next,
            None => break,
        }
    }
    if changed { Rewrite::Changed } else { Rewrite::Unchanged }
}
