//! Where a message ends: what its head says of that, and whether all servers read it alike.
//!
//! Holds:     the reading of Content-Length, Transfer-Encoding and Upgrade, and what follows a
//!            head.
//! Promises:  a head that servers may read differently is marked, and never makes the decoder skip
//!            a byte.
//! Never:     looks at a header that has no bearing on framing.

use super::list;
use super::state::{HttpHalf, HttpPhase, HttpState, Marks, RequestKind};
use stage::Direction;

/// The headers framing rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    ContentLength,
    TransferEncoding,
    Upgrade,
}

/// Whether a header line that begins with a letter may be one of them: by eight bytes, chosen so
/// that common names which begin alike (Content-Type, Upgrade-Insecure-Requests) are told apart.
#[inline]
pub(super) fn may_begin(line: &[u8]) -> bool {
    let four = |at: usize| {
        let four = line.get(at..).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes);
        four.map(|four| four | 0x2020_2020)
    };
    match four(0) {
        None => true,
        CONT => matches!(four(8), None | LENG),
        TRAN => matches!(four(9), None | ENCO),
        UPGR => !line.get(7).is_some_and(goes_on),
        Some(_) => false,
    }
}

const CONT: Option<u32> = Some(u32::from_le_bytes(*b"cont"));
const TRAN: Option<u32> = Some(u32::from_le_bytes(*b"tran"));
const UPGR: Option<u32> = Some(u32::from_le_bytes(*b"upgr"));
const LENG: Option<u32> = Some(u32::from_le_bytes(*b"leng"));
const ENCO: Option<u32> = Some(u32::from_le_bytes(*b"enco"));

/// Whether such a name may begin with this letter.
#[inline]
pub(super) fn may_begin_with(letter: u8) -> bool {
    starts(|byte| 1_u32.wrapping_shl(u32::from(byte))) & 1_u32.wrapping_shl(u32::from(letter)) != 0
}

/// The first letters of such names, by `bit`.
pub(super) fn starts(bit: impl Fn(u8) -> u32) -> u32 {
    bit(b'c') | bit(b't') | bit(b'u')
}

