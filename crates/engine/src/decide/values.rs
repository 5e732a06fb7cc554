//! Rules that rewrite values.

use core::mem;
use stage::position::index;

use plan::RuleNo;
use plan::index::{Program, SlotIndex};
use proto::{Editable, Edits, Field, FieldDef, FieldKind, Flags, Repr, Span};

use super::{PROGRAM, ROUNDS_MAX, Unit, ValueTask, is_touched};
use crate::fused::{ActiveProgram, Follows, Resume, run};
use crate::outcome::Undecided;
use crate::scratch::{UnitScratch, VALUE_BYTES_MAX};
use crate::value::{NumberForm, Rewrite, append, rewrite};

impl<'a> Unit<'a> {
    /// Runs sorted tasks, field by field. Answers whether anything changed.
    pub(super) fn run_values(
        &self,
        tasks: &[ValueTask],
        scratch: &mut UnitScratch,
    ) -> Result<bool, Undecided> {
        let mut changed = false;
        for of_field in tasks.chunk_by(|one, other| one.field == other.field) {
            let field =
                of_field.first().and_then(|task| self.fields.items().get(usize::from(task.field)));
            if let Some(field) = field {
                changed |= self.run_field(field, of_field, scratch)?;
            }
        }
        Ok(changed)
    }

    /// Runs all rules of one occurrence, again until none changes anything.
    fn run_field(
        &self,
        field: &Field,
        tasks: &[ValueTask],
        scratch: &mut UnitScratch,
    ) -> Result<bool, Undecided> {
        let decoded = field.flags.has(Flags::DECODED);
        scratch.value.clear();
        if decoded {
            let text = field.text.of(self.fields.text());
            if !append(text, &mut scratch.value) {
                return Err(Undecided::EditsFull);
            }
        } else if !scratch.edits.current(self.view.input, field.value, &mut scratch.value) {
            // An edit of a field around it, or of one that shares its bytes, has deleted them.
            return Ok(false);
        }
        let edited = is_touched(field, &scratch.edits);
        let form = self.number_form(field, edited);
        let mut form =
            form.unwrap_or(NumberForm { repr: Repr::None, kind: FieldKind::Bytes, read: None });
        let mut changed = false;
        for _ in 0..ROUNDS_MAX {
            let mut now = false;
            for task in tasks.iter().filter(|task| task.rule != PROGRAM) {
                let step = self.run_rule(task.rule, field, form, scratch)?;
                if step {
                    form.read = None;
                }
                now |= step;
            }
            if tasks.iter().any(|task| task.rule == PROGRAM) {
                let set = tasks.iter().fold(0, |set, task| set | task.set);
                if let Some(program) = self.slot_index(field).and_then(SlotIndex::program) {
                    now |= self.run_program(program, set, scratch)?;
                }
            }
            changed |= now;
            // A single rule finds nothing the second time: every transform keeps its own bound.
            if !now || tasks.len() < 2 {
                break;
            }
        }
        if changed {
            self.write_value(field, decoded, scratch)?;
        }
        Ok(changed)
    }

