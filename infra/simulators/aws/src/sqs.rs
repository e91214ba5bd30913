//! SQS: queues in memory, kept in a journal where there is a directory, spoken to in AWS JSON 1.0.
//!
//! [`store`] and [`queue`] are plain data and time; the other files are one kind of API call each.

mod attributes;
mod batch;
mod counting;
mod dump;
mod fault;
mod holding;
mod message;
mod moving;
#[cfg(test)]
mod properties;
mod queue;
mod queues;
mod receipt;
mod receiving;
mod releasing;
mod sending;
mod settling;
mod store;
mod tagging;

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use domain::{Clock as _, Timestamp};
use serde_json::{Value, json};
use simulator_wire::MovableClock;
use tokio::sync::watch;

pub use self::holding::Hold;
pub(crate) use self::{attributes::arn, message::md5_of, receiving::Handed};
use self::{
    counting::Counting,
    holding::InHand,
    moving::MoveTask,
    store::{Change, Store},
};
use crate::{
    error::ApiError,
    front::input,
    lag::{Lag, Lagging},
};

/// The service.
#[derive(Debug)]
pub(crate) struct Sqs {
    store: Mutex<Store>,
    clock: MovableClock,
    /// Told whenever a waiting receive could find something new.
    changed: watch::Sender<()>,
    base: OnceLock<String>,
    moves: Mutex<Vec<MoveTask>>,
    lagging: Lagging,
    counting: Mutex<Counting>,
    pub(crate) in_hand: InHand,
    short_polls: AtomicU64,
    at_once: AtomicBool,
}

impl Sqs {
    /// The queues of the journal at `path`, or none.
    pub(crate) fn open(clock: MovableClock, path: Option<PathBuf>, lagging: Lagging) -> anyhow::Result<Self> {
        Ok(Self {
            store: Mutex::new(Store::open(path, clock.now())?),
            clock,
            changed: watch::Sender::default(),
            base: OnceLock::new(),
            moves: Mutex::default(),
            lagging,
            counting: Mutex::default(),
            in_hand: InHand::default(),
            short_polls: AtomicU64::default(),
            at_once: AtomicBool::default(),
        })
    }

    /// Says where it is served, which queue URLs begin with.
    pub(crate) fn served_at(&self, base: &str) {
        self.base.get_or_init(|| base.to_owned());
    }

    /// From now on a long poll answers at once.
    pub(crate) fn answer_at_once(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// Waiting receives look again.
    pub(crate) fn clock_moved(&self) -> Result<(), ApiError> {
        self.moved(&mut self.lock())
    }

    /// From now on it is so far behind itself.
    pub(crate) fn lag(&self, lag: Lag) {
        let store = self.lock();
        self.counting().begin(&store, self.clock.now());
        self.lagging.set(lag);
    }

    fn counting(&self) -> MutexGuard<'_, Counting> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, store: &mut Store) -> Result<(), ApiError> {
        let now = self.clock.now();
        self.finish_moves(store, now)?;
        let names: Vec<String> = store.queues().map(|queue| queue.name.clone()).collect();
        for name in names {
            self.drop_overdue(store, &name, now)?;
        }
        self.changed.send_replace(());
        Ok(())
    }

    /// Nothing changes any more, and the journal is written anew, without what is gone.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        self.lock().close(self.clock.now())
    }

    /// One API call.
    pub(crate) async fn call(&self, operation: &str, body: &[u8]) -> Result<Value, ApiError> {
        match operation {
            "ReceiveMessage" => self.receive_message(input(body)?).await,
            "SendMessage" => self.send_message(input(body)?),
            "SendMessageBatch" => self.send_message_batch(input(body)?),
            "DeleteMessage" => self.delete_message(&input(body)?),
            "DeleteMessageBatch" => self.delete_message_batch(&input(body)?),
            "ChangeMessageVisibility" => self.change_message_visibility(&input(body)?),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(&input(body)?),
            "CreateQueue" => self.create_queue(input(body)?),
            "DeleteQueue" => self.delete_queue(&input(body)?),
            "GetQueueUrl" => self.get_queue_url(&input(body)?),
            "ListQueues" => Ok(self.list_queues(&input(body)?)),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(&input(body)?),
            "GetQueueAttributes" => self.get_queue_attributes(&input(body)?),
            "SetQueueAttributes" => self.set_queue_attributes(input(body)?),
            "PurgeQueue" => self.purge_queue(&input(body)?),
            "StartMessageMoveTask" => self.start_message_move_task(&input(body)?),
            "ListMessageMoveTasks" => self.list_message_move_tasks(&input(body)?),
            "TagQueue" => self.tag_queue(input(body)?),
            "UntagQueue" => self.untag_queue(&input(body)?),
            "ListQueueTags" => self.list_queue_tags(&input(body)?),
            _ => Err(ApiError::unknown_operation(operation)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the changes, and wakes waiting receives where that could help them.
    fn commit(&self, store: &mut Store, changes: Vec<Change>, now: Timestamp) -> Result<(), ApiError> {
        let helps = changes.iter().any(|change| !matches!(change, Change::Received { .. } | Change::Seen { .. }));
        let lag = self.lagging.get().counts;
        let changed = if lag.is_zero() { None } else { Some(counting::changed(&changes)) };
        store.commit(changes, now)?;
        if let Some(changed) = changed {
            self.counting().note(store, &changed, now, lag);
        }
        if helps {
            self.changed.send_replace(());
        }
        Ok(())
    }

    /// Removes what is past the queue's retention.
    fn drop_overdue(&self, store: &mut Store, queue: &str, now: Timestamp) -> Result<(), ApiError> {
        let orders = store.queue(queue)?.overdue(now);
        if orders.is_empty() {
            return Ok(());
        }
        self.commit(store, vec![Change::Gone { queue: queue.to_owned(), orders }], now)
    }

    fn url_of(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.base.get().map_or("", String::as_str), crate::ACCOUNT)
    }
}

/// The answer of the calls that have none.
fn nothing() -> Value {
    json!({})
}

/// The queue that a URL means: its last part.
fn name_of(url: Option<&str>) -> Result<&str, ApiError> {
    let url = url.ok_or_else(|| fault::missing("QueueUrl"))?;
    Ok(url.trim_end_matches('/').rsplit('/').next().unwrap_or(url))
}
