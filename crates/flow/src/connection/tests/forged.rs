//! A segment that its receiver would discard changes nothing here, and a reset that is accepted
//! here reaches its receiver at a number that it accepts.

use super::*;
use crate::limits::OPEN_IDLE_MS;
use stage::{Edit, InspectContext, Inspected};

const ACK: TcpFlags = TcpFlags::ACK;
const SYN: TcpFlags = TcpFlags::SYN;
const RST: TcpFlags = TcpFlags::RST;

/// Behind a handshake in which the client's SYN, and perhaps the server's answer, is signed (RFC
/// 2385).
fn signed(answered: bool) -> Alone {
    let md5 = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
    let (stores, connection) = (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
    let mut alone = Alone { stores, connection, out: Outputs::new(), stage: Tokens::default() };
    let answer = if answered { &md5[..] } else { &[] };
    for (direction, (seq, ack), flags, options) in [
        (Direction::Request, (99, 0), SYN, &md5[..]),
        (Direction::Response, (499, 100), SYN.with(ACK), answer),
        (Direction::Request, (100, 500), ACK, &[]),
    ] {
        let wire = Wire::new(seq, ack, flags, 1_000, options, b"");
        let segment =
            SegmentIn { tcp: wire::Tcp::parse(&wire.header).unwrap(), payload: &wire.payload };
        let Alone { stores, connection, out, stage } = &mut alone;
        connection.on_segment(direction, &segment, stores, stage, Tick(0), out);
    }
    alone
}

#[test]
fn a_signed_syn_is_not_enough_to_go_on_unpatched() {
    let mut alone = signed(false);
    assert_eq!(alone.connection.state(), ConnectionState::Open);
    let [onward, _] = alone.send(1, Direction::Request, 100, 500, ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, b"ab".to_vec())]);
    let mut alone = signed(true);
    assert_eq!(alone.connection.state(), ConnectionState::Signed);
    let [onward, _] = alone.send(1, Direction::Request, 100, 500, ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, b"aTOKENb".to_vec())]);
}

#[test]
fn a_signed_segment_of_a_connection_without_signatures_is_discarded() {
    let mut alone = Alone::new(Tokens::default());
    let md5 = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
    for (flags, payload) in [(ACK, &b"decoy"[..]), (RST, b""), (ACK.with(TcpFlags::FIN), b"")] {
        let wire = Wire::new(100, 500, flags, 1_000, &md5, payload);
        let segment = SegmentIn { tcp: wire::Tcp::parse(&wire.header).unwrap(), payload };
        let Alone { stores, connection, out, stage } = &mut alone;
        let outcome =
            connection.on_segment(Direction::Request, &segment, stores, stage, Tick(0), out);
        assert_eq!(outcome, SegmentOutcome::BadFlags, "{flags:?}");
    }
    assert_eq!(alone.connection.state(), ConnectionState::Open);
    let [onward, _] = alone.send(1, Direction::Request, 100, 500, ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, b"ab".to_vec())]);
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
//= type=test
//# If the RST bit is set and the sequence number does not exactly match the next expected sequence
//# value, yet is within the current receive window, TCP MUST send an acknowledgment (challenge
//# ACK).
#[test]
fn a_blind_reset_stays_blind() {
    let mut alone = Alone::new(Tokens::default());
    alone.send(0, Direction::Request, 100, 500, ACK, b"aTOKENb");
    alone.send(1, Direction::Response, 500, 102, ACK, b"");
    // Everything is 5 less on the other side.
    for (blind, there) in [(108, 103), (900, 895), (0x4000_0000, 0x3fff_fffb)] {
        let [onward, _] = alone.send(2, Direction::Request, blind, 0, RST, b"");
        assert_eq!(onward, [(there, 0, vec![])]);
        assert_eq!(alone.connection.state(), ConnectionState::Open, "its receiver challenges it");
    }
    let [onward, _] = alone.send(3, Direction::Request, 107, 0, RST, b"");
    assert_eq!(onward, [(102, 0, vec![])]);
    assert_eq!(alone.connection.state(), ConnectionState::Dead);
}

#[test]
fn a_reset_that_is_accepted_here_is_accepted_there() {
    let mut alone = Alone::new(Tokens::default());
    alone.send(0, Direction::Request, 100, 500, ACK, b"abc");
    // It is before bytes that the server may have or lack.
    let [onward, _] = alone.send(1, Direction::Request, 100, 0, RST, b"");
    assert_eq!(onward, [(100, 0, vec![]), (103, 0, vec![])]);
    assert_eq!(alone.connection.state(), ConnectionState::Dead);
}

