//! Stores how far the import of a phone's history is.
//! It holds ids, times and counts: the content stays in its queue. Each slice that is not written yet has an item, so that the
//! slices of a person are written in order, and an erasure finds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    CustomerId, HistorySlice, KeyedHash, PhoneNumberId, RefusalReason, Timestamp,
    history::{ASKED_ALREADY, ASKED_TOO_LATE, ChunkPosition, ImportState, SILENCE_MAX, Transfer},
    keyed_hash::{Person, WorkItem},
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    ClaimGuard, ItemLedger, ItemOutcome, StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, TransactOutcome, integer, number, strings, text},
    versioned::until_written,
};

/// A chunk that comes later begins another import: the shop signed up again.
const IMPORT_MAX_GAP: Duration = Duration::from_secs(48 * 3600);

/// How long the progress of a number is kept after the last chunk.
const PROGRESS_TTL: Duration = Duration::from_secs(400 * 86_400);

/// Longer than a queue keeps a slice.
const SLICE_TTL: Duration = Duration::from_secs(15 * 86_400);

const REFUSED: &str = "refused_";

/// What became of the messages of a number's or a person's past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Messages that came.
    pub received: i64,
    /// Of these: written.
    pub written: i64,
    /// There already.
    pub duplicate: i64,
    /// Refused, by reason.
    pub refused: BTreeMap<String, i64>,
}

impl ImportCounts {
    /// Messages that still wait.
    pub fn waiting(&self) -> i64 {
        self.received - self.written - self.duplicate - self.refused.values().sum::<i64>()
    }

    fn read(item: &Item) -> Self {
        let count = |name| number(item, name).unwrap_or_default();
        let refused = item.keys().filter_map(|name| Some((name.strip_prefix(REFUSED)?.to_owned(), count(name))));
        Self {
            received: count("received"),
            written: count("written"),
            duplicate: count("duplicate"),
            refused: refused.collect(),
        }
    }
}

/// How far the import of a number is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Meta's transfer.
    pub transfer: Transfer,
    /// Its messages.
    pub counts: ImportCounts,
    /// Meta's code and the time, if there is no history.
    pub declined: Option<(i64, Timestamp)>,
    /// When a slice was last written.
    pub written_at: Option<Timestamp>,
    /// When Meta was asked for it, as far as the bridge did that.
    pub asked_at: Option<Timestamp>,
    /// When the first slice of it was let through to be written.
    pub opened_at: Option<Timestamp>,
}

impl ImportProgress {
    /// How far it is, in what people are told.
    pub fn state(&self, now: Timestamp) -> ImportState {
        let received = self.counts.received;
        match self.declined {
            Some((ASKED_TOO_LATE, _)) if received == 0 => return ImportState::TooLate,
            Some((code, _)) if received == 0 && code != ASKED_ALREADY => return ImportState::NotShared,
            _ => {}
        }
        if self.transfer.last_at == Timestamp::default() {
            let silent = self.asked_at.is_none_or(|asked| now.since(asked) >= SILENCE_MAX);
            return if silent { ImportState::Nothing } else { ImportState::Asked };
        }
        if self.transfer.opens_at() > now {
            return ImportState::Receiving { percent: self.transfer.progress };
        }
        match self.counts.waiting() {
            0 if received == 0 => ImportState::Nothing,
            0 => ImportState::Done,
            waiting => ImportState::Copying { settled: received - waiting, of: received },
        }
    }
}

/// What was imported of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonPast {
    /// Its messages; what waits is counted with the number.
    pub counts: ImportCounts,
    /// When the oldest and the newest of what was written were written.
    pub range: Option<(Timestamp, Timestamp)>,
}

/// A slice that is not written yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WaitingSlice {
    /// When its oldest message was written.
    pub oldest: Timestamp,
    /// When its newest one was.
    pub newest: Timestamp,
    /// Its item.
    pub item: KeyedHash<WorkItem>,
}

#[derive(Serialize)]
struct SliceRow<'s> {
    #[serde(flatten)]
    slice: &'s WaitingSlice,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'s CustomerId>,
    expires_at: i64,
}

