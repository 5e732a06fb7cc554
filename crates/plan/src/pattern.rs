//! A compiled byte pattern: literals, or a regular expression as dense automata. No look-around, no
//! captures; searching never allocates and takes time linear in the input.
//!
//! Patterns are bytes: `.` in a regular expression is any byte but LF, a class is of byte values,
//! and case is ASCII's.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use regex_automata::MatchKind as RegexMatchKind;
use regex_automata::dfa::{StartKind, dense, regex::Regex};
use regex_automata::util::syntax;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Literal};

/// What to search for. [`Pattern::literals`] and [`Pattern::regex`] make it.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written, for `explain`.
    pub text: Box<str>,
    /// The compiled form.
    pub search: Search,
    /// The literals, so that those of many patterns can share one automaton. Empty for a regular
    /// expression.
    pub literals: Box<[Box<[u8]>]>,
    /// The literals match without ASCII case.
    pub ignore_case: bool,
    /// Shortest match in bytes; at least 1.
    pub match_bytes_min: u32,
    /// Longest match in bytes; `None` is unbounded, which only whole (never open) fields can serve.
    pub match_bytes_max: Option<u32>,
    /// An anchored automaton of a regular expression. It tells whether bytes at the end of the
    /// input may still become a match.
    pub anchored: Option<Arc<dense::DFA<Vec<u32>>>>,
}

/// How it is searched.
#[derive(Clone, Debug)]
pub enum Search {
    /// Literals (several spellings, or without ASCII case); leftmost, longest.
    Literals(Arc<AhoCorasick>),
    /// Everything else; leftmost-first as written.
    Regex(Arc<Regex>),
}

/// Why a pattern cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It matches the empty string, so it would match everywhere.
    MatchesEmpty,
    /// It uses `^`, `$`, `\b` or the like, which have no meaning in a stream: use `starts_with` and
    /// `ends_with`.
    LookAround,
    /// Its automata are larger than [`PATTERN_AUTOMATON_BYTES_MAX`].
    TooLarge,
    /// It is not a regular expression; the parser's words.
    Syntax(String),
}

/// Memory that one automaton of one pattern may take. A larger one fits no cache and is slow;
/// 10,000 patterns of this size still fit a machine.
pub const PATTERN_AUTOMATON_BYTES_MAX: usize = 1 << 20;

/// The most literals that stand for an expression. More of them tell less and less.
const REQUIRED_LITERALS_MAX: usize = 64;

