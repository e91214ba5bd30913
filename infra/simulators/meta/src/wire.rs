//! Meta's way of writing and signing a webhook: ASCII only, slashes escaped, signed over exactly those bytes.

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Compact JSON with non-ASCII as `\uXXXX` in lower-case hex (surrogate pairs where needed) and `/` as `\/`.
pub(crate) fn encode(body: &Value) -> Bytes {
    use std::fmt::Write as _;
    let mut out = String::new();
    for c in body.to_string().chars() {
        match c {
            '/' => out.push_str("\\/"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.into()
}

/// The value of `X-Hub-Signature-256` for these bytes.
pub(crate) fn sign(app_secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac(app_secret.as_bytes(), body)))
}

/// HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // A key of any length is taken, so there is no second case.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mut mac| {
        mac.update(message);
        mac.finalize().into_bytes().into()
    })
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_ascii_as_meta_writes_it() {
        let body = serde_json::json!({"body": "¿Cuánto? 🏍️ https://x/y\n\"sí\""});
        let wire = encode(&body);
        assert_eq!(wire, r#"{"body":"\u00bfCu\u00e1nto? \ud83c\udfcd\ufe0f https:\/\/x\/y\n\"s\u00ed\""}"#.as_bytes());
        assert_eq!(serde_json::from_slice::<Value>(&wire).unwrap(), body);
    }

    #[test]
    fn the_signature_is_the_known_one() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
