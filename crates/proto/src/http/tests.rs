//! One table of conversations: every case whole, byte by byte and split at every point, held and
//! opened, line by line and in whole mode, finds the same.

use super::*;
use crate::replay::{ReplayCuts, ReplayTurns, noise, replay, survives};
use crate::{Edits, Field, FieldId, FieldKind};
use stage::Direction::{Request as Q, Response as S};

mod corpora;
mod framing;

#[track_caller]
fn check(names: &[&str], turns: ReplayTurns<'_>, want: &[&str]) {
    let bytes: usize = turns.iter().map(|(_, bytes)| bytes.len()).sum();
    let whole: Vec<&str> = names.iter().copied().chain(["whole"]).collect();
    let streams = |name: &&str| {
        let (_, def) = PROTOCOL.field(name.split('[').next().unwrap()).unwrap();
        def.streams || def.kind == FieldKind::Bool || !def.repeated
    };
    for (names, mode) in [(names, "line"), (&whole[..], "whole")] {
        // A rule on a field that does not stream makes the caller hold: such fields are not asked
        // for opened.
        let opened = mode == "line" && names.iter().all(streams);
        for open in [false, true].into_iter().filter(|open| !open || opened) {
            let cuts =
                (0..bytes).map(ReplayCuts::At).chain([ReplayCuts::Nowhere, ReplayCuts::Everywhere]);
            for cut in cuts {
                let found = replay(&Http, names, turns, cut, open);
                assert_eq!(found, want, "{cut:?}, open {open}, {mode} mode");
            }
        }
    }
}

const GET: &[u8] =
    b"GET /a/b?x=1&y=%41 HTTP/1.1\r\nHost: example.test\r\nRange: bytes=0-1,2-3, 4-\r\n\
    Cookie: a=1; b=2\r\nX-Empty:\r\nx-foo:  bar \r\n\r\n";

#[test]
fn a_request_line_and_its_parts() {
    let parts = [
        "http.request",
        "http.request.method",
        "http.request.uri",
        "http.request.uri.path",
        "http.request.uri.query",
        "http.request.version",
    ];
    let want = [
        ">http.request=1",
        ">http.request.method=GET",
        ">http.request.uri=/a/b?x=1&y=%41",
        ">http.request.uri.path=/a/b",
        ">http.request.uri.query=x=1&y=%41",
        ">http.request.version=HTTP/1.1",
    ];
    check(&parts, &[(Q, GET)], &want);
    let target = |line: &str| {
        let names = ["http.request.uri", "http.request.uri.path", "http.request.version"];
        replay(&Http, &names, &[(Q, line.as_bytes())], ReplayCuts::Nowhere, false).join("|")
    };
    assert_eq!(
        target("GET http://h:8/p?q HTTP/1.0\r\n\r\n"),
        ">http.request.uri=http://h:8/p?q|>http.request.uri.path=/p|>http.request.version=HTTP/1.0"
    );
    assert_eq!(
        target("OPTIONS * HTTP/1.1\n\n"),
        ">http.request.uri=*|>http.request.uri.path=*|>http.request.version=HTTP/1.1"
    );
    assert_eq!(
        target("GET http://h HTTP/1.1\r\n\r\n"),
        ">http.request.uri=http://h|>http.request.uri.path=|>http.request.version=HTTP/1.1"
    );
}

