//! One queue as plain data: what it holds, what can be received from it, and when that changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    message::{Message, State},
};

/// How long a deduplication id is remembered, whatever became of the message.
pub(crate) const DEDUP_WINDOW: Duration = Duration::from_secs(300);

/// A send that is remembered for deduplication.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// When it was sent.
    pub(crate) at: Timestamp,
    /// The message's id, which a repeat is answered with.
    pub(crate) id: String,
    /// Its place in the queue.
    pub(crate) order: u64,
}

/// A queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// Its name.
    pub(crate) name: String,
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When its attributes were last set.
    pub(crate) modified: Timestamp,
    /// When it was last emptied.
    pub(crate) purged: Option<Timestamp>,
    /// What the owner calls it.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its messages in their order.
    pub(crate) messages: BTreeMap<u64, Message>,
    /// Deduplication ids.
    pub(crate) seen: HashMap<String, Seen>,
}

/// What a receive would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pick {
    /// Messages to hand out, in order.
    pub(crate) deliver: Vec<u64>,
    /// Messages that were received too often and go to the dead-letter queue.
    pub(crate) dead: Vec<u64>,
}

/// How many messages are in which state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) waiting: usize,
    pub(crate) delayed: usize,
    pub(crate) in_flight: usize,
}

impl Queue {
    /// The state of a message of this queue.
    pub(crate) fn state(&self, message: &Message, now: Timestamp) -> State {
        message.state(now, self.attributes.delay)
    }

    /// What a receive of up to `max` messages would do, if a message that was received `limit` times is given up.
    pub(crate) fn pick(&self, now: Timestamp, max: usize, limit: Option<u32>) -> Pick {
        let mut pick = Pick::default();
        for message in self.receivable(now) {
            if pick.deliver.len() == max {
                break;
            }
            if limit.is_some_and(|limit| message.tries >= limit) {
                pick.dead.push(message.order);
            } else {
                pick.deliver.push(message.order);
            }
        }
        pick
    }

    /// The messages that could be received at `now`, in the order in which a receive takes them: as many as there are of
    /// the group with the oldest head, then of the next group.
    pub(crate) fn receivable(&self, now: Timestamp) -> Vec<&Message> {
        let waiting = self.messages.values().filter(|message| self.state(message, now) == State::Waiting);
        if !self.attributes.fifo {
            return waiting.collect();
        }
        let mut blocked: HashSet<&str> = self
            .messages
            .values()
            .filter(|message| matches!(self.state(message, now), State::InFlight(_)))
            .filter_map(|message| message.group.as_deref())
            .collect();
        let mut heads: Vec<Vec<&Message>> = Vec::new();
        let mut place: HashMap<&str, usize> = HashMap::new();
        for message in self.messages.values() {
            let group = message.group.as_deref().unwrap_or_default();
            if blocked.contains(group) {
                continue;
            }
            if self.state(message, now) == State::Waiting {
                let at = *place.entry(group).or_insert_with(|| {
                    heads.push(Vec::new());
                    heads.len() - 1
                });
                heads[at].push(message);
            } else {
                blocked.insert(group);
            }
        }
        heads.into_iter().flatten().collect()
    }

    /// When the next message shows by itself.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.messages
            .values()
            .filter_map(|message| match self.state(message, now) {
                State::Waiting => None,
                State::Delayed(until) | State::InFlight(until) => Some(until),
            })
            .min()
    }

    /// The messages that are past the retention period.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<u64> {
        let late = |message: &&Message| message.enqueued_at + self.attributes.retention <= now;
        self.messages.values().filter(late).map(|message| message.order).collect()
    }

    /// The send that makes one with this deduplication id a repeat.
    pub(crate) fn repeat_of(&self, key: &str, now: Timestamp) -> Option<&Seen> {
        self.seen.get(key).filter(|seen| seen.at + DEDUP_WINDOW > now)
    }

    /// What a deduplication id is remembered under.
    pub(crate) fn dedup_key(&self, group: &str, dedup_id: &str) -> String {
        if self.attributes.dedup_by_group { format!("{group}\n{dedup_id}") } else { dedup_id.to_owned() }
    }

    /// How many messages are in which state.
    pub(crate) fn counts(&self, now: Timestamp) -> Counts {
        self.messages.values().fold(Counts::default(), |mut counts, message| {
            match self.state(message, now) {
                State::Waiting => counts.waiting += 1,
                State::Delayed(_) => counts.delayed += 1,
                State::InFlight(_) => counts.in_flight += 1,
            }
            counts
        })
    }
}
