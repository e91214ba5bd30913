//! Fetches a file that could not be fetched with its message. `reconcile` queues a task for it as long as Meta keeps the
//! file. The file comes as a message of its own that quotes the line standing for it. No task waits behind it: what fails
//! is tried with the next task.

use std::sync::Arc;

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::ListedMessage};
use domain::{Author, Channel, MediaRetry, MessageId, Timestamp, channel::EchoForm};
use platform::Metric;
use queue::{Record, Verdict};
use serde_json::json;
use store::PendingFile;
use texts::NoteText;

use crate::Handler;

/// After this many receives the task is given up: its work crashes, and it holds up the customer's messages.
const MAX_RECEIVES: u32 = 3;

/// Larger files of a phone's past stay there: an import moves many.
const MAX_PAST_FILE_BYTES: u64 = 20 << 20;

/// The outcome of fetching a file.
enum Brought {
    There,
    NotYet,
    Never(NoteText),
}

/// A task to fetch a file.
pub(crate) struct MediaTask<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) retry: &'a MediaRetry,
}

/// A file that is not in Chatwoot yet, and what was written there since the line that stands for it.
struct MissingFile<'a> {
    handler: &'a Handler,
    file: PendingFile,
    channel: Arc<Channel>,
    chatwoot: Chatwoot,
    since: Vec<ListedMessage>,
}

impl<'a> MediaTask<'a> {
    pub(crate) async fn work_on(self, record: &Record) -> Verdict {
        if record.receives > MAX_RECEIVES {
            tracing::error!("fetching a file crashes each time; left to a later task");
            return Verdict::Done;
        }
        if let Err(error) = self.fetch().await {
            tracing::warn!(%error, "file left to the next task");
        }
        Verdict::Done
    }

    async fn fetch(&self) -> Result<(), HandlerError> {
        let Some(missing) = self.find().await? else { return Ok(()) };
        if missing.is_over().await? {
            self.handler.clients.pending_media.remove(&self.retry.channel, &self.retry.item).await?;
        }
        Ok(())
    }

    async fn find(&self) -> Result<Option<MissingFile<'a>>, HandlerError> {
        let Self { handler, retry } = self;
        let clients = &handler.clients;
        let Some(file) = clients.pending_media.get(&retry.channel, &retry.item).await? else { return Ok(None) };
        let Some(channel) = clients.channels.get(&retry.channel).await? else { return Ok(None) };
        let chatwoot = clients.chatwoot(file.account).await?;
        let since = match chatwoot.messages(file.conversation, Some(file.placeholder), file.sent_at).await {
            // An agent deleted the conversation, and the file with it.
            Err(ChatwootError::Gone) => {
                clients.pending_media.remove(&retry.channel, &retry.item).await?;
                return Ok(None);
            }
            listed => listed?,
        };
        Ok(Some(MissingFile { handler, file, channel, chatwoot, since }))
    }
}

