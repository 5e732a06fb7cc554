//! The TCP stream editor: flow table, assembly, sequence maps, custody. Sans-I/O.
//!
//! Holds:     a [`Table`] of [`Connection`]s, and the [`Stores`] their bytes wait in. A caller
//!            hands a connection one segment and a [`stage::Stage`] that decides about bytes; the
//!            answer is a list of segments to send, on to the receiver or back to the sender.
//! Promises:  in inspected ranges the receiver sees one stream, whatever is lost, repeated,
//!            reordered or contradicted: the first data wins, and what is sent again is sent from
//!            the copy. Both ends always make progress: whoever waits for an acknowledgement
//!            resends, and that drives what is resent here; and nothing that may begin a pattern is
//!            held past a deadline ([`Connection::on_timeout`]).
//! Never:     allocates after `new`, reads a clock, builds a frame, or knows a protocol above TCP.
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

mod acceptance;
mod acked;
mod answer;
mod assembler;
mod blocks;
mod commit;
mod connection;
mod half;
mod in_flight;
pub mod limits;
mod options;
mod segment;
mod seq_map;
mod table;
mod waiting;

pub use blocks::BlockPool;
pub use connection::{Connection, ConnectionState, reset_untracked};
pub use in_flight::Stores;
pub use options::OptionBytes;
pub use segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
pub use seq_map::{EditKind, SeqMap};
pub use table::{Entry, FlowId, FlowKey, KeyHash, Table};

/// A moment, in milliseconds from any origin; it wraps after 49 days. The caller reads the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick(pub u32);

impl Tick {
    /// Milliseconds from `earlier` until now; 0 where `earlier` is later.
    pub const fn since(self, earlier: Self) -> u32 {
        let span = self.0.wrapping_sub(earlier.0);
        if span.cast_signed() < 0 { 0 } else { span }
    }
}
