//! What a decoder remembers about a connection between units: both directions together, small, plain, copied freely.

/// One variant a stream protocol. It must stay small: a tracked connection carries one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecoderState {
    /// A protocol that keeps nothing.
    #[default]
    None,
    /// Domain Name System over TCP: bytes of a message that was opened and is still to come, by direction.
    Dns {
        /// Bytes that need not be seen.
        skip: [u32; 2],
    },
    /// Any stream.
    Data(crate::data::DataState),
    /// Hypertext Transfer Protocol.
    Http(crate::http::HttpState),
    /// File Transfer Protocol, control connection.
    Ftp(crate::ftp::FtpState),
    /// MQTT.
    Mqtt(crate::mqtt::MqttState),
    /// OPC Unified Architecture.
    OpcUa(crate::opcua::OpcUaState),
    /// Simple Mail Transfer Protocol.
    Smtp(crate::smtp::SmtpState),
    /// Secure Shell, the part in clear.
    Ssh(crate::ssh::SshState),
    /// Apache Thrift.
    Thrift(crate::thrift::ThriftState),
    /// Transport Layer Security.
    Tls(crate::tls::TlsState),
}

const _: () = assert!(
    size_of::<DecoderState>() <= 72,
    "a tracked connection is meant to fit a few cache lines"
);
