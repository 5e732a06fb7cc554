//! A rule, and the numbers by which tables name rules and patches.

use proto::Slot;

use crate::condition::Condition;
use crate::transform::Transform;

/// Index into [`crate::Plan::patches`], the label of a patch's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatchNo(pub u16);

/// Index into [`crate::DirectionRules::rules`].
pub type RuleNo = u16;

/// One `when` and one transform on one field.
#[derive(Debug)]
pub struct Rule {
    /// Its patch.
    pub patch: PatchNo,
    /// The field that the transform works on. `None` for `drop`, `refuse` and `close` without a
    /// target.
    pub target: Option<Slot>,
    /// When it applies. Tests on the target, and on fields of the target's element, refer to the
    /// occurrence at hand.
    pub when: Condition,
    /// What it does then.
    pub transform: Transform,
}
