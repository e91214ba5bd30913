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
    fn a_list_of_values_is_read_as_well_as_an_object() {
        let list = r#"["Ana",7,true,null,{"nombre":"Eva","flow_token":"t"},{"name":"Color","value":["Roja","Azul"]},
            {"id":"0","title":"250Z"},["a","b"]]"#;
        let as_text = format!(r#"{{"response_json":{}}}"#, serde_json::json!(list));
        for reply in [as_text, format!(r#"{{"response_json":{list}}}"#)] {
            let (Content::Form { fields, id, .. }, _) = form(&reply) else { panic!() };
            let unnamed = |answer| (String::new(), answer);
            let expected = [
                unnamed(text("Ana")),
                unnamed(text("7")),
                unnamed(Answer::Flag(true)),
                ("nombre".to_owned(), text("Eva")),
                ("Color".to_owned(), Answer::List(vec![text("Roja"), text("Azul")])),
                unnamed(text("250Z")),
                unnamed(Answer::List(vec![text("a"), text("b")])),
            ];
            assert_eq!((fields.as_slice(), id.as_deref()), (expected.as_slice(), Some("t")), "{reply}");
        }
        assert_eq!(fields_of(r#"{"response_json":7}"#), [(String::new(), text("7"))]);
        assert_eq!(fields_of(r#"{"response_json":true}"#), [(String::new(), Answer::Flag(true))]);
        for nothing in ["[]", "null", "{}", "[null]", "\"[]\""] {
            assert_eq!(fields_of(&format!(r#"{{"response_json":{nothing}}}"#)), [], "{nothing}");
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
    fn answers_of_any_shape_are_shown() {
        let one = |reply: &str| fields_of(&format!(r#"{{"response_json":{reply}}}"#));
        let named = |name: &str, answer: Answer| vec![(name.to_owned(), answer)];
        let list = || Answer::List(vec![text("a"), text("2")]);
        for (reply, expected) in [
            (r#"["a",2]"#, named("", list())),
            (r#""[\"a\",2]""#, named("", list())),
            ("17", named("", text("17"))),
            ("true", named("", Answer::Flag(true))),
            (r#""\"{\\\"k\\\":\\\"v\\\"}\"""#, named("k", text("v"))),
            (r#"{"\ud83d":"v"}"#, named("\u{fffd}\u{fffd}\u{fffd}", text("v"))),
            (r#"{"k":"v","k":"w"}"#, [named("k", text("v")), named("k", text("w"))].concat()),
            ("[]", Vec::new()),
            ("{}", Vec::new()),
            ("null", Vec::new()),
            (r#""""#, Vec::new()),
            (r#"{"k":{"a":[]},"l":[null,{}]}"#, Vec::new()),
        ] {
            assert_eq!(one(reply), expected, "{reply}");
        }
    }

    /// A queue's reader stops at 128 levels, and deeper nesting could overflow a stack after it.
    #[test]
    fn what_lies_too_deep_is_shown_as_it_came() {
        for levels in [DEEPEST as usize + 2, 200, 100_000] {
            for (opens, closes) in [("[", "]"), (r#"{"a":"#, "}")] {
                let deep = format!("{}1{}", opens.repeat(levels), closes.repeat(levels));
                let (content, _) = form(&format!(r#"{{"response_json":{{"k":{deep}}}}}"#));
                let json = serde_json::to_string(&content).unwrap();
                assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content, "{levels}");
                assert!(json.contains(&"[".repeat(levels - DEEPEST as usize - 1)) || opens != "[", "{levels}");
            }
        }
    }

    #[test]
    fn only_choices_of_the_builder_lose_their_number_and_what_was_typed_stays() {
        let typed =
            ["12_34A", "1_kg_de_más", "12_", "_1", "0_Muy bien", "007_James", "300_Roja", "a_b_c", "1_2_3", "5_ Roja"];
        for typed in typed {
            let reply = serde_json::json!({"response_json": {"screen_0_Su_placa_1": typed, "placa": "0_Roja"}});
            let expected = [("placa".to_owned(), text("0_Roja")), ("Su placa".to_owned(), text(typed))];
            assert_eq!(fields_of(&reply.to_string()), expected);
        }
        for (name, value, expected) in [
            ("screen_0_Color_1", "0_Roja", "Roja"),
            ("screen_0_Opinión_1", "2_Área_común", "Área común"),
            ("screen_0_RadioButtonsGroup_1", "1_5_a_10_años", "5 a 10 años"),
            ("screen_1_Dropdown_0", "199_otra", "otra"),
            ("screen_1_TextInput_0", "0_Roja", "0_Roja"),
            ("screen_0_Choose_0", "0_excelente", "excelente"),
            ("screen_0_Su_nombre_1", "2_Juan", "2_Juan"),
            ("screen_0_Número_de_placa_1", "1_ABC", "1_ABC"),
            ("screen_0_Comentarios_2", "5_Estrellas", "5_Estrellas"),
        ] {
            let reply = serde_json::json!({"response_json": {name: value}});
            assert_eq!(fields_of(&reply.to_string())[0].1, text(expected), "{name}");
        }
        let listed = r#"{"response_json":{"screen_0_Gustos_1":["0_5_a_10","1_motos","12_34 A"]}}"#;
        let expected = vec![text("5 a 10"), text("motos"), text("12_34 A")];
        assert_eq!(fields_of(listed)[0].1, Answer::List(expected));
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
