//! Tells which inboxes keep one conversation per customer for good. It is looked up only now and then: administrators
//! seldom change it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chatwoot::Chatwoot;
use domain::{Channel, InboxId, Timestamp};

const INBOX_LOCK_TTL: Duration = Duration::from_secs(300);

/// What Chatwoot said, and when.
#[derive(Debug, Default)]
pub struct InboxLocks(Mutex<HashMap<InboxId, (Timestamp, bool)>>);

impl InboxLocks {
    /// Whether the channel's inbox is locked to a single conversation. If Chatwoot does not say, nothing new is begun.
    pub async fn is_locked(&self, chatwoot: &Chatwoot, channel: &Channel, now: Timestamp) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&channel.inbox).copied();
        if let Some((at, locked)) = seen
            && now.since(at) < INBOX_LOCK_TTL
        {
            return locked;
        }
        match chatwoot.is_locked(channel.inbox).await {
            Ok(locked) => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.inbox, (now, locked));
                locked
            }
            Err(error) => {
                tracing::warn!(%error, "Chatwoot does not say whether an inbox is locked to single conversations");
                seen.is_none_or(|(_, locked)| locked)
            }
        }
    }
}
