//! The answers a patched server gives instead of acting on a query (RFC 1035 section 4.1.1, RFC
//! 2308, RFC 6891).

use super::record::{OPT, Question, Record};
use crate::decoder::Refusal;
use crate::schema::Transport;

/// Names of the replies, in the order of `refuse`'s numbers.
pub(super) const REFUSALS: &[&str] =
    &["formerr", "servfail", "nxdomain", "notimp", "refused", "truncated"];

/// TC set and no error, so that the client asks again over TCP: the last of [`REFUSALS`]. Those
/// before it are reply codes, one more than their index.
const TRUNCATED: u8 = 5;

/// The UDP size our OPT announces: what the DNS flag day of 2020 recommends.
const UDP_PAYLOAD_SIZE: u16 = 1232;

/// Answers `message`. Responses, and what has no header, take no answer.
pub(super) fn refuse(
    transport: Transport,
    which: u8,
    message: &[u8],
    out: &mut Vec<u8>,
) -> Refusal {
    let Some(&[i0, i1, f0, f1, q0, q1, ..]) = message.first_chunk::<12>() else {
        return Refusal::Silence;
    };
    // A reply to a response could make two boxes talk forever.
    if f0 & 0x80 != 0 || which > TRUNCATED {
        return Refusal::Silence;
    }
    let question = (u16::from_be_bytes([q0, q1]) == 1)
        .then(|| Question::at(message, 12))
        .flatten()
        // A pointer in a question would point at a header that is no longer the same.
        .filter(|question| !ends_in_pointer(message, question));
    let edns = edns(message);
    let prefix_at = out.len();
    if transport == Transport::Tcp {
        out.extend_from_slice(&[0, 0]);
    }
    let message_at = out.len();
    let (tc, rcode) = if which == TRUNCATED { (2, 0) } else { (0, which.saturating_add(1)) };
    // QR; opcode and RD as asked; CD as asked (RFC 4035 section 3.2.2).
    out.extend_from_slice(&[i0, i1, 0x80 | (f0 & 0x79) | tc, (f1 & 0x10) | rcode]);
    out.extend_from_slice(&[
        0,
        u8::from(question.is_some()),
        0,
        0,
        0,
        0,
        0,
        u8::from(edns.is_some()),
    ]);
    if let Some(question) = question {
        out.extend_from_slice(question.span.of(message));
    }
    if let Some(dnssec_ok) = edns {
        //= https://www.rfc-editor.org/rfc/rfc6891#section-6.1.1
        // A query with OPT is answered with OPT.
        let [s0, s1] = UDP_PAYLOAD_SIZE.to_be_bytes();
        out.extend_from_slice(&[0, 0, 41, s0, s1, 0, 0, dnssec_ok, 0, 0, 0]);
    }
    let len = u16::try_from(out.len().saturating_sub(message_at)).unwrap_or(u16::MAX);
    if transport == Transport::Tcp
        && let Some(prefix) = out.get_mut(prefix_at..message_at)
    {
        prefix.copy_from_slice(&len.to_be_bytes());
    }
    Refusal::Reply
}

/// A name in place ends in a root label or in a pointer of two bytes.
fn ends_in_pointer(message: &[u8], question: &Question) -> bool {
    super::name::read(message, question.span.start, |_| {}).wire_len
        != question.name_end.saturating_sub(question.span.start)
}

/// The DO bit of the query's OPT record, as its byte, if the query has one.
fn edns(message: &[u8]) -> Option<u8> {
    let &[_, _, _, _, q0, q1, counts @ ..] = message.first_chunk::<12>()?;
    let [n0, n1, a0, a1, d0, d1] = counts;
    let mut at = 12;
    for _ in 0..u16::from_be_bytes([q0, q1]) {
        at = Question::at(message, at)?.span.end;
    }
    let records = [[n0, n1], [a0, a1], [d0, d1]]
        .iter()
        .map(|count| u32::from(u16::from_be_bytes(*count)))
        .fold(0, u32::saturating_add);
    for _ in 0..records {
        let record = Record::at(message, at)?;
        if record.kind == OPT {
            let [_, _, z, _] = record.ttl.to_be_bytes();
            return Some(z & 0x80);
        }
        at = record.span.end;
    }
    None
}
