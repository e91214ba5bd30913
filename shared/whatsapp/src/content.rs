//! Reads what a message says. There is one function per kind, and none can fail. Content that cannot be read becomes
//! `Unsupported`, which an agent sees as a line that points to the phone.

use base64::Engine as _;
use domain::{
    Content, MediaId, Wamid,
    message::{Digest, Location, Media, MediaKind, OrderLine, Product, Referral},
};

use crate::{
    cards,
    fields::{self, Fields},
    form, moved,
};

/// Reads what `message` says (§2.2).
pub(crate) fn read(message: &Fields<'_>) -> Content {
    read_at(message, 0)
}

/// An edit of an edit of an edit does not count as one.
const DEEPEST: u8 = 2;

fn read_at(message: &Fields<'_>, depth: u8) -> Content {
    let kind = message.text("type").unwrap_or_else(|| guess(message).to_owned());
    if message.objects("errors").iter().any(|error| error.number("code").is_some_and(is_withheld)) {
        return unsupported(&kind, message);
    }
    // A type that does not fit the members beside it says less than the members.
    let known = |kind: &str| known(kind, message, depth);
    known(&kind).or_else(|| known(guess(message))).unwrap_or_else(|| unsupported(&kind, message))
}

/// Meta's codes for what it did not deliver (§2.2), whatever else is in the message.
fn is_withheld(code: i64) -> bool {
    matches!(code, 131_051 | 131_052 | 131_060)
}

/// A message without `type` is of the type it carries.
fn guess(message: &Fields<'_>) -> &'static str {
    ["text", "image", "video", "audio", "document", "sticker", "location", "contacts", "interactive", "button"]
        .into_iter()
        .find(|kind| message.has(kind))
        .unwrap_or("unknown")
}

fn known(kind: &str, message: &Fields<'_>, depth: u8) -> Option<Content> {
    match kind {
        "text" => Some(Content::Text { body: words_in(message, "text", "body")? }),
        "image" => media(MediaKind::Image, &message.object("image")?),
        "video" => media(MediaKind::Video, &message.object("video")?),
        "document" => media(MediaKind::Document, &message.object("document")?),
        "sticker" => media(MediaKind::Sticker, &message.object("sticker")?),
        "audio" | "voice" => {
            let audio = message.object(kind)?;
            let kind = if audio.flag("voice") || kind == "voice" { MediaKind::Voice } else { MediaKind::Audio };
            media(kind, &audio)
        }
        "location" => location(&message.object("location")?),
        "contacts" => {
            let cards = cards::read(message);
            (!cards.is_empty()).then_some(Content::Contacts { cards })
        }
        "interactive" => interactive(&message.object("interactive")?),
        "button" => {
            let id = message.object("button").and_then(|button| button.text("payload"));
            let title = words_in(message, "button", "text").or_else(|| id.clone())?;
            Some(Content::Choice { title, id, description: None })
        }
        "reaction" => {
            let reaction = message.object("reaction")?;
            Some(Content::Reaction { to: Wamid::new(reaction.text("message_id")?), emoji: reaction.text("emoji") })
        }
        "order" => Some(order(&message.object("order")?)),
        "system" => Some(moved::system(message)),
        "edit" => {
            let edit = message.object("edit").filter(|_| depth < DEEPEST)?;
            let original = Wamid::new(edit.text("original_message_id")?);
            Some(Content::Edit { original, content: Box::new(read_at(&edit.object("message")?, depth + 1)) })
        }
        "revoke" => {
            Some(Content::Revoke { original: Wamid::new(message.object("revoke")?.text("original_message_id")?) })
        }
        _ => None,
    }
}

fn unsupported(kind: &str, message: &Fields<'_>) -> Content {
    let named = message.object("unsupported").and_then(|unsupported| unsupported.text("type"));
    let code = message.objects("errors").iter().find_map(|error| error.number("code"));
    Content::Unsupported { what: named.unwrap_or_else(|| kind.to_owned()), code, words: words(message) }
}

/// Any text the customer typed into a message of a shape we cannot read.
fn words<'a>(message: &Fields<'a>) -> Option<String> {
    let edited = |message: &Fields<'a>| message.object("edit").and_then(|edit| edit.object("message"));
    if let Some(new) = edited(message) {
        // As deep as an edit can be, and no deeper.
        let innermost = edited(&new).unwrap_or(new);
        return if innermost.has("edit") { None } else { words(&innermost) };
    }
    let places = [
        ("text", "body"),
        ("image", "caption"),
        ("video", "caption"),
        ("document", "caption"),
        ("location", "name"),
        ("location", "address"),
        ("button", "text"),
        ("order", "text"),
    ];
    let found = places.into_iter().filter_map(|(object, member)| words_in(message, object, member));
    let found: Vec<_> = found.filter(|text| !text.trim().is_empty()).collect();
    (!found.is_empty()).then(|| found.join("\n"))
}

