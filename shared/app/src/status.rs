//! Shows agents what became of their messages.
//! `send` does it when a part went out or did not, `forward` when a status tells more. The outbox knows what was shown, so that
//! nothing is shown twice and nothing in vain.

use chatwoot::{Chatwoot, ChatwootError};
use domain::{Outcome, PhoneNumberId, SendFailure, outgoing::DisplayedStatus};
use store::OutboxEntry;

use crate::{Clients, HandlerError};

/// Updates the displayed status of a message in Chatwoot. Returns the entry as it is after that; nothing if there was nothing to
/// show. `named` returns the name of a part's file, where the message is at hand.
pub async fn publish_status(
    clients: &Clients,
    chatwoot: &Chatwoot,
    entry: &OutboxEntry,
    named: impl Fn(usize) -> Option<String>,
) -> Result<Option<OutboxEntry>, HandlerError> {
    let Some(outcome) = entry.outgoing.pending_status() else { return Ok(None) };
    let (mark, words) = match outcome {
        Outcome::Underway => return Ok(None),
        Outcome::Out(mark) => (mark, None),
        Outcome::Incomplete { failure, .. } => {
            let mark = if failure == SendFailure::Unconfirmed {
                DisplayedStatus::Unconfirmed
            } else {
                DisplayedStatus::Failed
            };
            (mark, texts::incomplete(&entry.outgoing, clients.locale, named))
        }
    };
    let mut stays_red = false;
    match chatwoot.mark(entry.conversation, entry.message, word(mark), words.as_deref()).await {
        // Chatwoot can answer with success and change nothing. A failure must not count as shown then, or its absence would look
        // like the agent's Retry.
        Ok(Some(stands)) if words.is_some() && stands != word(mark) => {
            tracing::error!("Chatwoot did not take the mark of a failure; it is tried again at the next sync");
            return Ok(None);
        }
        // In later versions of Chatwoot no message comes back from failed.
        Ok(stands) => stays_red = words.is_none() && stands.as_deref() == Some("failed"),
        Err(ChatwootError::Gone) => {
            tracing::info!("a message is gone from Chatwoot, or only a proxy says so; the next sync tells");
            return Ok(None);
        }
        // A status that is no failure may be missing, unless only Chatwoot's limit of messages a minute (422) stops it.
        Err(ChatwootError::Refused(status)) if words.is_none() && status != 422 => {
            tracing::error!(status, "Chatwoot does not let the bridge mark a message; is the inbox an API inbox?");
        }
        Err(error) => return Err(error.into()),
    }
    // Read after the answer: a listing begun later shows the status, or what the agent did after it.
    let told_at = clients.clock.now();
    let shown = clients.outbox.change(entry, |outgoing| {
        outgoing.set_shown(mark, told_at);
        if stays_red {
            outgoing.leave_red();
        }
        Ok(())
    });
    Ok(shown.await?)
}

/// The same for news from Meta, which may come long after the message was settled. As long as the agent may press Retry, or a
/// part of it still has to go out, the message is synced again. Tells whether that has to happen now: something goes out, or
/// the failure names files, whose names only a sync knows.
pub async fn publish_late_status(
    clients: &Clients,
    chatwoot: &Chatwoot,
    channel: &PhoneNumberId,
    entry: &OutboxEntry,
) -> Result<bool, HandlerError> {
    let outgoing = &entry.outgoing;
    // The text under a file that failed still has to go out without it.
    let goes_on = outgoing.is_caption_apart() && outgoing.next_part().is_some();
    let is_incomplete = matches!(outgoing.outcome(), Outcome::Incomplete { .. });
    if goes_on || is_incomplete {
        clients.conversations.reopen(entry.account, entry.conversation, entry.message).await?;
        clients.cursor.watch(channel, entry.account, entry.conversation).await?;
    }
    let names_files = is_incomplete && outgoing.parts().len() > 1 && outgoing.stopping_failure().is_none();
    if names_files && outgoing.pending_status().is_some() {
        return Ok(true);
    }
    publish_status(clients, chatwoot, entry, |_| None).await?;
    Ok(outgoing.next_part().is_some())
}

fn word(mark: DisplayedStatus) -> &'static str {
    match mark {
        DisplayedStatus::Sent => "sent",
        DisplayedStatus::Delivered => "delivered",
        DisplayedStatus::Read => "read",
        DisplayedStatus::Failed | DisplayedStatus::Unconfirmed => "failed",
    }
}
