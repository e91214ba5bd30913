//! Syncs one conversation. It compares what agents wrote since the last settled message, in order, with what the outbox knows.
//! This one comparison handles lost, doubled and swapped callbacks, and the Retry button.

use std::{collections::BTreeSet, time::Duration};

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, listing::ListedMessage};
use domain::{
    Channel, CustomerId, MessageId, Part, SendFailure, Timestamp, Wamid,
    outgoing::MessageKind,
    template::{Fault, Picked},
};
use platform::Metric;
use store::{Conversation, OutboxEntry, Reach, SyncResult, Thread};

use super::{
    MAX_MESSAGE_AGE, SyncJob, SyncOutcome, SyncReport, TrackedMessage, brake, read_receipts::heard,
    template_lookup::TemplateLookup, tracked::is_young,
};
use crate::{
    Handler,
    delivery::{ConversationContext, Delivery, SendBudget},
};

/// How far two machines' clocks may differ when the time of a sync request is compared with the time of a sync.
const MAX_CLOCK_SKEW: Duration = Duration::from_millis(250);

/// How long a message may be unconfirmed before the operator is told.
const UNCONFIRMED_LONG: Duration = Duration::from_secs(900);

/// How often the function may crash while it works on the same message.
const MAX_CRASHES: u32 = 3;

impl Handler {
    pub(crate) async fn sync_conversation(&self, job: &SyncJob<'_>) -> Result<SyncReport, HandlerError> {
        let request = &job.request;
        let Some(channel) = self.clients.channels.get(&request.channel).await? else {
            tracing::error!(channel.id = %request.channel, "sync request for a channel that does not exist");
            return Ok(SyncReport::all());
        };
        let channel = match channel.hold(self.clients.clock.now()) {
            // The number may have been connected again since this was read.
            Some(_) => self.clients.channels.look_again(&request.channel).await?.unwrap_or(channel),
            None => channel,
        };
        let known = self.clients.conversations.get(request.account, request.conversation).await?;
        let synced_at = known.as_ref().and_then(|known| known.synced_at);
        let brings_nothing = job.picked.is_empty() && request.resolved_at.is_none();
        if brings_nothing && synced_at.is_some_and(|at| at > job.requested_at + MAX_CLOCK_SKEW) {
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
        let mut messages = self.track(job, conversation, listed, listed_at).await?;
        let (customer, thread) = self.recipient(channel, conversation, &messages).await?;
        let (thread, until) = (thread.as_ref(), job.batch.until);
        let context = ConversationContext { chatwoot, channel, conversation, customer, thread, erased, until };
        self.link_surveys(job, &context, &mut messages).await?;
        let mut budget = SendBudget::begin(job, conversation, self.clients.clock.now());
        let mut unshown = None;
        for at in 0..messages.len() {
            if brake::is_one_too_many(&messages, at) {
                self.brake_message(&context, &mut messages[at]).await?;
            }
            let outcome = self.sync_message(job, &context, &mut budget, &mut messages[at], listed_at).await;
            if !matches!(outcome, Ok(SyncOutcome::UpToDate)) {
                self.leave_rest(job, &context, &mut messages, at, listed_at).await?;
                return Ok(SyncReport { outcome: outcome?, needed: needed(job, &messages[at..]) });
            }
            // A status that cannot be shown to the agent must not stop the messages after it.
            if let Err(error) = self.show_message(job, &context, &mut messages[at], listed_at).await {
                unshown.get_or_insert(error);
            }
        }
        self.finish(job, &context, &messages, listed_at, unshown).await
    }

    /// The customer to whom open messages go, and their thread here.
    async fn recipient<'c>(
        &self,
        channel: &Channel,
        conversation: &'c Conversation,
        messages: &[TrackedMessage],
    ) -> Result<(Option<&'c CustomerId>, Option<Thread>), HandlerError> {
        let customer = conversation.customer.as_ref();
        let Some(known) = customer.filter(|_| messages.iter().any(TrackedMessage::is_open)) else {
            return Ok((customer, None));
        };
        Ok(match self.clients.customers.reach(channel.account, known, &channel.phone_number_id).await? {
            Reach::At(thread) => (customer, Some(*thread)),
            Reach::Unheard => (customer, None),
            // The number was given to another person since, and nothing else leads to this customer.
            Reach::Lost => (None, None),
        })
    }

