//! Whom a conversation in Chatwoot is with, as far as an erasure wants to know.

use chatwoot::Chatwoot;
use domain::{CustomerId, Hint, WaId};
use store::Target;

use crate::{BridgeError, Clients};

/// By what the table knows, by our id in Chatwoot, by the contact's phone, and by the contact itself. Nothing if there is no
/// conversation and nothing known of it.
pub async fn whom(clients: &Clients, chatwoot: &Chatwoot, hint: &Hint) -> Result<Option<Target>, BridgeError> {
    let place = (hint.account, hint.conversation, hint.channel.clone());
    let mut target = Target { conversations: [place].into(), ..Target::default() };
    let known = clients.conversations.get(hint.account, hint.conversation).await?;
    target.customers.extend(known.and_then(|known| known.customer));
    let Some(party) = chatwoot.party(hint.conversation).await? else {
        return Ok((!target.customers.is_empty()).then_some(target));
    };
    let identifier = party.contact.as_ref().and_then(|contact| contact.identifier.as_deref());
    for id in [party.source_id.as_deref(), identifier].into_iter().flatten() {
        let customer = CustomerId::new(id);
        if target.customers.is_empty() && clients.customers.is_ours(&customer).await? {
            target.customers.insert(customer);
        }
    }
    let Some(contact) = party.contact else { return Ok((!target.customers.is_empty()).then_some(target)) };
    // An agent may have merged the contact with somebody else's; then it says nothing about whom the conversation is with.
    let named = |id: &str| target.customers.contains(&CustomerId::new(id));
    if target.customers.is_empty() || contact.identifier.as_deref().is_none_or(named) {
        target.contacts.insert((hint.account, contact.id));
    }
    if target.customers.is_empty()
        && let Some(phone) = contact.phone_number.as_deref()
    {
        target.phones.insert(WaId::new(phone.trim_start_matches('+')));
    }
    Ok(Some(target))
}
