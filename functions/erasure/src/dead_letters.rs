//! Deletes the person's dead letters from every queue. Each dead letter is checked by itself: what is about the person
//! goes, what is about others stays.
//!
//! A FIFO queue shows ten messages of a message group and hides those behind until these are gone. So what is kept is put
//! back in a group of its own, as long as something may be behind it. The data location is clear only once every message
//! the queue counts was checked.

use std::collections::{BTreeMap, BTreeSet};

use app::HandlerError;
use domain::{
    AccountId, ConversationId, HashKey, HistoryTask, Identity, InboundTask, Timestamp, erasure::DataLocation, mention,
};
use queue::{DeadLetter, DeadLetterQueue, MAX_DEAD_LETTERS, dead_letter};
use serde::Deserialize;
use store::DataSubject;

use crate::{Handler, locations::ClearOutcome, run::ErasureRun};

/// How many bytes of dead letters are held in memory at once.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;

/// What dead letters are searched for.
struct Wanted {
    key: HashKey,
    subject: DataSubject,
    /// The numbers of accounts the erasure does not cover.
    elsewhere: BTreeSet<String>,
    /// Dead letters since then are about a person who has begun anew.
    until: Option<Timestamp>,
    /// What was sent after that, and dead-lettered only once the erasure had been asked for, is not erased either.
    up_to: Timestamp,
    asked_at: Timestamp,
}

/// One sweep over a queue.
struct Sweep<'s, 'h> {
    run: &'s mut ErasureRun<'h>,
    queue: &'s DeadLetterQueue,
    wanted: &'s Wanted,
    /// How many were about the person.
    deleted: u64,
    /// The dead letters that were checked and are in the queue now, by their ids.
    known: BTreeSet<String>,
    /// The receipt handles of those that hide nothing, to make them visible again.
    receipts: Vec<String>,
    /// Dead letters of others that may hide some behind them.
    hiding: Vec<DeadLetter>,
    /// How many bytes these are.
    bytes: usize,
    /// Pieces of divided dead letters, by the dead letter's name.
    pieces: BTreeMap<String, Vec<DeadLetter>>,
    /// How many messages were received so far, perhaps the same ones again.
    received: usize,
}

/// The conversation a task of `send` belongs to.
#[derive(Deserialize)]
struct ConversationOfTask {
    account: AccountId,
    conversation: ConversationId,
}

impl ErasureRun<'_> {
    pub(crate) async fn clear_dead_letters(&mut self, until: Option<Timestamp>) -> Result<ClearOutcome, HandlerError> {
        let (handler, erasure) = (self.handler, &self.entry.erasure);
        let only = self.subject.only;
        let channels = if only.is_some() { handler.clients.channels.all().await? } else { Vec::new() };
        let elsewhere = channels.iter().filter(|channel| only != Some(channel.account));
        let wanted = &Wanted {
            key: handler.clients.key.clone(),
            subject: self.subject.clone(),
            elsewhere: elsewhere.map(|channel| channel.phone_number_id.to_string()).collect(),
            until,
            up_to: erasure.confirmed_at().unwrap_or(erasure.asked_at()),
            asked_at: erasure.asked_at(),
        };
        for _ in 0..2 {
            let (mut saw_all, mut deleted, mut failure) = (true, 0, None);
            for queue in &handler.dead {
                match Sweep::new(self, queue, wanted).sweep().await {
                    Ok((all, some)) => (saw_all, deleted) = (saw_all && all, deleted + some),
                    Err(error) => {
                        failure.get_or_insert(error);
                    }
                }
            }
            match failure {
                Some(error) => return Err(error),
                None if !saw_all => return Ok(ClearOutcome::Later),
                None if deleted == 0 => return Ok(ClearOutcome::Clear),
                None => {}
            }
        }
        Ok(ClearOutcome::Later)
    }
}

impl<'s, 'h> Sweep<'s, 'h> {
    fn new(run: &'s mut ErasureRun<'h>, queue: &'s DeadLetterQueue, wanted: &'s Wanted) -> Self {
        Self {
            run,
            queue,
            wanted,
            deleted: 0,
            known: BTreeSet::new(),
            receipts: Vec::new(),
            hiding: Vec::new(),
            bytes: 0,
            pieces: BTreeMap::new(),
            received: 0,
        }
    }