    /// Leaves the messages from `at` on for a later sync. Whatever becomes of this sync request, there will be another.
    async fn leave_rest(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        messages: &mut [TrackedMessage],
        at: usize,
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        job.receipts.note(job, context, messages, listed_at);
        if let Err(error) = self.pass_on_commands(job, context.conversation, messages, listed_at).await {
            tracing::warn!(%error, "commands not passed on; the next sync does it");
        }
        self.look_up_last_template(context, &mut messages[at + 1..]).await;
        self.register(&messages[at..]).await?;
        if let Err(error) = self.repair(job, context, messages, listed_at).await {
            tracing::warn!(%error, "messages wrongly shown as failed not corrected; the next sync does it");
        }
        self.watch(context).await
    }

    /// Ends a sync that came through all messages.
    async fn finish(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        messages: &[TrackedMessage],
        listed_at: Timestamp,
        unshown: Option<HandlerError>,
    ) -> Result<SyncReport, HandlerError> {
        job.receipts.note(job, context, messages, listed_at);
        self.pass_on_commands(job, context.conversation, messages, listed_at).await?;
        if unshown.is_some() || messages.iter().any(|one| one.is_retriable(listed_at) || one.is_unfinished()) {
            self.watch(context).await?;
        }
        let unconfirmed = messages.iter().filter(|one| one.is_unconfirmed_for(UNCONFIRMED_LONG, listed_at));
        self.metrics.add(Metric::Unconfirmed, unconfirmed.count());
        self.repair(job, context, messages, listed_at).await?;
        if let Some(error) = unshown {
            return Err(error);
        }
        let settled: Vec<_> = messages.iter().take_while(|one| one.is_settled(listed_at)).collect();
        let found = SyncResult {
            settled: settled.last().map(|one| one.message.id),
            seen: messages.last().map(|one| one.message.id),
            heard: settled.iter().rev().find_map(|one| heard(&one.message)),
        };
        self.clients.conversations.record_sync(context.conversation, listed_at, &found).await?;
        Ok(SyncReport::all())
    }

    async fn watch(&self, context: &ConversationContext<'_>) -> Result<(), HandlerError> {
        let Conversation { account, conversation, .. } = context.conversation;
        Ok(self.clients.cursor.watch(&context.channel.phone_number_id, *account, *conversation).await?)
    }

    async fn sync_message(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        tracked: &mut TrackedMessage,
        listed_at: Timestamp,
    ) -> Result<SyncOutcome, HandlerError> {
        let TrackedMessage { message, entry: Some(entry), is_overtaken, .. } = tracked else {
            return Ok(SyncOutcome::UpToDate);
        };
        if !message.is_for_customer() {
            return Ok(SyncOutcome::UpToDate);
        }
        self.note_retry(message, entry, listed_at).await?;
        self.note_quote(context, message, entry).await?;
        if entry.is_new() && entry.outgoing.next_part().is_none() {
            // Save the entry first. Otherwise the status shown in Chatwoot would not be known as ours, and Retry would have
            // nothing to compare with.
            let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
            *entry = known;
        }
        let young = !*is_overtaken && is_young(job, message, listed_at);
        let picked = match self.sort(job, context, message, entry, young).await? {
            Ok(picked) => picked,
            Err(after) => return Ok(SyncOutcome::Soon { after }),
        };
        if !self.clear_callback_request(context, message, entry).await? {
            // It would be sent and still be shown as failed. Now the agent's Retry sends it instead.
            self.give_up(entry, SendFailure::Template { fault: Fault::Untold }).await?;
        }
        let is_suspect = job.suspect && entry.outgoing.next_part().is_some();
        let kind = entry.outgoing.kind();
        if is_suspect {
            self.count_crash(entry).await?;
            if entry.outgoing.kind() != kind {
                // Another process saved it as another kind of message.
                return Ok(SyncOutcome::Soon { after: Duration::from_secs(1) });
            }
        }
        let outcome = self.deliver(Delivery { context, budget, message, picked: picked.as_ref(), entry }).await;
        if is_suspect {
            self.clear_crashes(entry).await?;
        }
        outcome
    }

    async fn note_retry(
        &self,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        let (sent, tagged) = (message.is_sent(), message.is_tagged());
        if !entry.outgoing.is_retried(sent, tagged, listed_at) {
            return Ok(());
        }
        let retried = self.clients.outbox.change(entry, |outgoing| {
            if outgoing.is_retried(sent, tagged, listed_at) { outgoing.retry(self.clients.clock.now()) } else { Ok(()) }
        });
        if let Some(retried) = retried.await? {
            *entry = retried;
        }
        Ok(())
    }

