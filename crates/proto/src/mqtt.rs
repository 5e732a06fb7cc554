//! MQTT 3.1, 3.1.1 and 5.0 (OASIS Standards of 2014-10-29 and 2019-03-07). A unit is a control
//! packet.
//!
//! Holds:     the version the client named, whether its CONNECT has been answered, and per
//!            direction how much of a packet is still to come.
//! Promises:  a packet is found by its remaining length alone, whatever is in it; the message of a
//!            PUBLISH is never waited for.
//! Never:     looks into messages, or follows sessions over connections.

mod header;
mod packet;
mod reply;
mod table;

use crate::decoder::{Need, ProtocolDecoder, Refusal, Refused, Repair, SampleMessage, Step, View};
use crate::edits::Edits;
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{FieldId, FieldKind, Protocol, Transport};
use crate::wanted::Wanted;
use stage::Direction;

use header::{CONNACK, CONNECT, LENGTH_MAX, MqttHeader, PUBLISH, VERSION_ASSUMED, encoded};
use packet::PacketReader;
use table::{HEADER, MSG, PROTOCOL, reads_content};

/// The decoder.
pub struct Mqtt;

/// Names of protocols are MQTT or `MQIsdp`; behind a longer one no version is looked for.
const NAME_BYTES_MAX: u16 = 32;

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttState {
    sides: [MqttHalf; 2],
    version: u8,
    /// A CONNECT went to the server, and no CONNACK has come back.
    connecting: bool,
}

impl Default for MqttState {
    #[inline(always)]
    fn default() -> Self {
        Self { sides: [MqttHalf::default(); 2], version: VERSION_ASSUMED, connecting: false }
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MqttHalf {
    /// Bytes of the present packet that are still to come.
    left: u64,
    /// They are the message of a PUBLISH.
    message: bool,
    /// Some of that message was yielded.
    opened: bool,
    /// A packet has been seen.
    started: bool,
}

impl ProtocolDecoder for Mqtt {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "mqtt-connect",
        from: Direction::Request,
        bytes: b"\x10\x15\0\x04MQTT\x04\x02\0\x3c\0\x09bench-cli",
    }];

    type State = MqttState;

    fn stream(
        &self,
        wanted: &Wanted,
        mqtt: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let [request, response] = &mut mqtt.sides;
        let side = match view.from {
            Direction::Request => request,
            Direction::Response => response,
        };
        if side.left > 0 {
            return rest(wanted, side, view, out);
        }
        let header = match MqttHeader::parse(view.input) {
            Ok(header) => header,
            Err(need) => return Step::More(Need::Bytes(need)),
        };
        if !side.started && header.is_tls() {
            return Step::NotThisProtocol;
        }
        let mut version = mqtt.version;
        let mut connecting = mqtt.connecting;
        match (header.kind(), view.from) {
            (CONNECT, Direction::Request) => match named_version(&header, view) {
                Ok(named) => (version, connecting) = (named.unwrap_or(version), true),
                Err(need) => return Step::More(need),
            },
            (CONNACK, Direction::Response) => connecting = false,
            _ => {}
        }
        let step = packet(wanted, side, &header, version, view, out);
        if !matches!(step, Step::More(_)) {
            (mqtt.version, mqtt.connecting) = (version, connecting);
        }
        step
    }

    fn repair(
        &self,
        _transport: Transport,
        view: View<'_>,
        fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        match repair(view.input, fields, edits) {
            Some(()) => Repair::Done,
            None => Repair::Impossible,
        }
    }

    /// Answers carry the packet identifier of what they answer, so any order of them is right but
    /// before a CONNACK.
    fn outstanding_responses(&self, mqtt: &Self::State) -> Option<u32> {
        Some(u32::from(mqtt.connecting))
    }

    fn cancel_request(&self, mqtt: &mut Self::State) {
        // Only a CONNECT can have made it true: nothing is refused while an answer is owed.
        mqtt.connecting = false;
    }

    fn refuse(&self, _what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        match MqttHeader::parse(view.input) {
            Ok(header) if view.from == Direction::Request => {
                reply::refuse(which, &header, view.input, out)
            }
            _ => Refusal::Silence,
        }
    }
}

