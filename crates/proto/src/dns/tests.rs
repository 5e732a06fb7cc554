//! Messages made by hand, and what becomes of them.

use super::*;
use crate::fields::Flags;
use crate::{FieldId, FieldKind};
use stage::Direction;

mod edits;

/// Labels of a dotted name, without the root.
fn labels(name: &str) -> Vec<u8> {
    name.split('.')
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
        .collect()
}

/// A whole name.
fn named(name: &str) -> Vec<u8> {
    [labels(name), vec![0]].concat()
}

fn pointer(to: usize) -> Vec<u8> {
    (0xc000 | u16::try_from(to).unwrap()).to_be_bytes().to_vec()
}

fn question(name: &[u8], kind: u16) -> Vec<u8> {
    [name, &kind.to_be_bytes(), &[0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &len, data].concat()
}

fn message(flags: u16, counts: [u16; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [0x1234, flags].map(u16::to_be_bytes).concat();
    out.extend(counts.map(u16::to_be_bytes).concat());
    out.extend(parts.concat());
    out
}

fn over_tcp(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn wanting(names: &[&str]) -> Wanted {
    let mut wanted = Wanted::new(&PROTOCOL);
    for name in names {
        wanted.want(PROTOCOL.field(name).unwrap_or_else(|| panic!("no field {name}")).0);
    }
    wanted
}

fn wanting_all() -> Wanted {
    wanting(&PROTOCOL.fields.iter().map(|field| field.name).collect::<Vec<_>>())
}

/// Each field as `name=value`.
fn show(fields: &Fields, input: &[u8]) -> Vec<String> {
    assert!(!fields.overflowed());
    let show_one = |field: &Field| {
        let def = PROTOCOL.def(FieldId(field.slot)).unwrap();
        assert!(field.element.contains(field.value), "{} lies in its element", def.name);
        assert!(usize::try_from(field.element.end).unwrap() <= input.len(), "{}", def.name);
        let value = fields.value_of(field, input);
        match def.kind {
            FieldKind::Bytes => format!("{}={}", def.name, value.escape_ascii()),
            FieldKind::Text => format!("{}={}", def.name, String::from_utf8_lossy(value)),
            FieldKind::Uint(_) | FieldKind::Bool => format!("{}={}", def.name, field.number),
        }
    };
    fields.items().iter().map(show_one).collect()
}

fn view(input: &[u8]) -> View<'_> {
    View { input, from: Direction::Request, open: false, ended: false }
}

fn datagram(wanted: &Wanted, input: &[u8]) -> (Fields, Vec<String>) {
    let mut fields = Fields::new();
    assert_eq!(Dns.datagram(wanted, view(input), &mut fields), Dissection::Message);
    let shown = show(&fields, input);
    (fields, shown)
}

/// Feeds pieces as a caller would: holds what is not decided, and hands it in again.
fn streamed(wanted: &Wanted, pieces: &[&[u8]]) -> Vec<String> {
    let mut state = DnsState::default();
    let mut held = Vec::new();
    let mut shown = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let mut fields = Fields::new();
            match Dns.stream(wanted, &mut state, view(&held), &mut fields) {
                Step::Unit { bytes, first: true, last: true } => {
                    shown.extend(show(&fields, &held));
                    held.drain(..bytes);
                }
                Step::More(Need::Bytes(need)) => {
                    assert!(need > held.len());
                    break;
                }
                step @ (Step::Unit { .. }
                | Step::More(_)
                | Step::Skip { .. }
                | Step::SkipRest
                | Step::NotThisProtocol) => panic!("{step:?}"),
            }
        }
    }
    assert!(held.is_empty());
    shown
}

/// Over UDP, and over TCP whole, byte by byte and split everywhere, twice in a row.
#[track_caller]
fn check(message: &[u8], names: &[&str], want: &[&str]) {
    let wanted = wanting(names);
    assert_eq!(datagram(&wanted, message).1, want, "over UDP");
    let twice = over_tcp(message).repeat(2);
    let want = [want, want].concat();
    assert_eq!(streamed(&wanted, &[&twice]), want, "whole");
    assert_eq!(streamed(&wanted, &twice.chunks(1).collect::<Vec<_>>()), want, "byte by byte");
    for at in 0..=twice.len() {
        let (before, behind) = twice.split_at(at);
        assert_eq!(streamed(&wanted, &[before, behind]), want, "split at {at}");
    }
}

