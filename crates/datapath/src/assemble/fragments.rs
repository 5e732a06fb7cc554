//! The fragments of datagrams, kept as they came until the last of them comes: a datagram that
//! needs no edit leaves as the very fragments that it arrived in.
//!
//! Holds:     at most `Limits::fragmented_datagrams_max` datagrams, of at most
//!            [`FRAGMENTS_PER_DATAGRAM_MAX`] fragments each.
//! Promises:  no byte of a datagram is ever sent in two readings: fragments that overlap cost their
//!            datagram (RFC 5722).
//! Never:     sends a part of a datagram before the whole was seen.

use stage::position::{minus, plus};
use wire::{Fragment, IpVersion, Layers, checksum};

use crate::config::{Lane, LinkLayer, Tick};
use crate::counters::{CoreCounters, wide};
use crate::events::Event;
use crate::headers::write_ip_len;
use crate::limits::Limits;
use crate::nic::Frame;
use crate::parse::parse;
use crate::reasons::Reason;

/// Fragments of one datagram: 65,535 bytes over an MTU of 576 are 119.
const FRAGMENTS_PER_DATAGRAM_MAX: usize = 128;

/// Datagrams looked at for having waited too long, each turn.
const EXPIRE_PER_TURN: usize = 8;

/// RFC 791 section 3.2: the length of a datagram has 16 bits.
const DATAGRAM_BYTES_MAX: u32 = 65_535;

/// Datagrams of which some fragments have come.
#[derive(Debug)]
pub(crate) struct Fragments<F> {
    slots: Box<[DatagramSlot<F>]>,
    /// The slots in use stand first.
    live: usize,
    held: usize,
    fragments_max: usize,
    timeout_ms: u64,
    /// The next slot to be looked at for its age.
    sweep_cursor: usize,
}

#[derive(Debug)]
struct DatagramSlot<F> {
    key: DatagramKey,
    born: Tick,
    pieces: Vec<HeldFragment<F>>,
    total_bytes: Option<u32>,
    /// Fragments overlapped: whatever else comes of this datagram goes the same way.
    spoilt: bool,
}

/// What makes fragments parts of the same datagram (RFC 791 section 3.2, RFC 8200 section 4.5), and
/// the way they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DatagramKey {
    source: [u8; 16],
    destination: [u8; 16],
    id: u32,
    /// IPv4 only: IPv6 leaves the protocol out.
    protocol: Option<u8>,
    from: u8,
}

/// One fragment, as it came.
#[derive(Debug)]
struct HeldFragment<F> {
    frame: F,
    start: u32,
    end: u32,
    body_at: usize,
    ip_end: usize,
    arrival: usize,
}

impl<F: Frame> HeldFragment<F> {
    fn body(&self) -> &[u8] {
        self.frame.as_ref().get(self.body_at..self.ip_end).unwrap_or_default()
    }
}

/// What a fragment led to.
#[derive(Debug)]
pub(crate) enum Joined {
    /// It waits, or it is gone, and its datagram may be with it.
    Waits(Reason),
    /// The datagram is whole, in `whole`; its fragments are [`Fragments::take`]'s.
    Whole(SlotNo),
}

/// A complete datagram's place, to be taken at once.
#[derive(Debug)]
pub(crate) struct SlotNo(usize);

impl<F: Frame> Fragments<F> {
    /// Allocates all it will ever need.
    pub(crate) fn new(limits: &Limits) -> Self {
        let slot = |_| DatagramSlot {
            key: DatagramKey {
                source: [0; 16],
                destination: [0; 16],
                id: 0,
                protocol: None,
                from: 0,
            },
            born: 0,
            pieces: Vec::with_capacity(FRAGMENTS_PER_DATAGRAM_MAX),
            total_bytes: None,
            spoilt: false,
        };
        Self {
            slots: (0..limits.fragmented_datagrams_max).map(slot).collect(),
            live: 0,
            held: 0,
            fragments_max: limits.fragments_max,
            timeout_ms: limits.fragment_timeout_ms,
            sweep_cursor: 0,
        }
    }