/// A name that goes on with this byte is another name.
fn goes_on(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a header line, or its name, begins with one of them as some server may read it; and
/// whether the name is that one and nothing else. (`name` may go on behind the colon: that is a
/// byte no name has.)
pub(super) fn by_name(name: &[u8]) -> Option<(Framing, bool)> {
    // Some servers strip, or stop at, bytes that no name has.
    let odd = name.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let name = name.get(odd..)?;
    let (expected, framing): (&[u8], _) = match name.first()?.to_ascii_lowercase() {
        b'c' => (b"content-length", Framing::ContentLength),
        b't' => (b"transfer-encoding", Framing::TransferEncoding),
        b'u' => (b"upgrade", Framing::Upgrade),
        _ => return None,
    };
    let (begun, rest) = name.split_at_checked(expected.len())?;
    // Gateways that hand headers on as variables cannot tell `_` from `-`.
    let alike = begun.iter().zip(expected).all(|(&byte, &expected)| {
        byte.eq_ignore_ascii_case(&expected) || (byte == b'_' && expected == b'-')
    });
    if !alike || rest.first().is_some_and(goes_on) {
        return None;
    }
    let certain = odd == 0 && rest.is_empty() && begun.eq_ignore_ascii_case(expected);
    Some((framing, certain))
}

/// Takes note of such a header. `certain`: every server reads it as that header.
pub(super) fn note(half: &mut HttpHalf, framing: Framing, value: &[u8], certain: bool) {
    half.marks.set_if(!certain, Marks::AMBIGUOUS);
    match framing {
        Framing::Upgrade => half.marks.set(Marks::UPGRADE),
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        //# If a message is received without Transfer-Encoding and with an invalid
        //# Content-Length header field, then the message framing is invalid
        Framing::ContentLength => match content_length(value) {
            Some(length) if !half.marks.has(Marks::CONTENT_LENGTH) || half.left == length => {
                half.left = length;
                half.marks.set(Marks::CONTENT_LENGTH);
            }
            _ => half.marks.set(Marks::CONTENT_LENGTH.with(Marks::AMBIGUOUS)),
        },
        Framing::TransferEncoding => {
            let (start, length) = list::trimmed(value);
            let coding = value.get(start..start.saturating_add(length)).unwrap_or_default();
            if coding.eq_ignore_ascii_case(b"chunked") && !half.marks.has(Marks::TRANSFER_ENCODING)
            {
                half.marks.set(Marks::CHUNKED);
            } else {
                half.marks.set(Marks::TE_UNKNOWN.with(Marks::AMBIGUOUS));
            }
            half.marks.set(Marks::TRANSFER_ENCODING);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//# Content-Length = 1*DIGIT
/// The number, if it is one to every server: digits, or the same digits several times (RFC 9110
/// section 8.6).
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    // Nearly every value. More digits might not fit.
    let digits = value.strip_prefix(b" ").unwrap_or(value);
    if (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        let next = |number: u64, digit: &u8| {
            number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')))
        };
        return Some(digits.iter().fold(0, next));
    }
    let mut seen = None;
    for item in value.split(|&byte| byte == b',') {
        let start = item.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let item = item.get(start..).unwrap_or_default();
        let spaces = item.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let digits = item.get(..item.len().saturating_sub(spaces)).unwrap_or_default();
        let number = decimal(digits)?;
        if seen.is_some_and(|seen| seen != number) {
            return None;
        }
        seen = Some(number);
    }
    seen
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let mut number = None;
    for digit in digits {
        let value = digit.checked_sub(b'0').filter(|value| *value < 10)?;
        let shifted = number.unwrap_or(0_u64).checked_mul(10)?;
        // Many servers keep lengths in signed integers.
        number =
            Some(shifted.checked_add(u64::from(value)).filter(|n| *n <= i64::MAX.cast_unsigned())?);
    }
    number
}

/// A message head has ended: is its framing the same for every reader?
pub(super) fn judge(half: &mut HttpHalf, from: Direction) {
    let marks = half.marks;
    let framed = marks.has(Marks::TRANSFER_ENCODING)
        || half.left > 0
        || marks.has(Marks::UPGRADE)
        || half.kind == RequestKind::Connect;
    let request = from == Direction::Request;
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //# A server MAY reject a request that contains both Content-Length and Transfer-Encoding
    let both = marks.has(Marks::TRANSFER_ENCODING.with(Marks::CONTENT_LENGTH));
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
    //# A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header
    //# field MUST treat the message as if the framing is faulty
    let old = marks.has(Marks::TRANSFER_ENCODING)
        && (marks.has(Marks::OLD) || marks.has(Marks::VERSIONLESS));
    let bare = marks.has(Marks::BARE_CR) || (request && framed && marks.has(Marks::BARE_LF));
    let tunnel_with_body =
        half.kind == RequestKind::Connect && (half.left > 0 || marks.has(Marks::TRANSFER_ENCODING));
    let two_ways =
        marks.has(Marks::UPGRADE) && matches!(half.kind, RequestKind::Head | RequestKind::Connect);
    half.marks
        .set_if(both || old || bare || tunnel_with_body || (request && two_ways), Marks::AMBIGUOUS);
}

/// Moves on behind a message head. `true`: the message has no body and is over.
pub(super) fn after_head(state: &mut HttpState, from: Direction) -> bool {
    match from {
        Direction::Request => after_request(state),
        Direction::Response => after_response(state),
    }
}

fn after_request(state: &mut HttpState) -> bool {
    let half = &mut state.request;
    if half.marks.has(Marks::AMBIGUOUS) || half.marks.has(Marks::DISTRUSTED) {
        half.distrust();
        state.unpaired = true;
        return true;
    }
    let kind = if half.marks.has(Marks::UPGRADE) { RequestKind::Upgrade } else { half.kind };
    let over = begin_body(half);
    state.asked(kind);
    over
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
//# The length of a message body is determined by one of the following
fn after_response(state: &mut HttpState) -> bool {
    let status = state.response.status;
    let asked = state.oldest();
    if state.unpaired || state.response.marks.has(Marks::AMBIGUOUS) {
        state.response.distrust();
        state.unpaired = true;
        return true;
    }
    let half = &mut state.response;
    if (100..200).contains(&status) {
        if status == 101 && asked == Some(RequestKind::Upgrade) {
            state.tunnel = true;
        }
        half.next_message();
        return true;
    }
    match asked {
        // A server that speaks unasked (408, or a 400 before the head was whole): which of the next
        // responses belongs to which request is no longer known.
        None => state.unpaired = true,
        Some(_) => state.answered(),
    }
    if asked == Some(RequestKind::Connect) && (200..300).contains(&status) {
        state.tunnel = true;
        state.response.next_message();
        return true;
    }
    if asked == Some(RequestKind::Head) || status == 204 || status == 304 {
        state.response.next_message();
        return true;
    }
    let half = &mut state.response;
    if half.marks.has(Marks::CHUNKED) || half.marks.has(Marks::CONTENT_LENGTH) {
        return begin_body(half);
    }
    half.next_message();
    half.phase = HttpPhase::UntilClose;
    false
}

fn begin_body(half: &mut HttpHalf) -> bool {
    let (chunked, length) = (half.marks.has(Marks::CHUNKED), half.left);
    half.next_message();
    if chunked {
        half.phase = HttpPhase::ChunkSize;
    } else if length > 0 {
        half.phase = HttpPhase::Body;
        half.left = length;
    }
    !chunked && length == 0
}
