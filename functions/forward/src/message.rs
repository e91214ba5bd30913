//! A message into Chatwoot, exactly once: claimed before the call, looked for before a second call, closed with its link.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{
    Attachment, Chatwoot, ChatwootError, NewMessage,
    listing::Listed,
    render::{self, Rendered},
};
use domain::{
    Author, Channel, Content, ConversationId, CustomerId, Message, MessageId, Timestamp, Wamid,
    message::{Call, Media},
    vcard,
    words::Line,
};
use platform::Metric;
use queue::Record;
use serde_json::json;
use store::{FIRST_GAP, Fate, Link, MissingFile, Thread, is_at_meta};
use tokio::time::Instant;
use whatsapp::graph::file_timeout;

use crate::{
    Before, Forward,
    upkeep::{self, opens_window},
};

/// A file that fails as fast as this is asked for a second time before a line stands for it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How often the work on a message may end without a word before it goes without its file.
const CRASHES_WITH_FILE: i64 = 3;

/// How often a file may break off on its way into Chatwoot, or be refused there, before the agent gets the message without it.
const REFUSED: i64 = 3;

/// A type longer than this is none.
const LONGEST_TYPE: usize = 100;

/// A message cannot have been written before its task was; this much is for the clocks.
const CLOCKS: Duration = Duration::from_secs(600);

/// A message that stands in Chatwoot.
struct Written {
    id: MessageId,
    /// When an earlier attempt wrote it.
    stood_since: Option<Timestamp>,
    /// The file for which only a line stands, and which is still to come.
    missing: Option<Media>,
}

impl Written {
    fn now(id: MessageId, missing: Option<Media>) -> Self {
        Self { id, stood_since: None, missing }
    }
}

/// What came of a message's file.
enum Filed {
    /// It stands in Chatwoot, in this message.
    There(MessageId),
    /// Meta did not give it out whole. Certainly nothing stands in Chatwoot.
    NotFetched,
    /// Chatwoot did not take it. A line has to stand for it.
    NotTaken(Line),
}

