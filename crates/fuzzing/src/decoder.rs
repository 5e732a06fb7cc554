//! One decoder: datagrams, and conversations cut in every way the input chooses.

mod caller;
mod edit;
mod prefilter;

use proto::{
    Decoder, Dissection, FieldDef, FieldId, FieldKind, Fields, Span, Transport, View, Wanted,
};
use stage::Direction;

use crate::recipe::{Recipe, RecipeRandom};
use caller::{Finding, HoldPolicy, converse};

/// Keys that headers and parameters are asked for by.
const KEYS: &[&[u8]] = &[
    b"host",
    b"range",
    b"content-length",
    b"transfer-encoding",
    b"size",
    b"body",
    b"x",
    b"cookie",
];

/// Keeps a decoder to what its interface promises.
pub(crate) fn decoder(decoder: &dyn Decoder, input: &[u8]) {
    let Some(recipe) = Recipe::read(input) else { return };
    let wanted = wanted(decoder, &recipe, |_| true);
    let has = |wanted| decoder.protocol().transports().any(|transport| transport == wanted);
    if has(Transport::Udp) && (!recipe.flag(0) || !has(Transport::Tcp)) {
        let from = if recipe.flag(1) { Direction::Response } else { Direction::Request };
        datagram(decoder, &wanted, from, &recipe);
    } else {
        streams(decoder, &wanted, &recipe);
    }
}

/// The fields an input asks for.
fn wanted(
    decoder: &dyn Decoder,
    recipe: &Recipe<'_>,
    offered: impl Fn(&FieldDef) -> bool,
) -> Wanted {
    let mut wanted = Wanted::new(decoder.protocol());
    let mut random = RecipeRandom::new(recipe.fields);
    let sparse = recipe.flag(4);
    for (at, def) in decoder.protocol().fields.iter().enumerate() {
        let id = FieldId(u16::try_from(at).unwrap_or(u16::MAX));
        let bits = if sparse { 7 } else { 1 };
        if !offered(def) {
            continue;
        }
        if recipe.fields == 0 || random.next() & bits == 0 {
            wanted.want(id);
        }
        if def.keyed {
            for key in KEYS {
                if recipe.fields == 0 || random.next() & 1 == 0 {
                    wanted.want_key(id, key);
                }
            }
        }
    }
    if recipe.flag(2) {
        wanted.want_whole();
    }
    wanted
}

fn datagram(decoder: &dyn Decoder, wanted: &Wanted, from: Direction, recipe: &Recipe<'_>) {
    let mut fields = Fields::new();
    let view = View { input: recipe.rest, from, open: false, ended: true };
    if decoder.datagram(wanted, view, &mut fields) == Dissection::NotThisProtocol {
        return;
    }
    sound(decoder, wanted, recipe.rest, &fields);
    edit::datagram(decoder, wanted, view, &fields, recipe);
    edit::refuse(decoder, Transport::Udp, view, recipe);
}

fn streams(decoder: &dyn Decoder, all: &Wanted, recipe: &Recipe<'_>) {
    let turns = recipe.turns();
    prefilter::same_as_plain(decoder, all, recipe, &turns);
    let ways: &[HoldPolicy] = match recipe.flag(3) {
        // A unit is opened as soon as there is some of it, or when it has reached the bound.
        true => &[HoldPolicy::Opened, HoldPolicy::Bounded],
        false => &[HoldPolicy::Held, HoldPolicy::HeldUntilNeeded],
    };
    for way in ways {
        // A side that opens units at once reads nothing that cannot be given in pieces.
        let streaming = wanted(decoder, recipe, |def| def.streams);
        let wanted = if *way == HoldPolicy::Opened { &streaming } else { all };
        if wanted.is_empty() {
            continue;
        }
        let whole = converse(decoder, wanted, recipe, &turns, *way, 0);
        let cut = converse(decoder, wanted, recipe, &turns, *way, recipe.cuts);
        same(decoder, *way, &whole, &cut);
        if *way == HoldPolicy::HeldUntilNeeded {
            let held = converse(decoder, wanted, recipe, &turns, HoldPolicy::Held, recipe.cuts);
            same(decoder, *way, &held, &cut);
        }
    }
}

/// What is found may depend neither on where the bytes are cut nor on whether the caller asks
/// before a need is met.
fn same(decoder: &dyn Decoder, way: HoldPolicy, one: &[Finding], other: &[Finding]) {
    let len = one.len().max(other.len());
    let differ = (0..len).find(|at| one.get(*at) != other.get(*at));
    let Some(at) = differ else { return };
    let around = |found: &[Finding]| {
        let near = found.get(at.saturating_sub(1)..found.len().min(at + 2)).unwrap_or_default();
        near.iter().map(|found| found.show(decoder)).collect::<Vec<_>>().join("; ")
    };
    assert!(one == other, "{way:?}: depends on the cut: {} | {}", around(one), around(other));
}

/// What every occurrence must keep to.
fn sound(decoder: &dyn Decoder, wanted: &Wanted, unit: &[u8], fields: &Fields) {
    let len = u32::try_from(unit.len()).unwrap_or(u32::MAX);
    let all = Span { start: 0, end: len };
    for field in fields.items() {
        assert!(all.contains(field.value), "{field:?} outside its unit of {len}");
        assert!(all.contains(field.element), "{field:?} outside its unit of {len}");
        assert!(field.value.start <= field.value.end, "{field:?} ends before it begins");
        assert!(field.element.contains(field.value), "{field:?} outside its element");
        assert!(usize::from(field.slot) < wanted.slot_count(), "{field:?} in no slot");
        let (id, key) = wanted.field_of(field.slot);
        let def = decoder.protocol().def(id);
        assert!(def.is_some(), "{field:?} of no field");
        let Some(def) = def else { continue };
        assert!(if key.is_some() { wanted.has_keys(id) } else { wanted.has(id) }, "{}", def.name);
        if field.flags.has(proto::Flags::DECODED) {
            let text = Span::new(0, fields.text().len());
            assert!(text.contains(field.text), "{}: {field:?} outside the text", def.name);
        }
        if field.flags.has(proto::Flags::OPEN) || field.flags.has(proto::Flags::CONTINUES) {
            assert!(def.streams, "{}: {field:?} does not stream", def.name);
        }
        if let FieldKind::Uint(bits) = def.kind {
            assert!(bits >= 64 || field.number >> bits == 0, "{}: {field:?} is too big", def.name);
        }
    }
}
