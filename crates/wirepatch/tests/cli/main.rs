//! The binary as a user calls it: arguments in, exit code, standard output and files out.
//!
//! `UPDATE=1 cargo test -p wirepatch --test cli` writes the bundled capture and the golden report
//! anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has failed, which is what it is for"
)]

mod capture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const COMMANDS: [&str; 11] = [
    "run",
    "check",
    "test",
    "explain",
    "replay",
    "decode",
    "fields",
    "ctl",
    "bench",
    "schema",
    "completions",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn wirepatch(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wirepatch"))
        .args(words)
        .current_dir(root())
        .env_remove("WIREPATCH_SOCKET")
        .output()
        .unwrap()
}

/// Runs it, and wants this exit code.
#[track_caller]
fn runs(words: &[&str], code: i32) -> (String, String) {
    let done = wirepatch(words);
    let out = String::from_utf8(done.stdout).unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{words:?}\n{out}{err}");
    (out, err)
}

#[track_caller]
fn json(words: &[&str], code: i32) -> Value {
    let (out, _) = runs(words, code);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{words:?}: {error}\n{out}"))
}

/// A folder of this test's own, gone at the end.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("wirepatch-cli-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str = "patch: p\ntitle: t\nprotocol: ssrp\nrules:\n  - when: ssrp.opcode == 0x04\n    truncate: ssrp.instance\n    to: 4\ntests:\n  - name: cut\n    request: \"\\x04ABCDEFG\"\n    becomes: \"\\x04ABCD\"\n";

#[test]
fn every_command_has_help_and_every_argument_says_what_it_is() {
    let (all, _) = runs(&["--help"], 0);
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not listed");
        let (help, _) = runs(&[command, "--help"], 0);
        assert!(help.contains("Usage: wirepatch"), "{help}");
    }
    for command in ["status", "patches", "flows", "reload", "mode"] {
        let (help, _) = runs(&["ctl", command, "--help"], 0);
        assert!(help.contains("--socket") && help.contains("--json"), "{help}");
    }
    let (version, _) = runs(&["--version"], 0);
    assert_eq!(version, format!("wirepatch {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_and_says_what_to_do() {
    for (words, says) in [
        (vec![], "Usage"),
        (vec!["frobnicate"], "unrecognized"),
        (vec!["check"], "required"),
        (vec!["fields", "htttp"], "did you mean `http`?"),
        (vec!["decode", "x.pcap", "--protocol", "x25"], "there are: data, dns"),
        (vec!["replay", "Makefile", "-o", "Makefile"], "write the output elsewhere"),
        (vec!["replay", "x.pcap", "-o", "y.pcap", "--ports", "http"], "http=8080,8081"),
        (vec!["schema", "poem"], "possible values"),
    ] {
        let (_, err) = runs(&words, 2);
        assert!(err.contains(says), "{words:?}: {err}");
    }
    if !cfg!(feature = "dpdk") {
        let (_, err) = runs(&["run", "--config", "x"], 2);
        assert!(err.contains("built without DPDK") && err.contains("libdpdk-dev"), "{err}");
    }
}

#[test]
fn good_is_0_and_bad_is_1() {
    let folder = TestFolder::new("codes");
    let good = folder.file("good.yaml", GOOD);
    let typo = folder.file("typo.yaml", GOOD.replace("ssrp.instance", "ssrp.instanse"));
    let fails = folder.file("fails.yaml", GOOD.replace("ABCD\"\n", "ABC\"\n"));
    assert!(runs(&["check", &good], 0).0.contains("good: 1 patch in 1 module"));
    assert!(runs(&["test", &good], 0).0.contains("1 case, 0 failed"));
    assert!(runs(&["explain", &good], 0).0.contains("truncate to 4 on ssrp.instance"));
    let (_, err) = runs(&["check", &typo], 1);
    assert!(err.contains("typo.yaml:6:15") && err.contains("ssrp.instance`"), "{err}");
    runs(&["test", &typo], 1);
    runs(&["explain", &typo], 1);
    let (out, err) = runs(&["test", &fails], 1);
    assert!(
        out.contains("1 FAILED") && err.contains("`cut` fails") && err.contains("fails.yaml:9:"),
        "{out}{err}"
    );
    let (_, err) = runs(&["check", &folder.path("nowhere.yaml")], 1);
    assert!(err.contains("nowhere.yaml"), "{err}");
    fs::create_dir_all(folder.0.join("empty")).unwrap();
    let (_, err) = runs(&["test", &folder.path("empty")], 1);
    assert!(err.contains("no patch file"), "{err}");
    for words in [
        &["decode", "nowhere.pcap"][..],
        &["decode", "Makefile"],
        &["ctl", "--socket", "/nowhere/s", "status"],
    ] {
        let (_, err) = runs(words, 1);
        assert!(err.starts_with("wirepatch: error: "), "{err}");
    }
    let (_, err) = runs(&["check", "--config", &folder.file("c.yaml", "ports: []\n")], 1);
    assert!(err.contains("c.yaml:1:"), "{err}");
}

#[test]
fn a_budget_is_a_rate_and_cores_for_what_is_loaded() {
    let folder = TestFolder::new("budget");
    let good = folder.file("good.yaml", GOOD);
    let (out, _) = runs(&["explain", "--budget", "10G", &good], 0);
    for said in ["ssrp over udp (port 1434)", "traffic out of scope", "14.88 Mpps", "Measured on "]
    {
        assert!(out.contains(said), "{said}: {out}");
    }
    let cores = |words: &[&str]| {
        let found = json(&[&["explain", "--json"], words].concat(), 0);
        let share = &found["lines"].as_array().unwrap().last().unwrap()["shares"][0];
        assert_eq!(share["frames"], "64", "{found}");
        share["cores"].as_u64().unwrap()
    };
    let ten = cores(&["--budget", "10G", &good]);
    assert!(ten >= 1 && cores(&["--budget", "400G", &good]) > ten);
    assert!(
        cores(&["--budget", "400G", "--cpu-ghz", "0.5", &good])
            > cores(&["--budget", "400G", "--cpu-ghz", "5", &good])
    );
    assert!(cores(&["--budget", "10G"]) >= 1, "without patches everything is out of scope");
    let (_, err) = runs(&["explain", "--budget", "10", &good], 2);
    assert!(err.contains("as in 10G"), "{err}");
    runs(&["explain"], 2);
}

#[test]
fn json_is_json() {
    let folder = TestFolder::new("json");
    let good = folder.file("good.yaml", GOOD);
    let fails = folder.file("fails.yaml", GOOD.replace("ABCD\"\n", "ABC\"\n"));
    let typo = folder.file("typo.yaml", GOOD.replace("ssrp.instance", "ssrp.instanse"));
    assert_eq!(json(&["check", "--json", &good], 0)["ok"], true);
    let found = json(&["check", "--json", &typo], 1);
    assert_eq!(found["diagnostics"][0]["line"], 6, "{found}");
    let tested = json(&["test", "--json", &good], 0);
    assert_eq!(
        (&tested["passed"], &tested["cases"][0]["passed"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let tested = json(&["test", "--json", &fails], 1);
    assert_eq!(tested["cases"][0]["failure"]["cut"], "whole");
    assert_eq!(tested["cases"][0]["failure"]["got"], "\\x04ABCD");
    assert_eq!(json(&["explain", "--json", &good], 0)["modules"][0]["protocol"], "ssrp");
    let fields = json(&["fields", "--json"], 0);
    assert!(fields.as_array().unwrap().len() >= 9);
    assert_eq!(
        json(&["fields", "dns", "--json"], 0)[0]["fields"][0]["type"]
            .as_str()
            .map(|kind| &kind[..4]),
        Some("uint")
    );
    for of in ["patch", "config"] {
        assert!(json(&["schema", of], 0)["properties"].is_object(), "{of}");
    }
    assert!(runs(&["completions", "bash"], 0).0.contains("_wirepatch"));
}

#[test]
fn the_effective_configuration_names_old_keys_and_checks_as_itself() {
    let folder = TestFolder::new("effective");
    folder.file("good.yaml", GOOD);
    let old = "ports:\n\
               - { name: lan, device: \"net_tap0,iface=lan\" }\n\
               - { name: srv, device: \"net_tap1,iface=srv\" }\n\
               bridges: [[lan, srv]]\n\
               server_groups: [{ name: web, patches: [good.yaml] }]\n\
               limits: { window_hold_ms: 50 }\n\
               metrics: { listen: \"127.0.0.1:0\" }\n\
               control: { socket: control.sock }\n";
    let old = folder.file("old.yaml", old);
    let (yaml, err) = runs(&["check", "--config", &old, "--effective"], 0);
    assert!(yaml.contains("pattern_hold_ms: 50\n") && yaml.contains("tunnels: drop\n"), "{yaml}");
    assert!(
        err.contains("old.yaml:6:11: ") && err.contains("write `pattern_hold_ms: 50`"),
        "{err}"
    );
    let new = folder.file("new.yaml", &yaml);
    let (again, err) = runs(&["check", "--config", &new, "--effective"], 0);
    assert_eq!((again, err.contains("window_hold_ms")), (yaml, false), "{err}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wirepatch"))
        .args(["fields", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]));
}

/// The file as it should be, or written so where `UPDATE` is set.
#[track_caller]
fn golden(path: &Path, want: &[u8]) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, want).unwrap();
    }
    let got = fs::read(path).unwrap_or_default();
    assert!(got == want, "{} is not what it is made of: UPDATE=1 writes it anew", path.display());
}