#[test]
fn a_reset_behind_a_closed_window_is_at_what_the_receiver_has() {
    let mut alone = Alone::new(Tokens::default());
    alone.send(0, Direction::Request, 100, 500, ACK, b"abc");
    alone.send(1, Direction::Response, 500, 103, ACK, b"");
    // The server's window is full: it keeps none of these.
    alone.send(2, Direction::Request, 103, 500, ACK, b"defgh");
    let [onward, _] = alone.send(3, Direction::Request, 108, 0, RST, b"");
    assert_eq!(onward, [(103, 0, vec![]), (108, 0, vec![])]);
    // It has some of them after all, has accepted neither reset, and acknowledges the bytes.
    let [onward, back] = alone.send(4, Direction::Response, 500, 106, ACK, b"");
    assert_eq!((onward, back), (vec![], vec![(106, 0, vec![])]));
    let [onward, _] = alone.send(5, Direction::Request, 106, 500, ACK, b"TOKEN");
    assert_eq!(onward, [], "nothing reaches it any more");
    let (minute, hour) = (5 + 61_000, 5 + 3_600_000);
    assert!(!alone.connection.is_expired(Tick(hour), OPEN_IDLE_MS), "it may still be there");
    assert!(alone.connection.may_make_room(&alone.stores, Tick(minute)));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
//= type=test
//# If neither of the SYN or RST bits is set, then drop the segment and return.
#[test]
fn bytes_before_the_answer_to_a_syn_are_not_the_first_copy() {
    let (stores, connection) = (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
    let mut alone = Alone { stores, connection, out: Outputs::new(), stage: Tokens::default() };
    alone.send(0, Direction::Request, 99, 0, SYN, b"");
    for flags in [ACK, ACK.with(TcpFlags::PSH), ACK.with(TcpFlags::FIN)] {
        let [onward, back] = alone.send(1, Direction::Request, 100, 500, flags, b"aTO");
        assert_eq!((onward, back), (vec![], vec![]), "{flags:?}");
    }
    // The server has a connection already: its challenge goes on, and changes nothing here.
    let [onward, _] = alone.send(2, Direction::Response, 9_000, 7_000, ACK, b"");
    assert_eq!(onward, [(9_000, 7_000, vec![])]);
    let [onward, _] = alone.send(3, Direction::Response, 9_000, 7_000, ACK, b"old data");
    assert_eq!(onward, []);
    // Nor does a reset that answers another SYN.
    alone.send(4, Direction::Response, 0, 7_000, RST.with(ACK), b"");
    assert_eq!(alone.connection.state(), ConnectionState::Opening);
    alone.send(5, Direction::Response, 499, 100, SYN.with(ACK), b"");
    let [onward, _] = alone.send(6, Direction::Request, 100, 500, ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, b"ab".to_vec())]);
}

#[test]
fn a_refused_connection_is_over() {
    let (stores, connection) = (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
    let mut alone = Alone { stores, connection, out: Outputs::new(), stage: Tokens::default() };
    alone.send(0, Direction::Request, 99, 0, SYN, b"");
    let [onward, _] = alone.send(1, Direction::Response, 0, 100, RST.with(ACK), b"");
    assert_eq!(onward, [(0, 100, vec![])]);
    assert_eq!(alone.connection.state(), ConnectionState::Dead);
}

#[test]
fn a_reset_behind_held_bytes_is_at_what_the_receiver_expects() {
    let mut alone = Alone::new(Tokens::default());
    alone.send(0, Direction::Request, 100, 500, ACK, b"aTOK");
    let [onward, _] = alone.send(1, Direction::Request, 104, 0, RST, b"");
    assert!(onward.iter().any(|(seq, ..)| *seq == 101), "{onward:?}");
    assert_eq!(alone.connection.state(), ConnectionState::Dead);
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
//= type=test
//# All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and
//# an ACK sent back.
#[test]
fn bytes_with_an_impossible_acknowledgement_are_not_the_first_copy() {
    let mut alone = Alone::new(Tokens::default());
    for impossible in [10_000_000, 500_u32.wrapping_sub(70_000)] {
        let [onward, _] = alone.send(0, Direction::Request, 100, impossible, ACK, b"decoy");
        assert_eq!(onward, [(100, impossible, vec![])], "left for its receiver to challenge");
        alone.send(0, Direction::Request, 100, impossible, ACK.with(TcpFlags::FIN), b"");
    }
    // One that is merely late is taken.
    let [onward, _] = alone.send(1, Direction::Request, 100, 499, ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 499, b"ab".to_vec())]);
}

