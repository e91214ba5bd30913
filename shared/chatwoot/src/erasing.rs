//! Deletes a customer's conversations, contacts and all that depends on them (§3.7). Chatwoot answers at once and deletes
//! later, so a check afterwards decides.

use domain::{ContactId, ConversationId, InboxId, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::{
    Chatwoot, ChatwootError, Contact,
    client::{filled, found},
};

/// How many conversations a list shows per page.
pub const CONVERSATIONS_PER_PAGE: u32 = 25;

/// How many conversations of a contact are shown, the last active first.
pub const MAX_CONVERSATIONS_SHOWN: usize = 20;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationPage {
    /// The conversations on it.
    pub rows: Vec<ConversationAge>,
    /// How many the whole list has.
    pub total: u32,
}

/// What is removed from a contact that stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactStrip<'a> {
    /// The id it has from now on.
    pub identifier: Option<&'a str>,
    /// Its name from now on.
    pub name: Option<&'a str>,
    /// Whether its phone is removed.
    pub phone: bool,
    /// The attributes that are removed.
    pub attributes: Vec<String>,
}

/// A conversation as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationAge {
    /// Its id.
    pub id: ConversationId,
    /// The inbox it is in.
    pub inbox: Option<InboxId>,
    /// The contact.
    pub contact: Option<Contact>,
    /// When Chatwoot last saw anything happen in it; a label or another person's change counts as well.
    pub active_at: Option<Timestamp>,
    /// When the last message or note was written, by its own date where it has one: an imported message keeps its old date.
    pub said_at: Option<Timestamp>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether an agent has closed it.
    pub resolved: bool,
}

#[derive(Deserialize)]
struct Row {
    id: ConversationId,
    #[serde(default)]
    inbox_id: Option<InboxId>,
    #[serde(default)]
    meta: Option<Meta>,
    #[serde(default)]
    last_activity_at: Option<Value>,
    #[serde(default)]
    created_at: Option<Value>,
    #[serde(default)]
    last_non_activity_message: Option<Value>,
    #[serde(default)]
    labels: Option<Vec<String>>,
    #[serde(default)]
    status: Option<Value>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    sender: Option<Contact>,
}

impl From<Row> for ConversationAge {
    fn from(row: Row) -> Self {
        let at = |value: &Value| value.as_i64().map(Timestamp::from_secs);
        let said_at = match &row.last_non_activity_message {
            Some(message) => own_date(message),
            // No message was ever written in it.
            None => row.created_at.as_ref().and_then(at),
        };
        Self {
            id: row.id,
            inbox: row.inbox_id,
            contact: row.meta.and_then(|meta| meta.sender),
            active_at: row.last_activity_at.as_ref().and_then(at),
            said_at,
            labels: row.labels.unwrap_or_default(),
            resolved: row.status.as_ref().and_then(Value::as_str) == Some("resolved"),
        }
    }
}

/// When a message was sent: Chatwoot cannot be given that time, but keeps what the bridge says about it
/// (`external_created_at`).
fn own_date(message: &Value) -> Option<Timestamp> {
    let at = |value: &Value| value.as_i64().map(Timestamp::from_secs);
    let created = message.get("created_at").and_then(at)?;
    let own = message.get("content_attributes").and_then(|attributes| attributes.get("external_created_at"));
    Some(own.and_then(at).map_or(created, |own| own.min(created)))
}

impl Chatwoot {
    /// Deletes a conversation, with its messages and files. One that is gone already counts as deleted.
    pub async fn delete_conversation(&self, id: ConversationId) -> Result<(), ChatwootError> {
        found(self.done(self.request(Method::DELETE, &["conversations", &id.to_string()])).await).map(|_| ())
    }

    /// Deletes what an agent typed there and did not send. `None` if there is no such conversation.
    pub async fn delete_draft(&self, id: ConversationId) -> Result<Option<()>, ChatwootError> {
        let path = ["conversations", &id.to_string(), "draft_messages"];
        found(self.done(self.request(Method::DELETE, &path)).await)
    }

    /// Removes all its own attributes from a conversation. `None` if there is no such conversation.
    pub async fn empty_attributes(&self, id: ConversationId) -> Result<Option<()>, ChatwootError> {
        found(self.set_attributes(id, &Map::new()).await)
    }

    /// Deletes a contact; what depends on it is deleted later.
    pub async fn delete_contact(&self, id: ContactId) -> Result<(), ChatwootError> {
        found(self.done(self.request(Method::DELETE, &["contacts", &id.to_string()])).await).map(|_| ())
    }

