//! Two rules that contradict each other. After both have run, in either order, the bound of one
//! does not hold; or they answer the same message in two ways.
//!
//! Promises:  it names a contradiction only where both rules can apply to the same message, as far
//!            as constants in their conditions tell. Two other patches may still have to be read
//!            together.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of all pairs of bounds, the few that contradict each other are named"
)]

use aho_corasick::AhoCorasick;
use plan::{
    Bound, ByteTest, Compare, Condition, Operand, Reply, TakesOut, Test, Transform,
    TransformTraits, Verdict,
};
use proto::Slot;

/// Why two transforms of the same field (or both of the message) contradict each other by their
/// bounds. Where one writes bytes that the other takes out, [`written_back`] finds it.
pub(crate) fn between(one: &Transform, other: &Transform) -> Option<String> {
    let (one, other) = (one.traits().bound, other.traits().bound);
    exclude(one, other).or_else(|| exclude(other, one))
}

/// Each pair in one order only.
fn exclude(one: Bound<'_>, other: Bound<'_>) -> Option<String> {
    match (one, other) {
        (Bound::Number(a), Bound::Number(b)) if a != b => {
            Some(format!("one writes {a}, the other {b}"))
        }
        (Bound::Bytes(a), Bound::Bytes(b)) if a != b => {
            Some("they write different values".to_owned())
        }
        (
            Bound::NumberBetween { min, max },
            Bound::NumberBetween { min: other_min, max: other_max },
        ) if other_min > max || min > other_max => Some(format!(
            "no number lies both between {min} and {max} and between {other_min} and {other_max}"
        )),
        (Bound::Number(number), Bound::NumberBetween { min, max })
            if !(min..=max).contains(&number) =>
        {
            Some(format!("{number} does not lie between {min} and {max}"))
        }
        (Bound::Number(number), Bound::BitsClear(bits)) if number & bits != 0 => {
            Some(format!("{number:#x} has bits that the other clears ({bits:#x})"))
        }
        (Bound::BitsClear(bits), Bound::NumberBetween { min, .. }) if (min & !bits) < min => {
            Some(format!("without the bits {bits:#x}, the least value {min} is not reached"))
        }
        (Bound::LengthAtMost(to), Bound::LengthAtLeast(padded)) if padded > to => {
            Some(format!("one cuts to {to} bytes, the other fills up to {padded}"))
        }
        (Bound::LengthAtMost(to), Bound::Bytes(value)) if value.len() > bytes(to) => {
            Some(format!("one cuts to {to} bytes, the other writes {}", value.len()))
        }
        (Bound::LengthAtLeast(to), Bound::Bytes(value)) if value.len() < bytes(to) => {
            Some(format!("one fills up to {to} bytes, the other writes {}", value.len()))
        }
        (Bound::OneOfEqual { last: a }, Bound::OneOfEqual { last: b }) if a != b => {
            Some("one keeps the first of equal elements, the other the last".to_owned())
        }
        (Bound::Stopped(one), Bound::Stopped(other)) => two_verdicts(one, other),
        _ => None,
    }
}

fn two_verdicts(one: Verdict<'_>, other: Verdict<'_>) -> Option<String> {
    let why = match (one, other) {
        (Verdict::Refuse(a), Verdict::Refuse(b))
        | (Verdict::Close(Some(a)), Verdict::Close(Some(b)))
            if !same_reply(a, b) =>
        {
            "they give different answers"
        }
        (Verdict::Drop, Verdict::Refuse(_)) => {
            "one swallows the message in silence, the other answers it"
        }
        (Verdict::Close(_), Verdict::Refuse(_)) => {
            "one closes the connection, the other answers and lets it live"
        }
        (Verdict::Drop, Verdict::Close(_)) => "one closes the connection, the other lets it live",
        _ => return None,
    };
    Some(why.to_owned())
}

