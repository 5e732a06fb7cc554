//! MQTT's table: fields, readings, refusals.
//!
//! Holds:     the rows, the fields' numbers, and which of them the packets of each type have.
//! Promises:  a number always names the row it was written beside: one macro makes both.
//! Never:     looks at a packet.

use crate::Wanted;
use crate::schema::{
    Editable, FieldDef, FieldId, FieldKind, FieldRange, Protocol, Repr, Transport,
};
use stage::Direction;

use super::reply;

macro_rules! table {
    ($($id:ident = $def:expr;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "they number constants of the same names")]
        enum MqttFieldNumber { $($id,)+ }

        $(
            #[allow(clippy::as_conversions, reason = "the number of a fieldless enum")]
            pub(super) const $id: FieldId = FieldId(MqttFieldNumber::$id as u16);
        )+

        static FIELDS: &[FieldDef] = &[$($def),+];

        #[cfg(test)]
        pub(super) static IDS: &[FieldId] = &[$($id),+];
    };
}

const REQUEST: Option<Direction> = Some(Direction::Request);
const RESPONSE: Option<Direction> = Some(Direction::Response);

/// A number that says how the packet goes on, or how long something is: the decoder's to write.
const FIXED: FieldDef =
    FieldDef { kind: FieldKind::Uint(8), editable: Editable::No, ..FieldDef::UINT };
const LENGTH: FieldDef = FieldDef { kind: FieldKind::Uint(16), ..FIXED };
const CODE: FieldDef =
    FieldDef { kind: FieldKind::Uint(8), editable: Editable::SameLength, ..FieldDef::UINT };
const CONNECT_TEXT: FieldDef = FieldDef { direction: REQUEST, ..FieldDef::TEXT };
const CONNECT_LENGTH: FieldDef = FieldDef { direction: REQUEST, ..LENGTH };
/// A property's own length stands before it, and all properties' before that.
const PROPERTY: FieldDef =
    FieldDef { editable: Editable::SameLength, repeated: true, ..FieldDef::TEXT };

const fn bits(shift: u8, mask: u64) -> FieldDef {
    FieldDef { repr: Repr::BigEndian { shift, mask }, ..FIXED }
}

const CONNECT_FLAG: FieldDef = FieldDef { direction: REQUEST, ..FieldDef::BOOL };

