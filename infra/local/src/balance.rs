//! `GET /_local/balance`: the balance sheet of every channel and day, as the table has it now.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use platform::aws::Aws as Clients;
use serde_json::{Value, json};
use store::{DailyTotals, ItemLedger, Table};

use crate::calendar;

/// Reads the sheets.
#[derive(Debug)]
pub struct Balance {
    ledger: ItemLedger,
    clients: Clients,
    table: String,
}

impl Balance {
    /// Of this table.
    pub fn new(clients: Clients, table: &Table, name: &str) -> Self {
        Self { ledger: ItemLedger::new(table.clone()), clients, table: name.to_owned() }
    }

    /// `{"channels":{"<id>":{"<YYYY-MM-DD>":{"received":n,…}}}}`.
    pub async fn read(&self, now: Timestamp) -> anyhow::Result<Value> {
        let mut channels = BTreeMap::new();
        for channel in self.channels().await? {
            let sheets = self.ledger.daily_totals(&channel, 0, now.day()).await?;
            let days: BTreeMap<String, Value> =
                sheets.iter().map(|(day, sheet)| (calendar::day(*day), show(sheet, now.day() - day))).collect();
            channels.insert(channel, days);
        }
        Ok(json!({ "channels": channels }))
    }

    /// Everything that was ever counted, numbers nobody knows among them. The functions never scan; a runner may.
    async fn channels(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut start = None;
        loop {
            let scan = self.clients.dynamodb.scan().table_name(&self.table).consistent_read(true);
            let page = scan.projection_expression("pk").set_exclusive_start_key(start).send().await?;
            let keys = page.items().iter().filter_map(|item| item.get("pk")?.as_s().ok());
            found.extend(keys.filter_map(|key| key.strip_prefix("counter#")).map(str::to_owned));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

fn show(sheet: &DailyTotals, age: i64) -> Value {
    json!({
        "received": sheet.received,
        "done": sheet.done,
        "duplicate": sheet.duplicate,
        "refused": sheet.refused,
        "waiting": sheet.waiting,
        "difference": sheet.difference(age),
    })
}
