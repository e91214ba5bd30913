//! A message holds what customer or business wrote, whichever network it came from.

use serde::{Deserialize, Serialize};

use crate::{Identity, KeyedHash, MediaId, PhoneNumberId, Timestamp, WaId, Wamid, keyed_hash::WorkItem};

/// Who wrote a message.
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
    pub item: KeyedHash<WorkItem>,
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
    /// Whether it went through many chats before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded_often: bool,
    /// The advert that brought the customer here; only the first message after the tap carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// The product of the catalog it asks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// In a group: the phone of who spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<WaId>,
    /// The message this is a file of, where one brings several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<Wamid>,
    /// Whether Meta's own agent has the chat: the bridge only shows it and does nothing in it (standby).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
    /// What it says.
    pub content: Content,
}

impl Message {
    /// Whether it is no message but news of the person. That alone makes no one a customer, and opens no conversation.
    pub fn is_about_customer(&self) -> bool {
        matches!(self.content, Content::NumberChanged { .. } | Content::Preference { .. } | Content::Handover { .. })
    }

    /// In a group: who spoke there, as a person of their own.
    pub fn speaker(&self) -> Option<Identity> {
        self.customer.group.as_ref()?;
        let phone = self.speaker.clone();
        Some(Identity { phone, group: None, ..self.customer.clone() }).filter(|speaker| !speaker.is_empty())
    }
}

/// A click-to-WhatsApp advert or post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Referral {
    /// Where it is.
    pub url: Option<String>,
    /// Its id at Meta.
    pub id: Option<String>,
    /// `ad` or `post`, in Meta's word.
    pub kind: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Its picture, or the first frame of its video.
    pub picture: Option<String>,
    /// Its video.
    pub video: Option<String>,
    /// The click id, by which Meta attributes what came of it.
    pub click: Option<String>,
    /// What it greeted the customer with.
    pub welcome: Option<String>,
}

/// A product of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The catalog.
    #[serde(default)]
    pub catalog: Option<String>,
    /// The shop's id of it.
    pub id: String,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// At most 4,096 characters on WhatsApp.
        body: String,
    },
    /// A file, with or without a caption.
    Media {
        /// Where it is and what it should be.
        media: Media,
        /// The caption.
        caption: Option<String>,
    },
    /// A location.
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
        /// The description under a row.
        #[serde(default)]
        description: Option<String>,
    },
    /// A filled form.
    Form {
        /// What it is called, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// What WhatsApp shows of it in the chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// Name and answer of each field, in order.
        fields: Vec<(String, Answer)>,
        /// The token the business gave the form.
        #[serde(default)]
        id: Option<String>,
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
        /// The text with it.
        text: Option<String>,
        /// Its lines.
        lines: Vec<OrderLine>,
        /// The catalog it was filled from.
        #[serde(default)]
        catalog: Option<String>,
    },
    /// A new text for an older message.
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
    NumberChanged {
        /// Which of the two, in Meta's word.
        what: String,
        /// Who the customer was until then.
        #[serde(default, skip_serializing_if = "Identity::is_empty")]
        before: Box<Identity>,
        /// Who the customer is from now on; what it does not name is unchanged.
        #[serde(default, skip_serializing_if = "Identity::is_empty")]
        now: Box<Identity>,
    },
    /// Meta's own agent and the business handed the chat over.
    Handover {
        /// Whether the business has it now; absent where Meta does not say.
        to_business: Option<bool>,
    },
    /// A call.
    Call {
        /// `connect`, `terminate` or a state of the call, in Meta's word.
        event: String,
        /// How long it was.
        #[serde(default)]
        seconds: Option<i64>,
    },
    /// The customer's wish about marketing messages.
    Preference {
        /// `stop`, `resume` or `signup`, in Meta's word.
        value: String,
        /// What it is about, in Meta's word; marketing where it does not say.
        #[serde(default)]
        category: Option<String>,
    },
    /// Something Meta could not or would not deliver, or that we do not know.
    Unsupported {
        /// Meta's word for it.
        what: String,
        /// Meta's error code, where there is one.
        code: Option<i64>,
        /// What the customer typed, where that is readable all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    },
}

/// A customer's answer in a field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Text or a number.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Several of them.
    List(Vec<Answer>),
    /// Answers within an answer.
    Group(Vec<(String, Answer)>),
    /// A photo or a document.
    File {
        /// Its name.
        name: Option<String>,
        /// Whether it comes as a message of its own; Meta gives the files of some forms only to the form's server.
        comes: bool,
    },
}

/// What a file is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
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

/// A location on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// The location's name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// A page about it.
    pub url: Option<String>,
}

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It rings, or is in progress.
    Underway,
    /// It was answered and is over.
    Answered {
        /// How long it was.
        seconds: Option<i64>,
    },
    /// It was not answered.
    Missed,
    /// It was turned down.
    Rejected,
    /// The customer allows calls, or no longer does.
    Permission {
        /// Which of the two.
        given: bool,
    },
}

impl Call {
    /// Reads Meta's words: the event, and on `terminate` the state behind it (whatsapp-cloud-api.md §2.4).
    pub fn read(event: &str, seconds: Option<i64>) -> Self {
        let mut words = event.split_whitespace().map(str::to_ascii_lowercase);
        match (words.next().as_deref(), words.next().as_deref()) {
            (Some("permission"), answer) => Self::Permission { given: answer == Some("accept") },
            (Some("terminate"), Some("rejected")) | (Some("rejected"), _) => Self::Rejected,
            (Some("terminate"), Some("completed")) => Self::Answered { seconds },
            (Some("terminate"), None) if seconds.is_some_and(|seconds| seconds > 0) => Self::Answered { seconds },
            (Some("terminate" | "missed" | "failed"), _) => Self::Missed,
            _ => Self::Underway,
        }
    }

    /// Whether the call is over, so that it is worth a line.
    pub fn is_over(self) -> bool {
        self != Self::Underway
    }
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
    /// The person's role there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Addresses, each in one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Birthday, as written on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday: Option<String>,
    /// The card as a vCard, where the sender's phone made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcard: Option<String>,
    /// Whether it is the customer's own, sent because the business had asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
}

/// A line of a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The shop's id of the product.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// Price of one, where Meta says it.
    #[serde(default)]
    pub price: Option<f64>,
    /// ISO currency.
    pub currency: String,
}
