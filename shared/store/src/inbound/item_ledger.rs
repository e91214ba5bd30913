//! Counts what became of each channel's items, by day of receipt.
//!
//! received = done + duplicate + refused + waiting. Every write keeps that true: it moves an item from one column to another
//! within one row, together with the claim that says where the item is counted.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{KeyedHash, RefusalReason, keyed_hash::WorkItem, task::QUEUES_KEEP_DAYS};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    StoreError, Table,
    inbound::claims::{self, ClaimEnd, ClaimGuard, ClaimState, LedgerRow, StoredClaim},
    keys::{ItemKey, Range},
    table::{Item, ItemUpdate, TransactOutcome, integer},
    versioned::{until_written, until_written_from},
};

/// Days for which a day's totals are kept (`counter_days` of the policy): thirteen months, to compare with the year before.
pub const COUNTERS_KEEP_DAYS: u64 = 400;

/// The same as a duration.
const LEDGER_ROW_TTL: Duration = Duration::from_secs(COUNTERS_KEEP_DAYS * 86_400);

/// DynamoDB takes a hundred writes at once; one is the counter's.
const TRANSACTION_ITEMS: usize = 99;

/// How many transactions run side by side. Chunks begin with different items, and so count in different rows.
const MAX_CONCURRENT_WRITES: usize = 8;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It was handled.
    Done,
    /// It had been handled before.
    Duplicate,
    /// It was refused for a reason.
    Refused(RefusalReason),
}

impl ItemOutcome {
    fn column(self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Duplicate => "duplicate".to_owned(),
            Self::Refused(reason) => format!("{REFUSED_PREFIX}{}", reason.word()),
        }
    }
}

const REFUSED_PREFIX: &str = "refused_";

/// What was counted for a channel on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DailyTotals {
    /// Items received that day.
    pub received: i64,
    /// Of these: handled.
    pub done: i64,
    /// Handled before.
    pub duplicate: i64,
    /// Refused, by reason. Dead letters are among them.
    pub refused: BTreeMap<String, i64>,
    /// Not settled yet.
    pub waiting: i64,
}

impl DailyTotals {
    /// Items whose outcome is unknown, as seen `age` days later. Items that have waited longer than a queue keeps them are
    /// included.
    pub fn difference(&self, age: i64) -> i64 {
        let lost = if age > QUEUES_KEEP_DAYS { self.waiting } else { 0 };
        let settled = self.done + self.duplicate + self.refused.values().sum::<i64>();
        self.received - settled - self.waiting + lost
    }

    fn add(&mut self, column: &str, count: i64) {
        match column {
            "received" => self.received += count,
            "done" => self.done += count,
            "duplicate" => self.duplicate += count,
            "waiting" => self.waiting += count,
            _ => {
                if let Some(reason) = column.strip_prefix(REFUSED_PREFIX) {
                    *self.refused.entry(reason.to_owned()).or_default() += count;
                }
            }
        }
    }
}

/// An item, and how many of Meta's it stands for.
type Weighed<'i> = (&'i KeyedHash<WorkItem>, i64);

/// The columns an item is counted in, and how many of Meta's it stands for.
struct Counted {
    columns: Vec<(String, i64)>,
    weight: i64,
}

impl Counted {
    fn waiting() -> Self {
        Self { columns: vec![("waiting".to_owned(), 1)], weight: 1 }
    }

    fn all(outcome: ItemOutcome, weight: i64) -> Self {
        Self { columns: vec![(outcome.column(), weight)], weight }
    }
}

/// The item ledger.
#[derive(Clone, Debug)]
pub struct ItemLedger {
    table: Table,
}

