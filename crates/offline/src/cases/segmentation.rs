//! How the bytes of a case are cut into segments, or a datagram into fragments.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use patch::{Expect, TestCase, Transport};

/// Largest segment on Ethernet, with headers without options.
pub(super) const SEGMENT_BYTES: usize = 1_460;

/// Up to here every point is tried.
const EVERY_POINT_BYTES_MAX: usize = 512;

/// A longer case is split at so many points, at least and at most, and sends about so many bytes
/// for it.
const POINTS: Range<usize> = 64..256;
const SPLIT_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that are sent one by one; full segments carry the rest.
const SINGLE_BYTES_MAX: usize = 4_096;

/// Runs with cuts nobody chose.
const RANDOM_RUNS: u64 = 6;

/// One way to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segmentation {
    /// Each step in as few pieces as there can be.
    Whole,
    /// Every byte (every eight bytes of a datagram) on its own.
    Bytes,
    /// In two at this byte, all steps counted through.
    At(usize),
    /// At random points.
    Random(u64),
    /// In eight pieces a step, each two neighbours exchanged.
    Swapped,
    /// In eight pieces a step, the last one first.
    Backwards,
    /// In eight pieces a step, all of them twice.
    Twice,
}

impl fmt::Display for Segmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Bytes => f.write_str("byte by byte"),
            Self::At(at) => write!(f, "split at byte {at}"),
            Self::Random(seed) => write!(f, "cut at random points (seed {seed})"),
            Self::Swapped => f.write_str("in pieces, each two exchanged"),
            Self::Backwards => f.write_str("in pieces, last one first"),
            Self::Twice => f.write_str("in pieces, all of them twice"),
        }
    }
}

/// All ways to cut one case.
#[derive(Clone, Debug)]
pub(super) struct Segmentations {
    pub(super) list: Vec<Segmentation>,
    /// Where the case could be split in two.
    pub(super) points: usize,
    /// Where it is.
    pub(super) points_tried: usize,
}

impl Segmentations {
    pub(super) fn of(case: &TestCase) -> Self {
        let points = points(case);
        let tried = chosen(case, &points);
        let mut list = vec![Segmentation::Whole];
        if !points.is_empty() {
            list.push(Segmentation::Bytes);
            list.extend(tried.iter().map(|&at| Segmentation::At(at)));
            list.extend((1..=RANDOM_RUNS).map(Segmentation::Random));
            list.extend([Segmentation::Swapped, Segmentation::Backwards]);
        }
        list.push(Segmentation::Twice);
        Self { list, points: points.len(), points_tried: tried.len() }
    }
}

/// Every place a step can be split at, all steps counted through.
fn points(case: &TestCase) -> Vec<usize> {
    let mut points = Vec::new();
    let mut start = 0_usize;
    for step in &case.steps {
        let len = step.input.len();
        match case.transport {
            Transport::Tcp => points.extend((1..len).map(|at| start.saturating_add(at))),
            Transport::Udp => {
                // Fragments are cut at multiples of eight, counted from UDP's header of eight.
                points.extend((8..len).step_by(8).map(|at| start.saturating_add(at)));
            }
        }
        start = start.saturating_add(len);
    }
    points
}

/// All points, or of many: those around the first difference a case expects, and an even spread.
fn chosen(case: &TestCase, points: &[usize]) -> Vec<usize> {
    let total: usize = case.steps.iter().map(|step| step.input.len()).sum();
    if total <= EVERY_POINT_BYTES_MAX {
        return points.to_vec();
    }
    let count = (SPLIT_BYTES / total).clamp(POINTS.start, POINTS.end);
    let mut wanted = BTreeSet::new();
    let mut start = 0_usize;
    for step in &case.steps {
        if let Expect::Becomes(becomes) = &step.expect {
            let same = step.input.iter().zip(becomes).take_while(|(a, b)| a == b).count();
            let at = start.saturating_add(same);
            wanted.extend(at.saturating_sub(8)..at.saturating_add(8));
        }
        start = start.saturating_add(step.input.len());
        wanted.extend(start.saturating_sub(8)..start);
    }
    let stride = points.len().div_ceil(count).max(1);
    points
        .iter()
        .enumerate()
        .filter(|(no, at)| no % stride == 0 || *no < 16 || wanted.contains(at))
        .map(|(_, at)| *at)
        .collect()
}

/// The pieces of a step that begins at byte `start` of the case, in the order they are sent.
pub(super) fn pieces(cut: Segmentation, start: usize, len: usize) -> Vec<Range<usize>> {
    let mut ends: Vec<usize> = match cut {
        Segmentation::Whole => Vec::new(),
        Segmentation::Bytes => (1..len.min(SINGLE_BYTES_MAX)).collect(),
        Segmentation::At(at) => {
            at.checked_sub(start).filter(|&at| at > 0 && at < len).into_iter().collect()
        }
        Segmentation::Random(seed) => random_points(seed ^ start as u64, len),
        Segmentation::Swapped | Segmentation::Backwards | Segmentation::Twice => {
            let piece = len.div_ceil(8).max(1);
            (1..8).map(|nth| nth * piece).filter(|&at| at < len).collect()
        }
    };
    ends.push(len);
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    for end in ends {
        while from < end {
            let to = end.min(from.saturating_add(SEGMENT_BYTES));
            pieces.push(from..to);
            from = to;
        }
    }
    match cut {
        Segmentation::Swapped => pieces.chunks_exact_mut(2).for_each(|two| two.swap(0, 1)),
        Segmentation::Backwards => pieces.reverse(),
        // Once they have all been sent: a sender that resends at once says that it waits for what
        // is held back.
        Segmentation::Twice => pieces.extend(pieces.clone()),
        Segmentation::Whole
        | Segmentation::Bytes
        | Segmentation::At(_)
        | Segmentation::Random(_) => {}
    }
    pieces
}

/// Two to nine points, sorted, from a seed.
fn random_points(seed: u64, len: usize) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or_default()
    };
    if len < 2 {
        return Vec::new();
    }
    let count = 2 + next() % 8;
    let points: BTreeSet<usize> = (0..count).map(|_| 1 + next() % (len - 1)).collect();
    points.into_iter().collect()
}
