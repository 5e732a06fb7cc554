use std::io::Write as _;
use std::process::{Command, Stdio};

use plan::{
    DirectionRules, FailMode, GroupInfo, GroupNo, Hold, Mode, Module, PatchInfo, Plan, Subscriber,
};
use proto::{Protocol, ProtocolDecoder, Transport, Wanted};

use super::*;

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

fn plan(names: &[&str]) -> Plan {
    let patches = names.iter().map(|name| PatchInfo {
        name: (*name).into(),
        released: Some(1_000),
        postpone_until: Some(5_000),
        ..PatchInfo::default()
    });
    let numbers = (0..names.len() as u16).map(PatchNo).collect();
    let side =
        |numbers| DirectionRules::new(Wanted::new(&NOTHING), vec![], Hold::Streaming, numbers);
    let module = Module {
        group: GroupNo(0),
        decoder: &Nothing,
        transport: Transport::Udp,
        ports: Box::new([9]),
        mode: Mode::Enforce,
        fail: FailMode::Open,
        directions: [side(numbers), side(vec![])],
    };
    Plan::new(vec![module], patches.collect(), vec![GroupInfo::default()])
}

fn telemetry(names: &[&str]) -> (Telemetry, Arc<Publisher<ActivePlan>>, Vec<Arc<CoreCounters>>) {
    let publisher = Arc::new(Publisher::new(ActivePlan::new(plan(names), 2)));
    let cores: Vec<_> = (0..2).map(|_| Arc::new(CoreCounters::default())).collect();
    let appliance = ApplianceInfo {
        version: "1.2.3".into(),
        dpdk: "22.11.7".into(),
        ports: vec!["outside".into(), "in\"side\\".into()],
        started: 900,
    };
    let telemetry = Telemetry::new(appliance, Arc::clone(&publisher), cores.clone()).unwrap();
    (telemetry, publisher, cores)
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.starts_with(series) && line[series.len()..].starts_with(' '))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn cores_are_summed() {
    let (telemetry, publisher, cores) = telemetry(&["a", "b"]);
    for (at, core) in cores.iter().enumerate() {
        core.count_many(Reason::DroppedByPatch, 1 + at as u64);
        core.count_event(Event::TcpIdleReset);
        core.count_events(Event::TxQueueFull, 4);
        core.port(PortNo(0)).unwrap().rx_bytes.add(100);
        core.flows.set(7 + at as u64);
        core.stage(JourneyStage::Patch).add(500 + at as u64);
        core.stage_packets.add(32);
        let in_force = publisher.latest();
        let tally = in_force.counters(at).unwrap();
        tally.module(ModuleNo(0), Direction::Request).unwrap().messages.add(10);
        tally.module(ModuleNo(0), Direction::Response).unwrap().messages.add(99);
        tally.patch(PatchNo(1)).unwrap().edits.add(3);
    }
    telemetry.count_reload(true);
    telemetry.count_reload(false);
    telemetry.count_reload(false);
    telemetry.watch(|samples| samples.add(Family::MempoolAvailable, &["socket0"], 512.0));
    telemetry.watch(|samples| samples.add(Family::LcoreCycles, &["worker0", "idle"], 9.0));
    let text = telemetry.render(2_000).unwrap();
    for (series, want) in [
        ("wirepatch_packets_total{reason=\"dropped_by_patch\",fate=\"dropped\"}", 3.0),
        ("wirepatch_drops_total{cause=\"dropped_by_patch\"}", 3.0),
        ("wirepatch_events_total{event=\"tcp_idle_reset\"}", 2.0),
        ("wirepatch_packets_total{reason=\"tcp_idle_reset\",fate=\"event\"}", 2.0),
        ("wirepatch_events_total{event=\"tx_queue_full\"}", 8.0),
        ("wirepatch_drops_total{cause=\"tx_queue_full\"}", 8.0),
        ("wirepatch_port_bytes_total{port=\"outside\",direction=\"rx\"}", 200.0),
        ("wirepatch_port_bytes_total{port=\"in\\\"side\\\\\",direction=\"tx\"}", 0.0),
        ("wirepatch_flows{worker=\"1\"}", 8.0),
        ("wirepatch_stage_cycles_total{worker=\"1\",stage=\"patch\"}", 501.0),
        ("wirepatch_stage_cycles_total{worker=\"1\",stage=\"transmit\"}", 0.0),
        ("wirepatch_stage_sampled_packets_total{worker=\"0\"}", 32.0),
        ("wirepatch_lcore_cycles_total{lcore=\"worker0\",state=\"idle\"}", 9.0),
        ("wirepatch_patch_messages_total{patch=\"a\"}", 20.0),
        ("wirepatch_patch_edits_total{patch=\"a\"}", 0.0),
        ("wirepatch_patch_edits_total{patch=\"b\"}", 6.0),
        ("wirepatch_patch_vendor_fix_age_seconds{patch=\"a\"}", 1_000.0),
        ("wirepatch_patch_postponement_left_seconds{patch=\"a\"}", 3_000.0),
        ("wirepatch_reloads_total{result=\"success\"}", 1.0),
        ("wirepatch_reloads_total{result=\"failure\"}", 2.0),
        ("wirepatch_mempool_available_mbufs{pool=\"socket0\"}", 512.0),
        ("wirepatch_build_info{version=\"1.2.3\",dpdk=\"22.11.7\"}", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(want), "{series}\n{text}");
    }
}

