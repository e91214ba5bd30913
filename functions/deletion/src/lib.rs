//! Takes erasure requests and shows how far they are. They come by Meta's data deletion callback (`POST /deletion/meta`)
//! and by the operator's own calls, which do not pass the API. The public page of a request is `GET /deletion/{code}`.

mod answer;
mod operator;
mod page;

use domain::{
    ConfirmationCode, HashKey, SharedClock,
    erasure::{ErasureDeadlines, RequestSource},
};
use lambda_http::{Body, Request, RequestExt as _, Response, http::Method};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{
    AppSecrets, ConfigError, Environment, Metric, Metrics, SecretError, Secrets, Setting, aws::Aws, warm_up,
};
use queue::{Queue, QueueError};
use serde_json::{Value, json};
use store::{DataSubject, ErasureLedger, ErasureRequests, StoreError, Table};
use texts::Locale;
use uuid::Uuid;
use whatsapp::{
    AppSecret,
    signed_request::{NotSigned, SignedRequest},
};

pub use crate::operator::{OperatorCommand, OperatorError};

/// The same limit as for every body that comes in.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Meta repeats for a week; what is older has to be asked anew.
const SIGNED_REQUEST_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// How far Meta's clock may be ahead.
const MAX_CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(3600);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clock: SharedClock,
    secrets: Secrets,
    app_secret: String,
    locale: Locale,
    deadlines: ErasureDeadlines,
    table: Table,
    queue: Queue,
    metrics: Metrics,
}

