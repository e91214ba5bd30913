//! Writes a message into its conversation, and finds it there again. It is written as text, as a file, or as a line that
//! stands for the file.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{
    Attachment, Chatwoot, ChatwootError, NewMessage,
    listing::ListedMessage,
    render::{self, Rendered},
};
use domain::{
    Author, Channel, Content, ConversationId, Message, MessageId, Timestamp, Wamid, channel::EchoForm, message::Media,
    vcard,
};
use queue::Record;
use serde_json::json;
use store::{MIN_RETRY_GAP, MessageLink, PendingFile, is_at_meta};
use texts::{NoteText, inbound::InboundText};
use whatsapp::graph::file_timeout;

use super::{FoundConversation, MessageContext, contact_sync::advert_attribute, link_id};

/// A file that fails within this time is fetched a second time before a line stands for it.
const FIRST_ATTEMPT_SPAN: Duration = Duration::from_secs(5);

/// How many attempts on a message may crash before it goes without its file.
const MAX_CRASHES_WITH_FILE: i64 = 3;

/// How often a file's upload may break off, or be refused by Chatwoot, before the agent gets the message without it.
const MAX_FILE_REFUSALS: i64 = 3;

/// A media type longer than this is ignored.
const MAX_TYPE_LENGTH: usize = 100;

/// A message cannot have been written before its task was; this much tolerance is for the clocks.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(600);

/// What was written into the conversation. Only writing it makes one.
pub(crate) struct Written {
    pub(super) id: MessageId,
    /// When an earlier attempt wrote it.
    pub(super) stood_since: Option<Timestamp>,
    /// The file for which only a line stands, and which is still to come.
    pub(super) missing: Option<Media>,
    pub(super) whose: Whose,
    _by_write: (),
}

/// A message that is in Chatwoot.
pub(crate) struct CreatedMessage<'c> {
    pub(crate) found: FoundConversation<'c>,
    pub(super) written: Written,
}

impl<'c> CreatedMessage<'c> {
    pub(super) fn new(found: FoundConversation<'c>, written: Written) -> Self {
        Self { found, written }
    }

    pub(crate) fn context(&self) -> &'c MessageContext<'c> {
        self.found.context
    }
}

/// What Chatwoot's answer says about whose a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The customer's.
    Theirs,
    /// Chatwoot no longer knows.
    Nobodys,
    /// Not said: it is not a message of the customer's, or an earlier attempt got the answer.
    Untold,
}

impl Written {
    fn now(made: chatwoot::CreatedMessage, incoming: bool, missing: Option<Media>) -> Self {
        let whose = match made.has_sender {
            _ if !incoming => Whose::Untold,
            true => Whose::Theirs,
            false => Whose::Nobodys,
        };
        Self { id: made.id, stood_since: None, missing, whose, _by_write: () }
    }
}

/// The outcome of a message's file.
enum FileOutcome {
    /// It is in Chatwoot, in this message.
    There(chatwoot::CreatedMessage),
    /// Meta did not deliver it whole. Certainly nothing of it is in Chatwoot.
    NotFetched,
    /// Chatwoot did not accept it. A line has to stand for it.
    NotTaken(NoteText),
}