#[test]
fn the_bundled_captures_are_what_they_are_made_of() {
    let made = capture::demo();
    golden(&data().join("demo.pcap"), &made);
    golden(&root().join("deploy/lab/demo.pcap"), &made);
}

/// The patches the capture was made for: others may come and go.
const PATCHES: [&str; 3] = [
    "patches/ssrp/ms02-039.yaml",
    "patches/dns/rustsec-2018-0007.yaml",
    "patches/http/cve-2021-44228.yaml",
];

#[test]
fn replay_reports_every_edit() {
    let folder = TestFolder::new("replay");
    let (input, output, report) = (
        folder.file("in.pcap", capture::demo()),
        folder.path("out.pcap"),
        folder.path("report.json"),
    );
    let words =
        [&["replay", &input, "-o", &output, "--report", &report, "--patches"][..], &PATCHES]
            .concat();
    let (out, _) = runs(&words, 0);
    assert!(
        out.contains("ms02-039")
            && out.contains("rustsec-2018-0007")
            && out.contains("cve-2021-44228"),
        "{out}"
    );
    golden(&data().join("demo.report.json"), &fs::read(&report).unwrap());
    let summary = json(&[&words[..], &["--json"]].concat(), 0);
    assert_eq!(summary["packets"], 21);
    assert_eq!(summary["patches"]["ms02-039"]["removed_bytes"], 368);
    // What came out needs no patch any more: wirepatch behind wirepatch changes nothing.
    let twice = folder.path("twice.pcap");
    runs(&[&["replay", &output, "-o", &twice, "--patches"][..], &PATCHES].concat(), 0);
    assert!(fs::read(&output).unwrap() == fs::read(&twice).unwrap());
    // Observe counts and changes nothing.
    let watched = json(
        &[&["replay", &input, "-o", &twice, "--observe", "--json", "--patches"][..], &PATCHES]
            .concat(),
        0,
    );
    assert!(fs::read(&input).unwrap() == fs::read(&twice).unwrap());
    assert_eq!(watched["patches"]["ms02-039"]["would_have"], 1);
    assert_eq!(watched["unchanged"], 21);
}

