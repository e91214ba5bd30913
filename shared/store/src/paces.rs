//! How many messages a number sends in a second, over all functions that send.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use domain::PhoneNumberId;

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, Written, integer, number},
};

/// How long a second is remembered; nobody asks for it again.
const KEPT: Duration = Duration::from_secs(3600);

/// The seconds.
#[derive(Clone, Debug)]
pub struct Paces {
    table: Table,
}

impl Paces {
    /// Those of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// One more message wants to go out in this second: its place in it, from 1.
    pub async fn place(&self, channel: &PhoneNumberId) -> Result<u64, StoreError> {
        let now = self.table.now();
        let change = Change {
            key: Key::new(format!("pace#{channel}"), format!("{:019}", now.as_secs())),
            update: "SET expires_at = :end ADD wanted :one".to_owned(),
            condition: None,
            values: Item::from([(":end".to_owned(), integer((now + KEPT).as_secs())), (":one".to_owned(), integer(1))]),
        };
        let written = self.table.update(change, ReturnValue::AllNew).await?;
        let (Written::Done(item) | Written::Refused(item)) = written;
        Ok(item.and_then(|item| number(&item, "wanted")).and_then(|wanted| wanted.try_into().ok()).unwrap_or(1))
    }
}
