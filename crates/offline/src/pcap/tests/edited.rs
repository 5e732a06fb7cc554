//! Captures of which something changes.

use plan::Transform;
use wire::Layers;

use super::{FILE_SHAPES, FileShape, core, packet, under};
use crate::pcap::*;

fn packets_of(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    Capture::new(file)
        .filter_map(|item| match item {
            CaptureItem::Packet(record) => {
                Some((record.time_us, file[record.data.clone()].to_vec()))
            }
            CaptureItem::Verbatim(_) | CaptureItem::Section { .. } => None,
        })
        .collect()
}

#[test]
fn a_changed_packet_keeps_its_time_and_its_neighbours_their_bytes() {
    let sent = [packet(b"first", 7), packet(&[b'x'; 301], 9), packet(b"last", 7)];
    for shape in FILE_SHAPES {
        let input = shape.file(&sent);
        let outcome =
            replay(&input, &mut core(under(Transform::Truncate { to: 10 }, &[9])), |_| {});
        let (before, after) = (packets_of(&input), packets_of(&outcome.output));
        assert_eq!(before.len(), 3, "{shape:?}");
        let want = [sent[0].clone(), packet(&[b'x'; 10], 9), sent[2].clone()];
        let got: Vec<_> = after.iter().map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!(got, want, "{shape:?}");
        for ((before, _), (after, _)) in before.iter().zip(&after) {
            assert_eq!(before, after, "times of {shape:?}");
        }
        assert!(!Capture::new(&outcome.output).any(|item| match item {
            CaptureItem::Packet(record) => record.is_cut(),
            CaptureItem::Verbatim(_) | CaptureItem::Section { .. } => false,
        }));
        let report = &outcome.report;
        assert_eq!((report.packets, report.unchanged, report.changed), (3, 2, 1));
        let [entry] = &report.edits[..] else { panic!("{:?}", report.edits) };
        assert_eq!(entry.patch.as_deref(), Some("the-patch"));
        assert_eq!(
            (entry.packet, entry.fate, &entry.fields[..]),
            (2, PacketFate::Changed, &["whole.data"][..])
        );
        assert_eq!((entry.removed_bytes, entry.before_bytes, entry.after_bytes), (291, 329, 38));
    }
}

#[test]
fn comments_stay_hashes_go_and_the_section_says_no_length() {
    let shape = FileShape::Ng { big_endian: false, simple: false };
    let input = shape.file(&[packet(&[b'x'; 301], 9)]);
    let outcome = replay(&input, &mut core(under(Transform::Truncate { to: 10 }, &[9])), |_| {});
    let has = |file: &[u8], part: &[u8]| file.windows(part.len()).any(|window| window == part);
    assert!(has(&input, &[3, 0, 5, 0, 2]) && !has(&outcome.output, &[3, 0, 5, 0, 2]));
    assert!(has(&outcome.output, &[1, 0, 2, 0, b'h', b'i', 0, 0, 0, 0, 0, 0]));
    assert!(has(&outcome.output, b"unknown to everybody"));
    assert_eq!(outcome.output[16..24], [0xff; 8]);
    // Unchanged, it says what it said.
    let outcome = replay(&input, &mut core(under(Transform::Truncate { to: 999 }, &[9])), |_| {});
    assert_eq!(outcome.output, input);
}

#[test]
fn a_dropped_packet_is_left_out_and_an_answer_follows_what_it_answers() {
    let sent = [packet(b"first", 7), packet(b"bad", 9), packet(b"last", 7)];
    for shape in FILE_SHAPES {
        let input = shape.file(&sent);
        let outcome = replay(&input, &mut core(under(Transform::Drop, &[9])), |_| {});
        let got: Vec<_> = packets_of(&outcome.output).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(got, [sent[0].clone(), sent[2].clone()], "{shape:?}");
        assert_eq!(outcome.report.edits[0].fate, PacketFate::LeftOut);

        let answer = plan::Reply::Custom(b"no".as_slice().into());
        let outcome = replay(&input, &mut core(under(Transform::Refuse(answer), &[9])), |_| {});
        let got = packets_of(&outcome.output);
        assert_eq!(got.len(), 3, "{shape:?}");
        let layers = Layers::ip(&got[1].1, 0).unwrap();
        assert_eq!(layers.payload_of(&got[1].1), b"no");
        assert_eq!(layers.ports(&got[1].1), Some((9, 4_000)));
        assert_eq!(got[1].0, packets_of(&input)[1].0);
        assert_eq!((outcome.report.left_out, outcome.report.inserted), (1, 1));
    }
}

#[test]
fn fragments_of_what_grew_follow_with_its_time() {
    let input = FILE_SHAPES[0].file(&[packet(b"short", 9), packet(b"last", 7)]);
    let pad = Transform::Pad { to: 4_000, with: b' ' };
    let outcome = replay(&input, &mut core(under(pad, &[9])), |_| {});
    let got = packets_of(&outcome.output);
    assert_eq!(got.len(), 4);
    assert!(got[..3].iter().all(|(time, _)| *time == got[0].0));
    assert_eq!((outcome.report.changed, outcome.report.inserted), (1, 2));
}
