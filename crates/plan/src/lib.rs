//! The waist: the tables that patches compile to. `patch` makes them and `engine` runs them;
//! neither knows the other.
//!
//! Holds:     immutable tables ([`Plan`], [`Module`], [`DirectionRules`], [`Rule`]), the scope
//!            look-up, and the hand-over of a new plan to cores.
//! Promises:  nothing in a plan changes once it is built; reading it needs no lock and no
//!            allocation.
//! Never:     YAML, names looked up at run time, diagnostics, packets.
#![warn(missing_docs)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

pub mod condition;
pub mod decode;
pub mod index;
pub mod module;
pub mod pattern;
pub mod plan;
pub mod publish;
pub mod rule;
pub mod scope;
pub mod transform;

pub use condition::{ByteSource, ByteStep, ByteTest, Compare, Condition, Measure, Operand, Test};
pub use index::Index;
pub use module::{DirectionRules, FailMode, GroupInfo, GroupNo, Hold, Mode, Module, ModuleNo};
pub use pattern::{Pattern, PatternError};
pub use plan::{PatchInfo, Plan};
pub use publish::{Publisher, Subscriber};
pub use rule::{PatchNo, Rule, RuleNo};
pub use scope::{Endpoint, ScopeMatch, ScopeTable, TUNNEL_PORTS};
pub use transform::{
    ActsOn, Bound, ByteSet, Concerns, LengthEffect, Normalization, REPLY_BYTES_MAX, Reply,
    StreamingClass, TakesOut, Transform, TransformTraits, Verdict,
};
