//! The checks of every frame that leaves the box, and of every byte that arrives.

use offline::ConnectionSide;
use wire::options::TcpOption;
use wire::{Layers, Seq, Tcp, TcpFlags};

use super::exchange::Exchange;
use super::impaired_link::ETHERNET_BYTES;
use super::outcome::{FailureKind, SimFailure};

/// One direction as it leaves the box: every position has one value.
#[derive(Debug, Default)]
pub(super) struct OneTruth {
    isn: Option<Seq>,
    bytes: Vec<Option<u8>>,
    fin: Option<usize>,
}

impl OneTruth {
    /// A segment that leaves. `probes`: its sender makes keep-alives with a byte that is not its
    /// own.
    pub(super) fn take(
        &mut self,
        tcp: &Tcp<'_>,
        payload: &[u8],
        probes: bool,
    ) -> Result<(), SimFailure> {
        let flags = tcp.flags();
        if flags.has(TcpFlags::SYN) {
            self.isn = Some(tcp.seq());
            return Ok(());
        }
        let Some(isn) = self.isn.filter(|_| !flags.has(TcpFlags::RST)) else { return Ok(()) };
        let Ok(at) = usize::try_from(tcp.seq().distance_from(isn.advance(1))) else {
            return Ok(());
        };
        if probes && payload.len() == 1 {
            return Ok(());
        }
        for (at, &byte) in (at..).zip(payload) {
            if self.bytes.len() <= at {
                self.bytes.resize(at + 1, None);
            }
            if let Some(place) = self.bytes.get_mut(at) {
                let before = *place.get_or_insert(byte);
                if before != byte {
                    let what = format!("position {at} was {before:#04x} and is {byte:#04x}");
                    return Err(SimFailure::new(FailureKind::Contradicts, what));
                }
            }
        }
        if flags.has(TcpFlags::FIN) {
            let end = at + payload.len();
            let before = *self.fin.get_or_insert(end);
            if before != end {
                let what = format!("the end was at {before} and is at {end}");
                return Err(SimFailure::new(FailureKind::Contradicts, what));
            }
        }
        if let Some(fin) = self.fin.filter(|fin| *fin < self.bytes.len()) {
            let what = format!("bytes behind the end at {fin}");
            return Err(SimFailure::new(FailureKind::Contradicts, what));
        }
        Ok(())
    }
}

/// A frame acknowledges no byte that its receiver has not sent.
pub(super) fn acknowledges(
    tcp: &Tcp<'_>,
    to: ConnectionSide,
    highest: Option<Seq>,
) -> Result<(), SimFailure> {
    let says = tcp.flags().has(TcpFlags::ACK) && !tcp.flags().has(TcpFlags::RST);
    let Some(highest) = highest.filter(|_| says) else { return Ok(()) };
    let wrong = |what: &str, edge: Seq| {
        let past = edge.distance_from(highest);
        let what = format!("{what} {past} bytes past all that {} ever sent", to.name());
        Err(SimFailure::new(FailureKind::AcknowledgesUnsent, what))
    };
    if tcp.ack().is_after(highest) {
        return wrong("an acknowledgement", tcp.ack());
    }
    for option in tcp.options() {
        let TcpOption::Sack { at, blocks } = option else { continue };
        let edges = tcp.option_bytes().get(at..at + 8 * blocks).unwrap_or_default();
        for edge in edges.as_chunks::<4>().0 {
            let edge = Seq::new(u32::from_be_bytes(*edge));
            if edge.is_after(highest) {
                return wrong("a selective acknowledgement", edge);
            }
        }
    }
    Ok(())
}

/// A frame is no longer than the host it goes to takes; no host may take less than 576 bytes (RFC
/// 9293 section 3.7.1).
pub(super) fn fits(
    frame: &[u8],
    layers: &Layers,
    to: ConnectionSide,
    mtu: usize,
) -> Result<(), SimFailure> {
    let bytes = layers.ip_end - ETHERNET_BYTES;
    if bytes > mtu.max(576) || frame.len() < layers.ip_end {
        let what = format!("a packet of {bytes} bytes for {}, that takes {mtu}", to.name());
        return Err(SimFailure::new(FailureKind::BadFrame, what));
    }
    Ok(())
}

/// The bytes that one end receives, compared with those that it must receive.
#[derive(Debug)]
pub(super) struct HeardCheck {
    who: ConnectionSide,
    said: Vec<u8>,
    expected: Vec<u8>,
    checked: usize,
    exact: bool,
    /// Where it was first found to be not exactly what was expected.
    pub(super) inexact_at: Option<usize>,
}

impl HeardCheck {
    pub(super) fn new(who: ConnectionSide, exchange: &Exchange, exact: bool) -> Self {
        let other = who.other();
        Self {
            who,
            said: exchange.before_rule(other),
            expected: exchange.heard(other),
            checked: 0,
            exact: exact || exchange.rule(other).is_none(),
            inexact_at: None,
        }
    }

    /// All that it has heard so far.
    pub(super) fn check(&mut self, exchange: &Exchange, received: &[u8]) -> Result<(), SimFailure> {
        let fresh = received.get(self.checked..).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(());
        }
        if self.inexact_at.is_none() {
            let wanted = self.expected.get(self.checked..).unwrap_or_default();
            let same = wanted.iter().zip(fresh).take_while(|(a, b)| a == b).count();
            if same < fresh.len() {
                let at = self.checked + same;
                self.inexact_at = Some(at);
                if self.exact {
                    return Err(self.differs(received, at));
                }
            }
        }
        if let Some(rule) = exchange.rule(self.who.other()).filter(|_| !self.exact) {
            let len = rule.pattern.len();
            let around = received.get(self.checked.saturating_sub(len)..).unwrap_or_default();
            if around.windows(len).any(|window| window == rule.pattern) {
                let what = format!("{} hears a whole match", self.who.name());
                return Err(SimFailure::new(FailureKind::MatchLeaked, what));
            }
        }
        self.checked = received.len();
        Ok(())
    }

    /// Nothing more will arrive.
    pub(super) fn finish(&self, exchange: &Exchange, received: &[u8]) -> Result<(), SimFailure> {
        let wrong_at = match exchange.rule(self.who.other()) {
            Some(rule) if self.inexact_at.is_some() => rule.allows(&self.said, received).err(),
            _ if received == self.expected => None,
            _ => Some(received.len().min(self.expected.len())),
        };
        wrong_at.map_or(Ok(()), |at| Err(self.differs(received, at)))
    }

    fn differs(&self, received: &[u8], at: usize) -> SimFailure {
        let around = |bytes: &[u8]| {
            let start = at.saturating_sub(16).min(bytes.len());
            let end = bytes.len().min(start + 48);
            bytes.get(start..end).unwrap_or_default().escape_ascii().to_string()
        };
        let what = format!(
            "{} hears {} bytes of {}, and from {at} on others: expected \"{}\", heard \"{}\"",
            self.who.name(),
            received.len(),
            self.expected.len(),
            around(&self.expected),
            around(received)
        );
        SimFailure::new(FailureKind::WrongBytes, what)
    }
}
