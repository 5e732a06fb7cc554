//! Telling the processor what will be read soon.

/// Asks for the cache lines of `place`. It returns at once: the lines come while other work is
/// done, or do not come.
///
/// A burst's connections are looked up one after the other, and each look-up misses every cache;
/// asked for together, the misses overlap. A plain load would not do: one that misses holds up all
/// that follow it once the processor's window is full.
#[inline]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        /// Bytes of a cache line.
        const LINE: usize = 64;

        let start = core::ptr::from_ref(place).cast::<i8>();
        let mut into = 0;
        while into < size_of::<T>() {
            // SAFETY: a prefetch does not access memory as the program sees it, whatever the
            // address; this one lies inside `place`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(into)) };
            into += LINE;
        }
        // Where `place` does not begin with a line, its last bytes stand in one more.
        let last = size_of::<T>().saturating_sub(1);
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(last)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_changed_whatever_the_size() {
        super::prefetch(&());
        let bytes = [7_u8; 1_000];
        super::prefetch(&bytes);
        assert_eq!(bytes, [7; 1_000]);
    }
}
