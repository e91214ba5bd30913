//! Retries what failed in a conversation, in order.

use app::HandlerError;
use chatwoot::{ChatwootError, listing::ListedMessage};
use domain::{MessageId, Outcome, Part, SyncRequest};
use store::OutboxEntry;
use texts::command::{Command, is_all, reply::Reply};

use super::{Answer, Asked};
use crate::{Handler, sync::RETRY_MAX_AGE};

impl Handler {
    /// Does what the Retry button does, on each message that failed within the day. What may have gone out is left alone, unless
    /// the agent was asked about that before.
    pub(super) async fn retry_failed(&self, asked: &Asked<'_>) -> Result<Answer, HandlerError> {
        let failed = self.what_failed(asked).await?;
        let put = is_all(asked.rest) && self.was_put(asked, Command::Retry).await?;
        let (mut again, mut unsure) = (0, 0);
        for one in failed {
            match one.state {
                FailedState::Unconfirmed if !put => unsure += 1,
                FailedState::Retried => again += 1,
                FailedState::Failed | FailedState::Unconfirmed => {
                    match asked.chatwoot.retry(asked.conversation.conversation, one.message).await {
                        Ok(()) => again += 1,
                        Err(ChatwootError::Gone) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        if again > 0 {
            self.pass_on_written(asked, SyncRequest { ..asked.job.request.clone() }).await?;
        }
        let reply = Reply::Retried { again, unsure };
        Ok(Answer { asks: unsure > 0, ..Answer::of(reply, self.clients.locale) })
    }

    /// The messages above the command that failed and may still be retried, in order. Of those that an earlier attempt of this
    /// command retried, it is known which they were.
    async fn what_failed(&self, asked: &Asked<'_>) -> Result<Vec<FailedMessage>, HandlerError> {
        let (account, id) = (asked.conversation.account, asked.conversation.conversation);
        let listed = asked.chatwoot.messages(id, None, asked.now - RETRY_MAX_AGE).await?;
        let Some(first) = listed.first() else { return Ok(Vec::new()) };
        let entries = self.clients.outbox.after(account, id, Some(MessageId(first.id.0 - 1))).await?;
        let above = listed.iter().filter(|message| message.id < asked.note.id && message.is_for_customer());
        let failed = |message: &ListedMessage| {
            let entry = entries.iter().find(|entry| entry.message == message.id)?;
            Some(FailedMessage { message: message.id, state: state(message, entry, asked)? })
        };
        Ok(above.filter_map(failed).collect())
    }
}

/// A message that failed, or did before this command retried it.
struct FailedMessage {
    message: MessageId,
    state: FailedState,
}

enum FailedState {
    /// It certainly did not go out, or not all of it.
    Failed,
    /// It may have gone out.
    Unconfirmed,
    /// An earlier attempt of this command retried it.
    Retried,
}

fn state(message: &ListedMessage, entry: &OutboxEntry, asked: &Asked<'_>) -> Option<FailedState> {
    let outgoing = &entry.outgoing;
    let asked_at = asked.note.created_at().unwrap_or_default();
    if !matches!(outgoing.outcome(), Outcome::Incomplete { .. }) {
        return (asked.job.suspect && outgoing.asked_at() >= asked_at && !outgoing.is_untried())
            .then_some(FailedState::Retried);
    }
    if asked.now.since(outgoing.shown_at()) >= RETRY_MAX_AGE {
        return None;
    }
    let is_unconfirmed = outgoing.parts().iter().any(|part| matches!(part, Part::Uncertain { .. }));
    Some(match () {
        // It was retried, and its sync is still to come.
        () if asked.job.suspect && message.is_sent() => FailedState::Retried,
        () if is_unconfirmed => FailedState::Unconfirmed,
        () => FailedState::Failed,
    })
}
