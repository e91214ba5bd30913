//! Filled forms (§2.2): their answers in order, and the files among them.

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
    fields::{self, Fields},
};

/// A file of a form, and the field it was put into.
#[derive(Debug)]
pub(crate) struct FormFile {
    pub(crate) field: String,
    pub(crate) media: Media,
}

/// What Meta writes into the chat for a form of its own, in every language.
const SENT: &str = "Sent";

/// Reads the answer to a form. Its values are JSON, as text or as they are.
pub(crate) fn read(reply: &Fields<'_>) -> Content {
    let body = reply.text("body").filter(|body| body != SENT);
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
        let Some(json) = fields::text(raw).filter(|_| raw.get().starts_with('"')) else {
            return self.members(raw);
        };
        match serde_json::from_str::<&RawValue>(&json) {
            Ok(inner) if inner.get().starts_with('{') => self.members(inner),
            _ => self.fields.push((String::new(), Answer::Text(json))),
        }
    }

    fn members(&mut self, raw: &RawValue) {
        for (name, raw) in Members::read(raw) {
            match name.as_str() {
                // The token the business gave the form.
                "flow_token" => self.id = fields::text(raw),
                // What Meta's own forms say of themselves.
                "wa_flow_response_params" => {
                    let title = Fields::read(raw).and_then(|params| params.text("title").or(params.text("flow_name")));
                    self.title = self.title.take().or(title);
                }
                _ => {
                    let label = label(&name);
                    if let Some(answer) = self.answer(label.as_deref().unwrap_or(&name), raw, label.is_some()) {
                        self.fields.push((label.unwrap_or(name), answer));
                    }
                }
            }
        }
    }

    /// An answer; nothing where nothing was answered. `built` is set in forms of Meta's own builder, whose choices carry numbers.
    fn answer(&mut self, field: &str, raw: &RawValue, built: bool) -> Option<Answer> {
        let json = raw.get();
        match json.as_bytes().first()? {
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                let answers: Vec<Answer> = items.into_iter().filter_map(|raw| self.answer(field, raw, built)).collect();
                (!answers.is_empty()).then_some(Answer::List(answers))
            }
            b'{' => self.object(field, raw, built),
            b't' | b'f' => Some(Answer::Flag(json == "true")),
            _ => fields::text(raw).map(|text| Answer::Text(if built { choice(&text) } else { text })),
        }
    }

    fn object(&mut self, field: &str, raw: &RawValue, built: bool) -> Option<Answer> {
        let object = Fields::read(raw)?;
        if object.has("cdn_url") || (object.has("mime_type") && (object.has("id") || object.has("media_id"))) {
            return Some(self.file(field, &object));
        }
        // A choice with an id of its own.
        if let (Some(title), true) = (object.text("title"), object.has("id")) {
            return Some(Answer::Text(title));
        }
        let members = Members::read(raw).into_iter();
        let group: Vec<_> =
            members.filter_map(|(name, raw)| Some((name.clone(), self.answer(field, raw, built)?))).collect();
        (!group.is_empty()).then_some(Answer::Group(group))
    }

    /// A file with an id is at Meta like any other. One with an address of its own is locked, and the form's server has the key.
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

/// The label in a name of Meta's form builder, such as `screen_0_Nombre_completo_1`.
fn label(name: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (screen, rest) = name.strip_prefix("screen_")?.split_once('_')?;
    let (label, at) = rest.rsplit_once('_')?;
    (digits(screen) && digits(at) && !label.is_empty()).then(|| label.replace('_', " "))
}

