//! One end of a connection: its stream, what it has of the other's, and frames right in every
//! checksum.

use stage::Direction;
use wire::{Layers, Seq, Tcp, TcpFlags, checksum};

/// An address of each end (RFC 5737).
const ADDRESSES: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

const CLIENT_PORT: u16 = 40_000;

/// Its window, without scaling.
const WINDOW: u16 = u16::MAX;

/// What has happened on the connection before a frame arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// It has ended.
    pub(super) over: bool,
    /// The other end has contradicted itself: less is expected of it.
    pub(super) lied: bool,
    /// All of it is inspected: no contradiction excuses a byte in two readings. (What is skipped
    /// passes as it comes.)
    pub(super) inspected: bool,
}

/// Positions count from the initial sequence number: 0 is the SYN, 1 the first byte.
#[derive(Debug)]
pub(super) struct PeerHost {
    side: Direction,
    ports: [u16; 2],
    iss: Seq,
    peer_iss: Option<Seq>,
    stream: Vec<u8>,
    finished: bool,
    /// Position behind what was sent without a gap, and behind all that was ever sent.
    sent: usize,
    highest: usize,
    acknowledged: usize,
    /// What it acknowledges and grants instead of the truth.
    lie: Option<(u32, u16)>,
    /// The other's bytes, those that have come.
    bytes: Vec<Option<u8>>,
    /// How many there are without a gap, and those.
    received: Vec<u8>,
    peer_finished: Option<usize>,
}

impl PeerHost {
    pub(super) fn new(side: Direction, server_port: u16, iss: u32, stream: &[u8]) -> Self {
        let ports = match side {
            Direction::Request => [CLIENT_PORT, server_port],
            Direction::Response => [server_port, CLIENT_PORT],
        };
        Self {
            side,
            ports,
            iss: Seq::new(iss),
            peer_iss: None,
            stream: stream.to_vec(),
            finished: false,
            sent: 0,
            highest: 0,
            acknowledged: 0,
            lie: None,
            bytes: Vec::new(),
            received: Vec::new(),
            peer_finished: None,
        }
    }

    /// All it has to say.
    pub(super) fn all_bytes(&self) -> Vec<u8> {
        self.stream.clone()
    }

    /// The next position that was never sent.
    pub(super) fn next(&self) -> usize {
        self.sent.max(1)
    }

