//! The approximate counts of a queue: as they are, or as they were a while ago.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use domain::Timestamp;

use super::{
    queue::{Counts, Queue},
    store::{Change, Store},
};

/// What each queue held, and since when.
#[derive(Debug, Default)]
pub(super) struct Counting(HashMap<String, Vec<(Timestamp, Counts)>>);

impl Counting {
    /// From now on counts come late: what there is now was there all the time.
    pub(super) fn begin(&mut self, store: &Store, now: Timestamp) {
        self.0 =
            store.queues().map(|queue| (queue.name.clone(), vec![(Timestamp::default(), queue.counts(now))])).collect();
    }

    /// Writes down what the changed queues hold now. Nothing older than `lag` is asked for any more, but for the last of it.
    pub(super) fn note(&mut self, store: &Store, changed: &BTreeSet<String>, now: Timestamp, lag: Duration) {
        for name in changed {
            let Ok(queue) = store.queue(name) else { continue };
            let history = self.0.entry(name.clone()).or_default();
            history.push((now, queue.counts(now)));
            let old = history.iter().rposition(|(at, _)| *at + lag <= now).unwrap_or_default();
            history.drain(..old);
        }
    }

    /// What a queue held so long ago.
    pub(super) fn shown(&self, queue: &Queue, now: Timestamp, lag: Duration) -> Counts {
        if lag.is_zero() {
            return queue.counts(now);
        }
        let history = self.0.get(&queue.name).map(Vec::as_slice).unwrap_or_default();
        history.iter().rfind(|(at, _)| *at + lag <= now).map(|(_, counts)| *counts).unwrap_or_default()
    }
}

/// The queues that changes are about.
pub(super) fn changed(changes: &[Change]) -> BTreeSet<String> {
    let queue = |change: &Change| match change {
        Change::Order { .. } => None,
        Change::Queue { queue, .. }
        | Change::QueueGone { queue }
        | Change::Purged { queue, .. }
        | Change::Put { queue, .. }
        | Change::Seen { queue, .. }
        | Change::Received { queue, .. }
        | Change::Visible { queue, .. }
        | Change::Kept { queue, .. }
        | Change::Gone { queue, .. } => Some(queue.clone()),
    };
    changes.iter().filter_map(queue).collect()
}
