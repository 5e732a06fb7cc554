//! `docs/journey.md` against the sources: the steps have files of their names, the functions exist,
//! and they run in this order.

use std::fs;
use std::path::{Path, PathBuf};

const STEPS: [&str; 10] = [
    "receive", "parse", "classify", "track", "assemble", "dissect", "decide", "apply", "repair",
    "transmit",
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row of the second table: the step, and the functions of a datagram and of a segment.
struct StepRow {
    step: String,
    columns: [Vec<String>; 2],
}

fn rows() -> Vec<StepRow> {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/journey.md"));
    let (_, table) = page.split_once("| # | step | a datagram | a segment |").expect("the table");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let functions = |cell: &str| {
            cell.split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>()
        };
        let columns = [cells[2], cells[3]].map(functions);
        StepRow {
            step: cells[1].to_owned(),
            columns: columns.map(|names| names.into_iter().filter(|it| !it.is_empty()).collect()),
        }
    };
    lines.map(row).collect()
}

/// A function from its first line to the brace that closes it.
fn body<'a>(source: &'a str, function: &str) -> &'a str {
    let at =
        [format!("\nfn {function}<"), format!("\nfn {function}("), format!("\npub fn {function}<")]
            .iter()
            .find_map(|start| source.find(start.as_str()))
            .unwrap_or_else(|| panic!("no function {function}"));
    let end = source[at..].find("\n}\n").expect("its end");
    &source[at..at + end]
}

#[test]
fn every_step_has_a_file_and_its_functions() {
    let rows = rows();
    assert!(rows.iter().map(|row| row.step.as_str()).eq(STEPS), "ten steps, in order");
    for row in &rows {
        assert!(sources().join(format!("{}.rs", row.step)).is_file(), "{}", row.step);
        for name in row.columns.iter().flatten() {
            let (module, function) = name.rsplit_once("::").expect("module::function");
            assert_eq!(module.split("::").next(), Some(row.step.as_str()), "{name}");
            let source = read(&sources().join(format!("{}.rs", module.replace("::", "/"))));
            let defined = [format!("fn {function}("), format!("fn {function}<")];
            assert!(defined.iter().any(|text| source.contains(text.as_str())), "{name}");
        }
    }
}

/// The calls come in this order in `text`.
#[track_caller]
fn are_called_in_order(text: &str, names: &[String]) {
    let mut rest = text;
    for name in names {
        let (path, function) = name.rsplit_once("::").expect("module::function");
        let module = path.rsplit("::").next().unwrap_or(path);
        let calls = ["::", "."].map(|dot| format!("{module}{dot}{function}("));
        let calls = [&calls[0], &calls[1], &format!(" {function}(")];
        let at = calls.iter().filter_map(|call| rest.find(call.as_str())).min();
        rest = &rest[at.unwrap_or_else(|| panic!("{name} is not called in its place")) + 1..];
    }
}

#[test]
fn the_steps_are_called_in_the_order_of_the_page() {
    let journey = read(&sources().join("journey.rs"));
    let classify = read(&sources().join("classify.rs")).replace("\npub(crate) fn ", "\nfn ");
    let adapter = read(&sources().join("tcp/engine_stage.rs"));
    let rows = rows();
    let of = |column: usize, steps: std::ops::Range<usize>| -> Vec<String> {
        rows[steps].iter().flat_map(|row| row.columns[column].clone()).collect()
    };
    // The burst, and the steps that a datagram and a segment share.
    let [receive, parse, classified, transmit] = [0, 1, 2, 9].map(|at| rows[at].columns[0].clone());
    are_called_in_order(body(&journey, "journey"), &[receive, classified, transmit].concat());
    are_called_in_order(body(&classify, "classify"), &parse);
    // A datagram, which may come in fragments.
    let ways = ["patched", "datagram", "edited"].map(|way| body(&journey, way));
    are_called_in_order(&ways.concat(), &of(0, 3..9));
    // A segment. Its step 5 calls steps 6 to 8 through the adapter.
    let segment = body(&journey, "segment");
    let (until, after) = segment.split_once("assemble::segment(").expect("step 5");
    let way = format!("{until} assemble::segment({adapter}{after}");
    let own_parse: Vec<String> =
        rows[1].columns[1].iter().filter(|name| !parse.contains(name)).cloned().collect();
    are_called_in_order(&way, &[own_parse, of(1, 3..9)].concat());
}
