//! Knows Meta's dialog: where its script is, what it is told, whose messages are believed; and takes back its full-page form.

use app::HandlerError;
use domain::channel::Mode;
use lambda_http::{Body, Request, RequestExt as _, Response, http::StatusCode};
use secrecy::SecretString;
use serde_json::{Map, Value};
use texts::Locale;
use url::Url;

use crate::{Entry, Extras, Handler, answer, origin, page, posted::Code, visitor::Visitor};

/// Where Meta's script and its windows come from.
const META: &str = "https://*.facebook.com";

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
    /// - 401, 409, 410: as the page says for the link.
    /// - 403: it was not begun in this browser.
    pub(crate) async fn come_back(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
        let visitor = Visitor::of(request);
        let query = request.query_string_parameters();
        let state = query.first("state").unwrap_or_default();
        let (link, nonce) = state.rsplit_once('.').unwrap_or_default();
        let locale = crate::visitor::language(None, request, self.locale);
        let signup = match self.enter(link, &visitor).await? {
            Entry::Signup(signup) => *signup,
            Entry::Closed(status, why) => return Ok(answer::page(status, page::closed(why, locale))),
        };
        let known = visitor.cookie.as_ref().filter(|cookie| self.nonce(cookie, &signup) == nonce);
        let Some(cookie) = known else {
            return Ok(answer::page(StatusCode::FORBIDDEN, page::closed("cookie", locale)));
        };
        let back = format!("{}/signup?t={link}", signup.api_url.trim_end_matches('/'));
        let Some(code) = query.first("code").filter(|code| !code.is_empty()) else {
            return Ok(answer::to(&format!("{back}&cancelled=1")));
        };
        let redirect = Self::return_url(&signup);
        let code = Code { text: SecretString::from(code), redirect: Some(redirect), ..Code::default() };
        // Whatever came of it, the page shows it.
        Box::pin(self.exchange(signup, code, cookie)).await?;
        Ok(answer::to(&back))
    }
}