    /// The first position that is not acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.max(1)
    }

    pub(super) fn is_open(&self) -> bool {
        self.acknowledged > 0 && self.peer_iss.is_some()
    }

    pub(super) fn has_more(&self) -> bool {
        self.next() <= self.stream.len()
    }

    /// Everything it said, and its FIN, has been acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.finished && self.acknowledged == self.stream.len() + 2
    }

    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    pub(super) fn has_received(&self, bytes: &[u8]) -> bool {
        self.received.windows(bytes.len()).any(|window| window == bytes)
    }

    /// It has nothing to say but what it has sent.
    pub(super) fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.stream.truncate(self.highest.max(1) - 1);
        }
    }

    /// Until told otherwise it acknowledges what it has not got, and grants another window.
    pub(super) fn lie_about_acknowledged(&mut self, more: u8, window: u8) {
        self.lie = Some((u32::from(more), u16::from(window)));
    }

    pub(super) fn tell_the_truth(&mut self) {
        self.lie = None;
    }

    pub(super) fn syn(&mut self) -> Vec<u8> {
        self.sent = 1;
        self.highest = 1;
        let ack = if self.peer_iss.is_some() { TcpFlags::ACK } else { TcpFlags::new(0) };
        // Maximum segment size 1460, SACK permitted, padding (RFC 9293 section 3.2, RFC 2018).
        let options = [2, 4, 0x05, 0xb4, 4, 2, 1, 1];
        self.frame(Seq::new(0), TcpFlags::SYN.with(ack), &options, b"")
    }

    pub(super) fn acknowledge(&self) -> Vec<u8> {
        self.segment(Seq::new(position(self.sent)), TcpFlags::ACK, b"")
    }

    /// Its stream from position `at` on, and its FIN if that is reached.
    pub(super) fn data(&mut self, at: usize, len: usize) -> Vec<u8> {
        let rest = self.stream.get(at.saturating_sub(1)..).unwrap_or_default();
        let payload = rest.get(..len).unwrap_or(rest).to_vec();
        let end = at + payload.len();
        let mut flags = TcpFlags::ACK.with(TcpFlags::PSH);
        let last = end > self.stream.len();
        if payload.is_empty() && !(self.finished && last) {
            return self.acknowledge();
        }
        if self.finished && last {
            flags = flags.with(TcpFlags::FIN);
        }
        let at = if payload.is_empty() { self.stream.len() + 1 } else { at };
        let fin = usize::from(self.finished && last);
        // What was sent ahead leaves a gap, which is sent in its turn.
        let end = at + payload.len() + fin;
        self.highest = self.highest.max(end);
        if at <= self.next() {
            self.sent = self.sent.max(end);
        }
        self.segment(Seq::new(position(at)), flags, &payload)
    }

    /// Any segment; `at` counts from its initial sequence number.
    pub(super) fn segment(&self, at: Seq, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        self.frame(at, flags, b"", payload)
    }

    fn frame(&self, at: Seq, flags: TcpFlags, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let (more, window) = self.lie.unwrap_or((0, WINDOW));
        let ack = match self.peer_iss {
            Some(peer) if flags.has(TcpFlags::ACK) => peer.advance(self.expected() + more).raw(),
            _ => 0,
        };
        let tcp_bytes = 20 + options.len() + payload.len();
        let total = u16::try_from(20 + tcp_bytes).unwrap_or(u16::MAX);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend(total.to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
        let [client, server] = ADDRESSES;
        match self.side {
            Direction::Request => frame.extend([client, server].concat()),
            Direction::Response => frame.extend([server, client].concat()),
        }
        frame.extend(self.ports.iter().flat_map(|port| port.to_be_bytes()));
        frame.extend(self.iss.advance(at.raw()).raw().to_be_bytes());
        frame.extend(ack.to_be_bytes());
        let words = u8::try_from((20 + options.len()) / 4).unwrap_or(5);
        frame.extend([words << 4, flags.raw()]);
        frame.extend(window.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend_from_slice(options);
        frame.extend_from_slice(payload);
        if let Ok(layers) = Layers::ethernet(&frame) {
            checksum::fill_ip(&mut frame, &layers);
            checksum::fill_transport(&mut frame, &layers);
        }
        frame
    }

    /// The position it waits for.
    fn expected(&self) -> u32 {
        let end = 1 + self.received.len();
        position(end + usize::from(self.peer_finished == Some(end)))
    }

    /// A frame arrives. `true`: it ends the connection.
    pub(super) fn on_frame(&mut self, frame: &[u8], heard: Heard) -> bool {
        let Heard { over, lied, .. } = heard;
        let Ok(layers) = Layers::ethernet(frame) else { return false };
        let Some(tcp) = frame.get(layers.l4..layers.ip_end).and_then(Tcp::parse) else {
            return false;
        };
        let flags = tcp.flags();
        if over || flags.has(TcpFlags::RST) {
            return flags.has(TcpFlags::RST);
        }
        if flags.has(TcpFlags::SYN) && self.peer_iss.is_none() {
            self.peer_iss = Some(tcp.seq());
        }
        let Some(peer_iss) = self.peer_iss else { return false };
        if flags.has(TcpFlags::ACK) {
            let ack = tcp.ack().distance_from(self.iss);
            let ack = usize::try_from(ack).unwrap_or(0);
            let highest = self.highest;
            assert!(lied || ack <= highest, "position {ack} acknowledged, {highest} sent");
            self.acknowledged = self.acknowledged.max(ack.min(highest));
            self.sent = self.sent.max(self.acknowledged);
        }
        if !flags.has(TcpFlags::SYN) {
            let at = tcp.seq().distance_from(peer_iss.advance(1));
            self.fill(at, layers.payload_of(frame), flags.has(TcpFlags::FIN), heard);
        }
        false
    }

    /// Bytes of the other end arrive, the first of them `at` bytes behind its SYN.
    fn fill(&mut self, at: i32, payload: &[u8], fin: bool, heard: Heard) {
        let Heard { lied, inspected, .. } = heard;
        let Ok(window) = i32::try_from(self.received.len() + usize::from(WINDOW)) else { return };
        let received = i32::try_from(self.received.len()).unwrap_or(i32::MAX);
        for (at, byte) in (at..).zip(payload) {
            // What it has already got, and what is past its window, a host does not look at.
            if at < received || at >= window {
                continue;
            }
            let Ok(at) = usize::try_from(at) else { continue };
            if self.bytes.len() <= at {
                self.bytes.resize(at + 1, None);
            }
            let Some(place) = self.bytes.get_mut(at) else { continue };
            let first = *place.get_or_insert(*byte);
            let one = first == *byte || lied && !inspected;
            assert!(one, "byte {at} has two readings: {first:#x}, {byte:#x}");
        }
        let here = self.bytes.iter().skip(self.received.len());
        let new: Vec<u8> = here.map_while(|byte| *byte).collect();
        self.received.extend(new);
        let end = usize::try_from(at).unwrap_or(0) + payload.len() + 1;
        if fin && at >= received {
            let same = self.peer_finished.is_none_or(|known| known == end);
            assert!(lied || same, "two ends: {end}, {:?}", self.peer_finished);
            self.peer_finished.get_or_insert(end);
        }
    }
}

fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
