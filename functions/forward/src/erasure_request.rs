//! Opens the erasure requests that a message leads to. These are the customer's own words, confirmed in the chat, and a
//! contact that an agent deleted.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{NewMessage, render};
use domain::{
    Author, Content, ConversationId, Erasure, Timestamp,
    erasure::{ErasureState, Evidence, EvidenceAct, RequestSource},
};
use platform::Metric;
use store::{Claim, DataSubject, ErasureEntry};
use texts::deletion::{ErasureIntent, ErasureNotice, erasure_intent};
use uuid::Uuid;

use crate::{
    Handler,
    message::{CreatedMessage, FoundConversation, MessageContext},
};

/// How far back our question is searched for; it is younger than the time to confirm.
const QUESTION_TTL: Duration = Duration::from_secs(3600);

/// What a customer says about the erasure of their data, in a message that is in Chatwoot.
struct ErasureTalk<'c> {
    context: &'c MessageContext<'c>,
    conversation: ConversationId,
    intent: ErasureIntent,
}

/// Handles whether the customer asks for the erasure of their data, confirms it, or withdraws it. Done after the message is in
/// Chatwoot, so that the agents see it; doing it again changes nothing.
pub(crate) async fn handle_intent(created: &CreatedMessage<'_>) -> Result<(), HandlerError> {
    let context = created.context();
    let message = &context.message;
    let Content::Text { body, .. } = &message.content else { return Ok(()) };
    if message.author != Author::Customer || message.customer.group.is_some() {
        return Ok(());
    }
    let Some(intent) = erasure_intent(body) else { return Ok(()) };
    let talk = ErasureTalk { context, conversation: created.found.id, intent };
    let mut subject = DataSubject::of(&message.customer);
    subject.customers.insert(context.customer.clone());
    // What they say to one dealer, another one has not heard.
    subject.only = Some(context.channel.account);
    if intent == ErasureIntent::Ask { talk.ask(subject).await } else { talk.answer(subject).await }
}

