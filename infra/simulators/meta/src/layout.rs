//! How a phone draws a message that is more than words: its parts, one by one.

use serde::Serialize;
use serde_json::{Value, json};

use crate::bubble::location;

/// The parts of a message. What it does not have is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The line above the body. A file there is the message's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The small line below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What opens the list, if the buttons are its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// The buttons, or the rows of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// A place, with `latitude`, `longitude` and what it is called.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub location: Value,
    /// Cards, with `name`, `phones` and `organization`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Value>,
}

/// A button, or a row of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Button {
    /// `reply` and `row` can be tapped; else what it does: `url`, `phone_number`, `copy_code` and others of Meta's.
    pub kind: String,
    /// What stands on it.
    pub title: String,
    /// Where it leads, or what it copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What stands under a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The section that a row begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
}

impl Layout {
    /// Of a message that is no template.
    pub(crate) fn of(kind: &str, message: &Value) -> Self {
        let object = &message[kind];
        match kind {
            "interactive" if object["action"].is_object() => interactive(object),
            "location" => Self { location: location(object), ..Self::default() },
            "contacts" => {
                Self { contacts: object.as_array().into_iter().flatten().map(card).collect(), ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn interactive(object: &Value) -> Layout {
    let action = &object["action"];
    let titled = |kind: &str, title: &Value, value: Option<String>| Button {
        kind: kind.to_owned(),
        title: text(title).unwrap_or_default(),
        value,
        ..Button::default()
    };
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut buttons: Vec<Button> =
        each(&action["buttons"]).iter().map(|button| titled("reply", &button["reply"]["title"], None)).collect();
    for section in each(&action["sections"]) {
        for (at, row) in each(&section["rows"]).iter().enumerate() {
            let section = text(&section["title"]).filter(|_| at == 0);
            buttons.push(Button {
                description: text(&row["description"]),
                section,
                ..titled("row", &row["title"], None)
            });
        }
    }
    let parameters = &action["parameters"];
    match object["type"].as_str().unwrap_or_default() {
        "cta_url" => buttons.push(titled("url", &parameters["display_text"], text(&parameters["url"]))),
        "flow" => buttons.push(titled("flow", &parameters["flow_cta"], None)),
        _ => {}
    }
    Layout {
        header: text(&object["header"]["text"]),
        body: text(&object["body"]["text"]),
        footer: text(&object["footer"]["text"]),
        list: text(&action["button"]),
        buttons,
        ..Layout::default()
    }
}

fn card(card: &Value) -> Value {
    let phones = card["phones"].as_array().into_iter().flatten().filter_map(|phone| phone["phone"].as_str());
    json!({
        "name": card["name"]["formatted_name"], "phones": phones.collect::<Vec<_>>(),
        "organization": card["org"]["company"],
    })
}
