//! Memory for large tables, on pages of 2 MiB where the kernel has them.
//!
//! Holds:     [`LargePages`], an allocator for the whole process.
//! Promises:  what is smaller than a page of 2 MiB comes from the system's allocator as ever. What
//!            is not is mapped alone, aligned to such a page, zeroed, resident only where it was
//!            touched, and given back when it is freed.
//! Never:     fails because the kernel has no such pages: then they are of 4 KiB.
//!
//! A look-up in a table of a million connections misses the processor's caches, and, on pages of 4
//! KiB, its translations as well: each miss is then two. Pages are asked for by `madvise`
//! (`/sys/kernel/mm/transparent_hugepage/enabled` must not say `never`), so the DPDK's own
//! hugepages stay for packets.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr,
};
use std::alloc::System;

/// Bytes of a large page on x86-64.
const PAGE: usize = 2 * 1024 * 1024;

/// `#[global_allocator] static MEMORY: LargePages = LargePages;`
#[derive(Clone, Copy, Debug)]
pub struct LargePages;

/// Bytes to map for such an allocation; `None`: it is the system allocator's.
fn mapped_bytes(layout: Layout) -> Option<usize> {
    let large = layout.size() >= PAGE && layout.align() <= PAGE;
    layout.size().checked_next_multiple_of(PAGE).filter(|_| large)
}

/// Zeroed pages, the first of which begins at a multiple of [`PAGE`]; null where the kernel has no
/// memory.
fn map(bytes: usize) -> *mut u8 {
    let Some(around) = bytes.checked_add(PAGE) else { return ptr::null_mut() };
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that
    // exists.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), around, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    let before = mapped.addr().next_multiple_of(PAGE) - mapped.addr();
    let start = mapped.wrapping_byte_add(before);
    if before > 0 {
        // SAFETY: the first `before` bytes of the mapping above, which nobody has been given.
        unsafe { libc::munmap(mapped, before) };
    }
    let behind = PAGE - before;
    if behind > 0 {
        // SAFETY: its last `behind` bytes: `before + bytes + behind` is all of it.
        unsafe { libc::munmap(start.wrapping_byte_add(bytes), behind) };
    }
    // SAFETY: advice about what is left of the mapping changes how it is backed, not what it holds.
    // Refused, it is as good.
    unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
    start.cast()
}

// SAFETY: every block is the system allocator's, or a mapping of its own that is at least as long
// and as aligned as asked and is unmapped once; which of the two depends on the layout alone, which
// the caller gives again when it frees. Nothing here panics.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match mapped_bytes(layout) {
            Some(bytes) => map(bytes),
            // SAFETY: the caller's layout, which is not of size zero.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match mapped_bytes(layout) {
            Some(bytes) => map(bytes),
            // SAFETY: the caller's layout, which is not of size zero.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match mapped_bytes(layout) {
            Some(bytes) => {
                // SAFETY: `map` gave this block for this layout, so it is a mapping of exactly so
                // many bytes.
                unsafe { libc::munmap(block.cast(), bytes) };
            }
            // SAFETY: the system allocator gave this block for this layout.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (mapped_bytes(layout), mapped_bytes(wanted)) {
            // SAFETY: the system allocator gave this block for this layout, and would give one of
            // the new size.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(was), Some(is)) if was == is => block,
            _ => {
                // SAFETY: the caller's size is not zero.
                let fresh = unsafe { self.alloc(wanted) };
                if !fresh.is_null() {
                    let kept = layout.size().min(size);
                    // SAFETY: both are at least `kept` bytes long, and a new block overlaps no old
                    // one.
                    unsafe { ptr::copy_nonoverlapping(block, fresh, kept) };
                    // SAFETY: the caller gives `block` up.
                    unsafe { self.dealloc(block, layout) };
                }
                fresh
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a byte at both ends and in the middle, or reads them.
    fn ends(block: *mut u8, size: usize, write: bool) {
        for at in [0, size / 2, size - 1] {
            let byte = u8::try_from(at % 251).unwrap() | 1;
            // SAFETY: inside the block, which is `size` bytes long.
            let place = unsafe { block.add(at) };
            if write {
                // SAFETY: as above.
                unsafe { place.write(byte) };
            } else {
                // SAFETY: as above.
                assert_eq!(unsafe { place.read() }, byte);
            }
        }
    }

    #[test]
    fn blocks_of_all_sizes_keep_what_was_written_and_large_ones_are_aligned() {
        for size in [1, 4_096, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE + 123] {
            let mut layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: the layout is not of size zero.
            let mut block = unsafe { LargePages.alloc_zeroed(layout) };
            assert!(!block.is_null());
            assert!(size < PAGE || block.addr().is_multiple_of(PAGE));
            // SAFETY: the block's last byte.
            let last = unsafe { block.add(size - 1) };
            // SAFETY: as above.
            assert_eq!(unsafe { last.read() }, 0);
            ends(block, size, true);
            for next in [size + 1, size + 2 * PAGE, size + PAGE, size] {
                // SAFETY: the block is of this layout.
                block = unsafe { LargePages.realloc(block, layout, next) };
                assert!(!block.is_null());
                layout = Layout::from_size_align(next, 8).unwrap();
                ends(block, size, false);
            }
            // SAFETY: the block is of this layout, and not used again.
            unsafe { LargePages.dealloc(block, layout) };
        }
    }
}
