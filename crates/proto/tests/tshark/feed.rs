//! Frames through a decoder: what it finds, by message (UDP) or by half-stream (TCP).

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    Decoder, DecoderState, Dissection, FieldId, FieldKind, Fields, Flags, Span, Step, Transport,
    View, Wanted,
};
use stage::Direction;

use crate::capture::{Carried, End, Frame};

/// What is compared at once: a datagram, or all of a half-stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Datagram(u64),
    HalfStream(End, End),
}

/// A value as the decoder gives it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(u64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

/// Values by field name (keyed fields: `name[key]`), in the order of the wire.
pub(crate) type Found = BTreeMap<String, Vec<Value>>;

#[derive(Default)]
pub(crate) struct Fed {
    pub(crate) found: BTreeMap<Key, Found>,
    /// Which key a frame belongs to.
    pub(crate) frames: BTreeMap<u64, Key>,
    /// Half-streams with bytes missing, which tshark shows piece by piece.
    pub(crate) left_out: BTreeSet<Key>,
}

/// A half-stream being put together.
#[derive(Default)]
struct Half {
    next: Option<u32>,
    ahead: Vec<(u32, Vec<u8>)>,
    held: Vec<u8>,
    skip: u64,
    over: bool,
}

pub(crate) struct Feeder<'a> {
    decoder: &'a dyn Decoder,
    wanted: Wanted,
    fields: Fields,
    states: BTreeMap<(End, End), DecoderState>,
    halves: BTreeMap<(End, End), Half>,
    fed: Fed,
}

/// Feeds all frames of a capture that are to or from a default port of the protocol.
pub(crate) fn feed(decoder: &dyn Decoder, keys: &[(&str, &str)], frames: &[Frame]) -> Fed {
    let protocol = decoder.protocol();
    let mut wanted = Wanted::new(protocol);
    for id in (0..protocol.fields.len()).filter_map(|id| u16::try_from(id).ok()).map(FieldId) {
        if protocol.def(id).is_some_and(|def| !def.keyed) {
            wanted.want(id);
        }
    }
    for (name, key) in keys {
        let (id, _) = protocol.field(name).expect("a keyed field of the protocol");
        wanted.want_key(id, key.as_bytes());
    }
    wanted.want_whole();
    let mut feeder = Feeder {
        decoder,
        wanted,
        fields: Fields::new(),
        states: BTreeMap::new(),
        halves: BTreeMap::new(),
        fed: Fed::default(),
    };
    for frame in frames {
        let transport = match frame.carried {
            Carried::Udp(_) => Transport::Udp,
            Carried::Tcp { .. } => Transport::Tcp,
        };
        let served = |port: u16| {
            protocol.ports.iter().any(|(over, ports)| *over == transport && ports.contains(&port))
        };
        if served(frame.to.1) {
            feeder.frame(frame, Direction::Request);
        } else if served(frame.from.1) {
            feeder.frame(frame, Direction::Response);
        }
    }
    // What stands behind a gap was never handed over.
    for (&(from, to), half) in &feeder.halves {
        if !half.ahead.is_empty() {
            feeder.fed.left_out.insert(Key::HalfStream(from, to));
        }
    }
    feeder.fed
}