#[test]
fn decode_prints_a_line_a_message() {
    let folder = TestFolder::new("decode");
    let input = folder.file("in.pcap", capture::demo());
    let (out, err) = runs(&["decode", &input], 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(err, "");
    assert_eq!(lines.len(), 12, "{out}");
    assert_eq!(lines[0]["ssrp.instance"], "A".repeat(400));
    assert_eq!((&lines[0]["packet"], &lines[0]["time"]), (&1.into(), &1_700_000_000.0.into()));
    assert_eq!(
        (&lines[0]["source"], &lines[0]["source_port"]),
        (&"192.0.2.1".into(), &40_001.into())
    );
    assert_eq!(lines[3]["dns.qry.name"], serde_json::json!(["example.com"]));
    assert_eq!(
        (&lines[6]["http.request.uri"], &lines[6]["packet"]),
        (&"/index.html".into(), &10.into())
    );
    assert_eq!(lines[7]["http.response.code"], 200);
    assert_eq!(lines[7]["http.file_data"], serde_json::json!(["6f6b0a"]));
    let (only, _) = runs(&["decode", &input, "--protocol", "http"], 0);
    assert_eq!(only.lines().count(), 6);
    let (moved, _) = runs(&["decode", &input, "--protocol", "data", "--ports", "data=80"], 0);
    assert_eq!(moved.lines().count(), 2, "a stream is one message a direction");
}

#[test]
fn without_patches_every_capture_comes_out_as_it_went_in() {
    let folder = TestFolder::new("identity");
    let output = folder.path("out");
    let mut folders = vec![root().join("crates/wirepatch/tests/data")];
    // More of them, where they are beside the repository.
    folders.extend(root().join("../shared/corpora").canonicalize());
    let mut files = 0;
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let ends = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ["pcap", "pcapng", "cap"].contains(&ends) {
                files += 1;
                runs(&["replay", path.to_str().unwrap(), "-o", &output], 0);
                assert!(
                    fs::read(&path).unwrap() == fs::read(&output).unwrap(),
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(files > 500);
    println!("{files} captures");
}

#[test]
fn the_generated_pages_are_what_the_tables_say() {
    let folder = TestFolder::new("pages");
    runs(&["fields", "--markdown", &folder.path("docs")], 0);
    let mut wrong = Vec::new();
    let mut made = 0;
    for below in ["", "protocols"] {
        for entry in fs::read_dir(folder.0.join("docs").join(below)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            made += 1;
            let name = path.file_name().unwrap().to_owned();
            let kept = root().join("docs").join(below).join(&name);
            if fs::read(&kept).unwrap_or_default() != fs::read(&path).unwrap() {
                wrong.push(name);
            }
        }
    }
    assert!(made >= 11);
    assert!(
        wrong.is_empty(),
        "out of date: {wrong:?}; `cargo run -p wirepatch --no-default-features -- fields --markdown docs` writes them anew"
    );
}
