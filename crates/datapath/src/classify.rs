//! Step 3: does a patch concern this packet? Most traffic leaves here, after two bits of the scope's port map.

use plan::{Endpoint, Found, ScopeTable};
use wire::{Layers, Transport, checksum, number};

use crate::core::CoreConfig;
use crate::nic::{Frame, RxChecksum};
use crate::parse::{Link, parse};
use crate::reasons::Reason;
use crate::tcp;

/// A packet on its way through the steps.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Where its headers stand.
    pub layers: Layers,
    /// Who sent it.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// On, untouched.
    Out(Reason),
    /// A part of a datagram that may be in scope.
    Fragment(Layers),
    /// An ICMP message, which may quote a tracked connection.
    Quote(Layers),
    /// A datagram in scope.
    Datagram(Packet, Found),
    /// A TCP segment in scope, or (without `Found`) of a connection whose numbers were shifted before its scope went away.
    Segment(Packet, tcp::Question, Option<Found>),
}

/// Steps 2 and 3 for one frame. (Inlined, as [`classify_parsed`] is.)
#[inline(always)]
pub(crate) fn classify(
    frame: &impl Frame,
    config: &CoreConfig,
    scope: &ScopeTable,
    tcp: &tcp::State,
) -> Path {
    let bytes = frame.as_ref();
    let layers = match parse(config.link, bytes) {
        Ok(layers) => layers,
        Err(reason) => return Path::Out(reason),
    };
    let checked = config.trust_checksums || frame.rx_checksum() == RxChecksum::Good;
    classify_parsed(bytes, layers, checked, scope, tcp)
}

/// What a look at the first bytes says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glance {
    /// Out of scope: it leaves untouched.
    Elsewhere,
    /// It seems to be a segment in scope.
    Segment,
    /// Whatever else.
    Other,
}

/// A short cut for most packets there are: IP without options, no fragment, at most one VLAN tag, on ports that no module names.
/// Only a packet that would leave untouched anyway is taken here, so nothing that is left unread can matter.
#[inline]
pub(crate) fn glance(
    frame: &impl AsRef<[u8]>,
    config: &CoreConfig,
    scope: &ScopeTable,
    tcp: &tcp::State,
) -> Glance {
    if config.link != Link::Ethernet {
        return Glance::Other;
    }
    let frame = frame.as_ref();
    let Some((&[.., high, low], mut ip)) = frame.split_first_chunk::<14>() else {
        return Glance::Other;
    };
    let mut kind = u16::from_be_bytes([high, low]);
    if kind == number::ETHER_VLAN {
        let Some((&[_, _, high, low], rest)) = ip.split_first_chunk::<4>() else {
            return Glance::Other;
        };
        kind = u16::from_be_bytes([high, low]);
        ip = rest;
    }
    let (protocol, ports) = match kind {
        number::ETHER_IPV4 => match ip.split_first_chunk::<20>() {
            Some((&[0x45, _, _, _, _, _, 0 | 0x40, 0, _, protocol, ..], rest)) => (protocol, rest),
            _ => return Glance::Other,
        },
        number::ETHER_IPV6 => match ip.split_first_chunk::<40>() {
            Some((&[0x60..=0x6f, _, _, _, _, _, protocol, ..], rest)) => (protocol, rest),
            _ => return Glance::Other,
        },
        _ => return Glance::Other,
    };
    let (transport, in_scope) = match protocol {
        number::TCP if tcp.has_orphans() => return Glance::Segment,
        number::TCP => (proto::Transport::Tcp, Glance::Segment),
        number::UDP => (proto::Transport::Udp, Glance::Other),
        _ => return Glance::Other,
    };
    let Some(&[a, b, c, d]) = ports.first_chunk::<4>() else { return Glance::Other };
    let named = |port| scope.names_port(transport, port);
    if named(u16::from_be_bytes([a, b])) || named(u16::from_be_bytes([c, d])) {
        in_scope
    } else {
        Glance::Elsewhere
    }
}

