//! Builds the queue message that starts work on an erasure.

use domain::{Erasure, ErasureTask, MessageGroup, erasure::ErasureState};
use queue::{QueueError, QueueMessage};

/// The task to work on a request. `dedup` makes it a message of its own: a second one may bring news for which the first came too
/// early.
pub fn erasure_message(erasure: &Erasure, dedup: impl std::fmt::Display) -> Result<QueueMessage, QueueError> {
    let task = ErasureTask::RequestV1 { code: erasure.code.clone() };
    // A request that can still be withdrawn must not hold up the message that confirms it.
    let group = match erasure.state {
        ErasureState::Received { .. } => MessageGroup::ErasureGrace(erasure.code.clone()),
        _ => task.group(),
    };
    QueueMessage::new(group, dedup.to_string(), &task)
}
