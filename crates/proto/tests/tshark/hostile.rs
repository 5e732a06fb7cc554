//! Real datagrams, broken: cut at every byte, bits flipped, elements taken away at random. Nothing
//! panics, and what a decoder says it repaired can be read again.

use proto::{Decoder, Edits, FieldId, Fields, Refused, Repair, Span, Transport, View, Wanted};
use stage::Direction;

use crate::capture::{self, Carried};

/// xorshift64*: the same bytes on every run.
struct HostileRandom(u64);

impl HostileRandom {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or_default() % bound.max(1)
    }
}

/// Datagrams of each protocol that are looked at: enough for each, whatever the corpus grows to.
const DATAGRAMS_MAX: usize = 200;

#[test]
fn broken_datagrams_are_survived() {
    let mut random = HostileRandom(11);
    for case in crate::CASES {
        let decoder = proto::by_name(case.protocol).expect("a decoder of that name");
        let served = decoder.protocol().ports.iter().find(|(over, _)| *over == Transport::Udp);
        let Some((_, ports)) = served else { continue };
        let mut datagrams: Vec<(Direction, Vec<u8>)> =
            case.made.iter().map(|(from, made)| (*from, made.to_vec())).collect();
        for path in crate::captures(case) {
            let file = std::fs::read(path).unwrap_or_default();
            for frame in capture::read(&file).unwrap_or_default() {
                let Carried::Udp(payload) = frame.carried else { continue };
                if ports.contains(&frame.to.1) {
                    datagrams.push((Direction::Request, payload));
                } else if ports.contains(&frame.from.1) {
                    datagrams.push((Direction::Response, payload));
                }
            }
        }
        // Spread over all captures.
        let step = datagrams.len().div_ceil(DATAGRAMS_MAX).max(1);
        let chosen: Vec<_> = datagrams.iter().step_by(step).collect();
        let mut tried = Tried::new(decoder);
        for (from, datagram) in &chosen {
            for len in 0..=datagram.len().min(300) {
                tried.one(*from, &datagram[..len], &mut random);
            }
            for _ in 0..40 {
                let mut broken = datagram.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(broken.len());
                    if let Some(byte) = broken.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
                tried.one(*from, &broken, &mut random);
            }
        }
        println!(
            "{}: {} datagrams, {} edited and repaired, {} not to be repaired",
            case.protocol,
            chosen.len(),
            tried.repaired,
            tried.impossible
        );
        let least = chosen.len().saturating_mul(10).clamp(1, 100);
        assert!(tried.repaired >= least, "{}", case.protocol);
    }
}

struct Tried<'a> {
    decoder: &'a dyn Decoder,
    wanted: Wanted,
    fields: Fields,
    edits: Edits,
    repaired: usize,
    impossible: usize,
}

impl<'a> Tried<'a> {
    fn new(decoder: &'a dyn Decoder) -> Self {
        let mut wanted = Wanted::new(decoder.protocol());
        for id in 0..decoder.protocol().fields.len() {
            wanted.want(FieldId(u16::try_from(id).unwrap_or_default()));
        }
        let (fields, edits) = (Fields::new(), Edits::new());
        Self { decoder, wanted, fields, edits, repaired: 0, impossible: 0 }
    }

    fn one(&mut self, from: Direction, input: &[u8], random: &mut HostileRandom) {
        let view = View { input, from, open: false, ended: true };
        self.fields.clear();
        self.edits.clear();
        let _ = self.decoder.datagram(&self.wanted, view, &mut self.fields);
        for which in 0..8 {
            let _ = self.decoder.refuse(Refused::Datagram, which, view, &mut Vec::new());
        }
        let everything = Span::new(0, input.len());
        for field in self.fields.items() {
            assert!(everything.contains(field.element) && field.element.contains(field.value));
        }
        let items = self.fields.items();
        let Some(field) = items.get(random.below(items.len())) else { return };
        if !self.edits.delete(field.element) {
            return;
        }
        match self.decoder.repair(Transport::Udp, view, &self.fields, &mut self.edits) {
            Repair::Impossible => self.impossible += 1,
            Repair::Done => {
                self.repaired += 1;
                let mut out = Vec::new();
                assert!(self.edits.current(input, everything, &mut out));
                let view = View { input: &out, ..view };
                self.fields.clear();
                let _ = self.decoder.datagram(&self.wanted, view, &mut self.fields);
            }
        }
    }
}
