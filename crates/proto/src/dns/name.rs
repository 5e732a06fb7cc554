//! Domain names (RFC 1035 sections 3.1 and 4.1.4): stepping over them, reading them, writing them.
//!
//! Promises:  a name costs at most 255 bytes and 128 jumps, whatever its pointers do, so a message
//!            of names costs a bounded amount for each, never the square of its length.

use stage::position::index;
use wide::u8x16;

use crate::fields::{Fields, Span};

//= https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
/// Bytes of a name in wire form, its root label included.
pub(super) const NAME_BYTES_MAX: u32 = 255;
const NAME_BYTES_MAX_USIZE: usize = 255;

/// Pointers followed in one name: a name has at most 127 labels, and one pointer a label is the
/// most that says anything.
const JUMPS_MAX: u32 = 128;

/// Wireshark's text for the root.
pub(super) const ROOT: &[u8] = b"<Root>";

/// The byte at `at`.
pub(super) fn byte(message: &[u8], at: u32) -> Option<u8> {
    message.get(index(at)).copied()
}

/// What a byte that begins a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The name ends.
    Root,
    /// This many bytes follow.
    Bytes(u32),
    /// High bits of an offset; the low eight follow.
    Pointer(u32),
    /// 0b01 and 0b10 are not in use (RFC 6891 section 5).
    Unknown,
}

impl Label {
    /// Reads one.
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Root,
            1..=63 => Self::Bytes(u32::from(byte)),
            64..=191 => Self::Unknown,
            192..=255 => Self::Pointer(u32::from(byte & 0x3f) << 8),
        }
    }
}

/// Steps over a name without following pointers: where it ends.
#[inline]
pub(super) fn skip(message: &[u8], start: u32) -> Option<u32> {
    let rest = message.get(index(start)..)?;
    let mut at = 0_usize;
    let len = loop {
        let first = *rest.get(at)?;
        if first.wrapping_sub(1) >= 63 {
            break match first {
                0 => at.wrapping_add(1),
                192..=255 if rest.len() > at.wrapping_add(1) => at.wrapping_add(2),
                _ => return None,
            };
        }
        at = at.wrapping_add(usize::from(first)).wrapping_add(1);
        if at >= NAME_BYTES_MAX_USIZE {
            return None;
        }
    };
    start.checked_add(u32::try_from(len).ok()?)
}

/// What reading a name found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameReading {
    /// Where the name ends in place; `None` where that cannot be told.
    pub(super) end: Option<u32>,
    /// Bytes in wire form without compression.
    pub(super) wire_len: u32,
    /// Labels, the root not counted.
    pub(super) labels: u32,
    /// It ends in a root label within all bounds.
    pub(super) valid: bool,
    /// Some pointer does not point strictly before the start of the run of labels it ends.
    pub(super) forward: bool,
    /// The pointers do not come to an end.
    pub(super) looped: bool,
    /// Labels, then a pointer straight to a root label.
    pub(super) to_root: bool,
}

/// Reads a name and calls `label` with every label of it.
pub(super) fn read(message: &[u8], start: u32, mut label: impl FnMut(&[u8])) -> NameReading {
    let mut found = NameReading::default();
    let mut at = start;
    // Where the labels now being read begin: RFC 1035 section 4.1.4 has a pointer name a "prior
    // occurrence".
    let mut run_start = start;
    let mut jumps = 0_u32;
    while let Some(first) = byte(message, at) {
        match Label::of(first) {
            Label::Root => {
                found.to_root = jumps > 0 && at == run_start && found.labels > 0;
                found.wire_len = found.wire_len.saturating_add(1);
                found.end = found.end.or(at.checked_add(1));
                found.valid = true;
                break;
            }
            Label::Bytes(len) => {
                let begin = at.saturating_add(1);
                let end = begin.saturating_add(len);
                let bytes = Span { start: begin, end }.of(message);
                let wire_len = found.wire_len.saturating_add(len).saturating_add(1);
                if bytes.is_empty() || wire_len >= NAME_BYTES_MAX {
                    found.looped = found.forward && !bytes.is_empty();
                    break;
                }
                label(bytes);
                found.wire_len = wire_len;
                found.labels = found.labels.saturating_add(1);
                at = end;
            }
            Label::Pointer(high) => {
                let Some(low) = byte(message, at.saturating_add(1)) else { break };
                found.end = found.end.or(at.checked_add(2));
                let target = high | u32::from(low);
                found.forward |= target >= run_start;
                jumps = jumps.saturating_add(1);
                if jumps > JUMPS_MAX {
                    found.looped = true;
                    break;
                }
                run_start = target;
                at = target;
            }
            Label::Unknown => break,
        }
    }
    found
}

