//! What Meta tells of a refusal beside its code: the parameter it is about, and what a web address answered.
//!
//! Its sentences are never matched. Only two things are taken out of them: names of the API's own parameters, which are the same in
//! every language, and the number of an HTTP status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a refusal is about, as far as Meta names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Clue {
    /// The parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Parameter>,
    /// What the address of a file answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<u16>,
}

/// The most of a parameter's name that is kept.
const LONGEST: usize = 40;

/// The name of a parameter, such as `header` or `image.link`: nothing that anybody wrote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Parameter {
    bytes: [u8; LONGEST],
    length: usize,
}

/// What is no name of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no parameter's name")]
pub struct NoParameter;

/// The words of Meta's API that an agent has a word for (whatsapp-cloud-api.md §4.2), each with the Spanish and the English one.
const KNOWN: [(&str, &str, &str); 35] = [
    ("header", "el encabezado", "the header"),
    ("body", "el texto", "the text"),
    ("text", "el texto", "the text"),
    ("footer", "el pie", "the footer"),
    ("button", "un botón", "a button"),
    ("buttons", "los botones", "the buttons"),
    ("caption", "el texto del archivo", "the words under the file"),
    ("filename", "el nombre del archivo", "the file's name"),
    ("image", "la imagen", "the picture"),
    ("video", "el video", "the video"),
    ("audio", "el audio", "the audio"),
    ("document", "el documento", "the document"),
    ("sticker", "el sticker", "the sticker"),
    ("link", "el enlace", "the link"),
    ("url", "el enlace", "the link"),
    ("media", "el archivo", "the file"),
    ("mime_type", "el tipo del archivo", "the file's type"),
    ("location", "la ubicación", "the location"),
    ("latitude", "la ubicación", "the location"),
    ("longitude", "la ubicación", "the location"),
    ("address", "la dirección", "the address"),
    ("contacts", "el contacto", "the contact"),
    ("phones", "el teléfono del contacto", "the contact's phone"),
    ("emoji", "la reacción", "the reaction"),
    ("title", "el título de una opción", "an option's title"),
    ("description", "la descripción de una opción", "an option's description"),
    ("rows", "las opciones", "the options"),
    ("sections", "las opciones", "the options"),
    ("language", "el idioma de la plantilla", "the template's language"),
    ("template", "la plantilla", "the template"),
    ("parameter_name", "el nombre de un campo", "a field's name"),
    ("components", "los datos de la plantilla", "the template's values"),
    ("context", "la cita", "the quote"),
    ("recipient", "el destinatario", "the recipient"),
    ("to", "el destinatario", "the recipient"),
];

/// More names of the API's own (whatsapp-cloud-api.md §4.2), which an agent has no word for.
const OTHERS: [&str; 53] = [
    "action",
    "address_message",
    "addresses",
    "amount_1000",
    "biz_opaque_callback_data",
    "birthday",
    "card_index",
    "cards",
    "carousel",
    "catalog_id",
    "code",
    "country",
    "coupon_code",
    "currency",
    "date_time",
    "display_text",
    "email",
    "emails",
    "example",
    "fallback_value",
    "first_name",
    "flow_action",
    "flow_action_data",
    "flow_id",
    "flow_token",
    "formatted_name",
    "id",
    "index",
    "interactive",
    "last_name",
    "localizable_params",
    "message_id",
    "messaging_product",
    "name",
    "namespace",
    "org",
    "parameter",
    "parameters",
    "payload",
    "phone",
    "policy",
    "preview_url",
    "product",
    "product_items",
    "product_retailer_id",
    "reaction",
    "recipient_identity_key_hash",
    "recipient_type",
    "reply",
    "sub_type",
    "type",
    "urls",
    "wa_id",
];

/// Names that are everyday words as well: they count only where they are set off as a name.
const EVERYDAY: [&str; 13] = [
    "to",
    "text",
    "body",
    "link",
    "address",
    "media",
    "template",
    "language",
    "title",
    "description",
    "image",
    "video",
    "recipient",
];

