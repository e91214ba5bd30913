//! Stores claims: a lease while an item is worked on, then its outcome.
//! Claims outlive Meta's seven days of repeats, so that a repeat of any age changes nothing. A claim also says in which row of
//! the item ledger its item is counted, so that the item is counted once, by the worker that made the claim.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use domain::{KeyedHash, Timestamp};
use serde::Serialize;

use crate::{
    StoreError, Table,
    table::{Item, ItemUpdate, Key, UpdateOutcome, integer, number, text},
};

/// Longer than any function runs.
const LEASE_TTL: Duration = Duration::from_secs(300);

/// Days after which an item is no longer accepted, since its claim may be gone. Twice Meta's seven, and one.
const TAKEN_DAYS: u64 = 15;

/// Days for which a claim is kept (`claim_days` of the policy): as long as its item is accepted, and one more for an item whose
/// clock is ahead of ours.
pub const CLAIMS_KEEP_DAYS: u64 = TAKEN_DAYS + 1;

/// How old an item may be to be accepted. An older one may be a repeat whose claim is gone.
pub const TAKEN_UP_TO: Duration = Duration::from_secs(TAKEN_DAYS * 86_400);

/// The same as a duration.
const CLAIM_TTL: Duration = Duration::from_secs(CLAIMS_KEEP_DAYS * 86_400);

/// The claim a worker holds on an item. Only taking the claim makes one, and the item's outcome can only be recorded with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimGuard {
    pub(crate) item: KeyedHash,
    pub(crate) line: Option<LedgerRow>,
}

/// Where an item is counted: a channel, and the day on which the item was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) channel: String,
    pub(crate) day: i64,
}

/// The result of claiming an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// No worker had it before.
    Won(ClaimGuard),
    /// A worker had it and did not finish. What it did is unknown, so check before doing it again.
    Retaken {
        /// The item.
        guard: ClaimGuard,
        /// How often a worker ended without recording an outcome, the other side not being at fault.
        crashes: i64,
        /// How often the other side refused it.
        refusals: i64,
    },
    /// Another worker has it.
    Busy {
        /// How long that can last at most.
        for_at_most: Duration,
    },
    /// It is done or parked: no task has to do anything about it.
    Done,
    /// The same, by this very holder: the queue delivers a task again if it did not hear that the task is done.
    Finished,
}

