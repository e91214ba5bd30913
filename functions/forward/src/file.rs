//! A file that could not be fetched with its message. `reconcile` hints at it as long as Meta keeps it; it comes as a message
//! of its own that quotes the one standing for it. Nothing waits behind it: what fails is tried at the next hint.

use app::BridgeError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::Listed};
use domain::{Author, Channel, FileHint, MessageId, Timestamp, words::Line};
use platform::Metric;
use queue::{Record, Verdict};
use serde_json::json;
use store::MissingFile;

use crate::Forward;

/// After so many receives the work ends without a word, and holds up the customer's messages.
const RECEIVES: u32 = 3;

/// What came of asking for a file.
enum Brought {
    There,
    NotYet,
    Never(Line),
}

impl Forward {
    pub(crate) async fn file(&self, record: &Record, hint: &FileHint) -> Verdict {
        if record.receives > RECEIVES {
            tracing::error!("asking for a file ends without a word; it is left for later");
            return Verdict::Done;
        }
        let mut result = self.ask_for(hint).await;
        if result.as_ref().is_err_and(BridgeError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            result = self.ask_for(hint).await;
        }
        if let Err(error) = result {
            tracing::warn!(%error, "a file has to wait for the next hint");
        }
        Verdict::Done
    }

    async fn ask_for(&self, hint: &FileHint) -> Result<(), BridgeError> {
        let Some(file) = self.clients.files.get(&hint.channel, &hint.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&hint.channel).await? else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(file.account).await?;
        let over = || self.clients.files.remove(&hint.channel, &hint.item);
        let now = self.clients.clock.now();
        let since = match chatwoot.messages(file.conversation, Some(file.placeholder), file.sent_at).await {
            // An agent deleted the conversation, and the file with it.
            Err(ChatwootError::Gone) => return Ok(over().await?),
            listed => listed?,
        };
        // An earlier try may have done it without hearing so.
        if let Some(there) = find(&since, &source_id("file", &file)) {
            self.share_fate(&chatwoot, &file, there.id).await?;
            return Ok(over().await?);
        }
        if self.clients.traces.get(&file.wamid).await?.revoked {
            // Its writer took the message back.
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
            self.note(&chatwoot, &file, &since, "file-late", Line::MediaAskAgain(file.kind)).await?;
        }
        if !file.is_at_meta(now) {
            over().await?;
        }
        Ok(())
    }

    async fn bring(&self, chatwoot: &Chatwoot, channel: &Channel, file: &MissingFile) -> Result<Brought, BridgeError> {
        let fetched = match self.fetch(channel, &file.media()).await {
            Ok(fetched) => fetched,
            Err(BridgeError::Graph(error)) => {
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
            Err(ChatwootError::Refused(413)) => Ok(Brought::Never(Line::MediaTooLarge(file.kind))),
            // If Chatwoot takes no message at all just now, it refuses the note as well, and the file is not given up.
            Err(ChatwootError::Refused(_)) => Ok(Brought::Never(Line::MediaNotTaken(file.kind))),
            Err(error) => Err(error.into()),
        }
    }

    /// What becomes of the message becomes of its file.
    async fn share_fate(&self, chatwoot: &Chatwoot, file: &MissingFile, id: MessageId) -> Result<(), BridgeError> {
        let trace = self.clients.traces.follow(&file.wamid, &file.customer, file.conversation, id).await?;
        if trace.revoked {
            chatwoot.delete_message(file.conversation, id).await?;
        }
        Ok(())
    }

    /// Tells the agents, beside the message that stands for the file, and once.
    async fn note(
        &self,
        chatwoot: &Chatwoot,
        file: &MissingFile,
        since: &[Listed],
        what: &str,
        line: Line,
    ) -> Result<(), BridgeError> {
        let source = source_id(what, file);
        if find(since, &source).is_some() {
            return Ok(());
        }
        let content = line.say(self.clients.locale);
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

fn find<'l>(listed: &'l [Listed], source: &str) -> Option<&'l Listed> {
    listed.iter().find(|listed| listed.source_id.as_deref() == Some(source))
}

fn source_id(what: &str, file: &MissingFile) -> String {
    format!("lmotos:{what}:{}", file.item)
}
