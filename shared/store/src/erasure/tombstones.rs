//! Keeps tombstones: keyed hashes of everything an erased person was known by.
//! Each says up to which time the person was erased. What was sent before does not come back, whichever way it comes. What is
//! newer starts clean, and waits while the erasure is underway.
//!
//! One tombstone for all accounts and one for each account may exist under the same hash. They do not know of each other, and
//! each is removed by itself.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{
    AccountId, Alias, ConfirmationCode, CustomerId, Erasure, HashKey, Identity, KeyedHash, Timestamp,
    keyed_hash::{AliasKind, Person},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    DataSubject, ErasureLedger, ResolvedAliases, StoreError, Table,
    customer::aliases::alias_key,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, UpdateOutcome, integer, text},
};

/// Days for which a tombstone is kept (`tombstone_days` of the policy): longer than Meta repeats (7 days), than a queue keeps
/// (14), and than a backup brings anything back (`pitr_days`).
pub const TOMBSTONES_STAND_DAYS: u64 = 35;

/// The same as a duration.
const TOMBSTONE_TTL: Duration = Duration::from_secs(TOMBSTONES_STAND_DAYS * 86_400);

/// The first character of a mark's attribute name. A mark is a piece of a hash that has a tombstone.
const MARK: char = 'h';

/// How many characters of a hash its mark holds.
const MARK_LENGTH: usize = 10;

/// How many marks are set at once: DynamoDB limits an expression's length.
const MARKS_AT_ONCE: usize = 100;

/// How many hashes are looked up side by side where the account is not known.
const MAX_CONCURRENT_READS: usize = 16;

/// The tombstone of one hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The code of the erasure.
    pub code: ConfirmationCode,
    /// What was sent up to this time is erased.
    pub erased_at: Timestamp,
    /// Whether the erasure is still underway.
    #[serde(default)]
    pub sealed: bool,
    /// When the tombstone was written. What Meta reports up to then about an unknown message is about an erased one.
    #[serde(default)]
    pub inserted_at: Option<Timestamp>,
    /// The one account in which it applies; without one it applies in all. Part of the key.
    #[serde(skip)]
    pub only: Option<AccountId>,
}

/// What a tombstone means for an event that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureCheck {
    /// Nothing: no erasure covers it.
    No,
    /// It is about an erased person, from before the erasure.
    Erased(ConfirmationCode),
    /// It is newer, and the erasure is not finished.
    NotYet(ConfirmationCode),
}

/// Hashes under which there may be a tombstone.
#[derive(Clone, Debug)]
pub struct Marks(HashSet<String>);

impl Marks {
    /// Whether no one was erased for as long as tombstones are kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The given hashes that may have a tombstone; the others have none.
    pub fn among(&self, subjects: impl IntoIterator<Item = KeyedHash<Person>>) -> Vec<KeyedHash<Person>> {
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
    /// Tombstones of this table, hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { erasures: ErasureLedger::new(table.clone()), table, key }
    }

    /// All marks, in one read. A caller with thousands of ids then looks up only those that may belong to an erased person.
    pub async fn marks(&self) -> Result<Marks, StoreError> {
        let items = self.table.items(Range::marks()).await?;
        Ok(Marks(items.into_iter().flat_map(Item::into_keys).filter(|name| name.starts_with(MARK)).collect()))
    }

