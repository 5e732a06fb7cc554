//! Nothing on the data path allocates: not when nothing fires, not when everything does.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod lines;
mod rules;

use engine::{Conversation, Peer, Scratch};
use lines::{KEY, LineDecoder, NUMBER, VALUE, WORD};
use plan::{ByteStep, Measure, Module, Normalization, Operand, Transform};
use proto::Transport;
use rules::*;
use stage::{Direction::Request, InspectContext, Next};

static LINES: LineDecoder = LineDecoder;

/// Every kind of rule; those on the whole message only if it is held.
fn everything(mut b: RulesBuilder, held: bool) -> Module {
    let (key, value, number_slot, word) =
        (b.slot(KEY), b.slot(VALUE), b.slot(NUMBER), b.slot(WORD));
    let x = b.keyed(VALUE, "x");
    b = b
        .on(value, Transform::Truncate { to: 20 })
        .on(value, mask("<>", b'_'))
        .on(value, replace(literals(&["evil", "$"]), ""))
        .on(value, replace(regex("[0-9]{3};"), "#"))
        .rule(Some(x), equal(key, "x"), mask("abc", b'.'));
    if !held {
        return b.build();
    }
    b.on(value, replace(regex("<[^>]*>"), ""))
        .on(number_slot, Transform::Clamp { min: 3, max: 9 })
        .on(x, Transform::Pad { to: 9, with: b'.' })
        .on(x, Transform::Normalize(Normalization::Path))
        .on(word, Transform::KeepFirst { count: 1 })
        .on(x, Transform::Dedupe { keep_last: false })
        .rule(
            None,
            number(
                Operand::Measure(
                    Measure::Climbs,
                    source(x, &[ByteStep::UrlDecode, ByteStep::Lower]),
                ),
                plan::Compare::Greater,
                5,
            ),
            Transform::Drop,
        )
        .build()
}

const MESSAGE: &[u8] = b"a: evil<b>c\nn: 55555\nx: /a/../%2e%2e/\nx: abc123;evil\nwords: a b c\nlong: 123456789012345678901234567890\nx: /../../../\nb: evevilil\n\n";

fn counted(mut run: impl FnMut()) -> u64 {
    run();
    allocation_counter::measure(run).count_total
}

#[test]
fn datagrams_allocate_nothing() {
    let mut b = RulesBuilder::new(&LINES);
    b.transport = Transport::Udp;
    let module = everything(b, true);
    let mut scratch = Scratch::new();
    let payloads: Vec<&[u8]> =
        MESSAGE.split_inclusive(|&byte| byte == b'\n').chain([MESSAGE]).collect();
    let mut hits = 0;
    let count = counted(|| {
        for payload in &payloads {
            engine::datagram(&module, Request, payload, &Peer::default(), &mut scratch);
            hits += scratch.hits().len();
        }
    });
    assert!(hits > 10, "the rules were at work");
    assert_eq!(count, 0);
}

#[test]
fn streams_allocate_nothing() {
    for (held, b) in [
        (false, RulesBuilder::new(&LINES)),
        (true, RulesBuilder::new(&LINES).hold(64)),
        (true, RulesBuilder::new(&LINES).whole(4096)),
    ] {
        let module = everything(b, held);
        let mut scratch = Scratch::new();
        let mut hits = 0;
        for step in [1, 7, 1000] {
            let mut buffer = Vec::with_capacity(10_000);
            let count = counted(|| {
                let mut conversation = Conversation::start(&module);
                buffer.clear();
                let mut held = 0;
                for piece in MESSAGE.chunks(step) {
                    buffer.extend_from_slice(piece);
                    let result = engine::stream(
                        &module,
                        Request,
                        &mut conversation,
                        &buffer,
                        InspectContext { held, ..InspectContext::FRESH },
                        &Peer::default(),
                        &mut scratch,
                    );
                    hits += scratch.hits().len();
                    buffer.drain(..result.inspected.decided);
                    held = if matches!(result.inspected.next, Next::Hold(_)) {
                        buffer.len()
                    } else {
                        0
                    };
                }
            });
            assert_eq!(count, 0, "held {held}, pieces of {step}");
        }
        assert!(hits > 10, "the rules were at work");
    }
}

#[test]
fn answers_allocate_nothing() {
    let literal = |text: &str| plan::Reply::Custom(text.as_bytes().into());
    let mut b = RulesBuilder::new(proto::by_name("http").unwrap()).whole(4096);
    let uri = b.named("http.request.uri");
    let long = format!("HTTP/1.1 418 No\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(9000));
    let module = b
        .rule(None, contains(uri, "bad"), Transform::Refuse(plan::Reply::Protocol(0)))
        .rule(None, contains(uri, "long"), Transform::Refuse(literal(&long)))
        .rule(None, contains(uri, "last"), Transform::Close(Some(literal("gone"))))
        .build();
    let input: String = ["bad", "long", "long", "bad", "last"]
        .iter()
        .map(|path| format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .collect();
    let mut scratch = Scratch::new();
    let mut answered = 0;
    let count = counted(|| {
        let mut conversation = Conversation::start(&module);
        let mut bytes = input.as_bytes();
        for _ in 0..10 {
            let (peer, fresh) = (Peer::default(), InspectContext::FRESH);
            let result = engine::stream(
                &module,
                Request,
                &mut conversation,
                bytes,
                fresh,
                &peer,
                &mut scratch,
            );
            answered += scratch.reply().len();
            bytes = &bytes[result.inspected.decided..];
        }
        assert!(bytes.is_empty());
    });
    assert!(answered > 2 * 18_000, "the answers were given, in both runs");
    assert_eq!(count, 0);
}
