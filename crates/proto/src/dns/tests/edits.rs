//! Messages that were edited and put right.

use super::*;

/// What a rule does, for the tests.
enum Do<'a> {
    /// Removes the `n`th occurrence's element.
    Remove(&'a str, usize),
    /// Gives the `n`th occurrence this value.
    Set(&'a str, usize, &'a str),
}

/// Applies edits as the engine would, repairs, and gives the new message.
fn edited(input: &[u8], transport: Transport, doing: &[Do<'_>]) -> Option<Vec<u8>> {
    let wanted = wanting_all();
    let mut fields = Fields::new();
    match transport {
        Transport::Udp => {
            assert_eq!(Dns.datagram(&wanted, view(input), &mut fields), Dissection::Message)
        }
        Transport::Tcp => assert_eq!(
            Dns.stream(&wanted, &mut DnsState::default(), view(input), &mut fields),
            Step::Unit { bytes: input.len(), first: true, last: true }
        ),
    }
    let nth = |name: &str, n: usize| {
        let slot = PROTOCOL.field(name).unwrap().0.0;
        *fields
            .items()
            .iter()
            .filter(|field| field.slot == slot)
            .nth(n)
            .unwrap_or_else(|| panic!("{name} {n}"))
    };
    let mut edits = Edits::new();
    for one in doing {
        match *one {
            Do::Remove(name, n) => assert!(edits.delete(nth(name, n).element)),
            Do::Set(name, n, text) => {
                let field = nth(name, n);
                let mut new = Vec::new();
                if field.flags.has(Flags::DECODED) {
                    assert!(Dns.encode(field.slot, &field, text.as_bytes(), &mut new));
                } else {
                    new.extend_from_slice(text.as_bytes());
                }
                assert!(edits.replace(field.value, &new));
            }
        }
    }
    if Dns.repair(transport, view(input), &fields, &mut edits) == Repair::Impossible {
        return None;
    }
    let mut out = Vec::new();
    assert!(edits.current(input, Span::new(0, input.len()), &mut out));
    Some(out)
}

const SAID: &[&str] = &[
    "dns.qry.name",
    "dns.resp.name",
    "dns.resp.type",
    "dns.cname",
    "dns.a",
    "dns.mx.mail_exchange",
    "dns.txt",
    "dns.opt.code",
    "dns.opt.len",
    "dns.count.answers",
    "dns.count.add_rr",
    "dns.soa.rname",
    "dns.null",
    "_ws.malformed",
    "dns.extraneous.data",
    "dns.name.forward_pointer",
];

/// After the edits the message says what it said before, but for the lines that `doing` is meant to
/// change.
#[track_caller]
fn check_edit(input: &[u8], doing: &[Do<'_>], change: &[(&str, &str)]) {
    let wanted = wanting(SAID);
    let mut want = datagram(&wanted, input).1;
    for (old, new) in change {
        let at = want
            .iter()
            .position(|line| line == old)
            .unwrap_or_else(|| panic!("{old} in {want:#?}"));
        if new.is_empty() {
            want.remove(at);
        } else {
            want[at] = (*new).to_owned();
        }
    }
    let udp = edited(input, Transport::Udp, doing).expect("can be repaired");
    assert_eq!(datagram(&wanted, &udp).1, want);
    let tcp = edited(&over_tcp(input), Transport::Tcp, doing).expect("can be repaired");
    assert_eq!(tcp, over_tcp(&udp), "over TCP the same, with the length put right");
}

#[test]
fn a_shorter_or_longer_question_leaves_the_answers_as_they_were() {
    for text in ["w", "www.example.org", "a.much.longer.name.than.there.was.example.com", "<Root>"]
    {
        let new = format!("dns.qry.name={text}");
        check_edit(
            &answer(),
            &[Do::Set("dns.qry.name", 0, text)],
            &[("dns.qry.name=www.example.com", &new)],
        );
    }
}

#[test]
fn the_first_of_three_answers_goes_though_the_others_are_compressed_into_it() {
    check_edit(
        &answer(),
        &[Do::Remove("dns.rr", 0)],
        &[
            ("dns.count.answers=3", "dns.count.answers=2"),
            ("dns.resp.name=www.example.com", ""),
            ("dns.resp.type=5", ""),
            ("dns.cname=web.example.com", ""),
        ],
    );
}

#[test]
fn any_record_or_option_can_go() {
    check_edit(
        &answer(),
        &[Do::Remove("dns.a", 0), Do::Remove("dns.opt.code", 0)],
        &[
            ("dns.count.answers=3", "dns.count.answers=2"),
            ("dns.resp.name=web.example.com", ""),
            ("dns.resp.type=1", ""),
            (r"dns.a=\xc0\x00\x02\x01", ""),
            ("dns.opt.code=10", ""),
            ("dns.opt.len=8", ""),
        ],
    );
    check_edit(
        &answer(),
        &[Do::Remove("dns.rr", 3)],
        &[
            ("dns.count.add_rr=1", "dns.count.add_rr=0"),
            ("dns.resp.name=<Root>", ""),
            ("dns.resp.type=41", ""),
            ("dns.opt.code=10", ""),
            ("dns.opt.len=8", ""),
        ],
    );
    let all: Vec<_> = (0..4).map(|n| Do::Remove("dns.rr", n)).collect();
    let left = edited(&answer(), Transport::Udp, &all).unwrap();
    assert_eq!(left, message(0x8180, QUERY, &[question(&named("www.example.com"), 1)]));
}

#[test]
fn names_inside_data_change_and_later_pointers_follow_what_was_said() {
    check_edit(
        &answer(),
        &[Do::Set("dns.cname", 0, "x")],
        &[("dns.cname=web.example.com", "dns.cname=x")],
    );
    check_edit(
        &answer(),
        &[Do::Set("dns.resp.name", 1, "short"), Do::Set("dns.qry.name", 0, "q")],
        &[
            ("dns.resp.name=web.example.com", "dns.resp.name=short"),
            ("dns.qry.name=www.example.com", "dns.qry.name=q"),
        ],
    );
}

#[test]
fn strings_and_their_lengths_change() {
    let txt = message(
        0x8000,
        [1, 2, 0, 0],
        &[
            question(&named("t.example"), 16),
            record(&pointer(12), 16, b"\x05first\x06second"),
            record(
                &pointer(14),
                6,
                &[named("ns"), labels("root"), pointer(14), vec![0; 20]].concat(),
            ),
        ],
    );
    check_edit(
        &txt,
        &[Do::Set("dns.txt", 0, "1"), Do::Set("dns.txt", 1, "and a longer one")],
        &[("dns.txt=first", "dns.txt=1"), ("dns.txt=second", "dns.txt=and a longer one")],
    );
    assert_eq!(edited(&txt, Transport::Udp, &[Do::Set("dns.txt", 0, &"x".repeat(256))]), None);
}

#[test]
fn a_message_with_a_broken_tail_is_repaired_as_far_as_it_parses() {
    let broken = &answer()[..70];
    let out = edited(broken, Transport::Udp, &[Do::Set("dns.qry.name", 0, "q")]).unwrap();
    let shown = datagram(&wanting(SAID), &out).1;
    assert!(shown.contains(&"dns.qry.name=q".to_owned()));
    assert!(shown.contains(&"dns.cname=web.example.com".to_owned()));
}

#[test]
fn pointers_that_lead_astray_are_written_out_when_a_message_is_edited() {
    // An owner that points forward, at the name in the record after it.
    let forward = message(
        0x8000,
        [1, 2, 0, 0],
        &[
            question(&named("q.example"), 1),
            record(&pointer(43), 1, &[1, 2, 3, 4]),
            record(&named("later"), 1, &[5, 6, 7, 8]),
        ],
    );
    let out = edited(&forward, Transport::Udp, &[Do::Set("dns.qry.name", 0, "q")]).unwrap();
    assert_eq!(
        datagram(&wanting(&["dns.resp.name", "dns.name.forward_pointer", "_ws.malformed"]), &out).1,
        ["dns.resp.name=later", "dns.resp.name=later"]
    );
    let looped = message(
        0x8000,
        [1, 1, 0, 0],
        &[
            question(&named("q.example"), 1),
            record(&[labels("x"), pointer(27)].concat(), 1, &[1, 2, 3, 4]),
        ],
    );
    let out = edited(&looped, Transport::Udp, &[Do::Set("dns.qry.name", 0, "q")]).unwrap();
    assert_eq!(
        datagram(&wanting(&["dns.name.loop", "dns.a", "_ws.malformed"]), &out).1,
        [r"dns.a=\x01\x02\x03\x04"]
    );
}
