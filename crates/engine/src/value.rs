//! The effect of one transform on one whole value. Pure: bytes and a rule in, bytes out.
//!
//! Holds:     nothing.
//! Promises:  the result keeps the transform's bound, and a value that already keeps it stays as it
//!            is. So applying a transform twice is the same as applying it once.
//! Never:     writes more than `out` has room for: it answers [`Rewrite::NoRoom`].

mod long_pattern;
mod normal;
mod number;
mod output;
#[cfg(test)]
mod tests;

use plan::{Normalization, Transform};
use stage::position::index;

use long_pattern::{cut_at, mask_pattern, replace};
use normal::{line_ends, path, white_space};
pub(crate) use number::{NumberForm, read, write};
use output::put;
pub(crate) use output::{Rewrite, append};

/// Applies a transform that rewrites a whole value. `out` and `spare` are cleared here and keep
/// their capacity.
pub(crate) fn rewrite(
    transform: &Transform,
    value: &[u8],
    form: NumberForm,
    out: &mut Vec<u8>,
    spare: &mut Vec<u8>,
) -> Rewrite {
    out.clear();
    match transform {
        Transform::CutAt { pattern, keep_match } => cut_at(pattern, *keep_match, value, out),
        Transform::Replace { pattern, with } => replace(pattern, with, value, out, spare),
        Transform::MaskPattern { pattern, with } => mask_pattern(pattern, *with, value, out),
        Transform::Clamp { min, max } => {
            set_number(form, value, |now| now.min(*max).max(*min), out)
        }
        Transform::SetNumber(number) => set_number(form, value, |_| *number, out),
        Transform::Clear { bits } => set_number(form, value, |now| now & !bits, out),
        Transform::SetBytes(bytes) if **bytes == *value => Rewrite::Unchanged,
        Transform::SetBytes(bytes) => put(bytes, out),
        Transform::Normalize(Normalization::Path) => path(value, out),
        Transform::Normalize(Normalization::WhiteSpace) => white_space(value, out),
        Transform::Normalize(Normalization::LineEnds) => line_ends(value, out),
        Transform::Pad { to, with } => pad(index(*to), *with, value, out),
        // A program runs these, whether the slot's has room for them or not: see
        // `plan::index::Program`. A rule without one must not pass in silence.
        Transform::Truncate { .. } | Transform::Mask { .. } => Rewrite::Impossible,
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

fn pad(to: usize, with: u8, value: &[u8], out: &mut Vec<u8>) -> Rewrite {
    if value.len() >= to {
        return Rewrite::Unchanged;
    }
    if to > out.capacity() {
        return Rewrite::NoRoom;
    }
    out.extend_from_slice(value);
    out.resize(to, with);
    Rewrite::Changed
}

/// Writes the number that `change` makes of the field's. A value that is no number is left alone.
fn set_number(
    form: NumberForm,
    value: &[u8],
    change: impl FnOnce(u64) -> u64,
    out: &mut Vec<u8>,
) -> Rewrite {
    let Some(now) = number::current(form, value) else { return Rewrite::Unchanged };
    let new = change(now);
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
