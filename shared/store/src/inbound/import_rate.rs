//! Spaces out what imports write into an account, over all functions at work.
//! The account's item says from when on nothing is planned; a turn moves that on.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{AccountId, Timestamp};

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, UpdateOutcome, integer, number},
    versioned::until_written,
};

/// How long the rate of an account is kept; soon after the last write it no longer matters.
const RATE_TTL: Duration = Duration::from_secs(3600);

/// How far ahead writes may be planned: a request that comes meanwhile waits no longer.
const RATE_MAX_LEAD: Duration = Duration::from_secs(20);

/// When so many requests of an import may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTurn {
    /// From then on.
    pub at: Timestamp,
    account: AccountId,
    requests: u32,
    per_minute: u32,
}

/// The rate at which imports write.
#[derive(Clone, Debug)]
pub struct ImportRate {
    table: Table,
}

impl ImportRate {
    /// The rate in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Takes a turn for `requests` writes into an account, with at most `per_minute` of them a minute, over all functions that
    /// import. If it is far off, nothing is taken: how long to wait before asking again.
    pub async fn turn(
        &self,
        account: AccountId,
        requests: u32,
        per_minute: u32,
    ) -> Result<Result<ImportTurn, Duration>, StoreError> {
        let key: Key = ItemKey::ImportRate(account).into();
        until_written(|| async {
            let now = self.table.now();
            let seen = self.table.item(&key).await?.and_then(|item| number(&item, "free_at"));
            let at = seen.map_or(now, |free| Timestamp::from_millis(free).max(now));
            let lead = at.since(now);
            if lead > RATE_MAX_LEAD {
                return Ok(Some(Err(lead)));
            }
            let next = at + Duration::from_secs(60) * requests / per_minute.max(1);
            let turn = ImportTurn { at, account, requests, per_minute };
            Ok(self.set_free(&key, seen, next).await?.then_some(Ok(turn)))
        })
        .await
    }

    /// Gives back the part of a turn that was not used, or takes what was used beyond it, at the rate the turn was given.
    pub async fn settle(&self, turn: ImportTurn, used: u32) -> Result<(), StoreError> {
        let requests = i64::from(used) - i64::from(turn.requests);
        let millis = requests * 60_000 / i64::from(turn.per_minute.max(1));
        if millis == 0 {
            return Ok(());
        }
        let change = ItemUpdate {
            key: ItemKey::ImportRate(turn.account).into(),
            update: "ADD free_at :millis".to_owned(),
            condition: Some("attribute_exists(free_at)".to_owned()),
            values: Item::from([(":millis".to_owned(), integer(millis))]),
        };
        self.table.change(change).await
    }

    /// Lets no import write into an account for a while.
    pub async fn pause(&self, account: AccountId, time: Duration) -> Result<(), StoreError> {
        let end = self.table.now() + time;
        let values = Item::from([
            (":free".to_owned(), integer(end.as_millis())),
            (":end".to_owned(), integer((end + RATE_TTL).as_secs())),
        ]);
        let update = "SET free_at = :free, expires_at = :end".to_owned();
        let condition = Some("attribute_not_exists(free_at) OR free_at < :free".to_owned());
        self.table.change(ItemUpdate { key: ItemKey::ImportRate(account).into(), update, condition, values }).await
    }

    async fn set_free(&self, key: &Key, seen: Option<i64>, next: Timestamp) -> Result<bool, StoreError> {
        let mut values = Item::from([
            (":free".to_owned(), integer(next.as_millis())),
            (":end".to_owned(), integer((next + RATE_TTL).as_secs())),
        ]);
        let condition = if let Some(seen) = seen {
            values.insert(":seen".to_owned(), integer(seen));
            "free_at = :seen"
        } else {
            values.insert(":now".to_owned(), integer(self.table.now().as_secs()));
            "attribute_not_exists(free_at) OR expires_at <= :now"
        };
        let change = ItemUpdate {
            key: key.clone(),
            update: "SET free_at = :free, expires_at = :end".to_owned(),
            condition: Some(condition.to_owned()),
            values,
        };
        Ok(matches!(self.table.update(change, ReturnValue::None).await?, UpdateOutcome::Done(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Stage;

    const ACCOUNT: AccountId = AccountId(3);

    #[tokio::test]
    async fn a_turn_is_settled_at_the_rate_it_was_given() {
        let stage = Stage::new().await;
        let rate = ImportRate::new(stage.table.clone());
        let first = rate.turn(ACCOUNT, 10, 100).await.unwrap().unwrap();
        rate.settle(first, 5).await.unwrap();
        let second = rate.turn(ACCOUNT, 1, 200).await.unwrap().unwrap();
        assert_eq!(second.at, first.at + Duration::from_secs(3), "five requests at a hundred a minute");
    }

    #[tokio::test]
    async fn who_comes_far_too_early_takes_no_turn() {
        let stage = Stage::new().await;
        let rate = ImportRate::new(stage.table.clone());
        rate.pause(ACCOUNT, Duration::from_secs(300)).await.unwrap();
        assert_eq!(rate.turn(ACCOUNT, 1, 200).await.unwrap(), Err(Duration::from_secs(300)));
    }
}
