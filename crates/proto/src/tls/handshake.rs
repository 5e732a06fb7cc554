//! Handshake messages across records.
//!
//! Holds:     a reader that sees the payloads of consecutive handshake records as one run of bytes,
//!            and the two hellos.
//! Promises:  a hello yields the same fields however its sender spread it over records.
//! Never:     copies, except a value that a record header cuts through.

use super::table::{
    ALPN, COMP_METHOD, COMP_METHODS_LENGTH, EXTENSION_LEN, EXTENSION_TYPE, EXTENSIONS_LENGTH,
    LENGTH, RANDOM, SERVER_NAME, SESSION_ID, SESSION_ID_LENGTH, SUITE, SUITES_LENGTH,
    SUPPORTED_GROUP, SUPPORTED_VERSION, TYPE, VERSION,
};
use super::{HANDSHAKE, HEADER_BYTES, RecordHeader};
use crate::decoder::Need;
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::FieldId;
use crate::wanted::Wanted;

const CLIENT_HELLO: u64 = 1;
const SERVER_HELLO: u64 = 2;

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandshakeStop {
    /// The next record is not here yet.
    More(Need),
    /// There is none: another type follows, or no more bytes may be waited for.
    NoRecord,
    /// A length inside the message reaches past what encloses it.
    Malformed,
}

/// The handshake messages of the records at the front of `input`, whose first one is there (or all
/// of it that will be). `carry` is what an earlier message still has to come.
///
/// Returns the bytes of all records used, and what the last message lacks.
pub(super) fn messages(
    wanted: &Wanted,
    input: &[u8],
    carry: u32,
    may_wait: bool,
    out: &mut Fields,
) -> Result<(usize, u32), Need> {
    let mut reader = HandshakeReader { input, at: 0, left: 0, position: 0, may_wait, group: 0 };
    if reader.enter().is_err() {
        return Ok((0, carry));
    }
    let lacking = reader.skip_here(usize::try_from(carry).unwrap_or(usize::MAX));
    let mut lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
    while reader.left > 0 {
        match message(wanted, &mut reader, out) {
            Ok(short) => lacking = short,
            Err(HandshakeStop::More(need)) => return Err(need),
            Err(HandshakeStop::NoRecord | HandshakeStop::Malformed) => break,
        }
    }
    Ok((reader.at.saturating_add(reader.left).min(input.len()), lacking))
}

/// One message. Returns how many of its bytes are to come in later records that nobody has to wait
/// for.
fn message(
    wanted: &Wanted,
    reader: &mut HandshakeReader<'_>,
    out: &mut Fields,
) -> Result<u32, HandshakeStop> {
    let open = usize::MAX;
    let (type_at, kind) = reader.uint(1, open)?;
    let (length_at, length) = reader.uint(3, open)?;
    push(wanted, out, TYPE, type_at, kind, 0);
    push(wanted, out, LENGTH, length_at, length, 0);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = reader.position.saturating_add(length);
    if matches!(kind, CLIENT_HELLO | SERVER_HELLO) {
        match hello(wanted, reader, end, kind == CLIENT_HELLO, out) {
            Ok(()) | Err(HandshakeStop::Malformed) => {}
            Err(HandshakeStop::NoRecord) => {
                let lacking = end.saturating_sub(reader.position);
                return Ok(u32::try_from(lacking).unwrap_or(u32::MAX));
            }
            Err(more @ HandshakeStop::More(_)) => return Err(more),
        }
        // What follows the part that was understood belongs to the hello, and is waited for.
        while reader.position < end {
            if reader.left == 0 {
                reader.enter()?;
            }
            reader.skip_here(end.saturating_sub(reader.position));
        }
        return Ok(0);
    }
    let lacking = reader.skip_here(length);
    Ok(u32::try_from(lacking).unwrap_or(u32::MAX))
}

