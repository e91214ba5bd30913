//! Writes a slice of a person's past into their conversation: in its order, once, and without telling anybody.

use std::{collections::BTreeSet, time::Duration};

use app::{ChatPlace, HandlerError, Opening};
use chatwoot::{Chatwoot, ChatwootError, HISTORY_SOURCE, NewMessage};
use domain::{
    Channel, ConversationId, CustomerId, HistorySlice, KeyedHash, MessageId, PastMessage, RefusalReason, Timestamp,
    Wamid, keyed_hash::WorkItem,
};
use platform::Metric;
use queue::Record;
use serde_json::json;
use store::{Claim, ClaimGuard, Conversations, CustomerStore, ErasureCheck, MessageLink, SliceOutcome, TAKEN_UP_TO};

use crate::{
    Handler, Step,
    note::{self, Note, Written},
};

/// How long a slice is hidden at most while Meta sends more: an erasure has to find it soon.
const GATE_MAX_WAIT: Duration = Duration::from_secs(600);

/// How long a slice waits for each older one of its person.
const ORDER_WAIT: Duration = Duration::from_secs(2);

/// The same at most.
const ORDER_MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a slice waits for another one of its person that is being written.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// A task of so many bytes becomes about one note more.
const BYTES_PER_NOTE: usize = 20_000;

/// The requests for a person who has no conversation yet.
const SET_UP_REQUESTS: u32 = 6;

/// A slice of a number of ours, and the messages of it that may be written.
pub(crate) struct SliceWork<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) record: &'a Record,
    pub(crate) slice: &'a HistorySlice,
    pub(crate) channel: &'a Channel,
}

/// The messages of a slice, sorted by what becomes of them.
#[derive(Default)]
struct Sorted<'m> {
    writable: Vec<&'m PastMessage>,
    /// The items of those that a live message must not bring once more.
    reserved: Vec<KeyedHash<WorkItem>>,
    duplicate: i64,
    refused: Vec<(RefusalReason, i64)>,
}