/// What is known of an item after an attempt ended with a recorded failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCount {
    /// The item.
    pub held: ClaimGuard,
    /// How often the other side refused it so far; nothing if the claim was never taken.
    pub refusals: Option<i64>,
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

    /// Claims an item for `holder`, the queue's id of the task. A holder may take its own claim again: the queue delivers a task
    /// a second time only when the first work on it has ended, however it ended.
    pub async fn take(&self, item: &KeyedHash, holder: &str) -> Result<Claim, StoreError> {
        loop {
            let now = self.table.now();
            let change = ItemUpdate {
                key: key(item),
                update: "SET holder = :holder, leased_until = :until, expires_at = :end, \
                         attempts = if_not_exists(attempts, :zero) + :one REMOVE set_aside_at"
                    .to_owned(),
                condition: Some(
                    "attribute_not_exists(pk) OR (expires_at > :seconds AND attribute_not_exists(done_at) \
                     AND attribute_not_exists(laid_down_at) \
                     AND (attribute_not_exists(set_aside_at) OR attribute_not_exists(holder) OR holder <> :holder) \
                     AND (attribute_not_exists(leased_until) OR holder = :holder OR leased_until <= :now))"
                        .to_owned(),
                ),
                values: Item::from([
                    (":holder".to_owned(), text(holder)),
                    (":until".to_owned(), integer((now + LEASE_TTL).as_millis())),
                    (":now".to_owned(), integer(now.as_millis())),
                    (":seconds".to_owned(), integer(now.as_secs())),
                    (":end".to_owned(), integer((now + CLAIM_TTL).as_secs())),
                    (":zero".to_owned(), integer(0)),
                    (":one".to_owned(), integer(1)),
                ]),
            };
            match self.table.update(change, ReturnValue::AllOld).await? {
                UpdateOutcome::Done(before) => return Ok(taken(item, before.as_ref())),
                // An expired item no longer counts; TTL may be days late.
                UpdateOutcome::Refused(Some(before)) if !self.table.is_alive(&before) => {
                    self.table.delete_expired(&key(item)).await?;
                }
                UpdateOutcome::Refused(Some(before)) if !is_settled(&before) => {
                    let until = Timestamp::from_millis(number(&before, "leased_until").unwrap_or_default());
                    return Ok(Claim::Busy { for_at_most: until.since(now) });
                }
                UpdateOutcome::Refused(Some(before)) if is_known(&before, holder) => {
                    return Ok(Claim::Finished);
                }
                UpdateOutcome::Refused(_) => return Ok(Claim::Done),
            }
        }
    }

    /// Records that the last attempt failed through the other side's fault, so it does not count as a crash. `refused` says
    /// whether the other side refused the item.
    pub async fn record_failure(&self, item: &KeyedHash, refused: bool) -> Result<FailureCount, StoreError> {
        let change = ItemUpdate {
            key: key(item),
            update: "SET excused = attempts ADD refusals :refused".to_owned(),
            condition: Some("attribute_exists(attempts)".to_owned()),
            values: Item::from([(":refused".to_owned(), integer(i64::from(refused)))]),
        };
        let (after, claimed) = match self.table.update(change, ReturnValue::AllNew).await? {
            UpdateOutcome::Done(after) => (after, true),
            UpdateOutcome::Refused(before) => (before, false),
        };
        let refusals = after.as_ref().filter(|_| claimed).and_then(|after| number(after, "refusals"));
        Ok(FailureCount { held: ClaimGuard { item: item.clone(), line: after.as_ref().and_then(line) }, refusals })
    }

    /// Leaves an item open that waits for something other than its task. Repeats of it count as duplicates. The worker that
    /// settles it in the end resumes it.
    pub async fn park(&self, guard: &ClaimGuard) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: key(&guard.item),
            update: "SET laid_down_at = :now REMOVE leased_until".to_owned(),
            condition: Some("attribute_exists(attempts) AND attribute_not_exists(done_at)".to_owned()),
            values: Item::from([(":now".to_owned(), integer(self.table.now().as_millis()))]),
        };
        self.table.update(change, ReturnValue::None).await.map(|_| ())
    }

    /// Takes up a parked item, to settle it; nothing if it is done.
    pub async fn resume(&self, item: &KeyedHash) -> Result<Option<ClaimGuard>, StoreError> {
        let claim = self.table.item(&key(item)).await?.filter(|claim| !claim.contains_key("done_at"));
        Ok(claim.map(|claim| ClaimGuard { item: item.clone(), line: line(&claim) }))
    }

    /// Records that the process that hosted all work was ended from outside, so that no open claim's last attempt counts as a
    /// crash. Reads the whole table, so it is for a table on one machine; in the cloud a function ends by its own fault or is
    /// started again.
    pub async fn forgive_restart(&self) -> Result<usize, StoreError> {
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
                let change = ItemUpdate {
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

    /// Releases a claim on work that any worker may do again.
    pub async fn release(&self, item: &KeyedHash) -> Result<(), StoreError> {
        self.table.delete(&key(item)).await
    }
}

fn is_settled(claim: &Item) -> bool {
    ["done_at", "laid_down_at", "set_aside_at"].into_iter().any(|end| claim.contains_key(end))
}

fn taken(item: &KeyedHash, before: Option<&Item>) -> Claim {
    let held = ClaimGuard { item: item.clone(), line: before.and_then(line) };
    // Before the first attempt there is no claim, or only what `webhook` wrote when it received the item. (The embedded table
    // returns the keys of an item that was not there.)
    let Some(before) = before.filter(|before| before.contains_key("attempts")) else { return Claim::Won(held) };
    let count = |name| number(before, name).unwrap_or_default();
    Claim::Retaken { guard: held, crashes: count("attempts") - count("excused"), refusals: count("refusals") }
}

pub(crate) fn key(item: &KeyedHash) -> Key {
    Key::new(format!("claim#{item}"), "claim")
}

/// The row of the item ledger in which a claim's item is counted.
pub(crate) fn line(claim: &Item) -> Option<LedgerRow> {
    let channel = claim.get("counted_for")?.as_s().ok()?.clone();
    Some(LedgerRow { channel, day: number(claim, "counted_on")? })
}

#[derive(Serialize)]
struct Received<'l> {
    counted_for: &'l str,
    counted_on: i64,
    expires_at: i64,
}

