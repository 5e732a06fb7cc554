//! Turns the decisions of the stage into pieces of the sequence map and bytes of the copy.
//!
//! Holds:     [`Assembler::decide`], which asks the stage until the input is used up or has to
//!            wait.
//! Promises:  pieces and copy always agree: the edited bytes of the copied pieces are exactly the
//!            bytes of the copy.
//! Never:     sends, or moves the bytes that wait: its caller does, once everything is decided.

use crate::assembler::{Assembler, Front, InputSource};
use crate::half::Facts;
use crate::limits::STAGE_TURNS_MAX;
use crate::seq_map::EditKind;
use stage::position::{len32, minus, plus};
use stage::{ConnectionEnd, HoldKind, InspectContext, Inspected, Next, Stage};

/// What the stage has decided about a front.
pub(crate) struct StageDecision {
    /// So many bytes of it are decided.
    pub(crate) at: usize,
    pub(crate) edited: bool,
    pub(crate) hold: Option<HoldKind>,
    /// The rest of it is in the tail.
    pub(crate) passed: bool,
    pub(crate) close: bool,
}

/// The edited bytes could not be kept.
pub(crate) struct CopyFailed;

/// Whether there is more to decide.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    NoFurther,
}

/// A range of a frame that is skipped is copied like an inspected one up to this length, so that
/// the frame stays one.
const SKIPPED_COPY_BYTES_MAX: usize = 4_096;

