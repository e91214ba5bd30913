//! Carries erasure requests and tombstones over to a restored table.
//! A table restored to an earlier day brings erased people back. The requests and the tombstones, taken from the table as it was,
//! erase them again before any traffic.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_sdk_dynamodb::types::TimeToLiveStatus;
use domain::{AccountId, KeyedHash, Timestamp, keyed_hash::Person};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use serde_json::Value;

use crate::{
    DataInventory, DataSubject, StoreError, Table, Tombstones,
    erasure::ledger::{DataSubjectRow, ErasureRow, Pointer, beside, opened},
    erasure::owned::named,
    erasure::tombstones,
    keys::{ItemKey, Key, customer_prefix, erasure_prefixes},
    pager::Limit,
    table::{Item, number, with_key},
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
    pub fn new(table: Table, inventory: DataInventory) -> Self {
        Self { tombstones: Tombstones::new(table.clone(), inventory.key.clone()), table, inventory }
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
        let names = [":erasure", ":request", ":tombstone"].map(str::to_owned);
        let items = self.table.table_pages(kept, names.into_iter().zip(erasure_prefixes()).collect()).all().await?;
        let kept = |item: Item| -> Option<Result<Value, StoreError>> {
            match ItemKey::of(&item).filter(|_| self.table.is_alive(&item))? {
                ItemKey::DataSubject(code) => Some(self.nameless(&ItemKey::DataSubject(code).into(), item)),
                ItemKey::Erasure(_)
                | ItemKey::Receipt(_)
                | ItemKey::Request(_)
                | ItemKey::Dropped(_)
                | ItemKey::ErasedMessage(..)
                | ItemKey::Tombstone(..)
                | ItemKey::PastTombstone(..) => Some(from_item(item).map_err(StoreError::from)),
                _ => None,
            }
        };
        items.into_iter().filter_map(kept).collect()
    }

    fn nameless(&self, key: &Key, item: Item) -> Result<Value, StoreError> {
        let row: DataSubjectRow = from_item(item)?;
        let row = DataSubjectRow { target: self.inventory.without_names(&row.target), ..row };
        Ok(from_item(with_key(key, &row)?)?)
    }

    /// Deletes again every person the export says is erased, and writes the export into this table. With `dry` it only counts.
    pub async fn apply(&self, exported: &[Value], dry: bool) -> Result<Reapplied, StoreError> {
        let mut living = Vec::with_capacity(exported.len());
        for value in exported {
            let item: Item = to_item(value)?;
            living.extend(ItemKey::of(&item).filter(|_| self.table.is_alive(&item)).map(|key| (key, value)));
        }
        let mut subject = self.restored(&erased_people(&living)?).await?;
        let mut applied = Reapplied {
            requests: living.iter().filter(|(key, _)| matches!(key, ItemKey::Erasure(_))).count() as u64,
            tombstones: living.iter().filter(|(key, _)| matches!(key, ItemKey::Tombstone(..))).count() as u64,
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
        for (key, value) in living {
            self.put_back(key, value).await?;
        }
        Ok(applied)
    }

    /// The keys of everything of theirs, read from the table itself: the index may not show yet what was put back a moment ago.
    async fn keys(&self, subject: &mut DataSubject) -> Result<Vec<Key>, StoreError> {
        if subject.customers.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let (inventory, known) = (self.inventory.read_whole(&subject.customers).await?, subject.customers.len());
            // By their own ids alone: their aliases may lead to another person by now.
            inventory.gather_late(subject).await?;
            // Customers merged into them may be named by more.
            if subject.customers.len() == known {
                return inventory.keys(subject).await;
            }
        }
    }

    /// Writes an item as it was. A closed request is not open any more and has no data subject. An open one is in the list of
    /// open requests, and every data location has to be checked again.
    async fn put_back(&self, key: ItemKey, value: &Value) -> Result<(), StoreError> {
        let is_request = matches!(key, ItemKey::Erasure(_));
        let key = Key::from(key);
        if !is_request {
            return self.table.put(&key, value).await;
        }
        let row: ErasureRow = from_item(to_item(value)?)?;
        let row = ErasureRow { erasure: row.erasure.restored(), ..row };
        self.table.put(&key, &row).await?;
        let code = row.erasure.code();
        if row.erasure.is_closed() {
            self.table.delete(&opened(code)).await?;
            self.table.delete(&beside(code)).await
        } else {
            self.table.put(&opened(code), &Pointer { code: code.clone(), expires_at: row.expires_at }).await
        }
    }

    /// The erased people who are in this table again, expired or not. They are found by their own id, which may remain in nothing
    /// but a link, and by the aliases they had before they were erased.
    async fn restored(&self, erased: &ErasedPeople) -> Result<DataSubject, StoreError> {
        let (mut subject, mut seen) = (DataSubject::default(), HashSet::new());
        let filter = "begins_with(pk, :customers) OR attribute_exists(customer)";
        let values = Item::from([(":customers".to_owned(), customer_prefix())]);
        self.table
            .table_pages(filter, values)
            .consistent()
            .each(Limit::NONE, |item| {
                let (customer, erased_at) = match ItemKey::of(&item) {
                    Some(ItemKey::Customer(customer) | ItemKey::Thread(customer, _)) => (Some(customer), None),
                    Some(ItemKey::Alias(account, alias)) => (named(&item), erased.until(account, &alias)),
                    _ => (named(&item), None),
                };
                let Some(customer) = customer else { return };
                let since = Timestamp::from_millis(number(&item, "since").unwrap_or_default());
                let by_alias = erased_at.is_some_and(|erased_at| since <= erased_at);
                // Most items name a customer that was checked already.
                let is_first = seen.insert(customer.clone());
                if by_alias || is_first && erased.all.contains(&self.tombstones.customer_subject(&customer)) {
                    subject.customers.insert(customer);
                }
            })
            .await?;
        Ok(subject)
    }
}

