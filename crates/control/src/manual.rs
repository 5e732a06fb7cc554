//! `docs/configuration.md`: every key, from its row.

use std::fmt::Write as _;

use crate::keys::{Applies, ConfigKey, KeyKind, KeySection as _, shown};
use crate::settings::Settings;

/// Columns of the page.
const COLUMNS: usize = 100;

/// The page, without its first line.
pub fn configuration_page() -> String {
    let mut page = "# Configuration\n".to_owned();
    paragraph(
        &mut page,
        "`wirepatch run --config F` reads one YAML file. This page has every key: how its value is \
         written, its range, its default, and when a running appliance takes a change up. Aliases \
         and tags are not read.",
    );
    paragraph(
        &mut page,
        "`wirepatch check --config F` finds unknown keys and values out of range, each with file, \
         line and column. `wirepatch check --config F --effective` prints the configuration with \
         every default filled in. `wirepatch schema config` prints the JSON Schema for editors. \
         [deploy/wirepatch.yaml](../deploy/wirepatch.yaml) is a sample.",
    );
    page.push_str("\n## Top level\n");
    section(&mut page, Settings::KEYS, "");
    page
}

fn section(page: &mut String, keys: &[ConfigKey], path: &str) {
    for key in keys.iter().filter(|key| key.kind.rows().is_none()) {
        entry(page, key, path);
    }
    for key in keys {
        let Some(inner) = key.kind.rows() else { continue };
        let _ = write!(page, "\n## {path}{}\n", key.name);
        paragraph(page, key.text);
        let mut below = format!("{path}{}.", key.name);
        if matches!(key.kind, KeyKind::List(_)) {
            paragraph(page, &format!("A list of mappings. {}", facts(key)));
            below = format!("{path}{}[].", key.name);
        }
        section(page, inner, &below);
    }
}

fn entry(page: &mut String, key: &ConfigKey, path: &str) {
    let _ = write!(page, "\n### {path}{}\n", key.name);
    paragraph(page, key.text);
    let mut kind = key.kind.in_words();
    if let Some(first) = kind.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let bounds = key.bounds().map(|bounds| format!(", {bounds}")).unwrap_or_default();
    paragraph(page, &format!("{kind}{bounds}. {}", facts(key)));
    if let KeyKind::Word(words) = key.kind {
        page.push('\n');
        for word in words {
            wrapped(page, &format!("- `{}`: {}", word.word, word.text), "  ");
        }
    }
    if let Some(old) = key.formerly {
        paragraph(
            page,
            &format!("It was called `{old}`. This release still reads that name, with a warning."),
        );
    }
}

fn facts(key: &ConfigKey) -> String {
    let default = match key.default.map(|default| shown(&default())) {
        None => "Required.".to_owned(),
        Some(value) => format!("Default: `{value}`."),
    };
    let applies = match key.applies {
        Applies::Restart => " A change needs a restart.",
        Applies::Reload => " A reload takes a change up.",
        Applies::Inside => "",
    };
    default + applies
}

fn paragraph(page: &mut String, text: &str) {
    page.push('\n');
    wrapped(page, text, "");
}

/// Adds `text` in lines of at most [`COLUMNS`]; `indent` stands before all lines but the first.
fn wrapped(page: &mut String, text: &str, indent: &str) {
    for (number, line) in wrap(text, COLUMNS.saturating_sub(indent.len())).iter().enumerate() {
        let before = if number == 0 { "" } else { indent };
        let _ = writeln!(page, "{before}{line}");
    }
}

/// The words of `text` in lines of at most `columns` characters.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = line.chars().count().saturating_add(1).saturating_add(word.chars().count());
        if !line.is_empty() && longer > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
