//! Corrects messages that Chatwoot wrongly shows as failed (red). They are not failed: a callback of Chatwoot's
//! failed, and Chatwoot marked the message it was about.

use std::{collections::BTreeSet, time::Duration};

use app::{HandlerError, publish_status};
use chatwoot::{ChatwootError, NewMessage, listing::ListedMessage};
use domain::{
    MessageId, Outcome, Timestamp,
    outgoing::{DisplayedStatus, Tag},
};
use store::{OutboxEntry, Red, RepairState};
use texts::overwritten;

use super::{RETRY_MAX_AGE, SyncJob, TrackedMessage};
use crate::{Handler, convert::parts, delivery::ConversationContext};

/// How long a conversation is watched after a correction: the new status itself makes a callback, which may fail again.
const REPAIR_INTERVAL: Duration = Duration::from_secs(1800);

/// How often red is taken away while no callback arrives: so often whenever it is seen, and then these hours after the first
/// time. An outage may be longer than a few rounds, and nothing tells of its end in a conversation in which nobody writes.
const MAX_QUICK_TRIES: usize = 6;
const SLOW_TRIES: [u64; 6] = [1, 2, 4, 8, 16, 24];

/// How late a round of `reconcile` may come.
const MAX_ROUND_DELAY: Duration = Duration::from_secs(900);

/// How often the tag is put on a message before Chatwoot is assumed not to keep it.
const MAX_TAG_TRIES: u8 = 3;

/// How many messages one sync corrects, the oldest first.
const MAX_REPAIRS: usize = 100;

/// How many status changes that Chatwoot does not accept are remembered for a conversation; of more, the oldest are tried once
/// more.
const MAX_REMEMBERED: usize = 100;

/// How often an agent's message is corrected in all, until the agent asks for it anew.
const MAX_CORRECTIONS_IN_ALL: u32 = 24;

impl Handler {
    /// Clears the failed status of customers' own messages, notes and echoes: one call for each, and none if there is nothing to
    /// correct. Settled messages are listed again only if a round may be made, so that red that stays costs other syncs nothing.
    pub(super) async fn repair(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        messages: &[TrackedMessage],
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        let known = context.conversation.repair.as_ref();
        let stays = known.map(|known| known.stays.clone()).unwrap_or_default();
        let reported = self.reported_red(job, context).await?;
        let listed = messages.iter().map(|one| &one.message).chain(&reported);
        let mut due: Vec<Due> = listed.filter_map(|message| Due::of(message, &stays, listed_at)).collect();
        // This sync has corrected them already; the next sync sees whether it lasts.
        let is_wrong =
            |one: &&TrackedMessage| one.entry.as_ref().is_some_and(|entry| is_out_and_red(&one.message, entry));
        let wrong = messages.iter().filter(is_wrong).filter_map(|one| Due::until(&one.message, listed_at));
        let mut wrong: Vec<Due> = wrong.collect();
        let behind = known.and_then(|known| known.red).filter(|red| listed_at < red.until && is_settled(context, red));
        if due.is_empty() && wrong.is_empty() && behind.is_none() {
            return Ok(());
        }
        let Some(mut round) = next_round(known, !job.messages.is_empty(), listed_at) else {
            let Some(known) = known else { return Ok(()) };
            let remembered = RepairState { red: red(due.iter().chain(&wrong), behind), ..known.clone() };
            return if remembered == *known { Ok(()) } else { self.remember(context, &remembered).await };
        };
        if let Some(red) = behind {
            for message in self.settled_red(context, &red, listed_at).await? {
                due.extend(Due::of(&message, &stays, listed_at));
                if self.corrected(job, context, &message, listed_at).await? {
                    wrong.extend(Due::until(&message, listed_at));
                }
            }
        }
        due.sort_by_key(|one| one.message);
        due.dedup_by_key(|one| one.message);
        round.red = red(due.iter().chain(&wrong), None);
        if round.red.is_none() {
            let rounds = round.rounds - 1;
            return self.remember(context, &RepairState { rounds, ..round }).await;
        }
        // Save before the calls: each of them counts, whatever comes of it.
        self.remember(context, &round).await?;
        self.clear_red(context, &due, &wrong, round).await
    }

