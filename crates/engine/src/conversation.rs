//! What the engine remembers about a TCP connection between calls: both directions, small, plain.

use plan::Module;
use proto::{Direction, State};

/// One per tracked connection.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    pub(crate) state: State,
}

impl Conversation {
    /// For a connection that has just begun.
    pub fn start(module: &Module) -> Self {
        Self { state: module.decoder.start() }
    }

    /// No field is open and no message is being discarded in this direction: a new plan may take over.
    pub fn at_boundary(&self, from: Direction) -> bool {
        let _ = (from, self.state);
        true
    }

    /// A new plan's module takes over. Both directions must be at a boundary.
    pub fn move_to(&mut self, module: &Module) {
        let _ = module;
    }
}