/// Goes on inside a packet.
fn rest(wanted: &Wanted, side: &mut MqttHalf, view: View<'_>, out: &mut Fields) -> Step {
    if !(side.message && wanted.has(MSG)) {
        return Step::Skip { bytes: core::mem::take(&mut side.left), last: true };
    }
    let bytes = usize::try_from(side.left).unwrap_or(usize::MAX).min(view.input.len());
    if bytes == 0 {
        return Step::More(Need::Bytes(1));
    }
    side.left = side.left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    let flags = if side.opened { Flags::CONTINUES } else { Flags::NONE };
    let goes_on = side.left > 0 && !view.ended;
    let flags = if goes_on { flags.with(Flags::OPEN) } else { flags };
    let value = Span::new(0, bytes);
    out.push(Field { slot: MSG.0, flags, value, element: value, ..Field::default() });
    side.opened = side.left > 0;
    Step::Unit { bytes, first: false, last: side.left == 0 }
}

/// The version a CONNECT names; `None` if it is cut short before that, or its protocol is another.
fn named_version(header: &MqttHeader, view: View<'_>) -> Result<Option<u8>, Need> {
    let byte = |at: usize| match view.input.get(at).filter(|_| at < header.end()) {
        Some(byte) => Ok(Some(*byte)),
        None if at >= header.end() || view.ended => Ok(None),
        None => Err(Need::Bytes(at.saturating_add(1))),
    };
    let at = header.bytes;
    let (Some(high), Some(low)) = (byte(at)?, byte(at.saturating_add(1))?) else {
        return Ok(None);
    };
    let name_bytes = u16::from_be_bytes([high, low]);
    if name_bytes > NAME_BYTES_MAX {
        return Ok(None);
    }
    let version = byte(at.saturating_add(2).saturating_add(usize::from(name_bytes)))?;
    // The high bit marks a bridge of mosquitto.
    Ok(version.map(|version| version & 0x7f))
}

/// A packet that begins here.
#[inline(always)]
fn packet(
    wanted: &Wanted,
    side: &mut MqttHalf,
    header: &MqttHeader,
    version: u8,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    let kind = header.kind();
    let content = reads_content(wanted, kind);
    let reads_message = kind == PUBLISH && wanted.has(MSG);
    if !content && !reads_message && !wanted.has_any(HEADER) {
        side.started = true;
        return Step::Skip { bytes: header.packet_bytes(), last: true };
    }
    // An answer is made from what is in the packet, even if no rule reads that. It is not waited
    // for past the bound: what rules do read is there.
    let answers = wanted.whole() && !content && !reads_message;
    let mut end = header.bytes;
    if kind == PUBLISH && (content || reads_message || answers) {
        match packet::publish_head(header, version, view) {
            Ok(head) => end = head,
            Err(_) if answers && view.open => {}
            Err(need) => return Step::More(Need::Bytes(need)),
        }
    } else if content {
        end = header.end();
    } else if answers {
        end = end.saturating_add(reply::made_from(header, view.input)).min(header.end());
    }
    if view.input.len() < end {
        if answers && view.open {
            end = header.bytes;
        } else if !view.ended {
            return Step::More(Need::Bytes(end));
        }
        end = end.min(view.input.len());
    }
    let bytes = view.input.get(..end).unwrap_or(view.input);
    let mut packet = PacketReader::new(wanted, bytes, *header, version, out);
    packet.header(!side.started);
    if content {
        packet.content();
    }
    let left = header.packet_bytes().saturating_sub(u64::try_from(end).unwrap_or(u64::MAX));
    *side = MqttHalf { left, message: reads_message, opened: false, started: true };
    Step::Unit { bytes: end, first: true, last: left == 0 }
}

/// Puts the lengths of strings right, and the remaining length.
fn repair(input: &[u8], fields: &Fields, edits: &mut Edits) -> Option<()> {
    let all = Span::new(0, input.len());
    for field in fields.items() {
        let def = PROTOCOL.def(FieldId(field.slot))?;
        let text = matches!(def.kind, FieldKind::Text | FieldKind::Bytes) && !def.streams;
        let removed = field.element != field.value && edits.covers(field.element);
        if !text || removed {
            continue;
        }
        let growth = edits.growth_within(field.value);
        if growth == 0 {
            continue;
        }
        let len = u16::try_from(i64::from(field.value.len()).saturating_add(growth)).ok()?;
        let before = Span { start: field.value.start.checked_sub(2)?, end: field.value.start };
        if !edits.replace_between(before, &len.to_be_bytes()) {
            return None;
        }
    }
    let growth = edits.growth_within(all);
    if growth == 0 {
        return Some(());
    }
    let header = MqttHeader::parse(input).ok()?;
    let remaining = i64::try_from(header.remaining).ok()?.checked_add(growth)?;
    let remaining = u64::try_from(remaining).ok().filter(|length| *length <= LENGTH_MAX)?;
    let (length, bytes) = encoded(remaining);
    edits.replace_between(Span::new(1, header.bytes), length.get(..bytes)?).then_some(())
}

#[cfg(test)]
mod tests;
