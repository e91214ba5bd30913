//! Classifies Chatwoot's errors, so that callers know what happens next. Its sentences come in the language of the account and
//! are never read; the status decides (§3.1).

use std::time::Duration;

use domain::{Class, Classify};
use reqwest::header::{DATE, RETRY_AFTER};

/// The runbook's page about what Chatwoot and the bridge refuse each other.
pub const REFUSALS_PAGE: &str = "docs/runbook/refusals.md";

/// The cause of [`ChatwootError::Elsewhere`], for the operator.
pub const ORIGINS_DIFFER: &str = "Chatwoot's FRONTEND_URL and the bridge's CHATWOOT_URL have different origins";

/// A call to Chatwoot that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ChatwootError {
    /// No connection was made.
    #[error("no connection to Chatwoot")]
    Unreachable(#[source] reqwest::Error),
    /// Nothing readable came back; a write may have been done all the same.
    #[error("no answer from Chatwoot")]
    NoAnswer(#[source] Option<reqwest::Error>),
    /// A file broke off on its way in; the message may exist all the same.
    #[error("a file broke off on its way into Chatwoot")]
    CutOff(#[source] Option<reqwest::Error>),
    /// The object of the call does not exist.
    #[error("Chatwoot does not know what the call is about")]
    Gone,
    /// The token is not valid, or may not do this.
    #[error("Chatwoot refused the token, or it lacks the right to this call (HTTP status 401)")]
    Unauthorized,
    /// The token was refused and a newer one is in hand, but this call carried a stream and cannot be repeated here.
    #[error("Chatwoot refused the token; the next call has a newer one")]
    TokenRenewed,
    /// Chatwoot does not accept what was sent: a rule of its own, or too many messages in a minute.
    #[error("Chatwoot refused the call (HTTP status {0})")]
    Refused(u16),
    /// Chatwoot, or a proxy before it, is out of order, asks for a pause, or lets no request through.
    #[error("{}", unwell(*.0))]
    Unwell(u16),
    /// Chatwoot, or a proxy before it, says for how long it takes no call.
    #[error("Chatwoot asks to wait (HTTP status {status})")]
    Postponed {
        /// The status.
        status: u16,
        /// How long.
        after: Duration,
    },
    /// Chatwoot has been silent, and calls rest: certainly nothing was done.
    #[error("Chatwoot does not answer; calls rest")]
    Resting(Duration),
    /// Chatwoot names a file by an address of another origin than the bridge is configured with.
    #[error("a file's address has another origin than CHATWOOT_URL")]
    Elsewhere,
    /// A file's address leads where the bridge must not go.
    #[error("a file's address is outside Chatwoot and not public")]
    Forbidden,
}

impl ChatwootError {
    /// Whether Chatwoot, or a proxy before it, does not let this token do this.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::Unwell(403))
    }

    pub(crate) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if is_forbidden(&error) {
            return Self::Forbidden;
        }
        if error.is_connect() || error.is_builder() { Self::Unreachable(error) } else { Self::NoAnswer(Some(error)) }
    }

    /// Reads an answer that is not a success.
    pub(crate) fn answered(response: &reqwest::Response) -> Self {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = text(RETRY_AFTER).and_then(|value| domain::retry_after(value, text(DATE)));
        match (Self::status(response.status()), asked) {
            (Self::Unwell(status @ (429 | 503)), Some(after)) => Self::Postponed { status, after },
            (error, _) => error,
        }
    }

    /// Whether nothing came back that could be Chatwoot's.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoAnswer(_) | Self::Unwell(502..=504))
    }

    pub(crate) fn status(status: reqwest::StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            404 => Self::Gone,
            // Chatwoot's own answer about what was sent (§3.1). Any other answer, a proxy's redirect or "forbidden" among them,
            // is an outage: no message is given up for it.
            status @ (400 | 409 | 413 | 422) => Self::Refused(status),
            status => Self::Unwell(status),
        }
    }
}

fn unwell(status: u16) -> String {
    match status {
        403 => "Chatwoot, or a proxy before it, forbids the call (HTTP status 403)".to_owned(),
        status => format!("Chatwoot cannot take the call now (HTTP status {status})"),
    }
}

/// Whether the guard refused to resolve a name to an internal address.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<crate::files::NotPublic>() {
            return true;
        }
        source = error.source();
    }
    false
}

impl Classify for ChatwootError {
    fn class(&self) -> Class {
        match self {
            // Chatwoot's own limit for a request is 15 s (§3.1) and ours 10: a request that was cut short may still be written.
            // A listing before that would find nothing, and the message would be written twice.
            Self::NoAnswer(Some(error)) if error.is_timeout() => {
                Class::Transient { after: Some(Duration::from_secs(6)) }
            }
            // The same holds for a request on which a proxy timed out.
            Self::Unwell(502 | 504) => Class::Transient { after: Some(Duration::from_secs(6)) },
            Self::Postponed { after, .. } | Self::Resting(after) => Class::Transient { after: Some(*after) },
            // A refused token is an outage until the operator fixes it: no message is given up for it.
            Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Unwell(_)
            | Self::Unauthorized
            | Self::TokenRenewed
            | Self::Gone => Class::LATER,
            Self::Refused(_) | Self::CutOff(_) | Self::Forbidden | Self::Elsewhere => Class::Permanent,
        }
    }
}
