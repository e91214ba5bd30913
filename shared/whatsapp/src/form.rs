//! Reads filled forms (§2.2): their answers in order, and their files.

use std::fmt;

use domain::{
    Content, MediaId,
    message::{Answer, Media, MediaKind},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    content,
    fields::{self, Fields, Lossy},
};

/// A file of a form, and the field it belongs to.
#[derive(Debug)]
pub(crate) struct FormFile {
    pub(crate) field: String,
    pub(crate) media: Media,
}

/// The text Meta writes into the chat for its own forms, in every language.
const FORM_SENT_BODY: &str = "Sent";

/// An answer that lies deeper is shown as it came: real forms are not that deep, and a queue's reader has a limit.
const DEEPEST: u8 = 8;

/// The most choices that a list of Meta's form builder has.
const MAX_CHOICES: u8 = 200;

/// Reads the answer to a form. Its values are JSON, as text or as they are.
pub(crate) fn read(reply: &Fields<'_>) -> Content {
    let body = reply.text("body").filter(|body| body != FORM_SENT_BODY);
    let title = reply.text("name").filter(|name| !matches!(name.as_str(), "flow" | "address_message"));
    let mut form = Form { title, body, ..Form::default() };
    if let Some(raw) = reply.raw("response_json") {
        form.values(raw);
    }
    Content::Form { title: form.title, body: form.body, fields: form.fields, id: form.id }
}

/// The photos and documents in a message that is a form.
pub(crate) fn files(message: &Fields<'_>) -> Vec<FormFile> {
    let reply = message.object("interactive").and_then(|interactive| interactive.object("nfm_reply"));
    let mut form = Form::default();
    if let Some(raw) = reply.as_ref().and_then(|reply| reply.raw("response_json")) {
        form.values(raw);
    }
    form.files
}

#[derive(Default)]
struct Form {
    title: Option<String>,
    body: Option<String>,
    fields: Vec<(String, Answer)>,
    files: Vec<FormFile>,
    id: Option<String>,
}

impl Form {
    fn values(&mut self, raw: &RawValue) {
        let text = fields::text(raw).filter(|_| raw.get().starts_with('"'));
        match text.as_deref().map(serde_json::from_str::<&RawValue>) {
            // Text within text was encoded once too often.
            Some(Ok(inner)) if inner.get().starts_with(['{', '[', '"']) => self.values(inner),
            Some(_) => self.fields.extend(text.map(|text| (String::new(), Answer::Text(text)))),
            None if raw.get().starts_with('{') => self.members(raw),
            None if raw.get().starts_with('[') => self.list(raw),
            None => self.unnamed(raw),
        }
    }

    /// Values that are a list: each with its name where it has one.
    fn list(&mut self, raw: &RawValue) {
        let items = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
        if !items.iter().any(|item| item.get().starts_with('{')) {
            return self.unnamed(raw);
        }
        for item in items {
            let object = Fields::read(item);
            let text = |names: &[&str]| names.iter().find_map(|name| object.as_ref()?.text(name));
            let value = object.as_ref().and_then(|object| ["value", "answer"].iter().find_map(|name| object.raw(name)));
            match (text(&["label", "name", "key", "field", "question", "title"]), value) {
                (Some(name), Some(value)) => {
                    if let Some(answer) = self.answer(&name, value, Holds::AsTyped, 0) {
                        self.fields.push((name, answer));
                    }
                }
                // Files and choices are values; other objects are fields of a form.
                _ if object.is_some() && text(&["title", "mime_type", "cdn_url"]).is_none() => self.members(item),
                _ => self.unnamed(item),
            }
        }
    }

    fn unnamed(&mut self, raw: &RawValue) {
        if let Some(answer) = self.answer("", raw, Holds::AsTyped, 0) {
            self.fields.push((String::new(), answer));
        }
    }

    fn members(&mut self, raw: &RawValue) {
        for (name, raw) in Members::read(raw) {
            match name.as_str() {
                // The token the business gave the form.
                "flow_token" => self.id = fields::text(raw),
                // Members by which Meta's own forms describe themselves.
                "wa_flow_response_params" => {
                    let title = Fields::read(raw).and_then(|params| params.text("title").or(params.text("flow_name")));
                    self.title = self.title.take().or(title);
                }
                _ => {
                    let label = label(&name);
                    let holds = label.as_deref().map_or(Holds::AsTyped, holds);
                    if let Some(answer) = self.answer(label.as_deref().unwrap_or(&name), raw, holds, 0) {
                        self.fields.push((label.unwrap_or(name), answer));
                    }
                }
            }
        }
    }

