//! Tells which customers turned out to be one person.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::CustomerId;

use crate::{
    CustomerStore, StoreError, Thread,
    customer::aliases::customer_key,
    keys::Range,
    table::{Item, ItemUpdate},
};

/// More records than this of one person are not gathered.
const MAX_RECORDS: usize = 20;

impl CustomerStore {
    /// The customers that were merged into this one and of which agents were not told yet.
    pub async fn untold(&self, customer: &CustomerId) -> Result<Vec<CustomerId>, StoreError> {
        Ok(self.row(customer).await?.map(|row| row.untold).unwrap_or_default())
    }

    /// Records that agents were told of a customer that was merged into this one.
    pub async fn told(&self, customer: &CustomerId, gone: &CustomerId) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: customer_key(customer),
            update: "DELETE untold :gone".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::from([(":gone".to_owned(), AttributeValue::Ss(vec![gone.as_str().to_owned()]))]),
        };
        self.table.change(change).await
    }

    /// All records of the person whose record this is, the surviving one first.
    pub async fn records(&self, customer: &CustomerId) -> Result<Vec<CustomerId>, StoreError> {
        let mut records = vec![self.survivor(customer).await?];
        let mut at = 0;
        while let Some(record) = records.get(at).cloned() {
            for gone in self.joined(&record).await? {
                if !records.contains(&gone) && records.len() < MAX_RECORDS {
                    records.push(gone);
                }
            }
            at += 1;
        }
        Ok(records)
    }

    /// The threads of a customer that have a conversation in Chatwoot, the last used one first.
    pub async fn chats(&self, customer: &CustomerId) -> Result<Vec<Thread>, StoreError> {
        let mut threads: Vec<Thread> = self.table.range(Range::threads(customer)).await?;
        threads.retain(|thread| thread.conversation.is_some());
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.active_at));
        Ok(threads)
    }
}
