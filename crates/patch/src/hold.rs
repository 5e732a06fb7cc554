//! How much of a message a rule has to see before it can act: the bytes at hand, the whole unit, or
//! the whole message head. The compiler's streaming and hold classes come from here.

use plan::{Bound, Compare, Condition, Measure, Operand, Rule, StreamingClass, Test, Transform};
use proto::{FieldDef, Protocol, Slot, Wanted};

use crate::slots::{self, Use};

/// See the module. Ordered from cheap to dear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HoldNeed {
    /// It works on pieces, and holds back at most this many bytes: the beginning of a match.
    Streaming(u32),
    /// The unit, for this reason.
    Unit(String),
    /// All units of a message head together, for this reason.
    Head(String),
}

/// A rule in the numbering of slots that it was compiled with.
#[derive(Clone, Copy)]
pub(crate) struct HeldRule<'r> {
    pub(crate) protocol: &'r Protocol,
    pub(crate) wanted: &'r Wanted,
    pub(crate) target: Option<Slot>,
    pub(crate) when: &'r Condition,
    pub(crate) transform: &'r Transform,
}

impl<'r> HeldRule<'r> {
    pub(crate) fn new(protocol: &'r Protocol, wanted: &'r Wanted, rule: &'r Rule) -> Self {
        let Rule { target, when, transform, .. } = rule;
        Self { protocol, wanted, target: *target, when, transform }
    }

    /// Its need over TCP.
    pub(crate) fn need(self) -> HoldNeed {
        let uses = slots::of(self.when);
        let class = self.transform.traits().class;
        match class {
            StreamingClass::Elements => {
                return HoldNeed::Head("elements are counted over the whole message".to_owned());
            }
            StreamingClass::Message => {
                return HoldNeed::Head("the message is let through or not as a whole".to_owned());
            }
            StreamingClass::EachByte | StreamingClass::PartialMatch(_) | StreamingClass::Unit => {}
        }
        if let Some((slot, _)) = uses.iter().find(|(_, what)| *what == Use::Occurrences) {
            return HoldNeed::Head(format!("the condition counts `{}`", self.shown(*slot)));
        }
        let mut read: Vec<Slot> = uses.iter().map(|(slot, _)| *slot).chain(self.target).collect();
        read.sort_unstable();
        read.dedup();
        match self.streams(class, &uses) {
            Ok(bytes) => HoldNeed::Streaming(bytes),
            // Which fields share a unit only the decoder knows; all are together in a whole head.
            Err(why) if read.len() > 1 => HoldNeed::Head(why),
            Err(why) => HoldNeed::Unit(why),
        }
    }

    /// Bytes of a partial match that it holds where it works on pieces, or why it does not.
    fn streams(self, class: StreamingClass, uses: &[(Slot, Use)]) -> Result<u32, String> {
        let bytes = match class {
            StreamingClass::EachByte => 0,
            StreamingClass::PartialMatch(bytes) => bytes,
            StreamingClass::Unit | StreamingClass::Elements | StreamingClass::Message => {
                return Err(match self.transform.pattern() {
                    Some(_) => "a match of its pattern may be of any length",
                    None => "it works on the whole field",
                }
                .to_owned());
            }
        };
        let slot = self.target.ok_or_else(|| "it works on the whole unit".to_owned())?;
        let def = self.def(slot).filter(|def| def.streams);
        if def.is_none() {
            return Err(format!("`{}` is not given out in pieces", self.shown(slot)));
        }
        for (other, what) in uses {
            if *other == slot && *what != Use::Presence {
                return Err(format!("the condition reads `{}` itself", self.shown(slot)));
            }
            if *other != slot && !self.comes_before(*other, slot) {
                return Err(format!("the condition reads `{}`", self.shown(*other)));
            }
        }
        Ok(bytes)
    }

    /// Whether `earlier` is known when the first bytes of `slot` are there. Plain fields that the
    /// table lists before it, in one unit, are. Fields of the same element, or of other lines, are
    /// not.
    fn comes_before(self, earlier: Slot, slot: Slot) -> bool {
        let (Some(def), Some(earlier_def)) = (self.def(slot), self.def(earlier)) else {
            return false;
        };
        let (id, _) = self.wanted.field_of(slot);
        let (earlier_id, key) = self.wanted.field_of(earlier);
        key.is_none()
            && earlier_id < id
            && !def.element
            && !def.repeated
            && !earlier_def.streams
            && !earlier_def.element
            && !earlier_def.repeated
    }

    fn def(self, slot: Slot) -> Option<&'r FieldDef> {
        self.protocol.def(self.wanted.field_of(slot).0)
    }

    fn shown(self, slot: Slot) -> String {
        shown(self.protocol, self.wanted, slot)
    }

    /// The endless field that it would wait for where it needs a hold.
    pub(crate) fn endless(self) -> Option<Slot> {
        let read = slots::of(self.when)
            .into_iter()
            .filter(|(_, what)| *what != Use::Presence)
            .map(|(slot, _)| slot)
            .chain(self.target);
        read.into_iter().find(|slot| self.def(*slot).is_some_and(|def| def.endless))
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
