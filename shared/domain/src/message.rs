//! A message, whichever network it came from.

use serde::{Deserialize, Serialize};

use crate::{Identity, MediaId, PhoneNumberId, Subject, Timestamp, Wamid};

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The customer.
    Customer,
    /// The business, on its phone: an echo. Never sent again, never opens the window.
    Business,
}

/// A message between a customer and the business that has to appear in Chatwoot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The business number it came to or went out from.
    pub channel: PhoneNumberId,
    /// What is claimed for it: the keyed hash of the item.
    pub item: Subject,
    /// Meta's id; absent on items that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Wamid>,
    /// Who wrote it.
    pub author: Author,
    /// The customer, as far as this message tells.
    pub customer: Identity,
    /// The customer's profile name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The customer's username, without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// When it was written, by the writer's clock; when it reached us where Meta does not say.
    pub sent_at: Timestamp,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Wamid>,
    /// Whether it was forwarded from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Words.
    Text {
        /// At most 4,096 characters on WhatsApp.
        body: String,
    },
    /// A file, with or without words.
    Media {
        /// Where it is and what it should be.
        media: Media,
        /// Words under it.
        caption: Option<String>,
    },
    /// A place.
    Location(Location),
    /// Address cards.
    Contacts {
        /// One or more.
        cards: Vec<Card>,
    },
    /// A tap on a button or a row of a list.
    Choice {
        /// What it says on it.
        title: String,
        /// The id the business gave it.
        id: Option<String>,
    },
    /// A filled form.
    Form {
        /// Name and value of each field, in order.
        fields: Vec<(String, String)>,
    },
    /// An emoji on a message, or its removal.
    Reaction {
        /// The message it sits on.
        to: Wamid,
        /// Absent when it was taken back.
        emoji: Option<String>,
    },
    /// A cart.
    Order {
        /// Words with it.
        text: Option<String>,
        /// Its lines.
        lines: Vec<OrderLine>,
    },
    /// New words for an older message.
    Edit {
        /// The older one.
        original: Wamid,
        /// What it says now.
        content: Box<Content>,
    },
    /// An older message was deleted for everyone.
    Revoke {
        /// The older one.
        original: Wamid,
    },
    /// The customer's number or user id changed.
    Moved {
        /// Which of the two, in Meta's word.
        what: String,
        /// Who the customer was until then.
        #[serde(default, skip_serializing_if = "Identity::is_empty")]
        before: Box<Identity>,
        /// Who the customer is from now on; what it does not name is unchanged.
        #[serde(default, skip_serializing_if = "Identity::is_empty")]
        now: Box<Identity>,
    },
    /// A call.
    Call {
        /// `connect`, `terminate` or a state of the call, in Meta's word.
        event: String,
    },
    /// The customer's wish about marketing messages.
    Preference {
        /// `stop`, `resume` or `signup`, in Meta's word.
        value: String,
    },
    /// Something Meta could not or would not deliver, or that we do not know.
    Unsupported {
        /// Meta's word for it.
        what: String,
        /// Meta's error code, where there is one.
        code: Option<i64>,
    },
}

/// What a file is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A sound file.
    Audio,
    /// A sound recorded in the chat.
    Voice,
    /// Any file.
    Document,
    /// A sticker.
    Sticker,
}

/// A file at Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where it is; Meta keeps it 7 days.
    pub id: MediaId,
    /// What it is shown as.
    pub kind: MediaKind,
    /// Its type, perhaps with parameters.
    pub mime_type: Option<String>,
    /// SHA-256 of its bytes.
    pub sha256: Option<Digest>,
    /// Its name, as the sender's phone had it; hostile until cleaned.
    pub filename: Option<String>,
}

/// A SHA-256, in hex.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

/// A place on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// The place's name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// A page about it.
    pub url: Option<String>,
}

/// An address card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Whose it is.
    pub name: Option<String>,
    /// Phones as written on it.
    pub phones: Vec<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// The company.
    pub company: Option<String>,
}

/// A line of a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The shop's id of the product.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// Price of one.
    pub price: f64,
    /// ISO currency.
    pub currency: String,
}
