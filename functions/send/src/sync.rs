//! This module syncs one conversation. It compares what agents wrote since the last settled message, in order, with what the
//! outbox knows. This one comparison handles lost, doubled and swapped callbacks, and the Retry button.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, listing::ListedMessage};
use domain::{
    Channel, MessageId, Outcome, Outgoing, Part, SendFailure, Timestamp, outgoing::MessageKind, template::Fault,
};
use platform::Metric;
use store::{Conversation, OutboxEntry, Reach, SyncResult};
use texts::Locale;

use crate::{
    Handler, SyncJob, SyncOutcome, SyncReport, brake as brakes,
    budget::SendBudget,
    delivery::ConversationContext,
    parts::{self, plan},
    read_receipts::heard,
    repair::correct,
    template_lookup::TemplateLookup,
};

/// An agent message first seen later than this is not sent by itself.
pub(crate) const MAX_MESSAGE_AGE: Duration = Duration::from_secs(3600);

/// How far two machines' clocks may differ when the time of a sync request is compared with the time of a sync.
const MAX_CLOCK_SKEW: Duration = Duration::from_millis(250);

/// A message may appear in the list after one with a higher id, because its transaction took longer. Messages younger than this
/// are listed again.
const UNSETTLED_MAX_AGE: Duration = Duration::from_secs(600);

/// How long a failed message may be retried: Chatwoot offers it for a day.
pub(crate) const RETRY_MAX_AGE: Duration = Duration::from_secs(25 * 3600);

/// How often the function may crash while it works on the same message.
const MAX_CRASHES: u32 = 3;

/// A message and its outbox entry, if it has or needs one.
pub(crate) struct TrackedMessage {
    pub(crate) message: ListedMessage,
    pub(crate) entry: Option<OutboxEntry>,
    /// Whether the table does not have the entry in this state yet.
    pub(crate) is_news: bool,
    /// Whether a later message has been sent: this one is no longer sent by itself.
    is_overtaken: bool,
}