    /// Goes through the queue, deletes what is about the person, and counts that. Tells whether it saw every dead letter
    /// there is, and how many it deleted.
    async fn sweep(mut self) -> Result<(bool, u64), HandlerError> {
        let swept = self.go_through().await;
        let hiding = self.hiding.iter().map(DeadLetter::receipt);
        self.queue.show(self.receipts.iter().map(String::as_str).chain(hiding)).await;
        Ok((swept?, self.deleted))
    }

    async fn go_through(&mut self) -> Result<bool, HandlerError> {
        while self.received < MAX_DEAD_LETTERS {
            let page = self.queue.receive().await?;
            let nothing_shows = page.is_empty();
            self.received += page.len();
            for message in page {
                self.check(message).await?;
            }
            let saw_all = nothing_shows && self.queue.holds().await? == self.known.len() as u64;
            if saw_all || (nothing_shows && !self.may_hide_some()) {
                // Once nothing more can come, the pieces of a divided dead letter that are here are all there is of it.
                for (_, pieces) in std::mem::take(&mut self.pieces) {
                    self.decide(pieces).await?;
                }
                // Other workers may have messages in hand, and SQS counts late: another sweep confirms what this one found.
                return Ok(saw_all);
            }
            if nothing_shows || self.bytes > MAX_HELD_BYTES {
                self.give_up_pieces();
                self.put_back_hiding().await?;
            }
        }
        tracing::warn!("more dead letters than one sweep handles; the erasure waits until some are gone");
        Ok(false)
    }

    /// Whether something may be behind what was received.
    fn may_hide_some(&self) -> bool {
        !self.hiding.is_empty() || self.pieces.values().flatten().any(|piece| !piece.stands_alone())
    }

    /// Counts pieces as hiding others, like any dead letter.
    fn give_up_pieces(&mut self) {
        for pieces in self.pieces.values_mut() {
            self.hiding.extend(pieces.extract_if(.., |piece| !piece.stands_alone()));
        }
        self.pieces.retain(|_, pieces| !pieces.is_empty());
    }

    async fn check(&mut self, message: DeadLetter) -> Result<(), HandlerError> {
        if self.known.contains(message.id()) {
            // It was invisible for too long, or was put back.
            self.receipts.push(message.receipt().to_owned());
            return Ok(());
        }
        let Some((name, of)) = message.piece() else { return self.decide(vec![message]).await };
        self.bytes += message.body().len();
        let pieces = self.pieces.entry(name.clone()).or_default();
        self.known.insert(message.id().to_owned());
        pieces.push(message);
        if pieces.len() < of {
            return Ok(());
        }
        let pieces = self.pieces.remove(&name).unwrap_or_default();
        self.decide(pieces).await
    }

    /// Keeps a dead letter, in as many pieces as it has, or deletes it.
    async fn decide(&mut self, pieces: Vec<DeadLetter>) -> Result<(), HandlerError> {
        let now = self.run.now();
        if pieces.iter().all(|piece| piece.is_overdue(now)) {
            return self.delete(&pieces).await;
        }
        let text = dead_letter::text(&pieces);
        if self.wanted.covers(&text, &pieces) {
            if let (Some(first), Some(rest)) = (pieces.first(), self.wanted.rest(&text)) {
                self.queue.put_rest(first, &rest).await?;
            }
            // Stored first: what is deleted could not be counted any more.
            let so_far = self.run.entry.erasure.found(DataLocation::DeadLetters);
            let found = usize::try_from(so_far + 1).unwrap_or(usize::MAX);
            self.run.note(DataLocation::DeadLetters, found).await?;
            self.deleted += 1;
            return self.delete(&pieces).await;
        }
        for piece in pieces {
            self.known.insert(piece.id().to_owned());
            if piece.stands_alone() {
                self.receipts.push(piece.receipt().to_owned());
            } else {
                self.bytes += piece.body().len();
                self.hiding.push(piece);
            }
        }
        Ok(())
    }

