//! Red messages that are not failed: a callback of Chatwoot's failed, and Chatwoot marked what it told of.

use std::time::Duration;

use bridge::{BridgeError, tell};
use chatwoot::{ChatwootError, listing::Listed};
use domain::{Outcome, Outgoing, Timestamp, outgoing::Mark};
use store::{Conversation, Entry, Mending};

use crate::{
    Send, Task,
    dispatch::With,
    look::{RETRIABLE, Row},
    plan,
};

/// How long a conversation is looked after once something was mended: the mark itself makes a callback, which may fail again.
const AGAIN: Duration = Duration::from_secs(1800);

/// How often a conversation is mended while no callback arrives.
const ROUNDS: u32 = 6;

/// When it is tried again though none did.
const REST: Duration = Duration::from_secs(4 * 3600);

impl Send {
    /// Takes the red from customers' own words, notes and echoes: one call for each, and none where there is nothing to mend.
    pub(crate) async fn repair(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        rows: &[Row],
        listed_at: Timestamp,
    ) -> Result<(), BridgeError> {
        if !rows.iter().any(|row| is_due(&row.message, listed_at)) {
            return Ok(());
        }
        let Some(mending) = next_round(with.conversation, !task.messages.is_empty(), listed_at) else {
            return Ok(());
        };
        // Before the calls: each of them counts, whatever becomes of it.
        self.clients.conversations.mends(with.conversation, mending).await?;
        let (mut mended, mut trouble) = (0_usize, None);
        for row in rows.iter().filter(|row| is_due(&row.message, listed_at)) {
            match with.chatwoot.mark(with.conversation.conversation, row.message.id, "sent", None).await {
                // Later versions let nothing come back from failed.
                Ok(status) => mended += usize::from(status.as_deref() != Some("failed")),
                Err(ChatwootError::Gone | ChatwootError::Refused(_)) => {}
                Err(error) => {
                    trouble = Some(error);
                    break;
                }
            }
        }
        if mended > 0 || trouble.is_some() {
            tracing::info!(messages = mended, "messages were red because a callback failed");
            let (number, conversation) = (&with.channel.phone_number_id, with.conversation);
            let rounds = &self.clients.rounds;
            rounds.watch_for(number, conversation.account, conversation.conversation, AGAIN).await?;
        }
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The round that may be made now. While callbacks fail each mark makes new red, so there are few; one that arrives shows that it is
/// worth it again.
fn next_round(conversation: &Conversation, arrived: bool, now: Timestamp) -> Option<Mending> {
    let known = conversation.mending.filter(|known| !arrived && now.since(known.since) < REST);
    match known {
        None => Some(Mending { since: now, rounds: 1 }),
        Some(known) => (known.rounds < ROUNDS).then_some(Mending { rounds: known.rounds + 1, ..known }),
    }
}

/// Whether a message is to be mended. What stayed red for a day stays red.
pub(crate) fn is_due(message: &Listed, now: Timestamp) -> bool {
    message.is_red_by_mistake() && message.created_at().is_some_and(|at| now.since(at) < RETRIABLE)
}

/// A failed callback of Chatwoot's marks a message failed that is with the customer, or puts its own words over ours; the
/// truth goes back onto it.
pub(crate) async fn correct(
    send: &Send,
    with: &With<'_>,
    message: &Listed,
    entry: &mut Entry,
    listed_at: Timestamp,
) -> Result<(), BridgeError> {
    let marked_since = entry.outgoing.shown_at > listed_at;
    let named = |at| plan::file_name(message, &entry.outgoing, send.clients.locale, at);
    let (wrong, shown) = match entry.outgoing.outcome() {
        Outcome::Underway => (false, Mark::Sent),
        Outcome::Out(_) => (true, Mark::Failed),
        Outcome::Trouble { .. } => {
            let ours = entry.outgoing.say(send.clients.locale, named);
            (message.error().is_some_and(|words| ours.as_deref() != Some(words)), Mark::Sent)
        }
    };
    if message.is_failed() && wrong && !marked_since {
        let wrongly_shown = Outgoing { shown, ..entry.outgoing.clone() };
        if let Some(told) = tell(&send.clients, with.chatwoot, &entry.clone().with(wrongly_shown), named).await? {
            *entry = told;
        }
    }
    Ok(())
}
