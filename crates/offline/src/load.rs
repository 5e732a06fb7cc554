//! Traffic for measuring: conversations of clients that never come twice.
//!
//! Holds:     [`Load`], an endless source of frames of one [`Kind`], made from templates whose client address, client port,
//!            sequence numbers and checksums are written anew each time.
//! Promises:  every frame has right lengths and checksums, arrives in order, and belongs to a conversation that has not been
//!            played before: replayed sessions would flatter a box that remembers them. The same kind gives the same frames.
//! Never:     waits, or reads a clock. Only a new [`Load`] allocates.

mod many;
mod template;

#[cfg(test)]
mod tests;

pub use many::{Files, MANY_PATCHES};
pub use template::Packet;
use template::{Flags, Numbers, Template};

/// Connections that an HTTP load keeps going at a time.
const HTTP_CONNECTIONS: usize = 1_024;

/// Requests on one connection before its client leaves: a kept-alive connection, and few enough new ones that closed ones
/// (which are remembered for minutes) do not fill the table within a measurement.
const HTTP_REQUESTS: u32 = 500;

/// Connections of [`Kind::TcpAcks`]: far more than a processor's caches hold.
const ACK_CONNECTIONS: usize = 1 << 16;

/// Connections of [`Kind::TcpAcksFew`] and [`Kind::TcpAcksMany`]. Powers of two: see [`Load::shuffled`].
const FEW_CONNECTIONS: usize = 1 << 10;
const MANY_CONNECTIONS: usize = 1 << 20;

/// Where connections are acknowledged in random order, so many of them open at a time.
const OPENING_TOGETHER: usize = 1 << 10;

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 64-byte UDP datagrams to a port that no patch names.
    UdpOutOfScope,
    /// 64-byte UDP datagrams, every other one a DNS query in scope.
    UdpHalf,
    /// DNS queries of ordinary names.
    Dns,
    /// DNS queries whose name is longer than the bench's patch lets it be.
    DnsEdited,
    /// HTTP requests of 500 bytes and ten headers on kept-alive connections, each answered by a short response.
    HttpRequests,
    /// The same requests, each answered by 16 KiB in full-size segments, of which every other one is acknowledged.
    HttpResponses,
    /// Bare acknowledgements of 65,536 open connections in turn.
    TcpAcks,
    /// Bare acknowledgements of 1,024 open connections in random order.
    TcpAcksFew,
    /// The same of 1,048,576.
    TcpAcksMany,
}

impl Kind {
    /// In the order of the bench's table. Those that are only measured beside another are not among them.
    pub const ALL: &[Self] = &[
        Self::UdpOutOfScope,
        Self::UdpHalf,
        Self::Dns,
        Self::DnsEdited,
        Self::HttpRequests,
        Self::HttpResponses,
        Self::TcpAcks,
    ];

    /// Its name on command lines and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UdpOutOfScope => "udp-out-of-scope",
            Self::UdpHalf => "udp-half",
            Self::Dns => "dns",
            Self::DnsEdited => "dns-edited",
            Self::HttpRequests => "http-requests",
            Self::HttpResponses => "http-responses",
            Self::TcpAcks => "tcp-acks",
            Self::TcpAcksFew => "tcp-acks-few",
            Self::TcpAcksMany => "tcp-acks-many",
        }
    }

    /// One line for a reader.
    pub const fn title(self) -> &'static str {
        match self {
            Self::UdpOutOfScope => "64-byte UDP, out of scope",
            Self::UdpHalf => "64-byte UDP, half of it DNS in scope",
            Self::Dns => "DNS queries in scope, no rule fires",
            Self::DnsEdited => "DNS queries, every one shortened",
            Self::HttpRequests => "HTTP requests (500 bytes, 10 headers)",
            Self::HttpResponses => "HTTP with full-size responses",
            Self::TcpAcks => "TCP ACKs over 65,536 connections",
            Self::TcpAcksFew => "TCP ACKs over 1,024 connections in random order",
            Self::TcpAcksMany => "TCP ACKs over 1,048,576 connections in random order",
        }
    }

    /// The protocol and port of the server that its messages in scope are for.
    pub const fn server(self) -> Option<(&'static str, u16)> {
        match self {
            Self::UdpOutOfScope => None,
            Self::UdpHalf | Self::Dns | Self::DnsEdited => Some(("dns", 53)),
            Self::HttpRequests
            | Self::HttpResponses
            | Self::TcpAcks
            | Self::TcpAcksFew
            | Self::TcpAcksMany => Some(("http", 80)),
        }
    }

    /// Connections a core has to have room for; those that are only compared get the same room.
    pub const fn connections(self) -> u32 {
        match self {
            Self::TcpAcksFew | Self::TcpAcksMany => 1 << 20,
            Self::UdpOutOfScope | Self::UdpHalf | Self::Dns | Self::DnsEdited => 0,
            Self::HttpRequests | Self::HttpResponses | Self::TcpAcks => 1 << 16,
        }
    }

    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Patch files (name and text) that put this kind in scope, with rules of ordinary cost.
    pub const fn patches(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::UdpOutOfScope | Self::UdpHalf | Self::Dns | Self::DnsEdited => {
                &[("bench-dns", DNS_PATCH)]
            }
            Self::HttpRequests
            | Self::HttpResponses
            | Self::TcpAcks
            | Self::TcpAcksFew
            | Self::TcpAcksMany => &[("bench-http", HTTP_PATCH)],
        }
    }
}

