//! The agents' door: a label on a conversation asks for the erasure of whoever it is with; taken away in time, it was not meant.

use std::time::Duration;

use app::{BridgeError, brake};
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::Listed};
use domain::{
    ConfirmationCode, ConversationId, Hint,
    erasure::{Door, State},
    subject::Kind,
    words::deletion::Notice,
};
use platform::Metric;
use queue::Record;
use store::{Claim, StoreError, Target};
use uuid::Uuid;

use crate::{ELSEWHERE, Eraser};

/// What an agent puts on a conversation.
const LABEL: &str = app::ERASE;

/// Begins the source id of what is said about it.
const SOURCE: &str = "lmotos:label:";

/// So often a minute nobody changes his mind.
const NOTICES: usize = 6;

const MINUTE: Duration = Duration::from_secs(60);

impl Eraser {
    /// Looks at the labels of a conversation: whoever said that they changed may have said it late.
    pub(crate) async fn labels(&self, record: &Record, hint: &Hint) -> Result<(), BridgeError> {
        let chatwoot = self.clients.chatwoot(hint.account).await?;
        let Some(labels) = chatwoot.labels(hint.conversation).await? else { return Ok(()) };
        let Some(mut target) = app::whom(&self.clients, &chatwoot, hint).await? else { return Ok(()) };
        // Whoever puts it there is this dealer's, and speaks for nobody else.
        target.only = Some(hint.account);
        if is_on(&labels) {
            target.labels.insert((hint.account, hint.conversation));
            self.labeled(record, &chatwoot, hint, target).await
        } else {
            self.unlabeled(&chatwoot, hint, target).await
        }
    }

    async fn labeled(
        &self,
        record: &Record,
        chatwoot: &Chatwoot,
        hint: &Hint,
        target: Target,
    ) -> Result<(), BridgeError> {
        let asked = self.requests.ask(Door::Agent, target, self.clients.clock.now()).await?;
        let erasure = &asked.entry.erasure;
        let code = &erasure.code;
        if asked.is_new {
            self.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %code, door = ?erasure.door, "an erasure was asked for");
        }
        if erasure.door != Door::Agent || !matches!(erasure.state, State::Received { .. }) {
            return Ok(());
        }
        // A second conversation of theirs with the label: it is asked for until the last of them is taken away.
        if let Some(mut known) = self.clients.erasures.target(code).await?
            && known.labels.insert((hint.account, hint.conversation))
        {
            // Whoever came in between may have said that it means all accounts.
            let saved = self.clients.erasures.save_about(&asked.entry, erasure.clone(), Some(&known)).await?;
            saved.map_err(|_| BridgeError::Busy(ELSEWHERE))?;
        }
        // Whoever asked may have died before the letter and the note: once more does no harm, and none is a day's delay.
        let claim = self.clients.key.subject_of_all(Kind::Item, ["labeled", code.as_str()]);
        if let Claim::Won(held) | Claim::Retaken { held, .. } = self.clients.claims.take(&claim, &record.id).await? {
            self.erasures.send(app::wake(erasure, Uuid::new_v4())?).await?;
            let hours = self.requests.promise().confirm_hours;
            self.say(chatwoot, hint, Notice::Labeled { hours, code: code.as_str() }).await?;
            self.clients.claims.lay_down(&held).await?;
        }
        Ok(())
    }

    async fn unlabeled(&self, chatwoot: &Chatwoot, hint: &Hint, target: Target) -> Result<(), BridgeError> {
        let Some(entry) = self.requests.open_about(&target).await? else { return Ok(()) };
        let erasure = entry.erasure.clone();
        if erasure.door != Door::Agent || !matches!(erasure.state, State::Received { .. }) {
            return Ok(());
        }
        let known = self.clients.erasures.target(&erasure.code).await?.ok_or(StoreError::Missing)?;
        if !known.labels.contains(&(hint.account, hint.conversation)) || !self.was_unlabeled(&erasure.code).await? {
            // The label is on another of their conversations.
            return Ok(());
        }
        let Ok(withdrawn) = erasure.at(self.clients.clock.now()).withdraw(self.clients.clock.now()) else {
            return Ok(());
        };
        self.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %entry.erasure.code, "an erasure was withdrawn");
        self.say(chatwoot, hint, Notice::Unlabeled).await
    }

    /// Whether the label of a request is gone, from each conversation that had it.
    pub(crate) async fn was_unlabeled(&self, code: &ConfirmationCode) -> Result<bool, BridgeError> {
        let target = self.clients.erasures.target(code).await?.ok_or(StoreError::Missing)?;
        for (account, conversation) in &target.labels {
            match self.clients.chatwoot(*account).await?.labels(*conversation).await? {
                Some(labels) if !is_on(&labels) => {}
                // A conversation that is gone speaks for the erasure, and not against it.
                _ => return Ok(false),
            }
        }
        Ok(!target.labels.is_empty())
    }

    /// Whether rules put a label on and take it off again at what is said about it.
    async fn is_too_much(&self, chatwoot: &Chatwoot, conversation: ConversationId) -> Result<bool, BridgeError> {
        let since = self.clients.clock.now() - MINUTE;
        let listed = match chatwoot.messages(conversation, None, since).await {
            Err(ChatwootError::Gone) => return Ok(false),
            listed => listed?,
        };
        let is_said = |one: &&Listed| {
            one.source_id.as_deref().is_some_and(|id| id.starts_with(SOURCE))
                && one.created_at().is_none_or(|at| at > since)
        };
        Ok(listed.iter().filter(is_said).count() >= NOTICES)
    }

    async fn say(&self, chatwoot: &Chatwoot, hint: &Hint, notice: Notice<'_>) -> Result<(), BridgeError> {
        let conversation = hint.conversation;
        if self.is_too_much(chatwoot, conversation).await? {
            return brake(&self.clients, &self.metrics, chatwoot, hint.account, conversation).await;
        }
        let content = notice.say(self.clients.locale);
        let source = format!("{SOURCE}{}", Uuid::new_v4());
        let note = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
        match chatwoot.create_message(conversation, note).await {
            Ok(_) => Ok(()),
            // The request stands whether the agents read of it or not.
            Err(error) => {
                tracing::warn!(%error, "the agents do not read what became of a label");
                Ok(())
            }
        }
    }
}

fn is_on(labels: &[String]) -> bool {
    labels.iter().any(|label| label == LABEL)
}
