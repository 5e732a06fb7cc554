//! `wirepatch fields`: the fields that a rule can name.

use std::process::ExitCode;

use anyhow::Result;
use proto::{Editable, FieldDef, FieldKind, Protocol, Transport};
use serde::Serialize;
use stage::Direction;

use super::{code, manual, ports};
use crate::cli::FieldsArgs;
use crate::output;

#[derive(Debug, Serialize)]
struct OfProtocol {
    protocol: &'static str,
    title: &'static str,
    ports: Vec<OfPorts>,
    unit: &'static str,
    refusals: &'static [&'static str],
    fields: Vec<OfField>,
}

#[derive(Debug, Serialize)]
struct OfPorts {
    transport: &'static str,
    ports: &'static [u16],
}

#[derive(Debug, Serialize)]
struct OfField {
    name: &'static str,
    #[serde(rename = "type")]
    kind: String,
    direction: &'static str,
    keyed: bool,
    repeated: bool,
    element: bool,
    streams: bool,
    endless: bool,
    editable: &'static str,
    help: &'static str,
}

/// Lists them.
pub(crate) fn fields(args: &FieldsArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.markdown {
        manual::write(folder)?;
        return Ok(code(true));
    }
    let protocols: Vec<&'static Protocol> = match &args.protocol {
        Some(name) => vec![ports::decoder(name)?.protocol()],
        None => proto::DECODERS.iter().map(|decoder| decoder.protocol()).collect(),
    };
    if args.json {
        output::say_json(&protocols.into_iter().map(of_protocol).collect::<Vec<_>>())?;
    } else {
        let pages: Vec<String> = protocols.into_iter().map(page).collect();
        output::say(&pages.join("\n"))?;
    }
    Ok(code(true))
}

fn of_protocol(protocol: &'static Protocol) -> OfProtocol {
    OfProtocol {
        protocol: protocol.name,
        title: protocol.title,
        ports: protocol
            .ports
            .iter()
            .map(|(transport, ports)| OfPorts { transport: transport_name(*transport), ports })
            .collect(),
        unit: protocol.unit,
        refusals: protocol.refusals,
        fields: protocol
            .fields
            .iter()
            .map(|field| OfField {
                name: field.name,
                kind: kind_name(field.kind),
                direction: direction_name(field.direction),
                keyed: field.keyed,
                repeated: field.repeated,
                element: field.element,
                streams: field.streams,
                endless: field.endless,
                editable: editable_name(field.editable),
                help: field.help,
            })
            .collect(),
    }
}

fn page(protocol: &'static Protocol) -> String {
    let rows: Vec<Vec<String>> = protocol
        .fields
        .iter()
        .map(|field| {
            vec![
                name_of(field),
                kind_name(field.kind),
                direction_name(field.direction).to_owned(),
                editable_name(field.editable).to_owned(),
                properties(field),
                field.help.to_owned(),
            ]
        })
        .collect();
    let head = ["field", "type", "direction", "edits", "is", "meaning"];
    format!(
        "{}: {} ({})\n{}",
        protocol.name,
        protocol.title,
        ports_of(protocol),
        output::table(&head, &rows)
    )
}

/// `http.header["name"]` for a keyed one.
pub(super) fn name_of(field: &FieldDef) -> String {
    if field.keyed { format!("{}[\"…\"]", field.name) } else { field.name.to_owned() }
}

/// What else is to be known of a field.
pub(super) fn properties(field: &FieldDef) -> String {
    let list = [
        (field.repeated, "repeated"),
        (field.element, "element"),
        (field.streams, "streams"),
        (field.endless, "endless"),
    ];
    let set: Vec<&str> = list.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    if set.is_empty() { "-".to_owned() } else { set.join(", ") }
}

/// `tcp 80, 8080; udp 53`.
pub(super) fn ports_of(protocol: &Protocol) -> String {
    let of_transport = |(transport, ports): &(Transport, &[u16])| {
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        let list =
            if list.is_empty() { "ports named by the scope".to_owned() } else { list.join(", ") };
        format!("{} {list}", transport_name(*transport))
    };
    protocol.ports.iter().map(of_transport).collect::<Vec<_>>().join("; ")
}

/// In a patch file's words.
pub(super) const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

/// `uint16`, `text`.
pub(super) fn kind_name(kind: FieldKind) -> String {
    match kind {
        FieldKind::Bytes => "bytes".to_owned(),
        FieldKind::Text => "text".to_owned(),
        FieldKind::Uint(bits) => format!("uint{bits}"),
        FieldKind::Bool => "bool".to_owned(),
    }
}

/// Whose messages carry it.
pub(super) const fn direction_name(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Request) => "request",
        Some(Direction::Response) => "response",
        None => "both",
    }
}

/// What may be done to it.
pub(super) const fn editable_name(editable: Editable) -> &'static str {
    match editable {
        Editable::Freely => "any",
        Editable::SameLength => "same length",
        Editable::No => "none",
    }
}