/// Text inside an object, or in place of it.
fn words_in(message: &Fields<'_>, object: &str, member: &str) -> Option<String> {
    message.object(object).map_or_else(|| message.text(object), |object| object.text(member))
}

fn media(kind: MediaKind, object: &Fields<'_>) -> Option<Content> {
    let media = Media {
        id: MediaId::new(object.text("id")?),
        kind,
        mime_type: object.text("mime_type"),
        sha256: object.text("sha256").as_deref().and_then(digest),
        filename: object.text("filename"),
    };
    Some(Content::Media { media, caption: object.text("caption") })
}

/// Base64 in webhooks, hex elsewhere (§5); only the bytes matter.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(Digest(text.to_ascii_lowercase()));
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    (bytes.len() == 32).then(|| Digest(hex::encode(bytes)))
}

fn location(object: &Fields<'_>) -> Option<Content> {
    Some(Content::Location(Location {
        latitude: object.float("latitude")?,
        longitude: object.float("longitude")?,
        name: object.text("name"),
        address: object.text("address"),
        url: object.text("url"),
    }))
}

/// The advert a message came from.
pub(crate) fn referral(message: &Fields<'_>) -> Option<Referral> {
    let referral = message.object("referral")?;
    let read = Referral {
        url: referral.text("source_url"),
        id: referral.text("source_id"),
        kind: referral.text("source_type"),
        headline: referral.text("headline"),
        body: referral.text("body"),
        picture: referral.text("image_url").or_else(|| referral.text("thumbnail_url")),
        video: referral.text("video_url"),
        click: referral.text("ctwa_clid"),
        welcome: referral.text("welcome_message").or_else(|| referral.object("welcome_message")?.text("text")),
    };
    (read != Referral::default()).then_some(read)
}

/// The product a message asks about.
pub(crate) fn product(context: &Fields<'_>) -> Option<Product> {
    let product = context.object("referred_product")?;
    Some(Product { catalog: product.text("catalog_id"), id: product.text("product_retailer_id")? })
}

/// Answers to buttons and lists.
const REPLIES: [&str; 4] = ["button_reply", "list_reply", "nfm_reply", "call_permission_reply"];

fn interactive(object: &Fields<'_>) -> Option<Content> {
    // The type says less than the members that are there.
    let named = object.text("type").filter(|kind| object.has(kind));
    let kind = named.as_deref().or_else(|| REPLIES.into_iter().find(|kind| object.has(kind)))?;
    match kind {
        "button_reply" | "list_reply" => {
            let reply = object.object(kind)?;
            let id = reply.text("id");
            let description = reply.text("description");
            let Some(title) = reply.text("title").or_else(|| id.clone()) else {
                return Some(Content::Choice { title: description?, id, description: None });
            };
            Some(Content::Choice { title, id, description })
        }
        "nfm_reply" => Some(form::read(&object.object("nfm_reply")?)),
        "call_permission_reply" => {
            let answer = object.object(kind)?.text("response").unwrap_or_default();
            Some(Content::Call { event: format!("permission {answer}"), seconds: None })
        }
        _ => None,
    }
}

fn order(object: &Fields<'_>) -> Content {
    let line = |item: &Fields<'_>| OrderLine {
        product: item.text("product_retailer_id").unwrap_or_default(),
        quantity: item.number("quantity").unwrap_or(1),
        price: item.float("item_price"),
        currency: item.text("currency").unwrap_or_default(),
    };
    Content::Order {
        text: object.text("text"),
        lines: object.objects("product_items").iter().map(line).collect(),
        catalog: object.text("catalog_id"),
    }
}

/// A call, in Meta's words: the event, and on `terminate` how the call had gone.
pub(crate) fn call(call: &Fields<'_>) -> Content {
    let event = call.text("event").unwrap_or_else(|| "call".to_owned());
    let event = call.raw("status").and_then(fields::text).map_or(event.clone(), |status| format!("{event} {status}"));
    Content::Call { event, seconds: call.number("duration") }
}
