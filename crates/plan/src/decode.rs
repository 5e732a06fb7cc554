//! Percent-decoding (RFC 3986 section 2.1), as conditions and the index read values.
//!
//! Holds:     nothing.
//! Promises:  a value without `%` stays as it is; no value gets longer.
//! Never:     rejects a value: an invalid triplet stays as it is.

/// Percent-decodes in place. Answers the new length.
pub fn url_decode(bytes: &mut [u8]) -> usize {
    let Some(first) = bytes.iter().position(|&byte| byte == b'%') else { return bytes.len() };
    let mut from = first;
    let mut to = first;
    while let Some(&byte) = bytes.get(from) {
        let mut value = byte;
        let mut taken = 1;
        if byte == b'%'
            && let Some(&[high, low]) = bytes.get(from.saturating_add(1)..from.saturating_add(3))
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            value = (high << 4) | low;
            taken = 3;
        }
        if let Some(cell) = bytes.get_mut(to) {
            *cell = value;
        }
        to = to.saturating_add(1);
        from = from.saturating_add(taken);
    }
    to
}

/// The value of a hexadecimal digit.
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a').and_then(|value| value.checked_add(10)),
        b'A'..=b'F' => digit.checked_sub(b'A').and_then(|value| value.checked_add(10)),
        _ => None,
    }
}
