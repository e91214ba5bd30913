//! The ledger of erasures in the table. The request itself knows no person; whom it is about stands in an item beside it, as ids
//! and addresses, and goes when the request is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::{Put, PutRequest, ReturnValue, TransactWriteItem, WriteRequest};
use domain::{
    AccountId, ConfirmationCode, ContactId, ConversationId, CustomerId, Erasure, MediaId, PhoneNumberId, Subject,
    Timestamp, UserId, WaId,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, integer, number, text, with_key},
};

/// Days for which a request is kept, whatever came of it (`ledger_days` of the policy).
pub const LEDGER_KEEPS_DAYS: u64 = 730;

/// The same as a time.
const KEPT: Duration = Duration::from_secs(LEDGER_KEEPS_DAYS * 86_400);

const TRIES: usize = 8;

/// DynamoDB writes so many at once.
const AT_ONCE: usize = 25;

/// Whom a request is about, and what of theirs is where. Gathered once, before anything is erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Keyed hashes of everything they are known by.
    #[serde(default)]
    pub aliases: BTreeSet<Subject>,
    /// Phones, as they were asked for or last used.
    #[serde(default)]
    pub phones: BTreeSet<WaId>,
    /// User ids.
    #[serde(default)]
    pub users: BTreeSet<UserId>,
    /// Our own ids of them.
    #[serde(default)]
    pub customers: BTreeSet<CustomerId>,
    /// Keyed hashes of administrators' ids.
    #[serde(default)]
    pub administrators: BTreeSet<Subject>,
    /// Their contacts in Chatwoot.
    #[serde(default)]
    pub contacts: BTreeSet<(AccountId, ContactId)>,
    /// Their conversations in Chatwoot, with the number each belongs to.
    #[serde(default)]
    pub conversations: BTreeSet<(AccountId, ConversationId, PhoneNumberId)>,
    /// Keyed hashes of their messages' ids; only while their early statuses are looked for.
    #[serde(skip)]
    pub messages: BTreeSet<Subject>,
    /// Their files at Meta, with the number each came to or went from.
    #[serde(default)]
    pub media: BTreeSet<(PhoneNumberId, MediaId)>,
    /// Aliases that were theirs up to a time only.
    #[serde(default)]
    pub given_up: BTreeMap<Subject, Timestamp>,
    /// The conversation on which an agent put the label.
    #[serde(default)]
    pub labeled: Option<(AccountId, ConversationId)>,
    /// The one account the request is about: time is over in one dealer's Chatwoot, and not in another's.
    #[serde(default)]
    pub only: Option<AccountId>,
    /// When somebody whose time is over was last active, as far as it was known when they were asked for.
    #[serde(default)]
    pub quiet_since: Option<Timestamp>,
    /// When the table last saw them active; only while they are gathered.
    #[serde(skip)]
    pub active_at: Option<Timestamp>,
    /// Whether the table was asked what belongs to them.
    #[serde(default)]
    pub gathered: bool,
    /// When the marks were put into the queues.
    #[serde(default)]
    pub probed_at: Option<Timestamp>,
}

/// A request as it was read; a writer proves with it that nobody came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The request.
    pub erasure: Erasure,
    stamp: String,
}

#[derive(Deserialize, Serialize)]
struct Row {
    #[serde(flatten)]
    erasure: Erasure,
    stamp: String,
    expires_at: i64,
}

#[derive(Deserialize, Serialize)]
struct Pointer {
    code: ConfirmationCode,
    expires_at: i64,
}

#[derive(Deserialize, Serialize)]
struct TargetRow {
    #[serde(flatten)]
    target: Target,
    expires_at: i64,
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct Erasures {
    table: Table,
}

impl Erasures {
    /// That of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// A request, open or closed.
    pub async fn get(&self, code: &ConfirmationCode) -> Result<Option<Entry>, StoreError> {
        let row = self.table.get::<Row>(&ledger(code)).await?;
        Ok(row.map(|row| Entry { erasure: row.erasure, stamp: row.stamp }))
    }

