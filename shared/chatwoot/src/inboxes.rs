//! Finds, makes and changes an inbox (§1.1, §1.2). Its settings say what agents may write, and which templates they see.

use domain::InboxId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{Chatwoot, ChatwootError};

/// An inbox of the account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct InboxSettings {
    /// Its id.
    pub id: InboxId,
    /// The name agents see.
    #[serde(default)]
    pub name: String,
    /// Its kind, `Channel::Api` for ours.
    #[serde(default)]
    pub channel_type: String,
    /// Where its callbacks go.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// Whether a contact has one conversation, which is reopened.
    #[serde(default)]
    pub lock_to_single_conversation: bool,
    /// What signs its callbacks. Only an administrator sees it, from 4.13 on.
    #[serde(default)]
    pub secret: Option<String>,
}

/// An inbox as the bridge needs it.
#[derive(Clone, Debug)]
pub struct WantedInbox<'a> {
    /// Its name; one that agents gave it stays.
    pub name: &'a str,
    /// Where its callbacks go.
    pub webhook_url: &'a str,
}

impl InboxSettings {
    /// Whether it is of type API, the only one that takes the bridge's messages.
    pub fn is_api(&self) -> bool {
        self.channel_type == "Channel::Api"
    }
}

impl Chatwoot {
    /// Every inbox of the account.
    pub async fn inboxes(&self) -> Result<Vec<InboxSettings>, ChatwootError> {
        #[derive(Deserialize)]
        struct Inboxes {
            payload: Vec<InboxSettings>,
        }
        let inboxes: Inboxes = self.json(self.request(Method::GET, &["inboxes"])).await?;
        Ok(inboxes.payload)
    }

    /// One of them.
    pub async fn inbox(&self, inbox: InboxId) -> Result<InboxSettings, ChatwootError> {
        self.json(self.request(Method::GET, &["inboxes", &inbox.to_string()])).await
    }

    /// Makes an inbox. Chatwoot makes another one each time: look for it first, also after an unknown outcome.
    pub async fn create_inbox(&self, wanted: &WantedInbox<'_>) -> Result<InboxSettings, ChatwootError> {
        let body = json!({
            "name": wanted.name,
            "lock_to_single_conversation": true,
            "greeting_enabled": false,
            "csat_survey_enabled": false,
            "channel": { "type": "api", "webhook_url": wanted.webhook_url, "hmac_mandatory": false },
        });
        self.json(self.request(Method::POST, &["inboxes"]).json(&body)).await
    }

    /// Points the callbacks of an inbox somewhere, and locks it to a single conversation.
    pub async fn point_inbox(&self, inbox: InboxId, webhook_url: &str) -> Result<InboxSettings, ChatwootError> {
        let body = json!({ "lock_to_single_conversation": true, "channel": { "webhook_url": webhook_url } });
        self.json(self.request(Method::PATCH, &["inboxes", &inbox.to_string()]).json(&body)).await
    }

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

    /// What it calls itself, as its `FRONTEND_URL` says: its log-in page tells. Nothing, if that is no page of Chatwoot's.
    pub async fn own_address(&self) -> Result<Option<Url>, ChatwootError> {
        let page = self.log_in_page().await?;
        let told = page.split_once("hostURL:").map(|(_, rest)| rest.trim_start());
        let told = told.and_then(|rest| rest.strip_prefix(['\'', '"'])).and_then(|rest| rest.split(['\'', '"']).next());
        Ok(told.and_then(|address| address.parse().ok()))
    }

    /// The version it says it has.
    pub async fn version(&self) -> Result<String, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            version: String,
        }
        let answer: Answer = self.json(self.outside(Method::GET, &["api"])).await?;
        Ok(answer.version)
    }
}
