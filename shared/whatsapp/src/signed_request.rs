//! Checks Meta's `signed_request`, which the data deletion callback posts (§7). The signature is over the encoded payload, so
//! nothing is decoded before the signature is right.

use base64::{
    Engine as _,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use domain::Timestamp;
use serde::Deserialize;

use crate::AppSecret;

/// The only algorithm Meta signs with.
const ALGORITHM: &str = "HMAC-SHA256";

/// A request that is proven to be Meta's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The app-scoped id of a Facebook user: the administrator who did the signup, never a customer.
    pub user_id: String,
    /// When it was asked. A request that does not say so could be replayed for ever.
    pub issued_at: Timestamp,
    /// When it expires, where it says so.
    pub expires: Option<Timestamp>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// It does not have two parts in base64url, or no JSON with a user and whole seconds in it.
    #[error("the request cannot be read")]
    Unreadable,
    /// Its signature, or its algorithm, is not Meta's.
    #[error("the request is not signed by Meta")]
    Forged,
}

#[derive(Deserialize)]
struct Payload {
    algorithm: Option<String>,
    user_id: Option<Id>,
    issued_at: Option<i64>,
    /// Absent and 0 mean that it does not expire.
    #[serde(default)]
    expires: Option<i64>,
}

/// The longest id of a user; Meta's have up to seventeen digits.
const MAX_ID_LENGTH: usize = 64;

/// A text everywhere in Meta's documentation; a number in older apps.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl SignedRequest {
    /// Reads a request that one of these secrets signed.
    pub fn read(text: &str, secrets: &[AppSecret]) -> Result<Self, NotSigned> {
        let (signature, payload) = text.split_once('.').ok_or(NotSigned::Unreadable)?;
        let signature = decode(signature)?;
        if !secrets.iter().any(|secret| secret.signed(&signature, payload.as_bytes())) {
            return Err(NotSigned::Forged);
        }
        let payload: Payload = serde_json::from_slice(&decode(payload)?).map_err(|_| NotSigned::Unreadable)?;
        if !payload.algorithm.is_some_and(|algorithm| algorithm.eq_ignore_ascii_case(ALGORITHM)) {
            return Err(NotSigned::Forged);
        }
        let user_id = match payload.user_id.ok_or(NotSigned::Unreadable)? {
            Id::Text(id) => id,
            Id::Number(id) => id.to_string(),
        };
        if user_id.is_empty() || user_id.len() > MAX_ID_LENGTH {
            return Err(NotSigned::Unreadable);
        }
        let issued_at = payload.issued_at.filter(|at| *at > 0).ok_or(NotSigned::Unreadable)?;
        let expires = payload.expires.filter(|at| *at != 0).map(Timestamp::from_secs);
        Ok(Self { user_id, issued_at: Timestamp::from_secs(issued_at), expires })
    }
}

fn decode(text: &str) -> Result<Vec<u8>, NotSigned> {
    // No padding (§7), but a proxy's library may have added it.
    let engine = if text.ends_with('=') { &URL_SAFE } else { &URL_SAFE_NO_PAD };
    engine.decode(text).map_err(|_| NotSigned::Unreadable)
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    fn request(secret: &str, payload: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn read(text: &str) -> Result<SignedRequest, NotSigned> {
        SignedRequest::read(text, &[AppSecret::new("new".into()), AppSecret::new("old".into())])
    }

    #[test]
    fn meta_s_own_is_read_under_either_secret() {
        let payload = r#"{"algorithm":"HMAC-SHA256","issued_at":1795190400,"user_id":"218471"}"#;
        let issued_at = Timestamp::from_secs(1_795_190_400);
        for secret in ["new", "old"] {
            let expected = SignedRequest { user_id: "218471".into(), issued_at, expires: None };
            assert_eq!(read(&request(secret, payload)), Ok(expected));
        }
        let number = r#"{"algorithm":"HMAC-SHA256","expires":0,"issued_at":1795190400,"user_id":218471}"#;
        assert_eq!(read(&request("new", number)).unwrap().user_id, "218471");
    }

    #[test]
    fn what_is_forged_or_signed_otherwise_or_unreadable_is_turned_away() {
        let good = r#"{"algorithm":"HMAC-SHA256","user_id":"1"}"#;
        assert_eq!(read(&request("other", good)), Err(NotSigned::Forged));
        for algorithm in ["\"none\"", "\"HMAC-SHA1\"", "null"] {
            let payload = format!(r#"{{"algorithm":{algorithm},"user_id":"1"}}"#);
            assert_eq!(read(&request("new", &payload)), Err(NotSigned::Forged), "{algorithm}");
        }
        let swapped = format!(
            "{}.{}",
            request("new", good).split('.').next().unwrap(),
            URL_SAFE_NO_PAD.encode(r#"{"user_id":"2"}"#)
        );
        assert_eq!(read(&swapped), Err(NotSigned::Forged));
        assert_eq!(read(".e30"), Err(NotSigned::Forged));
        for text in ["", "abc", "ñ.ñ"] {
            assert_eq!(read(text), Err(NotSigned::Unreadable), "{text}");
        }
        let signed = |members: &str| format!(r#"{{"algorithm":"HMAC-SHA256"{members}}}"#);
        let users = ["", r#","user_id":"""#, r#","user_id":null"#, r#","user_id":1.5"#, r#","user_id":["1"]"#];
        let users = users.map(|user| signed(&format!(r#","issued_at":1795190400{user}"#)));
        let long = signed(&format!(r#","issued_at":1795190400,"user_id":"{}""#, "1".repeat(3_000)));
        for payload in ["[]".to_owned(), "{".to_owned(), long].into_iter().chain(users) {
            assert_eq!(read(&request("new", &payload)), Err(NotSigned::Unreadable), "{payload}");
        }
    }

    /// Without one it would be valid for ever.
    #[test]
    fn a_request_without_whole_seconds_is_turned_away() {
        let with = |times: &str| {
            let payload = format!(r#"{{"algorithm":"HMAC-SHA256","user_id":"1"{times}}}"#);
            read(&request("new", &payload))
        };
        for issued_at in
            ["null", "0", "-5", "1795190400.5", "1795190400.0", "\"1795190400\"", "true", "[]", "{}", "1e99"]
        {
            assert_eq!(with(&format!(r#","issued_at":{issued_at}"#)), Err(NotSigned::Unreadable), "{issued_at}");
        }
        assert_eq!(with(""), Err(NotSigned::Unreadable));
        for expires in ["\"0\"", "1795190400.5", "[]", "{}", "false"] {
            let times = format!(r#","issued_at":1795190400,"expires":{expires}"#);
            assert_eq!(with(&times), Err(NotSigned::Unreadable), "{expires}");
        }
        let over = with(r#","issued_at":1795190400,"expires":-1"#).unwrap();
        assert_eq!(over.expires, Some(Timestamp::from_secs(-1)), "it is over");
    }
}
