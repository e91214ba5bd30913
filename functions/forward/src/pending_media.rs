//! Fetches a file that could not be fetched with its message. `reconcile` queues a task for it as long as Meta keeps the
//! file. The file comes as a message of its own that quotes the line standing for it. No task waits behind it: what fails
//! is tried with the next task.

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::ListedMessage};
use domain::{Author, Channel, MediaRetry, MessageId, Timestamp};
use platform::Metric;
use queue::{Record, Verdict};
use serde_json::json;
use store::PendingFile;
use texts::NoteText;

use crate::Handler;

/// After this many receives the task is given up: its work crashes, and it holds up the customer's messages.
const MAX_RECEIVES: u32 = 3;

/// The outcome of fetching a file.
enum Brought {
    There,
    NotYet,
    Never(NoteText),
}

impl Handler {
    pub(crate) async fn file(&self, record: &Record, retry: &MediaRetry) -> Verdict {
        if record.receives > MAX_RECEIVES {
            tracing::error!("asking for a file ends without a word; it is left for later");
            return Verdict::Done;
        }
        let mut result = self.ask_for(retry).await;
        if result.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            result = self.ask_for(retry).await;
        }
        if let Err(error) = result {
            tracing::warn!(%error, "a file has to wait for the next hint");
        }
        Verdict::Done
    }

    async fn ask_for(&self, retry: &MediaRetry) -> Result<(), HandlerError> {
        let Some(file) = self.clients.pending_media.get(&retry.channel, &retry.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&retry.channel).await? else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(file.account).await?;
        let over = || self.clients.pending_media.remove(&retry.channel, &retry.item);
        let now = self.clients.clock.now();
        let since = match chatwoot.messages(file.conversation, Some(file.placeholder), file.sent_at).await {
            // An agent deleted the conversation, and the file with it.
            Err(ChatwootError::Gone) => return Ok(over().await?),
            listed => listed?,
        };
        // An earlier attempt may have done it without getting the answer.
        if let Some(there) = find(&since, &source_id("file", &file)) {
            self.share_fate(&chatwoot, &file, there.id).await?;
            return Ok(over().await?);
        }
        if self.clients.revocations.get(&file.wamid).await?.revoked {
            // The customer took the message back.
            return Ok(over().await?);
        }
        if file.is_at_meta(now) {
            match self.bring(&chatwoot, &channel, &file).await? {
                Brought::There => {
                    self.metrics.count(Metric::Forwarded);
                    return Ok(over().await?);
                }
                Brought::Never(line) => {
                    self.note(&chatwoot, &file, &since, "file-never", line).await?;
                    return Ok(over().await?);
                }
                Brought::NotYet => {}
            }
        }
        if file.is_last_day(now) {
            self.note(&chatwoot, &file, &since, "file-late", NoteText::MediaAskAgain(file.kind)).await?;
        }
        if !file.is_at_meta(now) {
            over().await?;
        }
        Ok(())
    }

    async fn bring(&self, chatwoot: &Chatwoot, channel: &Channel, file: &PendingFile) -> Result<Brought, HandlerError> {
        let fetched = match self.fetch(channel, &file.media()).await {
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
        if file.author == Author::Business {
            attributes["external_echo"] = json!(true);
        }
        let source = source_id("file", file);
        let message = NewMessage {
            incoming: file.author == Author::Customer,
            source_id: Some(&source),
            attributes,
            attachment: Some(fetched.attachment),
            ..NewMessage::default()
        };
        match chatwoot.create_message(file.conversation, message).await {
            Ok(id) => {
                self.share_fate(chatwoot, file, id).await?;
                Ok(Brought::There)
            }
            Err(_) if fetched.broken.is_set() => Ok(Brought::NotYet),
            Err(ChatwootError::Refused(413)) => Ok(Brought::Never(NoteText::MediaTooLarge(file.kind))),
            // If Chatwoot accepts no message at all just now, it refuses the note as well, and the file is not given up.
            Err(ChatwootError::Refused(_)) => Ok(Brought::Never(NoteText::MediaNotTaken(file.kind))),
            Err(error) => Err(error.into()),
        }
    }

    /// Applies the outcome of the message to its file.
    async fn share_fate(&self, chatwoot: &Chatwoot, file: &PendingFile, id: MessageId) -> Result<(), HandlerError> {
        let trace = self.clients.revocations.follow(&file.wamid, &file.customer, file.conversation, id).await?;
        if trace.revoked {
            chatwoot.delete_message(file.conversation, id).await?;
        }
        Ok(())
    }

    /// Tells the agents, in reply to the line that stands for the file, and once.
    async fn note(
        &self,
        chatwoot: &Chatwoot,
        file: &PendingFile,
        since: &[ListedMessage],
        what: &str,
        line: NoteText,
    ) -> Result<(), HandlerError> {
        let source = source_id(what, file);
        if find(since, &source).is_some() {
            return Ok(());
        }
        let content = line.text(self.clients.locale);
        let note = NewMessage {
            content: &content,
            private: true,
            source_id: Some(&source),
            attributes: json!({ "in_reply_to": file.placeholder }),
            ..NewMessage::default()
        };
        Ok(chatwoot.create_message(file.conversation, note).await.map(|_| ())?)
    }
}

fn find<'l>(listed: &'l [ListedMessage], source: &str) -> Option<&'l ListedMessage> {
    listed.iter().find(|listed| listed.source_id.as_deref() == Some(source))
}

fn source_id(what: &str, file: &PendingFile) -> String {
    format!("lmotos:{what}:{}", file.item)
}