impl ItemLedger {
    /// The item ledger in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Opens the connection to the table.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.table.open().await
    }

    /// Counts items as received and waiting, and makes their claims. An item that has a claim already is counted by the worker
    /// that made it.
    pub async fn receive(&self, channel: &str, items: &[&KeyedHash<WorkItem>]) -> Result<(), StoreError> {
        let weighed: Vec<(&KeyedHash<WorkItem>, i64)> = items.iter().map(|item| (*item, 1)).collect();
        self.receive_many(channel, &weighed).await
    }

    /// The same for items that each stand for so many of Meta's.
    pub async fn receive_many(&self, channel: &str, items: &[(&KeyedHash<WorkItem>, i64)]) -> Result<(), StoreError> {
        let items: Vec<Weighed<'_>> = items.iter().copied().collect::<BTreeMap<_, _>>().into_iter().collect();
        let chunks: Vec<Vec<Weighed<'_>>> = items.chunks(TRANSACTION_ITEMS).map(<[_]>::to_vec).collect();
        stream::iter(chunks)
            .map(Ok)
            .try_for_each_concurrent(MAX_CONCURRENT_WRITES, |some| self.receive_some(channel, some))
            .await
    }

    async fn receive_some(&self, channel: &str, items: Vec<Weighed<'_>>) -> Result<(), StoreError> {
        let line = self.today(channel);
        until_written_from(items, |mut items| async {
            let Some((first, _)) = items.first() else { return Ok(ControlFlow::Break(())) };
            let mut writes = Vec::with_capacity(items.len() + 1);
            for (item, _) in &items {
                writes.push(claims::received(&self.table, item, &line)?);
            }
            let count = items.iter().map(|(_, weight)| *weight).sum();
            writes.push(self.table.transact_update(self.row(
                &line,
                first,
                &[("received".to_owned(), count), ("waiting".to_owned(), count)],
            ))?);
            match self.table.transact_or_tell(writes).await? {
                TransactOutcome::Done => Ok(ControlFlow::Break(())),
                TransactOutcome::Refused(at) => {
                    let mut position = 0;
                    items.retain(|_| {
                        position += 1;
                        !at.contains(&(position - 1))
                    });
                    Ok(ControlFlow::Continue(items))
                }
            }
        })
        .await
    }

    /// Counts an item that has no claim: received, and its outcome.
    pub async fn count(
        &self,
        channel: &str,
        item: &KeyedHash<WorkItem>,
        outcome: ItemOutcome,
    ) -> Result<(), StoreError> {
        self.count_all(channel, &[item], outcome).await
    }

    /// The same for several items of one outcome, in one write.
    pub async fn count_all(
        &self,
        channel: &str,
        items: &[&KeyedHash<WorkItem>],
        outcome: ItemOutcome,
    ) -> Result<(), StoreError> {
        let Some(first) = items.first() else { return Ok(()) };
        let count = i64::try_from(items.len()).unwrap_or_default();
        let columns = [("received".to_owned(), count), (outcome.column(), count)];
        self.table.change(self.row(&self.today(channel), first, &columns)).await
    }

    /// Counts a task that repeats a done item. The same `holder` counts once.
    pub async fn repeat(&self, channel: &str, item: &KeyedHash<WorkItem>, holder: &str) -> Result<(), StoreError> {
        self.repeat_many(channel, item, 1, holder).await
    }

    /// The same for an item that stands for so many of Meta's.
    pub async fn repeat_many(
        &self,
        channel: &str,
        item: &KeyedHash<WorkItem>,
        weight: i64,
        holder: &str,
    ) -> Result<(), StoreError> {
        let columns = [("received".to_owned(), weight), (ItemOutcome::Duplicate.column(), weight)];
        let row = self.row(&self.today(channel), item, &columns);
        let writes = vec![claims::repeated(&self.table, item, holder)?, self.table.transact_update(row)?];
        until_written(|| async {
            Ok(match self.table.transact_or_tell(writes.clone()).await? {
                TransactOutcome::Refused(at) if at.is_empty() => None,
                TransactOutcome::Done | TransactOutcome::Refused(_) => Some(()),
            })
        })
        .await
    }

    /// Counts an item that has to wait, if it was not counted before.
    pub async fn wait(&self, channel: &str, guard: &ClaimGuard) -> Result<(), StoreError> {
        if guard.line.is_some() {
            return Ok(());
        }
        self.write(channel, guard, Counted::waiting(), ClaimEnd::Waiting, Vec::new(), None).await.map(|_| ())
    }

    /// Closes an item: done, and counted, in one write.
    pub async fn close(&self, channel: &str, guard: &ClaimGuard, outcome: ItemOutcome) -> Result<(), StoreError> {
        self.close_with(channel, guard, outcome, Vec::new(), None).await.map(|_| ())
    }

    /// Counts an item that is dead-lettered. Its claim stays open: a redriven task is received anew.
    pub async fn dead_letter(
        &self,
        channel: &str,
        guard: &ClaimGuard,
        reason: RefusalReason,
    ) -> Result<(), StoreError> {
        self.dead_letter_many(channel, guard, reason, 1).await
    }

    /// The same for an item that stands for so many of Meta's.
    pub async fn dead_letter_many(
        &self,
        channel: &str,
        guard: &ClaimGuard,
        reason: RefusalReason,
        weight: i64,
    ) -> Result<(), StoreError> {
        let counted = Counted::all(ItemOutcome::Refused(reason), weight);
        self.write(channel, guard, counted, ClaimEnd::Open, Vec::new(), None).await.map(|_| ())
    }

    /// Closes an item that stands for so many of Meta's, which ended in different ways; with other writes, all or none.
    pub(crate) async fn close_many(
        &self,
        channel: &str,
        guard: &ClaimGuard,
        fates: &[(ItemOutcome, i64)],
        weight: i64,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let columns = fates.iter().map(|(outcome, count)| (outcome.column(), *count)).collect();
        self.write(channel, guard, Counted { columns, weight }, ClaimEnd::Done, others, None).await.map(|_| ())
    }

    /// Closes an item like `close`, with other writes, all or none. `guard` is a condition of theirs; `false` says that it does not hold.
    pub(crate) async fn close_with(
        &self,
        channel: &str,
        held: &ClaimGuard,
        outcome: ItemOutcome,
        others: Vec<TransactWriteItem>,
        guard: Option<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        self.write(channel, held, Counted::all(outcome, 1), ClaimEnd::Done, others, guard).await
    }

    async fn write(
        &self,
        channel: &str,
        held: &ClaimGuard,
        fate: Counted,
        left: ClaimEnd,
        others: Vec<TransactWriteItem>,
        guard: Option<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        until_written_from(held.clone(), |mut held| async {
            let counted = held.line.is_some();
            let line = held.line.clone().unwrap_or_else(|| self.today(channel));
            let from = if counted { ("waiting", -fate.weight) } else { ("received", fate.weight) };
            let mut columns = fate.columns.clone();
            columns.push((from.0.to_owned(), from.1));
            let mut writes = vec![
                claims::changed(&self.table, &held, &line, left)?,
                self.table.transact_update(self.row(&line, &held.item, &columns))?,
            ];
            writes.extend(others.iter().cloned());
            let guarded = guard.as_ref().map(|_| writes.len());
            writes.extend(guard.clone());
            match self.table.transact_or_tell(writes).await? {
                TransactOutcome::Done => return Ok(ControlFlow::Break(true)),
                TransactOutcome::Refused(at) if guarded.is_some_and(|guard| at.contains(&guard)) => {
                    return Ok(ControlFlow::Break(false));
                }
                // Otherwise only the claim has a condition: since it was taken, another worker has closed or counted the item.
                TransactOutcome::Refused(at) if at.contains(&0) => {
                    let claim = self.table.item(&claims::key(&held.item)).await?;
                    let claim = claim.as_ref().and_then(StoredClaim::read);
                    let done = claim.as_ref().is_some_and(|claim| claim.state == ClaimState::Done);
                    held.line = claim.and_then(|claim| claim.line);
                    if done || (left == ClaimEnd::Waiting && held.line.is_some()) {
                        return Ok(ControlFlow::Break(true));
                    }
                }
                TransactOutcome::Refused(_) => {}
            }
            Ok(ControlFlow::Continue(held))
        })
        .await
    }

    /// The totals of a channel between two days, both included; only of days on which something was counted.
    pub async fn daily_totals(
        &self,
        channel: &str,
        from: i64,
        to: i64,
    ) -> Result<BTreeMap<i64, DailyTotals>, StoreError> {
        let mut totals = BTreeMap::<i64, DailyTotals>::new();
        for row in self.table.items(Range::ledger_rows(channel, from, to)).await? {
            let Some(ItemKey::LedgerRow(_, day, _)) = ItemKey::of(&row) else { continue };
            let of_day = totals.entry(day).or_default();
            for (column, count) in &row {
                let count = count.as_n().ok().and_then(|count| count.parse().ok());
                of_day.add(column, count.unwrap_or_default());
            }
        }
        Ok(totals)
    }

    fn today(&self, channel: &str) -> LedgerRow {
        LedgerRow { channel: channel.to_owned(), day: self.table.now().day() }
    }

    fn row(&self, line: &LedgerRow, item: &KeyedHash<WorkItem>, columns: &[(String, i64)]) -> ItemUpdate {
        // 256 rows a day: transactions on a single row would conflict.
        let shard = item.as_str().get(..2).unwrap_or("00");
        let add: Vec<String> = columns.iter().map(|(column, _)| format!("{column} :{column}")).collect();
        let mut values: Item = columns.iter().map(|(column, count)| (format!(":{column}"), integer(*count))).collect();
        values.insert(":end".to_owned(), integer((self.table.now() + LEDGER_ROW_TTL).as_secs()));
        ItemUpdate {
            key: ItemKey::LedgerRow(line.channel.clone(), line.day, shard.to_owned()).into(),
            update: format!("ADD {} SET expires_at = :end", add.join(", ")),
            condition: None,
            values,
        }
    }
}