/// Shortens long names, and refuses one query type.
const DNS_PATCH: &str = r#"
patch: bench-dns
title: names of at most 48 bytes
protocol: dns
scope: { transport: udp }
rules:
  - truncate: dns.qry.name
    to: 48
  - when: dns.qry.type == 255
    drop: message
"#;

/// One rule on the target, one on one header, one on every header.
const HTTP_PATCH: &str = r#"
patch: bench-http
title: bounds of an ordinary server
protocol: http
scope: { direction: request }
rules:
  - truncate: http.request.uri
    to: 2048
  - when: count(http.range, ",") >= 200
    remove: http.range
  - replace: http.header
    pattern: '${'
    with: '$('
"#;

/// From which side of the box a frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The clients'.
    Client,
    /// The servers'.
    Server,
}

/// One line of a conversation's script.
#[derive(Clone, Copy, Debug)]
struct Line {
    template: usize,
    /// What it moves its sender's sequence number on by.
    moves: u32,
}

/// A conversation: opening, body many times, ending.
#[derive(Debug)]
struct Script {
    templates: Vec<Template>,
    opening: Vec<Line>,
    body: Vec<Line>,
    body_times: u32,
    ending: Vec<Line>,
}

/// One conversation under way.
#[derive(Clone, Copy, Debug, Default)]
struct Conversation {
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
    script: Script,
    conversations: Vec<Conversation>,
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
    /// Each of the clients' messages reaches the server shorter by so many bytes, and is acknowledged so.
    #[must_use]
    pub const fn shortened(mut self, bytes: u32) -> Self {
        self.cut = bytes;
        self
    }

    /// A new one; see [`Self::is_opening`].
    pub fn new(kind: Kind) -> Self {
        let (script, conversations) = match kind {
            Kind::UdpOutOfScope => (Script::udp(&[(40_000, &[0; 22])]), 1),
            Kind::UdpHalf => {
                (Script::udp(&[(40_000, &[0; 22]), (53, &template::query("ab.c"))]), 1)
            }
            Kind::Dns => (Script::dns(&ORDINARY_NAMES), 1),
            Kind::DnsEdited => (Script::dns(&LONG_NAMES), 1),
            Kind::HttpRequests => (Script::http(200), HTTP_CONNECTIONS),
            Kind::HttpResponses => (Script::http(16 * 1024), HTTP_CONNECTIONS),
            Kind::TcpAcks => (Script::acks(), ACK_CONNECTIONS),
            Kind::TcpAcksFew => (Script::acks(), FEW_CONNECTIONS),
            Kind::TcpAcksMany => (Script::acks(), MANY_CONNECTIONS),
        };
        let mut load = Self {
            script,
            conversations: Vec::with_capacity(conversations),
            turn: 0,
            round: 0,
            joined: conversations,
            // A box that gets all requests of a while one after the other, and then all responses, has a harder time than most.
            spread: matches!(kind, Kind::HttpRequests | Kind::HttpResponses),
            opened: matches!(kind, Kind::TcpAcksFew | Kind::TcpAcksMany).then_some(0),
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

    /// Some of the first conversations are not open yet: what comes now is not to be measured.
    pub fn is_opening(&self) -> bool {
        if let Some(opened) = self.opened {
            return opened < self.openings();
        }
        let joining = if self.spread { self.script.body.len() } else { 1 };
        let opening = self.script.opening.len();
        opening > 0 && self.round + 1 < joining + opening
    }

    /// Frames from one of a conversation to the next of the same: as many may be on their way at a time without one
    /// overtaking another that came in on the other side. `None`: order does not matter.
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
    pub fn next_packet(&mut self) -> Packet<'_> {
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
            Side::Client => {
                Numbers { client: now.client, seq: now.client_next, ack: now.server_next }
            }
            Side::Server => {
                let ack = now.client_next.wrapping_sub(now.cut);
                Numbers { client: now.client, seq: now.server_next, ack }
            }
        };
        let own = match template.side() {
            Side::Client => &mut now.client_next,
            Side::Server => &mut now.server_next,
        };
        *own = own.wrapping_add(line.moves);
        // A message, and no SYN or FIN.
        if template.side() == Side::Client && line.moves > 1 {
            now.cut = now.cut.wrapping_add(self.cut);
        }
        self.conversations[turn] = now;
        Packet::new(template, numbers)
    }

    /// Lines of all openings together.
    fn openings(&self) -> usize {
        self.conversations.len() * self.script.opening.len()
    }

    /// Whose turn it is where the order is random: first a group after the other opens its connections in step, then a
    /// generator of full period (of a power of two: Hull and Dobell) comes by each of them once before any comes again.
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

