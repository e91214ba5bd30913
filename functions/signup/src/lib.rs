//! Connects a number by its owner's own clicks: a link, a page, Meta's dialog, and the steps after it.
//! It is the only function that writes secrets. What the browser says is a claim; Graph's answers decide. Between requests nothing is
//! lost: a round every five minutes takes up whatever a closed laptop left behind.

mod answer;
mod dialog;
mod exchange;
mod link;
mod page;
mod posted;
mod round;
mod steps;
mod stop;
mod told;
mod visitor;

use std::time::Duration;

use app::{Clients, Function, HandlerError, HttpFunction, Refusal, Settings, StartError};
use domain::{
    SharedClock, Signup, SignupId, Timestamp,
    signup::{MAX_CODES, SHOWN_FOR, SignupStep},
};
use lambda_http::{Body, Request, RequestExt as _, Response, http::Method, http::StatusCode};
use platform::{AppSecrets, Environment, Metrics, SecretWriter, Setting};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{Administrators, PastAsked, Signups};
use texts::Locale;
use url::Url;

pub use link::Link;
pub use round::RoundReport;

use crate::{
    posted::Posted,
    visitor::{Visitor, language},
};

/// How long a request begins steps before it answers what it has: the function ends after 25 s, and a step may take 15.
const REQUEST: Duration = Duration::from_secs(8);

/// What Meta's dialog is told beside the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
struct Extras {
    #[serde(default)]
    coexistence: Map<String, Value>,
    #[serde(default)]
    cloud: Map<String, Value>,
}

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    pub(crate) clients: Clients,
    pub(crate) secrets: SecretWriter,
    pub(crate) signups: Signups,
    pub(crate) administrators: Administrators,
    pub(crate) past_asked: PastAsked,
    pub(crate) app_secret: String,
    pub(crate) channel_prefix: String,
    pub(crate) signup_prefix: String,
    dialog: dialog::Dialog,
    locale: Locale,
}

/// Where a request leads.
pub(crate) enum Entry {
    /// To a signup that can go on, or that shows how far it is.
    Signup(Box<Signup>),
    /// Nowhere; why, and with which status.
    Closed(StatusCode, &'static str),
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_http(Box::pin(Handler::from_env(Environment::process(), clock)).await?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.clients.metrics
    }
}

impl HttpFunction for Handler {
    const NEXT: &'static str = "the page asks again, and the next round goes on";
    /// Its schedule comes the same way.
    const TAKES_COMMANDS: bool = true;

