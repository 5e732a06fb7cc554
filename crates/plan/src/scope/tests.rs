use super::*;
use crate::module::{DirectionRules, FailMode, GroupNo, Mode};
use crate::plan::Plan;
use proto::{Protocol, ProtocolDecoder};

struct Nothing;

static NOTHING: Protocol = Protocol {
    name: "nothing",
    title: "",
    ports: &[],
    fields: &[],
    unit: "",
    readings: "",
    refusals: &[],
};

impl ProtocolDecoder for Nothing {
    const PROTOCOL: &'static Protocol = &NOTHING;

    type State = ();
}

fn module(group: u16, transport: Transport, ports: &[u16]) -> Module {
    Module {
        group: GroupNo(group),
        decoder: &Nothing,
        transport,
        ports: ports.into(),
        mode: Mode::Enforce,
        fail: FailMode::Open,
        directions: [DirectionRules::default(), DirectionRules::default()],
    }
}

fn group(prefixes: &[([u8; 16], u8)]) -> GroupInfo {
    GroupInfo { prefixes: prefixes.into(), ..GroupInfo::default() }
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
    let mut address = [0; 16];
    address[10..].copy_from_slice(&[0xff, 0xff, a, b, c, d]);
    address
}

fn at(address: [u8; 16], port: u16) -> Endpoint {
    Endpoint { address, port }
}

fn found(module: u16, direction: Direction) -> Option<ScopeMatch> {
    Some(ScopeMatch { module: ModuleNo(module), direction })
}

use Direction::{Request, Response};
use Transport::{Tcp, Udp};

#[test]
fn an_empty_plan_is_out_of_everything() {
    let plan = Plan::new(vec![], vec![], vec![]);
    let (a, b) = (at(v4(10, 0, 0, 1), 80), at(v4(10, 0, 0, 2), 53));
    assert!(plan.scope.is_empty());
    for transport in [Tcp, Udp] {
        assert_eq!(plan.scope.find(transport, &a, &b), None);
        assert!(!plan.scope.concerns(transport, &a.address, &b.address));
    }
}

#[test]
fn direction_is_by_which_end_is_the_server() {
    let plan = Plan::new(
        vec![module(0, Tcp, &[80]), module(0, Udp, &[53])],
        vec![],
        vec![group(&[(v4(10, 0, 0, 2), 128)])],
    );
    let (client, server) = (v4(192, 0, 2, 9), v4(10, 0, 0, 2));
    let find = |transport, a, b| plan.scope.find(transport, &a, &b);
    assert_eq!(find(Tcp, at(client, 4000), at(server, 80)), found(0, Request));
    assert_eq!(find(Tcp, at(server, 80), at(client, 4000)), found(0, Response));
    assert_eq!(find(Udp, at(client, 4000), at(server, 53)), found(1, Request));
    assert_eq!(find(Udp, at(client, 4000), at(server, 80)), None, "80 is TCP's");
    assert_eq!(find(Tcp, at(server, 4000), at(client, 80)), None, "the client is no server");
    assert_eq!(find(Udp, at(client, 53), at(server, 53)), found(1, Request), "both ports alike");
    assert_eq!(find(Udp, at(server, 53), at(client, 53)), found(1, Response));
    assert!(plan.scope.concerns(Udp, &client, &server));
    assert!(!plan.scope.concerns(Udp, &client, &client));
}

#[test]
fn the_longest_prefix_that_names_the_port_wins() {
    let plan = Plan::new(
        vec![
            module(0, Tcp, &[80, 8080]),
            module(1, Tcp, &[80]),
            module(2, Tcp, &[443]),
            module(3, Tcp, &[80]),
        ],
        vec![],
        vec![
            group(&[]),
            group(&[(v4(10, 0, 0, 0), 96 + 8)]),
            group(&[(v4(10, 1, 0, 0), 96 + 16)]),
            group(&[(v4(10, 1, 2, 3), 128)]),
        ],
    );
    let client = at([0xfe; 16], 4000);
    let find = |a, port| plan.scope.find(Tcp, &client, &at(a, port)).map(|found| found.module.0);
    assert_eq!(find(v4(172, 16, 0, 1), 80), Some(0));
    assert_eq!(find(v4(10, 9, 9, 9), 80), Some(1));
    assert_eq!(find(v4(10, 1, 9, 9), 80), Some(1), "the /16 does not name port 80");
    assert_eq!(find(v4(10, 1, 9, 9), 443), Some(2));
    assert_eq!(find(v4(10, 1, 2, 3), 80), Some(3));
    assert_eq!(find(v4(10, 1, 2, 3), 8080), Some(0));
    assert_eq!(find(v4(10, 2, 2, 3), 443), None);
    // A server that is named more narrowly than the destination is the one that is meant.
    let both = plan.scope.find(Tcp, &at(v4(10, 1, 2, 3), 80), &at(v4(172, 16, 0, 1), 80));
    assert_eq!(both, found(3, Response));
}

