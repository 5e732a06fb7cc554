//! Traffic for measuring: conversations of clients that never come twice.
//!
//! Holds:     [`Load`], an endless source of frames of one [`TrafficKind`], made from templates
//!            whose client address, client port, sequence numbers and checksums are written anew
//!            each time.
//! Promises:  every frame has right lengths and checksums, arrives in order, and belongs to a
//!            conversation that has not been played before: replayed sessions would flatter a box
//!            that remembers them. The same kind gives the same frames.
//! Never:     waits, or reads a clock. Only a new [`Load`] allocates.

mod patch_sets;
mod script;
mod template;
mod traffic;

#[cfg(test)]
mod tests;

pub use patch_sets::{MANY_PATCHES, PatchFiles};
use script::{LONG_NAMES, ORDINARY_NAMES, TrafficScript};
pub use template::LoadPacket;
use template::PacketNumbers;
pub use traffic::TrafficKind;

use crate::ConnectionSide;

/// Connections that an HTTP load keeps going at a time.
const HTTP_CONNECTIONS: usize = 1_024;

/// Connections of [`TrafficKind::TcpAcks`]: far more than a processor's caches hold.
const ACK_CONNECTIONS: usize = 1 << 16;

/// Connections of [`TrafficKind::TcpAcksFew`] and [`TrafficKind::TcpAcksMany`]. Powers of two: see
/// [`Load::shuffled`].
const FEW_CONNECTIONS: usize = 1 << 10;
const MANY_CONNECTIONS: usize = 1 << 20;

/// Where connections are acknowledged in random order, so many of them open at a time.
const OPENING_TOGETHER: usize = 1 << 10;

/// One conversation under way.
#[derive(Clone, Copy, Debug, Default)]
struct OpenConversation {
    client: u32,
    client_next: u32,
    server_next: u32,
    /// Bytes of the client's that did not reach the server.
    cut: u32,
    /// Lines played.
    at: u32,
}

/// An endless source of frames.
#[derive(Debug)]
pub struct Load {
    script: TrafficScript,
    conversations: Vec<OpenConversation>,
    turn: usize,
    /// Times everybody has had a turn.
    round: usize,
    /// How many had one in the round before this; in the first, have one.
    joined: usize,
    /// Each is at another place of the script; otherwise all are in step.
    spread: bool,
    /// Where the order is random: lines of openings played so far. `None`: everybody in turn.
    opened: Option<usize>,
    /// The next new client.
    client: u32,
    /// See [`Self::shortened`].
    cut: u32,
}

impl Load {
    /// Each of the clients' messages reaches the server shorter by so many bytes, and is
    /// acknowledged so.
    #[must_use]
    pub const fn shortened(mut self, bytes: u32) -> Self {
        self.cut = bytes;
        self
    }

    /// A new one; see [`Self::is_opening`].
    pub fn new(kind: TrafficKind) -> Self {
        let (script, conversations) = match kind {
            TrafficKind::UdpOutOfScope => (TrafficScript::udp(&[(40_000, &[0; 22])]), 1),
            TrafficKind::UdpHalf => {
                (TrafficScript::udp(&[(40_000, &[0; 22]), (53, &template::query("ab.c"))]), 1)
            }
            TrafficKind::Dns => (TrafficScript::dns(&ORDINARY_NAMES), 1),
            TrafficKind::DnsEdited => (TrafficScript::dns(&LONG_NAMES), 1),
            TrafficKind::HttpRequests => (TrafficScript::http(200), HTTP_CONNECTIONS),
            TrafficKind::HttpResponses => (TrafficScript::http(16 * 1024), HTTP_CONNECTIONS),
            TrafficKind::TcpAcks => (TrafficScript::acks(), ACK_CONNECTIONS),
            TrafficKind::TcpAcksFew => (TrafficScript::acks(), FEW_CONNECTIONS),
            TrafficKind::TcpAcksMany => (TrafficScript::acks(), MANY_CONNECTIONS),
        };
        let mut load = Self {
            script,
            conversations: Vec::with_capacity(conversations),
            turn: 0,
            round: 0,
            joined: conversations,
            // A box that gets all requests of a while one after the other, and then all responses,
            // has a harder time than most.
            spread: matches!(kind, TrafficKind::HttpRequests | TrafficKind::HttpResponses),
            opened: matches!(kind, TrafficKind::TcpAcksFew | TrafficKind::TcpAcksMany).then_some(0),
            client: 0,
            cut: 0,
        };
        for _ in 0..conversations {
            let conversation = load.fresh();
            load.conversations.push(conversation);
        }
        load.joined = load.joined_by(0);
        load
    }

    /// Some of the first conversations are not open yet: do not measure these frames.
    pub fn is_opening(&self) -> bool {
        if let Some(opened) = self.opened {
            return opened < self.openings();
        }
        let joining = if self.spread { self.script.body.len() } else { 1 };
        let opening = self.script.opening.len();
        opening > 0 && self.round + 1 < joining + opening
    }

