//! Tombstones: keyed hashes of everything an erased person was known by, and up to which time. What was sent before does not
//! come back, whichever way it comes; what is newer starts clean, and while the erasure is underway it waits.
//!
//! One for all accounts and one for each account may stand under the same hash. Neither knows of the other, and each is taken away by
//! itself.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use domain::{
    AccountId, Alias, ConfirmationCode, CustomerId, Erasure, HashKey, Identity, KeyedHash, Timestamp,
    keyed_hash::HashKind,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    DataSubject, ErasureLedger, ResolvedAliases, StoreError, Table,
    aliases::alias_key,
    sort_keys::SortKeys,
    table::{Item, ItemUpdate, Key, UpdateOutcome, integer, text},
};

/// Days for which a tombstone stands (`tombstone_days` of the policy): longer than Meta repeats (7 days), than a queue keeps (14),
/// and than a backup brings anything back (`pitr_days`).
pub const TOMBSTONES_STAND_DAYS: u64 = 35;

/// The same as a time.
const TOMBSTONE_TTL: Duration = Duration::from_secs(TOMBSTONES_STAND_DAYS * 86_400);

/// What the name of a mark begins with.
const MARK: char = 'h';

/// So many characters of a hash stand in its mark.
const MARK_LENGTH: usize = 10;

/// So many marks are set at once; an expression has a longest.
const MARKS_AT_ONCE: usize = 100;

/// So many hashes are looked up side by side where nobody knows the account.
const MAX_CONCURRENT_WRITES: usize = 16;

/// What is buried under a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The erasure.
    pub code: ConfirmationCode,
    /// What was sent up to then is gone.
    pub erased_at: Timestamp,
    /// Whether the erasure is still underway.
    #[serde(default)]
    pub sealed: bool,
    /// When that was written down: what Meta tells up to then of messages nobody knows is about those that are gone.
    #[serde(default)]
    pub buried_at: Option<Timestamp>,
    /// The one account in which it bars; without one it bars in all. Stands in the key.
    #[serde(skip)]
    pub only: Option<AccountId>,
}

/// What a tombstone means for something that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureCheck {
    /// Nothing: nobody erased it.
    No,
    /// It is about somebody erased, from before.
    Erased(ConfirmationCode),
    /// It is newer, and the erasure is not over.
    NotYet(ConfirmationCode),
}

/// Under which hashes something may be buried.
#[derive(Clone, Debug)]
pub struct Marks(HashSet<String>);

impl Marks {
    /// Whether nobody was erased for as long as tombstones stand.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these hashes under which something may be buried; under the others is nothing.
    pub fn among(&self, subjects: impl IntoIterator<Item = KeyedHash>) -> Vec<KeyedHash> {
        subjects.into_iter().filter(|subject| self.0.contains(&mark(subject))).collect()
    }
}

/// The tombstones.
#[derive(Clone, Debug)]
pub struct Tombstones {
    table: Table,
    key: HashKey,
    erasures: ErasureLedger,
}