    /// An answer; `None` where the field was left empty.
    fn answer(&mut self, field: &str, raw: &RawValue, holds: Holds, depth: u8) -> Option<Answer> {
        let json = raw.get();
        if depth > DEEPEST && json.starts_with(['[', '{']) {
            return Some(Answer::Text(json.to_owned()));
        }
        match json.as_bytes().first()? {
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                // A customer does not type a list.
                let holds = if holds == Holds::AsTyped { holds } else { Holds::Choice };
                let answers = items.into_iter().filter_map(|raw| self.answer(field, raw, holds, depth + 1));
                let answers: Vec<Answer> = answers.collect();
                (!answers.is_empty()).then_some(Answer::List(answers))
            }
            b'{' => self.object(field, raw, holds, depth),
            b't' | b'f' => Some(Answer::Flag(json == "true")),
            _ => fields::text(raw).map(|text| Answer::Text(choice(&text, holds).unwrap_or(text))),
        }
    }

    fn object(&mut self, field: &str, raw: &RawValue, holds: Holds, depth: u8) -> Option<Answer> {
        let object = Fields::read(raw)?;
        let is_one = object.has("mime_type") || object.has("file_name");
        if object.has("cdn_url") || (is_one && (object.has("id") || object.has("media_id"))) {
            return Some(self.file(field, &object));
        }
        // A choice with an id of its own.
        if let (Some(title), true) = (object.text("title"), object.has("id")) {
            return Some(Answer::Text(title));
        }
        let members = Members::read(raw).into_iter();
        let answers = members.filter_map(|(name, raw)| Some((name, self.answer(field, raw, holds, depth + 1)?)));
        let group: Vec<_> = answers.collect();
        (!group.is_empty()).then_some(Answer::Group(group))
    }

    /// A file with an id is at Meta like any other. A file with an address of its own is encrypted, and the form's server has
    /// the key.
    fn file(&mut self, field: &str, object: &Fields<'_>) -> Answer {
        let name = ["file_name", "filename", "name"].into_iter().find_map(|member| object.text(member));
        let locked = object.has("cdn_url") || object.has("encryption_metadata");
        let id = object.text("id").or_else(|| object.text("media_id").filter(|_| !locked));
        let mime_type = object.text("mime_type");
        if let Some(id) = &id {
            let kind = match mime_type.as_deref().and_then(|mime_type| mime_type.split('/').next()) {
                Some("image") => MediaKind::Image,
                Some("video") => MediaKind::Video,
                Some("audio") => MediaKind::Audio,
                _ => MediaKind::Document,
            };
            let sha256 = object.text("sha256").as_deref().and_then(content::digest);
            let media = Media { id: MediaId::new(id), kind, mime_type, sha256, filename: name.clone() };
            self.files.push(FormFile { field: field.to_owned(), media });
        }
        Answer::File { name, comes: id.is_some() }
    }
}

/// The label in a name from Meta's form builder, such as `screen_0_Nombre_completo_1`.
fn label(name: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (screen, rest) = name.strip_prefix("screen_")?.split_once('_')?;
    let (label, at) = rest.rsplit_once('_')?;
    (digits(screen) && digits(at) && !label.is_empty()).then(|| label.replace('_', " "))
}

/// The kind of a form's field, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Text the customer typed, or a field of a self-made form: it stays as it is.
    AsTyped,
    /// One choice or a text: in forms of Meta's builder both have names of the same kind.
    Either,
    /// A choice.
    Choice,
}

/// The kind of a field of Meta's builder: some labels are just the name of the form's component.
fn holds(label: &str) -> Holds {
    let label = label.to_lowercase().replace(' ', "");
    let named = |parts: &[&str]| parts.iter().any(|part| label.starts_with(part));
    if named(&["textinput", "textarea", "datepicker", "calendarpicker", "optin"]) || is_typed(&label) {
        Holds::AsTyped
    } else if named(&[
        "radiobuttons",
        "dropdown",
        "checkboxgroup",
        "chipsselector",
        "choose",
        "select",
        "elige",
        "escoge",
    ]) {
        Holds::Choice
    } else {
        Holds::Either
    }
}

/// Things that people type and do not choose from a list: a field with such a label keeps its whole text.
const TYPED: [&str; 28] = [
    "nombre",
    "apellido",
    "name",
    "correo",
    "email",
    "mail",
    "teléfono",
    "telefono",
    "phone",
    "celular",
    "dirección",
    "direccion",
    "address",
    "calle",
    "street",
    "placa",
    "plate",
    "código",
    "codigo",
    "code",
    "clave",
    "folio",
    "factura",
    "comentario",
    "comment",
    "mensaje",
    "message",
    "rfc",
];

/// Whether a label, in small letters without blanks, asks for typed text.
fn is_typed(label: &str) -> bool {
    TYPED.iter().any(|word| label.contains(word))
}

/// The text of a choice in such a form, such as `0_Muy_bien`: its position in the list, and its title without blanks. Where a
/// typed text may occur as well, only what looks like a title is treated as one, so that a typed text loses nothing.
fn choice(text: &str, holds: Holds) -> Option<String> {
    let (at, title) = text.split_once('_')?;
    let place = at.parse::<u8>().is_ok_and(|place| place.to_string() == at && place < MAX_CHOICES);
    if holds == Holds::AsTyped || !place || title.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    let sure = holds == Holds::Choice || title.starts_with(char::is_uppercase);
    sure.then(|| title.replace('_', " "))
}

/// The members of an object in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(raw: &'a RawValue) -> Vec<(String, &'a RawValue)> {
        serde_json::from_str::<Self>(raw.get()).map(|members| members.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Lossy(name), raw)) = map.next_entry()? {
                    members.push((name, raw));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests;
