//! `callback` turns Chatwoot's callbacks into sync requests for `send`. It serves `POST /callbacks/chatwoot/{phone_number_id}`.
//! Chatwoot waits five seconds and never asks again. So nothing here talks to Chatwoot, and what is not for a customer costs
//! next to nothing.

mod presence;

use chatwoot::{
    Authentic, CallbackSecret, PathSecret, REFUSALS_PAGE,
    callback::{self, CallbackKind, ConversationChange, LabelChange},
};
use domain::{Channel, ErasureTask, OutboundTask, SharedClock, SyncRequest};
use lambda_http::{Body, Error, Request, RequestExt as _, Response};
use platform::{
    ChannelSecrets, ConfigError, Environment, Metric, Metrics, SecretError, Secrets, Setting, aws::Aws, warm_up,
};
use queue::{Queue, QueueError, QueueMessage};
use secrecy::SecretString;
use store::{Channels, Outbox, StoreError, Table};
use uuid::Uuid;

/// The headers with Chatwoot's signature of a callback and the time it covers.
const SIGNATURE_HEADER: &str = "x-chatwoot-signature";
const TIMESTAMP_HEADER: &str = "x-chatwoot-timestamp";

/// The largest callback, the same limit as for every incoming body. Chatwoot's own are far smaller: a message has at most
/// 150,000 characters.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clock: SharedClock,
    secrets: Secrets,
    channels: Channels,
    outbox: Outbox,
    outbound: Queue,
    erasures: Queue,
    metrics: Metrics,
}

/// Why a sync request could not be enqueued; Chatwoot marks the message failed, and `reconcile` finds it all the same.
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
    let callback = &Handler::from_env(Environment::process(), clock)?;
    callback.warm_up().await;
    lambda_http::run(lambda_http::service_fn(async |request: Request| Ok::<_, Error>(callback.handle(request).await)))
        .await
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        let aws = Aws::from_env(&mut env);
        let table = env.text(Setting::TableName);
        let outbound = env.text(Setting::OutboundQueueUrl);
        let erasures = env.text(Setting::ErasureQueueUrl);
        let stack = env.text(Setting::StackName);
        let (Some(aws), Some(table), Some(outbound), Some(erasures), Some(stack)) =
            (aws, table, outbound, erasures, stack)
        else {
            return Err(env.into_error());
        };
        // This function only reads the table; it does not decide how long anything is kept.
        let table = Table::new(aws.dynamodb, table, clock.clone(), std::time::Duration::ZERO);
        Ok(Self {
            secrets: Secrets::new(aws.secrets, clock.clone()),
            channels: Channels::new(table.clone()),
            outbox: Outbox::new(table),
            outbound: Queue::new(aws.sqs.clone(), outbound),
            erasures: Queue::new(aws.sqs, erasures),
            metrics: Metrics::new("callback", stack),
            clock,
        })
    }

    /// Fetches channels and secrets and opens the connections before the first request.
    async fn warm_up(&self) {
        let secrets = async {
            if let Ok(channels) = self.channels.remember_all().await {
                self.secrets.prepare(channels.iter().map(|channel| channel.secret.as_str())).await;
            }
        };
        warm_up(Box::pin(async { tokio::join!(secrets, self.outbound.holds()) })).await;
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let status = self.receive(&request).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a hint could not be given; reconcile will find the message");
            500
        });
        if status == 401 {
            let (cause, page) =
                ("not signed by the callback secret in hand, or more than five minutes old", REFUSALS_PAGE);
            let parameters = request.path_parameters();
            let channel = parameters.first("phone_number_id").unwrap_or_default();
            tracing::warn!(channel.id = channel, cause, page, "a callback is refused");
        }
        if (400..500).contains(&status) {
            self.metrics.count(Metric::Rejected);
        }
        self.metrics.emit(self.clock.now());
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = lambda_http::http::StatusCode::from_u16(status).unwrap_or_default();
        response
    }

    /// Serves `POST /callbacks/chatwoot/{phone_number_id}` and, for a Chatwoot that does not sign,
    /// `POST /callbacks/chatwoot/{phone_number_id}/{secret}`.
    ///
    /// - 200: a sync request is in the queue, or there is nothing to send.
    /// - 400: it is no callback.
    /// - 401: the signature, or without one the path's secret, is missing, wrong or more than five minutes old.
    /// - 404: there is no such channel.
    /// - 413: the body has more than 4 MiB.
    /// - 500: nothing could be queued; `reconcile` finds the message.
    async fn receive(&self, request: &Request) -> Result<u16, RequestError> {
        let body: &[u8] = request.body();
        if body.len() > MAX_BODY_BYTES {
            return Ok(413);
        }
        let parameters = request.path_parameters();
        let Some(id) = parameters.first("phone_number_id") else { return Ok(404) };
        let Some(channel) = self.channels.by_path_id(id).await? else { return Ok(404) };
        let Some(proof) = Proof::of(request, parameters.first("secret")) else { return Ok(401) };
        let Some(authentic) = self.authenticate(&proof, &channel, body).await? else { return Ok(401) };
        let (look, is_red) = match callback::read(authentic) {
            Err(callback::UnreadableCallback) => return Ok(400),
            Ok(CallbackKind::Nothing(why)) => {
                tracing::debug!(why, "a callback says nothing to send");
                return Ok(200);
            }
            Ok(CallbackKind::Typing(place)) => return Ok(self.typing(&channel, &place).await),
            Ok(CallbackKind::Resolved(place)) => return Ok(self.resolved(&channel, &place).await),
            Ok(CallbackKind::Command(look)) if look.inbox == channel.inbox && look.account == channel.account => {
                return self.command(&channel, &look).await;
            }
            Ok(CallbackKind::Look(look) | CallbackKind::Command(look)) => (look, false),
            Ok(CallbackKind::Red(look)) => (look, true),
            Ok(CallbackKind::Labels(labels)) => {
                if (labels.account, labels.inbox) == (channel.account, channel.inbox) {
                    self.labels(&channel, labels).await?;
                }
                return Ok(200);
            }
        };
        if look.inbox != channel.inbox || look.account != channel.account {
            tracing::warn!(channel.id = %channel.phone_number_id, "a callback of another inbox came to this channel");
            return Ok(200);
        }
        if is_red {
            let looks = SyncRequest::look(channel.phone_number_id.clone(), look.account, look.conversation);
            let task = OutboundTask::HintV1(SyncRequest { red: Some(look.message), ..looks });
            self.put(&task, Uuid::new_v4().to_string()).await?;
            return Ok(200);
        }
        if look.changed && self.is_our_own_mark(&look).await? {
            return Ok(200);
        }
        self.hint(&channel, &look).await?;
        Ok(200)
    }

    async fn authenticate<'b>(
        &self,
        proof: &Proof<'_>,
        channel: &Channel,
        body: &'b [u8],
    ) -> Result<Option<Authentic<'b>>, RequestError> {
        let now = self.clock.now();
        let known = self.secrets.get::<ChannelSecrets>(&channel.secret).await?;
        if let Some(authentic) = proof.check(&known, body, now) {
            return Ok(Some(authentic));
        }
        let renewed = self.secrets.get_again::<ChannelSecrets>(&channel.secret).await.ok().flatten();
        Ok(renewed.and_then(|renewed| proof.check(&renewed, body, now)))
    }

    /// Whether a change is only our own status update coming back: the message is out, or not yet shown as failed, so no agent
    /// can retry it.
    async fn is_our_own_mark(&self, change: &ConversationChange) -> Result<bool, RequestError> {
        let entry = self.outbox.get(change.account, change.conversation, change.message).await?;
        Ok(entry.is_some_and(|entry| entry.outgoing.is_settled()))
    }

    /// An agent may ask for an erasure by a label; `erasure` reads which labels are set.
    async fn labels(&self, channel: &Channel, labels: LabelChange) -> Result<(), RequestError> {
        let sync = SyncRequest::look(channel.phone_number_id.clone(), labels.account, labels.conversation);
        let task = ErasureTask::LabelsV1(sync);
        self.erasures.send(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?).await?;
        Ok(())
    }

    async fn hint(&self, channel: &Channel, change: &ConversationChange) -> Result<(), RequestError> {
        let task = OutboundTask::HintV1(SyncRequest {
            channel: channel.phone_number_id.clone(),
            account: change.account,
            conversation: change.conversation,
            template: change.picked.is_some().then_some(change.message),
            picked: change.picked.clone().map(Box::new),
            message: Some(change.message),
            red: None,
            survey: change.survey.clone(),
            resolved_at: None,
            unseen_since: None,
        });
        // Two sync requests are never merged: the second may report a message that the first sync came too early for.
        self.put(&task, Uuid::new_v4().to_string()).await
    }

    async fn put(&self, task: &OutboundTask, dedup: String) -> Result<(), RequestError> {
        Ok(self.outbound.send(QueueMessage::new(task.group(), dedup, task)?).await?)
    }
}

