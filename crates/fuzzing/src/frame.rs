//! Frames as they come off a wire: the parse step on its own, and the whole journey under the whole
//! library.

use stage::Direction;
use wire::tunnel::{self, Walk};
use wire::{Layers, checksum};

use crate::library::library;
use crate::recipe::turns;
use crate::rig::Rig;

/// The input is one frame, or several with markers between them.
pub(crate) fn frames(input: &[u8]) {
    let frames = turns(input);
    for (_, frame) in &frames {
        parsed(frame);
    }
    // With checksums on trust, so that bytes a fuzzer changes get past them; and without, so that
    // what leaves can be checked.
    for trusts in [true, false] {
        let mut rig = Rig::new(&library(), trusts);
        for (from, frame) in &frames {
            rig.send(*from, frame);
            rig.send(from.opposite(), frame);
        }
        // Whatever is still held is let go in time.
        for _ in 0..=2 {
            rig.now_ms += 24 * 3_600 * 1_000;
            rig.send(Direction::Request, b"no frame");
        }
        let held = rig.held();
        assert_eq!(held, 0, "nothing is held for ever");
    }
}

/// Offsets stand in order inside the frame, whatever stands in front of IP; and the way into a
/// tunnel ends.
fn parsed(frame: &[u8]) {
    let ends = |walk: Walk<'_>| assert!(walk.count() <= tunnel::LEVELS_MAX + 1, "no end inside");
    ends(Walk::into_frame(frame, 12));
    let ways = [
        Layers::ethernet(frame),
        Layers::cooked(frame),
        Layers::cooked2(frame),
        Layers::ip(frame, 0),
        Layers::ip(frame, 4),
    ];
    for layers in ways.into_iter().flatten() {
        let order =
            [layers.ip, layers.l4, layers.payload, layers.payload_end, layers.ip_end, frame.len()];
        assert!(order.is_sorted(), "{layers:?} in {} bytes", frame.len());
        assert_eq!(layers.payload_of(frame).len(), layers.payload_len());
        assert!(layers.addresses(frame).is_some(), "{layers:?} without addresses");
        ends(Walk::into_packet(frame, &layers));
        // What is filled in is right.
        let mut copy = frame.to_vec();
        checksum::fill_ip(&mut copy, &layers);
        assert!(checksum::ip_is_right(&copy, &layers), "{layers:?}: {copy:02x?}");
        if layers.fragment.is_none() {
            checksum::fill_transport(&mut copy, &layers);
            let right = checksum::transport_is_right(&copy, &layers);
            assert!(right || layers.ports(frame).is_none(), "{layers:?}: {copy:02x?}");
        }
    }
}
