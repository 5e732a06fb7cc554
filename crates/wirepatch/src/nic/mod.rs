//! The DPDK NIC: frames are mbufs, ports are queues of a poll-mode driver or rings that other
//! lcores serve.

mod hash;
mod queues;
mod rings;

use capsule::{ChecksumState, Mbuf};
use datapath::{Frame, RxChecksum};

pub(crate) use queues::QueueNic;
pub(crate) use rings::{Io, RingNic, lay_rings};

/// An mbuf as the journey sees it.
#[derive(Debug)]
pub(crate) struct DpdkFrame(pub(crate) Mbuf);

impl AsRef<[u8]> for DpdkFrame {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsMut<[u8]> for DpdkFrame {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl Frame for DpdkFrame {
    fn capacity_bytes(&self) -> usize {
        self.0.len().saturating_add(self.0.tailroom())
    }

    fn set_len(&mut self, len_bytes: usize) -> bool {
        match len_bytes.checked_sub(self.0.len()) {
            Some(0) => true,
            Some(more) => self.0.append(more).is_some(),
            None => {
                self.0.truncate(len_bytes);
                true
            }
        }
    }

    fn rx_checksum(&self) -> RxChecksum {
        match (self.0.rx_ip_checksum(), self.0.rx_l4_checksum()) {
            (ChecksumState::Good, ChecksumState::Good) => RxChecksum::Good,
            _ => RxChecksum::Unknown,
        }
    }
}

/// Moves frames between the driver's vector and the journey's. Each is a pointer; no packet byte is
/// touched.
pub(crate) fn take_in(mbufs: &mut Vec<Mbuf>, frames: &mut Vec<DpdkFrame>) {
    frames.extend(mbufs.drain(..).map(DpdkFrame));
}

/// Sends from the front of `frames` through `send`, which leaves what it refuses; that stays in
/// `frames`, in order.
pub(crate) fn hand_out(
    frames: &mut Vec<DpdkFrame>,
    mbufs: &mut Vec<Mbuf>,
    send: impl FnOnce(&mut Vec<Mbuf>),
) {
    mbufs.extend(frames.drain(..).map(|frame| frame.0));
    send(mbufs);
    take_in(mbufs, frames);
}
