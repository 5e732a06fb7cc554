//! One message as one JSON object.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context as _, Result};
use proto::{Field, FieldKind, Fields, Flags, Protocol, Transport, Wanted};
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use stage::Direction;

use crate::commands::fields::transport_name;

/// Longer values are cut, and their names listed under `_truncated`.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Occurrences of one field in one object; more are left out, and listed likewise.
const VALUES_MAX: usize = 8_192;

/// Where and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageOrigin {
    pub(super) packet: u64,
    pub(super) time_us: u64,
    pub(super) protocol: &'static Protocol,
    pub(super) from: Direction,
    pub(super) transport: Transport,
    pub(super) source: ([u8; 16], u16),
    pub(super) destination: ([u8; 16], u16),
}

#[derive(Debug)]
enum FieldValue {
    Bytes(Vec<u8>),
    Number(u64),
    Bool(bool),
}

#[derive(Debug)]
struct NamedField {
    no: u16,
    parts: Vec<FieldValue>,
    truncated: bool,
}

/// The fields of a message so far.
#[derive(Debug)]
pub(super) struct DecodedMessage {
    about: MessageOrigin,
    fields: Vec<NamedField>,
}

impl DecodedMessage {
    pub(super) const fn new(about: MessageOrigin) -> Self {
        Self { about, fields: Vec::new() }
    }

    /// Adds the fields that a decoder found in `input`.
    pub(super) fn add(&mut self, wanted: &Wanted, fields: &Fields, input: &[u8]) {
        for field in fields.items() {
            let (id, _) = wanted.field_of(field.slot);
            self.add_one(id.0, field, fields.value_of(field, input));
        }
    }

    fn add_one(&mut self, no: u16, field: &Field, value: &[u8]) {
        let kind =
            self.about.protocol.def(proto::FieldId(no)).map_or(FieldKind::Bytes, |def| def.kind);
        let named = match self.fields.iter().position(|named| named.no == no) {
            Some(at) => self.fields.get_mut(at),
            None => {
                self.fields.push(NamedField { no, parts: Vec::new(), truncated: false });
                self.fields.last_mut()
            }
        };
        let Some(named) = named else { return };
        if named.parts.len() >= VALUES_MAX {
            named.truncated = true;
            return;
        }
        match kind {
            FieldKind::Bool => {
                named
                    .parts
                    .push(FieldValue::Bool(!field.flags.has(Flags::NUMBER) || field.number != 0));
            }
            FieldKind::Uint(_) => named.parts.push(FieldValue::Number(field.number)),
            FieldKind::Bytes | FieldKind::Text => {
                if !field.flags.has(Flags::CONTINUES)
                    || !matches!(named.parts.last(), Some(FieldValue::Bytes(_)))
                {
                    named.parts.push(FieldValue::Bytes(Vec::new()));
                }
                if let Some(FieldValue::Bytes(bytes)) = named.parts.last_mut() {
                    let room = VALUE_BYTES_MAX.saturating_sub(bytes.len());
                    named.truncated |= value.len() > room;
                    bytes.extend_from_slice(value.get(..value.len().min(room)).unwrap_or_default());
                }
            }
        }
    }

    /// Writes it as a line.
    pub(super) fn write(&self, out: &mut impl io::Write) -> Result<()> {
        let mut json = serde_json::Serializer::new(&mut *out);
        self.write_map(&mut json).context("writing to standard output")?;
        out.write_all(b"\n").context("writing to standard output")
    }

    fn write_map(&self, json: &mut serde_json::Serializer<impl io::Write>) -> io::Result<()> {
        let about = &self.about;
        let direction = match about.from {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("packet", &about.packet)?;
        map.serialize_entry("time", &seconds(about.time_us))?;
        map.serialize_entry("protocol", about.protocol.name)?;
        map.serialize_entry("direction", direction)?;
        map.serialize_entry("transport", transport_name(about.transport))?;
        map.serialize_entry("source", &address(about.source.0))?;
        map.serialize_entry("source_port", &about.source.1)?;
        map.serialize_entry("destination", &address(about.destination.0))?;
        map.serialize_entry("destination_port", &about.destination.1)?;
        let mut truncated = Vec::new();
        for named in &self.fields {
            let Some(def) = about.protocol.def(proto::FieldId(named.no)) else { continue };
            let mut values: Vec<Value> =
                named.parts.iter().map(|part| value(part, def.kind)).collect();
            match values.pop() {
                Some(only) if values.is_empty() && !def.repeated => {
                    map.serialize_entry(def.name, &only)?;
                }
                last => {
                    values.extend(last);
                    map.serialize_entry(def.name, &values)?;
                }
            }
            if named.truncated {
                truncated.push(def.name);
            }
        }
        if !truncated.is_empty() {
            map.serialize_entry("_truncated", &truncated)?;
        }
        map.end()?;
        Ok(())
    }
}

fn value(part: &FieldValue, kind: FieldKind) -> Value {
    match part {
        FieldValue::Number(number) => Value::from(*number),
        FieldValue::Bool(yes) => Value::from(*yes),
        FieldValue::Bytes(bytes) if kind == FieldKind::Text => Value::from(text(bytes)),
        FieldValue::Bytes(bytes) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

/// UTF-8 as it is; `\xNN` for every other byte.
fn text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

fn address(address: [u8; 16]) -> String {
    let address = Ipv6Addr::from(address);
    match address.to_ipv4_mapped() {
        Some(address) => IpAddr::V4(address).to_string(),
        None => address.to_string(),
    }
}

/// Seconds since 1970, exact to the microsecond until the year 2255.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "JSON numbers are doubles")]
fn seconds(time_us: u64) -> f64 {
    time_us as f64 / 1e6
}
