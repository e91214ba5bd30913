//! Classifies Graph's errors, so that callers know what happens next.

use std::time::Duration;

use domain::{Class, Classify, Clue};
use serde::Deserialize;
use serde_json::Value;

use crate::usage;

/// A Graph call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// No connection was made: refused, no such host, TLS. Certainly nothing was done.
    #[error("no connection to Graph")]
    Unreachable(#[source] reqwest::Error),
    /// Bytes may have left and nothing readable came back: a hang, a reset, a proxy's page.
    #[error("no answer from Graph (HTTP status {status:?})")]
    NoAnswer {
        /// The status, where something came back at all.
        status: Option<u16>,
        /// What broke.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// Graph refused in its own envelope (§4.3): certainly nothing was done.
    #[error("Graph refused with code {code} (HTTP status {status})")]
    Refused {
        /// Meta's code; the only thing to decide by.
        code: i64,
        /// The HTTP status.
        status: u16,
        /// Meta's own statement that a repeat may work.
        transient: bool,
        /// When calls may be made again, where Meta said so.
        regained: Option<Duration>,
        /// What else Meta tells about it, for the agent.
        clue: Clue,
    },
    /// The token was refused and a newer one is in hand, but this call cannot be repeated by the client: certainly nothing was done.
    #[error("Graph refused the token; the next call has a newer one")]
    TokenRenewed,
    /// The file's bytes are not those the webhook named, or broke off.
    #[error("the file arrived damaged")]
    Checksum,
    /// A proxy before Graph asks for a pause.
    #[error("something before Graph asks to wait (HTTP status {status})")]
    Postponed {
        /// The status.
        status: u16,
        /// How long.
        after: Duration,
    },
    /// Graph has been silent, and calls rest: certainly nothing was done.
    #[error("Graph does not answer; calls rest")]
    Resting(Duration),
    /// The file is not where Meta said (HTTP status), temporarily or permanently.
    #[error("the file is not where Meta said (HTTP status {0})")]
    Missing(u16),
}

/// Too many messages to one person (§4.4).
pub const RECIPIENT_RATE_LIMIT_CODE: i64 = 131_056;

/// An object that is not there, or not visible to the token.
const NOT_FOUND_CODE: i64 = 33;

/// Subcodes of "invalid parameter" that stand for it here: not there; a login code that is too old, has another address, or is used.
const KNOWN_SUBCODES: [i64; 4] = [NOT_FOUND_CODE, 36_007, 36_008, 36_009];

/// Codes for which Meta advises to try again (§4.6).
const TRANSIENT_CODES: [i64; 10] =
    [2, 4, 80_007, 130_429, 131_000, 131_016, RECIPIENT_RATE_LIMIT_CODE, 131_057, 133_004, 133_015];

/// Codes that come with HTTP 5xx and yet do not pass by themselves (§4.6).
const REGISTRATION_CODES: [i64; 3] = [3, 131_045, 133_000];

impl GraphError {
    /// Whether the channel's token is no longer valid.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { code: 0 | 190, .. } | Self::Refused { status: 401, .. })
    }

    /// Whether we may not ask (§4.6): such a refusal does not tell whether the object exists.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 10 | 200..=299, .. })
    }

    /// Whether the number, its account, its permissions or its rate are the reason (§4.6), and not the message itself.
    pub fn is_of_account(&self) -> bool {
        let of_account = |code| {
            matches!(
                code,
                3 | 4
                    | NOT_FOUND_CODE
                    | 368
                    | 613
                    | 80_007
                    | 130_429
                    | 130_497
                    | 131_005
                    | 131_031
                    | 131_037
                    | 131_042..=131_045
                    | 131_048
                    | 131_055
                    | 131_064
                    | 133_000..=134_011
            )
        };
        self.is_unauthorized() || self.is_forbidden() || self.code().is_some_and(of_account)
    }

    /// Meta's code, where it gave one.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether nothing came back that could be Graph's, nor a word of what stands before it.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoAnswer { status: None | Some(502..=504), .. })
    }

    /// What Meta told beside the code.
    pub fn clue(&self) -> Clue {
        match self {
            Self::Refused { clue, .. } => *clue,
            _ => Clue::default(),
        }
    }

    /// Sorts an error of the HTTP client: could any bytes have left?
    pub(crate) fn of(error: reqwest::Error) -> Self {
        // The address would reveal the number or the file.
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            Self::Unreachable(error)
        } else {
            Self::NoAnswer { status: None, source: Some(error) }
        }
    }

    /// Reads an answer that is not a success.
    pub(crate) async fn answered(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let asked = usage::retry_after(response.headers());
        let regained = usage::regained(response.headers()).max(asked);
        match response.bytes().await {
            Ok(body) => match (Self::read(status, regained, &body), asked) {
                (Self::NoAnswer { .. }, Some(after)) => Self::Postponed { status, after },
                (error, _) => error,
            },
            Err(error) => Self::NoAnswer { status: Some(status), source: Some(error.without_url()) },
        }
    }

    pub(crate) fn read(status: u16, regained: Option<Duration>, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            error: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(deserialize_with = "number")]
            code: i64,
            #[serde(default)]
            is_transient: Option<bool>,
            #[serde(default)]
            error_subcode: Value,
            #[serde(default)]
            error_data: Value,
            #[serde(default)]
            message: Value,
        }
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error }) => {
                // "Not there" is a kind of "invalid parameter" (§4.6), but calls for another step; so does a login code.
                let known = |code: &i64| error.code == 100 && error.error_subcode == *code;
                let code = KNOWN_SUBCODES.into_iter().find(known).unwrap_or(error.code);
                let clue = clue(&[&error.error_data["details"], &error.error_data, &error.message]);
                Self::Refused { code, status, transient: error.is_transient.unwrap_or_default(), regained, clue }
            }
            Err(_) => Self::NoAnswer { status: Some(status), source: None },
        }
    }
}