    /// Frames from one of a conversation to the next of the same: as many may be on their way at a
    /// time without one overtaking another that came in on the other side. `None`: order does not
    /// matter.
    pub fn spacing(&self) -> Option<usize> {
        if self.opened.is_some_and(|opened| opened < self.openings()) {
            return Some(OPENING_TOGETHER);
        }
        (!self.script.opening.is_empty()).then_some(self.joined)
    }

    /// The mean length of a frame, openings and endings left out.
    pub fn mean_frame_bytes(&self) -> f64 {
        let bytes: usize =
            self.script.body.iter().map(|line| self.script.templates[line.template].len()).sum();
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "small numbers")]
        let mean = bytes as f64 / self.script.body.len().max(1) as f64;
        mean
    }

    /// The next frame, to be written where the caller likes.
    pub fn next_packet(&mut self) -> LoadPacket<'_> {
        let turn = if self.opened.is_some() { self.shuffled() } else { self.next_joined() };
        self.pass_on(turn);
        let mut now = self.conversations[turn];
        let line = self.script.line(now.at).unwrap_or_else(|| {
            now = self.fresh();
            self.script.first()
        });
        now.at += 1;
        now.at += self.left_out(&now);
        let template = &self.script.templates[line.template];
        let numbers = match template.side() {
            ConnectionSide::Client => {
                PacketNumbers { client: now.client, seq: now.client_next, ack: now.server_next }
            }
            ConnectionSide::Server => {
                let ack = now.client_next.wrapping_sub(now.cut);
                PacketNumbers { client: now.client, seq: now.server_next, ack }
            }
        };
        let own = match template.side() {
            ConnectionSide::Client => &mut now.client_next,
            ConnectionSide::Server => &mut now.server_next,
        };
        *own = own.wrapping_add(line.moves);
        // A message, and no SYN or FIN.
        if template.side() == ConnectionSide::Client && line.moves > 1 {
            now.cut = now.cut.wrapping_add(self.cut);
        }
        self.conversations[turn] = now;
        LoadPacket::new(template, numbers)
    }

    /// Lines of all openings together.
    fn openings(&self) -> usize {
        self.conversations.len() * self.script.opening.len()
    }

    /// Whose turn it is where the order is random: first a group after the other opens its
    /// connections in step, then a generator of full period (of a power of two: Hull and Dobell)
    /// comes by each of them once before any comes again.
    fn shuffled(&mut self) -> usize {
        let last = self.turn.wrapping_sub(1);
        let Some(opened) = self.opened.filter(|&opened| opened < self.openings()) else {
            return last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
                % self.conversations.len();
        };
        self.opened = Some(opened + 1);
        let lines = OPENING_TOGETHER * self.script.opening.len();
        OPENING_TOGETHER * (opened / lines) + opened % OPENING_TOGETHER
    }

    /// After this one it is the next one's turn.
    fn pass_on(&mut self, turn: usize) {
        self.turn = turn + 1;
        if self.turn == self.conversations.len() {
            self.turn = 0;
            // Of the round that is over.
            if self.joined < self.conversations.len() {
                self.joined = self.joined_by(self.round);
            }
            self.round = self.round.saturating_add(1);
        }
    }

    /// Whose turn it is, in order, among those that have joined.
    fn next_joined(&mut self) -> usize {
        while !self.has_joined(self.turn, self.round) {
            self.pass_on(self.turn);
        }
        self.turn
    }

    /// Whether a conversation takes part in a round. Each line of the body is about as many
    /// conversations' next at any time, and they are mixed as strangers' are.
    fn has_joined(&self, at: usize, round: usize) -> bool {
        let body = self.script.body.len();
        !self.spread || round + 1 >= body || mixed(at) % body <= round
    }

    fn joined_by(&self, round: usize) -> usize {
        (0..self.conversations.len()).filter(|&at| self.has_joined(at, round)).count()
    }

    /// Lines that one of the first conversations leaves out once it is open, so that they do not
    /// all end, and others begin, at the same time.
    fn left_out(&self, now: &OpenConversation) -> u32 {
        let at = usize::try_from(now.client).unwrap_or(usize::MAX);
        let is_open = usize::try_from(now.at).is_ok_and(|at| at == self.script.opening.len());
        if !self.spread || !is_open || at >= self.conversations.len() {
            return 0;
        }
        let times = usize::try_from(self.script.body_times).unwrap_or(1);
        let lines = self.script.body.len() * (mixed(at) / 64 % times);
        u32::try_from(lines).unwrap_or(0)
    }

    /// A conversation of a client that was never seen before.
    fn fresh(&mut self) -> OpenConversation {
        let client = self.client;
        self.client = client.wrapping_add(1);
        let isn = client.wrapping_mul(0x9e37_79b9);
        OpenConversation {
            client,
            client_next: isn,
            server_next: isn.rotate_left(16) ^ 0x5bd1_e995,
            cut: 0,
            at: 0,
        }
    }
}

/// A number that looks like no other's; 0 stays 0.
const fn mixed(at: usize) -> usize {
    at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}
