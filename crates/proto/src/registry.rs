//! All decoders there are.

use crate::decoder::Decoder;

/// In the order of the manual.
pub static DECODERS: &[&dyn Decoder] = &[
    &crate::data::Data,
    &crate::dns::Dns,
    &crate::ftp::Ftp,
    &crate::http::Http,
    &crate::mqtt::Mqtt,
    &crate::ntp::Ntp,
    &crate::opcua::OpcUa,
    &crate::smtp::Smtp,
    &crate::ssh::Ssh,
    &crate::thrift::Thrift,
    &crate::tls::Tls,
    &crate::ssrp::Ssrp,
    &crate::tftp::Tftp,
];

/// The decoder a patch's `protocol:` names.
pub fn by_name(name: &str) -> Option<&'static dyn Decoder> {
    DECODERS.iter().copied().find(|decoder| decoder.protocol().name == name)
}
