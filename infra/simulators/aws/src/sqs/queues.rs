//! The calls about queues themselves: made, found, described, set, emptied, removed.

use std::{collections::BTreeMap, time::Duration};

use domain::Clock as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Sqs,
    attributes::{self, Attributes},
    fault, name_of, nothing,
    queue::{Counts, Queue},
    store::{Change, Store},
};
use crate::error::ApiError;

/// Between two purges of a queue.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

/// The input of `CreateQueue`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

/// The input of the calls that name a queue and hardly more.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    queue_url: Option<String>,
    queue_name: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

/// The input of `SetQueueAttributes`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Set {
    queue_url: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// The input of `ListQueues`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

impl Sqs {
    pub(super) fn create_queue(&self, input: Create) -> Result<Value, ApiError> {
        let name = input.queue_name.ok_or_else(|| fault::missing("QueueName"))?;
        let mut store = self.lock();
        if let Ok(queue) = store.queue(&name) {
            let shown = queue.attributes.shown();
            let differs = input.attributes.iter().find(|(key, value)| shown.get(*key).is_some_and(|now| now != *value));
            if let Some((key, _)) = differs {
                return Err(fault::exists(key));
            }
        } else {
            self.make(&mut store, &name, input.attributes, input.tags)?;
        }
        Ok(json!({"QueueUrl": self.url_of(&name)}))
    }

    /// Makes the queue, or sets the attributes of the one that is there; answers its URL.
    pub(crate) fn ensure_queue(&self, name: &str, attributes: BTreeMap<String, String>) -> Result<String, ApiError> {
        let mut store = self.lock();
        if store.queue(name).is_ok() {
            self.set(&mut store, name, attributes)?;
        } else {
            self.make(&mut store, name, attributes, BTreeMap::new())?;
        }
        Ok(self.url_of(name))
    }

    fn make(
        &self,
        store: &mut Store,
        name: &str,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        let plain = name.strip_suffix(".fifo").unwrap_or(name);
        let taken = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if !taken || name.len() > 80 {
            return Err(fault::invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        check(store, name, attributes.clone())?;
        let now = self.clock.now();
        let made =
            Change::Queue { queue: name.to_owned(), attributes, tags, created: now, modified: now, purged: None };
        self.commit(store, vec![made], now)
    }

    pub(super) fn set_queue_attributes(&self, input: Set) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        self.set(&mut self.lock(), name, input.attributes)?;
        Ok(nothing())
    }

    fn set(&self, store: &mut Store, name: &str, attributes: BTreeMap<String, String>) -> Result<(), ApiError> {
        let mut queue = store.queue(name)?.clone();
        if attributes.get("FifoQueue").is_some_and(|fifo| (fifo == "true") != queue.attributes.fifo) {
            return Err(fault::attribute_name("FifoQueue"));
        }
        let mut given = queue.attributes.given.clone();
        given.extend(attributes);
        queue.attributes = check(store, name, given)?;
        queue.modified = self.clock.now();
        self.commit(store, vec![Store::described(&queue)], queue.modified)
    }

    pub(super) fn delete_queue(&self, input: &Named) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        let mut store = self.lock();
        store.queue(name)?;
        self.commit(&mut store, vec![Change::QueueGone { queue: name.to_owned() }], self.clock.now())?;
        Ok(nothing())
    }

    pub(super) fn get_queue_url(&self, input: &Named) -> Result<Value, ApiError> {
        let name = input.queue_name.as_deref().ok_or_else(|| fault::missing("QueueName"))?;
        self.lock().queue(name)?;
        Ok(json!({"QueueUrl": self.url_of(name)}))
    }

    pub(super) fn list_queues(&self, input: &List) -> Value {
        let after = input.next_token.as_deref().unwrap_or_default();
        let names = self.queue_names();
        let found: Vec<_> =
            names.iter().filter(|name| name.starts_with(&input.queue_name_prefix) && name.as_str() > after).collect();
        let page = &found[..found.len().min(input.max_results.unwrap_or(1000))];
        let mut answer = json!({"QueueUrls": page.iter().map(|name| self.url_of(name)).collect::<Vec<_>>()});
        if let (Some(last), true) = (page.last(), page.len() < found.len()) {
            answer["NextToken"] = json!(last);
        }
        answer
    }

    /// The names of all queues.
    pub(crate) fn queue_names(&self) -> Vec<String> {
        self.lock().queues().map(|queue| queue.name.clone()).collect()
    }

    pub(super) fn list_dead_letter_source_queues(&self, input: &Named) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        let store = self.lock();
        store.queue(name)?;
        let urls: Vec<String> = store.sources_of(name).iter().map(|source| self.url_of(source)).collect();
        Ok(json!({"queueUrls": urls}))
    }

    pub(super) fn get_queue_attributes(&self, input: &Named) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        let mut store = self.lock();
        let now = self.clock.now();
        self.finish_moves(&mut store, now)?;
        self.drop_overdue(&mut store, name, now)?;
        let queue = store.queue(name)?;
        let all = described(queue, self.counting().shown(queue, now, self.lagging.get().counts));
        let mut shown = BTreeMap::new();
        for wanted in &input.attribute_names {
            if wanted == "All" {
                shown.extend(all.clone());
            } else if let Some(value) = all.get(wanted) {
                shown.insert(wanted.clone(), value.clone());
            } else if Attributes::parse(name, BTreeMap::from([(wanted.clone(), String::new())]))
                .is_err_and(|error| error.code() == "InvalidAttributeName")
            {
                return Err(fault::attribute_name(wanted));
            }
        }
        Ok(if shown.is_empty() { nothing() } else { json!({"Attributes": shown}) })
    }

    pub(super) fn purge_queue(&self, input: &Named) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        let mut store = self.lock();
        let now = self.clock.now();
        if store.queue(name)?.purged.is_some_and(|at| at + PURGE_PAUSE > now) {
            return Err(fault::purging());
        }
        self.commit(&mut store, vec![Change::Purged { queue: name.to_owned(), at: now }], now)?;
        Ok(nothing())
    }
}

/// Checks attributes by themselves and against the other queues.
fn check(store: &Store, name: &str, attributes: BTreeMap<String, String>) -> Result<Attributes, ApiError> {
    let policy = attributes.get("RedrivePolicy").cloned().unwrap_or_default();
    let attributes = Attributes::parse(name, attributes)?;
    if let Some(redrive) = &attributes.redrive {
        let refused = |reason: &str| {
            fault::invalid(format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}"))
        };
        let target = store.queue(&redrive.target).map_err(|_| refused("Dead letter target does not exist."))?;
        if target.attributes.fifo != attributes.fifo {
            return Err(refused("Dead-letter queue must be same type of queue as the source."));
        }
    }
    Ok(attributes)
}

fn described(queue: &Queue, counts: Counts) -> BTreeMap<String, String> {
    let mut all = queue.attributes.shown();
    for (name, value) in [
        ("QueueArn", attributes::arn(&queue.name)),
        ("CreatedTimestamp", queue.created.as_secs().to_string()),
        ("LastModifiedTimestamp", queue.modified.as_secs().to_string()),
        ("ApproximateNumberOfMessages", counts.waiting.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
    ] {
        all.insert(name.to_owned(), value);
    }
    all
}
