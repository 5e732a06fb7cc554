//! Step 3: does a patch concern this packet? Most traffic leaves here, after two bits of the
//! scope's port map.

use plan::{Endpoint, Plan, ScopeTable};
use wire::tunnel::{self as inside, Walk};
use wire::{Layers, Transport, checksum, number};

use crate::config::{CoreConfig, LinkLayer};
use crate::limits::Tunnels;
use crate::nic::{Frame, RxChecksum};
use crate::packet::{Packet, Path, Prefilter};
use crate::parse::{parse, walk_into};
use crate::reasons::Reason;
use crate::tcp::state::TcpState;
use crate::tunnel;

/// Steps 2 and 3 for one frame. (Inlined, as [`classify_parsed`] is.)
#[inline(always)]
pub(crate) fn classify(
    frame: &impl Frame,
    config: &CoreConfig,
    plan: &Plan,
    tcp: &TcpState,
) -> Path {
    let bytes = frame.as_ref();
    let tunnels = config.limits.tunnels;
    let layers = match parse(config.link, bytes) {
        Ok(layers) => layers,
        Err(Reason::NotIp) => return not_ip(bytes, config.link, tunnels, plan),
        Err(reason) => return Path::Out(reason),
    };
    let checked = config.trust_checksums || frame.rx_checksum() == RxChecksum::Good;
    classify_parsed(bytes, layers, checked, tunnels, plan, tcp)
}

/// What is not IP may carry IP.
#[cold]
#[inline(never)]
fn not_ip(bytes: &[u8], link: LinkLayer, tunnels: Tunnels, plan: &Plan) -> Path {
    let walk = walk_into(link, bytes);
    walk.and_then(|walk| tunnel::path(walk, tunnels, plan)).unwrap_or(Path::Out(Reason::NotIp))
}

/// A short cut for most packets there are: IP without options, no fragment, at most one VLAN tag,
/// on ports that no module names. Only a packet that would leave untouched anyway is taken here, so
/// nothing that is left unread can matter.
#[inline]
pub(crate) fn prefilter(
    frame: &impl AsRef<[u8]>,
    config: &CoreConfig,
    scope: &ScopeTable,
    tcp: &TcpState,
) -> Prefilter {
    if config.link != LinkLayer::Ethernet {
        return Prefilter::Other;
    }
    let frame = frame.as_ref();
    let Some((&[.., high, low], mut ip)) = frame.split_first_chunk::<14>() else {
        return Prefilter::Other;
    };
    let mut kind = u16::from_be_bytes([high, low]);
    if kind == number::ETHER_VLAN {
        let Some((&[_, _, high, low], rest)) = ip.split_first_chunk::<4>() else {
            return Prefilter::Other;
        };
        kind = u16::from_be_bytes([high, low]);
        ip = rest;
    }
    let (protocol, ports) = match kind {
        number::ETHER_IPV4 => match ip.split_first_chunk::<20>() {
            Some((&[0x45, _, _, _, _, _, 0 | 0x40, 0, _, protocol, ..], rest)) => (protocol, rest),
            _ => return Prefilter::Other,
        },
        number::ETHER_IPV6 => match ip.split_first_chunk::<40>() {
            Some((&[0x60..=0x6f, _, _, _, _, _, protocol, ..], rest)) => (protocol, rest),
            _ => return Prefilter::Other,
        },
        _ => return Prefilter::Other,
    };
    let (transport, in_scope) = match protocol {
        number::TCP if tcp.has_orphans() => return Prefilter::Segment,
        number::TCP => (proto::Transport::Tcp, Prefilter::Segment),
        number::UDP => (proto::Transport::Udp, Prefilter::Other),
        _ => return Prefilter::Other,
    };
    let Some(&[a, b, c, d]) = ports.first_chunk::<4>() else { return Prefilter::Other };
    let named = |port| scope.names_port(transport, port);
    if named(u16::from_be_bytes([a, b])) || named(u16::from_be_bytes([c, d])) {
        in_scope
    } else {
        Prefilter::OutOfScope
    }
}

