//! Timestamps: which are too old, and which an acknowledgement made here carries.

use super::alone::Alone;
use super::endpoint::Wire;
use super::*;
use stage::{ConnectionEnd, Edit, InspectContext, Inspected, Next};

/// Deletes every byte.
struct Swallows;

impl Stage for Swallows {
    fn inspect(&mut self, _: Direction, _: &[u8], _: InspectContext) -> Inspected {
        Inspected {
            decided: 0,
            next: Next::SkipRest { discard: true },
            answer: false,
            end: ConnectionEnd::GoesOn,
        }
    }

    fn edit(&self, _: usize) -> Option<Edit<'_>> {
        None
    }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# then treat the arriving segment as not acceptable
#[test]
fn an_acknowledgement_made_before_the_server_has_sent_data_carries_the_stamp_of_its_syn() {
    let stamps = |value: u32, echo: u32| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
        options
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let handshake = [
        (Direction::Request, Wire::new(99, 0, syn, 1000, &stamps(7, 0), b"")),
        (
            Direction::Response,
            Wire::new(499, 100, syn.with(ack), 1000, &stamps(692_308_891, 7), b""),
        ),
        (Direction::Request, Wire::new(100, 500, ack, 1000, &stamps(8, 692_308_891), b"")),
        (Direction::Request, Wire::new(100, 500, ack, 1000, &stamps(9, 692_308_891), b"data")),
    ];
    let mut stores = Stores::new(512, 4, Bounds::default());
    let mut connection = Connection::new(Tick(0));
    let mut out = Outputs::new();
    for (direction, wire) in &handshake {
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload: &wire.payload };
        connection.on_segment(*direction, &segment, &mut stores, &mut Swallows, Tick(0), &mut out);
    }
    assert!(out.list().iter().any(|output| output.to == To::Sender));
    assert_eq!(out.back_options(), stamps(692_308_891, 9));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# then treat the arriving segment as not acceptable
#[test]
fn an_acknowledgement_made_here_carries_the_latest_stamp_though_an_older_one_came_late() {
    let stamps = |value: u32, echo: u32| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
        options
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    // The server's clock wraps between two acknowledgements, and the later one comes first.
    let (one, three) = (u32::MAX, 1);
    let segments = [
        (Direction::Request, Wire::new(99, 0, syn, 1000, &stamps(7, 0), b"")),
        (Direction::Response, Wire::new(499, 100, syn.with(ack), 1000, &stamps(one - 1, 7), b"")),
        (Direction::Request, Wire::new(100, 500, ack, 1000, &stamps(8, one), b"")),
        (Direction::Response, Wire::new(500, 100, ack, 1000, &stamps(three, 8), b"")),
        (Direction::Response, Wire::new(500, 100, ack, 1000, &stamps(one, 8), b"")),
        (Direction::Request, Wire::new(100, 500, ack, 1000, &stamps(9, one), b"data")),
    ];
    let mut stores = Stores::new(512, 4, Bounds::default());
    let mut connection = Connection::new(Tick(0));
    let mut out = Outputs::new();
    for (direction, wire) in &segments {
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload: &wire.payload };
        connection.on_segment(*direction, &segment, &mut stores, &mut Swallows, Tick(0), &mut out);
    }
    assert!(out.list().iter().any(|output| output.to == To::Sender));
    assert_eq!(out.back_options(), stamps(three, 9));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# SEG.TSval < TS.Recent
#[test]
fn bytes_with_an_old_timestamp_are_not_the_first_copy() {
    let mut alone = Alone::new(Tokens::default());
    let send = |alone: &mut Alone, seq: u32, value: u32, payload: &[u8]| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend([0; 4]);
        let wire = Wire::new(seq, 500, TcpFlags::ACK, 1_000, &options, payload);
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload };
        let Alone { stores, connection, out, stage } = alone;
        let outcome =
            connection.on_segment(Direction::Request, &segment, stores, stage, Tick(0), out);
        (outcome, alone.sent(Direction::Request, &wire)[0].clone())
    };
    assert_eq!(send(&mut alone, 100, 700, b"abc").1, [(100, 500, b"abc".to_vec())]);
    assert_eq!(send(&mut alone, 103, 698, b"decoy"), (SegmentOutcome::TooOld, vec![]));
    assert_eq!(send(&mut alone, 103, 699, b"de").1, [(103, 500, b"de".to_vec())]);
    // Ahead of order, a newer stamp does not count yet: what fills the gap may be older.
    assert_eq!(send(&mut alone, 107, 900, b"hi").0, SegmentOutcome::Ahead);
    assert_eq!(send(&mut alone, 105, 705, b"fg").1, [(105, 500, b"fghi".to_vec())]);
}
