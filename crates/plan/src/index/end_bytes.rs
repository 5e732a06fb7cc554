//! The rules that wait for the first, or the last, byte of a value.

use super::candidates::Candidates;
use crate::rule::RuleNo;
use crate::transform::ByteSet;

/// Rules that wait for a first (or last) byte.
#[derive(Debug, Default)]
pub(super) struct EndByteRules {
    /// Any of the sets has it.
    pub(super) any: ByteSet,
    /// Any of the rules waits for an empty value.
    pub(super) any_empty: bool,
    rules: Box<[(ByteSet, bool, RuleNo)]>,
}

impl EndByteRules {
    pub(super) fn new(rules: Vec<(ByteSet, bool, RuleNo)>) -> Self {
        Self {
            any: rules.iter().fold(ByteSet::new(), |any, (set, ..)| any.union(set)),
            any_empty: rules.iter().any(|(_, empty, _)| *empty),
            rules: rules.into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    #[inline]
    pub(super) fn waits_for(&self, end: Option<&u8>) -> bool {
        end.map_or(self.any_empty, |&byte| self.any.contains(byte))
    }

    #[inline]
    pub(super) fn look_up(&self, end: Option<&u8>, out: &mut Candidates) {
        if self.rules.is_empty() {
            return;
        }
        if self.waits_for(end) {
            let waits = |set: &ByteSet, empty: bool| end.map_or(empty, |&byte| set.contains(byte));
            for &(_, _, rule) in self.rules.iter().filter(|(set, empty, _)| waits(set, *empty)) {
                out.add(rule);
            }
        }
    }
}
