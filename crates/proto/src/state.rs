//! What a decoder remembers about a connection between units: both directions together, small, plain, copied freely.

/// One variant a stream protocol. It must stay small: a tracked connection carries one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// A protocol that keeps nothing.
    #[default]
    None,
    /// Domain Name System over TCP: bytes of a message that was opened and is still to come, by direction.
    Dns {
        /// Bytes that need not be seen.
        skip: [u32; 2],
    },
    /// Any stream.
    Data(crate::data::State),
    /// Hypertext Transfer Protocol.
    Http(crate::http::State),
    /// File Transfer Protocol, control connection.
    Ftp(crate::ftp::State),
    /// MQTT.
    Mqtt(crate::mqtt::State),
    /// OPC Unified Architecture.
    OpcUa(crate::opcua::State),
    /// Simple Mail Transfer Protocol.
    Smtp(crate::smtp::State),
    /// Secure Shell, the part in clear.
    Ssh(crate::ssh::State),
    /// Apache Thrift.
    Thrift(crate::thrift::State),
    /// Transport Layer Security.
    Tls(crate::tls::State),
}

const _: () =
    assert!(size_of::<State>() <= 72, "a tracked connection is meant to fit a few cache lines");
