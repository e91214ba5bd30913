//! Handles the agents' erasure label. The label on a conversation asks for the erasure of its customer; removed in time, it
//! withdraws the request.

use std::time::Duration;

use app::{HandlerError, brake};
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::ListedMessage};
use domain::{
    ConfirmationCode, ConversationId, SyncRequest,
    erasure::{ErasureState, RequestSource},
    keyed_hash::HashKind,
};
use platform::Metric;
use queue::Record;
use store::{Claim, DataSubject, StoreError};
use texts::deletion::ErasureNotice;
use uuid::Uuid;

use crate::{CONTENTION_DELAY, Handler};

/// The label an agent puts on a conversation.
const ERASURE_LABEL: &str = app::ERASE_LABEL;

/// The prefix of the source id of notes about the label.
const NOTE_SOURCE_PREFIX: &str = "lmotos:label:";

/// No agent changes their mind so often in a minute.
const MAX_NOTES_PER_MINUTE: usize = 6;

const MINUTE: Duration = Duration::from_secs(60);

impl Handler {
    /// Reads the labels of a conversation now: the callback about their change may be late.
    pub(crate) async fn labels(&self, record: &Record, sync: &SyncRequest) -> Result<(), HandlerError> {
        let chatwoot = self.clients.chatwoot(sync.account).await?;
        let Some(labels) = chatwoot.labels(sync.conversation).await? else { return Ok(()) };
        let Some(mut target) = app::resolve_data_subject(&self.clients, &chatwoot, sync).await? else { return Ok(()) };
        // An agent belongs to this dealer, and cannot ask for any other.
        target.only = Some(sync.account);
        if is_on(&labels) {
            target.labels.insert((sync.account, sync.conversation));
            self.labeled(record, &chatwoot, sync, target).await
        } else {
            self.unlabeled(&chatwoot, sync, target).await
        }
    }

    async fn labeled(
        &self,
        record: &Record,
        chatwoot: &Chatwoot,
        sync: &SyncRequest,
        subject: DataSubject,
    ) -> Result<(), HandlerError> {
        let asked = self.requests.ask(RequestSource::Agent, subject, self.clients.clock.now()).await?;
        let erasure = &asked.entry.erasure;
        let code = &erasure.code;
        if asked.is_new {
            self.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %code, door = ?erasure.door, "an erasure was asked for");
        }
        if erasure.door != RequestSource::Agent || !matches!(erasure.state, ErasureState::Received { .. }) {
            return Ok(());
        }
        // A second conversation of theirs has the label: the request stands until it is removed from the last of them.
        if let Some(mut known) = self.clients.erasures.data_subject(code).await?
            && known.labels.insert((sync.account, sync.conversation))
        {
            // Another writer in between may have extended the request to all accounts.
            let saved = self.clients.erasures.save_about(&asked.entry, erasure.clone(), Some(&known)).await?;
            saved.map_err(|_| HandlerError::Busy(CONTENTION_DELAY))?;
        }
        // An earlier attempt may have crashed before it queued the task and wrote the note: doing both again does no harm,
        // and a missing task is a day's delay.
        let claim = self.clients.key.subject_of_all(HashKind::Item, ["labeled", code.as_str()]);
        if let Claim::Won(held) | Claim::Retaken { guard: held, .. } =
            self.clients.claims.take(&claim, &record.id).await?
        {
            self.erasures.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
            let hours = self.requests.deadlines().confirm_hours;
            self.say(chatwoot, sync, ErasureNotice::Labeled { hours, code: code.as_str() }).await?;
            self.clients.claims.park(&held).await?;
        }
        Ok(())
    }

    async fn unlabeled(
        &self,
        chatwoot: &Chatwoot,
        sync: &SyncRequest,
        subject: DataSubject,
    ) -> Result<(), HandlerError> {
        let Some(entry) = self.requests.open_about(&subject).await? else { return Ok(()) };
        let erasure = entry.erasure.clone();
        if erasure.door != RequestSource::Agent || !matches!(erasure.state, ErasureState::Received { .. }) {
            return Ok(());
        }
        let known = self.clients.erasures.data_subject(&erasure.code).await?.ok_or(StoreError::Missing)?;
        if !known.labels.contains(&(sync.account, sync.conversation)) || !self.was_unlabeled(&erasure.code).await? {
            // The label is on another of their conversations.
            return Ok(());
        }
        let Ok(withdrawn) = erasure.at(self.clients.clock.now()).withdraw(self.clients.clock.now()) else {
            return Ok(());
        };
        self.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %entry.erasure.code, "an erasure was withdrawn");
        self.say(chatwoot, sync, ErasureNotice::Unlabeled).await
    }

    /// Whether the label of a request was removed from each conversation that had it.
    pub(crate) async fn was_unlabeled(&self, code: &ConfirmationCode) -> Result<bool, HandlerError> {
        let subject = self.clients.erasures.data_subject(code).await?.ok_or(StoreError::Missing)?;
        for (account, conversation) in &subject.labels {
            match self.clients.chatwoot(*account).await?.labels(*conversation).await? {
                Some(labels) if !is_on(&labels) => {}
                // A conversation that is gone speaks for the erasure, and not against it.
                _ => return Ok(false),
            }
        }
        Ok(!subject.labels.is_empty())
    }

    /// Whether automation rules set the label and remove it again in answer to our notes.
    async fn is_too_much(&self, chatwoot: &Chatwoot, conversation: ConversationId) -> Result<bool, HandlerError> {
        let since = self.clients.clock.now() - MINUTE;
        let listed = match chatwoot.messages(conversation, None, since).await {
            Err(ChatwootError::Gone) => return Ok(false),
            listed => listed?,
        };
        let is_said = |one: &&ListedMessage| {
            one.source_id.as_deref().is_some_and(|id| id.starts_with(NOTE_SOURCE_PREFIX))
                && one.created_at().is_none_or(|at| at > since)
        };
        Ok(listed.iter().filter(is_said).count() >= MAX_NOTES_PER_MINUTE)
    }

    async fn say(
        &self,
        chatwoot: &Chatwoot,
        sync: &SyncRequest,
        notice: ErasureNotice<'_>,
    ) -> Result<(), HandlerError> {
        let conversation = sync.conversation;
        if self.is_too_much(chatwoot, conversation).await? {
            return brake(&self.clients, &self.metrics, chatwoot, sync.account, conversation).await;
        }
        let content = notice.text(self.clients.locale);
        let source = format!("{NOTE_SOURCE_PREFIX}{}", Uuid::new_v4());
        let note = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
        match chatwoot.create_message(conversation, note).await {
            Ok(_) => Ok(()),
            // The request stands whether the agents can read the note or not.
            Err(error) => {
                tracing::warn!(%error, "the agents do not read what became of a label");
                Ok(())
            }
        }
    }
}

fn is_on(labels: &[String]) -> bool {
    labels.iter().any(|label| label == ERASURE_LABEL)
}
