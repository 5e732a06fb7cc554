//! One unit or datagram: finds the rules that concern it and runs them.
//!
//! A condition reads the message as it came. A transform works on what the transforms before it
//! have left: first on values (inner fields before the fields around them, the rules of one field
//! in order, and the field's fused program of masks, patterns and cuts last), then on elements in
//! rule order. Then the decoder repairs lengths and checksums around the edits. The values are run
//! again until no rule changes anything, so that one rule's edit cannot break another rule's bound.

mod element;
mod values;

pub(crate) use values::difference;

use core::mem;

use plan::{ActsOn, DirectionRules, Module, Rule, RuleNo};
use proto::{Edits, Field, Fields, Flags, Repair, Repr, Transport, View};

use crate::condition::{Subject, Truth, VISITS_MAX, evaluate};
use crate::fused::ActiveProgram;
use crate::outcome::{Peer, Undecided};
use crate::scratch::{TASKS_MAX, UnitScratch};

/// How often the values of a unit are run. Rules that still change something after that contradict
/// each other.
const ROUNDS_MAX: u32 = 4;

/// A rule, or a slot's program, to run on one occurrence. Tasks sort in the order they run: short
/// fields before those around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ValueTask {
    len: u32,
    start: u32,
    field: u16,
    /// [`PROGRAM`] for the slot's program.
    rule: RuleNo,
    /// For the program: the conditional rules whose condition holds, a bit each.
    set: u32,
}

/// No rule has this number.
const PROGRAM: RuleNo = RuleNo::MAX;

/// The decision on a unit. Its edits are in [`UnitScratch::edits`] and its hits in
/// [`UnitScratch::hit_log`]. Where one rule could not be decided, they are those of the other
/// rules.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnitDecision {
    /// The first rule that stops the whole message: [`plan::Transform::verdict`] tells how.
    pub(crate) verdict: Option<RuleNo>,
    pub(crate) undecided: Option<Undecided>,
}

/// A unit and the rules that run on it.
#[derive(Clone, Copy)]
pub(crate) struct Unit<'a> {
    pub(crate) module: &'a Module,
    pub(crate) direction_rules: &'a DirectionRules,
    pub(crate) transport: Transport,
    pub(crate) view: View<'a>,
    pub(crate) fields: &'a Fields,
    pub(crate) peer: &'a Peer,
}

/// Decides a unit.
pub(crate) fn decide(unit: Unit<'_>, scratch: &mut UnitScratch) -> UnitDecision {
    scratch.edits.clear();
    if unit.fields.is_empty() && unit.direction_rules.index.every_unit().is_empty() {
        return UnitDecision::default();
    }
    if unit.fields.overflowed() {
        return UnitDecision {
            undecided: Some(Undecided::FieldsOverflowed),
            ..UnitDecision::default()
        };
    }
    let found = unit.look_up(scratch);
    if found.nothing {
        let undecided = found.needs_whole.then_some(Undecided::UnitTooLong);
        return UnitDecision { undecided, ..UnitDecision::default() };
    }
    let mut decision = unit.collect(found, scratch);
    if decision.verdict.is_none() {
        let result = unit.run(scratch);
        if let Err(undecided) = result {
            scratch.edits.clear();
            scratch.hit_log.abandon();
            decision.undecided = Some(undecided);
        }
    }
    decision
}

/// Finds the first field that concerns a rule, among those that a decoder caught with
/// [`plan::Index::header_prefilter`] in a unit without rare bytes. Answers where its value begins.
pub(crate) fn first_affected(unit: Unit<'_>, scratch: &mut UnitScratch) -> Option<u32> {
    scratch.candidates.clear();
    if unit.fields.overflowed() {
        return Some(0);
    }
    let concerns = |field: &&Field| {
        let Some(slot) = unit.direction_rules.index.slot(field.slot) else { return false };
        let value = unit.fields.value_of(field, unit.view.input);
        let touches = slot.look_up_watched(false, value, number_of(field), &mut scratch.candidates);
        let changes = touches
            && slot.program().is_some_and(|program| {
                ActiveProgram { program, rules: &unit.direction_rules.rules, set: 0 }.touches(value)
            });
        changes || !scratch.candidates.rules().is_empty()
    };
    unit.fields.items().iter().find(concerns).map(|field| field.value.start)
}

/// The result of looking a unit up in the index.
#[derive(Clone, Copy)]
struct LookUp {
    /// The unit concerns no rule.
    nothing: bool,
    /// A field is open.
    open: bool,
    /// A rule needs more of an open field.
    needs_whole: bool,
}