fn bytes(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Pairs (who takes out, who writes it back), as indices into `transforms`, which all work on the
/// same field. One pass over the bytes written serves all patterns.
pub(crate) fn written_back(transforms: &[&Transform]) -> Vec<(usize, usize)> {
    let rows: Vec<_> = transforms.iter().map(|transform| transform.traits()).collect();
    let mut literals: Vec<&[u8]> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    let mut others: Vec<usize> = Vec::new();
    for (no, row) in rows.iter().enumerate() {
        match row.takes_out {
            TakesOut::Nothing => {}
            TakesOut::Matches(pattern) if !pattern.literals.is_empty() => {
                literals.extend(pattern.literals.iter().map(|literal| &**literal));
                owners.resize(literals.len(), no);
            }
            TakesOut::Bytes(_) | TakesOut::Matches(_) => others.push(no),
        }
    }
    // Without case, so that one automaton serves all; each suspect is asked again.
    let search = AhoCorasick::builder().ascii_case_insensitive(true).build(&literals).ok();
    let mut pairs = Vec::new();
    for (writer, TransformTraits { writes, .. }) in rows.iter().enumerate() {
        if writes.is_empty() {
            continue;
        }
        let mut suspects = others.clone();
        match &search {
            Some(search) => suspects.extend(
                search
                    .find_overlapping_iter(writes)
                    .filter_map(|found| owners.get(found.pattern().as_usize())),
            ),
            None => suspects.extend(&owners),
        }
        suspects.sort_unstable();
        suspects.dedup();
        let takes_out = |row: &TransformTraits<'_>| match row.takes_out {
            TakesOut::Nothing => false,
            TakesOut::Bytes(set) => writes.iter().any(|&byte| set.contains(byte)),
            TakesOut::Matches(pattern) => pattern.find(writes, 0).is_some(),
        };
        pairs.extend(
            suspects
                .into_iter()
                .filter(|&keeper| keeper != writer && rows.get(keeper).is_some_and(takes_out))
                .map(|keeper| (keeper, writer)),
        );
    }
    pairs
}

fn same_reply(a: &Reply, b: &Reply) -> bool {
    match (a, b) {
        (Reply::Protocol(a), Reply::Protocol(b)) => a == b,
        (Reply::Custom(a), Reply::Custom(b)) => a == b,
        (Reply::Protocol(_), Reply::Custom(_)) | (Reply::Custom(_), Reply::Protocol(_)) => false,
    }
}

/// A constant that a condition demands of one slot.
#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Numbers(Vec<(u64, u64)>),
    Values(Vec<Box<[u8]>>),
}

/// Constants that have to hold for a condition, found in its outermost `and`s: prepared once a
/// rule, compared many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConditionFacts(Vec<(Slot, Fact)>);

impl ConditionFacts {
    /// `single`: the slot occurs once in reach of the rule. Two values of another slot do not
    /// exclude each other.
    pub(crate) fn of(when: &Condition, single: &dyn Fn(Slot) -> bool) -> Self {
        let mut facts = Vec::new();
        collect(when, single, &mut facts);
        Self(facts)
    }

    /// No message can satisfy both.
    pub(crate) fn exclude(&self, other: &Self) -> bool {
        self.0.iter().any(|(slot, mine)| {
            other.0.iter().filter(|(theirs, _)| theirs == slot).any(|(_, theirs)| {
                match (mine, theirs) {
                    (Fact::Numbers(a), Fact::Numbers(b)) => !a.iter().any(|(low, high)| {
                        b.iter()
                            .any(|(other_low, other_high)| low <= other_high && other_low <= high)
                    }),
                    (Fact::Values(a), Fact::Values(b)) => !a.iter().any(|value| b.contains(value)),
                    (Fact::Numbers(_), Fact::Values(_)) | (Fact::Values(_), Fact::Numbers(_)) => {
                        false
                    }
                }
            })
        })
    }
}

fn collect(when: &Condition, single: &dyn Fn(Slot) -> bool, facts: &mut Vec<(Slot, Fact)>) {
    match when {
        Condition::All(parts) => parts.iter().for_each(|part| collect(part, single, facts)),
        Condition::Test(Test::Number {
            left: Operand::Field(slot),
            compare,
            right: Operand::Constant(number),
        }) if single(*slot) => {
            let range = match compare {
                Compare::Equal => (*number, *number),
                Compare::Less => (0, number.saturating_sub(1)),
                Compare::LessOrEqual => (0, *number),
                Compare::Greater => (number.saturating_add(1), u64::MAX),
                Compare::GreaterOrEqual => (*number, u64::MAX),
                Compare::NotEqual => return,
            };
            facts.push((*slot, Fact::Numbers(vec![range])));
        }
        Condition::Test(Test::NumberIn { operand: Operand::Field(slot), ranges })
            if single(*slot) =>
        {
            facts.push((*slot, Fact::Numbers(ranges.to_vec())));
        }
        Condition::Test(Test::Bytes { source, test })
            if source.steps.is_empty() && single(source.slot) =>
        {
            match test {
                ByteTest::Equal(value) => {
                    facts.push((source.slot, Fact::Values(vec![value.clone()])));
                }
                ByteTest::In(values) => facts.push((source.slot, Fact::Values(values.to_vec()))),
                _ => {}
            }
        }
        Condition::Always | Condition::Any(_) | Condition::Not(_) | Condition::Test(_) => {}
    }
}
