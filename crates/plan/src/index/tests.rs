use proto::schema::{FieldDef, FieldId, Protocol};

use super::*;
use crate::condition::{ByteSource, ByteStep, ByteTest, Compare, Measure, Operand, Test};
use crate::pattern::Pattern;
use crate::rule::PatchNo;
use crate::transform::Transform;

static PROTOCOL: Protocol = Protocol {
    name: "t",
    title: "",
    ports: &[],
    fields: &[
        FieldDef { name: "t.text", ..FieldDef::TEXT },
        FieldDef { name: "t.number", ..FieldDef::UINT },
    ],
    unit: "",
    readings: "",
    refusals: &[],
};

fn index(rules: &[Rule]) -> Index {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(FieldId(0));
    wanted.want(FieldId(1));
    Index::new(&wanted, rules)
}

fn rule(target: Option<Slot>, when: Condition, transform: Transform) -> Rule {
    Rule { patch: PatchNo(0), target, when, transform }
}

fn text(steps: &[ByteStep]) -> ByteSource {
    ByteSource { slot: 0, steps: steps.into() }
}

fn bytes(steps: &[ByteStep], test: ByteTest) -> Condition {
    Condition::Test(Test::Bytes { source: text(steps), test })
}

fn number(left: Operand, compare: Compare, right: u64) -> Condition {
    Condition::Test(Test::Number { left, compare, right: Operand::Constant(right) })
}

fn literal(literal: &str) -> Pattern {
    Pattern::literals(literal, &[literal.as_bytes()], false).unwrap()
}

/// The candidates when slot 0 has this value and slot 1 this number.
fn candidates(index: &Index, value: &str, number: u64) -> Vec<RuleNo> {
    let mut out = Candidates::new();
    index.slot(0).unwrap().look_up(value.as_bytes(), None, &mut out);
    index.slot(1).unwrap().look_up(b"", Some(number), &mut out);
    out.sort();
    let found = out.rules().to_vec();
    out.clear();
    index.slot(0).unwrap().look_up(b"", None, &mut out);
    index.slot(1).unwrap().look_up(b"", Some(number), &mut out);
    index.slot(0).unwrap().look_up(value.as_bytes(), None, &mut out);
    out.sort();
    assert!(found.iter().all(|rule| out.rules().contains(rule)), "clear() forgets everything");
    found
}

#[test]
fn each_kind_of_test_is_looked_up() {
    let drop = |when| rule(None, when, Transform::Drop);
    let field = || Operand::Field(1);
    let index = index(&[
        drop(bytes(&[], ByteTest::Contains(literal("${jndi:")))),
        drop(bytes(
            &[ByteStep::Lower, ByteStep::Trim],
            ByteTest::StartsWith(b"evil".as_slice().into()),
        )),
        drop(bytes(&[], ByteTest::Equal(b"GET".as_slice().into()))),
        drop(number(Operand::Measure(Measure::Len, text(&[])), Compare::Greater, 10)),
        drop(number(field(), Compare::Equal, 7)),
        drop(number(field(), Compare::Greater, 100)),
        drop(number(field(), Compare::LessOrEqual, 2)),
        drop(Condition::All(
            [
                number(field(), Compare::Equal, 9),
                bytes(&[], ByteTest::Contains(literal("literal"))),
            ]
            .into(),
        )),
        drop(Condition::Any(
            [number(field(), Compare::Equal, 9), bytes(&[], ByteTest::Contains(literal("pin")))]
                .into(),
        )),
        drop(Condition::Test(Test::NumberIn { operand: field(), ranges: [(5, 5), (6, 6)].into() })),
    ]);
    assert!(index.every_unit().is_empty());
    assert_eq!(candidates(&index, "", 50), []);
    assert_eq!(candidates(&index, "a${JNDI:b", 50), [0]);
    assert_eq!(candidates(&index, " EVIL", 50), [1]);
    assert_eq!(candidates(&index, "GET", 50), [2]);
    assert_eq!(candidates(&index, "GETTER", 50), []);
    assert_eq!(candidates(&index, "0123456789", 50), []);
    assert_eq!(candidates(&index, "0123456789a", 50), [3]);
    assert_eq!(candidates(&index, "", 7), [4]);
    assert_eq!(candidates(&index, "", 101), [5]);
    assert_eq!(candidates(&index, "", 2), [6]);
    assert_eq!(candidates(&index, "literal", 50), [7]);
    assert_eq!(candidates(&index, "pin", 9), [8]);
    assert_eq!(candidates(&index, "", 9), [8]);
    assert_eq!(candidates(&index, "", 6), [9]);
}

