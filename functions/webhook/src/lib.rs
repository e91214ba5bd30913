//! `webhook` puts Meta's webhooks into the inbound queue before it acknowledges them. It serves `GET` and `POST /webhooks/meta`;
//! the `GET` is Meta's handshake.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    HashKey, InboundTask, KeyedHash, MessageGroup, PhoneNumberId, RefusalReason, SharedClock,
    keyed_hash::{Person, WorkItem},
    mention,
    task::ACCOUNT_CHANNEL,
};
use lambda_http::{Body, Error, Request, RequestExt as _, Response, http::Method};
use platform::{
    AppSecrets, ConfigError, Environment, Metric, Metrics, SecretError, Secrets, Setting, aws::Aws, warm_up,
};
use queue::{DeadLetters, Queue, QueueError, QueueMessage};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Channels, ItemLedger, ItemOutcome, StoreError, TAKEN_UP_TO, Table, Tombstones};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;
use uuid::Uuid;
use whatsapp::{AppSecret, Verified, webhook};

/// Meta sends up to 3 MB; base64 of 4 MiB still fits Lambda's 6 MB.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long counting may keep Meta waiting for its answer. `forward` counts what is not counted here.
const COUNT_MAX_WAIT: Duration = Duration::from_secs(1);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clock: SharedClock,
    secrets: Secrets,
    app_secret: String,
    inbound: Queue,
    dead_letters: DeadLetters,
    table: Table,
    ledger: ItemLedger,
    metrics: Metrics,
}

