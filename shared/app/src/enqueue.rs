//! The letter that wakes somebody to see to an erasure.

use domain::{Erasure, ErasureTask, erasure::ErasureState};
use queue::{QueueError, QueueMessage};

/// To look at a request. `dedup` makes it a letter of its own: a second one may tell of what the first came too early for.
pub fn erasure_message(erasure: &Erasure, dedup: impl std::fmt::Display) -> Result<QueueMessage, QueueError> {
    let task = ErasureTask::RequestV1 { code: erasure.code.clone() };
    // One that waits for the time to withdraw it must not hold up the word that confirms it.
    let grace = if matches!(erasure.state, ErasureState::Received { .. }) { "#grace" } else { "" };
    QueueMessage::new(format!("{}{grace}", task.group()), dedup.to_string(), &task)
}
