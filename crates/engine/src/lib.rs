//! Decide and apply: a plan's rules over a message's fields give edits and verdicts.
//!
//! Holds:     nothing between calls but what the caller keeps for it: [`Scratch`], one a core, and
//!            [`Conversation`], one a TCP connection.
//! Promises:  a message that keeps every rule's bound yields no edit; what comes out does not
//!            depend on how a stream was cut; running the output again changes nothing.
//! Never:     allocates after [`Scratch::new`], reads a clock, knows packets, positions in a TCP
//!            stream or YAML.
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

mod condition;
mod conversation;
mod datagram;
mod decide;
mod fused;
mod hit_log;
mod outcome;
mod scratch;
mod stream;
mod value;

pub use conversation::{Conversation, Resting};
pub use datagram::datagram;
pub use outcome::{DatagramResult, DatagramVerdict, Hit, Peer, StreamResult, Undecided};
pub use scratch::Scratch;
pub use stream::stream;
