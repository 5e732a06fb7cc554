//! Rules that take elements away: whole header lines, records, options, list items.

use plan::{Rule, RuleNo, Transform};
use proto::{Field, Span};
use stage::position::len32;

use super::{Unit, is_touched};
use crate::outcome::Undecided;
use crate::scratch::UnitScratch;

impl Unit<'_> {
    /// Runs the element rules that were collected, in rule order.
    pub(super) fn run_elements(&self, scratch: &mut UnitScratch) -> Result<(), Undecided> {
        let elements = core::mem::take(&mut scratch.elements);
        let mut result = Ok(());
        for of_rule in elements.chunk_by(|(one, _), (other, _)| one == other) {
            let rule = of_rule.first().and_then(|&(no, _)| self.rule(no));
            if let Some(rule) = rule {
                result = self.run_element_rule(rule, of_rule, scratch);
            }
            if result.is_err() {
                break;
            }
        }
        scratch.elements = elements;
        scratch.elements.clear();
        result
    }

    fn run_element_rule(
        &self,
        rule: &Rule,
        occurrences: &[(RuleNo, u16)],
        scratch: &mut UnitScratch,
    ) -> Result<(), Undecided> {
        let fields = self.fields.items();
        if let Transform::Dedupe { keep_last } = rule.transform {
            return self.dedupe(rule, occurrences, keep_last, scratch);
        }
        if matches!(rule.transform, Transform::Discard) {
            // The first occurrence takes the rest of the unit, so nothing is left for the others.
            let first = occurrences.first().and_then(|&(_, at)| fields.get(usize::from(at)));
            let Some(field) = first else { return Ok(()) };
            let rest = Span::new(field.element.range().end, self.view.input.len());
            return if rest.is_empty() { Ok(()) } else { self.remove(rule, field, rest, scratch) };
        }
        // `remove` keeps none.
        let mut keep = 0;
        if let Transform::KeepFirst { count } = rule.transform {
            keep = count;
        }
        for &(_, at) in occurrences {
            let Some(field) = fields.get(usize::from(at)) else { continue };
            if is_gone(field.element, scratch) {
                continue;
            }
            match keep.checked_sub(1) {
                Some(left) => keep = left,
                None => self.remove(rule, field, field.element, scratch)?,
            }
        }
        Ok(())
    }

    fn remove(
        &self,
        rule: &Rule,
        field: &Field,
        at: Span,
        scratch: &mut UnitScratch,
    ) -> Result<(), Undecided> {
        if is_gone(at, scratch) {
            return Ok(());
        }
        self.may_edit(field, at, 0)?;
        scratch.hit_log.edit(rule.patch, at.len(), 0);
        if scratch.edits.delete(at) { Ok(()) } else { Err(Undecided::EditsFull) }
    }

    /// Removes elements with equal values. It sorts the values' hashes, so that 2,000 elements do
    /// not cost 2,000 times 2,000 comparisons.
    fn dedupe(
        &self,
        rule: &Rule,
        occurrences: &[(RuleNo, u16)],
        keep_last: bool,
        scratch: &mut UnitScratch,
    ) -> Result<(), Undecided> {
        scratch.keys.clear();
        for &(_, at) in occurrences {
            let Some(field) = self.fields.items().get(usize::from(at)) else { continue };
            if is_gone(field.element, scratch) || scratch.keys.len() >= proto::limits::FIELDS_MAX {
                continue;
            }
            scratch.value.clear();
            let touched = is_touched(field, &scratch.edits)
                && scratch.edits.current(self.view.input, field.value, &mut scratch.value);
            let value = if touched {
                scratch.value.as_slice()
            } else {
                self.fields.value_of(field, self.view.input)
            };
            let len = len32(value.len());
            scratch.keys.push((hash(value), len, at));
        }
        let mut keys = core::mem::take(&mut scratch.keys);
        keys.sort_unstable();
        let mut result = Ok(());
        for same in keys.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let kept = if keep_last { same.len().saturating_sub(1) } else { 0 };
            for (place, &(.., at)) in same.iter().enumerate() {
                if place == kept || result.is_err() {
                    continue;
                }
                if let Some(field) = self.fields.items().get(usize::from(at)) {
                    result = self.remove(rule, field, field.element, scratch);
                }
            }
        }
        keys.clear();
        scratch.keys = keys;
        result
    }
}

/// Whether the range was deleted already.
fn is_gone(at: Span, scratch: &UnitScratch) -> bool {
    let list = scratch.edits.list();
    let from = list.partition_point(|edit| edit.at.end < at.end);
    list.get(from)
        .is_some_and(|edit| edit.with.is_empty() && !edit.at.is_empty() && edit.at.contains(at))
}

/// FNV-1a without ASCII case.
fn hash(value: &[u8]) -> u64 {
    value.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}