impl ErasureTalk<'_> {
    /// Gives the time of the message, which is not after now.
    fn said_at(&self) -> Timestamp {
        self.context.message.sent_at.min(self.context.now())
    }

    /// That this message says so. Its hash outlives it, and names no person.
    fn evidence(&self, act: EvidenceAct) -> Evidence {
        Evidence { act, at: self.said_at(), trace: self.context.message.item.to_string() }
    }

    async fn ask(&self, subject: DataSubject) -> Result<(), HandlerError> {
        let handler = self.context.handler();
        let evidence = self.evidence(EvidenceAct::CustomerAsked);
        let entry = open(handler, RequestSource::Customer, subject, self.said_at(), Some(evidence)).await?;
        let entry = self.question(entry).await?;
        enqueue_erasure(handler, &entry).await
    }

    async fn answer(&self, subject: DataSubject) -> Result<(), HandlerError> {
        let (handler, message) = (self.context.handler(), &self.context.message);
        let Some(entry) = handler.requests.known(&subject).await? else { return Ok(()) };
        if entry.erasure.source() != RequestSource::Customer {
            return Ok(());
        }
        let means_it = matches!(self.intent, ErasureIntent::Confirm | ErasureIntent::Yes);
        // A confirmation sent in time counts, however late it arrives, unless the table records by then that none was sent.
        let then = entry.erasure.clone().at(self.said_at());
        match then.state() {
            ErasureState::Received { .. } | ErasureState::Withdrawn { .. } => {}
            // An earlier attempt that crashed here has confirmed it already.
            ErasureState::Confirmed { .. } if means_it => return begin(handler, &entry).await,
            _ => return Ok(()),
        }
        let bare = matches!(self.intent, ErasureIntent::Yes | ErasureIntent::No);
        // A bare yes while Meta's own agent has the chat answers that agent.
        if bare && (message.standby || !self.answers_the_question(&entry).await?) {
            return Ok(());
        }
        if means_it { self.confirm(entry, then).await } else { self.withdraw(entry, then).await }
    }

    async fn confirm(&self, entry: ErasureEntry, then: Erasure) -> Result<(), HandlerError> {
        let (handler, standby) = (self.context.handler(), self.context.message.standby);
        // What the customer sends after this message is sent in the knowledge that everything before it is gone.
        let last = self.said_at() - Duration::from_secs(1);
        if then.is_unconfirmed() {
            let confirmed = then
                .up_to(last)
                .witnessed(self.evidence(EvidenceAct::CustomerConfirmed))
                .confirm(self.context.now())?;
            let code = entry.erasure.code().as_str();
            if standby && self.is_first("confirmed").await? {
                self.tell(ErasureNotice::OverheardConfirmed { code }).await?;
            }
            let (Ok(saved) | Err(saved)) = handler.clients.erasures.save(&entry, confirmed).await?;
            if !saved.erasure.is_closed() {
                tracing::info!(erasure = %saved.erasure.code(), "an erasure was confirmed in the chat");
                return begin(handler, &saved).await;
            }
        }
        // The time to confirm is over, and the table records it: nothing will happen, and the customer must not believe
        // that it will.
        if self.is_first("late").await? {
            let hours = handler.requests.deadlines().confirm_hours;
            let lapsed =
                if standby { ErasureNotice::OverheardLapsed { hours } } else { ErasureNotice::Lapsed { hours } };
            self.tell(lapsed).await?;
        }
        Ok(())
    }

    async fn withdraw(&self, entry: ErasureEntry, then: Erasure) -> Result<(), HandlerError> {
        // One that lapsed is withdrawn already.
        if !then.may_be_withdrawn() {
            return Ok(());
        }
        let withdrawn = then.withdraw(self.context.now())?;
        if self.is_first("kept").await? {
            let code = entry.erasure.code().as_str();
            let standby = self.context.message.standby;
            self.tell(if standby { ErasureNotice::OverheardKept { code } } else { ErasureNotice::Kept }).await?;
        }
        let (Ok(saved) | Err(saved)) = self.context.handler().clients.erasures.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %saved.erasure.code(), "an erasure was withdrawn in the chat");
        Ok(())
    }

    /// Asks the customer whether they mean it, once for each time they ask.
    async fn question(&self, entry: ErasureEntry) -> Result<ErasureEntry, HandlerError> {
        let (handler, standby) = (self.context.handler(), self.context.message.standby);
        let open = entry.erasure.source() == RequestSource::Customer && entry.erasure.is_unconfirmed();
        if !open || !self.is_first("question").await? {
            return Ok(entry);
        }
        let deadlines = handler.requests.deadlines();
        let asked = entry.erasure.clone().question(self.context.now(), deadlines);
        let (Ok(entry) | Err(entry)) = handler.clients.erasures.save(&entry, asked).await?;
        let (hours, code) = (deadlines.confirm_hours, entry.erasure.code().as_str());
        let question =
            if standby { ErasureNotice::Overheard { hours, code } } else { ErasureNotice::Question { hours, code } };
        self.tell(question).await?;
        Ok(entry)
    }

    /// Whether a bare yes or no answers our question: nothing else was said to the customer since.
    async fn answers_the_question(&self, entry: &ErasureEntry) -> Result<bool, HandlerError> {
        let MessageContext { message, channel, chatwoot, .. } = self.context;
        let handler = self.context.handler();
        let since = entry.erasure.asked_at().min(message.sent_at) - QUESTION_TTL;
        let listed = chatwoot.messages(self.conversation, None, since).await?;
        let said = listed.iter().rev().find(|listed| listed.is_for_customer());
        let (hours, code) = (handler.requests.deadlines().confirm_hours, entry.erasure.code().as_str());
        let question = ErasureNotice::Question { hours, code }.text(handler.clients.locale);
        let asked = said.is_some_and(|said| said.content.as_deref() == Some(question.as_str()));
        tracing::debug!(channel.id = %channel.phone_number_id, asked, "yes or no in reply to the question");
        Ok(asked)
    }

    /// Whether this is the first attempt on a message that gets this far with this: each text is said to a customer at most
    /// once.
    async fn is_first(&self, what: &str) -> Result<bool, HandlerError> {
        let (clients, item) = (&self.context.handler().clients, &self.context.message.item);
        let claim = clients.key.item([what, item.as_str()]);
        Ok(matches!(clients.claims.take(&claim, &self.context.attempt.record.id).await?, Claim::Won(_)))
    }

    /// Says something to the customer in the way an agent would: it is in the conversation, and `send` takes it from there.
    /// While Meta's own agent has the chat nothing is said in it, and the agents read a note.
    async fn tell(&self, notice: ErasureNotice<'_>) -> Result<(), HandlerError> {
        let MessageContext { message, chatwoot, .. } = self.context;
        let content = notice.text(self.context.handler().clients.locale);
        let said = NewMessage { content: &content, private: message.standby, ..NewMessage::default() };
        Ok(chatwoot.create_message(self.conversation, said).await.map(|_| ())?)
    }
}

