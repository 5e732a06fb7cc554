//! The kinds of traffic that are measured, and the patches that put each in scope.

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficKind {
    /// 64-byte UDP datagrams to a port that no patch names.
    UdpOutOfScope,
    /// 64-byte UDP datagrams, every other one a DNS query in scope.
    UdpHalf,
    /// DNS queries of ordinary names.
    Dns,
    /// DNS queries whose name is longer than the bench's patch lets it be.
    DnsEdited,
    /// HTTP requests of 500 bytes and ten headers on kept-alive connections, each answered by a
    /// short response.
    HttpRequests,
    /// The same requests, each answered by 16 KiB in full-size segments, of which every other one
    /// is acknowledged.
    HttpResponses,
    /// Bare acknowledgements of 65,536 open connections in turn.
    TcpAcks,
    /// Bare acknowledgements of 1,024 open connections in random order.
    TcpAcksFew,
    /// The same of 1,048,576.
    TcpAcksMany,
}

impl TrafficKind {
    /// In the order of the bench's table. Those that are only measured beside another are not among
    /// them.
    pub const ALL: &[Self] = &[
        Self::UdpOutOfScope,
        Self::UdpHalf,
        Self::Dns,
        Self::DnsEdited,
        Self::HttpRequests,
        Self::HttpResponses,
        Self::TcpAcks,
    ];

    /// Its name on command lines and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UdpOutOfScope => "udp-out-of-scope",
            Self::UdpHalf => "udp-half",
            Self::Dns => "dns",
            Self::DnsEdited => "dns-edited",
            Self::HttpRequests => "http-requests",
            Self::HttpResponses => "http-responses",
            Self::TcpAcks => "tcp-acks",
            Self::TcpAcksFew => "tcp-acks-few",
            Self::TcpAcksMany => "tcp-acks-many",
        }
    }

    /// One line for a reader.
    pub const fn title(self) -> &'static str {
        match self {
            Self::UdpOutOfScope => "64-byte UDP, out of scope",
            Self::UdpHalf => "64-byte UDP, half of it DNS in scope",
            Self::Dns => "DNS queries in scope, no rule fires",
            Self::DnsEdited => "DNS queries, every one shortened",
            Self::HttpRequests => "HTTP requests (500 bytes, 10 headers)",
            Self::HttpResponses => "HTTP with full-size responses",
            Self::TcpAcks => "TCP ACKs over 65,536 connections",
            Self::TcpAcksFew => "TCP ACKs over 1,024 connections in random order",
            Self::TcpAcksMany => "TCP ACKs over 1,048,576 connections in random order",
        }
    }

    /// The protocol and port of the server that its messages in scope are for.
    pub const fn server(self) -> Option<(&'static str, u16)> {
        match self {
            Self::UdpOutOfScope => None,
            Self::UdpHalf | Self::Dns | Self::DnsEdited => Some(("dns", 53)),
            Self::HttpRequests
            | Self::HttpResponses
            | Self::TcpAcks
            | Self::TcpAcksFew
            | Self::TcpAcksMany => Some(("http", 80)),
        }
    }

    /// Connections a core has to have room for; those that are only compared get the same room.
    pub const fn connections(self) -> u32 {
        match self {
            Self::TcpAcksFew | Self::TcpAcksMany => 1 << 20,
            Self::UdpOutOfScope | Self::UdpHalf | Self::Dns | Self::DnsEdited => 0,
            Self::HttpRequests | Self::HttpResponses | Self::TcpAcks => 1 << 16,
        }
    }

    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Patch files (name and text) that put this kind in scope, with rules of ordinary cost.
    pub const fn patches(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::UdpOutOfScope | Self::UdpHalf | Self::Dns | Self::DnsEdited => {
                &[("bench-dns", DNS_PATCH)]
            }
            Self::HttpRequests
            | Self::HttpResponses
            | Self::TcpAcks
            | Self::TcpAcksFew
            | Self::TcpAcksMany => &[("bench-http", HTTP_PATCH)],
        }
    }
}

/// Shortens long names, and refuses one query type.
const DNS_PATCH: &str = r#"
patch: bench-dns
title: names of at most 48 bytes
protocol: dns
scope: { transport: udp }
rules:
  - truncate: dns.qry.name
    to: 48
  - when: dns.qry.type == 255
    drop: message
"#;

/// One rule on the target, one on one header, one on every header.
const HTTP_PATCH: &str = r#"
patch: bench-http
title: bounds of an ordinary server
protocol: http
scope: { direction: request }
rules:
  - truncate: http.request.uri
    to: 2048
  - when: count(http.range, ",") >= 200
    remove: http.range
  - replace: http.header
    pattern: '${'
    with: '$('
"#;