    /// The latest request about any of these hashes.
    pub async fn about(&self, pointers: &BTreeSet<Subject>) -> Result<Option<Entry>, StoreError> {
        for pointer in pointers {
            let Some(found) = self.table.get::<Pointer>(&request(pointer)).await? else { continue };
            if let Some(entry) = self.get(&found.code).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Opens a request under these pointers. `unless` is the one that was found there before; if another has come between, nothing
    /// is written, and that one comes back.
    pub async fn open(
        &self,
        erasure: Erasure,
        pointers: &BTreeSet<Subject>,
        target: &Target,
        unless: Option<&ConfirmationCode>,
    ) -> Result<Entry, StoreError> {
        for _ in 0..TRIES {
            if self.table.transact(self.opening(&erasure, pointers, target, unless)?).await? {
                return self.get(&erasure.code).await?.ok_or(StoreError::Contended);
            }
            if let Some(theirs) = self.about(pointers).await?
                && Some(&theirs.erasure.code) != unless
            {
                return Ok(theirs);
            }
        }
        Err(StoreError::Contended)
    }

    fn opening(
        &self,
        erasure: &Erasure,
        pointers: &BTreeSet<Subject>,
        target: &Target,
        unless: Option<&ConfirmationCode>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let expires_at = (self.table.now() + KEPT).as_secs();
        let code = &erasure.code;
        let row = Row { erasure: erasure.clone(), stamp: stamp(), expires_at };
        let mut writes = vec![
            self.table.transact_create(&ledger(code), &row)?,
            self.table.transact_create(&opened(code), &Pointer { code: code.clone(), expires_at })?,
            self.table.transact_create(&beside(code), &TargetRow { target: target.clone(), expires_at })?,
        ];
        for pointer in pointers {
            let row = Pointer { code: code.clone(), expires_at };
            let mut values = Item::from([(":now".to_owned(), integer(self.table.now().as_secs()))]);
            let mut condition = "attribute_not_exists(pk) OR expires_at <= :now".to_owned();
            if let Some(known) = unless {
                condition.push_str(" OR code = :known");
                values.insert(":known".to_owned(), text(known.as_str()));
            }
            let put = Put::builder()
                .table_name(&self.table.name)
                .set_item(Some(with_key(&request(pointer), &row)?))
                .condition_expression(condition)
                .set_expression_attribute_values(Some(values))
                .build()?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        Ok(writes)
    }

    /// Writes a request as it now is. If somebody else wrote it since it was read, theirs comes back.
    pub async fn save(&self, entry: &Entry, erasure: Erasure) -> Result<Result<Entry, Entry>, StoreError> {
        let row = Row { erasure, stamp: stamp(), expires_at: (self.table.now() + KEPT).as_secs() };
        let key = ledger(&row.erasure.code);
        let put = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(with_key(&key, &row)?))
            .condition_expression("stamp = :seen")
            .expression_attribute_values(":seen", text(&entry.stamp))
            .build()?;
        let mut writes = vec![TransactWriteItem::builder().put(put).build()];
        if row.erasure.is_closed() {
            for key in [opened(&row.erasure.code), beside(&row.erasure.code)] {
                let delete = aws_sdk_dynamodb::types::Delete::builder()
                    .table_name(&self.table.name)
                    .set_key(Some(key.item()))
                    .build()?;
                writes.push(TransactWriteItem::builder().delete(delete).build());
            }
        }
        for _ in 0..TRIES {
            if self.table.transact(writes.clone()).await? {
                return Ok(Ok(Entry { erasure: row.erasure, stamp: row.stamp }));
            }
            // Either somebody else was first, or our own write was repeated by the SDK and met itself.
            match self.get(&row.erasure.code).await? {
                Some(theirs) if theirs.stamp == row.stamp => return Ok(Ok(theirs)),
                Some(theirs) if theirs.stamp != entry.stamp => return Ok(Err(theirs)),
                _ => {}
            }
        }
        Err(StoreError::Contended)
    }

    /// All requests that are not closed.
    pub async fn all_open(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for pointer in self.table.range::<Pointer>(OPEN, "", "~").await? {
            entries.extend(self.get(&pointer.code).await?);
        }
        Ok(entries)
    }

    /// Whom a request is about; nothing once it is closed.
    pub async fn target(&self, code: &ConfirmationCode) -> Result<Option<Target>, StoreError> {
        Ok(self.table.get::<TargetRow>(&beside(code)).await?.map(|row| row.target))
    }

    /// Writes down what was gathered.
    pub async fn set_target(&self, code: &ConfirmationCode, target: &Target) -> Result<(), StoreError> {
        let row = TargetRow { target: target.clone(), expires_at: (self.table.now() + KEPT).as_secs() };
        self.table.put(&beside(code), &row).await
    }

    /// Waits for marks to come out of groups.
    pub async fn await_probes(
        &self,
        code: &ConfirmationCode,
        queue: &str,
        groups: &[String],
    ) -> Result<(), StoreError> {
        let row = Pointer { code: code.clone(), expires_at: (self.table.now() + KEPT).as_secs() };
        for some in groups.chunks(AT_ONCE) {
            let mut writes = Vec::with_capacity(some.len());
            for group in some {
                let put = PutRequest::builder().set_item(Some(with_key(&probe(code, queue, group), &row)?)).build()?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            let request = self.table.client.batch_write_item().request_items(&self.table.name, writes);
            let answer = request.send().await.map_err(StoreError::call)?;
            if answer.unprocessed_items.is_some_and(|items| !items.is_empty()) {
                return Err(StoreError::Contended);
            }
        }
        Ok(())
    }

    /// A mark came out of a group, or something that was put in behind it.
    pub async fn probe_is_out(&self, code: &ConfirmationCode, queue: &str, group: &str) -> Result<(), StoreError> {
        self.table.delete(&probe(code, queue, group)).await
    }

    /// The groups out of which no mark came yet.
    pub async fn awaited(&self, code: &ConfirmationCode, queue: &str) -> Result<Vec<String>, StoreError> {
        let prefix = format!("probe#{queue}#");
        let items = self.table.items(&ledger(code).pk, &prefix, &format!("{prefix}~")).await?;
        let group = |item: &Item| Some(item.get("sk")?.as_s().ok()?.strip_prefix(&prefix)?.to_owned());
        Ok(items.iter().filter_map(group).collect())
    }

    /// Something on its way in was dropped for a request.
    pub async fn count_dropped(&self, code: &ConfirmationCode) -> Result<(), StoreError> {
        let values = Item::from([
            (":one".to_owned(), integer(1)),
            (":end".to_owned(), integer((self.table.now() + KEPT).as_secs())),
        ]);
        let update = "ADD dropped :one SET expires_at = :end".to_owned();
        let change = Change { key: dropped(code), update, condition: None, values };
        self.table.update(change, ReturnValue::None).await.map(|_| ())
    }

    /// How much was dropped so far.
    pub async fn dropped(&self, code: &ConfirmationCode) -> Result<u64, StoreError> {
        let item = self.table.item(&dropped(code)).await?;
        Ok(item.and_then(|item| number(&item, "dropped")).and_then(|count| count.try_into().ok()).unwrap_or_default())
    }

    /// Something that was dropped for a request named the person by this, too.
    pub async fn learn(&self, code: &ConfirmationCode, alias: &Subject) -> Result<(), StoreError> {
        let row = Pointer { code: code.clone(), expires_at: (self.table.now() + KEPT).as_secs() };
        self.table.put(&Key::new(ledger(code).pk, format!("{LEARNT}{alias}")), &row).await
    }

    /// What the person turned out to be known by while the request is underway.
    pub async fn learnt(&self, code: &ConfirmationCode) -> Result<BTreeSet<Subject>, StoreError> {
        let items = self.table.items(&ledger(code).pk, LEARNT, &format!("{LEARNT}~")).await?;
        let alias = |item: &Item| Some(Subject::new(item.get("sk")?.as_s().ok()?.strip_prefix(LEARNT)?));
        Ok(items.iter().filter_map(alias).collect())
    }

    /// No mark is awaited any more, and nothing to be learnt.
    pub async fn forget_probes(&self, code: &ConfirmationCode) -> Result<(), StoreError> {
        for prefix in ["probe#", LEARNT] {
            for item in self.table.items(&ledger(code).pk, prefix, &format!("{prefix}~")).await? {
                if let Some(sk) = item.get("sk").and_then(|sk| sk.as_s().ok()) {
                    self.table.delete(&Key::new(ledger(code).pk, sk)).await?;
                }
            }
        }
        Ok(())
    }
}

/// Before an alias that was learnt on the way.
const LEARNT: &str = "alias#";

/// The partition of the requests that are not closed.
const OPEN: &str = "erasures";

fn ledger(code: &ConfirmationCode) -> Key {
    Key::new(format!("erasure#{code}"), "ledger")
}

fn beside(code: &ConfirmationCode) -> Key {
    Key::new(format!("erasure#{code}"), "target")
}

fn opened(code: &ConfirmationCode) -> Key {
    Key::new(OPEN, code.as_str())
}

fn request(pointer: &Subject) -> Key {
    Key::new(format!("request#{pointer}"), "request")
}

fn probe(code: &ConfirmationCode, queue: &str, group: &str) -> Key {
    Key::new(ledger(code).pk, format!("probe#{queue}#{group}"))
}

fn dropped(code: &ConfirmationCode) -> Key {
    Key::new(ledger(code).pk, "dropped")
}

fn stamp() -> String {
    CustomerId::mint().as_str().to_owned()
}
