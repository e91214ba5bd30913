//! Takes erasure requests and shows how far they are. They come by Meta's data deletion callback (`POST /deletion/meta`)
//! and by the operator's own calls, which do not pass the API. The public page of a request is `GET /deletion/{code}`.

mod answer;
mod operator;
mod page;

use std::time::Duration;

use app::{Base, Function, HandlerError, HttpFunction, Refusal};
use domain::{
    ConfirmationCode, HashKey, KeyedHash, SharedClock,
    erasure::{ErasureDeadlines, Evidence, EvidenceAct, RequestSource},
    keyed_hash::Administrator,
};
use lambda_http::{Body, Request, RequestExt as _, Response, http::Method, http::StatusCode, request::RequestContext};
use platform::{AppSecrets, ConfigError, Environment, Metric, Metrics, Setting, warm_up};
use queue::Queue;
use serde_json::{Value, json};
use store::{Administrators, DataSubject, ErasureLedger, ErasureRequests};
use texts::Locale;
use uuid::Uuid;
use whatsapp::{
    AppSecret,
    signed_request::{NotSigned, SignedRequest},
};

pub use crate::operator::{OperatorCommand, OperatorError};

/// Meta repeats for a week; what is older has to be asked anew.
const SIGNED_REQUEST_MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

/// How far Meta's clock may be ahead.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    base: Base,
    app_secret: String,
    locale: Locale,
    deadlines: ErasureDeadlines,
    queue: Queue,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_http(Handler::from_env(Environment::process(), clock)?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.base.metrics
    }

    /// Requests are rare, so most of them meet a cold start.
    async fn warm_up(&self) {
        let secret = self.base.secrets.prepare([self.app_secret.as_str()]);
        warm_up(Box::pin(async { tokio::join!(secret, self.queue.holds(), self.base.table.open()) })).await;
    }
}

impl HttpFunction for Handler {
    const NEXT: &'static str = "Meta or the person asks again";
    const TAKES_COMMANDS: bool = true;

    async fn respond(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        match *request.method() {
            Method::GET => self.show(request).await,
            Method::POST if request.uri().path().ends_with("/deauthorize") => self.deauthorize(request).await,
            Method::POST => self.meta(request).await,
            _ => Err(Refusal::Unreadable.into()),
        }
    }

    async fn command(&self, command: Value) -> Result<Value, app::Error> {
        self.operator(command).await
    }
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(env: Environment, clock: SharedClock) -> Result<Self, ConfigError> {
        env.read(|env| {
            // Nothing about a customer is written here; the requests' items set their own times.
            let base = Base::read(env, "deletion", clock, Duration::ZERO);
            Self {
                app_secret: env.text(Setting::AppSecret),
                locale: env.parsed(Setting::Locale),
                deadlines: app::erasure_deadlines(env),
                queue: base.queue(env, Setting::ErasureQueueUrl),
                base,
            }
        })
    }