impl Sorted<'_> {
    fn refuse(&mut self, reason: RefusalReason, count: usize) {
        if count > 0 {
            self.refused.push((reason, i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }
}

/// Where a slice is written.
struct WrittenTo {
    customer: CustomerId,
    conversation: ConversationId,
    pending: bool,
}

impl SliceWork<'_> {
    /// Waits for its turn, or writes the slice.
    pub(crate) async fn go(&self) -> Result<Step, HandlerError> {
        let clients = &self.handler.clients;
        let (number, slice) = (&self.slice.channel, self.slice);
        // First of all: whoever erases the person finds it from here on.
        clients.imports.register(slice).await?;
        let progress = clients.imports.progress(number).await?.unwrap_or_default();
        let now = clients.clock.now();
        let opens_in = progress.transfer.opens_at().since(now);
        let erased = self.erased_up_to().await?;
        if erased.is_some_and(|up_to| slice.range().1.as_secs() <= up_to.as_secs()) {
            // What is erased does not wait for its turn.
            let chatwoot = clients.chatwoot(self.channel.account).await?;
            return Box::pin(self.write_as_the_only_one(&chatwoot, erased)).await;
        }
        if !opens_in.is_zero() {
            return Ok(Step::Later(opens_in.min(GATE_MAX_WAIT)));
        }
        let waiting = clients.imports.waiting(number, &slice.person).await?;
        let ahead = waiting.iter().position(|one| one.item == slice.item).unwrap_or_default();
        if ahead > 0 {
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            return Ok(Step::Later(ORDER_WAIT.saturating_mul(ahead).min(ORDER_MAX_WAIT)));
        }
        // Before the claim: a slice that waits for its turn has not been begun.
        let planned = self.planned().await?;
        let turn = match self.handler.turn(self.channel.account, planned).await? {
            Ok(turn) => turn,
            Err(wait) => return Ok(Step::Later(wait)),
        };
        let chatwoot = clients.chatwoot(self.channel.account).await?;
        let written = Box::pin(self.write_as_the_only_one(&chatwoot, erased)).await;
        clients.import_rate.settle(turn, chatwoot.calls()).await?;
        written
    }

    /// About how many requests the slice takes.
    async fn planned(&self) -> Result<u32, HandlerError> {
        let customers = &self.handler.clients.customers;
        let known = customers.find(self.channel.account, &self.slice.customer).await?;
        let thread = match &known {
            Some(customer) => customers.thread(customer, &self.slice.channel).await?,
            None => None,
        };
        let is_set_up = thread.is_some_and(|thread| thread.conversation.is_some());
        let notes = u32::try_from(self.record.body.len() / BYTES_PER_NOTE).unwrap_or(u32::MAX);
        Ok(notes.saturating_add(if is_set_up { 1 } else { SET_UP_REQUESTS }))
    }

    /// Up to when the person is erased, if anything of the slice is from before that.
    async fn erased_up_to(&self) -> Result<Option<Timestamp>, HandlerError> {
        let tombstones = &self.handler.clients.tombstones;
        let (account, customer) = (self.channel.account, &self.slice.customer);
        let (oldest, newest) = self.slice.range();
        match tombstones.check_past(account, customer, oldest).await? {
            ErasureCheck::No => Ok(None),
            ErasureCheck::NotYet(code) => Err(self.held_back(&code).await?),
            ErasureCheck::Erased(_) => {
                let up_to = tombstones.erased_up_to(account, customer).await?.unwrap_or(newest);
                // What is newer starts clean, once the erasure is over.
                if newest.as_secs() > up_to.as_secs()
                    && let ErasureCheck::NotYet(code) = tombstones.check_past(account, customer, newest).await?
                {
                    return Err(self.held_back(&code).await?);
                }
                Ok(Some(up_to))
            }
        }
    }

    /// The slice waits for the end of an erasure, and its drain marker may be behind it.
    async fn held_back(&self, code: &domain::ConfirmationCode) -> Result<HandlerError, HandlerError> {
        let group = self.record.group.as_str().into();
        self.handler.clients.erasures.drain_marker_is_out(code, crate::QUEUE_NAME, &group).await?;
        Ok(HandlerError::Erasing)
    }

    async fn write_as_the_only_one(
        &self,
        chatwoot: &Chatwoot,
        erased: Option<Timestamp>,
    ) -> Result<Step, HandlerError> {
        let clients = &self.handler.clients;
        let slice = self.slice;
        let Some((guard, unsure)) = self.handler.take(self.record, &slice.item).await? else {
            return Ok(Step::Done);
        };
        let place = clients.key.item(["history_place", slice.channel.as_str(), slice.person.as_str()]);
        if let Claim::Busy { .. } = clients.claims.take(&place, &self.record.id).await? {
            clients.claims.record_failure(&slice.item, false).await?;
            return Ok(Step::Later(BUSY_WAIT));
        }
        let written = Box::pin(self.write(chatwoot, &guard, unsure, erased)).await;
        // Released whatever the outcome: the next slice must not wait for the lease.
        clients.claims.release(&place).await?;
        written
    }

    async fn write(
        &self,
        chatwoot: &Chatwoot,
        guard: &ClaimGuard,
        unsure: bool,
        erased: Option<Timestamp>,
    ) -> Result<Step, HandlerError> {
        let clients = &self.handler.clients;
        let slice = self.slice;
        let own_notes = if unsure { self.own_notes(chatwoot).await? } else { Vec::new() };
        let mut sorted = self.sorted(erased, &own_notes).await?;
        let rendered = note::notes(&sorted.writable, self.handler.style());
        sorted.refuse(RefusalReason::AboutAnotherMessage, usize::try_from(rendered.about_others).unwrap_or_default());
        let mut outcome =
            SliceOutcome { customer: None, written: None, duplicate: sorted.duplicate, refused: sorted.refused };
        let count = rendered.notes.iter().map(|note| note.messages.len()).sum::<usize>();
        if count == 0 {
            let holder = self.holder();
            clients.claims.settle_reserved(&sorted.reserved, &holder).await?;
            return self.close(guard, outcome).await;
        }
        let newest = slice.range().1;
        // What is written of the person ends by the messages' own dates.
        let past = clients.table.in_the_past(newest);
        let customers = CustomerStore::new(past.clone(), clients.key.clone());
        let conversations = Conversations::new(past);
        let known = customers.find(self.channel.account, &slice.customer).await?;
        let written = async {
            let written_to = self.written_to(chatwoot, &customers, &conversations, known.is_none()).await?;
            self.write_notes(chatwoot, &written_to, &rendered.notes, &own_notes).await?;
            self.show(chatwoot, &customers, &written_to).await?;
            Ok::<_, HandlerError>(written_to)
        }
        .await;
        let written_to = match written {
            Ok(written_to) => written_to,
            Err(HandlerError::Chatwoot(error)) => return Err(self.refused(error, chatwoot, known.as_ref()).await?),
            Err(error) => return Err(error),
        };
        clients.claims.settle_reserved(&sorted.reserved, &self.holder()).await?;
        let all = || rendered.notes.iter().flat_map(|note| &note.messages).map(|written| written.at);
        let (oldest, newest) = (all().min().unwrap_or_default(), all().max().unwrap_or_default());
        outcome.customer = Some(written_to.customer);
        outcome.written = Some((i64::try_from(count).unwrap_or(i64::MAX), oldest, newest));
        self.handler.metrics.add(Metric::HistoryWritten, count);
        self.close(guard, outcome).await
    }

    /// Decides about each message.
    async fn sorted(&self, erased: Option<Timestamp>, own: &[(String, MessageId)]) -> Result<Sorted<'_>, HandlerError> {
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

    fn holder(&self) -> String {
        format!("history:{}", self.slice.item)
    }

    /// How a note of this slice is found again.
    fn source(&self, at: usize) -> String {
        format!("{}:{at}", self.source_prefix())
    }

    fn source_prefix(&self) -> String {
        format!("{HISTORY_SOURCE}{}:{}", self.slice.person, self.slice.item)
    }

    /// The notes an earlier attempt wrote: their sources and ids.
    async fn own_notes(&self, chatwoot: &Chatwoot) -> Result<Vec<(String, MessageId)>, HandlerError> {
        let clients = &self.handler.clients;
        let Some(customer) = clients.customers.find(self.channel.account, &self.slice.customer).await? else {
            return Ok(Vec::new());
        };
        let thread = clients.customers.thread(&customer, &self.slice.channel).await?;
        let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(Vec::new()) };
        let prefix = self.source_prefix();
        let listed = match chatwoot.messages(conversation, None, self.record.sent_at).await {
            Err(ChatwootError::Gone) => Vec::new(),
            listed => listed?,
        };
        let own = listed.into_iter().filter_map(|listed| {
            let source = listed.source_id.clone().filter(|source| source.starts_with(&prefix))?;
            Some((source, listed.id))
        });
        Ok(own.collect())
    }

    async fn written_to(
        &self,
        chatwoot: &Chatwoot,
        customers: &CustomerStore,
        conversations: &Conversations,
        is_new: bool,
    ) -> Result<WrittenTo, HandlerError> {
        let slice = self.slice;
        let newest = slice.range().1;
        let customer = customers.identify(self.channel.account, &slice.customer, newest).await?;
        let thread = customers.thread(&customer, &slice.channel).await?;
        if let Some(thread) = &thread
            && let Some(conversation) = thread.conversation
        {
            return Ok(WrittenTo { customer, conversation, pending: thread.pending });
        }
        if thread.is_none() {
            // No window opens, and what is known of a newer time stays.
            customers.touch(&customer, &slice.channel, &slice.customer, None, Some(newest)).await?;
        }
        let place = ChatPlace {
            clients: &self.handler.clients,
            customers,
            conversations,
            locks: &self.handler.locks,
            channel: self.channel,
            chatwoot,
            customer: &customer,
            is_new,
            person: &slice.customer,
            name: None,
            username: slice.username.as_deref(),
            profile: None,
        };
        let found = Box::pin(place.find(&self.record.id, None, Opening::Pending)).await?;
        let Some(found) = found else { return Err(HandlerError::Busy(BUSY_WAIT)) };
        Ok(WrittenTo { conversation: found.conversation, pending: found.pending, customer })
    }

    async fn write_notes(
        &self,
        chatwoot: &Chatwoot,
        written_to: &WrittenTo,
        notes: &[Note],
        own: &[(String, MessageId)],
    ) -> Result<(), HandlerError> {
        let clients = &self.handler.clients;
        for (at, note) in notes.iter().enumerate() {
            let source = self.source(at);
            let known = own.iter().find(|(own, _)| *own == source).map(|(_, id)| *id);
            let message = if let Some(id) = known {
                id
            } else {
                let began = clients.clock.now();
                let new = NewMessage {
                    content: &note.content,
                    private: true,
                    source_id: Some(&source),
                    attributes: json!({ "external_created_at": note.newest.as_secs(), "historical": true }),
                    ..NewMessage::default()
                };
                let id = chatwoot.create_message(written_to.conversation, new).await?;
                self.handler.pace.took(clients.clock.now().since(began));
                id
            };
            let link = |written: &Written| MessageLink {
                wamid: written.id.clone(),
                customer: written_to.customer.clone(),
                account: self.channel.account,
                conversation: written_to.conversation,
                message,
                author: written.author,
                part: None,
                sent_at: Some(written.at),
                imported: true,
                early: None,
            };
            let links: Vec<MessageLink> = note.messages.iter().map(link).collect();
            clients.message_links.import(&links).await?;
        }
        Ok(())
    }

    /// After the person's last slice, a conversation that was made for it is closed like one that is over. If the customer wrote
    /// meanwhile, agents see it as open.
    async fn show(
        &self,
        chatwoot: &Chatwoot,
        customers: &CustomerStore,
        written_to: &WrittenTo,
    ) -> Result<(), HandlerError> {
        if !written_to.pending {
            return Ok(());
        }
        let (number, imports) = (&self.slice.channel, &self.handler.clients.imports);
        let waiting = imports.waiting(number, &self.slice.person).await?;
        if waiting.iter().any(|one| one.item != self.slice.item) {
            return Ok(());
        }
        let thread = customers.thread(&written_to.customer, number).await?;
        if !thread.is_some_and(|thread| thread.pending) {
            return Ok(());
        }
        chatwoot.set_status(written_to.conversation, "resolved").await?;
        let thread = customers.thread(&written_to.customer, number).await?;
        if thread.is_some_and(|thread| thread.window.start().is_some()) {
            chatwoot.set_status(written_to.conversation, "open").await?;
        }
        Ok(customers.is_shown(&written_to.customer, number).await?)
    }

    /// What a failure of Chatwoot's means for the slices to come.
    async fn refused(
        &self,
        error: ChatwootError,
        chatwoot: &Chatwoot,
        customer: Option<&CustomerId>,
    ) -> Result<HandlerError, HandlerError> {
        let handler = self.handler;
        match &error {
            ChatwootError::Unwell(status) => handler.rest(self.channel.account, *status).await?,
            ChatwootError::Gone => {
                if let Some(customer) = customer
                    && let Some(thread) = handler.clients.customers.thread(customer, &self.slice.channel).await?
                    && let Some(conversation) = thread.conversation
                    && chatwoot.party(conversation).await?.is_none()
                {
                    if handler.was_deleted(self.channel, chatwoot, customer, &self.slice.customer).await? {
                        return Ok(HandlerError::Erasing);
                    }
                    handler.clients.customers.unbind(customer, &self.slice.channel).await?;
                }
            }
            _ => {}
        }
        Ok(error.into())
    }

    async fn close(&self, guard: &ClaimGuard, outcome: SliceOutcome) -> Result<Step, HandlerError> {
        let refused: i64 = outcome.refused.iter().map(|(_, count)| count).sum();
        let metrics = &self.handler.metrics;
        metrics.add(Metric::HistoryRefused, usize::try_from(refused).unwrap_or_default());
        metrics.add(Metric::Duplicate, usize::try_from(outcome.duplicate).unwrap_or_default());
        let clients = &self.handler.clients;
        clients.imports.close(self.slice, &outcome, &clients.ledger, guard).await?;
        Ok(Step::Done)
    }
}
