//! What a customer's phone shows.

use bytes::Bytes;
use domain::Timestamp;
use serde_json::Value;

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
    /// When it was written.
    pub at: Timestamp,
}

/// The message's content in words, as far as it has any.
pub(crate) fn text_of(kind: &str, message: &Value) -> String {
    let object = &message[kind];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match kind {
        "text" => text(&object["body"]),
        "reaction" => text(&object["emoji"]),
        "location" => location(object),
        "contacts" => joined(object.as_array().into_iter().flatten().map(card), "\n"),
        "interactive" => interactive(object),
        "button" => text(&object["text"]),
        "template" => template(object),
        _ => text(&object["caption"]),
    }
}

fn location(object: &Value) -> String {
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
    let body = &object["body"]["text"];
    let buttons = object["action"]["buttons"].as_array().into_iter().flatten();
    let titles = buttons.filter_map(|button| button["reply"]["title"].as_str()).map(|title| format!("[{title}]"));
    let words = replies.into_iter().chain([body]).filter_map(Value::as_str).map(str::to_owned);
    joined(words.chain(titles), "\n")
}

fn template(object: &Value) -> String {
    let name = object["name"].as_str().unwrap_or_default().to_owned();
    let components = object["components"].as_array().into_iter().flatten();
    let parameters = components.filter_map(|component| component["parameters"].as_array()).flatten();
    let words = parameters.filter_map(|parameter| parameter["text"].as_str()).map(str::to_owned);
    joined(std::iter::once(name).chain(words), " · ")
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
}
