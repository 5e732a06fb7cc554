//! Bounds of memory and state, as set, each a worker's own.

use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use patch::yaml::Spanned;
use patch::{HOLD_BYTES_DEFAULT, HOLD_BYTES_MAX};

use crate::config::Found;
use crate::raw::RawLimits;

/// Bounds, each a worker's own.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections tracked.
    pub flows: u32,
    /// Bytes of one unit held.
    pub hold_bytes: u32,
    /// Milliseconds the beginning of a pattern is held.
    pub pattern_hold_ms: u32,
    /// Milliseconds a unit is held.
    pub unit_hold_ms: u32,
    /// Milliseconds an open connection may be silent.
    pub idle_ms: u32,
    /// Bytes kept ahead of a gap, a direction.
    pub ahead_bytes: u32,
    /// Bytes in flight as copies, a direction.
    pub in_flight_bytes: u32,
    /// MiB for held bytes and copies.
    pub copies_mib: u32,
    /// Datagrams in reassembly.
    pub fragments: u32,
    /// Milliseconds a datagram waits for its fragments.
    pub fragment_ms: u32,
    /// Packet buffers.
    pub mbufs: u32,
    /// Packets in each ring.
    pub ring_packets: u32,
}

impl Limits {
    pub(crate) fn check(raw: &RawLimits, found: &mut Found<'_>) -> Self {
        let mut bounded =
            |value: Option<Spanned<NonZeroU32>>, default: u32, range: RangeInclusive<u32>| {
                let Some(value) = value else { return default };
                if !range.contains(&value.value.get()) {
                    found.add(
                        value.place,
                        format!("{} is out of range", value.value),
                        format!("from {} to {}; {default} unless set", range.start(), range.end()),
                    );
                }
                value.value.get()
            };
        Self {
            flows: bounded(raw.flows, 262_144, 64..=16_777_216),
            hold_bytes: bounded(raw.hold_bytes, HOLD_BYTES_DEFAULT, 64..=HOLD_BYTES_MAX),
            pattern_hold_ms: bounded(raw.pattern_hold_ms, 400, 10..=60_000),
            unit_hold_ms: bounded(raw.unit_hold_ms, 300_000, 100..=7_200_000),
            // RFC 5382 section 5 wants no less; the clock goes round in 49 days.
            idle_ms: bounded(raw.idle_ms, 7_440_000, 7_440_000..=1_209_600_000),
            // What a half-stream keeps of bytes past those decided ends at 126 KiB.
            ahead_bytes: bounded(raw.ahead_bytes, 129_024, 1_460..=129_024),
            in_flight_bytes: bounded(raw.in_flight_bytes, 1_048_576, 131_072..=16_777_216),
            copies_mib: bounded(raw.copies_mib, 64, 1..=65_536),
            fragments: bounded(raw.fragments, 256, 1..=65_536),
            fragment_ms: bounded(raw.fragment_ms, 5_000, 100..=60_000),
            mbufs: bounded(raw.mbufs, 65_536, 2_048..=16_777_216),
            ring_packets: bounded(raw.ring_packets, 4_096, 64..=1_048_576),
        }
    }
}
