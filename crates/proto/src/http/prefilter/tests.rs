//! The two ways through a head come to the same.

use super::*;
use crate::http::table::{FIELDS, IDS};
use crate::http::{Http, PROTOCOL};
use crate::replay::TestRandom;
use crate::{
    Decoder as _, DecoderState, FieldKind, HeaderFieldPrefilter, HeaderPrefilter, WatchedRanges,
};

const REQUEST_LINES: &[&str] = &[
    "GET / HTTP/1.1",
    "GET /a/b?x=1&y=2&&z HTTP/1.1",
    "HEAD /a?b?c HTTP/1.0",
    "POST http://h:80/p?q HTTP/1.1",
    "CONNECT h:443 HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "get /? HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /a  HTTP/1.1",
    "GET HTTP/1.1",
    "GET /a",
    "GET /a HTTP/2.0",
    "GET\t/ HTTP/1.1",
    "VERY-LONG-METHOD-NAME-OF-AN-EXTENSION / HTTP/1.1",
];
const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.0 404 Not Found",
    "HTTP/1.1 204",
    "HTTP/1.1 304 ",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 200  OK",
    "HTTP/1.1 2000 OK",
    "http/1.1 200 OK",
    "HTTP/1.2 200 OK",
    "junk",
];
const LINES: &[&str] = &[
    "Host: example.test",
    "User-Agent: x (y; z)",
    "Accept:*/*",
    "Accept-Encoding: gzip,  deflate ,br",
    "Connection: keep-alive, close,",
    "Connection:",
    "Cookie: a=1; b=2;c",
    "Range: bytes=0-1,2-3, 4-",
    "Range: none",
    "Content-Length: 5",
    "Content-Length: 5, 5",
    "Content-Length: 6",
    "content-length: 0",
    "Content-Length : 5",
    "Content_Length: 5",
    "Content-Type: text/html",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Upgrade: websocket",
    "Upgrade-Insecure-Requests: 1",
    "X-Key: 1",
    "x-key:   2  ",
    "X-Other: http://a/b:c",
    "X@Odd: 1",
    "X Odd: 1",
    "9Digit: 1",
    "No colon",
    ": nameless",
    " folded",
    "X-Tab:\tvalue",
    "X-Nul: \0",
    "X-Cr: a\rb",
    "DNT: 1",
];

fn message(random: &mut TestRandom, from: Direction) -> Vec<u8> {
    let starts = if from == Direction::Request { REQUEST_LINES } else { STATUS_LINES };
    // Mostly the ordinary ones.
    let few = if random.below(3) > 0 { 5 } else { starts.len() };
    let mut text = random.one(&starts[..few]).as_bytes().to_vec();
    text.extend(b"\r\n");
    for _ in 0..random.below(7) {
        let few = if random.below(4) > 0 { 9 } else { LINES.len() };
        text.extend(random.one(&LINES[..few]).as_bytes());
        if random.below(20) == 0 {
            text.extend(vec![b'v'; random.below(400)]);
        }
        text.extend(if random.below(30) == 0 { &b"\n"[..] } else { b"\r\n" });
    }
    text.extend(b"\r\n");
    if random.below(5) == 0 {
        let at = random.below(text.len());
        match random.below(3) {
            0 => text[at] = random.below(256) as u8,
            1 => drop(text.remove(at)),
            _ => text.insert(at, b"\r\n \t:/?&=;,A\0\x7f\xff"[random.below(15)]),
        }
    }
    text.extend(b"hello\r\n");
    text
}

