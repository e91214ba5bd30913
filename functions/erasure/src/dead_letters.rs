//! Deletes the person's dead letters from every queue. Each dead letter is checked by itself: what is about the person
//! goes, what is about others stays.
//!
//! A FIFO queue shows ten messages of a message group and hides those behind until these are gone. So what is kept is put
//! back in a group of its own, as long as something may be behind it. The data location is clear only once every message
//! the queue counts was checked.

use std::collections::{BTreeMap, BTreeSet};

use app::HandlerError;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName};
use domain::{
    AccountId, ConversationId, Identity, InboundTask, KeyedHash, RefusalReason, Timestamp, erasure::DataLocation,
    mention,
};
use queue::{DeadLetters, Queue, QueueError};
use serde::Deserialize;
use store::{DataSubject, ErasureEntry};

use crate::{ClearOutcome, Handler, dead_letter};

/// How long a dead letter is invisible while the others are checked; longer than the function runs.
const VISIBILITY_SECONDS: i32 = 600;

/// A receive that waits asks all of SQS's servers. One that does not wait asks some, and an empty answer proves nothing.
const ASKS_ALL: i32 = 1;

/// More dead letters than an operator leaves in a queue, and than one sweep handles.
const MAX_DEAD_LETTERS: usize = 20_000;

/// How many bytes of dead letters are held in memory at once.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;

/// What dead letters are searched for.
struct Wanted<'t> {
    subject: &'t DataSubject,
    /// The numbers of accounts the erasure does not cover.
    elsewhere: BTreeSet<String>,
    /// Dead letters since then are about a person who has begun anew.
    until: Option<Timestamp>,
    /// What was sent after that, and dead-lettered only once the erasure had been asked for, is not erased either.
    up_to: Timestamp,
    asked_at: Timestamp,
}

/// What was about the person, in this pass and in the stored erasure.
struct Found<'e> {
    entry: &'e mut ErasureEntry,
    count: u64,
}

/// The state of one sweep over a queue.
#[derive(Default)]
struct Look {
    /// The dead letters that were checked and are in the queue now, by their ids.
    known: BTreeSet<String>,
    /// The receipt handles of those that hide nothing, to make them visible again.
    receipts: Vec<String>,
    /// Dead letters of others that may hide some behind them.
    hiding: Vec<Message>,
    /// How many bytes these are.
    bytes: usize,
    /// Pieces of divided dead letters, by the dead letter's name.
    pieces: BTreeMap<String, Vec<Message>>,
    /// How many messages were received so far, perhaps the same ones again.
    received: usize,
}

impl Look {
    /// Whether something may be behind what was received.
    fn may_hide_some(&self) -> bool {
        !self.hiding.is_empty() || self.pieces.values().flatten().any(|piece| !dead_letter::stands_alone(piece))
    }

    /// Counts pieces as hiding others, like any dead letter.
    fn give_up_pieces(&mut self) {
        for pieces in self.pieces.values_mut() {
            self.hiding.extend(pieces.extract_if(.., |piece| !dead_letter::stands_alone(piece)));
        }
        self.pieces.retain(|_, pieces| !pieces.is_empty());
    }
}

/// The conversation a task of `send` belongs to.
#[derive(Deserialize)]
struct Whereabouts {
    account: AccountId,
    conversation: ConversationId,
}