    fn slot_index(&self, field: &Field) -> Option<&'a SlotIndex> {
        self.direction_rules.index.slot(field.slot)
    }

    /// How the field's bytes represent a number.
    pub(super) fn number_form(&self, field: &Field, edited: bool) -> Option<NumberForm> {
        let def = self.def(field)?;
        let read = (!edited && field.flags.has(Flags::NUMBER)).then_some(field.number);
        Some(NumberForm { repr: def.repr, kind: def.kind, read })
    }

    pub(super) fn def(&self, field: &Field) -> Option<&'static FieldDef> {
        let (id, _) = self.direction_rules.wanted.field_of(field.slot);
        self.module.decoder.protocol().def(id)
    }

    fn run_rule(
        &self,
        no: RuleNo,
        field: &Field,
        form: NumberForm,
        scratch: &mut UnitScratch,
    ) -> Result<bool, Undecided> {
        let Some(rule) = self.rule(no) else { return Ok(false) };
        if let Some(program) = self.slot_index(field).and_then(|slot| slot.program_of(no)) {
            return self.run_program(program, 0, scratch);
        }
        let UnitScratch { value, next, spare, hit_log, .. } = scratch;
        match rewrite(&rule.transform, value, form, next, spare) {
            Rewrite::Unchanged => Ok(false),
            Rewrite::NoRoom => Err(Undecided::EditsFull),
            Rewrite::Impossible => Err(Undecided::RepairImpossible),
            Rewrite::Changed => {
                let (removed, inserted) = difference(value, next);
                hit_log.edit(rule.patch, removed.len(), inserted.len());
                mem::swap(value, next);
                Ok(true)
            }
        }
    }

    fn run_program(
        &self,
        program: &Program,
        set: u32,
        scratch: &mut UnitScratch,
    ) -> Result<bool, Undecided> {
        let active = ActiveProgram { program, rules: &self.direction_rules.rules, set };
        let UnitScratch { value, program_scratch: work, .. } = scratch;
        let ran = run(active, &Resume::default(), value, Follows::Nothing, work);
        if ran.full {
            return Err(Undecided::EditsFull);
        }
        if ran.unchanged {
            return Ok(false);
        }
        self.count_events(scratch);
        scratch.value.clear();
        if scratch.program_scratch.text.bytes.len() > VALUE_BYTES_MAX {
            return Err(Undecided::EditsFull);
        }
        scratch.value.extend_from_slice(&scratch.program_scratch.text.bytes);
        Ok(true)
    }

    /// Counts the edits of a program's run.
    pub(crate) fn count_events(&self, scratch: &mut UnitScratch) {
        for event in &scratch.program_scratch.events {
            if let Some(rule) = self.rule(event.rule) {
                scratch.hit_log.edit(rule.patch, event.removed, event.inserted);
            }
        }
    }

    /// Writes the field's new value as an edit.
    fn write_value(
        &self,
        field: &Field,
        decoded: bool,
        scratch: &mut UnitScratch,
    ) -> Result<(), Undecided> {
        if decoded {
            scratch.next.clear();
            if !self.module.decoder.encode(field.slot, field, &scratch.value, &mut scratch.next) {
                return Err(Undecided::RepairImpossible);
            }
            mem::swap(&mut scratch.value, &mut scratch.next);
        }
        self.may_edit(field, field.value, scratch.value.len())?;
        let UnitScratch { edits, value, .. } = scratch;
        if write_trimmed(self.view.input, field.value, value, edits) {
            Ok(())
        } else {
            Err(Undecided::EditsFull)
        }
    }

    /// Whether `at` of the field may become `new_len` bytes.
    pub(crate) fn may_edit(
        &self,
        field: &Field,
        at: Span,
        new_len: usize,
    ) -> Result<(), Undecided> {
        let editable = self.def(field).map_or(Editable::No, |def| def.editable);
        let same = index(at.len()) == new_len;
        let allowed = match editable {
            Editable::Freely => true,
            Editable::SameLength => same,
            Editable::No => false,
        };
        if allowed && !field.flags.has(Flags::MAC_COVERED) {
            Ok(())
        } else {
            Err(Undecided::RepairImpossible)
        }
    }
}

/// Replaces `input[at]` by `new`. Equal bytes at both ends stay untouched where no earlier edit is
/// in the way.
fn write_trimmed(input: &[u8], at: Span, new: &[u8], edits: &mut Edits) -> bool {
    let (old, with) = difference(at.of(input), new);
    let start = at.start.saturating_add(old.start);
    let inner = Span { start, end: start.saturating_add(old.len()) };
    let list = edits.list();
    let from = list.partition_point(|edit| edit.at.end < at.start);
    let earlier = list.get(from..).unwrap_or_default();
    let mut earlier = earlier.iter().take_while(|edit| edit.at.start <= at.end);
    // `new` is the whole present value, so the difference includes the earlier edits.
    if earlier.all(|edit| !edit.at.is_empty() && inner.contains(edit.at)) {
        return edits.replace(inner, with.of(new));
    }
    edits.replace(at, new)
}

/// The ranges of `old` and `new` between their common beginning and their common end.
pub(crate) fn difference(old: &[u8], new: &[u8]) -> (Span, Span) {
    let (old_blocks, new_blocks) = (old.as_chunks::<16>().0, new.as_chunks::<16>().0);
    let blocks = old_blocks.iter().zip(new_blocks).take_while(|(old, new)| old == new).count();
    let head = blocks.wrapping_mul(16);
    let old_tail = old.get(head..).unwrap_or_default();
    let new_tail = new.get(head..).unwrap_or_default();
    let more = old_tail.iter().zip(new_tail).take_while(|(old, new)| old == new).count();
    let head = head.wrapping_add(more);
    let (old_rest, new_rest) =
        (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    (
        Span::new(head, old.len().saturating_sub(tail)),
        Span::new(head, new.len().saturating_sub(tail)),
    )
}
