//! A checked signature proves that a body came from Meta. Only a check makes a [`Verified`], and only a `Verified` can be
//! parsed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// A body whose signature was checked.
#[derive(Clone, Copy)]
pub struct Verified<'a>(&'a [u8]);

impl<'a> Verified<'a> {
    /// The raw bytes, as signed.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The secret of the Meta app that owns the webhook subscription.
#[derive(Clone, Debug)]
pub struct AppSecret(SecretString);

impl AppSecret {
    /// Takes the secret as the App Dashboard shows it.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Checks `X-Hub-Signature-256` over the raw body, in constant time (§1.2).
    pub fn verify<'a>(&self, header: &str, body: &'a [u8]) -> Option<Verified<'a>> {
        let tag = hex::decode(header.strip_prefix("sha256=")?).ok()?;
        self.mac(body)?.verify_slice(&tag).ok().map(|()| Verified(body))
    }

    /// Whether this is the signature of these bytes, compared in constant time.
    pub(crate) fn signed(&self, signature: &[u8], bytes: &[u8]) -> bool {
        self.mac(bytes).is_some_and(|mac| mac.verify_slice(signature).is_ok())
    }

    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()).ok()?;
        Some(mac.chain_update(body))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sign(secret: &str, body: &[u8]) -> String {
        let mac = AppSecret::new(secret.into()).mac(body).unwrap();
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    proptest! {
        #[test]
        fn only_the_very_bytes_under_the_very_secret_pass(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let secret = AppSecret::new("s3cret".into());
            let header = sign("s3cret", &body);
            prop_assert!(secret.verify(&header, &body).is_some());
            prop_assert!(AppSecret::new("other".into()).verify(&header, &body).is_none());
            if !body.is_empty() {
                let mut forged = body.clone();
                let at = at.index(forged.len());
                forged[at] ^= 1 << bit;
                prop_assert!(secret.verify(&header, &forged).is_none());
            }
        }
    }

    #[test]
    fn a_malformed_header_never_passes() {
        let secret = AppSecret::new("s3cret".into());
        let good = sign("s3cret", b"{}");
        for header in ["", "sha256=", "sha256=zz", "sha1=00", &good[7..], &good[..good.len() - 2]] {
            assert!(secret.verify(header, b"{}").is_none(), "{header}");
        }
    }
}
