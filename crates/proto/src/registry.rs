//! All decoders there are.

use crate::decoder::Decoder;

/// In the order of the manual.
pub static DECODERS: &[&dyn Decoder] = &[
    &crate::dns::Dns,
    &crate::ftp::Ftp, &crate::http::Http,
    &crate::ntp::Ntp,
    &crate::smtp::Smtp,
    &crate::ssrp::Ssrp,
    &crate::tftp::Tftp,
];
