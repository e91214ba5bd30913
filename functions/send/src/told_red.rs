//! Red messages that callbacks told of, and that a look does not list any more.

use app::BridgeError;
use chatwoot::{ChatwootError, listing::Listed};
use domain::MessageId;

use crate::{Send, Task, dispatch::With};

impl Send {
    /// One page for each, or for several that stand together, however long ago they were written.
    pub(crate) async fn told_red(&self, task: &Task<'_>, with: &With<'_>) -> Result<Vec<Listed>, BridgeError> {
        let settled = with.conversation.settled;
        let mut told: Vec<MessageId> = task.reds.iter().copied().filter(|red| Some(*red) <= settled).collect();
        told.sort_by_key(|red| std::cmp::Reverse(*red));
        told.dedup();
        let mut found: Vec<Listed> = Vec::new();
        for red in &told {
            if found.iter().any(|known| known.id == *red) {
                continue;
            }
            let behind = MessageId(red.0 + 1);
            match with.chatwoot.before(with.conversation.conversation, behind, 1, |_| true).await {
                Err(ChatwootError::Gone) => return Ok(Vec::new()),
                page => found.extend(page?.into_iter().filter(|listed| told.contains(&listed.id))),
            }
        }
        Ok(found)
    }
}