impl<S: Stage> Assembler<'_, S> {
    /// Asks the stage until it has decided about the front, or holds.
    pub(crate) fn decide(&mut self, front: Front<'_>) -> Result<StageDecision, CopyFailed> {
        let mut decision =
            StageDecision { at: 0, edited: false, hold: None, passed: false, close: false };
        let mut held = front.held;
        for turn in 0.. {
            let rest = front.bytes.get(decision.at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            if self.half.skip_left() > 0 {
                if self.decide_skipped(rest, front.source, &mut decision)? == Goes::NoFurther {
                    break;
                }
                continue;
            }
            if turn >= STAGE_TURNS_MAX {
                decision.hold = Some(HoldKind::PartialMatch);
                break;
            }
            let reverse = self.other.reverse_state(self.stores);
            let (ended, deadline) = (front.ended, front.deadline);
            let context = InspectContext { held, ended, deadline, reverse };
            let inspected = self.stage.inspect(self.direction, rest, context);
            if self.apply(rest, inspected, ended, &mut decision)? == Goes::NoFurther {
                break;
            }
            // Bytes that are left over and not held again count as just come.
            held = 0;
        }
        Ok(decision)
    }

    /// Decides about bytes that the stage need not see: they stay as they are, or are deleted.
    #[inline(always)]
    fn decide_skipped(
        &mut self,
        rest: &[u8],
        source: InputSource,
        decision: &mut StageDecision,
    ) -> Result<Goes, CopyFailed> {
        let from_frame = matches!(source, InputSource::Frame(_));
        let discard = self.half.is(Facts::DISCARD);
        let bytes = usize::try_from(self.half.skip_left()).unwrap_or(usize::MAX).min(rest.len());
        let whole = bytes == rest.len();
        if !discard && whole && from_frame && rest.len() > SKIPPED_COPY_BYTES_MAX {
            decision.passed = true;
            return Ok(Goes::NoFurther);
        }
        let range = rest.get(..bytes).unwrap_or_default();
        if discard {
            decision.edited = true;
            self.commit_edit(range.len(), &[])?;
        } else {
            self.commit_same(range)?;
        }
        self.half.skip(u64::from(len32(bytes)));
        if self.half.skip_left() == 0 {
            self.half.drop_fact(Facts::DISCARD);
        }
        decision.at = plus(decision.at, bytes);
        Ok(Goes::On)
    }

    /// Commits the answer of the stage about `rest`.
    #[inline(always)]
    fn apply(
        &mut self,
        rest: &[u8],
        inspected: Inspected,
        ended: bool,
        decision: &mut StageDecision,
    ) -> Result<Goes, CopyFailed> {
        if inspected.end == ConnectionEnd::Reset {
            decision.close = true;
            return Ok(Goes::NoFurther);
        }
        let decided = inspected.decided.min(rest.len());
        let (front, left) = rest.split_at_checked(decided).unwrap_or((rest, &[]));
        decision.edited |= self.commit(front)?;
        decision.at = plus(decision.at, decided);
        if inspected.answer {
            self.other.put_answer(self.stores, self.stage.answer())?;
        }
        if inspected.end == ConnectionEnd::Finished {
            self.other.finish();
            self.skip(u64::MAX, true);
            return Ok(Goes::On);
        }
        match inspected.next {
            Next::Skip { bytes, discard } if bytes > 0 => self.skip(bytes, discard),
            Next::SkipRest { discard } => self.skip(u64::MAX, discard),
            Next::Skip { .. } | Next::Inspect if decided > 0 => {}
            Next::Hold(kind) if !ended || kind == HoldKind::Answers => {
                decision.hold = Some(kind);
                return Ok(Goes::NoFurther);
            }
            Next::Hold(_) => {
                // Nothing follows that could release it.
                self.commit_same(left)?;
                decision.at = plus(decision.at, left.len());
            }
            Next::Skip { .. } | Next::Inspect => {
                decision.hold = Some(HoldKind::PartialMatch);
                return Ok(Goes::NoFurther);
            }
        }
        Ok(Goes::On)
    }

    /// The stage need not see the next `bytes` bytes; `discard`: they are deleted.
    fn skip(&mut self, bytes: u64, discard: bool) {
        self.half.set_skip_left(bytes);
        if discard {
            self.half.note(Facts::DISCARD);
        } else {
            self.half.drop_fact(Facts::DISCARD);
        }
        if self.half.is(Facts::FIN_SEEN) && !discard {
            let to_end = u64::from(self.half.fin_o.bytes_after(self.half.next_o));
            self.half.set_skip_left(bytes.min(to_end));
        }
    }

    /// Commits `front` with the stage's edits applied. Answers whether there were any.
    fn commit(&mut self, front: &[u8]) -> Result<bool, CopyFailed> {
        let mut at = 0_usize;
        let mut edited = false;
        // Bytes that were inserted before the first original byte wait for it.
        let mut before = 0_u32;
        for nth in 0.. {
            let Some(edit) = self.stage.edit(nth) else { break };
            if edit.end > front.len() || edit.start < at || edit.end < edit.start {
                break;
            }
            let (start, end) = (edit.start, edit.end);
            let with = len32(edit.with.len());
            let same = front.get(at..start).unwrap_or_default();
            before = self.commit_after(before, same)?;
            let Some(edit) = self.stage.edit(nth) else { break };
            let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
                return Err(CopyFailed);
            };
            if !buffers.copy.push(pool, edit.with) {
                return Err(CopyFailed);
            }
            edited = true;
            let original = len32(minus(end, start));
            if original > 0 {
                let became = plus(with, before);
                if !buffers.map.push_edit(original, became) {
                    return Err(CopyFailed);
                }
                self.step(original, became);
                before = 0;
            } else if start == 0 || before > 0 {
                before = plus(before, with);
            } else {
                if !buffers.map.insert_behind(with) {
                    return Err(CopyFailed);
                }
                self.step(0, with);
            }
            at = end;
        }
        let rest = front.get(at..).unwrap_or_default();
        if self.commit_after(before, rest)? > 0 {
            // An insertion without a byte to belong to: the stage decided about nothing.
            return Err(CopyFailed);
        }
        Ok(edited)
    }

    /// Commits bytes that stay as they are, behind `before` inserted ones. Answers how many
    /// inserted ones still wait.
    fn commit_after(&mut self, before: u32, same: &[u8]) -> Result<u32, CopyFailed> {
        let Some((first, rest)) = same.split_first_chunk::<1>().filter(|_| before > 0) else {
            self.commit_same(same)?;
            return Ok(before);
        };
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(CopyFailed);
        };
        let became = plus(before, 1);
        if !buffers.copy.push(pool, first) || !buffers.map.push_edit(1, became) {
            return Err(CopyFailed);
        }
        self.step(1, became);
        self.commit_same(rest)?;
        Ok(0)
    }

    /// Commits bytes that stay as they are.
    fn commit_same(&mut self, bytes: &[u8]) -> Result<(), CopyFailed> {
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(CopyFailed);
        };
        let len = len32(bytes.len());
        if !buffers.copy.push(pool, bytes) || !buffers.map.push_linear(EditKind::Copied, len) {
            return Err(CopyFailed);
        }
        self.step(len, len);
        Ok(())
    }

    /// Commits that `original` bytes (at least one) become `with`.
    fn commit_edit(&mut self, original: usize, with: &[u8]) -> Result<(), CopyFailed> {
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(CopyFailed);
        };
        let (original, edited) = (len32(original), len32(with.len()));
        if original == 0
            || !buffers.copy.push(pool, with)
            || !buffers.map.push_edit(original, edited)
        {
            return Err(CopyFailed);
        }
        self.step(original, edited);
        Ok(())
    }

    fn step(&mut self, original: u32, edited: u32) {
        self.half.next_o = self.half.next_o.advance(original);
        self.half.next_e = self.half.next_e.advance(edited);
    }
}
