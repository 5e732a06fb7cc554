//! The interface that every protocol's file implements.
//!
//! A decoder cuts a stream into **units**. A unit is the smallest run of bytes whose fields are
//! decided together: an FTP command line, an HTTP header line (or the whole head, where a rule asks
//! for it), a TLS record, a DNS message. The caller hands over contiguous bytes that begin where
//! the last unit ended. The decoder yields the unit at their front, asks for more bytes, or tells
//! the caller which bytes it need not see. An incomplete unit is parsed again from its first byte
//! when more has come. So a decoder needs no state inside a unit, and the fields that it finds
//! cannot depend on where the bytes were cut.
//!
//! A unit may be longer than the caller may hold, and some rules need no hold. For both there is
//! [`View::open`]: the decoder yields the bytes that are there, with [`crate::Flags::OPEN`] on the
//! last field, and goes on inside that field at the next call with [`crate::Flags::CONTINUES`]. A
//! decoder opens only fields whose table entry has `streams`.

use crate::Transport;
use crate::adapter::KeptState;
use crate::edits::{Edits, ValueCut};
use crate::fields::{Field, Fields};
use crate::schema::Protocol;
use crate::wanted::{Slot, Wanted};
use stage::Direction;

/// An ordinary message.
#[derive(Clone, Copy, Debug)]
pub struct SampleMessage {
    /// `dns-query`: the protocol's name, a hyphen, and which of its messages this is.
    pub name: &'static str,
    /// Who sends it.
    pub from: Direction,
    /// All of it; over UDP the payload.
    pub bytes: &'static [u8],
}

/// The bytes a decoder may look at, and what it may do at their end.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Contiguous bytes; the first one begins a unit (or goes on with an open field).
    pub input: &'a [u8],
    /// Whose bytes they are.
    pub from: Direction,
    /// The caller will not hold the unit any longer: yield it open at the end of `input` if it is
    /// not complete.
    pub open: bool,
    /// No byte will follow: the sender has finished its half.
    pub ended: bool,
}

/// The outcome of [`ProtocolDecoder::stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `input[..bytes]` is a unit; its wanted fields are in `out`. `bytes` is never 0.
    Unit {
        /// Length of the unit (or of the piece of it that was there, when opened).
        bytes: usize,
        /// A message begins with this unit.
        first: bool,
        /// The message ends with this unit.
        last: bool,
    },
    /// The unit is not complete; `state` is as it was. Call again when the need is met, or with
    /// `open` set.
    More(Need),
    /// No rule reads the next `bytes` bytes (more than 0; may reach past `input`): they need not be
    /// seen at all.
    Skip {
        /// How many.
        bytes: u64,
        /// The message ends with them.
        last: bool,
    },
    /// No rule can read anything more of this half-stream (CONNECT, Upgrade, STARTTLS, an encrypted
    /// part).
    SkipRest,
    /// These bytes are not this protocol. The rest of the half-stream is not inspected; the caller
    /// counts it.
    NotThisProtocol,
}

/// The bytes that a decoder waits for. The hint spares useless calls; an earlier call is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At least this many bytes of input in all, counted from the unit's first.
    Bytes(usize),
    /// This byte, somewhere after the present end of input.
    Byte(u8),
}

/// The outcome of [`ProtocolDecoder::datagram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dissection {
    /// Its wanted fields are in `out`; a malformed one yields what could be read, and
    /// `_ws.malformed`.
    Message,
    /// It is a message of which one value is watched, for its length ([`FieldPrefilter::cut`]); no
    /// field is in `out`. The cut leaves the message that dissecting, shortening the value,
    /// [`ProtocolDecoder::encode`] and [`ProtocolDecoder::repair`] would.
    ///
    /// [`FieldPrefilter::cut`]: crate::FieldPrefilter::cut
    Cut(ValueCut),
    /// Not this protocol: leave it alone.
    NotThisProtocol,
}

/// How putting lengths right went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The message is consistent again.
    Done,
    /// It cannot be made so (a length field would overflow, a pointer has lost its target): the
    /// caller must not send the edited message.
    Impossible,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A datagram.
    Datagram,
    /// A message over TCP; the connection goes on.
    Message,
    /// A message over TCP, and what its sender would say behind it: the connection ends behind the
    /// answer, and the answer says so where the protocol has words for that (`Connection: close`).
    Connection,
}

impl Refused {
    /// What carries the answer.
    pub const fn transport(self) -> Transport {
        match self {
            Self::Datagram => Transport::Udp,
            Self::Message | Self::Connection => Transport::Tcp,
        }
    }
}

/// Whether a refusal could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The reply is in `out`.
    Reply,
    /// So it is, and behind this one a server ends the connection, whatever was asked for (a fatal
    /// alert, a client that reads up to the connection's end).
    Last,
    /// This message takes no reply in this protocol (it is a response, or too short to answer):
    /// swallow it.
    Silence,
}

/// One protocol, with the state of its own connections.
///
/// [`Decoder`] is the same without the type of the state, for those who hold decoders of many
/// protocols.
///
/// [`Decoder`]: crate::Decoder
pub trait ProtocolDecoder: Sync {
    /// Its tables.
    const PROTOCOL: &'static Protocol;