impl Clue {
    /// What Meta's details tell. Only the API's own names are taken, and the name of a template's field.
    pub fn read(details: &str) -> Self {
        Self { parameter: parameter(details), http: http(details) }
    }

    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Parameter {
    /// A name as Meta writes it; of a path the end of it.
    fn new(name: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        // A row of digits may be somebody's number.
        let numbers = name.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > 3);
        if name.len() > LONGEST || !begins || numbers || !name.chars().all(plain) {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, length: name.len() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// What an agent calls it, in Spanish and in English; of a path what stands last in it.
    pub(super) fn words(&self) -> Option<(&'static str, &'static str)> {
        let known = |name: &str| KNOWN.iter().find(|(known, _, _)| *known == name);
        self.as_str().rsplit('.').find_map(known).map(|(_, es, en)| (*es, *en))
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl From<Parameter> for String {
    fn from(parameter: Parameter) -> Self {
        parameter.as_str().to_owned()
    }
}

impl TryFrom<String> for Parameter {
    type Error = NoParameter;

    fn try_from(name: String) -> Result<Self, NoParameter> {
        Self::new(&name).ok_or(NoParameter)
    }
}

/// A word of a sentence, and how it is set off.
struct Word<'t> {
    text: &'t str,
    /// In quotes, or with a colon before or behind it: the sentence speaks of it, and not with it.
    set_off: bool,
    /// In quotes straight after "parameter name": what a template calls one of its fields.
    of_template: bool,
    /// Part of an address, a file's name or a longer word.
    part: bool,
}

/// The parameter a sentence names: a template's field, then the first that is set off and known, then a path or a name with
/// underscores, then the first known. What is no name of the API's own may be a person's, and counts for nothing.
fn parameter(details: &str) -> Option<Parameter> {
    let words = words(details);
    if let Some(own) = words.iter().find(|word| word.of_template && is_own(word.text)) {
        return Parameter::new(own.text);
    }
    let path = |text: &str| text.contains(['_', '.', '[']);
    let named = words.iter().filter(|word| !word.part && is_of_the_api(word.text)).map(|word| (word, flat(word.text)));
    let named: Vec<(&Word<'_>, String)> = named.filter(|(_, name)| Parameter::new(name).is_some()).collect();
    let first = |counts: fn(bool, bool, bool) -> bool| {
        let mut found = named.iter().filter(|(word, name)| counts(word.set_off, path(word.text), is_known(name)));
        found.next()
    };
    let found = first(|set_off, _, known| set_off && known)
        .or_else(|| first(|_, path, known| path && known))
        .or_else(|| first(|_, path, _| path))
        .or_else(|| named.iter().find(|(_, name)| is_known(name) && !EVERYDAY.contains(&name.as_str())))
        .or_else(|| first(|set_off, _, _| set_off));
    found.and_then(|(_, name)| Parameter::new(name))
}

/// Whether each step of a path is a name of the API's own or a place in a list.
fn is_of_the_api(path: &str) -> bool {
    let known = |step: &str| KNOWN.iter().any(|(known, _, _)| *known == step) || OTHERS.contains(&step);
    let place = |step: &str| step.len() <= 3 && step.bytes().all(|b| b.is_ascii_digit());
    steps(path).all(|step| known(step) || place(step))
}

/// Whether a template may call a field so.
fn is_own(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether an agent has a word for it; of a path for what stands last in it.
fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _, _)| name.rsplit('.').next() == Some(known))
}

/// The words of a sentence; a path such as `template['components'][0]` is one.
fn words(details: &str) -> Vec<Word<'_>> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let bytes = details.as_bytes();
    let mut out = Vec::new();
    let mut start = None;
    for (at, c) in details.char_indices().chain([(details.len(), ' ')]) {
        // A quote within brackets belongs to a path.
        let in_path = matches!(c, '\'' | '"')
            && (at > 0 && bytes[at - 1] == b'[' || start.is_some() && bytes.get(at + 1) == Some(&b']'));
        match (start, inside(c) || in_path) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                let text = details[from..at].trim_end_matches('.');
                let before = details[..from].trim_end().chars().next_back();
                let after = details[from + text.len()..].chars().next();
                let quote = |c: Option<char>| matches!(c, Some('\'' | '"' | '`'));
                let quoted = quote(before) && quote(after);
                let set_off = before == Some(':') || after == Some(':') || quoted;
                let ahead = details[..from].trim_end_matches(['\'', '"', '`']).trim_end();
                let of_template = quoted && ahead.to_ascii_lowercase().ends_with("parameter name");
                let part = goes_on(details[..from].chars().next_back()) || goes_on(details[at..].chars().next());
                out.push(Word { text, set_off, of_template, part: part || details[at..].starts_with("://") });
                start = None;
            }
            _ => {}
        }
    }
    out
}

