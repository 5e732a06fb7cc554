//! Whether a rule's condition holds.
//!
//! Holds:     nothing; it reads one unit's fields through [`Chains`] and works in caller-owned
//!            [`Buffers`].
//! Promises:  three answers. In a unit that was opened before it was complete, a condition may be
//!            unknown. An answer of yes or no stays right whatever bytes, fields and occurrences
//!            follow.
//! Never:     allocates, or visits more than [`VISITS_MAX`] occurrences in one unit. Past that the
//!            answer is unknown.

mod answer;
mod chains;
mod functions;
mod source;

use plan::condition::StepTraits;
use plan::{ByteSource, ByteStep, ByteTest, Compare, Condition, Operand, Test};
use proto::{Field, Fields, Flags, Protocol, Slot, Wanted};

use crate::outcome::Peer;
pub(crate) use answer::Truth;
use answer::{GrowingNumber, OccurrenceAnswers};
pub(crate) use chains::{Buffers, Chains};
pub(crate) use functions::decimal;
use functions::function;
use source::stepped;

/// Visits a unit may cost: one for an occurrence, and one for each 64 bytes of it. Some rules can
/// look at 2,000 header lines, but not all rules at all lines.
pub(crate) const VISITS_MAX: u32 = 1 << 20;

/// The unit that a condition is evaluated on.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) fields: &'a Fields,
    pub(crate) chains: &'a Chains,
    pub(crate) wanted: &'a Wanted,
    pub(crate) protocol: &'static Protocol,
    pub(crate) peer: &'a Peer,
    /// The unit goes on: more fields and occurrences may follow.
    pub(crate) open: bool,
}

/// Whether `condition` holds. `at` is the occurrence of the rule's target.
pub(crate) fn evaluate(
    condition: &Condition,
    subject: Subject<'_>,
    at: Option<usize>,
    buffers: &mut Buffers,
) -> Truth {
    let at = at.and_then(|at| Some((at, *subject.fields.items().get(at)?)));
    Evaluation { subject, at, buffers }.condition(condition)
}

struct Evaluation<'a, 'b> {
    subject: Subject<'a>,
    at: Option<(usize, Field)>,
    buffers: &'b mut Buffers,
}

/// The occurrences of a slot that a test refers to.
#[derive(Clone, Copy)]
enum Reach {
    /// The occurrence of the target.
    This(usize),
    /// Those in the same element.
    Group(u16),
    /// All.
    All,
}

