//! Datagrams: verdicts, replies, edits with repair, and the first real protocols.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod lines;
mod rules;

use engine::{DatagramVerdict, Peer, Scratch, Undecided};
use lines::{KEY, LENGTH, LineDecoder, NUMBER, SEALED, VALUE};
use plan::{
    ByteStep, ByteTest, Compare, Condition, FailMode, Measure, Mode, Module, Operand, Reply, Test,
    Transform,
};
use proto::{Span, Transport};
use rules::*;
use stage::Direction::{Request, Response};

static LINES: LineDecoder = LineDecoder;

fn udp() -> RulesBuilder {
    let mut builder = RulesBuilder::new(&LINES);
    builder.transport = Transport::Udp;
    builder
}

/// What goes on: the payload (edited or as it came), `None` if nothing does, after checking that a
/// second pass changes nothing.
#[track_caller]
fn check(module: &Module, input: &str, want: Option<&str>) {
    let mut scratch = Scratch::new();
    let peer = Peer { address: "::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap().octets() };
    let mut run = |payload: &[u8]| {
        let result = engine::datagram(module, Request, payload, &peer, &mut scratch);
        assert_eq!(result.undecided, None, "{input:?}");
        match result.verdict {
            DatagramVerdict::Pass => Some(payload.to_vec()),
            DatagramVerdict::Edited => {
                let mut out = Vec::new();
                let whole = Span::new(0, payload.len());
                assert!(scratch.edits().current(payload, whole, &mut out));
                assert!(!scratch.hits().is_empty());
                Some(out)
            }
            DatagramVerdict::Drop | DatagramVerdict::Reply => None,
        }
    };
    let got = run(input.as_bytes());
    let text = got.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(text.as_deref(), want, "{input:?}");
    if let Some(bytes) = got {
        assert_eq!(run(&bytes), Some(bytes.clone()), "again: {input:?}");
    }
}

#[test]
fn edits_compose_and_lengths_are_repaired() {
    let mut b = udp();
    b.slot(LENGTH);
    let value = b.slot(VALUE);
    let x = b.keyed(VALUE, "x");
    let module = b
        .on(value, Transform::Truncate { to: 8 })
        .on(x, replace(literal("$"), "dollar"))
        .on(x, Transform::Pad { to: 3, with: b'.' })
        .build();
    check(&module, "len: 5\nx: ab\n", Some("len: 7\nx: ab.\n"));
    check(&module, "x: abc\ny: 12345678\n", Some("x: abc\ny: 12345678\n"));
    check(&module, "x: $$\ny: 123456789\n", Some("x: dollardo\ny: 12345678\n"));
}

#[test]
fn conditions_bind_to_the_element_and_to_the_message() {
    let mut b = udp();
    let (key, value, number) = (b.slot(KEY), b.slot(VALUE), b.slot(NUMBER));
    let x = b.keyed(VALUE, "x");
    let module = b
        .rule(
            Some(value),
            all(vec![equal(key, "a"), contains(x, "go")]),
            Transform::Truncate { to: 1 },
        )
        .rule(
            None,
            rules::number(
                Operand::Add(Box::new(Operand::Field(number)), Box::new(len(x))),
                Compare::Greater,
                10,
            ),
            Transform::Drop,
        )
        .build();
    check(&module, "a: 123\nb: 1\n", Some("a: 123\nb: 1\n"));
    check(&module, "a: xyz\nb: xyz\nx: go\n", Some("a: x\nb: xyz\nx: go\n"));
    check(&module, "a: xyz\nx: no\n", Some("a: xyz\nx: no\n"));
    check(&module, "n: 9\nx: 4444\n", None);
    check(&module, "n: 6\nx: abcd\n", Some("n: 6\nx: abcd\n"));
    check(&module, "n: 7\nx: abcd\n", None);
    check(&module, "n: 18446744073709551615\nx: abcd\n", None);
}

#[test]
fn the_tests_of_the_language() {
    let pass = |build: &dyn Fn(proto::Slot) -> Condition, value: &str| {
        let mut b = udp();
        let x = b.keyed(VALUE, "x");
        let module = b.rule(None, build(x), Transform::Drop).build();
        let mut scratch = Scratch::new();
        let address = "::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let input = format!("x: {value}\n");
        let result =
            engine::datagram(&module, Request, input.as_bytes(), &Peer { address }, &mut scratch);
        result.verdict == DatagramVerdict::Drop
    };
    let on = |steps: &'static [ByteStep], test: fn() -> ByteTest| {
        move |slot| Condition::Test(Test::Bytes { source: source(slot, steps), test: test() })
    };
    let starts = on(&[ByteStep::UrlDecode, ByteStep::Lower], || {
        ByteTest::StartsWith(b"/etc".as_slice().into())
    });
    assert!(
        pass(&starts, "%2fETC/passwd") && !pass(&starts, "/%65tcetera".trim_end_matches("cetera"))
    );
    let ends = on(&[ByteStep::Trim], || ByteTest::EndsWith(b".exe".as_slice().into()));
    assert!(pass(&ends, " a.exe \t") && !pass(&ends, "a.exe2"));
    let listed = on(&[], || ByteTest::In([b"a".as_slice().into(), b"b".as_slice().into()].into()));
    assert!(pass(&listed, "b") && !pass(&listed, "ab"));
    let matched = on(&[], || ByteTest::Matches(regex("[0-9]{3}")));
    assert!(pass(&matched, "ab123") && !pass(&matched, "12a3"));
    let peer = on(&[], || ByteTest::IsPeer);
    assert!(pass(&peer, "192.0.2.7") && !pass(&peer, "192.0.2.8") && !pass(&peer, "peer"));
    let climbs =
        |slot| number(Operand::Measure(Measure::Climbs, source(slot, &[])), Compare::Greater, 0);
    assert!(pass(&climbs, "a/../../b") && !pass(&climbs, "a/../b"));
    let nests =
        |slot| number(Operand::Measure(Measure::Nesting, source(slot, &[])), Compare::Greater, 2);
    assert!(pass(&nests, "[[[1]]]") && !pass(&nests, "[][][]"));
    let decimal =
        |slot| number(Operand::Measure(Measure::Decimal, source(slot, &[])), Compare::Equal, 7);
    assert!(pass(&decimal, "007") && !pass(&decimal, "7a"));
    let counted =
        |slot| number(Operand::CountOf(source(slot, &[]), literal("../")), Compare::Equal, 2);
    assert!(pass(&counted, "../a/../b") && !pass(&counted, "../b"));
    let ranged = |slot| {
        Condition::Test(Test::NumberIn { operand: len(slot), ranges: [(1, 2), (5, 6)].into() })
    };
    assert!(pass(&ranged, "12345") && !pass(&ranged, "123") && pass(&ranged, "1"));
}

