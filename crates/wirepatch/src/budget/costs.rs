//! Measured costs, as `make bench-page` wrote them down.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Part of the program, so that it can compute a budget wherever it runs.
const COSTS: &str = include_str!("costs.json");

/// Rows of the record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Costs {
    pub(super) machine: CostMachine,
    rows: Vec<CostRow>,
    decoders: Vec<DecoderCost>,
}

/// Where and when.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct CostMachine {
    pub(super) cpu: String,
    pub(super) ghz: f64,
    pub(super) date: Option<String>,
    pub(super) load_average: String,
}

/// The traffic of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CostTraffic {
    #[serde(rename = "udp-out-of-scope")]
    OutOfScope,
    Dns,
    HttpRequests,
    HttpResponses,
    TcpAcks,
}

/// With which patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PatchSet {
    /// The few of the bench itself.
    Own,
    /// The whole library.
    Library,
}

const TRAFFIC: [CostTraffic; 5] = [
    CostTraffic::OutOfScope,
    CostTraffic::Dns,
    CostTraffic::HttpRequests,
    CostTraffic::HttpResponses,
    CostTraffic::TcpAcks,
];

/// Cycles a packet, of the time-stamp counter; the driver's share is in them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct CostRow {
    traffic: CostTraffic,
    set: PatchSet,
    pub(super) frame_bytes: f64,
    pub(super) cycles: f64,
    pub(super) floor: f64,
    pub(super) work: Option<f64>,
    pub(super) instructions: Option<Spent>,
}

/// Instructions a packet.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Spent {
    pub(super) all: f64,
    /// Of them, those that grow with the message.
    pub(super) message: f64,
    /// Of them, those that grow with the rules.
    pub(super) decide: f64,
}

/// A protocol's message that is dearest a byte.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DecoderCost {
    protocol: String,
    pub(super) bytes: f64,
    pub(super) instructions: f64,
}

impl Costs {
    pub(super) fn load() -> Result<Self> {
        let costs: Self = serde_json::from_str(COSTS).context("the program's own costs.json")?;
        let whole = TRAFFIC.iter().all(|&traffic| {
            [PatchSet::Own, PatchSet::Library].iter().all(|&set| costs.row(traffic, set).is_some())
        });
        ensure!(whole && !costs.decoders.is_empty(), "the program's own costs.json lacks rows");
        Ok(costs)
    }

    fn row(&self, traffic: CostTraffic, set: PatchSet) -> Option<CostRow> {
        self.rows.iter().copied().find(|row| (row.traffic, row.set) == (traffic, set))
    }

    /// The row under the whole library, which is the dearest set there is.
    pub(super) fn library(&self, traffic: CostTraffic) -> CostRow {
        // `load` has seen to it that there is one; a row that costs everything would be seen.
        self.row(traffic, PatchSet::Library).unwrap_or(CostRow {
            traffic,
            set: PatchSet::Library,
            frame_bytes: 64.0,
            cycles: f64::INFINITY,
            floor: 0.0,
            work: None,
            instructions: None,
        })
    }

    /// Cycles under whichever of the two sets is dearer.
    pub(super) fn dearer(&self, traffic: CostTraffic) -> f64 {
        let own = self.row(traffic, PatchSet::Own).map_or(0.0, |row| row.cycles);
        own.max(self.library(traffic).cycles)
    }

    /// Cycles under a set whose rules make `work` of a message: on the line through the two sets
    /// that were measured. Where that line falls, or it is not known how much work they were, the
    /// dearer one.
    pub(super) fn for_work(&self, traffic: CostTraffic, work: f64) -> f64 {
        let library = self.library(traffic);
        let Some(own) = self.row(traffic, PatchSet::Own) else { return library.cycles };
        match (own.work, library.work) {
            (Some(few), Some(many)) if many > few && library.cycles > own.cycles => {
                let more = (work - few).max(0.0) / (many - few);
                own.cycles + more * (library.cycles - own.cycles)
            }
            _ => own.cycles.max(library.cycles),
        }
    }

    pub(super) fn decoder(&self, protocol: &str) -> Option<&DecoderCost> {
        self.decoders.iter().find(|decoder| decoder.protocol == protocol)
    }

    pub(super) fn dearest_decoder(&self) -> &DecoderCost {
        static NONE: DecoderCost =
            DecoderCost { protocol: String::new(), bytes: 1.0, instructions: f64::INFINITY };
        let each = |decoder: &DecoderCost| decoder.instructions / decoder.bytes;
        self.decoders.iter().max_by(|a, b| each(a).total_cmp(&each(b))).unwrap_or(&NONE)
    }
}
