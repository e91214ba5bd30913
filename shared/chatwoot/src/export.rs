//! Reads what Chatwoot holds of a person as it is, to give it to them.

use domain::{ContactId, ConversationId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{Chatwoot, ChatwootError, client::found};

/// Pages of a conversation that are read at most; each has twenty messages.
const MAX_PAGES: usize = 5_000;

#[derive(Deserialize)]
struct Payload<T> {
    payload: T,
}

impl Chatwoot {
    /// A contact as Chatwoot shows it; nothing if it is gone.
    pub async fn contact_document(&self, id: ContactId) -> Result<Option<Value>, ChatwootError> {
        let answer: Result<Payload<Value>, _> =
            self.json(self.request(Method::GET, &["contacts", &id.to_string()])).await;
        Ok(found(answer)?.map(|answer| answer.payload))
    }

    /// A conversation as Chatwoot shows it, without its messages; nothing if it is gone.
    pub async fn conversation_document(&self, id: ConversationId) -> Result<Option<Value>, ChatwootError> {
        let answer: Result<Value, _> = self.json(self.request(Method::GET, &["conversations", &id.to_string()])).await;
        Ok(found(answer)?.map(|mut conversation| {
            if let Some(members) = conversation.as_object_mut() {
                members.remove("messages");
            }
            conversation
        }))
    }

    /// All messages of a conversation as Chatwoot shows them, the oldest first.
    pub async fn message_documents(&self, id: ConversationId) -> Result<Vec<Value>, ChatwootError> {
        let (mut all, mut before) = (Vec::<Value>::new(), None::<i64>);
        for _ in 0..MAX_PAGES {
            let mut url = self.url(&["conversations", &id.to_string(), "messages"]);
            if let Some(before) = before {
                url.query_pairs_mut().append_pair("before", &before.to_string());
            }
            let page: Option<Payload<Vec<Value>>> = found(self.json(self.get(url)).await)?;
            let page = page.map(|page| page.payload).unwrap_or_default();
            let oldest =
                page.iter().filter_map(number).min().filter(|oldest| before.is_none_or(|before| *oldest < before));
            all.extend(page.into_iter().filter(|message| before.is_none_or(|before| number(message) < Some(before))));
            match oldest {
                Some(oldest) => before = Some(oldest),
                None => break,
            }
        }
        all.sort_by_key(number);
        Ok(all)
    }
}

fn number(message: &Value) -> Option<i64> {
    message["id"].as_i64()
}
