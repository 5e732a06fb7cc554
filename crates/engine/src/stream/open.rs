//! Runs rules on fields that come in pieces.

use proto::{Edits, Field, Flags, Span, Step, Transport, View};
use stage::position::{index, len32};

use super::{Rerun, Snapshot, StreamRun};
use crate::conversation::OpenField;
use crate::decide::Unit;
use crate::fused::{ActiveProgram, Follows, ProgramRun, Resume, TracedText, run};
use crate::outcome::Undecided;
use crate::scratch::{Scratch, UnitScratch};

/// Most edits that one piece makes. With more, its changed part is replaced as a whole.
const PIECE_EDITS_MAX: usize = 64;

impl StreamRun<'_> {
    /// Whether a field of the unit is open, or goes on from the unit before.
    pub(super) fn has_pieces(&self) -> bool {
        let piece =
            |field: &Field| field.flags.has(Flags::OPEN) || field.flags.has(Flags::CONTINUES);
        self.scratch.fields.items().iter().any(piece)
    }

    /// Runs the programs of the unit's open fields. Answers how many bytes of the unit are
    /// finished, and why a rule could not be decided. The direction's state is right only if all
    /// bytes are finished.
    pub(super) fn open_fields(
        &mut self,
        view: View<'_>,
        release: bool,
    ) -> (usize, Option<Undecided>) {
        let mut finished = view.input.len();
        let mut undecided = None;
        let count = self.scratch.fields.items().len();
        for at in 0..count {
            let Some(field) = self.scratch.fields.items().get(at).copied() else { break };
            let opens = field.flags.has(Flags::OPEN);
            let continues = field.flags.has(Flags::CONTINUES);
            if !opens && !continues {
                continue;
            }
            if !continues && let Err(why) = self.begin(at, &field, view) {
                undecided = Some(why);
            }
            let follows = match (opens && !view.ended, release) {
                (false, _) => Follows::Nothing,
                (true, true) => Follows::MoreReleased,
                (true, false) => Follows::More,
            };
            match self.piece(&field, view, follows) {
                Ok(bytes) => finished = finished.min(bytes),
                Err(why) => {
                    // The rest of the field goes on unedited.
                    self.direction.close(field.slot);
                    self.scratch.unit_scratch.edits.clear();
                    self.scratch.unit_scratch.hit_log.abandon();
                    return (view.input.len(), Some(why));
                }
            }
            if !opens {
                self.direction.close(field.slot);
            }
        }
        (finished, undecided)
    }

    /// Opens a field, and evaluates which of its rules are active.
    fn begin(&mut self, at: usize, field: &Field, view: View<'_>) -> Result<(), Undecided> {
        self.direction.close(field.slot);
        let slot = self.direction_rules.index.slot(field.slot);
        if slot.is_none_or(|slot| slot.program().is_none()) {
            return Ok(());
        }
        let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
        let (module, direction_rules, peer) = (self.module, self.direction_rules, self.peer);
        let unit = Unit { module, direction_rules, transport: Transport::Tcp, view, fields, peer };
        let (set, unknown) = unit.active_set(at, field, unit_scratch);
        let open = OpenField { slot: field.slot, set, resume: Resume::default() };
        if !self.direction.add_open(open) {
            return Err(Undecided::FieldsOverflowed);
        }
        if unknown { Err(Undecided::UnitTooLong) } else { Ok(()) }
    }

    /// Runs one piece of one field. Answers where in the unit its finished bytes end.
    fn piece(
        &mut self,
        field: &Field,
        view: View<'_>,
        follows: Follows,
    ) -> Result<usize, Undecided> {
        let all = view.input.len();
        let program = self.direction_rules.index.slot(field.slot).and_then(|slot| slot.program());
        let (Some(program), Some(open)) = (program, self.direction.open_field(field.slot)) else {
            return Ok(all);
        };
        let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
        let active = ActiveProgram { program, rules: &self.direction_rules.rules, set: open.set };
        let raw = field.value.of(view.input);
        let nested = unit_scratch.edits.list().iter().any(|edit| edit.at.overlaps(field.value));
        let mut follows = follows;
        if nested {
            // A field inside this one was edited. The program works on the edited bytes, which
            // nobody can hold back any more.
            unit_scratch.value.clear();
            if !unit_scratch.edits.current(view.input, field.value, &mut unit_scratch.value) {
                return Err(Undecided::EditsFull);
            }
            if follows == Follows::More {
                follows = Follows::MoreReleased;
            }
        }
        let bytes = if nested { unit_scratch.value.as_slice() } else { raw };
        let ProgramRun { decided, resume, unchanged, full } =
            run(active, &open.resume, bytes, follows, &mut unit_scratch.program_scratch);
        if full {
            return Err(Undecided::EditsFull);
        }
        open.resume = resume;
        let finished = nested || decided == bytes.len();
        if !unchanged {
            if field.flags.has(Flags::MAC_COVERED) {
                return Err(Undecided::RepairImpossible);
            }
            let (module, direction_rules, peer) = (self.module, self.direction_rules, self.peer);
            let unit =
                Unit { module, direction_rules, transport: Transport::Tcp, view, fields, peer };
            unit.may_edit(
                field,
                Span::new(0, decided),
                unit_scratch.program_scratch.text.bytes.len(),
            )?;
            unit.count_events(unit_scratch);
            let place =
                if nested { Piece::Nested } else { Piece::Raw(raw.get(..decided).unwrap_or(raw)) };
            let written = write(field, place, unit_scratch);
            if !written {
                return Err(Undecided::EditsFull);
            }
        }
        if finished {
            return Ok(all);
        }
        Ok(field.value.range().start.saturating_add(decided))
    }

    /// The unit is decided only up to `decided`: reads and runs that much of it again, for good.
    pub(super) fn rerun(
        &mut self,
        view: View<'_>,
        rest: &[u8],
        decided: usize,
        before: &Snapshot,
    ) -> Rerun {
        self.scratch.unit_scratch.hit_log.abandon();
        if decided == 0 {
            return Rerun::Pending;
        }
        self.restore(before);
        self.direction.need = None;
        let part = view.input.get(..decided).unwrap_or_default();
        let (step, view) = self.ask(part, rest, true);
        let Step::Unit { bytes, last: false, .. } = step else { return Rerun::Pending };
        if bytes != decided {
            return Rerun::Pending;
        }
        self.direction.inside_field = self.is_open();
        self.direction.inside_message = true;
        let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
        let (module, direction_rules, peer) = (self.module, self.direction_rules, self.peer);
        let unit = Unit { module, direction_rules, transport: Transport::Tcp, view, fields, peer };
        let undecided = crate::decide::decide(unit, unit_scratch).undecided;
        let (_, of_open_fields) = self.open_fields(view, true);
        Rerun::Done(of_open_fields.or(undecided))
    }
}

