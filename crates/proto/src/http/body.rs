//! Bodies: of a known length, in chunks, or up to the end of the connection.
//!
//! Holds:     the walk over a body and over chunk-size lines.
//! Promises:  a body nobody reads is skipped, but only where every server agrees how long it is.
//! Never:     undoes a content coding, or joins the data of two chunks.

use super::list;
use super::state::{HttpHalf, HttpPhase, HttpState, Marks};
use super::table::{AMBIGUOUS, CHUNK_BOUNDARY, CHUNK_EXTENSION, CHUNK_SIZE, FILE_DATA, MALFORMED};
use crate::limits::HTTP_NAME_BYTES_MAX as NAME_BYTES_MAX;
use crate::{Field, Fields, Flags, Need, Span, Step, View, Wanted};

/// No sender makes chunks that large; servers that keep sizes in 32 bits read a larger one as
/// something else.
const CHUNK_BYTES_MAX: u64 = 0x7fff_ffff;

/// The body of a known length, or the data of one chunk. It is endless to the caller's mind: never
/// held, always in pieces.
pub(super) fn counted(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    let half = state.half_mut(view.from);
    let chunk = half.phase == HttpPhase::ChunkData;
    if !wanted.has(FILE_DATA) {
        let bytes = half.left;
        finish(half, chunk);
        return Step::Skip { bytes, last: !chunk };
    }
    let there = u64::try_from(view.input.len()).unwrap_or(u64::MAX);
    let continues = half.marks.has(Marks::OPENED);
    let bytes = usize::try_from(half.left).unwrap_or(usize::MAX).min(view.input.len());
    let left = half.left.saturating_sub(there);
    let flags = if continues { Flags::CONTINUES } else { Flags::NONE };
    let flags = if left > 0 && !view.ended { flags.with(Flags::OPEN) } else { flags };
    data(Span::new(0, bytes), flags, out);
    if left == 0 {
        finish(half, chunk);
    } else {
        half.left = left;
        half.marks.set(Marks::OPENED);
    }
    Step::Unit { bytes, first: false, last: left == 0 && !chunk }
}

fn finish(half: &mut HttpHalf, chunk: bool) {
    if chunk {
        half.left = 0;
        half.marks.unset(Marks::OPENED);
        half.phase = HttpPhase::ChunkEnd;
    } else {
        half.next_message();
    }
}

/// A body that ends with the connection.
pub(super) fn until_close(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    let half = state.half_mut(view.from);
    if !wanted.has(FILE_DATA) {
        half.phase = HttpPhase::Done;
        return Step::SkipRest;
    }
    let flags = if half.marks.has(Marks::OPENED) { Flags::CONTINUES } else { Flags::NONE };
    let flags = if view.ended { flags } else { flags.with(Flags::OPEN) };
    data(Span::new(0, view.input.len()), flags, out);
    half.marks.set(Marks::OPENED);
    Step::Unit { bytes: view.input.len(), first: false, last: view.ended }
}

