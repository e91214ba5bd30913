//! A clue holds what Meta tells about a refusal beside its code. That is the parameter it is about, and what a web address
//! answered.
//!
//! The module never matches Meta's sentences. Only two things are taken from them: names of the API's own parameters, which are
//! the same in every language, and the number of an HTTP status.

mod http;
mod names;
mod sentence;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::names::OF_FILES;

pub use self::names::KNOWN;

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

/// The code of a refusal for which Meta gave none. Its own 0 says that the token is not good.
pub const NO_CODE: i64 = -1;

/// The most of a parameter's name that is kept.
const MAX_PARAMETER_LENGTH: usize = 40;

/// The name of a parameter, such as `header` or `image.link`: never text that a person wrote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Parameter {
    bytes: [u8; MAX_PARAMETER_LENGTH],
    length: usize,
}

/// The text is not a name of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no parameter's name")]
pub struct NoParameter;

impl Clue {
    /// What Meta's details tell. Only the API's own names are taken, and the name of a template's field.
    pub fn read(details: &str) -> Self {
        Self { parameter: sentence::parameter(details), http: http::status(details) }
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
        // A row of digits may be a person's number.
        let numbers = name.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > 3);
        if name.len() > MAX_PARAMETER_LENGTH || !begins || numbers || !name.chars().all(plain) {
            return None;
        }
        let mut bytes = [0; MAX_PARAMETER_LENGTH];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, length: name.len() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Whether only a message with a file has it.
    pub(crate) fn is_of_file(&self) -> bool {
        self.as_str().split('.').any(|step| OF_FILES.contains(&step))
    }

    /// Whether it is the address of a file.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.as_str().rsplit('.').next(), Some("link" | "url"))
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
            ("(#100) The parameter to is required.", "to"),
            ("(#100) The parameter type is required.", "type"),
            ("Param text must be a JSON object", "text"),
            ("Invalid key text in the object", "text"),
            ("Parameter of type text is missing text value", "text"),
            ("Row title is too long. Max length is 24", "title"),
            ("(#131009) Button title length invalid, min length: 1, max length: 20", "title"),
            ("Section title is required", "title"),
            ("Header: Format mismatch, expected IMAGE, received UNKNOWN", "header"),
            ("Body: number of localizable_params (1) does not match the expected number of params (2)", "body"),
            ("(#131009) Caption is too long", "caption"),
            ("Unsupported Image mime type image/jpg. Please use one of image/jpeg, image/png.", "mime_type"),
            ("(#100) Param document['link'] is not a valid URI.", "document.link"),
        ] {
            assert_eq!(sentence::parameter(details).map(String::from).as_deref(), Some(expected), "{details}");
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
            "Parameter format does not match format in the created template",
            "Number of parameters does not match the expected number of params",
            "Set the parameter to the value of María",
            "The key to this is a field maria",
            "Param maria is missing, and field 5215555550123, too",
            "Text, Link and Media were sent to María",
            "Row of Title López, the file of a type",
            "Error code: 400; name: Ana; type: OAuthException",
        ] {
            assert_eq!(sentence::parameter(details), None, "{details}");
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
