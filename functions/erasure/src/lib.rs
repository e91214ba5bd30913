//! `erasure.fifo`: brings a request for erasure to its end, place by place, each looked at again afterwards. It goes on where it
//! stopped, whatever stopped it, and is never done by half.

mod chatwoot_side;
mod comeback;
mod dead_letters;
mod labels;
mod letters;
mod meta_side;
mod queues;
mod second_look;

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use app::{BridgeError, Clients, Settings, StartError};
use domain::{
    ConfirmationCode, Erasure, ErasureTask, SharedClock, Timestamp,
    erasure::{Door, InvalidTransition, Place, Receipt, State},
    subject::Kind,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
use store::{Belongings, Claim, ErasureEntry, ErasureRequests, StoreError, Target};

/// SQS hides a message for twelve hours at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(11 * 3600);

/// When to look again at a request that somebody else has in hand.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Eraser {
    clients: Clients,
    requests: ErasureRequests,
    belongings: Belongings,
    drain: Drain,
    erasures: Queue,
    inbound: Queue,
    outbound: Queue,
    dead: Vec<String>,
    metrics: Metrics,
}

/// What came of a place.
enum Came {
    /// It is empty.
    Clear,
    /// Not yet.
    Later,
    /// Not before then.
    NotBefore(Timestamp),
    /// Somebody whose time was over is active again.
    Wanted,
}

/// A request that waits for long is looked at less often, or SQS would give its letter up before the letter's days are over.
fn patience(record: &Record) -> Duration {
    if record.receives < queue::PATIENT { Duration::ZERO } else { backoff(record.receives, &record.id) }
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let eraser = &Eraser::from_env(Environment::process(), clock).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(eraser.clients.clock.now());
        Ok::<_, Error>(eraser.handle(event.payload, left).await)
    }))
    .await
}

impl Eraser {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let names = [
            "ERASURE_QUEUE_URL",
            "INBOUND_QUEUE_URL",
            "OUTBOUND_QUEUE_URL",
            "ERASURE_DEAD_LETTERS_URL",
            "INBOUND_DEAD_LETTERS_URL",
            "OUTBOUND_DEAD_LETTERS_URL",
        ];
        let urls = names.map(|name| env.text(name));
        let stack = env.text("STACK_NAME");
        let promise = app::promise(&mut env);
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
            belongings: Belongings::new(table.clone(), key.clone()),
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
            return Verdict::Poison { reason: "unreadable_task" };
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

    async fn request(&self, record: &Record, code: &ConfirmationCode) -> Result<Verdict, BridgeError> {
        let Some(entry) = self.clients.erasures.get(code).await? else {
            tracing::error!(erasure = %code, "there is no such request");
            return Ok(Verdict::Done);
        };
        let Some(entry) = self.in_time(entry).await? else { return Ok(Verdict::Done) };
        let now = self.clients.clock.now();
        let patience = patience(record);
        match entry.erasure.state {
            State::Received { until } if record.group.ends_with("#grace") => {
                return Ok(Verdict::Retry { after: Some(until.since(now).min(LONGEST_SLEEP)) });
            }
            // The letter that waits for the end of that time is on its way.
            State::Received { .. } | State::Done { .. } | State::Withdrawn { .. } => return Ok(Verdict::Done),
            State::Waiting { wake_at, .. } | State::Failed { wake_at, .. } if wake_at > now => {
                return Ok(Verdict::Retry { after: Some(wake_at.since(now).max(patience)) });
            }
            _ => {}
        }
        let claim = self.clients.key.subject_of_all(Kind::Item, ["erasure", code.as_str()]);
        if let Claim::Busy { for_at_most } = self.clients.claims.take(&claim, &record.id).await? {
            return Ok(Verdict::Retry { after: Some(for_at_most.min(ELSEWHERE)) });
        }
        let mut brought = Box::pin(self.bring_on(&entry)).await;
        if brought.as_ref().is_err_and(BridgeError::is_chatwoot_token)
            && self.clients.renew_chatwoot_token().await
            // The first try wrote down how far it came.
            && let Some(entry) = self.clients.erasures.get(code).await?
        {
            brought = Box::pin(self.bring_on(&entry)).await;
        }
        // Whatever came of it: who comes next must not wait for the lease.
        self.clients.claims.release(&claim).await?;
        Ok(match brought? {
            Verdict::Retry { after: Some(after) } => Verdict::Retry { after: Some(after.max(patience)) },
            verdict => verdict,
        })
    }