    /// Whether a conversation takes part in a round. Each line of the body is about as many conversations' next at any time, and
    /// they are mixed as strangers' are.
    fn has_joined(&self, at: usize, round: usize) -> bool {
        let body = self.script.body.len();
        !self.spread || round + 1 >= body || mixed(at) % body <= round
    }

    fn joined_by(&self, round: usize) -> usize {
        (0..self.conversations.len()).filter(|&at| self.has_joined(at, round)).count()
    }

    /// Lines that one of the first conversations leaves out once it is open, so that they do not all end, and others begin, at
    /// the same time.
    fn left_out(&self, now: &Conversation) -> u32 {
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
    fn fresh(&mut self) -> Conversation {
        let client = self.client;
        self.client = client.wrapping_add(1);
        let isn = client.wrapping_mul(0x9e37_79b9);
        Conversation {
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

impl Script {
    fn udp(datagrams: &[(u16, &[u8])]) -> Self {
        let templates: Vec<Template> =
            datagrams.iter().map(|(port, payload)| Template::udp(*port, payload)).collect();
        let body = (0..templates.len()).map(|template| Line { template, moves: 0 }).collect();
        // Every datagram is another client's: the script ends after one round.
        Self { templates, opening: Vec::new(), body, body_times: 1, ending: Vec::new() }
    }

    fn dns(names: &[&str]) -> Self {
        let queries: Vec<_> = names.iter().map(|name| template::query(name)).collect();
        let datagrams: Vec<(u16, &[u8])> = queries.iter().map(|query| (53, &**query)).collect();
        Self::udp(&datagrams)
    }

    fn http(response_bytes: usize) -> Self {
        let mut script = Self::handshake();
        let response = template::response(response_bytes);
        script.say(Side::Client, &template::request(500));
        let segments = response.chunks(template::SEGMENT_BYTES);
        let count = segments.len();
        for (at, segment) in segments.enumerate() {
            script.say(Side::Server, segment);
            // Every other full segment is acknowledged at once (RFC 5681 section 4.2), the last with the next request.
            if at % 2 == 1 && at + 1 < count {
                script.say(Side::Client, b"");
            }
        }
        script.body_times = HTTP_REQUESTS;
        for side in [Side::Client, Side::Server] {
            let line = script.line_of(side, Flags::FIN_ACK, b"");
            script.ending.push(line);
        }
        let last = script.line_of(Side::Client, Flags::ACK, b"");
        script.ending.push(last);
        script
    }

    fn acks() -> Self {
        let mut script = Self::handshake();
        script.say(Side::Client, b"");
        script.say(Side::Server, b"");
        script.body_times = u32::MAX / 4;
        script
    }

    fn handshake() -> Self {
        let mut script = Self {
            templates: Vec::new(),
            opening: Vec::new(),
            body: Vec::new(),
            body_times: 1,
            ending: Vec::new(),
        };
        for (side, flags) in
            [(Side::Client, Flags::SYN), (Side::Server, Flags::SYN_ACK), (Side::Client, Flags::ACK)]
        {
            let line = script.line_of(side, flags, b"");
            script.opening.push(line);
        }
        script
    }

    /// Adds a data segment (or, empty, an acknowledgement) to the body.
    fn say(&mut self, side: Side, payload: &[u8]) {
        let line = self.line_of(
            side,
            if payload.is_empty() { Flags::ACK } else { Flags::PSH_ACK },
            payload,
        );
        self.body.push(line);
    }

    fn line_of(&mut self, side: Side, flags: Flags, payload: &[u8]) -> Line {
        let template = self.templates.len();
        self.templates.push(Template::tcp(side, flags, payload));
        let control =
            u32::from(flags == Flags::SYN || flags == Flags::SYN_ACK || flags == Flags::FIN_ACK);
        Line { template, moves: u32::try_from(payload.len()).unwrap_or(0) + control }
    }

    fn first(&self) -> Line {
        *self
            .opening
            .first()
            .or_else(|| self.body.first())
            .unwrap_or(&Line { template: 0, moves: 0 })
    }

    /// `None`: the conversation is over.
    fn line(&self, at: u32) -> Option<Line> {
        let len = |lines: &[Line]| u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let line = |lines: &[Line], at: u32| lines.get(usize::try_from(at).ok()?).copied();
        let opening = len(&self.opening);
        if at < opening {
            return line(&self.opening, at);
        }
        let at = at - opening;
        let body = len(&self.body);
        let ending_at = body.saturating_mul(self.body_times);
        if at < ending_at {
            line(&self.body, at % body)
        } else {
            line(&self.ending, at - ending_at)
        }
    }
}

const ORDINARY_NAMES: [&str; 8] = [
    "www.example.com",
    "mail.example.org",
    "api.eu-west-1.example.net",
    "a.root-servers.net",
    "updates.vendor.example",
    "static.content.example.com",
    "ntp.example.net",
    "_ldap._tcp.office.example.org",
];

const LONG_NAMES: [&str; 2] = [
    "a-label-that-goes-on-and-on.another-label-that-does-the-same.example.com",
    "an-even-longer-label-that-nobody-would-ever-type-by-hand-at-all.of.some.domain.example.org",
];