#[test]
fn what_has_no_guard_is_looked_at_always() {
    let drop = |when| rule(None, when, Transform::Drop);
    let index = index(&[
        drop(Condition::Not(Box::new(Condition::Test(Test::Present(0))))),
        drop(number(Operand::Count(0), Compare::Less, 3)),
        drop(number(Operand::Count(0), Compare::Greater, 3)),
        drop(Condition::Always),
        drop(bytes(&[ByteStep::UrlDecode], ByteTest::Contains(literal("../")))),
    ]);
    assert_eq!(index.every_unit(), [0, 1, 3]);
    assert_eq!(candidates(&index, "", 0), []);
    assert_eq!(candidates(&index, "a/%2E./", 0), [4]);
}

#[test]
fn rules_that_count_occurrences_wait_for_so_many() {
    let count =
        |compare, right| rule(None, number(Operand::Count(0), compare, right), Transform::Drop);
    let index = index(&[
        count(Compare::Greater, 3),
        count(Compare::GreaterOrEqual, 3),
        count(Compare::Equal, 3),
        count(Compare::NotEqual, 0),
        rule(Some(0), Condition::Always, Transform::KeepFirst { count: 2 }),
        rule(Some(0), Condition::Always, Transform::Dedupe { keep_last: false }),
        rule(None, Condition::Test(Test::Duplicate(0)), Transform::Drop),
        rule(Some(0), Condition::Always, Transform::KeepFirst { count: 0 }),
    ]);
    assert_eq!(index.counted(), [0]);
    let counted = |occurrences, open| {
        let mut out = Candidates::new();
        index.slot(0).unwrap().look_up_count(occurrences, open, &mut out);
        out.sort();
        out.rules().to_vec()
    };
    assert_eq!(candidates(&index, "", 0), [3, 7], "these want one only");
    assert_eq!(counted(1, false), []);
    assert_eq!(counted(2, false), [5, 6]);
    assert_eq!(counted(3, false), [1, 2, 4, 5, 6]);
    assert_eq!(counted(4, false), [0, 1, 2, 4, 5, 6]);
    assert_eq!(counted(1, true), [0, 1, 2, 4, 5, 6], "more may follow");
}

#[test]
fn streamable_rules_make_a_program_and_the_rest_wait_for_the_whole_field() {
    let mut set = ByteSet::new();
    set.insert(0);
    let index = index(&[
        rule(Some(0), Condition::Always, Transform::Truncate { to: 9 }),
        rule(Some(0), Condition::Always, Transform::Truncate { to: 5 }),
        rule(Some(0), Condition::Always, Transform::Mask { set, with: b'x' }),
        rule(
            Some(0),
            number(Operand::Field(1), Compare::Equal, 3),
            Transform::Replace { pattern: literal("ab"), with: Box::default() },
        ),
        rule(Some(0), Condition::Always, Transform::Remove),
        rule(
            Some(0),
            Condition::Always,
            Transform::Replace {
                pattern: Pattern::regex("a+b", false).unwrap(),
                with: Box::default(),
            },
        ),
    ]);
    let slot = index.slot(0).unwrap();
    let program = slot.program().unwrap();
    assert_eq!(program.truncate, Some((5, 1)));
    assert_eq!(program.masks.as_ref().unwrap().rule(0), Some(2));
    assert_eq!(*program.conditional, [3]);
    assert_eq!(program.automata.len(), 1);
    assert_eq!(slot.whole(), [4, 5]);
    assert_eq!(candidates(&index, "", 0), [4], "the program finds its own work");
    assert_eq!(candidates(&index, "xaby", 3), [3, 4, 5]);
}

#[test]
fn literal_states_know_how_much_may_be_the_beginning_of_a_literal() {
    let index = index(&[rule(
        Some(0),
        Condition::Always,
        Transform::Replace {
            pattern: Pattern::literals("", &[b"abcd", b"bce", b"x"], false).unwrap(),
            with: Box::default(),
        },
    )]);
    let program = index.slot(0).unwrap().program().unwrap();
    let Automaton::Literals(literals) = &program.automata[0] else { panic!("literals") };
    let run = |input: &[u8]| {
        input.iter().fold(literals.start(), |state, &byte| literals.step(state, byte))
    };
    assert_eq!(literals.depth(run(b"zzabc")), 3);
    assert_eq!(literals.depth(run(b"zzabce")), 3);
    assert!(literals.is_match(run(b"zzabce")));
    assert_eq!(literals.matches(run(b"abcd")).next().unwrap().1, 4);
    assert_eq!(literals.depth(run(b"abq")), 0);
    assert_eq!(literals.state(run(b"abc").number()), run(b"abc"));
    assert_eq!(literals.state(u32::MAX), literals.start());
}

