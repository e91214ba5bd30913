//! This module prepares messages before their turn. A sync adds to a message what it lacks, or holds it back.

use app::{HandlerError, brake};
use chatwoot::ChatwootError;
use domain::{Part, SendFailure, outgoing::MessageKind};
use store::OutboxEntry;

use crate::{Handler, SyncJob, delivery::ConversationContext, sync::TrackedMessage};

impl Handler {
    /// Adds a survey's link to its message: the link from the callback, or, if that was lost, as Chatwoot makes it.
    pub(crate) async fn link_surveys(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        rows: &mut [TrackedMessage],
    ) -> Result<(), HandlerError> {
        if !rows.iter().any(|row| row.is_open() && row.message.wants_survey_link()) {
            return Ok(());
        }
        // The addresses Chatwoot uses for itself are known from the other links it gives, too.
        let links = job.surveys.iter().map(|(_, link)| link.as_str());
        let files = rows.iter().flat_map(|row| row.message.files()).filter_map(|file| file.data_url.as_deref());
        for address in links.chain(files) {
            context.chatwoot.is_own_elsewhere(address);
        }
        let mut made = None;
        for row in rows.iter_mut().filter(|row| row.is_open() && row.message.wants_survey_link()) {
            let told = job.surveys.iter().find(|(id, _)| *id == row.message.id).map(|(_, link)| link.clone());
            let link = match (told, &made) {
                (Some(told), _) => Some(told),
                (None, Some(made)) => Some(String::clone(made)),
                (None, None) => {
                    made = match context.chatwoot.survey_link(context.conversation.conversation).await {
                        Err(error @ ChatwootError::Elsewhere) => {
                            let cause = app::ORIGINS_DIFFER;
                            tracing::error!(%error, cause, page = app::REFUSALS_PAGE, "a survey's link cannot be made");
                            if let Some(entry) = &mut row.entry {
                                self.never(entry, SendFailure::LinkElsewhere).await?;
                            }
                            continue;
                        }
                        link => link?,
                    };
                    made.clone()
                }
            };
            match (link, &mut row.entry) {
                (Some(link), _) => row.message.add_link(&link),
                (None, Some(entry)) => self.never(entry, SendFailure::LinkMissing).await?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Holds back what a rule or a bot writes when it keeps writing: the message says so, until an agent presses Retry.
    pub(crate) async fn brake_row(
        &self,
        context: &ConversationContext<'_>,
        row: &mut TrackedMessage,
    ) -> Result<(), HandlerError> {
        let Some(entry) = row.entry.as_mut().filter(|entry| {
            row.message.is_for_customer() && entry.outgoing.parts.iter().all(|part| *part == Part::Planned)
        }) else {
            return Ok(());
        };
        self.never(entry, SendFailure::Braked).await?;
        let (account, conversation) = (context.conversation.account, context.conversation.conversation);
        brake(&self.clients, &self.metrics, context.chatwoot, account, conversation).await
    }

    /// Notes what the last message is while Chatwoot still shows it whole: once another follows it, only a callback tells.
    pub(crate) async fn look_up_last_templates(&self, context: &ConversationContext<'_>, rows: &mut [TrackedMessage]) {
        let Some(row) = rows.last_mut().filter(|row| row.message.is_for_customer()) else { return };
        let Some(entry) = row.entry.as_mut().filter(|entry| entry.outgoing.nature == MessageKind::Unsorted) else {
            return;
        };
        if entry.outgoing.next_part().is_none() {
            return;
        }
        match self.still_shown(context, row.message.id).await {
            Ok(None) => return,
            Ok(Some(None)) => entry.outgoing.nature = MessageKind::Plain,
            Ok(Some(Some(_))) => entry.outgoing = entry.outgoing.clone().as_template(),
            Err(error) => {
                tracing::warn!(%error, "what the last message is will be asked by the next look");
                return;
            }
        }
        row.is_news = true;
    }

    /// Fails the rest of a message, so that it is not sent by itself.
    pub(crate) async fn never(&self, entry: &mut OutboxEntry, trouble: SendFailure) -> Result<(), HandlerError> {
        let Some(at) = entry.outgoing.next_part() else { return Ok(()) };
        let failed = Part::Failed { attempt: entry.outgoing.parts[at].attempt(), failure: trouble };
        self.save_part(entry, at, failed).await
    }
}
