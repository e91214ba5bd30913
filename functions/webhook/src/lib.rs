//! `webhook` puts Meta's webhooks into the inbound queue before it acknowledges them. It serves `GET` and `POST /webhooks/meta`;
//! the `GET` is Meta's handshake.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use app::{Base, Function, HandlerError, HttpFunction, Refusal};
use domain::{
    HashKey, HistoryTask, InboundTask, KeyedHash, MessageGroup, PhoneNumberId, RefusalReason, SharedClock,
    keyed_hash::{Person, WorkItem},
    mention,
    task::ACCOUNT_CHANNEL,
};
use lambda_http::{
    Body, Request, RequestExt as _, Response,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
};
use platform::{AppSecrets, ConfigError, Environment, Metric, Metrics, Setting, warm_up};
use queue::{DeadLetters, Queue, QueueMessage};
use secrecy::ExposeSecret as _;
use store::{Channels, ItemLedger, ItemOutcome, StoreError, TAKEN_UP_TO, Tombstones};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;
use uuid::Uuid;
use whatsapp::{
    AppSecret, Verified,
    webhook::{self, GroupedHistory, Webhook},
};

/// How long counting may keep Meta waiting for its answer. `forward` counts what is not counted here.
const COUNT_MAX_WAIT: Duration = Duration::from_secs(1);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    base: Base,
    app_secret: String,
    inbound: Queue,
    dead_letters: DeadLetters,
    history: Queue,
    history_dead_letters: DeadLetters,
    ledger: ItemLedger,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_http(Handler::from_env(Environment::process(), clock)?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.base.metrics
    }

    async fn warm_up(&self) {
        let secret = self.base.secrets.prepare([self.app_secret.as_str()]);
        warm_up(Box::pin(async { tokio::join!(secret, self.inbound.holds(), self.ledger.open()) })).await;
    }
}

impl HttpFunction for Handler {
    const NEXT: &'static str = "Meta sends the webhook again";

