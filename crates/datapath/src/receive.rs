//! Step 1: a burst arrives.

use crate::counters::{CoreCounters, wide};
use crate::nic::{Nic, PortNo};

/// Fills the empty `burst` from `port`; how many frames came.
pub(crate) fn receive<N: Nic>(
    nic: &mut N,
    port: PortNo,
    burst: &mut Vec<N::Frame>,
    counters: &CoreCounters,
) -> usize {
    nic.receive(port, burst);
    if !burst.is_empty()
        && let Some(cells) = counters.port(port)
    {
        let mut bytes = 0_usize;
        for frame in burst.iter() {
            let frame = frame.as_ref();
            bytes = bytes.saturating_add(frame.len());
            // Its headers: an Ethernet, IP and transport header stand in the first two lines.
            if let Some(headers) = frame.first_chunk::<64>() {
                nic.prefetch(headers);
            }
        }
        cells.rx_packets.add(wide(burst.len()));
        cells.rx_bytes.add(wide(bytes));
    }
    burst.len()
}
