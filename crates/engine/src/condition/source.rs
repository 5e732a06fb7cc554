//! The bytes that a test looks at: a field's value after the steps of its source.

use core::ops::Range;

use plan::ByteStep;
use plan::decode::url_decode;

/// `value` after `steps`. Steps that only narrow cost nothing; others work in `buffer`. `None`
/// where it has no room.
pub(crate) fn stepped<'a>(
    steps: &[ByteStep],
    value: &'a [u8],
    buffer: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    if steps.is_empty() {
        return Some(value);
    }
    // Most values hold nothing that a rewriting step would change.
    let rewrites = steps.iter().any(|step| match step {
        ByteStep::Lower => value.iter().any(u8::is_ascii_uppercase),
        ByteStep::UrlDecode => value.contains(&b'%'),
        ByteStep::Slice { .. } | ByteStep::Trim => false,
    });
    if !rewrites {
        let mut range = 0..value.len();
        for &step in steps {
            let inside = narrow(step, value.get(range.clone())?);
            range = shifted(&range, &inside);
        }
        return value.get(range);
    }
    if value.len() > buffer.capacity() {
        return None;
    }
    buffer.clear();
    buffer.extend_from_slice(value);
    let mut range = 0..value.len();
    for &step in steps {
        let bytes = buffer.get_mut(range.clone())?;
        let inside = match step {
            ByteStep::Lower => {
                bytes.make_ascii_lowercase();
                0..bytes.len()
            }
            ByteStep::UrlDecode => 0..url_decode(bytes),
            ByteStep::Slice { .. } | ByteStep::Trim => narrow(step, bytes),
        };
        range = shifted(&range, &inside);
    }
    buffer.get(range)
}

fn shifted(range: &Range<usize>, inside: &Range<usize>) -> Range<usize> {
    range.start.saturating_add(inside.start)..range.start.saturating_add(inside.end)
}

/// The part of `bytes` a narrowing step leaves.
fn narrow(step: ByteStep, bytes: &[u8]) -> Range<usize> {
    let len = bytes.len();
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    match step {
        ByteStep::Slice { start, end } => {
            let place = |offset: i32| {
                let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
                if offset < 0 { len.saturating_sub(distance) } else { distance.min(len) }
            };
            let start = place(start);
            start..end.map_or(len, place).max(start)
        }
        ByteStep::Trim => {
            let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(len);
            let end =
                bytes.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at.saturating_add(1));
            start..end.max(start)
        }
        // Where it is narrowed only, these change nothing.
        ByteStep::Lower | ByteStep::UrlDecode => 0..len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(steps: &[ByteStep], value: &str, want: &str) {
        let mut buffer = Vec::with_capacity(100);
        let got = stepped(steps, value.as_bytes(), &mut buffer).unwrap();
        assert_eq!(core::str::from_utf8(got).unwrap(), want);
    }

    #[test]
    fn steps_run_in_order() {
        let slice = |start, end| ByteStep::Slice { start, end };
        check(&[], "AbC", "AbC");
        check(&[ByteStep::Lower], "AbC", "abc");
        check(&[slice(1, Some(3))], "abcdef", "bc");
        check(&[slice(-2, None)], "abcdef", "ef");
        check(&[slice(0, Some(-2))], "abcdef", "abcd");
        check(&[slice(9, Some(12))], "abc", "");
        check(&[ByteStep::Trim], " \t a b\t", "a b");
        check(&[ByteStep::Trim], " \t", "");
        check(&[ByteStep::UrlDecode], "%2e%2E/%zz%4", "../%zz%4");
        check(&[ByteStep::UrlDecode, ByteStep::UrlDecode], "%252e", ".");
        check(
            &[ByteStep::UrlDecode, ByteStep::Trim, ByteStep::Lower, slice(0, Some(2))],
            "%20ABC ",
            "ab",
        );
    }

    #[test]
    fn a_value_too_long_for_the_buffer_has_no_answer() {
        let mut buffer = Vec::with_capacity(4);
        assert!(stepped(&[ByteStep::Lower], &[b'A'; 100], &mut buffer).is_none());
        let lower = [b'a'; 100];
        let unchanged = stepped(&[ByteStep::Lower, ByteStep::UrlDecode], &lower, &mut buffer);
        assert_eq!(unchanged, Some(&lower[..]), "there is nothing to rewrite");
    }
}
