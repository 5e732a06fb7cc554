//! Facts that operators want counted and that are not the end of a received frame. One table: code,
//! metric and manual read it.
//!
//! Holds:     [`Event`], one a row, and [`EventUnit`].
//! Promises:  an event never stands for a received frame: that frame has its
//!            [`Reason`](crate::Reason) beside it, or had one earlier. Frames that are lost after
//!            they had their reason are counted here.
//! Never:     steers a frame.

/// The thing that one count of an event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventUnit {
    /// A TCP connection.
    Connection,
    /// One direction of a TCP connection.
    HalfStream,
    /// A frame that was lost, after it had its reason or before there was one.
    /// `wirepatch_drops_total` counts it too.
    LostFrame,
}

impl EventUnit {
    /// As the manual calls it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::HalfStream => "half-stream",
            Self::LostFrame => "lost frame",
        }
    }
}

macro_rules! events {
    ($($name:ident $label:literal $unit:ident $help:literal;)+) => {
        /// A fact that is not the end of a received frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event { $(#[doc = $help] $name,)+ }

        impl Event {
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

            /// The thing that is counted.
            pub const fn unit(self) -> EventUnit {
                match self { $(Self::$name => EventUnit::$unit,)+ }
            }

            /// The manual's entry.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

events! {
    // Assemble.
    FragmentTimedOut "fragment_timed_out" LostFrame "A held fragment was dropped: the rest of its datagram did not come in time.";
    FragmentsDiscarded "fragments_discarded" LostFrame "A held fragment was dropped: a later one overlapped a part of its datagram (RFC 5722). The later one has the reason `fragment_overlaps`.";
    // Track and assemble (TCP).
    TcpPickedUp "tcp_picked_up" Connection "A connection that was not seen to begin is tracked from here on (`midstream: pick_up`).";
    FlowEvicted "flow_evicted" Connection "A half-open connection made room for a new one in a full table.";
    TcpIdleReset "tcp_idle_reset" Connection "A connection was silent for more than two hours and was reset at both ends: its next message would not be patched.";
    TcpHoldEnded "tcp_hold_ended" HalfStream "Bytes that may begin a pattern were held for the longest time allowed (`limits.pattern_hold_ms`), and were sent on.";
    TcpHoldReset "tcp_hold_reset" Connection "The rest of a message did not come for the longest time allowed (or the fail mode decided so when a hold ended), and both ends were reset.";
    TcpResent "tcp_resent" HalfStream "Bytes that wirepatch had acknowledged to their sender were not acknowledged by the receiver in time, and were sent again.";
    // Repair.
    TcpFrameless "tcp_frameless" LostFrame "The frame pool was empty when wirepatch had to make a segment of its own; most are due again.";
    // Transmit.
    TxQueueFull "tx_queue_full" LostFrame "The queue of the port stayed full, and a frame that had its reason already was dropped.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Reason;

    #[test]
    fn the_table_is_in_order_and_its_labels_are_unique() {
        let mut labels: std::collections::HashSet<_> =
            Reason::ALL.iter().map(|reason| reason.label()).collect();
        for (at, event) in Event::ALL.iter().enumerate() {
            assert_eq!(event.index(), at);
            assert!(labels.insert(event.label()), "{} twice, or a reason too", event.label());
            assert!(event.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(event.help().ends_with('.'));
        }
    }
}
