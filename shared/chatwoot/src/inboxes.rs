//! Reads and writes an inbox's own settings (§1.1, §1.2). They say what agents may write, and which templates they see.

use domain::InboxId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Chatwoot, ChatwootError};

impl Chatwoot {
    /// The inbox's `additional_attributes`.
    pub async fn inbox_attributes(&self, inbox: InboxId) -> Result<Map<String, Value>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            additional_attributes: Option<Map<String, Value>>,
        }
        let answer: Answer = self.json(self.request(Method::GET, &["inboxes", &inbox.to_string()])).await?;
        Ok(answer.additional_attributes.unwrap_or_default())
    }

    /// Replaces all of them by these. Only an administrator's token may.
    pub async fn set_inbox_attributes(
        &self,
        inbox: InboxId,
        attributes: &Map<String, Value>,
    ) -> Result<(), ChatwootError> {
        let request = self.request(Method::PATCH, &["inboxes", &inbox.to_string()]);
        let request = request.json(&json!({ "channel": { "additional_attributes": attributes } }));
        self.json(request).await.map(|_: Value| ())
    }
}
