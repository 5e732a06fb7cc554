//! Follows the steps in which the decoder yields no unit: it skips bytes, needs more, or cannot
//! read on.

use core::ops::ControlFlow;

use proto::{Need, Span, View};
use stage::{HoldKind, Next};

use super::{Snapshot, StreamRun};
use crate::outcome::{StreamResult, Undecided};

impl StreamRun<'_> {
    /// The decoder need not see the next `bytes` bytes.
    #[inline]
    pub(super) fn skip(
        &mut self,
        bytes: u64,
        last: bool,
        at: usize,
        rest: &[u8],
        before: &Snapshot,
    ) -> ControlFlow<StreamResult, usize> {
        let discard = self.direction.discarding && self.enforces();
        self.direction.inside_message = !last;
        self.direction.discarding &= !last;
        let here = usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len());
        let end = at.saturating_add(here);
        if discard && !self.scratch.edits.delete(Span::new(at, end)) {
            self.restore(before);
            return ControlFlow::Break(self.done(at, Next::Inspect));
        }
        let beyond = bytes.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        if beyond > 0 {
            return ControlFlow::Break(self.done(end, Next::Skip { bytes: beyond, discard }));
        }
        ControlFlow::Continue(end)
    }

    /// The decoder need not see the rest of the half-stream.
    #[inline]
    pub(super) fn skip_rest(&mut self, at: usize, rest: &[u8], before: &Snapshot) -> StreamResult {
        let end = at.saturating_add(rest.len());
        let discard = self.direction.discarding && self.enforces();
        if discard && !self.scratch.edits.delete(Span::new(at, end)) {
            self.restore(before);
            return self.done(at, Next::Inspect);
        }
        self.done(end, Next::SkipRest { discard })
    }

    /// The decoder needs more bytes than `view`, the beginning of `rest`.
    #[inline]
    pub(super) fn more(
        &mut self,
        need: Need,
        at: usize,
        view: View<'_>,
        rest: &[u8],
    ) -> ControlFlow<StreamResult, usize> {
        let end = at.saturating_add(rest.len());
        if self.ended && view.input.len() == rest.len() {
            // Nobody can act on a unit that will never be complete.
            let discard = self.direction.discarding && self.enforces();
            if discard && !self.scratch.edits.delete(Span::new(at, end)) {
                return ControlFlow::Break(self.done(at, Next::Inspect));
            }
            return ControlFlow::Continue(end);
        }
        ControlFlow::Break(if self.overdue && self.enforces() {
            self.undecided = Some(Undecided::UnitTooSlow);
            self.close(at)
        } else if !self.overdue && !self.too_long(view.input.len()) {
            self.direction.wait_for(need);
            self.done(at, Next::Hold(HoldKind::Unit))
        } else {
            self.give_up(Undecided::UnitTooLong, at, end)
        })
    }

    /// The rest of the half-stream cannot be read.
    pub(super) fn give_up(&mut self, why: Undecided, at: usize, end: usize) -> StreamResult {
        if self.undecided(why) {
            return self.close(at);
        }
        self.direction.given_up = true;
        self.done(end, Next::SkipRest { discard: false })
    }
}
