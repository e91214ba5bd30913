//! Stores erasure requests in the table.
//! A request itself names no person. Its data subject is in an item beside it, as ids and addresses, which is deleted when the
//! request is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, TransactWriteItem, WriteRequest};
use domain::{
    AccountId, ConfirmationCode, ConversationId, CustomerId, Erasure, KeyedHash, MessageGroup, MessageId, Timestamp,
    erasure::{ErasureState, SignedReceipt},
    keyed_hash::{Person, RequestPointer},
};
use serde::{Deserialize, Serialize};

use crate::{
    DataSubject, StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, integer, number, text, with_key},
    versioned::until_written,
};

/// Days for which a request is kept, whatever its outcome (`ledger_days` of the policy).
pub const LEDGER_KEEPS_DAYS: u64 = 730;

/// The same as a duration.
const LEDGER_TTL: Duration = Duration::from_secs(LEDGER_KEEPS_DAYS * 86_400);

/// A request as it was read. A write with it succeeds only if no other writer came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureEntry {
    /// The request.
    pub erasure: Erasure,
    stamp: String,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct ErasureRow {
    #[serde(flatten)]
    pub(crate) erasure: Erasure,
    pub(crate) stamp: String,
    pub(crate) expires_at: i64,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Pointer {
    pub(crate) code: ConfirmationCode,
    pub(crate) expires_at: i64,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct DataSubjectRow {
    #[serde(flatten)]
    pub(crate) target: DataSubject,
    pub(crate) expires_at: i64,
}

/// The line about a single message that was erased: what it said is nowhere in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ErasedMessage {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// When an agent asked for it first.
    pub at: Timestamp,
    /// The agent, by Chatwoot's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// How many files it had.
    pub files: usize,
    /// How many messages that repeat its words went with it.
    pub copies: usize,
}

#[derive(Deserialize, Serialize)]
struct ErasedMessageRow {
    #[serde(flatten)]
    line: ErasedMessage,
    expires_at: i64,
}

#[derive(Deserialize, Serialize)]
struct ReceiptRow {
    signed: SignedReceipt,
    expires_at: i64,
}

/// Hashes under which requests are found, and the request each leads to, if there is one.
pub type Pointed = BTreeMap<KeyedHash<RequestPointer>, Option<ConfirmationCode>>;

/// The stored requests.
#[derive(Clone, Debug)]
pub struct ErasureLedger {
    table: Table,
}

impl ErasureLedger {
    /// Requests of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Writes the line about a message that is being erased, unless there is one. It is written before anything is erased.
    pub async fn note_erased_message(&self, line: &ErasedMessage) -> Result<(), StoreError> {
        let key = erased_message(line.account, line.conversation, line.message);
        let expires_at = (self.table.now() + LEDGER_TTL).as_secs();
        let row = ErasedMessageRow { line: line.clone(), expires_at };
        // If it is there already, an earlier attempt wrote it.
        self.table.transact(vec![self.table.transact_create(&key, &row)?]).await.map(|_| ())
    }

    /// The line about a message that was erased by itself.
    pub async fn erased_message(
        &self,
        account: AccountId,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<Option<ErasedMessage>, StoreError> {
        let row = self.table.get::<ErasedMessageRow>(&erased_message(account, conversation, message)).await?;
        Ok(row.map(|row| row.line))
    }

    /// A request, open or closed.
    pub async fn get(&self, code: &ConfirmationCode) -> Result<Option<ErasureEntry>, StoreError> {
        let row = self.table.get::<ErasureRow>(&ledger(code)).await?;
        Ok(row.map(|row| ErasureEntry { erasure: row.erasure, stamp: row.stamp }))
    }

    /// What these hashes lead to.
    pub async fn pointed(&self, pointers: &BTreeSet<KeyedHash<RequestPointer>>) -> Result<Pointed, StoreError> {
        let mut pointed = BTreeMap::new();
        for pointer in pointers {
            let found = self.table.get::<Pointer>(&request(pointer)).await?;
            pointed.insert(pointer.clone(), found.map(|found| found.code));
        }
        Ok(pointed)
    }

    /// The request among these that counts: an open one, else the latest one that is done, else the latest.
    pub async fn foremost(&self, pointed: &Pointed) -> Result<Option<ErasureEntry>, StoreError> {
        let codes: BTreeSet<&ConfirmationCode> = pointed.values().flatten().collect();
        let mut entries = Vec::new();
        for code in codes {
            entries.extend(self.get(code).await?);
        }
        let now = self.table.now();
        Ok(entries.into_iter().max_by_key(|entry| {
            let rank = match entry.erasure.clone().at(now).state() {
                ErasureState::Withdrawn { .. } => 0,
                ErasureState::Done { .. } => 1,
                _ => 2,
            };
            (rank, entry.erasure.asked_at())
        }))
    }

    /// Opens a request under all of these hashes, each of which must still lead where it was `pointed` before. If another writer
    /// came between, nothing is written and nothing is returned.
    pub async fn open(
        &self,
        erasure: &Erasure,
        pointed: &Pointed,
        subject: &DataSubject,
    ) -> Result<Option<ErasureEntry>, StoreError> {
        // The request is there, too, if the answer was lost and the SDK's repeat met our own write.
        self.table.transact(self.opening(erasure, pointed, subject)?).await?;
        self.get(erasure.code()).await
    }

    fn opening(
        &self,
        erasure: &Erasure,
        pointed: &Pointed,
        subject: &DataSubject,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let expires_at = (self.table.now() + LEDGER_TTL).as_secs();
        let code = erasure.code();
        let row = ErasureRow { erasure: erasure.clone(), stamp: stamp(), expires_at };
        let mut writes = vec![
            self.table.transact_create(&ledger(code), &row)?,
            self.table.transact_create(&opened(code), &Pointer { code: code.clone(), expires_at })?,
            self.table.transact_create(&beside(code), &DataSubjectRow { target: subject.clone(), expires_at })?,
        ];
        for (pointer, known) in pointed {
            let row = Pointer { code: code.clone(), expires_at };
            let mut values = Item::from([(":now".to_owned(), integer(self.table.now().as_secs()))]);
            let condition = still(known.as_ref(), &mut values);
            writes.push(self.table.transact_put(with_key(&request(pointer), &row)?, Some(&condition), values)?);
        }
        Ok(writes)
    }

    /// Points every hash that leads elsewhere, or nowhere, to this request, unless another writer came between.
    pub async fn point(&self, pointed: &Pointed, code: &ConfirmationCode) -> Result<(), StoreError> {
        let expires_at = (self.table.now() + LEDGER_TTL).as_secs();
        for (pointer, known) in pointed.iter().filter(|(_, known)| known.as_ref() != Some(code)) {
            let mut values = Item::from([
                (":code".to_owned(), text(code.as_str())),
                (":end".to_owned(), integer(expires_at)),
                (":now".to_owned(), integer(self.table.now().as_secs())),
            ]);
            let update = "SET code = :code, expires_at = :end".to_owned();
            let condition = Some(still(known.as_ref(), &mut values));
            let change = ItemUpdate { key: request(pointer), update, condition, values };
            self.table.change(change).await?;
        }
        Ok(())
    }

    /// Writes a request as it is now. If another writer changed it since it was read, theirs is returned.
    pub async fn save(
        &self,
        entry: &ErasureEntry,
        erasure: Erasure,
    ) -> Result<Result<ErasureEntry, ErasureEntry>, StoreError> {
        self.save_about(entry, erasure, None).await
    }

    /// The same, with the request's data subject in the same write.
    pub async fn save_about(
        &self,
        entry: &ErasureEntry,
        erasure: Erasure,
        target: Option<&DataSubject>,
    ) -> Result<Result<ErasureEntry, ErasureEntry>, StoreError> {
        let row = ErasureRow { erasure, stamp: stamp(), expires_at: (self.table.now() + LEDGER_TTL).as_secs() };
        let key = ledger(row.erasure.code());
        let seen = Item::from([(":seen".to_owned(), text(&entry.stamp))]);
        let mut writes = vec![self.table.transact_put(with_key(&key, &row)?, Some("stamp = :seen"), seen)?];
        if let Some(target) = target {
            let about = DataSubjectRow { target: target.clone(), expires_at: row.expires_at };
            let about = with_key(&beside(row.erasure.code()), &about)?;
            writes.push(self.table.transact_put(about, None, Item::new())?);
        }
        if row.erasure.is_closed() {
            for key in [opened(row.erasure.code()), beside(row.erasure.code())] {
                writes.push(self.table.transact_delete(&key)?);
            }
        }
        until_written(|| async {
            if self.table.transact(writes.clone()).await? {
                return Ok(Some(Ok(ErasureEntry { erasure: row.erasure.clone(), stamp: row.stamp.clone() })));
            }
            // Either another writer was first, or the SDK repeated our own write, which then met itself.
            Ok(match self.get(row.erasure.code()).await? {
                Some(theirs) if theirs.stamp == row.stamp => Some(Ok(theirs)),
                Some(theirs) if theirs.stamp != entry.stamp => Some(Err(theirs)),
                _ => None,
            })
        })
        .await
    }

    /// All requests that are not closed.
    pub async fn all_open(&self) -> Result<Vec<ErasureEntry>, StoreError> {
        let mut entries = Vec::new();
        for code in self.open_codes().await? {
            entries.extend(self.get(&code).await?);
        }
        Ok(entries)
    }

    /// Their codes alone.
    pub async fn open_codes(&self) -> Result<Vec<ConfirmationCode>, StoreError> {
        let pointers = self.table.range::<Pointer>(Range::open_erasures()).await?;
        Ok(pointers.into_iter().map(|pointer| pointer.code).collect())
    }

    /// The data subject of a request; nothing once it is closed. An open request always has one, unless the item was taken away.
    pub async fn data_subject(&self, code: &ConfirmationCode) -> Result<Option<DataSubject>, StoreError> {
        Ok(self.table.get::<DataSubjectRow>(&beside(code)).await?.map(|row| row.target))
    }

    /// Writes the data subject as it was gathered.
    pub async fn set_data_subject(&self, code: &ConfirmationCode, subject: &DataSubject) -> Result<(), StoreError> {
        let row = DataSubjectRow { target: subject.clone(), expires_at: (self.table.now() + LEDGER_TTL).as_secs() };
        self.table.put(&beside(code), &row).await
    }

    /// The receipt as it was signed.
    pub async fn receipt(&self, code: &ConfirmationCode) -> Result<Option<SignedReceipt>, StoreError> {
        Ok(self.table.get::<ReceiptRow>(&signed(code)).await?.map(|row| row.signed))
    }

    /// Stores the signed receipt.
    pub async fn set_receipt(&self, code: &ConfirmationCode, receipt: &SignedReceipt) -> Result<(), StoreError> {
        let row = ReceiptRow { signed: receipt.clone(), expires_at: (self.table.now() + LEDGER_TTL).as_secs() };
        self.table.put(&signed(code), &row).await
    }

    /// Records that the intake of everything known of the data subject is blocked.
    pub(crate) async fn set_barred(&self, code: &ConfirmationCode) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: beside(code),
            update: "SET barred = :barred".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::from([(":barred".to_owned(), AttributeValue::Bool(true))]),
        };
        self.table.change(change).await
    }

    /// Records that drain markers are awaited in these message groups.
    pub async fn await_drain_markers(
        &self,
        code: &ConfirmationCode,
        queue: &str,
        groups: &[MessageGroup],
    ) -> Result<(), StoreError> {
        let row = Pointer { code: code.clone(), expires_at: (self.table.now() + LEDGER_TTL).as_secs() };
        let mut writes = Vec::with_capacity(groups.len());
        for group in groups {
            let item = with_key(&drain_marker_key(code, queue, group), &row)?;
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        self.table.write_all(writes).await
    }

    /// Records that a drain marker, or something queued behind it, came out of its group.
    pub async fn drain_marker_is_out(
        &self,
        code: &ConfirmationCode,
        queue: &str,
        group: &MessageGroup,
    ) -> Result<(), StoreError> {
        self.table.delete(&drain_marker_key(code, queue, group)).await
    }

    /// The groups whose drain marker has not come out yet.
    pub async fn awaited(&self, code: &ConfirmationCode, queue: &str) -> Result<Vec<MessageGroup>, StoreError> {
        let items = self.table.items(Range::drain_markers(code, Some(queue))).await?;
        let group = |key| if let ItemKey::DrainMarker(_, _, group) = key { Some(group) } else { None };
        Ok(items.iter().filter_map(ItemKey::of).filter_map(group).collect())
    }

    /// Counts an incoming event that was dropped for a request.
    pub async fn count_dropped(&self, code: &ConfirmationCode) -> Result<(), StoreError> {
        let values = Item::from([
            (":one".to_owned(), integer(1)),
            (":end".to_owned(), integer((self.table.now() + LEDGER_TTL).as_secs())),
        ]);
        let update = "ADD dropped :one SET expires_at = :end".to_owned();
        let change = ItemUpdate { key: dropped(code), update, condition: None, values };
        self.table.change(change).await
    }

    /// How many events were dropped so far.
    pub async fn dropped(&self, code: &ConfirmationCode) -> Result<u64, StoreError> {
        let item = self.table.item(&dropped(code)).await?;
        Ok(item.and_then(|item| number(&item, "dropped")).and_then(|count| count.try_into().ok()).unwrap_or_default())
    }

    /// Records a further alias of the person, named by an event that was dropped for the request.
    pub async fn learn(&self, code: &ConfirmationCode, alias: &KeyedHash<Person>) -> Result<(), StoreError> {
        let row = Pointer { code: code.clone(), expires_at: (self.table.now() + LEDGER_TTL).as_secs() };
        self.table.put(&ItemKey::LearntAlias(code.clone(), alias.clone()).into(), &row).await
    }

    /// The further aliases of the person that were learnt while the request was underway.
    pub async fn learnt(&self, code: &ConfirmationCode) -> Result<BTreeSet<KeyedHash<Person>>, StoreError> {
        let items = self.table.items(Range::learnt_aliases(code)).await?;
        let alias = |key| if let ItemKey::LearntAlias(_, alias) = key { Some(alias) } else { None };
        Ok(items.iter().filter_map(ItemKey::of).filter_map(alias).collect())
    }

    /// Deletes the drain markers still awaited, and the aliases learnt.
    pub async fn forget_drain_markers(&self, code: &ConfirmationCode) -> Result<(), StoreError> {
        for range in [Range::drain_markers(code, None), Range::learnt_aliases(code)] {
            for key in self.table.items(range).await?.iter().filter_map(Key::of) {
                self.table.delete(&key).await?;
            }
        }
        Ok(())
    }
}

fn ledger(code: &ConfirmationCode) -> Key {
    ItemKey::Erasure(code.clone()).into()
}

pub(crate) fn beside(code: &ConfirmationCode) -> Key {
    ItemKey::DataSubject(code.clone()).into()
}

pub(crate) fn opened(code: &ConfirmationCode) -> Key {
    ItemKey::OpenErasure(code.clone()).into()
}

fn signed(code: &ConfirmationCode) -> Key {
    ItemKey::Receipt(code.clone()).into()
}

fn request(pointer: &KeyedHash<RequestPointer>) -> Key {
    ItemKey::Request(pointer.clone()).into()
}

/// The condition that a hash still leads where it was found to lead; the values need `:now`.
fn still(known: Option<&ConfirmationCode>, values: &mut Item) -> String {
    let nowhere = "attribute_not_exists(pk) OR expires_at <= :now".to_owned();
    let Some(known) = known else { return nowhere };
    values.insert(":known".to_owned(), text(known.as_str()));
    nowhere + " OR code = :known"
}

fn drain_marker_key(code: &ConfirmationCode, queue: &str, group: &MessageGroup) -> Key {
    ItemKey::DrainMarker(code.clone(), queue.to_owned(), group.clone()).into()
}

fn erased_message(account: AccountId, conversation: ConversationId, message: MessageId) -> Key {
    ItemKey::ErasedMessage(account, conversation, message).into()
}

fn dropped(code: &ConfirmationCode) -> Key {
    ItemKey::Dropped(code.clone()).into()
}

fn stamp() -> String {
    CustomerId::mint().as_str().to_owned()
}
