//! Where a transform writes: scratch that never grows.

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

/// Writes `bytes` if there is room.
pub(super) fn put(bytes: &[u8], out: &mut Vec<u8>) -> Rewrite {
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