/// A field that is complete in this unit.
fn is_whole(field: &Field) -> bool {
    !field.flags.has(Flags::OPEN) && !field.flags.has(Flags::CONTINUES)
}

fn number_of(field: &Field) -> Option<u64> {
    field.flags.has(Flags::NUMBER).then_some(field.number)
}

impl<'a> Unit<'a> {
    fn rule(&self, no: RuleNo) -> Option<&'a Rule> {
        self.direction_rules.rules.get(usize::from(no))
    }

    /// Finds the candidates and the programs that have something to do. For most messages nothing
    /// else runs.
    #[inline]
    fn look_up(&self, scratch: &mut UnitScratch) -> LookUp {
        scratch.candidates.clear();
        scratch.tasks.clear();
        let index = &self.direction_rules.index;
        let mut open = false;
        let mut needs_whole = false;
        let plain = index.is_plain(self.view.input);
        for (at, field) in self.fields.items().iter().enumerate() {
            let Some(slot) = index.slot(field.slot) else { continue };
            // The fast case: nearly all fields of text protocols.
            let ordinary = plain && field.flags == Flags::NONE;
            if ordinary && !slot.is_watched_in_plain(self.view.input, field.value) {
                continue;
            }
            let plain = plain && !field.flags.has(Flags::DECODED);
            let number = number_of(field);
            if is_whole(field) {
                if !slot.is_watched_in(plain, field.value_len(), number) {
                    continue;
                }
                let value = self.fields.value_of(field, self.view.input);
                let touches = slot.look_up_watched(plain, value, number, &mut scratch.candidates);
                if touches && let Some(program) = slot.program() {
                    let active =
                        ActiveProgram { program, rules: &self.direction_rules.rules, set: 0 };
                    if active.touches(value) {
                        push_task(at, field, PROGRAM, 0, &mut scratch.tasks);
                    }
                }
            } else {
                open |= field.flags.has(Flags::OPEN);
                if !field.flags.has(Flags::CONTINUES) {
                    // The bytes that follow may fulfil any precondition.
                    for &rule in slot.waiting() {
                        scratch.candidates.add(rule);
                    }
                    let value = self.fields.value_of(field, self.view.input);
                    slot.look_up(value, number, &mut scratch.candidates);
                    needs_whole |= !slot.whole().is_empty();
                }
            }
        }
        self.look_up_counts(open, scratch);
        for &rule in self.direction_rules.index.every_unit() {
            scratch.candidates.add(rule);
        }
        let nothing = scratch.candidates.rules().is_empty() && scratch.tasks.is_empty();
        LookUp { nothing, open, needs_whole }
    }

    /// Finds the rules that wait for a number of occurrences.
    fn look_up_counts(&self, open: bool, scratch: &mut UnitScratch) {
        let DirectionRules { index, .. } = self.direction_rules;
        let items = self.fields.items();
        for &counted in index.counted() {
            let Some(slot) = index.slot(counted) else { continue };
            if items.len() <= slot.least_count() && !open {
                continue;
            }
            let count = items.iter().filter(|field| field.slot == counted).count();
            if count > 0 {
                slot.look_up_count(count, open, &mut scratch.candidates);
            }
        }
        for lacking in index.lacking() {
            let has = |slot| items.iter().any(|field| field.slot == slot);
            if has(lacking.given) && !has(lacking.missing) {
                scratch.candidates.add(lacking.rule);
            }
        }
    }

    /// Evaluates the candidates' conditions. A verdict takes effect at once; other rules become
    /// tasks.
    fn collect(&self, found: LookUp, scratch: &mut UnitScratch) -> UnitDecision {
        let mut unknown = found.needs_whole;
        let mut exhausted = false;
        scratch.elements.clear();
        if !scratch.candidates.rules().is_empty() {
            scratch.candidates.sort();
            scratch.chains.link(self.fields);
            scratch.buffers.visits = VISITS_MAX;
        }
        let mut verdict = None;
        let mut place = 0_usize;
        while let Some(&no) = scratch.candidates.rules().get(place) {
            place = place.saturating_add(1);
            let Some(rule) = self.rule(no) else { continue };
            let truth = self.apply(no, rule, found.open, false, scratch);
            match truth {
                Truth::True => {
                    if rule.transform.verdict().is_some() {
                        scratch.hit_log.verdict(rule.patch);
                        verdict = Some(no);
                        break;
                    }
                }
                Truth::False => {}
                Truth::Unknown if scratch.buffers.visits == 0 => exhausted = true,
                Truth::Unknown => unknown = true,
            }
        }
        let undecided = match (&verdict, exhausted, unknown) {
            (Some(_), ..) => None,
            (None, true, _) => Some(Undecided::FieldsOverflowed),
            (None, false, true) => Some(Undecided::UnitTooLong),
            (None, false, false) => None,
        };
        UnitDecision { verdict, undecided }
    }

    /// Evaluates one rule for every occurrence it may work on, and notes its tasks there.
    /// `touched`: only for values in ranges that were edited.
    fn apply(
        &self,
        no: RuleNo,
        rule: &Rule,
        open: bool,
        touched: bool,
        scratch: &mut UnitScratch,
    ) -> Truth {
        let Some(target) = rule.target else {
            return if touched { Truth::False } else { self.holds(rule, None, open, scratch) };
        };
        let place = self.place(no, target);
        let UnitScratch { chains, buffers, tasks, elements, edits, .. } = scratch;
        let chains = &*chains;
        let mut truth = Truth::False;
        for at in chains.of(target) {
            let Some(field) = self.fields.items().get(at) else { continue };
            let is_verdict = rule.transform.verdict().is_some();
            // `stream::open` runs the rules on the pieces of open fields.
            if !is_verdict && !is_whole(field) {
                continue;
            }
            if touched && !needs_another_look(field, edits) {
                continue;
            }
            let subject = Subject {
                input: self.view.input,
                fields: self.fields,
                chains,
                wanted: &self.direction_rules.wanted,
                protocol: self.module.decoder.protocol(),
                peer: self.peer,
                open,
            };
            match evaluate(&rule.when, subject, Some(at), buffers) {
                Truth::True => {}
                Truth::False => continue,
                Truth::Unknown => {
                    truth = Truth::Unknown;
                    continue;
                }
            }
            if is_verdict {
                truth = Truth::True;
                break;
            }
            match place {
                WorkPlace::Program(set) => push_task(at, field, PROGRAM, set, tasks),
                WorkPlace::Value => push_task(at, field, no, 0, tasks),
                WorkPlace::Element if touched => {}
                WorkPlace::Element => {
                    if let (Ok(at), true) = (u16::try_from(at), elements.len() < TASKS_MAX) {
                        elements.push((no, at));
                    }
                }
            }
        }
        truth
    }

    fn holds(
        &self,
        rule: &Rule,
        at: Option<usize>,
        open: bool,
        scratch: &mut UnitScratch,
    ) -> Truth {
        let subject = Subject {
            input: self.view.input,
            fields: self.fields,
            chains: &scratch.chains,
            wanted: &self.direction_rules.wanted,
            protocol: self.module.decoder.protocol(),
            peer: self.peer,
            open,
        };
        evaluate(&rule.when, subject, at, &mut scratch.buffers)
    }

    /// The conditional streamable rules that hold for an open field, a bit each, and whether the
    /// condition of one is unknown.
    pub(crate) fn active_set(
        &self,
        at: usize,
        field: &Field,
        scratch: &mut UnitScratch,
    ) -> (u32, bool) {
        let program = self.direction_rules.index.slot(field.slot).and_then(|slot| slot.program());
        let Some(program) = program.filter(|program| !program.conditional.is_empty()) else {
            return (0, false);
        };
        scratch.chains.link(self.fields);
        scratch.buffers.visits = VISITS_MAX;
        let mut set = 0_u32;
        let mut unknown = false;
        for (bit, &no) in program.conditional.iter().enumerate() {
            let Some(rule) = self.rule(no) else { continue };
            match self.holds(rule, Some(at), true, scratch) {
                Truth::True => {
                    set |= 1_u32.wrapping_shl(u32::try_from(bit).unwrap_or(0));
                }
                Truth::False => {}
                Truth::Unknown => unknown = true,
            }
        }
        (set, unknown)
    }

    /// Where a rule runs.
    fn place(&self, no: RuleNo, target: proto::Slot) -> WorkPlace {
        let Some(rule) = self.rule(no) else { return WorkPlace::Value };
        match rule.transform.acts_on() {
            ActsOn::Element => WorkPlace::Element,
            ActsOn::Value | ActsOn::Message(_) => {
                let program =
                    self.direction_rules.index.slot(target).and_then(|slot| slot.program());
                let bit = program
                    .and_then(|program| program.conditional.iter().position(|&other| other == no))
                    .and_then(|bit| u32::try_from(bit).ok());
                bit.map_or(WorkPlace::Value, |bit| WorkPlace::Program(1_u32.wrapping_shl(bit)))
            }
        }
    }

    /// Runs the tasks that were noted.
    fn run(&self, scratch: &mut UnitScratch) -> Result<(), Undecided> {
        for round in 0..ROUNDS_MAX {
            if scratch.tasks.len() >= TASKS_MAX || scratch.elements.len() >= TASKS_MAX {
                return Err(Undecided::EditsFull);
            }
            if scratch.tasks.is_empty() {
                break;
            }
            scratch.tasks.sort_unstable();
            let tasks = mem::take(&mut scratch.tasks);
            let changed = self.run_values(&tasks, scratch);
            scratch.tasks = tasks;
            scratch.tasks.clear();
            if !changed? {
                break;
            }
            if round.saturating_add(1) < ROUNDS_MAX {
                self.look_again(scratch);
            }
        }
        self.run_elements(scratch)?;
        if scratch.edits.is_empty() || self.fields.items().iter().any(|field| !is_whole(field)) {
            return Ok(());
        }
        let Unit { module, transport, view, fields, .. } = *self;
        match module.decoder.repair(transport, view, fields, &mut scratch.edits) {
            Repair::Done => Ok(()),
            Repair::Impossible => Err(Undecided::RepairImpossible),
        }
    }

    /// Notes tasks for the values that were edited, by their present bytes.
    fn look_again(&self, scratch: &mut UnitScratch) {
        for (at, field) in self.fields.items().iter().enumerate() {
            let Some(slot) =
                self.direction_rules.index.slot(field.slot).filter(|slot| slot.is_target())
            else {
                continue;
            };
            if !needs_another_look(field, &scratch.edits) {
                continue;
            }
            // The look-up goes by the present length. A number has to be read again.
            let len = i64::from(field.value.len())
                .saturating_add(scratch.edits.growth_within(field.value));
            let len = usize::try_from(len).unwrap_or(0);
            let is_number = self.def(field).is_none_or(|def| def.repr != Repr::None);
            if !is_number && !slot.is_watched(len, None) {
                continue;
            }
            scratch.value.clear();
            if !scratch.edits.current(self.view.input, field.value, &mut scratch.value) {
                continue;
            }
            let number = self
                .number_form(field, true)
                .and_then(|form| crate::value::read(form.repr, &scratch.value));
            let touches = slot.look_up(&scratch.value, number, &mut scratch.candidates);
            if touches && let Some(program) = slot.program() {
                let active = ActiveProgram { program, rules: &self.direction_rules.rules, set: 0 };
                if active.touches(&scratch.value) {
                    push_task(at, field, PROGRAM, 0, &mut scratch.tasks);
                }
            }
        }
        if scratch.candidates.rules().is_empty() {
            return;
        }
        scratch.chains.link(self.fields);
        let mut place = 0_usize;
        while let Some(&no) = scratch.candidates.rules().get(place) {
            place = place.saturating_add(1);
            if let Some(rule) = self.rule(no)
                && rule.transform.verdict().is_none()
            {
                self.apply(no, rule, false, true, scratch);
            }
        }
    }
}

/// Adds a task. Whoever runs the tasks notices a full list.
fn push_task(at: usize, field: &Field, rule: RuleNo, set: u32, tasks: &mut Vec<ValueTask>) {
    if let (Ok(at), true) = (u16::try_from(at), tasks.len() < TASKS_MAX) {
        let (len, start) = (field.value.len(), field.value.start);
        tasks.push(ValueTask { len, start, field: at, rule, set });
    }
}

/// Whether an edit lies in, around or next to the field's value.
fn is_touched(field: &Field, edits: &Edits) -> bool {
    let list = edits.list();
    let from = list.partition_point(|edit| edit.at.end < field.value.start);
    list.get(from).is_some_and(|edit| edit.at.start <= field.value.end)
}

/// Whether the field was edited and its rules may have more to do. A decoded text, or bytes put in
/// where there were none, cannot be read back; those were run until nothing changed.
fn needs_another_look(field: &Field, edits: &Edits) -> bool {
    is_whole(field)
        && !field.value.is_empty()
        && !field.flags.has(Flags::DECODED)
        && is_touched(field, edits)
}

/// Where a rule runs.
#[derive(Clone, Copy)]
enum WorkPlace {
    /// In the slot's program, as this bit.
    Program(u32),
    Value,
    Element,
}
