//! The frames of one conversation of a load, in order.

use super::template::{self, ControlBits, FrameTemplate};
use crate::ConnectionSide;

/// Requests on one connection before its client leaves: a kept-alive connection, and few enough new
/// ones that closed ones (which are remembered for minutes) do not fill the table within a
/// measurement.
pub(super) const HTTP_REQUESTS: u32 = 500;

/// One line of a conversation's script.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScriptLine {
    pub(super) template: usize,
    /// Added to the sequence number of its sender.
    pub(super) moves: u32,
}

/// A conversation: opening, body many times, ending.
#[derive(Debug)]
pub(super) struct TrafficScript {
    pub(super) templates: Vec<FrameTemplate>,
    pub(super) opening: Vec<ScriptLine>,
    pub(super) body: Vec<ScriptLine>,
    pub(super) body_times: u32,
    pub(super) ending: Vec<ScriptLine>,
}

impl TrafficScript {
    pub(super) fn udp(datagrams: &[(u16, &[u8])]) -> Self {
        let templates: Vec<FrameTemplate> =
            datagrams.iter().map(|(port, payload)| FrameTemplate::udp(*port, payload)).collect();
        let body = (0..templates.len()).map(|template| ScriptLine { template, moves: 0 }).collect();
        // Every datagram is another client's: the script ends after one round.
        Self { templates, opening: Vec::new(), body, body_times: 1, ending: Vec::new() }
    }

    pub(super) fn dns(names: &[&str]) -> Self {
        let queries: Vec<_> = names.iter().map(|name| template::query(name)).collect();
        let datagrams: Vec<(u16, &[u8])> = queries.iter().map(|query| (53, &**query)).collect();
        Self::udp(&datagrams)
    }

    pub(super) fn http(response_bytes: usize) -> Self {
        let mut script = Self::handshake();
        let response = template::response(response_bytes);
        script.say(ConnectionSide::Client, &template::request(500));
        let segments = response.chunks(template::SEGMENT_BYTES);
        let count = segments.len();
        for (at, segment) in segments.enumerate() {
            script.say(ConnectionSide::Server, segment);
            // Every other full segment is acknowledged at once (RFC 5681 section 4.2), the last
            // with the next request.
            if at % 2 == 1 && at + 1 < count {
                script.say(ConnectionSide::Client, b"");
            }
        }
        script.body_times = HTTP_REQUESTS;
        for side in [ConnectionSide::Client, ConnectionSide::Server] {
            let line = script.line_of(side, ControlBits::FIN_ACK, b"");
            script.ending.push(line);
        }
        let last = script.line_of(ConnectionSide::Client, ControlBits::ACK, b"");
        script.ending.push(last);
        script
    }

    pub(super) fn acks() -> Self {
        let mut script = Self::handshake();
        script.say(ConnectionSide::Client, b"");
        script.say(ConnectionSide::Server, b"");
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
        for (side, flags) in [
            (ConnectionSide::Client, ControlBits::SYN),
            (ConnectionSide::Server, ControlBits::SYN_ACK),
            (ConnectionSide::Client, ControlBits::ACK),
        ] {
            let line = script.line_of(side, flags, b"");
            script.opening.push(line);
        }
        script
    }

    /// Adds a data segment (or, empty, an acknowledgement) to the body.
    fn say(&mut self, side: ConnectionSide, payload: &[u8]) {
        let line = self.line_of(
            side,
            if payload.is_empty() { ControlBits::ACK } else { ControlBits::PSH_ACK },
            payload,
        );
        self.body.push(line);
    }

    fn line_of(&mut self, side: ConnectionSide, flags: ControlBits, payload: &[u8]) -> ScriptLine {
        let template = self.templates.len();
        self.templates.push(FrameTemplate::tcp(side, flags, payload));
        let control = u32::from(
            flags == ControlBits::SYN
                || flags == ControlBits::SYN_ACK
                || flags == ControlBits::FIN_ACK,
        );
        ScriptLine { template, moves: u32::try_from(payload.len()).unwrap_or(0) + control }
    }

    pub(super) fn first(&self) -> ScriptLine {
        *self
            .opening
            .first()
            .or_else(|| self.body.first())
            .unwrap_or(&ScriptLine { template: 0, moves: 0 })
    }

    /// `None`: the conversation is over.
    pub(super) fn line(&self, at: u32) -> Option<ScriptLine> {
        let len = |lines: &[ScriptLine]| u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let line = |lines: &[ScriptLine], at: u32| lines.get(usize::try_from(at).ok()?).copied();
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

pub(super) const ORDINARY_NAMES: [&str; 8] = [
    "www.example.com",
    "mail.example.org",
    "api.eu-west-1.example.net",
    "a.root-servers.net",
    "updates.vendor.example",
    "static.content.example.com",
    "ntp.example.net",
    "_ldap._tcp.office.example.org",
];

pub(super) const LONG_NAMES: [&str; 2] = [
    "a-label-that-goes-on-and-on.another-label-that-does-the-same.example.com",
    "an-even-longer-label-that-nobody-would-ever-type-by-hand-at-all.of.some.domain.example.org",
];
