//! Stores claims: a lease while an item is worked on, then its outcome.
//! Claims outlive Meta's seven days of repeats, so that a repeat of any age changes nothing. A claim also says in which row of
//! the item ledger its item is counted, so that the item is counted once, by the worker that made the claim.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, ReturnValue, TransactWriteItem, WriteRequest};
use domain::{KeyedHash, Timestamp, keyed_hash::WorkItem};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key},
    pager::Limit,
    table::{Item, ItemUpdate, UpdateOutcome, integer, number, string, strings, text},
    versioned::until_written,
};

/// Longer than any function runs.
const LEASE_TTL: Duration = Duration::from_secs(300);

/// How many items are reserved side by side.
const MAX_CONCURRENT_CLAIMS: usize = 16;

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
    pub(crate) item: KeyedHash<WorkItem>,
    pub(crate) line: Option<LedgerRow>,
}

/// Where an item is counted: a channel, and the day on which the item was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerRow {
    pub(crate) channel: String,
    pub(crate) day: i64,
}

/// The state of a claim; a claim has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimState {
    /// The item was received and counted. No worker has had it yet.
    Received,
    /// A worker has it until then, or had it and did not finish.
    Leased {
        /// When another worker may take it.
        until: Timestamp,
    },
    /// It waits for something other than its task. Repeats of it count as duplicates.
    Parked,
    /// Its task was dead-lettered. For that task it is done; for a redriven one it is open.
    DeadLettered,
    /// It is done.
    Done,
}

/// How far an item is, for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It was received and counted; no worker has had it yet.
    Received,
    /// A worker has it, or had it and did not finish.
    Leased,
    /// It waits for something other than its task.
    Parked,
    /// Its task is in the dead letters.
    DeadLettered,
    /// It is done.
    Done,
}

const RECEIVED: &str = "received";
const LEASED: &str = "leased";
const PARKED: &str = "parked";
const DEAD_LETTERED: &str = "dead_lettered";
const DONE: &str = "done";

/// A claim as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredClaim {
    pub(crate) state: ClaimState,
    /// Where its item is counted, if it is.
    pub(crate) line: Option<LedgerRow>,
    /// How often a worker took it, how often of these the other side was at fault, and how often it refused the item.
    attempts: Option<i64>,
    failed_attempts: i64,
    refusals: i64,
    /// The task that took it last, and the tasks that were counted as repeats of it.
    holders: Vec<String>,
}