/// What became of the messages of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceOutcome {
    /// The customer, where they have a chat.
    pub customer: Option<CustomerId>,
    /// How many were written, and when the oldest and the newest of them were.
    pub written: Option<(i64, Timestamp, Timestamp)>,
    /// How many were there already.
    pub duplicate: i64,
    /// How many were refused, by reason.
    pub refused: Vec<(RefusalReason, i64)>,
}

impl SliceOutcome {
    fn all(&self) -> Vec<(ItemOutcome, i64)> {
        let written = self.written.map_or(0, |(count, ..)| count);
        let counted = [(ItemOutcome::Done, written), (ItemOutcome::Duplicate, self.duplicate)];
        let refused = self.refused.iter().map(|(reason, count)| (ItemOutcome::Refused(*reason), *count));
        counted.into_iter().chain(refused).filter(|(_, count)| *count > 0).collect()
    }
}

/// The imports.
#[derive(Clone, Debug)]
pub struct Imports {
    table: Table,
}

impl Imports {
    /// Imports of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// How far the import of a number is; nothing if no chunk ever came.
    pub async fn progress(&self, number: &PhoneNumberId) -> Result<Option<ImportProgress>, StoreError> {
        Ok(self.table.item(&ItemKey::Transfer(number.clone()).into()).await?.map(|item| read_progress(&item)))
    }

    /// Registers a slice that came, once. From then on an erasure of its person finds it.
    pub async fn register(&self, slice: &HistorySlice) -> Result<(), StoreError> {
        let key = slice_key(&slice.channel, &slice.person, &slice.item);
        let (oldest, newest) = slice.range();
        let waiting = WaitingSlice { oldest, newest, item: slice.item.clone() };
        let expires_at = (self.table.now() + SLICE_TTL).as_secs();
        let row = SliceRow { slice: &waiting, customer: None, expires_at };
        until_written(|| async {
            if self.table.item(&key).await?.is_some() {
                return Ok(Some(()));
            }
            self.begin_anew(&slice.channel).await?;
            let writes = vec![
                self.table.transact_create(&key, &row)?,
                self.table.transact_update(self.came(&slice.channel, slice.position, slice.weight()))?,
            ];
            Ok((self.table.transact_or_tell(writes).await? == TransactOutcome::Done).then_some(()))
        })
        .await
    }

    /// Records a chunk without messages. An error of Meta's says that there is no history.
    pub async fn report(
        &self,
        number: &PhoneNumberId,
        position: ChunkPosition,
        error: Option<i64>,
    ) -> Result<(), StoreError> {
        self.begin_anew(number).await?;
        let mut change = self.came(number, position, 0);
        if let Some(error) = error {
            change.update = change.update.replacen("SET ", "SET declined = :declined, declined_at = :now, ", 1);
            change.values.insert(":declined".to_owned(), integer(error));
        }
        self.table.change(change).await
    }

    /// Records that Meta was asked for a number's history.
    pub async fn asked(&self, number: &PhoneNumberId) -> Result<(), StoreError> {
        let now = self.table.now();
        let change = ItemUpdate {
            key: ItemKey::Transfer(number.clone()).into(),
            update: "SET asked_at = :now, expires_at = :end REMOVE declined, declined_at".to_owned(),
            condition: None,
            values: Item::from([
                (":now".to_owned(), integer(now.as_millis())),
                (":end".to_owned(), integer((now + PROGRESS_TTL).as_secs())),
            ]),
        };
        self.table.change(change).await
    }