#[test]
fn what_a_message_costs_does_not_grow_with_patches_that_do_not_concern_it() {
    let mut rules = Vec::new();
    for n in 0..2_500_u32 {
        let spell = |kind: &str| literal(&format!("{kind}-{n:05}"));
        rules.push(rule(None, bytes(&[], ByteTest::Contains(spell("virus"))), Transform::Drop));
        rules.push(rule(Some(0), Condition::Always, Transform::Truncate { to: 200 + n }));
        rules.push(rule(
            Some(0),
            number(Operand::Field(1), Compare::Equal, u64::from(n) + 1000),
            Transform::Remove,
        ));
        rules.push(rule(
            Some(0),
            Condition::Always,
            Transform::Replace { pattern: spell("worm"), with: Box::default() },
        ));
    }
    assert_eq!(rules.len(), 10_000);
    let index = index(&rules);
    assert!(index.every_unit().is_empty());
    assert_eq!(candidates(&index, "an ordinary value", 80), []);
    assert_eq!(candidates(&index, "one virus-00042 among ten thousand", 80), [42 * 4]);
    assert_eq!(candidates(&index, "x", 1003), [3 * 4 + 2]);
    assert_eq!(index.slot(0).unwrap().program().unwrap().automata.len(), 1);
}

#[test]
fn what_the_header_prefilter_lets_by_concerns_no_rule() {
    let decoded = [ByteStep::UrlDecode];
    let contains = |steps: &[ByteStep], text: &str| bytes(steps, ByteTest::Contains(literal(text)));
    let set = |members: &[u8]| {
        let mut set = ByteSet::new();
        members.iter().for_each(|&byte| set.insert(byte));
        set
    };
    let conditions = [
        contains(&[], "ab"),
        contains(&[], "{a"),
        contains(&decoded, "[a"),
        contains(&decoded, "/.b"),
        contains(&[], ".b"),
        contains(&[], ",a"),
        bytes(&[], ByteTest::StartsWith(b"ba".as_slice().into())),
        bytes(&decoded, ByteTest::StartsWith(b"/A".as_slice().into())),
        bytes(&[ByteStep::Trim], ByteTest::StartsWith(b".b".as_slice().into())),
        bytes(&[ByteStep::Trim], ByteTest::StartsWith(b"A".as_slice().into())),
        bytes(&[], ByteTest::StartsWith(b"/ab".as_slice().into())),
        bytes(&[], ByteTest::EndsWith(b"b,".as_slice().into())),
        bytes(&[ByteStep::Trim], ByteTest::EndsWith(b",".as_slice().into())),
        bytes(&[], ByteTest::AnyByteIn(set(b"{|}%;"))),
        bytes(&[], ByteTest::AllBytesIn(set(b"a,"))),
        bytes(&[], ByteTest::Equal(b"bab".as_slice().into())),
        bytes(&[], ByteTest::Matches(Pattern::regex("b+,", false).unwrap())),
        bytes(&[], ByteTest::Matches(Pattern::regex(",[ e]*,", false).unwrap())),
    ];
    let mut targeted: Vec<(Option<Slot>, Condition, Transform)> = vec![
        (Some(0), Condition::Always, Transform::Truncate { to: 9 }),
        (Some(0), Condition::Always, Transform::Mask { set: set(b"|~"), with: b' ' }),
        (Some(0), Condition::Always, Transform::Mask { set: set(b";~"), with: b' ' }),
    ];
    targeted.extend(conditions.into_iter().map(|when| (None, when, Transform::Drop)));
    let (mut caught, mut let_by) = (0, 0);
    let mut seed = 1_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % bound
    };
    for _ in 0..300 {
        let some = |(target, when, transform): &(Option<Slot>, Condition, Transform)| {
            rule(*target, when.clone(), transform.clone())
        };
        let count = 1 + below(3);
        let rules: Vec<Rule> = (0..count).map(|_| some(&targeted[below(targeted.len())])).collect();
        let index = index(&rules);
        let prefilter = index.header_prefilter().unwrap();
        let mut out = Candidates::new();
        for _ in 0..300 {
            let len = below(12);
            let value: Vec<u8> = (0..len).map(|_| b"aabbB,/.{[|;%2e A"[below(17)]).collect();
            let behind = value.iter().any(|&byte| byte >= prefilter.rare_from());
            if behind || prefilter.catches(0, &value, 0, value.len()) {
                caught += 1;
                continue;
            }
            out.clear();
            let touches = index.slot(0).unwrap().look_up(&value, None, &mut out);
            let text = value.escape_ascii();
            assert!(!touches && out.rules().is_empty(), "{text} {rules:?}");
            let_by += 1;
        }
    }
    assert!(caught > 10_000 && let_by > 10_000, "{caught} caught, {let_by} not");
}
