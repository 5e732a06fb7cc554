//! A compiled byte pattern: one literal, or a regular expression as dense automata. No look-around, no captures; searching
//! never allocates and takes time linear in the input.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex_automata::dfa::{dense, regex::Regex};

/// What to look for.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written, for `explain`.
    pub text: Box<str>,
    /// The compiled form.
    pub search: Search,
    /// Longest match in bytes; `None` is unbounded, which only whole (never open) fields can serve.
    pub match_bytes_max: Option<u32>,
    /// An anchored forward automaton of the same pattern: whether bytes at the end of the input may still become a match.
    pub anchored: Arc<dense::DFA<Vec<u32>>>,
}

/// How it is searched.
#[derive(Clone, Debug)]
pub enum Search {
    /// Literals (several spellings, or without ASCII case); leftmost, longest.
    Literals(Arc<AhoCorasick>),
    /// Everything else; leftmost-first as written.
    Regex(Arc<Regex>),
}

impl Pattern {
    /// The leftmost match at or after `from`, as `start..end`.
    pub fn find(&self, input: &[u8], from: usize) -> Option<(usize, usize)> {
        match &self.search {
            Search::Literals(literals) => {
                let found = literals
                    .find(aho_corasick::Input::new(input).range(from.min(input.len())..))?;
                Some((found.start(), found.end()))
            }
            Search::Regex(regex) => {
                let found =
                    regex.find(regex_automata::Input::new(input).range(from.min(input.len())..))?;
                Some((found.start(), found.end()))
            }
        }
    }
}
