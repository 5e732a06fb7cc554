//! What one transform makes of one whole value. Pure: bytes and a rule in, bytes out.
//!
//! Holds:     nothing.
//! Promises:  the result keeps the transform's bound, and a value that keeps it already is left alone; so applying a transform
//!            twice is applying it once.
//! Never:     writes past the room of `out`: it says [`Rewrite::NoRoom`].

mod normal;
mod number;
#[cfg(test)]
mod tests;

use plan::{Pattern, Transform};
use proto::{FieldKind, Repr};

use normal::{line_ends, path, white_space};
pub(crate) use number::{read, write};

/// How rewriting went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// The value keeps the bound already.
    Unchanged,
    /// The new value is in `out`.
    Changed,
    /// `out` has no room for it.
    NoRoom,
    /// There is no such value in this field's form.
    Impossible,
}

/// Passes over a value in search of matches that a replacement left behind by joining what was around it. What still matches
/// then was made to: the value is cut before it.
const REPLACE_PASSES_MAX: u32 = 8;

/// A number field, as its protocol's table and its decoder describe it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberForm {
    pub(crate) repr: Repr,
    pub(crate) kind: FieldKind,
    /// The value the decoder read; `None` where an earlier edit may have changed it.
    pub(crate) read: Option<u64>,
}

/// Applies a transform that rewrites a value. `out` and `spare` are cleared here and keep their capacity.
pub(crate) fn rewrite(
    transform: &Transform,
    value: &[u8],
    form: NumberForm,
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Rewrite {
    out.clear();
    match transform {
        Transform::Truncate { to } => {
            let to = usize::try_from(*to).unwrap_or(usize::MAX);
            match value.get(..to) {
                Some(kept) if kept.len() < value.len() => put(kept, out),
                _ => Rewrite::Unchanged,
            }
        }
        Transform::CutAt { pattern, keep_match } => match pattern.find(value, 0) {
            None => Rewrite::Unchanged,
            Some((start, end)) => {
                let to = if *keep_match { end } else { start };
                if to == value.len() {
                    return Rewrite::Unchanged;
                }
                put(value.get(..to).unwrap_or(value), out)
            }
        },
        Transform::Clamp { min, max } => match number::current(form, value) {
            None => Rewrite::Unchanged,
            Some(now) => set_number(form, value, now, now.min(*max).max(*min), out),
        },
        Transform::SetNumber(number) => match number::current(form, value) {
            None => Rewrite::Unchanged,
            Some(now) => set_number(form, value, now, *number, out),
        },
        Transform::Clear { bits } => match number::current(form, value) {
            None => Rewrite::Unchanged,
            Some(now) => set_number(form, value, now, now & !bits, out),
        },
        Transform::SetBytes(bytes) if **bytes == *value => Rewrite::Unchanged,
        Transform::SetBytes(bytes) => put(bytes, out),
        Transform::Replace { pattern, with } => replace(pattern, with, value, out, spare),
        Transform::Mask { set, with } => {
            if !value.iter().any(|&byte| set.contains(byte)) {
                return Rewrite::Unchanged;
            }
            let done = put(value, out);
            for byte in out.iter_mut().filter(|byte| set.contains(**byte)) {
                *byte = *with;
            }
            done
        }
        Transform::MaskPattern { pattern, with } => mask_pattern(pattern, *with, value, out),
        Transform::Normalize(plan::Normalization::Path) => path(value, out),
        Transform::Normalize(plan::Normalization::WhiteSpace) => white_space(value, out),
        Transform::Normalize(plan::Normalization::LineEnds) => line_ends(value, out),
        Transform::Pad { to, with } => {
            let to = usize::try_from(*to).unwrap_or(usize::MAX);
            if value.len() >= to {
                return Rewrite::Unchanged;
            }
            if to > out.capacity() {
                return Rewrite::NoRoom;
            }
            out.extend_from_slice(value);
            out.resize(to, *with);
            Rewrite::Changed
        }
        // These work on elements and messages, not on values.
        Transform::Remove
        | Transform::KeepFirst { .. }
        | Transform::Dedupe { .. }
        | Transform::Discard
        | Transform::Drop
        | Transform::Refuse(_)
        | Transform::Close(_) => Rewrite::Unchanged,
    }
}

/// Writes `bytes` if there is room.
fn put(bytes: &[u8], out: &mut Vec<u8>) -> Rewrite {
    if append(bytes, out) { Rewrite::Changed } else { Rewrite::NoRoom }
}

/// Appends `bytes` if there is room without growing.
pub(crate) fn append(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let fits = out.len().checked_add(bytes.len()).is_some_and(|needed| needed <= out.capacity());
    if fits {
        out.extend_from_slice(bytes);
    }
    fits
}

fn set_number(form: NumberForm, value: &[u8], now: u64, new: u64, out: &mut Vec<u8>) -> Rewrite {
    if now == new {
        return Rewrite::Unchanged;
    }
    if out.capacity() < value.len().max(number::DIGITS_MAX) {
        return Rewrite::NoRoom;
    }
    if write(form.repr, form.kind, value, new, out) {
        Rewrite::Changed
    } else {
        Rewrite::Impossible
    }
}

fn replace(
    pattern: &Pattern,
    with: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Rewrite {
    let Some(first) = pattern.find(value, 0) else { return Rewrite::Unchanged };
    if !replace_once(pattern, with, value, first, out) {
        return Rewrite::NoRoom;
    }
    for _ in 1..REPLACE_PASSES_MAX {
        let Some(first) = pattern.find(out, 0) else { return Rewrite::Changed };
        spare.clear();
        if !append(out, spare) {
            return Rewrite::NoRoom;
        }
        out.clear();
        if !replace_once(pattern, with, spare, first, out) {
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
    first: (usize, usize),
    out: &mut Vec<u8>,
) -> bool {
    let mut from = 0;
    let mut found = Some(first);
    while let Some((start, end)) = found {
        if !append(value.get(from..start).unwrap_or_default(), out) || !append(with, out) {
            return false;
        }
        from = end;
        found = pattern.find(value, from);
    }
    append(value.get(from..).unwrap_or_default(), out)
}

fn mask_pattern(pattern: &Pattern, with: u8, value: &[u8], out: &mut Vec<u8>) -> Rewrite {
    let Some(mut found) = pattern.find(value, 0) else { return Rewrite::Unchanged };
    if put(value, out) == Rewrite::NoRoom {
        return Rewrite::NoRoom;
    }
    // A match of nothing but `with` cannot be masked any further.
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
