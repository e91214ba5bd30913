//! Reads an account's message templates, and writes one into a message (§4.2).

use domain::{
    WabaId,
    message::MediaKind,
    template::{Button, Category, Filled, FilledButton, FilledHeader, Header, Standing, Template, Text},
};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{Graph, GraphError, compose::word};

/// How many a page lists.
const TEMPLATES_PER_PAGE: &str = "100";

/// An account may have 6,000 templates; a list that does not end is a loop.
const MAX_PAGES: usize = 100;

const TEMPLATE_FIELDS: &str = "id,name,language,status,category,parameter_format,components";

/// A template, and how it is shown to agents.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateList {
    /// The parsed template.
    pub template: Template,
    /// As Meta gives it, without what is not needed to fill it in: each agent's browser loads the whole list.
    pub shown: Value,
}

impl TemplateList {
    /// Meta's word for whether it may be sent, `APPROVED` for instance.
    pub fn status(&self) -> &str {
        self.shown["status"].as_str().unwrap_or_default()
    }
}

impl Graph {
    /// The templates of an account, or only those with one name.
    pub async fn templates(&self, waba: &WabaId, name: Option<&str>) -> Result<Vec<TemplateList>, GraphError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("limit", TEMPLATES_PER_PAGE), ("fields", TEMPLATE_FIELDS)];
            query.extend(name.map(|name| ("name", name)));
            query.extend(after.as_deref().map(|after| ("after", after)));
            let raw: Box<RawValue> = self.list(&[waba.as_str(), "message_templates"], &query).await?;
            let page: Value = serde_json::from_str(raw.get())
                .map_err(|_| GraphError::NoAnswer { status: Some(200), source: None })?;
            // A response that is not a list must not empty what agents see.
            let data = page["data"].as_array().ok_or(GraphError::NoAnswer { status: Some(200), source: None })?;
            found.extend(data.iter().filter_map(read));
            let next = page.pointer("/paging/next").is_some_and(Value::is_string);
            let cursor = page.pointer("/paging/cursors/after").and_then(Value::as_str).map(str::to_owned);
            match cursor.filter(|cursor| next && Some(cursor) != after.as_ref()) {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        if let Some(name) = name {
            // Meta's filter also finds parts of names.
            found.retain(|listed| listed.template.name == name);
        }
        Ok(found)
    }
}

fn read(value: &Value) -> Option<TemplateList> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (name, language) = (text("name"), text("language"));
    if name.is_empty() || language.is_empty() {
        return None;
    }
    let mut template = Template {
        name,
        language,
        category: match text("category").to_ascii_uppercase().as_str() {
            "MARKETING" => Category::Marketing,
            "UTILITY" => Category::Utility,
            "AUTHENTICATION" => Category::Authentication,
            _ => Category::Other,
        },
        standing: match text("status").to_ascii_uppercase().as_str() {
            "APPROVED" => Standing::Approved,
            "PAUSED" => Standing::Paused,
            _ => Standing::Closed,
        },
        named: text("parameter_format").eq_ignore_ascii_case("named"),
        header: None,
        body: Text::default(),
        buttons: Vec::new(),
        beyond_us: false,
    };
    let components = value["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    for component in components {
        let words = component["text"].as_str().unwrap_or_default();
        match kind(component).as_str() {
            "HEADER" => match component["format"].as_str().unwrap_or("TEXT").to_ascii_uppercase().as_str() {
                "TEXT" => template.header = Some(Header::Text(Text::read(words))),
                "IMAGE" => template.header = Some(Header::File(MediaKind::Image)),
                "VIDEO" => template.header = Some(Header::File(MediaKind::Video)),
                "DOCUMENT" => template.header = Some(Header::File(MediaKind::Document)),
                _ => template.beyond_us = true,
            },
            "BODY" => template.body = Text::read(words),
            "FOOTER" => {}
            "BUTTONS" => {
                for one in component["buttons"].as_array().into_iter().flatten() {
                    match button(one) {
                        Some(button) => template.buttons.push(button),
                        None => template.beyond_us = true,
                    }
                }
            }
            _ => template.beyond_us = true,
        }
    }
    // A placeholder with a name although no format was declared.
    let has_names = |text: &Text| text.names().iter().any(|name| name.parse::<u32>().is_err());
    let in_header = matches!(&template.header, Some(Header::Text(text)) if has_names(text));
    template.named |= in_header || has_names(&template.body);
    let shown = shown(value, components);
    Some(TemplateList { template, shown })
}

