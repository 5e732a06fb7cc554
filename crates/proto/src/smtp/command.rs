//! The parts of a command line.
//!
//! Promises:  where servers differ, the longer reading: a bound on it holds for both.

use crate::fields::Span;
use stage::position::plus;

/// Bytes of an opened line within which its command has to end. The longest in use, X-LINK2STATE,
/// has twelve.
pub(super) const COMMAND_BYTES_MAX: usize = 64;

/// Where a command stands in its line, and what follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandHead {
    pub(super) command: Span,
    /// Behind the first blank after the command.
    pub(super) parameter: Option<usize>,
}

/// Splits a line at the first blank behind its command.
pub(super) fn head(text: &[u8]) -> CommandHead {
    let start = text.iter().take_while(|&&byte| is_blank(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().take_while(|&&byte| !is_blank(byte)).count();
    let end = plus(start, length);
    CommandHead {
        command: Span::new(start, end),
        parameter: (end < text.len()).then(|| plus(end, 1)),
    }
}

/// `MAIL FROM:<path> parameters`, as spans of the whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressPath {
    /// Between the angle brackets, or up to the next blank where there are none.
    pub(super) address: Span,
    /// Where ESMTP parameters begin.
    pub(super) after: usize,
}

//= https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.2
//# mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
/// The address behind `keyword` and a colon, blanks around the colon allowed as most servers do.
pub(super) fn path(text: &[u8], parameter: usize, keyword: &[u8]) -> Option<AddressPath> {
    let mut at = skip_blanks(text, parameter);
    let end = at.checked_add(keyword.len())?;
    if !text.get(at..end)?.eq_ignore_ascii_case(keyword) {
        return None;
    }
    at = skip_blanks(text, end);
    if text.get(at) != Some(&b':') {
        return None;
    }
    at = skip_blanks(text, plus(at, 1));
    if text.get(at) != Some(&b'<') {
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|&&byte| !is_blank(byte)).count();
        let end = plus(at, length);
        return Some(AddressPath { address: Span::new(at, end), after: end });
    }
    let start = plus(at, 1);
    let end = closing_bracket(text, start);
    Some(AddressPath { address: Span::new(start, end), after: plus(end, 1).min(text.len()) })
}

/// The `>` that is not inside a quoted string; the end of the text where none is.
fn closing_bracket(text: &[u8], start: usize) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// One ESMTP parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EsmtpParameter {
    pub(super) keyword: Span,
    /// Behind the `=`; empty where there is none.
    pub(super) value: Span,
    /// With the blanks before it.
    pub(super) element: Span,
}

//= https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2
//# esmtp-param = esmtp-keyword ["=" esmtp-value]
/// The parameters from `after` on.
pub(super) fn parameters(text: &[u8], after: usize) -> impl Iterator<Item = EsmtpParameter> {
    let mut at = after;
    core::iter::from_fn(move || {
        let start = skip_blanks(text, at);
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().take_while(|&&byte| !is_blank(byte)).count();
        let end = plus(start, length);
        let equals = rest.iter().take(length).position(|&byte| byte == b'=');
        let keyword_end = equals.map_or(end, |equals| plus(start, equals));
        let value = Span::new(plus(keyword_end, 1).min(end), end);
        let element = Span::new(at, end);
        at = end;
        Some(EsmtpParameter { keyword: Span::new(start, keyword_end), value, element })
    })
}

/// The chunk of `BDAT 86 LAST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BdatChunk {
    pub(super) bytes: u64,
    /// Every server reads this size. A sign, or a number past 31 bits, is refused by some and wraps
    /// around in others.
    pub(super) is_clear: bool,
}

//= https://www.rfc-editor.org/rfc/rfc3030#section-2
//# bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
/// The size in a parameter of BDAT.
pub(super) fn chunk(text: &[u8], parameter: usize) -> Option<BdatChunk> {
    let rest = text.get(skip_blanks(text, parameter)..)?;
    let (sign, digits) = match rest {
        [sign @ (b'+' | b'-'), digits @ ..] => (Some(*sign), digits),
        digits => (None, digits),
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = digits.get(..length).filter(|digits| !digits.is_empty())?;
    let mut number = 0_u32;
    let mut is_clear = sign.is_none();
    for digit in digits {
        let value = u32::from(digit.saturating_sub(b'0'));
        is_clear &= number.checked_mul(10).and_then(|ten| ten.checked_add(value)).is_some();
        number = number.wrapping_mul(10).wrapping_add(value);
    }
    is_clear &= i32::try_from(number).is_ok();
    if sign == Some(b'-') {
        number = number.wrapping_neg();
    }
    Some(BdatChunk { bytes: u64::from(number), is_clear })
}

/// The initial response of `AUTH PLAIN dGVzdA==`, if there is one.
pub(super) fn initial_response(text: &[u8], parameter: usize) -> Option<Span> {
    let mechanism = head(text.get(parameter..)?);
    let start = parameter.checked_add(mechanism.parameter?)?;
    let start = skip_blanks(text, start);
    (start < text.len()).then(|| Span::new(start, text.len()))
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    plus(at, rest.iter().take_while(|&&byte| is_blank(byte)).count())
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
