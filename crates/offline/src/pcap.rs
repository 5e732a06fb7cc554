//! Captures through the data path: a capture file in, a capture file out, and a report of every
//! edit.
//!
//! Holds:     [`Capture`], the framing of pcap and pcapng files, and [`replay`].
//! Promises:  a capture without a changed packet comes out byte for byte, whatever is in it:
//!            unknown blocks, comments, options, a record cut short at the end, or no capture at
//!            all.
//! Never:     invents a time: an inserted packet has the time of the packet that caused it.
//!
//! The framing is our own. The crates at hand (`pcap-file`, `pcap-parser`) hand out parsed blocks
//! and write parsed blocks, which loses reserved bits, padding and the order of options; to leave
//! what is not changed as it is, one needs ranges of the file, and those are the fewer lines.

mod records;
mod replay;
mod report;

pub use records::{Capture, CaptureFormat, CaptureItem, LinkType, PacketRecord};
pub use replay::{CaptureFrame, ReplayOutcome, link_of, replay};
pub use report::{EditEntry, PacketFate, ReplayReport};

#[cfg(test)]
mod tests;
