//! Step 6: bytes to fields, by the module's decoder; and step 7 in the same call, because the engine runs each field's rules
//! while the field is at hand.
//!
//! A stream makes this step from inside assemble: [`crate::tcp`] hands the bytes that are in order to [`engine::stream`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{DatagramResult, DatagramVerdict, Peer, Undecided};
use plan::{FailMode, Mode, Module, ScopeMatch};
use stage::Direction;

use crate::classify::Packet;
use crate::core::Parts;

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
    // A panicking module costs this datagram its patching, not the box. The scratch is cleared at the next call.
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