impl Tombstones {
    /// Those of this table, hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { erasures: ErasureLedger::new(table.clone()), table, key }
    }

    /// What is buried at all, in one read: what names thousands is looked up only where it names somebody erased.
    pub async fn marks(&self) -> Result<Marks, StoreError> {
        let items = self.table.items(&marked(), SortKeys::All).await?;
        Ok(Marks(items.into_iter().flat_map(Item::into_keys).filter(|name| name.starts_with(MARK)).collect()))
    }

    /// Before a tombstone stands, whoever reads the marks hears of it.
    async fn will_stand<'s>(
        &self,
        code: &ConfirmationCode,
        subjects: impl IntoIterator<Item = &'s KeyedHash>,
    ) -> Result<(), StoreError> {
        let marks: Vec<String> = subjects.into_iter().map(mark).collect();
        for some in marks.chunks(MARKS_AT_ONCE) {
            let set = some.iter().fold("SET expires_at = :end".to_owned(), |set, mark| format!("{set}, {mark} = :yes"));
            let change = ItemUpdate {
                key: Key::new(marked(), code.as_str()),
                update: set,
                condition: None,
                values: Item::from([
                    (":end".to_owned(), integer((self.table.now() + TOMBSTONE_TTL).as_secs())),
                    (":yes".to_owned(), AttributeValue::Bool(true)),
                ]),
            };
            self.table.update(change, ReturnValue::None).await?;
        }
        Ok(())
    }

    /// Buries a hash, or what was buried there before more deeply: the later time counts.
    pub async fn insert(&self, subject: &KeyedHash, tombstone: &Tombstone) -> Result<(), StoreError> {
        let now = self.table.now();
        let common = Item::from([
            (":code".to_owned(), text(tombstone.code.as_str())),
            (":sealed".to_owned(), AttributeValue::Bool(tombstone.sealed)),
            (":end".to_owned(), integer((now + TOMBSTONE_TTL).as_secs())),
            (":buried".to_owned(), integer(now.as_millis())),
        ]);
        // The end of an erasure buries nothing more.
        let buried =
            if tombstone.sealed { "buried_at = :buried" } else { "buried_at = if_not_exists(buried_at, :buried)" };
        let mut values = common.clone();
        values.insert(":at".to_owned(), integer(tombstone.erased_at.as_millis()));
        values.insert(":now".to_owned(), integer(now.as_secs()));
        let change = ItemUpdate {
            key: key(subject, tombstone.only),
            update: format!("SET code = :code, erased_at = :at, sealed = :sealed, expires_at = :end, {buried}"),
            condition: Some("attribute_not_exists(pk) OR erased_at <= :at OR expires_at <= :now".to_owned()),
            values,
        };
        if let UpdateOutcome::Done(_) = self.table.update(change, ReturnValue::None).await? {
            return Ok(());
        }
        // An earlier erasure went deeper, and its time stays. What is newer waits for this one all the same, until it is over.
        let (condition, values) = if tombstone.sealed {
            ("sealed <> :sealed", common)
        } else {
            let values = common.into_iter().filter(|(name, _)| name != ":buried");
            ("code = :code", values.collect())
        };
        let buried = if tombstone.sealed { ", buried_at = :buried" } else { "" };
        let change = ItemUpdate {
            key: key(subject, tombstone.only),
            update: format!("SET code = :code, sealed = :sealed, expires_at = :end{buried}"),
            condition: Some(condition.to_owned()),
            values,
        };
        self.table.update(change, ReturnValue::None).await.map(|_| ())
    }

    /// Takes a tombstone of an erasure away that did not come to be.
    pub async fn remove(
        &self,
        subject: &KeyedHash,
        code: &ConfirmationCode,
        only: Option<AccountId>,
    ) -> Result<(), StoreError> {
        self.table.delete_if(&key(subject, only), "code = :code", (":code", text(code.as_str()))).await
    }

    /// Buries everything that is known of whom a request is about.
    pub async fn insert_all(&self, erasure: &Erasure, subject: &DataSubject, sealed: bool) -> Result<(), StoreError> {
        let customers: Vec<KeyedHash> =
            subject.customers.iter().map(|customer| self.customer_subject(customer)).collect();
        self.will_stand(&erasure.code, subject.aliases.iter().chain(&customers)).await?;
        let (confirmed_at, only) = (erasure.confirmed_at.unwrap_or(erasure.asked_at), subject.only);
        for alias in &subject.aliases {
            let given_up = subject.given_up.get(alias);
            // A phone they gave up is somebody else's since then.
            let erased_at = given_up.map_or(confirmed_at, |end| confirmed_at.min(*end));
            let sealed = sealed && given_up.is_none();
            self.insert(alias, &Tombstone { code: erasure.code.clone(), erased_at, sealed, buried_at: None, only })
                .await?;
        }
        for customer in &customers {
            let tombstone =
                Tombstone { code: erasure.code.clone(), erased_at: confirmed_at, sealed, buried_at: None, only };
            self.insert(customer, &tombstone).await?;
        }
        Ok(())
    }

    /// The tombstones among these hashes that bar in this account; where nobody knows which account it is, those of any. Of several
    /// under one hash that which erased the most.
    pub async fn among<'s>(
        &self,
        account: Option<AccountId>,
        subjects: impl IntoIterator<Item = &'s KeyedHash>,
    ) -> Result<HashMap<KeyedHash, Tombstone>, StoreError> {
        let items = if let Some(account) = account {
            self.read(subjects.into_iter().flat_map(|subject| keys(subject, account)).collect()).await?
        } else {
            let keys: Vec<Key> = subjects.into_iter().map(|subject| key(subject, None)).collect();
            let found =
                keys.into_iter().map(|Key { pk, sk }| async move { self.table.items(&pk, SortKeys::prefix(sk)).await });
            let found: Vec<Vec<Item>> =
                stream::iter(found).buffer_unordered(MAX_CONCURRENT_WRITES).try_collect().await?;
            found.into_iter().flatten().collect()
        };
        let mut among: HashMap<KeyedHash, Tombstone> = HashMap::new();
        for item in items {
            let Some((subject, tombstone)) = read_tombstone(&item)? else { continue };
            match among.get(&subject) {
                Some(known) if known.erased_at >= tombstone.erased_at => {}
                _ => _ = among.insert(subject, tombstone),
            }
        }
        Ok(among)
    }

    /// Whether something about a person, sent at that time, may come in. A user id decides before a phone: a phone may have been
    /// given to somebody else since. What is barred by one of its ids bars the others, too. Comes with what was read of the aliases on
    /// the way.
    pub async fn check(
        &self,
        account: AccountId,
        identity: &Identity,
        at: Timestamp,
    ) -> Result<(ErasureCheck, ResolvedAliases), StoreError> {
        let aliases = identity.aliases(&self.key);
        if aliases.is_empty() {
            return Ok((ErasureCheck::No, ResolvedAliases::new(account, &aliases, Vec::new())?));
        }
        let mut wanted: Vec<Item> = aliases.iter().flat_map(|alias| keys(&alias.subject, account)).collect();
        wanted.extend(aliases.iter().map(|alias| alias_key(account, alias).item()));
        let (mut buried_here, mut living) = (HashMap::<KeyedHash, Vec<Tombstone>>::new(), Vec::new());
        for item in self.read(wanted).await? {
            match read_tombstone(&item)? {
                Some((subject, tombstone)) => buried_here.entry(subject).or_default().push(tombstone),
                None => living.push(item),
            }
        }
        let known = ResolvedAliases::new(account, &aliases, living)?;
        let barred = self.check_tombstones(account, &aliases, &buried_here, &known, at).await?;
        Ok((barred, known))
    }

    async fn check_tombstones(
        &self,
        account: AccountId,
        aliases: &[Alias],
        buried_here: &HashMap<KeyedHash, Vec<Tombstone>>,
        known: &ResolvedAliases,
        at: Timestamp,
    ) -> Result<ErasureCheck, StoreError> {
        let lives = |alias: &Alias| known.row(alias).is_some();
        for alias in aliases {
            let Some(tombstones) = buried_here.get(&alias.subject) else {
                if alias.kind == HashKind::User && lives(alias) {
                    // Somebody else has this phone now.
                    return Ok(ErasureCheck::No);
                }
                continue;
            };
            // Meta tells whole seconds.
            let deep: Vec<&Tombstone> =
                tombstones.iter().filter(|tombstone| at.as_secs() <= tombstone.erased_at.as_secs()).collect();
            for tombstone in &deep {
                for other in aliases.iter().filter(|other| !buried_here.contains_key(&other.subject) && !lives(other)) {
                    if tombstone.sealed {
                        self.erasures.learn(&tombstone.code, &other.subject).await?;
                    }
                    self.will_stand(&tombstone.code, [&other.subject]).await?;
                    self.insert(&other.subject, tombstone).await?;
                }
            }
            if let Some(tombstone) = deep.into_iter().max_by_key(|tombstone| tombstone.erased_at) {
                return Ok(ErasureCheck::Erased(tombstone.code.clone()));
            }
            for tombstone in tombstones.iter().filter(|tombstone| tombstone.sealed) {
                // What was buried in passing may be sealed for longer than its erasure takes.
                if self.is_underway(&tombstone.code, account).await? {
                    return Ok(ErasureCheck::NotYet(tombstone.code.clone()));
                }
            }
            if alias.kind != HashKind::Phone {
                return Ok(ErasureCheck::No);
            }
        }
        Ok(ErasureCheck::No)
    }

    /// Whether an erasure that means this account, too, is not over.
    async fn is_underway(&self, code: &ConfirmationCode, account: AccountId) -> Result<bool, StoreError> {
        if !self.erasures.get(code).await?.is_some_and(|entry| entry.erasure.holds_back()) {
            return Ok(false);
        }
        let subject = self.erasures.data_subject(code).await?;
        Ok(subject.and_then(|target| target.only).is_none_or(|only| only == account))
    }

    /// Whether a customer's own id is buried: a conversation of theirs may outlive them for a while.
    pub async fn of_customer(
        &self,
        account: AccountId,
        customer: &CustomerId,
    ) -> Result<Option<Tombstone>, StoreError> {
        let subject = self.customer_subject(customer);
        Ok(self.among(Some(account), [&subject]).await?.remove(&subject))
    }

    /// The hash under which a customer's own id is buried.
    pub fn customer_subject(&self, customer: &CustomerId) -> KeyedHash {
        self.key.subject_of_all(HashKind::Item, ["customer", customer.as_str()])
    }

    async fn read(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        // DynamoDB reads a hundred at once.
        for some in keys.chunks(100) {
            let wanted = KeysAndAttributes::builder().set_keys(Some(some.to_vec())).consistent_read(true).build()?;
            let request = self.table.client.batch_get_item().request_items(&self.table.name, wanted);
            let answer = request.send().await.map_err(StoreError::call)?;
            if answer.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
                return Err(StoreError::Contended);
            }
            let found = answer.responses.unwrap_or_default().remove(&self.table.name).unwrap_or_default();
            items.extend(found.into_iter().filter(|item| self.table.is_alive(item)));
        }
        Ok(items)
    }
}

