//! `callback` turns Chatwoot's callbacks into sync requests for `send`. It serves `POST /callbacks/chatwoot/{phone_number_id}`.
//! Chatwoot waits five seconds and never asks again. So nothing here talks to Chatwoot, and what is not for a customer costs
//! next to nothing.

mod presence;

use std::time::Duration;

use app::{Base, Function, HandlerError, HttpFunction, Refusal, warm_up_channels};
use chatwoot::{
    Authentic, CallbackSecret, PathSecret, REFUSALS_PAGE,
    callback::{self, CallbackKind, ConversationChange, LabelChange},
};
use domain::{Channel, ErasureTask, OutboundTask, SharedClock, SyncRequest};
use lambda_http::{Body, Request, RequestExt as _, Response, http::StatusCode};
use platform::{ChannelSecrets, ConfigError, Environment, Metric, Metrics, Setting};
use queue::{Queue, QueueMessage};
use secrecy::SecretString;
use store::{Channels, Outbox};
use uuid::Uuid;

/// The headers with Chatwoot's signature of a callback and the time it covers.
const SIGNATURE_HEADER: &str = "x-chatwoot-signature";
const TIMESTAMP_HEADER: &str = "x-chatwoot-timestamp";

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    base: Base,
    channels: Channels,
    outbox: Outbox,
    outbound: Queue,
    erasures: Queue,
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
        warm_up_channels(&self.channels, &self.base.secrets, &self.outbound).await;
    }
}

impl HttpFunction for Handler {
    const NEXT: &'static str = "reconcile finds the message";

    async fn respond(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let received = self.receive(request).await;
        if let Err(HandlerError::Refused(Refusal::Unsigned)) = received {
            let (cause, page) =
                ("not signed by the callback secret in hand, or more than five minutes old", REFUSALS_PAGE);
            let parameters = request.path_parameters();
            let channel = parameters.first("phone_number_id").unwrap_or_default();
            tracing::warn!(channel.id = channel, cause, page, "a callback is refused");
            self.base.metrics.count(Metric::SignatureRefused);
        }
        received.map(|()| app::empty(StatusCode::OK))
    }
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        env.read(|env| {
            // This function only reads the table; it does not decide how long anything is kept.
            let base = Base::read(env, "callback", clock, Duration::ZERO);
            Self {
                channels: Channels::new(base.table.clone()),
                outbox: Outbox::new(base.table.clone()),
                outbound: base.queue(env, Setting::OutboundQueueUrl),
                erasures: base.queue(env, Setting::ErasureQueueUrl),
                base,
            }
        })
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
    async fn receive(&self, request: &Request) -> Result<(), HandlerError> {
        let parameters = request.path_parameters();
        let id = parameters.first("phone_number_id").ok_or(Refusal::Unknown)?;
        let channel = self.channels.by_path_id(id).await?.ok_or(Refusal::Unknown)?;
        let proof = Proof::of(request, parameters.first("secret")).ok_or(Refusal::Unsigned)?;
        let authentic = self.authenticate(&proof, &channel, request.body()).await?.ok_or(Refusal::Unsigned)?;
        let kind = callback::read(authentic).map_err(|callback::UnreadableCallback| Refusal::Unreadable)?;
        let (change, is_red) = match kind {
            CallbackKind::Nothing(why) => {
                tracing::debug!(why, "a callback says nothing to send");
                return Ok(());
            }
            CallbackKind::Typing(origin) => {
                self.typing(&channel, &origin).await;
                return Ok(());
            }
            CallbackKind::Resolved(origin) => {
                self.resolved(&channel, &origin).await;
                return Ok(());
            }
            CallbackKind::Labels(labels) if (labels.account, labels.inbox) == (channel.account, channel.inbox) => {
                return self.labels(&channel, labels).await;
            }
            CallbackKind::Labels(_) => return Ok(()),
            CallbackKind::Command(change) if (change.account, change.inbox) == (channel.account, channel.inbox) => {
                return self.command(&channel, &change).await;
            }
            CallbackKind::Changed(change) | CallbackKind::Command(change) => (change, false),
            CallbackKind::Red(change) => (change, true),
        };
        if (change.account, change.inbox) != (channel.account, channel.inbox) {
            tracing::warn!(channel.id = %channel.phone_number_id, "a callback of another inbox came to this channel");
            return Ok(());
        }
        if is_red {
            let sync = SyncRequest::new(channel.phone_number_id.clone(), change.account, change.conversation);
            return self.request_sync(SyncRequest { red: Some(change.message), ..sync }).await;
        }
        if change.changed && self.is_own_status(&change).await? {
            return Ok(());
        }
        self.request_sync(SyncRequest {
            channel: channel.phone_number_id.clone(),
            account: change.account,
            conversation: change.conversation,
            template: change.picked.is_some().then_some(change.message),
            picked: change.picked.map(Box::new),
            message: Some(change.message),
            red: None,
            survey: change.survey,
            resolved_at: None,
            unseen_since: None,
        })
        .await
    }

    async fn authenticate<'b>(
        &self,
        proof: &Proof<'_>,
        channel: &Channel,
        body: &'b [u8],
    ) -> Result<Option<Authentic<'b>>, HandlerError> {
        let now = self.base.clock.now();
        Ok(self.base.secrets.check(&channel.secret, |secrets| proof.check(secrets, body, now)).await?)
    }

    /// Whether a change is only our own status update coming back: the message is out, or not yet shown as failed, so no agent
    /// can retry it.
    async fn is_own_status(&self, change: &ConversationChange) -> Result<bool, HandlerError> {
        let entry = self.outbox.get(change.account, change.conversation, change.message).await?;
        Ok(entry.is_some_and(|entry| entry.outgoing.is_settled()))
    }

    /// An agent may ask for an erasure by a label; `erasure` reads which labels are set.
    async fn labels(&self, channel: &Channel, labels: LabelChange) -> Result<(), HandlerError> {
        let sync = SyncRequest::new(channel.phone_number_id.clone(), labels.account, labels.conversation);
        let task = ErasureTask::LabelsV1(sync);
        self.erasures.send(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?).await?;
        Ok(())
    }

    /// Two sync requests are never merged: the second may report a message that the first sync came too early for.
    async fn request_sync(&self, request: SyncRequest) -> Result<(), HandlerError> {
        self.put(&OutboundTask::SyncRequestV1(request), Uuid::new_v4().to_string()).await
    }

    async fn put(&self, task: &OutboundTask, dedup: String) -> Result<(), HandlerError> {
        if let Some((account, conversation)) = task.conversation() {
            tracing::Span::current().record("trace", format!("{account}/{conversation}"));
        }
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
