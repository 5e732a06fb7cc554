//! What the engine remembers about a TCP connection between calls: both directions, small, plain.

use plan::{DirectionRules, Hold, Module};
use proto::{DecoderState, Need, Slot};
use stage::Direction;
use stage::position::index;

use crate::fused::Resume;

/// Open fields with rules on them that one direction can follow at once: a field and one around or
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

/// A conversation in which no field is open and no unit is waited for, as most are most of the
/// time: a million have few different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resting {
    state: DecoderState,
    directions: [RestingDirection; 2],
}

/// The yes-or-no part of a [`DirectionState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RestingDirection {
    inside_message: bool,
    discarding: bool,
    given_up: bool,
}

impl Resting {
    /// As it was.
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
    /// The index the open fields' states belong to.
    pub(crate) index: u32,
    /// What the decoder waits for, counted from the first held byte.
    pub(crate) need: Option<DecoderNeed>,
    /// The unit at hand was opened, and its open field goes on.
    pub(crate) inside_field: bool,
    /// A message has begun whose end has not come.
    pub(crate) inside_message: bool,
    /// The message that has begun is being taken away.
    pub(crate) discarding: bool,
    /// Some of this direction was not read, or will not be, although the decoder would have: what
    /// it remembers of the connection as a whole is not true.
    pub(crate) given_up: bool,
}

/// [`Need`], small.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DecoderNeed {
    Bytes(u32),
    Byte(u8),
}

/// A field whose end has not come, and which some rule works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenField {
    pub(crate) slot: Slot,
    /// The rules with a condition that held when it opened.
    pub(crate) set: u32,
    pub(crate) resume: Resume,
}

impl Conversation {
    /// For a connection that has just begun.
    pub fn start(module: &Module) -> Self {
        Self { state: module.decoder.start(), directions: [DirectionState::default(); 2] }
    }

    /// For a connection that is older than the box: what its server owes is not known, and never
    /// will be.
    pub fn picked_up(module: &Module) -> Self {
        let mut conversation = Self::start(module);
        for direction in &mut conversation.directions {
            direction.given_up = true;
        }
        conversation
    }

    /// What has to be kept until its next bytes, where that is little.
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

    /// No field is open and no message is being discarded in this direction: a new plan may take
    /// over.
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

    /// A new plan's module for the same protocol takes over. Both directions must be at a boundary:
    /// what is remembered of open fields is forgotten.
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
    /// States of another plan's automata mean nothing to this one's.
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

    /// The decoder would only ask for more again.
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

    /// `false`: there is no room.
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
