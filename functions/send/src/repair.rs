//! Red messages that are not failed: a callback of Chatwoot's failed, and Chatwoot marked what it told of.

use std::time::Duration;

use bridge::{BridgeError, tell};
use chatwoot::{ChatwootError, NewMessage, listing::Listed};
use domain::{
    Outcome, Outgoing, Timestamp,
    outgoing::{Mark, Tag},
    words::overwritten,
};
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

/// How often the tag is put on a message before it is taken for one that Chatwoot does not keep.
const PUT: u8 = 3;

impl Send {
    /// Takes the red from customers' own words, notes and echoes: one call for each, and none where there is nothing to mend.
    pub(crate) async fn repair(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        rows: &[Row],
        listed_at: Timestamp,
    ) -> Result<(), BridgeError> {
        let told = self.told_red(task, with).await?;
        let listed = rows.iter().map(|row| &row.message).chain(&told);
        let due: Vec<&Listed> = listed.filter(|message| is_due(message, listed_at)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let Some(mending) = next_round(with.conversation, !task.messages.is_empty(), listed_at) else {
            return Ok(());
        };
        // Before the calls: each of them counts, whatever becomes of it.
        self.clients.conversations.mends(with.conversation, mending).await?;
        let (mut mended, mut trouble) = (0_usize, None);
        for message in due {
            match with.chatwoot.mark(with.conversation.conversation, message.id, "sent", None).await {
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
    let (wrong, shown) = match entry.outgoing.outcome() {
        Outcome::Underway => (false, Mark::Sent),
        Outcome::Out(_) => (true, Mark::Failed),
        Outcome::Trouble { .. } => {
            (message.error().is_some_and(|words| Some(words) != said(send, message, entry).as_deref()), Mark::Sent)
        }
    };
    if !message.is_failed() || !wrong {
        return Ok(());
    }
    if shown == Mark::Sent {
        tag(send, with, message, entry).await?;
    }
    if !marked_since {
        let wrongly_shown = entry.clone().with(Outgoing { shown, ..entry.outgoing.clone() });
        let named = |at| plan::file_name(message, &wrongly_shown.outgoing, send.clients.locale, at);
        if let Some(told) = tell(&send.clients, with.chatwoot, &wrongly_shown, named).await? {
            *entry = told;
        }
    }
    Ok(())
}

/// What is to stand on a message that failed.
fn said(send: &Send, message: &Listed, entry: &Entry) -> Option<String> {
    let locale = send.clients.locale;
    entry.outgoing.say(locale, |at| plan::file_name(message, &entry.outgoing, locale, at))
}

/// So that an agent's Retry is noticed where callbacks fail: Chatwoot turns the message red again before anybody sees it as sent.
/// Our own words cannot stand there either, so a line tells them, once.
async fn tag(send: &Send, with: &With<'_>, message: &Listed, entry: &mut Entry) -> Result<(), BridgeError> {
    let times = match entry.outgoing.tag {
        Some(Tag::Stands | Tag::Refused) => return Ok(()),
        Some(Tag::Put(times)) => times,
        None => 0,
    };
    let conversation = with.conversation.conversation;
    let tag = if message.is_tagged() {
        Tag::Stands
    } else if times < PUT && with.chatwoot.tag(conversation, message.id).await? {
        Tag::Put(times + 1)
    } else {
        Tag::Refused
    };
    let known = |outgoing: &Outgoing| {
        let is_news = outgoing.tag == entry.outgoing.tag && matches!(outgoing.outcome(), Outcome::Trouble { .. });
        is_news.then(|| Outgoing { tag: Some(tag), ..outgoing.clone() })
    };
    let Some(saved) = send.clients.outbox.change(entry, known).await? else { return Ok(()) };
    *entry = saved;
    let (Tag::Stands | Tag::Refused, Some(reason)) = (tag, said(send, message, entry)) else { return Ok(()) };
    let content = overwritten::say(send.clients.locale, message.text(), &reason, tag == Tag::Stands);
    let line = NewMessage { content: &content, line: true, ..NewMessage::default() };
    if let Err(error) = with.chatwoot.create_message(conversation, line).await {
        tracing::warn!(%error, "an agent does not read why a message failed: Chatwoot's callbacks fail, and its words stand there");
    }
    Ok(())
}