#[test]
fn a_patch_keeps_its_counts_across_reloads() {
    let (telemetry, publisher, _) = telemetry(&["a", "b"]);
    let mut reader = Subscriber::new(Arc::clone(&publisher));
    let edit = |reader: &Subscriber<ActivePlan>, no| {
        reader.current().counters(0).unwrap().patch(PatchNo(no)).unwrap().edits.add(1);
    };
    let edits = |name: &str| telemetry.patches().get(name).map(|totals| totals.edits);
    edit(&reader, 0);
    edit(&reader, 1);
    // "b" is number 0 of the next plan; the core still counts under the old one for a while.
    publisher.publish(ActivePlan::new(plan(&["b", "c"]), 2));
    edit(&reader, 1);
    assert_eq!((edits("a"), edits("b"), edits("c")), (Some(1), Some(2), Some(0)));
    reader.refresh();
    edit(&reader, 0);
    telemetry.fold();
    assert_eq!((edits("a"), edits("b"), edits("c")), (Some(1), Some(3), Some(0)));
    reader.forget_previous();
    telemetry.fold();
    assert_eq!(publisher.retired(), 0, "the old plan is freed");
    assert_eq!((edits("a"), edits("b"), edits("c")), (Some(1), Some(3), Some(0)));
}

#[test]
fn every_family_has_help_and_unit() {
    for family in Family::ALL {
        let name = family.name();
        assert!(name.starts_with("wirepatch_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(family.kind() == MetricKind::Counter, name.ends_with("_total"), "{name}");
        let stem = name.trim_end_matches("_total");
        // Prometheus' own rule: a base unit is part of the name.
        for unit in ["seconds", "bytes"] {
            assert_eq!(family.unit() == unit, stem.ends_with(unit), "{name}");
        }
        assert!(family.help().ends_with('.'), "{name}");
    }
    for label in MetricLabel::ALL {
        assert!(Family::ALL.iter().any(|family| family.labels().contains(label)), "{label:?}");
    }
}

/// Families whose values come from drivers, rings and pools.
const OF_THE_BINARY: [Family; 6] = [
    Family::PortUp,
    Family::LcoreCycles,
    Family::RingUsed,
    Family::RingCapacity,
    Family::MempoolAvailable,
    Family::MempoolInUse,
];

#[test]
fn the_table_the_scrape_and_the_manual_have_the_same_families() {
    let (telemetry, ..) = telemetry(&["a"]);
    let text = telemetry.render(2_000).unwrap();
    let scraped: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for family in Family::ALL {
        let here = scraped.contains(&family.name());
        assert_eq!(here, !OF_THE_BINARY.contains(family), "{}", family.name());
    }
    assert_eq!(scraped.len() + OF_THE_BINARY.len(), Family::ALL.len());
    let page = metrics_page();
    for family in Family::ALL {
        assert_eq!(page.matches(&format!("### {}\n", family.name())).count(), 1, "{family:?}");
    }
    assert_eq!(page.matches("\n### ").count(), Family::ALL.len());
    assert!(page.lines().all(|line| line.starts_with('|') || line.chars().count() <= 100));
}

#[test]
fn each_family_is_shown_once_with_help_and_type() {
    let (telemetry, ..) = telemetry(&["a"]);
    let text = telemetry.render(2_000).unwrap();
    let mut described = std::collections::HashSet::new();
    let mut series = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap();
            assert!(described.insert(name.to_owned()), "{name} twice");
        } else if !line.starts_with("# TYPE ") {
            let (key, _) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            assert!(described.contains(name), "{name} has no HELP before it");
            assert!(series.insert(key.to_owned()), "{key} twice");
        }
    }
    assert_eq!(text.matches("# TYPE ").count(), described.len());
    assert!(described.len() > 20);
}

#[test]
fn promtool_finds_nothing() {
    let (telemetry, ..) = telemetry(&["a"]);
    telemetry.watch(|samples| {
        samples.add(Family::RingUsed, &["rx0"], 1.0);
        samples.add(Family::RingCapacity, &["rx0"], 1_024.0);
        samples.add(Family::MempoolAvailable, &["socket0"], 512.0);
        samples.add(Family::MempoolInUse, &["socket0"], 1.0);
        samples.add(Family::PortUp, &["outside"], 1.0);
    });
    let text = telemetry.render(2_000).unwrap();
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        println!("skipped: promtool is not installed (Debian package prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let found = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success() && said.is_empty() && found.stdout.is_empty(), "{said}\n{text}");
}