/// These bytes are body.
pub(super) fn data(value: Span, flags: Flags, out: &mut Fields) {
    out.push(Field { slot: FILE_DATA.0, flags, value, element: value, ..Field::default() });
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-7.1
//# chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
/// The CRLF after a chunk. It is a unit of its own: the receiver knows the chunk's end by it, and
/// the next chunk may be long in coming.
pub(super) fn chunk_end(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    match view.input {
        [b'\r', b'\n', ..] => {}
        [_] if !view.ended => return Step::More(Need::Bytes(2)),
        // Some servers skip any two bytes here, some look for a line end.
        input => return uncertain(wanted, state, view, input.len().min(2), out),
    }
    if wanted.has(CHUNK_BOUNDARY) {
        out.bytes(CHUNK_BOUNDARY.0, Span::new(0, 2));
    }
    state.half_mut(view.from).phase = HttpPhase::ChunkSize;
    Step::Unit { bytes: 2, first: false, last: false }
}

/// The line with a chunk's size.
pub(super) fn chunk_line(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    let line = view.input;
    let head = line.get(..NAME_BYTES_MAX).unwrap_or(line);
    let Some(end) = memchr::memchr(b'\n', head) else {
        if head.len() < NAME_BYTES_MAX && !view.ended {
            return Step::More(Need::Byte(b'\n'));
        }
        return uncertain(wanted, state, view, head.len(), out);
    };
    let text = line.get(..end).unwrap_or_default();
    let next = end.saturating_add(1);
    let read = text.strip_suffix(b"\r").and_then(|text| {
        let (size, digits) = chunk_size(text)?;
        memchr::memchr(b'\r', text).is_none().then_some((text, size, digits))
    });
    let Some((text, size, digits)) = read else {
        return uncertain(wanted, state, view, next, out);
    };
    if wanted.has(CHUNK_SIZE) {
        out.number(CHUNK_SIZE.0, Span::new(0, digits), size);
    }
    if wanted.has(CHUNK_EXTENSION)
        && let Some(semicolon) = memchr::memchr(b';', text)
    {
        let value = Span::new(semicolon.saturating_add(1), text.len());
        let element = Span { end: value.end, ..Span::new(semicolon, semicolon) };
        out.push(Field { slot: CHUNK_EXTENSION.0, value, element, ..Field::default() });
    }
    let half = state.half_mut(view.from);
    half.left = size;
    half.phase = if size > 0 { HttpPhase::ChunkData } else { HttpPhase::Trailers };
    Step::Unit { bytes: next, first: false, last: false }
}

/// The size, and how many digits it has. `None` where servers differ: a sign, `0x`, white space
/// before it, anything but white space or an extension behind it, a size past every sane one.
fn chunk_size(text: &[u8]) -> Option<(u64, usize)> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let mut size = 0_u64;
    for digit in text.get(..digits)? {
        let value = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            _ => digit.to_ascii_lowercase().wrapping_sub(b'a').wrapping_add(10),
        };
        size = size.wrapping_shl(4) | u64::from(value);
        if size > CHUNK_BYTES_MAX {
            return None;
        }
    }
    let rest = text.get(digits..)?;
    let (white, length) = list::trimmed(rest);
    let good = digits > 0 && (length == 0 || rest.get(white) == Some(&b';'));
    good.then_some((size, digits))
}

/// Servers differ in where this chunk, and so this message, ends.
fn uncertain(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    bytes: usize,
    out: &mut Fields,
) -> Step {
    for field in [AMBIGUOUS, MALFORMED] {
        if wanted.has(field) {
            out.number(field.0, Span::new(0, 0), 1);
        }
    }
    let behind_chunk = state.half(view.from).phase == HttpPhase::ChunkEnd;
    if behind_chunk && wanted.has(CHUNK_BOUNDARY) {
        out.bytes(CHUNK_BOUNDARY.0, Span::new(0, bytes.min(2)));
    }
    let half = state.half_mut(view.from);
    half.distrust();
    // What is left of the line is no message; from the next line on, anything may be.
    if view.input.get(bytes.saturating_sub(1)) != Some(&b'\n') {
        half.phase = HttpPhase::Ignored;
    }
    state.unpaired = true;
    Step::Unit { bytes: bytes.max(1), first: false, last: false }
}

/// Under one reading these bytes are body, whatever they are under the others.
pub(super) fn suspect_data(wanted: &Wanted, marks: &mut Marks, at: Span, out: &mut Fields) {
    if wanted.has(FILE_DATA) {
        let begun = marks.has(Marks::SUSPECT_DATA);
        marks.set(Marks::SUSPECT_DATA);
        let flags = if begun { Flags::OPEN.with(Flags::CONTINUES) } else { Flags::OPEN };
        data(at, flags, out);
    }
}