/// Reads a name into `out` in its text form; `None`: no room.
///
/// The form is Wireshark's: labels joined by dots, the root as `<Root>`, bytes that do not print as
/// C escapes or three octal digits, bytes over 127 as they are. A backslash is doubled, so that
/// [`encode`] can tell it from an escape.
pub(super) fn read_text(
    message: &[u8],
    start: u32,
    out: &mut Fields,
) -> Option<(NameReading, Span)> {
    if let Some(rest) = message.get(index(start)..)
        && let Some(PlainName { labels, bytes: len, .. }) = plain(rest)
        && let Some(text) = plain_text(rest, len, out).and_then(|text_len| out.keep_text(text_len))
    {
        let wire_len = u32::try_from(len).unwrap_or(u32::MAX);
        let end = start.checked_add(wire_len);
        return Some((
            NameReading { end, wire_len, labels, valid: true, ..NameReading::default() },
            text,
        ));
    }
    let text_start = out.text().len();
    let mut room = true;
    let mut dot: &[u8] = b"";
    let reading = read(message, start, |label| {
        room &= out.add_text(dot).is_some();
        dot = b".";
        for &byte in label {
            let (escaped, len) = escape(byte);
            room &= out.add_text(escaped.get(..len).unwrap_or_default()).is_some();
        }
    });
    if reading.labels == 0 {
        room &= out.add_text(ROOT).is_some();
    }
    room.then(|| (reading, Span::new(text_start, out.text().len())))
}

/// The common name: without a pointer, and not the root alone, which is text of another kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainName {
    /// Labels, the root not counted.
    pub(super) labels: u32,
    /// Its length in wire form.
    pub(super) bytes: usize,
}

/// The common name at the front of `rest`.
#[inline]
pub(super) fn plain(rest: &[u8]) -> Option<PlainName> {
    let rest = rest.get(..NAME_BYTES_MAX_USIZE).unwrap_or(rest);
    let mut name = PlainName { labels: 0, bytes: 0 };
    loop {
        let len = *rest.get(name.bytes)?;
        name.bytes = name.bytes.wrapping_add(usize::from(len)).wrapping_add(1);
        if len.wrapping_sub(1) >= 63 {
            return (len == 0 && name.labels > 0).then_some(name);
        }
        name.labels = name.labels.wrapping_add(1);
    }
}

