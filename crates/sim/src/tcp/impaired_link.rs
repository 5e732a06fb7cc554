//! One direction between a host and the box, with losses, delays and changes of frames.

use std::collections::BTreeMap;

use wire::{Layers, Tcp, TcpFlags, TcpMut, checksum};

use super::setup;
use crate::dice::Dice;

/// Bytes of the Ethernet header in front of every packet.
pub(super) const ETHERNET_BYTES: usize = 14;

/// Frames under way, by when they come.
pub(super) struct ImpairedLink {
    setup: setup::LinkSetup,
    dice: Dice,
    calm_us: u64,
    frames: BTreeMap<(u64, u64), Vec<u8>>,
    /// Waits for one it can be joined with.
    waits: Option<(u64, Vec<u8>)>,
    order: u64,
    last_us: u64,
    mtu: usize,
}

/// An event on the link, for the trace.
pub(super) type LinkEvent = &'static str;

impl ImpairedLink {
    pub(super) const fn new(setup: setup::LinkSetup, dice: Dice, calm_ms: u64, mtu: usize) -> Self {
        Self {
            setup,
            dice,
            calm_us: calm_ms * 1_000,
            frames: BTreeMap::new(),
            waits: None,
            order: 0,
            last_us: 0,
            mtu,
        }
    }

    /// When the next frame comes out.
    pub(super) fn next_us(&self) -> Option<u64> {
        let waits = self.waits.as_ref().map(|(until, _)| *until);
        let first = self.frames.keys().next().map(|(at, _)| *at);
        [waits, first].into_iter().flatten().min()
    }

    /// A frame goes in.
    pub(super) fn put(&mut self, now: u64, frame: Vec<u8>, events: &mut Vec<LinkEvent>) {
        let frame = match self.waits.take() {
            Some((_, before)) => match join(&before, &frame, self.mtu) {
                Some(joined) => {
                    events.push("joined with the one before");
                    joined
                }
                None => {
                    self.pass(now, before, events);
                    frame
                }
            },
            None => frame,
        };
        if now < self.calm_us && self.dice.thousandth(self.setup.coalesce) {
            self.waits = Some((now + 3_000, frame));
            return;
        }
        self.pass(now, frame, events);
    }

    /// A frame that comes out now.
    pub(super) fn take(&mut self, now: u64, events: &mut Vec<LinkEvent>) -> Option<Vec<u8>> {
        if self.waits.as_ref().is_some_and(|(until, _)| *until <= now)
            && let Some((_, frame)) = self.waits.take()
        {
            self.pass(now, frame, events);
        }
        let first = self.frames.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    fn pass(&mut self, now: u64, frame: Vec<u8>, events: &mut Vec<LinkEvent>) {
        if now >= self.calm_us {
            self.send(now, frame);
            return;
        }
        if self.dice.thousandth(self.setup.split)
            && let Some((one, other)) = split(&frame, &mut self.dice)
        {
            events.push("split");
            self.harm(now, one, events);
            self.harm(now, other, events);
            return;
        }
        self.harm(now, frame, events);
    }

    fn harm(&mut self, now: u64, mut frame: Vec<u8>, events: &mut Vec<LinkEvent>) {
        if self.dice.thousandth(self.setup.lose) {
            events.push("lost");
            return;
        }
        if self.dice.thousandth(self.setup.duplicate) {
            events.push("duplicated");
            self.send(now, frame.clone());
        }
        if self.dice.thousandth(self.setup.corrupt) {
            if read(&frame).is_none() {
                // Two wrong bits could look right.
                events.push("corrupted twice");
                return;
            }
            events.push("corrupted");
            let at = self.dice.between(ETHERNET_BYTES, frame.len().saturating_sub(1));
            let bit = 1_u8 << self.dice.below(8);
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= bit;
            }
        }
        if self.dice.thousandth(self.setup.reorder) {
            events.push("late");
            let late = self.dice.below(self.setup.late_ms * 1_000 + 1);
            self.order += 1;
            self.frames.insert((now + self.setup.delay_ms * 1_000 + late, self.order), frame);
            return;
        }
        self.send(now, frame);
    }