impl Feeder<'_> {
    fn frame(&mut self, frame: &Frame, from: Direction) {
        match &frame.carried {
            Carried::Udp(payload) => {
                let key = Key::Datagram(frame.number);
                self.fed.frames.insert(frame.number, key);
                self.fields.clear();
                let view = View { input: payload, from, open: false, ended: true };
                if self.decoder.datagram(&self.wanted, view, &mut self.fields)
                    == Dissection::Message
                {
                    self.collect(key, payload);
                }
            }
            Carried::Tcp { seq, syn, fin, data } => {
                let way = (frame.from, frame.to);
                self.fed.frames.insert(frame.number, Key::HalfStream(frame.from, frame.to));
                let half = self.halves.entry(way).or_default();
                if *syn {
                    if half.next.is_some() {
                        self.fed.left_out.insert(Key::HalfStream(frame.from, frame.to));
                    }
                    half.next = Some(seq.wrapping_add(1));
                }
                let Some(next) = half.next else {
                    if !data.is_empty() {
                        self.fed.left_out.insert(Key::HalfStream(frame.from, frame.to));
                    }
                    return;
                };
                let seq = if *syn { seq.wrapping_add(1) } else { *seq };
                if !data.is_empty() {
                    half.ahead.push((seq, data.clone()));
                    half.ahead.sort_by_key(|(seq, _)| seq.wrapping_sub(next).cast_signed());
                }
                let mut ahead = std::mem::take(&mut half.ahead);
                ahead.retain(|(seq, data)| {
                    let next = half.next.unwrap_or_default();
                    let behind = next.wrapping_sub(*seq).cast_signed();
                    if let Some(new) = usize::try_from(behind).ok().map(|behind| data.get(behind..))
                    {
                        let new = new.unwrap_or_default();
                        half.held.extend_from_slice(new);
                        half.next = Some(next.wrapping_add(u32::try_from(new.len()).unwrap_or(0)));
                    }
                    behind < 0
                });
                half.ahead = ahead;
                self.stream(way.0, way.1, from, *fin);
            }
        }
    }

    fn stream(&mut self, source: End, target: End, from: Direction, ended: bool) {
        let conversation = match from {
            Direction::Request => (source, target),
            Direction::Response => (target, source),
        };
        let key = Key::HalfStream(source, target);
        let mut held = std::mem::take(&mut self.halves.entry((source, target)).or_default().held);
        loop {
            let half = self.halves.entry((source, target)).or_default();
            if half.over {
                held.clear();
            }
            let skipped = usize::try_from(half.skip).unwrap_or(usize::MAX).min(held.len());
            half.skip -= skipped as u64;
            held.drain(..skipped);
            if held.is_empty() {
                break;
            }
            let state = self.states.entry(conversation).or_insert_with(|| self.decoder.start());
            self.fields.clear();
            let view = View { input: &held, from, open: false, ended };
            match self.decoder.stream(&self.wanted, state, view, &mut self.fields) {
                Step::Unit { bytes, .. } => {
                    self.collect(key, &held);
                    held.drain(..bytes);
                }
                Step::Skip { bytes, .. } => half.skip = bytes,
                Step::More(_) => break,
                Step::SkipRest | Step::NotThisProtocol => half.over = true,
            }
        }
        self.halves.entry((source, target)).or_default().held = held;
    }

    fn collect(&mut self, key: Key, input: &[u8]) {
        let protocol = self.decoder.protocol();
        let found = self.fed.found.entry(key).or_default();
        assert!(!self.fields.overflowed(), "{key:?}");
        for field in self.fields.items() {
            let (id, keyed) = self.wanted.field_of(field.slot);
            let def = protocol.def(id).expect("a field of the protocol");
            assert!(Span::new(0, input.len()).contains(field.element), "{} {key:?}", def.name);
            let name = match keyed {
                Some(keyed) => format!("{}[{}]", def.name, String::from_utf8_lossy(keyed)),
                None => def.name.to_owned(),
            };
            let bytes = self.fields.value_of(field, input).to_vec();
            let values = found.entry(name).or_default();
            match (def.kind, values.last_mut()) {
                (FieldKind::Uint(_) | FieldKind::Bool, _) => {
                    values.push(Value::Number(field.number))
                }
                (
                    FieldKind::Text | FieldKind::Bytes,
                    Some(Value::Text(whole) | Value::Bytes(whole)),
                ) if field.flags.has(Flags::CONTINUES) => {
                    whole.extend(bytes);
                }
                (FieldKind::Text, _) => values.push(Value::Text(bytes)),
                (FieldKind::Bytes, _) => values.push(Value::Bytes(bytes)),
            }
        }
    }
}
