//! The field prefilter against the fields: what is passed over holds nothing that is watched.

use std::cell::RefCell;

use super::super::Dns;
use super::super::dissect::any_message;
use super::*;
use crate::replay::noise;
use crate::{Decoder as _, FieldId, View, Wanted, WatchedRanges};
use stage::Direction;

const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

/// The query with another name, and with something behind its question.
fn query(name: &[u8], additionals: u8, behind: &[u8]) -> Vec<u8> {
    [&QUERY[..11], &[additionals], name, &QUERY[29..], behind].concat()
}

fn messages() -> Vec<Vec<u8>> {
    let name = &QUERY[12..29];
    let long = [&b"\x3f"[..], &[b'a'; 63]].concat();
    let option = b"\0\x0a\0\x08abcdefgh";
    let opt = |len: u16, options: &[u8]| {
        [b"\0\0\x29\x04\xd0\0\0\x80\0", &len.to_be_bytes()[..], options].concat()
    };
    let mut all = vec![
        QUERY.to_vec(),
        query(name, 1, &opt(0, b"")),
        query(name, 1, &opt(12, option)),
        query(name, 1, &opt(12, b"\0\x0a\0\x09abcdefgh")),
        query(name, 1, &opt(24, &[&option[..], option].concat())),
        query(name, 1, &opt(24, option)),
        query(name, 1, &opt(3, b"\0\x0a\0")),
        query(name, 1, &[&opt(12, option)[..], b"more"].concat()),
        query(name, 0, b"more"),
        query(name, 1, b"\0\0\xfa\0\xff\0\0\0\0\0\0"),
        query(b"\0", 0, b""),
        query(b"\x04a\nb\\\x03\x7f\0c\0", 0, b""),
        query(b"\x03www\xc0\x0c", 0, b""),
        query(b"\x01a\xc0\x12", 0, b"\0"),
        query(&[&long[..], &long, &long, b"\0"].concat(), 0, b""),
        query(&[&long[..], &long, &long, &long, b"\0"].concat(), 0, b""),
        query(&[&[63][..], &[1; 63], &[63], &[2; 63], b"\0"].concat(), 0, b""),
        [&QUERY[..4], b"\0\x02\0\0\0\0\0\0", &QUERY[12..], &QUERY[12..]].concat(),
        [
            &QUERY[..2],
            b"\x81\x80\0\x01\0\x01\0\0\0\0",
            &QUERY[12..],
            b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04abcd",
        ]
        .concat(),
    ];
    for at in 0..QUERY.len() {
        all.push(QUERY[..at].to_vec());
    }
    for (seed, message) in (0..).zip(all.clone()) {
        for turn in 0..8 {
            let random = noise(seed * 100 + turn, 3);
            let mut turned = message.clone();
            let at = usize::from(random[0]) % turned.len().max(1);
            if let Some(byte) = turned.get_mut(at) {
                *byte ^= 1_u8.wrapping_shl(u32::from(random[1] % 8));
            }
            all.push(turned);
        }
    }
    all
}

fn wanting(fields: impl IntoIterator<Item = u16>) -> Wanted {
    let mut wanted = Wanted::new(Dns.protocol());
    for field in fields {
        wanted.want(FieldId(field));
    }
    wanted
}

fn decode(wanted: &Wanted, input: &[u8], tcp: bool) -> Vec<Field> {
    thread_local!(static OUT: RefCell<Fields> = RefCell::new(Fields::new()));
    OUT.with_borrow_mut(|out| {
        out.clear();
        let view = View { input, from: Direction::Request, open: false, ended: true };
        if tcp {
            Dns.stream(wanted, &mut Dns.start(), view, out);
        } else {
            Dns.datagram(wanted, view, out);
        }
        out.items().to_vec()
    })
}

fn all_fields() -> std::ops::Range<u16> {
    0..u16::try_from(Dns.protocol().fields.len()).unwrap()
}

