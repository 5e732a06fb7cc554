//! Transport Layer Security: the parts in clear (RFC 8446, RFC 5246, RFC 6520). A unit is a record.
//!
//! Holds:     for each direction, whether it is encrypted yet and how much of a handshake message
//!            is still to come.
//! Promises:  nothing under the handshake's hash is offered for editing; encrypted records are
//!            passed on unread.
//! Never:     decrypts.

mod handshake;
mod table;

use crate::decoder::{Need, ProtocolDecoder, Refusal, Refused, SampleMessage, Step, View};
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{FieldId, Protocol};
use crate::wanted::Wanted;
use stage::Direction;

use table::{
    ALERT_DESC, ALERT_FIELDS, ALERT_LEVEL, CIPHER_SPEC_LEN, CONTENT_TYPE, HANDSHAKE_FIELDS,
    HEARTBEAT_FIELDS, HEARTBEAT_LENGTH, HEARTBEAT_TYPE, PROTOCOL, RECORD_FIELDS, RECORD_LENGTH,
    RECORD_VERSION, REFUSALS, SESSION_ID_LENGTH, TYPE, VERSION,
};

/// The decoder.
pub struct Tls;

const HEADER_BYTES: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

//= https://www.rfc-editor.org/rfc/rfc5246#section-6.2.1
//# The length MUST NOT exceed 2^14.
const PLAIN_BYTES_MAX: u16 = 1 << 14;

//= https://www.rfc-editor.org/rfc/rfc5246#section-6.2.3
//# The length MUST NOT exceed 2^14 + 2048.
const CIPHER_BYTES_MAX: u16 = PLAIN_BYTES_MAX + 2048;

/// What is remembered between records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsState {
    request: TlsHalf,
    response: TlsHalf,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TlsHalf {
    /// A record has been seen.
    started: bool,
    /// `ChangeCipherSpec` has been seen: what follows is encrypted, or TLS 1.3 makes believe.
    changed: bool,
    /// Nothing in clear will follow.
    encrypted: bool,
    /// Bytes of the present record that no rule reads.
    rest: u32,
    /// Bytes of a handshake message that come in later records.
    carry: u32,
}

/// A record's header.
#[derive(Clone, Copy, Debug)]
struct RecordHeader {
    content_type: u8,
    version: u16,
    /// Bytes behind the header.
    length: u16,
}

impl RecordHeader {
    fn parse(input: &[u8]) -> Option<Self> {
        let ([content_type, major, minor, high, low], _) = input.split_first_chunk()?;
        Some(Self {
            content_type: *content_type,
            version: u16::from_be_bytes([*major, *minor]),
            length: u16::from_be_bytes([*high, *low]),
        })
    }

    fn is_tls(&self) -> bool {
        matches!(self.content_type, CHANGE_CIPHER_SPEC..=HEARTBEAT)
            && self.version >> 8 == 3
            && self.length <= CIPHER_BYTES_MAX
    }

    /// Bytes of the whole record.
    fn record_bytes(&self) -> usize {
        HEADER_BYTES.saturating_add(usize::from(self.length))
    }
}

impl ProtocolDecoder for Tls {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "tls-client-hello",
        from: Direction::Request,
        bytes: b"\x16\x03\x01\0\x45\x01\0\0\x41\x03\x03\
0123456789abcdef0123456789abcdef\0\0\x04\x13\x01\xc0\x2f\x01\0\0\x14\
\0\0\0\x10\0\x0e\0\0\x0bexample.com",
    }];

    type State = TlsState;

    fn stream(
        &self,
        wanted: &Wanted,
        tls: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let side = match view.from {
            Direction::Request => &mut tls.request,
            Direction::Response => &mut tls.response,
        };
        let rest = core::mem::take(&mut side.rest);
        if rest > 0 {
            return Step::Skip { bytes: u64::from(rest), last: true };
        }
        let reads_headers = RECORD_FIELDS.iter().any(|&id| wanted.has(id));
        if side.encrypted && !reads_headers {
            return Step::SkipRest;
        }
        let Some(header) = RecordHeader::parse(view.input) else {
            return Step::More(Need::Bytes(HEADER_BYTES));
        };
        if !header.is_tls() {
            let first_of_client = !side.started && view.from == Direction::Request;
            return if first_of_client {
                ssl2(wanted, side, view, out)
            } else {
                Step::NotThisProtocol
            };
        }
        match in_clear(side, &header, view) {
            Err(need) => Step::More(need),
            Ok(true) => plain(wanted, side, &header, view, out),
            Ok(false) if !reads_headers => {
                side.encrypted = true;
                Step::SkipRest
            }
            Ok(false) => cipher(wanted, side, &header, view, out),
        }
    }

    /// A ClientHello may be answered before the server has spoken; behind it every byte is under
    /// the handshake's hash.
    fn outstanding_responses(&self, tls: &Self::State) -> Option<u32> {
        (!tls.request.started && !tls.response.started).then_some(0)
    }

    fn refuse(&self, _what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        let header = RecordHeader::parse(view.input).filter(RecordHeader::is_tls);
        match (REFUSALS.get(usize::from(which)), header) {
            (Some(&alert), Some(header)) if view.from == Direction::Request => {
                let [major, minor] = header.version.to_be_bytes();
                //= https://www.rfc-editor.org/rfc/rfc5246#section-7.2
                // All of ours are fatal.
                out.extend_from_slice(&[ALERT, major, minor, 0, 2, 2, alert]);
                Refusal::Last
            }
            _ => Refusal::Silence,
        }
    }
}