table! {
    FIRST = FieldDef { name: "mqtt.first_packet", help: "Nothing came before the packet: of a client it must be a CONNECT.", ..FieldDef::BOOL };
    MSGTYPE = FieldDef { name: "mqtt.msgtype", kind: FieldKind::Uint(4), help: "1 CONNECT, 2 CONNACK, 3 PUBLISH, 4 PUBACK, 5 PUBREC, 6 PUBREL, 7 PUBCOMP, 8 SUBSCRIBE, 9 SUBACK, 10 UNSUBSCRIBE, 11 UNSUBACK, 12 PINGREQ, 13 PINGRESP, 14 DISCONNECT, 15 AUTH.", ..bits(4, 15) };
    DUP = FieldDef { name: "mqtt.dupflag", help: "A PUBLISH is sent again.", ..FieldDef::BOOL };
    QOS = FieldDef { name: "mqtt.qos", kind: FieldKind::Uint(2), help: "Quality of service of a PUBLISH; 3 is malformed.", ..bits(1, 3) };
    RETAIN = FieldDef { name: "mqtt.retain", help: "The server keeps the message of a PUBLISH.", ..FieldDef::BOOL };
    RESERVED = FieldDef { name: "mqtt.hdr_reserved", kind: FieldKind::Uint(4), help: "The low half of the first byte of other packets: 2 in PUBREL, SUBSCRIBE and UNSUBSCRIBE, 0 in the rest.", ..bits(0, 15) };
    LEN = FieldDef { name: "mqtt.len", kind: FieldKind::Uint(35), repr: Repr::None, help: "Remaining length: bytes of the packet behind its fixed header.", ..FIXED };
    PROTO_LEN = FieldDef { name: "mqtt.proto_len", help: "Bytes of the protocol's name.", ..CONNECT_LENGTH };
    PROTO_NAME = FieldDef { name: "mqtt.protoname", editable: Editable::No, help: "MQTT, or MQIsdp in version 3.", ..CONNECT_TEXT };
    VER = FieldDef { name: "mqtt.ver", direction: REQUEST, help: "3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.", ..FIXED };
    CONFLAGS = FieldDef { name: "mqtt.conflags", direction: REQUEST, help: "Connect flags: which parts the CONNECT has.", ..FIXED };
    CONFLAG_UNAME = FieldDef { name: "mqtt.conflag.uname", help: "A CONNECT has a user name.", ..CONNECT_FLAG };
    CONFLAG_PASSWD = FieldDef { name: "mqtt.conflag.passwd", help: "It has a password.", ..CONNECT_FLAG };
    CONFLAG_RETAIN = FieldDef { name: "mqtt.conflag.retain", help: "The will is retained.", ..CONNECT_FLAG };
    CONFLAG_QOS = FieldDef { name: "mqtt.conflag.qos", kind: FieldKind::Uint(2), direction: REQUEST, help: "Quality of service of the will.", ..bits(3, 3) };
    CONFLAG_WILL = FieldDef { name: "mqtt.conflag.willflag", help: "A CONNECT has a will.", ..CONNECT_FLAG };
    CONFLAG_CLEAN = FieldDef { name: "mqtt.conflag.cleansess", help: "Clean session, clean start.", ..CONNECT_FLAG };
    CONFLAG_RESERVED = FieldDef { name: "mqtt.conflag.reserved", help: "Must be clear.", ..CONNECT_FLAG };
    KALIVE = FieldDef { name: "mqtt.kalive", kind: FieldKind::Uint(16), direction: REQUEST, help: "Keep alive, in seconds.", ..CODE };
    CLIENT_ID_LEN = FieldDef { name: "mqtt.clientid_len", help: "Bytes of the client identifier.", ..CONNECT_LENGTH };
    CLIENT_ID = FieldDef { name: "mqtt.clientid", help: "The client identifier of a CONNECT.", ..CONNECT_TEXT };
    WILL_TOPIC_LEN = FieldDef { name: "mqtt.willtopic_len", help: "Bytes of the will's topic.", ..CONNECT_LENGTH };
    WILL_TOPIC = FieldDef { name: "mqtt.willtopic", help: "The topic of a will.", ..CONNECT_TEXT };
    WILL_MSG_LEN = FieldDef { name: "mqtt.willmsg_len", help: "Bytes of the will's message.", ..CONNECT_LENGTH };
    WILL_MSG = FieldDef { name: "mqtt.willmsg", direction: REQUEST, help: "The message of a will.", ..FieldDef::BYTES };
    USERNAME_LEN = FieldDef { name: "mqtt.username_len", help: "Bytes of the user name.", ..CONNECT_LENGTH };
    USERNAME = FieldDef { name: "mqtt.username", help: "The user name of a CONNECT.", ..CONNECT_TEXT };
    PASSWD_LEN = FieldDef { name: "mqtt.passwd_len", help: "Bytes of the password.", ..CONNECT_LENGTH };
    PASSWD = FieldDef { name: "mqtt.passwd", help: "The password of a CONNECT.", ..CONNECT_TEXT };
    CONACK_FLAGS = FieldDef { name: "mqtt.conack.flags", direction: RESPONSE, help: "Acknowledge flags of a CONNACK.", ..CODE };
    CONACK_SP = FieldDef { name: "mqtt.conack.flags.sp", direction: RESPONSE, help: "Session present.", ..FieldDef::BOOL };
    CONACK_VAL = FieldDef { name: "mqtt.conack.val", direction: RESPONSE, help: "Return code of a CONNACK: 0 accepted.", ..CODE };
    CONNACK_REASON = FieldDef { name: "mqtt.connack.reason_code", direction: RESPONSE, help: "Reason code of a CONNACK of MQTT 5.", ..CODE };
    MSGID = FieldDef { name: "mqtt.msgid", help: "Packet identifier: joins a packet with its acknowledgement.", ..LENGTH };
    TOPIC_LEN = FieldDef { name: "mqtt.topic_len", repeated: true, help: "Bytes of a topic or filter.", ..LENGTH };
    TOPIC = FieldDef { name: "mqtt.topic", repeated: true, element: true, help: "The topic of a PUBLISH, or each filter of a SUBSCRIBE or UNSUBSCRIBE; the element is the filter with its options.", ..FieldDef::TEXT };
    SUB_QOS = FieldDef { name: "mqtt.sub.qos", repeated: true, direction: REQUEST, help: "Quality of service asked for with a filter.", ..CODE };
    SUB_OPTIONS = FieldDef { name: "mqtt.subscription_options", repeated: true, direction: REQUEST, help: "Options of a filter in MQTT 5; the two lowest bits are its quality of service.", ..CODE };
    SUBACK_QOS = FieldDef { name: "mqtt.suback.qos", repeated: true, direction: RESPONSE, help: "Quality of service granted for a filter, or 128.", ..CODE };
    SUBACK_REASON = FieldDef { name: "mqtt.suback.reason_code", repeated: true, direction: RESPONSE, help: "Reason code for a filter in MQTT 5.", ..CODE };
    UNSUBACK_REASON = FieldDef { name: "mqtt.unsuback.reason_code", repeated: true, direction: RESPONSE, help: "Reason code for a filter in MQTT 5.", ..CODE };
    PUBACK_REASON = FieldDef { name: "mqtt.puback.reason_code", help: "Reason code of a PUBACK.", ..CODE };
    PUBREC_REASON = FieldDef { name: "mqtt.pubrec.reason_code", help: "Reason code of a PUBREC.", ..CODE };
    PUBREL_REASON = FieldDef { name: "mqtt.pubrel.reason_code", help: "Reason code of a PUBREL.", ..CODE };
    PUBCOMP_REASON = FieldDef { name: "mqtt.pubcomp.reason_code", help: "Reason code of a PUBCOMP.", ..CODE };
    DISCONNECT_REASON = FieldDef { name: "mqtt.disconnect.reason_code", help: "Reason code of a DISCONNECT.", ..CODE };
    AUTH_REASON = FieldDef { name: "mqtt.auth.reason_code", help: "Reason code of an AUTH.", ..CODE };
    PROPERTY_LEN = FieldDef { name: "mqtt.property_len", kind: FieldKind::Uint(28), repr: Repr::None, repeated: true, help: "Bytes of all properties, of a packet or of a will.", ..FIXED };
    PROPERTY_ID = FieldDef { name: "mqtt.property_id", repeated: true, help: "Which property.", ..FIXED };
    PROP_NUMBER = FieldDef { name: "mqtt.prop_number", kind: FieldKind::Uint(32), repr: Repr::None, repeated: true, help: "A property that is a number.", ..FIXED };
    TOPIC_ALIAS = FieldDef { name: "mqtt.property.topic_alias", kind: FieldKind::Uint(16), repeated: true, help: "A number that stands for a topic from here on.", ..FIXED };
    MAX_QOS = FieldDef { name: "mqtt.property.max_qos", repeated: true, help: "Quality of service that a server grants at most.", ..FIXED };
    CONTENT_TYPE = FieldDef { name: "mqtt.property.content_type", help: "Content type of a message.", ..PROPERTY };
    PROP_STRING = FieldDef { name: "mqtt.prop_string", help: "A property that is text or bytes.", ..PROPERTY };
    PROP_KEY = FieldDef { name: "mqtt.prop_key", help: "Name of a user property.", ..PROPERTY };
    PROP_VALUE = FieldDef { name: "mqtt.prop_value", help: "Value of a user property.", ..PROPERTY };
    MALFORMED = FieldDef { name: "_ws.malformed", help: "A length reaches past its packet, the packet goes on behind its last part, a remaining length has more than four bytes, or a property is not one.", ..FieldDef::BOOL };
    MSG = FieldDef { name: "mqtt.msg", streams: true, endless: true, repeated: true, editable: Editable::SameLength, help: "The message of a PUBLISH.", ..FieldDef::BYTES };
}

