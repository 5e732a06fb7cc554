//! An ideal TCP endpoint on a virtual clock, and a bad network between it and the box.

use super::Dice;
use crate::segment::{Output, Outputs, Payload};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use wire::options::TcpOption;
use wire::{Seq, Tcp, TcpFlags};

/// How bad the network is, and how the endpoints behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    pub(super) loss: u32,
    pub(super) duplicates: u32,
    pub(super) jitter: u32,
    pub(super) segment: u32,
    pub(super) window: u32,
    pub(super) nagle: bool,
    pub(super) mss: u16,
    pub(super) selective: bool,
}

/// A segment outside a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wire {
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Wire {
    pub(super) fn new(
        seq: u32,
        ack: u32,
        flags: TcpFlags,
        window: u16,
        options: &[u8],
        payload: &[u8],
    ) -> Self {
        let mut header = vec![0; 4];
        header.extend(seq.to_be_bytes());
        header.extend(ack.to_be_bytes());
        header.extend([((20 + options.len()) / 4 * 16) as u8, flags.raw()]);
        header.extend(window.to_be_bytes());
        header.extend([0; 4]);
        header.extend(options);
        Self { header, payload: payload.to_vec() }
    }

    /// What the data path does with an output, without the frame around it.
    pub(super) fn build(
        output: &Output,
        out: &Outputs,
        template: &Self,
        copy: impl Fn(u32, usize) -> Vec<u8>,
    ) -> Self {
        let tcp = Tcp::parse(&template.header).unwrap();
        let options = match output.to {
            crate::To::Receiver => out.onward_options().unwrap_or(tcp.option_bytes()),
            crate::To::Sender => out.back_options(),
        };
        let payload = match output.payload {
            Payload::None => Vec::new(),
            Payload::Frame(from, to) => template.payload[from..to].to_vec(),
            Payload::Copy { at, len } => copy(at, len as usize),
        };
        let (seq, ack) = (output.seq.raw(), output.ack.raw());
        Self::new(seq, ack, output.flags, output.window, options, &payload)
    }
}

/// When it arrives, its number, whose it is, whether the box comes next.
type Underway = (u32, u64, usize, bool, Wire);

/// Segments under way, between each endpoint and the box.
pub(super) struct Network {
    dice: Dice,
    profile: Profile,
    queue: BinaryHeap<Reverse<Underway>>,
    count: u64,
}

impl Network {
    pub(super) fn new(seed: u64, profile: Profile) -> Self {
        Self { dice: Dice(seed ^ 0xabcd), profile, queue: BinaryHeap::new(), count: 0 }
    }

    pub(super) fn send(&mut self, now: u32, from: usize, to_box: bool, wire: Wire) {
        if self.dice.chance(self.profile.loss) {
            return;
        }
        let copies = if self.dice.chance(self.profile.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            let at = now + 1 + self.dice.roll(self.profile.jitter + 1);
            self.count += 1;
            self.queue.push(Reverse((at, self.count, from, to_box, wire.clone())));
        }
    }

    pub(super) fn deliver(&mut self, now: u32) -> Option<(usize, bool, Wire)> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse((_, _, from, to_box, wire))| (from, to_box, wire))
    }

    pub(super) fn next(&self) -> Option<u32> {
        self.queue.peek().map(|Reverse(entry)| entry.0)
    }
}

/// One end: cumulative acknowledgements, a retransmission timer, segments of random length, and of
/// another length when they are sent again.
pub(super) struct IdealEndpoint {
    dice: Dice,
    profile: Profile,
    isn: u32,
    data: Vec<u8>,
    active: bool,
    syn_acked: bool,
    syn_sent: bool,
    /// Bytes of `data` acknowledged, and sent; FIN counts as one more.
    una: usize,
    nxt: usize,
    peer: Option<Seq>,
    peer_window: u32,
    peer_selective: bool,
    ahead: BTreeMap<usize, Vec<u8>>,
    pub(super) received: Vec<u8>,
    fin_at: Option<usize>,
    fin_received: bool,
    owes_ack: bool,
    timer: Option<u32>,
    rto: u32,
    duplicates: u32,
}

impl std::fmt::Debug for IdealEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { una, nxt, fin_at, fin_received, peer_window, rto, .. } = self;
        let (all, got) = (self.data.len(), self.received.len());
        write!(f, "una {una} nxt {nxt} of {all}, received {got}, fin {fin_at:?} {fin_received}, ")?;
        write!(f, "window {peer_window}, rto {rto}, profile {:?}", self.profile)
    }
}

