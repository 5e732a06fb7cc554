//! What a protocol's file implements. The narrowest and most used interface of the house.
//!
//! A stream is cut by its decoder into **units**: the smallest runs of bytes whose fields are decided together (an FTP
//! command line, an HTTP header line or, where a rule asks for it, the whole head, a TLS record, a DNS message). The
//! caller hands over contiguous bytes that begin where the last unit ended; the decoder either yields the unit
//! at their front, or says what it lacks, or says what it need not see. Because a unit that is not complete is simply
//! parsed again from its first byte when more has come, a decoder needs no state inside a unit, and what it finds
//! cannot depend on how the bytes were cut.
//!
//! Units longer than the caller may hold, and rules that need no hold, are served by [`View::open`]: the decoder then
//! yields what is there with its last field [`crate::Flags::OPEN`], and goes on inside that field at the next call with
//! [`crate::Flags::CONTINUES`]. Only fields whose table entry says `streams` may be opened.

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
    /// The caller will not hold the unit any longer: yield it open at the end of `input` if it is not complete.
    pub open: bool,
    /// No byte will follow: the sender has finished its half.
    pub ended: bool,
}

/// What a decoder made of the front of a stream.
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
    /// The unit is not complete; `state` is as it was. Call again when the need is met, or with `open` set.
    More(Need),
    /// No rule reads the next `bytes` bytes (more than 0; may reach past `input`): they need not be seen at all.
    Skip {
        /// How many.
        bytes: u64,
        /// The message ends with them.
        last: bool,
    },
    /// No rule can read anything more of this half-stream (CONNECT, Upgrade, STARTTLS, an encrypted part).
    SkipRest,
    /// These bytes are not this protocol. The rest of the half-stream is not inspected; the caller counts it.
    NotThisProtocol,
}

/// What a decoder waits for. A hint that spares useless calls; calling earlier is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At least this many bytes of input in all, counted from the unit's first.
    Bytes(usize),
    /// This byte, somewhere after the present end of input.
    Byte(u8),
}

/// What a decoder made of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dissection {
    /// Its wanted fields are in `out`; a malformed one yields what could be read, and `_ws.malformed`.
    Message,
    /// It is a message of which one value is watched, for its length ([`FieldPrefilter::cut`]); no field is in `out`. The cut leaves the
    /// message that dissecting, shortening the value, [`ProtocolDecoder::encode`] and [`ProtocolDecoder::repair`] would.
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
    /// It cannot be made so (a length field would overflow, a pointer has lost its target): the caller must not send the
    /// edited message.
    Impossible,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A datagram.
    Datagram,
    /// A message over TCP; the connection goes on.
    Message,
    /// A message over TCP, and what its sender would say behind it: the connection ends behind the answer, and the answer says
    /// so where the protocol has words for that (`Connection: close`).
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
    /// So it is, and behind this one a server ends the connection, whatever was asked for (a fatal alert, a client that reads up
    /// to the connection's end).
    Last,
    /// This message takes no reply in this protocol (it is a response, or too short to answer): swallow it.
    Silence,
}

/// One protocol, with the state of its own connections.
///
/// [`Decoder`] is the same without the type of the state, for those who hold decoders of many protocols.
///
/// [`Decoder`]: crate::Decoder
pub trait ProtocolDecoder: Sync {
    /// Its tables.
    const PROTOCOL: &'static Protocol;

    /// Ordinary messages of the protocol: benchmarks count what they cost, tests dissect them.
    const SAMPLES: &'static [SampleMessage] = &[];

    /// What is remembered of a connection; `()` for protocols over UDP only. A new connection starts with its default.
    type State: KeptState;

    /// Dissects one datagram. Emits wanted fields only, in the order of the wire; none at all if it sees that no value among
    /// them is watched ([`Wanted::field_prefilter`]), which is what makes the common message cheap.
    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let _ = (wanted, view, out);
        Dissection::NotThisProtocol
    }

    /// Dissects the front of a stream. `out` is empty on entry; `state` changes only with [`Step::Unit`],
    /// [`Step::Skip`] and [`Step::SkipRest`]. A complete unit, too, may yield nothing if nothing in it is watched.
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

    /// Dissects the front of a stream as [`ProtocolDecoder::stream`] does, but yields only what [`Wanted::header_prefilter`] catches; several units may go
    /// as one. Answers only for units without control bytes but line ends, and without bytes from [`HeaderPrefilter::rare_from`] on
    /// ([`crate::HeaderPrefilter`]). Whoever asks makes sure that nobody is concerned by what was caught, or by other rare bytes; else it
    /// puts `state` back and asks `stream`, or once more for the units that end before the byte at `upto`. `None`: that cannot be told so, and `state` is as it was.
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

    /// Puts right what encloses the edited bytes: length fields, counts, compression pointers, checksums of the protocol.
    /// `fields` is what `dissect` found in the same `input`; a decoder may parse `input` again. Called only if there are
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

    /// Turns a new decoded value of a field back into its wire form (DNS labels). Only for fields emitted with
    /// [`crate::Flags::DECODED`]. `false`: the value has no wire form.
    fn encode(&self, slot: Slot, field: &Field, text: &[u8], out: &mut Vec<u8>) -> bool {
        let _ = (slot, field);
        out.extend_from_slice(text);
        true
    }

    /// How many answers the server still owes for what it was let see of this connection: one for its greeting, where the
    /// protocol has one, and one for every request that has begun, each until its last byte has been decoded. Interim
    /// answers (HTTP 1xx, FTP 1yz) leave what they belong to owed. `Some(0)`: an answer of ours, put behind all that the server has
    /// said, is what the client takes for the answer to its next request. `None`: that cannot be told (the server may speak
    /// unasked, what it says is no longer read, requests and answers have lost each other, the next message cannot be
    /// kept from the server without its noticing), and a message can then be kept back only by ending the connection.
    ///
    /// A body that [`Step::Skip`] steps over counts as decoded when the step is returned: that its bytes are still to come
    /// is for the caller to know. True only while both directions are handed in. A decoder that can ever tell can tell of
    /// the default state too: that is how the compiler asks whether `refuse` exists in this protocol.
    fn outstanding_responses(&self, state: &Self::State) -> Option<u32> {
        let _ = state;
        None
    }

    /// The server waits for the rest of the client's message at hand, of which it has seen the beginning; it owes an answer to that one
    /// alone, and has said nothing of it. An answer of ours may then stand in its place, if the connection ends with it.
    fn may_answer_for(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }

    /// The client's message whose first unit this decoder has just yielded (`state` is behind that unit and nothing after it)
    /// is kept from the server: the answer to it is not awaited any more, and what the client says next is read as if the
    /// server had refused the message. Where the message ends stays known: later units and skips of it still come, for the caller
    /// to discard. Where that cannot be had, [`ProtocolDecoder::outstanding_responses`] says `None` of what `state` has become. Called at most once a
    /// message, and only where `outstanding_responses` could tell before that unit.
    fn cancel_request(&self, state: &mut Self::State) {
        let _ = state;
    }

    /// The answer a patched server gives instead of the message in `view`: the `which`th of
    /// [`Protocol::refusals`], appended to `out`: the bytes to send back to the message's sender. Over TCP `view` is the message's
    /// first unit.
    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        let _ = (what, which, view, out);
        Refusal::Silence
    }

    /// The same with a patch's own `reply`. A decoder changes it only where the client would lose its place in the stream otherwise
    /// (a response to HEAD has no body).
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
