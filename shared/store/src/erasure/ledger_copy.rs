//! Keeps a copy of the ledger of erasures in a table of its own.
//! The copy outlives the loss of the bridge's table, and is what a restored one gets its requests and tombstones back from.

use std::collections::{BTreeMap, BTreeSet};

use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::{
    StoreError, Table,
    erasure::ledger::ErasureRow,
    keys::{ItemKey, Key},
    table::Item,
};

/// The copy.
#[derive(Clone, Debug)]
pub struct LedgerCopy {
    table: Table,
}

/// What a run did to the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LedgerCopied {
    /// Items that are new or different.
    pub written: u64,
    /// Items that were there already.
    pub unchanged: u64,
    /// Data subjects that went, since their request is closed.
    pub dropped: u64,
}

impl LedgerCopy {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Writes what is new in the export. What the export lacks stays: the bridge's table may have lost it. Only the data subject of
    /// a request that is closed by now goes.
    pub async fn keep(&self, exported: &[Value]) -> Result<LedgerCopied, StoreError> {
        let (mut copied, known) = (LedgerCopied::default(), self.known().await?);
        let mut closed = closed(known.values())?;
        closed.append(&mut self::closed(exported)?);
        for value in exported {
            let item: Item = to_item(value)?;
            let Some(key) = ItemKey::of(&item).map(Key::from) else { continue };
            let id = id(&key);
            // A table that was put back to an earlier day knows less than the copy.
            let is_older = match ItemKey::of(&item) {
                Some(ItemKey::Erasure(of)) => closed.contains(of.as_str()) && !is_closed(value)?,
                Some(ItemKey::DataSubject(of)) => closed.contains(of.as_str()),
                _ => false,
            };
            if is_older || known.get(&id) == Some(value) {
                copied.unchanged += 1;
                continue;
            }
            self.table.put(&key, value).await?;
            copied.written += 1;
        }
        for value in known.values() {
            let item: Item = to_item(value)?;
            if let Some(ItemKey::DataSubject(of)) = ItemKey::of(&item)
                && closed.contains(of.as_str())
            {
                self.table.delete(&ItemKey::DataSubject(of).into()).await?;
                copied.dropped += 1;
            }
        }
        Ok(copied)
    }

    /// Everything in it, as `Restore::apply` takes it.
    pub async fn read(&self) -> Result<Vec<Value>, StoreError> {
        Ok(self.known().await?.into_values().collect())
    }

    async fn known(&self) -> Result<BTreeMap<String, Value>, StoreError> {
        let items = self.table.table_pages("attribute_exists(pk)", Item::new()).consistent().all().await?;
        let alive = items.into_iter().filter(|item| self.table.is_alive(item));
        let read = |item: Item| -> Option<Result<(String, Value), StoreError>> {
            let key = Key::from(ItemKey::of(&item)?);
            Some(from_item(item).map(|value| (id(&key), value)).map_err(StoreError::from))
        };
        alive.filter_map(read).collect()
    }
}

fn id(key: &Key) -> String {
    format!("{:?}", key.attributes().into_iter().collect::<BTreeMap<_, _>>())
}

fn code(value: &Value) -> Option<&str> {
    value["code"].as_str()
}

fn is_request(value: &Value) -> Result<bool, StoreError> {
    Ok(matches!(ItemKey::of(&to_item(value)?), Some(ItemKey::Erasure(_))))
}

fn is_closed(value: &Value) -> Result<bool, StoreError> {
    Ok(from_item::<ErasureRow>(to_item(value)?)?.erasure.is_closed())
}

/// The codes of the requests that are closed.
fn closed<'v>(values: impl IntoIterator<Item = &'v Value>) -> Result<BTreeSet<String>, StoreError> {
    let mut closed = BTreeSet::new();
    for value in values {
        if is_request(value)? && is_closed(value)? {
            closed.extend(code(value).map(str::to_owned));
        }
    }
    Ok(closed)
}
