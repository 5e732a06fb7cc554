//! A trace of a run: one line a frame.

use wire::{Seq, TcpFlags};

use super::impaired_link::{self, LinkEvent};

/// Lines, if anybody wants them.
pub(super) struct Trace {
    lines: Option<Vec<String>>,
    /// The first numbers of client and server, by ports.
    isns: Vec<(u16, Seq)>,
}

const FLAGS: [(TcpFlags, char); 5] = [
    (TcpFlags::SYN, 'S'),
    (TcpFlags::FIN, 'F'),
    (TcpFlags::RST, 'R'),
    (TcpFlags::PSH, 'P'),
    (TcpFlags::ACK, 'A'),
];

impl Trace {
    pub(super) fn new(wanted: bool) -> Self {
        Self { lines: wanted.then(Vec::new), isns: Vec::new() }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    pub(super) fn note(&mut self, now: u64, what: &str) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{}  {what}", clock(now)));
        }
    }

    pub(super) fn events(&mut self, now: u64, events: &[LinkEvent]) {
        for event in events {
            self.note(now, &format!("       ({event})"));
        }
    }

    /// A frame at one of the four places: `C >`, `C >>` (at the box), `>> S` (leaves the box).
    pub(super) fn frame(&mut self, now: u64, place: &str, frame: &[u8], reason: &str) {
        if self.lines.is_none() {
            return;
        }
        let Some((layers, tcp)) = impaired_link::read(frame) else {
            self.note(
                now,
                &format!("{place:6} {} bytes, not a sound segment  {reason}", frame.len()),
            );
            return;
        };
        if tcp.flags().has(TcpFlags::SYN)
            && !self.isns.iter().any(|(port, _)| *port == tcp.source_port())
        {
            self.isns.push((tcp.source_port(), tcp.seq()));
        }
        let base = |of: u16| {
            let found = self.isns.iter().find(|(port, _)| *port == of);
            found.map_or(Seq::new(0), |(_, isn)| *isn)
        };
        let payload = layers.payload_of(frame);
        let seq = tcp.seq().distance_from(base(tcp.source_port()));
        let ack = tcp.ack().distance_from(base(tcp.destination_port()));
        let flags: String = FLAGS
            .iter()
            .filter(|(flag, _)| tcp.flags().has(*flag))
            .map(|(_, letter)| letter)
            .collect();
        let mut options = String::new();
        for option in tcp.options() {
            if let wire::options::TcpOption::Sack { at, blocks } = option {
                let edges = tcp.option_bytes().get(at..at + 8 * blocks).unwrap_or_default();
                for edge in edges.as_chunks::<4>().0 {
                    let edge = Seq::new(u32::from_be_bytes(*edge));
                    let edge = edge.distance_from(base(tcp.destination_port()));
                    options.push_str(&format!(" sack {edge}"));
                }
            }
        }
        let shown = payload.get(..24.min(payload.len())).unwrap_or_default().escape_ascii();
        let line = format!(
            "{place:6} {seq}+{:<5} ack {ack:<6} win {:<5} {flags:3}{options} \"{shown}\" {reason}",
            payload.len(),
            tcp.window(),
        );
        self.note(now, &line);
    }
}

fn clock(us: u64) -> String {
    format!("{:>8}.{:03}", us / 1_000, us % 1_000)
}
