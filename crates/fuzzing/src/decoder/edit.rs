//! An edit, and what the decoder makes of it: what it says is repaired must read like what it was.

use proto::{
    Decoder, DecoderState, Dissection, Editable, Edits, Field, FieldKind, Fields, Flags, Refusal,
    Refused, Repair, Span, Step, Transport, View, Wanted,
};

use crate::recipe::{Recipe, RecipeRandom};

/// Edits a datagram, has it repaired and reads it again.
pub(super) fn datagram(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    view: View<'_>,
    fields: &Fields,
    recipe: &Recipe<'_>,
) {
    let Some((edited, field)) = edited(decoder, wanted, Transport::Udp, view, fields, recipe)
    else {
        return;
    };
    let name = name_of(decoder, wanted, &field);
    let malformed = |view: View<'_>| {
        let mut wanted = Wanted::new(decoder.protocol());
        if let Some((id, _)) = decoder.protocol().field("_ws.malformed") {
            wanted.want(id);
        }
        let mut fields = Fields::new();
        let dissection = decoder.datagram(&wanted, view, &mut fields);
        (dissection, fields.items().iter().any(|field| field.number != 0))
    };
    let (_, was_malformed) = malformed(view);
    let (dissection, is_malformed) = malformed(View { input: &edited, ..view });
    assert_eq!(dissection, Dissection::Message, "{name}: a repaired message is one");
    // The data of a record may be cut to what no record of its type is.
    let was_malformed = was_malformed || name == "dns.rr.data";
    // An acknowledgement of TFTP options whose only option is taken away, by its name or by its
    // value, is an opcode and no more. The decoder is right to call that malformed (RFC 2347 has no
    // empty one) and has no length to put right.
    let was_malformed = was_malformed || name.starts_with("tftp.option.") && edited.len() < 4;
    assert!(
        was_malformed || !is_malformed,
        "{name}: {field:?}: malformed when repaired: {edited:02x?}"
    );
}

/// Edits a unit of a stream, has it repaired and reads it again.
pub(super) fn unit(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    view: View<'_>,
    after: &[u8],
    before: DecoderState,
    fields: &Fields,
    recipe: &Recipe<'_>,
) {
    let Some((mut edited, field)) = edited(decoder, wanted, Transport::Tcp, view, fields, recipe)
    else {
        return;
    };
    if edited.is_empty() {
        return;
    }
    let unit_bytes = edited.len();
    edited.extend_from_slice(after);
    let mut state = before;
    let mut fields = Fields::new();
    let view = View { input: &edited, open: false, ..view };
    let step = decoder.stream(wanted, &mut state, view, &mut fields);
    if ["dns", "mqtt", "tls"].contains(&decoder.protocol().name) {
        // These say how long they are, so nothing but a wrong repair can make another unit of them.
        let name = name_of(decoder, wanted, &field);
        let same = matches!(step, Step::Unit { bytes, .. } if bytes == unit_bytes);
        assert!(same, "{name}: {step:?} of {unit_bytes} repaired: {edited:02x?}");
    }
    if matches!(step, Step::Unit { .. }) {
        super::sound(decoder, wanted, &edited, &fields);
    }
}

fn name_of(decoder: &dyn Decoder, wanted: &Wanted, field: &Field) -> &'static str {
    decoder.protocol().def(wanted.field_of(field.slot).0).map_or("?", |def| def.name)
}

/// The message with one edit, repaired, and what was edited; `None` where there is nothing to edit
/// or it cannot be repaired.
fn edited(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    transport: Transport,
    view: View<'_>,
    fields: &Fields,
    recipe: &Recipe<'_>,
) -> Option<(Vec<u8>, Field)> {
    let mut random = RecipeRandom::new(recipe.edits);
    let items = fields.items();
    let field = items.get(random.below(items.len()))?;
    let mut edits = Edits::new();
    if fields.overflowed() || !make(decoder, wanted, view, fields, field, &mut random, &mut edits) {
        return None;
    }
    if edits.is_empty() || decoder.repair(transport, view, fields, &mut edits) != Repair::Done {
        return None;
    }
    let mut last = 0;
    for edit in edits.list() {
        assert!(edit.at.start >= last && edit.at.end >= edit.at.start, "edits in order");
        assert!(edit.at.range().end <= view.input.len(), "{edit:?} outside the message");
        last = edit.at.end;
    }
    let mut out = Vec::new();
    let all = Span::new(0, view.input.len());
    assert!(edits.current(view.input, all, &mut out), "edits can be applied");
    Some((out, *field))
}

/// One edit of the kind that rules make; whether it was made.
fn make(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    view: View<'_>,
    fields: &Fields,
    field: &Field,
    random: &mut RecipeRandom,
    edits: &mut Edits,
) -> bool {
    let (id, _) = wanted.field_of(field.slot);
    let Some(def) = decoder.protocol().def(id) else { return false };
    let covered = field.flags.has(Flags::MAC_COVERED);
    let text = matches!(def.kind, FieldKind::Bytes | FieldKind::Text);
    if covered || def.editable != Editable::Freely || !text {
        return false;
    }
    // What is nothing but an element (a whole record) is taken away; its bytes say nothing when
    // cut.
    if def.element && (field.value == field.element || random.below(4) == 0) {
        return edits.delete(field.element);
    }
    let value = fields.value_of(field, view.input);
    let keep = random.below(value.len() + 1);
    let mut new = value.get(..keep).unwrap_or_default().to_vec();
    let grow = random.below(3);
    new.resize(keep + grow * random.below(40), b'a');
    if new == value {
        return false;
    }
    if !field.flags.has(Flags::DECODED) {
        return edits.replace(field.value, &new);
    }
    let mut raw = Vec::new();
    decoder.encode(field.slot, field, &new, &mut raw) && edits.replace(field.value, &raw)
}

/// Asks for a refusal: it answers or it does not, and an answer has bytes.
pub(super) fn refuse(
    decoder: &dyn Decoder,
    transport: Transport,
    view: View<'_>,
    recipe: &Recipe<'_>,
) {
    let count = decoder.protocol().refusals.len();
    let Ok(which) = u8::try_from(usize::from(recipe.edits).checked_rem(count).unwrap_or(0)) else {
        return;
    };
    let mut out = Vec::new();
    let what = match transport {
        Transport::Udp => Refused::Datagram,
        Transport::Tcp if which & 1 == 0 => Refused::Message,
        Transport::Tcp => Refused::Connection,
    };
    let refusal = decoder.refuse(what, which, view, &mut out);
    assert!(refusal == Refusal::Silence || !out.is_empty(), "an empty answer");
}
