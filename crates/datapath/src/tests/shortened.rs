//! Edits made in a packet's own frame against the same edits made beside it.

use proto::{Edits, Span};
use wire::{IpVersion, Layers};

use super::lab::{payload, udp4, udp4_tagged, udp6};
use crate::apply;
use crate::config::CoreConfig;
use crate::config::LinkLayer;
use crate::memory::MemoryFrame;
use crate::repair;

struct EditDice(u64);

impl EditDice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }

    /// Bytes of which some payloads have only the ones that sums do not tell apart.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let few = self.below(4) == 0;
        let byte = |random: &mut Self| match few {
            true => [0, 0xff][random.below(2)],
            false => random.below(256) as u8,
        };
        (0..len).map(|_| byte(self)).collect()
    }

    /// Edits of which most take more than they put in.
    fn edits(&mut self, len: usize) -> Edits {
        let mut edits = Edits::new();
        let mut at = 0;
        for _ in 0..=self.below(4) {
            let start = at + self.below(len + 1 - at);
            let end = start + self.below(len + 1 - start).min(30);
            let most = end - start + usize::from(self.below(8) == 0);
            let with = self.below(most + 1);
            let with = self.bytes(with);
            let _refused_where_it_touches_another = edits.replace(Span::new(start, end), &with);
            at = end;
        }
        edits
    }
}

/// The edited frame, put together beside the packet, if it is not one that only a longer way can
/// send.
fn beside(frame: &[u8], layers: &Layers, edits: &Edits) -> Option<Vec<u8>> {
    let mut work = Vec::new();
    let layers = apply::edits(frame, layers, edits, &mut work)?;
    repair::datagram(&mut work, &layers);
    Some(work)
}

#[test]
fn in_the_frame_as_beside_it() {
    let mut random = EditDice(5);
    let config = CoreConfig::default();
    let (mut made, mut left) = (0, 0);
    for turn in 0..40_000 {
        let len = 1 + random.below([8, 40, 200, 1_400][turn % 4]);
        let bytes = random.bytes(len);
        let mut frame = match random.below(3) {
            0 => udp4(&bytes),
            1 => udp6(&bytes),
            _ => udp4_tagged(&[5, 0x2064], &bytes),
        };
        let layers = Layers::ethernet(&frame).unwrap();
        if layers.version == IpVersion::V4 && random.below(10) == 0 {
            frame[layers.l4 + 6..layers.l4 + 8].fill(0);
        }
        let edits = random.edits(len);
        let mut changed = MemoryFrame::of(&frame);
        if repair::in_frame(&mut changed, &layers, &edits, &config) {
            let want = beside(&frame, &layers, &edits).unwrap();
            let got = changed.into_bytes();
            assert_eq!(got, want, "{bytes:?} {:?}", edits.list());
            payload(&got);
            made += 1;
        } else {
            assert_eq!(changed.into_bytes(), frame, "left as it was");
            left += 1;
        }
    }
    assert!(made > 20_000 && left > 2_000, "{made} {left}");
}

#[test]
fn what_cannot_be_made_there_is_left_alone() {
    let mut shorter = Edits::new();
    assert!(shorter.replace(Span::new(1, 3), b""));
    let mut longer = Edits::new();
    assert!(longer.replace(Span::new(1, 3), b"abc"));
    let mut later_shorter = Edits::new();
    assert!(later_shorter.replace(Span::new(1, 3), b"abc"));
    assert!(later_shorter.replace(Span::new(10, 20), b""));
    let long = udp4(&[b'x'; 100]);
    let trailed = [&long[..], b"trailer"].concat();
    let sixty = udp4(&[b'x'; 18]);
    let trusting = CoreConfig { trust_checksums: true, ..CoreConfig::default() };
    let bare = CoreConfig { link: LinkLayer::Cooked, ..CoreConfig::default() };
    let config = CoreConfig::default();
    let made = |frame: &[u8], edits: &Edits, config: &CoreConfig| {
        let layers = Layers::ethernet(frame).unwrap();
        let mut changed = MemoryFrame::of(frame);
        let made = repair::in_frame(&mut changed, &layers, edits, config);
        assert_eq!(made, changed.into_bytes() != frame);
        made
    };
    assert!(made(&long, &shorter, &config));
    assert!(!made(&long, &longer, &config), "it grows");
    assert!(!made(&long, &later_shorter, &config), "it grows on the way");
    assert!(!made(&long, &Edits::new(), &config));
    assert!(!made(&trailed, &shorter, &config), "something follows");
    assert!(!made(&sixty, &shorter, &config), "it would need padding");
    assert!(made(&sixty, &shorter, &bare));
    assert!(!made(&long, &shorter, &trusting), "its checksum may be wrong");
}