/// Why a request could not be taken; the caller asks again.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let deletion = &Handler::from_env(Environment::process(), clock)?;
    deletion.warm_up().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| Box::pin(deletion.invoke(event.payload)).await))
        .await
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        let aws = Aws::from_env(&mut env);
        let app_secret = env.text(Setting::AppSecret);
        let queue = env.text(Setting::ErasureQueueUrl);
        let table = env.text(Setting::TableName);
        let stack = env.text(Setting::StackName);
        let locale = env.parsed::<Locale>(Setting::Locale);
        let promise = app::erasure_deadlines(&mut env);
        let (Some(aws), Some(app_secret), Some(queue), Some(table), Some(stack), Some(locale), Some(promise)) =
            (aws, app_secret, queue, table, stack, locale, promise)
        else {
            return Err(env.into_error());
        };
        Ok(Self {
            secrets: Secrets::new(aws.secrets, clock.clone()),
            app_secret,
            locale,
            deadlines: promise,
            // Nothing about a customer is written here; the requests' items set their own times.
            table: Table::new(aws.dynamodb, table, clock.clone(), std::time::Duration::ZERO),
            queue: Queue::new(aws.sqs, queue),
            metrics: Metrics::new("deletion", stack),
            clock,
        })
    }

    /// Loads the secret and opens the connections before the first request: requests are rare, so most of them meet a cold
    /// start.
    async fn warm_up(&self) {
        let secret = self.secrets.prepare([self.app_secret.as_str()]);
        warm_up(Box::pin(async { tokio::join!(secret, self.queue.holds(), self.table.open()) })).await;
    }

    /// Handles one event: a request of the API, or the operator's own command.
    pub async fn invoke(&self, event: Value) -> Result<Value, Error> {
        if event.get("requestContext").is_none() {
            let answered = self.operator(event).await;
            self.metrics.emit(self.clock.now());
            return answered;
        }
        let secure = event["headers"]["x-forwarded-proto"] != "http";
        let host = event["requestContext"]["domainName"].as_str().unwrap_or_default().to_owned();
        let request = lambda_http::request::from_str(&event.to_string())?;
        let base = format!("{}://{host}", if secure { "https" } else { "http" });
        Ok(answer::event(self.handle(request, &base).await))
    }

    /// Answers one request of the API, which is reached at `base`.
    pub async fn handle(&self, request: Request, base: &str) -> Response<Body> {
        let answered = match *request.method() {
            Method::GET => self.show(&request).await,
            Method::POST => self.meta(&request, base).await,
            _ => Ok(answer::empty(400)),
        };
        let response = answered.unwrap_or_else(|error| {
            tracing::error!(%error, "a request for erasure could not be answered");
            answer::empty(500)
        });
        if response.status().is_client_error() {
            self.metrics.count(Metric::Rejected);
        }
        self.metrics.emit(self.clock.now());
        response
    }

    /// Serves `GET /deletion/{code}`.
    ///
    /// - 200: how far the request is, as a page, or as JSON where the caller asks for it.
    /// - 404: there is no such request, or it was withdrawn.
    /// - 500: the table does not answer.
    async fn show(&self, request: &Request) -> Result<Response<Body>, RequestError> {
        let parameters = request.path_parameters();
        let Some(code) = parameters.first("code").filter(|code| is_code(code)).map(ConfirmationCode::new) else {
            return Ok(answer::empty(404));
        };
        let now = self.clock.now();
        let entry = ErasureLedger::new(self.table.clone()).get(&code).await?;
        let Some((entry, shown)) = entry.and_then(|entry| entry.erasure.public_state(now).map(|shown| (entry, shown)))
        else {
            return Ok(answer::empty(404));
        };
        let days_left = entry.erasure.days_left(now);
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if page::wants_json(header("accept")) {
            return Ok(answer::json(200, &json!({ "state": shown, "days_left": days_left })));
        }
        let wished = request.query_string_parameters();
        let locale = page::language(wished.first("lang"), header("accept-language"), self.locale);
        Ok(answer::html(page::compose(&code, shown, days_left, self.deadlines.deletion_days, locale)))
    }

    /// Serves `POST /deletion/meta`. Meta asks for the administrator who did the signup, never for a customer.
    ///
    /// - 200: the code of the request and the address of its page, as JSON.
    /// - 400: there is no signed request in it.
    /// - 401: the signature is wrong, or the request is new and too old.
    /// - 413: the body has more than 4 MiB.
    /// - 500: it could not be stored; Meta asks again.
    async fn meta(&self, request: &Request, base: &str) -> Result<Response<Body>, RequestError> {
        let body: &[u8] = request.body();
        if body.len() > MAX_BODY_BYTES {
            return Ok(answer::empty(413));
        }
        let field = url::form_urlencoded::parse(body).find(|(name, _)| name == "signed_request");
        let Some((_, signed)) = field else { return Ok(answer::empty(400)) };
        let secrets = self.secrets.get::<AppSecrets>(&self.app_secret).await?;
        let mut read = SignedRequest::read(&signed, &keys(&secrets));
        if read == Err(NotSigned::Forged)
            && let Some(renewed) = self.secrets.get_again::<AppSecrets>(&self.app_secret).await.ok().flatten()
        {
            read = SignedRequest::read(&signed, &keys(&renewed));
        }
        let asked = match read {
            Ok(asked) => asked,
            Err(NotSigned::Forged) => return Ok(answer::empty(401)),
            Err(NotSigned::Unreadable) => return Ok(answer::empty(400)),
        };
        let administrator = HashKey::new(secrets.subject_key).administrator(&asked.user_id);
        let subject = DataSubject { administrators: [administrator].into(), ..DataSubject::default() };
        if self.is_too_old(&asked) && self.requests().await?.known(&subject).await?.is_none() {
            return Ok(answer::empty(401));
        }
        let code = self.ask(RequestSource::Meta, subject).await?;
        let url = format!("{base}/deletion/{code}");
        Ok(answer::json(200, &json!({ "url": url, "confirmation_code": code })))
    }

    fn is_too_old(&self, asked: &SignedRequest) -> bool {
        let now = self.clock.now();
        let old = now.since(asked.issued_at) > SIGNED_REQUEST_MAX_AGE || asked.issued_at.since(now) > MAX_CLOCK_SKEW;
        asked.expires.is_some_and(|end| end <= now) || old
    }

    pub(crate) async fn requests(&self) -> Result<ErasureRequests, RequestError> {
        let key = self.key().await?;
        Ok(ErasureRequests::new(self.table.clone(), key, self.deadlines.clone()))
    }

    pub(crate) async fn key(&self) -> Result<HashKey, RequestError> {
        Ok(HashKey::new(self.secrets.get::<AppSecrets>(&self.app_secret).await?.subject_key))
    }

    /// Opens a request, or finds the same one; either way its task is queued.
    pub(crate) async fn ask(
        &self,
        source: RequestSource,
        subject: DataSubject,
    ) -> Result<ConfirmationCode, RequestError> {
        let requests = self.requests().await?;
        let asked = requests.ask(source, subject, self.clock.now()).await?;
        let erasure = &asked.entry.erasure;
        if asked.is_new {
            self.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %erasure.code, door = ?source, "an erasure was asked for");
        }
        if !erasure.is_closed() {
            self.queue.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
            requests.bar(&asked.entry).await?;
        }
        Ok(asked.entry.erasure.code)
    }
}

fn keys(secrets: &AppSecrets) -> Vec<AppSecret> {
    [Some(&secrets.app_secret), secrets.app_secret_previous.as_ref()]
        .into_iter()
        .flatten()
        .map(|secret| AppSecret::new(secret.clone()))
        .collect()
}

/// Whether a text may be the code of a request: other texts are not looked up.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