impl Handler {
    pub(crate) async fn clear_dead_letters(
        &self,
        entry: &mut ErasureEntry,
        target: &DataSubject,
        until: Option<Timestamp>,
    ) -> Result<ClearOutcome, HandlerError> {
        let channels = if target.only.is_some() { self.clients.channels.all().await? } else { Vec::new() };
        let elsewhere = channels.iter().filter(|channel| target.only != Some(channel.account));
        let elsewhere = elsewhere.map(|channel| channel.phone_number_id.to_string()).collect();
        let asked_at = entry.erasure.asked_at;
        let up_to = entry.erasure.confirmed_at.unwrap_or(asked_at);
        let wanted = &Wanted { subject: target, elsewhere, until, up_to, asked_at };
        for _ in 0..2 {
            let mut found = Found { entry: &mut *entry, count: 0 };
            let (mut saw_all, mut trouble) = (true, None);
            for url in &self.dead {
                match self.sweep(url, wanted, &mut found).await {
                    Ok(all) => saw_all &= all,
                    Err(error) => {
                        trouble.get_or_insert(error);
                    }
                }
            }
            match trouble {
                Some(error) => return Err(error),
                None if !saw_all => return Ok(ClearOutcome::Later),
                None if found.count == 0 => return Ok(ClearOutcome::Clear),
                None => {}
            }
        }
        Ok(ClearOutcome::Later)
    }

    /// Goes through a queue, deletes what is about the person, and counts that. Tells whether it saw every dead letter
    /// there is.
    async fn sweep(&self, url: &str, wanted: &Wanted<'_>, found: &mut Found<'_>) -> Result<bool, HandlerError> {
        let mut look = Look::default();
        let swept = self.look_through(url, wanted, &mut look, found).await;
        let hiding = look.hiding.iter().filter_map(|letter| letter.receipt_handle.as_ref());
        self.show(url, look.receipts.iter().chain(hiding)).await;
        swept
    }

