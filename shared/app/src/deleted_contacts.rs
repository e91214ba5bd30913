//! Whether somebody deleted a person in Chatwoot, whose contact answers 404.
//!
//! A contact that was merged into another answers 404 as well; then their conversations are still there. One that was deleted leaves
//! rows behind until a job of Chatwoot's has run, for ever if that fails: whatever shows such a row answers 500.

use chatwoot::{Chatwoot, ChatwootError, ConversationLookup, SourceLookup};
use domain::{Channel, CustomerId};
use store::{DataInventory, DataSubject};

use crate::HandlerError;

/// Whether nothing leads to the customer any more, neither our id nor any conversation of theirs in this account. To be asked where
/// their contact is gone.
pub async fn is_contact_deleted(
    belongings: &DataInventory,
    chatwoot: &Chatwoot,
    channel: &Channel,
    customer: &CustomerId,
    target: &DataSubject,
) -> Result<bool, HandlerError> {
    // An answer that everything is gone, or broken, is none: the inbox itself has to be there.
    chatwoot.is_locked(channel.inbox).await?;
    if let SourceLookup::Of(_) = chatwoot.source(channel.inbox, customer).await? {
        return Ok(false);
    }
    let mut all = target.clone();
    belongings.gather(&mut all).await?;
    for (_, id, _) in all.conversations.iter().filter(|(account, ..)| *account == channel.account) {
        if let ConversationLookup::Found(party) = chatwoot.shown(*id).await?
            && party.contact.is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a row that is left behind shows; nothing, since its contact is gone.
pub fn unless_broken<T>(answer: Result<Option<T>, ChatwootError>) -> Result<Option<T>, ChatwootError> {
    match answer {
        Err(ChatwootError::Unwell(500)) => Ok(None),
        answer => answer,
    }
}
