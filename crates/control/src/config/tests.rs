//! Whole configurations: what is taken, and what is refused where.

use datapath::Tunnels;
use plan::FailMode;

use super::*;
use crate::forms::PortDevice;
use crate::keys::{ConfigKey, KeyKind};
use crate::schema;

const GOOD: &str = r#"
ports:
  - { name: lan, device: "net_tap0,iface=lan" }
  - { name: srv, device: "net_tap1,iface=srv" }
bridges: [[lan, srv]]
server_groups:
  - name: web
    addresses: [192.0.2.10, "192.0.2.64/26", "2001:db8::/64"]
    ports: { http: [80, 8080] }
    patches: ["p/*.yaml"]
"#;

fn check(text: &str) -> Result<Config, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("p")).unwrap();
    std::fs::write(folder.path().join("p/one.yaml"), "").unwrap();
    Config::check(&SourceFile::new("wirepatch.yaml", text), &folder.path().join("wirepatch.yaml"))
}

/// The text with `to` in the place of `from` is refused, and the message has `wanted` in it.
#[track_caller]
fn refused(from: &str, to: &str, wanted: &str) {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replace(from, to);
    let found = check(&text).expect_err(to);
    let shown = patch::render(&found);
    assert!(shown.contains(wanted), "{shown}");
    assert!(found.iter().all(|diagnostic| diagnostic.at.line > 0), "{shown}");
}

#[test]
fn a_sound_configuration_is_taken_with_its_defaults() {
    let config = check(GOOD).unwrap();
    assert_eq!(config.bridges, [[0, 1]]);
    assert_eq!(
        config.settings.ports[1].device.value,
        PortDevice::Virtual("net_tap1,iface=srv".to_owned())
    );
    let group = &config.settings.server_groups[0];
    assert_eq!(config.patch_files[0].len(), 1);
    let bits: Vec<u8> = group.addresses.iter().map(|prefix| prefix.bits).collect();
    assert_eq!(bits, [128, 122, 64]);
    assert_eq!(group.addresses[0].bytes[10..], [0xff, 0xff, 192, 0, 2, 10]);
    assert_eq!(config.settings.metrics.listen.to_string(), "127.0.0.1:9433");
    assert_eq!(config.settings.control.permissions.0, 0o660);
    assert_eq!(config.settings.fail_mode.0, FailMode::Open);
    assert_eq!(config.settings.tunnels.0, Tunnels::Drop);
    let passes = check(&GOOD.replace("bridges:", "tunnels: pass\nbridges:")).unwrap();
    assert_eq!(passes.settings.tunnels.0, Tunnels::Pass);
    assert_eq!(crate::wants_restart(&config, &passes), ["tunnels"]);
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_place() {
    refused("[[lan, srv]]", "[[lan, srw]]", "did you mean `srv`");
    refused("[[lan, srv]]", "[[lan, lan]]", "bridged twice");
    refused("[[lan, srv]]", "[]", "nothing would be forwarded");
    refused("name: srv", "name: lan", "two ports are called `lan`");
    refused("net_tap1,iface=srv", "eth1", "net_af_packet0,iface=eth1");
    refused("net_tap1,iface=srv", "0000:3b:00.1", "eal: { pci: true }");
    refused("192.0.2.10", "192.0.2.300", "no address or prefix");
    refused("192.0.2.64/26", "192.0.2.65/26", "bits set behind the prefix");
    refused("192.0.2.64/26", "192.0.2.64/33", "at most 32 bits");
    refused("http:", "htpp:", "did you mean `http`");
    refused("p/*.yaml", "q/*.yaml", "no patch file matches");
    refused("bridges:", "limits: { flows: 3 }\nbridges:", "out of range");
    refused("bridges:", "control: { permissions: \"rw\" }\nbridges:", "octal");
    refused(
        "bridges:",
        "workers: { count: 3, cpus: [1, 2] }\nbridges:",
        "2 CPUs for 3 busy lcores",
    );
    refused("bridges:", "workers: { cpus: [1, 1] }\nbridges:", "named twice");
    refused("bridges:", "tunnels: open\nbridges:", "open");
    refused("bridges:", "brigdes: []\nbridges:", "brigdes");
}

#[test]
fn the_schema_knows_every_key() {
    let text = schema().to_string();
    for key in [
        "server_groups",
        "fail_mode",
        "tunnels",
        "trust_checksums",
        "hold_bytes",
        "additionalProperties",
    ] {
        assert!(text.contains(key), "{key}");
    }
}

#[test]
fn an_old_key_is_read_with_a_warning_that_has_its_place_and_the_new_line() {
    let old = GOOD.replace("bridges:", "limits:\n  window_hold_ms: 50\nbridges:");
    let config = check(&old).unwrap();
    assert_eq!(config.settings.limits.pattern_hold_ms, 50);
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("wirepatch.yaml:6:3: `limits.window_hold_ms` is now"), "{warning}");
    assert!(warning.contains("write `pattern_hold_ms: 50`"), "{warning}");
    let both = old.replace("limits:\n", "limits:\n  pattern_hold_ms: 60\n");
    assert!(patch::render(&check(&both).unwrap_err()).contains("twice"));
}

