//! Two rules that contradict each other: after both have run, one's bound would not hold, whatever their order; or they
//! answer the same message in two ways.
//!
//! Promises:  names a contradiction only where both rules can apply to the same message, as far as constants in their
//!            conditions tell; what it says nothing about may still be two patches that have to be read together.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of all pairs of verbs, the few that contradict each other are named"
)]

use aho_corasick::AhoCorasick;
use plan::{ByteTest, Compare, Condition, Operand, Reply, Test, Transform};
use proto::Slot;

/// Why two transforms of the same field (or both of the message) contradict each other by their constants. What one writes
/// and the other takes out is [`written_back`]'s.
pub(crate) fn between(one: &Transform, other: &Transform) -> Option<String> {
    use Transform as T;
    match (one, other) {
        (T::SetNumber(a), T::SetNumber(b)) if a != b => {
            Some(format!("one writes {a}, the other {b}"))
        }
        (T::SetBytes(a), T::SetBytes(b)) if a != b => {
            Some("they write different values".to_owned())
        }
        (T::Clamp { min, max }, T::Clamp { min: other_min, max: other_max })
            if other_min > max || min > other_max =>
        {
            Some(format!(
                "no number lies both between {min} and {max} and between {other_min} and {other_max}"
            ))
        }
        (T::SetNumber(number), T::Clamp { min, max })
        | (T::Clamp { min, max }, T::SetNumber(number))
            if !(min..=max).contains(&number) =>
        {
            Some(format!("{number} does not lie between {min} and {max}"))
        }
        (T::SetNumber(number), T::Clear { bits }) | (T::Clear { bits }, T::SetNumber(number))
            if number & bits != 0 =>
        {
            Some(format!("{number:#x} has bits that the other clears ({bits:#x})"))
        }
        (T::Clear { bits }, T::Clamp { min, .. }) | (T::Clamp { min, .. }, T::Clear { bits })
            if min & bits != 0 && *min != 0 && (min & !bits) < *min =>
        {
            Some(format!("without the bits {bits:#x}, the least value {min} is not reached"))
        }
        (T::Truncate { to }, T::Pad { to: padded, .. })
        | (T::Pad { to: padded, .. }, T::Truncate { to })
            if padded > to =>
        {
            Some(format!("one cuts to {to} bytes, the other fills up to {padded}"))
        }
        (T::Truncate { to }, T::SetBytes(value)) | (T::SetBytes(value), T::Truncate { to })
            if value.len() > usize::try_from(*to).unwrap_or(usize::MAX) =>
        {
            Some(format!("one cuts to {to} bytes, the other writes {}", value.len()))
        }
        (T::Pad { to, .. }, T::SetBytes(value)) | (T::SetBytes(value), T::Pad { to, .. })
            if value.len() < usize::try_from(*to).unwrap_or(usize::MAX) =>
        {
            Some(format!("one fills up to {to} bytes, the other writes {}", value.len()))
        }
        (T::Dedupe { keep_last: a }, T::Dedupe { keep_last: b }) if a != b => {
            Some("one keeps the first of equal elements, the other the last".to_owned())
        }
        (T::Refuse(a), T::Refuse(b)) | (T::Close(Some(a)), T::Close(Some(b)))
            if !same_reply(a, b) =>
        {
            Some("they give different answers".to_owned())
        }
        (T::Drop, T::Refuse(_)) | (T::Refuse(_), T::Drop) => {
            Some("one swallows the message in silence, the other answers it".to_owned())
        }
        (T::Close(_), T::Refuse(_)) | (T::Refuse(_), T::Close(_)) => {
            Some("one closes the connection, the other answers and lets it live".to_owned())
        }
        (T::Drop, T::Close(_)) | (T::Close(_), T::Drop) => {
            Some("one closes the connection, the other lets it live".to_owned())
        }
        _ => None,
    }
}

/// Pairs (who takes out, who writes it back), as indices into `transforms`, which all work on the same field. One pass over
/// what is written, however many patterns there are.
pub(crate) fn written_back(transforms: &[&Transform]) -> Vec<(usize, usize)> {
    let mut literals: Vec<&[u8]> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    let mut others: Vec<usize> = Vec::new();
    for (no, keeper) in transforms.iter().enumerate() {
        match keeper {
            Transform::CutAt { keep_match: true, .. } => {}
            Transform::Mask { .. } => others.push(no),
            _ => match keeper.pattern() {
                Some(pattern) if pattern.literals.is_empty() => others.push(no),
                Some(pattern) => {
                    for literal in &pattern.literals {
                        literals.push(literal);
                        owners.push(no);
                    }
                }
                None => {}
            },
        }
    }
    // Without case, so that one automaton serves all; whoever is found is asked again.
    let search = AhoCorasick::builder().ascii_case_insensitive(true).build(&literals).ok();
    let mut pairs = Vec::new();
    for (writer, transform) in transforms.iter().enumerate() {
        let written: &[u8] = match transform {
            Transform::Replace { with, .. } | Transform::SetBytes(with) => with,
            Transform::Pad { with, .. }
            | Transform::Mask { with, .. }
            | Transform::MaskPattern { with, .. } => core::slice::from_ref(with),
            _ => continue,
        };
        let mut suspects = others.clone();
        match &search {
            Some(search) => suspects.extend(
                search
                    .find_overlapping_iter(written)
                    .filter_map(|found| owners.get(found.pattern().as_usize())),
            ),
            None => suspects.extend(&owners),
        }
        suspects.sort_unstable();
        suspects.dedup();
        let takes_out = |keeper: &Transform| match keeper {
            Transform::Mask { set, .. } => written.iter().any(|&byte| set.contains(byte)),
            _ => keeper.pattern().is_some_and(|pattern| pattern.find(written, 0).is_some()),
        };
        pairs.extend(
            suspects
                .into_iter()
                .filter(|&keeper| keeper != writer)
                .filter(|&keeper| transforms.get(keeper).is_some_and(|keeper| takes_out(keeper)))
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

/// What a condition surely says of one slot.
#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Numbers(Vec<(u64, u64)>),
    Values(Vec<Box<[u8]>>),
}

/// Constants that have to hold for a condition, found in its outermost `and`s: prepared once a rule, compared many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(Vec<(Slot, Fact)>);

impl Facts {
    /// `single` says which slots occur once in reach of the rule: two values of another slot do not exclude each other.
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
