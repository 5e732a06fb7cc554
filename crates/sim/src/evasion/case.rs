//! A case of evasion, the request it smuggles, and the script that makes its frames.

use super::segment::{self, ClientNumbers, FIN_ACK, FragmentRange, Segment};

/// The token that must not reach the server. [`DECOY_TOKEN`] takes its place in a decoy.
pub const TOKEN: &str = "PATCHME-0123456789";
/// As long as [`TOKEN`].
pub const DECOY_TOKEN: &str = "DECOYXX-9876543210";

/// The request that a box would have to change.
pub(super) const REAL: &[u8] = b"GET /a?id=PATCHME-0123456789 HTTP/1.1\r\nHost: t.example\r\n\r\n";
/// One that it would leave alone.
pub(super) const DECOY: &[u8] = b"GET /a?id=DECOYXX-9876543210 HTTP/1.1\r\nHost: t.example\r\n\r\n";
/// Where the stream ends.
pub(super) const END: u32 = 1 + 58;
/// Within the token.
pub(super) const CUT: u32 = 1 + 19;

const _: () = assert!(REAL.len() == 58 && DECOY.len() == 58, "the decoy covers the request");

/// One strategy.
pub struct EvasionCase {
    /// Unique, and the name of its capture.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// The segments in words.
    pub recipe: &'static str,
    /// What each connection brings the server's application, before anything is replaced, where
    /// first data wins and what no host takes is not taken.
    pub reads: &'static [&'static [u8]],
    pub(super) script: fn(&mut ClientScript),
}

/// A frame and when it is sent.
#[derive(Clone, Debug)]
pub struct TimedFrame {
    /// Since the beginning of its case.
    pub at_ms: u32,
    /// From the Ethernet header on.
    pub frame: Vec<u8>,
}

/// The frames of a client, made one by one.
pub(super) struct ClientScript {
    port: u16,
    isn: u32,
    clock_ms: u32,
    ip_id: u16,
    frames: Vec<TimedFrame>,
}

impl ClientScript {
    pub(super) const fn new(port: u16, isn: u32) -> Self {
        Self { port, isn, clock_ms: 0, ip_id: 0, frames: Vec::new() }
    }

    /// Everything sent so far.
    pub(super) fn into_frames(self) -> Vec<TimedFrame> {
        self.frames
    }

    pub(super) fn frame(&mut self, segment: &Segment) -> Vec<u8> {
        self.ip_id += 1;
        let client = ClientNumbers { port: self.port, isn: self.isn };
        // Fragments of different cases that are under way at once are not those of one datagram.
        segment.frame(client, self.port << 6 | self.ip_id & 0x3f, self.clock_ms)
    }

    pub(super) fn send(&mut self, segment: Segment) {
        let frame = self.frame(&segment);
        self.send_frame(frame);
    }

    pub(super) fn send_frame(&mut self, frame: Vec<u8>) {
        self.frames.push(TimedFrame { at_ms: self.clock_ms, frame });
        self.clock_ms += 3;
    }

    pub(super) fn pause(&mut self, ms: u32) {
        self.clock_ms += ms;
    }

    /// Sends a SYN and gives the server time to answer.
    pub(super) fn syn(&mut self, segment: Segment) {
        self.send(segment);
        self.pause(150);
    }

    /// SYN, the server's answer, ACK.
    pub(super) fn open(&mut self) {
        self.syn(Segment::syn());
        self.send(Segment::ack(1));
    }

    pub(super) fn real(&mut self) {
        self.send(Segment::data(1, REAL));
    }

    /// The same from the connection's beginning on, in pieces.
    pub(super) fn pieces(
        &mut self,
        bytes: &[u8],
        size: usize,
        mut between: impl FnMut(&mut Self, u32),
    ) {
        let mut at = 1;
        for piece in bytes.chunks(size) {
            between(self, at);
            self.send(Segment::data(at, piece));
            at += u32::try_from(piece.len()).unwrap_or(0);
        }
    }

    pub(super) fn close(&mut self) {
        self.send(Segment::of(END, FIN_ACK));
    }

    /// The request, and the end.
    pub(super) fn real_and_close(&mut self) {
        self.real();
        self.close();
    }

    pub(super) fn fragment(&mut self, frame: &[u8], piece: FragmentRange) {
        self.send_frame(segment::fragment(frame, piece));
    }
}
