//! The configuration written back as YAML with every default; for the sample, with the rows' texts
//! as comments.

use anyhow::{Context as _, Result};
use patch::{Diagnostic, SourceFile};

use crate::config::{Config, read};
use crate::keys::{ConfigKey, KeyKind, KeySection as _};
use crate::manual::wrap;
use crate::problems::Problems;
use crate::settings::Settings;

/// Columns of the sample.
const COLUMNS: usize = 100;

/// The first lines of the sample.
const SAMPLE_HEAD: &str = "\
# A sample: one bridge of two 10G ports in front of two web servers and a name server. Every key is
# here; a key that is left out has its default. `wirepatch check --config` finds mistakes before
# `run` does. `wirepatch schema config` feeds your editor.
";

impl Config {
    /// The configuration as YAML, with every default filled in.
    pub fn effective(&self) -> Result<String> {
        serde_yaml::to_string(&self.settings).context("writing the configuration as YAML")
    }
}

/// The sample configuration with the values of `text`: every key, each under its row's text.
pub fn sample(text: &str) -> Result<String, Vec<Diagnostic>> {
    let file = SourceFile::new("sample", text);
    let mut problems = Problems::of(&file);
    let settings = read(&file, &mut problems)?;
    let yaml = serde_yaml::to_string(&settings)
        .map_err(|error| vec![Diagnostic::of_file("sample", error.to_string())])?;
    Ok(SAMPLE_HEAD.to_owned() + &annotated(&yaml))
}

/// A key whose lines are being written.
struct OpenKey {
    indent: usize,
    key: &'static ConfigKey,
}

/// `yaml` as serde writes it, with each key's text before its first occurrence.
fn annotated(yaml: &str) -> String {
    let mut out = String::new();
    let mut open: Vec<OpenKey> = Vec::new();
    let mut told: Vec<*const ConfigKey> = Vec::new();
    for line in yaml.lines() {
        let dashes = line.len().saturating_sub(line.trim_start_matches([' ', '-']).len());
        let before = line.len().saturating_sub(line.trim_start().len());
        let name = line.get(dashes..).and_then(|rest| rest.split_once(':')).map(|(name, _)| name);
        open.retain(|open| open.indent < dashes);
        let keys = match open.last() {
            None => Settings::KEYS,
            Some(open) => open.key.kind.rows().unwrap_or_default(),
        };
        if let Some(key) = keys.iter().find(|key| Some(key.name) == name) {
            open.push(OpenKey { indent: dashes, key });
            if !told.iter().any(|told| std::ptr::eq(*told, key)) {
                told.push(key);
                if open.len() == 1 {
                    out.push('\n');
                }
                comment(&mut out, key, before);
            }
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn comment(out: &mut String, key: &ConfigKey, indent: usize) {
    let indent = " ".repeat(indent);
    let columns = COLUMNS.saturating_sub(indent.len()).saturating_sub(4);
    let mut text = key.text.to_owned();
    if let (KeyKind::Number, Some(bounds)) = (key.kind, key.bounds()) {
        text.push_str(&format!(" Range: {bounds}."));
    }
    for line in wrap(&text, columns) {
        out.push_str(&format!("{indent}# {line}\n"));
    }
    if let KeyKind::Word(words) = key.kind {
        for word in words {
            for line in wrap(&format!("{}: {}", word.word, word.text), columns) {
                out.push_str(&format!("{indent}#   {line}\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_sample_has_every_key_and_the_rows_texts() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/wirepatch.yaml");
        let kept = std::fs::read_to_string(&path).unwrap();
        let made = sample(&kept).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        } else {
            assert!(
                kept == made,
                "deploy/wirepatch.yaml: `UPDATE=1 cargo test -p control` writes it"
            );
        }
    }
}