    fn send(&mut self, now: u64, frame: Vec<u8>) {
        self.last_us = self.last_us.max(now + self.setup.delay_ms * 1_000 + 10);
        self.order += 1;
        self.frames.insert((self.last_us, self.order), frame);
    }
}

/// A frame with other payload, right in every length and checksum.
pub(super) fn rewrite(
    frame: &[u8],
    layers: &Layers,
    payload: &[u8],
    change: impl FnOnce(&mut TcpMut<'_>),
) -> Option<Vec<u8>> {
    let mut new = frame.get(..layers.payload)?.to_vec();
    new.extend_from_slice(payload);
    let ip_bytes = new.len().checked_sub(layers.ip)?;
    let (at, claimed) = match layers.version {
        wire::IpVersion::V4 => (2, ip_bytes),
        wire::IpVersion::V6 => (4, ip_bytes.checked_sub(40)?),
    };
    let field = new.get_mut(layers.ip + at..)?.first_chunk_mut::<2>()?;
    *field = u16::try_from(claimed).ok()?.to_be_bytes();
    change(&mut TcpMut::parse(new.get_mut(layers.l4..)?)?);
    let layers = Layers::ethernet(&new).ok()?;
    checksum::fill_ip(&mut new, &layers);
    checksum::fill_transport(&mut new, &layers);
    Some(new)
}

/// The layers of a TCP frame that arrives whole.
pub(super) fn read(frame: &[u8]) -> Option<(Layers, Tcp<'_>)> {
    let layers = Layers::ethernet(frame).ok()?;
    if layers.fragment.is_some()
        || layers.transport != wire::Transport::Tcp
        || !checksum::ip_is_right(frame, &layers)
        || !checksum::transport_is_right(frame, &layers)
    {
        return None;
    }
    let tcp = Tcp::parse(frame.get(layers.l4..layers.ip_end)?)?;
    Some((layers, tcp))
}

/// In two, the first of at least one byte.
fn split(frame: &[u8], dice: &mut Dice) -> Option<(Vec<u8>, Vec<u8>)> {
    let (layers, tcp) = read(frame)?;
    let payload = layers.payload_of(frame);
    if payload.len() < 2 || tcp.flags().has(TcpFlags::SYN) {
        return None;
    }
    let most = payload.len() - 1;
    let at = if dice.percent(50) { dice.between(1, most) } else { dice.pick(&[1, most]) };
    let (one, other) = payload.split_at(at);
    let flags = tcp.flags();
    let seq = tcp.seq();
    let first = rewrite(frame, &layers, one, |tcp| {
        tcp.set_flags(flags.without(TcpFlags::FIN.with(TcpFlags::PSH)));
    })?;
    let second = rewrite(frame, &layers, other, |tcp| {
        tcp.set_seq(seq.advance(u32::try_from(at).unwrap_or(0)));
    })?;
    Some((first, second))
}

/// Two that follow each other as one.
fn join(one: &[u8], other: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let ((layers, tcp), (next_layers, next)) = (read(one)?, read(other)?);
    let (bytes, more) = (layers.payload_of(one), next_layers.payload_of(other));
    let follows = tcp.seq().advance(u32::try_from(bytes.len()).ok()?) == next.seq();
    let ends = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
    let room = layers.payload - ETHERNET_BYTES + bytes.len() + more.len() <= mtu;
    let same = tcp.header_bytes() == next.header_bytes();
    if bytes.is_empty() || more.is_empty() || !follows || !room || !same {
        return None;
    }
    if tcp.flags().has_any(ends) || next.flags().has_any(TcpFlags::SYN.with(TcpFlags::RST)) {
        return None;
    }
    let seq = tcp.seq();
    rewrite(other, &next_layers, &[bytes, more].concat(), |tcp| tcp.set_seq(seq))
}
