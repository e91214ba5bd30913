//! Finds old messages that callbacks reported as red. Red messages are those Chatwoot shows as failed; a sync no longer lists
//! these.

use app::HandlerError;
use chatwoot::{ChatwootError, listing::ListedMessage};
use domain::MessageId;

use super::SyncJob;
use crate::{Handler, delivery::ConversationContext};

impl Handler {
    /// Reads one page of the list for each of them, or for several close together, however long ago they were written.
    pub(super) async fn reported_red(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
    ) -> Result<Vec<ListedMessage>, HandlerError> {
        let settled = context.conversation.settled;
        let mut reported: Vec<MessageId> = job.reds.iter().copied().filter(|red| Some(*red) <= settled).collect();
        reported.sort_by_key(|red| std::cmp::Reverse(*red));
        reported.dedup();
        let mut found: Vec<ListedMessage> = Vec::new();
        for red in &reported {
            if found.iter().any(|known| known.id == *red) {
                continue;
            }
            let behind = MessageId(red.0 + 1);
            match context.chatwoot.before(context.conversation.conversation, behind, 1, |_| true).await {
                Err(ChatwootError::Gone) => return Ok(Vec::new()),
                page => found.extend(page?.into_iter().filter(|listed| reported.contains(&listed.id))),
            }
        }
        Ok(found)
    }
}