    async fn respond(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let answered = match *request.method() {
            Method::GET => self.handshake(request).await,
            Method::POST => self.receive(request).await,
            _ => Err(Refusal::Unreadable.into()),
        };
        if let Err(HandlerError::Refused(Refusal::Unsigned)) = answered {
            self.base.metrics.count(Metric::SignatureRefused);
        }
        answered
    }
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        env.read(|env| {
            // Nothing about a customer is written here, so their retention does not matter.
            let base = Base::read(env, "webhook", clock, Duration::ZERO);
            Self {
                app_secret: env.text(Setting::AppSecret),
                inbound: base.queue(env, Setting::InboundQueueUrl),
                dead_letters: base.dead_letters(env, Setting::InboundDeadLettersUrl),
                history: base.queue(env, Setting::HistoryQueueUrl),
                history_dead_letters: base.dead_letters(env, Setting::HistoryDeadLettersUrl),
                ledger: ItemLedger::new(base.table.clone()),
                base,
            }
        })
    }

    /// Serves `GET /webhooks/meta`, Meta's handshake.
    ///
    /// - 200: the challenge, as Meta gave it.
    /// - 400: it is no handshake.
    /// - 403: the verify token is not ours.
    /// - 500: the secret cannot be had.
    async fn handshake(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let query = request.query_string_parameters();
        let (Some("subscribe"), Some(challenge), Some(token)) =
            (query.first("hub.mode"), query.first("hub.challenge"), query.first("hub.verify_token"))
        else {
            return Err(Refusal::Unreadable.into());
        };
        let accepts =
            |secrets: &AppSecrets| bool::from(secrets.verify_token.expose_secret().as_bytes().ct_eq(token.as_bytes()));
        let accepted = self.base.secrets.check(&self.app_secret, |secrets| accepts(secrets).then_some(())).await?;
        if accepted.is_some() {
            let mut response = Response::new(Body::Text(challenge.to_owned()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return Ok(response);
        }
        Err(Refusal::Forbidden.into())
    }

    /// Serves `POST /webhooks/meta`.
    ///
    /// - 200: each item is in the queue, or in the dead letters.
    /// - 401: the signature is missing or wrong.
    /// - 413: the body has more than 4 MiB.
    /// - 500: not everything could be stored; Meta sends it again.
    async fn receive(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let body: &[u8] = request.body();
        let signature = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
        let signature = signature.ok_or(Refusal::Unsigned)?;
        let check = |secrets: &AppSecrets| {
            verify(secrets, signature, body).map(|verified| (verified, HashKey::new(secrets.subject_key.clone())))
        };
        let checked = self.base.secrets.check(&self.app_secret, check).await?;
        let (verified, key) = checked.ok_or(Refusal::Unsigned)?;
        Box::pin(self.store(verified, key)).await
    }

    async fn store(&self, body: Verified<'_>, key: HashKey) -> Result<Response<Body>, HandlerError> {
        let Ok(Webhook { tasks, history }) = webhook::parse(body, &key, self.base.clock.now()) else {
            // Answered with an error, the same bytes would come again for a week.
            let group = MessageGroup::UnreadableBody(Uuid::new_v4().to_string()).to_string();
            let reason = if let Some(rest) = self.without_anybody_erased(body.bytes(), &key).await? {
                self.dead_letters.put(&group, &rest, RefusalReason::UnreadableBody).await?;
                self.base.metrics.count(Metric::Poisoned);
                tracing::error!(bytes = rest.len(), "a signed webhook cannot be read; it is in the dead letters");
                RefusalReason::UnreadableBody
            } else {
                tracing::info!("a signed webhook that cannot be read names an erased person; it is dropped");
                RefusalReason::Erased
            };
            // The body does not say which item or person it belongs to.
            let nobody = key.item(["unreadable"]);
            self.counted(self.ledger.count(ACCOUNT_CHANNEL, &nobody, ItemOutcome::Refused(reason))).await;
            return Ok(app::empty(StatusCode::OK));
        };
        let past: i64 = history.iter().map(|grouped| grouped.task.weight()).sum();
        self.base.metrics.add(Metric::Received, tasks.len() + usize::try_from(past).unwrap_or_default());
        let mut letters = Vec::with_capacity(tasks.len());
        let mut received: BTreeMap<&str, Vec<&KeyedHash<WorkItem>>> = BTreeMap::new();
        let mut too_large = Vec::new();
        let mut too_old: BTreeMap<&str, Vec<&KeyedHash<WorkItem>>> = BTreeMap::new();
        let now = self.base.clock.now();
        let receipt = Uuid::new_v4().simple();
        for (at, task) in tasks.iter().enumerate() {
            if task.at.is_some_and(|at| now.since(at) > TAKEN_UP_TO) {
                too_old.entry(task.task.channel()).or_default().push(task.task.item());
                continue;
            }
            // Each receipt makes a queue message of its own: the claim detects a repeat, so that it is counted.
            let message = QueueMessage::new(task.group.clone(), format!("{receipt}-{at}"), &task.task)?;
            if message.fits() {
                letters.push(message);
                received.entry(task.task.channel()).or_default().push(task.task.item());
            } else {
                too_large.push((message, &task.task));
            }
        }
        if let [one] = &tasks[..] {
            tracing::Span::current().record("trace", one.task.item().as_str());
        }
        let PastLetters { letters: past, counted, too_large: too_large_past } = past_letters(&history)?;
        tokio::try_join!(self.inbound.send_all(letters), self.history.send_all(past))?;
        // After the queue: what is not acknowledged comes again, and the dead letters do not detect repeats.
        let mut turned_away = Vec::with_capacity(too_large.len());
        for (letter, task) in too_large {
            let Some(body) = self.without_erased(&letter, task, &key).await? else {
                turned_away.push((task, RefusalReason::Erased));
                continue;
            };
            self.dead_letters.put(&letter.group, body.as_bytes(), RefusalReason::TooLargeForTheQueue).await?;
            self.base.metrics.count(Metric::Poisoned);
            tracing::error!(bytes = body.len(), "an item is too large for the queue; it is in the dead letters");
            turned_away.push((task, RefusalReason::TooLargeForTheQueue));
        }
        let mut past_away = Vec::with_capacity(too_large_past.len());
        for (letter, task) in too_large_past {
            let reason = if self.is_past_erased(task, &key).await? {
                RefusalReason::Erased
            } else {
                let reason = RefusalReason::TooLargeForTheQueue;
                self.history_dead_letters.put(&letter.group, letter.body.as_bytes(), reason).await?;
                self.base.metrics.count(Metric::Poisoned);
                tracing::error!(
                    bytes = letter.body.len(),
                    "a message of the history is too large; it is in the dead letters"
                );
                reason
            };
            past_away.push((task, reason));
        }
        if !too_old.is_empty() {
            let items: usize = too_old.values().map(Vec::len).sum();
            tracing::warn!(items, "items that are older than what is remembered of handled ones are refused");
        }
        // After everything is in the queue: what is not acknowledged to Meta does not count as received.
        self.counted(async {
            for (channel, items) in too_old {
                self.ledger.count_all(channel, &items, ItemOutcome::Refused(RefusalReason::TooOld)).await?;
            }
            for (channel, items) in received {
                self.ledger.receive(channel, &items).await?;
            }
            for (channel, items) in counted {
                self.ledger.receive_many(channel, &items).await?;
            }
            for (task, reason) in past_away {
                let channel = task.channel().map_or(ACCOUNT_CHANNEL, PhoneNumberId::as_str);
                self.ledger.count(channel, task.item(), ItemOutcome::Refused(reason)).await?;
            }
            for (task, reason) in turned_away {
                self.ledger.count(task.channel(), task.item(), ItemOutcome::Refused(reason)).await?;
            }
            Ok(())
        })
        .await;
        Ok(app::empty(StatusCode::OK))
    }

    /// Whether a task of the past that becomes a dead letter is about an erased person.
    async fn is_past_erased(&self, task: &HistoryTask, key: &HashKey) -> Result<bool, StoreError> {
        let (Some(number), Some(customer)) = (task.channel(), task.customer()) else { return Ok(false) };
        let Some(channel) = Channels::new(self.base.table.clone()).get(number).await? else { return Ok(false) };
        let tombstones = Tombstones::new(self.base.table.clone(), key.clone());
        Ok(tombstones.erased_up_to(channel.account, customer).await?.is_some())
    }

    /// An unreadable body, without what names an erased person. The body does not say when it was written.
    async fn without_anybody_erased<'b>(
        &self,
        body: &'b [u8],
        key: &HashKey,
    ) -> Result<Option<Cow<'b, [u8]>>, StoreError> {
        let tombstones = Tombstones::new(self.base.table.clone(), key.clone());
        let marks = tombstones.marks().await?;
        if marks.is_empty() {
            return Ok(Some(body.into()));
        }
        let text = String::from_utf8_lossy(body);
        let named = marks.among(mention::mentioned(&text, key));
        // It does not say to which number it came either, so an erasure in any account counts.
        let erased = tombstones.among(None, &named).await?;
        if erased.is_empty() {
            return Ok(Some(body.into()));
        }
        let theirs = |text: &str| mention::mentioned(text, key).iter().any(|one| erased.contains_key(one));
        Ok(mention::without(&text, &theirs).map(|rest| rest.into_bytes().into()))
    }

    /// The body of a queue message that becomes a dead letter, without what is about an erased person: `forward`, which refuses
    /// such items, never sees it.
    async fn without_erased(
        &self,
        letter: &QueueMessage,
        task: &InboundTask,
        key: &HashKey,
    ) -> Result<Option<String>, StoreError> {
        let tombstones = Tombstones::new(self.base.table.clone(), key.clone());
        let marks = tombstones.marks().await?;
        if marks.is_empty() {
            return Ok(Some(letter.body.clone()));
        }
        let named: BTreeSet<KeyedHash<Person>> = match task {
            InboundTask::MessageV1(message) => {
                let persons = std::iter::once(message.customer.clone()).chain(message.speaker());
                persons.flat_map(|person| person.aliases(key)).map(|alias| alias.subject).collect()
            }
            InboundTask::StatusV1(status) => {
                status.customer.aliases(key).into_iter().map(|alias| alias.subject).collect()
            }
            InboundTask::NoticeV1(_) | InboundTask::FileV1(_) | InboundTask::DrainMarkerV1(_) => {
                mention::mentioned(&letter.body, key)
            }
        };
        let named = marks.among(named);
        if named.is_empty() {
            return Ok(Some(letter.body.clone()));
        }
        let at = match task {
            InboundTask::MessageV1(message) => Some(message.sent_at),
            InboundTask::StatusV1(status) => Some(status.at),
            // The phone app's history is old by nature, whenever it comes.
            InboundTask::NoticeV1(notice) => notice.at.filter(|_| notice.field != "history"),
            InboundTask::FileV1(_) | InboundTask::DrainMarkerV1(_) => None,
        };
        let channel = Channels::new(self.base.table.clone()).get(&PhoneNumberId::new(task.channel())).await?;
        let account = channel.map(|channel| channel.account);
        let mut erased = tombstones.among(account, &named).await?;
        erased.retain(|_, tombstone| at.is_none_or(|at| at.as_secs() <= tombstone.erased_at.as_secs()));
        if erased.is_empty() {
            return Ok(Some(letter.body.clone()));
        }
        if !matches!(task, InboundTask::NoticeV1(_)) {
            return Ok(None);
        }
        let theirs = |text: &str| mention::mentioned(text, key).iter().any(|one| erased.contains_key(one));
        Ok(mention::without(&letter.body, &theirs))
    }

    /// Counts, but lets nothing depend on it: what is stored stays stored.
    async fn counted(&self, counting: impl Future<Output = Result<(), StoreError>>) {
        match timeout(COUNT_MAX_WAIT, counting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what was received is not counted yet"),
            Err(_) => tracing::warn!("the table takes too long; what was received is not counted yet"),
        }
    }
}