/// The first of Meta's texts that is not empty.
fn clue(texts: &[&Value]) -> Clue {
    let clues = texts.iter().filter_map(|text| text.as_str()).map(Clue::read);
    clues.into_iter().find(|clue| !clue.is_empty()).unwrap_or_default()
}

/// Meta writes codes as numbers; a text that is one is read as well.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Number(i64),
        Text(String),
    }
    match Code::deserialize(deserializer)? {
        Code::Number(code) => Ok(code),
        Code::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// For calls that can be repeated safely: lookups, fetches, uploads.
impl Classify for GraphError {
    fn class(&self) -> Class {
        match self {
            Self::Unreachable(_) | Self::NoAnswer { .. } | Self::TokenRenewed => Class::LATER,
            Self::Postponed { after, .. } | Self::Resting(after) => Class::Transient { after: Some(*after) },
            Self::Checksum | Self::Missing(_) => Class::Permanent,
            Self::Refused { code, status, transient, regained, .. } => {
                // A refused token is an outage until the operator fixes it: no file is given up for it.
                let passes = self.is_unauthorized()
                    || *transient
                    || TRANSIENT_CODES.contains(code)
                    || *status == 429
                    || (*status >= 500 && !REGISTRATION_CODES.contains(code));
                let pace = match code {
                    // A pair or throughput limit lets one message pass every few seconds (§4.4).
                    &RECIPIENT_RATE_LIMIT_CODE | 130_429 => Some(Duration::from_secs(6)),
                    // The hourly quota of calls is used up.
                    4 | 80_007 => Some(Duration::from_secs(60)),
                    _ => None,
                };
                let after = (*regained).max(pace);
                if passes { Class::Transient { after } } else { Class::Permanent }
            }
        }
    }
}

/// A send that did not succeed. Unlike other Graph calls, a send must not be repeated when its outcome is unknown.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SendError(#[from] pub GraphError);

impl Classify for SendError {
    fn class(&self) -> Class {
        match &self.0 {
            GraphError::NoAnswer { .. } | GraphError::Postponed { .. } => Class::Uncertain,
            // The agent is told at once, and may press Retry.
            error if error.is_unauthorized() => Class::Permanent,
            other => other.class(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> SendError {
        SendError(GraphError::read(status, None, body.as_bytes()))
    }

    #[test]
    fn the_code_decides_what_happens_next() {
        let cases = [
            (400, r#"{"error":{"code":131047}}"#, Class::Permanent),
            (400, r#"{"error":{"code":131047,"is_transient":true}}"#, Class::LATER),
            (500, r#"{"error":{"code":131000,"is_transient":false}}"#, Class::LATER),
            (500, r#"{"error":{"code":131045}}"#, Class::Permanent),
            (503, r#"{"error":{"code":77}}"#, Class::LATER),
            (400, r#"{"error":{"code":131056}}"#, Class::Transient { after: Some(Duration::from_secs(6)) }),
            (401, r#"{"error":{"code":190}}"#, Class::Permanent),
        ];
        for (status, body, class) in cases {
            assert_eq!(refused(status, body).class(), class, "{body}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_account_is_wrong_with_no_file() {
        let of_account = |code: i64| refused(400, &format!(r#"{{"error":{{"code":{code}}}}}"#)).0.is_of_account();
        assert!([0, 3, 10, 33, 190, 200, 299, 368, 131_005, 131_031, 131_042, 133_010].into_iter().all(of_account));
        assert!(![100, 131_008, 131_009, 131_051, 131_052, 131_053, 131_999].into_iter().any(of_account));
    }

    #[test]
    fn meta_names_the_parameter_in_several_places() {
        for body in [
            r#"{"error":{"code":131009,"message":"(#131009) Parameter value is not valid","error_data":{"details":"text.body"}}}"#,
            r#"{"error":{"code":100,"error_data":"Param text['body'] must be a string"}}"#,
            r#"{"error":{"code":"100","message":"(#100) Invalid parameter: text.body","error_data":7,"error_subcode":null}}"#,
        ] {
            let clue = refused(400, body).0.clue();
            assert_eq!(clue.parameter.as_ref().map(domain::Parameter::as_str), Some("text.body"), "{body}");
        }
        let gone = r#"{"error":{"code":100,"error_subcode":33,"message":"Object with ID '1' does not exist"}}"#;
        assert_eq!(refused(400, gone).0.code(), Some(33));
    }

    #[test]
    fn a_proxys_page_tells_nothing_about_a_send_but_lets_a_look_up_be_repeated() {
        let page = refused(502, "<html>Bad gateway</html>");
        assert_eq!(page.class(), Class::Uncertain);
        assert_eq!(page.0.class(), Class::LATER);
    }
}
