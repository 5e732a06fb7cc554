//! The engine over the real decoders: the same promises, and no allocation once warm.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;
mod rules;

use drive::{CaseRandom, StreamDriver, every_way, run};
use engine::{DatagramVerdict, Peer, Scratch};
use plan::{Compare, Module, Normalization, Operand, Transform};
use proto::{FieldId, Span, Transport};
use rules::*;
use stage::Direction::{Request, Response};

fn on(protocol: &str) -> RulesBuilder {
    RulesBuilder::new(proto::by_name(protocol).unwrap_or_else(|| panic!("{protocol}")))
}

#[track_caller]
fn check(module: &Module, cases: &[(&str, &str)]) {
    let mut scratch = Scratch::new();
    for (input, want) in cases {
        let got = every_way(module, Request, input.as_bytes(), &mut scratch);
        assert_eq!(got.text(), *want, "{input:?}");
        assert_eq!(got.undecided, [], "{input:?}");
        if input == want {
            assert_eq!((got.edits, got.verdicts), (0, 0), "{input:?} is left alone");
        }
    }
}

fn header(b: &mut RulesBuilder, name: &str) -> proto::Slot {
    let (id, _) = b.decoder.protocol().field("http.header").unwrap();
    b.keyed(id, name)
}

#[test]
fn any_stream_has_its_patterns_replaced_wherever_they_fall() {
    let mut b = on("data");
    let data = b.named("data.data");
    let module = b
        .on(data, replace(literals(&["evil", "${jndi:"]), ""))
        .on(data, replace(regex("0[0-9]{3}0"), "#"))
        .build();
    check(
        &module,
        &[
            ("nothing of the kind\n", "nothing of the kind\n"),
            ("aevilb ${jnd ${jndi:ldap}", "ab ${jnd ldap}"),
            ("eviev", "eviev"),
            ("evil", ""),
            ("x01230y0456", "x#y0456"),
            ("evevilil${${jndi:jndi:", "ev${"),
        ],
    );
}

/// What replacing means, said as plainly as it can be: bytes come one by one; when the output ends
/// with a literal, the literal goes; bytes that can no longer be the beginning of a literal are
/// finished, and of a literal that reaches back into finished bytes only the rest goes.
fn reference(literals: &[&str], input: &[u8]) -> Vec<u8> {
    let mut output: Vec<u8> = Vec::new();
    let mut finished = 0;
    for &byte in input {
        output.push(byte);
        let may_begin =
            |at: &usize| literals.iter().any(|word| word.as_bytes().starts_with(&output[*at..]));
        let earliest = (0..output.len()).find(may_begin).unwrap_or(output.len());
        finished = finished.max(earliest);
        let longest = literals
            .iter()
            .filter(|word| output.ends_with(word.as_bytes()))
            .map(|word| word.len())
            .max();
        if let Some(len) = longest {
            output.truncate((output.len() - len).max(finished));
        }
    }
    output
}

#[test]
fn the_engine_agrees_with_the_reference() {
    let sets: [&[&str]; 5] =
        [&["ab"], &["aab", "ba"], &["abcabd", "bca"], &["aaaa"], &["abab", "cc", "b"]];
    let mut scratch = Scratch::new();
    let mut random = CaseRandom(3);
    for set in sets {
        let mut b = on("data");
        let data = b.named("data.data");
        let module = b.on(data, replace(literals(set), "")).build();
        for _ in 0..300 {
            let input: Vec<u8> = (0..random.below(40)).map(|_| b"abcd"[random.below(4)]).collect();
            let want = reference(set, &input);
            for longest in [1, 3, 40] {
                let pieces = random.cut(&input, longest);
                let got = run(&module, Request, &pieces, &mut scratch);
                let show = String::from_utf8_lossy(&input).into_owned();
                assert_eq!(got.text(), String::from_utf8_lossy(&want), "{set:?} {show} {longest}");
            }
        }
    }
}

