//! Keeps imports slower than Chatwoot bears, and out of the way of live messages.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use app::HandlerError;
use domain::{AccountId, Timestamp};
use platform::wait_until;
use queue::Record;
use store::{ImportProgress, ImportTurn};

use crate::Handler;

/// So many live messages in their queue slow an import down.
const BUSY_QUEUE: u64 = 50;

/// How long what the queue held is taken for true.
const QUEUE_SEEN_FOR: Duration = Duration::from_secs(10);

/// An answer of Chatwoot's that takes longer slows an import down.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// How long an import rests after Chatwoot said that there is too much, or failed twice in a row.
const REST: Duration = Duration::from_secs(300);

/// How long a slice that waits for its turn is hidden at most: an erasure has to find it soon.
const FAR_OFF: Duration = Duration::from_secs(600);

/// About so many messages are written with one request.
const MESSAGES_A_REQUEST: i64 = 10;

/// A waiting slice comes back within this part of the time the import will still take: seldom, and some at any moment.
const LOOKS: u32 = 4;

/// What this process saw of how busy Chatwoot is.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    queue: Mutex<Option<(Timestamp, bool)>>,
    slow: AtomicBool,
    failures: AtomicU32,
}

impl Pace {
    /// Notes how long Chatwoot took for a note.
    pub(crate) fn took(&self, time: Duration) {
        self.slow.store(time > SLOW_ANSWER, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }
}

impl Handler {
    /// Waits for a turn of so many requests. Gives how long to wait elsewhere, if it is far off.
    pub(crate) async fn turn(
        &self,
        account: AccountId,
        requests: u32,
    ) -> Result<Result<ImportTurn, Duration>, HandlerError> {
        let turn = self.clients.import_rate.turn(account, requests, self.rate().await).await?;
        if let Ok(turn) = &turn {
            wait_until(&*self.clients.clock, turn.at).await;
        }
        Ok(turn)
    }

    /// How long a slice is hidden for which it is too early, at least so long. What waits comes back a few times on the whole,
    /// however much it is, and never all at once.
    pub(crate) fn far_off(&self, record: &Record, progress: &ImportProgress, least: Duration) -> Duration {
        let requests = u32::try_from(progress.counts.waiting() / MESSAGES_A_REQUEST).unwrap_or_default();
        let left = Duration::from_secs(60) * requests / self.per_minute.max(1);
        let mut hasher = DefaultHasher::new();
        (&record.id, record.receives).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 1_000).unwrap_or_default();
        least.max((left / LOOKS).min(FAR_OFF) * share / 1_000).min(FAR_OFF)
    }

    /// Half as fast while live messages wait, or Chatwoot is slow.
    async fn rate(&self) -> u32 {
        let half = self.pace.slow.load(Ordering::Relaxed) || self.is_busy().await;
        if half { (self.per_minute / 2).max(1) } else { self.per_minute }
    }

    async fn is_busy(&self) -> bool {
        let now = self.clients.clock.now();
        let seen = *self.pace.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, busy)) = seen
            && now.since(at) < QUEUE_SEEN_FOR
        {
            return busy;
        }
        let busy = self.inbound.holds().await.is_ok_and(|held| held > BUSY_QUEUE);
        *self.pace.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, busy));
        busy
    }

    /// Lets imports rest after an answer of Chatwoot's with this status, if that is due.
    pub(crate) async fn rest(&self, account: AccountId, status: u16) -> Result<(), HandlerError> {
        let failed = status >= 500 && self.pace.failures.fetch_add(1, Ordering::Relaxed) > 0;
        if status == 429 || failed {
            tracing::warn!(status, "Chatwoot has too much to do; imports of history rest");
            self.clients.import_rate.pause(account, REST).await?;
        }
        Ok(())
    }
}