/// What a phone app tells of its past, as it is queued and counted.
struct PastLetters<'t> {
    letters: Vec<QueueMessage>,
    counted: BTreeMap<&'t str, Vec<(&'t KeyedHash<WorkItem>, i64)>>,
    too_large: Vec<(QueueMessage, &'t HistoryTask)>,
}

fn past_letters(history: &[GroupedHistory]) -> Result<PastLetters<'_>, HandlerError> {
    let receipt = Uuid::new_v4().simple();
    let mut past =
        PastLetters { letters: Vec::with_capacity(history.len()), counted: BTreeMap::new(), too_large: Vec::new() };
    for (at, GroupedHistory { group, task }) in history.iter().enumerate() {
        let message = QueueMessage::new(group.clone(), format!("{receipt}-{at}"), task)?;
        if message.fits() {
            past.letters.push(message);
            let channel = task.channel().map_or(ACCOUNT_CHANNEL, PhoneNumberId::as_str);
            past.counted.entry(channel).or_default().push((task.item(), task.weight()));
        } else {
            past.too_large.push((message, task));
        }
    }
    Ok(past)
}

fn verify<'a>(secrets: &AppSecrets, signature: &str, body: &'a [u8]) -> Option<Verified<'a>> {
    let current = AppSecret::new(secrets.app_secret.clone()).verify(signature, body);
    current.or_else(|| AppSecret::new(secrets.app_secret_previous.clone()?).verify(signature, body))
}