#[test]
fn verdicts_and_replies() {
    let build = |transform| {
        let mut b = udp();
        let x = b.keyed(VALUE, "x");
        b.rule(None, equal(x, "bad"), transform).build()
    };
    let mut scratch = Scratch::new();
    let mut run = |module: &Module, from, input: &[u8]| {
        let result = engine::datagram(module, from, input, &Peer::default(), &mut scratch);
        let hits: u32 = scratch.hits().iter().map(|hit| hit.verdicts).sum();
        (result.verdict, scratch.reply().to_vec(), hits)
    };
    let bad = b"x: bad\n";
    let refuse = build(Transform::Refuse(Reply::Protocol(0)));
    assert_eq!(run(&refuse, Request, bad), (DatagramVerdict::Reply, b"sorry\n".to_vec(), 1));
    let literal = build(Transform::Refuse(Reply::Custom(b"no".as_slice().into())));
    assert_eq!(run(&literal, Request, bad), (DatagramVerdict::Reply, b"no".to_vec(), 1));
    let silent = build(Transform::Refuse(Reply::Protocol(9)));
    assert_eq!(run(&silent, Request, bad).0, DatagramVerdict::Drop);
    assert_eq!(run(&build(Transform::Close(None)), Request, bad).0, DatagramVerdict::Drop);
    assert_eq!(run(&build(Transform::Drop), Request, b"x: good\n").0, DatagramVerdict::Pass);
    assert_eq!(
        run(&build(Transform::Drop), Response, bad).0,
        DatagramVerdict::Pass,
        "no rule there"
    );
}

#[test]
fn what_cannot_be_decided_meets_the_fail_mode() {
    let build = |fail, mode| {
        let mut b = udp();
        b.fail = fail;
        b.mode = mode;
        let sealed = b.slot(SEALED);
        b.on(sealed, Transform::SetBytes(b"x".as_slice().into())).build()
    };
    let mut scratch = Scratch::new();
    let mut run = |module: &Module, input: &[u8]| {
        let result = engine::datagram(module, Request, input, &Peer::default(), &mut scratch);
        (result.verdict, result.undecided)
    };
    let (open, closed) =
        (build(FailMode::Open, Mode::Enforce), build(FailMode::Closed, Mode::Enforce));
    let watch = build(FailMode::Closed, Mode::Observe);
    let sealed = Some(Undecided::RepairImpossible);
    assert_eq!(run(&open, b"mac: y\n"), (DatagramVerdict::Pass, sealed));
    assert_eq!(run(&closed, b"mac: y\n"), (DatagramVerdict::Drop, sealed));
    assert_eq!(run(&watch, b"mac: y\n"), (DatagramVerdict::Pass, sealed));
    assert_eq!(run(&closed, b"mac: x\n"), (DatagramVerdict::Pass, None));
    let other = Some(Undecided::NotThisProtocol);
    assert_eq!(run(&open, b"?"), (DatagramVerdict::Pass, other));
    assert_eq!(run(&closed, b"?"), (DatagramVerdict::Drop, other));
    // More elements than the tables hold.
    let many = "a: b\n".repeat(5000);
    let mut b = udp();
    let value = b.slot(VALUE);
    let module = b.on(value, Transform::Truncate { to: 0 }).build();
    assert_eq!(run(&module, many.as_bytes()).1, Some(Undecided::FieldsOverflowed));
    let many = "a: b\n".repeat(4000);
    assert_eq!(run(&module, many.as_bytes()), (DatagramVerdict::Edited, None));
}

#[test]
fn observing_changes_nothing() {
    let mut b = udp();
    b.mode = Mode::Observe;
    let x = b.keyed(VALUE, "x");
    let module =
        b.on(x, Transform::Truncate { to: 1 }).rule(None, equal(x, "bad"), Transform::Drop).build();
    let mut scratch = Scratch::new();
    for (input, edits, verdicts) in [("x: abc\n", 1, 0), ("x: bad\n", 0, 1), ("x: a\n", 0, 0)] {
        let result =
            engine::datagram(&module, Request, input.as_bytes(), &Peer::default(), &mut scratch);
        assert_eq!(result.verdict, DatagramVerdict::Pass);
        let sum = scratch
            .hits()
            .iter()
            .fold((0, 0), |sum, hit| (sum.0 + hit.edits, sum.1 + hit.verdicts));
        assert_eq!(sum, (edits, verdicts), "{input:?}");
    }
}
