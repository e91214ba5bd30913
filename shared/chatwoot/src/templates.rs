//! The templates of an inbox, as the dashboard's picker finds them (§1.2), for agents who have no picker.

use domain::{InboxId, command::Variables};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Chatwoot, ChatwootError};

/// One language of a template, in Meta's own shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Value);

impl Chatwoot {
    /// The approved templates of an inbox.
    pub async fn templates(&self, inbox: InboxId) -> Result<Vec<Template>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            additional_attributes: Value,
        }
        let request = self.request(Method::GET, &["inboxes", &inbox.to_string()]);
        let answer: Answer = self.json(request).await?;
        let all = answer.additional_attributes["message_templates"].as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().map(Template).filter(Template::is_approved).collect())
    }
}

impl Template {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Its language, such as `es_MX`.
    pub fn language(&self) -> &str {
        self.0["language"].as_str().unwrap_or_default()
    }

    fn is_approved(&self) -> bool {
        self.0["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("approved"))
    }

    /// Its words, with the places of its values in double braces.
    pub fn body(&self) -> &str {
        self.component("BODY").and_then(|body| body["text"].as_str()).unwrap_or_default()
    }

    /// The values its words ask for.
    pub fn variables(&self) -> Variables {
        Variables::of(self.body())
    }

    /// Whether it also asks for what no line of text can give: a file, or the value of a button or a headline.
    pub fn asks_for_more(&self) -> bool {
        let braces = |value: &Value| value.as_str().is_some_and(|text| text.contains("{{"));
        let header = self.component("HEADER").is_some_and(|header| {
            let media = header["format"].as_str().is_some_and(|format| !format.eq_ignore_ascii_case("text"));
            media || braces(&header["text"])
        });
        let buttons = self.component("BUTTONS").and_then(|buttons| buttons["buttons"].as_array());
        let button = |button: &Value| braces(&button["url"]) || button["type"] == "COPY_CODE";
        header || buttons.is_some_and(|buttons| buttons.iter().any(button))
    }

    /// What the picker would store for these values, one for each variable in its order.
    pub fn params(&self, values: &[String]) -> Value {
        let variables = self.variables();
        let body: Map<String, Value> =
            variables.names().iter().cloned().zip(values.iter().map(|value| json!(value))).collect();
        json!({
            "name": self.name(), "language": self.language(), "category": self.0["category"].as_str().unwrap_or_default(),
            "processed_params": if body.is_empty() { json!({}) } else { json!({ "body": body }) },
        })
    }

    fn component(&self, kind: &str) -> Option<&Value> {
        let of_kind = |component: &&Value| component["type"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(kind));
        self.0["components"].as_array()?.iter().find(of_kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(components: &Value) -> Template {
        Template(json!({ "name": "recordatorio", "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
            "components": components }))
    }

    #[test]
    fn what_the_picker_would_store_is_stored() {
        let plain = template(&json!([{ "type": "BODY", "text": "Hola {{1}}, su {{2}} está lista, {{1}}." }]));
        assert!(!plain.asks_for_more());
        assert_eq!(
            plain.params(&["Ana".to_owned(), "250Z".to_owned()]),
            json!({ "name": "recordatorio", "language": "es_MX", "category": "UTILITY",
                "processed_params": { "body": { "1": "Ana", "2": "250Z" } } })
        );
        assert_eq!(template(&json!([{ "type": "BODY", "text": "Hola" }])).params(&[])["processed_params"], json!({}));
    }

    #[test]
    fn files_and_buttons_with_values_need_the_picker() {
        for more in [
            json!([{ "type": "HEADER", "format": "IMAGE" }]),
            json!([{ "type": "HEADER", "format": "TEXT", "text": "Para {{1}}" }]),
            json!([{ "type": "BUTTONS", "buttons": [{ "type": "URL", "url": "https://x.mx/{{1}}" }] }]),
            json!([{ "type": "BUTTONS", "buttons": [{ "type": "COPY_CODE" }] }]),
        ] {
            assert!(template(&more).asks_for_more(), "{more}");
        }
        let fixed = json!([{ "type": "HEADER", "format": "TEXT", "text": "Taller" },
            { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "Sí" }, { "type": "URL", "url": "https://x.mx" }] }]);
        assert!(!template(&fixed).asks_for_more());
    }
}
