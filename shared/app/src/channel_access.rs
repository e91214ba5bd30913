//! Asks Graph whether a number is still ours.

use domain::Channel;

use crate::{Clients, HandlerError};

/// Asks Graph, with a newer token if the current one is refused. A token that stays refused means that our access has ended. An
/// error means that it cannot be told now.
pub async fn has_channel_access(clients: &Clients, channel: &Channel) -> Result<bool, HandlerError> {
    let token = clients.token(channel).await?;
    let mut asked = clients.graph.has(channel, &token).await;
    if asked.as_ref().is_err_and(whatsapp::GraphError::is_unauthorized)
        && let Some(token) = clients.renew_token(channel, &token).await
    {
        asked = clients.graph.has(channel, &token).await;
    }
    match asked {
        Err(error) if error.is_unauthorized() => Ok(false),
        asked => Ok(asked?),
    }
}