impl Forward {
    pub(crate) async fn message(&self, record: &Record, message: &Message) -> Result<(), BridgeError> {
        let number = message.channel.as_str();
        let Some(before) = self.claim(record, number, &message.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&message.channel).await? else {
            return self.bury(record, number, Some(&before.held), "unknown_channel").await;
        };
        if message.author == Author::Business
            && let Some(own) = self.own(message).await?
        {
            if before.perhaps_done {
                self.remove_copy(record, message, &own).await?;
            }
            self.metrics.count(Metric::Duplicate);
            self.clients.counters.close(number, &before.held, Fate::Duplicate).await?;
            return Ok(());
        }
        if let Content::Revoke { original } = &message.content
            && self.revoke(message, &channel, original, &before).await?
        {
            return Ok(());
        }
        let (customer, message) = self.who(&channel, message).await?;
        let message = message.as_ref();
        if is_silent(message) {
            self.touch(message, &channel, &customer).await?;
            return Ok(self.clients.counters.close(number, &before.held, Fate::Done).await?);
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let revoked = self.is_revoked(message).await?;
        let blanked = revoked.then(|| render::blank(message));
        let shown = blanked.as_ref().unwrap_or(message);
        let (conversation, written, thread) =
            self.place_and_write(record, shown, &channel, &customer, &chatwoot, &before).await?;
        let revoked = self.follow(message, &customer, conversation, written.id).await? || revoked;
        self.keep_up(message, &customer, &thread, &chatwoot, conversation, written.stood_since).await?;
        if !revoked {
            // Seldom more than a look at the text, and large: it must not weigh on every message.
            Box::pin(self.wish(record, message, &channel, &customer, &chatwoot, conversation)).await?;
        }
        let link = message.id.as_ref().map(|wamid| Link {
            wamid: wamid.clone(),
            customer,
            account: channel.account,
            conversation,
            message: written.id,
            author: message.author,
            part: None,
            early: None,
        });
        let missing = link.as_ref().zip(written.missing.as_ref());
        let missing = missing.map(|(link, file)| self.missing(record, message, link, file));
        self.close(message, &before, link, missing, revoked, &chatwoot).await?;
        self.metrics.count(Metric::Forwarded);
        Ok(())
    }

    /// A line for the agent instead of a message that is in the dead letters, if the customer has a conversation.
    pub(crate) async fn stand_in(&self, record: &Record, message: &Message) -> Result<(), BridgeError> {
        let Some(channel) = self.clients.channels.get(&message.channel).await? else { return Ok(()) };
        let Some(customer) = self.clients.customers.find(channel.account, &message.customer).await? else {
            return Ok(());
        };
        let thread = self.clients.customers.thread(&customer, &message.channel).await?;
        let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        // Not the message's own id: put back, it has to come all the same.
        let source = format!("lmotos:instead:{}", message.item);
        if self.listed(record, message, &chatwoot, conversation, &source).await?.is_some() {
            return Ok(());
        }
        let content = Line::SetAside.say(self.clients.locale);
        let line = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
        Ok(chatwoot.create_message(conversation, line).await.map(|_| ())?)
    }

    /// Records that the customer is there. The window opens before the agent can see the message and answer it.
    async fn touch(&self, message: &Message, channel: &Channel, customer: &CustomerId) -> Result<Thread, BridgeError> {
        let written_at = opens_window(message).then_some(message.sent_at);
        let number = &channel.phone_number_id;
        let said_at =
            written_at.or_else(|| matches!(message.content, Content::Moved { .. }).then_some(message.sent_at));
        Ok(self.clients.customers.touch(customer, number, &message.customer, written_at, said_at).await?)
    }

    /// What the bridge sent itself must not come back as an echo.
    async fn own(&self, message: &Message) -> Result<Option<Link>, BridgeError> {
        let Some(wamid) = &message.id else { return Ok(None) };
        Ok(self.clients.links.get(wamid).await?)
    }

    /// An earlier attempt wrote the echo before it could be told that it was one.
    async fn remove_copy(&self, record: &Record, message: &Message, own: &Link) -> Result<(), BridgeError> {
        let chatwoot = self.clients.chatwoot(own.account).await?;
        let copy = self.written(record, message, &chatwoot, own.conversation).await?;
        if let Some(copy) = copy.filter(|copy| copy.id != own.message) {
            chatwoot.delete_message(own.conversation, copy.id).await?;
        }
        Ok(())
    }

    async fn place_and_write(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        before: &Before,
    ) -> Result<(ConversationId, Written, Thread), BridgeError> {
        let customers = &self.clients.customers;
        let mut thread = self.touch(message, channel, customer).await?;
        if message.referral.is_some() && opens_window(message) {
            customers.came_by_advert(customer, &channel.phone_number_id, message.sent_at).await?;
        }
        let mut gone_before = false;
        loop {
            let conversation = self.conversation(record, chatwoot, channel, customer, &thread, message, before).await?;
            match self.write(record, message, channel, customer, chatwoot, conversation, before).await {
                Ok(written) => return Ok((conversation, written, thread)),
                // An agent deleted the conversation or the contact: a new one is found or made, once.
                Err(BridgeError::Chatwoot(ChatwootError::Gone)) if !gone_before => {
                    if Box::pin(self.was_deleted(message, channel, customer, &thread, chatwoot)).await? {
                        return Err(BridgeError::Erasing);
                    }
                    gone_before = true;
                    customers.unbind(customer, &channel.phone_number_id).await?;
                    (thread.contact, thread.conversation, thread.profile) = (None, None, None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that a message is written with")]
    async fn write(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        before: &Before,
    ) -> Result<Written, BridgeError> {
        let source = source_id(message);
        let mut rendered = render::render(message, self.clients.locale);
        if before.perhaps_done
            && let Some(found) = self.written(record, message, chatwoot, conversation).await?
        {
            let is_missing = found.files().is_empty() && !found.is_deleted() && !render::is_new_caption(message);
            let missing = rendered.file.filter(|_| is_missing && self.may_come(message));
            return Ok(Written { id: found.id, stood_since: found.created_at(), missing: missing.cloned() });
        }
        let quoted = self.quoted(rendered.quote, conversation).await?;
        if quoted.is_some() && render::is_new_caption(message) {
            // The file stands in the message it quotes.
            rendered.file = None;
        }
        let lost_quote = rendered.quote.is_some() && quoted.is_none();
        let text = |text: &str| {
            if lost_quote { render::with_lost_quote(message, text, self.clients.locale) } else { text.to_owned() }
        };
        let new = |content| NewMessage {
            content,
            incoming: message.author == Author::Customer && !rendered.note,
            private: rendered.note,
            source_id: Some(&source),
            attributes: attributes(message, &rendered, quoted),
            ..NewMessage::default()
        };
        let content = text(&rendered.text);
        let Some(file) = rendered.file else {
            let id = self.write_words(before, chatwoot, conversation, &rendered, &new, &content).await?;
            return Ok(Written::now(id, None));
        };
        // Written down before it is fetched, so that it is found at Meta whatever becomes of this.
        self.clients.media.received(customer, &channel.phone_number_id, &file.id).await?;
        let filed = if before.crashes < CRASHES_WITH_FILE && before.refusals < REFUSED {
            let began = Instant::now();
            match self.write_file(file, channel, chatwoot, conversation, new(&content)).await? {
                Filed::NotFetched if began.elapsed() < AT_ONCE => {
                    self.write_file(file, channel, chatwoot, conversation, new(&content)).await?
                }
                filed => filed,
            }
        } else {
            Filed::NotTaken(Line::MediaLater(file.kind))
        };
        let line = match filed {
            Filed::There(id) => return Ok(Written::now(id, None)),
            Filed::NotFetched => Line::MediaLater(file.kind),
            Filed::NotTaken(line) => line,
        };
        // What is too large for Chatwoot cannot come later.
        let later = self.may_come(message) && !matches!(line, Line::MediaTooLarge(_));
        let line = if later { line } else { last_word(line) };
        let content = text(&render::instead_of_file(&rendered, line, self.clients.locale));
        let id = chatwoot.create_message(conversation, new(&content)).await?;
        Ok(Written::now(id, later.then(|| file.clone())))
    }

    /// Whether a file that is missing may still come: Meta has it, and the message has an id under which it could be kept.
    fn may_come(&self, message: &Message) -> bool {
        message.id.is_some() && is_at_meta(message.sent_at, self.clients.clock.now())
    }

    /// A message without a file of the customer's; its cards may be one of ours.
    async fn write_words<'n>(
        &self,
        before: &Before,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        rendered: &Rendered<'_>,
        new: &impl Fn(&'n str) -> NewMessage<'n>,
        content: &'n str,
    ) -> Result<MessageId, BridgeError> {
        if !rendered.cards.is_empty() && before.refusals < REFUSED {
            let file = NewMessage { attachment: Some(card_file(rendered)), ..new(content) };
            match chatwoot.create_message(conversation, file).await {
                // The cards are in the text as well.
                Err(ChatwootError::Refused(413)) => {}
                made => return Ok(made?),
            }
        }
        Ok(chatwoot.create_message(conversation, new(content)).await?)
    }

    /// The message in a conversation, if an earlier attempt wrote it there.
    pub(crate) async fn written(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
    ) -> Result<Option<Listed>, BridgeError> {
        self.listed(record, message, chatwoot, conversation, &source_id(message)).await
    }

    async fn listed(
        &self,
        record: &Record,
        message: &Message,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        source: &str,
    ) -> Result<Option<Listed>, BridgeError> {
        // The first attempt may be older than this task: a repeat of Meta's, or put back from the dead letters.
        let since = record.sent_at.min(message.sent_at) - CLOCKS;
        let listed = chatwoot.messages(conversation, None, since).await?;
        Ok(listed.into_iter().find(|listed| listed.source_id.as_deref() == Some(source)))
    }

    /// The message with its file, or what the agent reads instead. Meta's trouble with a file never holds its message up.
    async fn write_file(
        &self,
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
        let filed = match error {
            _ if fetched.broken.is_set() => Filed::NotFetched,
            // Too large for the proxy before Chatwoot.
            ChatwootError::Refused(413) => Filed::NotTaken(Line::MediaTooLarge(file.kind)),
            // Not to Chatwoot's liking, or it takes nothing just now; then the line in words fails as well.
            ChatwootError::Refused(_) => Filed::NotTaken(Line::MediaRefused(file.kind)),
            // It may have been written all the same: only the next attempt, which looks first, may do anything about it. It is
            // counted as a refusal, since something on the way may cut large uploads off.
            ChatwootError::NoAnswer(source) => return Err(ChatwootError::CutOff(source).into()),
            // So is what goes wrong inside of Chatwoot with this file (§3.1: it also ends what takes 15 s), if it is well else.
            ChatwootError::Unwell(500..) if chatwoot.party(conversation).await.is_ok() => {
                return Err(ChatwootError::CutOff(None).into());
            }
            error => return Err(error.into()),
        };
        tracing::warn!("a customer's file does not get through");
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

    /// What is kept of a file that is still to come.
    fn missing(&self, record: &Record, message: &Message, link: &Link, file: &Media) -> MissingFile {
        let now = self.clients.clock.now();
        MissingFile {
            number: message.channel.clone(),
            item: message.item.clone(),
            wamid: link.wamid.clone(),
            customer: link.customer.clone(),
            account: link.account,
            conversation: link.conversation,
            placeholder: link.message,
            author: message.author,
            group: record.group.clone(),
            media: file.id.clone(),
            kind: file.kind,
            mime_type: file.mime_type.clone().filter(|mime_type| mime_type.len() <= LONGEST_TYPE),
            sent_at: message.sent_at.min(now),
            tries: 1,
            next_at: now + FIRST_GAP,
        }
    }

    /// Closes the claim. A message taken back before that is deleted first: it ends as if it had been taken back after.
    async fn close(
        &self,
        message: &Message,
        before: &Before,
        link: Option<Link>,
        missing: Option<MissingFile>,
        revoked: bool,
        chatwoot: &Chatwoot,
    ) -> Result<(), BridgeError> {
        let (counters, traces) = (&self.clients.counters, &self.clients.traces);
        let (number, held) = (message.channel.as_str(), &before.held);
        let Some(link) = link else { return Ok(counters.close(number, held, Fate::Done).await?) };
        let links = &self.clients.links;
        if revoked || !links.close_unless_revoked(&link, counters, traces, number, held, missing.as_ref()).await? {
            chatwoot.delete_message(link.conversation, link.message).await?;
            links.close(&link, counters, number, held).await?;
        }
        Ok(())
    }
}

/// What a line says when there is no later.
fn last_word(line: Line) -> Line {
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
