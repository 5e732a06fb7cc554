//! Canonical forms of paths, white space and line ends.

use plan::decode::hex;

use super::output::{Rewrite, append};

/// Removes dot segments (RFC 3986 section 5.2.4) from the path in `value`, up to its `?` or `#`. A
/// dot may be written `%2e`, a slash `/`, `\`, `%2f` or `%5c`: servers differ in which of these
/// they take for one, so the path must stay inside its root under every reading. Everything that is
/// kept is kept as it was written.
pub(super) fn path(value: &[u8], out: &mut Vec<u8>) -> Rewrite {
    let end = value.iter().position(|&byte| byte == b'?' || byte == b'#').unwrap_or(value.len());
    let (path, rest) = value.split_at(end);
    let root = root(path);
    if !has_dot_segment(path.get(root..).unwrap_or_default()) {
        return Rewrite::Unchanged;
    }
    if value.len() > out.capacity() {
        return Rewrite::NoRoom;
    }
    out.extend_from_slice(path.get(..root).unwrap_or_default());
    let mut from = root;
    loop {
        let tail = path.get(from..).unwrap_or_default();
        let (segment, separator) = next_segment(tail);
        match dots(segment) {
            0 => {
                out.extend_from_slice(segment);
                out.extend_from_slice(separator);
            }
            1 => {}
            _ => pop(out, root),
        }
        if separator.is_empty() {
            break;
        }
        from = from.saturating_add(segment.len()).saturating_add(separator.len());
    }
    out.extend_from_slice(rest);
    Rewrite::Changed
}

/// Where the path's first segment begins: after the leading separators, and after
/// `scheme://authority` where there is one.
fn root(path: &[u8]) -> usize {
    let mut at = 0_usize;
    if let Some(colon) = path.windows(3).position(|window| window == b"://")
        && path.iter().take(colon).all(u8::is_ascii_alphanumeric)
    {
        at = colon.saturating_add(3);
        at = at.saturating_add(next_segment(path.get(at..).unwrap_or_default()).0.len());
    }
    at.saturating_add(separator(path.get(at..).unwrap_or_default()))
}

/// Length of the separator at the front of `bytes`; 0 for none.
fn separator(bytes: &[u8]) -> usize {
    match bytes {
        [b'/' | b'\\', ..] => 1,
        [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(2), Some(15)) | (Some(5), Some(12)) => 3,
            _ => 0,
        },
        _ => 0,
    }
}

/// The bytes up to the next separator, and the separator (empty at the end).
fn next_segment(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0_usize;
    while let Some(tail) = bytes.get(at..).filter(|tail| !tail.is_empty()) {
        let len = separator(tail);
        if len > 0 {
            let segment = bytes.get(..at).unwrap_or_default();
            return (segment, tail.get(..len).unwrap_or_default());
        }
        at = at.saturating_add(1);
    }
    (bytes, &[])
}

/// 1 for `.`, 2 for `..`, 0 for anything else.
fn dots(segment: &[u8]) -> u8 {
    let mut rest = segment;
    let mut count = 0_u8;
    while !rest.is_empty() && count < 3 {
        rest = match rest {
            [b'.', rest @ ..] => rest,
            [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return 0,
        };
        count = count.saturating_add(1);
    }
    if count <= 2 && rest.is_empty() { count } else { 0 }
}

fn has_dot_segment(path: &[u8]) -> bool {
    let mut from = 0_usize;
    loop {
        let (segment, separator) = next_segment(path.get(from..).unwrap_or_default());
        if dots(segment) > 0 {
            return true;
        }
        if separator.is_empty() {
            return false;
        }
        from = from.saturating_add(segment.len()).saturating_add(separator.len());
    }
}

/// Takes the last segment off `out`, which ends with a separator or at `root`; never goes below
/// `root`. The cost is that of the bytes taken off.
fn pop(out: &mut Vec<u8>, root: usize) {
    let end = out.len().saturating_sub(separator_before(out)).max(root);
    out.truncate(end);
    while out.len() > root && separator_before(out) == 0 {
        out.pop();
    }
}

/// Length of the separator at the end of `bytes`; 0 for none. No separator overlaps another, so it
/// is the same one that is found from the front.
fn separator_before(bytes: &[u8]) -> usize {
    let last_three = bytes.len().saturating_sub(3);
    let one = bytes.get(bytes.len().saturating_sub(1)..).unwrap_or_default();
    match separator(one) {
        0 if separator(bytes.get(last_three..).unwrap_or_default()) == 3 => 3,
        len => len,
    }
}

/// Runs of SP and HTAB become one SP; none stay at the ends.
pub(super) fn white_space(value: &[u8], out: &mut Vec<u8>) -> Rewrite {
    if value.len() > out.capacity() {
        return Rewrite::NoRoom;
    }
    for word in value.split(|&byte| byte == b' ' || byte == b'\t').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    if *out == value { Rewrite::Unchanged } else { Rewrite::Changed }
}

/// A CR without LF, or an LF without CR, becomes CRLF.
pub(super) fn line_ends(value: &[u8], out: &mut Vec<u8>) -> Rewrite {
    let mut changed = false;
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') {
        let (line, tail) = rest.split_at(at);
        let taken = if tail.starts_with(b"\r\n") { 2 } else { 1 };
        changed |= taken == 1;
        if !append(line, out) || !append(b"\r\n", out) {
            return Rewrite::NoRoom;
        }
        rest = tail.get(taken..).unwrap_or_default();
    }
    if !append(rest, out) {
        return Rewrite::NoRoom;
    }
    if changed { Rewrite::Changed } else { Rewrite::Unchanged }
}