    /// Records that what came may be written: nothing of it waits to be registered.
    pub async fn opened(&self, number: &PhoneNumberId) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: ItemKey::Transfer(number.clone()).into(),
            update: "SET opened_at = :now".to_owned(),
            condition: Some("attribute_exists(first_at)".to_owned()),
            values: Item::from([(":now".to_owned(), integer(self.table.now().as_millis()))]),
        };
        self.table.change(change).await
    }

    /// Records that Meta refused to send a number's history, with its code.
    pub async fn refused(&self, number: &PhoneNumberId, code: i64) -> Result<(), StoreError> {
        let now = self.table.now();
        let change = ItemUpdate {
            key: ItemKey::Transfer(number.clone()).into(),
            update: "SET declined = :code, declined_at = :now, expires_at = :end".to_owned(),
            condition: None,
            values: Item::from([
                (":code".to_owned(), integer(code)),
                (":now".to_owned(), integer(now.as_millis())),
                (":end".to_owned(), integer((now + PROGRESS_TTL).as_secs())),
            ]),
        };
        self.table.change(change).await
    }

    /// The progress of an earlier import says nothing about this one.
    async fn begin_anew(&self, number: &PhoneNumberId) -> Result<(), StoreError> {
        let Some(before) = self.progress(number).await? else { return Ok(()) };
        let last_at = before.transfer.last_at;
        let is_first = last_at == Timestamp::default();
        if is_first || self.table.now().since(last_at) < IMPORT_MAX_GAP || before.counts.waiting() > 0 {
            return Ok(());
        }
        let key = ItemKey::Transfer(number.clone()).into();
        self.table.delete_if(&key, "last_at = :last", (":last", integer(last_at.as_millis()))).await
    }

    fn came(&self, number: &PhoneNumberId, position: ChunkPosition, messages: i64) -> ItemUpdate {
        let now = self.table.now();
        let mut update =
            "SET first_at = if_not_exists(first_at, :now), last_at = :now, expires_at = :end ADD received :messages"
                .to_owned();
        let mut values = Item::from([
            (":now".to_owned(), integer(now.as_millis())),
            (":end".to_owned(), integer((now + PROGRESS_TTL).as_secs())),
            (":messages".to_owned(), integer(messages)),
        ]);
        let one = |text: String| AttributeValue::Ss(vec![text]);
        if let Some(progress) = position.progress {
            update.push_str(", progresses :progress");
            values.insert(":progress".to_owned(), one(progress.clamp(0, 100).to_string()));
        }
        if let (Some(phase), Some(order)) = (position.phase, position.order) {
            update.push_str(", chunks :chunk");
            values.insert(":chunk".to_owned(), one(format!("{phase}/{order}")));
        }
        ItemUpdate { key: ItemKey::Transfer(number.clone()).into(), update, condition: None, values }
    }

    /// The slices of a person that are not written yet, the oldest first.
    pub async fn waiting(
        &self,
        number: &PhoneNumberId,
        person: &KeyedHash<Person>,
    ) -> Result<Vec<WaitingSlice>, StoreError> {
        let items = self.table.items(Range::past_slices(number, person)).await?;
        let mut slices: Vec<WaitingSlice> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        slices.sort();
        Ok(slices)
    }

    /// What was imported of a person.
    pub async fn of_person(
        &self,
        number: &PhoneNumberId,
        person: &KeyedHash<Person>,
    ) -> Result<Option<PersonPast>, StoreError> {
        let item = self.table.item(&person_key(number, person)).await?;
        Ok(item.map(|item| PersonPast { counts: ImportCounts::read(&item), range: range(&item) }))
    }

    /// Closes a slice: its claim, its counts, and its item, in one write.
    pub async fn close(
        &self,
        slice: &HistorySlice,
        outcome: &SliceOutcome,
        ledger: &ItemLedger,
        guard: &ClaimGuard,
    ) -> Result<(), StoreError> {
        let fates = outcome.all();
        let mut others = vec![
            self.table.transact_delete(&slice_key(&slice.channel, &slice.person, &slice.item))?,
            self.table.transact_update(counted(
                ItemKey::Transfer(slice.channel.clone()),
                &fates,
                Some(("written_at", self.table.now())),
                (self.table.now() + PROGRESS_TTL).as_secs(),
            ))?,
        ];
        others.extend(self.person_counted(slice, outcome, &fates).await?);
        let channel = slice.channel.as_str();
        ledger.close_many(channel, guard, &fates, slice.weight(), others).await
    }

    /// Forgets a slice that was dead-lettered: it must not hold up the others, and counts as refused.
    pub async fn set_aside(&self, slice: &HistorySlice, reason: RefusalReason) -> Result<(), StoreError> {
        let key = slice_key(&slice.channel, &slice.person, &slice.item);
        let end = (self.table.now() + PROGRESS_TTL).as_secs();
        let fates = [(ItemOutcome::Refused(reason), slice.weight())];
        until_written(|| async {
            if self.table.item(&key).await?.is_none() {
                return Ok(Some(()));
            }
            let count = counted(ItemKey::Transfer(slice.channel.clone()), &fates, None, end);
            let writes = vec![self.table.transact_delete(&key)?, self.table.transact_update(count)?];
            Ok((self.table.transact_or_tell(writes).await? == TransactOutcome::Done).then_some(()))
        })
        .await
    }

    /// What is kept of the person, if they have a chat.
    async fn person_counted(
        &self,
        slice: &HistorySlice,
        outcome: &SliceOutcome,
        fates: &[(ItemOutcome, i64)],
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let Some(customer) = &outcome.customer else { return Ok(None) };
        let known = self.table.item(&person_key(&slice.channel, &slice.person)).await?;
        let known = known.as_ref().and_then(range);
        let mut change = counted(
            ItemKey::PastPerson(slice.channel.clone(), slice.person.clone()),
            fates,
            None,
            self.table.kept_until(),
        );
        let mut set = "SET customer = :customer, ".to_owned();
        change.values.insert(":customer".to_owned(), text(customer.as_str()));
        if let Some((_, oldest, newest)) = outcome.written {
            let (oldest, newest) = known.map_or((oldest, newest), |(from, to)| (oldest.min(from), newest.max(to)));
            set.push_str("oldest = :oldest, newest = :newest, ");
            change.values.insert(":oldest".to_owned(), integer(oldest.as_millis()));
            change.values.insert(":newest".to_owned(), integer(newest.as_millis()));
        }
        change.update = change.update.replacen("SET ", &set, 1);
        Ok(Some(self.table.transact_update(change)?))
    }
}