fn kind(component: &Value) -> String {
    component["type"].as_str().unwrap_or_default().to_ascii_uppercase()
}

fn button(button: &Value) -> Option<Button> {
    Some(match kind(button).as_str() {
        "URL" => Button::Url(Text::read(button["url"].as_str().unwrap_or_default())),
        "QUICK_REPLY" => Button::QuickReply,
        "COPY_CODE" => Button::CopyCode,
        "FLOW" => Button::Flow,
        "PHONE_NUMBER" | "VOICE_CALL" | "REQUEST_CONTACT_INFO" => Button::Fixed,
        _ => return None,
    })
}

/// Without examples: they hold addresses that soon stop working.
fn shown(value: &Value, components: &[Value]) -> Value {
    let keep = |value: &Value, names: &[&str]| -> Map<String, Value> {
        let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
        kept.filter(|(_, value)| !value.is_null()).collect()
    };
    let component = |component: &Value| {
        let mut kept = keep(component, &["type", "format", "text"]);
        if let Some(buttons) = component["buttons"].as_array() {
            let buttons = buttons.iter().map(|button| keep(button, &["type", "text", "url", "phone_number"]));
            kept.insert("buttons".to_owned(), buttons.map(Value::from).collect());
        }
        Value::from(kept)
    };
    let mut all = keep(value, &["id", "name", "language", "status", "category", "parameter_format"]);
    all.insert("components".to_owned(), components.iter().map(component).collect());
    all.into()
}

/// The member `template` of a message. `file` is where the header's file was uploaded to, or its public address.
pub fn compose(filled: &Filled, file: Option<&HeaderFile>) -> Value {
    let text = |(name, value): &(String, String)| {
        let mut parameter = json!({ "type": "text", "text": value });
        if filled.named {
            parameter["parameter_name"] = json!(name);
        }
        parameter
    };
    let texts = |pairs: &[(String, String)]| pairs.iter().map(text).collect::<Vec<_>>();
    let mut components = Vec::new();
    match (&filled.header, file) {
        (Some(FilledHeader::Text(pairs)), _) => {
            components.push(json!({ "type": "header", "parameters": texts(pairs) }));
        }
        (Some(FilledHeader::File { kind, .. }), Some(file)) => {
            let parameter = json!({ "type": word(*kind), word(*kind): file.compose(*kind) });
            components.push(json!({ "type": "header", "parameters": [parameter] }));
        }
        (Some(FilledHeader::File { .. }) | None, _) => {}
    }
    if !filled.body.is_empty() {
        components.push(json!({ "type": "body", "parameters": texts(&filled.body) }));
    }
    for (at, button) in &filled.buttons {
        let (kind, parameter) = match button {
            FilledButton::Url(end) => ("url", json!({ "type": "text", "text": end })),
            FilledButton::QuickReply(payload) => ("quick_reply", json!({ "type": "payload", "payload": payload })),
            FilledButton::CopyCode(code) => ("copy_code", json!({ "type": "coupon_code", "coupon_code": code })),
            // Meta wants a token; the bridge has no form of its own to recognize.
            FilledButton::Flow => ("flow", json!({ "type": "action", "action": { "flow_token": "unused" } })),
        };
        components
            .push(json!({ "type": "button", "sub_type": kind, "index": at.to_string(), "parameters": [parameter] }));
    }
    let mut template = json!({ "name": filled.name, "language": { "code": filled.language } });
    if !components.is_empty() {
        template["components"] = components.into();
    }
    template
}

/// A header's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderFile {
    /// Uploaded.
    Uploaded {
        /// Its media id.
        id: domain::MediaId,
        /// Its name, shown for a document.
        name: Option<String>,
    },
    /// Meta fetches it itself.
    Linked {
        /// Its address.
        url: String,
        /// Its name, shown for a document.
        name: Option<String>,
    },
}

