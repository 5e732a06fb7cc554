//! Hand-built rules and modules.
#![allow(dead_code, reason = "not every test uses all of it")]

use plan::{
    ByteSet, ByteSource, ByteStep, ByteTest, Compare, Condition, DirectionRules, FailMode, GroupNo,
    Hold, Measure, Mode, Module, Operand, PatchNo, Pattern, Rule, Test, Transform,
};
use proto::{Decoder, FieldId, Slot, Transport, Wanted};
use stage::Direction;

/// Gathers the rules of one side.
pub(crate) struct RulesBuilder {
    pub(crate) decoder: &'static dyn Decoder,
    pub(crate) wanted: Wanted,
    pub(crate) rules: Vec<Rule>,
    pub(crate) hold: Hold,
    pub(crate) mode: Mode,
    pub(crate) fail: FailMode,
    pub(crate) transport: Transport,
    pub(crate) direction: Direction,
}

impl RulesBuilder {
    pub(crate) fn new(decoder: &'static dyn Decoder) -> Self {
        Self {
            decoder,
            wanted: Wanted::new(decoder.protocol()),
            rules: Vec::new(),
            hold: Hold::Streaming,
            mode: Mode::Enforce,
            fail: FailMode::Open,
            transport: Transport::Tcp,
            direction: Direction::Request,
        }
    }

    /// Units are whole messages, held up to `bytes`.
    pub(crate) fn whole(mut self, bytes: u32) -> Self {
        self.wanted.want_whole();
        self.hold = Hold::UpTo(bytes);
        self
    }

    pub(crate) fn hold(mut self, bytes: u32) -> Self {
        self.hold = Hold::UpTo(bytes);
        self
    }

    pub(crate) fn slot(&mut self, field: FieldId) -> Slot {
        self.wanted.want(field)
    }

    pub(crate) fn named(&mut self, name: &str) -> Slot {
        let (id, _) = self.decoder.protocol().field(name).unwrap_or_else(|| panic!("{name}"));
        self.wanted.want(id)
    }

    pub(crate) fn keyed(&mut self, field: FieldId, key: &str) -> Slot {
        self.wanted.want_key(field, key.as_bytes())
    }

    /// One more patch with one rule.
    pub(crate) fn rule(
        mut self,
        target: Option<Slot>,
        when: Condition,
        transform: Transform,
    ) -> Self {
        let patch = PatchNo(self.rules.len() as u16);
        self.rules.push(Rule { patch, target, when, transform });
        self
    }

    pub(crate) fn on(self, target: Slot, transform: Transform) -> Self {
        self.rule(Some(target), Condition::Always, transform)
    }

    pub(crate) fn build(self) -> Module {
        let patches = self.rules.iter().map(|rule| rule.patch).collect();
        let side = DirectionRules::new(self.wanted, self.rules, self.hold, patches);
        let directions = match self.direction {
            Direction::Request => [side, DirectionRules::default()],
            Direction::Response => [DirectionRules::default(), side],
        };
        Module {
            group: GroupNo(0),
            decoder: self.decoder,
            transport: self.transport,
            ports: [7].into(),
            mode: self.mode,
            fail: self.fail,
            directions,
        }
    }
}

pub(crate) fn literal(text: &str) -> Pattern {
    Pattern::literals(text, &[text.as_bytes()], false).unwrap()
}

pub(crate) fn literals(all: &[&str]) -> Pattern {
    let bytes: Vec<&[u8]> = all.iter().map(|text| text.as_bytes()).collect();
    Pattern::literals("", &bytes, false).unwrap()
}

pub(crate) fn regex(text: &str) -> Pattern {
    Pattern::regex(text, false).unwrap()
}

pub(crate) fn replace(pattern: Pattern, with: &str) -> Transform {
    Transform::Replace { pattern, with: with.as_bytes().into() }
}

pub(crate) fn mask(bytes: &str, with: u8) -> Transform {
    let mut set = ByteSet::new();
    for byte in bytes.bytes() {
        set.insert(byte);
    }
    Transform::Mask { set, with }
}

pub(crate) fn source(slot: Slot, steps: &[ByteStep]) -> ByteSource {
    ByteSource { slot, steps: steps.into() }
}

pub(crate) fn bytes(slot: Slot, test: ByteTest) -> Condition {
    Condition::Test(Test::Bytes { source: source(slot, &[]), test })
}

pub(crate) fn equal(slot: Slot, value: &str) -> Condition {
    bytes(slot, ByteTest::Equal(value.as_bytes().into()))
}

pub(crate) fn contains(slot: Slot, value: &str) -> Condition {
    bytes(slot, ByteTest::Contains(literal(value)))
}

pub(crate) fn number(left: Operand, compare: Compare, right: u64) -> Condition {
    Condition::Test(Test::Number { left, compare, right: Operand::Constant(right) })
}

pub(crate) fn len(slot: Slot) -> Operand {
    Operand::Measure(Measure::Len, source(slot, &[]))
}

pub(crate) fn all(conditions: Vec<Condition>) -> Condition {
    Condition::All(conditions.into())
}

pub(crate) fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}
