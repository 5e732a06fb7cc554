//! Datagrams that a plan changes, drops or answers.

use plan::{FailMode, Mode, PatchNo, Reply, Transform};
use wire::{IpVersion, Layers, checksum};

use super::lab::*;
use crate::active_plan::ActivePlan;
use crate::config::CoreConfig;
use crate::events::Event;
use crate::limits::Limits;
use crate::reasons::Reason;

fn truncate(to: u32) -> Vec<Transform> {
    vec![Transform::Truncate { to }]
}

fn pad(to: u32) -> Vec<Transform> {
    vec![Transform::Pad { to, with: b'+' }]
}

#[test]
fn a_shortened_datagram_has_right_lengths_and_checksums() {
    for packet in [udp4, udp6, |payload: &[u8]| udp4_tagged(&[5, 0x2064], payload)] {
        let mut lab = Lab::new(enforcing(truncate(40)));
        let long = [b'A'; 700];
        let (out, back) = lab.send(&[packet(&long), packet(&long[..40]), packet(&long[..3])]);
        assert!(back.is_empty());
        assert_eq!(out[0], packet(&long[..40]), "as if the sender had written less");
        assert_eq!(out[1], packet(&long[..40]));
        assert_eq!(out[2], packet(&long[..3]));
        assert_eq!((lab.count(Reason::Edited), lab.count(Reason::Unchanged)), (1, 2));
        let in_force = lab.publisher.latest();
        let cells = in_force.counters(0).unwrap().patch(PatchNo(0)).unwrap();
        assert_eq!((cells.edits.load(), cells.removed_bytes.load()), (1, 660));
    }
}

#[test]
fn responses_are_patched_on_their_way_back() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let mut response = udp4(b"response");
    response[34..38].rotate_left(2);
    let (out, _) = lab.send_at(RIGHT, &[response]);
    assert_eq!(payload(&out[0]), b"resp");
}

#[test]
fn a_lengthened_datagram_grows_in_its_frame() {
    let mut lab = Lab::new(enforcing(pad(1_400)));
    for packet in [udp4, udp6] {
        let (out, _) = lab.send(&[packet(b"short")]);
        let got = payload(&out[0]);
        assert!(got.starts_with(b"short+++") && got.len() == 1_400);
    }
}

#[test]
fn ethernet_padding_is_made_anew_and_trailers_are_kept() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let padded = |payload: &[u8], to: usize, with: u8| {
        let mut frame = udp4(payload);
        frame.resize(to.max(frame.len()), with);
        frame
    };
    let (out, _) = lab.send(&[padded(b"0123456789", 60, 0)]);
    assert_eq!(out[0], padded(b"0123", 60, 0), "still padded to 60");
    let (out, _) = lab.send(&[padded(&[b'x'; 100], 60, 0)]);
    assert_eq!(out[0], padded(b"xxxx", 60, 0), "a long frame that becomes short is padded");
    let (out, _) = lab.send(&[padded(b"0123456789", 0, 0)]);
    assert_eq!(out[0], udp4(b"0123"), "a port without padding gets none");
    let mut trailed = udp4(&[b'x'; 100]);
    trailed.extend(b"trailer");
    let (out, _) = lab.send(&[trailed]);
    let mut want = udp4(b"xxxx");
    want.extend(b"trailer");
    want.resize(60, 0);
    assert_eq!(out[0], want);
}

//= https://www.rfc-editor.org/rfc/rfc768
//= type=test
#[test]
fn no_checksum_stays_none() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let without = |payload: &[u8]| {
        let mut frame = udp4(payload);
        frame[40..42].fill(0);
        frame
    };
    let (out, _) = lab.send(&[without(b"0123456789")]);
    assert_eq!(out[0], without(b"0123"));
}