/// Whether the record is in clear.
fn in_clear(side: &TlsHalf, header: &RecordHeader, view: View<'_>) -> Result<bool, Need> {
    if side.encrypted || header.content_type == APPLICATION_DATA {
        return Ok(false);
    }
    if !side.changed {
        return Ok(true);
    }
    Ok(match header.content_type {
        CHANGE_CIPHER_SPEC => true,
        ALERT => header.length == 2,
        //= https://www.rfc-editor.org/rfc/rfc8446#section-appendix.d.4
        //# either side can send change_cipher_spec at any time during the handshake
        HANDSHAKE if header.length >= 4 => {
            let Some([kind, a, b, c]) =
                view.input.get(HEADER_BYTES..).and_then(<[u8]>::first_chunk)
            else {
                let all = HEADER_BYTES.saturating_add(4);
                return if view.ended { Ok(false) } else { Err(Need::Bytes(all)) };
            };
            let length = u32::from_be_bytes([0, *a, *b, *c]);
            matches!(kind, 1 | 2) && length.saturating_add(4) == u32::from(header.length)
        }
        _ => false,
    })
}

/// A record in clear.
fn plain(
    wanted: &Wanted,
    side: &mut TlsHalf,
    header: &RecordHeader,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    if header.length > PLAIN_BYTES_MAX {
        return Step::NotThisProtocol;
    }
    let reads = |ids: &[FieldId]| ids.iter().any(|&id| wanted.has(id));
    let reads_content = match header.content_type {
        ALERT => reads(ALERT_FIELDS),
        HEARTBEAT => reads(HEARTBEAT_FIELDS),
        HANDSHAKE => HANDSHAKE_FIELDS.clone().any(|id| wanted.has(FieldId(id))),
        _ => false,
    };
    let record_bytes = header.record_bytes();
    let changes = header.content_type == CHANGE_CIPHER_SPEC;
    if !reads_content && !reads(RECORD_FIELDS) {
        *side = TlsHalf { started: true, changed: side.changed || changes, carry: 0, ..*side };
        return Step::Skip { bytes: u64::try_from(record_bytes).unwrap_or(u64::MAX), last: true };
    }
    let may_wait = !(view.open || view.ended);
    if view.input.len() < record_bytes && may_wait {
        return Step::More(Need::Bytes(record_bytes));
    }
    emit_header(wanted, header, Flags::NONE, out);
    let record = view.input.get(..record_bytes).unwrap_or(view.input);
    let mut bytes = record.len();
    let mut carry = 0;
    match (header.content_type, record.get(HEADER_BYTES..).unwrap_or_default()) {
        (ALERT, [level, desc, ..]) => {
            byte(wanted, out, ALERT_LEVEL, 5, *level);
            byte(wanted, out, ALERT_DESC, 6, *desc);
        }
        //= https://www.rfc-editor.org/rfc/rfc6520#section-4
        (HEARTBEAT, [kind, claim @ ..]) => {
            byte(wanted, out, HEARTBEAT_TYPE, 5, *kind);
            if let [high, low, ..] = claim
                && wanted.has(HEARTBEAT_LENGTH)
            {
                let claimed = u64::from(u16::from_be_bytes([*high, *low]));
                out.number(HEARTBEAT_LENGTH.0, Span::new(6, 8), claimed);
            }
        }
        (HANDSHAKE, [_, ..]) if reads_content => {
            match handshake::messages(wanted, view.input, side.carry, may_wait, out) {
                Ok((used, lacking)) => (bytes, carry) = (used.max(bytes), lacking),
                Err(need) => {
                    out.clear();
                    return Step::More(need);
                }
            }
        }
        _ => {}
    }
    *side = TlsHalf { started: true, changed: side.changed || changes, carry, ..*side };
    opened(side, record_bytes, bytes)
}