//= https://www.rfc-editor.org/rfc/rfc5246#section-7.4.1.2
/// `ClientHello` or `ServerHello`, up to `end`.
fn hello(
    wanted: &Wanted,
    reader: &mut HandshakeReader<'_>,
    end: usize,
    of_client: bool,
    out: &mut Fields,
) -> Result<(), HandshakeStop> {
    let (at, version) = reader.uint(2, end)?;
    push(wanted, out, VERSION, at, version, 0);
    reader.bytes(wanted, out, RANDOM, 32, end, 0)?;
    let (at, length) = reader.uint(1, end)?;
    push(wanted, out, SESSION_ID_LENGTH, at, length, 0);
    if length > 0 {
        reader.bytes(wanted, out, SESSION_ID, length, end, 0)?;
    }
    if of_client {
        let (at, length) = reader.uint(2, end)?;
        push(wanted, out, SUITES_LENGTH, at, length, 0);
        reader.list(wanted, out, SUITE, 2, length, end, 0)?;
        let (at, length) = reader.uint(1, end)?;
        push(wanted, out, COMP_METHODS_LENGTH, at, length, 0);
        reader.list(wanted, out, COMP_METHOD, 1, length, end, 0)?;
    } else {
        reader.list(wanted, out, SUITE, 2, 2, end, 0)?;
        reader.list(wanted, out, COMP_METHOD, 1, 1, end, 0)?;
    }
    if reader.position >= end {
        return Ok(());
    }
    let (at, length) = reader.uint(2, end)?;
    push(wanted, out, EXTENSIONS_LENGTH, at, length, 0);
    let extensions_end = reader.within(length, end)?;
    while reader.position < extensions_end {
        extension(wanted, reader, extensions_end, of_client, out)?;
    }
    Ok(())
}

/// One extension: an element, with its fields in its own group.
fn extension(
    wanted: &Wanted,
    reader: &mut HandshakeReader<'_>,
    extensions_end: usize,
    of_client: bool,
    out: &mut Fields,
) -> Result<(), HandshakeStop> {
    reader.group = reader.group.saturating_add(1);
    let group = reader.group;
    let (type_at, kind) = reader.uint(2, extensions_end)?;
    let first = out.items().len();
    push(wanted, out, EXTENSION_TYPE, type_at, kind, group);
    let (len_at, length) = reader.uint(2, extensions_end)?;
    push(wanted, out, EXTENSION_LEN, len_at, length, group);
    let end = reader.within(length, extensions_end)?;
    match inside(wanted, reader, kind, end, of_client, out) {
        // A malformed inside spoils this extension only.
        Ok(()) | Err(HandshakeStop::Malformed) => {}
        Err(out) => return Err(out),
    }
    while reader.position < end {
        reader.byte(end)?;
    }
    let element_end = u32::try_from(reader.at).unwrap_or(u32::MAX);
    let element = Span { start: type_at.start, end: element_end };
    let pushed = out.items_mut().get_mut(first..).unwrap_or_default();
    if let Some(field) = pushed.iter_mut().find(|field| field.slot == EXTENSION_TYPE.0) {
        field.element = element;
    }
    Ok(())
}

