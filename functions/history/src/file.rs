//! Registers the files of a phone's past, which come one by one after their chats.
//! Nothing is moved here: `reconcile` has each fetched like any file that was not there at once, a few in a round.

use std::time::Duration;

use app::HandlerError;
use domain::{Channel, MessageGroup, RefusalReason, Timestamp, history::HistoryFile, message::Media};
use queue::Record;
use store::{ErasureCheck, ItemOutcome, MessageLink, PastFile, PendingFile};
use texts::history;

use crate::{Handler, Step};

/// How long a file waits for the note with its message.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// When a waiting file is looked at again.
const RETRY: Duration = Duration::from_secs(600);

/// Works on a file of a number of ours.
pub(crate) async fn go(
    handler: &Handler,
    record: &Record,
    channel: &Channel,
    file: &HistoryFile,
) -> Result<Step, HandlerError> {
    let outcome = match decide(handler, record, channel, file).await? {
        Decision::Wait => return Ok(Step::Later(RETRY)),
        Decision::Refuse(reason) => ItemOutcome::Refused(reason),
        Decision::Duplicate => ItemOutcome::Duplicate,
        Decision::Register(link, media) => {
            register(handler, record, channel, file, &link, media).await?;
            ItemOutcome::Done
        }
    };
    if let Some((guard, _)) = handler.take(record, &file.item).await? {
        handler.clients.ledger.close(channel.phone_number_id.as_str(), &guard, outcome).await?;
    }
    Ok(Step::Done)
}

enum Decision<'f> {
    /// The note with its message may still come.
    Wait,
    Refuse(RefusalReason),
    /// Its message came live, and the file with it.
    Duplicate,
    Register(Box<MessageLink>, &'f Media),
}

async fn decide<'f>(
    handler: &Handler,
    record: &Record,
    channel: &Channel,
    file: &'f HistoryFile,
) -> Result<Decision<'f>, HandlerError> {
    let clients = &handler.clients;
    let stays = Decision::Refuse(RefusalReason::FileOnThePhone);
    let (Some(media), Some(wamid), true) = (&file.media, &file.message, handler.files) else { return Ok(stays) };
    match clients.tombstones.check_past(channel.account, &file.customer, file.at).await? {
        ErasureCheck::No => {}
        ErasureCheck::Erased(_) => return Ok(Decision::Refuse(RefusalReason::Erased)),
        ErasureCheck::NotYet(code) => {
            let group = record.group.as_str().into();
            clients.erasures.drain_marker_is_out(&code, crate::QUEUE_NAME, &group).await?;
            return Err(HandlerError::Erasing);
        }
    }
    let now = clients.clock.now();
    if file.at < now - handler.retention {
        return Ok(Decision::Refuse(RefusalReason::PastRetention));
    }
    Ok(match clients.message_links.get(wamid).await? {
        Some(link) if link.imported => Decision::Register(Box::new(link), media),
        Some(_) => Decision::Duplicate,
        None if now.since(record.sent_at) < MAX_WAIT => Decision::Wait,
        None => stays,
    })
}

/// Written twice, it is the same item.
async fn register(
    handler: &Handler,
    record: &Record,
    channel: &Channel,
    file: &HistoryFile,
    link: &MessageLink,
    media: &Media,
) -> Result<(), HandlerError> {
    let clients = &handler.clients;
    let (number, told_at) = (&channel.phone_number_id, record.sent_at);
    // Side and time are those of the message: what the webhook says of a file is not certain.
    let sent_at = link.sent_at.unwrap_or(file.at);
    let Some(person) = file.customer.subject(&clients.key) else { return Ok(()) };
    // Found at Meta by an erasure, whatever becomes of it here.
    let hash = clients.message_links.hash(&link.wamid);
    clients.media.received(&link.customer, number, &media.id, told_at, Some(hash)).await?;
    let pending = PendingFile {
        number: number.clone(),
        item: file.item.clone(),
        wamid: link.wamid.clone(),
        customer: link.customer.clone(),
        account: link.account,
        conversation: link.conversation,
        placeholder: link.message,
        author: link.author,
        group: MessageGroup::Person(number.clone(), person),
        media: media.id.clone(),
        kind: media.kind,
        mime_type: media.mime_type.clone(),
        sent_at,
        past: Some(PastFile { title: title(handler, link, sent_at), told_at }),
        tries: 0,
        next_at: clients.clock.now(),
    };
    Ok(clients.pending_media.add(&pending).await?)
}

fn title(handler: &Handler, link: &MessageLink, sent_at: Timestamp) -> String {
    let style = handler.style;
    let at = history::ShopTime::at(sent_at.as_secs(), style.utc_offset);
    history::file_title(link.author, at, style.locale)
}