#[test]
fn long_streams_are_the_same_however_they_come() {
    let mut b = on("data");
    let data = b.named("data.data");
    let module =
        b.on(data, replace(literals(&["abba", "bb"]), "")).on(data, mask("z", b'y')).build();
    let mut random = CaseRandom(7);
    let input: Vec<u8> = (0..30_000).map(|_| b"abcz"[random.below(4)]).collect();
    let mut scratch = Scratch::new();
    let whole = run(&module, Request, &[&input], &mut scratch);
    for longest in [1, 3, 50, 1460, 9000] {
        let pieces = random.cut(&input, longest);
        let got = run(&module, Request, &pieces, &mut scratch);
        assert!(got.bytes == whole.bytes, "pieces of up to {longest}");
    }
    for bad in [&b"bb"[..], b"abba", b"z"] {
        assert!(!whole.bytes.windows(bad.len()).any(|window| window == bad));
    }
    assert_eq!(run(&module, Request, &[&whole.bytes], &mut scratch).bytes, whole.bytes);
}

#[test]
fn http_headers_are_cut_masked_and_counted() {
    let get = |lines: &str| format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    for whole in [false, true] {
        let mut b = on("http");
        if whole {
            b = b.whole(16 * 1024);
        }
        let x = header(&mut b, "x-long");
        let module = b.on(x, Transform::Truncate { to: 4 }).on(x, mask("<", b'_')).build();
        let cases = [
            (get(""), get("")),
            (get("X-Long: 1234\r\n"), get("X-Long: 1234\r\n")),
            (get("X-LONG: 1<34567\r\nY: 123456\r\n"), get("X-LONG: 1_34\r\nY: 123456\r\n")),
            (
                get("X-Long: 12345\r\n") + &get("x-long: abcdef\r\n"),
                get("X-Long: 1234\r\n") + &get("x-long: abcd\r\n"),
            ),
        ];
        let cases: Vec<(&str, &str)> =
            cases.iter().map(|(input, want)| (input.as_str(), want.as_str())).collect();
        check(&module, &cases);
    }
    let mut b = on("http").whole(16 * 1024);
    let range = header(&mut b, "range");
    let (uri, method) = (b.named("http.request.uri"), b.named("http.request.method"));
    let module = b
        .rule(Some(range), number(len(range), Compare::Greater, 10), Transform::Remove)
        .on(uri, Transform::Normalize(Normalization::Path))
        .rule(None, equal(method, "TRACE"), Transform::Drop)
        .build();
    check(
        &module,
        &[
            ("GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
            (
                "GET /a HTTP/1.1\r\nRange: bytes=0-1,2-3\r\nHost: h\r\n\r\n",
                "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            ),
            (
                "TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcTRACE / HTTP/1.1\r\nHost: h\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            ),
        ],
    );
}

#[test]
fn ftp_arguments_are_cut() {
    for hold in [None, Some(16 * 1024)] {
        let mut b = on("ftp");
        if let Some(bytes) = hold {
            b = b.hold(bytes);
        }
        let (command, arg) = (b.named("ftp.request.command"), b.named("ftp.request.arg"));
        let module =
            b.rule(Some(arg), equal(command, "USER"), Transform::Truncate { to: 8 }).build();
        check(
            &module,
            &[
                ("USER bob\r\nPASS 1234567890\r\n", "USER bob\r\nPASS 1234567890\r\n"),
                ("USER 1234567890\r\nQUIT\r\n", "USER 12345678\r\nQUIT\r\n"),
            ],
        );
    }
}

/// A query for `name`, and how many bytes of the name's labels there are.
fn dns_query(name: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

fn dns(rules: impl Fn(RulesBuilder) -> RulesBuilder) -> Module {
    let mut b = on("dns");
    b.transport = Transport::Udp;
    rules(b).build()
}

#[test]
fn dns_names_are_cut_and_written_back() {
    let module = dns(|mut b| {
        let name = b.named("dns.qry.name");
        let kind = b.named("dns.qry.type");
        b.on(name, Transform::Truncate { to: 11 }).rule(
            None,
            number(Operand::Field(kind), Compare::Equal, 255),
            Transform::Drop,
        )
    });
    let mut scratch = Scratch::new();
    let mut send = |query: &[u8]| {
        let result = engine::datagram(&module, Request, query, &Peer::default(), &mut scratch);
        assert_eq!(result.undecided, None);
        let mut out = Vec::new();
        assert!(scratch.edits().current(query, Span::new(0, query.len()), &mut out));
        (result.verdict, out)
    };
    let query = dns_query("example.com");
    assert_eq!(send(&query), (DatagramVerdict::Pass, query.clone()));
    let long = dns_query("example.com.toolong.net");
    let (verdict, out) = send(&long);
    assert_eq!(verdict, DatagramVerdict::Edited);
    assert_eq!(out, query, "the decoder writes the shorter name back as labels");
    let mut any = query.clone();
    let at = any.len() - 3;
    any[at] = 255;
    assert_eq!(send(&any).0, DatagramVerdict::Drop);
}

#[test]
fn responses_have_rules_of_their_own() {
    let mut b = on("http");
    b.direction = Response;
    let (id, _) = b.decoder.protocol().field("http.header").unwrap();
    let server = b.keyed(id, "server");
    let module = b.on(server, Transform::Truncate { to: 5 }).build();
    let mut scratch = Scratch::new();
    let input = b"HTTP/1.1 200 OK\r\nServer: Apache/2.0\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let got = every_way(&module, Response, input, &mut scratch);
    assert!(got.text().contains("Server: Apach\r\n"), "{}", got.text());
    let got =
        every_way(&module, Request, b"GET / HTTP/1.1\r\nServer: Apache\r\n\r\n", &mut scratch);
    assert!(got.text().contains("Server: Apache\r\n"));
}

/// Every rule of the side at work on hostile bytes: nothing panics, and the caller's contract
/// holds.
#[test]
fn no_bytes_panic() {
    let mut random = CaseRandom(99);
    let mut scratch = Scratch::new();
    let over_tcp = |protocol: &proto::Protocol| {
        protocol.transports().any(|transport| transport == Transport::Tcp)
    };
    let protocols = proto::DECODERS.iter().map(|decoder| decoder.protocol());
    for protocol in protocols.filter(|protocol| over_tcp(protocol)).map(|protocol| protocol.name) {
        for round in 0..60 {
            let mut b = on(protocol);
            b = match round % 3 {
                0 => b,
                1 => b.hold(64),
                _ => b.whole(256),
            };
            let fields: Vec<FieldId> = (0..b.decoder.protocol().fields.len() as u16)
                .map(FieldId)
                .filter(|&id| b.decoder.protocol().def(id).is_some_and(|def| !def.keyed))
                .collect();
            for _ in 0..6 {
                let slot = b.slot(fields[random.below(fields.len())]);
                b = match random.below(8) {
                    0 => b.on(slot, Transform::Truncate { to: 3 }),
                    1 => b.on(slot, mask("\0\r\n a", b'_')),
                    2 => b.on(slot, replace(literals(&["a", "bb"]), "ccc")),
                    3 => b.on(slot, Transform::Remove),
                    4 => b.on(slot, Transform::KeepFirst { count: 1 }),
                    5 => b.on(slot, Transform::Clamp { min: 1, max: 20 }),
                    6 => b.on(slot, Transform::Pad { to: 9, with: b'p' }),
                    _ => b.rule(None, number(len(slot), Compare::Greater, 200), Transform::Drop),
                };
            }
            let module = b.build();
            let seeds: [&[u8]; 6] = [
                b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                b"USER a\r\nPASS b\r\nMAIL FROM:<a@b>\r\nDATA\r\n.\r\n",
                b"\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x02\0\x2f\x01\0",
                b"\x00\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01",
                b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02id\x82\x08\0\x01\0\x03a/b\x01\x32\x07\0\x01t\0\x02hi\xc0\0",
                b"a: b\n\n",
            ];
            let mut input = seeds[random.below(6)].to_vec();
            for _ in 0..random.below(4) {
                let at = random.below(input.len());
                input[at] = random.next() as u8;
            }
            let bytes = input.repeat(1 + random.below(3));
            for from in [Request, Response] {
                let mut caller = StreamDriver::new(&module, from, &mut scratch);
                for piece in random.cut(&bytes, 40) {
                    caller.segment(piece, false, random.below(4) == 0);
                }
                caller.segment(b"", true, false);
                let _ = engine::datagram(&module, from, &bytes, &Peer::default(), &mut scratch);
            }
        }
    }
}