#[test]
fn a_module_of_every_port_takes_one_entry_a_prefix() {
    let every: Vec<u16> = (0..=u16::MAX).collect();
    let plan =
        Plan::new(vec![module(0, Udp, &every)], vec![], vec![group(&[(v4(10, 0, 0, 2), 128)])]);
    assert_eq!(plan.scope.udp.classes.len(), 1);
    assert_eq!(plan.scope.prefixes.iter().flatten().count(), 2, "one by port, one for fragments");
    let found_at = plan.scope.find(Udp, &at([1; 16], 1), &at(v4(10, 0, 0, 2), 65_535));
    assert_eq!(found_at, found(0, Request));
}

/// Against the obvious way to do it, on random plans.
#[test]
fn agrees_with_a_linear_search() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..60 {
        let groups: Vec<GroupInfo> = (0..1 + random(40))
            .map(|_| {
                let prefixes: Vec<_> = (0..random(4))
                    .map(|_| {
                        let bits = [0, 104, 112, 120, 128][random(5) as usize];
                        (v4(10, random(3) as u8, random(3) as u8, random(3) as u8), bits)
                    })
                    .collect();
                group(&prefixes)
            })
            .collect();
        let modules: Vec<Module> = (0..random(60))
            .map(|_| {
                let ports: Vec<u16> = (0..1 + random(3)).map(|_| 1 + random(6) as u16).collect();
                let transport = if random(2) == 0 { Tcp } else { Udp };
                module(random(groups.len() as u64) as u16, transport, &ports)
            })
            .collect();
        let linear = |transport, server: &Endpoint| {
            let mut best: Option<(ModuleNo, u8)> = None;
            for (no, module) in modules.iter().enumerate() {
                if module.transport != transport || !module.ports.contains(&server.port) {
                    continue;
                }
                let prefixes = &groups[usize::from(module.group.0)].prefixes;
                let anywhere = [([0; 16], 0)];
                for &(address, bits) in
                    if prefixes.is_empty() { &anywhere[..] } else { &prefixes[..] }
                {
                    let alike = (u128::from_be_bytes(address)
                        ^ u128::from_be_bytes(server.address))
                        & mask(bits)
                        == 0;
                    if alike && best.is_none_or(|(_, best)| bits > best) {
                        best = Some((ModuleNo(no as u16), bits));
                    }
                }
            }
            best
        };
        let table = ScopeTable::new(&modules, &groups);
        for _ in 0..400 {
            let transport = if random(2) == 0 { Tcp } else { Udp };
            let server =
                at(v4(10, random(3) as u8, random(3) as u8, random(3) as u8), random(8) as u16);
            let client = at([0xfe; 16], 40_000);
            let want = linear(transport, &server);
            let request = table.find(transport, &client, &server);
            assert_eq!(request, want.and_then(|(no, _)| found(no.0, Request)));
            let response = table.find(transport, &server, &client);
            assert_eq!(response, want.and_then(|(no, _)| found(no.0, Response)));
            if want.is_some() {
                assert!(table.concerns(transport, &client.address, &server.address));
            }
        }
    }
}

#[test]
fn ten_thousand_modules_probe_as_few_cells_as_one() {
    let groups: Vec<GroupInfo> =
        (0..10_000_u32).map(|n| group(&[(v4(10, 1, (n >> 8) as u8, n as u8), 128)])).collect();
    let modules = (0..10_000).map(|n| module(n, Tcp, &[80])).collect();
    let plan = Plan::new(modules, vec![], groups);
    let longest = plan.scope.prefixes.chunk_by(|a, b| a.is_some() && b.is_some());
    assert!(longest.map(<[_]>::len).max().unwrap() < 40, "clusters stay short");
    let client = at([0xfe; 16], 40_000);
    for n in [0_u16, 4_999, 9_999] {
        let server = at(v4(10, 1, (n >> 8) as u8, n as u8), 80);
        assert_eq!(plan.scope.find(Tcp, &client, &server), found(n, Request));
    }
}

/// So that the prefilter stops at them, also where no module is of UDP; but no module is
/// found there.
#[test]
fn tunnel_ports_are_named_and_nobodys() {
    let client = at([0xfe; 16], 40_000);
    let modules = |transport| vec![module(0, transport, &[80])];
    for transport in [Tcp, Udp] {
        let plan = Plan::new(modules(transport), vec![], vec![group(&[])]);
        for port in TUNNEL_PORTS {
            assert!(plan.scope.names_port(Udp, port));
            assert_eq!(plan.scope.find(Udp, &client, &at([0xfe; 16], port)), None);
            assert!(!plan.scope.names_port(Tcp, port));
        }
        assert_eq!(plan.scope.names_port(Udp, 80), transport == Udp);
    }
    let none = Plan::new(vec![], vec![], vec![]);
    assert!(!none.scope.names_port(Udp, TUNNEL_PORTS[0]) && none.scope.is_empty());
    let plan = Plan::new(vec![module(0, Udp, &[4_789])], vec![], vec![group(&[])]);
    assert_eq!(plan.scope.find(Udp, &client, &at([0xfe; 16], 4_789)), found(0, Request));
}