/// An encrypted record.
fn cipher(
    wanted: &Wanted,
    side: &mut TlsHalf,
    header: &RecordHeader,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    // Application data may be long and many; the others are few, and may have to be dropped whole.
    let record_bytes = header.record_bytes();
    let wanted_bytes = match header.content_type {
        APPLICATION_DATA => HEADER_BYTES,
        _ => record_bytes,
    };
    if view.input.len() < wanted_bytes && !(view.open || view.ended) {
        return Step::More(Need::Bytes(wanted_bytes));
    }
    emit_header(wanted, header, Flags::MAC_COVERED, out);
    *side = TlsHalf { started: true, encrypted: true, carry: 0, ..*side };
    opened(side, record_bytes, wanted_bytes.min(view.input.len()))
}

/// The unit of `bytes` bytes, which may be less than the record.
fn opened(side: &mut TlsHalf, record_bytes: usize, bytes: usize) -> Step {
    side.rest = u32::try_from(record_bytes.saturating_sub(bytes)).unwrap_or(0);
    Step::Unit { bytes, first: true, last: side.rest == 0 }
}

fn emit_header(wanted: &Wanted, header: &RecordHeader, flags: Flags, out: &mut Fields) {
    let fields = [
        (CONTENT_TYPE, Span::new(0, 1), u64::from(header.content_type)),
        (RECORD_VERSION, Span::new(1, 3), u64::from(header.version)),
        (RECORD_LENGTH, Span::new(3, 5), u64::from(header.length)),
    ];
    for (id, value, number) in fields {
        if wanted.has(id) {
            let flags = Flags::NUMBER.with(flags);
            out.push(Field {
                slot: id.0,
                value,
                element: value,
                number,
                flags,
                ..Field::default()
            });
        }
    }
}

fn byte(wanted: &Wanted, out: &mut Fields, id: FieldId, at: usize, byte: u8) {
    if wanted.has(id) {
        out.number(id.0, Span::new(at, at.saturating_add(1)), u64::from(byte));
    }
}

//= https://www.rfc-editor.org/rfc/rfc5246#section-appendix.e.2
/// An SSLv2 `ClientHello`: two bytes of length with the high bit set, then type, version, and three
/// lengths.
fn ssl2(wanted: &Wanted, side: &mut TlsHalf, view: View<'_>, out: &mut Fields) -> Step {
    let [high, low, 1, major, minor, ..] = view.input else {
        return Step::NotThisProtocol;
    };
    let (length, version) =
        (u16::from_be_bytes([high & 0x7f, *low]), u16::from_be_bytes([*major, *minor]));
    if high & 0x80 == 0 || !(version == 2 || *major == 3) || length < 9 {
        return Step::NotThisProtocol;
    }
    let bytes = usize::from(length).saturating_add(2);
    if view.input.len() < bytes && !(view.open || view.ended) {
        return Step::More(Need::Bytes(bytes));
    }
    let fields = [
        (RECORD_LENGTH, Span::new(0, 2), length),
        (TYPE, Span::new(2, 3), 1),
        (VERSION, Span::new(3, 5), version),
    ];
    let lengths = match view.input.get(5..9) {
        Some([a, b, c, d]) => [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])].into(),
        _ => None,
    };
    let more = lengths.map(|[specs, id]: [u16; 2]| {
        [(CIPHER_SPEC_LEN, Span::new(5, 7), specs), (SESSION_ID_LENGTH, Span::new(7, 9), id)]
    });
    for (id, value, number) in fields.into_iter().chain(more.into_iter().flatten()) {
        if wanted.has(id) {
            let flags = Flags::NUMBER.with(Flags::MAC_COVERED);
            let number = u64::from(number);
            out.push(Field {
                slot: id.0,
                value,
                element: value,
                number,
                flags,
                ..Field::default()
            });
        }
    }
    // A hello that offers SSLv3 or later is answered in kind, and TLS records follow.
    *side = TlsHalf { started: true, encrypted: version == 2, ..*side };
    opened(side, bytes, bytes.min(view.input.len()))
}

#[cfg(test)]
mod tests;
