//! `GET /_local/balance`: the balance sheet of every channel and day, as the table has it now.

use std::collections::BTreeMap;

use domain::Timestamp;
use platform::aws::Aws as Clients;
use serde_json::{Value, json};
use store::{DailyTotals, ItemLedger, Table};

use crate::{calendar, partitions};

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
        // Everything that was ever counted, numbers nobody knows among them.
        for channel in partitions::named(&self.clients, &self.table, "counter#").await? {
            let sheets = self.ledger.daily_totals(&channel, 0, now.day()).await?;
            let days: BTreeMap<String, Value> =
                sheets.iter().map(|(day, sheet)| (calendar::day(*day), show(sheet, now.day() - day))).collect();
            channels.insert(channel, days);
        }
        Ok(json!({ "channels": channels }))
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