/// A prefilter with watched ranges for each of some fields.
fn with_prefilter(wanted: &Wanted, watches: &[(u16, WatchedRanges)]) -> Wanted {
    let mut all = vec![WatchedRanges::default(); usize::from(all_fields().end)];
    for (slot, watched_range) in watches {
        all[usize::from(*slot)] = watched_range.clone();
    }
    let mut wanted = wanted.clone();
    wanted.set_field_prefilter(all);
    wanted
}

fn number(field: &Field) -> Option<u64> {
    field.flags.has(Flags::NUMBER).then_some(field.number)
}

/// Watches the field's value and nothing else of its slot, or anything but it.
fn watching(field: &Field, exactly: bool) -> WatchedRanges {
    let len = field.value_len();
    match (number(field), exactly) {
        (Some(number), true) => WatchedRanges::new(&[], &[(number, number)]),
        (Some(0), false) => WatchedRanges::new(&[], &[(1, u64::MAX)]),
        (Some(number), false) => {
            WatchedRanges::new(&[], &[(0, number - 1), (number + 1, u64::MAX)])
        }
        (None, true) => WatchedRanges::new(&[(len, len)], &[]),
        (None, false) if len == 0 => WatchedRanges::new(&[(1, usize::MAX)], &[]),
        (None, false) => WatchedRanges::new(&[(0, len - 1), (len + 1, usize::MAX)], &[]),
    }
}

fn is_watched(wanted: &Wanted, field: &Field) -> bool {
    let prefilter = wanted.field_prefilter().unwrap();
    match number(field) {
        Some(number) => prefilter.number(field.slot, field.value_len(), number),
        None => prefilter.bytes(field.slot, field.value_len()),
    }
}

/// Nothing of what was passed over is watched, and what was not is as without a prefilter.
fn check(wanted: &Wanted, watches: &[(u16, WatchedRanges)], input: &[u8], tcp: bool) -> bool {
    let fields = decode(wanted, input, tcp);
    let prefiltered = with_prefilter(wanted, watches);
    let left = decode(&prefiltered, input, tcp);
    let quiet = left.len() < fields.len();
    if quiet {
        let watched = fields.iter().find(|field| is_watched(&prefiltered, field));
        for slot in all_fields() {
            let count = fields.iter().filter(|field| field.slot == slot).count();
            assert!(!prefiltered.field_prefilter().unwrap().occurrences(slot, count), "{slot}");
        }
        assert_eq!(watched, None, "passed over in {} with {watches:?}", input.escape_ascii());
    } else {
        assert_eq!(left, fields, "{}", input.escape_ascii());
    }
    quiet
}

