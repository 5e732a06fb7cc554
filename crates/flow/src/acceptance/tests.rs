//! Each clause of acceptance alone, at its edges.

use super::*;
use crate::limits::Bounds;
use wire::Tcp;

const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;
const SYN: TcpFlags = TcpFlags::SYN;

/// The header of a segment.
fn header(seq: u32, ack: u32, flags: TcpFlags, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([((20 + options.len()) / 4 * 16) as u8, flags.raw()]);
    bytes.extend([0; 6]);
    bytes.extend(options);
    bytes
}

/// Asks `question` about a segment.
fn ask<T>(header: &[u8], payload: &[u8], question: impl Fn(&SegmentIn<'_>) -> T) -> T {
    question(&SegmentIn { tcp: Tcp::parse(header).unwrap(), payload })
}

/// A half-stream of which 5000 is acknowledged and sent, with a window up to 9000.
fn half() -> Half {
    let mut half = Half::UNKNOWN;
    half.begin(Seq::new(5000));
    half.note(Facts::WINDOW);
    half.right_e = Seq::new(9000);
    half
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7
//= type=test
#[test]
fn flags_that_contradict_each_other_are_discarded() {
    let valid = |flags| ask(&header(1, 1, flags, &[]), b"", has_valid_flags);
    for flags in [ACK, SYN, SYN.with(ACK), RST, RST.with(ACK), FIN.with(ACK)] {
        assert!(valid(flags), "{flags:?}");
    }
    for flags in [FIN, TcpFlags::PSH, SYN.with(FIN), SYN.with(RST), SYN.with(FIN).with(ACK)] {
        assert!(!valid(flags), "{flags:?}");
    }
    let signed = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
    assert!(!ask(&header(1, 1, ACK, &signed), b"", has_valid_flags));
    assert!(ask(&header(1, 1, SYN, &signed), b"", has_valid_flags), "a SYN asks for signatures");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//= type=test
#[test]
fn only_a_plain_syn_opens_a_connection_and_only_a_plain_ack_is_picked_up() {
    let opens = |flags| ask(&header(1, 0, flags, &[]), b"", opens_connection);
    assert!(opens(SYN) && opens(SYN.with(TcpFlags::PSH)));
    assert!(!opens(SYN.with(ACK)) && !opens(SYN.with(RST)) && !opens(SYN.with(FIN)) && !opens(ACK));
    let picked_up = |flags| ask(&header(1, 1, flags, &[]), b"", may_be_picked_up);
    assert!(picked_up(ACK) && picked_up(ACK.with(TcpFlags::PSH)));
    assert!(!picked_up(ACK.with(FIN)) && !picked_up(ACK.with(RST)) && !picked_up(SYN.with(ACK)));
    assert!(!picked_up(TcpFlags::PSH));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
//= type=test
#[test]
fn before_its_syn_is_answered_an_end_discards_bytes_and_answers_challenges() {
    let (known, unknown) = (half(), Half::UNKNOWN);
    let asked = |half, other, ack, flags, payload: &[u8]| {
        ask(&header(1, ack, flags, &[]), payload, |segment| in_syn_sent(half, other, segment))
    };
    // From the end whose SYN was seen: nothing of it counts yet, but it may take its SYN back.
    assert_eq!(asked(&known, &unknown, 1, ACK, b""), InSynSent::IsDiscarded);
    assert_eq!(asked(&known, &unknown, 1, RST, b""), InSynSent::Resets);
    // From the other end.
    assert_eq!(asked(&unknown, &known, 1, ACK, b""), InSynSent::IsAnswered);
    assert_eq!(asked(&unknown, &known, 1, ACK, b"old"), InSynSent::IsDiscarded);
    assert_eq!(asked(&unknown, &known, 1, ACK.with(FIN), b""), InSynSent::IsDiscarded);
    assert_eq!(asked(&unknown, &known, 5000, RST.with(ACK), b""), InSynSent::Resets);
    assert_eq!(asked(&unknown, &known, 4999, RST.with(ACK), b""), InSynSent::IsAnswered);
    assert_eq!(asked(&unknown, &known, 5000, RST, b""), InSynSent::IsAnswered);
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-4
//= type=test
#[test]
fn another_syn_is_challenged_once_one_is_answered() {
    let (known, unknown) = (half(), Half::UNKNOWN);
    assert!(known.challenges_syn(&known, Seq::new(4999)));
    assert!(!known.challenges_syn(&known, Seq::new(5000)), "the same SYN again");
    assert!(!known.challenges_syn(&unknown, Seq::new(4999)), "nobody has answered yet");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
#[test]
fn a_segment_before_or_behind_the_window_is_not_acceptable() {
    let half = half();
    let accepts = |half: &Half, seq, payload: &[u8]| {
        ask(&header(seq, 1, ACK, &[]), payload, |segment| half.accepts_position(segment))
    };
    assert!(accepts(&half, 4999, b"") && accepts(&half, 4990, &[0; 10]));
    assert!(!accepts(&half, 4990, &[0; 8]) && !accepts(&half, 0x8000_0000, b""));
    let last = 9000 + WAITING_BYTES_MAX;
    assert!(accepts(&half, last, b"x") && !accepts(&half, last + 1, b"x"));
    // Where the receiver's window or the first number is not known, everything is.
    assert!(accepts(&Half::UNKNOWN, 1, b"x"));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
#[test]
fn an_old_timestamp_is_dropped_with_one_tick_of_leeway_and_across_the_wrap() {
    let stores = Stores::new(1, 1, Bounds::default());
    let check = |half: &Half, seq, flags, value: u32, payload: &[u8]| {
        let options = [&[1, 1, 8, 10][..], &value.to_be_bytes(), &[0; 4]].concat();
        ask(&header(seq, 1, flags, &options), payload, |s| half.check_stamp(s, &stores))
    };
    let mut half = half();
    // The timestamp of a SYN: only ahead of a gap.
    half.recent = 700;
    assert_eq!(check(&half, 5000, ACK, 1, b"x"), StampCheck::Newest(1));
    assert_eq!(check(&half, 5001, ACK, 1, b"x"), StampCheck::TooOld);
    half.note(Facts::RECENT);
    assert_eq!(check(&half, 5000, ACK, 699, b"x"), StampCheck::Fine);
    assert_eq!(check(&half, 5000, ACK, 698, b"x"), StampCheck::TooOld);
    assert_eq!(check(&half, 5000, ACK.with(FIN), 698, b""), StampCheck::TooOld);
    assert_eq!(check(&half, 5000, ACK, 698, b""), StampCheck::Fine, "it carries nothing");
    assert_eq!(check(&half, 5000, RST, 698, b"x"), StampCheck::Fine);
    assert_eq!(check(&half, 5000, ACK, 701, b"x"), StampCheck::Newest(701));
    assert_eq!(check(&half, 5001, ACK, 900, b"x"), StampCheck::Fine, "ahead of a gap");
    half.recent = 0xffff_fffe;
    assert_eq!(check(&half, 5000, ACK, 2, b"x"), StampCheck::Newest(2));
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
//= type=test
#[test]
fn a_reset_is_accepted_from_what_is_acknowledged_to_what_is_sent() {
    let mut half = half();
    half.sent_e = Seq::new(5400);
    assert!(half.accepts_reset(Seq::new(5000)) && half.accepts_reset(Seq::new(5400)));
    assert!(!half.accepts_reset(Seq::new(4999)) && !half.accepts_reset(Seq::new(5401)));
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
//= type=test
#[test]
fn an_acknowledgement_of_what_was_never_sent_is_discarded() {
    let mut half = half();
    // 500 bytes were decided and sent.
    half.next_o = Seq::new(5500);
    half.next_e = Seq::new(5500);
    half.sent_e = Seq::new(5500);
    assert!(half.accepts_ack(Seq::new(5000)) && half.accepts_ack(Seq::new(5500)));
    assert!(!half.accepts_ack(Seq::new(4999)) && !half.accepts_ack(Seq::new(5501)));
    let discards = |half: &Half, ack, flags| {
        ask(&header(1, ack, flags, &[]), b"x", |segment| half.discards_ack(segment))
    };
    assert!(discards(&half, 5501, ACK) && !discards(&half, 5500, ACK));
    let oldest = 5000_u32.wrapping_sub(OLD_ACK_BYTES);
    assert!(!discards(&half, oldest, ACK) && discards(&half, oldest.wrapping_sub(1), ACK));
    half.window = 1 << 10;
    half.scale = 10;
    let oldest = 5000_u32.wrapping_sub(1 << 20);
    assert!(!discards(&half, oldest, ACK) && discards(&half, oldest.wrapping_sub(1), ACK));
    assert!(!discards(&half, 7, SYN), "it acknowledges nothing");
    // The sent FIN counts as one more.
    half.note(Facts::FIN_OUT);
    assert!(half.accepts_ack(Seq::new(5501)));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
#[test]
fn an_end_stands_behind_what_is_decided_and_within_the_window() {
    let mut half = half();
    assert!(half.accepts_end(Seq::new(5000)) && !half.accepts_end(Seq::new(4999)));
    let last = 9000 + FIN_AHEAD_BYTES_MAX;
    assert!(half.accepts_end(Seq::new(last)) && !half.accepts_end(Seq::new(last + 1)));
    half.drop_fact(Facts::WINDOW);
    assert!(half.accepts_end(Seq::new(last + 1)));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
//= type=test
#[test]
fn a_keep_alive_is_one_byte_before_the_acknowledged_edge() {
    let half = half();
    let is = |seq, payload: &[u8]| {
        ask(&header(seq, 1, ACK, &[]), payload, |segment| half.is_keep_alive(segment))
    };
    assert!(is(4999, b"") && is(4999, b"x"));
    assert!(!is(4999, b"xy") && !is(5000, b"") && !is(4998, b""));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
#[test]
fn the_window_bounds_what_is_sent() {
    let mut half = half();
    assert_eq!(half.window_room(Seq::new(8990), 100), 10);
    assert_eq!(half.window_room(Seq::new(8990), 5), 5);
    assert_eq!(half.window_room(Seq::new(9001), 5), 0);
    assert!(half.is_within_window(Seq::new(9000)) && !half.is_within_window(Seq::new(9001)));
    assert_eq!(half.cut_to_window(Seq::new(9001)), Seq::new(9000));
    half.sent_e = Seq::new(9500);
    assert!(half.is_within_window(Seq::new(9500)), "it was sent once already");
    half.drop_fact(Facts::WINDOW);
    assert_eq!(half.window_room(Seq::new(9001), 5), 5);
    assert!(half.is_within_window(Seq::new(20_000)));
}
