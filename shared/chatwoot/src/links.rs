//! Handles messages that need a link which Chatwoot's list does not show. These are surveys and video calls.

use crate::listing::ListedMessage;

/// Part of every survey's link.
const SURVEY_PATH: &str = "/survey/responses/";

/// The first web address among these values.
fn address(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) if text.starts_with("https://") => Some(text.clone()),
        serde_json::Value::Object(members) => members.values().find_map(address),
        serde_json::Value::Array(items) => items.iter().find_map(address),
        _ => None,
    }
}

impl ListedMessage {
    /// Whether it is a survey whose link Chatwoot gives in the callback alone (§2.5).
    pub fn wants_survey_link(&self) -> bool {
        self.content_type.as_deref() == Some("input_csat") && !self.text().contains(SURVEY_PATH)
    }

    /// Adds a link behind its text.
    pub fn add_link(&mut self, link: &str) {
        let words = self.text();
        self.content = Some(if words.is_empty() { link.to_owned() } else { format!("{words} {link}") });
    }

    /// Whether it is of no use to the customer: an integration's invitation, usually to a video call, without an address.
    /// Chatwoot has an address only for visitors of its web chat.
    pub fn lacks_link(&self) -> bool {
        let links = |text: &str| text.contains("https://") || text.contains("http://");
        self.content_type.as_deref() == Some("integrations") && !links(self.text())
    }

    /// The same with the address beside its text, where an integration put it there.
    #[must_use]
    pub fn with_link(mut self) -> Self {
        let address = if self.lacks_link() { address(self.data()) } else { None };
        if let Some(address) = address {
            self.add_link(&address);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(extra: serde_json::Value) -> ListedMessage {
        let mut message = json!({ "id": 7, "content": "Hola", "message_type": 1 });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn what_is_nothing_without_a_link_gets_it_or_says_so() {
        let mut survey = listed(json!({ "content_type": "input_csat", "content": "¿Qué tal? " }));
        assert!(survey.wants_survey_link());
        survey.add_link("https://c.example/survey/responses/u");
        assert_eq!(survey.text(), "¿Qué tal? https://c.example/survey/responses/u");
        assert!(!survey.wants_survey_link() && !listed(json!({})).wants_survey_link());
        let call = |data: serde_json::Value| {
            listed(json!({ "content_type": "integrations", "content": "Ana inició una reunión",
                "content_attributes": { "type": "dyte", "data": data } }))
            .with_link()
        };
        assert!(call(json!({ "meeting_id": "m" })).lacks_link());
        let linked = call(json!({ "meeting": { "url": "https://meet.example/m" } }));
        assert_eq!((linked.lacks_link(), linked.text()), (false, "Ana inició una reunión https://meet.example/m"));
        assert!(!listed(json!({})).lacks_link());
    }
}