enum Proof<'r> {
    Signed { timestamp: &'r str, signature: &'r str },
    Path { secret: &'r str },
}

impl<'r> Proof<'r> {
    /// A signature must be valid if there is one, however its header is spelled. Only if there is none at all (Chatwoot before
    /// 4.13) may the path carry a secret.
    fn of(request: &'r Request, path_secret: Option<&'r str>) -> Option<Self> {
        let signs = |name: &str| name.contains("signature") || name.replace('_', "-") == TIMESTAMP_HEADER;
        if request.headers().keys().any(|name| signs(name.as_str())) {
            let (signature, timestamp) = (only(request, SIGNATURE_HEADER)?, only(request, TIMESTAMP_HEADER)?);
            return Some(Self::Signed { timestamp, signature });
        }
        path_secret.filter(|secret| !secret.is_empty()).map(|secret| Self::Path { secret })
    }

    fn check<'b>(&self, secrets: &ChannelSecrets, body: &'b [u8], now: domain::Timestamp) -> Option<Authentic<'b>> {
        match self {
            Self::Signed { timestamp, signature } => {
                let all = [Some(&secrets.callback_secret), secrets.callback_secret_previous.as_ref()];
                let verify =
                    |secret: &SecretString| CallbackSecret::new(secret.clone()).verify(timestamp, signature, body, now);
                all.into_iter().flatten().find_map(verify)
            }
            Self::Path { secret } => PathSecret::new(secrets.path_secret()?.clone()).verify(secret, body),
        }
    }
}

/// The value of a header that occurs exactly once.
fn only<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
