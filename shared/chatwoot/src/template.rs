//! Reads and writes templates as Chatwoot's picker makes them (§1.2). They are in `template_params` of a message's
//! `additional_attributes`. The callback has them, and the conversation for its last message; the list of messages does not.

use std::collections::BTreeMap;

use domain::template::Picked;
use serde_json::{Map, Value};

/// What was picked, from the `additional_attributes` of a message; `None` if it is not a template.
pub fn picked(attributes: &Value) -> Option<Picked> {
    let params = attributes.get("template_params").filter(|params| !params.is_null())?;
    let text = |name: &str| params.get(name).and_then(said);
    let empty = Map::new();
    let processed = params.get("processed_params").and_then(Value::as_object).unwrap_or(&empty);
    let mut picked = Picked { name: text("name").unwrap_or_default(), language: text("language"), ..Picked::default() };
    let object = |name: &str| processed.get(name).and_then(Value::as_object);
    let parts = ["body", "header", "buttons", "footer"];
    picked.body = match object("body") {
        Some(body) => values(body),
        // Before 4.5 only the values of the body were given.
        None if !parts.iter().any(|part| processed.contains_key(*part)) => values(processed),
        None => BTreeMap::new(),
    };
    for (name, value) in object("header").map(values).unwrap_or_default() {
        match name.as_str() {
            "media_url" => picked.file = Some(value),
            "media_name" => picked.filename = Some(value),
            "media_type" => {}
            _ => _ = picked.header.insert(name, value),
        }
    }
    let buttons = processed.get("buttons").and_then(Value::as_array).into_iter().flatten();
    picked.buttons = buttons.map(|button| button.get("parameter").and_then(said)).collect();
    Some(picked)
}

/// The same in the form Chatwoot accepts when a message is created.
pub fn params(picked: &Picked) -> Value {
    let mut processed = Map::new();
    processed.insert("body".to_owned(), object(&picked.body));
    if let Some(file) = &picked.file {
        processed.insert("header".to_owned(), serde_json::json!({ "media_url": file }));
    } else if !picked.header.is_empty() {
        processed.insert("header".to_owned(), object(&picked.header));
    }
    if picked.buttons.iter().any(Option::is_some) {
        let button = |value: &Option<String>| value.as_ref().map(|value| serde_json::json!({ "parameter": value }));
        processed.insert("buttons".to_owned(), picked.buttons.iter().map(button).collect());
    }
    serde_json::json!({ "name": picked.name, "language": picked.language, "processed_params": processed })
}

fn object(values: &BTreeMap<String, String>) -> Value {
    values.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect()
}

fn values(object: &Map<String, Value>) -> BTreeMap<String, String> {
    object.iter().filter_map(|(name, value)| Some((name.clone(), said(value)?))).collect()
}

fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(processed: &Value) -> Picked {
        let params = json!({ "name": "x", "category": "UTILITY", "language": "es_MX", "processed_params": processed });
        picked(&json!({ "template_params": params })).unwrap()
    }

    #[test]
    fn the_pickers_shape_is_read_and_made() {
        let whole = read(&json!({ "body": { "1": "Ana", "2": 250 },
            "header": { "media_url": "https://x.example/a.pdf", "media_type": "document", "media_name": "a.pdf" },
            "buttons": [null, { "type": "url", "parameter": "88412", "url": "https://x.example/{{1}}" }] }));
        assert_eq!((whole.body["2"].as_str(), whole.buttons[1].as_deref()), ("250", Some("88412")));
        assert_eq!(
            (whole.file.as_deref(), whole.filename.as_deref()),
            (Some("https://x.example/a.pdf"), Some("a.pdf"))
        );
        let again = picked(&json!({ "template_params": params(&whole) })).unwrap();
        assert_eq!(again, Picked { filename: None, ..whole });
        let line = read(&json!({ "body": {}, "header": { "1": "Ana" } }));
        assert_eq!(line.header["1"], "Ana");
    }

    #[test]
    fn older_versions_and_odd_shapes_are_read_as_far_as_they_go() {
        assert_eq!(read(&json!({ "1": "Ana" })).body["1"], "Ana");
        for odd in [json!(null), json!([]), json!("x"), json!({ "body": [], "buttons": {}, "header": 7 })] {
            assert_eq!(read(&odd), Picked { name: "x".into(), language: Some("es_MX".into()), ..Picked::default() });
        }
        assert_eq!(picked(&json!({})), None);
        assert_eq!(picked(&json!({ "template_params": null })), None);
        assert_eq!(picked(&json!({ "template_params": "x" })).unwrap().name, "");
    }
}
