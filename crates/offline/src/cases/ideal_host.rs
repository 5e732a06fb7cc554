//! An ideal TCP host: sends what it is told to, takes what is in order, keeps what is ahead,
//! acknowledges everything.
//!
//! It checks what a real host would have to believe: that nobody acknowledges bytes it has not
//! sent, and that no byte comes twice with different values.

use std::collections::BTreeMap;

use wire::{Layers, Seq, Tcp, TcpFlags};

use super::mismatch::Mismatch;
use super::segmentation::SEGMENT_BYTES;
use crate::ConnectionSide;

/// A window without scaling.
const WINDOW: u16 = u16::MAX;

/// Bytes that may be unacknowledged: below the peer's window.
pub(super) const IN_FLIGHT_BYTES_MAX: usize = 60_000;

/// One end of a connection. Positions count from its initial sequence number: 0 is the SYN, 1 the
/// first byte.
pub(super) struct IdealHost {
    side: ConnectionSide,
    ports: (u16, u16),
    iss: Seq,
    peer_iss: Option<Seq>,
    /// All bytes of the application so far.
    sent: Vec<u8>,
    finished: bool,
    acknowledged: usize,
    pub(super) received: Vec<u8>,
    ahead: BTreeMap<usize, Vec<u8>>,
    /// Position of the peer's FIN.
    peer_finished: Option<usize>,
    pub(super) reset: bool,
}

/// A segment on its way, without IP and Ethernet headers.
pub(super) struct OutgoingSegment {
    pub(super) l4: Vec<u8>,
}

impl IdealHost {
    /// `[client, server]` ports. The numbers wrap soon, as a real connection's may.
    pub(super) fn new(side: ConnectionSide, [client, server]: [u16; 2]) -> Self {
        let (ports, iss) = match side {
            ConnectionSide::Client => ((client, server), Seq::new(0xffff_ffc0)),
            ConnectionSide::Server => ((server, client), Seq::new(0x7fff_fff0)),
        };
        Self {
            side,
            ports,
            iss,
            peer_iss: None,
            sent: Vec::new(),
            finished: false,
            acknowledged: 0,
            received: Vec::new(),
            ahead: BTreeMap::new(),
            peer_finished: None,
            reset: false,
        }
    }

    /// SYN, or SYN and ACK once the peer's has come.
    pub(super) fn syn(&self) -> OutgoingSegment {
        let flags =
            if self.peer_iss.is_some() { TcpFlags::SYN.with(TcpFlags::ACK) } else { TcpFlags::SYN };
        // Maximum segment size 1460, SACK permitted, padding (RFC 9293 section 3.2, RFC 2018).
        self.segment(0, flags, &[2, 4, 0x05, 0xb4, 4, 2, 1, 1], &[])
    }

    /// Position behind the last byte given to it, and its FIN.
    pub(super) fn next(&self) -> usize {
        1 + self.sent.len() + usize::from(self.finished)
    }

