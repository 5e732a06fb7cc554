//! Decoders of any protocol behind one type: [`Decoder`] is [`ProtocolDecoder`] without the type of
//! its state.
//!
//! Holds:     the adapter that takes a decoder's own state out of [`DecoderState`].
//! Promises:  a call costs what the decoder costs, and one comparison.
//! Never:     decides anything.

use crate::decoder::{
    Dissection, ProtocolDecoder, Refusal, Refused, Repair, SampleMessage, Step, View,
};
use crate::edits::Edits;
use crate::fields::{Field, Fields};
use crate::registry::DecoderState;
use crate::schema::{Protocol, Transport};
use crate::wanted::{Slot, Wanted};

/// A state that [`DecoderState`] has a variant for.
pub trait KeptState: Copy + Default {
    /// As what a connection carries.
    fn into_decoder_state(self) -> DecoderState;

    /// This decoder's state in what a connection carries; `None` in that of another decoder's
    /// connection.
    fn of(state: &DecoderState) -> Option<&Self>;

    /// The same, to be changed.
    fn of_mut(state: &mut DecoderState) -> Option<&mut Self>;
}

/// A decoder of any protocol. Every [`ProtocolDecoder`] is one.
pub trait Decoder: Sync {
    /// See [`ProtocolDecoder::PROTOCOL`].
    fn protocol(&self) -> &'static Protocol;

    /// See [`ProtocolDecoder::SAMPLES`].
    fn samples(&self) -> &'static [SampleMessage];

    /// The state that a new connection starts with.
    fn start(&self) -> DecoderState;

    /// See [`ProtocolDecoder::datagram`].
    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection;

    /// See [`ProtocolDecoder::stream`].
    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut DecoderState,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step;

    /// See [`ProtocolDecoder::stream_prefiltered`].
    fn stream_prefiltered(
        &self,
        wanted: &Wanted,
        state: &mut DecoderState,
        view: View<'_>,
        upto: usize,
        out: &mut Fields,
    ) -> Option<Step>;

    /// See [`ProtocolDecoder::repair`].
    fn repair(
        &self,
        transport: Transport,
        view: View<'_>,
        fields: &Fields,
        edits: &mut Edits,
    ) -> Repair;

    /// See [`ProtocolDecoder::encode`].
    fn encode(&self, slot: Slot, field: &Field, text: &[u8], out: &mut Vec<u8>) -> bool;

    /// See [`ProtocolDecoder::outstanding_responses`].
    fn outstanding_responses(&self, state: &DecoderState) -> Option<u32>;

    /// See [`ProtocolDecoder::may_answer_for`].
    fn may_answer_for(&self, state: &DecoderState) -> bool;

    /// See [`ProtocolDecoder::cancel_request`].
    fn cancel_request(&self, state: &mut DecoderState);

    /// See [`ProtocolDecoder::refuse`].
    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal;

    /// See [`ProtocolDecoder::shape_custom_reply`].
    fn shape_custom_reply(
        &self,
        what: Refused,
        reply: &[u8],
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Refusal;
}

impl<D: ProtocolDecoder> Decoder for D {
    fn protocol(&self) -> &'static Protocol {
        D::PROTOCOL
    }

    fn samples(&self) -> &'static [SampleMessage] {
        D::SAMPLES
    }

    fn start(&self) -> DecoderState {
        D::State::default().into_decoder_state()
    }

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        ProtocolDecoder::datagram(self, wanted, view, out)
    }

    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut DecoderState,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let Some(state) = D::State::of_mut(state) else { return Step::NotThisProtocol };
        ProtocolDecoder::stream(self, wanted, state, view, out)
    }

    fn stream_prefiltered(
        &self,
        wanted: &Wanted,
        state: &mut DecoderState,
        view: View<'_>,
        upto: usize,
        out: &mut Fields,
    ) -> Option<Step> {
        let state = D::State::of_mut(state)?;
        ProtocolDecoder::stream_prefiltered(self, wanted, state, view, upto, out)
    }

    fn repair(
        &self,
        transport: Transport,
        view: View<'_>,
        fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        ProtocolDecoder::repair(self, transport, view, fields, edits)
    }

    fn encode(&self, slot: Slot, field: &Field, text: &[u8], out: &mut Vec<u8>) -> bool {
        ProtocolDecoder::encode(self, slot, field, text, out)
    }

    fn outstanding_responses(&self, state: &DecoderState) -> Option<u32> {
        ProtocolDecoder::outstanding_responses(self, D::State::of(state)?)
    }

    fn may_answer_for(&self, state: &DecoderState) -> bool {
        D::State::of(state).is_some_and(|state| ProtocolDecoder::may_answer_for(self, state))
    }

    fn cancel_request(&self, state: &mut DecoderState) {
        if let Some(state) = D::State::of_mut(state) {
            ProtocolDecoder::cancel_request(self, state);
        }
    }

    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        ProtocolDecoder::refuse(self, what, which, view, out)
    }

    fn shape_custom_reply(
        &self,
        what: Refused,
        reply: &[u8],
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Refusal {
        ProtocolDecoder::shape_custom_reply(self, what, reply, view, out)
    }
}
