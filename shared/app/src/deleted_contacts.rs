//! Checks whether a customer was deleted in Chatwoot, once their contact answers 404.
//!
//! A contact that was merged into another answers 404 as well; then the customer's conversations are still there. A deleted
//! contact leaves rows behind until a job of Chatwoot's has run, or for ever if that fails: every request that shows such a row
//! answers 500.

use chatwoot::{Chatwoot, ChatwootError, ConversationLookup, SourceLookup};
use domain::{Channel, CustomerId};
use store::{DataInventory, DataSubject};

use crate::HandlerError;

/// Whether nothing leads to the customer any more, neither our id nor any conversation of theirs in this account. For customers
/// whose contact is gone.
pub async fn is_contact_deleted(
    inventory: &DataInventory,
    chatwoot: &Chatwoot,
    channel: &Channel,
    customer: &CustomerId,
    target: &DataSubject,
) -> Result<bool, HandlerError> {
    // An answer that everything is gone, or broken, does not count: the inbox itself has to be there.
    chatwoot.is_locked(channel.inbox).await?;
    if let SourceLookup::Of(_) = chatwoot.source(channel.inbox, customer).await? {
        return Ok(false);
    }
    let mut all = target.clone();
    inventory.gather(&mut all).await?;
    for (_, id, _) in all.conversations.iter().filter(|(account, ..)| *account == channel.account) {
        if let ConversationLookup::Found(party) = chatwoot.shown(*id).await?
            && party.contact.is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a leftover row shows; nothing, since its contact is gone.
pub fn unless_broken<T>(answer: Result<Option<T>, ChatwootError>) -> Result<Option<T>, ChatwootError> {
    match answer {
        Err(ChatwootError::Unwell(500)) => Ok(None),
        answer => answer,
    }
}