    /// Where the next byte given to it goes.
    pub(super) fn end(&self) -> usize {
        1 + self.sent.len()
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.next().saturating_sub(self.acknowledged)
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// The peer has finished, and everything before its FIN is here.
    pub(super) fn has_all(&self) -> bool {
        self.peer_finished == Some(1 + self.received.len())
    }

    pub(super) fn give(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    /// No more bytes will be given to it.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The bytes at positions `from..to`; with the FIN if they reach the end of a finished stream.
    pub(super) fn data(&self, from: usize, to: usize) -> OutgoingSegment {
        let to = to.min(from.saturating_add(SEGMENT_BYTES));
        let payload =
            self.sent.get(from.saturating_sub(1)..to.saturating_sub(1).min(self.sent.len()));
        let mut flags = TcpFlags::ACK;
        if self.finished && to >= self.end() {
            flags = flags.with(TcpFlags::FIN);
        } else {
            flags = flags.with(TcpFlags::PSH);
        }
        self.segment(from, flags, &[], payload.unwrap_or_default())
    }

    /// The first bytes nobody has acknowledged, again.
    pub(super) fn again(&self) -> OutgoingSegment {
        let from = self.acknowledged.max(1);
        self.data(from, self.next())
    }

    pub(super) fn acknowledge(&self) -> OutgoingSegment {
        self.segment(self.next(), TcpFlags::ACK, &[], &[])
    }

    fn segment(
        &self,
        at: usize,
        flags: TcpFlags,
        options: &[u8],
        payload: &[u8],
    ) -> OutgoingSegment {
        let mut l4 = Vec::with_capacity(20 + options.len() + payload.len());
        l4.extend(self.ports.0.to_be_bytes());
        l4.extend(self.ports.1.to_be_bytes());
        l4.extend(self.iss.advance(count(at)).raw().to_be_bytes());
        let ack = match self.peer_iss {
            Some(peer) if flags.has(TcpFlags::ACK) => peer.advance(count(self.expected())).raw(),
            _ => 0,
        };
        l4.extend(ack.to_be_bytes());
        let words = u8::try_from((20 + options.len()) / 4).unwrap_or(5);
        l4.extend([words << 4, flags.raw()]);
        l4.extend(WINDOW.to_be_bytes());
        l4.extend([0, 0, 0, 0]);
        l4.extend_from_slice(options);
        l4.extend_from_slice(payload);
        OutgoingSegment { l4 }
    }

    /// Position of the next byte it waits for.
    fn expected(&self) -> usize {
        let end = 1 + self.received.len();
        end + usize::from(self.peer_finished == Some(end))
    }

    /// A frame arrives. `true`: it wants an acknowledgement.
    pub(super) fn take(&mut self, frame: &[u8]) -> Result<bool, Mismatch> {
        let who = self.side.name();
        let read = Layers::ethernet(frame)
            .ok()
            .and_then(|layers| Some((layers, Tcp::parse(frame.get(layers.l4..layers.ip_end)?)?)));
        let Some((layers, tcp)) = read else {
            return Err(Mismatch::new(format!("{who} gets a frame that is no TCP segment")));
        };
        if (tcp.destination_port(), tcp.source_port()) != self.ports {
            return Err(Mismatch::new(format!("{who} gets a segment of other ports")));
        }
        if self.reset {
            return Ok(false);
        }
        let flags = tcp.flags();
        if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
            self.take_acknowledgement(tcp.ack())?;
        }
        if flags.has(TcpFlags::SYN) {
            self.peer_iss = Some(tcp.seq());
            return Ok(flags.has(TcpFlags::ACK));
        }
        let Some(peer_iss) = self.peer_iss else {
            return Err(Mismatch::new(format!("{who} gets data before a SYN")));
        };
        let at = i64::from(tcp.seq().distance_from(peer_iss.advance(count(self.expected()))));
        if flags.has(TcpFlags::RST) {
            // RFC 9293 section 3.10.7.4: a reset outside the window is not acceptable.
            self.reset = (0..i64::from(WINDOW)).contains(&at);
            return if self.reset {
                Ok(false)
            } else {
                Err(Mismatch::new(format!("{who} gets a reset outside its window")))
            };
        }
        let at = i64::try_from(self.expected()).unwrap_or_default().saturating_add(at);
        let payload = layers.payload_of(frame);
        if payload.is_empty() && !flags.has(TcpFlags::FIN) {
            return Ok(false);
        }
        let Ok(at) = usize::try_from(at) else {
            return Err(Mismatch::new(format!("{who} gets bytes from before the stream")));
        };
        self.take_bytes(at, payload)?;
        if flags.has(TcpFlags::FIN) {
            let end = at.saturating_add(payload.len());
            if self.peer_finished.is_some_and(|before| before != end) {
                return Err(Mismatch::new(format!("{who} gets a second FIN, elsewhere")));
            }
            self.peer_finished = Some(end);
        }
        Ok(true)
    }

    fn take_acknowledgement(&mut self, ack: Seq) -> Result<(), Mismatch> {
        let at = i64::from(ack.distance_from(self.iss));
        match usize::try_from(at) {
            Ok(at) if at > self.next() => Err(Mismatch::new(format!(
                "{} gets an acknowledgement of {} bytes it has not sent",
                self.side.name(),
                at - self.next()
            ))),
            Ok(at) => {
                self.acknowledged = self.acknowledged.max(at);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    fn take_bytes(&mut self, at: usize, payload: &[u8]) -> Result<(), Mismatch> {
        // Bytes that arrive again must equal the bytes received before.
        let start = at.saturating_sub(1);
        let known = self.received.get(start..).unwrap_or_default();
        if known.iter().zip(payload).any(|(old, new)| old != new) {
            let what = format!("{} gets bytes again, with other values", self.side.name());
            return Err(Mismatch::differs(&what, known, payload));
        }
        if start > self.received.len() {
            let kept = self.ahead.entry(start).or_default();
            if kept.len() < payload.len() {
                *kept = payload.to_vec();
            }
            return Ok(());
        }
        let new = payload.get(known.len()..).unwrap_or_default();
        self.received.extend_from_slice(new);
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= self.received.len()
        {
            let (start, bytes) = entry.remove_entry();
            self.take_bytes(start.saturating_add(1), &bytes)?;
        }
        Ok(())
    }
}

/// A position as TCP counts.
fn count(at: usize) -> u32 {
    u32::try_from(at).unwrap_or_default()
}