/// The people whose erasure is done.
#[derive(Debug, Default)]
struct ErasedPeople {
    /// The hashes of their own ids and of their aliases.
    all: BTreeSet<KeyedHash<Person>>,
    /// Until when each alias was theirs, in one account or in all.
    known_by: BTreeMap<(KeyedHash<Person>, Option<AccountId>), Timestamp>,
}

impl ErasedPeople {
    /// Until when an alias in an account was theirs.
    fn until(&self, account: AccountId, alias: &KeyedHash<Person>) -> Option<Timestamp> {
        let until = |only| self.known_by.get(&(alias.clone(), only)).copied();
        until(None).max(until(Some(account)))
    }
}

/// The people whose erasure is done. An open request's data subject leads to what is still in Chatwoot, and is deleted once that
/// is erased.
fn erased_people(living: &[(ItemKey, &Value)]) -> Result<ErasedPeople, StoreError> {
    let requests = || living.iter().filter(|(key, _)| matches!(key, ItemKey::Erasure(_))).map(|(_, value)| *value);
    let done: BTreeSet<&str> = requests().filter(|value| value["state"]["state"] == "done").filter_map(code).collect();
    let by_time: BTreeSet<&str> = requests().filter(|value| value["source"] == "retention").filter_map(code).collect();
    let mut erased = ErasedPeople::default();
    for (_, value) in living {
        let Some((subject, tombstone)) = tombstones::read_tombstone(&to_item(*value)?)? else { continue };
        if !done.contains(tombstone.code.as_str()) {
            continue;
        }
        // A tombstone of retention for all accounts says nothing about an alias: it may lead to other dealers' customers.
        if tombstone.only.is_some() || !by_time.contains(tombstone.code.as_str()) {
            erased.known_by.insert((subject.clone(), tombstone.only), tombstone.erased_at);
        }
        erased.all.insert(subject);
    }
    Ok(erased)
}

fn code(value: &Value) -> Option<&str> {
    value["code"].as_str()
}
