//! What the engine remembers of a TCP connection between calls: both directions, in a few cache
//! lines.

use plan::{DirectionRules, Hold, Module};
use proto::{DecoderState, Need, Slot};
use stage::Direction;
use stage::position::index;

use crate::fused::Resume;

/// Open fields with rules that one direction can follow at once: a field, and one around it or
/// beside it.
pub(crate) const OPEN_FIELDS_MAX: usize = 2;

/// One per tracked connection.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    pub(crate) state: DecoderState,
    pub(crate) directions: [DirectionState; 2],
}

const _: () = assert!(size_of::<Resting>() <= 80, "it is compared for every message");
const _: () = assert!(
    size_of::<Conversation>() <= 224,
    "a tracked connection is meant to fit a few cache lines"
);

/// A conversation without an open field and without a need of the decoder. Most are in this state
/// most of the time, and a million of them have few different values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resting {
    state: DecoderState,
    directions: [RestingDirection; 2],
}

/// The flags of a [`DirectionState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RestingDirection {
    inside_message: bool,
    discarding: bool,
    given_up: bool,
}

impl Resting {
    /// The conversation that [`Conversation::rest`] stored.
    pub fn wake(&self) -> Conversation {
        let directions = self.directions.map(|direction| DirectionState {
            inside_message: direction.inside_message,
            discarding: direction.discarding,
            given_up: direction.given_up,
            ..DirectionState::default()
        });
        Conversation { state: self.state, directions }
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DirectionState {
    pub(crate) open: [Option<OpenField>; OPEN_FIELDS_MAX],
    /// The index to which the states of the open fields belong.
    pub(crate) index: u32,
    /// What the decoder needs, counted from the first held byte.
    pub(crate) need: Option<DecoderNeed>,
    /// The last unit was opened, and its open field goes on.
    pub(crate) inside_field: bool,
    /// A message has begun and not ended.
    pub(crate) inside_message: bool,
    /// The engine deletes the rest of the message.
    pub(crate) discarding: bool,
    /// The decoder has missed, or will miss, bytes of this direction. What it remembers of the
    /// connection may be wrong.
    pub(crate) given_up: bool,
}

/// [`Need`], in fewer bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DecoderNeed {
    Bytes(u32),
    Byte(u8),
}

/// A field that has begun and not ended, and on which some rule works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenField {
    pub(crate) slot: Slot,
    /// The conditional rules whose condition held when the field opened, a bit each.
    pub(crate) set: u32,
    pub(crate) resume: Resume,
}

impl Conversation {
    /// The state of a new connection.
    pub fn start(module: &Module) -> Self {
        Self { state: module.decoder.start(), directions: [DirectionState::default(); 2] }
    }

    /// The state of a connection that is older than the box. Nobody can know which responses its
    /// server still has to send.
    pub fn picked_up(module: &Module) -> Self {
        let mut conversation = Self::start(module);
        for direction in &mut conversation.directions {
            direction.given_up = true;
        }
        conversation
    }

    /// The small form of a conversation between messages, where it has one.
    pub fn rest(&self) -> Option<Resting> {
        let rests = |direction: &DirectionState| {
            !direction.inside_field
                && direction.need.is_none()
                && direction.open.iter().all(Option::is_none)
        };
        self.directions.iter().all(rests).then(|| {
            let directions = self.directions.map(|direction| RestingDirection {
                inside_message: direction.inside_message,
                discarding: direction.discarding,
                given_up: direction.given_up,
            });
            Resting { state: self.state, directions }
        })
    }

    /// Whether a new plan may take over in this direction: no field is open and no message is being
    /// deleted.
    pub fn at_boundary(&self, from: Direction) -> bool {
        let [request, response] = &self.directions;
        let direction = match from {
            Direction::Request => request,
            Direction::Response => response,
        };
        !direction.inside_field
            && !direction.discarding
            && direction.open.iter().all(Option::is_none)
    }

    /// Moves to a new plan's module of the same protocol. Both directions must be at a boundary,
    /// because open fields are forgotten.
    pub fn move_to(&mut self, module: &Module) {
        let _ = module;
        for direction in &mut self.directions {
            direction.open = [None; OPEN_FIELDS_MAX];
            direction.need = None;
            direction.inside_field = false;
        }
    }
}

impl DirectionState {
    /// Forgets the states of another plan's automata: they mean nothing to this plan's.
    pub(crate) fn belong_to(&mut self, rules: &DirectionRules) {
        if self.index != rules.index.id() {
            self.index = rules.index.id();
            self.open = [None; OPEN_FIELDS_MAX];
        }
    }

    pub(crate) fn wait_for(&mut self, need: Need) {
        self.need = Some(match need {
            Need::Bytes(bytes) => DecoderNeed::Bytes(u32::try_from(bytes).unwrap_or(u32::MAX)),
            Need::Byte(byte) => DecoderNeed::Byte(byte),
        });
    }

    /// Whether the decoder would only ask for more bytes again.
    pub(crate) fn still_waits(&self, rules: &DirectionRules, input: &[u8], held: usize) -> bool {
        let bound = match rules.hold {
            Hold::Streaming => proto::limits::HOLD_BYTES_MAX,
            Hold::UpTo(bytes) => bytes,
        };
        let enough = |bytes: u32| input.len() >= index(bytes);
        if held == 0 || enough(bound) {
            return false;
        }
        match self.need {
            None => false,
            Some(DecoderNeed::Bytes(bytes)) => !enough(bytes),
            Some(DecoderNeed::Byte(byte)) => !input.iter().skip(held).any(|&come| come == byte),
        }
    }

    pub(crate) fn open_field(&mut self, slot: Slot) -> Option<&mut OpenField> {
        self.open.iter_mut().flatten().find(|open| open.slot == slot)
    }

    /// Adds an open field. `false`: there is no room.
    pub(crate) fn add_open(&mut self, field: OpenField) -> bool {
        self.close(field.slot);
        match self.open.iter_mut().find(|open| open.is_none()) {
            Some(free) => {
                *free = Some(field);
                true
            }
            None => false,
        }
    }

    pub(crate) fn close(&mut self, slot: Slot) {
        for open in &mut self.open {
            if open.is_some_and(|open| open.slot == slot) {
                *open = None;
            }
        }
    }
}
