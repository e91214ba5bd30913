//! The balance sheet: what became of the items of each channel and day, counted in the write that seals their fate.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use domain::Subject;

use crate::{
    StoreError, Table,
    claims::Claims,
    table::{Change, Item, Key, integer},
};

const KEPT: Duration = Duration::from_secs(400 * 86_400);

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is where it belongs.
    Done,
    /// It had been handled before.
    Duplicate,
    /// It was turned away for a reason.
    Refused(&'static str),
}

impl Fate {
    fn attribute(self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Duplicate => "duplicate".to_owned(),
            Self::Refused(reason) => format!("refused_{reason}"),
        }
    }
}

/// The counters.
#[derive(Clone, Debug)]
pub struct Counters {
    table: Table,
}

impl Counters {
    /// Counters of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Counts an item whose fate is written nowhere else.
    pub async fn count(&self, channel: &str, item: &Subject, fate: Fate) -> Result<(), StoreError> {
        self.table.update(self.change(channel, item, fate), ReturnValue::None).await.map(|_| ())
    }

    /// Closes a claimed item: done, and counted, in one write.
    pub async fn close(&self, claims: &Claims, channel: &str, item: &Subject, fate: Fate) -> Result<(), StoreError> {
        self.close_with(claims, channel, item, fate, Vec::new()).await
    }

    pub(crate) async fn close_with(
        &self,
        claims: &Claims,
        channel: &str,
        item: &Subject,
        fate: Fate,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let mut writes = others;
        writes.extend(self.closing(claims, channel, item, fate)?);
        // Nothing here has a condition: a refusal can only be another write in the way.
        for _ in 0..8 {
            if self.table.transact(writes.clone()).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    /// The writes that close a claimed item and count it.
    pub(crate) fn closing(
        &self,
        claims: &Claims,
        channel: &str,
        item: &Subject,
        fate: Fate,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        Ok(vec![claims.done(item)?, self.table.transact_update(self.change(channel, item, fate))?])
    }

    /// What was counted for a channel on a day, by fate.
    pub async fn sheet(&self, channel: &str, day: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = self.table.items(&format!("counter#{channel}"), &format!("{day}#"), &format!("{day}#~")).await?;
        let mut sheet = std::collections::BTreeMap::<String, i64>::new();
        for row in rows {
            for (name, value) in row.iter().filter(|(name, _)| !matches!(name.as_str(), "pk" | "sk" | "expires_at")) {
                let count = value.as_n().ok().and_then(|n| n.parse::<i64>().ok()).unwrap_or_default();
                *sheet.entry(name.clone()).or_default() += count;
            }
        }
        Ok(sheet.into_iter().collect())
    }

    fn change(&self, channel: &str, item: &Subject, fate: Fate) -> Change {
        let now = self.table.now();
        // 256 rows a day: transactions on one row would stand in each other's way.
        let shard = item.as_str().get(..2).unwrap_or("00");
        Change {
            key: Key::new(format!("counter#{channel}"), format!("{}#{shard}", now.day())),
            update: format!("ADD {} :one SET expires_at = :end", fate.attribute()),
            condition: None,
            values: Item::from([(":one".to_owned(), integer(1)), (":end".to_owned(), integer((now + KEPT).as_secs()))]),
        }
    }
}
