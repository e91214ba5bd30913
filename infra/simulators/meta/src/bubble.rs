//! What a customer's phone shows.

use bytes::Bytes;
use domain::Timestamp;
use serde_json::{Value, json};

use crate::Layout;

/// One message as the customer's phone shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubble {
    /// Whether the business wrote it.
    pub from_business: bool,
    /// Meta's type of the message; a voice note is `voice`.
    pub kind: String,
    /// The text, the caption, the emoji, or the content in words; empty if there is none.
    pub text: String,
    /// The file's name, if the sender gave one.
    pub filename: Option<String>,
    /// The file's type.
    pub mime: Option<String>,
    /// The file itself; shared, not copied.
    pub bytes: Option<Bytes>,
    /// The id under which the double holds the file.
    pub media_id: Option<String>,
    /// How far it got: `accepted`, `sent`, `delivered`, `read`, `played`; the customer's own are `sent` until the business read them.
    pub status: String,
    /// Meta's id.
    pub wamid: String,
    /// The message this one quotes or reacts to.
    pub quoted: Option<String>,
    /// What can be tapped under it: ids, titles, descriptions.
    pub options: Vec<Tappable>,
    /// How the phone draws it, if it is more than words.
    pub layout: Layout,
    /// When it was written.
    pub at: Timestamp,
}

/// A reply button, or a row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tappable {
    /// Whether it stands in a list.
    pub in_list: bool,
    /// Comes back with the answer.
    pub id: String,
    /// What stands on it.
    pub title: String,
    /// What stands under a row.
    pub description: Option<String>,
}

/// The action, and the id of the button, that shares the customer's own number.
pub(crate) const SHARE_NUMBER: &str = "request_contact_info";

/// What can be tapped under a message of this type.
pub(crate) fn options_of(kind: &str, message: &Value) -> Vec<Tappable> {
    let action = &message[kind]["action"];
    let option = |item: &Value, in_list| {
        let text = |member: &str| item[member].as_str().map(str::to_owned);
        Some(Tappable { in_list, id: text("id")?, title: text("title")?, description: text("description") })
    };
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if action["name"] == SHARE_NUMBER {
        let (id, title) = (SHARE_NUMBER.to_owned(), "Compartir número".to_owned());
        return vec![Tappable { in_list: false, id, title, description: None }];
    }
    let buttons = each(&action["buttons"]).into_iter().filter_map(|button| option(&button["reply"], false));
    let rows = each(&action["sections"]).into_iter().flat_map(|section| each(&section["rows"]));
    buttons.chain(rows.filter_map(|row| option(&row, true))).collect()
}

/// The message's content in words, as far as it has any.
pub(crate) fn text_of(kind: &str, message: &Value) -> String {
    let object = &message[kind];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match kind {
        "text" => text(&object["body"]),
        "reaction" => text(&object["emoji"]),
        "location" => place(object),
        "contacts" => joined(object.as_array().into_iter().flatten().map(card), "\n"),
        "interactive" => interactive(object),
        "button" => text(&object["text"]),
        _ => text(&object["caption"]),
    }
}

/// The file above an interactive message: its kind and its object.
pub(crate) fn header_file(kind: &str, message: &Value) -> Option<(&'static str, Value)> {
    let header = &message[kind]["header"];
    let file =
        ["image", "video", "document"].into_iter().find(|file| header["type"] == **file && kind == "interactive")?;
    Some((file, header[file].clone()))
}

/// A place, for the phone to draw.
pub(crate) fn location(object: &Value) -> Value {
    json!({
        "latitude": number(&object["latitude"]), "longitude": number(&object["longitude"]), "name": object["name"],
        "address": object["address"],
    })
}

fn place(object: &Value) -> String {
    let words = ["name", "address"].iter().filter_map(|key| object[key].as_str().map(str::to_owned));
    let place = format!("{},{}", number(&object["latitude"]), number(&object["longitude"]));
    joined(std::iter::once(place).chain(words), " · ")
}

fn number(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn card(card: &Value) -> String {
    let name = card["name"]["formatted_name"].as_str().unwrap_or_default().to_owned();
    let phones = card["phones"].as_array().into_iter().flatten().filter_map(|phone| phone["phone"].as_str());
    joined(std::iter::once(name).chain(phones.map(str::to_owned)), " ")
}

fn interactive(object: &Value) -> String {
    let replies = [&object["button_reply"]["title"], &object["list_reply"]["title"]];
    let parts = [&object["header"]["text"], &object["body"]["text"], &object["footer"]["text"]];
    let words = replies.into_iter().chain(parts).filter_map(Value::as_str).map(str::to_owned);
    let opens = object["action"]["button"].as_str().map(|label| format!("[{label}]"));
    let options = options_of("interactive", &json!({"interactive": object})).into_iter();
    let options = options.map(|option| match (option.in_list, option.description) {
        (false, _) => format!("[{}]", option.title),
        (true, None) => format!("- {}", option.title),
        (true, Some(description)) => format!("- {}: {description}", option.title),
    });
    joined(words.chain(opens).chain(options), "\n")
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
}
