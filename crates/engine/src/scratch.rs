//! What one core needs while it runs plans: allocated once, reused for every message.

use proto::{Edits, Fields};

use crate::outcome::Hit;

/// One per core.
pub struct Scratch {
    pub(crate) fields: Fields,
    pub(crate) edits: Edits,
    pub(crate) reply: Vec<u8>,
    pub(crate) hits: Vec<Hit>,
}

impl Scratch {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self { fields: Fields::new(), edits: Edits::new(), reply: Vec::new(), hits: Vec::new() }
    }

    /// The edits of the last call, against its input.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// The payload that answers the last datagram, after [`crate::DatagramVerdict::Reply`].
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Which patches did something in the last call; one entry a patch.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
