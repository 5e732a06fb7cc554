//! A case over UDP: each step is one datagram, whole or in fragments.

use std::collections::BTreeMap;

use patch::{Expect, TestCase, TestStep};
use stage::Direction;
use wire::{Layers, checksum, number};

use super::mismatch::{Mismatch, around};
use super::segmentation::{SEGMENT_BYTES, Segmentation, pieces};
use super::test_box::TestBox;
use crate::ConnectionSide;

/// Largest datagram in one Ethernet frame.
const WHOLE_BYTES_MAX: usize = SEGMENT_BYTES + 12;

/// Pieces a datagram is cut into at most: as many as a receiver would put together.
const FRAGMENTS_MAX: usize = 64;

/// Runs all steps.
pub(super) fn run(
    test_box: &mut TestBox,
    case: &TestCase,
    cut: &Segmentation,
) -> Result<(), Mismatch> {
    let mut start = 0_usize;
    for (no, step) in case.steps.iter().enumerate() {
        one(test_box, case, step, *cut, start).map_err(|mut wrong| {
            if case.steps.len() > 1 {
                wrong.what = format!("step {}: {}", no.saturating_add(1), wrong.what);
            }
            wrong
        })?;
        start = start.saturating_add(step.input.len());
    }
    Ok(())
}

fn one(
    test_box: &mut TestBox,
    case: &TestCase,
    step: &TestStep,
    cut: Segmentation,
    start: usize,
) -> Result<(), Mismatch> {
    let from = match step.direction {
        Direction::Request => ConnectionSide::Client,
        Direction::Response => ConnectionSide::Server,
    };
    let frames = frames(test_box, from, &step.input, cut, start, case)?;
    let copies = if cut == Segmentation::Twice { 2 } else { 1 };
    let (mut onward, mut back) = (DatagramInbox::default(), DatagramInbox::default());
    for frame in frames {
        for (to, left) in test_box.send(from, &frame)? {
            if to == from { back.take(&left)? } else { onward.take(&left)? }
        }
    }
    expect(step, from, copies, onward.finish()?, back.finish()?)
}

fn expect(
    step: &TestStep,
    from: ConnectionSide,
    copies: usize,
    onward: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
) -> Result<(), Mismatch> {
    let to = from.other();
    let (arrives, answer): (Option<&[u8]>, Option<&[u8]>) = match &step.expect {
        Expect::Unchanged => (Some(&step.input), None),
        Expect::Becomes(bytes) => (Some(bytes), None),
        Expect::Dropped | Expect::Closed => (None, None),
        Expect::Reply(answer) => (None, Some(&answer.reply)),
    };
    for (who, want, came) in [(to, arrives, onward), (from, answer, back)] {
        let Some(want) = want else {
            if let Some(first) = came.first() {
                return Err(Mismatch::differs(
                    &format!("{} gets a datagram where none was expected", who.name()),
                    b"",
                    first,
                ));
            }
            continue;
        };
        if came.len() != copies {
            return Err(Mismatch {
                what: format!("{} gets {} datagrams, not {copies}", who.name(), came.len()),
                expected: Some(around(want, 0)),
                got: came.first().map(|first| around(first, 0)),
            });
        }
        if let Some(got) = came.iter().find(|got| *got != want) {
            return Err(Mismatch::differs(&format!("{} gets other bytes", who.name()), want, got));
        }
    }
    Ok(())
}