#[test]
fn white_space_in_a_target_belongs_to_it() {
    let names = ["http.request.method", "http.request.uri", "http.request.version"];
    for (line, want) in [
        ("GET /a b  c HTTP/1.1", vec!["GET", "/a b  c", "HTTP/1.1"]),
        ("GET  /a   HTTP/1.1  ", vec!["GET", "/a", "HTTP/1.1"]),
        ("GET /a HTTP/1.1 HTTP/1.1", vec!["GET", "/a HTTP/1.1", "HTTP/1.1"]),
        ("GET /a HTTP/1.1 x", vec!["GET", "/a HTTP/1.1 x"]),
        ("GET\t/a\x0bHTTP/1.1", vec!["GET", "/a", "HTTP/1.1"]),
        ("GET /a\rHTTP/1.1", vec!["GET", "/a", "HTTP/1.1"]),
        ("  GET /a HTTP/1.1", vec!["GET", "/a", "HTTP/1.1"]),
        ("GET /a", vec!["GET", "/a"]),
        ("get /a http/1.1", vec!["get", "/a", "http/1.1"]),
        ("GET /a HTTP/1.1111111111111111111111", vec!["GET", "/a HTTP/1.1111111111111111111111"]),
        ("GET /a HTTPS HTTP/1.1", vec!["GET", "/a HTTPS", "HTTP/1.1"]),
    ] {
        let want: Vec<_> = names
            .iter()
            .zip(want)
            .map(|(name, value)| format!(">{name}={}", value.escape_default()))
            .collect();
        let want: Vec<_> = want.iter().map(String::as_str).collect();
        check(&names, &[(Q, format!("{line}\r\nA: b\r\n\r\n").as_bytes())], &want);
    }
    // More white space than a version may have in front of it is target.
    let spaces = " ".repeat(40);
    let line = format!("GET /a{spaces}HTTP/1.1{spaces}\r\n\r\n");
    let uri = format!(">http.request.uri=/a{spaces}HTTP/1.1{}", " ".repeat(8));
    check(&["http.request.uri"], &[(Q, line.as_bytes())], &[&uri]);
    let line = format!("GET /a{spaces}HTTP/1.1{}\r\n\r\n", " ".repeat(31));
    let uri = format!(">http.request.uri=/a{}", " ".repeat(8));
    check(&["http.request.uri"], &[(Q, line.as_bytes())], &[&uri]);
}

#[test]
fn headers_by_name_and_all_of_them() {
    check(
        &["http.host", "http.header[\"X-FOO\"]", "http.header[\"x-empty\"]"],
        &[(Q, GET)],
        &[">http.host=example.test", ">http.header[x-empty]=", ">http.header[x-foo]=bar "],
    );
    check(
        &["http.header"],
        &[(Q, GET)],
        &[
            ">http.header=example.test",
            ">http.header=bytes=0-1,2-3, 4-",
            ">http.header=a=1; b=2",
            ">http.header=",
            ">http.header=bar ",
        ],
    );
    check(
        &["http.header.name", "http.request.line"],
        &[(Q, b"GET / HTTP/1.1\r\nA: 1\r\nB : 2\r\nno colon\r\n\r\n")],
        &[
            ">http.request.line=A: 1\\r\\n",
            ">http.header.name=A",
            ">http.request.line=B : 2\\r\\n",
            ">http.header.name=B",
            ">http.request.line=no colon\\r\\n",
            ">http.header.name=no colon",
        ],
    );
    check(
        &["http.request.uri.query.parameter", "http.range.spec", "http.cookie_pair"],
        &[(Q, GET)],
        &[
            ">http.request.uri.query.parameter=x=1",
            ">http.request.uri.query.parameter=y=%41",
            ">http.range.spec=0-1",
            ">http.range.spec=2-3",
            ">http.range.spec=4-",
            ">http.cookie_pair=a=1",
            ">http.cookie_pair=b=2",
        ],
    );
}

#[test]
fn a_folded_value_keeps_its_bytes() {
    let head = b"GET / HTTP/1.1\r\n Lead: 1\r\nA: b\r\n c\r\n\td\r\nE:\r\n f\r\n\r\n";
    check(
        &["http.header[a]", "http.header[e]", "http.header[lead]"],
        &[(Q, head)],
        &[">http.header[lead]=1", ">http.header[a]=b\\r\\n c\\r\\n\\td", ">http.header[e]=f"],
    );
    check(
        &["http.request.line"],
        &[(Q, head)],
        &[
            ">http.request.line= Lead: 1\\r\\n",
            ">http.request.line=A: b\\r\\n c\\r\\n\\td\\r\\n",
            ">http.request.line=E:\\r\\n f\\r\\n",
        ],
    );
    check(
        &["http.obs_fold", "http.bare_lf", "http.bare_cr", "http.bad_header_name"],
        &[(Q, b"GET / HTTP/1.1\r\nA : b\n c\rd\r\n\r\n")],
        &[">http.bad_header_name=1", ">http.bare_lf=1", ">http.bare_cr=1", ">http.obs_fold=1"],
    );
}

