//! Keyed hashes represent persons and messages outside the stores. They are the only form in which either may appear there.

use std::{fmt, marker::PhantomData};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{CustomerId, Wamid};

/// The keyed hash of a `K`: what stands for it in the table, logs, message groups and receipts.
///
/// The hash of one thing is not taken for that of another:
///
/// ```
/// use domain::{HashKey, KeyedHash, Wamid};
/// fn is_revoked(message: &KeyedHash<Wamid>) -> bool { message.as_str().is_empty() }
/// let key = HashKey::new("key".into());
/// assert!(!is_revoked(&key.wamid(&Wamid::new("wamid.X"))));
/// ```
///
/// ```compile_fail,E0308
/// use domain::{CustomerId, HashKey, KeyedHash, Wamid};
/// fn is_revoked(message: &KeyedHash<Wamid>) -> bool { message.as_str().is_empty() }
/// let key = HashKey::new("key".into());
/// assert!(!is_revoked(&key.customer(&CustomerId::new("c"))));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct KeyedHash<K> {
    hash: String,
    of: PhantomData<fn() -> K>,
}

/// Declares things that have keyed hashes and no type of their own.
macro_rules! hashed {
    ($($(#[$doc:meta])* $name:ident)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name {}
        )+
    };
}

hashed! {
    /// A person, by anything they are known by: phone, user id, WhatsApp group, or our own id of the customer.
    Person
    /// What is claimed: one item of a webhook, or another piece of work that only one worker may do.
    WorkItem
    /// The name a customer chose.
    Profile
    /// An administrator, by the id Meta's app has of them.
    Administrator
    /// Anything under which an erasure request is found again.
    RequestPointer
    /// That an operator looked at a person's data.
    Access
}

impl<K> KeyedHash<K> {
    /// Takes a hash as it was made before.
    pub fn new(hash: impl Into<String>) -> Self {
        Self { hash: hash.into(), of: PhantomData }
    }

    /// The hash in hex.
    pub fn as_str(&self) -> &str {
        &self.hash
    }
}

impl<K> fmt::Debug for KeyedHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedHash({})", self.hash)
    }
}

impl<K> fmt::Display for KeyedHash<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hash)
    }
}

impl From<KeyedHash<Person>> for KeyedHash<RequestPointer> {
    fn from(person: KeyedHash<Person>) -> Self {
        Self::new(person.hash)
    }
}

impl From<KeyedHash<Administrator>> for KeyedHash<RequestPointer> {
    fn from(administrator: KeyedHash<Administrator>) -> Self {
        Self::new(administrator.hash)
    }
}

/// The kind of an alias; two kinds with the same text give different keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasKind {
    /// A phone in its canonical spelling.
    Phone,
    /// A business-scoped user id.
    User,
    /// A WhatsApp group.
    Group,
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
        formatter.write_str("HashKey(…)")
    }
}

impl HashKey {
    /// Takes the key as it is in the app's secret.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn new(key: SecretString) -> Self {
        let keyed = Hmac::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes any key length");
        Self { keyed }
    }

    /// The hash of an alias of a person.
    pub fn alias(&self, kind: AliasKind, value: &str) -> KeyedHash<Person> {
        self.hash(
            match kind {
                AliasKind::Phone => b"phone\0",
                AliasKind::User => b"user\0",
                AliasKind::Group => b"group\0",
            },
            value,
        )
    }

    /// The hash of a customer by our own id.
    pub fn customer(&self, customer: &CustomerId) -> KeyedHash<Person> {
        self.hash_all(b"item\0", ["customer", customer.as_str()])
    }

    /// The hash of a message's id.
    pub fn wamid(&self, wamid: &Wamid) -> KeyedHash<Wamid> {
        self.hash(b"wamid\0", wamid.as_str())
    }

    /// The hash of what is claimed.
    pub fn item<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<WorkItem> {
        self.hash_all(b"item\0", parts)
    }

    /// The hash of a profile, whatever it consists of.
    pub fn profile<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<Profile> {
        self.hash_all(b"profile\0", parts)
    }

    /// The hash of an administrator.
    pub fn administrator(&self, id: &str) -> KeyedHash<Administrator> {
        self.hash(b"administrator\0", id)
    }

    /// A hash under which an erasure request is found again.
    pub fn request_pointer<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<RequestPointer> {
        self.hash_all(b"item\0", parts)
    }

    /// 128 bits of HMAC-SHA256 over kind and value, in hex.
    fn hash<K>(&self, kind: &[u8], value: &str) -> KeyedHash<K> {
        let tag = self.keyed().chain_update(kind).chain_update(value).finalize().into_bytes();
        KeyedHash::new(hex::encode(&tag[..16]))
    }

    /// The same over several values; two different lists never give the same input.
    fn hash_all<'a, K>(&self, kind: &[u8], values: impl IntoIterator<Item = &'a str>) -> KeyedHash<K> {
        let mut mac = self.keyed().chain_update(kind);
        for value in values {
            mac.update(&(value.len() as u64).to_be_bytes());
            mac.update(value.as_bytes());
        }
        KeyedHash::new(hex::encode(&mac.finalize().into_bytes()[..16]))
    }

    /// The hash that ties a look at a person's data to the look before it.
    pub fn access<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<Access> {
        self.hash_all(b"access\0", parts)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_keys_keep_hashes_apart() {
        let key = HashKey::new("k1".into());
        let phone = key.alias(AliasKind::Phone, "525555550123");
        assert_eq!(phone, key.alias(AliasKind::Phone, "525555550123"));
        assert_ne!(phone, key.alias(AliasKind::User, "525555550123"));
        assert_ne!(phone.as_str(), key.administrator("525555550123").as_str());
        assert_ne!(phone, HashKey::new("k2".into()).alias(AliasKind::Phone, "525555550123"));
        assert_ne!(key.item(["ab", "c"]), key.item(["a", "bc"]));
        assert_eq!(phone.as_str().len(), 32);
        assert_eq!(format!("{key:?}"), "HashKey(…)");
    }
}
