//! How much of a unit a rule has to see before it can act: nothing more than is there, the whole unit, or the whole message
//! head. What the compiler's streaming and hold classes rest on.

use plan::{Bound, Compare, Condition, Measure, Operand, StreamingClass, Test, Transform};
use proto::{Protocol, Slot, Wanted};

use crate::slots::{self, Use};

/// See the module. Ordered from cheap to dear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Works on pieces, holding back at most this many bytes (the beginning of a pattern).
    Streaming(u32),
    /// The unit, for this reason.
    Unit(String),
    /// All units of a message head together, for this reason.
    Head(String),
}

/// What one rule needs over TCP. `wanted` numbers its slots.
pub(crate) fn of_rule(
    protocol: &Protocol,
    wanted: &Wanted,
    target: Option<Slot>,
    when: &Condition,
    transform: &Transform,
) -> Need {
    let uses = slots::of(when);
    let name = |slot: Slot| shown(protocol, wanted, slot);
    let class = transform.traits().class;
    match class {
        StreamingClass::Elements => {
            return Need::Head("elements are counted over the whole message".to_owned());
        }
        StreamingClass::Message => {
            return Need::Head("the message is let through or not as a whole".to_owned());
        }
        StreamingClass::EachByte | StreamingClass::PartialMatch(_) | StreamingClass::Unit => {}
    }
    if let Some((slot, _)) = uses.iter().find(|(_, what)| *what == Use::Occurrences) {
        return Need::Head(format!("the condition counts `{}`", name(*slot)));
    }
    let mut read: Vec<Slot> = uses.iter().map(|(slot, _)| *slot).chain(target).collect();
    read.sort_unstable();
    read.dedup();

    let streamed = match class {
        StreamingClass::EachByte => Ok(0),
        StreamingClass::PartialMatch(bytes) => Ok(bytes),
        _ if transform.pattern().is_some() => {
            Err("a match of its pattern may be of any length".to_owned())
        }
        _ => Err("it works on the whole field".to_owned()),
    };
    let streamed = streamed.and_then(|window| {
        let slot = target.ok_or_else(|| "it works on the whole unit".to_owned())?;
        let (id, _) = wanted.field_of(slot);
        let def = protocol.def(id).filter(|def| def.streams);
        let Some(def) = def else {
            return Err(format!("`{}` is not given out in pieces", name(slot)));
        };
        for (other, what) in &uses {
            if *other == slot {
                if *what == Use::Presence {
                    continue;
                }
                return Err(format!("the condition reads `{}` itself", name(slot)));
            }
            // Fields of one element, or of lines the field does not stand in, are not there yet when its first bytes
            // are; plain fields that the table lists before it, in one unit, are.
            let (other_id, key) = wanted.field_of(*other);
            let earlier = key.is_none()
                && other_id < id
                && !def.element
                && !def.repeated
                && protocol
                    .def(other_id)
                    .is_some_and(|other| !other.streams && !other.element && !other.repeated);
            if !earlier {
                return Err(format!("the condition reads `{}`", name(*other)));
            }
        }
        Ok(window)
    });
    match streamed {
        Ok(window) => Need::Streaming(window),
        // Which fields share a unit only the decoder knows; all are together in a whole head.
        Err(why) if read.len() > 1 => Need::Head(why),
        Err(why) => Need::Unit(why),
    }
}

/// The field of a slot as patches write it.
pub(crate) fn shown(protocol: &Protocol, wanted: &Wanted, slot: Slot) -> String {
    let (id, key) = wanted.field_of(slot);
    let name = protocol.def(id).map_or("?", |def| def.name);
    match key {
        Some(key) => format!("{name}[\"{}\"]", String::from_utf8_lossy(key)),
        None => name.to_owned(),
    }
}

/// The endless field a rule that needs a hold would wait for, if there is one.
pub(crate) fn endless(
    protocol: &Protocol,
    wanted: &Wanted,
    target: Option<Slot>,
    when: &Condition,
) -> Option<Slot> {
    let read = slots::of(when)
        .into_iter()
        .filter(|(_, what)| *what != Use::Presence)
        .map(|(slot, _)| slot)
        .chain(target);
    read.into_iter()
        .find(|slot| protocol.def(wanted.field_of(*slot).0).is_some_and(|def| def.endless))
}

/// Bytes of one field that a rule has to see to be decided: `len(x) > 300` needs 301.
pub(crate) fn field_bytes(when: &Condition, transform: &Transform) -> u64 {
    let of_transform = match transform.traits().bound {
        Bound::LengthAtMost(bytes) => u64::from(bytes).saturating_add(1),
        Bound::LengthAtLeast(bytes) => u64::from(bytes),
        Bound::None
        | Bound::Number(_)
        | Bound::NumberBetween { .. }
        | Bound::BitsClear(_)
        | Bound::Bytes(_)
        | Bound::OneOfEqual { .. }
        | Bound::Stopped(_) => 0,
    };
    of_transform.max(condition_bytes(when))
}

fn condition_bytes(when: &Condition) -> u64 {
    match when {
        Condition::Always => 0,
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().map(condition_bytes).max().unwrap_or(0)
        }
        Condition::Not(inner) => condition_bytes(inner),
        Condition::Test(Test::Number { left, compare, right }) => {
            let (length, bound) = match (left, right) {
                (Operand::Measure(Measure::Len, _), Operand::Constant(bound))
                | (Operand::Constant(bound), Operand::Measure(Measure::Len, _)) => {
                    (compare, *bound)
                }
                _ => return 0,
            };
            match length {
                Compare::Less | Compare::GreaterOrEqual => bound,
                Compare::Equal | Compare::NotEqual | Compare::LessOrEqual | Compare::Greater => {
                    bound.saturating_add(1)
                }
            }
        }
        Condition::Test(
            Test::Present(_) | Test::NumberIn { .. } | Test::Bytes { .. } | Test::Duplicate(_),
        ) => 0,
    }
}