impl FoundConversation<'_> {
    /// Writes the message, unless an earlier attempt did.
    pub(super) async fn write(&self) -> Result<Written, HandlerError> {
        let MessageContext { attempt, channel, customer, chatwoot, .. } = self.context;
        let (message, clients) = (self.context.shown(), &self.context.handler().clients);
        let source = source_id(message);
        let mut rendered = render::render(message, clients.locale);
        if attempt.outcome_unknown
            && let Some(found) = find_written(attempt.record, message, chatwoot, self.id).await?
        {
            let is_missing = found.files().is_empty() && !found.is_deleted() && !render::is_new_caption(message);
            let missing = rendered.file.filter(|_| is_missing && self.may_come());
            return Ok(Written {
                id: found.id,
                stood_since: found.created_at(),
                missing: missing.cloned(),
                whose: Whose::Untold,
                _by_write: (),
            });
        }
        if is_echo_note(channel, message) && !rendered.line {
            if !rendered.note {
                let words = InboundText::OnThePhone.text(clients.locale);
                rendered.text = if rendered.text.is_empty() { words } else { format!("{words}\n{}", rendered.text) };
            }
            rendered.note = true;
        }
        let quoted = self.quoted(rendered.quote).await?;
        if quoted.is_some() && render::is_new_caption(message) {
            // The file is in the message it quotes.
            rendered.file = None;
        }
        let lost_quote = rendered.quote.is_some() && quoted.is_none();
        let text = |text: &str| {
            if lost_quote { render::with_lost_quote(message, text, clients.locale) } else { text.to_owned() }
        };
        let incoming = message.author == Author::Customer && !rendered.note;
        let new = |content| NewMessage {
            content,
            incoming,
            private: rendered.note && !rendered.line,
            line: rendered.line,
            source_id: Some(&source),
            attributes: attributes(message, &rendered, quoted),
            ..NewMessage::default()
        };
        let content = text(&rendered.text);
        let Some(file) = rendered.file else {
            let made = self.write_words(&rendered, &new, &content).await?;
            return Ok(Written::now(made, incoming, None));
        };
        // Stored before it is fetched, so that the file can be found at Meta whatever happens to this attempt.
        let link = link_id(message).map(|wamid| clients.message_links.hash(&wamid));
        clients.media.received(customer, &channel.phone_number_id, &file.id, message.sent_at, link).await?;
        let filed = if attempt.crashes < MAX_CRASHES_WITH_FILE && attempt.refusals < MAX_FILE_REFUSALS {
            let began = self.context.now();
            match self.write_file(file, new(&content)).await? {
                FileOutcome::NotFetched if self.context.now().since(began) < FIRST_ATTEMPT_SPAN => {
                    self.write_file(file, new(&content)).await?
                }
                filed => filed,
            }
        } else {
            FileOutcome::NotTaken(NoteText::MediaLater(file.kind))
        };
        let line = match filed {
            FileOutcome::There(made) => return Ok(Written::now(made, incoming, None)),
            FileOutcome::NotFetched => NoteText::MediaLater(file.kind),
            FileOutcome::NotTaken(line) => line,
        };
        // A file too large for Chatwoot cannot come later.
        let later = self.may_come() && !matches!(line, NoteText::MediaTooLarge(_));
        let line = if later { line } else { last_word(line) };
        let content = text(&render::instead_of_file(&rendered, line, clients.locale));
        let made = chatwoot.write_message(self.id, new(&content)).await?;
        Ok(Written::now(made, incoming, later.then(|| file.clone())))
    }

    /// Whether a missing file may still come: Meta has it, and the message has an id under which it can be stored.
    fn may_come(&self) -> bool {
        let message = self.context.shown();
        let has_id = message.id.is_some() || message.part_of.is_some();
        has_id && is_at_meta(message.sent_at, self.context.now())
    }

    /// Writes a message that has no file of the customer's; its cards may be a file of ours.
    async fn write_words<'n>(
        &self,
        rendered: &Rendered<'_>,
        new: &impl Fn(&'n str) -> NewMessage<'n>,
        content: &'n str,
    ) -> Result<chatwoot::CreatedMessage, HandlerError> {
        let chatwoot = &self.context.chatwoot;
        if !rendered.cards.is_empty() && self.context.attempt.refusals < MAX_FILE_REFUSALS {
            let file = NewMessage { attachment: Some(card_file(rendered)), ..new(content) };
            match chatwoot.write_message(self.id, file).await {
                // The cards are in the text as well.
                Err(ChatwootError::Refused(413)) => {}
                made => return Ok(made?),
            }
        }
        if rendered.line {
            return Ok(chatwoot.write_line(self.id, || new(content)).await?);
        }
        Ok(chatwoot.write_message(self.id, new(content)).await?)
    }

    /// Writes the message with its file, or what the agent reads instead. A failure of Meta's with a file never holds its
    /// message up.
    async fn write_file(&self, file: &Media, new: NewMessage<'_>) -> Result<FileOutcome, HandlerError> {
        let MessageContext { channel, chatwoot, .. } = self.context;
        let conversation = self.id;
        let (mut wanted, mut is_token_renewed) = (file.clone(), false);
        let (error, broken) = loop {
            let fetched = match self.context.handler().fetch(channel, &wanted).await {
                Ok(fetched) => fetched,
                Err(HandlerError::Graph(error)) => {
                    tracing::warn!(%error, "a customer's file cannot be fetched");
                    return Ok(FileOutcome::NotFetched);
                }
                Err(error) => return Err(error),
            };
            let (attributes, template) = (new.attributes.clone(), new.template.clone());
            let with_file = NewMessage { attributes, template, attachment: Some(fetched.attachment), ..new };
            let error = match chatwoot.write_message(conversation, with_file).await {
                Ok(made) => return Ok(FileOutcome::There(made)),
                Err(ChatwootError::TokenRenewed) if !is_token_renewed => {
                    is_token_renewed = true;
                    continue;
                }
                Err(error) => error,
            };
            match fetched.broken.doubted().filter(|_| wanted.sha256 == file.sha256) {
                Some(digest) => {
                    tracing::warn!(
                        "a file is not what its webhook says, and Meta does not say; it is fetched once more"
                    );
                    wanted.sha256 = Some(digest);
                }
                None => break (error, fetched.broken),
            }
        };
        let filed = match error {
            _ if broken.is_set() => FileOutcome::NotFetched,
            // Too large for the proxy before Chatwoot.
            ChatwootError::Refused(413) => FileOutcome::NotTaken(NoteText::MediaTooLarge(file.kind)),
            // Chatwoot refuses this file, or accepts nothing just now; in that case the line of text fails as well.
            ChatwootError::Refused(_) => FileOutcome::NotTaken(NoteText::MediaRefused(file.kind)),
            // It may have been written all the same: only the next attempt, which searches first, may act on it. It is
            // counted as a refusal, since something on the way may cut large uploads off.
            ChatwootError::NoAnswer(source) => return Err(ChatwootError::CutOff(source).into()),
            // So is an internal failure of Chatwoot with this file (§3.1: it also ends what takes 15 s), if Chatwoot works
            // otherwise.
            ChatwootError::Unwell(500..) if chatwoot.party(conversation).await.is_ok() => {
                return Err(ChatwootError::CutOff(None).into());
            }
            error => return Err(error.into()),
        };
        tracing::warn!("a customer's file does not get through");
        Ok(filed)
    }

    /// Gives the Chatwoot message a quote points to, if it is in this conversation.
    async fn quoted(&self, quote: Option<&Wamid>) -> Result<Option<MessageId>, HandlerError> {
        let Some(wamid) = quote else { return Ok(None) };
        let link = self.context.handler().clients.message_links.get(wamid).await?;
        Ok(link.filter(|link| link.conversation == self.id).map(|link| link.message))
    }
}

