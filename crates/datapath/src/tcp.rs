//! The TCP connections of one core, and the adapter between `flow` and `engine`.
//!
//! Holds:     [`state`]: the connections, and beside each its link header and the engine's memory
//!            ([`conversations`]); [`engine_stage`], the engine as a stage of `flow`; [`overdue`],
//!            the work that no frame causes; [`quote`].
//! Promises:  a connection that was edited is never let go silently: when it has to go, both ends
//!            are reset.
//! Never:     decides about positions (that is `flow`'s) or about fields (the engine's).

pub(crate) mod conversations;
pub(crate) mod deadlines;
pub(crate) mod engine_stage;
mod interned;
pub(crate) mod overdue;
pub(crate) mod quote;
pub(crate) mod state;
