//! The Domain Name System (RFC 1035, 6891) over UDP and TCP, requests and responses.
//!
//! Holds:     the decoder; its field table (`fields`), names (`name`), records and the shapes of
//!            their data (`record`), dissection, repair and replies.
//! Promises:  a message is read once, front to back, as far as its header announces records and its
//!            bytes hold them; a name costs at most 255 bytes and 128 jumps.
//! Never:     copies a name that no rule reads, or trusts a length it has not compared with what is
//!            there.

mod cut;
mod dissect;
mod fields;
mod name;
mod plain;
mod record;
mod repair;
mod reply;
#[cfg(test)]
mod tests;

use crate::decoder::{
    Dissection, Need, ProtocolDecoder, Refusal, Refused, Repair, SampleMessage, Step, View,
};
use crate::edits::Edits;
use crate::fields::Span;
use crate::fields::{Field, Fields};
use crate::schema::{Protocol, Transport};
use crate::wanted::{Slot, Wanted};
use fields::Id;
use stage::Direction;

/// TCP's length prefix (RFC 1035 section 4.2.2).
const PREFIX_BYTES: u32 = 2;

/// The decoder.
pub struct Dns;

static PROTOCOL: Protocol = Protocol {
    name: "dns",
    title: "Domain Name System",
    ports: &[(Transport::Udp, &[53]), (Transport::Tcp, &[53])],
    fields: fields::FIELDS,
    unit: "a message; over TCP with its two-byte length, at most 65,537 bytes, held whole",
    readings: include_str!("../readings/dns.md"),
    refusals: reply::REFUSALS,
};

/// What is remembered of a connection over TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsState {
    /// Bytes of a message that was opened and is still to come, by direction: they need not be
    /// seen.
    pub skip: [u32; 2],
}

impl ProtocolDecoder for Dns {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[
        SampleMessage { name: "dns-query", from: Direction::Request, bytes: b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01" },
        SampleMessage { name: "dns-response", from: Direction::Response, bytes: b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x5d\xb8\xd8\x22\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x5d\xb8\xd8\x23" },
    ];

    type State = DnsState;

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        dissect::datagram(wanted, view.input, out)
    }

    fn stream(
        &self,
        wanted: &Wanted,
        dns: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let [request, response] = &mut dns.skip;
        let skip = if view.from.index() == 0 { request } else { response };
        if *skip > 0 {
            let bytes = u64::from(core::mem::take(skip));
            return Step::Skip { bytes, last: true };
        }
        let bytes = view.input.len();
        let Some((prefix, rest)) = view.input.split_first_chunk::<2>() else {
            if !view.ended || bytes == 0 {
                return Step::More(Need::Bytes(2));
            }
            dissect::message(wanted, true, &[], 0, true, out);
            return Step::Unit { bytes, first: true, last: true };
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        let missing = len.saturating_sub(rest.len());
        if missing > 0 && !view.open && !view.ended {
            return Step::More(Need::Bytes(len.saturating_add(2)));
        }
        let mut quiet = true;
        if wanted.plain() & Id::Length.bit() != 0 {
            let number = u64::from(u16::from_be_bytes(*prefix));
            quiet = wanted.field_prefilter().is_some_and(|prefilter| {
                !prefilter.number(Id::Length.slot(), prefix.len(), number)
            });
            out.number(Id::Length.slot(), Span { start: 0, end: PREFIX_BYTES }, number);
        }
        let message = rest.get(..len).unwrap_or(rest);
        let whole = missing == 0 || view.ended;
        dissect::message(wanted, quiet, message, PREFIX_BYTES, whole, out);
        if !whole {
            // The caller could hold no more of it; what is left has no field that could be decided
            // any more.
            *skip = u32::try_from(missing).unwrap_or(u32::MAX);
        }
        Step::Unit { bytes: message.len().saturating_add(2), first: true, last: whole }
    }

    fn repair(
        &self,
        transport: Transport,
        view: View<'_>,
        _fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        match transport {
            Transport::Udp => repair::repair(view.input, 0, edits),
            Transport::Tcp => repair::repair(view.input, PREFIX_BYTES, edits),
        }
    }

    fn encode(&self, _slot: Slot, _field: &Field, text: &[u8], out: &mut Vec<u8>) -> bool {
        name::encode(text, out)
    }

    //= https://www.rfc-editor.org/rfc/rfc7766#section-6.2.1.1
    //# Since pipelined responses can arrive out of order, clients MUST match responses to
    //# outstanding queries on the same TCP connection using the Message ID.
    /// An answer of ours may stand before any of the server's, but not inside one.
    fn outstanding_responses(&self, dns: &Self::State) -> Option<u32> {
        let [_, response] = dns.skip;
        Some(u32::from(response > 0))
    }

    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        let message = match what.transport() {
            Transport::Udp => view.input,
            Transport::Tcp => view.input.get(2..).unwrap_or_default(),
        };
        reply::refuse(what.transport(), which, message, out)
    }
}
