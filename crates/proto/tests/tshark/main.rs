//! Every decoder against tshark, field by field, on the captures of the corpus.
//!
//! A protocol joins by one entry of [`cases::CASES`] and `tshark: Compared` in its row of the
//! registry. For each capture that has the protocol, every field whose name tshark knows is
//! compared, occurrence by occurrence: for a datagram by itself, for TCP over a whole half-stream.
//! What differs must be explained by an entry of the case's `known`, which says why; anything else
//! fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has failed, and its tally is for people"
)]

mod capture;
mod cases;
mod feed;
mod hostile;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use cases::{CASES, Case};
use feed::{Fed, Key, Value};
use proto::registry::Tshark;

/// The captures of the repository, and more of them where they are beside it: index and folder.
const CORPORA: [(&str, &str); 2] = [
    (
        concat!(env!("CARGO_MANIFEST_DIR"), "/../wirepatch/tests/data/captures/INDEX.tsv"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../wirepatch/tests/data"),
    ),
    (
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora/INDEX.tsv"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora"),
    ),
];

/// One field of one message (or half-stream) read differently.
pub(crate) struct Mismatch<'a> {
    /// Our name for the field.
    pub(crate) field: &'a str,
    pub(crate) ours: &'a [Value],
    pub(crate) theirs: &'a [String],
    /// Everything we found there.
    pub(crate) found: &'a feed::Found,
    /// Either of us thinks it broken.
    pub(crate) broken: [bool; 2],
}

/// tshark's rows: by key, values by its field name.
type Rows = BTreeMap<Key, BTreeMap<String, Vec<String>>>;

#[derive(Default)]
struct CaseTally {
    captures: usize,
    messages: usize,
    values: usize,
    left_out: usize,
    explained: BTreeMap<&'static str, usize>,
    /// By field: the first few of each are shown.
    unexplained: BTreeMap<String, Vec<String>>,
}

#[test]
fn decoders_read_what_tshark_reads() {
    let Some(known_to_tshark) = fields_of_tshark() else {
        println!("skipped: {} protocols, for want of tshark", CASES.len());
        return;
    };
    let mut failures = Vec::new();
    for case in CASES {
        let tally = run(case, &known_to_tshark);
        println!(
            "{}: {} captures, {} messages and half-streams, {} values the same, {} half-streams with gaps left out",
            case.protocol, tally.captures, tally.messages, tally.values, tally.left_out
        );
        for (why, count) in &tally.explained {
            println!("    {count} times: {why}");
        }
        if tally.values < case.values_min {
            failures.push(format!("{}: only {} values were compared", case.protocol, tally.values));
        }
        for (field, differences) in tally.unexplained {
            let some: Vec<_> = differences.iter().take(3).map(String::as_str).collect();
            failures.push(format!(
                "{field}, {} times:\n  {}",
                differences.len(),
                some.join("\n  ")
            ));
        }
    }
    assert!(failures.is_empty(), "differences without a reason:\n{}", failures.join("\n"));
}

/// The registry says which decoders are compared.
#[test]
fn every_row_that_says_so_has_a_case() {
    let rows = proto::registry::ROWS.iter();
    let mut compared: Vec<_> = rows
        .filter(|row| row.tshark == Tshark::Compared)
        .map(|row| row.decoder.protocol().name)
        .collect();
    let mut cases: Vec<_> = CASES.iter().map(|case| case.protocol).collect();
    cases.sort_unstable();
    compared.sort_unstable();
    assert_eq!(cases, compared, "cases of tests/tshark/cases.rs, and rows that say Compared");
}

fn fields_of_tshark() -> Option<BTreeSet<String>> {
    let output = Command::new("tshark").args(["-G", "fields"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |line: &str| -> Option<String> {
        line.starts_with("F\t").then(|| line.split('\t').nth(2).map(str::to_owned))?
    };
    let fields: BTreeSet<_> = text.lines().filter_map(field).collect();
    (!fields.is_empty()).then_some(fields)
}

fn run(case: &Case, known_to_tshark: &BTreeSet<String>) -> CaseTally {
    let decoder = proto::by_name(case.protocol).expect("a decoder of that name");
    // Ours and theirs, by our name.
    let mut names: Vec<(String, String)> = decoder
        .protocol()
        .fields
        .iter()
        .filter(|def| !def.keyed)
        .map(|def| (def.name.to_owned(), def.name.to_owned()))
        .filter(|(ours, theirs)| ours != "_ws.malformed" && known_to_tshark.contains(theirs))
        .collect();
    names.extend(
        case.keys
            .iter()
            .map(|(name, key, theirs)| (format!("{name}[{key}]"), (*theirs).to_owned())),
    );
    let keys: Vec<_> = case.keys.iter().map(|(name, key, _)| (*name, *key)).collect();
    let mut tally = CaseTally::default();
    for path in captures(case).into_iter().chain([made(case)]) {
        let Some(frames) = std::fs::read(&path).ok().and_then(|file| capture::read(&file)) else {
            continue;
        };
        tally.captures += 1;
        let fed = feed::feed(decoder, &keys, &frames);
        tally.left_out += fed.left_out.len();
        let rows = tshark(&path, case.filter, &names, &fed);
        compare(case, &path.to_string_lossy(), &names, &fed, &rows, &mut tally);
    }
    tally
}

/// Captures whose protocols name one of the case's, each once.
pub(crate) fn captures(case: &Case) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, folder) in CORPORA {
        let index = std::fs::read_to_string(index).unwrap_or_default();
        let mut rows = index.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let Some(head) = rows.next() else { continue };
        let column = |name| head.iter().position(|found| *found == name).expect("a column");
        let (protocols, sum) = (column("protocols"), column("sha256"));
        for row in rows {
            let has = row[protocols].split([',', ' ', ';']).any(|one| case.captures.contains(&one));
            if has && seen.insert(row[sum].to_owned()) {
                paths.push(Path::new(folder).join(row[0]));
            }
        }
    }
    assert!(!seen.is_empty() || case.captures.is_empty(), "{}: no captures", case.protocol);
    paths
}

