//! The line-rate contract: the packet rate that one core sustains with a set of patches, from
//! measured costs.
//!
//! Holds:     the costs (`costs.json`, made of `benches/record/` by `make bench-page`), what is
//!            reckoned from them, and the warning of a box whose workers cannot hold its links.
//! Promises:  every figure names its basis; where two measurements disagree the more expensive one
//!            counts.
//! Never:     measures, or guesses without saying so.

mod costs;
mod table;
mod warning;

#[cfg(test)]
mod tests;

use patch::{Explanation, ModuleExplanation};
use serde::Serialize;

use costs::{CostTraffic, Costs, Spent};
pub(crate) use table::table;
#[cfg(any(feature = "dpdk", test))]
pub(crate) use warning::PortSpeed;
pub(crate) use warning::{kernel_speeds, warnings};

/// Preamble, start of frame and gap between frames (IEEE 802.3 clause 4): bytes of the wire that
/// are no frame's.
const WIRE_BYTES: f64 = 20.0;

/// Frame lengths, check sequence included.
const SIZES: [f64; 3] = [64.0, 576.0, 1_500.0];

/// Of a dozen frames so many have each of these lengths: "simple IMIX".
const IMIX: [f64; 3] = [7.0, 4.0, 1.0];

/// The bytes around the payload of a UDP datagram: Ethernet header and check sequence, IPv4, UDP.
const UDP_BYTES: f64 = 46.0;

/// The same for a TCP segment without options.
const TCP_BYTES: f64 = 58.0;

/// The check sequence is no part of the frames that were measured.
const FCS_BYTES: f64 = 4.0;

/// The basis of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Basis {
    /// A row of the bench with this protocol.
    Measured,
    /// The instructions of this protocol's decoder, and the path of another protocol's packets.
    Instructions,
    /// No message of this protocol was ever counted: the dearest decoder's instructions stand in
    /// for it.
    OtherProtocol,
}

/// The rate of one core for one kind of traffic, and the cores that a budget needs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Share {
    /// `64`, `imix` or `1500`.
    pub(crate) frames: &'static str,
    pub(crate) cycles_per_packet: f64,
    pub(crate) mpps_per_core: f64,
    /// Packets of this length that come in at the budgeted rate.
    pub(crate) mpps_budget: f64,
    pub(crate) cores: u32,
}

/// One kind of traffic.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BudgetLine {
    pub(crate) traffic: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<u16>,
    pub(crate) basis: Basis,
    pub(crate) shares: Vec<Share>,
}

/// The budget of a set of patches.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Budget {
    /// The sum of the traffic that arrives at all ports.
    pub(crate) gbit_per_s: f64,
    pub(crate) cpu_ghz: f64,
    /// The CPU that the costs are of.
    pub(crate) measured_on: String,
    pub(crate) measured_ghz: f64,
    pub(crate) measured_at: Option<String>,
    pub(crate) load_average: String,
    pub(crate) lines: Vec<BudgetLine>,
}

impl Budget {
    /// Reckons `gbit_per_s` for what was compiled, with cores of `cpu_ghz`; `None`: of those it was
    /// measured on.
    pub(crate) fn new(
        explanation: &Explanation,
        gbit_per_s: f64,
        cpu_ghz: Option<f64>,
    ) -> anyhow::Result<Self> {
        Ok(Self::from_costs(&Costs::load()?, explanation, gbit_per_s, cpu_ghz))
    }

    fn from_costs(
        costs: &Costs,
        explanation: &Explanation,
        gbit_per_s: f64,
        cpu_ghz: Option<f64>,
    ) -> Self {
        let machine = &costs.machine;
        let cpu_ghz = cpu_ghz.unwrap_or(machine.ghz);
        let line =
            |traffic: String, ports: &[u16], (cycles, basis): ([f64; 3], Basis)| BudgetLine {
                traffic,
                ports: ports.to_vec(),
                basis,
                shares: shares(cycles, gbit_per_s, cpu_ghz),
            };
        let elsewhere = costs.dearer(CostTraffic::OutOfScope);
        let mut lines =
            vec![line("traffic out of scope".to_owned(), &[], ([elsewhere; 3], Basis::Measured))];
        let group = explanation.modules.first().map(|module| &module.group);
        let groups_differ = explanation.modules.iter().any(|module| Some(&module.group) != group);
        lines.extend(explanation.modules.iter().map(|module| {
            let mut name = format!("{} over {}", module.protocol, module.transport);
            if groups_differ {
                name.push_str(&format!(", {}", module.group));
            }
            line(name, &module.ports, of_module(costs, module))
        }));
        Self {
            gbit_per_s,
            cpu_ghz,
            measured_on: machine.cpu.clone(),
            measured_ghz: machine.ghz,
            measured_at: machine.date.clone(),
            load_average: machine.load_average.clone(),
            lines,
        }
    }
}

