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
    NotIp "not_ip" Untouched "Neither IPv4 nor IPv6 (ARP, LLC, MPLS or PPPoE with nothing in scope inside); sent on untouched.";
    Truncated "truncated" Untouched "Shorter than its headers or than the length IP claims; sent on untouched.";
    BadHeader "bad_header" Untouched "An IP header that contradicts itself, which every receiver discards; sent on untouched.";
    TooManyHeaders "too_many_headers" Untouched "More VLAN tags or IPv6 extension headers than are followed; sent on untouched.";
    SourceRouted "source_routed" Untouched "A routing header with stops ahead: this is not yet on its way to the server; sent on untouched.";
    NotTransport "not_transport" Untouched "IP, but neither TCP nor UDP, nor a tunnel with a packet in scope inside; sent on untouched.";
    // Classify.
    NotInPlan "not_in_plan" Untouched "No patch is in scope of this server and port; sent on untouched.";
    Tunnelled "tunnelled" Dropped "Carries a packet of a server and port in scope inside a tunnel (or hides what it carries in fragments or deep nesting), where it cannot be patched (`tunnels: drop`).";
    TunnelledPassed "tunnelled_passed" Untouched "As `tunnelled`, but `tunnels: pass` is set or its group only observes; sent on untouched, not inspected.";
    BadTransportHeader "bad_transport_header" Untouched "A TCP or UDP header that is cut short or contradicts itself, which every receiver discards; sent on untouched.";
    BadIpChecksum "bad_ip_checksum" Untouched "In scope, with a wrong IP header checksum, so the server discards it; sent on untouched, not inspected.";
    BadChecksum "bad_checksum" Untouched "In scope, with a wrong UDP or TCP checksum, so the server discards it; sent on untouched, not inspected.";
    FragmentHeld "fragment_held" Held "A fragment that waits for the rest of its datagram; the one that completes it is counted under what becomes of the whole.";
    FragmentRepeated "fragment_repeated" Dropped "An exact copy of a fragment that is held already.";
    FragmentOverlaps "fragment_overlaps" Dropped "Overlaps another fragment of its datagram, which is dropped whole (RFC 5722), or came after such a fragment.";
    FragmentImpossible "fragment_impossible" Dropped "A fragment that cannot belong to any datagram: past 65,535 bytes, or of an odd length before the end.";
    FragmentsFull "fragments_full" Dropped "No room to hold another fragment.";
    FragmentsTooLong "fragments_too_long" Dropped "A TCP segment in fragments that is longer than one frame when whole.";
    // Track and assemble (TCP).
    TcpUntracked "tcp_untracked" Untouched "A TCP segment in scope whose connection was not seen to begin; sent on untouched, not inspected.";
    TcpMidstreamReset "tcp_midstream_reset" Dropped "A TCP segment in scope whose connection was not seen to begin; both its ends were reset (`midstream: reset`).";
    FlowTableFull "flow_table_full" Untouched "No room to track a new connection, and the fail mode is open: it is sent on untouched, not inspected.";
    FlowTableFullClosed "flow_table_full_closed" Dropped "No room to track a new connection, and the fail mode is closed: its client tries again.";
    TcpSigned "tcp_signed" Untouched "The connection signs its segments (TCP-MD5, TCP-AO), so none may be edited; sent on untouched.";
    TcpMoved "tcp_moved" Changed "Only numbers of the header changed, because bytes before it were edited.";
    TcpRebuilt "tcp_rebuilt" Changed "Brought again what was sent before: sent again out of the copy, or answered with an acknowledgement.";
    TcpHeld "tcp_held" Held "Its bytes wait for the rest of their unit.";
    TcpReleased "tcp_released" Changed "Let bytes go that were held.";
    TcpAhead "tcp_ahead" Held "Came ahead of bytes before it, and waits for them.";
    TcpAheadDropped "tcp_ahead_dropped" Dropped "Came too far ahead of the bytes before it to be kept; its sender resends it.";
    TcpNoBlocks "tcp_no_blocks" Dropped "No block was free to keep its bytes, or, ahead of others, too few to keep them; its sender resends it.";
    TcpNoFlights "tcp_no_flights" Dropped "As many half-streams have bytes in flight as can be followed; its sender resends it.";
    TcpInFlightFull "tcp_in_flight_full" Dropped "More of its half-stream is unacknowledged than is kept; its sender resends it.";
    TcpBadFlags "tcp_bad_flags" Dropped "Control bits that contradict each other, which every receiver discards (RFC 9293), or a signature in a connection that has none (RFC 2385).";
    TcpSourceRoute "tcp_source_route" Dropped "TCP behind an IPv4 source route, which hosts drop unless told otherwise (RFC 7126 section 4.3).";
    TcpTooOld "tcp_too_old" Dropped "Its timestamp is older than one that came in order before it, so its receiver would discard it (RFC 7323, PAWS).";
    TcpEarly "tcp_early" Dropped "Came before the handshake was answered, so its receiver would discard it (RFC 9293 section 3.10.7.3).";
    TcpSynData "tcp_syn_data" Changed "Data in a SYN was taken off; its sender resends it behind the handshake, where it is inspected.";
    TcpClosed "tcp_closed" Changed "A patch, or the fail mode, ended the connection: both ends were reset.";
    TcpBroken "tcp_broken" Changed "An edit could not be kept for resending: both ends were reset.";
    TcpAfterReset "tcp_after_reset" Dropped "Belongs to a connection that was reset, by an end or from here; answered with a reset.";
    IcmpMoved "icmp_moved" Changed "An ICMP error quoted a segment of an edited connection; it goes on with the numbers that the segment's sender sent.";
    // Decide.
    Unchanged "unchanged" Untouched "Inspected, and within every bound.";
    Edited "edited" Changed "At least one field was changed.";
    DroppedByPatch "dropped_by_patch" Dropped "A patch says that the patched server ignores this message.";
    RefusedByPatch "refused_by_patch" Changed "A patch answered in the server's stead; the server never sees the message.";
    FailedOpen "failed_open" Untouched "Could not be decided, and the group fails open: sent on unpatched.";
    FailedClosed "failed_closed" Dropped "Could not be decided, and the group fails closed.";
    // Repair.
    CannotFragment "cannot_fragment" Dropped "Edited to more than the MTU, behind headers that leave no room to fragment.";
    NoFrames "no_frames" Dropped "The frame pool was empty when a new frame was needed.";
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
