//! Timestamps (RFC 7323): what is too old to be believed, and what acknowledgements made here carry.

use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::segment::SegmentIn;
use wire::TcpFlags;
use wire::options::TcpOption;

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//# If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is valid (see
//# later discussion), and if the RST bit is not set, then treat the arriving segment as not acceptable
/// Protection against wrapped sequence numbers, for bytes that are to be inspected: they would be kept as what was said first,
/// while their receiver discards them. A tick of leeway is what Linux gives.
///
/// TS.Recent 700: a segment of 699 is taken, one of 698 is dropped; across the wrap, 2 after 0xffff_fffe is later by 4. The stamp of
/// a SYN counts for what comes ahead of a gap only: whoever answers SYNs in another's stead stamps them by another clock, and
/// what comes in order is what was said first whatever its stamp.
pub(super) fn is_too_old(half: &mut Half, segment: &SegmentIn<'_>, stores: &Stores) -> bool {
    let flags = segment.tcp.flags();
    let says = flags.has(TcpFlags::FIN) || !segment.payload.is_empty();
    // The handshake's last acknowledgement is stamped by the clock of what follows: an end under an old stamp is none.
    let begins = !half.is(Facts::RECENT) && half.is(Facts::KNOWN);
    if !(says || begins) || flags.has(TcpFlags::RST) || half.tail() > 0 {
        return false;
    }
    let Some(value) = stamp_of(segment) else { return false };
    let later = value.wrapping_sub(half.recent).cast_signed();
    let in_order = !segment.tcp.seq().is_after(half.edge_o().advance(half.held(stores)));
    let counts = half.is(Facts::RECENT) || (half.recent != 0 && !in_order);
    if counts && later < -1 {
        return true;
    }
    //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
    //# If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to TS.Recent
    if in_order && (later > 0 || !half.is(Facts::RECENT)) {
        half.recent = value;
        half.note(Facts::RECENT);
    }
    false
}

/// The stamp of a SYN is the first TS.Recent (RFC 7323 section 4.3): without it an old one ahead of a gap would be taken.
pub(super) fn note_first_stamp(half: &mut Half, segment: &SegmentIn<'_>) {
    if !half.is(Facts::RECENT) {
        half.recent = stamp_of(segment).unwrap_or(0);
    }
}

/// TSval.
fn stamp_of(segment: &SegmentIn<'_>) -> Option<u32> {
    segment.tcp.options().find_map(|option| match option {
        TcpOption::Timestamps(value, _) => Some(value),
        TcpOption::MaxSegment(_)
        | TcpOption::WindowScale(_)
        | TcpOption::SackPermitted
        | TcpOption::Sack { .. }
        | TcpOption::Other(..) => None,
    })
}

/// Remembers the latest of the sender's clock, for acknowledgements made here: with the stamp of a segment that was overtaken they
/// would be too old for an end that has seen a later one, each time it asks. Answers (value, echo) for one that goes back to it,
/// without the value: that is the other end's clock.
///
/// Stamped 464, then 448 late: what is made here says 464. Not `believed`: a forged one of next week would outlast the
/// sender's own.
pub(super) fn note_stamps(
    half: &mut Half,
    segment: &SegmentIn<'_>,
    acceptable: bool,
) -> Option<u32> {
    let value = stamp_of(segment)?;
    let is_later = value.wrapping_sub(half.stamp).cast_signed() > 0;
    if acceptable && (is_later || !half.is(Facts::STAMPS)) {
        half.stamp = value;
        half.note(Facts::STAMPS);
    }
    Some(value)
}