/// The counts of these outcomes, and a time beside them.
fn counted(key: ItemKey, fates: &[(ItemOutcome, i64)], stamp: Option<(&str, Timestamp)>, end: i64) -> ItemUpdate {
    let mut update = "SET expires_at = :end".to_owned();
    let mut values = Item::from([(":end".to_owned(), integer(end))]);
    if let Some((name, at)) = stamp {
        update.extend([", ", name, " = :", name]);
        values.insert(format!(":{name}"), integer(at.as_millis()));
    }
    let columns = fates.iter().map(|(outcome, count)| (column(*outcome), *count));
    let add: Vec<String> = columns.clone().map(|(column, _)| format!("{column} :{column}")).collect();
    if !add.is_empty() {
        update.extend([" ADD ", &add.join(", ")]);
    }
    values.extend(columns.map(|(column, count)| (format!(":{column}"), integer(count))));
    ItemUpdate { key: key.into(), update, condition: None, values }
}

/// The column in which an outcome is counted.
fn column(outcome: ItemOutcome) -> String {
    match outcome {
        ItemOutcome::Done => "written".to_owned(),
        ItemOutcome::Duplicate => "duplicate".to_owned(),
        ItemOutcome::Refused(reason) => format!("{REFUSED}{}", reason.word()),
    }
}

fn time(item: &Item, name: &str) -> Option<Timestamp> {
    number(item, name).map(Timestamp::from_millis)
}

fn range(item: &Item) -> Option<(Timestamp, Timestamp)> {
    time(item, "oldest").zip(time(item, "newest"))
}

fn read_progress(item: &Item) -> ImportProgress {
    let chunk = |text: &str| {
        let (phase, order) = text.split_once('/')?;
        Some((phase.parse().ok()?, order.parse().ok()?))
    };
    let chunks: BTreeSet<(i64, i64)> = strings(item, "chunks").filter_map(chunk).collect();
    let progress = strings(item, "progresses").filter_map(|text| text.parse().ok()).max().unwrap_or_default();
    ImportProgress {
        transfer: Transfer {
            first_at: time(item, "first_at").unwrap_or_default(),
            last_at: time(item, "last_at").unwrap_or_default(),
            progress,
            chunks,
        },
        counts: ImportCounts::read(item),
        declined: number(item, "declined").zip(time(item, "declined_at")),
        written_at: time(item, "written_at"),
        asked_at: time(item, "asked_at"),
        opened_at: time(item, "opened_at"),
    }
}

fn slice_key(number: &PhoneNumberId, person: &KeyedHash<Person>, item: &KeyedHash<WorkItem>) -> Key {
    ItemKey::PastSlice(number.clone(), person.clone(), item.clone()).into()
}

fn person_key(number: &PhoneNumberId, person: &KeyedHash<Person>) -> Key {
    ItemKey::PastPerson(number.clone(), person.clone()).into()
}
