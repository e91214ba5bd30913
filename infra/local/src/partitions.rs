//! Finds all partitions of a kind in the table. The functions never scan; a runner may.

use std::collections::BTreeSet;

use platform::aws::Aws as Clients;

/// What stands behind `prefix` in the keys of the table.
pub(crate) async fn named(clients: &Clients, table: &str, prefix: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut start = None;
    loop {
        let scan = clients.dynamodb.scan().table_name(table).consistent_read(true);
        let page = scan.projection_expression("pk").set_exclusive_start_key(start).send().await?;
        let keys = page.items().iter().filter_map(|item| item.get("pk")?.as_s().ok());
        found.extend(keys.filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned));
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(found);
        }
    }
}
