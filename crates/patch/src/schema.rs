//! The JSON Schema of patch files, for editors: generated from the types that read them.

use serde_json::{Value, json};

use crate::file::PatchFile;
use crate::verbs::VERBS;

/// The schema of one patch file.
pub fn patch_schema() -> Value {
    let mut schema = schemars::schema_for!(PatchFile).to_value();
    // That a rule has exactly one verb is not in its type, which has a key for each.
    if let Some(rule) = schema.pointer_mut("/$defs/RuleFile")
        && let Some(rule) = rule.as_object_mut()
    {
        let one = VERBS.iter().map(|row| json!({ "required": [row.name] })).collect();
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
        for verb in VERBS.iter().map(|row| row.name) {
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
