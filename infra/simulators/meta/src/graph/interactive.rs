//! The limits of interactive messages.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    error::GraphError,
    validate::{at_most, some_text},
};

/// Checks what Meta documents: lengths, numbers of buttons and rows, ids that differ.
pub(super) fn check(object: &Value) -> Result<(), GraphError> {
    some_text(&object["type"], "interactive['type']")?;
    let kind = object["type"].as_str().unwrap_or_default();
    if !object["action"].is_object() {
        return Err(GraphError::missing("Parameter 'interactive.action' is mandatory."));
    }
    if kind != "product" {
        some_text(&object["body"]["text"], "interactive['body']['text']")?;
    }
    at_most(&object["body"]["text"], if kind == "list" { 4096 } else { 1024 }, "interactive['body']['text']")?;
    if !object["header"].is_null() {
        let kinds = if kind == "list" { &["text"][..] } else { &["text", "image", "video", "document"][..] };
        if !object["header"]["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            return Err(GraphError::parameter(format!("Param interactive['header']['type'] must be one of {kinds:?}")));
        }
    }
    at_most(&object["header"]["text"], 60, "interactive['header']['text']")?;
    at_most(&object["footer"]["text"], 60, "interactive['footer']['text']")?;
    match kind {
        "request_contact_info" => named(object, "request_contact_info"),
        "location_request_message" => named(object, "send_location"),
        "button" => buttons(&object["action"]["buttons"]),
        "list" => list(&object["action"]),
        "cta_url"
        | "flow"
        | "product"
        | "product_list"
        | "catalog_message"
        | "carousel"
        | "voice_call"
        | "call_permission_request"
        | "address_message" => Ok(()),
        _ => Err(GraphError::parameter("Param interactive['type'] is not one of the known types.")),
    }
}

fn named(object: &Value, name: &str) -> Result<(), GraphError> {
    if object["action"]["name"] == name {
        return Ok(());
    }
    Err(GraphError::parameter(format!("Param interactive['action']['name'] must be one of {{{name}}}")))
}

fn buttons(buttons: &Value) -> Result<(), GraphError> {
    let replies: Vec<_> = items(buttons).map(|button| &button["reply"]).collect();
    count(replies.len(), 3, "interactive['action']['buttons']")?;
    if items(buttons).any(|button| button["type"] != "reply") {
        return Err(GraphError::parameter("Param interactive['action']['buttons'][]['type'] must be one of {reply}"));
    }
    distinct(&replies, "id", "interactive['action']['buttons']")?;
    distinct(&replies, "title", "interactive['action']['buttons']")?;
    replies.iter().try_for_each(|reply| labeled(reply, 20, 256))
}

fn list(action: &Value) -> Result<(), GraphError> {
    some_text(&action["button"], "interactive['action']['button']")?;
    at_most(&action["button"], 20, "interactive['action']['button']")?;
    let rows: Vec<_> = items(&action["sections"]).flat_map(|section| items(&section["rows"])).collect();
    count(rows.len(), 10, "interactive['action']['sections']['rows']")?;
    distinct(&rows, "id", "interactive['action']['sections']['rows']")?;
    let sections: Vec<_> = items(&action["sections"]).collect();
    sections.iter().try_for_each(|section| {
        at_most(&section["title"], 24, "interactive['action']['sections']['title']")?;
        if sections.len() > 1 {
            some_text(&section["title"], "interactive['action']['sections']['title']")
        } else {
            Ok(())
        }
    })?;
    rows.iter().try_for_each(|row| {
        labeled(row, 24, 200)?;
        at_most(&row["description"], 72, "description")
    })
}

fn labeled(item: &Value, title: usize, id: usize) -> Result<(), GraphError> {
    some_text(&item["title"], "title")?;
    some_text(&item["id"], "id")?;
    at_most(&item["title"], title, "title")?;
    at_most(&item["id"], id, "id")?;
    let loose = |text: &Value| text.as_str().is_some_and(|text| text.trim() != text);
    if loose(&item["id"]) {
        return Err(GraphError::value("Param id must not begin or end with a space."));
    }
    if ["title", "description"].iter().any(|member| item[*member].as_str().is_some_and(|text| text.contains('\n'))) {
        return Err(GraphError::value("Params title and description must be one line."));
    }
    Ok(())
}

fn count(count: usize, limit: usize, name: &str) -> Result<(), GraphError> {
    if (1..=limit).contains(&count) {
        return Ok(());
    }
    Err(GraphError::value(format!("Param {name} must have 1 to {limit} elements.")))
}

fn distinct(items: &[&Value], member: &str, name: &str) -> Result<(), GraphError> {
    let values: HashSet<_> = items.iter().filter_map(|item| item[member].as_str()).collect();
    if values.len() == items.len() {
        return Ok(());
    }
    Err(GraphError::value(format!("Param {name} must have a {member} of its own in each.")))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn buttons(titles: &[&str]) -> Value {
        let button = |title: &&str| json!({"type": "reply", "reply": {"id": title, "title": title}});
        let buttons: Vec<_> = titles.iter().map(button).collect();
        json!({"type": "button", "body": {"text": "¿Va?"}, "action": {"buttons": buttons}})
    }

    fn list(rows: usize, title: usize, description: usize) -> Value {
        let row = |at: usize| json!({"id": at.to_string(), "title": format!("{at:0title$}"), "description": "x".repeat(description)});
        let rows: Vec<_> = (0..rows).map(row).collect();
        json!({"type": "list", "body": {"text": "¿Cuál?"}, "action": {"button": "Ver", "sections": [{"rows": rows}]}})
    }

    #[test]
    fn what_meta_refuses_is_refused() {
        assert!(check(&buttons(&["Sí", "No", "Tal vez"])).is_ok());
        assert!(check(&list(10, 24, 72)).is_ok());
        let mut headed = list(1, 1, 1);
        headed["header"] = json!({"type": "image", "image": {"id": "1"}});
        for bad in [
            buttons(&[]),
            buttons(&["a", "b", "c", "d"]),
            buttons(&["Sí", "Sí"]),
            buttons(&["una respuesta demasiado larga"]),
            buttons(&[" Sí"]),
            list(0, 1, 1),
            list(11, 2, 1),
            list(1, 25, 1),
            list(1, 1, 73),
            headed,
            json!({"type": "button", "body": {"text": ""}, "action": {"buttons": []}}),
            json!({"type": "list", "body": {"text": "x"}}),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