impl<'a> Evaluation<'a, '_> {
    fn condition(&mut self, condition: &Condition) -> Truth {
        match condition {
            Condition::Always => Truth::True,
            Condition::All(all) => {
                let mut truth = Truth::True;
                for condition in all {
                    match self.condition(condition) {
                        Truth::True => {}
                        Truth::False => return Truth::False,
                        Truth::Unknown => truth = Truth::Unknown,
                    }
                }
                truth
            }
            Condition::Any(any) => {
                let mut truth = Truth::False;
                for condition in any {
                    match self.condition(condition) {
                        Truth::True => return Truth::True,
                        Truth::False => {}
                        Truth::Unknown => truth = Truth::Unknown,
                    }
                }
                truth
            }
            Condition::Not(not) => match self.condition(not) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Condition::Test(test) => self.test(test),
        }
    }

    fn test(&mut self, test: &Test) -> Truth {
        match test {
            Test::Present(slot) => {
                let (reach, open) = self.reach(*slot);
                if self.occurrences(*slot, reach).next().is_some() {
                    Truth::True
                } else if open {
                    Truth::Unknown
                } else {
                    Truth::False
                }
            }
            Test::Number { left, compare, right } => {
                let mut any = OccurrenceAnswers::default();
                let open = self.numbers(left, &mut |this, left| {
                    this.numbers(right, &mut |_, right| {
                        any.add(left.compare(*compare, right));
                        false
                    })
                }) || self.reads_more(right);
                match compare {
                    Compare::NotEqual => any.all(open),
                    Compare::Equal
                    | Compare::Less
                    | Compare::LessOrEqual
                    | Compare::Greater
                    | Compare::GreaterOrEqual => any.any(open),
                }
            }
            Test::NumberIn { operand, ranges } => {
                let mut any = OccurrenceAnswers::default();
                let open = self.numbers(operand, &mut |_, number| {
                    let after = ranges.partition_point(|&(low, _)| low <= number.value);
                    let inside = after
                        .checked_sub(1)
                        .and_then(|at| ranges.get(at))
                        .is_some_and(|&(_, high)| number.value <= high);
                    any.add(if number.at_least { Truth::Unknown } else { Truth::of(inside) });
                    false
                });
                any.any(open)
            }
            Test::Bytes { source, test } => self.bytes(source, test),
            Test::Duplicate(slot) => self.duplicate(*slot),
        }
    }

    /// The occurrences that a test on `slot` refers to, and whether more of them may follow.
    fn reach(&mut self, slot: Slot) -> (Reach, bool) {
        if let Some((at, field)) = self.at {
            if field.slot == slot {
                return (Reach::This(at), false);
            }
            if field.group != 0 {
                let items = self.subject.fields.items();
                let siblings = self.subject.chains.of(slot).any(|other| {
                    self.buffers.visits = self.buffers.visits.saturating_sub(1);
                    items.get(other).is_some_and(|other| other.group == field.group)
                });
                if siblings {
                    // The fields of an element come before the field that is open.
                    return (Reach::Group(field.group), false);
                }
            }
        }
        (Reach::All, self.subject.open && self.may_come(slot))
    }

    /// In a unit that goes on: whether another occurrence of `slot` may be in what follows.
    fn may_come(&self, slot: Slot) -> bool {
        let (id, key) = self.subject.wanted.field_of(slot);
        let once = self.subject.protocol.def(id).is_some_and(|def| !def.repeated && key.is_none());
        !(once && self.subject.chains.of(slot).next().is_some())
    }

    fn occurrences(&self, slot: Slot, reach: Reach) -> impl Iterator<Item = Field> + use<'a> {
        let items = self.subject.fields.items();
        self.subject.chains.of(slot).filter_map(move |at| {
            let field = items.get(at)?;
            let reached = match reach {
                Reach::This(this) => at == this,
                Reach::Group(group) => field.group == group,
                Reach::All => true,
            };
            reached.then_some(*field)
        })
    }

    /// Pays for a look at `bytes` bytes. `false`: the unit has cost too much.
    fn pay(&mut self, bytes: usize) -> bool {
        let cost = u32::try_from(bytes / 64).unwrap_or(u32::MAX).saturating_add(1);
        match self.buffers.visits.checked_sub(cost) {
            Some(rest) => {
                self.buffers.visits = rest;
                true
            }
            None => {
                self.buffers.visits = 0;
                false
            }
        }
    }

    /// Calls `each` with every value of `operand`. Answers whether more values may follow, or one
    /// could not be computed.
    fn numbers(
        &mut self,
        operand: &Operand,
        each: &mut dyn FnMut(&mut Self, GrowingNumber) -> bool,
    ) -> bool {
        match operand {
            Operand::Constant(value) => each(self, GrowingNumber::known(*value)),
            Operand::Field(slot) => {
                let (reach, mut open) = self.reach(*slot);
                for field in self.occurrences(*slot, reach) {
                    if !self.pay(0) {
                        return true;
                    }
                    if field.flags.has(Flags::NUMBER) {
                        open |= each(self, GrowingNumber::known(field.number));
                    }
                }
                open
            }
            Operand::Count(slot) => {
                let (reach, open) = self.reach(*slot);
                let count = self.occurrences(*slot, reach).count();
                if !self.pay(count.saturating_mul(64)) {
                    return true;
                }
                let value = u64::try_from(count).unwrap_or(u64::MAX);
                each(self, GrowingNumber { value, at_least: open })
            }
            Operand::Measure(measure, source) => self.measure(source, each, function(*measure)),
            Operand::CountOf(source, pattern) => self.measure(source, each, &|bytes| {
                let mut count = 0_u64;
                let mut from = 0;
                while let Some((_, end)) = pattern.find(bytes, from) {
                    count = count.saturating_add(1);
                    from = end;
                }
                Some(count)
            }),
            Operand::Add(left, right) => self.both(left, right, each, &|left, right| {
                left.combine(right, left.value.saturating_add(right.value))
            }),
            Operand::Mul(left, right) => self.both(left, right, each, &|left, right| {
                left.combine(right, left.value.saturating_mul(right.value))
            }),
            Operand::Sub(left, right) => self.both(left, right, each, &|left, right| {
                // The subtrahend may still grow, so the difference may fall to 0.
                let value = left.value.saturating_sub(right.value);
                left.combine(right, if right.at_least { 0 } else { value })
            }),
            Operand::And(left, right) => self.both(left, right, each, &|left, right| {
                let open = left.at_least || right.at_least;
                left.combine(right, if open { 0 } else { left.value & right.value })
            }),
        }
    }

    fn both(
        &mut self,
        left: &Operand,
        right: &Operand,
        each: &mut dyn FnMut(&mut Self, GrowingNumber) -> bool,
        combine: &dyn Fn(GrowingNumber, GrowingNumber) -> GrowingNumber,
    ) -> bool {
        let open = self.numbers(left, &mut |this, left| {
            this.numbers(right, &mut |this, right| each(this, combine(left, right)))
        });
        open || self.reads_more(right)
    }

    /// Whether occurrences of what `operand` reads may still come; asked where its other side had
    /// no value.
    fn reads_more(&self, operand: &Operand) -> bool {
        self.subject.open && !matches!(operand, Operand::Constant(_))
    }

    /// Calls `each` with the measure of every value of `source`.
    fn measure(
        &mut self,
        source: &ByteSource,
        each: &mut dyn FnMut(&mut Self, GrowingNumber) -> bool,
        measure: &dyn Fn(&[u8]) -> Option<u64>,
    ) -> bool {
        let Subject { input, fields, .. } = self.subject;
        let (reach, mut open) = self.reach(source.slot);
        for field in self.occurrences(source.slot, reach) {
            let value = fields.value_of(&field, input);
            if !self.pay(value.len()) {
                return true;
            }
            let Some(bytes) = stepped(&source.steps, value, &mut self.buffers.left) else {
                open = true;
                continue;
            };
            let Some(value) = measure(bytes) else { continue };
            let at_least = field.flags.has(Flags::OPEN);
            // Each measure but the decimal value grows with the bytes; a slice or a trim may take
            // growth away again.
            let grows =
                source.steps.iter().all(|step| matches!(step.traits(), StepTraits::KeepsLiterals));
            let value = if at_least && !grows { 0 } else { value };
            open |= each(self, GrowingNumber { value, at_least });
        }
        open
    }

    fn bytes(&mut self, source: &ByteSource, test: &ByteTest) -> Truth {
        let Subject { input, fields, .. } = self.subject;
        let (reach, open) = self.reach(source.slot);
        let mut any = OccurrenceAnswers::default();
        for field in self.occurrences(source.slot, reach) {
            let value = fields.value_of(&field, input);
            if !self.pay(value.len()) {
                return Truth::Unknown;
            }
            let truth = match test {
                ByteTest::SameAs(other) => self.same_as(&source.steps, value, other),
                ByteTest::Equal(_)
                | ByteTest::NotEqual(_)
                | ByteTest::In(_)
                | ByteTest::Contains(_)
                | ByteTest::Matches(_)
                | ByteTest::StartsWith(_)
                | ByteTest::EndsWith(_)
                | ByteTest::AnyByteIn(_)
                | ByteTest::AllBytesIn(_)
                | ByteTest::IsPeer => match stepped(&source.steps, value, &mut self.buffers.left) {
                    None => Truth::Unknown,
                    Some(bytes) => {
                        let holds = holds(test, bytes, self.subject.peer);
                        let plain = source
                            .steps
                            .iter()
                            .all(|step| matches!(step.traits(), StepTraits::KeepsLiterals));
                        if field.flags.has(Flags::OPEN) {
                            still_open(test, holds, plain, bytes)
                        } else {
                            Truth::of(holds)
                        }
                    }
                },
            };
            any.add(truth);
        }
        if matches!(test, ByteTest::NotEqual(_)) { any.all(open) } else { any.any(open) }
    }

    fn same_as(&mut self, steps: &[ByteStep], value: &[u8], other: &ByteSource) -> Truth {
        let Subject { input, fields, .. } = self.subject;
        let (reach, open) = self.reach(other.slot);
        let mut any = OccurrenceAnswers::default();
        for field in self.occurrences(other.slot, reach) {
            let right = fields.value_of(&field, input);
            if !self.pay(right.len().saturating_add(value.len())) {
                return Truth::Unknown;
            }
            let Buffers { left: left_buffer, right: right_buffer, .. } = &mut *self.buffers;
            let truth = match (
                stepped(steps, value, left_buffer),
                stepped(&other.steps, right, right_buffer),
            ) {
                (Some(left), Some(right)) if !field.flags.has(Flags::OPEN) => {
                    Truth::of(left == right)
                }
                _ => Truth::Unknown,
            };
            any.add(truth);
        }
        any.any(open)
    }

    /// Whether two elements have the same value of `slot`, without ASCII case. Where `slot` is the
    /// rule's target, one of the two is the occurrence at hand.
    fn duplicate(&mut self, slot: Slot) -> Truth {
        let Subject { input, fields, open, .. } = self.subject;
        let this = self.at.filter(|(_, field)| field.slot == slot);
        for (at, one) in self.occurrences(slot, Reach::All).enumerate() {
            if this.is_some_and(|(_, this)| this.value != one.value) {
                continue;
            }
            let left = fields.value_of(&one, input);
            for (other_at, other) in self.occurrences(slot, Reach::All).enumerate() {
                let apart = if this.is_some() { at != other_at } else { at < other_at };
                if !apart {
                    continue;
                }
                if !self.pay(0) {
                    return Truth::Unknown;
                }
                if fields.value_of(&other, input).eq_ignore_ascii_case(left) {
                    return Truth::True;
                }
            }
        }
        if open { Truth::Unknown } else { Truth::False }
    }
}

