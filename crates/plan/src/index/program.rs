//! The streamable rules of one slot, fused into one pass over its bytes.
//!
//! Whatever their order in the file, rules run in this order: masks, then patterns (all literals at
//! once, then regular expressions in rule order), then the shortest truncation. If a cut came
//! before a replacement, it could not promise its bound. The order also makes the output the same
//! whether the field is seen whole or in pieces.
//!
//! Patterns match on the *output*. The caller keeps a state of [`LiteralAutomaton`] for each byte
//! it has written. After a deletion, it goes on from the state before the deleted bytes.

use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, Anchored, MatchKind};
use regex_automata::dfa::{dense, regex::Regex};
use stage::position::index;

use crate::condition::Condition;
use crate::pattern::{Pattern, Search};
use crate::rule::{Rule, RuleNo};
use crate::transform::{ByteSet, Transform};

/// Automata that one slot may run: literals with case, literals without case, and one regular
/// expression. An open field keeps the state of each. Further expressions run on whole fields only.
pub const AUTOMATA_MAX: usize = 3;

/// Streamable rules with a condition in one slot's program: a bit each in the state of an open
/// field. Further rules run on whole fields only.
pub const CONDITIONAL_RULES_MAX: usize = 32;

/// The longest match that is looked for across pieces of a field.
pub const PARTIAL_MATCH_BYTES_MAX: u32 = 4096;

/// See the module.
#[derive(Debug)]
pub struct Program {
    /// The masks without a condition, composed.
    pub masks: Option<Box<MaskTable>>,
    /// The shortest truncation without a condition, and its rule.
    pub truncate: Option<(usize, RuleNo)>,
    /// The first rule that cuts at a match: it counts the bytes behind a cut.
    pub first_cut: Option<RuleNo>,
    /// In the order they run.
    pub automata: Box<[Automaton]>,
    /// Rules with a condition. Their position is their bit in an active set.
    pub conditional: Box<[RuleNo]>,
}

/// What every byte becomes.
#[derive(Debug)]
pub struct MaskTable {
    becomes: [u8; 256],
    /// The first rule that changes the byte; `RuleNo::MAX` for none.
    rule: [RuleNo; 256],
}

/// One search for patterns.
#[derive(Debug)]
pub enum Automaton {
    /// All literals with (or without) case.
    Literals(Box<LiteralAutomaton>),
    /// One regular expression.
    Regex {
        /// Its rule.
        owner: Owner,
        /// Forward and reverse automata.
        regex: Arc<Regex>,
        /// Whether what began at a byte may still become a match.
        anchored: Arc<dense::DFA<Vec<u32>>>,
        /// Bytes of the longest match.
        longest: usize,
    },
}

/// The rule of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The rule.
    pub rule: RuleNo,
    /// Its bit in the active set; `None` is always active.
    pub bit: Option<u8>,
}

impl Owner {
    /// Whether the rule is active for a field whose active set is `active`.
    pub fn is_active(self, active: u32) -> bool {
        self.bit.is_none_or(|bit| active & 1_u32.wrapping_shl(u32::from(bit)) != 0)
    }
}

/// An automaton of literals whose states can be kept as a number.
#[derive(Debug)]
pub struct LiteralAutomaton {
    automaton: NFA,
    start: StateID,
    /// The same literals behind a prefilter, to rule out a value quickly.
    quick: AhoCorasick,
    /// By state: how many of the last bytes may be the beginning of a literal. `NO_STATE` where no
    /// state has this number.
    depth: Box<[u16]>,
    owners: Box<[Owner]>,
}

/// No state has this number.
const NO_STATE: u16 = u16::MAX;

/// A state of [`LiteralAutomaton`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiteralState(StateID);

impl LiteralState {
    /// As a number to keep.
    pub fn number(self) -> u32 {
        self.0.as_u32()
    }
}

/// The rules one slot's program takes in.
#[derive(Debug, Default)]
pub(super) struct StreamedRules {
    /// Ascending.
    pub(super) rules: Vec<RuleNo>,
    conditional: usize,
    regexes: usize,
}

impl StreamedRules {
    /// Takes the rule in if it streams and the program has room for it.
    pub(super) fn take(&mut self, no: RuleNo, rule: &Rule) -> bool {
        let conditional = usize::from(!matches!(rule.when, Condition::Always));
        let pattern = rule.transform.pattern();
        let regex = usize::from(pattern.is_some_and(|pattern| pattern.literals.is_empty()));
        let conditional = self.conditional.saturating_add(conditional);
        let regexes = self.regexes.saturating_add(regex);
        let takes = rule.transform.streams()
            && is_short(&rule.transform)
            && conditional <= CONDITIONAL_RULES_MAX
            && regexes <= AUTOMATA_MAX.saturating_sub(2);
        if takes {
            self.rules.push(no);
            self.conditional = conditional;
            self.regexes = regexes;
        }
        takes
    }
}

