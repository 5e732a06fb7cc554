//! Bytes before the inspection edge: they were decided before, or are not inspected.

use super::Assembler;
use crate::answer::CopiedRange;
use crate::half::Half;
use crate::segment::{Outputs, Payload, SegmentOutcome};
use crate::seq_map::{EditKind, Placed};
use stage::Stage;
use stage::position::{index, plus};
use wire::Seq;

/// Which bytes are to be sent again.
#[derive(Clone, Copy)]
struct Resent {
    /// Original positions: those that the segment has.
    start: Seq,
    end: Seq,
    /// The receiver lacks proxy-acknowledged bytes. They are sent, too: the sender's first
    /// outstanding segment stands for them.
    proxy_acknowledged: bool,
}

impl<S: Stage> Assembler<'_, S> {
    /// Sends the bytes before original `end`: those of inspected ranges out of the copy, those of
    /// the others as they came.
    pub(super) fn send_seen(&mut self, end: Seq) {
        let Self { half, stores, out, start, .. } = self;
        let Some(buffers) = stores.buffers(half.buffers_id()) else {
            self.send_tail(end);
            return;
        };
        let proxy_acknowledged = !start.is_after(half.acked_o)
            && half.una_e.is_before(buffers.map.through(half.acked_o));
        let resent = Resent { start: *start, end, proxy_acknowledged };
        // Neighbouring copied ranges go out as one.
        let mut run: Option<CopiedRange> = None;
        for placed in buffers.map.placed() {
            match placed.piece.kind {
                EditKind::Copied if resent.touches(&placed) || resent.reaches(&placed) => {
                    let Some(range) = resent.copied(half, &placed) else { continue };
                    run = Some(joined(run, range, out));
                }
                EditKind::Passed if resent.touches(&placed) => {
                    if let Some(run) = run.take() {
                        send_copied(run, out);
                    }
                    let from = resent.start.max(placed.original);
                    let to = end.min(placed.original_end());
                    let seq = placed.edited.advance(from.bytes_after(placed.original));
                    out.push_bytes(seq, resent.in_frame(from, to));
                }
                EditKind::Copied | EditKind::Passed => {}
            }
        }
        if let Some(run) = run {
            send_copied(run, out);
        }
        self.send_tail(end);
    }

    /// Sends bytes of the tail as they came, in whatever order they come.
    fn send_tail(&mut self, end: Seq) {
        let from = self.start.max(self.half.next_o);
        if !end.is_after(from) {
            return;
        }
        let seq = self.half.next_e.advance(from.bytes_after(self.half.next_o));
        let range = (index(from.bytes_after(self.start)), index(end.bytes_after(self.start)));
        let sent = self.out.push_bytes(seq, Payload::Frame(range.0, range.1));
        self.note_sent(sent);
    }

    /// Notes that bytes up to edited `end` were sent that are not inspected.
    pub(super) fn note_sent(&mut self, end: Seq) {
        if self.half.is_within_window(end) {
            self.half.sent_e = self.half.sent_e.max(end);
        }
    }

    pub(super) fn outcome_of_seen(&self) -> SegmentOutcome {
        let copied = |payload: Payload| matches!(payload, Payload::Copy { .. });
        if self.out.list().iter().any(|output| copied(output.payload)) {
            SegmentOutcome::Rebuilt
        } else {
            SegmentOutcome::Moved
        }
    }
}

impl Resent {
    /// The piece begins before the end of the segment. An answer that was put in at the end belongs
    /// to it, where proxy-acknowledged bytes are sent.
    #[inline(always)]
    fn begins(&self, placed: &Placed) -> bool {
        let put_in = placed.piece.original == 0 && self.proxy_acknowledged;
        placed.original.is_before(self.end) || (put_in && placed.original == self.end)
    }

    /// The segment has bytes of the piece.
    #[inline(always)]
    fn touches(&self, placed: &Placed) -> bool {
        self.begins(placed) && self.start.is_before(placed.original_end())
    }

    /// The piece is sent for the proxy-acknowledged bytes in it.
    #[inline(always)]
    fn reaches(&self, placed: &Placed) -> bool {
        self.proxy_acknowledged && self.begins(placed)
    }

    /// The bytes of a copied piece to send; `None` where the receiver has acknowledged them all.
    #[inline(always)]
    fn copied(&self, half: &Half, placed: &Placed) -> Option<CopiedRange> {
        let (mut from, mut to) = (placed.edited, placed.edited_end());
        if placed.piece.linear {
            let end = self.end.min(placed.original_end());
            to = placed.edited.advance(end.bytes_after(placed.original));
            if !self.proxy_acknowledged {
                from = from.advance(self.start.bytes_after(placed.original));
            }
        }
        from = from.max(half.una_e);
        if !to.is_after(from) {
            return None;
        }
        let at = plus(placed.copied_before, from.bytes_after(placed.edited));
        Some(CopiedRange { seq: from, at, len: to.bytes_after(from) })
    }

    /// Original `from..to` in the payload of the frame.
    #[inline(always)]
    fn in_frame(&self, from: Seq, to: Seq) -> Payload {
        Payload::Frame(index(from.bytes_after(self.start)), index(to.bytes_after(self.start)))
    }
}

/// `run` and the `range` behind it as one, or the range alone once the run is sent.
#[inline(always)]
fn joined(run: Option<CopiedRange>, range: CopiedRange, out: &mut Outputs) -> CopiedRange {
    match run {
        Some(run) if run.seq.advance(run.len) == range.seq => {
            CopiedRange { len: plus(run.len, range.len), ..run }
        }
        Some(run) => {
            send_copied(run, out);
            range
        }
        None => range,
    }
}

fn send_copied(run: CopiedRange, out: &mut Outputs) {
    out.push_bytes(run.seq, Payload::Copy { at: run.at, len: run.len });
}
