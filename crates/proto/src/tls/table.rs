//! TLS's table: fields, readings, refusals.

use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Transport};

pub(super) const CONTENT_TYPE: FieldId = FieldId(0);
pub(super) const RECORD_VERSION: FieldId = FieldId(1);
pub(super) const RECORD_LENGTH: FieldId = FieldId(2);
pub(super) const ALERT_LEVEL: FieldId = FieldId(3);
pub(super) const ALERT_DESC: FieldId = FieldId(4);
pub(super) const HEARTBEAT_TYPE: FieldId = FieldId(5);
pub(super) const HEARTBEAT_LENGTH: FieldId = FieldId(6);
pub(super) const TYPE: FieldId = FieldId(7);
pub(super) const LENGTH: FieldId = FieldId(8);
pub(super) const VERSION: FieldId = FieldId(9);
pub(super) const RANDOM: FieldId = FieldId(10);
pub(super) const SESSION_ID_LENGTH: FieldId = FieldId(11);
pub(super) const SESSION_ID: FieldId = FieldId(12);
pub(super) const SUITES_LENGTH: FieldId = FieldId(13);
pub(super) const SUITE: FieldId = FieldId(14);
pub(super) const COMP_METHODS_LENGTH: FieldId = FieldId(15);
pub(super) const COMP_METHOD: FieldId = FieldId(16);
pub(super) const EXTENSIONS_LENGTH: FieldId = FieldId(17);
pub(super) const EXTENSION_TYPE: FieldId = FieldId(18);
pub(super) const EXTENSION_LEN: FieldId = FieldId(19);
pub(super) const SERVER_NAME: FieldId = FieldId(20);
pub(super) const ALPN: FieldId = FieldId(21);
pub(super) const SUPPORTED_GROUP: FieldId = FieldId(22);
pub(super) const SUPPORTED_VERSION: FieldId = FieldId(23);
pub(super) const CIPHER_SPEC_LEN: FieldId = FieldId(24);

/// Fields of the record header.
pub(super) const RECORD_FIELDS: &[FieldId] = &[CONTENT_TYPE, RECORD_VERSION, RECORD_LENGTH];
pub(super) const ALERT_FIELDS: &[FieldId] = &[ALERT_LEVEL, ALERT_DESC];
pub(super) const HEARTBEAT_FIELDS: &[FieldId] = &[HEARTBEAT_TYPE, HEARTBEAT_LENGTH];
/// Fields of handshake messages: what lies between these two.
pub(super) const HANDSHAKE_FIELDS: core::ops::RangeInclusive<u16> = TYPE.0..=CIPHER_SPEC_LEN.0;

const fn number(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { name, kind: FieldKind::Uint(bits), editable: Editable::No, help, ..FieldDef::UINT }
}

/// A number outside the handshake hash.
const fn plain(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { editable: Editable::SameLength, ..number(name, bits, help) }
}

const fn list(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { repeated: true, ..number(name, bits, help) }
}

const fn text(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, repeated: true, editable: Editable::No, help, ..FieldDef::TEXT }
}

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tls",
    title: "Transport Layer Security, the parts in clear (RFC 5246, RFC 8446, RFC 6520)",
    ports: &[(Transport::Tcp, &[443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995])],
    fields: &[
        number(
            "tls.record.content_type",
            8,
            "20 change_cipher_spec, 21 alert, 22 handshake, 23 application data, 24 heartbeat.",
        ),
        number("tls.record.version", 16, "The version in the record's header."),
        number("tls.record.length", 16, "Bytes of the record behind its header."),
        plain("tls.alert_message.level", 8, "1 warning, 2 fatal."),
        plain("tls.alert_message.desc", 8, "Which alert."),
        plain("tls.heartbeat_message.type", 8, "1 request, 2 response (RFC 6520)."),
        plain(
            "tls.heartbeat_message.payload_length",
            16,
            "Bytes the sender claims to have sent; a sound one is at most `tls.record.length - 19`.",
        ),
        list("tls.handshake.type", 8, "1 ClientHello, 2 ServerHello, 11 Certificate, …"),
        list("tls.handshake.length", 24, "Bytes of the handshake message behind its header."),
        list("tls.handshake.version", 16, "client_version or server_version of a hello."),
        FieldDef {
            name: "tls.handshake.random",
            repeated: true,
            editable: Editable::No,
            help: "The 32 random bytes of a hello.",
            ..FieldDef::BYTES
        },
        list(
            "tls.handshake.session_id_length",
            16,
            "Length of the session ID: one byte, and two in an SSLv2 hello.",
        ),
        FieldDef {
            name: "tls.handshake.session_id",
            repeated: true,
            editable: Editable::No,
            help: "The session ID of a hello.",
            ..FieldDef::BYTES
        },
        list("tls.handshake.cipher_suites_length", 16, "Bytes of ClientHello's suites."),
        list("tls.handshake.ciphersuite", 16, "A suite: each offered one, or the chosen one."),
        list("tls.handshake.comp_methods_length", 8, "Bytes of ClientHello's methods."),
        list("tls.handshake.comp_method", 8, "A compression method."),
        list("tls.handshake.extensions_length", 16, "Bytes of a hello's extensions."),
        FieldDef { element: true, ..list("tls.handshake.extension.type", 16, "Which extension.") },
        list("tls.handshake.extension.len", 16, "Bytes of the extension behind its header."),
        text("tls.handshake.extensions_server_name", "A server name (SNI)."),
        text("tls.handshake.extensions_alpn_str", "An application protocol's name (ALPN)."),
        list("tls.handshake.extensions_supported_group", 16, "A group of supported_groups."),
        list("tls.handshake.extensions.supported_version", 16, "A version offered or chosen."),
        list("tls.handshake.cipher_spec_len", 16, "Bytes of an SSLv2 ClientHello's cipher specs."),
    ],
    unit: "a record of at most 16,389 bytes, or the records that one ClientHello or ServerHello is spread over",
    readings: include_str!("../readings/tls.md"),
    refusals: &[
        "handshake_failure",
        "unexpected_message",
        "illegal_parameter",
        "decode_error",
        "protocol_version",
        "bad_certificate",
        "unrecognized_name",
    ],
};

/// Alert descriptions in the order of [`Protocol::refusals`] (RFC 8446 section 6).
pub(super) const REFUSALS: &[u8] = &[40, 10, 47, 50, 70, 42, 112];