/// How many bytes of the labels of a name are not text as they stand there: they need an escape, or
/// are dots. The name is one that [`plain`] has found behind the header of `message`, and has
/// `bytes` bytes.
#[expect(clippy::arithmetic_side_effects, reason = "lanes of a vector wrap around")]
#[inline(never)]
pub(super) fn odd_bytes(message: &[u8], bytes: usize) -> u32 {
    let end = bytes.wrapping_add(11);
    let name = message.get(12..end).unwrap_or_default();
    let (blocks, rest) = name.as_chunks::<16>();
    let mut found = 0_u32;
    // In every lane how many of its bytes are odd: at most sixteen, as a name has 255 bytes.
    let mut counts = u8x16::new([0; 16]);
    // The last block begins before what is left, perhaps in the header.
    if let Some(last) = message.get(..end).and_then(<[u8]>::last_chunk::<16>) {
        let from = u8::try_from(16_usize.wrapping_sub(rest.len())).unwrap_or(16);
        counts -= odd(last) & LANES.simd_ge(u8x16::new([from; 16]));
    } else {
        let odd = |byte: &u8| is_special(*byte) != 0 || *byte == b'.';
        found = rest.iter().map(|byte| u32::from(odd(byte))).sum();
    }
    for block in blocks {
        counts -= odd(block);
    }
    found = found.wrapping_add(sum(counts));
    // Some length bytes look so as well.
    let mut at = 0_usize;
    while let Some(&len) = name.get(at) {
        found = found.wrapping_sub(u32::from(len < 0x20 || len == b'.'));
        at = at.wrapping_add(usize::from(len)).wrapping_add(1);
    }
    found
}

/// The numbers of the lanes.
const LANES: u8x16 = u8x16::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/// 255 in the lane of every byte of a block that is special or a dot, 0 in the others.
#[inline(always)]
fn odd(block: &[u8; 16]) -> u8x16 {
    const CONTROLS: u8x16 = u8x16::new([0x1f; 16]);
    const DELETE: u8x16 = u8x16::new([0x7f; 16]);
    const BACKSLASH: u8x16 = u8x16::new([b'\\'; 16]);
    const DOT: u8x16 = u8x16::new([b'.'; 16]);
    let bytes = u8x16::new(*block);
    let special = bytes.min(CONTROLS).simd_eq(bytes) | bytes.simd_eq(DELETE);
    special | bytes.simd_eq(BACKSLASH) | bytes.simd_eq(DOT)
}

/// All lanes together, which are at most 255.
#[inline(always)]
fn sum(counts: u8x16) -> u32 {
    let halves = counts.to_array();
    let half =
        |at: usize| halves.as_chunks::<8>().0.get(at).map_or(0, |half| u64::from_le_bytes(*half));
    // The highest byte of the product is the sum of all.
    let all = half(0).wrapping_add(half(1)).wrapping_mul(0x0101_0101_0101_0101);
    u32::try_from(all.wrapping_shr(56)).unwrap_or(0)
}

/// Writes the text of a name of `wire_len` bytes that [`plain`] has found at the front of `rest` to
/// the room in `out`; its length, to be kept or not. `None`: some byte needs an escape, or there is
/// no room.
#[inline(always)]
pub(super) fn plain_text(rest: &[u8], wire_len: usize, out: &mut Fields) -> Option<usize> {
    let first_len = usize::from(*rest.first()?);
    // Behind the first length byte, before the root label.
    let labels = rest.get(1..wire_len.wrapping_sub(1))?;
    let text = out.text_room().get_mut(..labels.len())?;
    copy(labels, text);
    // The length bytes between labels become dots.
    let mut dot = first_len;
    while let Some(byte) = text.get_mut(dot) {
        dot = dot.wrapping_add(usize::from(*byte)).wrapping_add(1);
        *byte = b'.';
    }
    (!needs_escape(text)).then_some(labels.len())
}

