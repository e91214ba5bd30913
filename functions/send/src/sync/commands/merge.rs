//! Merges the contacts of a person who has several.

use app::HandlerError;
use chatwoot::ChatwootError;
use domain::ContactId;
use texts::command::{Command, reply::Reply};

use super::{Answer, Asked};
use crate::Handler;

impl Handler {
    /// Merges the other contacts of this person into the one of this conversation, once the agent was asked. A rule or a bot
    /// merges nothing.
    pub(super) async fn merge(&self, asked: &Asked<'_>) -> Result<Answer, HandlerError> {
        let locale = self.clients.locale;
        if asked.note.is_automatic() {
            return Ok(Answer::of(Reply::NotByItself, locale));
        }
        let Some((own, others)) = self.contacts(asked).await? else {
            return Ok(Answer::of(Reply::OneContact, locale));
        };
        if others.is_empty() {
            return Ok(Answer::of(Reply::OneContact, locale));
        }
        if !self.was_put(asked, Command::Merge).await? {
            let names = others.into_iter().map(|other| (other.name, other.page)).collect();
            return Ok(Answer { asks: true, ..Answer::of(Reply::MergesContacts { names }, locale) });
        }
        for other in others {
            match asked.chatwoot.merge_contacts(own, other.id).await {
                // An earlier attempt merged it.
                Ok(()) | Err(ChatwootError::Gone) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Answer::of(Reply::OneContact, locale))
    }

    /// The contact of this conversation, and the others of the same person.
    async fn contacts(&self, asked: &Asked<'_>) -> Result<Option<(ContactId, Vec<OtherContact>)>, HandlerError> {
        let (chatwoot, customers) = (asked.chatwoot, &self.clients.customers);
        let Some(customer) = &asked.conversation.customer else { return Ok(None) };
        let party = chatwoot.party(asked.conversation.conversation).await?;
        let Some(own) = party.and_then(|party| party.contact).map(|contact| contact.id) else { return Ok(None) };
        let mut others: Vec<OtherContact> = Vec::new();
        for record in customers.records(customer).await? {
            for conversation in customers.chats(&record).await?.into_iter().filter_map(|thread| thread.conversation) {
                let Some(contact) = chatwoot.party(conversation).await?.and_then(|party| party.contact) else {
                    continue;
                };
                if contact.id != own && others.iter().all(|known| known.id != contact.id) {
                    let name = contact.name.unwrap_or_default();
                    others.push(OtherContact { id: contact.id, name, page: chatwoot.page_of(conversation) });
                }
            }
        }
        Ok(Some((own, others)))
    }
}

/// Another contact of the same person.
struct OtherContact {
    id: ContactId,
    name: String,
    /// The page of its conversation.
    page: String,
}