/// Why nothing could be stored; Meta gets a 500 and sends the webhook again.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let webhook = &Handler::from_env(Environment::process(), clock)?;
    webhook.warm_up().await;
    lambda_http::run(lambda_http::service_fn(async |request: Request| Ok::<_, Error>(webhook.handle(request).await)))
        .await
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        let aws = Aws::from_env(&mut env);
        let app_secret = env.text(Setting::AppSecret);
        let inbound = env.text(Setting::InboundQueueUrl);
        let dead_letters = env.text(Setting::InboundDeadLettersUrl);
        let table = env.text(Setting::TableName);
        let stack = env.text(Setting::StackName);
        let (Some(aws), Some(app_secret), Some(inbound), Some(dead_letters), Some(table), Some(stack)) =
            (aws, app_secret, inbound, dead_letters, table, stack)
        else {
            return Err(env.into_error());
        };
        // Nothing about a customer is written here, so their retention does not matter.
        let table = Table::new(aws.dynamodb, table, clock.clone(), Duration::ZERO);
        Ok(Self {
            secrets: Secrets::new(aws.secrets, clock.clone()),
            app_secret,
            inbound: Queue::new(aws.sqs.clone(), inbound),
            dead_letters: DeadLetters::new(aws.sqs, dead_letters),
            ledger: ItemLedger::new(table.clone()),
            table,
            metrics: Metrics::new("webhook", stack),
            clock,
        })
    }

    /// Fetches the secret and opens the connections before the first request.
    async fn warm_up(&self) {
        let secret = self.secrets.prepare([self.app_secret.as_str()]);
        warm_up(Box::pin(async { tokio::join!(secret, self.inbound.holds(), self.ledger.open()) })).await;
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let answer = match *request.method() {
            Method::GET => self.handshake(&request).await,
            Method::POST => self.receive(&request).await,
            _ => Ok(empty(400)),
        };
        let response = answer.unwrap_or_else(|error| {
            tracing::error!(%error, "a webhook could not be stored; Meta will send it again");
            empty(500)
        });
        if response.status().is_client_error() {
            self.metrics.count(Metric::Rejected);
        }
        self.metrics.emit(self.clock.now());
        response
    }

    /// Serves `GET /webhooks/meta`, Meta's handshake.
    ///
    /// - 200: the challenge, as Meta gave it.
    /// - 400: it is no handshake.
    /// - 403: the verify token is not ours.
    /// - 500: the secret cannot be had.
    async fn handshake(&self, request: &Request) -> Result<Response<Body>, RequestError> {
        let query = request.query_string_parameters();
        let (Some("subscribe"), Some(challenge), Some(token)) =
            (query.first("hub.mode"), query.first("hub.challenge"), query.first("hub.verify_token"))
        else {
            return Ok(empty(400));
        };
        let accepts =
            |secrets: &AppSecrets| bool::from(secrets.verify_token.expose_secret().as_bytes().ct_eq(token.as_bytes()));
        let known = self.secrets.get::<AppSecrets>(&self.app_secret).await?;
        if accepts(&known) || self.renewed().await.is_some_and(|secrets| accepts(&secrets)) {
            let mut response = Response::new(Body::Text(challenge.to_owned()));
            response.headers_mut().insert("content-type", lambda_http::http::HeaderValue::from_static("text/plain"));
            return Ok(response);
        }
        Ok(empty(403))
    }

    /// Serves `POST /webhooks/meta`.
    ///
    /// - 200: each item is in the queue, or in the dead letters.
    /// - 401: the signature is missing or wrong.
    /// - 413: the body has more than 4 MiB.
    /// - 500: not everything could be stored; Meta sends it again.
    async fn receive(&self, request: &Request) -> Result<Response<Body>, RequestError> {
        let body: &[u8] = request.body();
        if body.len() > MAX_BODY_BYTES {
            return Ok(empty(413));
        }
        let Some(signature) = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok()) else {
            return Ok(empty(401));
        };
        let secrets = self.secrets.get::<AppSecrets>(&self.app_secret).await?;
        if let Some(verified) = verify(&secrets, signature, body) {
            return self.store(verified, &secrets.subject_key).await;
        }
        if let Some(secrets) = self.renewed().await
            && let Some(verified) = verify(&secrets, signature, body)
        {
            return self.store(verified, &secrets.subject_key).await;
        }
        Ok(empty(401))
    }

    async fn store(&self, body: Verified<'_>, key: &SecretString) -> Result<Response<Body>, RequestError> {
        let key = HashKey::new(key.clone());
        let Ok(tasks) = webhook::parse(body, &key, self.clock.now()) else {
            // Answered with an error, the same bytes would come again for a week.
            let group = MessageGroup::UnreadableBody(Uuid::new_v4().to_string()).to_string();
            let reason = if let Some(rest) = self.without_anybody_erased(body.bytes(), &key).await? {
                self.dead_letters.put(&group, &rest, RefusalReason::UnreadableBody).await?;
                self.metrics.count(Metric::Poisoned);
                tracing::error!(bytes = rest.len(), "a signed webhook cannot be read; it is in the dead letters");
                RefusalReason::UnreadableBody
            } else {
                tracing::info!("a signed webhook that cannot be read names somebody erased; it is dropped");
                RefusalReason::Erased
            };
            // The body does not say which item or person it belongs to.
            let nobody = key.item(["unreadable"]);
            self.counted(self.ledger.count(ACCOUNT_CHANNEL, &nobody, ItemOutcome::Refused(reason))).await;
            return Ok(empty(200));
        };
        self.metrics.add(Metric::Received, tasks.len());
        let mut letters = Vec::with_capacity(tasks.len());
        let mut received: BTreeMap<&str, Vec<&KeyedHash<WorkItem>>> = BTreeMap::new();
        let mut too_large = Vec::new();
        let mut too_old: BTreeMap<&str, Vec<&KeyedHash<WorkItem>>> = BTreeMap::new();
        let now = self.clock.now();
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
        self.inbound.send_all(letters).await?;
        // After the queue: what is not acknowledged comes again, and the dead letters do not detect repeats.
        let mut turned_away = Vec::with_capacity(too_large.len());
        for (letter, task) in too_large {
            let Some(body) = self.without_erased(&letter, task, &key).await? else {
                turned_away.push((task, RefusalReason::Erased));
                continue;
            };
            self.dead_letters.put(&letter.group, body.as_bytes(), RefusalReason::TooLargeForTheQueue).await?;
            self.metrics.count(Metric::Poisoned);
            tracing::error!(bytes = body.len(), "an item is too large for the queue; it is in the dead letters");
            turned_away.push((task, RefusalReason::TooLargeForTheQueue));
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
            for (task, reason) in turned_away {
                self.ledger.count(task.channel(), task.item(), ItemOutcome::Refused(reason)).await?;
            }
            Ok(())
        })
        .await;
        Ok(empty(200))
    }

    /// An unreadable body, without what names an erased person. The body does not say when it was written.
    async fn without_anybody_erased<'b>(
        &self,
        body: &'b [u8],
        key: &HashKey,
    ) -> Result<Option<Cow<'b, [u8]>>, StoreError> {
        let tombstones = Tombstones::new(self.table.clone(), key.clone());
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
        let tombstones = Tombstones::new(self.table.clone(), key.clone());
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
            InboundTask::NoticeV1(_) | InboundTask::FileV1(_) | InboundTask::ProbeV1(_) => {
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
            InboundTask::FileV1(_) | InboundTask::ProbeV1(_) => None,
        };
        let channel = Channels::new(self.table.clone()).get(&PhoneNumberId::new(task.channel())).await?;
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

    /// The current secret, unless it was looked up just before.
    async fn renewed(&self) -> Option<AppSecrets> {
        self.secrets.get_again::<AppSecrets>(&self.app_secret).await.ok().flatten()
    }
}

fn verify<'a>(secrets: &AppSecrets, signature: &str, body: &'a [u8]) -> Option<Verified<'a>> {
    let current = AppSecret::new(secrets.app_secret.clone()).verify(signature, body);
    current.or_else(|| AppSecret::new(secrets.app_secret_previous.clone()?).verify(signature, body))
}

fn empty(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = lambda_http::http::StatusCode::from_u16(status).unwrap_or_default();
    response
}