    /// Writes the marks before the tombstones, so that a reader of the marks misses none.
    async fn will_stand<'s>(
        &self,
        code: &ConfirmationCode,
        subjects: impl IntoIterator<Item = &'s KeyedHash<Person>>,
    ) -> Result<(), StoreError> {
        let marks: Vec<String> = subjects.into_iter().map(mark).collect();
        for some in marks.chunks(MARKS_AT_ONCE) {
            let set = some.iter().fold("SET expires_at = :end".to_owned(), |set, mark| format!("{set}, {mark} = :yes"));
            let change = ItemUpdate {
                key: ItemKey::Marks(code.clone()).into(),
                update: set,
                condition: None,
                values: Item::from([
                    (":end".to_owned(), integer((self.table.now() + TOMBSTONE_TTL).as_secs())),
                    (":yes".to_owned(), AttributeValue::Bool(true)),
                ]),
            };
            self.table.change(change).await?;
        }
        Ok(())
    }

    /// Writes a tombstone for a hash, and the one that holds for imports of history. If there is one already, the later time counts.
    pub async fn insert(&self, subject: &KeyedHash<Person>, tombstone: &Tombstone) -> Result<(), StoreError> {
        self.insert_past(subject, tombstone).await?;
        let now = self.table.now();
        let common = Item::from([
            (":code".to_owned(), text(tombstone.code.as_str())),
            (":sealed".to_owned(), AttributeValue::Bool(tombstone.sealed)),
            (":end".to_owned(), integer((now + TOMBSTONE_TTL).as_secs())),
            (":inserted".to_owned(), integer(now.as_millis())),
        ]);
        // The end of an erasure keeps the time at which the tombstone was first written.
        let inserted = if tombstone.sealed {
            "inserted_at = :inserted"
        } else {
            "inserted_at = if_not_exists(inserted_at, :inserted)"
        };
        let mut values = common.clone();
        values.insert(":at".to_owned(), integer(tombstone.erased_at.as_millis()));
        values.insert(":now".to_owned(), integer(now.as_secs()));
        let change = ItemUpdate {
            key: key(subject, tombstone.only),
            update: format!("SET code = :code, erased_at = :at, sealed = :sealed, expires_at = :end, {inserted}"),
            condition: Some("attribute_not_exists(pk) OR erased_at <= :at OR expires_at <= :now".to_owned()),
            values,
        };
        if let UpdateOutcome::Done(_) = self.table.update(change, ReturnValue::None).await? {
            return Ok(());
        }
        // An existing tombstone reaches further, and its time stays. Newer events still wait for this erasure until it is
        // finished.
        let (condition, values) = if tombstone.sealed {
            ("sealed <> :sealed", common)
        } else {
            let values = common.into_iter().filter(|(name, _)| name != ":inserted");
            ("code = :code", values.collect())
        };
        let inserted = if tombstone.sealed { ", inserted_at = :inserted" } else { "" };
        let change = ItemUpdate {
            key: key(subject, tombstone.only),
            update: format!("SET code = :code, sealed = :sealed, expires_at = :end{inserted}"),
            condition: Some(condition.to_owned()),
            values,
        };
        self.table.change(change).await
    }

    /// A phone's history may bring back a person for as long as messages are kept at all, whenever its shop signs up again.
    async fn insert_past(&self, subject: &KeyedHash<Person>, tombstone: &Tombstone) -> Result<(), StoreError> {
        let now = self.table.now();
        let change = ItemUpdate {
            key: ItemKey::PastTombstone(subject.clone(), tombstone.only).into(),
            update: "SET code = :code, erased_at = :at, expires_at = :end".to_owned(),
            condition: Some("attribute_not_exists(pk) OR erased_at <= :at OR expires_at <= :now".to_owned()),
            values: Item::from([
                (":code".to_owned(), text(tombstone.code.as_str())),
                (":at".to_owned(), integer(tombstone.erased_at.as_millis())),
                (":end".to_owned(), integer((now + self.table.retention().max(TOMBSTONE_TTL)).as_secs())),
                (":now".to_owned(), integer(now.as_secs())),
            ]),
        };
        self.table.change(change).await
    }

    /// Whether a message of a phone's history, written at that time, may come in: like [`Self::check`], and for longer.
    pub async fn check_past(
        &self,
        account: AccountId,
        identity: &Identity,
        at: Timestamp,
    ) -> Result<ErasureCheck, StoreError> {
        let aliases = identity.aliases(&self.key);
        let mut wanted: Vec<Key> = aliases.iter().flat_map(|alias| keys(&alias.subject, account)).collect();
        wanted.extend(aliases.iter().flat_map(|alias| past_keys(&alias.subject, account)));
        Ok(self.check_all(account, &aliases, wanted, at).await?.0)
    }

    /// Up to when a person is erased for imports of history, if they are.
    pub async fn erased_up_to(&self, account: AccountId, identity: &Identity) -> Result<Option<Timestamp>, StoreError> {
        let aliases = identity.aliases(&self.key);
        let both = |alias: &Alias| [keys(&alias.subject, account), past_keys(&alias.subject, account)].concat();
        let items = self.table.get_all(aliases.iter().flat_map(both).collect()).await?;
        let mut last = None;
        for item in items {
            last = last.max(read_any(&item)?.map(|(_, tombstone)| tombstone.erased_at));
        }
        Ok(last)
    }

    /// Removes a tombstone of an erasure that did not happen.
    pub async fn remove(
        &self,
        subject: &KeyedHash<Person>,
        code: &ConfirmationCode,
        only: Option<AccountId>,
    ) -> Result<(), StoreError> {
        let past = ItemKey::PastTombstone(subject.clone(), only).into();
        self.table.delete_if(&past, "code = :code", (":code", text(code.as_str()))).await?;
        self.table.delete_if(&key(subject, only), "code = :code", (":code", text(code.as_str()))).await
    }

    /// Writes tombstones for everything known of a request's data subject.
    pub async fn insert_all(&self, erasure: &Erasure, subject: &DataSubject, sealed: bool) -> Result<(), StoreError> {
        let customers: Vec<KeyedHash<Person>> =
            subject.customers.iter().map(|customer| self.customer_subject(customer)).collect();
        self.will_stand(erasure.code(), subject.aliases.iter().chain(&customers)).await?;
        let (confirmed_at, only) = (erasure.confirmed_at().unwrap_or(erasure.asked_at()), subject.only);
        for alias in &subject.aliases {
            let given_up = subject.given_up.get(alias);
            // A phone they gave up belongs to another person since then.
            let erased_at = given_up.map_or(confirmed_at, |end| confirmed_at.min(*end));
            let sealed = sealed && given_up.is_none();
            self.insert(alias, &Tombstone { code: erasure.code().clone(), erased_at, sealed, inserted_at: None, only })
                .await?;
        }
        for customer in &customers {
            let tombstone =
                Tombstone { code: erasure.code().clone(), erased_at: confirmed_at, sealed, inserted_at: None, only };
            self.insert(customer, &tombstone).await?;
        }
        Ok(())
    }

    /// The tombstones among these hashes that apply in this account; where the account is not known, those of any. Of several
    /// under one hash, the one that erased the most.
    pub async fn among<'s>(
        &self,
        account: Option<AccountId>,
        subjects: impl IntoIterator<Item = &'s KeyedHash<Person>>,
    ) -> Result<HashMap<KeyedHash<Person>, Tombstone>, StoreError> {
        let items = if let Some(account) = account {
            self.table.get_all(subjects.into_iter().flat_map(|subject| keys(subject, account)).collect()).await?
        } else {
            let ranges: Vec<Range> = subjects.into_iter().map(Range::tombstones).collect();
            let found = ranges.into_iter().map(|range| self.table.items(range));
            let found: Vec<Vec<Item>> =
                stream::iter(found).buffer_unordered(MAX_CONCURRENT_READS).try_collect().await?;
            found.into_iter().flatten().collect()
        };
        let mut among: HashMap<KeyedHash<Person>, Tombstone> = HashMap::new();
        for item in items {
            let Some((subject, tombstone)) = read_tombstone(&item)? else { continue };
            match among.get(&subject) {
                Some(known) if known.erased_at >= tombstone.erased_at => {}
                _ => _ = among.insert(subject, tombstone),
            }
        }
        Ok(among)
    }

    /// Whether an event about a person, sent at that time, may come in. A user id decides before a phone, since a phone may have
    /// been given to another person. If one of its ids is blocked, the others are, too. Also returns what was read of the
    /// aliases.
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
        let wanted = aliases.iter().flat_map(|alias| keys(&alias.subject, account)).collect();
        self.check_all(account, &aliases, wanted, at).await
    }

    /// Decides by these tombstones, and by what the aliases lead to.
    async fn check_all(
        &self,
        account: AccountId,
        aliases: &[Alias],
        mut wanted: Vec<Key>,
        at: Timestamp,
    ) -> Result<(ErasureCheck, ResolvedAliases), StoreError> {
        wanted.extend(aliases.iter().map(|alias| alias_key(account, alias)));
        let (mut buried_here, mut living) = (HashMap::<KeyedHash<Person>, Vec<Tombstone>>::new(), Vec::new());
        for item in self.table.get_all(wanted).await? {
            match read_any(&item)? {
                Some((subject, tombstone)) => buried_here.entry(subject).or_default().push(tombstone),
                None => living.push(item),
            }
        }
        let known = ResolvedAliases::new(account, aliases, living)?;
        let barred = self.check_tombstones(account, aliases, &buried_here, &known, at).await?;
        Ok((barred, known))
    }

    async fn check_tombstones(
        &self,
        account: AccountId,
        aliases: &[Alias],
        buried_here: &HashMap<KeyedHash<Person>, Vec<Tombstone>>,
        known: &ResolvedAliases,
        at: Timestamp,
    ) -> Result<ErasureCheck, StoreError> {
        let lives = |alias: &Alias| known.row(alias).is_some();
        for alias in aliases {
            let Some(tombstones) = buried_here.get(&alias.subject) else {
                if alias.kind == AliasKind::User && lives(alias) {
                    // Another person has this phone now.
                    return Ok(ErasureCheck::No);
                }
                continue;
            };
            // Meta's times are whole seconds.
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
                // A tombstone written here for a further alias may stay sealed for longer than its erasure takes.
                if self.is_underway(&tombstone.code, account).await? {
                    return Ok(ErasureCheck::NotYet(tombstone.code.clone()));
                }
            }
            if alias.kind != AliasKind::Phone {
                return Ok(ErasureCheck::No);
            }
        }
        Ok(ErasureCheck::No)
    }

    /// Whether an erasure that covers this account, too, is not finished.
    async fn is_underway(&self, code: &ConfirmationCode, account: AccountId) -> Result<bool, StoreError> {
        if !self.erasures.get(code).await?.is_some_and(|entry| entry.erasure.holds_back()) {
            return Ok(false);
        }
        let subject = self.erasures.data_subject(code).await?;
        Ok(subject.and_then(|target| target.only).is_none_or(|only| only == account))
    }

    /// The tombstone of a customer's own id, if there is one: a conversation of theirs may outlive the customer for a while.
    pub async fn of_customer(
        &self,
        account: AccountId,
        customer: &CustomerId,
    ) -> Result<Option<Tombstone>, StoreError> {
        let subject = self.customer_subject(customer);
        Ok(self.among(Some(account), [&subject]).await?.remove(&subject))
    }

    /// The hash of a customer's own id, under which its tombstone is kept.
    pub fn customer_subject(&self, customer: &CustomerId) -> KeyedHash<Person> {
        self.key.customer(customer)
    }
}

