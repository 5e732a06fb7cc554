//! Step 2: the offsets of the headers. The work is `wire`'s; this file knows the links and names
//! the exits.

use flow::SegmentIn;
use stage::position::plus;
use wire::tunnel::Walk;
use wire::{IpVersion, Layers, NotParsed, Tcp};

use crate::config::LinkLayer;
use crate::headers::IPV4_BYTES;
use crate::reasons::Reason;

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

/// The TCP header and the payload of a segment; `None` where the header is cut short or contradicts
/// itself.
#[inline(always)]
pub(crate) fn segment<'a>(frame: &'a [u8], layers: &Layers) -> Option<SegmentIn<'a>> {
    let tcp = frame.get(layers.l4..layers.ip_end).and_then(Tcp::parse)?;
    Some(SegmentIn { tcp, payload: layers.payload_of(frame) })
}

//= https://www.rfc-editor.org/rfc/rfc7126#section-4.3.5
//# Routers, security gateways, and firewalls SHOULD implement an option-specific configuration knob
//# to select whether packets with this option are dropped ... The default setting for this knob
//# SHOULD be "drop"
/// An IPv4 packet with a loose or strict source route. Its receiver takes it or drops it as it is
/// configured, so nothing in it can be relied on here.
pub(crate) fn is_source_routed(frame: &[u8], layers: &Layers) -> bool {
    let options = match layers.version {
        IpVersion::V4 => frame.get(plus(layers.ip, IPV4_BYTES)..layers.l4),
        IpVersion::V6 => None,
    };
    let mut rest = options.unwrap_or_default();
    while let Some((&kind, behind)) = rest.split_first() {
        rest = match (kind, behind.first()) {
            (0, _) => return false,
            (1, _) => behind,
            (131 | 137, _) => return true,
            (_, Some(&len)) => rest.get(usize::from(len.max(2))..).unwrap_or_default(),
            (_, None) => return false,
        };
    }
    false
}