    async fn respond(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, path) if path.ends_with("/return") => Box::pin(self.come_back(request)).await,
            (&Method::GET, _) => self.show(request).await,
            (&Method::POST, _) => Box::pin(self.take(request)).await,
            _ => Err(Refusal::Unreadable.into()),
        }
    }

    async fn command(&self, _command: Value) -> Result<Value, app::Error> {
        let end = self.clients.clock.now() + round::TIME;
        Ok(serde_json::to_value(Box::pin(self.round(end)).await?)?)
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, stack, app_secret, key, locale, dialog) = env.read(|env| {
            let settings = Settings::read(env, "signup", clock);
            let extras = env.text(Setting::SignupExtras);
            let extras: Extras = serde_json::from_str(&extras).unwrap_or_else(|error| {
                env.fault(Setting::SignupExtras, &error);
                Extras::default()
            });
            let origins = env.optional(Setting::FacebookOrigins).unwrap_or_default();
            let origins = origins.split(',').map(|origin| origin.trim().trim_end_matches('/').to_owned());
            let dialog = dialog::Dialog {
                config_id: env.optional(Setting::SignupConfigId).unwrap_or_default(),
                extras,
                sdk_url: env.text(Setting::FacebookSdkUrl),
                url: env.url(Setting::FacebookDialogUrl),
                origins: origins.filter(|origin| !origin.is_empty()).collect(),
                version: env.text(Setting::GraphVersion),
            };
            let (stack, app_secret) = (env.text(Setting::StackName), env.text(Setting::AppSecret));
            let key = env.optional(Setting::KmsKey);
            (settings, stack, app_secret, key, env.parsed(Setting::Locale), dialog)
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            secrets: clients.secrets.writer().encrypting(key),
            signups: Signups::new(clients.table.clone()),
            administrators: Administrators::new(clients.table.clone()),
            past_asked: PastAsked::new(clients.table.clone()),
            clients,
            app_secret,
            channel_prefix: format!("{stack}/channel/"),
            signup_prefix: format!("{stack}/signup/"),
            dialog,
            locale,
        })
    }

    /// Serves `GET /signup`: the page that leads the owner of a number to Meta's dialog, and shows how far everything is.
    ///
    /// - 200: the page.
    /// - 401: the link's signature is wrong: it was not copied whole.
    /// - 409: the link is bound to another browser, or was tried too often.
    /// - 410: the link is over, was taken back, or never was.
    /// - 500: the table or a secret did not answer.
    async fn show(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let visitor = Visitor::of(request);
        let query = request.query_string_parameters();
        let text = query.first("t").unwrap_or_default();
        let wished = language(query.first("lang"), request, self.locale);
        let signup = match self.enter(text, &visitor).await? {
            Entry::Signup(signup) => signup,
            Entry::Closed(status, why) => return Ok(answer::page(status, page::closed(why, wished))),
        };
        if signup.step == SignupStep::Open && signup.codes >= MAX_CODES && !signup.is_exchanging() {
            return Ok(answer::page(StatusCode::CONFLICT, page::closed("codes", wished)));
        }
        let usual = signup.lang.parse().unwrap_or(self.locale);
        let locale = language(query.first("lang"), request, usual);
        let cookie = visitor.cookie.clone().unwrap_or_else(visitor::draw);
        let secrets = self.app().await?;
        let nonce = self.nonce(&cookie, &signup);
        let shown = page::Shown {
            link: text,
            signup: &signup,
            nonce: nonce.as_str(),
            app_id: &secrets.app_id,
            dialog: &self.dialog,
            locale,
            cancelled: query.first("cancelled").is_some(),
            lost: query.first("lost").is_some(),
        };
        let script = visitor::draw();
        let mut response = answer::page_with_script(page::compose(&shown, &script), &script, &self.dialog);
        visitor.keep(&cookie, &mut response);
        Ok(response)
    }

    /// Serves `POST /signup`: what the page tells, and how far everything is. JSON both ways; nothing secret comes back.
    ///
    /// - 200: how far the signup is.
    /// - 202: it goes on by itself.
    /// - 400: the body cannot be read.
    /// - 401: the link's signature is wrong.
    /// - 403: it does not come from the page that the link showed in this browser.
    /// - 409: the link is at work or done with another code, bound to another browser, or tried too often; or the number belongs
    ///   to another account.
    /// - 410: the link is over, was taken back, or never was.
    /// - 422: Meta refused the code; the link stays good.
    /// - 500: the table or a secret did not answer; the page asks again.
    async fn take(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let until = self.until();
        let is_json = request.headers().get("content-type").and_then(|value| value.to_str().ok());
        if !is_json.is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(Refusal::Unreadable.into());
        }
        let posted: Posted = serde_json::from_slice(request.body()).map_err(|_| Refusal::Unreadable)?;
        let visitor = Visitor::of(request);
        let signup = match self.enter(&posted.t, &visitor).await? {
            Entry::Signup(signup) => *signup,
            Entry::Closed(status, why) => return Ok(answer::state(status, why)),
        };
        let Some(cookie) = visitor.cookie.as_ref().filter(|_| visitor.is_at(&signup.api_url)) else {
            return Ok(answer::state(StatusCode::FORBIDDEN, "cookie"));
        };
        if self.nonce(cookie, &signup) != posted.nonce {
            return Ok(answer::state(StatusCode::FORBIDDEN, "nonce"));
        }
        let id = signup.id.clone();
        match Box::pin(self.act(signup, posted, cookie, until)).await {
            // The page tells the code and what the window said at nearly the same time: one of the two has it.
            Err(HandlerError::Busy(_)) => {
                let current = self.signups.get(&id).await?.ok_or(Refusal::Unreadable)?;
                self.tell(StatusCode::ACCEPTED, &current).await
            }
            done => done,
        }
    }

    /// What a link leads to.
    pub(crate) async fn enter(&self, text: &str, visitor: &Visitor) -> Result<Entry, HandlerError> {
        let read = |secrets: &AppSecrets| {
            let keys = [secrets.link_key.as_ref(), secrets.link_key_previous.as_ref()];
            Link::read(text, keys.into_iter().flatten())
        };
        let Some(link) = self.clients.secrets.check(&self.app_secret, read).await? else {
            return Ok(Entry::Closed(StatusCode::UNAUTHORIZED, "forged"));
        };
        let over = Timestamp::from_secs(link.exp) <= self.clients.clock.now();
        self.enter_signup(&link.id, over, visitor).await
    }

    /// What a signup of that id leads to; `over` if its link has ended.
    pub(crate) async fn enter_signup(
        &self,
        id: &SignupId,
        over: bool,
        visitor: &Visitor,
    ) -> Result<Entry, HandlerError> {
        let now = self.clients.clock.now();
        let closed = |why| Ok(Entry::Closed(StatusCode::GONE, why));
        let Some(signup) = self.signups.get(id).await? else {
            return closed(if over { "expired" } else { "unknown" });
        };
        let is_open = signup.step == SignupStep::Open;
        if signup.revoked && signup.step != SignupStep::Done {
            return closed("revoked");
        }
        if now >= signup.ends_at + if is_open { Duration::ZERO } else { SHOWN_FOR } {
            return closed("expired");
        }
        let browser = visitor.cookie.as_ref().map(|cookie| self.browser(cookie, &signup));
        if signup.browser.is_some() && signup.browser != browser {
            return Ok(Entry::Closed(StatusCode::CONFLICT, "used"));
        }
        Ok(Entry::Signup(Box::new(signup)))
    }

    pub(crate) async fn app(&self) -> Result<AppSecrets, HandlerError> {
        Ok(self.clients.secrets.get(&self.app_secret).await?)
    }

    /// What stands for a browser in the table.
    pub(crate) fn browser(&self, cookie: &str, signup: &Signup) -> domain::KeyedHash<domain::keyed_hash::WorkItem> {
        self.clients.key.item(["signup_browser", signup.id.as_str(), cookie])
    }

    /// What only the page of that browser knows.
    pub(crate) fn nonce(&self, cookie: &str, signup: &Signup) -> String {
        self.clients.key.item(["signup_nonce", signup.id.as_str(), cookie]).as_str().to_owned()
    }

    pub(crate) fn until(&self) -> Timestamp {
        self.clients.clock.now() + REQUEST
    }

    pub(crate) async fn access(&self) -> Result<whatsapp::setup::AppAccess, HandlerError> {
        let secrets = self.app().await?;
        Ok(whatsapp::setup::AppAccess { id: secrets.app_id, secret: secrets.app_secret })
    }

    /// The address to which the full-page dialog comes back.
    pub(crate) fn return_url(signup: &Signup) -> String {
        format!("{}/signup/return", signup.api_url.trim_end_matches('/'))
    }
}

/// A text that must not be empty.
pub(crate) fn filled(secret: Option<SecretString>) -> Option<SecretString> {
    use secrecy::ExposeSecret as _;
    secret.filter(|secret| !secret.expose_secret().trim().is_empty())
}

/// An address that is one.
pub(crate) fn origin(address: &str) -> Option<String> {
    Some(address.parse::<Url>().ok()?.origin().ascii_serialization())
}