    /// Takes a fragment in. When it completes its datagram, the whole packet is written to `whole`.
    pub(crate) fn join(
        &mut self,
        frame: F,
        layers: &Layers,
        lane: Lane,
        now: Tick,
        whole: &mut Vec<u8>,
        counters: &CoreCounters,
    ) -> Joined {
        let Some((key, piece, last)) = piece_of(frame, layers, lane) else {
            return Joined::Waits(Reason::FragmentImpossible);
        };
        let Some(at) = self.slot_for(key, now) else {
            return Joined::Waits(Reason::FragmentsFull);
        };
        let held = self.held;
        let Some(slot) = self.slots.get_mut(at) else {
            return Joined::Waits(Reason::FragmentsFull);
        };
        if slot.spoilt {
            return Joined::Waits(Reason::FragmentOverlaps);
        }
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //# It should be noted that fragments may be duplicated in the network. ... implementations
        //# may choose to detect this case and drop exact duplicate fragments
        if slot.pieces.iter().any(|held| {
            held.start == piece.start && held.end == piece.end && held.body() == piece.body()
        }) {
            return Joined::Waits(Reason::FragmentRepeated);
        }
        //= https://www.rfc-editor.org/rfc/rfc5722#section-4
        //# the entire datagram (and any constituent fragments, including those not yet received)
        //# MUST be silently discarded
        let past_end = slot.total_bytes.is_some_and(|total| piece.end > total || last);
        let before_held_end = last && slot.pieces.iter().any(|held| held.end > piece.end);
        let overlaps =
            slot.pieces.iter().any(|held| held.start < piece.end && piece.start < held.end);
        if past_end || before_held_end || overlaps {
            counters.count_events(Event::FragmentsDiscarded, wide(slot.pieces.len()));
            self.held = minus(held, slot.pieces.len());
            slot.pieces.clear();
            slot.spoilt = true;
            counters.held_fragments.set(wide(self.held));
            return Joined::Waits(Reason::FragmentOverlaps);
        }
        if held >= self.fragments_max || slot.pieces.len() >= FRAGMENTS_PER_DATAGRAM_MAX {
            return Joined::Waits(Reason::FragmentsFull);
        }
        if last {
            slot.total_bytes = Some(piece.end);
        }
        slot.pieces.push(HeldFragment { arrival: slot.pieces.len(), ..piece });
        self.held = plus(held, 1);
        counters.held_fragments.set(wide(self.held));
        let have: u32 = slot.pieces.iter().map(|piece| minus(piece.end, piece.start)).sum();
        if slot.total_bytes != Some(have) {
            return Joined::Waits(Reason::FragmentHeld);
        }
        slot.pieces.sort_unstable_by_key(|piece| piece.start);
        write_whole(&slot.pieces, whole);
        slot.pieces.sort_unstable_by_key(|piece| piece.arrival);
        counters.reassembled.add(1);
        Joined::Whole(SlotNo(at))
    }

    /// Gives the fragments of a whole datagram back, in the order they came.
    pub(crate) fn take(&mut self, slot: SlotNo, mut each: impl FnMut(F), counters: &CoreCounters) {
        if let Some(slot) = self.slots.get_mut(slot.0) {
            self.held = minus(self.held, slot.pieces.len());
            slot.pieces.drain(..).for_each(|piece| each(piece.frame));
        }
        self.free(slot.0);
        counters.held_fragments.set(wide(self.held));
    }

    /// The largest IP packet among a whole datagram's fragments.
    pub(crate) fn largest_ip_bytes(&self, slot: &SlotNo, ip: usize) -> usize {
        self.slots.get(slot.0).map_or(0, |slot| {
            let sizes = slot.pieces.iter().map(|piece| minus(piece.ip_end, ip));
            sizes.max().unwrap_or(0)
        })
    }

    /// Lets datagrams go that have waited too long, a few each turn.
    pub(crate) fn expire(&mut self, now: Tick, counters: &CoreCounters) {
        for _ in 0..EXPIRE_PER_TURN.min(self.live) {
            self.sweep_cursor =
                if plus(self.sweep_cursor, 1) < self.live { plus(self.sweep_cursor, 1) } else { 0 };
            let Some(slot) = self.slots.get_mut(self.sweep_cursor) else { return };
            if now.saturating_sub(slot.born) < self.timeout_ms {
                continue;
            }
            counters.count_events(Event::FragmentTimedOut, wide(slot.pieces.len()));
            self.held = minus(self.held, slot.pieces.len());
            slot.pieces.clear();
            self.free(self.sweep_cursor);
            counters.held_fragments.set(wide(self.held));
        }
    }

