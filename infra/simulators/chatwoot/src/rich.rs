//! What Chatwoot checks of the items of a rich message (`content_attribute_validator.rb`).

use serde_json::Value;

/// All content types of Chatwoot 4.14 (`message.rb`).
pub const CONTENT_TYPES: [&str; 13] = [
    "text",
    "input_text",
    "input_textarea",
    "input_email",
    "input_select",
    "cards",
    "form",
    "article",
    "incoming_email",
    "input_csat",
    "integrations",
    "sticker",
    "voice_call",
];

/// Members the items of a type may have; nothing for types without items.
fn members(content_type: &str) -> Option<&'static [&'static str]> {
    match content_type {
        "input_select" => Some(&["title", "value"]),
        "cards" => Some(&["title", "description", "media_url", "actions"]),
        "form" => Some(&[
            "type",
            "placeholder",
            "label",
            "name",
            "options",
            "default",
            "required",
            "pattern",
            "title",
            "pattern_error",
        ]),
        "article" => Some(&["title", "description", "link"]),
        _ => None,
    }
}

/// Why Chatwoot does not save a message with these items, if so.
pub(crate) fn check(content_type: &str, items: Option<&Value>) -> Result<(), String> {
    let Some(members) = members(content_type) else { return Ok(()) };
    let items = items.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return Err("Content attributes At least one item is required.".to_owned());
    }
    for item in items {
        let Some(item) = item.as_object() else { return Err("Content attributes Items should be a hash.".to_owned()) };
        known(item, members, "items")?;
        let actions = item.get("actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if content_type == "cards" && actions.is_empty() {
            return Err("Content attributes contains items missing actions".to_owned());
        }
        for action in actions.iter().filter_map(Value::as_object) {
            known(action, &["text", "type", "payload", "uri"], "actions")?;
        }
    }
    Ok(())
}

fn known(item: &serde_json::Map<String, Value>, members: &[&str], what: &str) -> Result<(), String> {
    let unknown: Vec<_> = item.keys().filter(|key| !members.contains(&key.as_str())).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("Content attributes contains invalid keys for {what} : {unknown:?}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_there_and_have_only_known_members() {
        assert!(check("text", None).is_ok());
        assert!(check("input_select", Some(&json!([{ "title": "Sí", "value": "1" }]))).is_ok());
        assert!(
            check(
                "cards",
                Some(&json!([{ "title": "RX", "actions": [{ "type": "link", "text": "Ver", "uri": "x" }] }]))
            )
            .is_ok()
        );
        for (kind, items) in [
            ("input_select", json!(null)),
            ("form", json!([])),
            ("article", json!(["x"])),
            ("input_select", json!([{ "title": "Sí", "description": "x" }])),
            ("cards", json!([{ "title": "RX" }])),
            ("cards", json!([{ "title": "RX", "actions": [{ "name": "x" }] }])),
        ] {
            assert!(check(kind, Some(&items)).is_err(), "{kind} {items}");
        }
    }
}
