//! Carries erasure requests and tombstones over to a restored table.
//! A table restored to an earlier day brings erased people back. The requests and the tombstones, taken from the table as it was,
//! erase them again before any traffic.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_sdk_dynamodb::types::TimeToLiveStatus;
use domain::{AccountId, CustomerId, KeyedHash, Timestamp};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::{
    DataInventory, DataSubject, StoreError, Table, Tombstones,
    erasure::ledger::{DataSubjectRow, ErasureRow, Pointer, beside, opened},
    erasure::owned::pair,
    erasure::tombstones,
    table::{Item, Key, number, text, with_key},
};

/// What was applied to a restored table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reapplied {
    /// Requests put back.
    pub requests: u64,
    /// Tombstones put back.
    pub tombstones: u64,
    /// Customers that had come back.
    pub customers: u64,
    /// Items of theirs that were deleted again.
    pub items: u64,
}

/// Copies requests and tombstones out of one table and into another.
#[derive(Clone, Debug)]
pub struct Restore {
    table: Table,
    inventory: DataInventory,
    tombstones: Tombstones,
}

impl Restore {
    /// For this table.
    pub fn new(table: Table, belongings: DataInventory) -> Self {
        Self { tombstones: Tombstones::new(table.clone(), belongings.key.clone()), table, inventory: belongings }
    }

    /// Whether the table deletes expired items; a restored one does not until that is switched on.
    pub async fn has_time_to_live(&self) -> Result<bool, StoreError> {
        let request = self.table.client.describe_time_to_live().table_name(&self.table.name);
        let told = request.send().await.map_err(StoreError::call)?.time_to_live_description;
        let status = told.and_then(|told| told.time_to_live_status);
        Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
    }

    /// Everything that must not be lost with the table: requests, receipts, the data subjects of open requests, their pointers,
    /// and tombstones. It holds keyed hashes, codes, times, and ids in Chatwoot and at Meta; no phone and no user id.
    pub async fn export(&self) -> Result<Vec<Value>, StoreError> {
        let kept = "begins_with(pk, :erasure) OR begins_with(pk, :request) OR begins_with(pk, :tombstone)";
        let values = [(":erasure", "erasure#"), (":request", "request#"), (":tombstone", "tombstone#")];
        let values = values.map(|(name, prefix)| (name.to_owned(), text(prefix)));
        let items = self.table.scan(kept, Item::from(values)).await?;
        let wanted = |item: &Item| {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
            let of_a_request = matches!(sk, "ledger" | "target" | "receipt" | "request" | "dropped");
            (of_a_request || sk.starts_with("tombstone")) && self.table.is_alive(item)
        };
        let kept = |item: Item| -> Result<Value, StoreError> {
            if item.get("sk") != Some(&text("target")) {
                return Ok(from_item(item)?);
            }
            let row: DataSubjectRow = from_item(item.clone())?;
            let row = DataSubjectRow { target: self.inventory.without_names(&row.target), ..row };
            let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
            Ok(from_item(with_key(&Key::new(key("pk"), key("sk")), &row)?)?)
        };
        items.into_iter().filter(wanted).map(kept).collect()
    }

    /// Deletes again every person the export says is erased, and writes the export into this table. With `dry` it only counts.
    pub async fn apply(&self, exported: &[Value], dry: bool) -> Result<Reapplied, StoreError> {
        let mut living = Vec::with_capacity(exported.len());
        for value in exported {
            let item: Item = to_item(value)?;
            if let Some((pk, sk)) = pair(&item).filter(|_| self.table.is_alive(&item)) {
                living.push((pk, sk, value));
            }
        }
        let mut subject = self.risen(&erased_people(&living)?).await?;
        let mut applied = Reapplied {
            requests: living.iter().filter(|(_, sk, _)| sk == "ledger").count() as u64,
            tombstones: living.iter().filter(|(_, sk, _)| sk.starts_with("tombstone")).count() as u64,
            customers: subject.customers.len() as u64,
            items: 0,
        };
        let keys = self.keys(&mut subject).await?;
        applied.items = keys.len() as u64;
        if dry {
            return Ok(applied);
        }
        // Delete first, so that a run that was interrupted finds the same people again.
        self.inventory.delete(&keys).await?;
        for (pk, sk, value) in living {
            self.put_back(&pk, &sk, value).await?;
        }
        Ok(applied)
    }

