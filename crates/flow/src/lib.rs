//! The TCP stream editor: flow table, assembly, sequence maps, proxy-acknowledged bytes. Sans-I/O.
//!
//! Holds:     a [`Table`] of [`Connection`]s, and the [`Stores`] of the bytes that they keep. A
//!            caller hands a segment and a [`stage::Stage`], which decides about bytes, to a
//!            connection. The answer is a list of segments to send, to the receiver or to the
//!            sender.
//! Promises:  in inspected ranges the receiver sees one stream, whatever is lost, repeated,
//!            reordered or contradicted: the first data wins, and a byte is sent again out of the
//!            copy. Both ends make progress: the sender's timer drives the resending, the proxy
//!            resends the bytes that it has acknowledged itself, and bytes that may begin a pattern
//!            are released at a deadline ([`Connection::on_timeout`]).
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

pub use acceptance::{may_be_picked_up, opens_connection};
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
