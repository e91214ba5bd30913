//! Contacts and inboxes one by one (§1.1, §3.2).

use domain::{ContactId, InboxId};
use reqwest::Method;
use serde::Deserialize;

use crate::{
    ChatwootError,
    client::{Chatwoot, Contact, found},
};

impl Chatwoot {
    /// A contact by its id; nothing if it is gone.
    pub async fn contact(&self, contact: ContactId) -> Result<Option<Contact>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Contact,
        }
        let request = self.request(Method::GET, &["contacts", &contact.to_string()]);
        let answer: Option<Answer> = found(self.json(request).await)?;
        Ok(answer.map(|answer| answer.payload))
    }

    /// Whether a contact has one conversation for good in an inbox. A version that does not say so is taken to be set up as
    /// `docs/setup.md` asks.
    pub async fn is_locked(&self, inbox: InboxId) -> Result<bool, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            lock_to_single_conversation: Option<bool>,
        }
        let answer: Answer = self.json(self.request(Method::GET, &["inboxes", &inbox.to_string()])).await?;
        Ok(answer.lock_to_single_conversation.unwrap_or(true))
    }
}
