//! Reports that a rule or a bot keeps the bridge busy by itself.
//! The report is one note, one log line and one count.

use std::time::Duration;

use chatwoot::{Chatwoot, NewMessage};
use domain::{AccountId, ConversationId};
use platform::Metric;
use texts::NoteText;

use crate::{Clients, HandlerError};

/// How long the agents are not told again: the note itself may set off the rule that goes round.
const BRAKE_NOTE_INTERVAL: Duration = Duration::from_secs(3600);

/// Tells agents and operator, unless they were told lately.
pub async fn brake(
    clients: &Clients,
    chatwoot: &Chatwoot,
    account: AccountId,
    conversation: ConversationId,
) -> Result<(), HandlerError> {
    if !alarm(clients, account, conversation).await? {
        return Ok(());
    }
    let source = format!("lmotos:brake:{}", clients.clock.now().as_millis());
    let content = NoteText::Braked.text(clients.locale);
    let note = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
    if let Err(error) = chatwoot.create_message(conversation, note).await {
        tracing::warn!(%error, "the agents do not read that something is braked");
    }
    Ok(())
}

/// Tells the operator, unless that was done lately; returns whether it was done now. It is recorded first: one report too few is
/// better than one too many.
pub async fn alarm(clients: &Clients, account: AccountId, conversation: ConversationId) -> Result<bool, HandlerError> {
    let Some(known) = clients.conversations.get(account, conversation).await? else { return Ok(false) };
    let now = clients.clock.now();
    if known.braked_at.is_some_and(|told| now.since(told) < BRAKE_NOTE_INTERVAL) {
        tracing::info!(%conversation, "something still keeps the bridge busy by itself");
        return Ok(false);
    }
    clients.conversations.braked(&known).await?;
    clients.metrics.count(Metric::Braked);
    tracing::error!(%conversation, "something in a conversation keeps the bridge busy by itself and is braked; see docs/runbook/loops.md");
    Ok(true)
}