#[test]
fn what_is_not_http_is_left_alone() {
    let uri = ["http.request.uri"];
    check(&uri, &[(Q, b"SSH-2.0-OpenSSH_9.2\r\nxx")], &["!Request NotThisProtocol="]);
    check(&uri, &[(Q, &[0x16; 200])], &["!Request NotThisProtocol="]);
    check(&["http.response.code"], &[(S, b"220 ftp ready\r\n")], &["!Response NotThisProtocol="]);
    check(&uri, &[(Q, b"\x81GET /evil HTTP/1.1\r\n\r\n")], &[">http.request.uri=/evil"]);
    check(
        &uri,
        &[(Q, b"GET /1 HTTP/1.1\r\n\r\n\x16\x03\x01\r\nGET /2 HTTP/1.1\r\n\r\n")],
        &[">http.request.uri=/1", ">http.request.uri=/2"],
    );
}

#[test]
fn a_request_cut_short_by_the_end_of_the_stream_is_read() {
    check(
        &["http.request.uri", "http.host"],
        &[(Q, b"GET /1 HTTP/1.1\r\nHost: ab")],
        &[">http.request.uri=/1", ">http.host=ab"],
    );
    check(&["http.request.uri"], &[(Q, b"GET /1")], &[">http.request.uri=/1"]);
}

/// The decoder over one input; fields of the first unit.
fn first_unit(names: &[&str], whole: bool, open: bool, input: &[u8]) -> (Step, Vec<Field>) {
    let mut wanted = Wanted::new(&PROTOCOL);
    for name in names {
        wanted.want(PROTOCOL.field(name).unwrap().0);
    }
    if whole {
        wanted.want_whole();
    }
    let mut state = HttpState::default();
    let mut out = Fields::new();
    let view = View { input, from: Q, open, ended: false };
    let step = Http.stream(&wanted, &mut state, view, &mut out);
    (step, out.items().to_vec())
}