/// The same for a packet whose headers are known. `checked`: its checksums are taken for right.
/// (Inlined, or a packet's offsets would be copied at every step.)
#[inline(always)]
pub(crate) fn classify_parsed(
    bytes: &[u8],
    layers: Layers,
    checked: bool,
    tunnels: Tunnels,
    plan: &Plan,
    tcp: &TcpState,
) -> Path {
    //= https://www.rfc-editor.org/rfc/rfc6946#section-4
    //# A host that receives an IPv6 packet that includes a Fragment Header with the "Fragment
    //# Offset" equal to 0 and the "M" flag equal to 0 MUST process that packet in isolation from
    //# any other packets
    if layers.fragment.is_some_and(|fragment| fragment.more || fragment.offset_bytes > 0) {
        return fragment(bytes, layers, checked, tunnels, plan);
    }
    let scope = &plan.scope;
    let transport = match layers.transport {
        Transport::Tcp => proto::Transport::Tcp,
        Transport::Udp => proto::Transport::Udp,
        Transport::Other | Transport::LaterFragment | Transport::Malformed => {
            return portless(bytes, layers, tunnels, plan, tcp);
        }
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
    // Also where a module names such a port: the packet inside is not of the module's protocol.
    if transport == proto::Transport::Udp
        && inside::is_port(destination_port)
        && let Some(path) = tunnel::path(Walk::into_packet(bytes, &layers), tunnels, plan)
    {
        return path;
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
            let lookup = tcp.lookup(&packet, found.as_ref());
            if found.is_none() && !tcp.tracks(&packet, &lookup) {
                return Path::Out(Reason::NotInPlan);
            }
            Path::Segment(packet, lookup, found)
        }
    };
    // The receiver discards a packet with a wrong checksum, so it must reach the receiver as it is,
    // and must not move our state.
    if checked || checksum::are_plainly_right(bytes, &layers) {
        path
    } else if !checksum::ip_is_right(bytes, &layers) {
        Path::Out(Reason::BadIpChecksum)
    } else if !checksum::transport_is_right(bytes, &layers) {
        Path::Out(Reason::BadChecksum)
    } else {
        path
    }
}

/// The path of a packet in which no TCP or UDP header is to be had.
#[inline(never)]
fn portless(bytes: &[u8], layers: Layers, tunnels: Tunnels, plan: &Plan, tcp: &TcpState) -> Path {
    match layers.transport {
        Transport::Malformed => Path::Out(Reason::BadTransportHeader),
        Transport::Other
            if matches!(layers.protocol, number::ICMP | number::ICMPV6) && tcp.flows() > 0 =>
        {
            Path::Quote(layers)
        }
        Transport::Other if inside::is_protocol(layers.protocol) => {
            let found = tunnel::path(Walk::into_packet(bytes, &layers), tunnels, plan);
            found.unwrap_or(Path::Out(Reason::NotTransport))
        }
        Transport::Tcp | Transport::Udp | Transport::Other | Transport::LaterFragment => {
            Path::Out(Reason::NotTransport)
        }
    }
}

/// A fragment carries no ports (or only the first one does), so the addresses decide whether the
/// datagram is put together. Where they are nobody's, the first fragment of a tunnel still is
/// looked into: without it the others are nothing.
#[inline(never)]
fn fragment(bytes: &[u8], layers: Layers, checked: bool, tunnels: Tunnels, plan: &Plan) -> Path {
    let Some((source, destination)) = layers.addresses(bytes) else {
        return Path::Out(Reason::BadHeader);
    };
    let concerns = |transport| plan.scope.concerns(transport, &source, &destination);
    let any_concerns = || concerns(proto::Transport::Tcp) || concerns(proto::Transport::Udp);
    let (concerned, otherwise) = match layers.protocol {
        number::TCP => (concerns(proto::Transport::Tcp), Reason::NotInPlan),
        number::UDP => (concerns(proto::Transport::Udp), Reason::NotInPlan),
        // What follows these is only seen when the datagram is whole.
        number::DESTINATION | number::HOP_BY_HOP | number::ROUTING => {
            (any_concerns(), Reason::NotInPlan)
        }
        protocol if inside::is_protocol(protocol) => {
            (tunnels == Tunnels::Drop && any_concerns(), Reason::NotTransport)
        }
        _ => return Path::Out(Reason::NotTransport),
    };
    if !concerned {
        let found = tunnel::path(Walk::into_packet(bytes, &layers), tunnels, plan);
        found.unwrap_or(Path::Out(otherwise))
    } else if !checked && !checksum::ip_is_right(bytes, &layers) {
        Path::Out(Reason::BadIpChecksum)
    } else {
        Path::Fragment(layers)
    }
}
