//! This module sends one part. It checks the part, saves it as being sent, calls Meta, and saves the outcome. Between the two
//! saves the outcome is unknown, so a part found in that state is never sent again automatically.

use std::time::Duration;

use app::{HandlerError, publish_status};
use chatwoot::{Chatwoot, listing::ListedMessage};
use domain::{
    Channel, CustomerId, Identity, Part, Reference, SendFailure, Timestamp, Wamid,
    outgoing::{FileWay, MessageKind, SentFile},
    rate_limit::RecipientRateLimit,
    template::{Fault, Picked},
};
use platform::Metric;
use secrecy::SecretString;
use serde_json::Value;
use store::{Conversation, OutboxEntry, Thread};
use texts::NoteText;
use tokio::time::{Instant, timeout_at};
use whatsapp::{
    compose::{self, GraphPayload},
    graph::Accepted,
};

use crate::{
    Handler, SyncOutcome,
    budget::SendBudget,
    call::CallOutcome,
    parts::{self, plan_of},
    preconditions::{CALL_MIN_TIME, has_file, is_given_up, min_time_left, refusal, send_hold, without_file},
    upload::{NotUploaded, upload},
};

/// How long a file that Chatwoot announced may be missing.
pub(crate) const FILE_MISSING_MAX_WAIT: Duration = Duration::from_secs(900);

/// How long Chatwoot's storage may fail, or Meta's uploads.
const FILE_FAULT_MAX_WAIT: Duration = Duration::from_secs(3600);

/// When a part is tried again that had too little time left.
pub(crate) const REQUEUE_DELAY: Duration = Duration::from_secs(5);

/// When to check again a part that another process is sending.
const CONTENTION_DELAY: Duration = Duration::from_secs(30);

/// What belongs to a conversation: its Chatwoot, channel, customer and thread.
pub(crate) struct ConversationContext<'a> {
    pub(crate) chatwoot: &'a Chatwoot,
    pub(crate) channel: &'a Channel,
    pub(crate) conversation: &'a Conversation,
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) thread: Option<&'a Thread>,
    /// Whether the customer asked that their data be erased.
    pub(crate) erased: bool,
    /// When the invocation should have ended.
    pub(crate) until: Instant,
}

impl Handler {
    /// Sends the remaining parts of a message. Ends early only when something has to wait.
    pub(crate) async fn deliver(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        message: &ListedMessage,
        picked: Option<&Picked>,
        entry: &mut OutboxEntry,
    ) -> Result<SyncOutcome, HandlerError> {
        while let Some(at) = entry.outgoing.next_part() {
            if let Part::Sending { attempt, .. } = entry.outgoing.parts[at] {
                // The process that began this call ended before it saved the outcome.
                self.metrics.count(Metric::Uncertain);
                self.save_part(entry, at, Part::Uncertain { attempt }).await?;
                continue;
            }
            match self.deliver_part(context, budget, message, picked, entry, at).await? {
                SyncOutcome::UpToDate => {}
                waits => return Ok(waits),
            }
        }
        Ok(SyncOutcome::UpToDate)
    }

    /// Gives up a message that stops the function each time: it fails with an error text, and what comes after it goes on.
    pub(crate) async fn give_up(&self, entry: &mut OutboxEntry) -> Result<(), HandlerError> {
        let Some(at) = entry.outgoing.next_part() else { return Ok(()) };
        tracing::error!("a message that stops the function each time is given up");
        self.metrics.count(Metric::Poisoned);
        let given_up = match entry.outgoing.parts[at] {
            // The function crashed during the call.
            Part::Sending { attempt, .. } => Part::Uncertain { attempt },
            ref part => Part::Failed { attempt: part.attempt(), failure: SendFailure::Unworkable },
        };
        self.save_part(entry, at, given_up).await
    }

    /// Shows the agent the outcome of a message. A status may come in meanwhile; then there is more to show.
    pub(crate) async fn show(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        for _ in 0..4 {
            let named = |at| parts::file_name(message, &entry.outgoing, self.clients.locale, at);
            match publish_status(&self.clients, context.chatwoot, entry, named).await? {
                Some(told) => *entry = told,
                None => break,
            }
        }
        Ok(())
    }