/// The work of a module's rules for one message: fields to find, passes over them, and rules looked
/// at for every unit. The dearer direction counts.
pub(crate) fn work(module: &ModuleExplanation) -> f64 {
    let of = |cost: &patch::Cost| cost.fields + cost.automata + cost.every_unit_rules;
    let most = module.sides.iter().map(|side| of(&side.cost)).max().unwrap_or(0);
    f64::from(u32::try_from(most).unwrap_or(u32::MAX))
}

/// Cycles of a packet of each of [`SIZES`].
fn of_module(costs: &Costs, module: &ModuleExplanation) -> ([f64; 3], Basis) {
    let work = work(module);
    match (module.protocol.as_str(), module.transport.as_str()) {
        // Short TCP segments are acknowledgements, full ones bodies; between them are messages.
        ("http", "tcp") => {
            let acks = costs.dearer(CostTraffic::TcpAcks);
            let cycles = [
                acks,
                costs.for_work(CostTraffic::HttpRequests, work),
                costs.for_work(CostTraffic::HttpResponses, work),
            ];
            (cycles, Basis::Measured)
        }
        ("dns", "udp") => {
            let cycles = costs.for_work(CostTraffic::Dns, work);
            let row = costs.library(CostTraffic::Dns);
            let share = row.instructions.map_or(1.0, |spent| spent.message / spent.all);
            let longer = |frame: f64| {
                let times = (frame - UDP_BYTES) / (row.frame_bytes + FCS_BYTES - UDP_BYTES);
                cycles * (1.0 + share * (times.max(1.0) - 1.0))
            };
            (SIZES.map(longer), Basis::Measured)
        }
        (protocol, transport) => estimate(costs, protocol, transport == "udp", work),
    }
}

/// The path of a measured protocol's packets with another decoder at its end.
fn estimate(costs: &Costs, protocol: &str, udp: bool, work: f64) -> ([f64; 3], Basis) {
    let (traffic, around) =
        if udp { (CostTraffic::Dns, UDP_BYTES) } else { (CostTraffic::HttpRequests, TCP_BYTES) };
    let row = costs.library(traffic);
    let spent = row.instructions.unwrap_or(Spent { all: row.cycles, ..Spent::default() });
    let cycles_each = (row.cycles - row.floor) / spent.all.max(1.0);
    let path = row.cycles - cycles_each * spent.message;
    // Without a record of how much work that was, all of it.
    let rules = row.work.map_or(spent.decide, |known| spent.decide * work / known.max(1.0));
    let (decoder, basis) = match costs.decoder(protocol) {
        Some(decoder) => (decoder, Basis::Instructions),
        None => (costs.dearest_decoder(), Basis::OtherProtocol),
    };
    let cycles = SIZES.map(|frame| {
        if !udp && frame <= 64.0 {
            return costs.dearer(CostTraffic::TcpAcks);
        }
        // Every byte of a longer packet is taken for a byte of fields.
        let times = ((frame - around) / decoder.bytes).max(1.0);
        path + cycles_each * (decoder.instructions * times + rules)
    });
    (cycles, basis)
}

fn shares(cycles: [f64; 3], gbit_per_s: f64, cpu_ghz: f64) -> Vec<Share> {
    let mean = |of: [f64; 3]| {
        let all: f64 = of.iter().zip(IMIX).map(|(each, frames)| each * frames).sum();
        all / IMIX.iter().sum::<f64>()
    };
    let [small, _, large] = cycles;
    let [shortest, _, longest] = SIZES;
    [("64", small, shortest), ("imix", mean(cycles), mean(SIZES)), ("1500", large, longest)]
        .map(|(frames, cycles_per_packet, frame_bytes)| {
            let mpps_per_core = cpu_ghz * 1e3 / cycles_per_packet;
            let mpps_budget = gbit_per_s * 1e3 / (8.0 * (frame_bytes + WIRE_BYTES));
            Share {
                frames,
                cycles_per_packet: tenths(cycles_per_packet),
                mpps_per_core: hundredths(mpps_per_core),
                mpps_budget: hundredths(mpps_budget),
                cores: cores(mpps_budget / mpps_per_core),
            }
        })
        .to_vec()
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number, rounded up; what does not fit is cut at the largest"
)]
fn cores(exactly: f64) -> u32 {
    exactly.ceil().max(1.0) as u32
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
