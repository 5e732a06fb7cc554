//! The report of a replay, for people and programs.

use std::collections::BTreeMap;

/// The counts and the edits of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplayReport {
    /// `pcap`, `pcapng` or `unknown` (handed through).
    pub format: &'static str,
    /// Packets in the capture.
    pub packets: u64,
    /// Came out byte for byte.
    pub unchanged: u64,
    /// Came out changed.
    pub changed: u64,
    /// Did not come out.
    pub left_out: u64,
    /// Inserted: replies, acknowledgements, fragments of a datagram that grew.
    pub inserted: u64,
    /// Cut short when they were captured, so not looked at.
    pub cut_short: u64,
    /// Of a link type that is not understood, so not looked at.
    pub other_links: u64,
    /// Packets by the reason they left the journey with.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Events that are not the end of a packet, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<&'static str, u64>,
    /// Messages that could not be decided, by cause.
    pub undecided: BTreeMap<&'static str, u64>,
    /// Every edit and verdict, in the order of the packets; and every packet that came out other
    /// than it went in.
    pub edits: Vec<EditEntry>,
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketFate {
    /// Came out as it went in (observe mode).
    #[default]
    Unchanged,
    /// Came out changed.
    Changed,
    /// Did not come out, or only packets made from it did.
    LeftOut,
}

/// One patch on one packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EditEntry {
    /// The packet's number, from 1, as Wireshark counts.
    pub packet: u64,
    /// The patch's name; none where the packet changed because an earlier one did (numbers of a TCP
    /// stream that was edited).
    pub patch: Option<String>,
    /// The fields its rules work on.
    pub fields: Vec<&'static str>,
    /// The fate of the packet.
    pub fate: PacketFate,
    /// Edits made.
    pub edits: u64,
    /// Bytes they took away.
    pub removed_bytes: u64,
    /// Bytes they put in.
    pub inserted_bytes: u64,
    /// Messages dropped or answered, connections closed.
    pub verdicts: u64,
    /// Edits and verdicts that observe mode only counted.
    pub would_have: u64,
    /// Length of the packet as it went in.
    pub before_bytes: u64,
    /// Length of the packets that came out for it, inserted packets included.
    pub after_bytes: u64,
}