    async fn deliver_part(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        message: &ListedMessage,
        picked: Option<&Picked>,
        entry: &mut OutboxEntry,
        at: usize,
    ) -> Result<SyncOutcome, HandlerError> {
        let now = self.clients.clock.now();
        let part = entry.outgoing.parts[at].clone();
        let fail = |trouble| Part::Failed { attempt: part.attempt(), failure: trouble };
        let template = entry.outgoing.nature == MessageKind::Template;
        let hold = send_hold(context, template, now);
        let pieces = match picked {
            _ if !template => plan_of(message, &entry.outgoing, self.clients.locale),
            Some(picked) => vec![parts::PartContent::Template(picked)],
            None => Vec::new(),
        };
        let piece = match (refusal(context, &part, hold, &entry.outgoing, now), pieces.get(at)) {
            (None, Some(piece)) => piece,
            (refused, _) => {
                let nothing =
                    || if template { SendFailure::Template { fault: Fault::Lost } } else { parts::nothing(message) };
                self.save_part(entry, at, fail(refused.unwrap_or_else(nothing))).await?;
                self.waited_in_vain(context, budget).await?;
                return Ok(SyncOutcome::UpToDate);
            }
        };
        if let Some(hold) = hold {
            return self.hold_back(context, budget, entry, at, hold).await;
        }
        if budget.is_over() {
            return Ok(SyncOutcome::OutOfTime);
        }
        if context.until.saturating_duration_since(Instant::now()) < min_time_left(piece, budget.is_again()) {
            if budget.has_sent() {
                return Ok(SyncOutcome::OutOfTime);
            }
            // An immediate retry would end the same way if what comes before the part takes as long each time.
            tracing::warn!(channel.id = %context.channel.phone_number_id, "too little time is left for a part; it is put back");
            return Ok(SyncOutcome::Waits { after: Some(REQUEUE_DELAY), at_most: None });
        }
        if let Some(after) = self.pace(budget) {
            return Ok(SyncOutcome::Soon { after });
        }
        let mut token = self.clients.token(context.channel).await?;
        // The call itself, and the saves around it, still have to fit into the invocation.
        let limit = context.until.checked_sub(CALL_MIN_TIME).unwrap_or(context.until);
        let ready = timeout_at(limit, self.ready(context, message, piece, &mut token)).await;
        let ready = ready.unwrap_or_else(|_| {
            tracing::warn!(channel.id = %context.channel.phone_number_id, "a file did not get to Meta within the time that was left");
            Err(if has_file(piece) { NotUploaded::Slow } else { NotUploaded::NotNow { after: None } })
        });
        let words_apart = matches!(piece, parts::PartContent::File { caption: Some(_), .. });
        // If one file of a message was waited for in vain, the wait counts for the next file as well.
        let waited = if is_given_up(&entry.outgoing) { FILE_FAULT_MAX_WAIT } else { without_file(&part, now) };
        let waited_for_meta = part.waiting_since().map_or(Duration::ZERO, |since| now.since(since));
        let (piece, way) = match ready {
            Ok(ready) => ready,
            Err(NotUploaded::Missing) if waited < FILE_MISSING_MAX_WAIT => {
                return self.wait_for_file(context, budget, entry, at).await;
            }
            Err(NotUploaded::Unwell | NotUploaded::Slow) if waited < FILE_FAULT_MAX_WAIT => {
                return self.wait_for_file(context, budget, entry, at).await;
            }
            // Meta may refuse uploads alone; what stands behind the file does not wait for them for ever.
            Err(NotUploaded::NotNow { after }) if !has_file(piece) || waited_for_meta < FILE_FAULT_MAX_WAIT => {
                return self.wait(context, budget, entry, at, after).await;
            }
            Err(never) => {
                let trouble = match never.trouble() {
                    SendFailure::FileUnreadable if template => SendFailure::Template { fault: Fault::FileUnreadable },
                    trouble => trouble,
                };
                let words_apart = words_apart && entry.outgoing.is_of_file(at, trouble);
                self.save_part_with_link(entry, at, fail(trouble), words_apart).await?;
                self.waited_in_vain(context, budget).await?;
                return Ok(SyncOutcome::UpToDate);
            }
        };
        if let GraphPayload::File { id, .. } = &piece {
            self.note_upload(context, id).await?;
        }
        // A file takes time, so check for refusals again as late as possible.
        if let Some(trouble) = refusal(context, &part, None, &entry.outgoing, self.clients.clock.now()) {
            self.save_part(entry, at, fail(trouble)).await?;
            self.waited_in_vain(context, budget).await?;
            return Ok(SyncOutcome::UpToDate);
        }
        let passage = match self.place(context).await? {
            Ok(passage) => passage,
            Err(after) => return Ok(SyncOutcome::Soon { after }),
        };
        let attempt = part.attempt() + 1;
        let Some(body) = body(context, entry, at, attempt, &piece) else {
            self.save_part(entry, at, fail(SendFailure::NoRecipient)).await?;
            return Ok(SyncOutcome::UpToDate);
        };
        let file = way.map(|way| SentFile { part: at, captioned: words_apart, way });
        if !self.reserve_attempt(entry, at, &part, attempt, file).await? {
            let settled = matches!(entry.outgoing.parts[at], Part::Accepted { .. });
            return Ok(if settled {
                SyncOutcome::UpToDate
            } else {
                SyncOutcome::Waits { after: Some(CONTENTION_DELAY), at_most: None }
            });
        }
        // Saving may have taken longer than the slot is valid.
        let passage = match self.in_time(context, passage).await {
            Ok(Some(passage)) => passage,
            // No call was made: the part is put back as it was, and is tried again.
            not => {
                self.save_part(entry, at, part).await?;
                return not.map(|_| SyncOutcome::Soon { after: REQUEUE_DELAY });
            }
        };
        let called = self.call(context, passage, &body, &token).await;
        let now = self.clients.clock.now();
        budget.sent(now);
        match called {
            CallOutcome::Accepted(accepted) => {
                self.metrics.count(Metric::Sent);
                self.learn(context, &accepted).await;
                *entry = self.accepted(context, entry.clone(), at, attempt, accepted).await?;
                self.advert_answered(context, now).await;
                self.clients.conversations.sent(context.conversation, budget.pair).await?;
                let end =
                    if part.without_file_since().is_some() { NoteText::FileCame } else { NoteText::SendingGoesOn };
                self.goes_on(context, budget, end).await;
                Ok(SyncOutcome::UpToDate)
            }
            CallOutcome::Never(trouble) => {
                if let Some(hold) = self.held_meanwhile(context).await? {
                    return self.hold_back(context, budget, entry, at, hold).await;
                }
                let words_apart = words_apart && entry.outgoing.is_of_file(at, trouble);
                self.save_part_with_link(entry, at, Part::Failed { attempt, failure: trouble }, words_apart).await?;
                self.waited_in_vain(context, budget).await?;
                Ok(SyncOutcome::UpToDate)
            }
            CallOutcome::Uncertain => {
                self.metrics.count(Metric::Uncertain);
                self.save_part(entry, at, Part::Uncertain { attempt }).await?;
                // Meta may count it towards its limit.
                self.clients.conversations.set_rate_limit(context.conversation, budget.pair).await?;
                Ok(SyncOutcome::UpToDate)
            }
            CallOutcome::TooFast { after } => {
                budget.pair = RecipientRateLimit::exhausted(now);
                self.clients.conversations.set_rate_limit(context.conversation, budget.pair).await?;
                self.wait(context, budget, entry, at, after).await
            }
            CallOutcome::NotNow { after } => self.wait(context, budget, entry, at, after).await,
        }
    }

