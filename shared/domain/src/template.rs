//! Checks the template an agent picked against what Meta approved. Everything that can be judged before Meta is asked is judged
//! here (whatsapp-cloud-api.md §4.2).

mod fill;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use fill::{Filled, FilledButton, FilledHeader};
pub use text::Text;

use crate::message::MediaKind;

/// A template as Meta has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its language, as Meta spells it: `es_MX`.
    pub language: String,
    /// What it is for.
    pub category: Category,
    /// Whether it may be sent.
    pub standing: Standing,
    /// Whether its values have names; if not, they have numbers.
    pub named: bool,
    /// The header above the body.
    pub header: Option<Header>,
    /// The body.
    pub body: Text,
    /// Its buttons, in their order.
    pub buttons: Vec<Button>,
    /// Whether it has parts that cannot be filled from Chatwoot: a carousel, a catalog, a location, an offer.
    pub beyond_us: bool,
}

impl Template {
    /// Whether a message may be this template, as far as its text tells: it reads like it, has a long run of its own words, or
    /// its name.
    pub fn may_be(&self, message: &str) -> bool {
        let header = match &self.header {
            Some(Header::Text(text)) => Some(text),
            Some(Header::File(_)) | None => None,
        };
        let reads = |text: &Text| text.reads_like(message) || text.is_partly_in(message);
        reads(&self.body) || header.is_some_and(reads) || is_named(&self.name, message)
    }
}

/// Whether a text has a template's name, however it is spelled.
fn is_named(name: &str, text: &str) -> bool {
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
        format!(" {} ", words.collect::<Vec<_>>().join(" "))
    };
    words(text).contains(&words(name))
}

/// What a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Marketing: a customer who stopped marketing gets none.
    Marketing,
    /// Utility: about something the customer has in progress.
    Utility,
    /// A code.
    Authentication,
    /// Whatever Meta calls it.
    Other,
}

/// Whether a template may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Approved,
    /// Paused: customers complained.
    Paused,
    /// No: rejected, pending, disabled, deleted.
    Closed,
}

/// The header above the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A line.
    Text(Text),
    /// A file of this kind: picture, video or document.
    File(MediaKind),
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Button {
    /// Opens an address, which may end in a value.
    Url(Text),
    /// Sends a quick reply.
    QuickReply,
    /// Copies a code.
    CopyCode,
    /// Opens a form.
    Flow,
    /// Needs nothing: a phone number, a request.
    Fixed,
}

/// What an agent picked. It may name personal things: it may be in a queue, never in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picked {
    /// The template's name.
    pub name: String,
    /// Its language, where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Values of the body, by number or name.
    pub body: BTreeMap<String, String>,
    /// Values of a header's line.
    pub header: BTreeMap<String, String>,
    /// The address of the header's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its name, shown for a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Values of the buttons, by button position.
    pub buttons: Vec<Option<String>>,
}

/// Why a picked template cannot be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// There is none of that name and language.
    Missing,
    /// It is paused.
    Paused,
    /// It is not approved.
    Closed,
    /// It has parts this bridge cannot fill.
    BeyondUs,
    /// It carries a sign-in code, which agents in Chatwoot do not have.
    SignIn,
    /// A value is missing or empty.
    NoValue,
    /// More or fewer values than it has placeholders.
    Count,
    /// A value has a line break, a tab, or more than four blanks in a row.
    Blanks,
    /// Filled in, it is longer than WhatsApp takes.
    TooLong,
    /// The header's file is missing.
    NoFile,
    /// The header's file is of another kind than the template wants.
    WrongFile,
    /// The header's file cannot be read from Chatwoot.
    FileUnreadable,
    /// A button's value is missing.
    NoButton,
    /// What was picked is not known any more: its callback was lost.
    #[default]
    Lost,
    /// It is unknown whether it is a template at all: Chatwoot is asked again.
    Untold,
    /// An agent asked for it again; it is still unknown, and its text may be a template's.
    MayBeOne,
    /// It is marketing, and the customer wants none.
    OptedOut,
    /// Meta does not say which templates there are.
    Unlisted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_has_nothing_of_a_template_is_none() {
        let template = Template {
            name: "hdr_pos".to_owned(),
            language: "es_MX".to_owned(),
            category: Category::Utility,
            standing: Standing::Approved,
            named: false,
            header: Some(Header::Text(Text::read("Aviso importante de su agencia"))),
            body: Text::read("Hola {{1}}, ¿pudiste ver la cotización de la {{2}}?"),
            buttons: Vec::new(),
            beyond_us: false,
        };
        for like in [
            "Plantilla: hdr_pos",
            "[HDR-POS]",
            "Hdr pos para Ana",
            "Hola Ana, ¿pudiste ver la cotización de la RX 150?",
            "*Aviso*\n¿pudiste ver la cotización de la RX?",
            "Aviso importante de su agencia",
        ] {
            assert!(template.may_be(like), "{like}");
        }
        for other in ["Buenas", "¿La vio?", "Hola Ana", "la cotización", "pos", "hdr_posicion", "chdr pos", ""] {
            assert!(!template.may_be(other), "{other}");
        }
    }
}
