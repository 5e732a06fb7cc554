use super::*;

fn seq(raw: u32) -> Seq {
    Seq::new(raw)
}

/// The example of the module's documentation.
fn example() -> SeqMap {
    let mut map = SeqMap::new(seq(100), seq(100));
    assert!(map.push_linear(EditKind::Copied, 3));
    assert!(map.push_edit(4, 0));
    assert!(map.push_linear(EditKind::Copied, 3));
    assert!(map.push_edit(2, 5));
    assert!(map.push_linear(EditKind::Copied, 8));
    map
}

#[test]
fn the_worked_example() {
    let map = example();
    let edited = |at| map.to_edited(seq(at)).raw();
    assert_eq!(
        [edited(99), edited(102), edited(103), edited(105), edited(107)],
        [99, 102, 103, 103, 103]
    );
    assert_eq!(
        [edited(110), edited(111), edited(112), edited(120), edited(125)],
        [106, 106, 111, 119, 124]
    );
    let original = |at| map.to_original(seq(at)).raw();
    assert_eq!([original(99), original(102), original(103), original(105)], [99, 102, 107, 109]);
    assert_eq!([original(106), original(108), original(111), original(119)], [110, 110, 112, 120]);
    assert_eq!(map.to_original_up(seq(108)).raw(), 112);
    assert_eq!(map.to_original_up(seq(106)).raw(), 110);
}

#[test]
fn what_is_acknowledged_folds_into_one_difference() {
    let mut map = example();
    assert_eq!(map.acknowledge(seq(103)), 3);
    assert_eq!(map.base(), (seq(107), seq(103)));
    assert_eq!(map.acknowledge(seq(108)), 3, "an edit is kept whole until all of it is there");
    assert_eq!(map.to_original(seq(108)), seq(110));
    assert_eq!(map.acknowledge(seq(119)), 5 + 8);
    assert!(map.is_empty());
    assert_eq!(map.to_edited(seq(1000)).raw(), 999);
    assert_eq!(map.to_original(seq(999)).raw(), 1000);
}

#[test]
fn an_insertion_belongs_to_the_byte_before_it() {
    let mut map = SeqMap::new(seq(0), seq(0));
    assert!(!map.insert_behind(3));
    assert!(map.push_linear(EditKind::Copied, 10));
    assert!(map.insert_behind(3));
    assert_eq!(map.to_original(seq(10)).raw(), 9);
    assert_eq!(map.to_original(seq(12)).raw(), 9);
    assert_eq!(map.to_original(seq(13)).raw(), 10);
    assert!(map.insert_behind(2));
    assert_eq!(map.to_original(seq(13)).raw(), 9);
    assert_eq!(map.to_original(seq(15)).raw(), 10);
}

/// Any list of pushes and acknowledgements, against a list of all bytes ever: (original position,
/// edited bytes).
#[test]
fn any_history_against_a_naive_model() {
    for seed in 0..100_u32 {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        let start = u32::MAX - 500;
        let mut map = SeqMap::new(seq(start), seq(start));
        // For every original byte: how far the edited stream reached once all of it was put in.
        let mut ends: Vec<u32> = Vec::new();
        let (mut edited, mut acked) = (0_u32, 0_u32);
        for _ in 0..300 {
            match next(5) {
                0 | 1 => {
                    let n = next(20);
                    let kind = if next(2) == 0 { EditKind::Copied } else { EditKind::Passed };
                    if map.make_room() {
                        assert!(map.push_linear(kind, n));
                        for _ in 0..n {
                            edited += 1;
                            ends.push(edited);
                        }
                    }
                }
                2 => {
                    let (o, e) = (1 + next(6), next(9));
                    if map.make_room() {
                        assert!(map.push_edit(o, e));
                        // Bytes that are replaced by equally many correspond one by one.
                        let first = if o == e { edited + 1 } else { edited + e };
                        edited += e;
                        ends.extend((0..o).map(|n| (first + n).min(edited)));
                    }
                }
                3 => {
                    let k = 1 + next(4);
                    if map.insert_behind(k) {
                        edited += k;
                        *ends.last_mut().unwrap() = edited;
                    }
                }
                _ => {
                    acked += next(edited - acked + 1);
                    map.acknowledge(seq(start.wrapping_add(acked)));
                }
            }
            let mut before = (seq(start.wrapping_add(acked)), 0);
            for at in acked..=edited {
                let found = map.to_original(seq(start.wrapping_add(at)));
                let claimed = found.distance_from(seq(start)) as usize;
                assert!(claimed == 0 || ends[claimed - 1] <= at, "seed {seed}: claims too much");
                assert!(before.1 <= claimed, "seed {seed}: goes back");
                before = (found, claimed);
            }
            assert_eq!(before.1, ends.len(), "seed {seed}: all acknowledged is all");
            let mut last = None;
            for at in 0..=ends.len() as u32 {
                let e = map.to_edited(seq(start.wrapping_add(at)));
                if let Some(last) = last {
                    assert!(!e.is_before(last), "seed {seed}: edited goes back");
                }
                last = Some(e);
            }
        }
    }
}