    /// Ordinary messages of the protocol: benchmarks count what they cost, tests dissect them.
    const SAMPLES: &'static [SampleMessage] = &[];

    /// What is remembered of a connection; `()` for protocols over UDP only. A new connection
    /// starts with its default.
    type State: KeptState;

    /// Dissects one datagram and emits the wanted fields in the order of the wire. If the decoder
    /// sees that none of their values is watched ([`Wanted::field_prefilter`]), it emits nothing:
    /// that makes the common message cheap.
    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let _ = (wanted, view, out);
        Dissection::NotThisProtocol
    }

    /// Dissects the front of a stream. `out` is empty on entry. `state` changes only with
    /// [`Step::Unit`], [`Step::Skip`] and [`Step::SkipRest`]. A complete unit may yield no field if
    /// none of its values is watched.
    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let _ = (wanted, state, view, out);
        Step::NotThisProtocol
    }

    /// Dissects the front of a stream as [`ProtocolDecoder::stream`] does, but yields only the
    /// values that [`Wanted::header_prefilter`] catches, and may yield several units as one. It
    /// answers only for units without rare bytes: none from [`HeaderPrefilter::rare_from`] on, and
    /// no control byte but line ends. `None`: it cannot answer, and `state` is as it was.
    ///
    /// The caller checks that no rule is concerned by a caught value or by another rare byte. If
    /// one is, the caller restores `state` and calls `stream`, or calls this once more for the
    /// units that end before the byte at `upto`.
    ///
    /// [`HeaderPrefilter::rare_from`]: crate::HeaderPrefilter::rare_from
    fn stream_prefiltered(
        &self,
        wanted: &Wanted,
        state: &mut Self::State,
        view: View<'_>,
        upto: usize,
        out: &mut Fields,
    ) -> Option<Step> {
        let _ = (wanted, state, view, upto, out);
        None
    }

    /// Repairs the parts of the message that depend on the edited bytes: length fields, counts,
    /// compression pointers, the protocol's own checksums. `fields` is the result of dissecting the
    /// same `input`; a decoder may parse `input` again. The caller calls it only if there are
    /// edits. Over TCP `input` is one unit.
    fn repair(
        &self,
        transport: Transport,
        view: View<'_>,
        fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        let _ = (transport, view, fields, edits);
        Repair::Done
    }

    /// Appends the wire form of a new decoded value to `out` (DNS labels). The caller asks only for
    /// fields that were emitted with [`crate::Flags::DECODED`]. `false`: the value has no wire
    /// form.
    fn encode(&self, slot: Slot, field: &Field, text: &[u8], out: &mut Vec<u8>) -> bool {
        let _ = (slot, field);
        out.extend_from_slice(text);
        true
    }

    /// The number of responses that the server has yet to finish: one for its greeting, where the
    /// protocol has one, and one for every request that it has seen the beginning of. A response
    /// counts until its last byte has been decoded. Interim responses (HTTP 1xx, FTP 1yz) finish
    /// nothing.
    ///
    /// `Some(0)`: if wirepatch now sends a response behind the server's bytes, the client takes it
    /// for the response to its next request. `None`: the number is unknown, and wirepatch can keep
    /// a message from the server only by ending the connection. It is unknown where the server may
    /// speak unasked, where its bytes are no longer read, where requests and responses no longer
    /// pair up, and where the server would notice that a message is missing.
    ///
    /// A body that [`Step::Skip`] steps over counts as decoded when the step is returned; the
    /// caller knows which of its bytes are still to come. The number is right only if the caller
    /// hands in both directions. A decoder that ever knows it knows it of the default state: so the
    /// compiler of patches finds out whether `refuse` exists in this protocol.
    fn outstanding_responses(&self, state: &Self::State) -> Option<u32> {
        let _ = state;
        None
    }

    /// The server has seen the beginning of the client's message, waits for its rest, and has not
    /// begun to answer it; no other response is outstanding. wirepatch may then answer in the
    /// server's place, if the connection ends with that answer.
    fn may_answer_for(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }

    /// Keeps a message of the client from the server. This decoder has just yielded the message's
    /// first unit, and `state` is right behind it. The decoder no longer awaits the response, and
    /// reads the client's next bytes as if the server had refused the message. It still yields the
    /// message's later units and skips, for the caller to discard. Where that is impossible,
    /// [`ProtocolDecoder::outstanding_responses`] answers `None` from then on. The caller calls
    /// this at most once a message, and only where `outstanding_responses` was known before that
    /// unit.
    fn cancel_request(&self, state: &mut Self::State) {
        let _ = state;
    }

    /// Appends to `out` the response that a patched server sends instead of accepting the message
    /// in `view`: number `which` of [`Protocol::refusals`]. Over TCP `view` is the message's first
    /// unit.
    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        let _ = (what, which, view, out);
        Refusal::Silence
    }

    /// Appends a patch's own `reply` to `out`. A decoder changes it only where the client would
    /// lose its place in the stream otherwise (a response to HEAD has no body).
    fn shape_custom_reply(
        &self,
        what: Refused,
        reply: &[u8],
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Refusal {
        let _ = (what, view);
        out.extend_from_slice(reply);
        Refusal::Reply
    }
}
