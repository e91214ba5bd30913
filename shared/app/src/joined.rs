//! Tells agents that two contacts are one person.

use chatwoot::{Chatwoot, NewMessage};
use domain::{AccountId, ContactId, ConversationId, CustomerId};
use texts::joined;

use crate::{Clients, HandlerError};

/// Writes a private note into both conversations of customers who turned out to be one, each with a link to the other. Nothing
/// is merged by that. It may be done again: a note that stands is not written once more.
pub async fn tell_joined(clients: &Clients, account: AccountId, customer: &CustomerId) -> Result<(), HandlerError> {
    for gone in clients.customers.untold(customer).await? {
        let chatwoot = clients.chatwoot(account).await?;
        // The one that remains may get its conversation only now.
        let Some(one) = chat(clients, &chatwoot, customer).await? else { return Ok(()) };
        if let Some(other) = chat(clients, &chatwoot, &gone).await?
            && other.contact != one.contact
        {
            let source = format!("lmotos:joined:{gone}");
            tell(clients, &chatwoot, one.conversation, other.conversation, &source).await?;
            tell(clients, &chatwoot, other.conversation, one.conversation, &source).await?;
        }
        clients.customers.told(customer, &gone).await?;
    }
    Ok(())
}

/// Where a customer is in Chatwoot.
struct Chat {
    conversation: ConversationId,
    contact: ContactId,
}

/// The last used conversation of a customer that still has its contact.
async fn chat(clients: &Clients, chatwoot: &Chatwoot, customer: &CustomerId) -> Result<Option<Chat>, HandlerError> {
    for thread in clients.customers.chats(customer).await? {
        let Some(conversation) = thread.conversation else { continue };
        let party = chatwoot.party(conversation).await?;
        if let Some(contact) = party.and_then(|party| party.contact) {
            return Ok(Some(Chat { conversation, contact: contact.id }));
        }
    }
    Ok(None)
}

async fn tell(
    clients: &Clients,
    chatwoot: &Chatwoot,
    to: ConversationId,
    about: ConversationId,
    source: &str,
) -> Result<(), HandlerError> {
    let listed = chatwoot.messages(to, None, clients.clock.now()).await?;
    if listed.iter().any(|one| one.source_id.as_deref() == Some(source)) {
        return Ok(());
    }
    let link = chatwoot.page_of(about);
    let content = joined::same_person(about, &link, clients.locale);
    let note = NewMessage { content: &content, private: true, source_id: Some(source), ..NewMessage::default() };
    chatwoot.create_message(to, note).await?;
    Ok(())
}