    /// Serves `GET /deletion/{code}`.
    ///
    /// - 200: how far the request is, as a page, or as JSON where the caller asks for it.
    /// - 404: there is no such request, or it was withdrawn.
    /// - 500: the table does not answer.
    async fn show(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let parameters = request.path_parameters();
        let code = parameters.first("code").filter(|code| is_code(code)).map(ConfirmationCode::new);
        let code = code.ok_or(Refusal::Unknown)?;
        let now = self.base.clock.now();
        let entry = ErasureLedger::new(self.base.table.clone()).get(&code).await?.ok_or(Refusal::Unknown)?;
        let shown = entry.erasure.public_state(now).ok_or(Refusal::Unknown)?;
        let days_left = entry.erasure.days_left(now);
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if page::wants_json(header("accept")) {
            return Ok(answer::json(&json!({ "state": shown, "days_left": days_left })));
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
    async fn meta(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let (asked, administrator) = self.signed(request).await?;
        let connected = Administrators::new(self.base.table.clone()).of(&administrator).await?;
        let subject = DataSubject { administrators: [administrator].into(), ..DataSubject::default() };
        if self.is_too_old(&asked) && self.requests().await?.known(&subject).await?.is_none() {
            return Err(Refusal::Unsigned.into());
        }
        for number in &connected.own_tokens {
            // The token goes with the person, and the number with the token.
            tracing::error!(channel.id = %number, page = "docs/runbook/tokens.md",
                "whoever connected this number is being erased, and its token is their own: it has to be connected again");
        }
        let code = self.ask(RequestSource::Meta, subject, None).await?;
        let url = format!("{}/deletion/{code}", address(request));
        Ok(answer::json(&json!({ "url": url, "confirmation_code": code })))
    }

    /// Serves `POST /deletion/meta/deauthorize`. Somebody took the app's permission away. Nothing of it is believed: the tokens of the
    /// numbers they connected are looked at in the next round of `signup`.
    ///
    /// - 200: it is noted.
    /// - 400: there is no signed request in it.
    /// - 401: the signature is wrong, or it is too old.
    /// - 500: it could not be stored; Meta tells again.
    async fn deauthorize(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let (asked, administrator) = self.signed(request).await?;
        if self.is_too_old(&asked) {
            return Err(Refusal::Unsigned.into());
        }
        let numbers = Administrators::new(self.base.table.clone()).look_again(&administrator).await?;
        tracing::warn!(numbers, "somebody took the app's permission away at Meta; the tokens are looked at");
        Ok(app::empty(StatusCode::OK))
    }

    /// What Meta signed, and whom it is about.
    async fn signed(&self, request: &Request) -> Result<(SignedRequest, KeyedHash<Administrator>), HandlerError> {
        let field = url::form_urlencoded::parse(request.body()).find(|(name, _)| name == "signed_request");
        let (_, signed) = field.ok_or(Refusal::Unreadable)?;
        let check = |secrets: &AppSecrets| match SignedRequest::read(&signed, &keys(secrets)) {
            Err(NotSigned::Forged) => None,
            Err(NotSigned::Unreadable) => Some(Err(Refusal::Unreadable)),
            Ok(asked) => Some(Ok(asked)),
        };
        let read = self.base.secrets.check(&self.app_secret, check).await?;
        let asked = read.ok_or(Refusal::Unsigned)??;
        let administrator = self.key().await?.administrator(&asked.user_id);
        Ok((asked, administrator))
    }

    fn is_too_old(&self, asked: &SignedRequest) -> bool {
        let now = self.base.clock.now();
        let old = now.since(asked.issued_at) > SIGNED_REQUEST_MAX_AGE || asked.issued_at.since(now) > MAX_CLOCK_SKEW;
        asked.expires.is_some_and(|end| end <= now) || old
    }

    pub(crate) async fn requests(&self) -> Result<ErasureRequests, HandlerError> {
        let key = self.key().await?;
        Ok(ErasureRequests::new(self.base.table.clone(), key, self.deadlines.clone()))
    }

    pub(crate) async fn key(&self) -> Result<HashKey, HandlerError> {
        Ok(HashKey::new(self.base.secrets.get::<AppSecrets>(&self.app_secret).await?.subject_key))
    }

    /// Opens a request, or finds the same one; either way its task is queued.
    pub(crate) async fn ask(
        &self,
        source: RequestSource,
        subject: DataSubject,
        operator: Option<&str>,
    ) -> Result<ConfirmationCode, HandlerError> {
        let requests = self.requests().await?;
        let now = self.base.clock.now();
        let evidence = operator.map(|name| Evidence {
            act: EvidenceAct::OperatorAsked,
            at: now,
            trace: requests.operator_trace(name),
        });
        let asked = requests.ask_by(source, subject, now, evidence).await?;
        let erasure = &asked.entry.erasure;
        if asked.is_new {
            self.base.metrics.count(Metric::ErasureAsked);
            tracing::info!(erasure = %erasure.code(), source = ?source, "an erasure was asked for");
        }
        if !erasure.is_closed() {
            self.queue.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
            requests.bar(&asked.entry).await?;
        }
        Ok(asked.entry.erasure.code().clone())
    }
}

/// Where the API was reached.
fn address(request: &Request) -> String {
    let host = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.as_deref().unwrap_or_default(),
        _ => "",
    };
    let plain = request.headers().get("x-forwarded-proto").is_some_and(|protocol| protocol == "http");
    format!("{}://{host}", if plain { "http" } else { "https" })
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
