//! Tells most header names that nobody reads from the others, by first letter and length.

/// First letters and lengths of names.
#[derive(Clone, Copy, Default)]
pub(super) struct NameFilter {
    /// Bit `letter & 31`.
    pub(super) starts: u32,
    /// Bit `n`: `n` bytes (63: that many or more).
    pub(super) lengths: u64,
}

impl NameFilter {
    pub(super) fn add(&mut self, name: &[u8]) {
        self.starts |= Self::start(name.first().copied().unwrap_or(0));
        self.lengths |= Self::length(name.len());
    }

    pub(super) fn start(byte: u8) -> u32 {
        1_u32.wrapping_shl(u32::from(byte & 31))
    }

    pub(super) fn length(bytes: usize) -> u64 {
        1_u64.wrapping_shl(u32::try_from(bytes.min(LENGTH_MAX)).unwrap_or(0))
    }
}

/// Longer names count as this long.
pub(super) const LENGTH_MAX: usize = 63;