impl FoundConversation<'_> {
    /// A conversation is gone from Chatwoot, and the contact with it: an agent deleted the person there. This message is
    /// newer than that, and starts clean once the rest is erased, too; so does whatever else of theirs was not in Chatwoot
    /// yet.
    pub(crate) async fn was_deleted(&self) -> Result<bool, HandlerError> {
        let MessageContext { channel, customer, chatwoot, .. } = self.context;
        let (handler, message) = (self.context.handler(), self.context.shown());
        let Some(contact) = self.thread.contact else { return Ok(false) };
        if chatwoot.contact(contact).await?.is_some() {
            return Ok(false);
        }
        let (customers, only) = ([customer.clone()].into(), Some(channel.account));
        let mut subject = DataSubject { customers, only, ..DataSubject::default() };
        if !app::is_contact_deleted(&handler.inventory, chatwoot, channel, customer, &subject).await? {
            return Ok(false);
        }
        let now = self.context.now();
        subject.spares = Some(message.sent_at.min(now));
        if let Some(file) = render::render(message, handler.clients.locale).file {
            // The file comes with the message, and then belongs to a new customer.
            handler.clients.media.forget(&channel.phone_number_id, &file.id).await?;
        }
        let entry = open(handler, RequestSource::Chatwoot, subject, now, None).await?;
        begin(handler, &entry).await?;
        // Also where all of it is over by now: the customer has to be resolved anew.
        Ok(true)
    }
}

async fn open(
    handler: &Handler,
    source: RequestSource,
    subject: DataSubject,
    asked_at: Timestamp,
    evidence: Option<Evidence>,
) -> Result<ErasureEntry, HandlerError> {
    let asked = handler.requests.ask_by(source, subject, asked_at, evidence).await?;
    if asked.is_new {
        handler.metrics.count(Metric::ErasureAsked);
        tracing::info!(erasure = %asked.entry.erasure.code(), ?source, "an erasure was asked for");
    }
    Ok(asked.entry)
}

/// Starts a request that is certain: from now on nothing newer is erased with the rest, and `erasure` gets its task.
async fn begin(handler: &Handler, entry: &ErasureEntry) -> Result<(), HandlerError> {
    enqueue_erasure(handler, entry).await?;
    Ok(handler.requests.bar(entry).await?)
}

/// Queues the task whatever became of an earlier one: a second task does no harm, and a missing one is a day's delay.
async fn enqueue_erasure(handler: &Handler, entry: &ErasureEntry) -> Result<(), HandlerError> {
    if !entry.erasure.is_closed() {
        handler.erasures.send(app::erasure_message(&entry.erasure, Uuid::new_v4())?).await?;
    }
    Ok(())
}
