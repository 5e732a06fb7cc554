//! Timestamps (RFC 7323): the latest of each end, and TS.Recent.

use crate::acceptance::StampCheck;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::options::stamp_of;
use crate::segment::SegmentIn;

/// Notes TS.Recent; `true` where the segment is too old for its receiver ([`Half::check_stamp`]).
pub(super) fn is_too_old(half: &mut Half, segment: &SegmentIn<'_>, stores: &Stores) -> bool {
    match half.check_stamp(segment, stores) {
        StampCheck::TooOld => true,
        StampCheck::Newest(value) => {
            half.recent = value;
            half.note(Facts::RECENT);
            false
        }
        StampCheck::Fine => false,
    }
}

/// The timestamp of a SYN is the first TS.Recent (RFC 7323 section 4.3). Without it an old segment
/// ahead of a gap would be accepted.
pub(super) fn note_first_stamp(half: &mut Half, segment: &SegmentIn<'_>) {
    if !half.is(Facts::RECENT) {
        half.recent = stamp_of(segment).unwrap_or(0);
    }
}

/// Notes the latest timestamp of the sender, for acknowledgements made here, and answers the one of
/// this segment, for an acknowledgement of it to echo. An acknowledgement with the timestamp of a
/// segment that was overtaken would be too old for an end that has seen a later one, however often
/// it asks.
///
/// Stamped 464, then 448 late: an acknowledgement made here has 464. A segment that is not
/// `acceptable` does not count: a forged timestamp of next week would outlast the sender's own.
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
