//! Remembers whether a number's phone was asked for what it knows, whichever link the question came by.
//! Meta takes each of the two requests once for an onboarding: it belongs to the number, and ends when its owner leaves.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{PhoneNumberId, Timestamp, signup::OnceOnly};
use serde::Deserialize;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, UpdateOutcome, integer},
};

/// How long it is remembered.
const TTL: Duration = Duration::from_secs(3 * 365 * 86_400);

/// The requests.
#[derive(Clone, Debug)]
pub struct PastAsked {
    table: Table,
}

/// One of the two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastRequest {
    /// For the contact book.
    Contacts,
    /// For the chats.
    History,
}

#[derive(Default, Deserialize)]
struct Row {
    #[serde(default)]
    contacts: OnceOnly,
    #[serde(default)]
    history: OnceOnly,
}

impl Row {
    fn state(&self, request: PastRequest) -> OnceOnly {
        match request {
            PastRequest::Contacts => self.contacts,
            PastRequest::History => self.history,
        }
    }
}

impl PastRequest {
    fn attribute(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::History => "history",
        }
    }
}

impl PastAsked {
    /// Requests in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// How far a request is.
    pub async fn state(&self, number: &PhoneNumberId, request: PastRequest) -> Result<OnceOnly, StoreError> {
        let row: Option<Row> = self.table.get(&key(number)).await?;
        Ok(row.unwrap_or_default().state(request))
    }

    /// Writes down that a request is about to be sent. `false` means that it was begun before.
    pub async fn begin(&self, number: &PhoneNumberId, request: PastRequest, at: Timestamp) -> Result<bool, StoreError> {
        let name = request.attribute();
        let change =
            self.change(number, request, OnceOnly::Intent { at }, Some(format!("attribute_not_exists({name})")));
        Ok(matches!(self.table.update(change?, ReturnValue::None).await?, UpdateOutcome::Done(_)))
    }

    /// Writes down what became of it.
    pub async fn set(&self, number: &PhoneNumberId, request: PastRequest, state: OnceOnly) -> Result<(), StoreError> {
        if state != OnceOnly::None {
            return self.table.change(self.change(number, request, state, None)?).await;
        }
        let update = format!("REMOVE {}", request.attribute());
        let condition = Some("attribute_exists(pk)".to_owned());
        self.table.change(ItemUpdate { key: key(number), update, condition, values: Item::new() }).await
    }

    /// The owner has left: a new onboarding may be asked again.
    pub async fn forget(&self, number: &PhoneNumberId) -> Result<(), StoreError> {
        self.table.delete(&key(number)).await
    }

    fn change(
        &self,
        number: &PhoneNumberId,
        request: PastRequest,
        state: OnceOnly,
        condition: Option<String>,
    ) -> Result<ItemUpdate, StoreError> {
        let values = Item::from([
            (":state".to_owned(), serde_dynamo::to_attribute_value(state)?),
            (":end".to_owned(), integer((self.table.now() + TTL).as_secs())),
        ]);
        let update = format!("SET {} = :state, expires_at = :end", request.attribute());
        Ok(ItemUpdate { key: key(number), update, condition, values })
    }
}

fn key(number: &PhoneNumberId) -> Key {
    ItemKey::PastAsked(number.clone()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Stage;

    #[tokio::test]
    async fn a_request_is_begun_once_until_its_owner_leaves() {
        let stage = Stage::new().await;
        let (asked, number) = (PastAsked::new(stage.table.clone()), PhoneNumberId::new("1"));
        let (contacts, at) = (PastRequest::Contacts, stage.now());
        assert!(asked.begin(&number, contacts, at).await.unwrap());
        assert!(!asked.begin(&number, contacts, at).await.unwrap(), "it is about to be sent");
        assert_eq!(asked.state(&number, contacts).await.unwrap(), OnceOnly::Intent { at });
        assert_eq!(asked.state(&number, PastRequest::History).await.unwrap(), OnceOnly::None);
        asked.set(&number, contacts, OnceOnly::None).await.unwrap();
        assert!(asked.begin(&number, contacts, at).await.unwrap(), "it was certainly not taken");
        asked.set(&number, contacts, OnceOnly::Asked { at }).await.unwrap();
        assert!(!asked.begin(&number, contacts, at).await.unwrap());
        asked.forget(&number).await.unwrap();
        assert!(asked.begin(&number, contacts, at).await.unwrap(), "it joined again");
    }
}
