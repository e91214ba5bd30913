//! Adds a survey's link to its message, which Chatwoot's list shows without it.

use app::HandlerError;
use chatwoot::ChatwootError;
use domain::{MessageId, SendFailure};

use super::{SyncJob, TrackedMessage};
use crate::{Handler, delivery::ConversationContext};

impl Handler {
    /// Adds a survey's link to its message: the link from the callback, or, if that was lost, as Chatwoot makes it.
    pub(super) async fn link_surveys(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        messages: &mut [TrackedMessage],
    ) -> Result<(), HandlerError> {
        if !messages.iter().any(|one| one.is_open() && one.message.wants_survey_link()) {
            return Ok(());
        }
        // The addresses Chatwoot uses for itself are known from the other links it gives, too.
        let links = job.surveys.iter().map(|(_, link)| link.as_str());
        let files = messages.iter().flat_map(|one| one.message.files()).filter_map(|file| file.data_url.as_deref());
        for address in links.chain(files) {
            context.chatwoot.is_own_elsewhere(address);
        }
        let mut made = None;
        for tracked in messages.iter_mut().filter(|one| one.is_open() && one.message.wants_survey_link()) {
            let link = match self.survey_link(job, context, tracked.message.id, &mut made).await {
                Err(HandlerError::Chatwoot(error @ ChatwootError::Elsewhere)) => {
                    let cause = app::ORIGINS_DIFFER;
                    tracing::error!(%error, cause, page = app::REFUSALS_PAGE, "survey link cannot be made");
                    Err(SendFailure::LinkElsewhere)
                }
                link => link?.ok_or(SendFailure::LinkMissing),
            };
            match (link, &mut tracked.entry) {
                (Ok(link), _) => tracked.message.add_link(&link),
                (Err(failure), Some(entry)) => self.give_up(entry, failure).await?,
                (Err(_), None) => {}
            }
        }
        Ok(())
    }

    /// The link that a callback reported, or else the one that Chatwoot makes for the conversation, which is asked for once.
    async fn survey_link(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: MessageId,
        made: &mut Option<String>,
    ) -> Result<Option<String>, HandlerError> {
        if let Some((_, link)) = job.surveys.iter().find(|(id, _)| *id == message) {
            return Ok(Some(link.clone()));
        }
        if made.is_none() {
            *made = context.chatwoot.survey_link(context.conversation.conversation).await?;
        }
        Ok(made.clone())
    }
}
