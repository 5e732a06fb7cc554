//! The caller's part, as the interface of decoders describes it: contiguous bytes, one state, each
//! direction on its own.

use proto::{
    Decoder, DecoderState, Field, FieldId, Fields, Flags, Need, Step, Transport, View, Wanted,
};
use stage::Direction;

use super::{edit, sound};
use crate::recipe::{Recipe, pieces};

/// What the caller does with a unit that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldPolicy {
    /// Holds it, and asks at every piece.
    Held,
    /// Holds it, and asks when the decoder's need is met.
    HeldUntilNeeded,
    /// Holds it up to the bound, and opens it then.
    Bounded,
    /// Opens it at once.
    Opened,
}

/// What was found, with the pieces of opened fields joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Field {
        from: Direction,
        slot: u16,
        group: u16,
        flags: Flags,
        number: u64,
        value: Vec<u8>,
    },
    /// A message began.
    Message(Direction),
    /// Decoding ended.
    End(Direction, Step),
}

impl Finding {
    /// Occurrences of one field keep their order.
    fn place(&self) -> (Direction, u32) {
        match self {
            Self::Field { from, slot, .. } => (*from, u32::from(*slot)),
            Self::Message(from) | Self::End(from, _) => (*from, u32::MAX),
        }
    }

    pub(super) fn show(&self, decoder: &dyn Decoder) -> String {
        match self {
            Self::Field { from, slot, value, .. } => {
                let def = decoder.protocol().def(FieldId(*slot)).map_or("keyed", |def| def.name);
                format!("{from:?} {def} {}", value.escape_ascii())
            }
            Self::Message(_) | Self::End(..) => format!("{self:?}"),
        }
    }
}

#[derive(Default)]
struct CallerHalf {
    held: Vec<u8>,
    need: Option<Need>,
    skip: u64,
    done: bool,
}

struct DecoderCaller<'a> {
    decoder: &'a dyn Decoder,
    wanted: &'a Wanted,
    recipe: &'a Recipe<'a>,
    ask: HoldPolicy,
    cuts: u16,
    state: DecoderState,
    sides: [CallerHalf; 2],
    fields: Fields,
    found: Vec<Finding>,
}

/// A conversation, cut as `cuts` says.
pub(super) fn converse(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    recipe: &Recipe<'_>,
    turns: &[(Direction, &[u8])],
    ask: HoldPolicy,
    cuts: u16,
) -> Vec<Finding> {
    let mut caller = DecoderCaller {
        decoder,
        wanted,
        recipe,
        ask,
        cuts,
        state: decoder.start(),
        sides: Default::default(),
        fields: Fields::new(),
        found: Vec::new(),
    };
    for (from, bytes) in turns {
        for piece in pieces(bytes, cuts) {
            caller.push(*from, piece, false);
        }
    }
    for from in Direction::BOTH {
        caller.push(from, b"", true);
    }
    let mut found = caller.found;
    if matches!(ask, HoldPolicy::Opened | HoldPolicy::Bounded) {
        // Which of two open fields goes on first depends on the cut.
        found.sort_by_key(Finding::place);
    } else {
        // So does which direction comes first, where one of them waits for what it needs.
        found.sort_by_key(|found| found.place().0);
    }
    found
}

