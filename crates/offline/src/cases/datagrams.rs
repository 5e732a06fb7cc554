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

/// Bytes of a UDP header (RFC 768).
const UDP_BYTES: usize = 8;

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

/// One datagram of a case, and how it is cut.
struct CaseDatagram<'a> {
    from: ConnectionSide,
    payload: &'a [u8],
    cut: Segmentation,
    /// Bytes of the case before it.
    start: usize,
    /// IPv6 datagrams stay whole: their fragments take the same code behind another header, and
    /// datapath's own tests have them.
    stays_whole: bool,
}

/// The datagrams that left the box for one datagram that came.
struct LeftDatagrams {
    onward: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
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
    let stays_whole = case.peer.is_some_and(|peer| peer.is_ipv6());
    let datagram = CaseDatagram { from, payload: &step.input, cut, start, stays_whole };
    let (mut onward, mut back) = (DatagramInbox::default(), DatagramInbox::default());
    for frame in datagram.frames(test_box)? {
        for (to, left) in test_box.send(from, &frame)? {
            if to == from { back.take(&left)? } else { onward.take(&left)? }
        }
    }
    let copies = if cut == Segmentation::Twice { 2 } else { 1 };
    let left = LeftDatagrams { onward: onward.finish()?, back: back.finish()? };
    expect(step, from, copies, &left)
}

fn expect(
    step: &TestStep,
    from: ConnectionSide,
    copies: usize,
    left: &LeftDatagrams,
) -> Result<(), Mismatch> {
    let to = from.other();
    let (arrives, answer): (Option<&[u8]>, Option<&[u8]>) = match &step.expect {
        Expect::Unchanged => (Some(&step.input), None),
        Expect::Becomes(bytes) => (Some(bytes), None),
        Expect::Dropped | Expect::Closed => (None, None),
        Expect::Reply(answer) => (None, Some(&answer.reply)),
    };
    for (who, want, came) in [(to, arrives, &left.onward), (from, answer, &left.back)] {
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

impl CaseDatagram<'_> {
    /// Its frames in the order they are sent.
    fn frames(&self, test_box: &mut TestBox) -> Result<Vec<Vec<u8>>, Mismatch> {
        let whole = self.whole_frame(test_box)?;
        let fits = self.stays_whole || self.payload.len() <= WHOLE_BYTES_MAX;
        if fits && self.cut == Segmentation::Twice {
            return Ok(vec![whole.clone(), whole]);
        }
        if self.stays_whole || (fits && self.cut == Segmentation::Whole) {
            return Ok(vec![whole]);
        }
        // The checksum covers the whole datagram, so the fragments take it from there.
        let Ok(layers) = Layers::ethernet(&whole) else {
            return Err(Mismatch::new("the case sends more bytes than a packet has; cut it down"));
        };
        if !checksum::transport_is_right(&whole, &layers) {
            return Err(too_long());
        }
        let body = whole.get(layers.l4..layers.ip_end).unwrap_or_default();
        let ends = self.fragment_ends(body.len());
        let mut frames = test_box.fragments(self.from, number::UDP, body, &ends);
        match self.cut {
            Segmentation::Swapped => frames.chunks_exact_mut(2).for_each(|two| two.swap(0, 1)),
            Segmentation::Backwards => frames.reverse(),
            Segmentation::Twice => {
                frames.extend(test_box.fragments(self.from, number::UDP, body, &ends));
            }
            Segmentation::Whole
            | Segmentation::Bytes
            | Segmentation::At(_)
            | Segmentation::Random(_) => {}
        }
        Ok(frames)
    }

    /// The datagram in one frame, however long that is.
    fn whole_frame(&self, test_box: &mut TestBox) -> Result<Vec<u8>, Mismatch> {
        let [client, server] = test_box.ports();
        let (source, destination) = match self.from {
            ConnectionSide::Client => (client, server),
            ConnectionSide::Server => (server, client),
        };
        let Ok(len) = u16::try_from(self.payload.len().saturating_add(UDP_BYTES)) else {
            return Err(too_long());
        };
        let mut l4 = Vec::with_capacity(len.into());
        l4.extend(source.to_be_bytes());
        l4.extend(destination.to_be_bytes());
        l4.extend(len.to_be_bytes());
        l4.extend([0xff, 0xff]);
        l4.extend_from_slice(self.payload);
        Ok(test_box.frame(self.from, number::UDP, &l4))
    }

    /// Where the datagram of `body_bytes` is cut: multiples of eight behind the IP header, the end
    /// itself left out. No fragment is longer than a frame carries.
    fn fragment_ends(&self, body_bytes: usize) -> Vec<usize> {
        let forward = match self.cut {
            Segmentation::Swapped | Segmentation::Backwards | Segmentation::Twice => {
                Segmentation::Random(7)
            }
            Segmentation::Whole
            | Segmentation::Bytes
            | Segmentation::At(_)
            | Segmentation::Random(_) => self.cut,
        };
        let mut wanted: Vec<usize> = pieces(forward, self.start, self.payload.len())
            .iter()
            .map(|piece| piece.end.saturating_add(UDP_BYTES) & !7)
            .filter(|&end| end < body_bytes)
            .collect();
        wanted.dedup();
        let stride = wanted.len().div_ceil(FRAGMENTS_MAX).max(1);
        let most = SEGMENT_BYTES & !7;
        let mut at = 0;
        let mut ends = Vec::new();
        for end in wanted.into_iter().step_by(stride).chain([body_bytes]) {
            while end.saturating_sub(at) > most {
                at = at.saturating_add(most);
                ends.push(at);
            }
            at = end;
            ends.push(end);
        }
        ends.pop();
        ends
    }
}

fn too_long() -> Mismatch {
    Mismatch::new("the case sends more bytes than a datagram has; cut it down")
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
