//! Claims: a lease while somebody works on an item, then the fact that it is done. They outlive Meta's seven days of
//! repeats, so that a repeat of whatever age changes nothing.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use domain::{Subject, Timestamp};

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, Written, integer, number, text},
};

/// Longer than any function runs.
const LEASE: Duration = Duration::from_secs(300);

/// Twice Meta's seven days, and one for the clocks.
const KEPT: Duration = Duration::from_secs(15 * 86_400);

/// What came of asking for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody was at it before.
    Won,
    /// Somebody was, and did not finish: what they did is unknown, so look before doing.
    Retaken {
        /// How often the work ended without a word, the other side not being at fault.
        crashes: i64,
        /// How often the other side refused it.
        refusals: i64,
    },
    /// Somebody is at it.
    Busy {
        /// How long at most.
        for_at_most: Duration,
    },
    /// It is done.
    Done,
    /// It is done, and by this very holder: the queue gives out a task whose end it did not hear of.
    Finished,
}

/// The claims.
#[derive(Clone, Debug)]
pub struct Claims {
    table: Table,
}

impl Claims {
    /// Claims of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Asks for an item in the name of `holder`, the queue's id of the task. A holder may take its own claim again: the
    /// queue gives a task out a second time only when the first work on it has ended, however it did.
    pub async fn take(&self, item: &Subject, holder: &str) -> Result<Claim, StoreError> {
        let now = self.table.now();
        let change = Change {
            key: key(item),
            update: "SET holder = :holder, leased_until = :until, expires_at = :end, \
                     attempts = if_not_exists(attempts, :zero) + :one \
                     REMOVE done_at"
                .to_owned(),
            condition: Some(
                "attribute_not_exists(pk) OR expires_at <= :seconds \
                 OR (attribute_not_exists(done_at) AND (holder = :holder OR leased_until <= :now))"
                    .to_owned(),
            ),
            values: Item::from([
                (":holder".to_owned(), text(holder)),
                (":until".to_owned(), integer((now + LEASE).as_millis())),
                (":now".to_owned(), integer(now.as_millis())),
                (":seconds".to_owned(), integer(now.as_secs())),
                (":end".to_owned(), integer((now + KEPT).as_secs())),
                (":zero".to_owned(), integer(0)),
                (":one".to_owned(), integer(1)),
            ]),
        };
        match self.table.update(change, ReturnValue::AllOld).await? {
            Written::Done(None) => Ok(Claim::Won),
            Written::Done(Some(before)) if !self.table.is_alive(&before) => Ok(Claim::Won),
            // The embedded table gives the keys of an item that was not there.
            Written::Done(Some(before)) if !before.contains_key("attempts") => Ok(Claim::Won),
            Written::Done(Some(before)) => {
                let count = |name| number(&before, name).unwrap_or_default();
                let crashes = count("attempts") - count("excused");
                Ok(Claim::Retaken { crashes, refusals: count("refusals") })
            }
            Written::Refused(Some(item)) if !item.contains_key("done_at") => {
                let until = Timestamp::from_millis(number(&item, "leased_until").unwrap_or_default());
                Ok(Claim::Busy { for_at_most: until.since(now) })
            }
            Written::Refused(Some(item)) if item.get("holder") == Some(&text(holder)) => Ok(Claim::Finished),
            Written::Refused(_) => Ok(Claim::Done),
        }
    }

    /// The last attempt ended in good order, with the other side at fault; it does not count as a crash. Gives how often the
    /// other side refused the item so far, this time included if it did; nothing if the item is not claimed.
    pub async fn excuse(&self, item: &Subject, refused: bool) -> Result<Option<i64>, StoreError> {
        let change = Change {
            key: key(item),
            update: "SET excused = attempts ADD refusals :refused".to_owned(),
            condition: Some("attribute_exists(attempts)".to_owned()),
            values: Item::from([(":refused".to_owned(), integer(i64::from(refused)))]),
        };
        match self.table.update(change, ReturnValue::AllNew).await? {
            Written::Done(item) => Ok(item.and_then(|item| number(&item, "refusals"))),
            Written::Refused(_) => Ok(None),
        }
    }

    /// The process that hosted all work ended from outside: no open claim's last attempt counts as a crash. Reads the whole
    /// table, so it is for a table on one machine; in the cloud a function ends by its own fault or is started again.
    pub async fn excuse_all(&self) -> Result<usize, StoreError> {
        let (mut excused, mut start) = (0, None);
        loop {
            let page = self.table.client.scan().table_name(&self.table.name);
            let page = page
                .filter_expression("attribute_exists(attempts) AND attribute_not_exists(done_at)")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            for item in page.items.unwrap_or_default() {
                let Some(pk) = item.get("pk").and_then(|pk| pk.as_s().ok()) else { continue };
                let change = Change {
                    key: Key::new(pk, "claim"),
                    update: "SET excused = attempts".to_owned(),
                    condition: Some("attribute_exists(attempts)".to_owned()),
                    values: Item::new(),
                };
                self.table.update(change, ReturnValue::None).await?;
                excused += 1;
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(excused);
            }
        }
    }

    /// Gives a claim up, for work that may be done again by anybody.
    pub async fn release(&self, item: &Subject) -> Result<(), StoreError> {
        let request = self.table.client.delete_item().table_name(&self.table.name).set_key(Some(key(item).item()));
        request.send().await.map(|_| ()).map_err(StoreError::call)
    }

    /// That the item is done, to be written together with what was done.
    pub(crate) fn done(&self, item: &Subject) -> Result<TransactWriteItem, StoreError> {
        let now = self.table.now();
        self.table.transact_update(Change {
            key: key(item),
            update: "SET done_at = :now, expires_at = :end REMOVE leased_until".to_owned(),
            condition: None,
            values: Item::from([
                (":now".to_owned(), AttributeValue::N(now.as_millis().to_string())),
                (":end".to_owned(), integer((now + KEPT).as_secs())),
            ]),
        })
    }
}

fn key(item: &Subject) -> Key {
    Key::new(format!("claim#{item}"), "claim")
}
