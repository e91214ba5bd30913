//! What of the ledger has to outlive a restore. A table put back to an earlier day brings back whom was erased since; the requests
//! and the tombstones, taken from the table as it was, erase them again before any traffic.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TimeToLiveStatus;
use domain::Subject;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::{
    Belongings, StoreError, Table, Target, Tombstone,
    alias_writes::AliasRow,
    erasures::{Pointer, Row, TargetRow, beside, opened},
    table::{Item, Key, text, with_key},
};

/// What a restored table was brought up to date with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reapplied {
    /// Requests put back.
    pub requests: u64,
    /// Tombstones put back.
    pub tombstones: u64,
    /// Customers that were there again.
    pub customers: u64,
    /// Items of theirs that were deleted again.
    pub items: u64,
}

/// Requests and tombstones, out of one table and into another.
#[derive(Clone, Debug)]
pub struct Restore {
    table: Table,
    belongings: Belongings,
}

impl Restore {
    /// Of this table.
    pub fn new(table: Table, belongings: Belongings) -> Self {
        Self { table, belongings }
    }

    /// Whether the table deletes what is past its end; one that was restored does not until it is told to.
    pub async fn has_time_to_live(&self) -> Result<bool, StoreError> {
        let request = self.table.client.describe_time_to_live().table_name(&self.table.name);
        let told = request.send().await.map_err(StoreError::call)?.time_to_live_description;
        let status = told.and_then(|told| told.time_to_live_status);
        Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
    }

    /// Everything that must not be lost with the table: requests, receipts, whom the open ones are about, their pointers,
    /// tombstones. Keyed hashes, codes, times, and ids in Chatwoot and at Meta; no phone and no user id.
    pub async fn export(&self) -> Result<Vec<Value>, StoreError> {
        let kept = "begins_with(pk, :erasure) OR begins_with(pk, :request) OR begins_with(pk, :tombstone)";
        let values = [(":erasure", "erasure#"), (":request", "request#"), (":tombstone", "tombstone#")];
        let values = values.map(|(name, prefix)| (name.to_owned(), text(prefix)));
        let items = self.table.scan(kept, Item::from(values)).await?;
        let wanted = |item: &Item| {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
            matches!(sk, "ledger" | "target" | "receipt" | "request" | "tombstone" | "dropped")
                && self.table.is_alive(item)
        };
        let kept = |item: Item| -> Result<Value, StoreError> {
            if item.get("sk") != Some(&text("target")) {
                return Ok(from_item(item)?);
            }
            let row: TargetRow = from_item(item.clone())?;
            let row = TargetRow { target: self.belongings.without_names(&row.target), ..row };
            let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
            Ok(from_item(with_key(&Key::new(key("pk"), key("sk")), &row)?)?)
        };
        items.into_iter().filter(wanted).map(kept).collect()
    }

    /// Writes them into this table, and deletes again whoever they say is erased. With `dry` it only counts.
    pub async fn apply(&self, exported: &[Value], dry: bool) -> Result<Reapplied, StoreError> {
        let mut applied = Reapplied::default();
        let mut erased: BTreeSet<domain::CustomerId> = BTreeSet::new();
        let open: BTreeSet<&str> = exported.iter().filter(|value| is_open(value)).filter_map(code).collect();
        for value in exported {
            let item: Item = to_item(value)?;
            let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
            let (pk, sk) = (key("pk"), key("sk"));
            if !self.table.is_alive(&item) {
                continue;
            }
            match sk.as_str() {
                "tombstone" => {
                    applied.tombstones += 1;
                    let subject = Subject::new(pk.trim_start_matches("tombstone#"));
                    let tombstone: Tombstone = from_item(item.clone())?;
                    // What an open request is about leads to what is still in Chatwoot: it goes when that is gone.
                    if !open.contains(tombstone.code.as_str()) {
                        erased.extend(self.risen(&subject, &tombstone).await?);
                    }
                }
                "ledger" => applied.requests += 1,
                _ => {}
            }
            if !dry {
                self.put_back(&pk, &sk, value).await?;
            }
        }
        applied.customers = erased.len() as u64;
        let mut target = Target { customers: erased, ..Target::default() };
        self.belongings.gather(&mut target).await?;
        let keys = self.belongings.keys(&target).await?;
        applied.items = keys.len() as u64;
        if !dry {
            self.belongings.delete(&keys).await?;
        }
        Ok(applied)
    }

    /// An item as it was. A request that is closed is not open any more, and knows nobody; one that is open is in the list of
    /// those, and every place has to be looked at again.
    async fn put_back(&self, pk: &str, sk: &str, value: &Value) -> Result<(), StoreError> {
        let key = Key::new(pk, sk);
        if sk != "ledger" {
            return self.table.put(&key, value).await;
        }
        let row: Row = from_item(to_item(value)?)?;
        let row = Row { erasure: row.erasure.restored(), ..row };
        self.table.put(&key, &row).await?;
        let code = &row.erasure.code;
        if row.erasure.is_closed() {
            self.table.delete(&opened(code)).await?;
            self.table.delete(&beside(code)).await
        } else {
            self.table.put(&opened(code), &Pointer { code: code.clone(), expires_at: row.expires_at }).await
        }
    }

    /// The customers a buried hash leads to again: those who were known by it before they were erased.
    async fn risen(&self, subject: &Subject, tombstone: &Tombstone) -> Result<Vec<domain::CustomerId>, StoreError> {
        let mut found = Vec::new();
        for account in self.belongings.accounts().await? {
            let key = Key::new(format!("alias#{account}#{subject}"), "alias");
            let row: Option<AliasRow> = self.table.get(&key).await?;
            found.extend(row.filter(|row| row.since <= tombstone.erased_at).map(|row| row.customer));
        }
        Ok(found)
    }
}

/// Whether it is a request that is open.
fn is_open(value: &Value) -> bool {
    value["sk"] == "ledger" && !matches!(value["state"]["state"].as_str(), Some("done" | "withdrawn"))
}

fn code(value: &Value) -> Option<&str> {
    value["code"].as_str()
}