/// Wants some fields, and catches some of their values.
fn wants(random: &mut TestRandom) -> (Wanted, HeaderPrefilter) {
    let mut wanted = Wanted::new(&PROTOCOL);
    let share = [1, 2, 8, 40][random.below(4)];
    for id in IDS {
        if random.below(share) == 0 {
            wanted.want(*id);
        }
    }
    if random.below(2) == 0 {
        wanted.want_whole();
    }
    for key in ["x-key", "host", "dnt"].iter().take(random.below(4)) {
        wanted.want_key(HEADER, key.as_bytes());
    }
    let slots = 0..u16::try_from(wanted.slot_count()).unwrap();
    let fields_by_slot = slots.map(|slot| {
        let (field, key) = wanted.field_of(slot);
        if key.is_none() && !wanted.has(field) {
            return HeaderFieldPrefilter::default();
        }
        let (from, number) = (random.below(40), random.below(400) as u64);
        let first = [b'/', b'a', b'k', b'H'][random.below(4)];
        let watch = match random.below(6) {
            0 => WatchedRanges::new(&[(0, usize::MAX)], &[(0, u64::MAX)]),
            1 => WatchedRanges::new(&[(from, from + 3)], &[]),
            2 => WatchedRanges::new(&[], &[(number, number + 9), (1, 1)]),
            3 => {
                WatchedRanges::new(&[(from, usize::MAX)], &[]).from_occurrences(2 + random.below(4))
            }
            _ => WatchedRanges::default(),
        };
        HeaderFieldPrefilter::new(watch)
            .with_first([first].into_iter().take(random.below(2)), random.below(5) == 0)
            .with_last([b't', b'1'].into_iter().take(random.below(6) / 3), false)
            .with_byte_hints(
                b",=%".iter().copied().take(random.below(4)),
                [*b".h", *b"-A"].into_iter().take(random.below(12) / 4),
                [b"/a".as_slice(), b"KEEP-"].into_iter().take(random.below(12) / 4),
            )
    });
    let fields_by_slot: Vec<HeaderFieldPrefilter> = fields_by_slot.collect();
    let pairs = [vec![(METHOD.0, QUERY.0)], vec![(CODE.0, URI.0)], vec![(HOST_SLOT, URI.0)]];
    let known = |(given, missing): &(Slot, Slot)| {
        wanted.has(FieldId(*given)) && wanted.has(FieldId(*missing))
    };
    let pairs = pairs[random.below(3)].iter().copied().filter(known).collect();
    let lacking = if random.below(3) == 0 { pairs } else { Vec::new() };
    (wanted, HeaderPrefilter::new(fields_by_slot, lacking, 0x7b))
}

const HOST_SLOT: Slot = crate::http::table::HOST.0;

/// Its slot, where its value begins and ends, and its number.
type FoundValue = (Slot, u32, u32, u64);

fn place_of(field: &Field) -> FoundValue {
    (field.slot, field.value.start, field.value.end, field.number)
}

/// All units of the long way, up to `bytes`.
fn long_way(
    wanted: &Wanted,
    state: &mut DecoderState,
    view: View<'_>,
    bytes: usize,
) -> (Vec<FoundValue>, bool, bool) {
    let (mut at, mut begins, mut ends) = (0, None, false);
    let mut found = Vec::new();
    while at < bytes {
        let mut out = Fields::new();
        let view = View { input: &view.input[at..], ..view };
        let step = Http.stream(wanted, state, view, &mut out);
        let Step::Unit { bytes, first, last } = step else {
            panic!("{step:?} at {at} of {}", view.input.escape_ascii());
        };
        begins.get_or_insert(first);
        ends = last;
        assert!(!out.overflowed());
        let place = |offset: u32| offset + u32::try_from(at).unwrap();
        for field in out.items() {
            let Span { start, end } = field.value;
            found.push((field.slot, place(start), place(end), field.number));
        }
        at += bytes;
    }
    assert_eq!(at, bytes, "the head ends there for both");
    found.sort_unstable();
    (found, begins.unwrap(), ends)
}

/// A head that the prefilter passed over, and who asked.
struct PassedHead<'a> {
    wanted: &'a Wanted,
    prefilter: &'a HeaderPrefilter,
    view: View<'a>,
    /// Bytes of it.
    bytes: usize,
}