/// The same for a packet whose headers are known. `checked`: its checksums are taken for right. (Inlined, or a packet's offsets
/// would be copied at every step.)
#[inline(always)]
pub(crate) fn classify_parsed(
    bytes: &[u8],
    layers: Layers,
    checked: bool,
    scope: &ScopeTable,
    tcp: &tcp::State,
) -> Path {
    //= https://www.rfc-editor.org/rfc/rfc6946#section-4
    //# A host that receives an IPv6 packet that includes a Fragment Header with the "Fragment Offset" equal to 0 and the
    //# "M" flag equal to 0 MUST process that packet in isolation from any other packets
    if layers.fragment.is_some_and(|fragment| fragment.more || fragment.offset_bytes > 0) {
        return fragment(bytes, layers, checked, scope);
    }
    let transport = match layers.transport {
        Transport::Tcp => proto::Transport::Tcp,
        Transport::Udp => proto::Transport::Udp,
        Transport::Other
            if matches!(layers.protocol, number::ICMP | number::ICMPV6) && tcp.flows() > 0 =>
        {
            return Path::Quote(layers);
        }
        Transport::Other | Transport::LaterFragment => return Path::Out(Reason::NotTransport),
        Transport::Malformed => return Path::Out(Reason::BadTransportHeader),
    };
    let Some((source_port, destination_port)) = layers.ports(bytes) else {
        return Path::Out(Reason::BadTransportHeader);
    };
    let named =
        scope.names_port(transport, source_port) || scope.names_port(transport, destination_port);
    let may_be_shifted = transport == proto::Transport::Tcp && tcp.has_orphans();
    if !named && !may_be_shifted {
        return Path::Out(Reason::NotInPlan);
    }
    let Some((source, destination)) = layers.addresses(bytes) else {
        return Path::Out(Reason::BadHeader);
    };
    let source = Endpoint { address: source, port: source_port };
    let destination = Endpoint { address: destination, port: destination_port };
    let packet = Packet { layers, source, destination };
    let found = scope.find(transport, &source, &destination);
    let path = match (transport, found) {
        (proto::Transport::Udp, Some(found)) => Path::Datagram(packet, found),
        (proto::Transport::Udp, None) => return Path::Out(Reason::NotInPlan),
        (proto::Transport::Tcp, found) => {
            let question = tcp.question(&packet, found.as_ref());
            if found.is_none() && !tcp.tracks(&packet, &question) {
                return Path::Out(Reason::NotInPlan);
            }
            Path::Segment(packet, question, found)
        }
    };
    // The receiver discards these, so they must reach it as they are and must not move our state.
    if checked {
        path
    } else if !checksum::ip_is_right(bytes, &layers) {
        Path::Out(Reason::BadIpChecksum)
    } else if !checksum::transport_is_right(bytes, &layers) {
        Path::Out(Reason::BadChecksum)
    } else {
        path
    }
}

/// A fragment carries no ports (or only the first one does), so the addresses decide whether the datagram is put together.
#[inline(never)]
fn fragment(bytes: &[u8], layers: Layers, checked: bool, scope: &ScopeTable) -> Path {
    let Some((source, destination)) = layers.addresses(bytes) else {
        return Path::Out(Reason::BadHeader);
    };
    let concerns = |transport| scope.concerns(transport, &source, &destination);
    let concerned = match layers.protocol {
        number::TCP => concerns(proto::Transport::Tcp),
        number::UDP => concerns(proto::Transport::Udp),
        // What follows these is only seen when the datagram is whole.
        number::DESTINATION | number::HOP_BY_HOP | number::ROUTING => {
            concerns(proto::Transport::Tcp) || concerns(proto::Transport::Udp)
        }
        _ => return Path::Out(Reason::NotTransport),
    };
    if !concerned {
        Path::Out(Reason::NotInPlan)
    } else if !checked && !checksum::ip_is_right(bytes, &layers) {
        Path::Out(Reason::BadIpChecksum)
    } else {
        Path::Fragment(layers)
    }
}
