//! The agents' door: a label on a conversation asks for the erasure of whoever it is with; taken away in time, it was not meant.

use bridge::BridgeError;
use chatwoot::{Chatwoot, NewMessage};
use domain::{
    ConfirmationCode, ConversationId, Hint,
    erasure::{Door, State},
    words::deletion::Notice,
};
use platform::Metric;
use store::Target;
use uuid::Uuid;

use crate::Eraser;

/// What an agent puts on a conversation.
const LABEL: &str = bridge::ERASE;

impl Eraser {
    /// Looks at the labels of a conversation: whoever said that they changed may have said it late.
    pub(crate) async fn labels(&self, hint: &Hint) -> Result<(), BridgeError> {
        let chatwoot = self.clients.chatwoot(hint.account).await?;
        let Some(labels) = chatwoot.labels(hint.conversation).await? else { return Ok(()) };
        let labeled = labels.iter().any(|label| label == LABEL);
        let Some(mut target) = bridge::whom(&self.clients, &chatwoot, hint).await? else { return Ok(()) };
        target.labeled = Some((hint.account, hint.conversation));
        if labeled {
            self.labeled(&chatwoot, hint, target).await
        } else {
            self.unlabeled(&chatwoot, hint, target).await
        }
    }

    async fn labeled(&self, chatwoot: &Chatwoot, hint: &Hint, target: Target) -> Result<(), BridgeError> {
        let asked = self.requests.ask(Door::Agent, target, self.clients.clock.now()).await?;
        let erasure = &asked.entry.erasure;
        if !asked.is_new {
            return Ok(());
        }
        self.metrics.count(Metric::ErasureAsked);
        tracing::info!(erasure = %erasure.code, door = ?erasure.door, "an erasure was asked for");
        // What the letter wakes is looked for every day as well.
        self.erasures.send(bridge::wake(erasure, Uuid::new_v4())?).await?;
        let hours = self.requests.promise().confirm_hours;
        self.say(chatwoot, hint.conversation, Notice::Labeled { hours, code: erasure.code.as_str() }).await
    }

    async fn unlabeled(&self, chatwoot: &Chatwoot, hint: &Hint, target: Target) -> Result<(), BridgeError> {
        let Some(entry) = self.requests.open_about(&target).await? else { return Ok(()) };
        let erasure = entry.erasure.clone();
        if erasure.door != Door::Agent || !matches!(erasure.state, State::Received { .. }) {
            return Ok(());
        }
        let labeled = self.clients.erasures.target(&erasure.code).await?.and_then(|target| target.labeled);
        if labeled != Some((hint.account, hint.conversation)) {
            // The label is on another of their conversations.
            return Ok(());
        }
        let Ok(withdrawn) = erasure.at(self.clients.clock.now()).withdraw(self.clients.clock.now()) else {
            return Ok(());
        };
        self.save(&entry, withdrawn).await?;
        tracing::info!(erasure = %entry.erasure.code, "an erasure was withdrawn");
        self.say(chatwoot, hint.conversation, Notice::Unlabeled).await
    }

    /// Whether the label of a request is gone, when its time to be withdrawn is over.
    pub(crate) async fn was_unlabeled(&self, code: &ConfirmationCode) -> Result<bool, BridgeError> {
        let target = self.clients.erasures.target(code).await?;
        let Some((account, conversation)) = target.and_then(|target| target.labeled) else { return Ok(false) };
        let labels = self.clients.chatwoot(account).await?.labels(conversation).await?;
        // A conversation that is gone speaks for the erasure, and not against it.
        Ok(labels.is_some_and(|labels| !labels.iter().any(|label| label == LABEL)))
    }

    async fn say(
        &self,
        chatwoot: &Chatwoot,
        conversation: ConversationId,
        notice: Notice<'_>,
    ) -> Result<(), BridgeError> {
        let content = notice.say(self.clients.locale);
        // Found by its id in nobody's list of what was sent: a note is among agents.
        let note = NewMessage { content: &content, private: true, ..NewMessage::default() };
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