impl IdealEndpoint {
    pub(super) fn new(isn: u32, data: Vec<u8>, active: bool, profile: Profile, seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            profile,
            isn,
            data,
            active,
            syn_acked: false,
            syn_sent: false,
            una: 0,
            nxt: 0,
            peer: None,
            peer_window: 0,
            peer_selective: false,
            ahead: BTreeMap::new(),
            received: Vec::new(),
            fin_at: None,
            fin_received: false,
            owes_ack: false,
            timer: None,
            rto: 200,
            duplicates: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.una == self.data.len() + 1 && self.fin_received
    }

    pub(super) fn wakes(&self, now: u32) -> Option<u32> {
        let idle = self.is_done() && self.timer.is_none();
        let ready = self.owes_ack || (!idle && self.timer.is_none());
        if ready { Some(now + 1) } else { self.timer }
    }

    pub(super) fn poll(&mut self, now: u32, out: &mut Vec<Wire>) {
        let expired = self.timer.is_some_and(|at| at <= now);
        if expired {
            self.rto = (self.rto * 2).min(2_000);
            self.timer = None;
        }
        if !self.syn_acked {
            self.poll_handshake(now, expired, out);
            return;
        }
        if expired && self.nxt > self.una {
            self.send_one(self.una, out);
        }
        let end = self.data.len() + 1;
        while self.nxt < end {
            let flying = (self.nxt - self.una) as u32;
            let waits = self.profile.nagle && flying > 0 && self.nxt < self.data.len();
            if waits || flying >= self.peer_window.max(1) {
                break;
            }
            self.nxt += self.send_one(self.nxt, out);
        }
        if self.nxt > self.una && self.timer.is_none() {
            self.timer = Some(now + self.rto);
        }
        if self.owes_ack {
            out.push(self.segment(self.nxt, TcpFlags::ACK, b""));
            self.owes_ack = false;
        }
    }

    fn poll_handshake(&mut self, now: u32, expired: bool, out: &mut Vec<Wire>) {
        if (!self.active && self.peer.is_none()) || (self.syn_sent && !expired) {
            return;
        }
        self.syn_sent = true;
        self.timer = Some(now + self.rto);
        let mut options = vec![2, 4];
        options.extend(self.profile.mss.to_be_bytes());
        if self.profile.selective {
            options.extend([4, 2, 1, 1]);
        }
        let flags = TcpFlags::SYN;
        let flags = if self.peer.is_some() { flags.with(TcpFlags::ACK) } else { flags };
        let ack = self.peer.map_or(0, |isn| self.ack_number(isn));
        let window = self.profile.window as u16;
        out.push(Wire::new(self.isn, ack, flags, window, &options, b""));
        self.owes_ack = false;
    }

    /// Sends bytes from `at` on; answers how far it got, FIN included.
    fn send_one(&mut self, at: usize, out: &mut Vec<Wire>) -> usize {
        let left = self.data.len() - at.min(self.data.len());
        let room = (self.peer_window as usize).saturating_sub(at - self.una).max(1);
        let len = (1 + self.dice.roll(self.profile.segment) as usize).min(left).min(room);
        let payload = self.data[at.min(self.data.len())..][..len].to_vec();
        let fin = at + len == self.data.len() && (len == 0 || self.dice.chance(50));
        let flags = TcpFlags::ACK.with(TcpFlags::PSH);
        let flags = if fin { flags.with(TcpFlags::FIN) } else { flags };
        let sent = len + usize::from(fin);
        out.push(self.segment(at, flags, &payload));
        self.nxt = self.nxt.max(at);
        self.owes_ack = false;
        if at < self.nxt && at + sent > self.nxt {
            // A segment that is sent again may reach further than the one before.
            self.nxt = at + sent;
        }
        sent
    }

    fn segment(&self, at: usize, flags: TcpFlags, payload: &[u8]) -> Wire {
        let seq = self.isn.wrapping_add(1).wrapping_add(at as u32);
        let peer = self.peer.unwrap();
        let mut options = Vec::new();
        if self.profile.selective && self.peer_selective && !self.ahead.is_empty() {
            options.extend([1, 1, 5, 2]);
            for (&at, bytes) in self.ahead.iter().take(3) {
                let left = peer.advance(1 + at as u32);
                options.extend(left.raw().to_be_bytes());
                options.extend(left.advance(bytes.len() as u32).raw().to_be_bytes());
                options[3] += 8;
            }
        }
        let ack = self.ack_number(peer);
        Wire::new(seq, ack, flags, self.profile.window as u16, &options, payload)
    }

    fn ack_number(&self, isn: Seq) -> u32 {
        let bytes = self.received.len() + usize::from(self.fin_received);
        isn.advance(1 + bytes as u32).raw()
    }

