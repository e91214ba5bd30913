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
    at_most(&object["header"]["text"], 60, "interactive['header']['text']")?;
    at_most(&object["footer"]["text"], 60, "interactive['footer']['text']")?;
    match kind {
        "button" => buttons(&object["action"]["buttons"]),
        "list" => list(&object["action"]),
        _ => Ok(()),
    }
}

fn buttons(buttons: &Value) -> Result<(), GraphError> {
    let replies: Vec<_> = items(buttons).map(|button| &button["reply"]).collect();
    count(replies.len(), 3, "interactive['action']['buttons']")?;
    distinct(&replies, "interactive['action']['buttons']")?;
    replies.iter().try_for_each(|reply| labeled(reply, 20, 256))
}

fn list(action: &Value) -> Result<(), GraphError> {
    some_text(&action["button"], "interactive['action']['button']")?;
    at_most(&action["button"], 20, "interactive['action']['button']")?;
    let rows: Vec<_> = items(&action["sections"]).flat_map(|section| items(&section["rows"])).collect();
    count(rows.len(), 10, "interactive['action']['sections']['rows']")?;
    distinct(&rows, "interactive['action']['sections']['rows']")?;
    rows.iter().try_for_each(|row| {
        labeled(row, 24, 200)?;
        at_most(&row["description"], 72, "description")
    })
}

fn labeled(item: &Value, title: usize, id: usize) -> Result<(), GraphError> {
    some_text(&item["title"], "title")?;
    some_text(&item["id"], "id")?;
    at_most(&item["title"], title, "title")?;
    at_most(&item["id"], id, "id")
}

fn count(count: usize, limit: usize, name: &str) -> Result<(), GraphError> {
    if (1..=limit).contains(&count) {
        return Ok(());
    }
    Err(GraphError::value(format!("Param {name} must have 1 to {limit} elements.")))
}

fn distinct(items: &[&Value], name: &str) -> Result<(), GraphError> {
    let ids: HashSet<_> = items.iter().filter_map(|item| item["id"].as_str()).collect();
    if ids.len() == items.len() {
        return Ok(());
    }
    Err(GraphError::value(format!("Param {name} must have ids that differ.")))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