/// The extensions whose contents have fields.
fn inside(
    wanted: &Wanted,
    reader: &mut HandshakeReader<'_>,
    kind: u64,
    end: usize,
    of_client: bool,
    out: &mut Fields,
) -> Result<(), HandshakeStop> {
    let group = reader.group;
    match kind {
        //= https://www.rfc-editor.org/rfc/rfc6066#section-3
        0 if of_client => {
            let (_, length) = reader.uint(2, end)?;
            let end = reader.within(length, end)?;
            while reader.position < end {
                reader.uint(1, end)?;
                let (_, length) = reader.uint(2, end)?;
                reader.bytes(wanted, out, SERVER_NAME, length, end, group)?;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc8446#section-4.2.7
        10 => {
            let (_, length) = reader.uint(2, end)?;
            reader.list(wanted, out, SUPPORTED_GROUP, 2, length, end, group)?;
        }
        //= https://www.rfc-editor.org/rfc/rfc7301#section-3.1
        16 => {
            let (_, length) = reader.uint(2, end)?;
            let end = reader.within(length, end)?;
            while reader.position < end {
                let (_, length) = reader.uint(1, end)?;
                reader.bytes(wanted, out, ALPN, length, end, group)?;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc8446#section-4.2.1
        43 => {
            let length = if of_client { reader.uint(1, end)?.1 } else { 2 };
            reader.list(wanted, out, SUPPORTED_VERSION, 2, length, end, group)?;
        }
        _ => {}
    }
    Ok(())
}

fn push(wanted: &Wanted, out: &mut Fields, id: FieldId, at: Span, number: u64, group: u16) {
    if wanted.has(id) {
        out.push(Field {
            slot: id.0,
            group,
            flags: Flags::NUMBER.with(Flags::MAC_COVERED),
            value: at,
            element: at,
            number,
            ..Field::default()
        });
    }
}

/// The payloads of consecutive handshake records as one run of bytes.
struct HandshakeReader<'a> {
    input: &'a [u8],
    /// The next byte in `input`.
    at: usize,
    /// Bytes of the present record from there on.
    left: usize,
    /// Bytes read of the run.
    position: usize,
    /// Records that are not here yet may be waited for.
    may_wait: bool,
    /// Number of the last element.
    group: u16,
}

impl HandshakeReader<'_> {
    /// Goes on into the next record that has a payload.
    fn enter(&mut self) -> Result<(), HandshakeStop> {
        while self.left == 0 {
            let header = self.input.get(self.at..).and_then(RecordHeader::parse);
            let start = self.at.saturating_add(HEADER_BYTES);
            let Some(header) = header else { return Err(self.lacks(start)) };
            if header.content_type != HANDSHAKE || !header.is_tls() {
                return Err(HandshakeStop::NoRecord);
            }
            let end = start.saturating_add(usize::from(header.length));
            // Only the first record may be read in part.
            if end > self.input.len() && (self.may_wait || self.at > 0) {
                return Err(self.lacks(end));
            }
            self.at = start;
            self.left = end.min(self.input.len()).saturating_sub(start);
        }
        Ok(())
    }

    fn lacks(&self, bytes: usize) -> HandshakeStop {
        if self.may_wait {
            HandshakeStop::More(Need::Bytes(bytes))
        } else {
            HandshakeStop::NoRecord
        }
    }

    fn byte(&mut self, end: usize) -> Result<u8, HandshakeStop> {
        if self.position >= end {
            return Err(HandshakeStop::Malformed);
        }
        if self.left == 0 {
            self.enter()?;
        }
        let byte = *self.input.get(self.at).ok_or(HandshakeStop::NoRecord)?;
        self.at = self.at.saturating_add(1);
        self.left = self.left.saturating_sub(1);
        self.position = self.position.saturating_add(1);
        Ok(byte)
    }

    /// A big-endian number of `bytes` bytes, and where it stands.
    fn uint(&mut self, bytes: usize, end: usize) -> Result<(Span, u64), HandshakeStop> {
        let mut number = u64::from(self.byte(end)?);
        let start = self.at.saturating_sub(1);
        for _ in 1..bytes {
            number = number.wrapping_shl(8) | u64::from(self.byte(end)?);
        }
        Ok((Span::new(start, self.at), number))
    }

    /// Where something of `length` bytes ends that has to end by `end`.
    fn within(&self, length: u64, end: usize) -> Result<usize, HandshakeStop> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let inner = self.position.saturating_add(length);
        if inner > end { Err(HandshakeStop::Malformed) } else { Ok(inner) }
    }

    /// A run of bytes, as a field; joined in the text arena where a record header cuts through it.
    fn bytes(
        &mut self,
        wanted: &Wanted,
        out: &mut Fields,
        id: FieldId,
        length: u64,
        end: usize,
        group: u16,
    ) -> Result<(), HandshakeStop> {
        let end = self.within(length, end)?;
        if self.left == 0 && self.position < end {
            self.enter()?;
        }
        let start = self.at;
        let whole = end.saturating_sub(self.position) <= self.left;
        let mut text: Option<Span> = None;
        while self.position < end {
            let byte = self.byte(end)?;
            if !whole && wanted.has(id) {
                let added = out.add_text(&[byte]).unwrap_or_default();
                text = Some(Span { end: added.end, ..text.unwrap_or(added) });
            }
        }
        if wanted.has(id) {
            let value = Span::new(start, self.at);
            let decoded = if whole { Flags::NONE } else { Flags::DECODED };
            out.push(Field {
                slot: id.0,
                group,
                flags: Flags::MAC_COVERED.with(decoded),
                value,
                element: value,
                text: text.unwrap_or_default(),
                number: 0,
            });
        }
        Ok(())
    }

    /// Numbers of `size` bytes each, `length` bytes in all.
    #[allow(clippy::too_many_arguments, reason = "the cursor's place and the field's, together")]
    fn list(
        &mut self,
        wanted: &Wanted,
        out: &mut Fields,
        id: FieldId,
        size: usize,
        length: u64,
        end: usize,
        group: u16,
    ) -> Result<(), HandshakeStop> {
        let end = self.within(length, end)?;
        while self.position < end {
            let (at, number) = self.uint(size, end)?;
            push(wanted, out, id, at, number, group);
        }
        Ok(())
    }

    /// Steps over bytes of the present record; returns how many of them lie beyond it.
    fn skip_here(&mut self, bytes: usize) -> usize {
        let step = bytes.min(self.left);
        self.at = self.at.saturating_add(step);
        self.left = self.left.saturating_sub(step);
        self.position = self.position.saturating_add(step);
        bytes.saturating_sub(step)
    }
}
