//! Keyed hashes represent persons and messages outside the stores. They are the only form in which either may appear there.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::KeyedHash;

/// What is hashed; two kinds with the same text give different keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// A phone in its canonical spelling.
    Phone,
    /// A business-scoped user id.
    User,
    /// A WhatsApp group.
    Group,
    /// A message id.
    Wamid,
    /// One item of a webhook: what is claimed.
    Item,
    /// The name a customer chose.
    Profile,
    /// An administrator, by the id Meta's app has of them.
    Administrator,
}

/// The key behind all keyed hashes. Replacing it cuts all links to older ones.
///
/// A plain hash of a phone number can be reversed by trying all numbers; hence a key from Secrets Manager.
#[derive(Clone)]
pub struct HashKey {
    /// The key, already worked into a hash state that waits for its text: that is half of the cost for a short text.
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SubjectKey(…)")
    }
}

impl HashKey {
    /// Takes the key as it is in the app's secret.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn new(key: SecretString) -> Self {
        let keyed = Hmac::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes any key length");
        Self { keyed }
    }

    /// 128 bits of HMAC-SHA256 over kind and value, in hex.
    pub fn subject(&self, kind: HashKind, value: &str) -> KeyedHash {
        let tag = self.mac(kind).chain_update(value).finalize().into_bytes();
        KeyedHash::new(hex::encode(&tag[..16]))
    }

    /// The same over several values; two different lists never give the same input.
    pub fn subject_of_all<'a>(&self, kind: HashKind, values: impl IntoIterator<Item = &'a str>) -> KeyedHash {
        let mut mac = self.mac(kind);
        for value in values {
            mac.update(&(value.len() as u64).to_be_bytes());
            mac.update(value.as_bytes());
        }
        KeyedHash::new(hex::encode(&mac.finalize().into_bytes()[..16]))
    }

    /// The signature of a receipt: HMAC-SHA256 in hex.
    pub fn receipt_tag(&self, receipt: &[u8]) -> String {
        hex::encode(self.keyed().chain_update(b"receipt\0").chain_update(receipt).finalize().into_bytes())
    }

    /// Whether this is the signature, compared in constant time.
    pub fn is_receipt_tag(&self, receipt: &[u8], tag: &str) -> bool {
        let Ok(tag) = hex::decode(tag) else { return false };
        self.keyed().chain_update(b"receipt\0").chain_update(receipt).verify_slice(&tag).is_ok()
    }

    /// Which key signs receipts, without revealing the key: another key has another version.
    pub fn receipt_key_version(&self) -> String {
        let tag = self.keyed().chain_update(b"receipt key\0").finalize().into_bytes();
        format!("v1-{}", hex::encode(&tag[..4]))
    }

    fn keyed(&self) -> Hmac<Sha256> {
        self.keyed.clone()
    }

    fn mac(&self, kind: HashKind) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(match kind {
            HashKind::Phone => b"phone\0",
            HashKind::User => b"user\0",
            HashKind::Group => b"group\0",
            HashKind::Wamid => b"wamid\0",
            HashKind::Item => b"item\0",
            HashKind::Profile => b"profile\0",
            HashKind::Administrator => b"administrator\0",
        });
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_keys_keep_subjects_apart() {
        let key = HashKey::new("k1".into());
        let phone = key.subject(HashKind::Phone, "525555550123");
        assert_eq!(phone, key.subject(HashKind::Phone, "525555550123"));
        assert_ne!(phone, key.subject(HashKind::User, "525555550123"));
        assert_ne!(phone, HashKey::new("k2".into()).subject(HashKind::Phone, "525555550123"));
        assert_ne!(key.subject_of_all(HashKind::Item, ["ab", "c"]), key.subject_of_all(HashKind::Item, ["a", "bc"]));
        assert_eq!(phone.as_str().len(), 32);
        assert_eq!(format!("{key:?}"), "SubjectKey(…)");
    }
}
