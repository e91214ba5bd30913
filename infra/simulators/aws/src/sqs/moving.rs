//! `StartMessageMoveTask`: messages of a dead-letter queue begin a new life where they came from or elsewhere, at once or later.

use std::sync::{MutexGuard, PoisonError};

use domain::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Sqs,
    attributes::name_of_arn,
    fault,
    message::Message,
    store::{Change, Store},
};
use crate::error::ApiError;

/// The input of `StartMessageMoveTask`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Start {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<u32>,
}

/// The input of `ListMessageMoveTasks`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    source_arn: Option<String>,
    max_results: Option<usize>,
}

/// A move that was asked for.
#[derive(Clone, Debug)]
pub(super) struct MoveTask {
    source_arn: String,
    destination: Option<String>,
    /// When it takes place; nothing once it did.
    due: Option<Timestamp>,
    shown: Value,
}

impl Sqs {
    pub(super) fn start_message_move_task(&self, input: &Start) -> Result<Value, ApiError> {
        let source_arn = input.source_arn.as_deref().ok_or_else(|| fault::missing("SourceArn"))?;
        let source = name_of_arn(source_arn).ok_or_else(fault::no_resource)?;
        let mut store = self.lock();
        let now = self.clock.now();
        store.queue(source).map_err(|_| fault::no_resource())?;
        if store.sources_of(source).is_empty() {
            return Err(fault::invalid("Source queue must be configured as a Dead Letter Queue."));
        }
        let destination = match &input.destination_arn {
            Some(arn) => Some(destination(&store, source, arn)?.to_owned()),
            None => None,
        };
        self.finish_moves(&mut store, now)?;
        if self.moves().iter().any(|task| task.source_arn == source_arn && task.due.is_some()) {
            return Err(fault::invalid(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let handle = uuid::Uuid::new_v4().to_string();
        let mut shown = json!({
            "TaskHandle": handle,
            "Status": "RUNNING",
            "SourceArn": source_arn,
            "ApproximateNumberOfMessagesMoved": 0,
            "ApproximateNumberOfMessagesToMove": store.queue(source)?.messages.len(),
            "StartedTimestamp": now.as_millis(),
        });
        if let Some(arn) = &input.destination_arn {
            shown["DestinationArn"] = json!(arn);
        }
        if let Some(rate) = input.max_number_of_messages_per_second {
            shown["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        let due = Some(now + self.lagging.get().moves);
        self.moves().push(MoveTask { source_arn: source_arn.to_owned(), destination, due, shown });
        self.finish_moves(&mut store, now)?;
        Ok(json!({"TaskHandle": handle}))
    }

    /// Makes the moves whose time has come.
    pub(super) fn finish_moves(&self, store: &mut Store, now: Timestamp) -> Result<(), ApiError> {
        for task in self.moves().iter_mut().filter(|task| task.due.is_some_and(|due| due <= now)) {
            task.due = None;
            let source = name_of_arn(&task.source_arn).ok_or_else(fault::no_resource)?;
            self.drop_overdue(store, source, now)?;
            let (changes, moved, left) = moves(store, source, task.destination.as_deref(), now)?;
            self.commit(store, changes, now)?;
            task.shown["Status"] = json!(if left == 0 { "COMPLETED" } else { "FAILED" });
            task.shown["ApproximateNumberOfMessagesMoved"] = json!(moved);
            task.shown["ApproximateNumberOfMessagesToMove"] = json!(moved + left);
            if left > 0 {
                task.shown["FailureReason"] = json!("CouldNotDetermineMessageSource");
            }
            // A task that is over has no handle any more: there is nothing left to cancel.
            if let Some(fields) = task.shown.as_object_mut() {
                fields.remove("TaskHandle");
            }
        }
        Ok(())
    }

    fn moves(&self) -> MutexGuard<'_, Vec<MoveTask>> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list_message_move_tasks(&self, input: &List) -> Result<Value, ApiError> {
        let source_arn = input.source_arn.as_deref().ok_or_else(|| fault::missing("SourceArn"))?;
        let source = name_of_arn(source_arn).ok_or_else(fault::no_resource)?;
        let mut store = self.lock();
        store.queue(source).map_err(|_| fault::no_resource())?;
        self.finish_moves(&mut store, self.clock.now())?;
        let tasks = self.moves();
        let of_source = tasks.iter().rev().filter(|task| task.source_arn == source_arn);
        let shown: Vec<Value> = of_source.take(input.max_results.unwrap_or(1)).map(|task| task.shown.clone()).collect();
        Ok(json!({"Results": shown}))
    }
}

fn destination<'a>(store: &Store, source: &str, arn: &'a str) -> Result<&'a str, ApiError> {
    let name = name_of_arn(arn).ok_or_else(fault::no_resource)?;
    let target = store.queue(name).map_err(|_| fault::no_resource())?;
    if target.attributes.fifo == store.queue(source)?.attributes.fifo {
        return Ok(name);
    }
    Err(fault::unsupported("Source and destination must be queues of the same type."))
}

/// What a move changes, how many messages it moves, and how many it can find no home for.
fn moves(
    store: &Store,
    source: &str,
    destination: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<Change>, usize, usize), ApiError> {
    let mut gone = Vec::new();
    let mut changes = Vec::new();
    let mut homeless = 0;
    for (message, order) in store.queue(source)?.receivable(now).into_iter().zip(store.next_order()..) {
        let Some(home) = destination.or_else(|| message.source()).filter(|home| store.queue(home).is_ok()) else {
            homeless += 1;
            continue;
        };
        gone.push(message.order);
        let message = Message {
            order,
            id: uuid::Uuid::new_v4().to_string(),
            sent_at: now,
            enqueued_at: now,
            delay_seconds: None,
            receive_count: 0,
            tries: 0,
            first_received: None,
            flight: None,
            source_arn: None,
            ..message.clone()
        };
        changes.push(Change::Put { queue: home.to_owned(), message });
    }
    let moved = gone.len();
    if moved > 0 {
        changes.insert(0, Change::Gone { queue: source.to_owned(), orders: gone });
    }
    Ok((changes, moved, homeless))
}