/// Whether a word goes on beyond such a neighbour, as addresses and names of files and people do.
fn goes_on(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| {
        c.is_alphanumeric() || matches!(c, '@' | '/' | '\\' | '-' | '+' | '=' | '&' | '?' | '%' | '#' | '~')
    })
}

/// The steps of a path such as `template['components'][0]`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['[', ']', '.', '\'', '"']).filter(|step| !step.is_empty())
}

/// A path without its brackets and places, at most its last two steps: `image.link` of `template['components'][0]['image']['link']`.
fn flat(path: &str) -> String {
    let steps: Vec<&str> = steps(path).filter(|step| !step.bytes().all(|b| b.is_ascii_digit())).collect();
    steps[steps.len().saturating_sub(2)..].join(".")
}

/// The HTTP status of a fetch that failed: a number of that size directly behind a word that says so. Any other may count pixels.
fn http(details: &str) -> Option<u16> {
    let words = details.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let says_so = |word: &str| ["http", "code", "status"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let status = |word: &str| word.parse().ok().filter(|status| word.len() == 3 && (400..600).contains(status));
    words.clone().zip(words.skip(1)).find_map(|(before, word)| status(word).filter(|_| says_so(before)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parameter_is_found_however_meta_writes_it() {
        for (details, expected) in [
            ("header: Format mismatch, expected IMAGE, received UNKNOWN", "header"),
            ("body: number of localizable_params (1) does not match the expected number of params (2)", "body"),
            ("Param template['components'][0]['parameters'][0]['image']['link'] is not a valid URI.", "image.link"),
            ("Invalid parameter: text.body", "text.body"),
            ("Required parameter is missing: text", "text"),
            ("(#131009) Parameter value is not valid: interactive.action.buttons[0].reply.title", "reply.title"),
            ("The parameter 'filename' is too long", "filename"),
            ("Param text['body'] must be at most 4096 characters long.", "text.body"),
            ("Parameter \"to\" is required", "to"),
            ("Parameter name 'modelo' does not exist in the template", "modelo"),
            ("Button url is missing", "url"),
            ("recipient_type must be individual", "recipient_type"),
            ("Parameter name: 'type' is missing; 'sub_type' is wrong", "sub_type"),
            ("interactive['action']['buttons'][12]['reply']['id'] is not unique.", "reply.id"),
        ] {
            assert_eq!(parameter(details).map(String::from).as_deref(), Some(expected), "{details}");
        }
    }

    #[test]
    fn prose_people_and_numbers_are_no_parameters() {
        for details in [
            "",
            "Parameter value is not valid",
            "The message failed to send because text was too long to read",
            "María López: no",
            "Recipient 5215555550123 is not valid",
            "'5215555550123' is not a number",
            "maria.lopez@x.mx is invalid",
            "maria.text@x.mx, text.body@x.mx and x@image.link are invalid",
            "'maria' is invalid",
            "maria_lopez: no",
            "The value 'maria_lopez' is too long",
            "ana.contacts.phones[0] is missing",
            "contacts[5215555550123].maria is missing",
            "Host cdn.lmotos.mx did not answer",
            "Could not fetch https://cdn.lmotos.mx/image.link?body=text.body",
            "Could not fetch link://x and /var/media.url",
            "josé_text and ñbody_text and peña.body",
            "Parameter name 'maria.lopez@x.mx' does not exist",
            "Parameter name 'María' does not exist",
            "Parameter name 'w5215555550123' does not exist",
        ] {
            assert_eq!(parameter(details), None, "{details}");
        }
    }

    #[test]
    fn what_an_address_answered_is_a_number_behind_a_word_that_says_so() {
        let weblink = "Downloading media from weblink failed with http code 403, status message Forbidden";
        assert_eq!(http(weblink), Some(403));
        assert_eq!((http("HTTP 503."), http("131053 4096 px"), http("size 40300")), (Some(503), None, None));
        assert_eq!((http("Status: 404"), http("response code=500")), (Some(404), Some(500)));
        for other in
            ["The image must be 512 x 512 pixels", "Sticker size exceeds 500 KB", "413", "status of 480 frames"]
        {
            assert_eq!(http(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_fails_and_what_was_read_is_read_again(details in "[a-z'\\[\\]._: é\"0-9]{0,60}") {
            let clue = Clue::read(&details);
            let text = serde_json::to_string(&clue).unwrap();
            prop_assert_eq!(serde_json::from_str::<Clue>(&text).unwrap(), clue);
        }
    }
}
