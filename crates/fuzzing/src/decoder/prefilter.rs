//! With or without the header prefilter, a decoder comes to the same state at the same byte, and
//! catches the same.

use proto::{
    Decoder, DecoderState, Fields, HeaderFieldPrefilter, HeaderPrefilter, Slot, Step, View, Wanted,
    WatchedRanges,
};
use stage::Direction;

use crate::recipe::{Recipe, RecipeRandom};

/// Where the prefilter has come to: how many bytes of the input, the state there, and what was
/// caught on the way.
struct PrefilteredUnit {
    end: usize,
    state: DecoderState,
    caught: Vec<(Slot, usize, usize)>,
}

/// Goes over a conversation, with the prefilter wherever it can.
pub(super) fn same_as_plain(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    recipe: &Recipe<'_>,
    turns: &[(Direction, &[u8])],
) {
    let mut random = RecipeRandom::new(recipe.fields);
    let all = WatchedRanges::new(&[(0, usize::MAX)], &[(0, u64::MAX)]);
    let is_wanted = |slot: usize| {
        let (field, key) = wanted.field_of(Slot::try_from(slot).unwrap_or(Slot::MAX));
        key.is_some() || wanted.has(field)
    };
    let caught = (0..wanted.slot_count()).map(|slot| is_wanted(slot) && random.next() & 3 == 0);
    let caught: Vec<bool> = caught.collect();
    let field = |caught: &bool| {
        if *caught {
            HeaderFieldPrefilter::new(all.clone())
        } else {
            HeaderFieldPrefilter::default()
        }
    };
    let mut wanted = wanted.clone();
    wanted.set_header_prefilter(Some(HeaderPrefilter::new(
        caught.iter().map(field).collect(),
        Vec::new(),
        0x7b,
    )));
    let is_caught = |slot: Slot| caught.get(usize::from(slot)).is_some_and(|caught| *caught);
    let mut state = decoder.start();
    let mut held = [Vec::new(), Vec::new()];
    for (from, bytes) in turns {
        let [request, response] = &mut held;
        let held = if *from == Direction::Request { request } else { response };
        held.extend_from_slice(bytes);
        let taken = turn(decoder, &wanted, &mut state, *from, held, is_caught);
        held.drain(..taken);
    }
}

/// The units at the front of `input`: how many bytes they are.
fn turn(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    state: &mut DecoderState,
    from: Direction,
    input: &[u8],
    is_caught: impl Fn(Slot) -> bool,
) -> usize {
    let mut fields = Fields::new();
    let mut at = 0;
    let mut ahead: Option<PrefilteredUnit> = None;
    let mut found: Vec<(Slot, usize, usize)> = Vec::new();
    let places = |fields: &Fields, at: usize| -> Vec<(Slot, usize, usize)> {
        let place = |span: proto::Span| (span.range().start + at, span.range().end + at);
        let each = fields.items().iter().map(|field| (field.slot, place(field.value)));
        each.map(|(slot, (start, end))| (slot, start, end)).collect()
    };
    while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
        let view = View { input: rest, from, open: false, ended: false };
        if ahead.is_none() {
            let mut there = *state;
            fields.clear();
            let step =
                decoder.stream_prefiltered(wanted, &mut there, view, usize::MAX, &mut fields);
            if let Some(step) = step {
                let Step::Unit { bytes, .. } = step else { unreachable!("{step:?}") };
                let caught = places(&fields, at);
                ahead = Some(PrefilteredUnit { end: at + bytes, state: there, caught });
                found.clear();
            } else {
                assert_eq!(there, *state, "what the prefilter declines changes nothing");
            }
        }
        fields.clear();
        match decoder.stream(wanted, state, view, &mut fields) {
            Step::Unit { bytes, .. } => {
                found.extend(places(&fields, at).into_iter().filter(|found| is_caught(found.0)));
                at += bytes;
            }
            Step::Skip { bytes, .. } => {
                assert!(ahead.is_none(), "a prefiltered unit is one");
                at = usize::try_from(bytes).map_or(input.len(), |bytes| at.saturating_add(bytes));
            }
            Step::More(_) => {
                assert!(ahead.is_none(), "a prefiltered unit is complete");
                break;
            }
            Step::SkipRest | Step::NotThisProtocol => {
                assert!(ahead.is_none(), "a prefiltered unit is one");
                at = input.len();
            }
        }
        if let Some(ahead) = ahead.take_if(|ahead| at >= ahead.end) {
            assert_eq!((at, *state), (ahead.end, ahead.state), "with or without the prefilter");
            let mut caught = ahead.caught;
            caught.sort_unstable();
            found.sort_unstable();
            assert_eq!(caught, found, "with or without the prefilter");
        }
    }
    at.min(input.len())
}
