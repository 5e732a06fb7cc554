//! Ports in memory, and a generator that plays a load into them: what its user does with a burst is
//! on one thread with it.

use datapath::memory::{MemoryFrame, MemoryNic};
use datapath::{FramePool as _, PortNo};
use offline::ConnectionSide;
use offline::load::Load;

pub(super) const PORTS: [PortNo; 2] = [PortNo(0), PortNo(1)];

/// A burst in, and out again.
pub(super) fn round(
    load: &mut Load,
    nic: &mut MemoryNic,
    frames: usize,
    forward: &mut impl FnMut(&mut MemoryNic),
) {
    for _ in 0..frames {
        let packet = load.next_packet();
        let mut frame = nic
            .alloc()
            .unwrap_or_else(|| MemoryFrame::with_capacity(datapath::memory::FRAME_BYTES));
        if datapath::Frame::set_len(&mut frame, packet.frame_bytes()) {
            packet.write(frame.as_mut());
        }
        nic.arrive(PORTS[usize::from(packet.side() == ConnectionSide::Server)], frame);
    }
    forward(nic);
    for port in PORTS {
        let sent: Vec<MemoryFrame> = nic.sent(port).collect();
        sent.into_iter().for_each(|frame| nic.recycle(frame));
    }
}
