//! A message into Chatwoot, exactly once: claimed before the call, looked for before a second call, closed with its link.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{
    Attachment, Chatwoot, ChatwootError, NewMessage,
    render::{self, Rendered},
};
use domain::{
    Author, Channel, Class, Classify as _, Content, ConversationId, CustomerId, Message, MessageId, Timestamp, Wamid,
    message::Call, vcard,
};
use platform::Metric;
use queue::Record;
use serde_json::json;
use store::{Fate, Link, Thread};
use whatsapp::{GraphError, graph::file_timeout};

use crate::{
    Before, Forward,
    upkeep::{self, opens_window},
};

/// How often a file may turn out damaged, or be missing where Meta said it was, before the agent is told instead.
const DAMAGED: i64 = 5;

/// How long a customer's messages wait for a file that Meta cannot give out just now.
const FILE_WAITS: Duration = Duration::from_secs(24 * 3600);

/// How long uploads into Chatwoot may break off before the agent gets the message without its file.
const CUT_OFF: Duration = Duration::from_secs(3600);

/// A message cannot have been written before its task was; this much is for the clocks.
const CLOCKS: Duration = Duration::from_secs(600);

impl Forward {
    pub(crate) async fn message(&self, record: &Record, message: &Message) -> Result<(), BridgeError> {
        let number = message.channel.as_str();
        let Some(before) = self.claim(record, number, &message.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&message.channel).await? else {
            return self.bury(record, number, &message.item, "unknown_channel").await;
        };
        if message.author == Author::Business && self.is_our_own(message).await? {
            self.metrics.count(Metric::Duplicate);
            self.clients.counters.close(&self.clients.claims, number, &message.item, Fate::Duplicate).await?;
            return Ok(());
        }
        if let Content::Revoke { original } = &message.content
            && self.revoke(message, &channel, original).await?
        {
            return Ok(());
        }
        let (customer, message) = self.who(&channel, message).await?;
        let message = message.as_ref();
        if is_silent(message) {
            self.touch(message, &channel, &customer).await?;
            return Ok(self.clients.counters.close(&self.clients.claims, number, &message.item, Fate::Done).await?);
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let revoked = self.is_revoked(message).await?;
        let blanked = revoked.then(|| render::blank(message));
        let shown = blanked.as_ref().unwrap_or(message);
        let (conversation, id, thread) =
            self.place_and_write(record, shown, &channel, &customer, &chatwoot, before).await?;
        let revoked = self.follow(message, &customer, conversation, id).await? || revoked;
        self.keep_up(record, message, &customer, &thread, &chatwoot, conversation).await?;
        self.renew_contact(&chatwoot, &channel, &customer, message).await?;
        let link = message.id.as_ref().map(|wamid| Link {
            wamid: wamid.clone(),
            customer,
            account: channel.account,
            conversation,
            message: id,
            author: message.author,
            part: None,
            early: None,
        });
        self.close(message, link, revoked, &chatwoot).await?;
        self.metrics.count(Metric::Forwarded);
        Ok(())
    }

    /// Records that the customer is there. The window opens before the agent can see the message and answer it.
    async fn touch(&self, message: &Message, channel: &Channel, customer: &CustomerId) -> Result<Thread, BridgeError> {
        let written_at = opens_window(message).then_some(message.sent_at);
        let number = &channel.phone_number_id;
        Ok(self.clients.customers.touch(customer, number, &message.customer, written_at).await?)
    }

    /// What the bridge sent itself must not come back as an echo.
    async fn is_our_own(&self, message: &Message) -> Result<bool, BridgeError> {
        let Some(wamid) = &message.id else { return Ok(false) };
        Ok(self.clients.links.get(wamid).await?.is_some())
    }

    async fn place_and_write(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        before: Before,
    ) -> Result<(ConversationId, MessageId, Thread), BridgeError> {
        let customers = &self.clients.customers;
        let mut thread = self.touch(message, channel, customer).await?;
        let mut gone_before = false;
        loop {
            let conversation = self.conversation(record, chatwoot, channel, customer, &thread, message, before).await?;
            match self.write(record, message, channel, chatwoot, conversation, before).await {
                Ok(id) => return Ok((conversation, id, thread)),
                // An agent deleted the conversation or the contact: a new one is found or made, once.
                Err(BridgeError::Chatwoot(ChatwootError::Gone)) if !gone_before => {
                    gone_before = true;
                    customers.unbind(customer, &channel.phone_number_id).await?;
                    thread.conversation = None;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn write(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        before: Before,
    ) -> Result<MessageId, BridgeError> {
        let source = source_id(message);
        if before.perhaps_done
            && let Some(found) = self.written(record, message, chatwoot, conversation).await?
        {
            return Ok(found);
        }
        let mut rendered = render::render(message, self.clients.locale);
        let quoted = self.quoted(rendered.quote, conversation).await?;
        if quoted.is_some() && render::is_new_caption(message) {
            // The file stands in the message it quotes.
            rendered.file = None;
        }
        let lost_quote = rendered.quote.is_some() && quoted.is_none();
        let text =
            |text: &str| if lost_quote { render::with_lost_quote(text, self.clients.locale) } else { text.to_owned() };
        let new = |content| NewMessage {
            content,
            incoming: message.author == Author::Customer && !rendered.note,
            private: rendered.note,
            source_id: Some(&source),
            attributes: attributes(message, &rendered, quoted),
            ..NewMessage::default()
        };
        let content = text(&rendered.text);
        if rendered.file.is_some() {
            if let Some(id) =
                self.write_file(record, before, channel, chatwoot, conversation, &rendered, new(&content)).await?
            {
                return Ok(id);
            }
            let content = text(&render::without_file(&rendered, self.clients.locale));
            return Ok(chatwoot.create_message(conversation, new(&content)).await?);
        }
        if !rendered.cards.is_empty() {
            let file = NewMessage { attachment: Some(card_file(&rendered)), ..new(&content) };
            match chatwoot.create_message(conversation, file).await {
                // The cards are in the text as well.
                Err(ChatwootError::Refused(status)) if status == 413 || before.refusals + 1 >= DAMAGED => {}
                made => return Ok(made?),
            }
        }
        Ok(chatwoot.create_message(conversation, new(&content)).await?)
    }

    /// The message in a conversation, if an earlier attempt wrote it there.
    pub(crate) async fn written(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
    ) -> Result<Option<MessageId>, BridgeError> {
        let source = source_id(message);
        // The first attempt may be older than this task: a repeat of Meta's, or put back from the dead letters.
        let since = record.sent_at.min(message.sent_at) - CLOCKS;
        let listed = chatwoot.messages(conversation, None, since).await?;
        let found = listed.iter().find(|listed| listed.source_id.as_deref() == Some(&source));
        Ok(found.map(|found| found.id))
    }

    /// The message with its file; nothing if the file cannot be had, now or ever.
    #[expect(clippy::too_many_arguments, reason = "what `write` has, and the file")]
    async fn write_file(
        &self,
        record: &Record,
        before: Before,
        channel: &Channel,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        rendered: &Rendered<'_>,
        mut new: NewMessage<'_>,
    ) -> Result<Option<MessageId>, BridgeError> {
        let Some(file) = rendered.file else { return Ok(None) };
        let refused_enough = before.refusals + 1 >= DAMAGED;
        let waited = self.clients.clock.now().since(record.sent_at);
        let fetched = match self.fetch(channel, file).await {
            Ok(fetched) => fetched,
            Err(BridgeError::Graph(error)) => {
                let give_up = match &error {
                    GraphError::Checksum | GraphError::Missing(_) => refused_enough,
                    error => error.class() == Class::Permanent || waited >= FILE_WAITS,
                };
                if !give_up {
                    return Err(error.into());
                }
                tracing::warn!(%error, "a customer's file cannot be fetched; the agent is told");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        new.attachment = Some(fetched.attachment);
        let error = match chatwoot.create_message(conversation, new).await {
            Ok(id) => return Ok(Some(id)),
            Err(error) => error,
        };
        let give_up = match &error {
            _ if fetched.broken.is_set() => refused_enough,
            // Too large for the proxy before Chatwoot, or not to its liking.
            ChatwootError::Refused(status) => *status == 413 || refused_enough,
            // Something on the way cuts large uploads off. If Chatwoot is down altogether, the line in words fails as well,
            // and the message waits on.
            ChatwootError::NoAnswer(_) => waited >= CUT_OFF,
            _ => false,
        };
        if give_up {
            tracing::warn!(%error, "a customer's file does not get through; the agent is told");
            return Ok(None);
        }
        Err(if fetched.broken.is_set() { GraphError::Checksum.into() } else { error.into() })
    }

    /// The Chatwoot message a quote points to, if it stands in this conversation.
    async fn quoted(
        &self,
        quote: Option<&Wamid>,
        conversation: ConversationId,
    ) -> Result<Option<MessageId>, BridgeError> {
        let Some(wamid) = quote else { return Ok(None) };
        let link = self.clients.links.get(wamid).await?;
        Ok(link.filter(|link| link.conversation == conversation).map(|link| link.message))
    }

    /// Closes the claim. A message taken back before that is deleted first: it ends as if it had been taken back after.
    async fn close(
        &self,
        message: &Message,
        link: Option<Link>,
        revoked: bool,
        chatwoot: &Chatwoot,
    ) -> Result<(), BridgeError> {
        let (claims, counters, traces) = (&self.clients.claims, &self.clients.counters, &self.clients.traces);
        let (number, item) = (message.channel.as_str(), &message.item);
        let Some(link) = link else { return Ok(counters.close(claims, number, item, Fate::Done).await?) };
        let links = &self.clients.links;
        if revoked || !links.close_unless_revoked(&link, claims, (counters, traces), number, item).await? {
            chatwoot.delete_message(link.conversation, link.message).await?;
            links.close(&link, claims, counters, number, item).await?;
        }
        Ok(())
    }
}

/// Under which id Chatwoot keeps it: Meta's, or our own for what Meta gives none.
fn source_id(message: &Message) -> String {
    message.id.as_ref().map_or_else(|| format!("lmotos:{}", message.item), |id| id.as_str().to_owned())
}

/// A call that rings is nothing to read yet; what becomes of it is.
fn is_silent(message: &Message) -> bool {
    matches!(&message.content, Content::Call { event, seconds } if !Call::read(event, *seconds).is_over())
}

fn attributes(message: &Message, rendered: &Rendered<'_>, quoted: Option<MessageId>) -> serde_json::Value {
    let mut attributes = serde_json::Map::new();
    attributes.insert("external_created_at".to_owned(), json!(Timestamp::as_secs(message.sent_at)));
    if let Some(quoted) = quoted {
        attributes.insert("in_reply_to".to_owned(), json!(quoted));
    }
    if let Some(referral) = &message.referral {
        attributes.insert("referral".to_owned(), upkeep::mark(referral));
    }
    if message.author == Author::Business && !rendered.note {
        attributes.insert("external_echo".to_owned(), json!(true));
    }
    attributes.into()
}

fn card_file(rendered: &Rendered<'_>) -> Attachment {
    let file = vcard::compose(rendered.cards);
    let size = file.len() as u64;
    Attachment {
        filename: vcard::file_name(rendered.cards),
        mime_type: "text/vcard".to_owned(),
        size: Some(size),
        body: file.into(),
        limit: file_timeout(size),
    }
}