impl Handler {
    pub(crate) async fn sync_conversation(&self, job: &SyncJob<'_>) -> Result<SyncReport, HandlerError> {
        let sync = &job.hint;
        let Some(channel) = self.clients.channels.get(&sync.channel).await? else {
            tracing::error!(channel.id = %sync.channel, "a hint names a channel that does not exist");
            return Ok(SyncReport::all());
        };
        let channel = match channel.hold(self.clients.clock.now()) {
            // The number may have been connected again since this was read.
            Some(_) => self.clients.channels.look_again(&sync.channel).await?.unwrap_or(channel),
            None => channel,
        };
        let known = self.clients.conversations.get(sync.account, sync.conversation).await?;
        let looked_at = known.as_ref().and_then(|known| known.looked_at);
        let only_looks = job.picked.is_empty() && sync.resolved_at.is_none();
        if only_looks && looked_at.is_some_and(|at| at > job.hinted_at + MAX_CLOCK_SKEW) {
            self.metrics.count(Metric::Coalesced);
            return Ok(SyncReport::all());
        }
        if known.is_none() && job.only_resolves {
            // The conversation is not known here, so there is nothing of ours to send read receipts for.
            return Ok(SyncReport::all());
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let (conversation, erased) = match known {
            Some(known) if known.customer.is_some() => {
                let erased = self.is_erased(channel.account, known.customer.as_ref(), None).await?;
                (known, erased)
            }
            known => match self.adopt(job, &chatwoot, &channel, known).await? {
                Some(adopted) => adopted,
                None => return Ok(SyncReport::all()),
            },
        };
        self.bring_up_to_date(job, &chatwoot, &channel, &conversation, erased).await
    }

    async fn bring_up_to_date(
        &self,
        job: &SyncJob<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        conversation: &Conversation,
        erased: bool,
    ) -> Result<SyncReport, HandlerError> {
        let listed_at = self.clients.clock.now();
        let oldest = conversation.known_since - MAX_MESSAGE_AGE;
        let listed = match chatwoot.messages(conversation.conversation, conversation.settled, oldest).await {
            Err(ChatwootError::Gone) => return Ok(SyncReport::all()),
            listed => listed?,
        };
        let listed = listed.into_iter().map(ListedMessage::with_link).collect();
        // The outbox is read after the list, so it already contains every action of ours that the list shows.
        let mut rows = self.rows(job, conversation, listed, listed_at).await?;
        let mut customer = conversation.customer.as_ref();
        let mut thread = None;
        if let Some(known) = customer.filter(|_| rows.iter().any(TrackedMessage::is_open)) {
            match self.clients.customers.reach(channel.account, known, &channel.phone_number_id).await? {
                Reach::At(found) => thread = Some(*found),
                Reach::Unheard => {}
                // The number was given to another person since, and nothing else leads to this customer.
                Reach::Lost => customer = None,
            }
        }
        let context = ConversationContext {
            chatwoot,
            channel,
            conversation,
            customer,
            thread: thread.as_ref(),
            erased,
            until: job.batch.until,
        };
        self.link_surveys(job, &context, &mut rows).await?;
        let mut budget = SendBudget::begin(job, conversation);
        let mut untold = None;
        for at in 0..rows.len() {
            if brakes::is_one_too_many(&rows, at) {
                self.brake_row(&context, &mut rows[at]).await?;
            }
            let looked = self.row(job, &context, &mut budget, &mut rows[at], listed_at).await;
            if !matches!(looked, Ok(SyncOutcome::UpToDate)) {
                job.due.note(job, &context, &rows, listed_at);
                if let Err(error) = self.pass_on_commands(job, conversation, &rows, listed_at).await {
                    tracing::warn!(%error, "commands are passed on by the next look");
                }
                self.look_up_last_templates(&context, &mut rows[at + 1..]).await;
                self.register(&rows[at..]).await?;
                if let Err(error) = self.repair(job, &context, &rows, listed_at).await {
                    tracing::warn!(%error, "red messages that are none are mended by the next look");
                }
                // Whatever becomes of this sync request, there will be another.
                self.clients
                    .cursor
                    .watch(&channel.phone_number_id, conversation.account, conversation.conversation)
                    .await?;
                return Ok(SyncReport { looked: looked?, needed: needed(job, &rows[at..]) });
            }
            // A status that cannot be shown to the agent must not stop the messages after it.
            if let Err(error) = self.show_row(job, &context, &mut rows[at], listed_at).await {
                untold.get_or_insert(error);
            }
        }
        job.due.note(job, &context, &rows, listed_at);
        self.pass_on_commands(job, conversation, &rows, listed_at).await?;
        if untold.is_some() || rows.iter().any(|row| row.is_retriable(listed_at) || row.is_unfinished()) {
            self.clients
                .cursor
                .watch(&channel.phone_number_id, conversation.account, conversation.conversation)
                .await?;
        }
        self.repair(job, &context, &rows, listed_at).await?;
        if let Some(error) = untold {
            return Err(error);
        }
        let settled: Vec<_> = rows.iter().take_while(|row| row.is_settled(listed_at)).collect();
        let found = SyncResult {
            settled: settled.last().map(|row| row.message.id),
            seen: rows.last().map(|row| row.message.id),
            heard: settled.iter().rev().find_map(|row| heard(&row.message)),
        };
        self.clients.conversations.record_sync(conversation, listed_at, &found).await?;
        Ok(SyncReport::all())
    }

    async fn row(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        row: &mut TrackedMessage,
        listed_at: Timestamp,
    ) -> Result<SyncOutcome, HandlerError> {
        let Some(entry) = &mut row.entry else { return Ok(SyncOutcome::UpToDate) };
        if !row.message.is_for_customer() {
            return Ok(SyncOutcome::UpToDate);
        }
        let (sent, tagged) = (row.message.is_sent(), row.message.is_tagged());
        if entry.outgoing.is_retried(sent, tagged, listed_at) {
            let retried = |outgoing: &Outgoing| {
                let still = outgoing.is_retried(sent, tagged, listed_at);
                still.then(|| outgoing.clone().retried(self.clients.clock.now()))
            };
            *entry = self.clients.outbox.change(entry, retried).await?.unwrap_or_else(|| entry.clone());
        }
        let unquoted = entry.outgoing.quote.is_none() && entry.outgoing.is_untried();
        let may_go = entry.is_new() || entry.outgoing.next_part().is_some();
        if unquoted && may_go && row.message.quotes() != (None, None) {
            entry.outgoing.quote = self.quote(context, &row.message).await?;
        }
        if entry.is_new() && entry.outgoing.next_part().is_none() {
            // Save the entry first. Otherwise the status shown in Chatwoot would not be known as ours, and Retry would have
            // nothing to compare with.
            let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
            *entry = known;
        }
        let picked = match self.look_up_template(job, context, &row.message, entry).await? {
            TemplateLookup::Later(after) => return Ok(SyncOutcome::Soon { after }),
            TemplateLookup::Untold => {
                let fault = if entry.outgoing.is_retried_untried() { Fault::MayBeOne } else { Fault::Untold };
                self.never(entry, SendFailure::Template { fault }).await?;
                None
            }
            TemplateLookup::Plain => {
                // What is not sent now may still turn out to be a template.
                if entry.outgoing.nature == MessageKind::Unsorted && entry.outgoing.next_part().is_some() {
                    entry.outgoing.nature = MessageKind::Plain;
                }
                None
            }
            TemplateLookup::Template(picked) => {
                // This includes what a sync before the callback refused as plain text, or because values were missing.
                let young = picked.is_some() && !row.is_overtaken && is_young(job, &row.message, listed_at);
                entry.outgoing = entry.outgoing.clone().picked(young);
                picked
            }
        };
        if !self.asked_no_more(context, &row.message, entry).await? {
            // It would be sent and still be shown as failed. Now the agent's Retry sends it instead.
            self.never(entry, SendFailure::Template { fault: Fault::Untold }).await?;
        }
        if !job.suspect || entry.outgoing.next_part().is_none() {
            return self.deliver(context, budget, &row.message, picked.as_ref(), entry).await;
        }
        let sorted = entry.outgoing.nature;
        self.count_crash(entry).await?;
        if entry.outgoing.nature != sorted {
            // Another process saved it as another kind of message.
            return Ok(SyncOutcome::Soon { after: Duration::from_secs(1) });
        }
        let looked = self.deliver(context, budget, &row.message, picked.as_ref(), entry).await;
        self.clear_crashes(entry).await?;
        looked
    }

    /// An earlier sync may have crashed on this very message. Count it, and at the limit give the message up with an error
    /// text, so that the messages after it go on.
    async fn count_crash(&self, entry: &mut OutboxEntry) -> Result<(), HandlerError> {
        let deaths = entry.outgoing.deaths;
        if deaths >= MAX_CRASHES {
            return self.give_up(entry).await;
        }
        let (Ok(known) | Err(known)) = self
            .clients
            .outbox
            .save(entry.clone().with(Outgoing { deaths: deaths + 1, ..entry.outgoing.clone() }))
            .await?;
        *entry = known;
        Ok(())
    }

    async fn clear_crashes(&self, entry: &mut OutboxEntry) -> Result<(), HandlerError> {
        let alive = |outgoing: &Outgoing| (outgoing.deaths > 0).then(|| Outgoing { deaths: 0, ..outgoing.clone() });
        if let Some(changed) = self.clients.outbox.change(entry, alive).await? {
            *entry = changed;
        }
        Ok(())
    }

    async fn show_row(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        row: &mut TrackedMessage,
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        let Some(entry) = row.entry.as_mut().filter(|_| row.message.is_for_customer()) else { return Ok(()) };
        self.show(context, &row.message, entry).await?;
        correct(self, job, context, &row.message, entry, listed_at).await
    }

    /// Gives what the outbox knows of the listed messages, and new entries for agents' messages it does not know.
    async fn rows(
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
        let left = entries.iter().filter(|entry| !entry.outgoing.is_untried()).map(|entry| entry.message).max();
        let mut entries: HashMap<MessageId, OutboxEntry> =
            entries.into_iter().map(|entry| (entry.message, entry)).collect();
        let locale = self.clients.locale;
        let row = |message: ListedMessage| {
            let is_overtaken = left > Some(message.id);
            let known = entries.remove(&message.id);
            let before = known.as_ref().map(|known| known.outgoing.clone());
            let new = || {
                let written_at = message.created_at().unwrap_or(listed_at);
                // Agents' messages from before the bridge took over the conversation are not ours to judge.
                let ours = message.is_for_customer() && written_at >= conversation.known_since - MAX_MESSAGE_AGE;
                let outgoing = ours
                    .then(|| first_sight(&message, job, locale, !job.saw_in_time(written_at, listed_at), listed_at))?;
                Some(OutboxEntry::new(account, id, message.id, conversation.customer.clone(), outgoing))
            };
            let mut entry = known.or_else(new);
            if let Some(entry) = &mut entry {
                let young = !is_overtaken && is_young(job, &message, listed_at);
                entry.outgoing = told(job, &message, entry.outgoing.clone(), young);
            }
            let is_news = entry.as_ref().map(|entry| &entry.outgoing) != before.as_ref();
            TrackedMessage { message, entry, is_news, is_overtaken }
        };
        Ok(listed.into_iter().map(row).collect())
    }

    /// Saves the messages that were seen but not reached. Then they do not count as late when their turn comes, and what
    /// callbacks reported of them is not asked for again.
    async fn register(&self, rows: &[TrackedMessage]) -> Result<(), HandlerError> {
        for entry in rows.iter().filter(|row| row.is_news).filter_map(|row| row.entry.as_ref()) {
            // An entry that another process saved is just as good.
            let _ = self.clients.outbox.save(entry.clone()).await?;
        }
        Ok(())
    }
}

impl SyncReport {
    /// There is nothing left to do.
    fn all() -> Self {
        Self { looked: SyncOutcome::UpToDate, needed: BTreeSet::new() }
    }
}

/// The templates that still have to go out.
fn needed(job: &SyncJob<'_>, rows: &[TrackedMessage]) -> BTreeSet<MessageId> {
    let waits = |row: &&TrackedMessage| row.entry.as_ref().is_some_and(|entry| entry.outgoing.next_part().is_some());
    let picked = |id: &MessageId| job.picked.iter().any(|(picked, _)| picked == id);
    rows.iter().filter(waits).map(|row| row.message.id).filter(picked).collect()
}

/// Whether a message may still be sent by itself.
pub(crate) fn is_young(job: &SyncJob<'_>, message: &ListedMessage, now: Timestamp) -> bool {
    message.created_at().is_none_or(|at| job.saw_in_time(at, now))
}

/// The message as this batch's callbacks report it: whether it is a template. `young`: what was given up may be sent by itself.
fn told(job: &SyncJob<'_>, message: &ListedMessage, outgoing: Outgoing, young: bool) -> Outgoing {
    if job.picked.iter().any(|(id, _)| *id == message.id) {
        return outgoing.picked(young);
    }
    match outgoing.nature {
        MessageKind::Unsorted if job.messages.contains(&message.id) => outgoing.plain(young),
        MessageKind::Unsorted | MessageKind::Plain | MessageKind::Template => outgoing,
    }
}

fn first_sight(message: &ListedMessage, job: &SyncJob<'_>, locale: Locale, late: bool, now: Timestamp) -> Outgoing {
    let template = job.picked.iter().any(|(id, _)| *id == message.id);
    let parts = if template { 1 } else { plan(message, locale).len() };
    let mut outgoing = Outgoing::new(now, parts);
    if template {
        outgoing = outgoing.as_template();
    }
    let trouble = if parts == 0 { Some(parts::nothing(message)) } else { late.then_some(SendFailure::SeenTooLate) };
    if let Some(trouble) = trouble {
        outgoing.parts[0] = Part::Failed { attempt: 0, failure: trouble };
    }
    outgoing
}

impl TrackedMessage {
    /// Whether it may still have something to send.
    pub(crate) fn is_open(&self) -> bool {
        self.message.is_for_customer() && self.entry.as_ref().is_some_and(|entry| !entry.outgoing.is_settled())
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let young = self.message.created_at().is_none_or(|at| now.since(at) < UNSETTLED_MAX_AGE);
        !young
            && !self.is_retriable(now)
            && self.entry.as_ref().is_none_or(|entry| !self.message.is_for_customer() || is_closed(entry))
    }

    /// Whether the agent does not see its outcome yet.
    fn is_unfinished(&self) -> bool {
        self.message.is_for_customer() && self.entry.as_ref().is_some_and(|entry| !is_closed(entry))
    }

    fn is_retriable(&self, now: Timestamp) -> bool {
        let Some(entry) = &self.entry else { return false };
        let troubled = matches!(entry.outgoing.outcome(), Outcome::Incomplete { .. });
        troubled && self.message.is_for_customer() && now.since(entry.outgoing.shown_at) < RETRY_MAX_AGE
    }
}

fn is_closed(entry: &OutboxEntry) -> bool {
    entry.outgoing.pending_status().is_none() && !matches!(entry.outgoing.outcome(), Outcome::Underway)
}