#[test]
fn what_is_passed_over_is_not_watched() {
    let mut quiet = 0;
    for message in messages() {
        let over_tcp =
            [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
        for (input, tcp) in [(&message, false), (&over_tcp, true)] {
            let everything = wanting(all_fields());
            let found = decode(&everything, input, tcp);
            for field in &found {
                for exactly in [true, false] {
                    let watches = [(field.slot, watching(field, exactly))];
                    check(&everything, &watches, input, tcp);
                    quiet += usize::from(check(&wanting([field.slot]), &watches, input, tcp));
                }
            }
            for slot in all_fields() {
                let count = found.iter().filter(|field| field.slot == slot).count();
                for least in [count.max(2), count.max(1) + 1] {
                    let watches = [(slot, WatchedRanges::default().from_occurrences(least))];
                    quiet += usize::from(check(&everything, &watches, input, tcp));
                }
            }
            for pair in found.windows(2) {
                let watches: Vec<_> =
                    pair.iter().map(|field| (field.slot, watching(field, false))).collect();
                quiet += usize::from(check(&everything, &watches, input, tcp));
            }
            quiet += usize::from(check(&everything, &[], input, tcp));
        }
    }
    assert!(quiet > 5_000, "only {quiet} were passed over");
}

#[test]
fn ordinary_queries_are_passed_over_whatever_else_is_watched() {
    for message in &messages()[..3] {
        let everything = wanting(all_fields());
        let found = decode(&everything, message, false);
        let told = |slot: &u16| 1_u128.wrapping_shl(u32::from(*slot)) & PRESENT & !QUICK == 0;
        for slot in all_fields().filter(told) {
            let mut of_slot = found.iter().filter(|field| field.slot == slot);
            let watched_range = match (of_slot.next(), of_slot.next()) {
                (None, _) => WatchedRanges::new(&[(0, usize::MAX)], &[(0, u64::MAX)]),
                (Some(one), None) => watching(one, false),
                // The root's name is as long whatever the question's is.
                (Some(_), Some(_)) => continue,
            };
            assert!(
                check(&everything, &[(slot, watched_range)], message, false),
                "{} in {}",
                Dns.protocol().fields[usize::from(slot)].name,
                message.escape_ascii()
            );
        }
    }
}

/// The fast path that writes fields, and the general way, of every query and of many choices of
/// fields.
#[test]
fn fields_are_those_of_the_general_way() {
    let names = random_names();
    let named = names.iter().map(|name| query(name, 0, b""));
    let with_opt = names.iter().map(|name| query(name, 1, b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"));
    let mut wrote = 0;
    for (seed, message) in (0..).zip(messages().into_iter().chain(named).chain(with_opt)) {
        let random = noise(seed, 32);
        let choices = random.as_chunks::<16>().0.iter().map(|bits| u128::from_le_bytes(*bits));
        for want in choices.chain([u128::MAX]) {
            for want in [want & (FIELDS | ABSENT), want & (FIELDS | ABSENT_BARE), want] {
                let (mut fast, mut general) = (Fields::new(), Fields::new());
                if emit(want, &message, 2, &mut fast).is_some() {
                    any_message(want, &message, 2, true, &mut general);
                    assert_eq!(fast.items(), general.items(), "{}", message.escape_ascii());
                    assert_eq!(fast.text(), general.text(), "{}", message.escape_ascii());
                    wrote += 1;
                } else {
                    assert!(fast.is_empty() && fast.text().is_empty(), "it does nothing, or all");
                }
            }
        }
    }
    assert!(wrote > 2_000, "only {wrote} were written by the fast path");
}

/// Names of every length, of ordinary bytes and of ones that need an escape.
pub(in crate::dns) fn random_names() -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    for seed in 0..600 {
        let random = noise(seed, 700);
        let mut random = random.iter().copied();
        let mut next = || random.next().unwrap_or(0);
        let (labels, longest) = (next() % 12 + 1, next() % 63 + 1);
        let odd = next() % 4;
        let mut name = Vec::new();
        for _ in 0..labels {
            let len = next() % longest + 1;
            if name.len() + usize::from(len) > 253 {
                break;
            }
            name.push(len);
            for _ in 0..len {
                let byte = next();
                let special = odd == 1 && byte < 24;
                name.push(match byte {
                    0..8 if special => byte,
                    8..16 if special => b'\\',
                    16..20 if special => 0x7f,
                    20..24 if special => b'.',
                    _ => {
                        b"abcdefghijklmnopqrstuvwxyz0123456789-_<>\x80\xffABC"
                            [usize::from(byte) % 45]
                    }
                });
            }
        }
        name.push(0);
        names.push(name);
    }
    names
}

#[test]
fn bytes_that_are_not_text_as_they_stand_are_counted() {
    let mut out = Fields::new();
    let mut escaped = 0;
    for name in random_names() {
        let message = query(&name, 0, b"");
        let plain = name::plain(&message[12..]).unwrap();
        assert_eq!(plain.bytes, name.len());
        let mut labels = Vec::new();
        name::read(&message, 12, |label| labels.extend_from_slice(label));
        let special = |byte: &&u8| byte.is_ascii_control() || **byte == b'\\';
        let dots = labels.iter().filter(|byte| **byte == b'.').count();
        let want = labels.iter().filter(special).count();
        let odd = u32::try_from(want + dots).unwrap();
        assert_eq!(name::odd_bytes(&message, plain.bytes), odd, "{}", name.escape_ascii());
        let text = name::plain_text(&message[12..], plain.bytes, &mut out);
        assert_eq!(text.is_none(), want > 0);
        escaped += usize::from(want > 0);
    }
    assert!(escaped > 100, "only {escaped} with escapes");
}
