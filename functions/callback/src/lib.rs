//! `POST /callbacks/chatwoot/{phone_number_id}`: Chatwoot's callbacks into hints for `send`. Chatwoot waits five seconds and
//! never asks again, so nothing here talks to Chatwoot, and what is not for a customer costs next to nothing.

mod niceties;

use chatwoot::{
    Authentic, CallbackSecret, PathSecret, REFUSALS,
    callback::{self, Labels, Look, Meaning},
};
use domain::{Channel, ErasureTask, Hint, OutboundTask, SharedClock};
use lambda_http::{Body, Error, Request, RequestExt as _, Response};
use platform::{ChannelSecrets, ConfigError, Environment, Metric, Metrics, SecretError, Secrets, aws::Aws, warm_up};
use queue::{Letter, Queue, QueueError};
use secrecy::SecretString;
use store::{Channels, Outbox, StoreError, Table};
use uuid::Uuid;

/// What Chatwoot signs a callback with, and over which time.
const SIGNATURE: &str = "x-chatwoot-signature";
const TIMESTAMP: &str = "x-chatwoot-timestamp";

/// The largest callback, as of every body that comes in. Chatwoot's own are far smaller: a message has at most 150,000 characters.
const LIMIT: usize = 4 * 1024 * 1024;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Callback {
    clock: SharedClock,
    secrets: Secrets,
    channels: Channels,
    outbox: Outbox,
    outbound: Queue,
    erasures: Queue,
    metrics: Metrics,
}

/// Why a hint could not be given; Chatwoot marks the message failed, and `reconcile` finds it all the same.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let callback = &Callback::from_env(Environment::process(), clock)?;
    callback.warm_up().await;
    lambda_http::run(lambda_http::service_fn(async |request: Request| Ok::<_, Error>(callback.handle(request).await)))
        .await
}

impl Callback {
    /// Reads the settings.
    pub fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        let aws = Aws::from_env(&mut env);
        let table = env.text("TABLE_NAME");
        let outbound = env.text("OUTBOUND_QUEUE_URL");
        let erasures = env.text("ERASURE_QUEUE_URL");
        let stack = env.text("STACK_NAME");
        let (Some(aws), Some(table), Some(outbound), Some(erasures), Some(stack)) =
            (aws, table, outbound, erasures, stack)
        else {
            return Err(env.into_error());
        };
        // This function only reads the table; how long things are kept is not its to say.
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

    /// Has channels and secrets at hand and the lines open before the first request.
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
            let (cause, page) = ("not signed by the callback secret in hand, or more than five minutes old", REFUSALS);
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

    async fn receive(&self, request: &Request) -> Result<u16, Trouble> {
        let body: &[u8] = request.body();
        if body.len() > LIMIT {
            return Ok(413);
        }
        let parameters = request.path_parameters();
        let Some(id) = parameters.first("phone_number_id") else { return Ok(404) };
        let Some(channel) = self.channels.at_the_door(id).await? else { return Ok(404) };
        let Some(proof) = Proof::of(request, parameters.first("secret")) else { return Ok(401) };
        let Some(authentic) = self.authenticate(&proof, &channel, body).await? else { return Ok(401) };
        let (look, is_red) = match callback::read(authentic) {
            Err(callback::Unreadable) => return Ok(400),
            Ok(Meaning::Nothing(why)) => {
                tracing::debug!(why, "a callback says nothing to send");
                return Ok(200);
            }
            Ok(Meaning::Typing(place)) => return Ok(self.typing(&channel, &place).await),
            Ok(Meaning::Resolved(place)) => return Ok(self.resolved(&channel, &place).await),
            Ok(Meaning::Command(look)) if look.inbox == channel.inbox && look.account == channel.account => {
                return self.command(&channel, &look).await;
            }
            Ok(Meaning::Look(look) | Meaning::Command(look)) => (look, false),
            Ok(Meaning::Red(look)) => (look, true),
            Ok(Meaning::Labels(labels)) => {
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
            let looks = Hint::look(channel.phone_number_id.clone(), look.account, look.conversation);
            let task = OutboundTask::HintV1(Hint { red: Some(look.message), ..looks });
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
    ) -> Result<Option<Authentic<'b>>, Trouble> {
        let now = self.clock.now();
        let known = self.secrets.get::<ChannelSecrets>(&channel.secret).await?;
        if let Some(authentic) = proof.check(&known, body, now) {
            return Ok(Some(authentic));
        }
        let renewed = self.secrets.get_again::<ChannelSecrets>(&channel.secret).await.ok().flatten();
        Ok(renewed.and_then(|renewed| proof.check(&renewed, body, now)))
    }

    /// A change of a message that is out, or not yet marked failed, is our own mark coming back: no agent can retry it.
    async fn is_our_own_mark(&self, look: &Look) -> Result<bool, Trouble> {
        let entry = self.outbox.get(look.account, look.conversation, look.message).await?;
        Ok(entry.is_some_and(|entry| entry.outgoing.is_settled()))
    }

    /// An agent may ask for an erasure by a label; `erasure` looks which labels there are.
    async fn labels(&self, channel: &Channel, labels: Labels) -> Result<(), Trouble> {
        let hint = Hint::look(channel.phone_number_id.clone(), labels.account, labels.conversation);
        let task = ErasureTask::LabelsV1(hint);
        self.erasures.send(Letter::new(task.group(), Uuid::new_v4().to_string(), &task)?).await?;
        Ok(())
    }

    async fn hint(&self, channel: &Channel, look: &Look) -> Result<(), Trouble> {
        let task = OutboundTask::HintV1(Hint {
            channel: channel.phone_number_id.clone(),
            account: look.account,
            conversation: look.conversation,
            template: look.picked.is_some().then_some(look.message),
            picked: look.picked.clone().map(Box::new),
            message: Some(look.message),
            red: None,
            survey: look.survey.clone(),
            resolved_at: None,
            unseen_since: None,
        });
        // Two hints are never one: the second may tell of a message that the first look came too early for.
        self.put(&task, Uuid::new_v4().to_string()).await
    }

    async fn put(&self, task: &OutboundTask, dedup: String) -> Result<(), Trouble> {
        Ok(self.outbound.send(Letter::new(task.group(), dedup, task)?).await?)
    }
}

enum Proof<'r> {
    Signed { timestamp: &'r str, signature: &'r str },
    Path { secret: &'r str },
}

impl<'r> Proof<'r> {
    /// A signature must be right where there is one, however it is spelled. Only where there is none at all (Chatwoot before 4.13)
    /// may the path carry a secret.
    fn of(request: &'r Request, path_secret: Option<&'r str>) -> Option<Self> {
        let signs = |name: &str| name.contains("signature") || name.replace('_', "-") == TIMESTAMP;
        if request.headers().keys().any(|name| signs(name.as_str())) {
            let (signature, timestamp) = (only(request, SIGNATURE)?, only(request, TIMESTAMP)?);
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

/// The one value of a header.
fn only<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
