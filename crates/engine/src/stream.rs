//! The bytes of a half-stream: unit after unit.

use plan::Module;
use proto::Direction;

use crate::conversation::Conversation;
use crate::outcome::{Peer, StreamResult, Then};
use crate::scratch::Scratch;

/// Runs `module` over contiguous bytes of one direction. `input[..held]` was handed in before, held then; `ended`: no byte
/// follows; `release`: a [`crate::HoldKind::Window`] hold must be let go now.
#[expect(clippy::too_many_arguments, reason = "the one call of the TCP path: each says one thing")]
pub fn stream(
    module: &Module,
    from: Direction,
    conversation: &mut Conversation,
    input: &[u8],
    held: usize,
    ended: bool,
    release: bool,
    peer: &Peer,
    scratch: &mut Scratch,
) -> StreamResult {
    let _ = (module, from, conversation, held, ended, release, peer);
    scratch.fields.clear();
    scratch.edits.clear();
    scratch.hits.clear();
    StreamResult {
        decided: input.len(),
        then: Then::Inspect,
        close: false,
        undecided: None,
        messages: 0,
    }
}
