//! The JSON Schema of the configuration, for editors: made of the rows.

use serde_json::{Map, Value, json};

use crate::keys::{ConfigKey, KeyKind, KeyRange, KeySection as _};
use crate::settings::Settings;

/// JSON Schema of the configuration file.
pub fn schema() -> Value {
    let mut top = of_section(Settings::KEYS);
    top.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    top.insert("title".to_owned(), json!("wirepatch configuration"));
    Value::Object(top)
}

fn of_section(keys: &[ConfigKey]) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in keys {
        let mut described = of_kind(key.kind, key.range);
        described.insert("description".to_owned(), json!(key.text));
        if let (Some(default), false) = (key.default, matches!(key.kind, KeyKind::Section(_))) {
            described.insert("default".to_owned(), default());
        }
        if let Some(old) = key.formerly {
            let mut old_key = described.clone();
            old_key.insert("deprecated".to_owned(), json!(true));
            old_key.insert("description".to_owned(), json!(format!("Now `{}`.", key.name)));
            properties.insert(old.to_owned(), Value::Object(old_key));
        }
        properties.insert(key.name.to_owned(), Value::Object(described));
    }
    let required: Vec<&str> =
        keys.iter().filter(|key| key.default.is_none()).map(|key| key.name).collect();
    let mut section = object(json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    }));
    if !required.is_empty() {
        section.insert("required".to_owned(), json!(required));
    }
    section
}

fn of_kind(kind: KeyKind, range: Option<KeyRange>) -> Map<String, Value> {
    let inner = |kind: &KeyKind| Value::Object(of_kind(*kind, range));
    object(match kind {
        KeyKind::Switch => json!({ "type": "boolean" }),
        KeyKind::Number => match range {
            Some(KeyRange { least, most, .. }) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            None => json!({ "type": "integer" }),
        },
        KeyKind::Text | KeyKind::Form(_) => json!({ "type": "string" }),
        KeyKind::Word(words) => {
            let choices: Vec<Value> = words
                .iter()
                .map(|word| json!({ "const": word.word, "description": word.text }))
                .collect();
            json!({ "type": "string", "oneOf": choices })
        }
        KeyKind::Optional(kind) => {
            let mut known = of_kind(*kind, range);
            if let Some(name) = known.remove("type") {
                known.insert("type".to_owned(), json!([name, "null"]));
            }
            Value::Object(known)
        }
        KeyKind::List(kind) => json!({ "type": "array", "items": inner(kind) }),
        KeyKind::Pair(kind) => {
            json!({ "type": "array", "items": inner(kind), "minItems": 2, "maxItems": 2 })
        }
        KeyKind::ByProtocol(kind) => {
            json!({ "type": "object", "additionalProperties": inner(kind) })
        }
        KeyKind::Section(keys) => return of_section(keys),
    })
}

/// The members of an object.
fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}
