//! Step 2: where the headers stand, as offsets. The work is `wire`'s; this file knows the links and names the exits.

use wire::tunnel::Walk;
use wire::{Layers, NotParsed};

use crate::reasons::Reason;

/// What stands in front of IP. Ports are Ethernet; captures may be anything here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkLayer {
    /// Ethernet, VLAN, QinQ.
    #[default]
    Ethernet,
    /// Nothing: the frame is the IP packet.
    Ip,
    /// Linux cooked capture.
    Cooked,
    /// Linux cooked capture, second version.
    Cooked2,
    /// BSD loopback: four bytes of address family.
    Null,
    /// Not understood: every frame passes.
    Unknown,
}

/// Offsets, or the reason the frame goes on untouched. (Inlined: else its answer would be copied.)
#[inline(always)]
pub(crate) fn parse(link: LinkLayer, frame: &[u8]) -> Result<Layers, Reason> {
    let parsed = match link {
        LinkLayer::Ethernet => Layers::ethernet(frame),
        LinkLayer::Ip => Layers::ip(frame, 0),
        LinkLayer::Cooked => Layers::cooked(frame),
        LinkLayer::Cooked2 => Layers::cooked2(frame),
        LinkLayer::Null => Layers::ip(frame, 4),
        LinkLayer::Unknown => Err(NotParsed::NotIp),
    };
    parsed.map_err(|why| match why {
        NotParsed::NotIp => Reason::NotIp,
        NotParsed::Truncated => Reason::Truncated,
        NotParsed::BadHeader => Reason::BadHeader,
        NotParsed::TooManyHeaders => Reason::TooManyHeaders,
        NotParsed::SourceRouted => Reason::SourceRouted,
    })
}

/// Into a frame that is not IP itself, where the link says what it is.
pub(crate) fn walk_into(link: LinkLayer, frame: &[u8]) -> Option<Walk<'_>> {
    match link {
        LinkLayer::Ethernet => Some(Walk::into_frame(frame, 12)),
        LinkLayer::Cooked => Some(Walk::into_frame(frame, 14)),
        LinkLayer::Ip | LinkLayer::Cooked2 | LinkLayer::Null | LinkLayer::Unknown => None,
    }
}
