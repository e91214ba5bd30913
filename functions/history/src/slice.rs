//! Writes a slice of a person's past into their conversation: in its order, once, and without telling anybody.

mod sorted;
mod writing;

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError};
use domain::{Channel, CustomerId, HistorySlice, RefusalReason, Timestamp};
use platform::Metric;
use queue::Record;
use store::{Claim, ClaimGuard, Conversations, CustomerStore, ErasureCheck, ImportProgress, SliceOutcome};

use crate::{Handler, Step, note};

/// How long a slice is hidden at most while Meta sends more: an erasure has to find it soon.
const GATE_MAX_WAIT: Duration = Duration::from_secs(600);

/// How long a slice is hidden at least while others may wait in the queue that nothing is known of yet.
const BACKLOG_WAIT: Duration = Duration::from_secs(15);

/// The same in all: the queue also counts slices of other numbers, and counts late.
const BACKLOG_MAX_WAIT: Duration = Duration::from_secs(600);

/// How long a slice waits for each older one of its person.
const ORDER_WAIT: Duration = Duration::from_secs(2);

/// The same at most, where little is left to be written.
const ORDER_MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a slice waits for another one of its person that is being written.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// A task of so many bytes becomes about one note more.
const BYTES_PER_NOTE: usize = 20_000;

/// The requests for a person who has no conversation yet.
const SET_UP_REQUESTS: u32 = 6;

/// The requests to learn whether an agent would be told of a note.
const LOOK_REQUESTS: u32 = 2;

/// A slice of a number of ours, and the messages of it that may be written.
pub(crate) struct SliceWork<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) record: &'a Record,
    pub(crate) slice: &'a HistorySlice,
    pub(crate) channel: &'a Channel,
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
        if !self.is_open(&progress).await? {
            return Ok(Step::Later(self.handler.far_off(self.record, &progress, BACKLOG_WAIT)));
        }
        let waiting = clients.imports.waiting(number, &slice.person).await?;
        let ahead = waiting.iter().position(|one| one.item == slice.item).unwrap_or_default();
        if ahead > 0 {
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            let least = ORDER_WAIT.saturating_mul(ahead).min(ORDER_MAX_WAIT);
            return Ok(Step::Later(self.handler.far_off(self.record, &progress, least)));
        }
        // Before the claim: a slice that waits for its turn has not been begun.
        let planned = self.planned().await?;
        let turn = match self.handler.turn(self.channel.account, planned).await? {
            Ok(turn) => turn,
            Err(wait) => return Ok(Step::Later(self.handler.far_off(self.record, &progress, wait))),
        };
        let chatwoot = clients.chatwoot(self.channel.account).await?;
        let written = Box::pin(self.write_as_the_only_one(&chatwoot, erased)).await;
        clients.import_rate.settle(turn, chatwoot.calls()).await?;
        written
    }

    /// Whether the import may begin: an older slice of a person may stand in the queue without being registered, after an
    /// outage of this function or in a crowd. What is registered is hidden while it waits, so then the queue shows nothing.
    async fn is_open(&self, progress: &ImportProgress) -> Result<bool, HandlerError> {
        let clients = &self.handler.clients;
        let transfer = &progress.transfer;
        if progress.opened_at.is_some_and(|at| at >= transfer.last_at)
            || clients.clock.now().since(transfer.opens_at()) >= BACKLOG_MAX_WAIT
        {
            return Ok(true);
        }
        if self.handler.drain.queue.visible().await.is_ok_and(|waiting| waiting > 0) {
            return Ok(false);
        }
        clients.imports.opened(&self.slice.channel).await?;
        Ok(true)
    }

    /// About how many requests the slice takes.
    async fn planned(&self) -> Result<u32, HandlerError> {
        let customers = &self.handler.clients.customers;
        let known = customers.find(self.channel.account, &self.slice.customer).await?;
        let thread = match &known {
            Some(customer) => customers.thread(customer, &self.slice.channel).await?,
            None => None,
        };
        let place = match thread.filter(|thread| thread.conversation.is_some()) {
            None => SET_UP_REQUESTS,
            Some(thread) if thread.pending => 1,
            Some(_) => 1 + LOOK_REQUESTS,
        };
        let notes = u32::try_from(self.record.body.len() / BYTES_PER_NOTE).unwrap_or(u32::MAX);
        Ok(notes.saturating_add(place))
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
            // It may be the last one all the same.
            return match self.show_known(chatwoot).await {
                Err(HandlerError::Chatwoot(error)) => Err(self.refused(error, chatwoot, None).await?),
                Err(error) => Err(error),
                Ok(()) => self.close(guard, outcome).await,
            };
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

    fn holder(&self) -> String {
        format!("history:{}", self.slice.item)
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
