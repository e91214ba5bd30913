//! Opens the erasure requests that a message leads to. These are the customer's own words, confirmed in the chat, and a
//! contact that an agent deleted.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, NewMessage, render};
use domain::{
    Author, Channel, Content, ConversationId, CustomerId, Erasure, Message,
    erasure::{ErasureState, RequestSource},
    keyed_hash::HashKind,
};
use platform::Metric;
use queue::Record;
use store::{Claim, DataSubject, ErasureEntry, Thread};
use texts::deletion::{ErasureIntent, ErasureNotice, erasure_intent};
use uuid::Uuid;

use crate::Handler;

/// How far back our question is searched for; it is younger than the time to confirm.
const QUESTION_TTL: Duration = Duration::from_secs(3600);

impl Handler {
    /// Handles whether the customer asks for the erasure of their data, confirms it, or withdraws it. Done after the
    /// message is in Chatwoot, so that the agents see it; doing it again changes nothing.
    pub(crate) async fn erasure_intent(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
    ) -> Result<(), HandlerError> {
        let Content::Text { body, .. } = &message.content else { return Ok(()) };
        if message.author != Author::Customer || message.customer.group.is_some() {
            return Ok(());
        }
        let Some(wish) = erasure_intent(body) else { return Ok(()) };
        let mut subject = DataSubject::of(&message.customer);
        subject.customers.insert(customer.clone());
        // What they say to one dealer, another one has not heard.
        subject.only = Some(channel.account);
        if wish == ErasureIntent::Ask {
            let asked = self
                .requests
                .ask(RequestSource::Customer, subject, message.sent_at.min(self.clients.clock.now()))
                .await?;
            if asked.is_new {
                self.metrics.count(Metric::ErasureAsked);
                tracing::info!(erasure = %asked.entry.erasure.code, door = ?RequestSource::Customer, "an erasure was asked for");
            }
            let entry = self.question(record, message, chatwoot, conversation, asked.entry).await?;
            return self.enqueue_erasure(&entry).await;
        }
        let Some(entry) = self.requests.known(&subject).await? else { return Ok(()) };
        if entry.erasure.door != RequestSource::Customer {
            return Ok(());
        }
        let means_it = matches!(wish, ErasureIntent::Confirm | ErasureIntent::Yes);
        // A confirmation sent in time counts, however late it arrives, unless the table records by then that none was sent.
        let then = entry.erasure.clone().at(message.sent_at.min(self.clients.clock.now()));
        match then.state {
            ErasureState::Received { .. } | ErasureState::Withdrawn { .. } => {}
            // An earlier attempt that crashed here has confirmed it already.
            ErasureState::Confirmed { .. } if means_it => return self.begin(&entry).await,
            _ => return Ok(()),
        }
        let bare = matches!(wish, ErasureIntent::Yes | ErasureIntent::No);
        // A bare yes while Meta's own agent has the chat answers that agent.
        if bare && message.standby {
            return Ok(());
        }
        if bare && !self.answers_the_question(message, channel, chatwoot, conversation, &entry).await? {
            return Ok(());
        }
        let now = self.clients.clock.now();
        // What the customer sends after this message is sent in the knowledge that everything before it is gone.
        let last = message.sent_at.min(now) - Duration::from_secs(1);
        let next = if means_it { then.up_to(last).confirm(now) } else { then.withdraw(now) };
        match next {
            Ok(next) if means_it => {
                let code = entry.erasure.code.as_str();
                if message.standby && self.is_first(record, message, "confirmed").await? {
                    self.tell(message, chatwoot, conversation, ErasureNotice::OverheardConfirmed { code }).await?;
                }
                let (Ok(saved) | Err(saved)) = self.clients.erasures.save(&entry, next).await?;
                if !saved.erasure.is_closed() {
                    tracing::info!(erasure = %saved.erasure.code, "an erasure was confirmed in the chat");
                    return self.begin(&saved).await;
                }
            }
            Ok(next) => return self.withdraw(record, message, chatwoot, conversation, entry, next).await,
            Err(_) => {}
        }
        // The time to confirm is over, and the table records it: nothing will happen, and the customer must not believe
        // that it will.
        if means_it && self.is_first(record, message, "late").await? {
            let hours = self.requests.deadlines().confirm_hours;
            let lapsed = if message.standby {
                ErasureNotice::OverheardLapsed { hours }
            } else {
                ErasureNotice::Lapsed { hours }
            };
            self.tell(message, chatwoot, conversation, lapsed).await?;
        }
        Ok(())
    }

    /// Starts a request that is certain: from now on nothing newer is erased with the rest, and `erasure` gets its task.
    async fn begin(&self, entry: &ErasureEntry) -> Result<(), HandlerError> {
        self.enqueue_erasure(entry).await?;
        Ok(self.requests.bar(entry).await?)
    }

    /// Queues the task whatever became of an earlier one: a second task does no harm, and a missing one is a day's delay.
    async fn enqueue_erasure(&self, entry: &ErasureEntry) -> Result<(), HandlerError> {
        if !entry.erasure.is_closed() {
            self.erasures.send(app::erasure_message(&entry.erasure, Uuid::new_v4())?).await?;
        }
        Ok(())
    }