    async fn clear_red(
        &self,
        context: &ConversationContext<'_>,
        due: &[Due],
        wrong: &[Due],
        mut round: RepairState,
    ) -> Result<(), HandlerError> {
        let (mut cleared, mut stay, mut failure) = (0_usize, BTreeSet::new(), None);
        for one in due.iter().take(MAX_REPAIRS) {
            match context.chatwoot.mark(context.conversation.conversation, one.message, "sent", None).await {
                // Later versions of Chatwoot never let a message come back from failed.
                Ok(status) if status.as_deref() == Some("failed") => _ = stay.insert(one.message),
                Ok(_) => cleared += 1,
                // Only Chatwoot's limit of messages a minute passes by itself.
                Err(ChatwootError::Refused(422)) => {}
                Err(ChatwootError::Gone | ChatwootError::Refused(_)) => _ = stay.insert(one.message),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if !stay.is_empty() {
            round.red = red(due.iter().filter(|one| !stay.contains(&one.message)).chain(wrong), None);
            round.stays.extend(stay);
            while round.stays.len() > MAX_REMEMBERED {
                round.stays.pop_first();
            }
            self.remember(context, &round).await?;
        }
        if cleared > 0 || !wrong.is_empty() || failure.is_some() {
            tracing::info!(messages = cleared, "messages wrongly shown as failed corrected: a callback had failed");
            let (number, conversation) = (&context.channel.phone_number_id, context.conversation);
            let cursor = &self.clients.cursor;
            let time = watch_time(&round, self.clients.clock.now());
            cursor.watch_for(number, conversation.account, conversation.conversation, time).await?;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The red messages among the settled ones.
    async fn settled_red(
        &self,
        context: &ConversationContext<'_>,
        red: &Red,
        now: Timestamp,
    ) -> Result<Vec<ListedMessage>, HandlerError> {
        let (id, before) = (context.conversation.conversation, MessageId(red.from.0 - 1));
        let listed = context.chatwoot.messages(id, Some(before), now - RETRY_MAX_AGE).await?;
        let is_settled = |message: &ListedMessage| context.conversation.settled >= Some(message.id);
        Ok(listed.into_iter().take_while(is_settled).filter(ListedMessage::is_failed).collect())
    }

    /// Corrects the status of an agent's settled message; tells whether it was wrong.
    async fn corrected(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        listed_at: Timestamp,
    ) -> Result<bool, HandlerError> {
        if !message.is_for_customer() {
            return Ok(false);
        }
        let (account, conversation) = (context.conversation.account, context.conversation.conversation);
        let entry = self.clients.outbox.get(account, conversation, message.id).await?;
        let Some(mut entry) = entry.filter(|entry| is_out_and_red(message, entry)) else { return Ok(false) };
        self.correct(job, context, message, &mut entry, listed_at).await?;
        Ok(true)
    }

    /// Restores the true status of a message. A failed callback of Chatwoot's marks a message failed that is with the customer,
    /// or replaces our error text by its own.
    pub(super) async fn correct(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        let shown_since = entry.outgoing.shown_at() > listed_at;
        let times = entry.outgoing.corrections();
        let waited = message.created_at().map_or(Duration::ZERO, |at| listed_at.since(at));
        let is_time = !job.messages.is_empty() || wait_before(times).is_some_and(|wait| waited >= wait);
        let (wrong, stands) = match entry.outgoing.outcome() {
            Outcome::Underway => (false, DisplayedStatus::Sent),
            Outcome::Out(_) => (true, DisplayedStatus::Failed),
            Outcome::Incomplete { .. } => (
                message.error().is_some_and(|text| Some(text) != self.error_text(message, entry).as_deref()),
                DisplayedStatus::Sent,
            ),
        };
        if !message.is_failed() || !wrong {
            return Ok(());
        }
        if stands == DisplayedStatus::Sent {
            self.tag(context, message, entry).await?;
        }
        if !shown_since && is_time && times < MAX_CORRECTIONS_IN_ALL {
            let mut wrongly_shown = entry.clone();
            wrongly_shown.outgoing.count_correction(stands);
            let named = |at| parts::file_name(message, &wrongly_shown.outgoing, self.clients.locale, at);
            if let Some(shown) = publish_status(&self.clients, context.chatwoot, &wrongly_shown, named).await? {
                *entry = shown;
            }
        }
        Ok(())
    }

    /// The error text that a failed message is to show.
    fn error_text(&self, message: &ListedMessage, entry: &OutboxEntry) -> Option<String> {
        let locale = self.clients.locale;
        texts::incomplete(&entry.outgoing, locale, |at| parts::file_name(message, &entry.outgoing, locale, at))
    }

    /// Tags a message so that an agent's Retry is noticed where callbacks fail: Chatwoot shows the message as failed again
    /// before it can be seen as sent. Our own error text cannot stay there either, so an extra line says it, once.
    async fn tag(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        let before = entry.outgoing.tag();
        let times = match before {
            Some(Tag::Stands | Tag::Refused) => return Ok(()),
            Some(Tag::Put(times)) => times,
            None => 0,
        };
        let conversation = context.conversation.conversation;
        let tag = if message.is_tagged() {
            Tag::Stands
        } else if times < MAX_TAG_TRIES && context.chatwoot.tag(conversation, message.id).await? {
            Tag::Put(times + 1)
        } else {
            Tag::Refused
        };
        let tagged = self.clients.outbox.change(entry, |outgoing| {
            if outgoing.tag() == before && matches!(outgoing.outcome(), Outcome::Incomplete { .. }) {
                outgoing.set_tag(tag);
            }
            Ok(())
        });
        let Some(saved) = tagged.await? else { return Ok(()) };
        *entry = saved;
        let (Tag::Stands | Tag::Refused, Some(reason)) = (tag, self.error_text(message, entry)) else { return Ok(()) };
        let content = overwritten::text(self.clients.locale, message.text(), &reason, tag == Tag::Stands);
        let line = NewMessage { content: &content, line: true, ..NewMessage::default() };
        if let Err(error) = context.chatwoot.create_message(conversation, line).await {
            tracing::warn!(%error, "reason of a failure not shown: Chatwoot replaced it, and took no extra line");
        }
        Ok(())
    }

    async fn remember(&self, context: &ConversationContext<'_>, round: &RepairState) -> Result<(), HandlerError> {
        Ok(self.clients.conversations.set_repair_state(context.conversation, round).await?)
    }
}

/// Whether an agent's message is with the customer but shown as failed, and its status may still be corrected.
fn is_out_and_red(message: &ListedMessage, entry: &OutboxEntry) -> bool {
    let outgoing = &entry.outgoing;
    message.is_for_customer()
        && message.is_failed()
        && outgoing.corrections() < MAX_CORRECTIONS_IN_ALL
        && matches!(outgoing.outcome(), Outcome::Out(_))
}

/// A message whose failed status is to be cleared.
#[derive(Clone, Copy)]
struct Due {
    message: MessageId,
    until: Timestamp,
}

impl Due {
    /// A message that stayed red for a day stays red, and so does one that Chatwoot leaves red.
    fn of(message: &ListedMessage, stays: &BTreeSet<MessageId>, now: Timestamp) -> Option<Self> {
        let is_due = message.is_red_by_mistake() && !stays.contains(&message.id);
        Self::until(message, now).filter(|_| is_due)
    }

    /// A message, unless it is too old to be checked again.
    fn until(message: &ListedMessage, now: Timestamp) -> Option<Self> {
        let until = message.created_at()? + RETRY_MAX_AGE;
        (now < until).then_some(Self { message: message.id, until })
    }
}

/// Whether the first red message is settled, so that a sync no longer lists it.
fn is_settled(context: &ConversationContext<'_>, red: &Red) -> bool {
    context.conversation.settled.is_some_and(|settled| red.from <= settled)
}

/// The range of red messages: these, and those known before.
fn red<'d>(due: impl IntoIterator<Item = &'d Due>, known: Option<Red>) -> Option<Red> {
    let due = due.into_iter().map(|due| Red { from: due.message, until: due.until });
    due.chain(known).reduce(|a, b| Red { from: a.from.min(b.from), until: a.until.max(b.until) })
}

/// The round that may be made now. While callbacks fail, each correction makes new red messages, so rounds are few; a callback
/// that arrives shows that another is worth it.
fn next_round(known: Option<&RepairState>, arrived: bool, now: Timestamp) -> Option<RepairState> {
    let stays = known.map(|known| known.stays.clone()).unwrap_or_default();
    match known.filter(|known| !arrived && now.since(known.since) < RETRY_MAX_AGE) {
        None => Some(RepairState { since: now, rounds: 1, red: None, stays }),
        Some(known) => wait_before(known.rounds)
            .filter(|wait| now.since(known.since) >= *wait)
            .map(|_| RepairState { rounds: known.rounds + 1, ..known.clone() }),
    }
}

/// How long after the first try the next one is made, after so many; not at all after the last.
fn wait_before(tries: u32) -> Option<Duration> {
    let tries = usize::try_from(tries).unwrap_or(usize::MAX);
    match tries.checked_sub(MAX_QUICK_TRIES) {
        None => Some(Duration::ZERO),
        Some(slow) => SLOW_TRIES.get(slow).map(|hours| Duration::from_secs(3600 * hours)),
    }
}

/// How long a conversation is watched after a round: to see that it lasts, or until the next round may be made.
fn watch_time(round: &RepairState, now: Timestamp) -> Duration {
    let next = wait_before(round.rounds).map_or(Duration::ZERO, |wait| (round.since + wait).since(now));
    if next.is_zero() { REPAIR_INTERVAL } else { next + MAX_ROUND_DELAY }
}
