//! Which slots a compiled condition reads, and renumbering them from a patch's own numbering to a
//! module's.

use plan::{ByteSource, ByteTest, Condition, Operand, Test};
use proto::Slot;

/// How a condition uses a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Whether it occurs.
    Presence,
    /// Its bytes, length or number.
    Content,
    /// How many there are, or whether two are alike.
    Occurrences,
}

/// Shows every slot of `condition` to `visit`, which may write another number in its place.
pub(crate) fn each(condition: &mut Condition, visit: &mut dyn FnMut(&mut Slot, Use)) {
    match condition {
        Condition::Always => {}
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                each(part, visit);
            }
        }
        Condition::Not(inner) => each(inner, visit),
        Condition::Test(test) => match test {
            Test::Present(slot) => visit(slot, Use::Presence),
            Test::Duplicate(slot) => visit(slot, Use::Occurrences),
            Test::Number { left, right, .. } => {
                operand(left, visit);
                operand(right, visit);
            }
            Test::NumberIn { operand: inner, .. } => operand(inner, visit),
            Test::Bytes { source, test } => {
                visit(&mut source.slot, Use::Content);
                if let ByteTest::SameAs(ByteSource { slot, .. }) = test {
                    visit(slot, Use::Content);
                }
            }
        },
    }
}

fn operand(value: &mut Operand, visit: &mut dyn FnMut(&mut Slot, Use)) {
    match value {
        Operand::Constant(_) => {}
        Operand::Field(slot) => visit(slot, Use::Content),
        Operand::Count(slot) => visit(slot, Use::Occurrences),
        Operand::Measure(_, source) | Operand::CountOf(source, _) => {
            visit(&mut source.slot, Use::Content);
        }
        Operand::Add(left, right)
        | Operand::Sub(left, right)
        | Operand::Mul(left, right)
        | Operand::And(left, right) => {
            operand(left, visit);
            operand(right, visit);
        }
    }
}

/// Every slot read, with its use, in order.
pub(crate) fn of(condition: &Condition) -> Vec<(Slot, Use)> {
    let mut found = Vec::new();
    each(&mut condition.clone(), &mut |slot, what| found.push((*slot, what)));
    found
}

/// How many leaves a condition has.
pub(crate) fn tests(condition: &Condition) -> usize {
    match condition {
        Condition::Always => 0,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(tests).sum(),
        Condition::Not(inner) => tests(inner),
        Condition::Test(_) => 1,
    }
}