    async fn delete(&mut self, pieces: &[DeadLetter]) -> Result<(), HandlerError> {
        for piece in pieces {
            self.queue.remove(piece).await?;
            self.known.remove(piece.id());
        }
        Ok(())
    }

    /// Puts back what is kept, each dead letter in a message group of its own. After a crash in between, a dead letter is
    /// there twice; after a redrive, its claim knows the repeat.
    async fn put_back_hiding(&mut self) -> Result<(), HandlerError> {
        self.bytes = 0;
        for message in std::mem::take(&mut self.hiding) {
            self.known.remove(message.id());
            self.known.extend(self.queue.put_back_alone(&message).await?);
        }
        Ok(())
    }
}

impl Wanted {
    /// Whether the erasure covers a dead letter: it is about the person, and old enough.
    fn covers(&self, text: &str, pieces: &[DeadLetter]) -> bool {
        let is_old = self.until.is_none_or(|until| pieces.iter().any(|piece| piece.since() < until));
        is_old && self.of_one(text).unwrap_or_else(|| self.is_named(text)) && !self.is_spared(text, pieces)
    }

    /// An unreadable dead letter may mention others as well: gives what it says of them.
    fn rest(&self, text: &str) -> Option<String> {
        if self.of_one(text).is_some() {
            return None;
        }
        mention::without(text, &|text: &str| self.is_named(text))
    }

    /// Whether a task about one person is about this one, by the task's own ids; nothing if it is no such task.
    fn of_one(&self, text: &str) -> Option<bool> {
        let is = |identity: &Identity| {
            identity.aliases(&self.key).iter().any(|alias| self.subject.aliases.contains(&alias.subject))
        };
        match serde_json::from_str::<InboundTask>(text) {
            // A person erased at one dealer may still be another's customer.
            Ok(task) if self.elsewhere.contains(task.channel()) => return Some(false),
            Ok(InboundTask::MessageV1(message)) => {
                return Some(is(&message.customer) || message.speaker().as_ref().is_some_and(is));
            }
            Ok(InboundTask::StatusV1(status)) => return Some(is(&status.customer)),
            _ => {}
        }
        if let Ok(task) = serde_json::from_str::<HistoryTask>(text) {
            let is_elsewhere = task.channel().is_some_and(|number| self.elsewhere.contains(number.as_str()));
            return Some(!is_elsewhere && task.customer().is_some_and(is));
        }
        // Whatever its version: a sync request names a conversation, and no person.
        let ConversationOfTask { account, conversation } = serde_json::from_str(text).ok()?;
        Some(self.subject.conversations.iter().any(|(of, id, _)| (*of, *id) == (account, conversation)))
    }

    /// Whether a text that cannot be read mentions the person.
    fn is_named(&self, text: &str) -> bool {
        let named = mention::mentioned(text, &self.key);
        let mut customers = self.subject.customers.iter();
        !named.is_disjoint(&self.subject.aliases) || customers.any(|customer| text.contains(customer.as_str()))
    }

    /// Whether a dead letter is a message newer than what is erased, which waited for the end of the erasure.
    fn is_spared(&self, text: &str, pieces: &[DeadLetter]) -> bool {
        let Ok(InboundTask::MessageV1(message)) = serde_json::from_str::<InboundTask>(text) else { return false };
        let waited = |piece: &DeadLetter| piece.since() >= self.asked_at;
        // Meta gives whole seconds.
        message.sent_at.as_secs() > self.up_to.as_secs() && pieces.iter().all(waited)
    }
}

impl Handler {
    /// Deletes overdue dead letters from every queue. Each of these is in a message group of its own, so that nothing hides
    /// it; what is not visible today is visible tomorrow.
    pub async fn delete_overdue_dead_letters(&self) -> Result<(), HandlerError> {
        for queue in &self.dead {
            let deleted = queue.delete_overdue(self.clients.clock.now()).await?;
            if deleted > 0 {
                tracing::info!(dead_letters = deleted, "deleted dead letters past their days");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
