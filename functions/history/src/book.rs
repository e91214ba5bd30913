//! Gives contacts the names of the phone's contact book, where nobody gave them another one.
//! People who never wrote are not copied: a name without a contact waits for the end of the import, and then goes unused.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{ChatwootError, ContactChange, contact_name};
use domain::{Channel, RefusalReason, history::BookEntry};
use queue::Record;
use store::{ErasureCheck, ItemOutcome};
use texts::{Locale, NoteText};

use crate::{Handler, Step};

/// How long a name waits for its contact to come with the history.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// When a waiting name is looked at again.
const RETRY: Duration = Duration::from_secs(600);

/// The requests of one name.
const REQUESTS: u32 = 2;

/// Works on an entry of a number of ours.
pub(crate) async fn go(
    handler: &Handler,
    record: &Record,
    channel: &Channel,
    entry: &BookEntry,
) -> Result<Step, HandlerError> {
    let outcome = match decide(handler, record, channel, entry).await? {
        Decision::Wait(after) => return Ok(Step::Later(after)),
        Decision::Is(outcome) => outcome,
    };
    if let Some((guard, _)) = handler.take(record, &entry.item).await? {
        handler.clients.ledger.close(channel.phone_number_id.as_str(), &guard, outcome).await?;
    }
    Ok(Step::Done)
}

enum Decision {
    Wait(Duration),
    Is(ItemOutcome),
}

async fn decide(
    handler: &Handler,
    record: &Record,
    channel: &Channel,
    entry: &BookEntry,
) -> Result<Decision, HandlerError> {
    let clients = &handler.clients;
    let unused = Decision::Is(ItemOutcome::Refused(RefusalReason::NameNotUsed));
    match clients.tombstones.check_past(channel.account, &entry.customer, entry.at).await? {
        ErasureCheck::No => {}
        ErasureCheck::Erased(_) => return Ok(Decision::Is(ItemOutcome::Refused(RefusalReason::Erased))),
        ErasureCheck::NotYet(code) => {
            let group = record.group.as_str().into();
            clients.erasures.drain_marker_is_out(&code, crate::QUEUE_NAME, &group).await?;
            return Err(HandlerError::Erasing);
        }
    }
    // A removed entry takes no name away.
    let Some(name) = entry.name.as_deref().map(contact_name).filter(|name| !name.is_empty()) else {
        return Ok(Decision::Is(ItemOutcome::Done));
    };
    let customer = clients.customers.find(channel.account, &entry.customer).await?;
    let thread = match &customer {
        Some(customer) => clients.customers.thread(customer, &channel.phone_number_id).await?,
        None => None,
    };
    let conversation = thread.as_ref().and_then(|thread| thread.conversation);
    let (Some(customer), Some(conversation)) = (customer, conversation) else {
        return Ok(if may_come(handler, record, channel).await? { Decision::Wait(RETRY) } else { unused });
    };
    if let Err(after) = handler.turn(channel.account, REQUESTS).await? {
        return Ok(Decision::Wait(after));
    }
    let chatwoot = clients.chatwoot(channel.account).await?;
    let Some(contact) = chatwoot.party(conversation).await?.and_then(|party| party.contact) else { return Ok(unused) };
    let called = contact.name.as_deref().unwrap_or_default();
    if called == name {
        return Ok(Decision::Is(ItemOutcome::Done));
    }
    let nameless = [Locale::Es, Locale::En].iter().any(|locale| NoteText::Nameless.text(*locale) == called);
    let ours = nameless
        || clients.profiles.is_our_name(&customer, called).await?
        || clients.profiles.is_book_name(&customer, called).await?;
    if !ours || !clients.profiles.set_book_name(&customer, &name, entry.at).await? {
        return Ok(unused);
    }
    let change = ContactChange { name: Some(name), ..ContactChange::default() };
    match chatwoot.change_contact(contact.id, &change).await {
        Ok(()) => Ok(Decision::Is(ItemOutcome::Done)),
        Err(ChatwootError::Gone | ChatwootError::Refused(_)) => Ok(unused),
        Err(error) => Err(error.into()),
    }
}

/// Whether the person's history may still come.
async fn may_come(handler: &Handler, record: &Record, channel: &Channel) -> Result<bool, HandlerError> {
    let now = handler.clients.clock.now();
    if now.since(record.sent_at) >= MAX_WAIT {
        return Ok(false);
    }
    let progress = handler.clients.imports.progress(&channel.phone_number_id).await?;
    Ok(progress.is_none_or(|progress| {
        progress.declined.is_none() && (progress.transfer.opens_at() > now || progress.counts.waiting() > 0)
    }))
}