impl HeaderFile {
    fn compose(&self, kind: MediaKind) -> Value {
        let (mut object, name) = match self {
            Self::Uploaded { id, name } => (json!({ "id": id }), name),
            Self::Linked { url, name } => (json!({ "link": url }), name),
        };
        if let Some(name) = name.as_ref().filter(|_| kind == MediaKind::Document) {
            object["filename"] = json!(name);
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use domain::{MediaId, template::Picked};

    use super::*;

    fn listed(components: &Value) -> TemplateList {
        read(&json!({ "id": "1", "name": "x", "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
            "parameter_format": "POSITIONAL", "quality_score": { "score": "GREEN" }, "components": components }))
        .unwrap()
    }

    #[test]
    fn a_template_is_read_filled_and_written_as_meta_wants_it() {
        let listed = listed(&json!([
            { "type": "HEADER", "format": "DOCUMENT", "example": { "header_handle": ["https://scontent.example/x"] } },
            { "type": "BODY", "text": "Hola {{1}}: {{2}}", "example": { "body_text": [["Ana", "x"]] } },
            { "type": "FOOTER", "text": "LMotos" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "Sí" },
                { "type": "URL", "text": "Ver", "url": "https://x.example/{{1}}", "example": ["https://x.example/1"] },
                { "type": "COPY_CODE", "example": "MOTO10" },
                { "type": "FLOW", "text": "Datos", "flow_id": 7 },
            ] },
        ]));
        let mut picked = listed.template.pick(&["https://c.example/a.pdf", "Ana", "250Z", "88412", "MOTO10"]).unwrap();
        picked.buttons[0] = Some("SI".to_owned());
        let filled = listed.template.fill(&picked).unwrap();
        let file = HeaderFile::Uploaded { id: MediaId::new("9"), name: Some("a.pdf".into()) };
        assert_eq!(
            compose(&filled, Some(&file)),
            json!({ "name": "x", "language": { "code": "es_MX" }, "components": [
                { "type": "header", "parameters": [{ "type": "document", "document": { "id": "9", "filename": "a.pdf" } }] },
                { "type": "body", "parameters": [{ "type": "text", "text": "Ana" }, { "type": "text", "text": "250Z" }] },
                { "type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{ "type": "payload", "payload": "SI" }] },
                { "type": "button", "sub_type": "url", "index": "1", "parameters": [{ "type": "text", "text": "88412" }] },
                { "type": "button", "sub_type": "copy_code", "index": "2", "parameters": [{ "type": "coupon_code", "coupon_code": "MOTO10" }] },
                { "type": "button", "sub_type": "flow", "index": "3", "parameters": [{ "type": "action", "action": { "flow_token": "unused" } }] },
            ] })
        );
        let text = listed.shown.to_string();
        assert!(!text.contains("example\"") && !text.contains("scontent") && !text.contains("quality"), "{text}");
        assert!(text.contains("Hola {{1}}") && text.contains("https://x.example/{{1}}"), "{text}");
    }

    #[test]
    fn names_go_with_their_values_and_nothing_needs_no_components() {
        let named = listed(&json!([{ "type": "header", "format": "text", "text": "Hola {{quien}}" },
            { "type": "body", "text": "Tu {{modelo}}" }]));
        assert!(named.template.named);
        let filled = named.template.fill(&named.template.pick(&["Ana", "250Z"]).unwrap()).unwrap();
        let parameter = |name: &str, text: &str| json!({ "type": "text", "text": text, "parameter_name": name });
        assert_eq!(
            compose(&filled, None)["components"],
            json!([{ "type": "header", "parameters": [parameter("quien", "Ana")] },
                { "type": "body", "parameters": [parameter("modelo", "250Z")] }])
        );
        let header =
            listed(&json!([{ "type": "HEADER", "text": "Hola {{quien}}" }, { "type": "BODY", "text": "Hoy" }]));
        let filled = header.template.fill(&header.template.pick(&["Ana"]).unwrap()).unwrap();
        assert_eq!(compose(&filled, None)["components"][0]["parameters"], json!([parameter("quien", "Ana")]));
        let plain = listed(&json!([{ "type": "BODY", "text": "Hola" }]));
        let filled = plain.template.fill(&Picked::default()).unwrap();
        assert_eq!(compose(&filled, None), json!({ "name": "x", "language": { "code": "es_MX" } }));
    }

    #[test]
    fn what_nobody_can_fill_in_is_known() {
        for component in [
            json!({ "type": "CAROUSEL", "cards": [] }),
            json!({ "type": "HEADER", "format": "LOCATION" }),
            json!({ "type": "LIMITED_TIME_OFFER" }),
            json!({ "type": "BUTTONS", "buttons": [{ "type": "CATALOG" }] }),
        ] {
            assert!(listed(&json!([component])).template.beyond_us, "{component}");
        }
        assert_eq!(read(&json!({ "name": "x" })), None);
        let odd = read(&json!({ "name": "x", "language": "es", "components": 7, "status": "WHO_KNOWS" })).unwrap();
        assert_eq!(odd.template.standing, Standing::Closed);
    }
}
