//! A run of a test case that went wrong, with the bytes that differ.

/// Something is not as it should be; how the bytes were cut is added by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) what: String,
    pub(super) expected: Option<String>,
    pub(super) got: Option<String>,
}

impl Mismatch {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// Two byte strings that should be equal.
    pub(super) fn differs(what: &str, expected: &[u8], got: &[u8]) -> Self {
        let at = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
        Self {
            what: format!(
                "{what} from byte {at} on: {} bytes were expected, {} came",
                expected.len(),
                got.len()
            ),
            expected: Some(around(expected, at)),
            got: Some(around(got, at)),
        }
    }
}

/// The bytes around `at`, escaped as in a patch file.
pub(super) fn around(bytes: &[u8], at: usize) -> String {
    const BEFORE: usize = 16;
    const SHOWN: usize = 64;
    let start = at.saturating_sub(BEFORE);
    let end = start.saturating_add(SHOWN).min(bytes.len());
    let shown = bytes.get(start..end).unwrap_or_default().escape_ascii();
    let (left, right) =
        (if start > 0 { "…" } else { "" }, if end < bytes.len() { "…" } else { "" });
    format!("{left}{shown}{right}")
}