    pub(super) fn receive(&mut self, now: u32, wire: &Wire) {
        let tcp = Tcp::parse(&wire.header).unwrap();
        let flags = tcp.flags();
        assert!(!flags.has(TcpFlags::RST), "nobody resets");
        if flags.has(TcpFlags::SYN) {
            if self.peer.is_none() {
                self.peer = Some(tcp.seq());
                self.peer_window = u32::from(tcp.window());
                self.peer_selective =
                    tcp.options().any(|option| option == TcpOption::SackPermitted);
            }
            self.owes_ack = self.syn_acked || flags.has(TcpFlags::ACK);
            if flags.has(TcpFlags::ACK) && !self.syn_acked {
                self.syn_acked = true;
                self.timer = None;
            }
            return;
        }
        let Some(peer) = self.peer else { return };
        assert!(flags.has(TcpFlags::ACK));
        if !self.syn_acked {
            if tcp.ack().distance_from(Seq::new(self.isn)) <= 0 {
                return;
            }
            self.syn_acked = true;
            self.timer = None;
        }
        self.take_ack(now, &tcp, wire.payload.is_empty());
        self.take_selective(&tcp);
        self.take_bytes(peer, &tcp, &wire.payload);
    }

    fn take_ack(&mut self, now: u32, tcp: &Tcp<'_>, empty: bool) {
        let acked = tcp.ack().distance_from(Seq::new(self.isn.wrapping_add(1)));
        if acked < 0 {
            return;
        }
        let acked = acked as usize;
        assert!(acked <= self.nxt, "acknowledges what was never sent: {acked} of {}", self.nxt);
        if acked >= self.una {
            self.peer_window = u32::from(tcp.window());
        }
        if acked > self.una {
            self.una = acked;
            self.rto = 200;
            self.timer = (self.nxt > self.una).then_some(now + self.rto);
            self.duplicates = 0;
        } else if acked == self.una && empty && self.nxt > self.una {
            self.duplicates += 1;
            if self.duplicates == 3 {
                self.timer = Some(now);
            }
        }
    }

    /// A block may only speak of what was sent.
    fn take_selective(&self, tcp: &Tcp<'_>) {
        for option in tcp.options() {
            let TcpOption::Sack { at, blocks } = option else { continue };
            let bytes = &tcp.option_bytes()[at..][..8 * blocks];
            for edge in bytes.as_chunks::<4>().0 {
                let edge = Seq::new(u32::from_be_bytes(*edge));
                let place = edge.distance_from(Seq::new(self.isn.wrapping_add(1)));
                assert!(place >= 0 && place as usize <= self.nxt, "{place} of {}", self.nxt);
            }
        }
    }

    fn take_bytes(&mut self, peer: Seq, tcp: &Tcp<'_>, payload: &[u8]) {
        let fin = tcp.flags().has(TcpFlags::FIN);
        let place = tcp.seq().distance_from(peer.advance(1));
        if payload.is_empty() && !fin {
            // An empty segment before the expected number asks for an acknowledgement.
            let expected = self.received.len() + usize::from(self.fin_received);
            self.owes_ack |= place < expected as i32;
            return;
        }
        self.owes_ack = true;
        let end = place + payload.len() as i32;
        if fin {
            assert!(self.fin_at.is_none_or(|at| at as i32 == end), "the end moved");
            self.fin_at = Some(end as usize);
        }
        let skip = (-place).max(0) as usize;
        if skip < payload.len() {
            let at = place.max(0) as usize;
            let limit = self.received.len() + self.profile.window as usize;
            let bytes = &payload[skip..];
            let bytes = &bytes[..bytes.len().min(limit.saturating_sub(at))];
            self.check_same(at, bytes);
            let longer = self.ahead.get(&at).is_none_or(|old| old.len() < bytes.len());
            if longer && !bytes.is_empty() {
                self.ahead.insert(at, bytes.to_vec());
            }
        }
        while let Some((&at, _)) = self.ahead.first_key_value() {
            if at > self.received.len() {
                break;
            }
            let (at, bytes) = self.ahead.pop_first().unwrap();
            let fresh = bytes.get(self.received.len() - at..).unwrap_or_default();
            self.received.extend(fresh);
        }
        self.fin_received |= self.fin_at == Some(self.received.len());
    }

    /// One truth: bytes that come again are the same.
    fn check_same(&self, at: usize, bytes: &[u8]) {
        let known = self.received.get(at..).unwrap_or_default();
        let both = known.len().min(bytes.len());
        assert!(known[..both] == bytes[..both], "the stream contradicts itself at {at}");
    }
}