    /// A contact; `None` if it is gone.
    pub async fn contact(&self, id: ContactId) -> Result<Option<Contact>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Contact,
        }
        let request = self.request(Method::GET, &["contacts", &id.to_string()]);
        let answer: Option<Answer> = found(self.json(request).await)?;
        Ok(answer.map(|answer| answer.payload))
    }

    /// The ids under which inboxes hold a contact; an agent who merged two contacts gave it those of both.
    pub async fn sources_of(&self, id: ContactId) -> Result<Vec<String>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(default)]
            contact_inboxes: Vec<Source>,
        }
        #[derive(Deserialize)]
        struct Source {
            #[serde(default, deserialize_with = "filled")]
            source_id: Option<String>,
        }
        let answer: Option<Answer> = found(self.json(self.request(Method::GET, &["contacts", &id.to_string()])).await)?;
        let sources = answer.into_iter().flat_map(|answer| answer.payload.contact_inboxes);
        Ok(sources.filter_map(|source| source.source_id).collect())
    }

    /// Removes the data of an erased person from a contact that stays.
    pub async fn strip_contact(&self, id: ContactId, strip: &ContactStrip<'_>) -> Result<(), ChatwootError> {
        let mut body = json!({});
        if let Some(identifier) = strip.identifier {
            body["identifier"] = json!(identifier);
        }
        if let Some(name) = strip.name {
            body["name"] = json!(name);
        }
        if strip.phone {
            body["phone_number"] = Value::Null;
        }
        if !strip.attributes.is_empty() {
            let nothing = strip.attributes.iter().map(|name| (name.clone(), Value::Null));
            body["custom_attributes"] = Value::Object(nothing.collect());
        }
        found(self.done(self.request(Method::PUT, &["contacts", &id.to_string()]).json(&body)).await).map(|_| ())
    }

    /// The last twenty conversations of a contact, of all inboxes.
    pub async fn conversations_of(&self, contact: ContactId) -> Result<Vec<ConversationAge>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Row>,
        }
        let request = self.request(Method::GET, &["contacts", &contact.to_string(), "conversations"]);
        let answer: Option<Answer> = found(self.json(request).await)?;
        Ok(answer.into_iter().flat_map(|answer| answer.payload).map(ConversationAge::from).collect())
    }

    /// The labels of a conversation; `None` if it is gone.
    pub async fn labels(&self, id: ConversationId) -> Result<Option<Vec<String>>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<String>,
        }
        let request = self.request(Method::GET, &["conversations", &id.to_string(), "labels"]);
        let answer: Option<Answer> = found(self.json(request).await)?;
        Ok(answer.map(|answer| answer.payload))
    }

    /// One page of an inbox's conversations in which nothing has happened since that day.
    pub async fn inactive(
        &self,
        inbox: InboxId,
        since: Timestamp,
        page: u32,
    ) -> Result<ConversationPage, ChatwootError> {
        self.filtered(inbox, Some(("last_activity_at", "is_less_than", json!(day(since)))), page).await
    }

    /// One page of all conversations of an inbox.
    pub async fn every(&self, inbox: InboxId, page: u32) -> Result<ConversationPage, ChatwootError> {
        self.filtered(inbox, None, page).await
    }

    /// One page of an inbox's conversations with a label.
    pub async fn labeled(&self, inbox: InboxId, label: &str, page: u32) -> Result<ConversationPage, ChatwootError> {
        self.filtered(inbox, Some(("labels", "equal_to", json!(label))), page).await
    }

    async fn filtered(
        &self,
        inbox: InboxId,
        and: Option<(&str, &str, Value)>,
        page: u32,
    ) -> Result<ConversationPage, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Row>,
            #[serde(default)]
            meta: Counted,
        }
        #[derive(Default, Deserialize)]
        struct Counted {
            #[serde(default)]
            all_count: u32,
        }
        let condition = |key: &str, operator: &str, value: Value, and: Option<&str>| json!({ "attribute_key": key, "filter_operator": operator, "values": [value], "query_operator": and });
        let mut payload = vec![condition("inbox_id", "equal_to", json!(inbox), and.is_some().then_some("AND"))];
        payload.extend(and.map(|(key, operator, value)| condition(key, operator, value, None)));
        let body = json!({ "payload": payload });
        let mut url = self.url(&["conversations", "filter"]);
        url.query_pairs_mut().append_pair("page", &page.to_string());
        let answer: Answer = self.json(self.post(url).json(&body)).await?;
        Ok(ConversationPage {
            rows: answer.payload.into_iter().map(ConversationAge::from).collect(),
            total: answer.meta.all_count,
        })
    }
}

/// A day as Chatwoot's filters want it, in UTC: `2026-11-20`.
fn day(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(at.as_secs()).map(|at| at.date().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_as_a_date() {
        for (secs, text) in [(0, "1970-01-01"), (1_795_190_400, "2026-11-20"), (1_709_208_000, "2024-02-29")] {
            assert_eq!(day(Timestamp::from_secs(secs)), text);
        }
    }
}