#[test]
fn what_the_server_discards_is_sent_on_as_it_is() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let mut bad_udp = udp4(b"0123456789");
    bad_udp[50] ^= 1;
    let mut bad_ip = udp4(b"0123456789");
    bad_ip[22] ^= 1;
    let mut bad_len = udp4(b"0123456789");
    bad_len[38..40].copy_from_slice(&[0, 99]);
    let sent = [bad_udp, bad_ip, bad_len];
    let (out, _) = lab.send(&sent);
    assert_eq!(out, sent);
    for reason in [Reason::BadChecksum, Reason::BadIpChecksum, Reason::BadTransportHeader] {
        assert_eq!(lab.count(reason), 1, "{reason:?}");
    }
    // Taken on trust, a checksum the NIC was to fill in does not stop the edit, and leaves filled.
    let config = CoreConfig { trust_checksums: true, ..CoreConfig::default() };
    let mut lab = Lab::with(enforcing(truncate(4)), config);
    let (out, _) = lab.send(&sent[..1]);
    assert_eq!(payload(&out[0]), b"0123");
}

#[test]
fn a_drop_goes_nowhere_and_is_counted() {
    let mut lab = Lab::new(enforcing(vec![Transform::Drop]));
    let (out, back) = lab.send(&[udp4(b"x"), udp6(b"y")]);
    assert!(out.is_empty() && back.is_empty());
    assert_eq!(lab.count(Reason::DroppedByPatch), 2);
}

