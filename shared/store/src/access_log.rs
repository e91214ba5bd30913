//! Records that an operator looked at a person's data.
//!
//! Each record is tied to the one before it by a keyed hash, and the last one is told apart. So a record that was removed or
//! changed is noticed, as is a last one that is missing.

use std::time::Duration;

use domain::{HashKey, KeyedHash, Timestamp, keyed_hash::Access};
use serde::{Deserialize, Serialize};

use crate::{
    COUNTERS_KEEP_DAYS, StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, integer},
    versioned::until_written,
};

/// Records are kept as long as counts are.
const ACCESS_TTL: Duration = Duration::from_secs(COUNTERS_KEEP_DAYS * 86_400);

/// A look at a person's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Who looked, as AWS knows them.
    pub who: String,
    /// With which command.
    pub command: String,
    /// At whom or what: a keyed hash, or an id that says nothing of a person.
    pub subject: String,
    /// Why, in the operator's words.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// A record of a look, and whether it is what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedLook {
    /// The how-manieth look it was.
    pub number: u64,
    /// What it says.
    pub look: Look,
    /// What is wrong about it, if anything is.
    pub fault: Option<AccessFault>,
}

/// What is wrong about the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// It is not as it was written.
    Changed,
    /// So many before it are missing.
    Missing(u64),
}

/// A record as it is stored.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    look: Look,
    tie: KeyedHash<Access>,
    expires_at: i64,
}

/// The last record there is.
#[derive(Serialize, Deserialize)]
struct Last {
    looks: u64,
    tie: KeyedHash<Access>,
    expires_at: i64,
}

/// The records of looks.
#[derive(Clone, Debug)]
pub struct AccessLog {
    table: Table,
    key: HashKey,
}

impl AccessLog {
    /// In this table, tied under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key }
    }

    /// Records a look. Two at once are recorded one after the other.
    pub async fn record(&self, look: &Look) -> Result<(), StoreError> {
        until_written(|| async {
            let last: Option<Last> = self.table.get(&ItemKey::LastAccess.into()).await?;
            let number = last.as_ref().map_or(1, |last| last.looks + 1);
            let tie = self.tie(last.as_ref().map(|last| &last.tie), number, look);
            let expires_at = (self.table.now() + ACCESS_TTL).as_secs();
            let row = Row { look: look.clone(), tie: tie.clone(), expires_at };
            let head = Last { looks: number, tie, expires_at };
            let head = crate::table::with_key(&ItemKey::LastAccess.into(), &head)?;
            let (condition, values) = match &last {
                Some(last) => ("looks = :before", Item::from([(":before".to_owned(), integer(signed(last.looks)))])),
                None => ("attribute_not_exists(pk) OR expires_at <= :now", now(&self.table)),
            };
            let writes = vec![
                self.table.transact_create(&Key::from(ItemKey::Access(number)), &row)?,
                self.table.transact_put(head, Some(condition), values)?,
            ];
            Ok(self.table.transact(writes).await?.then_some(()))
        })
        .await
    }

    /// The records, the first one first, each checked against the one before it.
    pub async fn looks(&self) -> Result<(Vec<CheckedLook>, Option<AccessFault>), StoreError> {
        let last: Option<Last> = self.table.get(&ItemKey::LastAccess.into()).await?;
        let (mut looks, mut before) = (Vec::<CheckedLook>::new(), None::<(u64, KeyedHash<Access>)>);
        for item in self.table.items(Range::accesses()).await? {
            let Some(ItemKey::Access(number)) = ItemKey::of(&item) else { continue };
            let Row { look, tie, .. } = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?;
            let missing = match &before {
                Some((earlier, _)) => number - earlier - 1,
                // The first ones go with their time.
                None => 0,
            };
            let known = match &before {
                Some((_, tie)) if missing == 0 => Some(Some(tie)),
                None if number == 1 => Some(None),
                _ => None,
            };
            let is_changed = known.is_some_and(|before| self.tie(before, number, &look) != tie);
            let fault = match (missing, is_changed) {
                (0, false) => None,
                (0, true) => Some(AccessFault::Changed),
                (missing, _) => Some(AccessFault::Missing(missing)),
            };
            looks.push(CheckedLook { number, look, fault });
            before = Some((number, tie));
        }
        let (there, known) = (before.map_or(0, |(number, _)| number), last.map_or(0, |last| last.looks));
        let at_end = match known.cmp(&there) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(AccessFault::Missing(known - there)),
            std::cmp::Ordering::Less => Some(AccessFault::Changed),
        };
        Ok((looks, at_end))
    }

    fn tie(&self, before: Option<&KeyedHash<Access>>, number: u64, look: &Look) -> KeyedHash<Access> {
        let Look { who, command, subject, why, at } = look;
        let (number, at) = (number.to_string(), at.as_millis().to_string());
        self.key.access([before.map_or("", KeyedHash::as_str), &number, who, command, subject, why, &at])
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn now(table: &Table) -> Item {
    Item::from([(":now".to_owned(), integer(table.now().as_secs()))])
}

#[cfg(test)]
mod tests;
