//! `wirepatch ctl`: talks to a running appliance.

use std::process::ExitCode;

use anyhow::Result;
use control::protocol::{Request, Response, ask};
use serde_json::{Map, Value};

use super::code;
use crate::cli::{CtlArgs, CtlCommand, ModeArg};
use crate::output::{self, say_error};

/// Asks, and shows the answer.
pub(crate) fn ctl(args: &CtlArgs) -> Result<ExitCode> {
    let request = match &args.command {
        CtlCommand::Status => Request::Status,
        CtlCommand::Patches => Request::Patches,
        CtlCommand::Flows => Request::Flows,
        CtlCommand::Reload => Request::Reload,
        CtlCommand::Mode { group, mode } => {
            Request::Mode { group: group.clone(), observe: matches!(mode, ModeArg::Observe) }
        }
    };
    let response = ask(&args.socket, &request)?;
    if args.json {
        output::say_json(&response)?;
    } else {
        match &response {
            Response::Ok(value) => output::say(&shown(value))?,
            Response::Error(text) => say_error(&format!("{}\n", text.trim_end())),
        }
    }
    Ok(code(matches!(response, Response::Ok(_))))
}

/// An object: its plain members a line each, then its lists of objects as tables.
fn shown(value: &Value) -> String {
    let Value::Object(members) = value else { return format!("{}\n", cell(value)) };
    let plain: Vec<Vec<String>> = members
        .iter()
        .filter(|(_, value)| !is_table(value))
        .map(|(name, value)| vec![words(name), cell(value)])
        .collect();
    let mut parts = Vec::new();
    if !plain.is_empty() {
        let width = plain.iter().filter_map(|row| Some(row.first()?.chars().count())).max();
        let width = width.unwrap_or(0);
        let lines = plain.iter().map(|row| match row.as_slice() {
            [name, value] => format!("{name:width$}  {value}\n"),
            _ => String::new(),
        });
        parts.push(lines.collect::<String>());
    }
    for (name, value) in members.iter().filter(|(_, value)| is_table(value)) {
        let table = match value {
            Value::Array(rows) => of_rows(rows),
            Value::Object(map) => of_map(name, map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
        };
        parts.push(match (value, members.len()) {
            // The one thing asked for needs no heading; a map has its own.
            (Value::Array(_), 2..) => format!("{}:\n{table}", words(name)),
            _ => table,
        });
    }
    parts.join("\n")
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(rows) => rows.first().is_some_and(Value::is_object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn of_rows(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return String::new() };
    // Names first: they identify the row.
    let mut names: Vec<&String> = first.keys().collect();
    names.sort_by_key(|name| !first.get(*name).is_some_and(|value| leads(name, value)));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            names.iter().map(|name| cell(row.get(name.as_str()).unwrap_or(&Value::Null))).collect()
        })
        .collect();
    let head: Vec<String> = names.iter().map(|name| words(name)).collect();
    output::table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &cells)
}

fn leads(name: &str, value: &Value) -> bool {
    value.is_string() || matches!(name, "worker" | "patch" | "name")
}

fn of_map(name: &str, map: &Map<String, Value>) -> String {
    let rows: Vec<Vec<String>> =
        map.iter().map(|(key, value)| vec![key.clone(), cell(value)]).collect();
    output::table(&[words(name).as_str(), ""], &rows)
}

/// `packets_by_reason` as people write it.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            number.as_u64().map_or_else(|| number.to_string(), output::grouped)
        }
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_lines_and_tables() {
        let value = json!({
            "generation": 3,
            "packets_by_reason": { "edited": 12_345 },
            "ports": [{ "link": "up", "name": "lan", "sent_packets": 7 }],
        });
        let want = "generation  3\n\npackets by reason\nedited             12,345\n\nports:\nlink  name  sent packets\nup    lan              7\n";
        assert_eq!(shown(&value), want);
        assert_eq!(
            shown(&json!({ "patches": [{ "edits": 1, "patch": "a" }] })),
            "patch  edits\na          1\n"
        );
        assert_eq!(shown(&json!({ "patches": [] })), "patches  -\n");
    }
}
