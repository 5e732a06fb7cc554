//! The functions from a value to a number: one each, and one arm in [`function`].
//!
//! Promises:  [`len`] and [`nesting`] of a value are never less than those of its beginning.
//!            Conditions on open fields take the number of the beginning for a lower bound.

use plan::Measure;

/// The function of a measure. `None` where the value has no such number.
pub(super) fn function(measure: Measure) -> &'static dyn Fn(&[u8]) -> Option<u64> {
    match measure {
        Measure::Len => &len,
        Measure::Climbs => &climbs,
        Measure::Nesting => &nesting,
        Measure::Decimal => &decimal,
    }
}

fn len(bytes: &[u8]) -> Option<u64> {
    Some(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

/// How many levels a path climbs out of its root at its lowest: 0 for one that stays inside.
fn climbs(path: &[u8]) -> Option<u64> {
    let mut above = 0_u64;
    let mut below = 0_u64;
    for segment in path.split(|&byte| byte == b'/' || byte == b'\\') {
        match segment {
            b"" | b"." => {}
            b".." if below > 0 => below = below.saturating_sub(1),
            b".." => above = above.saturating_add(1),
            _ => below = below.saturating_add(1),
        }
    }
    Some(above)
}

/// The greatest depth of `()`, `[]` and `{}`.
fn nesting(bytes: &[u8]) -> Option<u64> {
    let mut depth = 0_u64;
    let mut greatest = 0_u64;
    for byte in bytes {
        match byte {
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        greatest = greatest.max(depth);
    }
    Some(greatest)
}

/// ASCII decimal digits; saturates.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit <= 9)?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(measure: Measure, value: &str, want: Option<u64>) {
        assert_eq!(function(measure)(value.as_bytes()), want, "{measure:?} {value}");
    }

    #[test]
    fn values_are_measured() {
        check(Measure::Len, "", Some(0));
        check(Measure::Len, "abc", Some(3));
        check(Measure::Climbs, "/a/../b", Some(0));
        check(Measure::Climbs, "/a/../../b", Some(1));
        check(Measure::Climbs, "..\\../a/../..", Some(3));
        check(Measure::Climbs, "/.../a", Some(0));
        check(Measure::Nesting, "a(b[c]{d})e(", Some(2));
        check(Measure::Nesting, "))(", Some(1));
        check(Measure::Decimal, "0042", Some(42));
        check(Measure::Decimal, "99999999999999999999", Some(u64::MAX));
        check(Measure::Decimal, "", None);
        check(Measure::Decimal, "4 2", None);
    }

    #[test]
    fn a_longer_value_measures_no_less() {
        let text = b"a(b[c]{12)]x}(";
        for measure in [Measure::Len, Measure::Nesting] {
            let numbers: Vec<_> =
                (0..text.len()).map(|end| function(measure)(&text[..end])).collect();
            assert!(numbers.is_sorted(), "{measure:?} {numbers:?}");
        }
    }
}
