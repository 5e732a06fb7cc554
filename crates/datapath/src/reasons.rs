//! Why a frame left the journey, and its fate. One table: code, metric and manual read it.
//!
//! Holds:     [`Reason`], one a row, and [`FrameFate`].
//! Promises:  every received frame is counted under exactly one reason, so the sum of all reasons
//!            is the number of received frames. A fact that is not the end of a received frame is
//!            an [`Event`](crate::Event).
//! Never:     steers a frame: a fate is what the metric and the manual say, and no step of the
//!            journey branches on it.

/// The end of a frame in the journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameFate {
    /// Sent on, exactly as it came.
    Untouched,
    /// Sent on, changed; or answered.
    Changed,
    /// Kept for now.
    Held,
    /// Gone.
    Dropped,
}

impl FrameFate {
    /// As the metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Changed => "changed",
            Self::Held => "held",
            Self::Dropped => "dropped",
        }
    }
}

macro_rules! reasons {
    ($($name:ident $label:literal $fate:ident $help:literal;)+) => {
        /// Why a frame left the journey.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $help] $name,)+ }

        impl Reason {
            /// In the order of the journey.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its place in [`Self::ALL`].
            #[expect(clippy::as_conversions, reason = "the number of a fieldless enum")]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The metric's label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// The end of its frames.
            pub const fn fate(self) -> FrameFate {
                match self { $(Self::$name => FrameFate::$fate,)+ }
            }

            /// The manual's entry.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

reasons! {
    // Parse.
    NotIp "not_ip" Untouched "The frame is neither IPv4 nor IPv6: ARP, LLC, or MPLS and PPPoE with nothing in scope inside.";
    Truncated "truncated" Untouched "The frame is shorter than its headers, or than the length that its IP header claims.";
    BadHeader "bad_header" Untouched "The IP header contradicts itself, and every receiver discards it.";
    TooManyHeaders "too_many_headers" Untouched "The packet has more VLAN tags or IPv6 extension headers than wirepatch follows.";
    SourceRouted "source_routed" Untouched "A routing header has stops left: the packet is not on its way to the server yet.";
    NotTransport "not_transport" Untouched "The packet is neither TCP nor UDP, nor a tunnel with a packet in scope inside.";
    // Classify.
    NotInPlan "not_in_plan" Untouched "No patch is in scope of this server and port.";
    Tunnelled "tunnelled" Dropped "A tunnel carries a packet of a server and port in scope, or hides its content in fragments or deep nesting. wirepatch cannot patch it there (`tunnels: drop`).";
    TunnelledPassed "tunnelled_passed" Untouched "As `tunnelled`, but `tunnels: pass` is set or the group only observes. The packet was not inspected.";
    BadTransportHeader "bad_transport_header" Untouched "The TCP or UDP header is cut short or contradicts itself, and every receiver discards it.";
    BadIpChecksum "bad_ip_checksum" Untouched "A packet in scope has a wrong IP header checksum. The server discards it, and wirepatch did not inspect it.";
    BadChecksum "bad_checksum" Untouched "A packet in scope has a wrong UDP or TCP checksum. The server discards it, and wirepatch did not inspect it.";
    FragmentHeld "fragment_held" Held "A fragment waits for the rest of its datagram. The fragment that completes the datagram has the reason of the whole.";
    FragmentRepeated "fragment_repeated" Dropped "The fragment is an exact copy of one that is held already.";
    FragmentOverlaps "fragment_overlaps" Dropped "The fragment overlaps another one of its datagram, which is dropped whole (RFC 5722), or came after such a fragment.";
    FragmentImpossible "fragment_impossible" Dropped "The fragment cannot belong to any datagram: it ends past 65,535 bytes, or has an odd length before the end.";
    FragmentsFull "fragments_full" Dropped "There is no room to hold another fragment.";
    FragmentsTooLong "fragments_too_long" Dropped "A TCP segment in fragments is longer than one frame when it is whole.";
    // Track and assemble (TCP).
    TcpUntracked "tcp_untracked" Untouched "The connection of a segment in scope was not seen to begin. The segment was not inspected.";
    TcpMidstreamReset "tcp_midstream_reset" Dropped "The connection of a segment in scope was not seen to begin. Both of its ends were reset (`midstream: reset`).";
    FlowTableFull "flow_table_full" Untouched "There is no room to track a new connection, and the fail mode is open. The segment was not inspected.";
    FlowTableFullClosed "flow_table_full_closed" Dropped "There is no room to track a new connection, and the fail mode is closed. The client tries again.";
    TcpSigned "tcp_signed" Untouched "The connection signs its segments (TCP-MD5, TCP-AO), so wirepatch must not edit any.";
    TcpMoved "tcp_moved" Changed "Only numbers of the header changed, because bytes before it were edited.";
    TcpRebuilt "tcp_rebuilt" Changed "The segment repeats bytes that were sent before. wirepatch sent them again from its copy, or answered with an acknowledgement.";
    TcpHeld "tcp_held" Held "The bytes of the segment wait for the rest of their unit.";
    TcpReleased "tcp_released" Changed "The segment released bytes that were held.";
    TcpAhead "tcp_ahead" Held "The segment came ahead of bytes before it, and waits for them.";
    TcpAheadDropped "tcp_ahead_dropped" Dropped "The segment came too far ahead of the bytes before it. Its sender retransmits it.";
    TcpNoBlocks "tcp_no_blocks" Dropped "No block was free to keep its bytes, or, for bytes ahead of others, too few. Its sender retransmits it.";
    TcpNoFlights "tcp_no_flights" Dropped "As many half-streams have bytes in flight as wirepatch can follow. Its sender retransmits it.";
    TcpInFlightFull "tcp_in_flight_full" Dropped "More bytes of the half-stream are unacknowledged than wirepatch keeps. Its sender retransmits it.";
    TcpBadFlags "tcp_bad_flags" Dropped "The control bits contradict each other, and every receiver discards them (RFC 9293), or the segment is signed in a connection without signatures (RFC 2385).";
    TcpSourceRoute "tcp_source_route" Dropped "TCP came behind an IPv4 source route, which hosts drop unless they are told otherwise (RFC 7126 section 4.3).";
    TcpTooOld "tcp_too_old" Dropped "The timestamp is older than one that came in order before it. The receiver would discard the segment (RFC 7323, PAWS).";
    TcpEarly "tcp_early" Dropped "The segment came before the handshake was answered. The receiver would discard it (RFC 9293 section 3.10.7.3).";
    TcpSynData "tcp_syn_data" Changed "wirepatch stripped the data of a SYN. Its sender retransmits them behind the handshake, where they are inspected.";
    TcpClosed "tcp_closed" Changed "A patch, or the fail mode, ended the connection: both ends were reset.";
    TcpBroken "tcp_broken" Changed "wirepatch could not keep an edit for retransmission: both ends were reset.";
    TcpAfterReset "tcp_after_reset" Dropped "The connection was reset, by an end or by wirepatch. The segment was answered with a reset.";
    IcmpMoved "icmp_moved" Changed "An ICMP error quoted a segment of an edited connection. It goes on with the numbers that the segment's sender sent.";
    // Decide.
    Unchanged "unchanged" Untouched "The message was inspected, and keeps every bound.";
    Edited "edited" Changed "At least one field was changed.";
    DroppedByPatch "dropped_by_patch" Dropped "A patch dropped the message, because the patched server ignores it.";
    RefusedByPatch "refused_by_patch" Changed "A patch answered in the server's stead. The server never gets the message.";
    FailedOpen "failed_open" Untouched "A rule could not be decided, and the group fails open: the message went on unpatched.";
    FailedClosed "failed_closed" Dropped "A rule could not be decided, and the group fails closed.";
    // Repair.
    CannotFragment "cannot_fragment" Dropped "An edit grew the packet past the MTU, and its headers leave no room to fragment it.";
    NoFrames "no_frames" Dropped "The frame pool was empty when wirepatch needed a new frame.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_labels_are_unique() {
        let mut labels = std::collections::HashSet::new();
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), at);
            assert!(labels.insert(reason.label()), "{} twice", reason.label());
            assert!(reason.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(reason.help().ends_with('.'));
        }
    }
}
