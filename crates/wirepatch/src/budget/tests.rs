use patch::{Cost, SideExplanation};

use super::*;

fn module(protocol: &str, transport: &str, fields: usize) -> ModuleExplanation {
    ModuleExplanation {
        group: "all".to_owned(),
        protocol: protocol.to_owned(),
        transport: transport.to_owned(),
        ports: vec![53],
        mode: "enforce".to_owned(),
        fail: "open".to_owned(),
        sides: vec![SideExplanation {
            direction: "request".to_owned(),
            fields: Vec::new(),
            hold_bytes_max: 0,
            whole_head: false,
            rules: Vec::new(),
            cost: Cost { fields, ..Cost::default() },
        }],
    }
}

fn set(modules: &[ModuleExplanation]) -> Explanation {
    Explanation { modules: modules.to_vec() }
}

/// Two rows of DNS, one ten times as dear as the other and with eleven times the work; everything
/// else costs 100.
fn costs() -> Costs {
    let mut rows = Vec::new();
    for traffic in ["udp-out-of-scope", "dns", "http-requests", "http-responses", "tcp-acks"] {
        for (set, cycles, work) in [("own", 100, 1), ("library", 1_000, 11)] {
            let cycles = if traffic == "dns" { cycles } else { 100 };
            rows.push(serde_json::json!({
                "traffic": traffic, "set": set, "ports": "rings", "frame_bytes": 64.0, "cycles": cycles, "floor": 0.0,
                "work": work, "instructions": { "all": 100.0, "message": 60.0, "decide": 20.0 },
            }));
        }
    }
    serde_json::from_value(serde_json::json!({
        "machine": { "cpu": "a CPU", "ghz": 1.0, "date": "2026-01-01", "load_average": "0" },
        "rows": rows,
        "decoders": [
            { "protocol": "ntp", "bytes": 10.0, "instructions": 10.0 },
            { "protocol": "tls", "bytes": 10.0, "instructions": 1_000.0 },
        ],
    }))
    .unwrap()
}

fn reckon(modules: &[ModuleExplanation], gbit: f64, ghz: Option<f64>) -> Budget {
    Budget::from_costs(&costs(), &set(modules), gbit, ghz)
}

#[test]
fn ten_gigabit_of_the_smallest_frames_are_what_everybody_says_they_are() {
    let budget = reckon(&[], 10.0, None);
    let [small, mixed, large] = budget.lines[0].shares.as_slice() else { panic!("three sizes") };
    assert!((small.mpps_budget - 14.88).abs() < 1e-9);
    assert!((mixed.mpps_budget - 3.34).abs() < 1e-9);
    assert!((large.mpps_budget - 0.82).abs() < 1e-9);
    // 100 cycles at 1 GHz: 10 million a second.
    assert!((small.mpps_per_core - 10.0).abs() < 1e-9);
    assert_eq!((small.cores, mixed.cores, large.cores), (2, 1, 1));
}

#[test]
fn a_faster_core_does_more() {
    let budget = reckon(&[], 10.0, Some(2.0));
    assert!((budget.lines[0].shares[0].mpps_per_core - 20.0).abs() < 1e-9);
    assert_eq!(budget.lines[0].shares[0].cores, 1);
}

#[test]
fn a_set_lies_on_the_line_between_the_measured_ones() {
    let cycles = |fields| {
        let budget = reckon(&[module("dns", "udp", fields)], 10.0, None);
        assert_eq!(budget.lines[1].basis, Basis::Measured);
        budget.lines[1].shares[0].cycles_per_packet
    };
    assert!((cycles(0) - 100.0).abs() < 1e-9, "no cheaper than what was measured");
    assert!((cycles(1) - 100.0).abs() < 1e-9);
    assert!((cycles(6) - 550.0).abs() < 1e-9);
    assert!((cycles(11) - 1_000.0).abs() < 1e-9);
    assert!((cycles(21) - 1_900.0).abs() < 1e-9, "and goes on behind the library");
}

