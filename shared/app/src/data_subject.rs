//! Finds the data subject of a conversation in Chatwoot.

use chatwoot::Chatwoot;
use domain::{CustomerId, SyncRequest, WaId};
use store::DataSubject;

use crate::{Clients, HandlerError};

/// Searches by what the table knows, by our id in Chatwoot, by the contact's phone, and by the contact itself. Returns nothing if
/// there is no conversation and nothing known of it.
pub async fn resolve_data_subject(
    clients: &Clients,
    chatwoot: &Chatwoot,
    sync: &SyncRequest,
) -> Result<Option<DataSubject>, HandlerError> {
    let place = (sync.account, sync.conversation, sync.channel.clone());
    let mut subject = DataSubject { conversations: [place].into(), ..DataSubject::default() };
    let known = clients.conversations.get(sync.account, sync.conversation).await?;
    subject.customers.extend(known.and_then(|known| known.customer));
    let Some(party) = chatwoot.party(sync.conversation).await? else {
        return Ok((!subject.customers.is_empty()).then_some(subject));
    };
    let identifier = party.contact.as_ref().and_then(|contact| contact.identifier.as_deref());
    for id in [party.source_id.as_deref(), identifier].into_iter().flatten() {
        let customer = CustomerId::new(id);
        if subject.customers.is_empty() && clients.customers.is_ours(&customer).await? {
            subject.customers.insert(customer);
        }
    }
    let Some(contact) = party.contact else { return Ok((!subject.customers.is_empty()).then_some(subject)) };
    // An agent may have merged the contact with another person's; then it does not tell whose conversation it is.
    let named = |id: &str| subject.customers.contains(&CustomerId::new(id));
    if subject.customers.is_empty() || contact.identifier.as_deref().is_none_or(named) {
        subject.contacts.insert((sync.account, contact.id));
    }
    if subject.customers.is_empty()
        && let Some(phone) = contact.phone_number.as_deref()
    {
        subject.phones.insert(WaId::new(phone.trim_start_matches('+')));
    }
    Ok(Some(subject))
}
