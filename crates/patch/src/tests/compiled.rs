//! Good patches and the plans they become.

use plan::{
    ByteSource, ByteStep, ByteTest, Compare, Condition, Hold, Measure, Normalization, Operand,
    Reply, Test, Transform,
};
use proto::Transport;
use stage::Direction;

use super::ground::{good, patch_text, plan};
use crate::{Expect, ExpectedReply, Group, Options, compile, explain};

/// The first rule of the request side over TCP.
#[track_caller]
fn first_rule(rules: &str) -> String {
    let plan = plan(&[good(&patch_text(rules))]);
    let module = plan.modules.iter().find(|module| module.transport == Transport::Tcp).unwrap();
    let rule = &module.direction(Direction::Request).rules[0];
    format!("{:?}", (rule.target, &rule.when, &rule.transform))
}

#[track_caller]
fn condition(text: &str) -> Condition {
    let quoted = text.replace('\'', "''");
    let patch = good(&patch_text(&format!("  - when: '{quoted}'\n    close: connection\n")));
    patch.rules[0].when.clone()
}

#[track_caller]
fn same(text: &str, other: &str) {
    assert_eq!(format!("{:?}", condition(text)), format!("{:?}", condition(other)), "{text}");
}

fn test(test: Test) -> Condition {
    Condition::Test(test)
}

fn source(slot: u16, steps: &[ByteStep]) -> ByteSource {
    ByteSource { slot, steps: steps.into() }
}

#[track_caller]
fn means(text: &str, expected: &Condition) {
    assert_eq!(format!("{:?}", condition(text)), format!("{expected:?}"), "{text}");
}

/// Every match takes away more than is put in, so the bytes put in may match again.
#[test]
fn a_replacement_shorter_than_every_match_may_begin_as_the_pattern_ends() {
    good(&patch_text("  - replace: toy.name\n    regex: ',[ ]*,'\n    with: ','\n"));
}

fn number(left: Operand, compare: Compare, right: Operand) -> Condition {
    test(Test::Number { left, compare, right })
}

#[test]
fn conditions_on_numbers_compile_to_what_they_say() {
    means("toy.command", &test(Test::Present(0)));
    means(
        "toy.opcode >= 0x10",
        &number(Operand::Field(1), Compare::GreaterOrEqual, Operand::Constant(16)),
    );
    means(
        "toy.opcode & 0x80",
        &number(
            Operand::And(Operand::Field(1).into(), Operand::Constant(128).into()),
            Compare::NotEqual,
            Operand::Constant(0),
        ),
    );
    means(
        "len(lower(toy.name)[2:4]) + 1 * 2 < toy.opcode",
        &number(
            Operand::Add(
                Operand::Measure(
                    Measure::Len,
                    source(2, &[ByteStep::Lower, ByteStep::Slice { start: 2, end: Some(6) }]),
                )
                .into(),
                Operand::Mul(Operand::Constant(1).into(), Operand::Constant(2).into()).into(),
            ),
            Compare::Less,
            Operand::Field(1),
        ),
    );
    means(
        "toy.opcode in {1, 5..7, 3}",
        &test(Test::NumberIn {
            operand: Operand::Field(1),
            ranges: [(1, 1), (3, 3), (5, 7)].into(),
        }),
    );
    means("duplicate(toy.record)", &test(Test::Duplicate(6)));
    means(
        "climbs(toy.name)",
        &number(
            Operand::Measure(Measure::Climbs, source(2, &[])),
            Compare::NotEqual,
            Operand::Constant(0),
        ),
    );
    means(
        "count(toy.record) > 3",
        &number(Operand::Count(6), Compare::Greater, Operand::Constant(3)),
    );
}

#[test]
fn conditions_on_bytes_compile_to_what_they_say() {
    let bytes = |slot, steps: &[ByteStep], byte_test| {
        test(Test::Bytes { source: source(slot, steps), test: byte_test })
    };
    means("toy.name == \"a\\x00\"", &bytes(2, &[], ByteTest::Equal([b'a', 0].into())));
    means("toy.name == 61:00", &bytes(2, &[], ByteTest::Equal([b'a', 0].into())));
    means("\"a\" != toy.name", &bytes(2, &[], ByteTest::NotEqual([b'a'].into())));
    means(
        "url_decode(url_decode(toy.name)) starts_with \"/\"",
        &bytes(2, &[ByteStep::UrlDecode, ByteStep::UrlDecode], ByteTest::StartsWith([b'/'].into())),
    );
    means("trim(toy.name) == peer", &bytes(2, &[ByteStep::Trim], ByteTest::IsPeer));
    means(
        "toy.name != toy.short",
        &Condition::All(
            [
                test(Test::Present(2)),
                test(Test::Present(3)),
                Condition::Not(Box::new(bytes(2, &[], ByteTest::SameAs(source(3, &[]))))),
            ]
            .into(),
        ),
    );
    means(
        "toy.name not in {\"a\"}",
        &Condition::Not(Box::new(bytes(2, &[], ByteTest::In([[b'a'].into()].into())))),
    );
}

