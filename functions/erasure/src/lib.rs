//! Carries out the erasure requests of `erasure.fifo`. It clears each data location, and checks it again afterwards. After
//! any interruption it goes on where it stopped, so that no erasure is left half done.

mod activity_recheck;
mod chatwoot_side;
mod dead_letter;
mod dead_letters;
mod drain;
mod labels;
mod meta_side;
mod second_check;

use std::time::Duration;

use app::{Clients, HandlerError, Settings, StartError};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::{
    ConfirmationCode, Erasure, ErasureTask, RefusalReason, SharedClock, Timestamp,
    erasure::{DataLocation, ErasureState, InvalidTransition, Receipt, RequestSource},
    keyed_hash::HashKind,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
use store::{Claim, DataInventory, DataSubject, ErasureEntry, ErasureRequests, StoreError};

/// SQS hides a message for twelve hours at most.
const MAX_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(11 * 3600);

/// When to try again a request that another worker has in hand.
const CONTENTION_DELAY: Duration = Duration::from_secs(5);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    requests: ErasureRequests,
    inventory: DataInventory,
    drain: Drain,
    erasures: Queue,
    inbound: Queue,
    outbound: Queue,
    dead: Vec<String>,
    metrics: Metrics,
}

/// The outcome of clearing a data location.
enum ClearOutcome {
    /// It is empty.
    Clear,
    /// Not yet clear.
    Later,
    /// Not clear before then.
    NotBefore(Timestamp),
    /// A person whose time was over is active again.
    Wanted,
}