    /// The keys of everything of theirs, read from the table itself: the index may not show yet what was put back a moment ago.
    async fn keys(&self, subject: &mut DataSubject) -> Result<Vec<(String, String)>, StoreError> {
        if subject.customers.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let (belongings, known) = (self.inventory.read_whole(&subject.customers).await?, subject.customers.len());
            // By their own ids alone: their aliases may lead to another person by now.
            belongings.gather_late(subject).await?;
            // Customers merged into them may be named by more.
            if subject.customers.len() == known {
                return belongings.keys(subject).await;
            }
        }
    }

    /// Writes an item as it was. A closed request is not open any more and has no data subject. An open one is in the list of
    /// open requests, and every data location has to be checked again.
    async fn put_back(&self, pk: &str, sk: &str, value: &Value) -> Result<(), StoreError> {
        let key = Key::new(pk, sk);
        if sk != "ledger" {
            return self.table.put(&key, value).await;
        }
        let row: ErasureRow = from_item(to_item(value)?)?;
        let row = ErasureRow { erasure: row.erasure.restored(), ..row };
        self.table.put(&key, &row).await?;
        let code = &row.erasure.code;
        if row.erasure.is_closed() {
            self.table.delete(&opened(code)).await?;
            self.table.delete(&beside(code)).await
        } else {
            self.table.put(&opened(code), &Pointer { code: code.clone(), expires_at: row.expires_at }).await
        }
    }

    /// The erased people who are in this table again, expired or not. They are found by their own id, which may remain in nothing
    /// but a link, and by the aliases they had before they were erased.
    async fn risen(&self, buried: &ErasedPeople) -> Result<DataSubject, StoreError> {
        let (mut target, mut seen, mut start) = (DataSubject::default(), HashSet::new(), None);
        loop {
            let page = self
                .table
                .client
                .scan()
                .table_name(&self.table.name)
                .consistent_read(true)
                .filter_expression("begins_with(pk, :customers) OR attribute_exists(customer)")
                .expression_attribute_values(":customers", text("customer#"))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            for item in page.items.unwrap_or_default() {
                let string = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
                let (pk, named) = (string("pk").unwrap_or_default(), string("customer"));
                let Some(customer) = pk.strip_prefix("customer#").or(named).map(CustomerId::new) else { continue };
                let alias = pk.strip_prefix("alias#").and_then(|rest| rest.split_once('#'));
                let alias =
                    alias.and_then(|(account, hash)| Some((AccountId(account.parse().ok()?), KeyedHash::new(hash))));
                let erased_at = alias.and_then(|(account, alias)| buried.until(account, &alias));
                let since = Timestamp::from_millis(number(&item, "since").unwrap_or_default());
                let by_alias = erased_at.is_some_and(|erased_at| since <= erased_at);
                // Most items name a customer that was checked already.
                let is_first = seen.insert(customer.clone());
                if by_alias || is_first && buried.all.contains(&self.tombstones.customer_subject(&customer)) {
                    target.customers.insert(customer);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(target);
            }
        }
    }
}

/// The people whose erasure is done.
#[derive(Debug, Default)]
struct ErasedPeople {
    /// The hashes of their own ids and of their aliases.
    all: BTreeSet<KeyedHash>,
    /// Until when each alias was theirs, in one account or in all.
    known_by: BTreeMap<(KeyedHash, Option<AccountId>), Timestamp>,
}

impl ErasedPeople {
    /// Until when an alias in an account was theirs.
    fn until(&self, account: AccountId, alias: &KeyedHash) -> Option<Timestamp> {
        let until = |only| self.known_by.get(&(alias.clone(), only)).copied();
        until(None).max(until(Some(account)))
    }
}

/// The people whose erasure is done. An open request's data subject leads to what is still in Chatwoot, and is deleted once that
/// is erased.
fn erased_people(living: &[(String, String, &Value)]) -> Result<ErasedPeople, StoreError> {
    let values = || living.iter().map(|(_, _, value)| *value);
    let done: BTreeSet<&str> = values().filter(|value| is_done(value)).filter_map(code).collect();
    let by_time: BTreeSet<&str> = values().filter(|value| value["door"] == "retention").filter_map(code).collect();
    let mut buried = ErasedPeople::default();
    for (_, _, value) in living {
        let Some((subject, tombstone)) = tombstones::read_tombstone(&to_item(*value)?)? else { continue };
        if !done.contains(tombstone.code.as_str()) {
            continue;
        }
        // Before tombstones had an account, those of retention applied in all; but an alias may lead to other dealers' customers.
        if tombstone.only.is_some() || !by_time.contains(tombstone.code.as_str()) {
            buried.known_by.insert((subject.clone(), tombstone.only), tombstone.erased_at);
        }
        buried.all.insert(subject);
    }
    Ok(buried)
}

/// Whether a value is a request that is done.
fn is_done(value: &Value) -> bool {
    value["sk"] == "ledger" && value["state"]["state"] == "done"
}

fn code(value: &Value) -> Option<&str> {
    value["code"].as_str()
}