#[test]
fn slices_are_wiresharks() {
    let slice = |text: &str| match condition(&format!("toy.name{text} == \"x\"")) {
        Condition::Test(Test::Bytes { source, .. }) => match source.steps[0] {
            ByteStep::Slice { start, end } => (start, end),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(slice("[3]"), (3, Some(4)));
    assert_eq!(slice("[-1]"), (-1, None));
    assert_eq!(slice("[2:3]"), (2, Some(5)));
    assert_eq!(slice("[10:20]"), (10, Some(30)));
    assert_eq!(slice("[-4:2]"), (-4, Some(-2)));
    assert_eq!(slice("[-4:4]"), (-4, None));
    assert_eq!(slice("[1-3]"), (1, Some(4)));
    assert_eq!(slice("[:4]"), (0, Some(4)));
    assert_eq!(slice("[4:]"), (4, None));
}

#[test]
fn spellings_mean_the_same() {
    same("toy.opcode eq 1 && !toy.command", "toy.opcode == 1 and not toy.command");
    same(
        "toy.opcode == 1 or toy.command and toy.name",
        "(toy.opcode == 1) || (toy.command && toy.name)",
    );
    same("not toy.opcode == 1", "!(toy.opcode == 1)");
    same("toy.name contains 0a:", "toy.name contains \"\\n\"");
    same("toy.header[\"A\"] == \"x\"", "toy.header[\"a\"] == \"x\"");
}

#[test]
fn matches_ignores_case_as_in_wireshark_and_works_on_bytes() {
    let pattern = |text: &str| match condition(text) {
        Condition::Test(Test::Bytes { test: ByteTest::Matches(pattern), .. }) => pattern,
        other => panic!("{other:?}"),
    };
    assert!(pattern(r#"toy.name matches "ab""#).find(b"xAB", 0).is_some());
    assert!(pattern(r#"toy.name matches "(?-i)ab""#).find(b"xAB", 0).is_none());
    assert!(pattern(r#"toy.name matches "\xff""#).find(b"a\xff", 0).is_some());
    assert!(pattern(r#"toy.name matches r"\.php""#).find(b"a.php", 0).is_some());
    assert!(pattern(r#"toy.name matches r"\.php""#).find(b"axphp", 0).is_none());
}

#[test]
fn verbs_compile_to_transforms() {
    let transform =
        |rule: &str| good(&patch_text(&format!("  - {rule}\n"))).rules[0].transform.clone();
    assert!(matches!(transform("{ truncate: toy.name, to: 32 }"), Transform::Truncate { to: 32 }));
    assert!(matches!(
        transform("{ clamp: toy.opcode, max: 0x20 }"),
        Transform::Clamp { min: 0, max: 32 }
    ));
    assert!(matches!(transform("{ set: toy.opcode, to: 7 }"), Transform::SetNumber(7)));
    assert!(
        matches!(transform("{ set: toy.name, to: '7' }"), Transform::SetBytes(b) if *b == *b"7")
    );
    assert!(matches!(
        transform("{ clear: toy.opcode, bits: 0x80 }"),
        Transform::Clear { bits: 128 }
    ));
    assert!(matches!(
        transform("{ cut_at: toy.name, pattern: \"\\0\", keep: true }"),
        Transform::CutAt { keep_match: true, .. }
    ));
    assert!(matches!(
        transform("{ replace: toy.name, pattern: '${', ignore_case: true, with: '$_' }"),
        Transform::Replace { pattern, with } if pattern.ignore_case && *with == *b"$_"
    ));
    assert!(matches!(
        transform("{ mask: toy.name, bytes: '\\x00-\\x1f', with: ' ' }"),
        Transform::Mask { set, with: b' ' } if set.contains(9) && !set.contains(b'a')
    ));
    assert!(matches!(
        transform("{ mask: toy.fixed, regex: 'a{2,3}', with: x }"),
        Transform::MaskPattern { with: b'x', .. }
    ));
    assert!(matches!(transform("{ remove: 'toy.header[\"x\"]' }"), Transform::Remove));
    assert!(matches!(
        transform("{ keep_first: toy.record, count: 9 }"),
        Transform::KeepFirst { count: 9 }
    ));
    assert!(matches!(
        transform("{ dedupe: toy.record, keep: last }"),
        Transform::Dedupe { keep_last: true }
    ));
    assert!(matches!(
        transform("{ normalize: toy.name, as: path }"),
        Transform::Normalize(Normalization::Path)
    ));
    assert!(matches!(
        transform("{ pad: toy.name, to: 4, with: 0 }"),
        Transform::Pad { to: 4, with: b'0' }
    ));
    assert!(matches!(transform("{ discard: toy.name }"), Transform::Discard));
    assert!(matches!(transform("drop:"), Transform::Drop));
    assert!(matches!(transform("close: connection"), Transform::Close(None)));
    assert!(matches!(transform("refuse: message"), Transform::Refuse(Reply::Protocol(0))));
    assert!(matches!(
        transform("{ refuse: message, with: refused }"),
        Transform::Refuse(Reply::Protocol(1))
    ));
    assert!(matches!(
        transform("{ refuse: message, reply: ['\\x05', no] }"),
        Transform::Refuse(Reply::Custom(bytes)) if *bytes == *b"\x05no"
    ));
    assert!(matches!(
        transform("{ close: connection, with: busy }"),
        Transform::Close(Some(Reply::Protocol(0)))
    ));
}

/// The class of a single rule over TCP, as `explain` names it.
#[track_caller]
fn class(rule: &str) -> (String, u32, bool) {
    let plan = plan(&[good(&patch_text(&format!("  - {rule}\n")))]);
    let explained = explain(&plan);
    let module = explained.modules.iter().find(|module| module.transport == "tcp").unwrap();
    let side = &module.sides[0];
    let holds = side.hold_bytes_max != 0;
    let rule = &side.rules[0];
    assert_eq!(holds, rule.class != "streaming", "{rule:?}");
    (rule.class.clone(), rule.pattern_hold_bytes, side.whole_head)
}

#[test]
fn rules_are_classified_by_what_they_have_to_see() {
    let streaming = |window| ("streaming".to_owned(), window, false);
    let unit = || ("unit".to_owned(), 0, false);
    let head = || ("head".to_owned(), 0, true);
    assert_eq!(class("{ truncate: toy.name, to: 20000 }"), streaming(0));
    assert_eq!(class("{ truncate: toy.name, to: 3, when: toy.opcode == 4 }"), streaming(0));
    assert_eq!(class("{ truncate: toy.name, to: 3, when: toy.name }"), streaming(0));
    assert_eq!(class("{ replace: toy.body, pattern: abcd, with: x }"), streaming(3));
    assert_eq!(class("{ mask: toy.body, bytes: a, with: x }"), streaming(0));
    assert_eq!(class("{ replace: toy.name, regex: 'a+', with: x }"), unit());
    assert_eq!(class("{ truncate: toy.short, to: 3 }"), unit());
    assert_eq!(class("{ truncate: toy.name, to: 3, when: len(toy.name) > 9 }"), unit());
    assert_eq!(class("{ truncate: toy.name, to: 3, when: toy.count == 4 }"), head());
    assert_eq!(class("{ set: toy.opcode, to: 3 }"), unit());
    assert_eq!(class("{ remove: toy.record, when: toy.record.kind == 3 }"), head());
    assert_eq!(class("{ keep_first: toy.record, count: 3 }"), head());
    assert_eq!(class("{ remove: toy.record, when: count(toy.record) > 2 }"), head());
    assert_eq!(class("drop:"), head());
    assert_eq!(class("{ close: , when: toy.opcode == 1 }"), unit());
    assert_eq!(class("{ close: , with: busy, when: toy.opcode == 1 }"), head());
    assert_eq!(class("{ refuse: , when: toy.opcode == 1 }"), head());
}

#[test]
fn one_module_serves_the_patches_of_a_port() {
    let one = good(&patch_text("  - truncate: toy.header[\"A\"]\n    to: 3\n"));
    let two = good(
        &patch_text("  - when: toy.header[\"a\"] == \"x\" and toy.header[\"b\"]\n    drop:\n")
            .replace("patch: p", "patch: q")
            .replace("protocol: toy", "protocol: toy\nscope: { ports: [7001, 7009], transport: tcp, direction: response }"),
    );
    let plan = plan(&[one, two]);
    let modules: Vec<_> = plan
        .modules
        .iter()
        .map(|module| {
            let sides = Direction::BOTH.map(|direction| module.direction(direction).rules.len());
            (module.transport, module.ports.to_vec(), sides)
        })
        .collect();
    assert_eq!(
        modules,
        [
            (Transport::Tcp, vec![7000], [1, 1]),
            (Transport::Tcp, vec![7001], [1, 2]),
            (Transport::Tcp, vec![7009], [0, 1]),
            (Transport::Udp, vec![7000], [1, 1]),
        ]
    );
    // One key has one slot in any case; the other key comes after it.
    let side = plan.modules[1].direction(Direction::Response);
    let keys = side.wanted.slot_count();
    assert_eq!(side.rules[0].target.map(usize::from), Some(keys - 2));
    assert_eq!(side.hold, Hold::UpTo(16 * 1024));
    assert!(side.wanted.whole());
    assert_eq!(side.patches.len(), 2);
    assert_eq!(plan.modules[3].direction(Direction::Request).hold, Hold::Streaming);
}

#[test]
fn the_rule_is_the_same_through_every_numbering() {
    let shown = first_rule("  - when: toy.opcode == 4\n    truncate: toy.name\n    to: 32\n");
    assert_eq!(
        shown,
        "(Some(2), Test(Number { left: Field(1), compare: Equal, right: Constant(4) }), Truncate { to: 32 })"
    );
}

#[test]
fn a_group_may_move_ports_and_observe() {
    let patch = good(&patch_text("  - drop:\n"));
    let group = Group {
        name: "g".to_owned(),
        mode: plan::Mode::Observe,
        ports: [("toy".to_owned(), vec![9, 10])].into(),
        ..Group::everywhere(1)
    };
    let options = Options { fail: plan::FailMode::Closed, ..Options::default() };
    let plan = compile(&[patch], &[group], &options).unwrap();
    for module in &plan.modules {
        assert_eq!(*module.ports, [9, 10]);
        assert_eq!((module.mode, module.fail), (plan::Mode::Observe, plan::FailMode::Closed));
    }
    let text = explain(&plan).to_string();
    assert!(text.contains("toy over tcp on port 9-10 of `g` (observe, fail closed)"), "{text}");
}

#[test]
fn test_cases_are_bytes_whatever_the_quoting() {
    let patch = good(&format!(
        "{}{}",
        patch_text("  - drop:\n"),
        r#"tests:
  - name: escapes
    transport: tcp
    request: ["\x04", { repeat: "\xff", times: 3 }, '\x00é', 12, plain\r\n]
    becomes: "\x04\0"
  - name: block
    request: |
      a
        b
    unchanged: true
  - name: talk
    transport: tcp
    peer: 192.0.2.1
    conversation:
      - response: "220 hi\r\n"
      - request: y
        reply: no
      - request: z
        reply: bye
        becomes: zz
        closed: true
      - request: x
        closed: true
"#
    ));
    let [first, second, third] = patch.tests.as_slice() else { panic!("{:?}", patch.tests) };
    assert_eq!(first.steps[0].input, b"\x04\xff\xff\xff\0\xc3\xa912plain\r\n");
    assert_eq!(first.steps[0].expect, Expect::Becomes(b"\x04\0".to_vec()));
    assert_eq!((first.transport, first.port), (Transport::Tcp, 7000));
    assert_eq!(second.steps[0].input, b"a\n  b\n");
    assert_eq!(second.transport, Transport::Udp);
    assert_eq!(third.steps[0].expect, Expect::Unchanged);
    assert_eq!(third.steps[0].direction, Direction::Response);
    let reply = |reply: &[u8], becomes: &[u8], ends| {
        Expect::Reply(ExpectedReply { reply: reply.to_vec(), becomes: becomes.to_vec(), ends })
    };
    assert_eq!(third.steps[1].expect, reply(b"no", b"", false));
    assert_eq!(third.steps[2].expect, reply(b"bye", b"zz", true));
    assert_eq!(third.steps[3].expect, Expect::Closed);
    assert!(third.peer.is_some());
}

#[test]
fn thousands_of_patches_of_one_port_are_one_module() {
    let patches: Vec<_> = (0..2_000)
        .map(|no| {
            let rules = format!("  - replace: toy.name\n    pattern: /a{no}/\n    with: /b{no}/\n");
            good(&patch_text(&rules).replace("patch: p", &format!("patch: p{no}")))
        })
        .collect();
    let plan = plan(&patches);
    let udp: Vec<_> = plan.modules.iter().filter(|one| one.transport == Transport::Udp).collect();
    let [module] = udp.as_slice() else { panic!("{} modules", udp.len()) };
    let side = module.direction(Direction::Request);
    assert_eq!((side.rules.len(), side.patches.len()), (2_000, 2_000));
    let explained = explain(&plan);
    assert_eq!(explained.modules.last().unwrap().sides[0].cost.automata, 1);
}