    /// Makes dead letters visible again that were only checked.
    async fn show<'r>(&self, url: &str, receipts: impl DoubleEndedIterator<Item = &'r String>) {
        // The last first, or the first would be overtaken.
        let receipts: Vec<&String> = receipts.rev().collect();
        for some in receipts.chunks(10) {
            if self.hide(url, some, 0).await.is_err() {
                tracing::debug!("dead letters of somebody else show again by themselves");
            }
        }
    }

    async fn look_through(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        look: &mut Look,
        found: &mut Found<'_>,
    ) -> Result<bool, HandlerError> {
        let queue = Queue::new(self.clients.sqs.clone(), url.to_owned());
        while look.received < MAX_DEAD_LETTERS {
            let page = self.receive(url).await?;
            let nothing_shows = page.is_empty();
            look.received += page.len();
            for letter in page {
                self.look_at(url, wanted, look, letter, found).await?;
            }
            let saw_all = nothing_shows && queue.holds().await? == look.known.len() as u64;
            if saw_all || (nothing_shows && !look.may_hide_some()) {
                // Once nothing more can come, the pieces of a divided dead letter that are here are all there is of it.
                for (_, pieces) in std::mem::take(&mut look.pieces) {
                    self.decide(url, wanted, look, pieces, found).await?;
                }
                // Other workers may have messages in hand, and SQS counts late: another sweep confirms what this one found.
                return Ok(saw_all);
            }
            if nothing_shows || look.bytes > MAX_HELD_BYTES {
                look.give_up_pieces();
                self.bring_forward(url, look).await?;
            }
        }
        tracing::warn!("more dead letters than one look takes; the erasure waits until some are gone");
        Ok(false)
    }

    async fn look_at(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        look: &mut Look,
        message: Message,
        found: &mut Found<'_>,
    ) -> Result<(), HandlerError> {
        if message.message_id().is_some_and(|id| look.known.contains(id)) {
            // It was invisible for too long, or was put back.
            look.receipts.extend(message.receipt_handle);
            return Ok(());
        }
        let Some((name, of)) = dead_letter::piece(&message) else {
            return self.decide(url, wanted, look, vec![message], found).await;
        };
        look.bytes += message.body().unwrap_or_default().len();
        let pieces = look.pieces.entry(name.clone()).or_default();
        look.known.extend(message.message_id.clone());
        pieces.push(message);
        if pieces.len() < of {
            return Ok(());
        }
        let pieces = look.pieces.remove(&name).unwrap_or_default();
        self.decide(url, wanted, look, pieces, found).await
    }

    /// Keeps a dead letter, in as many pieces as it has, or deletes it.
    async fn decide(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        look: &mut Look,
        pieces: Vec<Message>,
        found: &mut Found<'_>,
    ) -> Result<(), HandlerError> {
        let text = dead_letter::text(&pieces);
        let now = self.clients.clock.now();
        if pieces.iter().all(|piece| dead_letter::is_overdue(piece, now)) {
            for piece in &pieces {
                self.remove(url, piece).await?;
                look.known.remove(piece.message_id().unwrap_or_default());
            }
            return Ok(());
        }
        let is_old = wanted.until.is_none_or(|until| pieces.iter().any(|piece| dead_letter::since(piece) < until));
        if is_old && self.is_about(&text, wanted) && !is_spared(&text, &pieces, wanted) {
            self.keep_the_rest(url, &pieces, &text, wanted).await?;
            // Stored first: what is deleted could not be counted any more.
            let so_far = found.entry.erasure.found.get(&DataLocation::DeadLetters).copied().unwrap_or_default();
            self.note(found.entry, DataLocation::DeadLetters, usize::try_from(so_far + 1).unwrap_or(usize::MAX))
                .await?;
            found.count += 1;
            for piece in &pieces {
                self.remove(url, piece).await?;
                look.known.remove(piece.message_id().unwrap_or_default());
            }
            return Ok(());
        }
        for piece in pieces {
            look.known.extend(piece.message_id.clone());
            if dead_letter::stands_alone(&piece) {
                look.receipts.extend(piece.receipt_handle);
            } else {
                look.bytes += piece.body().unwrap_or_default().len();
                look.hiding.push(piece);
            }
        }
        Ok(())
    }

    /// Puts back what is kept, each dead letter in a message group of its own, so that what is behind it can be received.
    /// After a crash in between, a dead letter is there twice; after a redrive, its claim knows the repeat.
    async fn bring_forward(&self, url: &str, look: &mut Look) -> Result<(), HandlerError> {
        look.bytes = 0;
        for letter in std::mem::take(&mut look.hiding) {
            look.known.remove(letter.message_id().unwrap_or_default());
            // One that is visible already may be in another worker's hands, who would put it back as well.
            let receipt: Vec<&String> = letter.receipt_handle.iter().collect();
            if !self.hide(url, &receipt, VISIBILITY_SECONDS).await? {
                continue;
            }
            let copy = dead_letter::alone(&letter)?.queue_url(url).send_with(&self.clients.sqs).await;
            // A piece is handled again when it is received, with the others of its dead letter.
            let id = copy.map_err(QueueError::call)?.message_id.filter(|_| dead_letter::piece(&letter).is_none());
            look.known.extend(id);
            self.remove(url, &letter).await?;
        }
        Ok(())
    }

    /// Deletes what was put back and is by now older than its queue would have kept it. Each of these is in a message group
    /// of its own, so that nothing hides it; what is not visible today is visible tomorrow.
    pub(crate) async fn drop_overdue_letters(&self) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        for url in &self.dead {
            let (mut kept, mut dropped) = (Vec::new(), 0_usize);
            while kept.len() < MAX_DEAD_LETTERS {
                let page = self.receive(url).await?;
                if page.is_empty() {
                    break;
                }
                for letter in page {
                    if dead_letter::is_overdue(&letter, now) {
                        self.remove(url, &letter).await?;
                        dropped += 1;
                    } else {
                        kept.extend(letter.receipt_handle);
                    }
                }
            }
            self.show(url, kept.iter()).await;
            if dropped > 0 {
                tracing::info!(letters = dropped, "dead letters that were put in again are past their days, and gone");
            }
        }
        Ok(())
    }

    async fn receive(&self, url: &str) -> Result<Vec<Message>, HandlerError> {
        let request = self
            .clients
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(ASKS_ALL)
            .visibility_timeout(VISIBILITY_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(QueueError::call)?;
        Ok(answer.messages.unwrap_or_default())
    }

    async fn remove(&self, url: &str, message: &Message) -> Result<(), HandlerError> {
        let request = self.clients.sqs.delete_message().queue_url(url);
        request.set_receipt_handle(message.receipt_handle.clone()).send().await.map_err(QueueError::call)?;
        Ok(())
    }

    /// Keeps up to ten dead letters invisible for so long from now. Tells whether all of them still were.
    async fn hide(&self, url: &str, receipts: &[&String], seconds: i32) -> Result<bool, HandlerError> {
        let mut request = self.clients.sqs.change_message_visibility_batch().queue_url(url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(seconds);
            request = request.entries(entry.build().map_err(QueueError::from)?);
        }
        Ok(request.send().await.map_err(QueueError::call)?.failed.is_empty())
    }

    /// An unreadable dead letter may mention others as well: what it says of them is put back before it is deleted.
    async fn keep_the_rest(
        &self,
        url: &str,
        pieces: &[Message],
        text: &str,
        wanted: &Wanted<'_>,
    ) -> Result<(), HandlerError> {
        let (Some(letter), None) = (pieces.first(), self.of_one(text, wanted)) else { return Ok(()) };
        let theirs = |text: &str| self.is_named(text, wanted);
        let Some(rest) = mention::without(text, &theirs) else { return Ok(()) };
        let reason = dead_letter::attribute(letter, "reason").unwrap_or(RefusalReason::UnreadableItem.word());
        let dead_letters = DeadLetters::new(self.clients.sqs.clone(), url.to_owned());
        let beside = dead_letter::beside(letter);
        Ok(dead_letters.put_beside(&dead_letter::own_group(), rest.as_bytes(), reason, &beside).await?)
    }

    /// Whether a dead letter is about the person: by the task's own ids where it can be read, and by any mention where it
    /// cannot.
    fn is_about(&self, text: &str, wanted: &Wanted<'_>) -> bool {
        self.of_one(text, wanted).unwrap_or_else(|| self.is_named(text, wanted))
    }

    /// Whether a task about one person is about this one; nothing if it is no such task.
    fn of_one(&self, text: &str, Wanted { subject: target, elsewhere, .. }: &Wanted<'_>) -> Option<bool> {
        let is = |identity: &Identity| {
            identity.aliases(&self.clients.key).iter().any(|alias| target.aliases.contains(&alias.subject))
        };
        match serde_json::from_str::<InboundTask>(text) {
            // A person erased at one dealer may still be another's customer.
            Ok(task) if elsewhere.contains(task.channel()) => return Some(false),
            Ok(InboundTask::MessageV1(message)) => {
                return Some(is(&message.customer) || message.speaker().as_ref().is_some_and(is));
            }
            Ok(InboundTask::StatusV1(status)) => return Some(is(&status.customer)),
            _ => {}
        }
        // Whatever its version: a sync request names a conversation, and no person.
        let Whereabouts { account, conversation } = serde_json::from_str(text).ok()?;
        Some(target.conversations.iter().any(|(of, id, _)| (*of, *id) == (account, conversation)))
    }

    fn is_named(&self, text: &str, Wanted { subject: target, .. }: &Wanted<'_>) -> bool {
        let named: BTreeSet<KeyedHash> = mention::mentioned(text, &self.clients.key);
        !named.is_disjoint(&target.aliases) || target.customers.iter().any(|customer| text.contains(customer.as_str()))
    }
}

/// Whether a dead letter is a message newer than what is erased, which waited for the end of the erasure.
fn is_spared(text: &str, pieces: &[Message], wanted: &Wanted<'_>) -> bool {
    let Ok(InboundTask::MessageV1(message)) = serde_json::from_str::<InboundTask>(text) else { return false };
    let set_aside = |piece: &Message| dead_letter::since(piece) >= wanted.asked_at;
    // Meta gives whole seconds.
    message.sent_at.as_secs() > wanted.up_to.as_secs() && pieces.iter().all(set_aside)
}
