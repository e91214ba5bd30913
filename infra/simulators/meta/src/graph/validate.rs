//! What Meta refuses before it accepts a message.

use serde_json::Value;

use super::{error::GraphError, interactive, template};

const TYPES: [&str; 11] = [
    "audio",
    "contacts",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
];

type Checked = Result<(), GraphError>;

/// Checks the body of a message without looking at any state; gives its type.
pub(super) fn message(body: &Value) -> Result<&str, GraphError> {
    product(body)?;
    if !matches!(body["recipient_type"].as_str(), None | Some("individual")) || !optional_text(&body["recipient_type"])
    {
        return Err(GraphError::parameter("Param recipient_type must be 'individual'."));
    }
    let kind = match &body["type"] {
        Value::Null => "text",
        kind => kind.as_str().filter(|kind| TYPES.contains(kind)).ok_or_else(|| {
            GraphError::parameter(format!("Param type must be one of {{{}}}", TYPES.join(", ").to_uppercase()))
        })?,
    };
    if !optional_text(&body["biz_opaque_callback_data"]) {
        return Err(GraphError::parameter("Param biz_opaque_callback_data must be a string."));
    }
    at_most(&body["biz_opaque_callback_data"], 512, "biz_opaque_callback_data")?;
    if !body["context"].is_null() && !body["context"]["message_id"].is_string() {
        return Err(GraphError::missing("Parameter 'context.message_id' is mandatory."));
    }
    let object = &body[kind];
    if object.is_null() {
        return Err(GraphError::missing(format!("Parameter '{kind}' is mandatory for type '{kind}'")));
    }
    match kind {
        "text" => text(object),
        "location" => location(object),
        "contacts" => contacts(object),
        "reaction" => reaction(object),
        "interactive" => interactive::check(object),
        "template" => template::shape(object),
        _ => file(kind, object),
    }?;
    Ok(kind)
}

/// `messaging_product` must be there on every call.
pub(super) fn product(body: &Value) -> Checked {
    match body["messaging_product"].as_str() {
        Some("whatsapp") => Ok(()),
        None => Err(GraphError::new(400, 100, "(#100) The parameter messaging_product is required.")),
        Some(_) => Err(GraphError::new(400, 100, "(#100) Param messaging_product must be one of {WHATSAPP}")),
    }
}

fn text(object: &Value) -> Checked {
    only(object, "text", &["body", "preview_url"])?;
    some_text(&object["body"], "text['body']")?;
    at_most(&object["body"], 4096, "text['body']")?;
    if object["preview_url"].is_null() || object["preview_url"].is_boolean() {
        return Ok(());
    }
    Err(GraphError::parameter("Param text['preview_url'] must be a boolean."))
}

/// A file by its id or by an address.
pub(super) fn file(kind: &str, object: &Value) -> Checked {
    only(
        object,
        kind,
        &match kind {
            "audio" => vec!["id", "link", "voice"],
            "sticker" => vec!["id", "link"],
            "document" => vec!["id", "link", "caption", "filename"],
            _ => vec!["id", "link", "caption"],
        },
    )?;
    at_most(&object["caption"], 1024, &format!("{kind}['caption']"))?;
    match (object["id"].as_str(), object["link"].as_str()) {
        (Some(_), None) => Ok(()),
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => Ok(()),
        (None, Some(_)) => Err(GraphError::parameter(format!("Param {kind}['link'] is not a valid URI."))),
        _ => Err(GraphError::parameter(format!("Param {kind} must have exactly one of id and link."))),
    }
}

fn location(object: &Value) -> Checked {
    only(object, "location", &["latitude", "longitude", "name", "address"])?;
    let degrees = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let within = |key: &str, limit: f64| degrees(&object[key]).is_some_and(|degrees: f64| degrees.abs() <= limit);
    if within("latitude", 90.0) && within("longitude", 180.0) {
        return Ok(());
    }
    Err(GraphError::parameter("Params location['latitude'] and location['longitude'] must be degrees."))
}

fn contacts(object: &Value) -> Checked {
    let cards = object.as_array().map(Vec::as_slice).unwrap_or_default();
    if cards.is_empty() || cards.len() > 257 {
        return Err(GraphError::parameter("Param contacts must be an array of 1 to 257 elements."));
    }
    cards.iter().try_for_each(|card| some_text(&card["name"]["formatted_name"], "contacts[]['name']['formatted_name']"))
}

fn reaction(object: &Value) -> Checked {
    only(object, "reaction", &["message_id", "emoji"])?;
    some_text(&object["message_id"], "reaction['message_id']")?;
    if object["emoji"].is_string() {
        return Ok(());
    }
    Err(GraphError::missing("Parameter 'reaction.emoji' is mandatory."))
}

/// Refuses members that Meta does not know.
fn only(object: &Value, name: &str, known: &[&str]) -> Checked {
    let Some(members) = object.as_object() else {
        return Err(GraphError::parameter(format!("Param {name} must be a JSON object.")));
    };
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(GraphError::parameter(format!("Unexpected key \"{key}\" on param \"{name}\"."))),
        None => Ok(()),
    }
}

pub(super) fn some_text(value: &Value, name: &str) -> Checked {
    match value {
        Value::String(text) if !text.is_empty() => Ok(()),
        Value::Null | Value::String(_) => Err(GraphError::missing(format!("Parameter {name} is mandatory."))),
        _ => Err(GraphError::parameter(format!("Param {name} must be a string."))),
    }
}

pub(super) fn at_most(value: &Value, limit: usize, name: &str) -> Checked {
    if value.as_str().is_some_and(|text| text.chars().count() > limit) {
        return Err(GraphError::parameter(format!("Param {name} must be at most {limit} characters long.")));
    }
    Ok(())
}

fn optional_text(value: &Value) -> bool {
    value.is_null() || value.is_string()
}
