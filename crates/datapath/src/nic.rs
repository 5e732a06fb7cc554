//! Where frames come from and go to. DPDK, a capture file and the simulator implement it; nothing
//! below this line knows which.

/// A port of the box, numbered as the configuration lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortNo(pub u8);

/// What the NIC already found out about a received frame's checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: they are verified here.
    #[default]
    Unknown,
    /// IP and transport checksums are right.
    Good,
}

/// One frame, owned: it is in exactly one place, and moving it moves no bytes.
pub trait Frame: AsRef<[u8]> + AsMut<[u8]> {
    /// The longest this frame can become.
    fn capacity_bytes(&self) -> usize;

    /// Cuts or grows the frame at its end. What is grown has no defined value until it is written.
    /// `false`: it does not fit, and nothing was changed.
    #[must_use]
    fn set_len(&mut self, len_bytes: usize) -> bool;

    /// See [`RxChecksum`].
    fn rx_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    /// Makes room for `bytes` more at the end.
    #[must_use]
    fn grow(&mut self, bytes: usize) -> bool {
        let len = self.as_ref().len();
        len.checked_add(bytes).is_some_and(|len| self.set_len(len))
    }

    /// Takes `bytes` from the end; all of them if there are fewer.
    fn shrink(&mut self, bytes: usize) {
        let len = self.as_ref().len();
        let _always_fits = self.set_len(len.saturating_sub(bytes));
    }

    /// Becomes a copy of `bytes`. `false`: they do not fit, and nothing was changed.
    #[must_use]
    fn load(&mut self, bytes: &[u8]) -> bool {
        if !self.set_len(bytes.len()) {
            return false;
        }
        self.as_mut().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        true
    }
}

/// Where new frames come from: the pool the port's driver fills from as well.
pub trait FramePool {
    /// The pool's frames.
    type Frame: Frame;

    /// An empty frame; `None` when the pool is used up.
    fn alloc(&mut self) -> Option<Self::Frame>;
}

/// One core's share of the ports: its receive and transmit queues, or its rings.
pub trait Nic: FramePool {
    /// Step 1. Appends at most [`crate::limits::BURST_FRAMES_MAX`] frames that came in at `port`.
    fn receive(&mut self, port: PortNo, burst: &mut Vec<Self::Frame>);

    /// Tells the processor that `place` will be read soon. Only a hint: a journey without it is
    /// slower, and the same.
    #[inline]
    fn prefetch<T>(&self, place: &T) {
        let _nothing_is_known_of_caches_here = place;
    }

    /// A counter of the processor's cycles, asked for in one burst of many so that `/metrics` can
    /// say where a core's time goes. Nothing is decided by it. Where there is none it stands still.
    #[inline]
    fn cycles(&mut self) -> u64 {
        0
    }

    /// Step 10. Sends from the front of `out`, in order; what the queue refuses stays in `out`.
    fn transmit(&mut self, port: PortNo, out: &mut Vec<Self::Frame>);
}