    /// Prepares what the call sends, and how its file goes; a file that can be uploaded is uploaded first.
    async fn ready(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        piece: &parts::PartContent<'_>,
        token: &mut SecretString,
    ) -> Result<(GraphPayload, Option<FileWay>), NotUploaded> {
        let (file, caption) = match piece {
            parts::PartContent::Template(picked) => {
                let ready = match self.template(context, message, picked, token).await {
                    Err(NotUploaded::Unauthorized) => {
                        *token =
                            self.clients.renew_token(context.channel, token).await.ok_or(NotUploaded::Unauthorized)?;
                        self.template(context, message, picked, token).await
                    }
                    ready => ready,
                };
                return ready.map(|template| (template, None));
            }
            parts::PartContent::Text(text) => return Ok((GraphPayload::Text(text.clone()), None)),
            parts::PartContent::Menu(menu) => return Ok((GraphPayload::Menu(menu.clone()), None)),
            parts::PartContent::Location(place) => return Ok((GraphPayload::Location(place.clone()), None)),
            parts::PartContent::File { file, caption } => (*file, caption.as_deref()),
        };
        match upload(&self.clients, context.chatwoot, context.channel, token, file, caption).await {
            Err(NotUploaded::Unauthorized) => {
                *token = self.clients.renew_token(context.channel, token).await.ok_or(NotUploaded::Unauthorized)?;
                upload(&self.clients, context.chatwoot, context.channel, token, file, caption).await
            }
            uploaded => uploaded,
        }
    }

