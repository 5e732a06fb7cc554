//! For tests: a conversation through a decoder, cut into pieces in every way.
//!
//! Plays the caller's part as the interface describes it: contiguous bytes from a unit's start,
//! held while the decoder asks for more, each direction on its own, one state for both.

use crate::{Decoder, DecoderState, FieldId, FieldKind, Fields, Flags, Step, View, Wanted};
use stage::Direction;

/// Who says what, in this order.
pub(crate) type ReplayTurns<'a> = &'a [(Direction, &'a [u8])];

/// Where the bytes of all turns, counted through, are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplayCuts {
    /// Between turns only.
    Nowhere,
    /// At this byte too.
    At(usize),
    /// Between all bytes.
    Everywhere,
}

/// Everything found: `>name=value` of the client, `<name=value` of the server, and `!` lines for
/// what ends decoding. Pieces of an opened field are joined. The name `whole` asks for whole heads.
pub(crate) fn replay(
    decoder: &dyn Decoder,
    names: &[&str],
    turns: ReplayTurns<'_>,
    cut: ReplayCuts,
    open: bool,
) -> Vec<String> {
    let mut wanted = Wanted::new(decoder.protocol());
    for name in names {
        if *name == "whole" {
            wanted.want_whole();
            continue;
        }
        match name.split_once('[') {
            Some((name, key)) => {
                let (id, _) = decoder.protocol().field(name).unwrap();
                wanted.want_key(id, key.trim_matches(['"', ']']).as_bytes());
            }
            None => {
                let Some((id, _)) = decoder.protocol().field(name) else { panic!("no {name}") };
                wanted.want(id);
            }
        }
    }
    let mut caller = ReplayCaller::new(decoder, wanted, open);
    let mut before = 0;
    for (from, bytes) in turns {
        let pieces: Vec<&[u8]> = match cut {
            ReplayCuts::Nowhere => vec![bytes],
            ReplayCuts::At(at) => match at.checked_sub(before) {
                Some(at) if at < bytes.len() => vec![&bytes[..at], &bytes[at..]],
                _ => vec![bytes],
            },
            ReplayCuts::Everywhere => bytes.chunks(1).collect(),
        };
        before += bytes.len();
        for piece in pieces {
            caller.push(*from, piece, false);
        }
    }
    for from in Direction::BOTH {
        caller.push(from, b"", true);
    }
    caller.found.iter().map(|(label, value)| format!("{label}={}", value.escape_ascii())).collect()
}

/// Every cut, held and opened: all must find `want`.
#[track_caller]
pub(crate) fn check(decoder: &dyn Decoder, names: &[&str], turns: ReplayTurns<'_>, want: &[&str]) {
    check_held(decoder, names, turns, want);
    each_cut(decoder, names, turns, want, true);
}

/// As `check`, for fields that only a whole unit yields.
#[track_caller]
pub(crate) fn check_held(
    decoder: &dyn Decoder,
    names: &[&str],
    turns: ReplayTurns<'_>,
    want: &[&str],
) {
    each_cut(decoder, names, turns, want, false);
}

#[track_caller]
fn each_cut(
    decoder: &dyn Decoder,
    names: &[&str],
    turns: ReplayTurns<'_>,
    want: &[&str],
    open: bool,
) {
    let bytes: usize = turns.iter().map(|(_, bytes)| bytes.len()).sum();
    let cuts = (0..bytes).map(ReplayCuts::At).chain([ReplayCuts::Everywhere]);
    assert_eq!(
        replay(decoder, names, turns, ReplayCuts::Nowhere, open),
        want,
        "whole, open {open}"
    );
    for cut in cuts {
        assert_eq!(replay(decoder, names, turns, cut, open), want, "{cut:?}, open {open}");
    }
}

/// A turn, and what the server owes behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplayTurn<'a> {
    /// Of the client.
    Asks(&'a [u8], Option<u32>),
    /// One message of the client, refused.
    Refused(&'a [u8], Option<u32>),
    /// Of the server.
    Answers(&'a [u8], Option<u32>),
}

/// What is owed behind each turn, wherever they are cut, held and opened.
#[track_caller]
pub(crate) fn check_outstanding(decoder: &dyn Decoder, turns: &[ReplayTurn<'_>]) {
    check_outstanding_held(decoder, turns);
    each_outstanding(decoder, turns, &[(true, 1), (true, 3)]);
}

/// As `check_outstanding`, for units that cannot be refused before they are whole.
#[track_caller]
pub(crate) fn check_outstanding_held(decoder: &dyn Decoder, turns: &[ReplayTurn<'_>]) {
    each_outstanding(decoder, turns, &[(false, 1), (false, 7), (false, usize::MAX)]);
}

#[track_caller]
fn each_outstanding(decoder: &dyn Decoder, turns: &[ReplayTurn<'_>], ways: &[(bool, usize)]) {
    for &(open, cut) in ways {
        let mut wanted = Wanted::new(decoder.protocol());
        wanted.want_whole();
        let mut caller = ReplayCaller::new(decoder, wanted, open);
        for (no, turn) in turns.iter().enumerate() {
            let (from, bytes, want) = match *turn {
                ReplayTurn::Asks(bytes, want) => (Direction::Request, bytes, want),
                ReplayTurn::Refused(bytes, want) => {
                    caller.cancel = true;
                    (Direction::Request, bytes, want)
                }
                ReplayTurn::Answers(bytes, want) => (Direction::Response, bytes, want),
            };
            for piece in bytes.chunks(cut) {
                caller.push(from, piece, false);
            }
            let outstanding = decoder.outstanding_responses(&caller.state);
            assert_eq!(
                outstanding,
                want,
                "turn {no}: {}, open {open}, by {cut}",
                bytes.escape_ascii()
            );
        }
    }
}

/// Bytes no caller controls, with every field wanted: nothing panics, and what is found keeps the
/// interface's promises.
pub(crate) fn survives(decoder: &dyn Decoder, turns: ReplayTurns<'_>) {
    let names: Vec<_> =
        decoder.protocol().fields.iter().filter(|f| !f.keyed).map(|f| f.name).collect();
    let held = replay(decoder, &names, turns, ReplayCuts::Nowhere, false);
    assert_eq!(replay(decoder, &names, turns, ReplayCuts::Everywhere, false), held, "{turns:?}");
    for cut in [ReplayCuts::Nowhere, ReplayCuts::Everywhere] {
        replay(decoder, &names, turns, cut, true);
    }
}

/// Bytes from a seed, rich in what line protocols and record protocols care about.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    const TASTY: &[u8] = b"\r\n\r\n. \t0123<>:=-\xff\xfb\x00\x01\x03\x16\x18";
    (0..bytes)
        .map(|_| {
            let byte = next();
            if byte & 3 == 0 { byte } else { TASTY[usize::from(next()) % TASTY.len()] }
        })
        .collect()
}

#[derive(Default)]
struct ReplayHalf {
    held: Vec<u8>,
    skip: u64,
    done: bool,
}

struct ReplayCaller<'a> {
    decoder: &'a dyn Decoder,
    wanted: Wanted,
    open: bool,
    state: DecoderState,
    sides: [ReplayHalf; 2],
    fields: Fields,
    found: Vec<(String, Vec<u8>)>,
    /// The client's next unit is of a message that never reaches the server.
    cancel: bool,
}

impl<'a> ReplayCaller<'a> {
    fn new(decoder: &'a dyn Decoder, wanted: Wanted, open: bool) -> Self {
        Self {
            decoder,
            wanted,
            open,
            state: decoder.start(),
            sides: [ReplayHalf::default(), ReplayHalf::default()],
            fields: Fields::new(),
            found: Vec::new(),
            cancel: false,
        }
    }

    fn push(&mut self, from: Direction, piece: &[u8], ended: bool) {
        let side = &mut self.sides[from.index()];
        if side.done {
            return;
        }
        side.held.extend_from_slice(piece);
        loop {
            let side = &mut self.sides[from.index()];
            let skipped = side.skip.min(side.held.len() as u64);
            side.held.drain(..skipped as usize);
            side.skip -= skipped;
            if side.held.is_empty() {
                return;
            }
            let before = self.state;
            self.fields.clear();
            let view = View { input: &side.held, from, open: self.open, ended };
            let step = self.decoder.stream(&self.wanted, &mut self.state, view, &mut self.fields);
            match step {
                Step::Unit { bytes, .. } => {
                    assert!(bytes > 0 && bytes <= side.held.len(), "a unit of the bytes there");
                    if from == Direction::Request && core::mem::take(&mut self.cancel) {
                        self.decoder.cancel_request(&mut self.state);
                    }
                    let input = side.held.clone();
                    side.held.drain(..bytes);
                    self.collect(from, &input[..bytes]);
                }
                Step::More(_) => {
                    assert_eq!(before, self.state, "asking for more changes nothing");
                    return;
                }
                Step::Skip { bytes, .. } => {
                    assert!(bytes > 0);
                    side.skip = bytes;
                }
                Step::SkipRest | Step::NotThisProtocol => {
                    side.done = true;
                    self.found.push((format!("!{from:?} {step:?}"), Vec::new()));
                    return;
                }
            }
        }
    }

    fn collect(&mut self, from: Direction, unit: &[u8]) {
        for field in self.fields.items() {
            for span in [field.value, field.element] {
                assert!(span.end as usize <= unit.len(), "{field:?} lies in its unit");
            }
            assert!(field.element.contains(field.value));
            let (id, key) = self.wanted.field_of(field.slot);
            let def = self.decoder.protocol().def(id).unwrap();
            assert!(
                def.streams || !(field.flags.has(Flags::OPEN) || field.flags.has(Flags::CONTINUES)),
                "{} does not stream",
                def.name
            );
            let arrow = if from == Direction::Request { '>' } else { '<' };
            let key = key.map(|key| format!("[{}]", key.escape_ascii())).unwrap_or_default();
            let label = format!("{arrow}{}{key}", def.name);
            let value = match def.kind {
                FieldKind::Uint(_) | FieldKind::Bool => field.number.to_string().into_bytes(),
                FieldKind::Bytes | FieldKind::Text => self.fields.value_of(field, unit).to_vec(),
            };
            if field.flags.has(Flags::CONTINUES) {
                let (_, first) =
                    self.found.iter_mut().rev().find(|(seen, _)| *seen == label).unwrap();
                first.extend_from_slice(&value);
            } else {
                self.found.push((label, value));
            }
        }
        assert!(!self.fields.overflowed() || unit.len() > 1_000, "a small unit fits");
    }
}

/// Used by decoders' tests to hold their `FieldId` constants against their tables.
#[track_caller]
pub(crate) fn check_ids(decoder: &dyn Decoder, ids: &[(FieldId, &str)]) {
    assert_eq!(ids.len(), decoder.protocol().fields.len(), "every field is named");
    for (id, name) in ids {
        assert_eq!(decoder.protocol().def(*id).map(|def| def.name), Some(*name));
    }
}

/// Numbers from a seed; the same for the same seed.
pub(crate) struct TestRandom(pub(crate) u64);

impl TestRandom {
    /// Less than `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    /// One of these.
    pub(crate) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}
