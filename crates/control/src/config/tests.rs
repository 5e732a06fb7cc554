//! Whole configurations: what is taken, and what is refused where.

use super::*;

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

/// The text with `from` replaced by `to` is refused, with a message that says `wanted`, at the line that holds `to`.
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
    assert_eq!(config.ports[1].device, Device::Virtual("net_tap1,iface=srv".to_owned()));
    let group = &config.groups[0];
    assert_eq!(group.patches.len(), 1);
    let bits: Vec<u8> = group.prefixes.iter().map(|prefix| prefix.1).collect();
    assert_eq!(bits, [128, 122, 64]);
    assert_eq!(group.prefixes[0].0[10..], [0xff, 0xff, 192, 0, 2, 10]);
    assert_eq!(config.metrics.to_string(), "127.0.0.1:9433");
    assert_eq!(config.control.permissions, 0o660);
    assert_eq!(config.fail_mode, FailMode::Open);
    assert_eq!(config.tunnels, Tunnels::Drop);
    let passes = check(&GOOD.replace("bridges:", "tunnels: pass\nbridges:")).unwrap();
    assert_eq!(passes.tunnels, Tunnels::Pass);
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