/// Copies bytes, `to` being as long as `from`. Names are too short for a call of `memcpy` to pay:
/// two pieces, which may overlap, do for nearly all.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    fn two<const N: usize>(from: &[u8], to: &mut [u8]) -> Option<()> {
        let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
        *to.first_chunk_mut::<N>()? = first;
        *to.last_chunk_mut::<N>()? = last;
        Some(())
    }
    let done = match from.len() {
        8..=16 => two::<8>(from, to),
        17..=32 => two::<16>(from, to),
        _ => None,
    };
    if done.is_none() {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Some byte is a control character or a backslash. Two pieces, which may overlap, as in [`copy`].
#[inline(always)]
fn needs_escape(text: &[u8]) -> bool {
    match (text.first_chunk::<8>(), text.last_chunk::<8>(), text.last_chunk::<16>()) {
        (Some(first), Some(last), None) => special(first) | special(last),
        (_, _, Some(last)) => {
            let (blocks, _) = text.as_chunks::<16>();
            special(last) || blocks.iter().any(special)
        }
        _ => text.iter().any(|byte| is_special(*byte) != 0),
    }
}

/// 1 for a control character or a backslash.
#[inline(always)]
fn is_special(byte: u8) -> u8 {
    u8::from(byte < 0x20) | u8::from(byte == 0x7f) | u8::from(byte == b'\\')
}

/// Some byte of a block is special. Written so that it becomes a few vector instructions.
#[inline(always)]
fn special<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(0, |found, byte| found | is_special(*byte)) != 0
}

/// The letters of C escapes and what they stand for.
const LETTERS: [(u8, u8); 8] = [
    (b'a', 7),
    (b'b', 8),
    (b't', 9),
    (b'n', 10),
    (b'v', 11),
    (b'f', 12),
    (b'r', 13),
    (b'\\', b'\\'),
];

/// A byte of a label as text: so many bytes of the array.
fn escape(byte: u8) -> ([u8; 4], usize) {
    if let Some((letter, _)) = LETTERS.iter().find(|(_, stands_for)| *stands_for == byte) {
        return ([b'\\', *letter, 0, 0], 2);
    }
    if !byte.is_ascii_control() {
        return ([byte, 0, 0, 0], 1);
    }
    let digit = |shift: u32| b'0'.wrapping_add(byte.wrapping_shr(shift) & 7);
    ([b'\\', digit(6), digit(3), digit(0)], 4)
}

/// The byte an escape stands for (`text` begins behind its backslash) and the bytes it takes there.
/// `None`: cut off.
fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    let first = *text.first()?;
    if let Some((_, stands_for)) = LETTERS.iter().find(|(letter, _)| *letter == first) {
        return Some((*stands_for, 1));
    }
    if !(b'0'..=b'7').contains(&first) {
        return Some((b'\\', 0));
    }
    let digits = text.first_chunk::<3>()?;
    let value = digits.iter().fold(0_u16, |value, digit| {
        value.wrapping_mul(8).wrapping_add(u16::from(digit.wrapping_sub(b'0') & 7))
    });
    Some((u8::try_from(value).unwrap_or(u8::MAX), 3))
}

/// Turns text back into labels. Empty labels are left out and an escape that was cut off is
/// dropped, so that every shortened text has a wire form. `false`: a label over 63 bytes, or a name
/// over 255.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let name_start = out.len();
    let mut rest = if text == ROOT { &[][..] } else { text };
    while !rest.is_empty() {
        let length_at = out.len();
        out.push(0);
        loop {
            let plain = rest.iter().position(|byte| matches!(byte, b'.' | b'\\'));
            let (run, behind) = rest.split_at(plain.unwrap_or(rest.len()));
            out.extend_from_slice(run);
            let Some((&special, behind)) = behind.split_first() else {
                rest = &[];
                break;
            };
            rest = behind;
            if special == b'.' {
                break;
            }
            let Some((byte, taken)) = unescape(rest) else {
                rest = &[];
                break;
            };
            out.push(byte);
            rest = rest.get(taken..).unwrap_or_default();
        }
        let len = out.len().saturating_sub(length_at).saturating_sub(1);
        let name_len = out.len().saturating_sub(name_start).saturating_add(1);
        if len > 63 || name_len > NAME_BYTES_MAX_USIZE {
            out.truncate(name_start);
            return false;
        }
        if len == 0 {
            out.truncate(length_at);
        } else if let (Some(at), Ok(len)) = (out.get_mut(length_at), u8::try_from(len)) {
            *at = len;
        }
    }
    out.push(0);
    true
}
