//! Compares a configuration's tree with the rows: unknown, old and missing keys, numbers out of
//! range, odd words and forms.

use patch::yaml::{Node, NodeValue};
use patch::{Place, nearest};

use crate::keys::{ConfigKey, KeyKind, KeyWord, TextForm, shown};
use crate::problems::Problems;

/// Reports everything that the rows forbid, and gives old keys their new names. False where a
/// required key is missing.
pub(crate) fn audit(
    root: &mut Node,
    keys: &'static [ConfigKey],
    problems: &mut Problems<'_>,
) -> bool {
    let mut audit = Audit { all: keys, problems, complete: true };
    audit.section(root, keys, "");
    audit.complete
}

struct Audit<'a, 'f> {
    /// The top's rows.
    all: &'static [ConfigKey],
    problems: &'a mut Problems<'f>,
    complete: bool,
}

impl Audit<'_, '_> {
    fn section(&mut self, node: &mut Node, keys: &'static [ConfigKey], path: &str) {
        let NodeValue::Mapping(entries) = &mut node.value else { return };
        for (name, value) in entries.iter_mut() {
            let place = name.place;
            let NodeValue::Scalar(text, _) = &mut name.value else { continue };
            if let Some(key) = keys.iter().find(|key| key.formerly == Some(text)) {
                let message = format!(
                    "`{}` is now called `{}`; write `{}: {}`. The next release refuses the old \
                     name",
                    join(path, text),
                    join(path, key.name),
                    key.name,
                    self.problems.file.slice(value.place)
                );
                self.problems.warn(place, &message);
                key.name.clone_into(text);
            }
            match keys.iter().find(|key| key.name == text) {
                Some(key) => self.value(value, key, key.kind, &join(path, key.name)),
                None => {
                    let help = self.instead(text, keys);
                    self.problems.add(place, format!("there is no key `{text}` here"), help);
                }
            }
        }
        for key in keys.iter().filter(|key| key.default.is_none()) {
            let here =
                |name: &Node| matches!(&name.value, NodeValue::Scalar(text, _) if text == key.name);
            if !entries.iter().any(|(name, _)| here(name)) {
                self.complete = false;
                self.problems.add(
                    node.place,
                    format!("the key `{}` is missing", join(path, key.name)),
                    format!("write {}: {}", key.kind.in_words(), key.text),
                );
            }
        }
    }

    /// What to write for a key that is not known.
    fn instead(&self, wrong: &str, keys: &'static [ConfigKey]) -> String {
        let here = || keys.iter().map(|key| key.name);
        if let Some(near) = nearest(wrong, here()) {
            return format!("did you mean `{near}`?");
        }
        let elsewhere = self.all.iter().find_map(|section| {
            let mut inner = section.kind.rows()?.iter();
            let known = |key: &&ConfigKey| key.name == wrong || key.formerly == Some(wrong);
            inner.find(known).map(|key| (section.name, key.name))
        });
        match elsewhere {
            Some((section, name)) => format!("write `{name}` under `{section}`"),
            None => format!("the keys here are: {}", here().collect::<Vec<_>>().join(", ")),
        }
    }

    fn value(&mut self, node: &mut Node, key: &ConfigKey, kind: KeyKind, path: &str) {
        if let KeyKind::Section(keys) = kind {
            return self.section(node, keys, path);
        }
        let null = node.is_null();
        let place = node.place;
        match (&mut node.value, kind) {
            (NodeValue::Sequence(items), KeyKind::List(kind) | KeyKind::Pair(kind)) => {
                for item in items {
                    self.value(item, key, *kind, path);
                }
            }
            (NodeValue::Mapping(entries), KeyKind::ByProtocol(kind)) => {
                for (_, value) in entries {
                    self.value(value, key, *kind, path);
                }
            }
            (_, KeyKind::Optional(kind)) if !null => self.value(node, key, *kind, path),
            (NodeValue::Scalar(text, _), KeyKind::Number) => self.number(place, text, key, path),
            (NodeValue::Scalar(text, _), KeyKind::Word(words)) => {
                self.word(place, text, words, kind)
            }
            (NodeValue::Scalar(text, _), KeyKind::Form(TextForm { check, .. })) => {
                if let Err(malformed) = check(text) {
                    self.problems.add(place, malformed.message, malformed.help);
                }
            }
            // The value has another shape than it should have: the reader reports it.
            _ => {}
        }
    }

    fn number(&mut self, place: Place, text: &str, key: &ConfigKey, path: &str) {
        let digits = text.strip_prefix("0x");
        let number =
            digits.map_or_else(|| text.parse().ok(), |hex| i128::from_str_radix(hex, 16).ok());
        let (Some(number), Some(range)) = (number, key.range) else { return };
        if (i128::from(range.least)..=i128::from(range.most)).contains(&number) {
            return;
        }
        let mut help = format!("write {}", key.bounds().unwrap_or_default());
        if let Some(default) = key.default.filter(|_| matches!(key.kind, KeyKind::Number)) {
            help.push_str(&format!("; without the key it is {}", shown(&default())));
        }
        self.problems.add(place, format!("`{path}: {number}` is out of range"), help);
    }

    fn word(&mut self, place: Place, text: &str, words: &[KeyWord], kind: KeyKind) {
        if words.iter().any(|word| word.word == text) {
            return;
        }
        let help = nearest(text, words.iter().map(|word| word.word)).map_or_else(
            || format!("write {}", kind.in_words()),
            |near| format!("did you mean `{near}`?"),
        );
        self.problems.add(place, format!("`{text}` is not known here"), help);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
