//! The JSON Schema of patch files, for editors: generated from the types that read them.

use serde_json::{Value, json};

use crate::file::PatchFile;

/// Every verb's key.
const VERBS: &[&str] = &[
    "truncate",
    "cut_at",
    "clamp",
    "set",
    "clear",
    "replace",
    "mask",
    "remove",
    "keep_first",
    "dedupe",
    "normalize",
    "pad",
    "discard",
    "drop",
    "refuse",
    "close",
];

/// The schema of one patch file.
pub fn patch_schema() -> Value {
    let mut schema = schemars::schema_for!(PatchFile).to_value();
    // That a rule has exactly one verb is not in its type, which has a key for each.
    if let Some(rule) = schema.pointer_mut("/$defs/RuleFile")
        && let Some(rule) = rule.as_object_mut()
    {
        let one: Vec<Value> = VERBS.iter().map(|verb| json!({ "required": [verb] })).collect();
        rule.insert("oneOf".to_owned(), Value::Array(one));
    }
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), json!("wirepatch patch"));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_patch_file_is_described() {
        let schema = patch_schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        for key in ["patch", "title", "protocol", "rules", "tests", "scope", "postpone_until"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        let rule = &schema["$defs"]["RuleFile"];
        for verb in VERBS {
            let text = rule["properties"][verb]["description"].as_str();
            assert!(text.is_some_and(|text| text.starts_with("Verb: ")), "{verb}");
        }
        let described = rule["properties"].as_object().unwrap();
        let verbs = described.values().filter(|key| {
            key["description"].as_str().is_some_and(|text| text.starts_with("Verb: "))
        });
        assert_eq!(verbs.count(), VERBS.len());
    }
}
