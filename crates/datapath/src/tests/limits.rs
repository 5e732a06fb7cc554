//! What happens at the bounds, and that a turn allocates nothing.

use plan::{Reply, Transform};

use super::lab::*;
use crate::events::Event;
use crate::journey::turn;
use crate::limits::BACKLOG_FRAMES_MAX;
use crate::memory::MemoryFrame;
use crate::reasons::Reason;

/// Frames through turns that must not allocate: they are given back to the memory port before they
/// are counted.
#[track_caller]
fn turns_allocate_nothing(transforms: Vec<Transform>, frames: &[Vec<u8>]) {
    let mut lab = Lab::new(enforcing(transforms));
    // Warm up: queues of the memory ports grow to their size.
    lab.send(frames);
    for frame in frames {
        lab.nic.arrive(LEFT, MemoryFrame::of(frame));
    }
    let counted = allocation_counter::measure(|| {
        while !lab.nic.is_idle() {
            turn(&mut lab.nic, &mut lab.core, 1);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(lab.nic.sent(RIGHT).count() + lab.nic.sent(LEFT).count() > 0);
}

#[test]
fn turns_allocate_nothing_after_start() {
    let mut frames = vec![udp4(&[b'x'; 900]), udp6(&[b'y'; 900]), udp4(b"z"), vec![0; 60]];
    frames.extend(fragment(&udp4(&[b'x'; 3_000]), 1_024));
    turns_allocate_nothing(vec![Transform::Truncate { to: 5_000 }], &frames);
    turns_allocate_nothing(vec![Transform::Truncate { to: 100 }], &frames);
    turns_allocate_nothing(vec![Transform::Pad { to: 4_000, with: b' ' }], &frames);
    let answer = Reply::Custom(b"no".as_slice().into());
    turns_allocate_nothing(vec![Transform::Refuse(answer)], &frames);
}

#[test]
fn a_full_queue_keeps_a_backlog_and_loses_the_rest_counted() {
    let mut lab = Lab::new(plan(vec![]));
    lab.nic.transmit_frames_max = 10;
    let sent: Vec<Vec<u8>> = (0..600_u16).map(|n| udp4(&n.to_be_bytes())).collect();
    for frame in &sent {
        lab.nic.arrive(LEFT, MemoryFrame::of(frame));
    }
    while !lab.nic.is_idle() {
        turn(&mut lab.nic, &mut lab.core, 0);
    }
    lab.nic.transmit_frames_max = usize::MAX;
    turn(&mut lab.nic, &mut lab.core, 0);
    let out: Vec<Vec<u8>> = lab.nic.sent(RIGHT).map(MemoryFrame::into_bytes).collect();
    lab.every_frame_has_its_reason();
    let lost = lab.events(Event::TxQueueFull) as usize;
    assert_eq!(out.len() + lost, sent.len());
    assert!(out.len() >= BACKLOG_FRAMES_MAX.min(sent.len()));
    assert!(out.is_sorted_by_key(|frame| payload(frame)), "what is sent is sent in order");
    let cells = lab.core.counters().port(RIGHT).unwrap();
    assert_eq!(cells.tx_packets.load(), out.len() as u64);
    assert_eq!(cells.tx_bytes.load(), out.iter().map(|frame| frame.len() as u64).sum::<u64>());
    let cells = lab.core.counters().port(LEFT).unwrap();
    assert_eq!(cells.rx_packets.load(), 600);
}

#[test]
fn more_fragments_than_there_is_room_for_are_lost_counted() {
    let mut config = crate::config::CoreConfig::default();
    config.limits.fragmented_datagrams_max = 2;
    let mut lab = Lab::with(enforcing(vec![Transform::Truncate { to: 4_000 }]), config);
    let first_pieces: Vec<Vec<u8>> = (0..3_u8)
        .map(|n| {
            let mut packet = udp4(&[b'x'; 3_000]);
            packet[19] = n;
            fragment(&packet, 1_024).swap_remove(0)
        })
        .collect();
    lab.send(&first_pieces);
    assert_eq!((lab.count(Reason::FragmentHeld), lab.count(Reason::FragmentsFull)), (2, 1));
}