/// Writes the case's own datagrams to a capture; its path.
fn made(case: &Case) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.pcap", case.protocol));
    std::fs::write(&path, capture::write(case)).expect("a file in the target folder");
    path
}

fn tshark(path: &Path, filter: &str, names: &[(String, String)], fed: &Fed) -> Rows {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-T", "json"]);
    command.arg("-r").arg(path).args(["-Y", filter, "-e", "frame.number", "-e", "_ws.malformed"]);
    for (_, theirs) in names {
        command.args(["-e", theirs]);
    }
    let output = command.output().expect("tshark ran before");
    let text = String::from_utf8_lossy(&output.stdout);
    let frames: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    let mut rows = Rows::new();
    for frame in &frames {
        let layers = &frame["_source"]["layers"];
        let number = layers["frame.number"][0].as_str().and_then(|text| text.parse().ok());
        let Some(key) = number.and_then(|number: u64| fed.frames.get(&number)) else { continue };
        let row = rows.entry(*key).or_default();
        for (name, values) in layers.as_object().into_iter().flatten() {
            let values = values.as_array().into_iter().flatten();
            let values = values.map(|value| value.as_str().unwrap_or_default().to_owned());
            row.entry(name.clone()).or_default().extend(values);
        }
    }
    rows
}

fn compare(
    case: &Case,
    capture: &str,
    names: &[(String, String)],
    fed: &Fed,
    rows: &Rows,
    tally: &mut CaseTally,
) {
    let nothing = feed::Found::new();
    for (key, row) in rows {
        if fed.left_out.contains(key) {
            continue;
        }
        tally.messages += 1;
        let found = fed.found.get(key).unwrap_or(&nothing);
        let broken = [found.contains_key("_ws.malformed"), row.contains_key("_ws.malformed")];
        let malformed = ("_ws.malformed".to_owned(), "_ws.malformed".to_owned());
        for (field, theirs_name) in names.iter().chain([&malformed]) {
            let ours = found.get(field).map_or(&[][..], Vec::as_slice);
            let theirs = row.get(theirs_name).map_or(&[][..], Vec::as_slice);
            if *field == malformed.0 && broken[0] == broken[1] {
                continue;
            }
            if ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b)) {
                tally.values += ours.len();
                continue;
            }
            let mismatch = Mismatch { field, ours, theirs, found, broken };
            match case.known.iter().find(|known| (known.holds)(&mismatch)) {
                Some(known) => *tally.explained.entry(known.why).or_default() += 1,
                None => tally.unexplained.entry(field.clone()).or_default().push(format!(
                    "{capture} {key:?} {broken:?}: ours {:?}, tshark's {theirs:?}",
                    ours.iter().map(show).collect::<Vec<_>>()
                )),
            }
        }
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Bytes(bytes) => bytes.escape_ascii().to_string(),
    }
}

/// Our value in any of the forms tshark gives such a value.
pub(crate) fn same(ours: &Value, theirs: &str) -> bool {
    match ours {
        Value::Number(number) => {
            let parsed = match theirs.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => theirs.parse().ok(),
            };
            parsed == Some(*number)
        }
        Value::Text(bytes) => String::from_utf8_lossy(bytes) == theirs,
        Value::Bytes(bytes) => {
            let hex = |between: &str| {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
            };
            let address = match (<[u8; 4]>::try_from(&bytes[..]), <[u8; 16]>::try_from(&bytes[..]))
            {
                (Ok(v4), _) => Ipv4Addr::from(v4).to_string(),
                (_, Ok(v6)) => Ipv6Addr::from(v6).to_string(),
                _ => String::new(),
            };
            theirs == hex("") || theirs == hex(":") || theirs == address
        }
    }
}
