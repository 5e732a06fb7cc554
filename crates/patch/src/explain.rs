//! A compiled plan explained to people and programs: scope, fields, bytes held back, and a measure
//! of cost.

use std::fmt;

use plan::{DirectionRules, FailMode, Hold, Mode, Module, Plan};
use proto::Transport;
use serde::Serialize;
use stage::Direction;

use crate::hold::{self, HeldRule, HoldNeed};
use crate::slots;
use crate::verbs;

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// One for each protocol of each group, and each set of ports with patches of its own.
    pub modules: Vec<ModuleExplanation>,
}

/// One module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleExplanation {
    /// Whose servers.
    pub group: String,
    /// Read as what.
    pub protocol: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// Server ports in scope.
    pub ports: Vec<u16>,
    /// `enforce` or `observe`.
    pub mode: String,
    /// `open` or `closed`.
    pub fail: String,
    /// Directions that have rules.
    pub sides: Vec<SideExplanation>,
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SideExplanation {
    /// `request` or `response`.
    pub direction: String,
    /// The fields its rules read.
    pub fields: Vec<String>,
    /// Bytes of a unit that may be held back; 0 is streaming.
    pub hold_bytes_max: u32,
    /// A unit is the whole message head.
    pub whole_head: bool,
    /// In the order they run.
    pub rules: Vec<RuleExplanation>,
    /// The cost of a message.
    pub cost: Cost,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleExplanation {
    /// Whose.
    pub patch: String,
    /// The verb with its operands.
    pub does: String,
    /// The field it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// `streaming`, `unit`, `head` or `datagram`.
    pub class: String,
    /// Bytes that may be the beginning of a match, and wait for the rest of it.
    pub pattern_hold_bytes: u32,
    /// Why it does not stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A measure, not a time. It counts the work that grows with the patches, for messages that concern
/// them and for those that do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Fields the decoder has to find.
    pub fields: usize,
    /// Passes over bytes of fields: automata that run for every message.
    pub automata: usize,
    /// Rules without a cheap precondition: their conditions are evaluated for every unit.
    pub every_unit_rules: usize,
    /// Tests in all conditions, evaluated only for candidates.
    pub tests: usize,
}

/// Explains `plan`.
pub fn explain(plan: &Plan) -> Explanation {
    Explanation { modules: plan.modules.iter().map(|module| of_module(plan, module)).collect() }
}

fn of_module(plan: &Plan, module: &Module) -> ModuleExplanation {
    let group = plan.groups.get(usize::from(module.group.0));
    ModuleExplanation {
        group: group.map(|group| group.name.to_string()).unwrap_or_default(),
        protocol: module.decoder.protocol().name.to_owned(),
        transport: match module.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
        .to_owned(),
        ports: module.ports.to_vec(),
        mode: match module.mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        }
        .to_owned(),
        fail: match module.fail {
            FailMode::Open => "open",
            FailMode::Closed => "closed",
        }
        .to_owned(),
        sides: Direction::BOTH
            .into_iter()
            .filter(|direction| !module.direction(*direction).rules.is_empty())
            .map(|direction| of_side(plan, module, direction))
            .collect(),
    }
}

fn of_side(plan: &Plan, module: &Module, direction: Direction) -> SideExplanation {
    let side = module.direction(direction);
    let protocol = module.decoder.protocol();
    let mut slots_read: Vec<_> = side
        .rules
        .iter()
        .flat_map(|rule| slots::of(&rule.when).into_iter().map(|(slot, _)| slot).chain(rule.target))
        .collect();
    slots_read.sort_unstable();
    slots_read.dedup();
    let rules = side
        .rules
        .iter()
        .map(|rule| {
            let need = HeldRule::new(protocol, &side.wanted, rule).need();
            let (class, pattern_hold_bytes, why) = match need {
                _ if module.transport == Transport::Udp => ("datagram", 0, None),
                HoldNeed::Streaming(bytes) => ("streaming", bytes, None),
                HoldNeed::Unit(why) => ("unit", 0, Some(why)),
                HoldNeed::Head(why) => ("head", 0, Some(why)),
            };
            let patch = plan.patches.get(usize::from(rule.patch.0));
            RuleExplanation {
                patch: patch.map(|patch| patch.name.to_string()).unwrap_or_default(),
                does: verbs::words(&rule.transform, protocol.refusals),
                field: rule.target.map(|slot| hold::shown(protocol, &side.wanted, slot)),
                class: class.to_owned(),
                pattern_hold_bytes,
                why,
            }
        })
        .collect();
    SideExplanation {
        direction: match direction {
            Direction::Request => "request",
            Direction::Response => "response",
        }
        .to_owned(),
        fields: slots_read.iter().map(|slot| hold::shown(protocol, &side.wanted, *slot)).collect(),
        hold_bytes_max: match side.hold {
            Hold::Streaming => 0,
            Hold::UpTo(bytes) => bytes,
        },
        whole_head: side.wanted.whole(),
        rules,
        cost: cost(side, &slots_read),
    }
}

fn cost(side: &DirectionRules, slots_read: &[proto::Slot]) -> Cost {
    let programs = slots_read
        .iter()
        .filter_map(|slot| side.index.slot(*slot)?.program())
        .map(|program| program.automata.len().saturating_add(usize::from(program.masks.is_some())));
    Cost {
        fields: slots_read.len(),
        automata: programs.sum(),
        every_unit_rules: side.index.every_unit().len(),
        tests: side.rules.iter().map(|rule| slots::tests(&rule.when)).sum(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for module in &self.modules {
            writeln!(
                f,
                "{} over {} on {} of `{}` ({}, fail {})",
                module.protocol,
                module.transport,
                ports(&module.ports),
                module.group,
                module.mode,
                module.fail
            )?;
            for side in &module.sides {
                let hold = match (side.hold_bytes_max, module.transport.as_str()) {
                    (_, "udp") => "datagrams are whole, nothing is held".to_owned(),
                    (0, _) => "streaming, nothing is held but beginnings of patterns".to_owned(),
                    (bytes, _) if side.whole_head => {
                        format!("holds a message head, at most {bytes} bytes")
                    }
                    (bytes, _) => format!("holds a unit, at most {bytes} bytes"),
                };
                writeln!(f, "  {}s: {hold}", side.direction)?;
                writeln!(f, "    reads {}", side.fields.join(", "))?;
                for rule in &side.rules {
                    write!(f, "    {}: {}", rule.patch, rule.does)?;
                    if let Some(field) = &rule.field {
                        write!(f, " on {field}")?;
                    }
                    write!(f, " [{}", rule.class)?;
                    if rule.pattern_hold_bytes > 0 {
                        write!(f, ", holds {} bytes of a partial match", rule.pattern_hold_bytes)?;
                    }
                    if let Some(why) = &rule.why {
                        write!(f, ": {why}")?;
                    }
                    writeln!(f, "]")?;
                }
                let cost = side.cost;
                writeln!(
                    f,
                    "    cost: {} fields, {} automata, {} rules without a precondition, {} tests",
                    cost.fields, cost.automata, cost.every_unit_rules, cost.tests
                )?;
            }
        }
        Ok(())
    }
}

/// `80, 8000-8010`.
fn ports(list: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &port in list {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
            _ => runs.push((port, port)),
        }
    }
    let shown: Vec<String> = runs
        .into_iter()
        .map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") })
        .collect();
    format!("port {}", shown.join(", "))
}
