//! The device under smoltcp: two queues of IP packets.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// Packets that wait for smoltcp, and packets that it sent.
pub(crate) struct PacketDevice {
    pub(crate) input: VecDeque<Vec<u8>>,
    pub(crate) output: Vec<Vec<u8>>,
    mtu: usize,
}

impl PacketDevice {
    pub(crate) const fn new(mtu: usize) -> Self {
        Self { input: VecDeque::new(), output: Vec::new(), mtu }
    }
}

pub(crate) struct ReceivedPacket(Vec<u8>);
pub(crate) struct SendToken<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for ReceivedPacket {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for SendToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl phy::Device for PacketDevice {
    type RxToken<'a> = ReceivedPacket;
    type TxToken<'a> = SendToken<'a>;

    fn receive(&mut self, _: Instant) -> Option<(ReceivedPacket, SendToken<'_>)> {
        let packet = self.input.pop_front()?;
        Some((ReceivedPacket(packet), SendToken(&mut self.output)))
    }

    fn transmit(&mut self, _: Instant) -> Option<SendToken<'_>> {
        Some(SendToken(&mut self.output))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}
