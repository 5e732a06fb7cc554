//! A server next to the box: smoltcp's TCP, and in front of it what an Ethernet host does before
//! TCP.
//!
//! Frames to other addresses and in VLANs are not its own; fragments are put together, one
//! datagram's overlapping ones not at all (RFC 5722, as Linux does for IPv4, too). Its sequence
//! numbers are moved to those that the client's frames were made for.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use wire::{TcpFlags, TcpMut, checksum};

use super::segment::{CLIENT_MAC, SERVER_MAC, SERVER_STAMP};
use crate::packet_device::PacketDevice;

/// Connections on one port, one after the other.
const SOCKETS: usize = 4;

const ETHERNET: usize = 14;

pub(super) struct StackServer {
    interface: Interface,
    device: PacketDevice,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    /// The number of its SYN on the wire, and the shift of its numbers there.
    isn: u32,
    shift: u32,
    /// Pieces of packets by identification.
    fragments: BTreeMap<u16, BTreeMap<usize, (Vec<u8>, bool)>>,
    /// The bytes that each connection brought its application.
    heard: Vec<Vec<u8>>,
    pub(super) panicked: bool,
}

impl StackServer {
    pub(super) fn new(address: IpAddress, port: u16, isn: u32) -> Self {
        let mut device = PacketDevice::new(1_500);
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|list| {
            let all = if matches!(address, IpAddress::Ipv4(_)) { 1 } else { 3 };
            let _there_is_room = list.push(IpCidr::new(address, all));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let mut handles = Vec::new();
        for _ in 0..SOCKETS {
            let buffer = || SocketBuffer::new(vec![0; 65_535]);
            let mut socket = Socket::new(buffer(), buffer());
            socket.set_tsval_generator(Some(|| SERVER_STAMP));
            let opened = socket.listen(port).is_ok();
            debug_assert!(opened, "a fresh socket can listen");
            handles.push(sockets.add(socket));
        }
        Self {
            interface,
            device,
            sockets,
            handles,
            isn,
            shift: 0,
            fragments: BTreeMap::new(),
            heard: vec![Vec::new(); SOCKETS],
            panicked: false,
        }
    }

    /// The bytes of every connection's application, empty ones left out.
    pub(super) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.iter().filter(|bytes| !bytes.is_empty()).cloned().collect()
    }

    /// A connection is there that could still bring it something.
    pub(super) fn is_open(&self) -> bool {
        let state = |handle: &SocketHandle| self.sockets.get::<Socket<'_>>(*handle).state();
        self.handles.iter().map(state).any(|state| {
            matches!(state, State::SynReceived | State::Established | State::CloseWait)
        })
    }

    /// A frame comes to its port.
    pub(super) fn take(&mut self, frame: &[u8]) {
        if frame.get(..6) != Some(&SERVER_MAC) {
            return;
        }
        let packet = match frame.get(12..ETHERNET) {
            Some([0x08, 0x00]) => self.whole(&frame[ETHERNET..]),
            Some([0x86, 0xdd]) => Some(frame[ETHERNET..].to_vec()),
            _ => None,
        };
        let Some(mut packet) = packet else { return };
        if let Some(mut tcp) = tcp(&mut packet) {
            let (ack, flags) = (tcp.view().ack(), tcp.view().flags());
            if flags.has(TcpFlags::ACK) || ack.raw() != 0 {
                tcp.set_ack(ack.retreat(self.shift));
            }
        }
        self.device.input.push_back(packet);
    }

    /// A packet that is not a fragment, or the last that completes one.
    fn whole(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let field = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
        let (more, from) = (field & 0x2000 != 0, usize::from(field & 0x1fff) * 8);
        if !more && from == 0 {
            return Some(packet.to_vec());
        }
        let header = usize::from(packet[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let body = packet.get(header..total)?;
        if checksum::Sum::default().bytes(packet.get(..header)?).finish() != 0 {
            return None;
        }
        let id = u16::from_be_bytes([packet[4], packet[5]]);
        let pieces = self.fragments.entry(id).or_default();
        if pieces.get(&from).is_none_or(|(there, _)| there != body) {
            let overlaps = pieces.iter().any(|(at, (there, last))| {
                let (end, until) = (at + there.len(), from + body.len());
                (*at < until && from < end) || (*last && until > end) || (!more && end > until)
            });
            if overlaps || from + body.len() > 65_515 {
                // Nothing that comes of this datagram is taken any more.
                *pieces = BTreeMap::from([(usize::MAX / 2, (Vec::new(), false))]);
                return None;
            }
            pieces.insert(from, (body.to_vec(), !more));
        }
        let mut whole = Vec::new();
        let mut ended = false;
        for (at, (there, last)) in pieces.iter() {
            if *at != whole.len() {
                return None;
            }
            whole.extend_from_slice(there);
            ended = *last;
        }
        if !ended {
            return None;
        }
        let mut first = packet[..header].to_vec();
        self.fragments.remove(&id);
        first[6..8].fill(0);
        let total = u16::try_from(header + whole.len()).ok()?;
        first[2..4].copy_from_slice(&total.to_be_bytes());
        first[10..12].fill(0);
        let sum = checksum::Sum::default().bytes(&first).finish();
        first[10..12].copy_from_slice(&sum.to_be_bytes());
        Some([first, whole].concat())
    }

    /// Runs the stack and the application; returns the frames that leave.
    pub(super) fn poll(&mut self, now_us: u64) -> Vec<Vec<u8>> {
        let now = Instant::from_micros(i64::try_from(now_us).unwrap_or(i64::MAX));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            self.interface.poll(now, &mut self.device, &mut self.sockets);
            for (handle, heard) in self.handles.iter().zip(&mut self.heard) {
                let socket = self.sockets.get_mut::<Socket<'_>>(*handle);
                while socket.can_recv() {
                    let mut bytes = [0; 2_048];
                    let Ok(read) = socket.recv_slice(&mut bytes) else { break };
                    heard.extend_from_slice(&bytes[..read]);
                }
            }
            self.interface.poll(now, &mut self.device, &mut self.sockets);
        }));
        self.panicked |= polled.is_err();
        let output = std::mem::take(&mut self.device.output);
        output.into_iter().map(|packet| self.leave(packet)).collect()
    }

    fn leave(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        if let Some(mut tcp) = tcp(&mut packet) {
            let (seq, flags) = (tcp.view().seq(), tcp.view().flags());
            if flags.has(TcpFlags::SYN) {
                self.shift = self.isn.wrapping_sub(seq.raw());
            }
            // A reset of what no connection is there for takes its number from what came.
            tcp.set_seq(seq.advance(self.shift));
        }
        let kind =
            if packet.first().is_some_and(|first| first >> 4 == 6) { 0x86dd } else { 0x0800 };
        [&CLIENT_MAC[..], &SERVER_MAC, &u16::to_be_bytes(kind), &packet].concat()
    }
}

/// The TCP header of a packet, if there is a whole one. What it changes leaves the checksum as
/// right as it was.
fn tcp(packet: &mut [u8]) -> Option<TcpMut<'_>> {
    let at = match packet.first() {
        Some(first) if first >> 4 == 4 && packet.get(9) == Some(&6) => usize::from(first & 15) * 4,
        Some(first) if first >> 4 == 6 && packet.get(6) == Some(&6) => 40,
        _ => return None,
    };
    TcpMut::parse(packet.get_mut(at..)?)
}
