//! Builds the queue messages that start work on an erasure, and on what waited.

use domain::{Erasure, ErasureTask, MessageGroup, OutboundTask, PhoneNumberId, SyncRequest, erasure::ErasureState};
use queue::{QueueError, QueueMessage};

use crate::{Clients, HandlerError};

/// The task to work on a request. `dedup` makes it a message of its own: a second one may bring news for which the first came too
/// early.
pub fn erasure_message(erasure: &Erasure, dedup: impl std::fmt::Display) -> Result<QueueMessage, QueueError> {
    let task = ErasureTask::RequestV1 { code: erasure.code().clone() };
    // A request that can still be withdrawn must not hold up the message that confirms it.
    let group = match erasure.state() {
        ErasureState::Received { .. } => MessageGroup::ErasureGrace(erasure.code().clone()),
        _ => task.group(),
    };
    QueueMessage::new(group, dedup.to_string(), &task)
}

/// A sync request for every conversation of a number that waits; `cause` tells repeats of this from others.
pub async fn sync_requests(
    clients: &Clients,
    number: &PhoneNumberId,
    cause: &str,
) -> Result<Vec<QueueMessage>, HandlerError> {
    let watched = clients.cursor.watched(number).await?;
    let message = |(account, conversation)| {
        let task = OutboundTask::SyncRequestV1(SyncRequest::new(number.clone(), account, conversation));
        QueueMessage::new(task.group(), format!("{cause}#{conversation}"), &task)
    };
    Ok(watched.into_iter().map(message).collect::<Result<_, _>>()?)
}
