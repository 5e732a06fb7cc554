//! Protocol decoders: bytes in, field spans out. One file a protocol.
//!
//! Holds:     the interface every decoder implements ([`Decoder`]), the tables that describe fields
//!            ([`Protocol`], [`FieldDef`]), and the caller-owned scratch they write into
//!            ([`Fields`], [`Edits`]).
//! Promises:  a decoder emits spans into the caller's buffer, never copies of it; it emits only
//!            fields that some rule reads ([`Wanted`]); the fields it emits do not depend on how
//!            the bytes were cut into segments.
//! Never:     allocates after start, panics on any bytes, keeps a reference, or knows what a rule
//!            is.
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

pub mod adapter;
#[cfg(test)]
mod corpus;
pub mod data;
pub mod decoder;
pub mod dns;
pub mod edits;
pub mod field_prefilter;
pub mod fields;
pub mod ftp;
pub mod header_prefilter;
pub mod http;
pub mod limits;
mod line;
pub mod mqtt;
pub mod ntp;
pub mod opcua;
pub mod registry;
#[cfg(test)]
mod replay;
pub mod schema;
pub mod smtp;
pub mod ssh;
pub mod ssrp;
pub mod tftp;
pub mod thrift;
pub mod tls;
pub mod wanted;

pub use adapter::{Decoder, KeptState};
pub use decoder::{
    Dissection, Need, ProtocolDecoder, Refusal, Refused, Repair, SampleMessage, Step, View,
};
pub use edits::{Edit, Edits, ValueCut};
pub use field_prefilter::{FieldPrefilter, WatchedRanges};
pub use fields::{Field, Fields, Flags, Span};
pub use header_prefilter::{HeaderFieldPrefilter, HeaderPrefilter};
pub use registry::{DECODERS, DecoderState, by_name};
pub use schema::{Editable, FieldDef, FieldId, FieldKind, FieldRange, Protocol, Repr, Transport};
pub use wanted::{Slot, Wanted};