#[test]
fn a_refusal_says_what_to_write() {
    refused("bridges:", "limits: { flows: 3 }\nbridges:", "write 64 to 16777216 connections");
    refused("bridges:", "limits: { flows: 99999999999 }\nbridges:", "is out of range");
    refused("bridges:", "flows: 300\nbridges:", "write `flows` under `limits`");
    refused("http: [80, 8080]", "http: [80, 0]", "1 to 65535");
    refused("bridges:", "tunnels: open\nbridges:", "write `drop` or `pass`");
    refused("bridges:", "metrics: { listen: here }\nbridges:", "127.0.0.1:9433");
    refused("name: web", "mode: enforce", "the key `server_groups.name` is missing");
    // One message a place, however many parts of the reader stumble over it.
    let twice = GOOD.replace("bridges:", "limits: { flows: -1, flow: 1 }\nbridges:");
    assert_eq!(check(&twice).unwrap_err().len(), 2);
}

#[test]
fn the_effective_configuration_has_every_key_and_reads_as_itself() {
    let config = check(GOOD).unwrap();
    let text = config.effective().unwrap();
    let again = check(&text).unwrap();
    assert_eq!(again.effective().unwrap(), text);
    assert!(crate::wants_restart(&config, &again).is_empty());
    assert!(text.contains("idle_ms: 7440000") && text.contains("permissions: '0660'"), "{text}");
}

#[test]
fn a_reload_takes_up_what_its_rows_say() {
    let mut runs = check(GOOD).unwrap();
    let changed = "limits: { hold_bytes: 100, flows: 100 }\nfail_mode: closed\nbridges:";
    let new = check(&GOOD.replace("bridges:", changed).replace("name: web", "name: www")).unwrap();
    assert_eq!(crate::wants_restart(&runs, &new), ["limits.flows"]);
    runs.take_up(new);
    assert_eq!(runs.settings.limits.hold_bytes, 100);
    assert_eq!(runs.settings.limits.flows, datapath::Limits::DEFAULT.flows_max);
    assert_eq!(runs.settings.fail_mode.0, FailMode::Closed);
    assert_eq!(runs.settings.server_groups[0].name.value, "www");
}

/// Every row, by its path.
fn every_row(visit: &mut dyn FnMut(&str, &ConfigKey)) {
    fn of(keys: &[ConfigKey], path: &str, visit: &mut dyn FnMut(&str, &ConfigKey)) {
        for key in keys {
            let here = format!("{path}{}", key.name);
            visit(&here, key);
            if let Some(inner) = key.kind.rows() {
                let items = if matches!(key.kind, KeyKind::List(_)) { "[]" } else { "" };
                of(inner, &format!("{here}{items}."), visit);
            }
        }
    }
    of(Settings::KEYS, "", visit);
}

#[test]
fn every_row_is_whole_and_in_the_manual() {
    let page = crate::configuration_page();
    every_row(&mut |path, key| {
        assert!(key.text.ends_with('.'), "{path}: {}", key.text);
        assert!(page.contains(&format!("# {path}\n")), "{path} is not in docs/configuration.md");
        if let Some(default) = key.default
            && let (KeyKind::Number, Some(range)) = (key.kind, key.range)
        {
            let default = default().as_u64().unwrap();
            let bounds = u64::from(range.least)..=u64::from(range.most);
            assert!(bounds.contains(&default), "{path}: the default is out of range");
        }
        if let KeyKind::Number = key.kind {
            assert!(key.range.is_some(), "{path} has no range");
        }
    });
    assert!(page.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_schema_has_limits_words_and_defaults() {
    let schema = schema();
    let flows = &schema["properties"]["limits"]["properties"]["flows"];
    assert_eq!(flows["minimum"], 64);
    assert_eq!(flows["default"], datapath::Limits::DEFAULT.flows_max);
    assert_eq!(schema["properties"]["tunnels"]["oneOf"][0]["const"], "drop");
    assert_eq!(schema["required"], serde_json::json!(["ports", "bridges", "server_groups"]));
    let old = &schema["properties"]["limits"]["properties"]["window_hold_ms"];
    assert_eq!(old["deprecated"], true);
}
