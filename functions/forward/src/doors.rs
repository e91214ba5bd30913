//! Where a message asks for an erasure: the customer's own words, confirmed in the chat, and a contact that an agent deleted.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{Chatwoot, NewMessage};
use domain::{
    Author, Channel, Content, ConversationId, CustomerId, Message, Timestamp,
    erasure::{Door, State},
    subject::Kind,
    words::deletion::{Notice, Wish, wish},
};
use platform::Metric;
use queue::Record;
use store::{Claim, ErasureEntry, Target, Thread};
use uuid::Uuid;

use crate::Forward;

/// How far back a question is looked for; it is younger than the time to confirm.
const ASKED: Duration = Duration::from_secs(3600);

impl Forward {
    /// Whether the customer asks for the erasure of their data, means it, or does not after all. Done after the message stands, so
    /// that the agents see it; doing it again changes nothing.
    pub(crate) async fn wish(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
    ) -> Result<(), BridgeError> {
        let Content::Text { body, .. } = &message.content else { return Ok(()) };
        if message.author != Author::Customer || message.customer.group.is_some() {
            return Ok(());
        }
        let Some(wish) = wish(body) else { return Ok(()) };
        let mut target = Target::of(&message.customer);
        target.customers.insert(customer.clone());
        if wish == Wish::Ask {
            let asked =
                self.requests.ask(Door::Customer, target, message.sent_at.min(self.clients.clock.now())).await?;
            if asked.is_new {
                self.metrics.count(Metric::ErasureAsked);
                tracing::info!(erasure = %asked.entry.erasure.code, door = ?Door::Customer, "an erasure was asked for");
                self.erasures.send(bridge::wake(&asked.entry.erasure, Uuid::new_v4())?).await?;
            }
            return self.question(record, message, chatwoot, conversation, &asked.entry).await;
        }
        let Some(entry) = self.requests.open_about(&target).await? else { return Ok(()) };
        let waits = matches!(entry.erasure.state, State::Received { .. }) && entry.erasure.door == Door::Customer;
        if !waits {
            return Ok(());
        }
        let bare = matches!(wish, Wish::Yes | Wish::No);
        if bare && !self.answers_the_question(message, channel, chatwoot, conversation, &entry).await? {
            return Ok(());
        }
        match wish {
            Wish::Confirm | Wish::Yes => self.confirm(entry).await,
            _ => self.withdraw(record, message, chatwoot, conversation, entry).await,
        }
    }

    /// Asks whether they mean it, once for each time they ask.
    async fn question(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: &ErasureEntry,
    ) -> Result<(), BridgeError> {
        let open = entry.erasure.door == Door::Customer && matches!(entry.erasure.state, State::Received { .. });
        if !open || !self.is_first(record, message, "question").await? {
            return Ok(());
        }
        self.tell(chatwoot, conversation, &self.question_words(entry)).await
    }

    fn question_words(&self, entry: &ErasureEntry) -> String {
        let hours = self.requests.promise().confirm_hours;
        Notice::Question { hours, code: entry.erasure.code.as_str() }.say(self.clients.locale)
    }

    async fn confirm(&self, entry: ErasureEntry) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let Ok(confirmed) = entry.erasure.clone().confirm(now) else { return Ok(()) };
        // Somebody else's write in between is a repeat of this very message.
        let (Ok(saved) | Err(saved)) = self.clients.erasures.save(&entry, confirmed).await?;
        tracing::info!(erasure = %saved.erasure.code, "an erasure was confirmed in the chat");
        Ok(self.erasures.send(bridge::wake(&saved.erasure, Uuid::new_v4())?).await?)
    }

    async fn withdraw(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: ErasureEntry,
    ) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let Ok(withdrawn) = entry.erasure.clone().withdraw(now) else { return Ok(()) };
        if self.is_first(record, message, "kept").await? {
            self.tell(chatwoot, conversation, &Notice::Kept.say(self.clients.locale)).await?;
        }
        let (Ok(saved) | Err(saved)) = self.clients.erasures.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %saved.erasure.code, "an erasure was withdrawn in the chat");
        Ok(())
    }

    /// Whether a bare yes or no is said to our question: nothing else was said to the customer since.
    async fn answers_the_question(
        &self,
        message: &Message,
        channel: &Channel,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        entry: &ErasureEntry,
    ) -> Result<bool, BridgeError> {
        let since = entry.erasure.asked_at.min(message.sent_at) - ASKED;
        let listed = chatwoot.messages(conversation, None, since).await?;
        let said = listed.iter().rev().find(|listed| listed.is_for_customer());
        let asked = said.is_some_and(|said| said.content.as_deref() == Some(self.question_words(entry).as_str()));
        tracing::debug!(channel.id = %channel.phone_number_id, asked, "a bare answer");
        Ok(asked)
    }

    /// Whether this is the first work on a message that gets this far with this: what is said to a customer is said at most once.
    async fn is_first(&self, record: &Record, message: &Message, what: &str) -> Result<bool, BridgeError> {
        let claim = self.clients.key.subject_of_all(Kind::Item, [what, message.item.as_str()]);
        Ok(matches!(self.clients.claims.take(&claim, &record.id).await?, Claim::Won(_)))
    }

    /// Says something to the customer in the way an agent would: it is in the conversation, and `send` takes it from there.
    async fn tell(&self, chatwoot: &Chatwoot, conversation: ConversationId, content: &str) -> Result<(), BridgeError> {
        let said = NewMessage { content, ..NewMessage::default() };
        Ok(chatwoot.create_message(conversation, said).await.map(|_| ())?)
    }

    /// A conversation is gone from Chatwoot, and the contact with it: somebody deleted the person there. Their message is newer than
    /// that, and starts clean once the rest is erased, too.
    pub(crate) async fn was_deleted(
        &self,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        thread: &Thread,
        chatwoot: &Chatwoot,
    ) -> Result<bool, BridgeError> {
        let Some(contact) = thread.contact else { return Ok(false) };
        if chatwoot.contact(contact).await?.is_some()
            || chatwoot.contact_of_source(channel.inbox, customer).await?.is_some()
        {
            return Ok(false);
        }
        // An answer that everything is gone is no answer: the inbox itself has to be there.
        chatwoot.is_locked(channel.inbox).await?;
        let target = Target { customers: [customer.clone()].into(), ..Target::default() };
        let before = Timestamp::from_secs(message.sent_at.min(self.clients.clock.now()).as_secs() - 1);
        let asked = self.requests.ask(Door::Chatwoot, target, before).await?;
        if asked.is_new {
            self.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %asked.entry.erasure.code, door = ?Door::Chatwoot, "an erasure was asked for");
        }
        if !asked.entry.erasure.is_closed() {
            self.erasures.send(bridge::wake(&asked.entry.erasure, Uuid::new_v4())?).await?;
        }
        Ok(!asked.entry.erasure.is_closed())
    }
}
