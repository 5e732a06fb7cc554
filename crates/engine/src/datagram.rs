//! One datagram: dissect, decide, repair.

use plan::Module;
use proto::Direction;

use crate::outcome::{DatagramResult, DatagramVerdict, Peer};
use crate::scratch::Scratch;

/// Runs `module` over one datagram.
pub fn datagram(
    module: &Module,
    from: Direction,
    payload: &[u8],
    peer: &Peer,
    scratch: &mut Scratch,
) -> DatagramResult {
    let _ = (module, from, payload, peer);
    scratch.fields.clear();
    scratch.edits.clear();
    scratch.hits.clear();
    DatagramResult { verdict: DatagramVerdict::Pass, undecided: None, messages: 1 }
}