/// Fields of the fixed header.
pub(super) const HEADER: FieldRange = FieldRange::new(FIRST, LEN);
const CONNECT: FieldRange = FieldRange::new(PROTO_LEN, PASSWD);
const CONNACK: FieldRange = FieldRange::new(CONACK_FLAGS, CONNACK_REASON);
const TOPICS: FieldRange = FieldRange::new(MSGID, SUB_OPTIONS);
const CODES: FieldRange = FieldRange::new(SUBACK_QOS, UNSUBACK_REASON);
const REASONS: FieldRange = FieldRange::new(PUBACK_REASON, AUTH_REASON);
/// Fields that packets of any type but pings may have.
const PROPERTIES: FieldRange = FieldRange::new(PROPERTY_LEN, MALFORMED);

/// Some rule reads a field that packets of this type have behind their fixed header.
pub(super) fn reads_content(wanted: &Wanted, kind: u8) -> bool {
    let own: &[FieldRange] = match kind {
        1 => &[CONNECT],
        2 => &[CONNACK],
        3 | 8 | 10 => &[TOPICS],
        4..=7 | 14 | 15 => &[FieldRange::new(MSGID, MSGID), REASONS],
        9 | 11 => &[FieldRange::new(MSGID, MSGID), CODES],
        _ => return false,
    };
    own.iter().any(|range| wanted.has_any(*range)) || wanted.has_any(PROPERTIES)
}

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mqtt",
    title: "MQTT 3.1, 3.1.1 and 5.0 (OASIS)",
    ports: &[(Transport::Tcp, &[1883])],
    fields: FIELDS,
    unit: "a control packet; of a PUBLISH what stands before its message, and then the message as it comes",
    readings: include_str!("../readings/mqtt.md"),
    refusals: reply::NAMES,
};
