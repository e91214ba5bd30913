//! Records which files Meta holds of a customer.
//! An erasure can then delete them there with everything else. Only ids are kept, for as long as Meta keeps the files.

use std::time::Duration;

use domain::{CustomerId, KeyedHash, MediaId, PhoneNumberId, Timestamp, Wamid};
use serde::Serialize;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key},
};

/// Meta keeps a customer's file seven days, and one more for differing clocks.
const RECEIVED_MEDIA_TTL: Duration = Duration::from_secs(8 * 86_400);

/// Meta keeps an uploaded file thirty days (§5).
const UPLOADED_MEDIA_TTL: Duration = Duration::from_secs(31 * 86_400);

#[derive(Serialize)]
struct MediaRow<'a> {
    customer: &'a CustomerId,
    /// When the message with it was sent; only of what a customer sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    /// The hash under which that message is linked, if it has an id: whether it is in Chatwoot tells whether the file is still to
    /// come.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<KeyedHash<Wamid>>,
    expires_at: i64,
}

/// The files at Meta.
#[derive(Clone, Debug)]
pub struct MediaAtMeta {
    table: Table,
}

impl MediaAtMeta {
    /// Files known in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// A file that a customer sent at that time, with a message that is linked under `message`.
    pub async fn received(
        &self,
        customer: &CustomerId,
        number: &PhoneNumberId,
        media: &MediaId,
        sent_at: Timestamp,
        message: Option<KeyedHash<Wamid>>,
    ) -> Result<(), StoreError> {
        let expires_at = (self.table.now() + RECEIVED_MEDIA_TTL).as_secs();
        self.table.put(&key(number, media), &MediaRow { customer, sent_at: Some(sent_at), message, expires_at }).await
    }

    /// Forgets that a file is a customer's: its message starts anew as another customer's.
    pub async fn forget(&self, number: &PhoneNumberId, media: &MediaId) -> Result<(), StoreError> {
        self.table.delete(&key(number, media)).await
    }

    /// A file that was uploaded to be sent to a customer.
    pub async fn uploaded(
        &self,
        customer: &CustomerId,
        number: &PhoneNumberId,
        media: &MediaId,
    ) -> Result<(), StoreError> {
        let expires_at = (self.table.now() + UPLOADED_MEDIA_TTL).as_secs();
        self.table.put(&key(number, media), &MediaRow { customer, sent_at: None, message: None, expires_at }).await
    }
}

fn key(number: &PhoneNumberId, media: &MediaId) -> Key {
    ItemKey::MediaAtMeta(number.clone(), media.clone()).into()
}
