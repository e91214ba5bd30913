//! All queues and the one way they change: a [`Change`] is written to the journal, then applied.
//!
//! Starting again applies the same changes, so what was answered to a caller is what is found after the process was killed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    fault,
    message::{Flight, Message},
    queue::{DEDUP_WINDOW, Queue, Seen},
};
use crate::{error::ApiError, journal::Journal};

/// A change of the queues.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change {
    /// The next message gets at least this place.
    Order { next: u64 },
    /// A queue was made, or its attributes set.
    Queue {
        queue: String,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
        created: Timestamp,
        modified: Timestamp,
        purged: Option<Timestamp>,
    },
    /// A queue is gone with all it held.
    QueueGone { queue: String },
    /// A queue was emptied.
    Purged { queue: String, at: Timestamp },
    /// A message came in.
    Put { queue: String, message: Message },
    /// A deduplication id is remembered.
    Seen { queue: String, key: String, seen: Seen },
    /// A message went out.
    Received { queue: String, order: u64, flight: Flight },
    /// A message out shows earlier or later than it was to.
    Visible { queue: String, order: u64, until: Timestamp },
    /// A message out keeps its whole time although the clock is moved.
    Kept { queue: String, order: u64, by: Duration },
    /// Messages are gone: deleted, moved away or too old.
    Gone { queue: String, orders: Vec<u64> },
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Store {
    queues: BTreeMap<String, Queue>,
    next_order: u64,
    journal: Option<Journal>,
    closed: bool,
}

impl Store {
    /// The queues that the journal at `path` tells of, or none.
    pub(crate) fn open(path: Option<PathBuf>, now: Timestamp) -> anyhow::Result<Self> {
        let mut store = Self::default();
        if let Some(path) = path {
            for change in Journal::read::<Vec<Change>>(&path)?.into_iter().flatten() {
                store.apply(change);
            }
            store.rewrite(&path, now)?;
        }
        Ok(store)
    }

    /// Writes the journal for the last time, without what is history.
    pub(crate) fn close(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.closed = true;
        self.compact(now)
    }

    /// Writes the journal anew, without what is history.
    fn compact(&mut self, now: Timestamp) -> anyhow::Result<()> {
        match self.journal.as_ref().map(|journal| journal.path().to_path_buf()) {
            Some(path) => self.rewrite(&path, now),
            None => Ok(()),
        }
    }

    fn rewrite(&mut self, path: &Path, now: Timestamp) -> anyhow::Result<()> {
        self.forget(now);
        let lines: Vec<Vec<Change>> = self.snapshot().into_iter().map(|change| vec![change]).collect();
        self.journal = Some(Journal::rewrite(path, &lines)?);
        Ok(())
    }

    /// Drops what is past its time.
    fn forget(&mut self, now: Timestamp) {
        for queue in self.queues.values_mut() {
            queue.seen.retain(|_, seen| seen.at + DEDUP_WINDOW > now);
            for order in queue.overdue(now) {
                queue.messages.remove(&order);
            }
        }
    }

    fn snapshot(&self) -> Vec<Change> {
        let mut changes = vec![Change::Order { next: self.next_order }];
        for queue in self.queues.values() {
            let name = || queue.name.clone();
            changes.push(Self::described(queue));
            changes
                .extend(queue.messages.values().map(|message| Change::Put { queue: name(), message: message.clone() }));
            changes.extend(queue.seen.iter().map(|(key, seen)| Change::Seen {
                queue: name(),
                key: key.clone(),
                seen: seen.clone(),
            }));
        }
        changes
    }

    /// The change that makes a queue what it is.
    pub(crate) fn described(queue: &Queue) -> Change {
        Change::Queue {
            queue: queue.name.clone(),
            attributes: queue.attributes.given.clone(),
            tags: queue.tags.clone(),
            created: queue.created,
            modified: queue.modified,
            purged: queue.purged,
        }
    }

    /// Writes the changes down, then makes them.
    pub(crate) fn commit(&mut self, changes: Vec<Change>, now: Timestamp) -> Result<(), ApiError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.closed {
            return Err(ApiError::internal("the embedded AWS is closed"));
        }
        let broken = |error: anyhow::Error| ApiError::internal(format!("{error:#}"));
        if let Some(journal) = &mut self.journal {
            journal.append(&changes).map_err(broken)?;
        }
        for change in changes {
            self.apply(change);
        }
        if self.journal.as_ref().is_some_and(Journal::is_bloated) {
            self.compact(now).map_err(broken)?;
        }
        Ok(())
    }

    /// The place of the next message.
    pub(crate) fn next_order(&self) -> u64 {
        self.next_order
    }

    /// The queue `name`.
    pub(crate) fn queue(&self, name: &str) -> Result<&Queue, ApiError> {
        self.queues.get(name).ok_or_else(fault::no_queue)
    }

    /// All queues by name.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    /// The names of the queues that give up messages to `target`.
    pub(crate) fn sources_of(&self, target: &str) -> Vec<String> {
        let gives = |queue: &&Queue| queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.target == target);
        self.queues.values().filter(gives).map(|queue| queue.name.clone()).collect()
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Order { next } => self.next_order = self.next_order.max(next),
            Change::Queue { queue: name, attributes, tags, created, modified, purged } => {
                // What was written had been checked.
                let Ok(attributes) = Attributes::parse(&name, attributes) else { return };
                let known = self.queues.remove(&name);
                let (messages, seen) = known.map(|queue| (queue.messages, queue.seen)).unwrap_or_default();
                let queue = Queue { name: name.clone(), attributes, created, modified, purged, tags, messages, seen };
                self.queues.insert(name, queue);
            }
            Change::QueueGone { queue } => {
                self.queues.remove(&queue);
            }
            Change::Purged { queue, at } => self.with(&queue, |queue| {
                queue.messages.clear();
                queue.purged = Some(at);
            }),
            Change::Put { queue, message } => {
                self.next_order = self.next_order.max(message.order + 1);
                self.with(&queue, |queue| {
                    queue.messages.insert(message.order, message);
                });
            }
            Change::Seen { queue, key, seen } => self.with(&queue, |queue| {
                // Growing past a power of two is when it pays to look for old ones.
                if queue.seen.len() >= 1024 && queue.seen.len().is_power_of_two() {
                    queue.seen.retain(|_, old| old.at + DEDUP_WINDOW > seen.at);
                }
                queue.seen.insert(key, seen);
            }),
            Change::Received { queue, order, flight } => self.with(&queue, |queue| {
                if let Some(message) = queue.messages.get_mut(&order) {
                    message.receive_count += 1;
                    message.tries += 1;
                    message.first_received.get_or_insert(flight.since);
                    message.flight = Some(flight);
                }
            }),
            Change::Visible { queue, order, until } => self.with(&queue, |queue| {
                if let Some(flight) = queue.messages.get_mut(&order).and_then(|message| message.flight.as_mut()) {
                    flight.until = until;
                }
            }),
            Change::Kept { queue, order, by } => self.with(&queue, |queue| {
                if let Some(flight) = queue.messages.get_mut(&order).and_then(|message| message.flight.as_mut()) {
                    flight.since = flight.since + by;
                    flight.until = flight.until + by;
                }
            }),
            Change::Gone { queue, orders } => self.with(&queue, |queue| {
                for order in orders {
                    queue.messages.remove(&order);
                }
            }),
        }
    }

    fn with(&mut self, queue: &str, act: impl FnOnce(&mut Queue)) {
        if let Some(queue) = self.queues.get_mut(queue) {
            act(queue);
        }
    }
}