/// The attribute name that marks a hash as having a tombstone. A piece of the hash tells hashes apart well enough.
fn mark(subject: &KeyedHash<Person>) -> String {
    let piece = subject.as_str().chars().filter(char::is_ascii_alphanumeric).take(MARK_LENGTH);
    std::iter::once(MARK).chain(piece).collect()
}

fn key(subject: &KeyedHash<Person>, only: Option<AccountId>) -> Key {
    ItemKey::Tombstone(subject.clone(), only).into()
}

/// The keys of a hash's tombstones that apply in an account.
fn keys(subject: &KeyedHash<Person>, account: AccountId) -> [Key; 2] {
    [None, Some(account)].map(|only| key(subject, only))
}

/// The keys of a hash's tombstones for imports that apply in an account.
fn past_keys(subject: &KeyedHash<Person>, account: AccountId) -> [Key; 2] {
    [None, Some(account)].map(|only| ItemKey::PastTombstone(subject.clone(), only).into())
}

/// A tombstone of either kind and the hash it is for.
fn read_any(item: &Item) -> Result<Option<(KeyedHash<Person>, Tombstone)>, StoreError> {
    let Some(ItemKey::PastTombstone(subject, only)) = ItemKey::of(item) else { return read_tombstone(item) };
    Ok(Some((subject, Tombstone { only, ..from_item(item.clone())? })))
}

/// A tombstone and the hash it is for.
pub(crate) fn read_tombstone(item: &Item) -> Result<Option<(KeyedHash<Person>, Tombstone)>, StoreError> {
    let Some(ItemKey::Tombstone(subject, only)) = ItemKey::of(item) else { return Ok(None) };
    Ok(Some((subject, Tombstone { only, ..from_item(item.clone())? })))
}