/// Whether its pattern, if it has one, is short enough to be looked for across pieces.
fn is_short(transform: &Transform) -> bool {
    transform.pattern().is_none_or(|pattern| {
        pattern.match_bytes_max.is_some_and(|longest| longest <= PARTIAL_MATCH_BYTES_MAX)
    })
}

impl Program {
    /// `None` if there is nothing to run.
    pub(super) fn new(taken: &StreamedRules, rules: &[Rule]) -> Option<Self> {
        if taken.rules.is_empty() {
            return None;
        }
        let mut parts = ProgramParts::default();
        for &no in &taken.rules {
            let Some(rule) = rules.get(usize::from(no)) else { continue };
            let bit = match rule.when {
                Condition::Always => None,
                Condition::All(_) | Condition::Any(_) | Condition::Not(_) | Condition::Test(_) => {
                    parts.add_conditional(no)
                }
            };
            parts.add(no, &rule.transform, bit);
        }
        Some(parts.fuse())
    }

    /// The program of one rule for which the slot's program has no room. It runs where the rule's
    /// condition holds.
    pub(super) fn of_rule(no: RuleNo, rule: &Rule) -> Option<Self> {
        (rule.transform.streams() && is_short(&rule.transform)).then(|| {
            let mut parts = ProgramParts::default();
            parts.add(no, &rule.transform, None);
            parts.fuse()
        })
    }

    /// Whether it only truncates, and always.
    pub(super) fn only_cuts(&self) -> bool {
        self.masks.is_none() && self.automata.is_empty() && self.conditional.is_empty()
    }
}

/// A program in the making.
#[derive(Default)]
struct ProgramParts {
    masks: Vec<Mask>,
    truncate: Option<(usize, RuleNo)>,
    first_cut: Option<RuleNo>,
    conditional: Vec<RuleNo>,
    with_case: Vec<(Box<[u8]>, Owner)>,
    without_case: Vec<(Box<[u8]>, Owner)>,
    regexes: Vec<Automaton>,
}

/// Bytes that become another, and whose rule it is.
#[derive(Clone, Copy)]
struct Mask {
    set: ByteSet,
    with: u8,
    rule: RuleNo,
}

impl ProgramParts {
    /// Adds a rule with a condition; its bit.
    fn add_conditional(&mut self, no: RuleNo) -> Option<u8> {
        let bit = u8::try_from(self.conditional.len()).ok();
        self.conditional.push(no);
        bit
    }

    /// Adds a rule's work; without a bit the rule has no condition. A running program finds
    /// conditional masks and truncations by their bit.
    fn add(&mut self, rule: RuleNo, transform: &Transform, bit: Option<u8>) {
        match (transform, bit) {
            (Transform::Mask { set, with }, None) => {
                self.masks.push(Mask { set: *set, with: *with, rule });
            }
            (Transform::Truncate { to }, None) => {
                let to = index(*to);
                if self.truncate.is_none_or(|(least, _)| to < least) {
                    self.truncate = Some((to, rule));
                }
            }
            (transform, bit) => {
                let Some(pattern) = transform.pattern() else { return };
                if matches!(transform, Transform::CutAt { .. }) {
                    self.first_cut = self.first_cut.or(Some(rule));
                }
                self.add_pattern(pattern, Owner { rule, bit });
            }
        }
    }

    fn add_pattern(&mut self, pattern: &Pattern, owner: Owner) {
        match (&pattern.search, &pattern.anchored) {
            (Search::Regex(regex), Some(anchored)) => self.regexes.push(Automaton::Regex {
                owner,
                regex: Arc::clone(regex),
                anchored: Arc::clone(anchored),
                longest: pattern.match_bytes_max.map_or(usize::MAX, index),
            }),
            _ => {
                let list =
                    if pattern.ignore_case { &mut self.without_case } else { &mut self.with_case };
                list.extend(pattern.literals.iter().map(|literal| (literal.clone(), owner)));
            }
        }
    }

    fn fuse(self) -> Program {
        let with_case = LiteralAutomaton::new(&self.with_case, false);
        let without_case = LiteralAutomaton::new(&self.without_case, true);
        let literals = [with_case, without_case].into_iter().flatten();
        let literals = literals.map(|literals| Automaton::Literals(Box::new(literals)));
        Program {
            masks: MaskTable::new(&self.masks).map(Box::new),
            truncate: self.truncate,
            first_cut: self.first_cut,
            automata: literals.chain(self.regexes).collect(),
            conditional: self.conditional.into(),
        }
    }
}