    /// Meta's id of the quoted message: Chatwoot has it for incoming messages, the outbox for outgoing ones.
    pub(crate) async fn quote(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
    ) -> Result<Option<Wamid>, HandlerError> {
        let (id, external) = message.quotes();
        if let Some(external) = external.filter(|id| !id.starts_with("lmotos:")) {
            return Ok(Some(Wamid::new(external)));
        }
        let Some(id) = id else { return Ok(None) };
        let conversation = context.conversation;
        let quoted = self.clients.outbox.get(conversation.account, conversation.conversation, id).await?;
        Ok(quoted.and_then(|entry| entry.outgoing.parts.iter().find_map(Part::wamid).cloned()))
    }

    /// Records what Meta's answer says of the recipient: it may spell the number differently, and name the user id (§4.1). If
    /// this fails, the message is sent all the same.
    async fn learn(&self, context: &ConversationContext<'_>, accepted: &Accepted) {
        let Some((customer, address)) = context.customer.zip(context.thread.and_then(|thread| thread.address.as_ref()))
        else {
            return;
        };
        let sent_to = address.identity();
        let known = sent_to.aliases(&self.clients.key);
        let identity = Identity {
            user_id: accepted.user_id.clone().or(sent_to.user_id),
            wa_id: accepted.wa_id.clone().filter(|_| sent_to.phone.is_some()),
            phone: sent_to.phone.or_else(|| accepted.wa_id.clone()),
            group: sent_to.group,
            parent: None,
        };
        // This address already led to the customer a moment ago.
        if identity.aliases(&self.clients.key) == known {
            return;
        }
        let now = self.clients.clock.now();
        if let Err(error) = self.clients.customers.learn(context.channel.account, customer, &identity, now).await {
            tracing::warn!(%error, "what Meta tells of a recipient was not noted; the next status tells it again");
        }
    }

    /// Records the first answer after an advert, which makes messages free for a while. Only the wording of texts depends on it.
    async fn advert_answered(&self, context: &ConversationContext<'_>, now: Timestamp) {
        let Some((customer, thread)) = context.customer.zip(context.thread) else { return };
        if !thread.advert().is_some_and(|advert| advert.waits_for_answer(now)) {
            return;
        }
        let number = &context.channel.phone_number_id;
        if let Err(error) = self.clients.customers.advert_answered(customer, number).await {
            tracing::warn!(%error, "that an advert's customer was answered was not noted");
        }
    }
}

/// The body of the call, complete before the part is saved as being sent; nothing if there is no recipient.
fn body(
    context: &ConversationContext<'_>,
    entry: &OutboxEntry,
    at: usize,
    attempt: u32,
    piece: &GraphPayload,
) -> Option<Value> {
    let to = context.thread.and_then(|thread| thread.address.as_ref())?;
    let quote = entry.outgoing.quote_of(at);
    let (account, conversation, message) = (entry.account, entry.conversation, entry.message);
    let reference = Reference { account, conversation, message, part: at, attempt };
    Some(compose::message(to, piece, quote, &reference))
}
