//! Knows Meta's dialog: where its script is, what it is told, whose messages are believed; and takes back its full-page form.

use app::HandlerError;
use domain::{SignupId, channel::Mode};
use lambda_http::{Body, Request, RequestExt as _, Response, http::StatusCode};
use secrecy::SecretString;
use serde_json::{Map, Value};
use texts::Locale;
use url::Url;

use crate::{
    Entry, Extras, Handler, Link, answer,
    exchange::{Code, Exchanged},
    origin, page,
    visitor::Visitor,
};

/// Where Meta's script and its windows come from.
const META: &str = "https://*.facebook.com";

/// No id of a signup is longer.
const MAX_ID: usize = 64;

/// Meta's dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) config_id: String,
    pub(crate) extras: Extras,
    pub(crate) sdk_url: String,
    pub(crate) url: Url,
    /// Whose messages are believed; none for `facebook.com` and what is below it.
    pub(crate) origins: Vec<String>,
    pub(crate) version: String,
}

impl Dialog {
    /// The address of the script.
    pub(crate) fn script(&self, locale: Locale) -> String {
        let tag = match locale {
            Locale::Es => "es_LA",
            Locale::En => "en_US",
        };
        self.sdk_url.replace("{locale}", tag)
    }

    /// What the dialog is told for a number of that kind.
    pub(crate) fn extras(&self, mode: Mode) -> &Map<String, Value> {
        match mode {
            Mode::Coexistence => &self.extras.coexistence,
            Mode::Cloud => &self.extras.cloud,
        }
    }

    /// Where scripts may come from.
    pub(crate) fn script_sources(&self) -> String {
        origin(&self.sdk_url).unwrap_or_default()
    }

    /// Whom the script may talk to.
    pub(crate) fn sources(&self) -> String {
        let named = self.origins.join(" ");
        if named.is_empty() { META.to_owned() } else { format!("{META} {named}") }
    }

    /// The address of the dialog as a page of its own. It cannot do a number that stays on its phone.
    pub(crate) fn full_page(&self, app_id: &str, back_to: &str, state: &str) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs([
            ("client_id", app_id),
            ("redirect_uri", back_to),
            ("state", state),
            ("response_type", "code"),
            ("override_default_response_type", "true"),
            ("config_id", &self.config_id),
        ]);
        url.into()
    }
}

impl Handler {
    /// Serves `GET /signup/return`: the way back from Meta's dialog where its script is blocked.
    ///
    /// - 303: on to the page, which says how far it is.
    /// - 409, 410: as the page says for the link.
    /// - 403: it was not begun in this browser.
    /// - 503: the table or a secret did not answer.
    pub(crate) async fn come_back(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let until = self.until();
        let visitor = Visitor::of(request);
        let query = request.query_string_parameters();
        let state = query.first("state").unwrap_or_default();
        // The link itself is nothing that Meta should see; who knows the nonce has opened it.
        let (id, nonce) = state.rsplit_once('.').unwrap_or_default();
        let locale = crate::visitor::language(None, request, self.locale);
        let closed = |status, why| Ok(answer::page(status, page::closed(why, locale)));
        if id.is_empty() || id.len() > MAX_ID {
            return closed(StatusCode::FORBIDDEN, "cookie");
        }
        let entry = match self.enter_signup(&SignupId::new(id), false, &visitor).await {
            Ok(entry) => entry,
            Err(error) => {
                tracing::warn!(%error, "Meta's full page came back, and its signup cannot be read");
                return closed(StatusCode::SERVICE_UNAVAILABLE, "later");
            }
        };
        let signup = match entry {
            Entry::Signup(signup) => *signup,
            Entry::Closed(status, why) => return closed(status, why),
        };
        let known = visitor.cookie.as_ref().filter(|cookie| self.nonce(cookie, &signup) == nonce);
        let Some(cookie) = known else { return closed(StatusCode::FORBIDDEN, "cookie") };
        let back = match self.app().await.ok().and_then(|secrets| secrets.link_key) {
            Some(key) => format!("{}/signup?t={}", signup.api_url.trim_end_matches('/'), Link::to(&signup).sign(&key)),
            None => return closed(StatusCode::SERVICE_UNAVAILABLE, "later"),
        };
        let Some(code) = query.first("code").filter(|code| !code.is_empty()) else {
            return Ok(answer::to(&format!("{back}&cancelled=1")));
        };
        let redirect = Some(Self::return_url(&signup));
        // The full page is offered for a number on no phone, or to connect one again.
        let mode = signup.reconnects.is_none().then_some(Mode::Cloud);
        let code = Code { text: SecretString::from(code), redirect, mode, ..Code::default() };
        // Whatever came of it, the page shows it.
        match Box::pin(self.exchange(signup, code, cookie, until)).await {
            Ok(Exchanged::Told(..)) => Ok(answer::to(&back)),
            Ok(Exchanged::Closed(status, why)) => closed(status, why),
            Err(error) => {
                tracing::warn!(%error, "Meta's full page came back, and its code could not be taken");
                Ok(answer::to(&format!("{back}&lost=1")))
            }
        }
    }
}
