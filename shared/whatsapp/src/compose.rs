//! Turns message parts into bodies of `POST /{phone_number_id}/messages` (§4.1, §4.2).

use domain::{
    Address, MediaId, Reference, Wamid,
    message::{Card, Location, MediaKind},
};
use serde_json::{Value, json};
use url::Url;

use crate::{cards, interactive::Menu};

/// What one call sends.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphPayload {
    /// A template, as [`crate::templates::compose`] writes it.
    Template(Value),
    /// Text; at most [`crate::split::TEXT_LIMIT`].
    Text(String),
    /// An uploaded file.
    File {
        /// What it is shown as.
        kind: MediaKind,
        /// Where it was uploaded to.
        id: MediaId,
        /// Text under it, where the kind takes any.
        caption: Option<String>,
        /// Its name, shown for documents.
        filename: Option<String>,
    },
    /// A document that Meta fetches from an address itself.
    Link {
        /// Its address, valid for a few minutes.
        url: Url,
        /// Text under it.
        caption: Option<String>,
        /// Its name.
        filename: String,
    },
    /// A question with buttons or a list.
    Menu(Menu),
    /// A location on the map.
    Location(Location),
    /// An emoji on a message; the same one twice is one.
    Reaction {
        /// The emoji.
        emoji: String,
        /// The message.
        to: Wamid,
    },
    /// A question with the button that shares the customer's own number (§3.4).
    NumberRequest(String),
    /// Cards of people; at most [`MAX_CARDS`].
    Contacts(Vec<Card>),
}

/// Meta's pages disagree on how many cards a message may have (§4.2); this is the smallest number.
pub const MAX_CARDS: usize = 5;

/// The body of the call.
pub fn message(to: &Address, piece: &GraphPayload, quote: Option<&Wamid>, reference: &Reference) -> Value {
    let (kind, object) = match piece {
        GraphPayload::Template(template) => ("template", template.clone()),
        GraphPayload::Text(body) => ("text", json!({ "body": body, "preview_url": markup::has_link(body) })),
        GraphPayload::File { kind, id, caption, filename } => {
            let mut object = json!({ "id": id });
            if let Some(caption) = caption.as_ref().filter(|_| crate::media::takes_caption(*kind)) {
                object["caption"] = json!(caption);
            }
            if *kind == MediaKind::Voice {
                object["voice"] = json!(true);
            }
            if let Some(filename) = filename.as_ref().filter(|_| *kind == MediaKind::Document) {
                object["filename"] = json!(filename);
            }
            (word(*kind), object)
        }
        GraphPayload::Link { url, caption, filename } => {
            let mut object = json!({ "link": url.as_str(), "filename": filename });
            if let Some(caption) = caption {
                object["caption"] = json!(caption);
            }
            (word(MediaKind::Document), object)
        }
        GraphPayload::Menu(menu) => ("interactive", menu.compose()),
        GraphPayload::Location(place) => ("location", location(place)),
        GraphPayload::Contacts(cards) => ("contacts", cards.iter().map(cards::compose).collect()),
        GraphPayload::Reaction { emoji, to } => ("reaction", json!({ "message_id": to, "emoji": emoji })),
        GraphPayload::NumberRequest(text) => {
            let action = json!({ "name": "request_contact_info" });
            let question = json!({ "type": "request_contact_info", "body": { "text": text }, "action": action });
            ("interactive", question)
        }
    };
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "type": kind,
        kind: object,
        "biz_opaque_callback_data": reference.compose(),
    });
    match to {
        Address::Phone(phone) => body["to"] = json!(phone),
        // For some accounts Meta silently drops a user id in `to`; Meta's page asks for `recipient` (§3.4).
        Address::User(user) => body["recipient"] = json!(user),
        Address::Group(group) => {
            body["recipient_type"] = json!("group");
            body["to"] = json!(group);
        }
    }
    // A reaction names its message itself.
    if let Some(quote) = quote.filter(|_| kind != "reaction") {
        body["context"] = json!({ "message_id": quote });
    }
    body
}

fn location(place: &Location) -> Value {
    let mut object = json!({ "latitude": place.latitude, "longitude": place.longitude });
    for (member, text) in [("name", &place.name), ("address", &place.address)] {
        if let Some(text) = text {
            object[member] = json!(text);
        }
    }
    object
}

/// Meta's word for a kind of file.
pub fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio | MediaKind::Voice => "audio",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, ConversationId, MessageId, UserId, WaId};

    use super::*;

    const REFERENCE: Reference = Reference {
        account: AccountId(3),
        conversation: ConversationId(482),
        message: MessageId(7),
        part: 0,
        attempt: 1,
    };

    #[test]
    fn a_quoted_text_to_a_phone() {
        let to = Address::Phone(WaId::new("5215555550123"));
        let body = message(&to, &GraphPayload::Text("Hola".into()), Some(&Wamid::new("wamid.X")), &REFERENCE);
        assert_eq!(
            body,
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "5215555550123", "type": "text",
                "text": { "body": "Hola", "preview_url": false }, "context": { "message_id": "wamid.X" },
                "biz_opaque_callback_data": "lm1:3:482:7:0:1",
            })
        );
    }

    #[test]
    fn a_person_without_a_phone_is_a_recipient() {
        let body = message(&Address::User(UserId::new("MX.1")), &GraphPayload::Text("Hola".into()), None, &REFERENCE);
        assert_eq!((&body["recipient"], body.get("to")), (&json!("MX.1"), None));
    }

    #[test]
    fn a_sound_has_no_caption_and_only_a_document_a_name() {
        let file = |kind| GraphPayload::File {
            kind,
            id: MediaId::new("1"),
            caption: Some("c".into()),
            filename: Some("n".into()),
        };
        let to = Address::Phone(WaId::new("5215555550123"));
        assert_eq!(message(&to, &file(MediaKind::Audio), None, &REFERENCE)["audio"], json!({ "id": "1" }));
        let document = json!({ "id": "1", "caption": "c", "filename": "n" });
        assert_eq!(message(&to, &file(MediaKind::Document), None, &REFERENCE)["document"], document);
    }
}