/// The datagram's frames in the order they are sent.
fn frames(
    test_box: &mut TestBox,
    from: ConnectionSide,
    payload: &[u8],
    cut: Segmentation,
    start: usize,
    case: &TestCase,
) -> Result<Vec<Vec<u8>>, Mismatch> {
    let [client, server] = test_box.ports();
    let (source, destination) = match from {
        ConnectionSide::Client => (client, server),
        ConnectionSide::Server => (server, client),
    };
    let Ok(len) = u16::try_from(payload.len().saturating_add(8)) else {
        return Err(Mismatch::new("the case sends more bytes than a datagram has; cut it down"));
    };
    let mut l4 = Vec::with_capacity(len.into());
    l4.extend(source.to_be_bytes());
    l4.extend(destination.to_be_bytes());
    l4.extend(len.to_be_bytes());
    l4.extend([0xff, 0xff]);
    l4.extend_from_slice(payload);
    let whole = test_box.frame(from, number::UDP, &l4);
    // Fragments of IPv6 go through the same code behind another header; datapath's own tests have them.
    let never_cut = case.peer.is_some_and(|peer| peer.is_ipv6());
    let whole_does = never_cut || payload.len() <= WHOLE_BYTES_MAX;
    if whole_does && matches!(cut, Segmentation::Twice) {
        return Ok(vec![whole.clone(), whole]);
    }
    if never_cut || (whole_does && matches!(cut, Segmentation::Whole)) {
        return Ok(vec![whole]);
    }
    // The checksum covers the whole, so it is taken from there.
    let Ok(layers) = Layers::ethernet(&whole) else {
        return Err(Mismatch::new("the case sends more bytes than a packet has; cut it down"));
    };
    if !checksum::transport_is_right(&whole, &layers) {
        return Err(Mismatch::new("the case sends more bytes than a datagram has; cut it down"));
    }
    let body = whole.get(layers.l4..layers.ip_end).unwrap_or_default().to_vec();
    // Fragments are cut at multiples of eight of what follows the IP header.
    let forward = match cut {
        Segmentation::Swapped | Segmentation::Backwards | Segmentation::Twice => {
            Segmentation::Random(7)
        }
        Segmentation::Whole
        | Segmentation::Bytes
        | Segmentation::At(_)
        | Segmentation::Random(_) => cut,
    };
    let mut ends: Vec<usize> = pieces(forward, start, payload.len())
        .iter()
        .map(|piece| (piece.end.saturating_add(8)) & !7)
        .filter(|&end| end < body.len())
        .collect();
    ends.dedup();
    let stride = ends.len().div_ceil(FRAGMENTS_MAX).max(1);
    let mut ends: Vec<usize> = ends.into_iter().step_by(stride).collect();
    // No fragment may be longer than a frame carries.
    let most = SEGMENT_BYTES & !7;
    let mut at = 0;
    let mut all = Vec::new();
    for end in ends.drain(..).chain([body.len()]) {
        while end.saturating_sub(at) > most {
            at = at.saturating_add(most);
            all.push(at);
        }
        at = end;
        all.push(end);
    }
    all.pop();
    let mut frames = test_box.fragments(from, number::UDP, &body, &all);
    match cut {
        Segmentation::Swapped => frames.chunks_exact_mut(2).for_each(|two| two.swap(0, 1)),
        Segmentation::Backwards => frames.reverse(),
        Segmentation::Twice => {
            let again = test_box.fragments(from, number::UDP, &body, &all);
            frames.extend(again);
        }
        Segmentation::Whole
        | Segmentation::Bytes
        | Segmentation::At(_)
        | Segmentation::Random(_) => {}
    }
    Ok(frames)
}

/// The fragments of one datagram.
#[derive(Default)]
struct FragmentSet {
    by_offset: BTreeMap<u32, Vec<u8>>,
    /// Its end, once the last one is there.
    end: Option<usize>,
}

/// Puts fragments together, as a host does.
#[derive(Default)]
struct DatagramInbox {
    datagrams: Vec<Vec<u8>>,
    /// By identification: pieces by their offset, and the end once it is known.
    parts: BTreeMap<u32, FragmentSet>,
}

impl DatagramInbox {
    fn take(&mut self, frame: &[u8]) -> Result<(), Mismatch> {
        let Ok(layers) = Layers::ethernet(frame) else {
            return Err(Mismatch::new("a frame left that cannot be read"));
        };
        let Some(fragment) = layers.fragment else {
            self.datagrams.push(layers.payload_of(frame).to_vec());
            return Ok(());
        };
        let body = frame.get(layers.l4..layers.ip_end).unwrap_or_default();
        let parts = self.parts.entry(fragment.id).or_default();
        parts.by_offset.insert(fragment.offset_bytes, body.to_vec());
        if !fragment.more {
            let offset = usize::try_from(fragment.offset_bytes).unwrap_or_default();
            parts.end = Some(offset.saturating_add(body.len()));
        }
        let joined: Vec<u8> = parts.by_offset.values().flatten().copied().collect();
        if parts.end == Some(joined.len()) {
            self.parts.remove(&fragment.id);
            self.datagrams.push(joined.get(8..).unwrap_or_default().to_vec());
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Vec<u8>>, Mismatch> {
        if self.parts.is_empty() {
            Ok(self.datagrams)
        } else {
            Err(Mismatch::new("fragments left that do not make a datagram"))
        }
    }
}
