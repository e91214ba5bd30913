//! Indexes that are behind their table: queries on them are answered by a second database, which follows later.

use std::collections::{HashMap, VecDeque};

use anyhow::Context as _;
use domain::Timestamp;
use dynoxide::{
    AttributeValue, Database, DynoxideError, Item,
    actions::{delete_item::DeleteItemRequest, get_item::GetItemRequest, put_item::PutItemRequest, scan::ScanRequest},
};
use serde_json::{Map, Value};

use super::{key_of, read, told};

/// The key of an item.
pub(super) type Key = HashMap<String, AttributeValue>;

/// The second database.
pub(super) struct LateIndexes {
    database: Database,
    /// The attributes of each table's key.
    keys: HashMap<String, Vec<String>>,
    pending: VecDeque<Written>,
}

/// An item as it was after a write.
struct Written {
    at: Timestamp,
    table: String,
    key: Key,
    item: Option<Item>,
}

impl std::fmt::Debug for LateIndexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LateIndexes")
    }
}

impl LateIndexes {
    /// Follows these tables from what they hold now.
    pub(super) fn of(primary: &Database, tables: &[Value]) -> anyhow::Result<Self> {
        let database = Database::memory().map_err(told)?;
        let mut keys = HashMap::new();
        for request in tables {
            database.create_table(read(request.clone())?).map_err(told)?;
            let name = request["TableName"].as_str().context("a table without a name")?;
            let schema = request["KeySchema"].as_array().into_iter().flatten();
            let of = schema.filter_map(|key| key["AttributeName"].as_str().map(str::to_owned)).collect();
            keys.insert(name.to_owned(), of);
            let mut start = None;
            loop {
                let table_name = name.to_owned();
                let page = ScanRequest { table_name, exclusive_start_key: start, ..ScanRequest::default() };
                let page = primary.scan(page).map_err(told)?;
                for item in page.items.unwrap_or_default() {
                    put(&database, name, item)?;
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(Self { database, keys, pending: VecDeque::new() })
    }

    /// Takes down what a write left of the items it was about.
    pub(super) fn note(&mut self, primary: &Database, wrote: Vec<(String, Key)>, at: Timestamp) -> anyhow::Result<()> {
        for (table, key) in wrote {
            let request = GetItemRequest { table_name: table.clone(), key: key.clone(), ..GetItemRequest::default() };
            let item = match primary.get_item(request) {
                Ok(found) => found.item,
                // It went meanwhile.
                Err(DynoxideError::ResourceNotFoundException(_)) => None,
                Err(error) => return Err(told(error)),
            };
            self.pending.push_back(Written { at, table, key, item });
        }
        Ok(())
    }

    /// The items that a call writes.
    pub(super) fn written(&self, operation: &str, body: &Value) -> Vec<(String, Key)> {
        let whole = |table: &str, item: &Value| {
            let item: Item = serde_json::from_value(item.clone()).ok()?;
            Some((table.to_owned(), key_of(item, self.keys.get(table)?)))
        };
        let by_key = |table: &str, key: &Value| Some((table.to_owned(), serde_json::from_value(key.clone()).ok()?));
        let table = |of: &Value| of["TableName"].as_str().unwrap_or_default().to_owned();
        match operation {
            "PutItem" => whole(&table(body), &body["Item"]).into_iter().collect(),
            "UpdateItem" | "DeleteItem" => by_key(&table(body), &body["Key"]).into_iter().collect(),
            "BatchWriteItem" => {
                let tables = body["RequestItems"].as_object().into_iter().flat_map(Map::iter);
                let requests =
                    tables.flat_map(|(table, all)| all.as_array().into_iter().flatten().map(move |one| (table, one)));
                requests
                    .filter_map(|(table, one)| {
                        whole(table, &one["PutRequest"]["Item"]).or_else(|| by_key(table, &one["DeleteRequest"]["Key"]))
                    })
                    .collect()
            }
            "TransactWriteItems" => {
                let items = body["TransactItems"].as_array().into_iter().flatten();
                items
                    .filter_map(|one| {
                        whole(&table(&one["Put"]), &one["Put"]["Item"])
                            .or_else(|| by_key(&table(&one["Update"]), &one["Update"]["Key"]))
                            .or_else(|| by_key(&table(&one["Delete"]), &one["Delete"]["Key"]))
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Answers a query as it would have been answered at `until`.
    pub(super) fn query(&mut self, request: Value, until: Timestamp) -> anyhow::Result<Value> {
        while let Some(written) = self.pending.pop_front_if(|written| written.at <= until) {
            if let Some(item) = written.item {
                put(&self.database, &written.table, item)?;
            } else {
                let (table_name, key) = (written.table, written.key);
                let gone = DeleteItemRequest { table_name, key, ..DeleteItemRequest::default() };
                self.database.delete_item(gone).map_err(told)?;
            }
        }
        Ok(serde_json::to_value(self.database.query(read(request)?).map_err(told)?)?)
    }
}

fn put(database: &Database, table: &str, item: Item) -> anyhow::Result<()> {
    let request = PutItemRequest { table_name: table.to_owned(), item, ..PutItemRequest::default() };
    database.put_item(request).map(|_| ()).map_err(told)
}