/// A request that waits for long is tried less often: else SQS would give its queue message up before the message's days are
/// over.
fn backoff_of(record: &Record) -> Duration {
    if record.receives < queue::MAX_OUTAGE_RECEIVES { Duration::ZERO } else { backoff(record.receives, &record.id) }
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let eraser = &Handler::from_env(Environment::process(), clock).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(eraser.clients.clock.now());
        Ok::<_, Error>(eraser.handle(event.payload, left).await)
    }))
    .await
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let names = [
            Setting::ErasureQueueUrl,
            Setting::InboundQueueUrl,
            Setting::OutboundQueueUrl,
            Setting::ErasureDeadLettersUrl,
            Setting::InboundDeadLettersUrl,
            Setting::OutboundDeadLettersUrl,
        ];
        let urls = names.map(|name| env.text(name));
        let stack = env.text(Setting::StackName);
        let promise = app::erasure_deadlines(&mut env);
        let settings = Settings::read(&mut env);
        let [
            Some(erasures),
            Some(inbound),
            Some(outbound),
            Some(dead_erasures),
            Some(dead_inbound),
            Some(dead_outbound),
        ] = urls
        else {
            return Err(env.into_error().into());
        };
        let (Some(stack), Some(promise), Some(settings)) = (stack, promise, settings) else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        let (sqs, table, key) = (&clients.sqs, &clients.table, &clients.key);
        let queue = |url: String| Queue::new(sqs.clone(), url);
        Ok(Self {
            requests: ErasureRequests::new(table.clone(), key.clone(), promise),
            inventory: DataInventory::new(table.clone(), key.clone()),
            drain: Drain {
                queue: queue(erasures.clone()),
                dead_letters: DeadLetters::new(sqs.clone(), dead_erasures.clone()),
            },
            erasures: queue(erasures),
            inbound: queue(inbound),
            outbound: queue(outbound),
            dead: vec![dead_inbound, dead_outbound, dead_erasures],
            metrics: Metrics::new("erasure", stack),
            clients,
        })
    }

    /// Works one batch off. `left` is the invocation's remaining time.
    pub async fn handle(&self, event: SqsEvent, left: Duration) -> SqsBatchResponse {
        let drained = self.drain.run(event, left, |record| self.record(record)).await;
        self.metrics.add(Metric::Retried, drained.retried);
        self.metrics.add(Metric::Poisoned, drained.poisoned);
        self.metrics.emit(self.clients.clock.now());
        drained.response
    }

    async fn record(&self, record: Record) -> Verdict {
        let Ok(task) = serde_json::from_str::<ErasureTask>(&record.body) else {
            return Verdict::Poison { reason: RefusalReason::UnreadableTask };
        };
        let done = match &task {
            ErasureTask::RequestV1 { code } => self.request(&record, code).await,
            ErasureTask::LabelsV1(hint) => self.labels(&record, hint).await.map(|()| Verdict::Done),
            ErasureTask::LettersV1 => self.drop_overdue_letters().await.map(|()| Verdict::Done),
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, receives = record.receives, "an erasure has to wait");
            Verdict::Retry { after: None }
        })
    }

    async fn request(&self, record: &Record, code: &ConfirmationCode) -> Result<Verdict, HandlerError> {
        let Some(entry) = self.clients.erasures.get(code).await? else {
            tracing::error!(erasure = %code, "there is no such request");
            return Ok(Verdict::Done);
        };
        let Some(entry) = self.in_time(entry).await? else { return Ok(Verdict::Done) };
        let now = self.clients.clock.now();
        let patience = backoff_of(record);
        match entry.erasure.state {
            ErasureState::Received { until } if record.group.ends_with("#grace") => {
                return Ok(Verdict::Retry { after: Some(until.since(now).min(MAX_VISIBILITY_TIMEOUT)) });
            }
            // The queue message that waits for the end of that time is on its way.
            ErasureState::Received { .. } | ErasureState::Done { .. } | ErasureState::Withdrawn { .. } => {
                return Ok(Verdict::Done);
            }
            ErasureState::Waiting { wake_at, .. } | ErasureState::Failed { wake_at, .. } if wake_at > now => {
                return Ok(Verdict::Retry { after: Some(wake_at.since(now).max(patience)) });
            }
            _ => {}
        }
        let claim = self.clients.key.subject_of_all(HashKind::Item, ["erasure", code.as_str()]);
        if let Claim::Busy { for_at_most } = self.clients.claims.take(&claim, &record.id).await? {
            return Ok(Verdict::Retry { after: Some(for_at_most.min(CONTENTION_DELAY)) });
        }
        let mut brought = Box::pin(self.advance(&entry)).await;
        if brought.as_ref().is_err_and(HandlerError::is_chatwoot_token)
            && self.clients.renew_chatwoot_token().await
            // The first attempt stored how far it came.
            && let Some(entry) = self.clients.erasures.get(code).await?
        {
            brought = Box::pin(self.advance(&entry)).await;
        }
        // Released whatever the outcome: the next worker must not wait for the lease.
        self.clients.claims.release(&claim).await?;
        Ok(match brought? {
            Verdict::Retry { after: Some(after) } => Verdict::Retry { after: Some(after.max(patience)) },
            verdict => verdict,
        })
    }

    /// Gives the request with the changes that time alone makes; nothing if that closed it.
    async fn in_time(&self, entry: ErasureEntry) -> Result<Option<ErasureEntry>, HandlerError> {
        let now = self.clients.clock.now();
        let mut erasure = entry.erasure.clone();
        if let ErasureState::Received { until } = erasure.state
            && now >= until
            && erasure.door == RequestSource::Agent
            && self.was_unlabeled(&erasure.code).await?
        {
            // The report of the withdrawal was lost.
            erasure = erasure.withdraw(now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        }
        let erasure = erasure.at(now);
        let entry = if erasure == entry.erasure { entry } else { self.save(&entry, erasure).await? };
        Ok(Some(entry).filter(|entry| !entry.erasure.is_closed()))
    }

    /// Clears one data location after the other, as far as it goes now.
    async fn advance(&self, entry: &ErasureEntry) -> Result<Verdict, HandlerError> {
        let now = self.clients.clock.now();
        let code = entry.erasure.code.clone();
        let Ok(begun) = entry.erasure.clone().begin(now) else { return Ok(Verdict::Done) };
        let mut entry = self.save(entry, begun).await?;
        // Nothing is known any more of the data subject: that is no reason to call the request done.
        let mut subject = self.clients.erasures.data_subject(&code).await?.ok_or(StoreError::Missing)?;
        if !self.block_intake(&mut entry, &mut subject).await? {
            tracing::error!(erasure = %code, "whom an erasure is about has to be named once more");
            let waits = entry.erasure.clone().wait(DataLocation::Chatwoot, self.clients.clock.now());
            let entry = self.save(&entry, waits.unwrap_or_else(|InvalidTransition| entry.erasure.clone())).await?;
            return Ok(self.defer(&entry.erasure));
        }
        while let Some(place) = entry.erasure.next_location() {
            let outcome = self.clear(place, &mut entry, &mut subject).await;
            let now = self.clients.clock.now();
            if matches!(outcome, Ok(ClearOutcome::Wanted)) {
                // If this run ends here, the next one writes the tombstones again first.
                subject.probed_at = None;
                self.clients.erasures.set_data_subject(&code, &subject).await?;
                self.remove_tombstones(&entry, &subject).await?;
            }
            let next = match &outcome {
                Ok(ClearOutcome::Wanted) => entry.erasure.clone().withdraw(now),
                Ok(ClearOutcome::Clear) => entry.erasure.clone().clear(place, now),
                Ok(ClearOutcome::Later | ClearOutcome::NotBefore(_)) | Err(_) => entry.erasure.clone().wait(place, now),
            };
            entry = self.save(&entry, next.unwrap_or_else(|InvalidTransition| entry.erasure.clone())).await?;
            match outcome {
                Ok(ClearOutcome::Clear) => {
                    tracing::info!(erasure = %code, place = place.word(), "a place is clear");
                    if place == DataLocation::Table {
                        self.unblock_intake(&entry.erasure, &subject).await?;
                    }
                }
                // The secret may have a newer token.
                Err(error) if error.is_chatwoot_token() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, erasure = %code, place = place.word(), "a place does not take an erasure now");
                    return Ok(self.defer(&entry.erasure));
                }
                Ok(ClearOutcome::Later | ClearOutcome::NotBefore(_)) => return Ok(self.defer(&entry.erasure)),
                Ok(ClearOutcome::Wanted) => {
                    tracing::info!(erasure = %code, "whose time was over is active again");
                    return Ok(Verdict::Done);
                }
            }
        }
        self.unblock_intake(&entry.erasure, &subject).await?;
        if let Some(verdict) = self.look_again(&mut entry, &mut subject).await? {
            return Ok(verdict);
        }
        self.clients.erasures.forget_drain_markers(&code).await?;
        let now = self.clients.clock.now();
        let done = entry.erasure.clone().finish(now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        // The receipt is given out as it is signed today for as long as it is kept, whatever texts and keys come later.
        if let Some(receipt) = Receipt::of(&done) {
            let signed = receipt.sign(&self.clients.key).map_err(StoreError::from)?;
            self.clients.erasures.set_receipt(&code, &signed).await?;
        }
        let entry = self.save(&entry, done).await?;
        self.metrics.count(Metric::Erased);
        let late = entry.erasure.breached_at.is_some();
        tracing::info!(erasure = %code, late, "an erasure is done");
        Ok(Verdict::Done)
    }

    fn defer(&self, erasure: &Erasure) -> Verdict {
        let now = self.clients.clock.now();
        Verdict::Retry { after: Some(erasure.wake_at().map_or(CONTENTION_DELAY, |at| at.since(now))) }
    }

    async fn clear(
        &self,
        location: DataLocation,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<ClearOutcome, HandlerError> {
        match location {
            DataLocation::InboundQueue | DataLocation::OutboundQueue => self.queue_is_clear(location, entry).await,
            DataLocation::DeadLetters if subject.quiet_since.is_some() && entry.erasure.holds_back() => {
                self.is_still_over(subject).await
            }
            DataLocation::DeadLetters if subject.quiet_since.is_some() => Ok(ClearOutcome::Clear),
            DataLocation::DeadLetters => {
                // Dead letters of a person who has begun anew since are not included.
                let until = entry.erasure.cleared.get(&DataLocation::Table).map(|cleared| cleared.at);
                self.clear_dead_letters(entry, subject, until).await
            }
            DataLocation::Chatwoot => self.clear_chatwoot(entry, subject).await,
            DataLocation::Table => self.clear_table(entry, subject).await,
            DataLocation::MetaMedia => self.clear_media(entry, subject).await,
            DataLocation::MetaContactBook => self.clear_contact_book(entry, subject).await,
        }
    }

    async fn clear_table(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<ClearOutcome, HandlerError> {
        let keys = self.inventory.keys(subject).await?;
        let before = usize::try_from(subject.deleted).unwrap_or(usize::MAX);
        self.note(entry, DataLocation::Table, before.saturating_add(keys.len())).await?;
        if keys.is_empty() {
            return Ok(ClearOutcome::Clear);
        }
        if self.is_more_by_now(subject).await? {
            return self.look_everywhere_again(entry, subject).await;
        }
        self.inventory.delete(&keys).await?;
        subject.deleted += keys.len() as u64;
        self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        // An index is a moment behind its table: the check that finds nothing is another one, later.
        Ok(ClearOutcome::Later)
    }

    /// Stores how much was found before any of it is erased.
    async fn note(&self, entry: &mut ErasureEntry, location: DataLocation, found: usize) -> Result<(), HandlerError> {
        let mut erasure = entry.erasure.clone();
        erasure.note(location, found as u64);
        if erasure != entry.erasure {
            *entry = self.save(entry, erasure).await?;
        }
        Ok(())
    }

    /// Stores how much of it has to stay where it is.
    async fn leave(&self, entry: &mut ErasureEntry, location: DataLocation, left: usize) -> Result<(), HandlerError> {
        let mut erasure = entry.erasure.clone();
        erasure.leave(location, left as u64);
        if erasure != entry.erasure {
            *entry = self.save(entry, erasure).await?;
        }
        Ok(())
    }

    /// Writes tombstones for all aliases of the person before anything is erased: from now on nothing of theirs comes in.
    /// `false` if their aliases are no longer known.
    async fn block_intake(&self, entry: &mut ErasureEntry, subject: &mut DataSubject) -> Result<bool, HandlerError> {
        let learnt = self.clients.erasures.learnt(&entry.erasure.code).await?;
        let first = !subject.gathered;
        if first || (entry.erasure.holds_back() && !learnt.is_subset(&subject.aliases)) {
            subject.aliases.extend(learnt);
            self.inventory.gather(subject).await?;
            if subject.is_unnamed() {
                return Ok(false);
            }
            if first && !subject.barred && subject.quiet_since.is_none() {
                // Whatever came in until now is erased with the rest; whatever comes from now on waits.
                let certain = entry.erasure.clone().sealed(self.clients.clock.now());
                *entry = self.save(entry, certain).await?;
            }
            // There are more message groups to drain.
            subject.probed_at = None;
            self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        }
        // Again after the tombstones' days are over, since they expire; and where the last run ended before it could
        // unblock intake.
        let holds_back = entry.erasure.holds_back();
        if first
            || subject.probed_at.is_none()
            || matches!(entry.erasure.state, ErasureState::Failed { .. })
            || !holds_back
        {
            self.clients.tombstones.insert_all(&entry.erasure, subject, holds_back).await?;
            subject.barred = true;
        }
        self.put_drain_markers(&entry.erasure, subject).await?;
        Ok(true)
    }

    async fn unblock_intake(&self, erasure: &Erasure, subject: &DataSubject) -> Result<(), HandlerError> {
        Ok(self.clients.tombstones.insert_all(erasure, subject, false).await?)
    }

    /// If another worker wrote meanwhile, this run is over; the next one sees what was written.
    async fn save(&self, entry: &ErasureEntry, erasure: Erasure) -> Result<ErasureEntry, HandlerError> {
        match self.clients.erasures.save(entry, erasure).await? {
            Ok(saved) => Ok(saved),
            Err(_) => Err(HandlerError::Busy(CONTENTION_DELAY)),
        }
    }
}