    fn slot_for(&mut self, key: DatagramKey, now: Tick) -> Option<usize> {
        let in_use = self.slots.get(..self.live)?;
        if let Some(at) = in_use.iter().position(|slot| slot.key == key) {
            return Some(at);
        }
        let at = self.live;
        let slot = self.slots.get_mut(at)?;
        slot.key = key;
        slot.born = now;
        slot.total_bytes = None;
        slot.spoilt = false;
        self.live = plus(at, 1);
        Some(at)
    }

    /// The last slot in use takes the freed one's place; both keep their storage.
    fn free(&mut self, at: usize) {
        let Some(last) = self.live.checked_sub(1).filter(|&last| at <= last) else { return };
        self.slots.swap(at, last);
        self.live = last;
    }
}

/// What the frame is a piece of, and whether it is the last; `None` if it can be a piece of
/// nothing.
fn piece_of<F: Frame>(
    frame: F,
    layers: &Layers,
    lane: Lane,
) -> Option<(DatagramKey, HeldFragment<F>, bool)> {
    let Fragment { offset_bytes: start, more, id, header_at, .. } = layers.fragment?;
    let (source, destination) = layers.addresses(frame.as_ref())?;
    let (protocol, body_at) = match layers.version {
        IpVersion::V4 => (Some(layers.protocol), layers.l4),
        IpVersion::V6 => (None, header_at.checked_add(8)?),
    };
    let bytes = u32::try_from(layers.ip_end.checked_sub(body_at)?).ok()?;
    let end = start.checked_add(bytes)?;
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //# If the length of a fragment ... is not a multiple of 8 octets and the M flag of that
    //# fragment is 1, then that fragment must be discarded
    if bytes == 0 || end > DATAGRAM_BYTES_MAX || (more && bytes % 8 != 0) {
        return None;
    }
    let key = DatagramKey { source, destination, id, protocol, from: lane.from.0 };
    let ip_end = layers.ip_end;
    Some((key, HeldFragment { frame, start, end, body_at, ip_end, arrival: 0 }, !more))
}

/// The headers of the first fragment, no fragment any more, and all bodies. `pieces` is sorted and
/// without gaps.
fn write_whole<F: Frame>(pieces: &[HeldFragment<F>], whole: &mut Vec<u8>) {
    whole.clear();
    if let Some(first) = pieces.first() {
        whole.extend_from_slice(first.frame.as_ref().get(..first.body_at).unwrap_or_default());
    }
    for piece in pieces {
        whole.extend_from_slice(piece.body());
    }
}

/// Turns the headers of the first fragment into those of the whole packet; its layers. `None`: it
/// is no packet (longer than IP allows, or headers that only made sense in pieces).
pub(crate) fn finish_whole(whole: &mut Vec<u8>, link: LinkLayer) -> Option<Layers> {
    let first = &parse(link, whole).ok()?;
    let fragment = first.fragment?;
    let len = whole.len();
    match first.version {
        IpVersion::V4 => {
            let ip_bytes = len.checked_sub(first.ip).filter(|&bytes| bytes <= 65_535)?;
            write_ip_len(whole, IpVersion::V4, first.ip, ip_bytes);
            let flags = whole.get_mut(first.ip.checked_add(6)?..)?.first_chunk_mut::<2>()?;
            *flags = [0, 0];
            checksum::fill_ip(whole, first);
        }
        IpVersion::V6 => {
            let next = *whole.get(fragment.header_at)?;
            *whole.get_mut(fragment.named_at)? = next;
            let end = fragment.header_at.checked_add(8).filter(|&end| end <= len)?;
            whole.drain(fragment.header_at..end);
            let ip_bytes = whole.len().checked_sub(first.ip).filter(|&bytes| bytes <= 65_575)?;
            write_ip_len(whole, IpVersion::V6, first.ip, ip_bytes);
        }
    }
    parse(link, whole).ok()
}
