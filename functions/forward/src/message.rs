//! A message into Chatwoot, exactly once: claimed before the call, looked for before a second call, closed with its link.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, render};
use domain::{
    Author, Channel, Content, ConversationId, CustomerId, Message, MessageId, Timestamp, Wamid, message::Media,
    words::Line,
};
use platform::Metric;
use queue::Record;
use serde_json::json;
use store::{Fate, Link, MissingFile, is_at_meta};
use tokio::time::Instant;

use crate::{Before, Forward};

/// A file that fails as fast as this is asked for a second time before a line stands for it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How often the work on a message may end without a word before it goes without its file.
const CRASHES_WITH_FILE: i64 = 3;

/// How long uploads into Chatwoot may break off before the agent gets the message without its file.
const CUT_OFF: Duration = Duration::from_secs(300);

/// A type longer than this is none.
const LONGEST_TYPE: usize = 100;

/// A message cannot have been written before its task was; this much is for the clocks.
const CLOCKS: Duration = Duration::from_secs(600);

/// A message that stands in Chatwoot.
struct Written {
    id: MessageId,
    /// Only a line stands for its file, which is still to come.
    file_missing: bool,
}

/// What came of a message's file.
enum Filed {
    /// It stands in Chatwoot, in this message.
    There(MessageId),
    /// Meta did not give it out whole. Certainly nothing stands in Chatwoot.
    NotFetched,
    /// Chatwoot did not take it. A line has to stand for it.
    NotTaken(Line<'static>),
}

impl Forward {
    pub(crate) async fn message(&self, record: &Record, message: &Message) -> Result<(), BridgeError> {
        let number = message.channel.as_str();
        let Some(before) = self.claim(record, number, &message.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&message.channel).await? else {
            return self.bury(record, number, &before.held, "unknown_channel").await;
        };
        if message.author == Author::Business && self.is_our_own(message).await? {
            self.metrics.count(Metric::Duplicate);
            self.clients.counters.close(number, &before.held, Fate::Duplicate).await?;
            return Ok(());
        }
        let customer = self.clients.customers.identify(channel.account, &message.customer).await?;
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let (conversation, written) =
            self.place_and_write(record, message, &channel, &customer, &chatwoot, &before).await?;
        self.close(record, message, &channel, customer, conversation, &written, &before).await?;
        self.metrics.count(Metric::Forwarded);
        Ok(())
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
        before: &Before,
    ) -> Result<(ConversationId, Written), BridgeError> {
        // The window opens before the agent can see the message and answer it.
        let written_at = opens_window(message).then_some(message.sent_at);
        let address = message.customer.address();
        let customers = &self.clients.customers;
        let mut thread = customers.touch(customer, &channel.phone_number_id, address.as_ref(), written_at).await?;
        let mut gone_before = false;
        loop {
            let conversation = self.conversation(record, chatwoot, channel, customer, &thread, message).await?;
            match self.write(record, message, channel, chatwoot, conversation, before).await {
                Ok(written) => return Ok((conversation, written)),
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
        before: &Before,
    ) -> Result<Written, BridgeError> {
        let source = source_id(message);
        let rendered = render::render(message, self.clients.locale);
        if before.perhaps_done {
            // The first attempt may be older than this task: a repeat of Meta's, or put back from the dead letters.
            let since = record.sent_at.min(message.sent_at) - CLOCKS;
            let listed = chatwoot.messages(conversation, None, since).await?;
            if let Some(found) = listed.iter().find(|listed| listed.source_id.as_deref() == Some(&source)) {
                return Ok(Written { id: found.id, file_missing: rendered.file.is_some() && found.files().is_empty() });
            }
        }
        let quoted = self.quoted(rendered.quote, conversation).await?;
        let lost_quote = rendered.quote.is_some() && quoted.is_none();
        let text =
            |text: &str| if lost_quote { render::with_lost_quote(text, self.clients.locale) } else { text.to_owned() };
        let new = |content| NewMessage {
            content,
            incoming: message.author == Author::Customer,
            source_id: Some(&source),
            attributes: attributes(message, quoted),
            ..NewMessage::default()
        };
        let content = text(&rendered.text);
        let Some(file) = rendered.file else {
            let id = chatwoot.create_message(conversation, new(&content)).await?;
            return Ok(Written { id, file_missing: false });
        };
        let filed = if before.crashes < CRASHES_WITH_FILE {
            let began = Instant::now();
            match self.write_file(record, file, channel, chatwoot, conversation, new(&content)).await? {
                Filed::NotFetched if began.elapsed() < AT_ONCE => {
                    self.write_file(record, file, channel, chatwoot, conversation, new(&content)).await?
                }
                filed => filed,
            }
        } else {
            Filed::NotFetched
        };
        let line = match filed {
            Filed::There(id) => return Ok(Written { id, file_missing: false }),
            Filed::NotFetched => Line::MediaLater(file.kind),
            Filed::NotTaken(line) => line,
        };
        // What Meta no longer has, and what is too large for Chatwoot, cannot come later.
        let later = is_at_meta(message.sent_at, self.clients.clock.now()) && !matches!(line, Line::MediaTooLarge(_));
        let line = if later { line } else { last_word(line) };
        let content = text(&render::instead_of_file(&rendered, line, self.clients.locale));
        let id = chatwoot.create_message(conversation, new(&content)).await?;
        Ok(Written { id, file_missing: later })
    }

    /// The message with its file, or what the agent reads instead. Meta's trouble with a file never holds its message up.
    async fn write_file(
        &self,
        record: &Record,
        file: &Media,
        channel: &Channel,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        mut new: NewMessage<'_>,
    ) -> Result<Filed, BridgeError> {
        let fetched = match self.fetch(channel, file).await {
            Ok(fetched) => fetched,
            Err(BridgeError::Graph(error)) => {
                tracing::warn!(%error, "a customer's file cannot be fetched");
                return Ok(Filed::NotFetched);
            }
            Err(error) => return Err(error),
        };
        new.attachment = Some(fetched.attachment);
        let error = match chatwoot.create_message(conversation, new).await {
            Ok(id) => return Ok(Filed::There(id)),
            Err(error) => error,
        };
        let waited = self.clients.clock.now().since(record.sent_at);
        let filed = match &error {
            _ if fetched.broken.is_set() => Filed::NotFetched,
            // Too large for the proxy before Chatwoot.
            ChatwootError::Refused(413) => Filed::NotTaken(Line::MediaTooLarge(file.kind)),
            // Not to Chatwoot's liking, or it takes nothing just now; then the line in words fails as well.
            ChatwootError::Refused(_) => Filed::NotTaken(Line::MediaRefused(file.kind)),
            // Something on the way cuts large uploads off. If Chatwoot is down altogether, the line fails as well, and the
            // message waits on.
            ChatwootError::NoAnswer(_) if waited >= CUT_OFF => Filed::NotTaken(Line::MediaLater(file.kind)),
            _ => return Err(error.into()),
        };
        tracing::warn!(%error, "a customer's file does not get through");
        Ok(filed)
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

    #[expect(clippy::too_many_arguments, reason = "everything that is known of the message by now")]
    async fn close(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: CustomerId,
        conversation: ConversationId,
        written: &Written,
        before: &Before,
    ) -> Result<(), BridgeError> {
        let counters = &self.clients.counters;
        let number = message.channel.as_str();
        let Some(wamid) = &message.id else {
            return Ok(counters.close(number, &before.held, Fate::Done).await?);
        };
        let rendered = render::render(message, self.clients.locale);
        let missing = rendered.file.filter(|_| written.file_missing).map(|file| MissingFile {
            number: message.channel.clone(),
            item: message.item.clone(),
            customer: customer.clone(),
            account: channel.account,
            conversation,
            placeholder: written.id,
            author: message.author,
            group: record.group.clone(),
            media: file.id.clone(),
            kind: file.kind,
            mime_type: file.mime_type.clone().filter(|mime_type| mime_type.len() <= LONGEST_TYPE),
            sha256: file.sha256.clone(),
            sent_at: message.sent_at.min(self.clients.clock.now()),
            tries: 1,
            next_at: self.clients.clock.now(),
        });
        let link = Link {
            wamid: wamid.clone(),
            customer,
            account: channel.account,
            conversation,
            message: written.id,
            author: message.author,
            part: None,
            early: None,
        };
        Ok(self.clients.links.close(&link, counters, number, &before.held, missing.as_ref()).await?)
    }
}

/// What a line says when there is no later.
fn last_word(line: Line<'static>) -> Line<'static> {
    match line {
        Line::MediaLater(kind) => Line::MediaMissing(kind),
        Line::MediaRefused(kind) => Line::MediaNotTaken(kind),
        other => other,
    }
}

/// Under which id Chatwoot keeps it: Meta's, or our own for what Meta gives none.
fn source_id(message: &Message) -> String {
    message.id.as_ref().map_or_else(|| format!("lmotos:{}", message.item), |id| id.as_str().to_owned())
}

/// A live message or call of the customer's opens the window (§4.5); what only tells about messages does not.
fn opens_window(message: &Message) -> bool {
    message.author == Author::Customer
        && match &message.content {
            Content::Preference { .. } | Content::Moved { .. } | Content::Revoke { .. } | Content::Edit { .. } => false,
            Content::Call { event } => event.starts_with("connect"),
            _ => true,
        }
}

fn attributes(message: &Message, quoted: Option<MessageId>) -> serde_json::Value {
    let mut attributes = serde_json::Map::new();
    attributes.insert("external_created_at".to_owned(), json!(Timestamp::as_secs(message.sent_at)));
    if let Some(quoted) = quoted {
        attributes.insert("in_reply_to".to_owned(), json!(quoted));
    }
    if message.author == Author::Business {
        attributes.insert("external_echo".to_owned(), json!(true));
    }
    attributes.into()
}
