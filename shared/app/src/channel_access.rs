//! Asks Graph whether a number is still ours.

use domain::Channel;

use crate::{Clients, HandlerError};

/// A token that stays refused means that our access has ended. An error means that it cannot be told now.
pub async fn has_channel_access(clients: &Clients, channel: &Channel) -> Result<bool, HandlerError> {
    match clients.graph(channel).await?.has(channel).await {
        Err(error) if error.is_unauthorized() => Ok(false),
        asked => Ok(asked?),
    }
}