impl PassedHead<'_> {
    fn is_caught(&self, &(slot, start, end, number): &FoundValue) -> bool {
        let (from, end) = (start as usize, end as usize);
        let kind = FIELDS.get(usize::from(slot)).map(|def| def.kind);
        let is_number = self.wanted.field_of(slot).1.is_none()
            && matches!(kind, Some(FieldKind::Uint(_) | FieldKind::Bool));
        if is_number {
            self.prefilter.catches_number(slot, self.view.input, from, end, number)
        } else {
            self.prefilter.catches(slot, self.view.input, from, end)
        }
    }

    fn caught(&self, found: impl IntoIterator<Item = FoundValue>) -> Vec<FoundValue> {
        found.into_iter().filter(|found| self.is_caught(found)).collect()
    }

    /// No rule counts so many, or misses one of them.
    fn concerns_nobody(&self, found: &[FoundValue]) {
        let text = self.view.input.escape_ascii();
        for slot in 0..u16::try_from(self.wanted.slot_count()).unwrap() {
            let count = found.iter().filter(|found| found.0 == slot).count();
            assert!(!self.prefilter.catches_count(slot, count), "{slot} {count} times: {text}");
        }
        for &(given, missing) in self.prefilter.lacking() {
            let has = |slot| found.iter().any(|found| found.0 == slot);
            assert!(!has(given) || has(missing), "{given} {missing} {text}");
        }
    }

    /// The first lines, up to `upto`, one way and the others the other way: `state` becomes
    /// `after`, and `want` is found. Whether the head could be parted there.
    fn parted(
        &self,
        upto: usize,
        mut state: DecoderState,
        after: DecoderState,
        want: &[FoundValue],
    ) -> bool {
        let (view, text) = (self.view, self.view.input.escape_ascii());
        let mut begun = Fields::new();
        let step = Http.stream_prefiltered(self.wanted, &mut state, view, upto, &mut begun);
        let Some(Step::Unit { bytes: part, .. }) = step else { return false };
        if part >= self.bytes {
            return false;
        }
        assert!(part <= upto && !self.wanted.whole());
        let rest = View { input: &view.input[part..], ..view };
        let (found, ..) = long_way(self.wanted, &mut state, rest, self.bytes - part);
        assert_eq!(state, after, "{text}");
        let moved = |(slot, start, end, number): FoundValue| {
            let part = u32::try_from(part).unwrap();
            (slot, start + part, end + part, number)
        };
        let mut both = self.caught(found.into_iter().map(moved));
        both.extend(begun.items().iter().map(place_of));
        both.sort_unstable();
        assert_eq!(both, want, "{text}");
        true
    }
}

#[derive(Default)]
struct Tried {
    passed: usize,
    caught_any: usize,
    parted: usize,
}

#[test]
fn both_ways_through_a_head_come_to_the_same() {
    let mut random = TestRandom(7);
    let mut tried = Tried::default();
    for _ in 0..30_000 {
        let (mut wanted, prefilter) = wants(&mut random);
        wanted.set_header_prefilter(Some(prefilter.clone()));
        let mut state = Http.start();
        // A few messages on one connection, so that responses belong to requests.
        for _ in 0..1 + random.below(4) {
            if !try_a_message(&wanted, &prefilter, &mut state, &mut random, &mut tried) {
                break;
            }
        }
    }
    let Tried { passed, caught_any, parted } = tried;
    assert!(passed > 7_000 && parted > 1_000, "{passed} passed, {parted} in part");
    assert!(caught_any > 1_500, "{caught_any} not empty");
}

/// One more message; whether another may follow.
fn try_a_message(
    wanted: &Wanted,
    prefilter: &HeaderPrefilter,
    state: &mut DecoderState,
    random: &mut TestRandom,
    tried: &mut Tried,
) -> bool {
    let from = [Direction::Request, Direction::Response][random.below(2)];
    let text = message(random, from);
    let cut = if random.below(6) == 0 { random.below(text.len()) } else { text.len() };
    let open = !wanted.whole() && random.below(3) == 0;
    let view = View { input: &text[..cut], from, open, ended: false };
    let mut out = Fields::new();
    let (before, mut short) = (*state, *state);
    let step = Http.stream_prefiltered(wanted, &mut short, view, usize::MAX, &mut out);
    let Some(step) = step else {
        assert_eq!(short, before, "nothing has changed");
        // The long way decides what comes next.
        let step = Http.stream(wanted, state, view, &mut Fields::new());
        return matches!(step, Step::Unit { .. });
    };
    let Step::Unit { bytes, first, last } = step else { panic!("{step:?}") };
    let head = PassedHead { wanted, prefilter, view, bytes };
    let (found, begins, ends) = long_way(wanted, state, view, bytes);
    let text = text.escape_ascii();
    assert_eq!((short, first, last), (*state, begins, ends), "{text}");
    let want = head.caught(found.iter().copied());
    let mut got: Vec<FoundValue> = out.items().iter().map(place_of).collect();
    got.sort_unstable();
    assert_eq!(got, want, "{text}");
    head.concerns_nobody(&found);
    tried.parted += usize::from(head.parted(random.below(cut), before, *state, &want));
    tried.passed += 1;
    tried.caught_any += usize::from(!got.is_empty());
    true
}
