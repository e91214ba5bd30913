//! Every message of every queue as it is: what a person looks at, and what an erasure is checked against.

use domain::{Clock as _, Timestamp};
use serde_json::{Value, json};

use super::{
    Sqs,
    message::{Message, State},
    queue::Queue,
    store::Store,
};

impl Sqs {
    /// Every message of every queue, raw.
    pub(crate) fn dump(&self) -> Value {
        let store = self.lock();
        let now = self.clock.now();
        json!({"queues": store.queues().map(|queue| dumped(&store, queue, now)).collect::<Vec<_>>()})
    }
}

fn dumped(store: &Store, queue: &Queue, now: Timestamp) -> Value {
    let overdue = queue.overdue(now);
    let in_state = |wanted: fn(State) -> bool| -> Vec<Value> {
        let messages = queue.messages.values().filter(|message| !overdue.contains(&message.order));
        messages
            .filter(|message| wanted(queue.state(message, now)))
            .map(|message| raw(message, queue.attributes.fifo))
            .collect()
    };
    json!({
        "name": queue.name,
        "dead_letter_of": store.sources_of(&queue.name),
        "waiting": in_state(|state| state == State::Waiting),
        "delayed": in_state(|state| matches!(state, State::Delayed(_))),
        "in_flight": in_state(|state| matches!(state, State::InFlight(_))),
    })
}

fn raw(message: &Message, fifo: bool) -> Value {
    json!({
        "message_id": message.id,
        "group": message.group,
        "dedup_id": message.dedup_id,
        "body": message.body,
        "attributes": message.system(fifo),
        "message_attributes": message.attributes,
        "sent_at": message.sent_at.as_millis(),
        "receive_count": message.receive_count,
        "visible_at": message.flight.as_ref().map(|flight| flight.until.as_millis()),
    })
}