/// The words of a choice in such a form, such as `0_Muy_bien`.
fn choice(text: &str) -> String {
    match text.split_once('_') {
        Some((at, words)) if !at.is_empty() && !words.is_empty() && at.bytes().all(|b| b.is_ascii_digit()) => {
            words.replace('_', " ")
        }
        _ => text.to_owned(),
    }
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
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(reply: &str) -> (Content, Vec<FormFile>) {
        let message = format!(r#"{{"interactive":{{"nfm_reply":{reply}}}}}"#);
        let message = Fields::read(serde_json::from_str(&message).unwrap()).unwrap();
        let reply = message.object("interactive").unwrap().object("nfm_reply").unwrap();
        (read(&reply), files(&message))
    }

    fn text(text: &str) -> Answer {
        Answer::Text(text.to_owned())
    }

    fn fields_of(reply: &str) -> Vec<(String, Answer)> {
        let (Content::Form { fields, .. }, _) = form(reply) else { panic!("{reply}") };
        fields
    }

    const ANSWERS: &str = r#"{"z":"1","flow_token":"t","a":null,"m":["x","y"],"b":"","k":true,"c":{"d":2,"e":null},"n":[],
        "o":[{"id":"0","title":"Roja"}]}"#;

    #[test]
    fn answers_keep_their_order_and_what_was_not_answered_is_left_out() {
        let as_text = format!(r#"{{"name":"flow","body":"Sent","response_json":{}}}"#, serde_json::json!(ANSWERS));
        let as_object = format!(r#"{{"name":"flow","response_json":{ANSWERS}}}"#);
        for reply in [as_text, as_object] {
            let (Content::Form { title, body, fields, id }, files) = form(&reply) else { panic!() };
            let expected = [
                ("z".to_owned(), text("1")),
                ("m".to_owned(), Answer::List(vec![text("x"), text("y")])),
                ("k".to_owned(), Answer::Flag(true)),
                ("c".to_owned(), Answer::Group(vec![("d".to_owned(), text("2"))])),
                ("o".to_owned(), Answer::List(vec![text("Roja")])),
            ];
            assert_eq!((fields.as_slice(), id.as_deref()), (expected.as_slice(), Some("t")));
            assert_eq!((title, body, files.len()), (None, None, 0));
        }
    }

    #[test]
    fn words_in_the_chat_and_a_title_are_kept() {
        let (Content::Form { title, body, fields, .. }, _) =
            form(r#"{"body":"Av. Juárez 1, Puebla","name":"address_message","response_json":"hola"}"#)
        else {
            panic!()
        };
        assert_eq!((title, body.as_deref()), (None, Some("Av. Juárez 1, Puebla")));
        assert_eq!(fields, [(String::new(), text("hola"))]);
        let own = r#"{"response_json":{"wa_flow_response_params":{"title":"Crédito","flow_id":1},"screen_0_Su_nombre_1":"Ana",
            "screen_1_Talla_0":["0_Muy_grande","1_M"]}}"#;
        let (Content::Form { title, fields, .. }, _) = form(own) else { panic!() };
        assert_eq!(title.as_deref(), Some("Crédito"));
        let sizes = Answer::List(vec![text("Muy grande"), text("M")]);
        assert_eq!(fields, [("Su nombre".to_owned(), text("Ana")), ("Talla".to_owned(), sizes)]);
    }

    #[test]
    fn photos_and_documents_are_files_at_meta_unless_they_are_locked() {
        let sha = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let json = format!(
            r#"{{"response_json":{{"fotos":[{{"id":790,"mime_type":"image/jpeg","sha256":"{sha}","file_name":"a.jpg"}},
            {{"file_name":"b.jpg","media_id":"u-u","cdn_url":"https://mmg.whatsapp.net/x","encryption_metadata":{{}}}}],
            "ine":{{"media_id":"791","mime_type":"application/pdf"}}}}}}"#
        );
        let (_, files) = form(&json);
        assert_eq!(files.len(), 2);
        assert_eq!((files[0].field.as_str(), files[0].media.id.as_str()), ("fotos", "790"));
        assert!(files[0].media.sha256.is_some() && files[0].media.kind == MediaKind::Image);
        assert_eq!((files[1].media.id.as_str(), files[1].media.kind), ("791", MediaKind::Document));
        let shown = fields_of(&json);
        let one = |name: &str, comes| Answer::File { name: Some(name.to_owned()), comes };
        assert_eq!(shown[0].1, Answer::List(vec![one("a.jpg", true), one("b.jpg", false)]));
    }
}
