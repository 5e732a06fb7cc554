//! What the stage decides becomes pieces of the sequence map and bytes of the copy.
//!
//! Holds:     [`Assembler::decide`], which asks the stage until the input is used up or has to wait.
//! Promises:  pieces and copy always agree: the copied pieces' edited bytes are exactly the bytes of the copy.
//! Never:     sends, or moves what waits: that is for the caller, once all is decided.

use crate::assembler::Assembler;
use crate::blocks::len32;
use crate::half::Facts;
use crate::limits::STAGE_TURNS_MAX;
use crate::seq_map::EditKind;
use stage::{ConnectionEnd, Deadline, HoldKind, InspectContext, Next, Stage};

/// What a run of the stage decided.
pub(crate) struct StageDecision {
    /// So much of the input is decided.
    pub(crate) at: usize,
    pub(crate) edited: bool,
    pub(crate) hold: Option<HoldKind>,
    /// The rest of the input is in the tail.
    pub(crate) passed: bool,
    pub(crate) close: bool,
}

/// The edited bytes could not be kept.
pub(crate) struct CopyFailed;

/// A range of a frame that is skipped is copied like an inspected one up to this length, so that the frame stays one.
const SKIPPED_COPY_BYTES_MAX: usize = 4_096;

impl<S: Stage> Assembler<'_, S> {
    /// Asks the stage until it has decided about the input, or holds.
    pub(crate) fn decide(
        &mut self,
        input: &[u8],
        mut held: usize,
        ended: bool,
        deadline: Deadline,
        from_frame: bool,
    ) -> Result<StageDecision, CopyFailed> {
        let mut decision =
            StageDecision { at: 0, edited: false, hold: None, passed: false, close: false };
        for turn in 0.. {
            let rest = input.get(decision.at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let skip_left = self.half.skip_left();
            if skip_left > 0 {
                let whole = skip_left >= u64::try_from(rest.len()).unwrap_or(u64::MAX);
                let discard = self.half.is(Facts::DISCARD);
                if !discard && whole && from_frame && rest.len() > SKIPPED_COPY_BYTES_MAX {
                    decision.passed = true;
                    break;
                }
                let bytes = if whole {
                    rest.len()
                } else {
                    usize::try_from(skip_left).unwrap_or(rest.len())
                };
                let range = rest.get(..bytes).unwrap_or_default();
                if discard {
                    decision.edited = true;
                    self.commit_edit(range.len(), &[])?;
                } else {
                    self.commit_same(range)?;
                }
                self.half.skip(u64::try_from(bytes).unwrap_or(u64::MAX));
                if self.half.skip_left() == 0 {
                    self.half.drop_fact(Facts::DISCARD);
                }
                decision.at = decision.at.saturating_add(bytes);
                continue;
            }
            if turn >= STAGE_TURNS_MAX {
                decision.hold = Some(HoldKind::PartialMatch);
                break;
            }
            let reverse = self.other.reverse_state(self.stores);
            let context = InspectContext { held, ended, deadline, reverse };
            let answer = self.stage.inspect(self.direction, rest, context);
            let decided = answer.decided.min(rest.len());
            let front = rest.get(..decided).unwrap_or_default();
            if answer.end == ConnectionEnd::Reset {
                decision.close = true;
                break;
            }
            decision.edited |= self.commit(front)?;
            decision.at = decision.at.saturating_add(decided);
            if answer.answer {
                self.other.put_answer(self.stores, self.stage.answer())?;
            }
            if answer.end == ConnectionEnd::Finished {
                self.other.finish();
                self.skip(u64::MAX, true);
                continue;
            }
            // What is left over and not held again counts as just come.
            held = 0;
            match answer.next {
                Next::Skip { bytes, discard } if bytes > 0 => self.skip(bytes, discard),
                Next::SkipRest { discard } => self.skip(u64::MAX, discard),
                Next::Skip { .. } | Next::Inspect if decided > 0 => {}
                Next::Hold(kind) if !ended || kind == HoldKind::Answers => {
                    decision.hold = Some(kind);
                    break;
                }
                Next::Hold(_) => {
                    // Nothing follows that could release it.
                    let left = input.get(decision.at..).unwrap_or_default();
                    self.commit_same(left)?;
                    decision.at = input.len();
                }
                Next::Skip { .. } | Next::Inspect => {
                    decision.hold = Some(HoldKind::PartialMatch);
                    break;
                }
            }
        }
        Ok(decision)
    }

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
        // Bytes inserted before the first original one wait for it.
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
            let original = len32(end.saturating_sub(start));
            if original > 0 {
                let became = with.saturating_add(before);
                if !buffers.map.push_edit(original, became) {
                    return Err(CopyFailed);
                }
                self.step(original, became);
                before = 0;
            } else if start == 0 || before > 0 {
                before = before.saturating_add(with);
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

    /// Commits bytes that stay as they are, behind `before` inserted ones. Answers how many inserted ones still wait.
    fn commit_after(&mut self, before: u32, same: &[u8]) -> Result<u32, CopyFailed> {
        let Some((first, rest)) = same.split_first_chunk::<1>().filter(|_| before > 0) else {
            self.commit_same(same)?;
            return Ok(before);
        };
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(CopyFailed);
        };
        let became = before.saturating_add(1);
        if !buffers.copy.push(pool, first) || !buffers.map.push_edit(1, became) {
            return Err(CopyFailed);
        }
        self.step(1, became);
        self.commit_same(rest)?;
        Ok(0)
    }

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

    /// `original` bytes (at least one) become `with`.
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
