//! Positions in a buffer: conversions, and sums that cannot overflow.
//!
//! Holds:     [`index`], [`len32`], [`plus`], [`minus`] and [`times`].
//! Promises:  nothing here panics in a release build. A debug build asserts that no bit is lost, so
//!            every test and every simulated connection checks the claim "this cannot overflow".
//! Never:     takes a number from the network. Where a sender chooses a number, write
//!            `checked_add`, or `saturating_add` and why the bound is right.
//!
//! ```
//! use stage::position::{index, len32, minus, plus};
//!
//! let line = b"GET / HTTP/1.1";
//! let (start, end) = (4_u32, 5_u32);
//! assert_eq!(line.get(index(start)..index(end)), Some(b"/".as_slice()));
//! assert_eq!(plus(start, minus(end, start)), end);
//! assert_eq!(len32(line.len()), 14);
//! ```

const _: () = assert!(usize::BITS >= u32::BITS, "every u32 position is an index");

/// A `u32` position as an index into a slice. The assertion above makes the conversion lossless.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits, as asserted above")]
pub const fn index(position: u32) -> usize {
    position as usize
}

/// The length of a buffer as a `u32`. No buffer of a packet or a stream is longer than `u32::MAX`
/// bytes.
#[inline(always)]
pub fn len32(bytes: usize) -> u32 {
    debug_assert!(u32::try_from(bytes).is_ok(), "{bytes} bytes are more than a u32 counts");
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// An unsigned number that counts bytes or things.
pub trait Count: Copy + core::fmt::Debug + sealed::Sealed {
    /// See [`plus`].
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// See [`minus`].
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// See [`times`].
    #[must_use]
    fn times(self, other: Self) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! counts {
    ($($number:ty),+) => {$(
        impl sealed::Sealed for $number {}

        impl Count for $number {
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                debug_assert!(self.checked_add(other).is_some(), "{self} + {other} overflows");
                self.saturating_add(other)
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                debug_assert!(self.checked_sub(other).is_some(), "{self} - {other} is negative");
                self.saturating_sub(other)
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                debug_assert!(self.checked_mul(other).is_some(), "{self} * {other} overflows");
                self.saturating_mul(other)
            }
        }
    )+};
}

counts!(u8, u16, u32, u64, usize);

/// `a + b`, where overflow is impossible. A debug build asserts that; a release build saturates.
#[inline(always)]
#[must_use]
pub fn plus<T: Count>(a: T, b: T) -> T {
    a.plus(b)
}

/// `a - b`, where `b` is never more than `a`. A debug build asserts that; a release build answers 0
/// otherwise.
#[inline(always)]
#[must_use]
pub fn minus<T: Count>(a: T, b: T) -> T {
    a.minus(b)
}

/// `a * b`, where overflow is impossible. A debug build asserts that; a release build saturates.
#[inline(always)]
#[must_use]
pub fn times<T: Count>(a: T, b: T) -> T {
    a.times(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_is_an_index() {
        assert_eq!(index(0), 0);
        assert_eq!(u32::try_from(index(u32::MAX)), Ok(u32::MAX));
        assert_eq!(len32(index(u32::MAX)), u32::MAX);
    }

    #[test]
    fn sums_up_to_the_edge_are_exact() {
        assert_eq!(plus(u32::MAX - 1, 1), u32::MAX);
        assert_eq!(plus(250_u8, 5), 255);
        assert_eq!(minus(7_usize, 7), 0);
        assert_eq!(minus(u64::MAX, 1), u64::MAX - 1);
        assert_eq!(times(257_u16, 255), u16::MAX);
    }

    /// Answers whether a debug build asserts, and checks that a release build answers `want`.
    #[track_caller]
    fn check(sum: impl FnOnce() -> u32 + std::panic::UnwindSafe, want: u32) {
        match std::panic::catch_unwind(sum) {
            Ok(got) => assert!(!cfg!(debug_assertions) && got == want, "{got} for {want}"),
            Err(panic) if !cfg!(debug_assertions) => std::panic::resume_unwind(panic),
            Err(_) => {}
        }
    }

    #[test]
    fn a_debug_build_asserts_past_the_edge_and_a_release_build_saturates() {
        check(|| plus(u32::MAX, 1), u32::MAX);
        check(|| minus(3, 4), 0);
        check(|| times(1 << 16, 1 << 16), u32::MAX);
        check(|| len32(1 << 33), u32::MAX);
    }
}
