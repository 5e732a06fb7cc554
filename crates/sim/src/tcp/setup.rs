//! The choices of a seed besides the conversation: hosts, links, habits.

use offline::ConnectionSide;

use super::exchange::Exchange;
use crate::dice::Dice;

/// One of the four ways between a host and the box. Chances are in thousandths a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkSetup {
    pub(super) lose: u32,
    pub(super) duplicate: u32,
    pub(super) reorder: u32,
    pub(super) corrupt: u32,
    pub(super) split: u32,
    pub(super) coalesce: u32,
    pub(super) delay_ms: u64,
    /// Late frames come up to so much later.
    pub(super) late_ms: u64,
}

/// When an end closes its half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closes {
    /// Once it has said everything, though the other may still speak.
    RunTotals,
    /// Once it has said and heard everything.
    Heard,
    /// Once the other has closed.
    AfterOther,
}

/// A host and the application on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostSetup {
    pub(super) mtu: usize,
    pub(super) receive_bytes: usize,
    pub(super) send_bytes: usize,
    pub(super) timestamps: bool,
    pub(super) nagle: bool,
    pub(super) ack_delay_ms: u64,
    pub(super) keep_alive_ms: u64,
    /// The application writes at most so much at once, and so often.
    pub(super) write_bytes: usize,
    pub(super) write_ms: u64,
    pub(super) read_bytes: usize,
    pub(super) read_ms: u64,
    pub(super) closes: Closes,
    /// The first sequence number lies so far before the end of the circle; 0: anywhere.
    pub(super) wraps_in: u32,
}

/// All choices but the conversation.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) v6: bool,
    pub(super) hosts: [HostSetup; 2],
    /// From the client, to the client, from the server, to the server.
    pub(super) links: [LinkSetup; 4],
    /// Until then links do harm.
    pub(super) calm_ms: u64,
    pub(super) blocks: u32,
    /// The end that gives up in the middle, and when.
    pub(super) abort: Option<(ConnectionSide, u64)>,
    /// The messages are few and short.
    pub(super) short: bool,
}

impl Setup {
    pub(super) fn of(seed: u64) -> Self {
        let dice = &mut Dice::of(seed, 1);
        let v6 = dice.percent(20);
        let kind = dice.below(10);
        let links = core::array::from_fn(|_| link(dice, kind));
        let hosts = [host(dice, v6), host(dice, v6)];
        let mut setup = Self {
            v6,
            hosts,
            links,
            calm_ms: 60_000,
            blocks: dice.pick(&[4_096, 4_096, 1_024, 128]),
            abort: None,
            short: dice.percent(50),
        };
        for host in &mut setup.hosts {
            // These would take very long and find nothing new.
            if !setup.short {
                host.receive_bytes = host.receive_bytes.max(536);
                host.write_bytes = host.write_bytes.max(100);
                host.read_bytes = host.read_bytes.max(100);
            }
            if host.write_ms > 10 {
                host.write_bytes = host.write_bytes.max(100);
            }
            if host.read_ms > 10 {
                host.read_bytes = host.read_bytes.max(50);
            }
        }
        let [client, server] = &mut setup.hosts;
        if client.closes == Closes::AfterOther && server.closes == Closes::AfterOther {
            client.closes = Closes::Heard;
        }
        if dice.percent(4) {
            let side = dice.pick(&[ConnectionSide::Client, ConnectionSide::Server]);
            setup.abort = Some((side, dice.below(3_000)));
        }
        setup
    }

    pub(super) const fn host(&self, side: ConnectionSide) -> &HostSetup {
        let [client, server] = &self.hosts;
        match side {
            ConnectionSide::Client => client,
            ConnectionSide::Server => server,
        }
    }
}

/// Seeds are of ten kinds: no harm at all, one kind of harm, or everything together.
fn link(dice: &mut Dice, kind: u64) -> LinkSetup {
    let delay_ms = dice.pick(&[0, 0, 1, 5, 20, 50]);
    let mut link =
        LinkSetup { delay_ms, late_ms: dice.pick(&[1, 5, 30, 200]), ..LinkSetup::default() };
    let much = dice.pick(&[5, 20, 50, 150]);
    match kind {
        0 => {}
        1 => link.lose = much,
        2 => link.reorder = 2 * much,
        3 => link.duplicate = 2 * much,
        4 => link.split = 5 * much,
        5 => link.coalesce = 5 * much,
        6 => link.corrupt = much,
        _ => {
            let mut some = || if dice.percent(40) { dice.pick(&[5, 20, 50, 150]) } else { 0 };
            link.lose = some();
            link.reorder = some();
            link.duplicate = some();
            link.split = 2 * some();
            link.coalesce = 2 * some();
            link.corrupt = some();
        }
    }
    link
}

fn host(dice: &mut Dice, v6: bool) -> HostSetup {
    let mtus: &[usize] =
        if v6 { &[1_500, 1_500, 1_280] } else { &[1_500, 1_500, 1_500, 1_400, 576, 296] };
    let small = dice.percent(15);
    let receive_bytes = if small {
        dice.pick(&[64, 200, 536, 1_000, 1_460])
    } else {
        dice.pick(&[2_920, 4_096, 16_384, 65_535, 65_536, 200_000])
    };
    HostSetup {
        mtu: dice.pick(mtus),
        receive_bytes,
        send_bytes: dice.pick(&[500, 4_096, 16_384, 65_536, 200_000]),
        timestamps: dice.percent(50),
        nagle: dice.percent(60),
        ack_delay_ms: dice.pick(&[0, 10, 10, 40, 200]),
        keep_alive_ms: if dice.percent(15) { dice.pick(&[50, 300, 2_000, 75_000]) } else { 0 },
        write_bytes: dice.pick(&[1, 7, 100, 1_000, 100_000, 100_000, 100_000]),
        write_ms: dice.pick(&[0, 0, 0, 0, 1, 10, 70, 300]),
        read_bytes: dice.pick(&[3, 50, 1_000, 1_000_000, 1_000_000, 1_000_000]),
        read_ms: dice.pick(&[0, 0, 0, 0, 0, 10, 100, 700]),
        closes: dice.pick(&[Closes::RunTotals, Closes::Heard, Closes::AfterOther]),
        wraps_in: if dice.percent(30) { dice.pick(&[1, 2, 100, 3_000, 70_000]) } else { 0 },
    }
}

impl Setup {
    /// A run that takes longer than this has stalled. Nothing is lost any more once it is calm; the
    /// slowest stack doubles its patience up to a minute, a few times, and what remains is bytes
    /// over the slowest of windows and applications.
    pub(super) fn limit_us(&self, exchange: &Exchange) -> u64 {
        let pauses: u64 = exchange.parts.iter().map(|part| part.pause_ms).sum();
        let mut bytes: usize =
            exchange.parts.iter().map(|part| part.bytes.len().max(part.becomes.len())).sum();
        bytes += 1_000;
        let delays: u64 = self.links.iter().map(|link| link.delay_ms + 5).sum();
        let mut slowest = 0;
        for host in &self.hosts {
            let wide = host.receive_bytes.min(host.send_bytes).min(host.mtu - 60);
            let turns = bytes / wide
                + bytes / host.write_bytes
                + bytes / host.read_bytes
                + exchange.parts.len();
            let each = 2 * delays + 2 * host.ack_delay_ms + host.write_ms + host.read_ms;
            slowest += u64::try_from(turns).unwrap_or(u64::MAX).saturating_mul(each);
        }
        (self.calm_ms + 900_000 + pauses + 3 * slowest) * 1_000
    }
}
