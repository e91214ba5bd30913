//! Pairs the messages of a conversation with what the outbox knows of them.

use std::{collections::HashMap, time::Duration};

use app::HandlerError;
use chatwoot::listing::ListedMessage;
use domain::{InvalidTransition, MessageId, Outcome, Outgoing, Part, SendFailure, Timestamp, outgoing::MessageKind};
use store::{Conversation, OutboxEntry};
use texts::Locale;

use super::{MAX_MESSAGE_AGE, RETRY_MAX_AGE, SyncJob};
use crate::{
    Handler,
    convert::parts::{self, plan},
};

/// A message may appear in the list after one with a higher id, because its transaction took longer. Messages younger than this
/// are listed again.
const UNSETTLED_MAX_AGE: Duration = Duration::from_secs(600);

/// A message and its outbox entry, if it has or needs one.
pub(crate) struct TrackedMessage {
    pub(crate) message: ListedMessage,
    pub(crate) entry: Option<OutboxEntry>,
    /// Whether the table does not have the entry in this state yet.
    pub(crate) is_news: bool,
    /// Whether a later message has been sent: this one is no longer sent by itself.
    pub(crate) is_overtaken: bool,
}

impl TrackedMessage {
    /// Whether it may still have something to send.
    pub(crate) fn is_open(&self) -> bool {
        self.for_customer().is_some_and(|entry| !entry.outgoing.is_settled())
    }

    /// Whether it needs no look again.
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        let young = self.message.created_at().is_none_or(|at| now.since(at) < UNSETTLED_MAX_AGE);
        !young && !self.is_retriable(now) && self.for_customer().is_none_or(is_closed)
    }

    /// Whether the agent does not see its outcome yet.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.for_customer().is_some_and(|entry| !is_closed(entry))
    }

    /// Whether a part of it may or may not have gone out, and the agent has read so for that long.
    pub(crate) fn is_unconfirmed_for(&self, time: Duration, now: Timestamp) -> bool {
        self.is_retriable(now)
            && self.for_customer().is_some_and(|entry| {
                let is_open = entry.outgoing.parts().iter().any(|part| matches!(part, Part::Uncertain { .. }));
                is_open && now.since(entry.outgoing.shown_at()) >= time
            })
    }

    /// Whether the agent may still press Retry.
    pub(crate) fn is_retriable(&self, now: Timestamp) -> bool {
        self.for_customer().is_some_and(|entry| {
            let failed = matches!(entry.outgoing.outcome(), Outcome::Incomplete { .. });
            failed && now.since(entry.outgoing.shown_at()) < RETRY_MAX_AGE
        })
    }

    /// Its parts, as far as the outbox knows it.
    pub(crate) fn parts(&self) -> &[Part] {
        self.entry.as_ref().map_or(&[], |entry| entry.outgoing.parts())
    }

    fn for_customer(&self) -> Option<&OutboxEntry> {
        self.entry.as_ref().filter(|_| self.message.is_for_customer())
    }
}

fn is_closed(entry: &OutboxEntry) -> bool {
    entry.outgoing.pending_status().is_none() && !matches!(entry.outgoing.outcome(), Outcome::Underway)
}

impl Handler {
    /// Gives what the outbox knows of the listed messages, and new entries for agents' messages it does not know.
    pub(super) async fn track(
        &self,
        job: &SyncJob<'_>,
        conversation: &Conversation,
        listed: Vec<ListedMessage>,
        listed_at: Timestamp,
    ) -> Result<Vec<TrackedMessage>, HandlerError> {
        let (account, id) = (conversation.account, conversation.conversation);
        let after = listed.first().map(|message| MessageId(message.id.0 - 1));
        let entries =
            if listed.is_empty() { Vec::new() } else { self.clients.outbox.after(account, id, after).await? };
        let last_tried = entries.iter().filter(|entry| !entry.outgoing.is_untried()).map(|entry| entry.message).max();
        let mut entries: HashMap<MessageId, OutboxEntry> =
            entries.into_iter().map(|entry| (entry.message, entry)).collect();
        let mut tracked = Vec::with_capacity(listed.len());
        for message in listed {
            let is_overtaken = last_tried > Some(message.id);
            let known = entries.remove(&message.id);
            let before = known.as_ref().map(|known| known.outgoing.clone());
            let written_at = message.created_at().unwrap_or(listed_at);
            // Agents' messages from before the bridge took over the conversation are not ours to judge.
            let is_ours = message.is_for_customer() && written_at >= conversation.known_since - MAX_MESSAGE_AGE;
            let mut entry = match known {
                None if is_ours => {
                    let late = !job.saw_in_time(written_at, listed_at);
                    let outgoing = first_sight(&message, job, self.clients.locale, late, listed_at)?;
                    Some(OutboxEntry::new(account, id, message.id, conversation.customer.clone(), outgoing))
                }
                known => known,
            };
            if let Some(entry) = &mut entry {
                let young = !is_overtaken && is_young(job, &message, listed_at);
                sort_as_reported(job, &message, &mut entry.outgoing, young)?;
            }
            let is_news = entry.as_ref().map(|entry| &entry.outgoing) != before.as_ref();
            tracked.push(TrackedMessage { message, entry, is_news, is_overtaken });
        }
        Ok(tracked)
    }

    /// Saves the messages that were seen but not reached. Then they do not count as late when their turn comes, and what
    /// callbacks reported of them is not asked for again.
    pub(super) async fn register(&self, messages: &[TrackedMessage]) -> Result<(), HandlerError> {
        for entry in messages.iter().filter(|one| one.is_news).filter_map(|one| one.entry.as_ref()) {
            // An entry that another process saved is just as good.
            let (Ok(_) | Err(_)) = self.clients.outbox.save(entry.clone()).await?;
        }
        Ok(())
    }
}

/// Whether a message may still be sent by itself.
pub(super) fn is_young(job: &SyncJob<'_>, message: &ListedMessage, now: Timestamp) -> bool {
    message.created_at().is_none_or(|at| job.saw_in_time(at, now))
}

/// Notes what this batch's callbacks report of a message: whether it is a template. `young`: what was given up may be sent by
/// itself.
fn sort_as_reported(
    job: &SyncJob<'_>,
    message: &ListedMessage,
    outgoing: &mut Outgoing,
    young: bool,
) -> Result<(), InvalidTransition> {
    if job.picked(message.id).is_some() {
        return outgoing.set_picked(young);
    }
    match outgoing.kind() {
        MessageKind::Unsorted if job.messages.contains(&message.id) => outgoing.set_plain(young),
        _ => Ok(()),
    }
}

fn first_sight(
    message: &ListedMessage,
    job: &SyncJob<'_>,
    locale: Locale,
    late: bool,
    now: Timestamp,
) -> Result<Outgoing, InvalidTransition> {
    let is_template = job.picked(message.id).is_some();
    let parts = if is_template { 1 } else { plan(message, locale).len() };
    let mut outgoing = Outgoing::new(now, parts);
    if is_template {
        outgoing.set_template();
    } else if let Some(kind) = message.commanded_kind() {
        outgoing.set_commanded(kind);
    }
    let failure = if parts == 0 { Some(parts::why_empty(message)) } else { late.then_some(SendFailure::SeenTooLate) };
    failure.map_or(Ok(()), |failure| outgoing.give_up(failure))?;
    Ok(outgoing)
}