#[test]
fn a_refusal_is_answered_to_the_sender() {
    let answer = Transform::Refuse(Reply::Custom(b"go away".as_slice().into()));
    for packet in [udp4, udp6, |payload: &[u8]| udp4_tagged(&[5], payload)] {
        let mut lab = Lab::new(enforcing(vec![answer.clone()]));
        let sent = packet(&[b'x'; 300]);
        let (out, back) = lab.send(std::slice::from_ref(&sent));
        assert!(out.is_empty());
        assert_eq!(payload(&back[0]), b"go away");
        assert_eq!((&back[0][..6], &back[0][6..12]), (&sent[6..12], &sent[..6]));
        let (asked, answered) =
            (Layers::ethernet(&sent).unwrap(), Layers::ethernet(&back[0]).unwrap());
        assert_eq!(asked.tags, answered.tags);
        let (source, destination) = asked.addresses(&sent).unwrap();
        assert_eq!(answered.addresses(&back[0]), Some((destination, source)));
        assert_eq!(answered.ports(&back[0]), Some((SERVER_PORT, 4_000)));
        assert_eq!(lab.count(Reason::RefusedByPatch), 1);
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//= type=test
#[test]
fn nobody_is_answered_from_a_multicast_address() {
    let answer = Transform::Refuse(Reply::Custom(b"go away".as_slice().into()));
    let mut lab = Lab::new(enforcing(vec![answer]));
    let mut sent = udp4(b"x");
    sent[30] = 239;
    let layers = Layers::ethernet(&sent).unwrap();
    checksum::fill_ip(&mut sent, &layers);
    checksum::fill_transport(&mut sent, &layers);
    let (out, back) = lab.send(&[sent]);
    assert!(out.is_empty() && back.is_empty());
    assert_eq!(lab.count(Reason::DroppedByPatch), 1);
}

#[test]
fn observe_counts_what_it_would_have_done() {
    for transforms in [truncate(4), vec![Transform::Drop]] {
        let mut lab = Lab::new(plan(vec![module(Mode::Observe, FailMode::Closed, transforms)]));
        let sent = [udp4(b"0123456789")];
        let (out, _) = lab.send(&sent);
        assert_eq!(out, sent);
        let in_force = lab.publisher.latest();
        let cells = in_force.counters(0).unwrap().patch(PatchNo(0)).unwrap();
        assert_eq!((cells.would_have.load(), cells.edits.load(), cells.verdicts.load()), (1, 0, 0));
    }
}

#[test]
fn a_panicking_module_fails_open_or_closed() {
    let sent = [udp4(b"!boom!")];
    for (fail, kept) in [(FailMode::Open, 1), (FailMode::Closed, 0)] {
        let mut lab = Lab::new(plan(vec![module(Mode::Enforce, fail, truncate(4))]));
        let (out, _) = lab.send(&sent);
        assert_eq!(out, sent[..kept]);
        assert_eq!(lab.core.counters().undecided(), [0, 0, 0, 0, 0, 1, 0]);
        let (out, _) = lab.send(&[udp4(b"0123456789")]);
        assert_eq!(payload(&out[0]), b"0123", "the next datagram is patched as ever");
    }
}

#[test]
fn fragments_of_an_unchanged_datagram_leave_as_they_came() {
    for packet in [udp4, udp6] {
        let mut lab = Lab::new(enforcing(truncate(4_000)));
        let mut pieces = fragment(&packet(&[b'x'; 3_000]), 1_024);
        pieces.reverse();
        let (out, _) = lab.send(&pieces);
        assert_eq!(out, pieces, "in the order they came, byte for byte");
        assert_eq!(lab.count(Reason::FragmentHeld), 2);
        assert_eq!(lab.count(Reason::Unchanged), 1);
        assert_eq!(lab.core.counters().held_fragments.load(), 0);
    }
}

#[test]
fn a_fragmented_datagram_is_patched_whole() {
    for packet in [udp4, udp6] {
        let mut lab = Lab::new(enforcing(truncate(1_000)));
        let (out, _) = lab.send(&fragment(&packet(&[b'x'; 3_000]), 1_024));
        assert_eq!(out.len(), 1);
        assert_eq!(payload(&out[0]), [b'x'; 1_000]);
    }
}

/// What an edit makes longer than the MTU leaves in fragments, which a second box puts together to
/// the same payload.
#[test]
fn over_the_mtu_it_is_fragmented_again() {
    for packet in [udp4, udp6] {
        for (sent, to) in [
            (vec![packet(&[b'x'; 1_400])], 1_600),
            (vec![packet(&[b'x'; 1_400])], 9_000),
            (fragment(&packet(&[b'x'; 3_000]), 1_024), 60_000),
        ] {
            let mut lab = Lab::new(enforcing(pad(to)));
            let (out, _) = lab.send(&sent);
            assert!(out.len() > 1);
            for piece in &out {
                let layers = Layers::ethernet(piece).unwrap();
                assert!(
                    layers.ip_end - layers.ip <= 1_500 && checksum::ip_is_right(piece, &layers)
                );
                assert!(layers.fragment.is_some());
            }
            let mut second = Lab::with(
                enforcing(truncate(1_000)),
                CoreConfig {
                    limits: Limits { fragments_max: 100, ..Limits::default() },
                    ..CoreConfig::default()
                },
            );
            let (whole, _) = second.send(&out);
            assert_eq!(whole.len(), 1);
            assert_eq!(payload(&whole[0]), [b'x'; 1_000]);
            let ids: std::collections::HashSet<_> = out
                .iter()
                .map(|piece| Layers::ethernet(piece).unwrap().fragment.unwrap().id)
                .collect();
            assert_eq!(ids.len(), 1);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc791#section-3.1
//= type=test
#[test]
fn later_fragments_carry_only_copied_options() {
    let plain = udp4(&[b'x'; 1_400]);
    let mut sent = plain[..34].to_vec();
    // Record route (not copied), no-operation, loose source route (copied) and the end of the list.
    sent.extend([7, 7, 4, 0, 0, 0, 0, 1, 131, 3, 4, 0]);
    sent.extend(&plain[34..]);
    sent[14] = 0x48;
    let len = (sent.len() - 14) as u16;
    sent[16..18].copy_from_slice(&len.to_be_bytes());
    let layers = Layers::ethernet(&sent).unwrap();
    checksum::fill_ip(&mut sent, &layers);
    let mut lab = Lab::new(enforcing(pad(3_000)));
    let (out, _) = lab.send(&[sent]);
    assert_eq!(out[0][34..46], [7, 7, 4, 0, 0, 0, 0, 1, 131, 3, 4, 0]);
    for piece in &out[1..] {
        assert_eq!(piece[14], 0x46);
        assert_eq!(piece[34..38], [131, 3, 4, 0]);
    }
    let layers = Layers::ethernet(&out[1]).unwrap();
    assert_eq!(layers.version, IpVersion::V4);
}

//= https://www.rfc-editor.org/rfc/rfc5722#section-4
//= type=test
#[test]
fn overlapping_fragments_cost_their_datagram() {
    let mut lab = Lab::new(enforcing(truncate(4_000)));
    let pieces = fragment(&udp4(&[b'x'; 3_000]), 1_024);
    let other = fragment(&udp4(&[b'y'; 3_000]), 512);
    let (out, _) = lab.send(&[
        pieces[0].clone(),
        pieces[0].clone(),
        other[1].clone(),
        pieces[1].clone(),
        pieces[2].clone(),
    ]);
    assert!(out.is_empty());
    assert_eq!(lab.count(Reason::FragmentRepeated), 1);
    assert_eq!(lab.events(Event::FragmentsDiscarded), 1, "the held one");
    assert_eq!(lab.count(Reason::FragmentOverlaps), 3, "and all after it");
    // After a while the identification may be used again.
    lab.now += 6_000;
    lab.send(&[]);
    crate::journey::turn(&mut lab.nic, &mut lab.core, lab.now);
    let (out, _) = lab.send(&pieces);
    assert_eq!(out, pieces);
}

#[test]
fn an_incomplete_datagram_is_let_go_in_time() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let pieces = fragment(&udp4(&[b'x'; 3_000]), 1_024);
    let (out, _) = lab.send(&pieces[..2]);
    assert!(out.is_empty());
    lab.now = 4_999;
    crate::journey::turn(&mut lab.nic, &mut lab.core, lab.now);
    assert_eq!(lab.events(Event::FragmentTimedOut), 0);
    lab.now = 5_000;
    crate::journey::turn(&mut lab.nic, &mut lab.core, lab.now);
    assert_eq!(lab.events(Event::FragmentTimedOut), 2);
    assert_eq!(lab.core.counters().held_fragments.load(), 0);
}

#[test]
fn a_new_plan_is_in_force_from_the_next_burst() {
    let mut lab = Lab::new(enforcing(truncate(4)));
    let sent = [udp4(b"0123456789")];
    let (out, _) = lab.send(&sent);
    assert_eq!(payload(&out[0]), b"0123");
    lab.publisher.publish(ActivePlan::new(enforcing(truncate(6)), 1));
    let (out, _) = lab.send(&sent);
    assert_eq!(payload(&out[0]), b"012345");
    lab.publisher.publish(ActivePlan::new(plan(vec![]), 1));
    let (out, _) = lab.send(&sent);
    assert_eq!(out, sent);
    assert_eq!(lab.count(Reason::NotInPlan), 1);
    let mut freed = 0;
    lab.publisher.reclaim(|_| freed += 1);
    assert_eq!(freed, 2, "the core holds none of the old ones");
}

#[test]
fn an_empty_pool_loses_the_datagram_it_cannot_fragment() {
    let mut lab = Lab::new(enforcing(vec![Transform::Pad { to: 9_000, with: b' ' }]));
    while crate::nic::FramePool::alloc(&mut lab.nic).is_some() {}
    lab.send(&[udp4(b"x")]);
    assert_eq!(lab.count(Reason::NoFrames), 1);
}

#[test]
fn a_datagram_edited_past_its_greatest_length_fails_open() {
    let mut lab = Lab::new(enforcing(vec![Transform::Pad { to: 65_530, with: b' ' }]));
    let sent = [udp4(b"x")];
    let (out, _) = lab.send(&sent);
    assert_eq!(out, sent);
    assert_eq!(lab.count(Reason::FailedOpen), 1);
}