impl Pattern {
    /// Any of `literals`, of which none is empty.
    ///
    /// # Errors
    /// [`PatternError::MatchesEmpty`] for an empty literal or none at all.
    pub fn literals(
        text: &str,
        literals: &[&[u8]],
        ignore_case: bool,
    ) -> Result<Self, PatternError> {
        if literals.is_empty() || literals.iter().any(|literal| literal.is_empty()) {
            return Err(PatternError::MatchesEmpty);
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(ignore_case)
            .build(literals)
            .map_err(|_| PatternError::TooLarge)?;
        let shortest = literals.iter().map(|literal| literal.len()).min().unwrap_or(1);
        let longest = literals.iter().map(|literal| literal.len()).max().unwrap_or(0);
        Ok(Self {
            text: text.into(),
            search: Search::Literals(Arc::new(search)),
            literals: literals.iter().map(|&literal| literal.into()).collect(),
            ignore_case,
            match_bytes_min: u32::try_from(shortest).unwrap_or(u32::MAX),
            match_bytes_max: Some(u32::try_from(longest).unwrap_or(u32::MAX)),
            anchored: None,
        })
    }

    /// A regular expression over bytes.
    ///
    /// # Errors
    /// What cannot run on a stream in bounded memory: see [`PatternError`].
    pub fn regex(text: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let config = Self::config(ignore_case);
        let tree = syntax::parse_with(text, &config)
            .map_err(|error| PatternError::Syntax(error.to_string()))?;
        let properties = tree.properties();
        if !properties.look_set().is_empty() {
            return Err(PatternError::LookAround);
        }
        let shortest = properties.minimum_len().unwrap_or(0);
        if shortest == 0 {
            return Err(PatternError::MatchesEmpty);
        }
        let automaton = dense::Config::new()
            .dfa_size_limit(Some(PATTERN_AUTOMATON_BYTES_MAX))
            .determinize_size_limit(Some(PATTERN_AUTOMATON_BYTES_MAX.saturating_mul(4)));
        let search = Regex::builder()
            .syntax(config)
            .dense(automaton.clone())
            .build(text)
            .map_err(|_| PatternError::TooLarge)?;
        let anchored = dense::Builder::new()
            .syntax(config)
            .configure(automaton.start_kind(StartKind::Anchored).match_kind(RegexMatchKind::All))
            .build(text)
            .map_err(|_| PatternError::TooLarge)?;
        Ok(Self {
            text: text.into(),
            search: Search::Regex(Arc::new(search)),
            literals: Box::default(),
            ignore_case,
            match_bytes_min: u32::try_from(shortest).unwrap_or(u32::MAX),
            match_bytes_max: properties
                .maximum_len()
                .map(|longest| u32::try_from(longest).unwrap_or(u32::MAX)),
            anchored: Some(Arc::new(anchored)),
        })
    }

    /// Literals of which every match contains one, in lower case; their ASCII case does not matter.
    /// They are the pattern's literals, or the beginnings of every match of an expression, or else
    /// the ends. Empty: none are known.
    pub fn required_literals(&self) -> Vec<Box<[u8]>> {
        match &self.search {
            Search::Literals(_) => {
                self.literals.iter().map(|literal| literal.to_ascii_lowercase().into()).collect()
            }
            Search::Regex(_) => {
                let prefixes = self.ends(ExtractKind::Prefix);
                let suffixes = self.ends(ExtractKind::Suffix);
                let shortest = |literals: &[Box<[u8]>]| literals.iter().map(|one| one.len()).min();
                // Nearly every list has these: they rule out nothing.
                let ordinary = |literals: &[Box<[u8]>]| {
                    literals.iter().any(|one| matches!(**one, [b',' | b';' | b':', b' ']))
                };
                let rank = |literals: &[Box<[u8]>]| (shortest(literals), !ordinary(literals));
                match rank(&prefixes).max(rank(&suffixes)) {
                    (None | Some(0), _) => Vec::new(),
                    best if best == rank(&prefixes) => prefixes,
                    (Some(_), _) => suffixes,
                }
            }
        }
    }

    /// The literals with which every match of an expression begins (or ends).
    fn ends(&self, kind: ExtractKind) -> Vec<Box<[u8]>> {
        let Ok(tree) = syntax::parse_with(&self.text, &Self::config(self.ignore_case)) else {
            return Vec::new();
        };
        let mut extractor = Extractor::new();
        extractor.kind(kind).limit_total(REQUIRED_LITERALS_MAX);
        let found = extractor.extract(&tree);
        let lower = |literal: &Literal| literal.as_bytes().to_ascii_lowercase().into();
        let mut literals: Vec<Box<[u8]>> =
            found.literals().unwrap_or_default().iter().map(lower).collect();
        literals.sort_unstable();
        literals.dedup();
        literals
    }

    /// Every match has this many bytes, as far as can be told: those of an expression are not
    /// counted.
    pub(crate) fn is_always_of(&self, bytes: usize) -> bool {
        !self.literals.is_empty() && self.literals.iter().all(|literal| literal.len() == bytes)
    }

    /// Expressions are over bytes.
    fn config(ignore_case: bool) -> syntax::Config {
        syntax::Config::new().unicode(false).utf8(false).case_insensitive(ignore_case)
    }

    /// The leftmost match at or after `from`, as `start..end`.
    pub fn find(&self, input: &[u8], from: usize) -> Option<(usize, usize)> {
        let range = from.min(input.len())..;
        match &self.search {
            Search::Literals(literals) => {
                let found = literals.find(aho_corasick::Input::new(input).range(range))?;
                Some((found.start(), found.end()))
            }
            Search::Regex(regex) => {
                let found = regex.find(regex_automata::Input::new(input).range(range))?;
                Some((found.start(), found.end()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_match_leftmost_longest() {
        let pattern = Pattern::literals("", &[b"ab", b"abc", b"bcd"], true).unwrap();
        assert_eq!(pattern.find(b"xxABCd", 0), Some((2, 5)));
        assert_eq!(pattern.find(b"xxABCd", 3), Some((3, 6)));
        assert_eq!(pattern.find(b"xxABCd", 9), None);
        assert_eq!((pattern.match_bytes_min, pattern.match_bytes_max), (2, Some(3)));
    }

    #[test]
    fn expressions_are_of_bytes_and_know_their_longest_match() {
        let pattern = Pattern::regex(r"\xff[a-f]{2,4}", true).unwrap();
        assert_eq!(pattern.find(b"..\xffABCDEFG", 0), Some((2, 7)));
        assert_eq!((pattern.match_bytes_min, pattern.match_bytes_max), (3, Some(5)));
        assert_eq!(Pattern::regex("a+", false).unwrap().match_bytes_max, None);
    }

    #[test]
    fn every_match_contains_a_needle() {
        let required_literals = |text: &str| {
            let pattern = Pattern::regex(text, true).unwrap();
            let literals: Vec<String> = pattern
                .required_literals()
                .iter()
                .map(|literal| literal.escape_ascii().to_string())
                .collect();
            literals.join(" ")
        };
        assert_eq!(required_literals("/level/(1[6-9]|2)/exec"), "/level/");
        assert_eq!(required_literals(r"\$\{(jndi:|\$\{)"), "${${ ${jndi:");
        assert_eq!(required_literals("[^a]+JSP"), "jsp");
        assert_eq!(required_literals(r",[ \t]*,"), r"\t,  , ,,");
        assert_eq!(required_literals("[^a][^b]"), "");
        assert_eq!(
            Pattern::literals("", &[b"AB"], false).unwrap().required_literals()[0][..],
            *b"ab"
        );
    }

    #[test]
    fn what_cannot_run_on_a_stream_is_refused() {
        let refusal = |text| Pattern::regex(text, false).unwrap_err();
        assert_eq!(refusal("a*"), PatternError::MatchesEmpty);
        assert_eq!(refusal("^a"), PatternError::LookAround);
        assert_eq!(refusal(r"\bword"), PatternError::LookAround);
        assert!(matches!(refusal("("), PatternError::Syntax(_)));
        assert_eq!(refusal("[ab]{0,30}a[ab]{40}"), PatternError::TooLarge);
        assert_eq!(Pattern::literals("", &[b""], false).unwrap_err(), PatternError::MatchesEmpty);
    }
}