impl StoredClaim {
    /// Nothing if the item is not there. (The embedded table returns the key of an item that was not there.)
    pub(crate) fn read(item: &Item) -> Option<Self> {
        let state = match string(item, "state")? {
            RECEIVED => ClaimState::Received,
            PARKED => ClaimState::Parked,
            DEAD_LETTERED => ClaimState::DeadLettered,
            DONE => ClaimState::Done,
            LEASED => {
                let until = number(item, "leased_until").unwrap_or_default();
                ClaimState::Leased { until: Timestamp::from_millis(until) }
            }
            _ => return None,
        };
        let channel = string(item, "counted_for").map(str::to_owned);
        let count = |name| number(item, name).unwrap_or_default();
        Some(Self {
            state,
            line: channel.zip(number(item, "counted_on")).map(|(channel, day)| LedgerRow { channel, day }),
            attempts: number(item, "attempts"),
            failed_attempts: count("failed_attempts"),
            refusals: count("refusals"),
            holders: string(item, "holder")
                .into_iter()
                .chain(strings(item, "repeated_by"))
                .map(str::to_owned)
                .collect(),
        })
    }
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
    pub async fn take(&self, item: &KeyedHash<WorkItem>, holder: &str) -> Result<Claim, StoreError> {
        until_written(|| async {
            let now = self.table.now();
            let change = ItemUpdate {
                key: key(item),
                update: "SET #state = :leased, holder = :holder, leased_until = :until, expires_at = :end, \
                         attempts = if_not_exists(attempts, :zero) + :one"
                    .to_owned(),
                condition: Some(
                    "attribute_not_exists(pk) OR (expires_at > :seconds AND (#state = :received \
                     OR (#state = :leased AND (holder = :holder OR leased_until <= :now)) \
                     OR (#state = :dead_lettered AND (attribute_not_exists(holder) OR holder <> :holder))))"
                        .to_owned(),
                ),
                values: Item::from([
                    (":received".to_owned(), text(RECEIVED)),
                    (":leased".to_owned(), text(LEASED)),
                    (":dead_lettered".to_owned(), text(DEAD_LETTERED)),
                    (":holder".to_owned(), text(holder)),
                    (":until".to_owned(), integer((now + LEASE_TTL).as_millis())),
                    (":now".to_owned(), integer(now.as_millis())),
                    (":seconds".to_owned(), integer(now.as_secs())),
                    (":end".to_owned(), integer((now + CLAIM_TTL).as_secs())),
                    (":zero".to_owned(), integer(0)),
                    (":one".to_owned(), integer(1)),
                ]),
            };
            let before = match self.table.update(change, ReturnValue::AllOld).await? {
                UpdateOutcome::Done(before) => return Ok(Some(taken(item, before.as_ref()))),
                // An expired item no longer counts; TTL may be days late.
                UpdateOutcome::Refused(Some(before)) if !self.table.is_alive(&before) => {
                    self.table.delete_expired(&key(item)).await?;
                    return Ok(None);
                }
                UpdateOutcome::Refused(before) => before.as_ref().and_then(StoredClaim::read),
            };
            Ok(Some(match before {
                Some(StoredClaim { state: ClaimState::Leased { until }, .. }) => {
                    Claim::Busy { for_at_most: until.since(now) }
                }
                // This very task settled the item, or was counted as a repeat of it.
                Some(claim) if claim.holders.iter().any(|one| one == holder) => Claim::Finished,
                Some(_) => Claim::Done,
                // A state that nobody knows is not done: the task stays, and its error is told.
                None => return Ok(None),
            }))
        })
        .await
    }

    /// Whether an item is settled: nobody has to do anything about it.
    pub async fn is_settled(&self, item: &KeyedHash<WorkItem>) -> Result<bool, StoreError> {
        let claim = self.table.item(&key(item)).await?.as_ref().and_then(StoredClaim::read);
        Ok(claim.is_some_and(|claim| claim.state == ClaimState::Done))
    }

    /// How far an item is; nothing if it has no claim.
    pub async fn state(&self, item: &KeyedHash<WorkItem>) -> Result<Option<ItemState>, StoreError> {
        let claim = self.table.item(&key(item)).await?.as_ref().and_then(StoredClaim::read);
        Ok(claim.map(|claim| match claim.state {
            ClaimState::Received => ItemState::Received,
            ClaimState::Leased { .. } => ItemState::Leased,
            ClaimState::Parked => ItemState::Parked,
            ClaimState::DeadLettered => ItemState::DeadLettered,
            ClaimState::Done => ItemState::Done,
        }))
    }

    /// Whether a task about this item would be a repeat: it is done, or parked.
    pub async fn is_repeat(&self, item: &KeyedHash<WorkItem>) -> Result<bool, StoreError> {
        Ok(matches!(self.state(item).await?, Some(ItemState::Done | ItemState::Parked)))
    }

    /// Takes those of these items that nobody has, received or worked on; gives the ones that are `holder`'s now.
    pub async fn reserve(
        &self,
        items: &[KeyedHash<WorkItem>],
        holder: &str,
    ) -> Result<BTreeSet<KeyedHash<WorkItem>>, StoreError> {
        let taken = items.iter().map(|item| async move {
            let taken = until_written(|| async {
                let row = self.reserved(item, holder, LEASED);
                let values = Item::from([(":now".to_owned(), integer(self.table.now().as_secs()))]);
                let free = "attribute_not_exists(pk) OR expires_at <= :now";
                if self.table.put_if(row, free, values).await? {
                    return Ok(Some(true));
                }
                // A write that was only in the way leaves nothing.
                let theirs = self.table.item(&key(item)).await?;
                Ok(theirs.map(|theirs| string(&theirs, "holder") == Some(holder)))
            });
            Ok::<_, StoreError>(taken.await?.then(|| item.clone()))
        });
        let taken: Vec<Option<_>> = stream::iter(taken).buffer_unordered(MAX_CONCURRENT_CLAIMS).try_collect().await?;
        Ok(taken.into_iter().flatten().collect())
    }

