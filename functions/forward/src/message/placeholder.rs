//! Writes a line in place of a message that is in the dead letters.

use app::HandlerError;
use chatwoot::NewMessage;
use domain::Message;
use queue::Record;
use texts::NoteText;

use super::create::find_listed;
use crate::Handler;

/// Writes the line if the customer has a conversation, and once.
pub(crate) async fn post_placeholder(
    handler: &Handler,
    record: &Record,
    message: &Message,
) -> Result<(), HandlerError> {
    let clients = &handler.clients;
    let Some(channel) = clients.channels.get(&message.channel).await? else { return Ok(()) };
    let Some(customer) = clients.customers.find(channel.account, &message.customer).await? else { return Ok(()) };
    let thread = clients.customers.thread(&customer, &message.channel).await?;
    let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(()) };
    let chatwoot = clients.chatwoot(channel.account).await?;
    // Not the message's own id: after a redrive the message has to come all the same.
    let source = format!("lmotos:instead:{}", message.item);
    if find_listed(record, message, &chatwoot, conversation, &source).await?.is_some() {
        return Ok(());
    }
    let content = NoteText::SetAside.text(clients.locale);
    let line = || NewMessage { content: &content, source_id: Some(&source), ..NewMessage::default() };
    Ok(chatwoot.write_line(conversation, line).await.map(|_| ())?)
}