    async fn note_quote(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        let is_unknown = entry.outgoing.is_unquoted() && entry.outgoing.is_untried();
        let may_go = entry.is_new() || entry.outgoing.next_part().is_some();
        if is_unknown && may_go && message.quotes() != (None, None) {
            let quoted = self.quoted(context.conversation, message).await?;
            entry.outgoing.set_quote(quoted);
        }
        Ok(())
    }

    /// Meta's id of the quoted message: Chatwoot has it for incoming messages, the outbox for outgoing ones.
    pub(super) async fn quoted(
        &self,
        conversation: &Conversation,
        message: &ListedMessage,
    ) -> Result<Option<Wamid>, HandlerError> {
        let (id, external) = message.quotes();
        if let Some(external) = external.filter(|id| !id.starts_with("lmotos:")) {
            return Ok(Some(Wamid::new(external)));
        }
        let Some(id) = id else { return Ok(None) };
        let quoted = self.clients.outbox.get(conversation.account, conversation.conversation, id).await?;
        Ok(quoted.and_then(|entry| entry.outgoing.parts().iter().find_map(Part::wamid).cloned()))
    }

    /// Sorts a message by what it turns out to be; gives what was picked in it. If that is not known yet, gives when to look
    /// again.
    async fn sort(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
        young: bool,
    ) -> Result<Result<Option<Picked>, Duration>, HandlerError> {
        match self.look_up_template(job, context, message, entry).await? {
            TemplateLookup::Later(after) => return Ok(Err(after)),
            TemplateLookup::Unknown => {
                let fault = if entry.outgoing.is_retried_untried() { Fault::MayBeOne } else { Fault::Untold };
                self.give_up(entry, SendFailure::Template { fault }).await?;
            }
            // What is not sent now may still turn out to be a template.
            TemplateLookup::Plain if entry.outgoing.next_part().is_none() => {}
            TemplateLookup::Plain if entry.outgoing.kind() == MessageKind::Unsorted => {
                entry.outgoing.set_plain(false)?;
            }
            TemplateLookup::Plain => {}
            TemplateLookup::Template(picked) => {
                // This includes what a sync before the callback refused as plain text, or because values were missing.
                entry.outgoing.set_picked(picked.is_some() && young)?;
                return Ok(Ok(picked));
            }
        }
        Ok(Ok(None))
    }

    /// An earlier sync may have crashed on this very message. Count it, and at the limit give the message up with an error
    /// text, so that the messages after it go on.
    async fn count_crash(&self, entry: &mut OutboxEntry) -> Result<(), HandlerError> {
        if entry.outgoing.crashes() >= MAX_CRASHES {
            tracing::error!("message given up: the function crashed over it each time");
            self.metrics.count(Metric::Poisoned);
            return self.give_up(entry, SendFailure::Unworkable).await;
        }
        let mut counted = entry.clone();
        counted.outgoing.count_crash();
        let (Ok(known) | Err(known)) = self.clients.outbox.save(counted).await?;
        *entry = known;
        Ok(())
    }

    async fn clear_crashes(&self, entry: &mut OutboxEntry) -> Result<(), HandlerError> {
        let cleared = self.clients.outbox.change(entry, |outgoing| {
            outgoing.clear_crashes();
            Ok(())
        });
        if let Some(cleared) = cleared.await? {
            *entry = cleared;
        }
        Ok(())
    }

    async fn show_message(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        tracked: &mut TrackedMessage,
        listed_at: Timestamp,
    ) -> Result<(), HandlerError> {
        let TrackedMessage { message, entry: Some(entry), .. } = tracked else { return Ok(()) };
        if !message.is_for_customer() {
            return Ok(());
        }
        self.show(context, message, entry).await?;
        self.correct(job, context, message, entry, listed_at).await
    }
}

/// The templates that still have to go out.
fn needed(job: &SyncJob<'_>, messages: &[TrackedMessage]) -> BTreeSet<MessageId> {
    let waits = |one: &&TrackedMessage| one.entry.as_ref().is_some_and(|entry| entry.outgoing.next_part().is_some());
    messages.iter().filter(waits).map(|one| one.message.id).filter(|id| job.picked(*id).is_some()).collect()
}