/// The claim of an item just received, before any worker has it. It fails if there is one already.
pub(crate) fn received(table: &Table, item: &KeyedHash, line: &LedgerRow) -> Result<TransactWriteItem, StoreError> {
    let expires_at = (table.now() + CLAIM_TTL).as_secs();
    table.transact_create(&key(item), &Received { counted_for: &line.channel, counted_on: line.day, expires_at })
}

/// The state of a claim after a write of the item ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimEnd {
    /// As it was; only its row is new.
    Waiting,
    /// Done.
    Done,
    /// Open for a task that is redriven from the dead letters: its failures are cleared, and it is in no row. For the task that
    /// was dead-lettered it is done.
    Open,
}

/// The change of a claim that goes with a count. It fails if the claim is not in the expected row, or is done.
pub(crate) fn changed(
    table: &Table,
    guard: &ClaimGuard,
    line: &LedgerRow,
    left: ClaimEnd,
) -> Result<TransactWriteItem, StoreError> {
    let now = table.now();
    let mut values = Item::from([(":end".to_owned(), integer((now + CLAIM_TTL).as_secs()))]);
    let update = match left {
        ClaimEnd::Waiting | ClaimEnd::Done => {
            values.insert(":channel".to_owned(), text(&line.channel));
            values.insert(":day".to_owned(), integer(line.day));
            let lines = "SET expires_at = :end, counted_for = :channel, counted_on = :day";
            if left == ClaimEnd::Waiting {
                lines.to_owned()
            } else {
                values.insert(":now".to_owned(), integer(now.as_millis()));
                format!("{lines}, done_at = :now REMOVE leased_until")
            }
        }
        ClaimEnd::Open => {
            values.insert(":zero".to_owned(), integer(0));
            values.insert(":one".to_owned(), integer(1));
            values.insert(":now".to_owned(), integer(now.as_millis()));
            "SET expires_at = :end, set_aside_at = :now, attempts = :one, excused = :one, refusals = :zero \
             REMOVE counted_for, counted_on, leased_until"
                .to_owned()
        }
    };
    let counted = match &guard.line {
        None => "attribute_not_exists(counted_on)",
        Some(known) => {
            values.insert(":known".to_owned(), integer(known.day));
            "counted_on = :known"
        }
    };
    table.transact_update(ItemUpdate {
        key: key(&guard.item),
        update,
        condition: Some(format!("attribute_not_exists(done_at) AND {counted}")),
        values,
    })
}

/// Whether this very task settled the item, or was counted as a repeat of it.
fn is_known(claim: &Item, holder: &str) -> bool {
    let repeats = claim.get("repeated_by").and_then(|repeats| repeats.as_ss().ok());
    claim.get("holder") == Some(&text(holder)) || repeats.is_some_and(|repeats| repeats.iter().any(|one| one == holder))
}

/// Records that a task which repeats a settled item is counted; once for each task.
pub(crate) fn repeated(table: &Table, item: &KeyedHash, holder: &str) -> Result<TransactWriteItem, StoreError> {
    table.transact_update(ItemUpdate {
        key: key(item),
        // Kept side by side: a repeat and what it repeats may both come again and again.
        update: "ADD repeated_by :repeat".to_owned(),
        condition: Some(
            "(attribute_exists(done_at) OR attribute_exists(laid_down_at)) AND holder <> :holder \
             AND NOT contains(repeated_by, :holder)"
                .to_owned(),
        ),
        values: Item::from([
            (":holder".to_owned(), text(holder)),
            (":repeat".to_owned(), AttributeValue::Ss(vec![holder.to_owned()])),
        ]),
    })
}
