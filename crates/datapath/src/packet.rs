//! Values that travel from one step to the next: the packet, and the way that it takes.

use flow::KeyHash;
use plan::{Endpoint, ScopeMatch};
use stage::Direction;
use wire::Layers;

use crate::reasons::Reason;

/// A packet on its way through the steps.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The offsets of its headers.
    pub layers: Layers,
    /// Its sender.
    pub source: Endpoint,
    /// Its receiver.
    pub destination: Endpoint,
}

/// The key by which the connection of a segment is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowLookup {
    pub(crate) hash: KeyHash,
    /// The direction of the segment, if the key is in the table.
    pub(crate) direction: Direction,
}

/// The way of a frame after step 3.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// On, untouched.
    Out(Reason),
    /// Nowhere.
    Drop(Reason),
    /// A part of a datagram that may be in scope.
    Fragment(Layers),
    /// An ICMP message, which may quote a tracked connection.
    Quote(Layers),
    /// A datagram in scope.
    Datagram(Packet, ScopeMatch),
    /// A TCP segment in scope, or (without a match) of a connection whose numbers were shifted
    /// before its scope went away.
    Segment(Packet, FlowLookup, Option<ScopeMatch>),
}

impl Path {
    /// The look-up that its connection needs.
    #[inline]
    pub(crate) const fn lookup(&self) -> Option<&FlowLookup> {
        match self {
            Self::Segment(_, lookup, _) => Some(lookup),
            Self::Out(_)
            | Self::Drop(_)
            | Self::Fragment(_)
            | Self::Quote(_)
            | Self::Datagram(..) => None,
        }
    }
}

/// The answer of a look at the first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Prefilter {
    /// Out of scope: it leaves untouched.
    OutOfScope = 1,
    /// It seems to be a segment in scope.
    Segment = 2,
    /// Any other frame.
    Other = 4,
}

impl Prefilter {
    /// The answers of a whole burst as a set: a few instructions on vectors.
    pub(crate) fn all(prefilters: &[Self]) -> u8 {
        prefilters.iter().fold(0, |set, prefilter| set | prefilter.bit())
    }

    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::OutOfScope => 1,
            Self::Segment => 2,
            Self::Other => 4,
        }
    }
}
