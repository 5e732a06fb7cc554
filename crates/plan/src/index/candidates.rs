//! The candidates for one message, and the other scratch of a look-up.

use stage::position::index;

use crate::rule::RuleNo;

/// The rules that may concern one message: the caller's scratch, allocated once.
#[derive(Debug)]
pub struct Candidates {
    rules: Vec<RuleNo>,
    marks: Vec<u64>,
    literals: Vec<u32>,
    literal_marks: Vec<u64>,
    /// Where values are decoded.
    pub(super) text: Vec<u8>,
}

/// Rules of one direction, and literals of one direction that are looked up once only, for which
/// the scratch has room.
const NUMBERS_MAX: usize = 1 << 16;

impl Candidates {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self {
            rules: Vec::with_capacity(NUMBERS_MAX),
            marks: vec![0; NUMBERS_MAX / 64],
            literals: Vec::with_capacity(NUMBERS_MAX),
            literal_marks: vec![0; NUMBERS_MAX / 64],
            text: Vec::with_capacity(proto::limits::TEXT_BYTES_MAX),
        }
    }

    /// Forgets the last message.
    #[inline]
    pub fn clear(&mut self) {
        if !self.rules.is_empty() || !self.literals.is_empty() {
            self.forget();
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        for rule in self.rules.drain(..) {
            unmark(&mut self.marks, usize::from(rule));
        }
        for literal in self.literals.drain(..) {
            unmark(&mut self.literal_marks, index(literal));
        }
    }

    /// Each candidate once.
    pub fn rules(&self) -> &[RuleNo] {
        &self.rules
    }

    /// Sorts the candidates into rule order.
    pub fn sort(&mut self) {
        self.rules.sort_unstable();
    }

    /// Adds a rule, once.
    pub fn add(&mut self, rule: RuleNo) {
        if mark(&mut self.marks, usize::from(rule)) {
            self.rules.push(rule);
        }
    }

    /// The first time this literal is seen in this message.
    pub(super) fn first_time(&mut self, literal: usize) -> bool {
        let first = mark(&mut self.literal_marks, literal);
        if first && let Ok(literal) = u32::try_from(literal) {
            self.literals.push(literal);
        }
        first || literal >= NUMBERS_MAX
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets a bit. Answers whether it was clear; a bit past the end counts as set.
fn mark(marks: &mut [u64], at: usize) -> bool {
    let Some(word) = marks.get_mut(at / 64) else { return false };
    let bit = 1_u64.wrapping_shl(u32::try_from(at % 64).unwrap_or(0));
    let clear = *word & bit == 0;
    *word |= bit;
    clear
}

fn unmark(marks: &mut [u64], at: usize) {
    if let Some(word) = marks.get_mut(at / 64) {
        *word &= !1_u64.wrapping_shl(u32::try_from(at % 64).unwrap_or(0));
    }
}