#[test]
fn in_a_capture_what_was_cut_here_is_acknowledged_whole() {
    for (offline_capture, answer) in [(true, &b"answer"[..]), (false, b"")] {
        let mut alone = Alone::new(Tokens::default());
        alone.stores = Stores::new(512, 4, Bounds { offline_capture, ..Bounds::default() });
        let [onward, _] = alone.send(0, Direction::Request, 100, 500, ACK, b"aTOKENb");
        assert_eq!(onward, [(100, 500, b"ab".to_vec())]);
        // The server that was captured had got seven bytes.
        let [onward, _] = alone.send(1, Direction::Response, 500, 107, ACK, b"answer");
        assert!(onward.iter().all(|(.., bytes)| bytes == answer), "{onward:?}");
    }
}

#[test]
fn a_second_syn_behind_the_answer_to_the_first_moves_nothing() {
    let (stores, connection) = (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
    let mut alone = Alone { stores, connection, out: Outputs::new(), stage: Tokens::default() };
    alone.send(0, Direction::Request, 99, 0, SYN, b"");
    alone.send(0, Direction::Response, 499, 100, SYN.with(ACK), b"");
    alone.send(0, Direction::Request, 94, 0, SYN, b"");
    alone.send(0, Direction::Request, 100, 500, ACK, b"");
    let [onward, _] = alone.send(1, Direction::Request, 95, 500, ACK, b"xxxTOKENb");
    // The server begins at 100, as it acknowledged, whatever comes before that.
    assert_eq!(onward, [(100, 500, b"KENb".to_vec())]);
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
//= type=test
//# If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to TS.Recent
#[test]
fn the_stamp_of_a_syn_counts_ahead_of_a_gap_only() {
    let stamped = |value: u32| [&[1, 1, 8, 10][..], &value.to_be_bytes(), &[0; 4]].concat();
    let play = |last: (u32, u32, &'static [u8])| {
        let (stores, connection) =
            (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
        let mut alone = Alone { stores, connection, out: Outputs::new(), stage: Tokens::default() };
        let mut outcome = SegmentOutcome::Held;
        for (direction, (seq, ack), flags, stamp, payload) in [
            (Direction::Request, (99, 0), SYN, 0x7000_0000, &b""[..]),
            (Direction::Response, (499, 100), SYN.with(ACK), 1, b""),
            (Direction::Request, (last.0, 500), ACK, last.1, last.2),
        ] {
            let wire = Wire::new(seq, ack, flags, 1_000, &stamped(stamp), payload);
            let tcp = wire::Tcp::parse(&wire.header).unwrap();
            let segment = SegmentIn { tcp, payload };
            let Alone { stores, connection, out, stage } = &mut alone;
            outcome = connection.on_segment(direction, &segment, stores, stage, Tick(0), out);
        }
        outcome
    };
    assert_eq!(play((105, 0x6000_0000, b"decoy")), SegmentOutcome::TooOld);
    assert_eq!(play((105, 0x7000_0001, b"late")), SegmentOutcome::Ahead);
    // Another clock answered the SYN in its sender's stead.
    assert_eq!(play((100, 0x6000_0000, b"aTOKENb")), SegmentOutcome::Edited);
}

/// As [`Untouched`], in a group that is only observed.
struct Onlooker(Untouched);

impl Stage for Onlooker {
    fn inspect(
        &mut self,
        direction: Direction,
        input: &[u8],
        context: InspectContext,
    ) -> Inspected {
        self.0.inspect(direction, input, context)
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        self.0.edit(nth)
    }

    fn enforces(&self) -> bool {
        false
    }
}

#[test]
fn where_nothing_is_enforced_neither_handshake_nor_reset_matters() {
    let (stores, connection) = (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
    let stage = Onlooker(Untouched { rest: false });
    let mut alone = Alone { stores, connection, out: Outputs::new(), stage };
    alone.send(0, Direction::Request, 99, 0, SYN, b"");
    // The server's answers go another way.
    alone.send(1, Direction::Request, 100, 500, ACK, b"");
    let [onward, _] = alone.send(1, Direction::Request, 100, 500, ACK, b"request");
    assert_eq!(onward, [(100, 500, b"request".to_vec())]);
    alone.send(2, Direction::Request, 107, 0, RST, b"");
    let [onward, back] = alone.send(3, Direction::Request, 107, 500, ACK, b"more");
    assert_eq!((onward, back.len()), (vec![(107, 500, b"more".to_vec())], 0));
}