impl DecoderCaller<'_> {
    fn side(&mut self, from: Direction) -> &mut CallerHalf {
        let [request, response] = &mut self.sides;
        match from {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    fn push(&mut self, from: Direction, piece: &[u8], ended: bool) {
        let side = self.side(from);
        if side.done {
            return;
        }
        side.held.extend_from_slice(piece);
        let met = match side.need {
            Some(Need::Bytes(bytes)) => side.held.len() >= bytes,
            Some(Need::Byte(byte)) => piece.contains(&byte),
            None => true,
        };
        if self.ask == HoldPolicy::HeldUntilNeeded && !met && !ended {
            return;
        }
        while self.step(from, ended) {}
    }

    /// One unit or skip; whether there may be another.
    fn step(&mut self, from: Direction, ended: bool) -> bool {
        let side = self.side(from);
        side.need = None;
        let here = side.held.len().min(usize::try_from(side.skip).unwrap_or(usize::MAX));
        side.held.drain(..here);
        side.skip -= u64::try_from(here).unwrap_or(u64::MAX);
        if side.held.is_empty() {
            return false;
        }
        let held = std::mem::take(&mut side.held);
        let before = self.state;
        let bound = self.recipe.bound;
        let bounded = match self.ask {
            HoldPolicy::Bounded => held.get(..bound).unwrap_or(&held),
            HoldPolicy::Held | HoldPolicy::HeldUntilNeeded | HoldPolicy::Opened => &held,
        };
        let open = self.ask == HoldPolicy::Opened;
        let view = View { input: bounded, from, open, ended: ended && bounded.len() == held.len() };
        let mut step = self.dissect(view);
        let too_long = self.ask == HoldPolicy::Bounded && bounded.len() >= bound;
        if matches!(step, Step::More(_))
            && self.ask == HoldPolicy::Bounded
            && (too_long || view.ended)
        {
            assert_eq!(before, self.state, "asking for more changes nothing");
            step = self.dissect(View { open: true, ..view });
        }
        let mut taken = 0;
        let mut again = true;
        match step {
            Step::Unit { bytes, first, .. } => {
                assert!((1..=bounded.len()).contains(&bytes), "a unit of {bytes} bytes");
                taken = bytes;
                if first {
                    self.found.push(Finding::Message(from));
                }
                let unit = bounded.get(..bytes).unwrap_or_default();
                self.unit(View { input: unit, ..view }, before, &held);
            }
            Step::More(need) => {
                assert_eq!(before, self.state, "asking for more changes nothing");
                if let Need::Bytes(bytes) = need {
                    assert!(bytes > bounded.len(), "needs {bytes} of {}", bounded.len());
                }
                again = false;
                self.side(from).need = Some(need);
                self.side(from).done = too_long || ended;
            }
            Step::Skip { bytes, .. } => {
                assert!(bytes > 0, "skips nothing");
                self.side(from).skip = bytes;
            }
            Step::SkipRest | Step::NotThisProtocol => {
                self.found.push(Finding::End(from, step));
                self.side(from).done = true;
                again = false;
            }
        }
        let side = self.side(from);
        side.held = held;
        side.held.drain(..taken);
        again
    }

    fn dissect(&mut self, view: View<'_>) -> Step {
        self.fields.clear();
        self.decoder.stream(self.wanted, &mut self.state, view, &mut self.fields)
    }

    fn unit(&mut self, view: View<'_>, before: DecoderState, held: &[u8]) {
        sound(self.decoder, self.wanted, view.input, &self.fields);
        let items = self.fields.items();
        let open = items.iter().any(|field| field.flags.has(Flags::OPEN));
        let pieces = open || items.iter().any(|field| field.flags.has(Flags::CONTINUES));
        for at in 0..items.len() {
            if let Some(field) = self.fields.items().get(at).copied() {
                self.note(view, &field);
            }
        }
        if self.cuts == 0 && !pieces && !self.fields.overflowed() {
            let after = held.get(view.input.len()..).unwrap_or_default();
            let from = self.side(view.from);
            let quiet = from.skip == 0;
            if quiet {
                edit::unit(
                    self.decoder,
                    self.wanted,
                    view,
                    after,
                    before,
                    &self.fields,
                    self.recipe,
                );
            }
            edit::refuse(self.decoder, Transport::Tcp, view, self.recipe);
        }
    }

    fn note(&mut self, view: View<'_>, field: &Field) {
        let value = self.fields.value_of(field, view.input);
        if field.flags.has(Flags::CONTINUES) {
            let begun = self.found.iter_mut().rev().find_map(|found| match found {
                Finding::Field { from, slot, value, .. } => {
                    (*from == view.from && *slot == field.slot).then_some(value)
                }
                Finding::Message(_) | Finding::End(..) => None,
            });
            assert!(begun.is_some(), "{field:?} goes on and was not begun");
            if let Some(begun) = begun {
                begun.extend_from_slice(value);
            }
            return;
        }
        let flags = [Flags::DECODED, Flags::MAC_COVERED, Flags::NUMBER].into_iter();
        let flags = flags
            .filter(|flag| field.flags.has(*flag))
            .fold(Flags::NONE, |flags, flag| flags.with(flag));
        self.found.push(Finding::Field {
            from: view.from,
            slot: field.slot,
            group: field.group,
            flags,
            number: field.number,
            value: value.to_vec(),
        });
    }
}
