//! `wirepatch decode`: the fields of a capture as JSON lines.

mod message;
mod streams;

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use datapath::LinkLayer;
use offline::pcap::{Capture, CaptureFormat, CaptureItem, PacketRecord, link_of};
use proto::{Decoder, Dissection, Fields, Transport, View, Wanted};
use stage::Direction;
use wire::{Layers, Tcp, Transport as Layer4};

use super::{code, ports};
use crate::cli::DecodeArgs;
use crate::output::{self, ProgressUnit, say_error};
use message::{DecodedMessage, MessageOrigin};
use streams::CaptureStreams;

/// Which protocol a server's port speaks.
struct Protocols {
    by_port: HashMap<(Transport, u16), usize>,
    list: Vec<KnownProtocol>,
}

/// A protocol with all its fields wanted.
struct KnownProtocol {
    /// Its place in the list.
    no: usize,
    decoder: &'static dyn Decoder,
    wanted: Wanted,
}

/// Decodes.
pub(crate) fn decode(args: &DecodeArgs) -> Result<ExitCode> {
    let protocols = Protocols::of(args)?;
    let file = fs::read(&args.input).with_context(|| {
        format!("cannot read {}: IN is a pcap or pcapng file", args.input.display())
    })?;
    let capture = Capture::new(&file);
    if capture.format() == CaptureFormat::Unknown {
        bail!(
            "{} is neither pcap nor pcapng; convert it with `editcap -F pcap`",
            args.input.display()
        );
    }
    let mut session = DecodeSession {
        protocols: &protocols,
        streams: CaptureStreams::default(),
        fields: Fields::new(),
        out: BufWriter::new(io::stdout().lock()),
        skipped: 0,
    };
    let progress = output::progress(file.len(), ProgressUnit::Bytes);
    let mut number = 0_u64;
    for item in capture {
        let CaptureItem::Packet(record) = item else { continue };
        number += 1;
        session.packet(&file, &record, number)?;
        progress.set_position(u64::try_from(record.range.end).unwrap_or(u64::MAX));
    }
    progress.finish_and_clear();
    let DecodeSession { streams, mut fields, mut out, skipped, .. } = session;
    let lost =
        streams.finish(&protocols.list, &mut fields, &mut |message| message.write(&mut out))?;
    out.flush().context("writing to standard output")?;
    if skipped > 0 {
        say_error(&format!(
            "note: {skipped} packets in scope are fragments or were cut short, and were not decoded\n"
        ));
    }
    if lost > 0 {
        say_error(&format!(
            "note: {lost} half-streams have gaps in this capture, and were decoded up to them\n"
        ));
    }
    Ok(code(true))
}

impl Protocols {
    fn of(args: &DecodeArgs) -> Result<Self> {
        let only = args.protocol.as_deref().map(ports::decoder).transpose()?;
        let given = ports::parse(&args.ports)?;
        let mut protocols = Self { by_port: HashMap::new(), list: Vec::new() };
        for decoder in proto::DECODERS.iter().copied() {
            let protocol = decoder.protocol();
            if only.is_some_and(|only| only.protocol().name != protocol.name) {
                continue;
            }
            let no = protocols.list.len();
            let mut wanted = Wanted::new(protocol);
            for field in (0..protocol.fields.len()).filter_map(|no| u16::try_from(no).ok()) {
                wanted.want(proto::FieldId(field));
            }
            protocols.list.push(KnownProtocol { no, decoder, wanted });
            for (transport, defaults) in protocol.ports {
                for &port in *defaults {
                    protocols.by_port.entry((*transport, port)).or_insert(no);
                }
            }
        }
        // Ports that were asked for win over any protocol's own.
        for (no, known) in protocols.list.iter().enumerate() {
            let protocol = known.decoder.protocol();
            for (transport, _) in protocol.ports {
                for &port in given.get(protocol.name).into_iter().flatten() {
                    protocols.by_port.insert((*transport, port), no);
                }
            }
        }
        Ok(protocols)
    }

    /// The protocol of a packet between two ports, and which way it goes. A port of a server's
    /// decides; of two, the destination.
    fn between(
        &self,
        transport: Transport,
        source: u16,
        destination: u16,
    ) -> Option<(usize, Direction)> {
        if let Some(no) = self.by_port.get(&(transport, destination)) {
            return Some((*no, Direction::Request));
        }
        self.by_port.get(&(transport, source)).map(|no| (*no, Direction::Response))
    }
}

struct DecodeSession<'a, W> {
    protocols: &'a Protocols,
    streams: CaptureStreams,
    fields: Fields,
    out: W,
    skipped: u64,
}

impl<W: io::Write> DecodeSession<'_, W> {
    fn packet(&mut self, file: &[u8], record: &PacketRecord, number: u64) -> Result<()> {
        let bytes = file.get(record.data.clone()).unwrap_or_default();
        let Ok(layers) = layers(link_of(record.link), bytes) else {
            self.skipped += u64::from(record.is_cut());
            return Ok(());
        };
        let transport = match layers.transport {
            Layer4::Tcp => Transport::Tcp,
            Layer4::Udp => Transport::Udp,
            Layer4::Other | Layer4::LaterFragment | Layer4::Malformed => return Ok(()),
        };
        let (Some(ports), Some(addresses)) = (layers.ports(bytes), layers.addresses(bytes)) else {
            return Ok(());
        };
        let Some((no, from)) = self.protocols.between(transport, ports.0, ports.1) else {
            return Ok(());
        };
        if layers.fragment.is_some() || record.is_cut() {
            self.skipped += 1;
            return Ok(());
        }
        let Some(known) = self.protocols.list.get(no) else { return Ok(()) };
        let about = MessageOrigin {
            packet: number,
            time_us: record.time_us,
            protocol: known.decoder.protocol(),
            from,
            transport,
            source: (addresses.0, ports.0),
            destination: (addresses.1, ports.1),
        };
        let payload = layers.payload_of(bytes);
        let out = &mut self.out;
        match transport {
            Transport::Udp => {
                self.fields.clear();
                let view = View { input: payload, from, open: false, ended: true };
                match known.decoder.datagram(&known.wanted, view, &mut self.fields) {
                    Dissection::Message => {
                        let mut message = DecodedMessage::new(about);
                        message.add(&known.wanted, &self.fields, payload);
                        message.write(out)
                    }
                    // Nothing is cut where nothing is watched.
                    Dissection::Cut(_) | Dissection::NotThisProtocol => Ok(()),
                }
            }
            Transport::Tcp => {
                let end = layers.ip_end.min(bytes.len());
                let Some(tcp) = bytes.get(layers.l4..end).and_then(Tcp::parse) else {
                    return Ok(());
                };
                self.streams.segment(
                    known,
                    about,
                    &tcp,
                    payload,
                    &mut self.fields,
                    &mut |message| message.write(out),
                )
            }
        }
    }
}

fn layers(link: LinkLayer, bytes: &[u8]) -> Result<Layers, wire::NotParsed> {
    match link {
        LinkLayer::Ethernet => Layers::ethernet(bytes),
        LinkLayer::Ip => Layers::ip(bytes, 0),
        LinkLayer::Cooked => Layers::cooked(bytes),
        LinkLayer::Cooked2 => Layers::cooked2(bytes),
        LinkLayer::Null => Layers::ip(bytes, 4),
        LinkLayer::Unknown => Layers::ip(&[], 0),
    }
}