    /// Settles items that were reserved.
    pub async fn settle_reserved(&self, items: &[KeyedHash<WorkItem>], holder: &str) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(self.reserved(item, holder, DONE))).build()?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        self.table.write_all(writes).await
    }

    fn reserved(&self, item: &KeyedHash<WorkItem>, holder: &str, state: &str) -> Item {
        let now = self.table.now();
        let mut row = key(item).attributes();
        row.extend([
            ("state".to_owned(), text(state)),
            ("holder".to_owned(), text(holder)),
            ("leased_until".to_owned(), integer((now + LEASE_TTL).as_millis())),
            ("expires_at".to_owned(), integer((now + CLAIM_TTL).as_secs())),
            ("attempts".to_owned(), integer(1)),
            ("failed_attempts".to_owned(), integer(1)),
        ]);
        row
    }

    /// Records that the last attempt failed through the other side's fault, so it does not count as a crash. `refused` says
    /// whether the other side refused the item.
    pub async fn record_failure(&self, item: &KeyedHash<WorkItem>, refused: bool) -> Result<FailureCount, StoreError> {
        let change = ItemUpdate {
            key: key(item),
            update: "SET failed_attempts = attempts ADD refusals :refused".to_owned(),
            condition: Some("attribute_exists(attempts)".to_owned()),
            values: Item::from([(":refused".to_owned(), integer(i64::from(refused)))]),
        };
        let (after, claimed) = match self.table.update(change, ReturnValue::AllNew).await? {
            UpdateOutcome::Done(after) => (after, true),
            UpdateOutcome::Refused(before) => (before, false),
        };
        let claim = after.as_ref().and_then(StoredClaim::read);
        let refusals = claim.as_ref().filter(|_| claimed).map(|claim| claim.refusals);
        Ok(FailureCount { held: ClaimGuard { item: item.clone(), line: claim.and_then(|claim| claim.line) }, refusals })
    }

    /// Leaves an item open that waits for something other than its task. Repeats of it count as duplicates. The worker that
    /// settles it in the end resumes it.
    pub async fn park(&self, guard: &ClaimGuard) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: key(&guard.item),
            update: "SET #state = :parked REMOVE leased_until".to_owned(),
            condition: Some("#state = :leased".to_owned()),
            values: Item::from([(":parked".to_owned(), text(PARKED)), (":leased".to_owned(), text(LEASED))]),
        };
        self.table.change(change).await
    }

    /// Takes up a parked item, to settle it; nothing if it is done.
    pub async fn resume(&self, item: &KeyedHash<WorkItem>) -> Result<Option<ClaimGuard>, StoreError> {
        let claim = self.table.item(&key(item)).await?.as_ref().and_then(StoredClaim::read);
        let open = claim.filter(|claim| claim.state != ClaimState::Done);
        Ok(open.map(|claim| ClaimGuard { item: item.clone(), line: claim.line }))
    }

    /// Records that the process that hosted all work was ended from outside, so that no open claim's last attempt counts as a
    /// crash. Reads the whole table, so it is for a table on one machine; in the cloud a function ends by its own fault or is
    /// started again.
    pub async fn forgive_restart(&self) -> Result<usize, StoreError> {
        let mut keys = Vec::new();
        self.table
            .table_pages("attribute_exists(attempts)", Item::new())
            .each(Limit::NONE, |item| {
                let open = StoredClaim::read(&item).is_some_and(|claim| claim.state != ClaimState::Done);
                keys.extend(Key::of(&item).filter(|_| open));
            })
            .await?;
        for key in &keys {
            let change = ItemUpdate {
                key: key.clone(),
                update: "SET failed_attempts = attempts".to_owned(),
                condition: Some("attribute_exists(attempts)".to_owned()),
                values: Item::new(),
            };
            self.table.change(change).await?;
        }
        Ok(keys.len())
    }

    /// Releases a claim on work that any worker may do again.
    pub async fn release(&self, item: &KeyedHash<WorkItem>) -> Result<(), StoreError> {
        self.table.delete(&key(item)).await
    }
}

