//! Tells who asks: which browser, from which page, in which language.

use lambda_http::{Body, Request, Response, http::HeaderValue};
use texts::Locale;
use uuid::Uuid;

use crate::origin;

/// How long a browser is known: as long as its link, and the week in which the link shows how far it is.
const COOKIE_SECONDS: u32 = 10 * 86_400;

/// Who asks.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// What the browser was given at its first visit.
    pub(crate) cookie: Option<String>,
    origin: Option<String>,
    site: Option<String>,
    is_plain: bool,
}

impl Visitor {
    pub(crate) fn of(request: &Request) -> Self {
        let header = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
        // Plain HTTP is the local runner's; browsers keep `__Host-` for TLS.
        let is_plain = header("x-forwarded-proto").as_deref() == Some("http");
        let name = cookie_name(is_plain);
        let cookies = request.headers().get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies.flat_map(|value| value.split(';')).find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            let is_ours = key == name && value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_ours.then(|| value.to_owned())
        });
        Self { cookie, origin: header("origin"), site: header("sec-fetch-site"), is_plain }
    }

    /// Whether the request comes from a page at that address.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        let same_site = self.site.as_deref().is_none_or(|site| site == "same-origin");
        same_site && self.origin.is_some() && self.origin == origin(address)
    }

    /// Gives the browser its cookie.
    pub(crate) fn keep(&self, cookie: &str, response: &mut Response<Body>) {
        let (name, secure) = (cookie_name(self.is_plain), if self.is_plain { "" } else { "; Secure" });
        let text = format!("{name}={cookie}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert("set-cookie", value);
        }
    }
}

fn cookie_name(is_plain: bool) -> &'static str {
    if is_plain { "signup" } else { "__Host-signup" }
}

/// Draws a text that nobody guesses.
pub(crate) fn draw() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The language: the one that was asked for, the first of the browser's that we have, or the link's.
pub(crate) fn language(wished: Option<&str>, request: &Request, usual: Locale) -> Locale {
    let spoken = |tag: &str| tag.split(['-', ';']).next().unwrap_or_default().trim().to_ascii_lowercase().parse().ok();
    let accepted = request.headers().get("accept-language").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let weighted = |tag: &&str| !tag.contains("q=0") || tag.contains("q=0.");
    wished.and_then(spoken).or_else(|| accepted.split(',').filter(weighted).find_map(spoken)).unwrap_or(usual)
}