#[test]
fn longer_datagrams_cost_more_and_their_path_once() {
    let budget = reckon(&[module("dns", "udp", 1)], 10.0, None);
    let shares = &budget.lines[1].shares;
    // 18 bytes of payload in the shortest frame, 1,454 in the longest; 60 of 100 instructions are
    // the message's.
    let times = (1_500.0 - UDP_BYTES) / (64.0 + FCS_BYTES - UDP_BYTES);
    assert!((shares[2].cycles_per_packet - 100.0 * (0.4 + 0.6 * times)).abs() < 0.1);
}

#[test]
fn what_was_not_measured_says_so() {
    let lines = reckon(
        &[module("ntp", "udp", 1), module("thrift", "udp", 1), module("tls", "tcp", 1)],
        10.0,
        None,
    )
    .lines;
    let basis: Vec<Basis> = lines.iter().map(|line| line.basis).collect();
    assert_eq!(
        basis,
        [Basis::Measured, Basis::Instructions, Basis::OtherProtocol, Basis::Instructions]
    );
    let cycles = |line: usize, size: usize| lines[line].shares[size].cycles_per_packet;
    assert!(cycles(2, 0) > cycles(1, 0), "an unknown decoder counts as the dearest");
    assert!((cycles(3, 0) - 100.0).abs() < 1e-9, "the smallest TCP segments are acknowledgements");
    assert!(cycles(3, 2) > cycles(3, 0));
}

#[test]
fn the_programs_own_costs_can_be_read_and_give_finite_figures() {
    let all: Vec<ModuleExplanation> = proto::DECODERS
        .iter()
        .flat_map(|decoder| {
            let protocol = decoder.protocol();
            ["tcp", "udp"].map(|transport| module(protocol.name, transport, 3))
        })
        .collect();
    let budget = Budget::new(&set(&all), 10.0, None).unwrap();
    for share in budget.lines.iter().flat_map(|line| &line.shares) {
        assert!(share.cycles_per_packet.is_finite() && share.cycles_per_packet > 10.0, "{share:?}");
        assert!(share.cores >= 1);
    }
    let shown = table(&budget);
    assert!(shown.contains(&budget.measured_on) && shown.contains("IMIX: of 12 frames"), "{shown}");
}

fn speed(name: &str, mbps: u32) -> PortSpeed {
    PortSpeed { name: name.to_owned(), mbps }
}

#[test]
fn workers_that_hold_their_links_hear_nothing() {
    let two = [speed("lan", 1_000), speed("wan", 1_000)];
    let budget = |gbit| Some(reckon(&[module("dns", "udp", 1)], gbit, None));
    assert_eq!(warnings(1, &two, budget), Vec::<String>::new());
}

#[test]
fn links_of_unknown_speed_are_not_judged() {
    let asked = |_| panic!("nothing to reckon with");
    assert_eq!(warnings(1, &[], asked), Vec::<String>::new());
}

#[test]
fn too_few_workers_are_told_what_they_cannot_hold() {
    let two = [speed("lan", 10_000), speed("wan", 10_000)];
    let budget = |gbit| Some(reckon(&[module("dns", "udp", 11)], gbit, None));
    let said = warnings(1, &two, budget);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("1 worker cannot hold 20 Gbit/s (lan at 10 Gbit/s, wan at 10"));
    assert!(said[0].contains("of traffic out of scope at 64 bytes"), "{}", said[0]);
    assert!(said[1].contains("of dns over udp at IMIX"), "{}", said[1]);
    // 29.76 Mpps at 10 Mpps a core.
    assert!(said[0].contains("takes 3 workers"), "{}", said[0]);
    let enough = warnings(3, &two, budget);
    assert_eq!(enough.len(), 1, "{enough:?}");
    assert_eq!(warnings(u16::MAX, &two, budget), Vec::<String>::new());
}
