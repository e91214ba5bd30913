//! Removes echoes of messages that the bridge sent itself.
//! Meta is not supposed to make any (whatsapp-cloud-api.md §2.5), but has been seen to.

use chatwoot::Chatwoot;
use domain::{Author, Channel, MessageId, Wamid, channel::Mode};

use crate::{Clients, HandlerError};

/// Call this before a message is linked to its wamid. It deletes the copy in Chatwoot, if an echo was faster than Meta's answer.
/// There are echoes only where a phone is used beside the API.
pub async fn remove_echo(
    clients: &Clients,
    chatwoot: &Chatwoot,
    channel: &Channel,
    wamid: &Wamid,
    message: MessageId,
) -> Result<(), HandlerError> {
    if channel.mode != Mode::Coexistence {
        return Ok(());
    }
    let link = clients.message_links.get(wamid).await?;
    let echo = link.filter(|link| {
        link.part.is_none() && !link.imported && link.author == Author::Business && link.message != message
    });
    if let Some(echo) = echo {
        chatwoot.delete_message(echo.conversation, echo.message).await?;
    }
    Ok(())
}
