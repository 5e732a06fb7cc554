//! Runs one slot's fused program over a field, whole or in pieces.
//!
//! The bytes run through passes: the masks, every automaton of the program, and the truncation.
//! Each pass reads what the one before it has finished. A pass of patterns finishes a byte once no
//! match that begins at or before it can still come. What it has not finished is **pending**, and
//! the caller must hand it in again.
//!
//! Patterns match on the output. A pass keeps the automaton's state before every byte it wrote.
//! When it takes a match away, it goes on from the state before the match, so that bytes that come
//! together match too. Where such a match reaches back into bytes that are finished (and perhaps
//! sent), the pass takes away the rest of it, so that the receiver never gets it whole.
//!
//! Holds:     [`Resume`], the state of a half-seen field; the rest is scratch in
//!            [`ProgramScratch`].
//! Promises:  the output does not depend on how the field was cut, except where the caller releases
//!            pending bytes early.
//! Never:     allocates, or keeps a byte.

mod matcher;
mod pass;

use plan::index::{AUTOMATA_MAX, Automaton, Program};
use plan::{ByteSet, Rule, RuleNo, Transform};
use stage::position::{index, len32};

use matcher::{LiteralMatcher, PatternMatcher, RegexMatcher};
use pass::Pass;

/// Bytes a field may have after its program's edits, within one call.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Changes one run of a program may report.
const EVENTS_MAX: usize = 8 * 1024;

/// The state of a field's program between two pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resume {
    /// Bytes of the field that were written so far; saturates.
    pub(crate) written: u32,
    /// The rest of the field is deleted.
    pub(crate) cut: bool,
    /// The state of every automaton, 0 before the first byte.
    pub(crate) states: [u32; AUTOMATA_MAX],
}

/// What follows the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// More of the field.
    More,
    /// More of the field, and pending bytes must go on now.
    MoreReleased,
    /// Nothing: the field ends here.
    Nothing,
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgramEdit {
    /// Its position in the piece.
    pub(crate) at: u32,
    pub(crate) rule: RuleNo,
    pub(crate) removed: u32,
    pub(crate) inserted: u32,
}

/// The result of a run. The finished bytes are in [`ProgramScratch::text`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgramRun {
    /// Bytes of the piece that are finished.
    pub(crate) decided: usize,
    /// The state to go on from, if all of the piece is finished.
    pub(crate) resume: Resume,
    /// The finished bytes are the piece's own, and were not copied.
    pub(crate) unchanged: bool,
    /// There was no room for the result.
    pub(crate) full: bool,
}

/// Bytes, and for each the byte of the piece that it comes from. Origins never decrease. Inserted
/// bytes have the origin of the first byte they replaced.
#[derive(Debug)]
pub(crate) struct TracedText {
    pub(crate) bytes: Vec<u8>,
    pub(crate) origin: Vec<u32>,
}

impl TracedText {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(TEXT_BYTES_MAX),
            origin: Vec::with_capacity(TEXT_BYTES_MAX),
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.origin.clear();
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.origin.truncate(len);
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, byte: u8, origin: u32) -> bool {
        let room = self.bytes.len() < TEXT_BYTES_MAX;
        if room {
            self.bytes.push(byte);
            self.origin.push(origin);
        }
        room
    }
}

/// Scratch of a run.
pub(crate) struct ProgramScratch {
    /// The result.
    pub(crate) text: TracedText,
    next: TracedText,
    /// The state of the automaton at work before every byte of `next`.
    history: Vec<u32>,
    pub(crate) events: Vec<ProgramEdit>,
}

impl ProgramScratch {
    pub(crate) fn new() -> Self {
        Self {
            text: TracedText::new(),
            next: TracedText::new(),
            history: Vec::with_capacity(TEXT_BYTES_MAX),
            events: Vec::with_capacity(EVENTS_MAX),
        }
    }

    fn event(&mut self, event: ProgramEdit) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
    }
}

/// The program's rules that are active for one field.
#[derive(Clone, Copy)]
pub(crate) struct ActiveProgram<'a> {
    pub(crate) program: &'a Program,
    pub(crate) rules: &'a [Rule],
    /// The rules with a condition that holds, a bit each.
    pub(crate) set: u32,
}

