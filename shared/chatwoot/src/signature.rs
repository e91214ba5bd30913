//! A checked signature proves that a callback came from Chatwoot. Only a check makes an [`Authentic`], and only an `Authentic`
//! can be parsed.

use std::time::Duration;

use domain::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// How old a signature may be, and how far ahead its clock may be (§2.4).
const TIMESTAMP_TOLERANCE: Duration = Duration::from_secs(300);

/// A callback body whose sender was checked.
#[derive(Clone, Copy)]
pub struct Authentic<'a>(&'a [u8]);

impl<'a> Authentic<'a> {
    /// The raw bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The secret of an API inbox.
#[derive(Clone, Debug)]
pub struct CallbackSecret(SecretString);

impl CallbackSecret {
    /// Takes the secret as Chatwoot's inbox settings show it.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Checks `X-Chatwoot-Signature` over `X-Chatwoot-Timestamp`, a dot and the raw body, in constant time, and its age.
    pub fn verify<'a>(
        &self,
        timestamp: &str,
        signature: &str,
        body: &'a [u8],
        now: Timestamp,
    ) -> Option<Authentic<'a>> {
        let tag = hex::decode(signature.strip_prefix("sha256=")?).ok()?;
        let mac = self.mac()?.chain_update(timestamp).chain_update(".").chain_update(body);
        mac.verify_slice(&tag).ok()?;
        let signed_at = Timestamp::from_secs(timestamp.parse().ok()?);
        let apart = now.since(signed_at).max(signed_at.since(now));
        (apart <= TIMESTAMP_TOLERANCE).then_some(Authentic(body))
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        mac(&self.0)
    }
}

/// The secret in the path of a Chatwoot that does not sign (before 4.13). It is not a signing secret: paths appear in logs.
#[derive(Clone, Debug)]
pub struct PathSecret(SecretString);

impl PathSecret {
    /// Takes the secret as the operator chose it.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Checks the secret in the path, in constant time.
    pub fn verify<'a>(&self, given: &str, body: &'a [u8]) -> Option<Authentic<'a>> {
        // Comparing two tags under the same key takes the same time wherever they differ.
        let own = mac(&self.0)?.chain_update(self.0.expose_secret()).finalize().into_bytes();
        let given = mac(&self.0)?.chain_update(given);
        given.verify_slice(&own).ok().map(|()| Authentic(body))
    }
}

fn mac(secret: &SecretString) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/chatwoot");

    #[test]
    fn every_recorded_callback_passes_in_time_and_not_later() {
        let signatures = std::fs::read_to_string(format!("{EVENTS}/signatures.json")).unwrap();
        let signatures: Value = serde_json::from_str(&signatures).unwrap();
        let secret = CallbackSecret::new(signatures["secret"].as_str().unwrap().into());
        let files = signatures["headers"].as_object().unwrap();
        assert!(files.len() > 20);
        for (file, headers) in files {
            let body = std::fs::read(format!("{EVENTS}/{file}")).unwrap();
            let timestamp = headers["X-Chatwoot-Timestamp"].as_str().unwrap();
            let signature = headers["X-Chatwoot-Signature"].as_str().unwrap();
            let at = Timestamp::from_secs(timestamp.parse().unwrap());
            let check = |now| secret.verify(timestamp, signature, &body, now).is_some();
            assert!(check(at) && check(at + TIMESTAMP_TOLERANCE), "{file}");
            assert!(
                !check(at + TIMESTAMP_TOLERANCE + Duration::from_secs(1))
                    && !check(at - TIMESTAMP_TOLERANCE - Duration::from_secs(1)),
                "{file}"
            );
            assert!(secret.verify("1795184999", signature, &body, at).is_none(), "{file}: another time");
            assert!(
                CallbackSecret::new("x".into()).verify(timestamp, signature, &body, at).is_none(),
                "{file}: another key"
            );
        }
    }

    #[test]
    fn an_unsigned_callback_needs_the_secret_in_its_path() {
        let secret = PathSecret::new("Zk3rQ9tV".into());
        assert!(secret.verify("Zk3rQ9tV", b"{}").is_some());
        assert!(secret.verify("Zk3rQ9t", b"{}").is_none());
        assert!(secret.verify("", b"{}").is_none());
    }
}