impl MaskTable {
    fn new(masks: &[Mask]) -> Option<Self> {
        if masks.is_empty() {
            return None;
        }
        let mut table = Self { becomes: [0; 256], rule: [RuleNo::MAX; 256] };
        for byte in 0..=u8::MAX {
            let mut becomes = byte;
            let mut first = RuleNo::MAX;
            for &Mask { set, with, rule } in masks {
                if set.contains(becomes) {
                    becomes = with;
                    first = first.min(rule);
                }
            }
            if let Some(cell) = table.becomes.get_mut(usize::from(byte)) {
                *cell = becomes;
            }
            if let Some(cell) = table.rule.get_mut(usize::from(byte)) {
                *cell = first;
            }
        }
        Some(table)
    }

    /// The bytes that change.
    pub(super) fn changed(&self) -> ByteSet {
        let mut set = ByteSet::new();
        (0..=u8::MAX).filter(|&byte| self.rule(byte).is_some()).for_each(|byte| set.insert(byte));
        set
    }

    /// What `byte` becomes.
    pub fn becomes(&self, byte: u8) -> u8 {
        self.becomes.get(usize::from(byte)).copied().unwrap_or(byte)
    }

    /// The rule that changes `byte`.
    pub fn rule(&self, byte: u8) -> Option<RuleNo> {
        self.rule.get(usize::from(byte)).copied().filter(|&rule| rule != RuleNo::MAX)
    }
}

impl LiteralAutomaton {
    fn new(literals: &[(Box<[u8]>, Owner)], ignore_case: bool) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let patterns = || literals.iter().map(|(literal, _)| literal);
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(ignore_case)
            .prefilter(false)
            .build(patterns())
            .ok()?;
        let quick = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(ignore_case)
            .build(patterns())
            .ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let mut depth = Vec::new();
        note_depth(&mut depth, start, 0);
        for literal in patterns() {
            let mut state = start;
            for (at, &byte) in literal.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, byte);
                note_depth(&mut depth, state, at.saturating_add(1));
            }
        }
        Some(Self {
            automaton,
            start,
            quick,
            depth: depth.into(),
            owners: literals.iter().map(|&(_, owner)| owner).collect(),
        })
    }

    /// Whether `value` holds any of the literals.
    pub fn occur_in(&self, value: &[u8]) -> bool {
        self.quick.is_match(value)
    }

    /// Bytes of the longest literal.
    pub fn longest(&self) -> usize {
        self.automaton.max_pattern_len()
    }

    /// Before the first byte.
    pub fn start(&self) -> LiteralState {
        LiteralState(self.start)
    }

    /// The state of a kept number. A number of no state gives the start.
    pub fn state(&self, number: u32) -> LiteralState {
        let at = index(number);
        let known = self.depth.get(at).is_some_and(|&depth| depth != NO_STATE);
        match StateID::new(at) {
            Ok(state) if known => LiteralState(state),
            _ => self.start(),
        }
    }

    /// After one more byte.
    #[inline]
    pub fn step(&self, state: LiteralState, byte: u8) -> LiteralState {
        LiteralState(self.automaton.next_state(Anchored::No, state.0, byte))
    }

    /// How many of the last bytes may be the beginning of a literal (or are one).
    pub fn depth(&self, state: LiteralState) -> usize {
        self.depth.get(state.0.as_usize()).copied().map_or(0, usize::from)
    }

    /// Some literal ends here.
    #[inline]
    pub fn is_match(&self, state: LiteralState) -> bool {
        self.automaton.is_match(state.0)
    }

    /// The literals that end here: their owners and lengths, the longest first.
    pub fn matches(&self, state: LiteralState) -> impl Iterator<Item = (Owner, usize)> + '_ {
        let count = if self.is_match(state) { self.automaton.match_len(state.0) } else { 0 };
        (0..count).filter_map(move |at| {
            let pattern = self.automaton.match_pattern(state.0, at);
            let owner = self.owners.get(pattern.as_usize())?;
            Some((*owner, self.automaton.pattern_len(pattern)))
        })
    }
}

fn note_depth(depth: &mut Vec<u16>, state: StateID, bytes: usize) {
    let at = state.as_usize();
    if depth.len() <= at {
        depth.resize(at.saturating_add(1), NO_STATE);
    }
    if let Some(cell) = depth.get_mut(at) {
        *cell = u16::try_from(bytes).unwrap_or(NO_STATE);
    }
}
