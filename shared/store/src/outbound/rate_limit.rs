//! Limits how fast a number sends, over all functions that send.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{
    PhoneNumberId, Timestamp,
    rate_limit::{NumberPace, SendSlot, micros, place_at},
};

use crate::{
    StoreError, Table,
    keys::ItemKey,
    table::{Item, ItemUpdate, UpdateOutcome, integer, number},
    versioned::until_written,
};

/// How long a number's rate is stored; soon after the last send it no longer matters.
const PACE_TTL: Duration = Duration::from_secs(3600);

/// The number rates.
#[derive(Clone, Debug)]
pub struct NumberRateLimit {
    table: Table,
    /// The rates as this process saw them last, so that the first write is likely to succeed. They only move forward.
    seen: Arc<Mutex<HashMap<PhoneNumberId, NumberPace>>>,
}

/// The slot one more message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It may go out at this time, and no other message may.
    At(Timestamp),
    /// Too many wait already; ask again after this time.
    NotBefore(Duration),
}

impl NumberRateLimit {
    /// The rates in this table.
    pub fn new(table: Table) -> Self {
        Self { table, seen: Arc::default() }
    }

    /// Takes a slot for one more message, with at most `most` slots in any second. One write, and another one where another
    /// sender was faster. A slot that was returned is taken. It is at least `lead` ahead, for a caller that needs the time to get
    /// there.
    pub async fn take(&self, channel: &PhoneNumberId, most: u64, lead: Duration) -> Result<Slot, StoreError> {
        let interval = NumberPace::interval(most);
        until_written(|| async {
            let now = self.table.now() + lead;
            let pace = self.seen(|seen| seen.get(channel).copied()).unwrap_or_default();
            let slot = pace.place(now);
            if let SendSlot::Waits { after } = slot {
                return Ok(Some(Slot::NotBefore(after)));
            }
            let (taken, item) =
                match self.table.update(change(channel, slot, interval, now), ReturnValue::AllNew).await? {
                    UpdateOutcome::Done(item) => (true, item),
                    UpdateOutcome::Refused(item) => (false, item),
                };
            let known = item.as_ref().map(read).unwrap_or_default();
            self.seen(|seen| {
                let pace = seen.entry(channel.clone()).or_default();
                // An answer that was overtaken knows less; one after the stored rate expired begins anew.
                if known.free_at > pace.free_at || !taken {
                    *pace = known;
                }
            });
            Ok(taken.then(|| Slot::At(place_at(known.free_at - interval))))
        })
        .await
    }

    fn seen<T>(&self, with: impl FnOnce(&mut HashMap<PhoneNumberId, NumberPace>) -> T) -> T {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes a slot, if it is still the next one.
fn change(channel: &PhoneNumberId, slot: SendSlot, interval: i64, now: Timestamp) -> ItemUpdate {
    let end = (now + PACE_TTL).as_secs();
    let mut values = Item::from([(":end".to_owned(), integer(end)), (":now".to_owned(), integer(micros(now)))]);
    let (update, condition) = if slot == SendSlot::Begins {
        values.insert(":next".to_owned(), integer(micros(now) + interval));
        ("SET expires_at = :end, free_at = :next", "attribute_not_exists(free_at) OR free_at <= :now")
    } else {
        values.insert(":interval".to_owned(), integer(interval));
        values.insert(":last".to_owned(), integer(micros(now + domain::rate_limit::SECOND)));
        ("SET expires_at = :end ADD free_at :interval", "free_at > :now AND free_at <= :last")
    };
    let key = ItemKey::NumberRate(channel.clone()).into();
    ItemUpdate { key, update: update.to_owned(), condition: Some(condition.to_owned()), values }
}

fn read(item: &Item) -> NumberPace {
    NumberPace { free_at: number(item, "free_at").unwrap_or_default() }
}
