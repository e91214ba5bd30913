//! Lists the open requests: code, who asked, where they stand, how many days are left.

use clap::Args;
use serde_json::{Value, json};
use store::ErasureLedger;

use crate::{output::Column, session::Session, told::Told};

const COLUMNS: &[Column] = &[("code", 12), ("asked by", 10), ("state", 14), ("days left", 9), ("next", 12)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Erasures {}

impl Erasures {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let (ledger, now) = (ErasureLedger::new(stack.table()), stack.clock().now());
        let mut list = session.output.list(COLUMNS);
        for code in ledger.open_codes().await? {
            let Some(entry) = ledger.get(&code).await? else { continue };
            let erasure = &entry.erasure;
            let row = json!({ "code": erasure.code(), "door": erasure.source(), "state": erasure.state(),
                "days_left": erasure.days_left(now), "breached": erasure.breached_at().is_some(),
                "next": erasure.next_location() });
            let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let next = if row["next"].is_null() { String::new() } else { cell(&row["next"]) };
            let cells =
                [cell(&row["code"]), cell(&row["door"]), cell(&row["state"]["state"]), cell(&row["days_left"]), next];
            list.row(&row, &cells)?;
        }
        list.end("no request is open")
    }
}