fn taken(item: &KeyedHash<WorkItem>, before: Option<&Item>) -> Claim {
    let before = before.and_then(StoredClaim::read);
    let attempts = before.as_ref().and_then(|before| before.attempts);
    let (failed_attempts, refusals) =
        before.as_ref().map_or((0, 0), |before| (before.failed_attempts, before.refusals));
    let guard = ClaimGuard { item: item.clone(), line: before.and_then(|before| before.line) };
    // Before the first attempt there is no claim, or only what `webhook` wrote when it received the item.
    match attempts {
        None => Claim::Won(guard),
        Some(attempts) => Claim::Retaken { guard, crashes: attempts - failed_attempts, refusals },
    }
}

pub(crate) fn key(item: &KeyedHash<WorkItem>) -> Key {
    ItemKey::Claim(item.clone()).into()
}

#[derive(Serialize)]
struct Received<'l> {
    state: &'static str,
    counted_for: &'l str,
    counted_on: i64,
    expires_at: i64,
}

/// The claim of an item just received, before any worker has it. It fails if there is one already.
pub(crate) fn received(
    table: &Table,
    item: &KeyedHash<WorkItem>,
    line: &LedgerRow,
) -> Result<TransactWriteItem, StoreError> {
    let expires_at = (table.now() + CLAIM_TTL).as_secs();
    let (counted_for, counted_on) = (line.channel.as_str(), line.day);
    table.transact_create(&key(item), &Received { state: RECEIVED, counted_for, counted_on, expires_at })
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
    let end = integer((table.now() + CLAIM_TTL).as_secs());
    let mut values = Item::from([(":end".to_owned(), end), (":done".to_owned(), text(DONE))]);
    let update = if left == ClaimEnd::Open {
        values.extend([
            (":dead_lettered".to_owned(), text(DEAD_LETTERED)),
            (":zero".to_owned(), integer(0)),
            (":one".to_owned(), integer(1)),
        ]);
        "SET expires_at = :end, #state = :dead_lettered, attempts = :one, failed_attempts = :one, refusals = :zero \
         REMOVE counted_for, counted_on, leased_until"
    } else {
        values.extend([(":channel".to_owned(), text(&line.channel)), (":day".to_owned(), integer(line.day))]);
        if left == ClaimEnd::Done {
            "SET expires_at = :end, counted_for = :channel, counted_on = :day, #state = :done REMOVE leased_until"
        } else {
            values.insert(":received".to_owned(), text(RECEIVED));
            "SET expires_at = :end, counted_for = :channel, counted_on = :day, \
             #state = if_not_exists(#state, :received)"
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
        update: update.to_owned(),
        condition: Some(format!("(attribute_not_exists(#state) OR #state <> :done) AND {counted}")),
        values,
    })
}

/// Records that a task which repeats a settled item is counted; once for each task.
pub(crate) fn repeated(
    table: &Table,
    item: &KeyedHash<WorkItem>,
    holder: &str,
) -> Result<TransactWriteItem, StoreError> {
    table.transact_update(ItemUpdate {
        key: key(item),
        // Kept side by side: a repeat and what it repeats may both come again and again.
        update: "ADD repeated_by :repeat".to_owned(),
        condition: Some(
            "(#state = :done OR #state = :parked) AND holder <> :holder AND NOT contains(repeated_by, :holder)"
                .to_owned(),
        ),
        values: Item::from([
            (":done".to_owned(), text(DONE)),
            (":parked".to_owned(), text(PARKED)),
            (":holder".to_owned(), text(holder)),
            (":repeat".to_owned(), AttributeValue::Ss(vec![holder.to_owned()])),
        ]),
    })
}