    /// Asks the customer whether they mean it, once for each time they ask.
    async fn question(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: ErasureEntry,
    ) -> Result<ErasureEntry, HandlerError> {
        let open = entry.erasure.door == RequestSource::Customer
            && matches!(entry.erasure.state, ErasureState::Received { .. });
        if !open || !self.is_first(record, message, "question").await? {
            return Ok(entry);
        }
        let asked = entry.erasure.clone().question(self.clients.clock.now(), self.requests.deadlines());
        let (Ok(entry) | Err(entry)) = self.clients.erasures.save(&entry, asked).await?;
        let (hours, code) = (self.requests.deadlines().confirm_hours, entry.erasure.code.as_str());
        let asks = if message.standby {
            ErasureNotice::Overheard { hours, code }
        } else {
            ErasureNotice::Question { hours, code }
        };
        self.tell(message, chatwoot, conversation, asks).await?;
        Ok(entry)
    }

    fn question_words(&self, entry: &ErasureEntry) -> String {
        let hours = self.requests.deadlines().confirm_hours;
        ErasureNotice::Question { hours, code: entry.erasure.code.as_str() }.text(self.clients.locale)
    }

    async fn withdraw(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: ErasureEntry,
        withdrawn: Erasure,
    ) -> Result<(), HandlerError> {
        if self.is_first(record, message, "kept").await? {
            let code = entry.erasure.code.as_str();
            let kept = if message.standby { ErasureNotice::OverheardKept { code } } else { ErasureNotice::Kept };
            self.tell(message, chatwoot, conversation, kept).await?;
        }
        let (Ok(saved) | Err(saved)) = self.clients.erasures.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %saved.erasure.code, "an erasure was withdrawn in the chat");
        Ok(())
    }

    /// Whether a bare yes or no answers our question: nothing else was said to the customer since.
    async fn answers_the_question(
        &self,
        message: &Message,
        channel: &Channel,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: &ErasureEntry,
    ) -> Result<bool, HandlerError> {
        let since = entry.erasure.asked_at.min(message.sent_at) - QUESTION_TTL;
        let listed = chatwoot.messages(conversation, None, since).await?;
        let said = listed.iter().rev().find(|listed| listed.is_for_customer());
        let asked = said.is_some_and(|said| said.content.as_deref() == Some(self.question_words(entry).as_str()));
        tracing::debug!(channel.id = %channel.phone_number_id, asked, "a bare answer");
        Ok(asked)
    }

    /// Whether this is the first attempt on a message that gets this far with this: each text is said to a customer at most
    /// once.
    async fn is_first(&self, record: &Record, message: &Message, what: &str) -> Result<bool, HandlerError> {
        let claim = self.clients.key.subject_of_all(HashKind::Item, [what, message.item.as_str()]);
        Ok(matches!(self.clients.claims.take(&claim, &record.id).await?, Claim::Won(_)))
    }

    /// Says something to the customer in the way an agent would: it is in the conversation, and `send` takes it from there.
    /// While Meta's own agent has the chat nothing is said in it, and the agents read a note.
    async fn tell(
        &self,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        notice: ErasureNotice<'_>,
    ) -> Result<(), HandlerError> {
        let content = notice.text(self.clients.locale);
        let said = NewMessage { content: &content, private: message.standby, ..NewMessage::default() };
        Ok(chatwoot.create_message(conversation, said).await.map(|_| ())?)
    }

    /// A conversation is gone from Chatwoot, and the contact with it: an agent deleted the person there. This message is
    /// newer than that, and starts clean once the rest is erased, too; so does whatever else of theirs was not in Chatwoot
    /// yet.
    pub(crate) async fn was_deleted(
        &self,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        thread: &Thread,
        chatwoot: &Chatwoot,
    ) -> Result<bool, HandlerError> {
        let Some(contact) = thread.contact else { return Ok(false) };
        if chatwoot.contact(contact).await?.is_some() {
            return Ok(false);
        }
        let (customers, only) = ([customer.clone()].into(), Some(channel.account));
        let mut subject = DataSubject { customers, only, ..DataSubject::default() };
        if !app::is_contact_deleted(&self.inventory, chatwoot, channel, customer, &subject).await? {
            return Ok(false);
        }
        let now = self.clients.clock.now();
        subject.spares = Some(message.sent_at.min(now));
        if let Some(file) = render::render(message, self.clients.locale).file {
            // The file comes with the message, and then belongs to a new customer.
            self.clients.media.forget(&channel.phone_number_id, &file.id).await?;
        }
        let asked = self.requests.ask(RequestSource::Chatwoot, subject, now).await?;
        if asked.is_new {
            self.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %asked.entry.erasure.code, door = ?RequestSource::Chatwoot, "an erasure was asked for");
        }
        self.begin(&asked.entry).await?;
        // Also where all of it is over by now: the customer has to be resolved anew.
        Ok(true)
    }
}
