//! Numbers in the bytes of a field: read and written as [`Repr`] says.

use proto::{FieldKind, Repr};

use crate::condition::decimal;

/// A number field, as its protocol's table and its decoder describe it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberForm {
    pub(crate) repr: Repr,
    pub(crate) kind: FieldKind,
    /// The value the decoder read; `None` where an earlier edit may have changed it.
    pub(crate) read: Option<u64>,
}

/// The longest number in digits: `u64::MAX` in decimal.
pub(super) const DIGITS_MAX: usize = 20;

/// The number a field holds now.
pub(super) fn current(form: NumberForm, value: &[u8]) -> Option<u64> {
    form.read.or_else(|| read(form.repr, value))
}

/// The number in `bytes`.
pub(crate) fn read(repr: Repr, bytes: &[u8]) -> Option<u64> {
    match repr {
        Repr::None => None,
        Repr::BigEndian { shift, mask } => {
            Some(big_endian(bytes)?.checked_shr(u32::from(shift)).unwrap_or(0) & mask)
        }
        Repr::LittleEndian => (bytes.len() <= 8).then(|| fold(bytes.iter().rev())),
        Repr::Decimal => decimal(bytes),
        Repr::Hex => {
            if bytes.is_empty() {
                return None;
            }
            bytes.iter().try_fold(0_u64, |number, &digit| {
                let digit = u64::from(plan::decode::hex(digit)?);
                Some(number.checked_mul(16).map_or(u64::MAX, |number| number | digit))
            })
        }
    }
}

fn big_endian(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| fold(bytes.iter()))
}

fn fold<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// Appends `bytes` with `number` written into them to `out`. `false`: it does not fit.
pub(crate) fn write(
    repr: Repr,
    kind: FieldKind,
    bytes: &[u8],
    number: u64,
    out: &mut Vec<u8>,
) -> bool {
    let width_bits = match kind {
        FieldKind::Uint(bits) => u32::from(bits),
        FieldKind::Bool => 1,
        FieldKind::Bytes | FieldKind::Text => 64,
    };
    if number.checked_shr(width_bits).unwrap_or(0) != 0 {
        return false;
    }
    match repr {
        Repr::None => false,
        Repr::BigEndian { shift, mask } => {
            let Some(now) = big_endian(bytes) else { return false };
            if number & !mask != 0 {
                return false;
            }
            let shift = u32::from(shift);
            let Some(cleared) = mask.checked_shl(shift).map(|mask| now & !mask) else {
                return false;
            };
            let new = cleared | number.checked_shl(shift).unwrap_or(0);
            put_low_bytes(new, bytes.len(), out, true)
        }
        Repr::LittleEndian => put_low_bytes(number, bytes.len(), out, false),
        Repr::Decimal => {
            put_digits(number, 10, out);
            true
        }
        Repr::Hex => {
            put_digits(number, 16, out);
            true
        }
    }
}

/// The `width` low bytes of `number`; `false` if the rest is not 0.
fn put_low_bytes(number: u64, width: usize, out: &mut Vec<u8>, big: bool) -> bool {
    if width == 0 || width > 8 {
        return false;
    }
    let bytes = number.to_be_bytes();
    let (rest, low) = bytes.split_at(8_usize.saturating_sub(width));
    if rest.iter().any(|&byte| byte != 0) {
        return false;
    }
    if big {
        out.extend_from_slice(low);
    } else {
        out.extend(low.iter().rev());
    }
    true
}

fn put_digits(number: u64, base: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        let digit = u8::try_from(rest.checked_rem(base).unwrap_or(0)).unwrap_or(0);
        let letter = if digit < 10 { b'0' } else { b'a'.wrapping_sub(10) };
        out.push(letter.wrapping_add(digit));
        rest = rest.checked_div(base).unwrap_or(0);
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}