const TOMBSTONE_PREFIX: &str = "tombstone#";

/// The sort key of one for all accounts, and before the account of one for a single one.
const TOMBSTONE_SORT_KEY: &str = "tombstone";

/// Where the marks stand: an item for each erasure, as long-lived as the last of its tombstones.
fn marked() -> String {
    format!("{TOMBSTONE_PREFIX}any")
}

/// The name under which it is marked that something is buried under a hash; a piece of the hash tells hashes apart well enough.
fn mark(subject: &KeyedHash) -> String {
    let piece = subject.as_str().chars().filter(char::is_ascii_alphanumeric).take(MARK_LENGTH);
    std::iter::once(MARK).chain(piece).collect()
}

fn key(subject: &KeyedHash, only: Option<AccountId>) -> Key {
    let kind = only.map_or_else(|| TOMBSTONE_SORT_KEY.to_owned(), |account| format!("{TOMBSTONE_SORT_KEY}#{account}"));
    Key::new(format!("{TOMBSTONE_PREFIX}{subject}"), kind)
}

/// Where the tombstones of a hash stand that bar in an account.
fn keys(subject: &KeyedHash, account: AccountId) -> [Item; 2] {
    [None, Some(account)].map(|only| key(subject, only).item())
}

/// A tombstone, and what is buried under it.
pub(crate) fn read_tombstone(item: &Item) -> Result<Option<(KeyedHash, Tombstone)>, StoreError> {
    let part = |name: &str| item.get(name).and_then(|part| part.as_s().ok());
    let subject = part("pk").and_then(|pk| pk.strip_prefix(TOMBSTONE_PREFIX));
    let Some((subject, kind)) = subject.zip(part("sk").and_then(|sk| sk.strip_prefix(TOMBSTONE_SORT_KEY))) else {
        return Ok(None);
    };
    let only = kind.strip_prefix('#').and_then(|account| account.parse().ok()).map(AccountId);
    Ok(Some((KeyedHash::new(subject), Tombstone { only, ..from_item(item.clone())? })))
}