impl MissingFile<'_> {
    /// Brings the file as far as it goes now. Tells whether nothing is to be done about it any more.
    async fn is_over(&self) -> Result<bool, HandlerError> {
        let Self { handler, file, .. } = self;
        let now = handler.clients.clock.now();
        // An earlier attempt may have done it without getting the answer.
        if let Some(there) = self.find(&source_id("file", file)) {
            self.follow_revocation(there.id).await?;
            return Ok(true);
        }
        if handler.clients.revocations.get(&file.wamid).await?.revoked {
            // The customer took the message back.
            return Ok(true);
        }
        if file.is_at_meta(now) {
            match self.bring().await? {
                Brought::There => {
                    handler.metrics.count(Metric::Forwarded);
                    return Ok(true);
                }
                Brought::Never(line) => {
                    let of_the_past = NoteText::MediaOnThePhone(file.kind);
                    self.note("file-never", if file.past.is_some() { of_the_past } else { line }).await?;
                    return Ok(true);
                }
                Brought::NotYet => {}
            }
        }
        match &file.past {
            None if file.is_last_day(now) => self.note("file-late", NoteText::MediaAskAgain(file.kind)).await?,
            Some(_) if !file.is_at_meta(now) => self.note("file-never", NoteText::MediaOnThePhone(file.kind)).await?,
            _ => {}
        }
        Ok(!file.is_at_meta(now))
    }

    async fn bring(&self) -> Result<Brought, HandlerError> {
        let Self { handler, file, channel, chatwoot, .. } = self;
        let fetched = match handler.fetch(channel, &file.media()).await {
            Ok(fetched) => fetched,
            Err(HandlerError::Graph(error)) => {
                tracing::warn!(%error, tries = file.tries, "a file still cannot be fetched");
                return Ok(Brought::NotYet);
            }
            Err(error) => return Err(error),
        };
        let mut attributes = json!({
            "external_created_at": Timestamp::as_secs(file.sent_at), "in_reply_to": file.placeholder,
        });
        let is_note = file.author == Author::Business && channel.echoes == EchoForm::Note;
        if file.past.is_none() && file.author == Author::Business && !is_note {
            attributes["external_echo"] = json!(true);
        }
        let size = fetched.attachment.size;
        if file.past.is_some() && size.is_some_and(|size| size > MAX_PAST_FILE_BYTES) {
            return Ok(Brought::Never(NoteText::MediaTooLarge(file.kind)));
        }
        let source = source_id("file", file);
        let message = NewMessage {
            content: file.past.as_ref().map_or("", |past| &past.title),
            // Nobody is to be told of the past.
            private: file.past.is_some() || is_note,
            quiet: file.past.is_some() && chatwoot.is_followed(file.conversation).await?,
            incoming: file.past.is_none() && file.author == Author::Customer,
            source_id: Some(&source),
            attributes,
            attachment: Some(fetched.attachment),
            ..NewMessage::default()
        };
        match chatwoot.create_message(file.conversation, message).await {
            Ok(id) => {
                self.follow_revocation(id).await?;
                Ok(Brought::There)
            }
            Err(_) if fetched.broken.is_set() => Ok(Brought::NotYet),
            Err(ChatwootError::Refused(413)) => Ok(Brought::Never(NoteText::MediaTooLarge(file.kind))),
            // If Chatwoot accepts no message at all just now, it refuses the note as well, and the file is not given up.
            Err(ChatwootError::Refused(_)) => Ok(Brought::Never(NoteText::MediaNotTaken(file.kind))),
            Err(error) => Err(error.into()),
        }
    }

    /// Links the file to its message, so that it is deleted with it; if that was taken back already, it is deleted now.
    async fn follow_revocation(&self, id: MessageId) -> Result<(), HandlerError> {
        let Self { handler, file, chatwoot, .. } = self;
        let revocations = &handler.clients.revocations;
        if revocations.follow(&file.wamid, &file.customer, file.conversation, id).await?.revoked {
            chatwoot.delete_message(file.conversation, id).await?;
        }
        Ok(())
    }

    /// Tells the agents once, by a grey line: a note would hide the customer's last words in the list of conversations.
    async fn note(&self, what: &str, line: NoteText) -> Result<(), HandlerError> {
        let file = &self.file;
        let source = source_id(what, file);
        if self.find(&source).is_some() {
            return Ok(());
        }
        let content = line.text(self.handler.clients.locale);
        let note = || NewMessage {
            content: &content,
            // A line of the past stays beside the notes that it is about.
            private: file.past.is_some(),
            source_id: Some(&source),
            attributes: json!({ "in_reply_to": file.placeholder }),
            ..NewMessage::default()
        };
        if file.past.is_some() {
            let chatwoot = &self.chatwoot;
            let made = if chatwoot.is_followed(file.conversation).await? {
                chatwoot.write_quietly(file.conversation, note).await
            } else {
                chatwoot.create_message(file.conversation, note()).await
            };
            return Ok(made.map(|_| ())?);
        }
        Ok(self.chatwoot.write_line(file.conversation, note).await.map(|_| ())?)
    }

    fn find(&self, source: &str) -> Option<&ListedMessage> {
        self.since.iter().find(|listed| listed.source_id.as_deref() == Some(source))
    }
}

fn source_id(what: &str, file: &PendingFile) -> String {
    format!("lmotos:{what}:{}", file.item)
}