fn holds(test: &ByteTest, bytes: &[u8], peer: &Peer) -> bool {
    match test {
        ByteTest::Equal(value) => bytes == &**value,
        ByteTest::NotEqual(value) => bytes != &**value,
        ByteTest::In(values) => values.iter().any(|value| bytes == &**value),
        ByteTest::Contains(pattern) | ByteTest::Matches(pattern) => {
            pattern.find(bytes, 0).is_some()
        }
        ByteTest::StartsWith(value) => bytes.starts_with(value),
        ByteTest::EndsWith(value) => bytes.ends_with(value),
        ByteTest::AnyByteIn(set) => bytes.iter().any(|&byte| set.contains(byte)),
        ByteTest::AllBytesIn(set) => bytes.iter().all(|&byte| set.contains(byte)),
        ByteTest::IsPeer => peer.is(bytes),
        // Needs a second field: see `same_as`.
        ByteTest::SameAs(_) => false,
    }
}

/// The answer for a whole value, of which only the first bytes are known.
fn still_open(test: &ByteTest, holds: bool, plain: bool, bytes: &[u8]) -> Truth {
    match test {
        ByteTest::Contains(_) | ByteTest::Matches(_) | ByteTest::AnyByteIn(_) if plain && holds => {
            Truth::True
        }
        ByteTest::StartsWith(_) if plain && holds => Truth::True,
        ByteTest::StartsWith(value) if plain && !value.starts_with(bytes) => Truth::False,
        ByteTest::AllBytesIn(_) if plain && !holds => Truth::False,
        ByteTest::Equal(value) if plain && !value.starts_with(bytes) => Truth::False,
        ByteTest::NotEqual(value) if plain && !value.starts_with(bytes) => Truth::True,
        ByteTest::Equal(_)
        | ByteTest::NotEqual(_)
        | ByteTest::In(_)
        | ByteTest::SameAs(_)
        | ByteTest::Contains(_)
        | ByteTest::Matches(_)
        | ByteTest::StartsWith(_)
        | ByteTest::EndsWith(_)
        | ByteTest::AnyByteIn(_)
        | ByteTest::AllBytesIn(_)
        | ByteTest::IsPeer => Truth::Unknown,
    }
}

impl Peer {
    /// Whether `text` is this address, in any of its spellings.
    fn is(&self, text: &[u8]) -> bool {
        let Some(address) =
            core::str::from_utf8(text).ok().and_then(|text| text.parse::<core::net::IpAddr>().ok())
        else {
            return false;
        };
        let mapped = match address {
            core::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
            core::net::IpAddr::V6(address) => address,
        };
        mapped.octets() == self.address
    }
}