impl<'a> ActiveProgram<'a> {
    fn transform(&self, rule: RuleNo) -> Option<&'a Transform> {
        self.rules.get(usize::from(rule)).map(|rule| &rule.transform)
    }

    /// The active rules that have a condition.
    fn conditional(&self) -> impl Iterator<Item = (RuleNo, &'a Transform)> + '_ {
        let set = self.set;
        self.program
            .conditional
            .iter()
            .enumerate()
            .filter(move |(bit, _)| {
                set.checked_shr(u32::try_from(*bit).unwrap_or(32)).unwrap_or(0) & 1 != 0
            })
            .filter_map(|(_, &rule)| Some((rule, self.transform(rule)?)))
    }

    /// The shortest truncation.
    fn truncation(&self) -> Option<(usize, RuleNo)> {
        let mut least = self.program.truncate;
        if self.set != 0 {
            for (rule, transform) in self.conditional() {
                if let Transform::Truncate { to } = transform {
                    let to = index(*to);
                    if least.is_none_or(|(least, _)| to < least) {
                        least = Some((to, rule));
                    }
                }
            }
        }
        least
    }

    /// The active masks with a condition.
    fn masks(&self) -> impl Iterator<Item = (RuleNo, ByteSet, u8)> + '_ {
        self.conditional().filter_map(|(rule, transform)| {
            let Transform::Mask { set, with } = transform else { return None };
            Some((rule, *set, *with))
        })
    }

    /// The byte that the masks make of `byte`, and the rule that did it.
    fn mask(&self, byte: u8) -> (u8, Option<RuleNo>) {
        let mut rule = None;
        let mut becomes = byte;
        if let Some(table) = &self.program.masks {
            becomes = table.becomes(byte);
            rule = table.rule(byte);
        }
        if self.set != 0 {
            for (mask, set, with) in self.masks() {
                if set.contains(becomes) {
                    becomes = with;
                    rule = rule.or(Some(mask));
                }
            }
        }
        (becomes, rule)
    }

    fn has_masks(&self) -> bool {
        self.program.masks.is_some() || (self.set != 0 && self.masks().next().is_some())
    }

    /// Some mask changes one of `bytes`.
    fn masks_any_of(&self, bytes: &[u8]) -> bool {
        let masks = self.program.masks.as_ref();
        masks.is_some_and(|table| bytes.iter().any(|&byte| table.rule(byte).is_some()))
            || (self.set != 0
                && self.masks().next().is_some()
                && bytes.iter().any(|&byte| self.mask(byte).1.is_some()))
    }

    /// Whether the program would change a whole value.
    pub(crate) fn touches(&self, value: &[u8]) -> bool {
        self.truncation().is_some_and(|(to, _)| value.len() > to)
            || self.masks_any_of(value)
            || self.program.automata.iter().any(|automaton| match automaton {
                Automaton::Literals(literals) => literals.occur_in(value),
                Automaton::Regex { regex, .. } => regex.is_match(value),
            })
    }

    /// Whether a piece in the middle of a field passes unchanged and leaves nothing pending.
    /// Answers the state to go on from.
    fn passes(&self, resume: &Resume, piece: &[u8]) -> Option<Resume> {
        let written = resume.written.saturating_add(len32(piece.len()));
        let fits = self.truncation().is_none_or(|(to, _)| index(written) < to);
        if resume.cut || !fits || self.masks_any_of(piece) {
            return None;
        }
        let mut next = Resume { written, ..*resume };
        for (automaton, state) in self.program.automata.iter().zip(&mut next.states) {
            *state = match automaton {
                Automaton::Literals(literals) => LiteralMatcher(literals).crosses(*state, piece)?,
                Automaton::Regex { regex, anchored, longest, .. } => {
                    RegexMatcher { regex, anchored, longest: *longest }.crosses(*state, piece)?
                }
            };
        }
        Some(next)
    }
}