/// The bytes that a program ran over.
enum Piece<'a> {
    /// Bytes of the unit.
    Raw(&'a [u8]),
    /// The field as edits inside it have left it.
    Nested,
}

/// Writes the output of the program over a piece of `field` as edits.
#[inline(always)]
fn write(field: &Field, piece: Piece<'_>, scratch: &mut UnitScratch) -> bool {
    let UnitScratch { edits, program_scratch, .. } = scratch;
    let text = &program_scratch.text;
    match piece {
        Piece::Raw(piece) => write_difference(field.value.start, piece, text, edits),
        Piece::Nested => edits.replace(field.value, &text.bytes),
    }
}

/// Writes the difference between a piece and its output as edits from `start` of the unit on.
fn write_difference(start: u32, piece: &[u8], text: &TracedText, edits: &mut Edits) -> bool {
    let count = changes(piece, text, |_, _, _| true);
    if count.is_some_and(|count| count <= PIECE_EDITS_MAX) {
        let write = |from: u32, to: u32, new: &[u8]| {
            let at = Span { start: start.saturating_add(from), end: start.saturating_add(to) };
            edits.replace(at, new)
        };
        return changes(piece, text, write).is_some();
    }
    let (old, new) = crate::decide::difference(piece, &text.bytes);
    let from = start.saturating_add(old.start);
    edits.replace(Span { start: from, end: from.saturating_add(old.len()) }, new.of(&text.bytes))
}

/// Calls `each` with every changed range `from..to` of the piece and its new bytes. Answers how
/// many there are, or `None` if `each` refused one.
fn changes(
    piece: &[u8],
    text: &TracedText,
    mut each: impl FnMut(u32, u32, &[u8]) -> bool,
) -> Option<usize> {
    let mut count = 0_usize;
    // The first byte of the piece, and the first new byte, that belong to no range yet.
    let mut next = 0_u32;
    let mut new_from = 0_usize;
    let end = len32(piece.len());
    let sentinel = [(end, None)];
    let bytes = text.origin.iter().zip(&text.bytes).map(|(&origin, &byte)| (origin, Some(byte)));
    for (place, (origin, byte)) in bytes.chain(sentinel).enumerate() {
        let original = piece.get(index(origin)).copied();
        let kept = origin >= next && original == byte;
        if !kept {
            continue;
        }
        if origin > next || place > new_from {
            let new = text.bytes.get(new_from..place).unwrap_or_default();
            if !each(next, origin, new) {
                return None;
            }
            count = count.saturating_add(1);
        }
        next = origin.saturating_add(1);
        new_from = place.saturating_add(1);
    }
    Some(count)
}
