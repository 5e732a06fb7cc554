//! Rules that rewrite values.

use core::mem;

use plan::RuleNo;
use proto::{Editable, Edits, Field, FieldDef, Flags, Kind, Repr, Span};

use super::{PROGRAM, ROUNDS_MAX, Task, Unit, is_touched};
use crate::fused::{Active, Follows, Resume, run};
use crate::outcome::Undecided;
use crate::scratch::{Desk, VALUE_BYTES_MAX};
use crate::value::{NumberForm, Rewrite, append, rewrite};

impl Unit<'_> {
    /// Runs sorted tasks, field by field. Whether anything changed.
    pub(super) fn run_values(&self, tasks: &[Task], desk: &mut Desk) -> Result<bool, Undecided> {
        let mut changed = false;
        for of_field in tasks.chunk_by(|one, other| one.field == other.field) {
            let field =
                of_field.first().and_then(|task| self.fields.items().get(usize::from(task.field)));
            if let Some(field) = field {
                changed |= self.run_field(field, of_field, desk)?;
            }
        }
        Ok(changed)
    }

    /// Runs all rules of one occurrence, again until none has anything to do.
    fn run_field(&self, field: &Field, tasks: &[Task], desk: &mut Desk) -> Result<bool, Undecided> {
        let decoded = field.flags.has(Flags::DECODED);
        desk.value.clear();
        if decoded {
            let text = field.text.of(self.fields.text());
            if !append(text, &mut desk.value) {
                return Err(Undecided::EditsFull);
            }
        } else if !desk.edits.current(self.view.input, field.value, &mut desk.value) {
            // The bytes went away with an edit of a field around them, or of one that shares them.
            return Ok(false);
        }
        let edited = is_touched(field, &desk.edits);
        let form = self.number_form(field, edited);
        let mut form =
            form.unwrap_or(NumberForm { repr: Repr::None, kind: Kind::Bytes, read: None });
        let mut changed = false;
        for _ in 0..ROUNDS_MAX {
            let mut now = false;
            for task in tasks.iter().filter(|task| task.rule != PROGRAM) {
                let step = self.run_rule(task.rule, form, desk)?;
                if step {
                    form.read = None;
                }
                now |= step;
            }
            if tasks.iter().any(|task| task.rule == PROGRAM) {
                let set = tasks.iter().fold(0, |set, task| set | task.set);
                now |= self.run_program(field, set, desk)?;
            }
            changed |= now;
            // With one rule at work a second look finds nothing: every transform keeps its own bound.
            if !now || tasks.len() < 2 {
                break;
            }
        }
        if changed {
            self.write_value(field, decoded, desk)?;
        }
        Ok(changed)
    }

    /// How a number stands in the field's bytes.
    pub(super) fn number_form(&self, field: &Field, edited: bool) -> Option<NumberForm> {
        let def = self.def(field)?;
        let read = (!edited && field.flags.has(Flags::NUMBER)).then_some(field.number);
        Some(NumberForm { repr: def.repr, kind: def.kind, read })
    }

    pub(super) fn def(&self, field: &Field) -> Option<&'static FieldDef> {
        let (id, _) = self.side.wanted.field_of(field.slot);
        self.module.decoder.protocol().def(id)
    }

    fn run_rule(&self, no: RuleNo, form: NumberForm, desk: &mut Desk) -> Result<bool, Undecided> {
        let Some(rule) = self.rule(no) else { return Ok(false) };
        let Desk { value, next, spare, tally, .. } = desk;
        match rewrite(&rule.transform, value, form, next, spare) {
            Rewrite::Unchanged => Ok(false),
            Rewrite::NoRoom => Err(Undecided::EditsFull),
            Rewrite::Impossible => Err(Undecided::RepairImpossible),
            Rewrite::Changed => {
                let (removed, inserted) = difference(value, next);
                tally.edit(rule.patch, removed.len(), inserted.len());
                mem::swap(value, next);
                Ok(true)
            }
        }
    }

    fn run_program(&self, field: &Field, set: u32, desk: &mut Desk) -> Result<bool, Undecided> {
        let program = self.side.index.slot(field.slot).and_then(|slot| slot.program());
        let Some(program) = program else { return Ok(false) };
        let active = Active { program, rules: &self.side.rules, set };
        let Desk { value, work, .. } = desk;
        let ran = run(active, &Resume::default(), value, Follows::Nothing, work);
        if ran.full {
            return Err(Undecided::EditsFull);
        }
        if ran.unchanged {
            return Ok(false);
        }
        self.count_events(desk);
        desk.value.clear();
        if desk.work.text.bytes.len() > VALUE_BYTES_MAX {
            return Err(Undecided::EditsFull);
        }
        desk.value.extend_from_slice(&desk.work.text.bytes);
        Ok(true)
    }

    /// Counts what a program's run did.
    pub(crate) fn count_events(&self, desk: &mut Desk) {
        for event in &desk.work.events {
            if let Some(rule) = self.rule(event.rule) {
                desk.tally.edit(rule.patch, event.removed, event.inserted);
            }
        }
    }

    /// Makes the field's new value an edit.
    fn write_value(&self, field: &Field, decoded: bool, desk: &mut Desk) -> Result<(), Undecided> {
        if decoded {
            desk.next.clear();
            if !self.module.decoder.encode(field.slot, field, &desk.value, &mut desk.next) {
                return Err(Undecided::RepairImpossible);
            }
            mem::swap(&mut desk.value, &mut desk.next);
        }
        self.may_edit(field, field.value, desk.value.len())?;
        let Desk { edits, value, .. } = desk;
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
        let same = usize::try_from(at.len()).is_ok_and(|len| len == new_len);
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

/// Replaces `input[at]` by `new`, sparing what is the same at both ends where no earlier edit is in the way.
fn write_trimmed(input: &[u8], at: Span, new: &[u8], edits: &mut Edits) -> bool {
    let (old, with) = difference(at.of(input), new);
    let start = at.start.saturating_add(old.start);
    let inner = Span { start, end: start.saturating_add(old.len()) };
    let list = edits.list();
    let from = list.partition_point(|edit| edit.at.end < at.start);
    let earlier = list.get(from..).unwrap_or_default();
    let mut earlier = earlier.iter().take_while(|edit| edit.at.start <= at.end);
    // `new` is the whole value as it is now: what was edited before is a part of the difference.
    if earlier.all(|edit| !edit.at.is_empty() && inner.contains(edit.at)) {
        return edits.replace(inner, with.of(new));
    }
    edits.replace(at, new)
}

/// The parts of `old` and `new` between what they have in common at both ends.
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