/// Runs the program over a piece of a field (or all of it).
pub(crate) fn run(
    active: ActiveProgram<'_>,
    resume: &Resume,
    piece: &[u8],
    follows: Follows,
    work: &mut ProgramScratch,
) -> ProgramRun {
    work.events.clear();
    work.text.clear();
    if let Some(next) = active.passes(resume, piece) {
        return ProgramRun { decided: piece.len(), resume: next, unchanged: true, full: false };
    }
    let end = len32(piece.len());
    let mut resume = *resume;
    if resume.cut {
        if let (Some(rule), false) = (whose_cut(&active), piece.is_empty()) {
            work.event(ProgramEdit { at: 0, rule, removed: end, inserted: 0 });
        }
        return ProgramRun {
            decided: piece.len(),
            resume,
            unchanged: piece.is_empty(),
            full: false,
        };
    }
    if let Some(ran) = truncate_only(&active, &resume, piece, work) {
        return ran;
    }
    let mut full = !read(&active, piece, work);
    let mut decided = end;
    let mut follows = follows;
    for (at, automaton) in active.program.automata.iter().enumerate().take(AUTOMATA_MAX) {
        let state = resume.states.get(at).copied().unwrap_or(0);
        let mut pass = Pass { active: &active, at, end: decided, follows, work };
        let done = match automaton {
            Automaton::Literals(literals) => pass.run(&LiteralMatcher(literals), state),
            Automaton::Regex { regex, anchored, longest, .. } => {
                pass.run(&RegexMatcher { regex, anchored, longest: *longest }, state)
            }
        };
        full |= done.full;
        decided = done.decided;
        core::mem::swap(&mut work.text, &mut work.next);
        if let Some(state) = resume.states.get_mut(at) {
            *state = done.state;
        }
        if done.cut {
            resume.cut = true;
            decided = end;
            follows = Follows::Nothing;
        }
    }
    if truncate(&active, &resume, end, work) {
        resume.cut = true;
        decided = end;
    }
    let written = len32(work.text.len());
    resume.written = resume.written.saturating_add(written);
    work.events.retain(|event| event.at < decided || decided == end);
    let decided = index(decided);
    let unchanged = !full && piece.get(..decided) == Some(&work.text.bytes);
    ProgramRun { decided, resume, unchanged, full }
}

/// The commonest program: nothing but truncations, and the piece reaches past the shortest.
fn truncate_only(
    active: &ActiveProgram<'_>,
    resume: &Resume,
    piece: &[u8],
    work: &mut ProgramScratch,
) -> Option<ProgramRun> {
    if active.has_masks() || !active.program.automata.is_empty() {
        return None;
    }
    let (to, rule) = active.truncation()?;
    let left = to.saturating_sub(index(resume.written));
    let (kept, gone) = piece.split_at_checked(left)?;
    if kept.len() > TEXT_BYTES_MAX {
        return None;
    }
    work.text.bytes.extend_from_slice(kept);
    work.text.origin.extend(0..u32::try_from(left).ok()?);
    if let (Ok(at), Ok(removed @ 1..)) = (u32::try_from(left), u32::try_from(gone.len())) {
        work.event(ProgramEdit { at, rule, removed, inserted: 0 });
    }
    let written = len32(kept.len());
    let resume = Resume { cut: true, written: resume.written.saturating_add(written), ..*resume };
    Some(ProgramRun { decided: piece.len(), resume, unchanged: gone.is_empty(), full: false })
}

/// The rule that deletes the bytes after a cut.
fn whose_cut(active: &ActiveProgram<'_>) -> Option<RuleNo> {
    active.truncation().map(|(_, rule)| rule).or(active.program.first_cut)
}

/// The first pass: the masks.
fn read(active: &ActiveProgram<'_>, piece: &[u8], work: &mut ProgramScratch) -> bool {
    if !active.has_masks() {
        let Ok(end) = u32::try_from(piece.len()) else { return false };
        if piece.len() > TEXT_BYTES_MAX {
            return false;
        }
        work.text.bytes.extend_from_slice(piece);
        work.text.origin.extend(0..end);
        return true;
    }
    let mut room = true;
    for (at, &byte) in piece.iter().enumerate() {
        let at = len32(at);
        let mut becomes = byte;
        if let (masked, Some(rule)) = active.mask(byte) {
            becomes = masked;
            work.event(ProgramEdit { at, rule, removed: 1, inserted: 1 });
        }
        room &= work.text.push(becomes, at);
    }
    room
}

/// The last pass. Answers whether the bound is reached, so that nothing more of the field goes on.
fn truncate(
    active: &ActiveProgram<'_>,
    resume: &Resume,
    end: u32,
    work: &mut ProgramScratch,
) -> bool {
    let Some((to, rule)) = active.truncation() else { return false };
    let left = to.saturating_sub(index(resume.written));
    if work.text.len() < left {
        return false;
    }
    let removed = work.text.len().saturating_sub(left);
    let at = work.text.origin.get(left).copied().unwrap_or(end);
    if removed > 0 {
        let removed = len32(removed);
        work.event(ProgramEdit { at, rule, removed, inserted: 0 });
    }
    work.text.truncate(left);
    true
}