    /// The request as time alone has changed it; nothing if that closed it.
    async fn in_time(&self, entry: ErasureEntry) -> Result<Option<ErasureEntry>, BridgeError> {
        let now = self.clients.clock.now();
        let mut erasure = entry.erasure.clone();
        if let State::Received { until } = erasure.state
            && now >= until
            && erasure.door == Door::Agent
            && self.was_unlabeled(&erasure.code).await?
        {
            // The word of it was lost.
            erasure = erasure.withdraw(now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        }
        let erasure = erasure.at(now);
        let entry = if erasure == entry.erasure { entry } else { self.save(&entry, erasure).await? };
        Ok(Some(entry).filter(|entry| !entry.erasure.is_closed()))
    }

    /// Clears one place after the other, as far as it goes now.
    async fn bring_on(&self, entry: &ErasureEntry) -> Result<Verdict, BridgeError> {
        let now = self.clients.clock.now();
        let code = entry.erasure.code.clone();
        let Ok(begun) = entry.erasure.clone().begin(now) else { return Ok(Verdict::Done) };
        let mut entry = self.save(entry, begun).await?;
        // Of whom it is about nothing is known any more: that is no reason to call it done.
        let mut target = self.clients.erasures.target(&code).await?.ok_or(StoreError::Missing)?;
        if !self.seal(&mut entry, &mut target).await? {
            tracing::error!(erasure = %code, "whom an erasure is about has to be named once more");
            let waits = entry.erasure.clone().wait(Place::Chatwoot, self.clients.clock.now());
            let entry = self.save(&entry, waits.unwrap_or_else(|InvalidTransition| entry.erasure.clone())).await?;
            return Ok(self.put_off(&entry.erasure));
        }
        while let Some(place) = entry.erasure.next_place() {
            let came = self.clear(place, &mut entry, &mut target).await;
            let now = self.clients.clock.now();
            if matches!(came, Ok(Came::Wanted)) {
                // If this run ends here, the next one buries them again first.
                target.probed_at = None;
                self.clients.erasures.set_target(&code, &target).await?;
                self.unbury(&entry, &target).await?;
            }
            let next = match &came {
                Ok(Came::Wanted) => entry.erasure.clone().withdraw(now),
                Ok(Came::Clear) => entry.erasure.clone().clear(place, now),
                Ok(Came::Later | Came::NotBefore(_)) | Err(_) => entry.erasure.clone().wait(place, now),
            };
            entry = self.save(&entry, next.unwrap_or_else(|InvalidTransition| entry.erasure.clone())).await?;
            match came {
                Ok(Came::Clear) => {
                    tracing::info!(erasure = %code, place = place.word(), "a place is clear");
                    if place == Place::Table {
                        self.unseal(&entry.erasure, &target).await?;
                    }
                }
                // The secret may hold a newer token.
                Err(error) if error.is_chatwoot_token() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, erasure = %code, place = place.word(), "a place does not take an erasure now");
                    return Ok(self.put_off(&entry.erasure));
                }
                Ok(Came::Later | Came::NotBefore(_)) => return Ok(self.put_off(&entry.erasure)),
                Ok(Came::Wanted) => {
                    tracing::info!(erasure = %code, "whose time was over is active again");
                    return Ok(Verdict::Done);
                }
            }
        }
        self.unseal(&entry.erasure, &target).await?;
        if let Some(verdict) = self.look_again(&mut entry, &mut target).await? {
            return Ok(verdict);
        }
        self.clients.erasures.forget_probes(&code).await?;
        let now = self.clients.clock.now();
        let done = entry.erasure.clone().finish(now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        // As it is signed today it is given out for as long as it is kept, whatever words and keys come later.
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

    fn put_off(&self, erasure: &Erasure) -> Verdict {
        let now = self.clients.clock.now();
        Verdict::Retry { after: Some(erasure.wake_at().map_or(ELSEWHERE, |at| at.since(now))) }
    }

    async fn clear(&self, place: Place, entry: &mut ErasureEntry, target: &mut Target) -> Result<Came, BridgeError> {
        match place {
            Place::InboundQueue | Place::OutboundQueue => self.queue_is_clear(place, entry).await,
            Place::DeadLetters if target.quiet_since.is_some() && entry.erasure.holds_back() => {
                self.is_still_over(target).await
            }
            Place::DeadLetters if target.quiet_since.is_some() => Ok(Came::Clear),
            Place::DeadLetters => {
                // Letters of whoever has begun anew since are not meant.
                let until = entry.erasure.cleared.get(&Place::Table).map(|cleared| cleared.at);
                self.clear_dead_letters(entry, target, until).await
            }
            Place::Chatwoot => self.clear_chatwoot(entry, target).await,
            Place::Table => self.clear_table(entry, target).await,
            Place::MetaMedia => self.clear_media(entry, target).await,
            Place::MetaContactBook => self.clear_contact_book(entry, target).await,
        }
    }

    async fn clear_table(&self, entry: &mut ErasureEntry, target: &mut Target) -> Result<Came, BridgeError> {
        let keys = self.belongings.keys(target).await?;
        let before = usize::try_from(target.deleted).unwrap_or(usize::MAX);
        self.note(entry, Place::Table, before.saturating_add(keys.len())).await?;
        if keys.is_empty() {
            return Ok(Came::Clear);
        }
        if self.is_more_by_now(target).await? {
            return self.look_everywhere_again(entry, target).await;
        }
        self.belongings.delete(&keys).await?;
        target.deleted += keys.len() as u64;
        self.clients.erasures.set_target(&entry.erasure.code, target).await?;
        // An index is a moment behind: the look that finds nothing is another one, later.
        Ok(Came::Later)
    }

    /// Writes down how much was found before any of it is erased.
    async fn note(&self, entry: &mut ErasureEntry, place: Place, found: usize) -> Result<(), BridgeError> {
        let mut erasure = entry.erasure.clone();
        erasure.note(place, found as u64);
        if erasure != entry.erasure {
            *entry = self.save(entry, erasure).await?;
        }
        Ok(())
    }

    /// Writes down how much of it has to stay where it is.
    async fn leave(&self, entry: &mut ErasureEntry, place: Place, left: usize) -> Result<(), BridgeError> {
        let mut erasure = entry.erasure.clone();
        erasure.leave(place, left as u64);
        if erasure != entry.erasure {
            *entry = self.save(entry, erasure).await?;
        }
        Ok(())
    }

    /// Buries everything they are known by, before anything is erased: from now on nothing of theirs comes in. `false` if nobody
    /// knows any more what they are called outside.
    async fn seal(&self, entry: &mut ErasureEntry, target: &mut Target) -> Result<bool, BridgeError> {
        let learnt = self.clients.erasures.learnt(&entry.erasure.code).await?;
        let first = !target.gathered;
        if first || (entry.erasure.holds_back() && !learnt.is_subset(&target.aliases)) {
            target.aliases.extend(learnt);
            self.belongings.gather(target).await?;
            if target.is_unnamed() {
                return Ok(false);
            }
            if first && !target.barred && target.quiet_since.is_none() {
                // Whatever came in until now stands with what is erased; whatever comes from now on waits.
                let certain = entry.erasure.clone().sealed(self.clients.clock.now());
                *entry = self.save(entry, certain).await?;
            }
            // There are more groups to look into.
            target.probed_at = None;
            self.clients.erasures.set_target(&entry.erasure.code, target).await?;
        }
        // Again after the days are over, since tombstones have an end; and where the last run ended before it could unseal.
        let holds_back = entry.erasure.holds_back();
        if first || target.probed_at.is_none() || matches!(entry.erasure.state, State::Failed { .. }) || !holds_back {
            self.clients.tombstones.bury_all(&entry.erasure, target, holds_back).await?;
            target.barred = true;
        }
        self.put_probes(&entry.erasure, target).await?;
        Ok(true)
    }

    async fn unseal(&self, erasure: &Erasure, target: &Target) -> Result<(), BridgeError> {
        Ok(self.clients.tombstones.bury_all(erasure, target, false).await?)
    }

    /// If somebody else wrote meanwhile, this run is over; the next one sees what they wrote.
    async fn save(&self, entry: &ErasureEntry, erasure: Erasure) -> Result<ErasureEntry, BridgeError> {
        match self.clients.erasures.save(entry, erasure).await? {
            Ok(saved) => Ok(saved),
            Err(_) => Err(BridgeError::Busy(ELSEWHERE)),
        }
    }
}