const QUERY: [u16; 4] = [1, 0, 0, 0];

fn answer() -> Vec<u8> {
    // www.example.com at 12, its type at 29, the answers at 33.
    message(
        0x8180,
        [1, 3, 0, 1],
        &[
            question(&named("www.example.com"), 1),
            record(&pointer(12), 5, &[labels("web"), pointer(16)].concat()),
            record(&pointer(45), 1, &[192, 0, 2, 1]),
            record(&pointer(45), 15, &[&[0, 10], &*labels("mail"), &*pointer(45)].concat()),
            record(&[0], 41, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
        ],
    )
}

#[test]
fn a_query_is_read() {
    let query = message(0x0110, QUERY, &[question(&named("www.example.com"), 28)]);
    check(
        &query,
        &["dns.qry.name", "dns.qry.type", "dns.qry.class", "dns.qry.name.len"],
        &[
            "dns.qry.name=www.example.com",
            "dns.qry.name.len=15",
            "dns.qry.type=28",
            "dns.qry.class=1",
        ],
    );
    check(
        &query,
        &[
            "dns.id",
            "dns.flags",
            "dns.flags.recdesired",
            "dns.flags.checkdisable",
            "dns.count.queries",
        ],
        &[
            "dns.id=4660",
            "dns.flags=272",
            "dns.flags.recdesired=1",
            "dns.flags.checkdisable=1",
            "dns.count.queries=1",
        ],
    );
    check(
        &query,
        &["dns.message.len", "dns.qry", "_ws.malformed", "dns.count.labels"],
        &[
            "dns.message.len=33",
            r"dns.qry=\x03www\x07example\x03com\x00\x00\x1c\x00\x01",
            "dns.count.labels=3",
        ],
    );
}

#[test]
fn names_are_text_as_wireshark_prints_it() {
    let cases: &[(&[u8], &str)] = &[
        (b"\0", "<Root>"),
        (b"\x01a\0", "a"),
        (b"\x05\\c d.\0", "\\\\c d."),
        (b"\x04\x01\n\x7f\x1f\0", r"\001\n\177\037"),
        (b"\x0bplain-label\x01\x07\0", r"plain-label.\a"),
        ("\u{6}é€x\0".as_bytes(), "é€x"),
    ];
    for (wire, text) in cases {
        let query = message(0, QUERY, &[question(wire, 1)]);
        check(&query, &["dns.qry.name"], &[&format!("dns.qry.name={text}")]);
        if !text.ends_with('.') {
            let mut again = Vec::new();
            assert!(name::encode(text.as_bytes(), &mut again));
            assert_eq!(&again, wire);
        }
    }
}

#[test]
fn text_that_was_edited_has_a_wire_form() {
    let cases: &[(&str, Option<&[u8]>)] = &[
        ("", Some(b"\0")),
        ("<Root>", Some(b"\0")),
        ("www.exam", Some(b"\x03www\x04exam\0")),
        ("www.", Some(b"\x03www\0")),
        (".a..b", Some(b"\x01a\x01b\0")),
        (r"a\00", Some(b"\x01a\0")),
        (r"a\", Some(b"\x01a\0")),
        (r"a\q", Some(b"\x03a\\q\0")),
    ];
    for (text, wire) in cases {
        let mut out = Vec::new();
        let has = name::encode(text.as_bytes(), &mut out);
        assert_eq!(has.then_some(&out[..]), *wire, "{text}");
    }
    for len in [62, 63, 64] {
        assert_eq!(name::encode(&vec![b'x'; len], &mut Vec::new()), len < 64, "a label of {len}");
    }
    for len in [251, 252, 253, 254] {
        let text = "x.".repeat(len / 2) + if len % 2 == 1 { "y" } else { "" };
        let text = text.trim_end_matches('.');
        assert!(name::encode(text.as_bytes(), &mut Vec::new()), "a name of {}", text.len());
    }
    assert!(!name::encode("x.".repeat(128).as_bytes(), &mut Vec::new()));
}

#[test]
fn the_short_way_finds_what_the_general_way_finds() {
    // With `dns.rr` wanted too, of which a query has none but its OPT, the general way is taken.
    let short: Vec<_> = PROTOCOL.fields[1..24].iter().map(|field| field.name).collect();
    let general = [&short[..], &["dns.rr.data"]].concat();
    let names = [2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 60].map(|len| "x".repeat(len));
    let odd = ["a.b", "www.example.com", "a.b.c.d.e.f.g.h", r"back\slash", "tab\there"];
    let opt = record(&[0], 41, &[]);
    for name in names.iter().map(String::as_str).chain(odd) {
        for (count, behind) in [(0, vec![]), (1, opt.clone())] {
            let asked = [question(&named(name), 28), behind];
            let query = message(0xb7fa, [1, 0, 0, count], &asked);
            let (a, b) = (datagram(&wanting(&short), &query), datagram(&wanting(&general), &query));
            let of_question = |fields: &Fields| -> Vec<Field> {
                let data = Id::RespData.slot();
                fields.items().iter().copied().filter(|field| field.slot != data).collect()
            };
            assert_eq!(of_question(&a.0), of_question(&b.0), "{name}");
            assert_eq!(a.1, b.1[..a.1.len()], "{name}");
            assert_eq!(a.1.len(), 23);
        }
    }
}

#[test]
fn records_are_read_with_compression() {
    check(
        &answer(),
        &["dns.resp.name", "dns.cname", "dns.a", "dns.mx.mail_exchange", "dns.resp.type"],
        &[
            "dns.resp.name=www.example.com",
            "dns.resp.type=5",
            "dns.cname=web.example.com",
            "dns.resp.name=web.example.com",
            "dns.resp.type=1",
            r"dns.a=\xc0\x00\x02\x01",
            "dns.resp.name=web.example.com",
            "dns.resp.type=15",
            "dns.mx.mail_exchange=mail.web.example.com",
            "dns.resp.name=<Root>",
            "dns.resp.type=41",
        ],
    );
    check(
        &answer(),
        &[
            "dns.rr.section",
            "dns.rr.uncompressed_len",
            "dns.opt.code",
            "dns.opt.data",
            "dns.rr.udp_payload_size",
            "dns.resp.class",
            "dns.resp.len",
        ],
        &[
            "dns.rr.section=1",
            "dns.resp.class=1",
            "dns.resp.len=6",
            "dns.rr.uncompressed_len=17",
            "dns.rr.section=1",
            "dns.resp.class=1",
            "dns.resp.len=4",
            "dns.rr.uncompressed_len=4",
            "dns.rr.section=1",
            "dns.resp.class=1",
            "dns.resp.len=9",
            "dns.rr.uncompressed_len=24",
            "dns.rr.section=3",
            "dns.rr.udp_payload_size=1",
            "dns.resp.len=12",
            "dns.opt.code=10",
            r"dns.opt.data=\x01\x02\x03\x04\x05\x06\x07\x08",
            "dns.rr.uncompressed_len=12",
        ],
    );
}

#[test]
fn pointers_that_lead_astray_are_found() {
    const FOUND: &[&str] =
        &["dns.name.forward_pointer", "dns.name.loop", "dns.name.root_pointer", "_ws.malformed"];
    let check = |name: &[u8], want: &[&str]| {
        check(&message(0, QUERY, &[question(name, 1)]), FOUND, want);
    };
    check(&named("a"), &[]);
    // RUSTSEC-2018-0007: back to the start of the same name.
    check(
        &[labels("a"), pointer(12)].concat(),
        &["dns.name.forward_pointer=1", "dns.name.loop=1", "_ws.malformed=1"],
    );
    check(&pointer(12), &["dns.name.forward_pointer=1", "dns.name.loop=1", "_ws.malformed=1"]);
    check(
        &[labels("a"), pointer(16)].concat(),
        &["dns.name.forward_pointer=1", "dns.name.root_pointer=1"],
    );
    check(&[labels("a"), pointer(1)].concat(), &["_ws.malformed=1"]);
    // CVE-2021-23017: labels, then a pointer to a zero byte.
    check(&[labels("a"), pointer(6)].concat(), &["dns.name.root_pointer=1"]);
    check(b"\x41a\0", &["_ws.malformed=1"]);
}

#[test]
fn what_does_not_fit_is_malformed_and_what_is_left_over_is_shown() {
    let query = message(0, QUERY, &[question(&named("a"), 1)]);
    for len in 0..query.len() {
        check(&query[..len], &["_ws.malformed"], &["_ws.malformed=1"]);
    }
    check(
        &[&query[..], b"xyz"].concat(),
        &["_ws.malformed", "dns.extraneous.data"],
        &["dns.extraneous.data=xyz"],
    );
    let long = |len: usize| named(&vec!["x".repeat(len); 4].join("."));
    check(&message(0, QUERY, &[question(&long(62), 1)]), &["_ws.malformed"], &[]);
    check(&message(0, QUERY, &[question(&long(63), 1)]), &["_ws.malformed"], &["_ws.malformed=1"]);
    // CVE-2017-14496: an option that overruns its record.
    let opt = record(&[0], 41, &[0, 8, 0xff, 0xff, 1]);
    check(
        &message(0, [1, 0, 0, 1], &[question(&named("a"), 1), opt]),
        &["dns.opt.overrun", "_ws.malformed", "dns.opt.code"],
        &["dns.opt.overrun=1", "_ws.malformed=1"],
    );
}

#[test]
fn a_signed_message_is_covered_but_for_what_may_go() {
    let flags = |kind: u16, data: &[u8]| {
        let input = message(
            0,
            [1, 0, 0, 1],
            &[question(&named("a"), 1), record(&named("key"), kind, data)],
        );
        let (fields, shown) = datagram(
            &wanting(&["dns.qry.name", "dns.rr", "dns.resp.type", "dns.tsig.error"]),
            &input,
        );
        let covered: Vec<_> =
            fields.items().iter().map(|field| field.flags.has(Flags::MAC_COVERED)).collect();
        (shown.len(), covered)
    };
    let tsig = [named("hmac-md5"), vec![0; 6], vec![1, 44, 0, 1, 9, 0, 1, 0, 16, 0, 0]].concat();
    assert_eq!(flags(250, &tsig), (4, vec![true, false, true, false]));
    let sig = |covered: u8| [vec![0, covered, 5, 0], vec![0; 14], named("a"), vec![7]].concat();
    assert_eq!(flags(24, &sig(0)), (3, vec![true, false, false]));
    assert_eq!(flags(24, &sig(1)), (3, vec![false, false, false]));
}

#[test]
fn a_message_too_long_for_its_bound_is_opened_and_the_rest_goes_by() {
    let message = over_tcp(&answer());
    let wanted = wanting(&["dns.length", "dns.qry.name", "_ws.malformed", "dns.a"]);
    let mut state = DnsState::default();
    let mut fields = Fields::new();
    let opened = View { open: true, ..view(&message[..40]) };
    let step = Dns.stream(&wanted, &mut state, opened, &mut fields);
    assert_eq!(step, Step::Unit { bytes: 40, first: true, last: false });
    let len = answer().len();
    assert_eq!(
        show(&fields, &message[..40]),
        [&format!("dns.length={len}"), "dns.qry.name=www.example.com"]
    );
    let mut edits = Edits::new();
    assert!(edits.replace(Span::new(14, 31), b"\0"));
    assert_eq!(Dns.repair(Transport::Tcp, opened, &fields, &mut edits), Repair::Impossible);
    let rest = u64::try_from(message.len() - 40).unwrap();
    let step = Dns.stream(&wanted, &mut state, view(&message[40..]), &mut Fields::new());
    assert_eq!(step, Step::Skip { bytes: rest, last: true });
    assert_eq!(state, DnsState::default());
}

#[test]
fn refusals_answer_queries_only() {
    let asked = question(&named("www.example.com"), 1);
    let opt = [vec![0, 0, 41, 16, 0, 0, 0, 0x80, 0], vec![0, 0]].concat();
    let cases: &[(&str, u16, u16)] = &[
        ("formerr", 0x0110, 0x8111),
        ("servfail", 0x0100, 0x8102),
        ("nxdomain", 0x0000, 0x8003),
        ("notimp", 0x2900, 0xa904),
        ("refused", 0x0120, 0x8105),
        ("truncated", 0x0100, 0x8300),
    ];
    for (which, (name, flags, want)) in (0_u8..).zip(cases) {
        assert_eq!(PROTOCOL.refusals[usize::from(which)], *name);
        let query = message(*flags, QUERY, core::slice::from_ref(&asked));
        let reply = message(*want, QUERY, core::slice::from_ref(&asked));
        let mut out = Vec::new();
        assert_eq!(Dns.refuse(Refused::Datagram, which, view(&query), &mut out), Refusal::Reply);
        assert_eq!(out, reply, "{name}");
        out.clear();
        assert_eq!(
            Dns.refuse(Refused::Message, which, view(&over_tcp(&query)), &mut out),
            Refusal::Reply
        );
        assert_eq!(out, over_tcp(&reply), "{name}");
        out.clear();
        let query = message(*flags, [1, 0, 0, 1], &[asked.clone(), opt.clone()]);
        assert_eq!(Dns.refuse(Refused::Datagram, which, view(&query), &mut out), Refusal::Reply);
        let ours = vec![0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(out, message(*want, [1, 0, 0, 1], &[asked.clone(), ours]), "{name}");
    }
    for silent in [&answer()[..], &[0; 11]] {
        assert_eq!(
            Dns.refuse(Refused::Datagram, 0, view(silent), &mut Vec::new()),
            Refusal::Silence
        );
    }
    // A question that is compressed, or none, is not echoed.
    for (counts, name) in [(QUERY, pointer(2)), ([2, 0, 0, 0], named("a")), ([0; 4], named("a"))] {
        let mut out = Vec::new();
        let query = message(0, counts, &[question(&name, 1)]);
        assert_eq!(Dns.refuse(Refused::Datagram, 0, view(&query), &mut out), Refusal::Reply);
        assert_eq!(out, message(0x8001, [0; 4], &[]));
    }
}

/// xorshift64*: the same bytes on every run.
#[test]
fn flipped_bits_neither_panic_nor_yield_a_message_that_cannot_be_read() {
    let mut random = crate::replay::TestRandom(7);
    let all = wanting_all();
    let said = wanting(&["dns.qry.name", "dns.a", "dns.count.answers"]);
    let (mut repaired, mut impossible) = (0, 0);
    for _ in 0..6_000 {
        let mut input = answer();
        for _ in 0..=random.below(4) {
            let at = random.below(input.len());
            input[at] ^= 1 << random.below(8);
        }
        input.truncate(random.below(input.len()) + input.len() / 2);
        let (fields, _) = datagram(&all, &input);
        let _ = streamed(&all, &[&over_tcp(&input)]);
        let Some(field) = fields.items().get(random.below(fields.items().len().max(1))) else {
            continue;
        };
        let mut edits = Edits::new();
        if !edits.delete(field.element) {
            continue;
        }
        match Dns.repair(Transport::Udp, view(&input), &fields, &mut edits) {
            Repair::Done => {
                let mut out = Vec::new();
                assert!(edits.current(&input, Span::new(0, input.len()), &mut out));
                let _ = datagram(&said, &out);
                repaired += 1;
            }
            Repair::Impossible => impossible += 1,
        }
        for which in 0..7 {
            let _ = Dns.refuse(Refused::Datagram, which, view(&input), &mut Vec::new());
        }
    }
    assert!(repaired > 1_000 && impossible < 3_000, "{repaired} repaired, {impossible} not");
}
