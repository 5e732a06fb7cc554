//! A patch file as written: the keys there are and the shapes of their values. Keys may still
//! contradict one another; [`crate::Patch`] is the checked form. The JSON Schema is generated from
//! these types, its descriptions from their docs.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::bytes::ByteString;
use crate::verbs::RuleFile;
use crate::yaml::{List, Spanned};

/// One patch: the fix that it replaces, its scope, its rules and its test cases.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchFile {
    /// The patch's name, unique in a set: metrics and reports carry it. Lower-case letters, digits,
    /// `-`, `.` and `_`.
    pub patch: Spanned<String>,
    /// One line for people.
    pub title: String,
    /// CVE numbers the vendor's fix closes.
    #[serde(default)]
    pub cve: Vec<Spanned<String>>,
    /// The vendor's own fix, which this patch replaces for a while.
    #[serde(default)]
    pub vendor_fix: Option<VendorFix>,
    /// Which products and versions need it.
    #[serde(default)]
    pub affects: Option<String>,
    /// Until when the real patch is postponed (YYYY-MM-DD): metric and warning once it has passed.
    #[serde(default)]
    pub postpone_until: Option<Date>,
    /// The protocol's name; it brings its transports and default ports. `wirepatch fields` lists
    /// them.
    pub protocol: Spanned<String>,
    /// Narrows or moves where the patch applies.
    #[serde(default)]
    pub scope: Option<ScopeFile>,
    /// How the patch relates to the vendor's fix.
    #[serde(default)]
    pub equivalence: Option<Equivalence>,
    /// Advisories, commits, write-ups.
    #[serde(default)]
    pub references: Vec<String>,
    /// The rules. They run in this order, each on the result of the one before.
    pub rules: Spanned<List<RuleFile>>,
    /// Cases that `wirepatch test` runs through the whole pipeline.
    #[serde(default)]
    pub tests: List<TestFile>,
}

/// The vendor's fix.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VendorFix {
    /// Bulletin or version.
    pub id: String,
    /// When it came out (YYYY-MM-DD).
    #[serde(default)]
    pub released: Option<Date>,
}

/// Where a patch applies.
#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeFile {
    /// Server ports, instead of the protocol's own.
    #[serde(default)]
    pub ports: Option<Spanned<Vec<Spanned<u16>>>>,
    /// Only this transport.
    #[serde(default)]
    pub transport: Option<Spanned<TransportName>>,
    /// Only this direction, for fields that both have.
    #[serde(default)]
    pub direction: Option<Spanned<DirectionName>>,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransportName {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A direction, by scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectionName {
    /// Towards the server's port.
    Request,
    /// From the server's port.
    Response,
}

/// How a patch relates to the vendor's fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Equivalence {
    /// The server does what the fixed one does, byte for byte.
    Exact,
    /// The same requests succeed and fail; an answer's wording may differ.
    SameDecision,
    /// Also changes requests that the fixed server would take as they are.
    Stricter,
    /// Closes some of the ways in, not all.
    Partial,
    /// Not the fix, but the flaw cannot be reached.
    Workaround,
}

/// One test case: bytes that are sent, and bytes that must arrive. Either `request` or `response`
/// with its expectation, or a `conversation` of such steps.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The behaviour that the case shows.
    pub name: Spanned<String>,
    /// Bytes towards the server.
    #[serde(default)]
    pub request: Option<ByteString>,
    /// Bytes from the server.
    #[serde(default)]
    pub response: Option<ByteString>,
    /// Expect exactly these bytes instead.
    #[serde(default)]
    pub becomes: Option<ByteString>,
    /// Expect the same bytes.
    #[serde(default)]
    pub unchanged: bool,
    /// Expect nothing to arrive.
    #[serde(default)]
    pub dropped: bool,
    /// Expect the connection to be reset, or to end in order behind `reply` (a datagram: nothing to
    /// arrive).
    #[serde(default)]
    pub closed: bool,
    /// Expect nothing to arrive and these bytes to come back.
    #[serde(default)]
    pub reply: Option<ByteString>,
    /// Several messages of one connection, in order. A step without an expectation is expected
    /// unchanged.
    #[serde(default)]
    pub conversation: List<StepFile>,
    /// Which transport, where the patch is for both; datagrams by default.
    #[serde(default)]
    pub transport: Option<TransportName>,
    /// The client's address, for conditions on `peer`.
    #[serde(default)]
    pub peer: Option<Spanned<String>>,
}

/// One message of a conversation.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Bytes towards the server.
    #[serde(default)]
    pub request: Option<ByteString>,
    /// Bytes from the server.
    #[serde(default)]
    pub response: Option<ByteString>,
    /// Expect exactly these bytes instead.
    #[serde(default)]
    pub becomes: Option<ByteString>,
    /// Expect the same bytes.
    #[serde(default)]
    pub unchanged: bool,
    /// Expect nothing to arrive.
    #[serde(default)]
    pub dropped: bool,
    /// Expect the connection to be reset, or to end in order behind `reply`.
    #[serde(default)]
    pub closed: bool,
    /// Expect nothing to arrive and these bytes to come back.
    #[serde(default)]
    pub reply: Option<ByteString>,
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Date {
    /// As written, `YYYY-MM-DD`.
    pub text: String,
    /// Unix seconds of its first second, UTC.
    pub unix_seconds: i64,
}

impl Date {
    /// From `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| {
            parts.next().filter(|part| part.len() == digits)?.parse::<u16>().ok().map(i64::from)
        };
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        if parts.next().is_some() {
            return None;
        }
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let month_days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=month_days).contains(&day) || year < 1970 {
            return None;
        }
        // Days since 1970-01-01, years counted from March so that the leap day is the last of its
        // year.
        let (march_year, march_month) =
            if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * march_year + march_year / 4 - march_year / 100
            + march_year / 400
            + (153 * march_month + 2) / 5
            + day
            - 1
            - 719_468;
        Some(Self { text: text.to_owned(), unix_seconds: days * 86_400 })
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a day written YYYY-MM-DD")))
    }
}

impl JsonSchema for Date {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "description": "YYYY-MM-DD" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        let seconds = |text: &str| Date::parse(text).map(|date| date.unix_seconds);
        assert_eq!(seconds("1970-01-01"), Some(0));
        assert_eq!(seconds("2002-07-24"), Some(1_027_468_800));
        assert_eq!(seconds("2024-02-29"), Some(1_709_164_800));
        for bad in ["2023-02-29", "2023-13-01", "2023-1-01", "2023-01-01-01", "+023-01-01", ""] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