#[test]
fn elements_go_with_their_separators() {
    let cut = |name: &str, line: &str, remove: &[usize]| {
        let input = format!("GET /?a=1&b=2&&c HTTP/1.1\r\n{line}\r\n\r\n");
        let (_, fields) = first_unit(&[name], true, false, input.as_bytes());
        let mut edits = Edits::new();
        for &n in remove {
            assert!(edits.delete(fields[n].element), "{name} {n}");
        }
        let mut out = Vec::new();
        assert!(edits.current(input.as_bytes(), Span::new(0, input.len()), &mut out));
        String::from_utf8(out).unwrap()
    };
    let parameter = "http.request.uri.query.parameter";
    assert!(cut(parameter, "", &[0]).starts_with("GET /?b=2&&c HTTP"));
    assert!(cut(parameter, "", &[1]).starts_with("GET /?a=1&&c HTTP"));
    assert!(cut(parameter, "", &[2]).starts_with("GET /?a=1&b=2& HTTP"));
    assert!(cut(parameter, "", &[0, 1, 2]).starts_with("GET /?& HTTP"));
    let range = "Range: bytes=0-1 , 2-3,4-5";
    assert!(cut("http.range.spec", range, &[0]).contains("=2-3,4-5\r\n"));
    assert!(cut("http.range.spec", range, &[1, 2]).contains("=0-1 \r\n"));
    assert!(cut("http.cookie_pair", "Cookie: a=1; b=2; c=3", &[2]).contains(": a=1; b=2\r\n"));
    assert!(cut("http.cookie_pair", "Cookie: a=1; b=2; c=3", &[0]).contains(": b=2; c=3\r\n"));
    let two = "Host: a\r\nHost:\r\n b";
    assert!(cut("http.host", two, &[1]).ends_with("HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(cut("http.header", two, &[0]).ends_with("HTTP/1.1\r\nHost:\r\n b\r\n\r\n"));
}

#[test]
fn units_are_lines_or_heads() {
    let end = GET.len();
    let unit = |bytes, last| Step::Unit { bytes, first: true, last };
    assert_eq!(first_unit(&["http.host"], true, false, GET).0, unit(end, true));
    assert_eq!(first_unit(&["http.host"], false, false, GET).0, unit(end, true), "one line read");
    let (step, fields) = first_unit(&["http.header"], false, false, GET);
    let second = GET.windows(5).position(|five| five == b"Range").unwrap();
    assert_eq!((step, fields.len()), (unit(second, false), 1));
    assert_eq!(fields[0].group, 1);
    let (step, fields) = first_unit(&["http.header"], true, false, GET);
    assert_eq!((step, fields.len()), (unit(end, true), 5));
    assert_eq!(fields.iter().map(|field| field.group).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    // A head longer than the caller holds is opened where it stands.
    let (step, fields) = first_unit(&["http.header"], true, true, &GET[..second + 12]);
    assert_eq!((step, fields.len()), (unit(second, false), 1));
    assert_eq!(first_unit(&["http.host"], true, false, &GET[..end - 1]).1, []);
}

#[test]
fn the_end_of_a_chunk_does_not_wait_for_the_next() {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(table::CHUNK_SIZE);
    let (mut state, mut out) = (HttpState::default(), Fields::new());
    let mut rest: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    while !rest.is_empty() {
        let view = View { input: rest, from: Q, open: false, ended: false };
        let bytes = match Http.stream(&wanted, &mut state, view, &mut out) {
            Step::Unit { bytes, .. } => bytes,
            Step::Skip { bytes, .. } => usize::try_from(bytes).unwrap(),
            step @ (Step::More(_) | Step::SkipRest | Step::NotThisProtocol) => {
                panic!("{step:?} at {:?}", String::from_utf8_lossy(rest))
            }
        };
        rest = &rest[bytes..];
    }
}

#[test]
fn too_many_fields_are_told() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for _ in 0..6_000 {
        head.extend_from_slice(b"A:b\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(table::HEADER);
    wanted.want_whole();
    let mut out = Fields::new();
    let view = View { input: &head, from: Q, open: false, ended: false };
    Http.stream(&wanted, &mut HttpState::default(), view, &mut out);
    assert!(out.overflowed());
}

#[test]
fn long_names_count_as_something_else() {
    let long = "a".repeat(300);
    let text = format!("{long} /x HTTP/1.1\r\n{long}: v\r\n\r\n");
    check(
        &["http.request.uri", "http.header"],
        &[(Q, text.as_bytes())],
        &[&format!(">http.request.uri={long} /x"), &format!(">http.header={long}: v")],
    );
    let text = format!(
        "GET / HTTP/1.1\r\nContent-Length: 1{}\r\n\r\nx\r\nGET /2 HTTP/1.1\r\n\r\n",
        " ".repeat(300)
    );
    check(
        &["http.request.uri"],
        &[(Q, text.as_bytes())],
        &[">http.request.uri=/", ">http.request.uri=/2"],
    );
}

#[test]
fn hostile_bytes_do_no_harm() {
    for seed in 0..300 {
        survives(&Http, &[(Q, &noise(seed, 200)), (S, &noise(seed + 1_000, 200))]);
        // Parts of real messages in any order, so that every phase is met.
        let mut text = [Vec::new(), Vec::new()];
        const PARTS: &[&[u8]] = &[
            b"GET / HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"Content-Length: 7\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b":",
            b"Transfer-Encoding: chunked\r\n",
            b"5\r\nabcde\r\n",
            b"0\r\n",
            b"Upgrade: x\r\n",
            b"\0",
            b"CONNECT ",
            b"HTTP/1.1 101 ",
            b"HEAD /?a&b ",
            b"Range: bytes=1,2\r\n",
            b"\xff\x16",
        ];
        for (n, byte) in noise(seed + 5_000, 60).iter().enumerate() {
            text[n & 1].extend_from_slice(PARTS[usize::from(*byte) % PARTS.len()]);
        }
        survives(&Http, &[(Q, &text[0]), (S, &text[1])]);
    }
}

#[test]
fn every_cut_of_anything_finds_the_same() {
    const PARTS: &[&[u8]] = &[
        b"GET /a?b HTTP/1.1\r\n",
        b"Content-Length: 3\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"A: b\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"GET",
        b" /",
        b" HTTP/1.1",
        b"x",
        b"Upgrade: x\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"Host:",
        b"Content-Length:",
        b"\x80\x01",
    ];
    let names = [
        "http.request.method",
        "http.request.uri",
        "http.request.uri.path",
        "http.request.uri.query",
        "http.request.version",
        "http.header",
        "http.header[a]",
        "http.host",
        "http.trailer",
        "http.file_data",
        "http.chunk_size",
        "http.bare_lf",
        "http.bare_cr",
        "http.obs_fold",
        "http.framing_ambiguous",
        "http.te_unknown",
        "http.leading_crlf",
        "http.bad_header_name",
    ];
    for seed in 0..200 {
        let text: Vec<u8> = noise(seed, 12)
            .iter()
            .flat_map(|byte| PARTS[usize::from(*byte) % PARTS.len()])
            .copied()
            .collect();
        for from in [Q, S] {
            for open in [false, true] {
                let turns: ReplayTurns<'_> = &[(from, &text)];
                let want = replay(&Http, &names, turns, ReplayCuts::Nowhere, open);
                for cut in (0..text.len()).map(ReplayCuts::At).chain([ReplayCuts::Everywhere]) {
                    let found = replay(&Http, &names, turns, cut, open);
                    assert_eq!(found, want, "{cut:?} of {}, open {open}", text.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn numbers_of_fields_are_those_of_the_table() {
    for (n, id) in table::IDS.iter().enumerate() {
        assert_eq!(*id, FieldId(n as u16));
    }
    assert_eq!(PROTOCOL.fields.len(), table::IDS.len());
    assert!(table::IDS.len() <= 128, "what the mask of wanted fields holds");
}

#[test]
fn every_request_is_owed_one_final_response() {
    use crate::replay::ReplayTurn::{Answers, Asks, Refused};
    use crate::replay::check_outstanding_held;
    let get: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let post: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde";
    let chunked: &[u8] =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    check_outstanding_held(
        &Http,
        &[
            Asks(b"", Some(0)),
            Asks(get, Some(1)),
            Asks(post, Some(2)),
            Answers(b"HTTP/1.1 100 Continue\r\n\r\n", Some(2)),
            Answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Some(1)),
            Answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", Some(1)),
            Answers(b"a\r\n0\r\n", Some(1)),
            Answers(b"\r\n", Some(0)),
            Refused(get, Some(0)),
            Refused(post, Some(0)),
            Refused(chunked, Some(0)),
            Refused(b"CONNECT x:1 HTTP/1.1\r\n\r\n", Some(0)),
            Asks(b"HEAD / HTTP/1.1\r\n\r\n", Some(1)),
            Answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Some(0)),
            Asks(get, Some(1)),
            Answers(b"HTTP/1.1 200 OK\r\n\r\nto the end", Some(1)),
        ],
    );
    check_outstanding_held(
        &Http,
        &[Answers(b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", None)],
    );
    let both = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_outstanding_held(&Http, &[Refused(both, None)]);
    check_outstanding_held(
        &Http,
        &[
            Asks(b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n", Some(1)),
            Answers(b"HTTP/1.1 101 Go\r\n\r\n", None),
        ],
    );
}
