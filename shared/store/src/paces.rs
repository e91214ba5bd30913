//! How fast a number sends, over all functions that send.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{
    PhoneNumberId, Timestamp,
    pacing::{Place, Run, SECOND},
};

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, Written, integer, number},
};

/// How long a run is remembered; soon nobody asks for it any more.
const KEPT: Duration = Duration::from_secs(3600);

/// The numbers' runs.
#[derive(Clone, Debug)]
pub struct Paces {
    table: Table,
    /// As this process saw them last, to ask for the right thing at once.
    seen: Arc<Mutex<HashMap<PhoneNumberId, Run>>>,
}

impl Paces {
    /// Those of this table.
    pub fn new(table: Table) -> Self {
        Self { table, seen: Arc::default() }
    }

    /// One more message wants to go out: how long it has to wait, where no second may hold more than `most`. One write, and another
    /// one where somebody else was faster.
    pub async fn wait(&self, channel: &PhoneNumberId, most: u64) -> Result<Duration, StoreError> {
        let now = self.table.now();
        let mut run = self.seen(|seen| seen.get(channel).copied()).unwrap_or_default();
        for _ in 0..8 {
            let place = run.place(most, now);
            let (taken, item) = match self.table.update(change(channel, place, most, now), ReturnValue::AllNew).await? {
                Written::Done(item) => (true, item),
                Written::Refused(item) => (false, item),
            };
            run = item.as_ref().map(read).unwrap_or_default();
            self.seen(|seen| seen.insert(channel.clone(), run));
            if taken {
                return Ok(if place == Place::Waits { run.wait(most, now) } else { Duration::ZERO });
            }
        }
        Err(StoreError::Contended)
    }

    fn seen<T>(&self, with: impl FnOnce(&mut HashMap<PhoneNumberId, Run>) -> T) -> T {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes a place, if it is still the one to take.
fn change(channel: &PhoneNumberId, place: Place, most: u64, now: Timestamp) -> Change {
    let (update, condition) = match place {
        Place::Begins => {
            ("SET expires_at = :end, sent_at = :now, wanted = :one", "attribute_not_exists(pk) OR sent_at <= :over")
        }
        Place::Joins => ("SET expires_at = :end, sent_at = :now ADD wanted :one", "sent_at > :over AND wanted < :most"),
        Place::Waits => ("SET expires_at = :end ADD wanted :one", "sent_at > :over AND wanted >= :most"),
    };
    let mut values = Item::from([
        (":end".to_owned(), integer((now + KEPT).as_secs())),
        (":one".to_owned(), integer(1)),
        (":over".to_owned(), integer((now - SECOND).as_millis())),
    ]);
    // DynamoDB refuses values that nothing asks for.
    if place != Place::Waits {
        values.insert(":now".to_owned(), integer(now.as_millis()));
    }
    if place != Place::Begins {
        values.insert(":most".to_owned(), integer(most.try_into().unwrap_or(i64::MAX)));
    }
    let key = Key::new(format!("pace#{channel}"), "run");
    Change { key, update: update.to_owned(), condition: Some(condition.to_owned()), values }
}

fn read(item: &Item) -> Run {
    Run {
        sent_at: number(item, "sent_at").map(Timestamp::from_millis).unwrap_or_default(),
        wanted: number(item, "wanted").and_then(|wanted| wanted.try_into().ok()).unwrap_or_default(),
    }
}
