//! Sorts the messages of a slice: to be written, there already, or refused.

use std::collections::BTreeSet;

use app::HandlerError;
use domain::{KeyedHash, MessageId, PastMessage, RefusalReason, Timestamp, Wamid, keyed_hash::WorkItem};
use store::TAKEN_UP_TO;

use super::SliceWork;

/// The messages of a slice, sorted by what becomes of them.
#[derive(Default)]
pub(super) struct Sorted<'m> {
    pub(super) writable: Vec<&'m PastMessage>,
    /// The items of those that a live message must not bring once more.
    pub(super) reserved: Vec<KeyedHash<WorkItem>>,
    pub(super) duplicate: i64,
    pub(super) refused: Vec<(RefusalReason, i64)>,
}

impl Sorted<'_> {
    pub(super) fn refuse(&mut self, reason: RefusalReason, count: usize) {
        if count > 0 {
            self.refused.push((reason, i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }
}

impl SliceWork<'_> {
    /// Decides about each message.
    pub(super) async fn sorted(
        &self,
        erased: Option<Timestamp>,
        own: &[(String, MessageId)],
    ) -> Result<Sorted<'_>, HandlerError> {
        let clients = &self.handler.clients;
        let now = clients.clock.now();
        let kept_since = now - self.handler.retention;
        let mut sorted = Sorted::default();
        let mut messages: Vec<&PastMessage> = self.slice.messages.iter().collect();
        sorted.refuse(RefusalReason::NoSide, usize::try_from(self.slice.sideless).unwrap_or_default());
        if self.slice.customer.phone.as_ref().is_some_and(|phone| self.channel.is_number(phone.as_str())) {
            sorted.refuse(RefusalReason::NoteToOneself, messages.len());
            return Ok(sorted);
        }
        let before = messages.len();
        messages.retain(|message| erased.is_none_or(|up_to| message.at.as_secs() > up_to.as_secs()));
        sorted.refuse(RefusalReason::Erased, before - messages.len());
        let before = messages.len();
        messages.retain(|message| message.at >= kept_since);
        sorted.refuse(RefusalReason::PastRetention, before - messages.len());
        let links = clients.message_links.among(messages.iter().map(|message| &message.id)).await?;
        let own_ids: BTreeSet<MessageId> = own.iter().map(|(_, id)| *id).collect();
        // A link to a note of this very slice is of an attempt that ended too early.
        let linked: BTreeSet<&Wamid> =
            links.iter().filter(|link| !own_ids.contains(&link.message)).map(|link| &link.wamid).collect();
        let mut seen: BTreeSet<&Wamid> = BTreeSet::new();
        let before = messages.len();
        messages.retain(|message| !linked.contains(&message.id) && seen.insert(&message.id));
        let young: Vec<(&PastMessage, KeyedHash<WorkItem>)> = messages
            .iter()
            .filter(|message| now.since(message.at) < TAKEN_UP_TO)
            .map(|message| (*message, self.live_item(&message.id)))
            .collect();
        let items: Vec<_> = young.iter().map(|(_, item)| item.clone()).collect();
        let reserved = clients.claims.reserve(&items, &self.holder()).await?;
        let live: BTreeSet<&Wamid> =
            young.iter().filter(|(_, item)| !reserved.contains(item)).map(|(message, _)| &message.id).collect();
        messages.retain(|message| !live.contains(&message.id));
        sorted.duplicate = i64::try_from(before - messages.len()).unwrap_or(i64::MAX);
        sorted.writable = messages;
        sorted.reserved = reserved.into_iter().collect();
        Ok(sorted)
    }

    /// The item under which the live path has a message.
    fn live_item(&self, id: &Wamid) -> KeyedHash<WorkItem> {
        self.handler.clients.key.item(["message", self.slice.channel.as_str(), id.as_str()])
    }
}
