//! A connection behind its handshake, and single segments for it.

use super::endpoint::Wire;
use super::play::built;
use super::*;

/// What is sent for one segment of these numbers and bytes, to the receiver and to the sender:
/// (seq, ack, payload).
pub(super) type Sent = [Vec<(u32, u32, Vec<u8>)>; 2];

pub(super) struct Alone<S = Tokens> {
    pub(super) stores: Stores,
    pub(super) connection: Connection,
    pub(super) out: Outputs,
    pub(super) stage: S,
}

impl<S: Stage> Alone<S> {
    /// Behind the handshake: the client's next byte is 100, the server's 500.
    pub(super) fn new(stage: S) -> Self {
        let (stores, connection) =
            (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
        let mut alone = Self { stores, connection, out: Outputs::new(), stage };
        let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
        alone.send(0, Direction::Request, 99, 0, syn, b"");
        alone.send(0, Direction::Response, 499, 100, syn.with(ack), b"");
        alone.send(0, Direction::Request, 100, 500, ack, b"");
        alone
    }

    pub(super) fn send(
        &mut self,
        now: u32,
        direction: Direction,
        seq: u32,
        ack: u32,
        flags: TcpFlags,
        payload: &[u8],
    ) -> Sent {
        let wire = Wire::new(seq, ack, flags, 1_000, &[], payload);
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload };
        let Self { stores, connection, out, stage } = self;
        connection.on_segment(direction, &segment, stores, stage, Tick(now), out);
        self.sent(direction, &wire)
    }

    pub(super) fn on_timeout(&mut self, now: u32) -> Option<Sent> {
        let Self { stores, connection, out, stage } = self;
        connection.on_timeout(Direction::Request, stores, stage, Tick(now), out)?;
        Some(self.sent(Direction::Request, &Wire::new(0, 0, TcpFlags::ACK, 0, &[], b"")))
    }

    pub(super) fn sent(&self, direction: Direction, wire: &Wire) -> Sent {
        let mut sent = Sent::default();
        for output in self.out.list() {
            let Self { connection, stores, out, .. } = self;
            let built = built(output, out, connection, direction, stores, wire);
            let numbers = (output.seq.raw(), output.ack.raw(), built.payload);
            sent[usize::from(output.to == To::Sender)].push(numbers);
        }
        sent
    }
}
