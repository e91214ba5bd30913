//! Handles the agents' erasure label. The label on a conversation asks for the erasure of its customer; removed in time, it
//! withdraws the request.

use std::time::Duration;

use app::{HandlerError, brake};
use chatwoot::{
    Chatwoot, ChatwootError, NewMessage,
    listing::{ListedKind, ListedMessage},
};
use domain::{
    ConfirmationCode, SyncRequest,
    erasure::{Evidence, EvidenceAct, RequestSource},
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

/// How old Chatwoot's line about the label may be.
const LINE_MAX_AGE: Duration = Duration::from_secs(2 * 86_400);

const MINUTE: Duration = Duration::from_secs(60);

/// A change of the labels of a conversation.
pub(crate) struct LabelChange<'h> {
    handler: &'h Handler,
    record: &'h Record,
    sync: &'h SyncRequest,
    chatwoot: Chatwoot,
}

impl<'h> LabelChange<'h> {
    /// Reads the labels of a conversation now: the callback about their change may be late.
    pub(crate) async fn read(
        handler: &'h Handler,
        record: &'h Record,
        sync: &'h SyncRequest,
    ) -> Result<(), HandlerError> {
        let chatwoot = handler.clients.chatwoot(sync.account).await?;
        let Some(labels) = chatwoot.labels(sync.conversation).await? else { return Ok(()) };
        let subject = app::resolve_data_subject(&handler.clients, &chatwoot, sync).await?;
        let Some(mut subject) = subject else { return Ok(()) };
        // An agent belongs to this dealer, and cannot ask for any other.
        subject.only = Some(sync.account);
        let change = Self { handler, record, sync, chatwoot };
        if is_on(&labels) {
            subject.labels.insert((sync.account, sync.conversation));
            change.labeled(subject).await
        } else {
            change.unlabeled(subject).await
        }
    }

