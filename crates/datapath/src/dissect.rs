//! Step 6: bytes to fields, by the module's decoder. Step 7 happens in the same call, because the
//! engine runs the rules of a field while the field is at hand.
//!
//! [`crate::tcp::engine_stage`] makes this step for a segment, from inside step 5.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{
    Conversation, DatagramResult, DatagramVerdict, Peer, Scratch, StreamResult, Undecided,
};
use plan::{FailMode, Mode, Module, ScopeMatch};
use stage::{Direction, InspectContext};

use crate::core::Parts;
use crate::packet::Packet;

/// Lets the engine decide a datagram. The edits or the reply are in the scratch.
pub(crate) fn datagram(
    parts: &mut Parts<'_>,
    module: &Module,
    packet: &Packet,
    found: ScopeMatch,
    bytes: &[u8],
) -> DatagramResult {
    let payload = packet.layers.payload_of(bytes);
    let client = match found.direction {
        Direction::Request => packet.source,
        Direction::Response => packet.destination,
    };
    let peer = Peer { address: client.address };
    let scratch = &mut *parts.scratch;
    // A module that panics costs this datagram its patching, not the box. The scratch is cleared at
    // the next call.
    catch_unwind(AssertUnwindSafe(|| {
        engine::datagram(module, found.direction, payload, &peer, scratch)
    }))
    .unwrap_or(DatagramResult {
        verdict: match (module.mode, module.fail) {
            (Mode::Enforce, FailMode::Closed) => DatagramVerdict::Drop,
            (Mode::Enforce, FailMode::Open) | (Mode::Observe, _) => DatagramVerdict::Pass,
        },
        undecided: Some(Undecided::Panicked),
        messages: 0,
    })
}

/// Bytes of a stream in order.
pub(crate) struct StreamInput<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) direction: Direction,
    pub(crate) context: InspectContext,
    /// The address of the client.
    pub(crate) client: [u8; 16],
}

/// Lets the engine decide the next bytes of a stream. The edits or the answer are in the scratch.
/// `None`: the module panicked, which costs this connection its patching, not the box.
#[inline]
pub(crate) fn stream(
    module: &Module,
    conversation: &mut Conversation,
    input: StreamInput<'_>,
    scratch: &mut Scratch,
) -> Option<StreamResult> {
    let StreamInput { bytes, direction, context, client } = input;
    let peer = Peer { address: client };
    catch_unwind(AssertUnwindSafe(|| {
        engine::stream(module, direction, conversation, bytes, context, &peer, scratch)
    }))
    .ok()
}
