//! All decoders there are: a row each.
//!
//! Holds:     the table, and what is made of it: [`DECODERS`], and [`DecoderState`] with a variant
//!            for each protocol that remembers something of a connection.
//! Promises:  no protocol has more fields than [`limits::FIELD_NUMBERS_MAX`], or the table does not
//!            compile; tests fail for a row without a page of the manual, an ordinary message, or a
//!            comparison with tshark where it names one.
//! Never:     knows more of a protocol than its row.

use crate::adapter::{Decoder, KeptState};
use crate::decoder::ProtocolDecoder;
use crate::limits;

/// Whether a decoder is compared with tshark, field by field, on captures
/// (`tests/tshark/cases.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tshark {
    /// There is a case of the protocol's name.
    Compared,
    /// There is none, for this reason.
    NotCompared(&'static str),
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct DecoderRow {
    /// The decoder.
    pub decoder: &'static dyn Decoder,
    /// How it is compared with tshark.
    pub tshark: Tshark,
}

impl core::fmt::Debug for DecoderRow {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(to, "{}: tshark {:?}", self.decoder.protocol().name, self.tshark)
    }
}

/// Makes the registry of rows `module::Decoder { state: Type, tshark: … }`. A decoder without
/// `state` remembers nothing.
macro_rules! decoders {
    ($($module:ident::$decoder:ident { $(state: $state:ident,)? tshark: $tshark:expr })+) => {
        /// Every decoder and what goes with it, in the order of the manual.
        pub static ROWS: &[DecoderRow] =
            &[$(DecoderRow { decoder: &crate::$module::$decoder, tshark: $tshark }),+];

        /// The decoders of [`ROWS`].
        pub static DECODERS: &[&dyn Decoder] = &[$(&crate::$module::$decoder),+];

        $(const _: () = {
            let fields = <crate::$module::$decoder as ProtocolDecoder>::PROTOCOL.fields;
            assert!(fields.len() <= limits::FIELD_NUMBERS_MAX, "more fields than have a number");
        };)+

        /// What a decoder remembers about a connection between units: both directions together,
        /// small, plain, copied freely.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DecoderState {
            /// Of a protocol that remembers nothing.
            Stateless(()),
            $($(
                #[doc = concat!("Of the protocol in `", stringify!($module), "`.")]
                $decoder(crate::$module::$state),
            )?)+
        }

        $($(
            impl KeptState for crate::$module::$state {
                #[inline(always)]
                fn into_decoder_state(self) -> DecoderState {
                    DecoderState::$decoder(self)
                }

                #[inline]
                fn of(state: &DecoderState) -> Option<&Self> {
                    if let DecoderState::$decoder(state) = state { Some(state) } else { None }
                }

                #[inline]
                fn of_mut(state: &mut DecoderState) -> Option<&mut Self> {
                    if let DecoderState::$decoder(state) = state { Some(state) } else { None }
                }
            }
        )?)+
    };
}

decoders! {
    data::Data { state: DataState, tshark: Tshark::NotCompared("it is every protocol's bytes") }
    dns::Dns { state: DnsState, tshark: Tshark::Compared }
    ftp::Ftp { state: FtpState, tshark: Tshark::Compared }
    http::Http { state: HttpState, tshark: Tshark::Compared }
    mqtt::Mqtt { state: MqttState, tshark: Tshark::Compared }
    ntp::Ntp { tshark: Tshark::Compared }
    opcua::OpcUa { state: OpcUaState, tshark: Tshark::NotCompared("the corpus has no capture of it") }
    smtp::Smtp { state: SmtpState, tshark: Tshark::Compared }
    ssh::Ssh { state: SshState, tshark: Tshark::Compared }
    thrift::Thrift { state: ThriftState, tshark: Tshark::NotCompared("the corpus has one capture of it, one way") }
    tls::Tls { state: TlsState, tshark: Tshark::Compared }
    ssrp::Ssrp { tshark: Tshark::NotCompared("tshark has no dissector for it") }
    tftp::Tftp { tshark: Tshark::Compared }
}

const _: () = assert!(
    size_of::<DecoderState>() <= 72,
    "a tracked connection is meant to fit a few cache lines"
);

impl Default for DecoderState {
    fn default() -> Self {
        Self::Stateless(())
    }
}

impl KeptState for () {
    #[inline]
    fn into_decoder_state(self) -> DecoderState {
        DecoderState::Stateless(self)
    }

    #[inline]
    fn of(state: &DecoderState) -> Option<&Self> {
        if let DecoderState::Stateless(nothing) = state { Some(nothing) } else { None }
    }

    #[inline]
    fn of_mut(state: &mut DecoderState) -> Option<&mut Self> {
        if let DecoderState::Stateless(nothing) = state { Some(nothing) } else { None }
    }
}

/// The decoder a patch's `protocol:` names.
pub fn by_name(name: &str) -> Option<&'static dyn Decoder> {
    DECODERS.iter().copied().find(|decoder| decoder.protocol().name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::{Fields, Step, Transport, View, Wanted};

    #[test]
    fn every_row_has_its_page() {
        let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols");
        let mut names = HashSet::new();
        for row in ROWS {
            let name = row.decoder.protocol().name;
            assert!(names.insert(name), "{name} twice");
            let page = manual.join(format!("{name}.md"));
            assert!(page.is_file(), "`wirepatch fields --markdown docs` writes {}", page.display());
        }
        for page in std::fs::read_dir(manual).unwrap() {
            let name = page.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(names.contains(&*name), "a page without a decoder: {name}");
        }
    }

    /// An ordinary message is one in its protocol, and some field is in it.
    #[test]
    fn every_row_has_ordinary_messages() {
        for row in ROWS {
            let (decoder, protocol) = (row.decoder, row.decoder.protocol());
            assert!(!decoder.samples().is_empty(), "{} has no SAMPLES", protocol.name);
            for sample in decoder.samples() {
                assert!(sample.name.starts_with(&format!("{}-", protocol.name)), "{sample:?}");
                let mut wanted = Wanted::new(protocol);
                for (id, _) in (0..).zip(protocol.fields) {
                    wanted.want(crate::FieldId(id));
                }
                let mut fields = Fields::new();
                let view =
                    View { input: sample.bytes, from: sample.from, open: false, ended: true };
                for (transport, _) in protocol.ports {
                    fields.clear();
                    match transport {
                        Transport::Udp => {
                            decoder.datagram(&wanted, view, &mut fields);
                        }
                        Transport::Tcp if protocol.transports().count() > 1 => continue,
                        Transport::Tcp => {
                            let mut state = decoder.start();
                            let step = decoder.stream(&wanted, &mut state, view, &mut fields);
                            assert!(matches!(step, Step::Unit { .. }), "{}: {step:?}", sample.name);
                        }
                    }
                    assert!(!fields.items().is_empty(), "{} has no field", sample.name);
                }
            }
        }
    }
}