    async fn labeled(&self, subject: DataSubject) -> Result<(), HandlerError> {
        let Self { handler, record, sync, .. } = self;
        let (clients, requests) = (&handler.clients, &handler.requests);
        let asked = requests.ask(RequestSource::Agent, subject, clients.clock.now()).await?;
        let erasure = &asked.entry.erasure;
        let code = erasure.code();
        if asked.is_new {
            handler.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %code, source = ?erasure.source(), "an erasure was asked for");
        }
        if erasure.source() != RequestSource::Agent || !erasure.is_unconfirmed() {
            return Ok(());
        }
        // A second conversation of theirs has the label: the request stands until it is removed from the last of them.
        if let Some(mut known) = clients.erasures.data_subject(code).await?
            && known.labels.insert((sync.account, sync.conversation))
        {
            // Another writer in between may have extended the request to all accounts.
            let saved = clients.erasures.save_about(&asked.entry, erasure.clone(), Some(&known)).await?;
            saved.map_err(|_| HandlerError::Busy(CONTENTION_DELAY))?;
        }
        let is_witnessed = erasure.evidence().iter().any(|known| known.act == EvidenceAct::Labeled);
        if !is_witnessed {
            let current = clients.erasures.get(code).await?.unwrap_or_else(|| asked.entry.clone());
            let evidence = self.evidence().await;
            requests.witness(current, Some(&evidence)).await?;
        }
        // An earlier attempt may have crashed before it queued the task and wrote the note: doing both again does no harm,
        // and a missing task is a day's delay.
        let claim = clients.key.item(["labeled", code.as_str()]);
        if let Claim::Won(held) | Claim::Retaken { guard: held, .. } = clients.claims.take(&claim, &record.id).await? {
            handler.erasures.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
            let hours = requests.deadlines().confirm_hours;
            self.note(ErasureNotice::Labeled { hours, code: code.as_str() }).await?;
            clients.claims.park(&held).await?;
        }
        Ok(())
    }

    /// Who put the label on, as far as Chatwoot tells: its line about that has the label's name and the agent's, and no id. If
    /// that cannot be read, the request is not held up.
    async fn evidence(&self) -> Evidence {
        let SyncRequest { account, conversation, .. } = *self.sync;
        let at = self.handler.clients.clock.now();
        let found = async {
            let listed = self.chatwoot.messages(conversation, None, at - LINE_MAX_AGE).await?;
            let of_label =
                |one: &&ListedMessage| one.kind() == ListedKind::Activity && one.text().contains(ERASURE_LABEL);
            let Some(line) = listed.iter().rev().find(of_label) else { return Ok(None) };
            let agents = self.chatwoot.agents().await?.into_iter();
            let named = agents.filter(|agent| !agent.name.is_empty() && line.text().contains(&agent.name));
            // A longer name may have a shorter one in it.
            let agent = named.max_by_key(|agent| agent.name.len()).map(|agent| agent.id);
            Ok::<_, ChatwootError>(Some((line.id, agent)))
        };
        let line = match found.await {
            Ok(Some((line, Some(agent)))) => format!(", line {line}, agent {agent}"),
            Ok(Some((line, None))) => format!(", line {line}, no agent"),
            Ok(None) => String::new(),
            Err(error) => {
                tracing::warn!(%error, "the agent who put a label on is not known");
                String::new()
            }
        };
        Evidence {
            act: EvidenceAct::Labeled,
            at,
            trace: format!("account {account}, conversation {conversation}{line}"),
        }
    }

    async fn unlabeled(&self, subject: DataSubject) -> Result<(), HandlerError> {
        let Self { handler, sync, .. } = self;
        let Some(entry) = handler.requests.open_about(&subject).await? else { return Ok(()) };
        let erasure = entry.erasure.clone();
        if erasure.source() != RequestSource::Agent || !erasure.is_unconfirmed() {
            return Ok(());
        }
        let known = handler.clients.erasures.data_subject(erasure.code()).await?.ok_or(StoreError::Missing)?;
        if !known.labels.contains(&(sync.account, sync.conversation)) || !handler.was_unlabeled(erasure.code()).await? {
            // The label is on another of their conversations.
            return Ok(());
        }
        // Also where the hours to withdraw it have just passed: it has not begun, and its task would find the label gone.
        let withdrawn = erasure.withdraw(handler.clients.clock.now())?;
        handler.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %entry.erasure.code(), "an erasure was withdrawn");
        self.note(ErasureNotice::Unlabeled).await
    }

    /// Whether automation rules set the label and remove it again in answer to our notes.
    async fn is_too_much(&self) -> Result<bool, HandlerError> {
        let since = self.handler.clients.clock.now() - MINUTE;
        let listed = match self.chatwoot.messages(self.sync.conversation, None, since).await {
            Err(ChatwootError::Gone) => return Ok(false),
            listed => listed?,
        };
        let is_note = |one: &&ListedMessage| {
            one.source_id.as_deref().is_some_and(|id| id.starts_with(NOTE_SOURCE_PREFIX))
                && one.created_at().is_none_or(|at| at > since)
        };
        Ok(listed.iter().filter(is_note).count() >= MAX_NOTES_PER_MINUTE)
    }

    async fn note(&self, notice: ErasureNotice<'_>) -> Result<(), HandlerError> {
        let clients = &self.handler.clients;
        let SyncRequest { account, conversation, .. } = *self.sync;
        if self.is_too_much().await? {
            return brake(clients, &self.chatwoot, account, conversation).await;
        }
        let content = notice.text(clients.locale);
        let source = format!("{NOTE_SOURCE_PREFIX}{}", Uuid::new_v4());
        let note = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
        if let Err(error) = self.chatwoot.create_message(conversation, note).await {
            // The request stands whether the agents can read the note or not.
            tracing::warn!(%error, "note about an erasure label not written");
        }
        Ok(())
    }
}

impl Handler {
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
}

fn is_on(labels: &[String]) -> bool {
    labels.iter().any(|label| label == ERASURE_LABEL)
}

#[cfg(test)]
mod tests;