impl CreatedMessage<'_> {
    /// Gives what is stored of a file that is still to come.
    pub(super) fn pending_file(&self, link: &MessageLink, file: &Media) -> PendingFile {
        let MessageContext { attempt, message, .. } = self.context();
        let now = self.context().now();
        PendingFile {
            number: message.channel.clone(),
            item: message.item.clone(),
            // A form's file is deleted when the form is taken back.
            wamid: message.part_of.clone().unwrap_or_else(|| link.wamid.clone()),
            customer: link.customer.clone(),
            account: link.account,
            conversation: link.conversation,
            placeholder: link.message,
            author: message.author,
            group: attempt.record.group.as_str().into(),
            media: file.id.clone(),
            kind: file.kind,
            mime_type: file.mime_type.clone().filter(|mime_type| mime_type.len() <= MAX_TYPE_LENGTH),
            sent_at: message.sent_at.min(now),
            past: None,
            tries: 1,
            next_at: now + MIN_RETRY_GAP,
        }
    }
}

/// Gives the message in a conversation, if an earlier attempt wrote it there.
pub(super) async fn find_written(
    record: &Record,
    message: &Message,
    chatwoot: &Chatwoot,
    conversation: ConversationId,
) -> Result<Option<ListedMessage>, ChatwootError> {
    find_listed(record, message, chatwoot, conversation, &source_id(message)).await
}

/// Gives what an earlier attempt on a message wrote into a conversation under a source id.
pub(super) async fn find_listed(
    record: &Record,
    message: &Message,
    chatwoot: &Chatwoot,
    conversation: ConversationId,
    source: &str,
) -> Result<Option<ListedMessage>, ChatwootError> {
    // The first attempt may be older than this task: a repeat of Meta's, or a redrive from the dead letters.
    let since = record.sent_at.min(message.sent_at) - MAX_CLOCK_SKEW;
    let listed = chatwoot.messages(conversation, None, since).await?;
    Ok(listed.into_iter().find(|listed| listed.source_id.as_deref() == Some(source)))
}

/// Gives the text of a line when the file will not come later.
fn last_word(line: NoteText) -> NoteText {
    match line {
        NoteText::MediaLater(kind) => NoteText::MediaMissing(kind),
        NoteText::MediaRefused(kind) => NoteText::MediaNotTaken(kind),
        other => other,
    }
}

/// Whether agents see this as a note because it was written on the shop's phone.
pub(crate) fn is_echo_note(channel: &Channel, message: &Message) -> bool {
    message.author == Author::Business && !message.standby && channel.echoes == EchoForm::Note
}

/// Gives the id under which Chatwoot keeps the message: Meta's, or our own where Meta gives none.
pub(super) fn source_id(message: &Message) -> String {
    message.id.as_ref().map_or_else(|| format!("lmotos:{}", message.item), |id| id.as_str().to_owned())
}

fn attributes(message: &Message, rendered: &Rendered<'_>, quoted: Option<MessageId>) -> serde_json::Value {
    let mut attributes = serde_json::Map::new();
    attributes.insert("external_created_at".to_owned(), json!(Timestamp::as_secs(message.sent_at)));
    if let Some(quoted) = quoted {
        attributes.insert("in_reply_to".to_owned(), json!(quoted));
    }
    if let Some(referral) = &message.referral {
        attributes.insert("referral".to_owned(), advert_attribute(referral));
    }
    if message.author == Author::Business && !rendered.note {
        attributes.insert("external_echo".to_owned(), json!(true));
    }
    if message.standby {
        attributes.insert("standby".to_owned(), json!(true));
    }
    attributes.extend(ids(&message.content));
    attributes.into()
}

/// Gives the ids by which the business's systems know a choice, a form or a cart; agents do not see them in the text.
fn ids(content: &Content) -> Option<(String, serde_json::Value)> {
    let (name, id) = match content {
        Content::Choice { id, .. } => ("choice_id", id),
        Content::Form { id, .. } => ("flow_token", id),
        Content::Order { catalog, .. } => ("catalog_id", catalog),
        _ => return None,
    };
    id.as_ref().map(|id| (name.to_owned(), json!(id)))
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

#[cfg(test)]
mod tests;
