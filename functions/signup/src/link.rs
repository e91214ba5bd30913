//! Signs and reads the link by which a number is connected.
//! The signature keeps strangers from trying links; the item in the table makes one good. Neither is enough alone.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{AccountId, PhoneNumberId, Signup, SignupId, channel::Mode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What is signed begins with this, so that nothing else signed with the key is taken for a link.
const PREFIX: &[u8] = b"signup-link-v1.";

/// A link is not longer than this.
const MAX_LENGTH: usize = 2048;

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    v: u8,
    aud: String,
    /// Its signup.
    pub id: SignupId,
    account: AccountId,
    purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone_number_id: Option<PhoneNumberId>,
    lang: String,
    /// When it ends, in epoch seconds.
    pub exp: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Connect,
    Reconnect,
}

impl Link {
    /// The link to a signup.
    pub fn to(signup: &Signup) -> Self {
        let reconnects = signup.reconnects.clone();
        Self {
            v: 1,
            aud: "signup".to_owned(),
            id: signup.id.clone(),
            account: signup.account,
            purpose: if reconnects.is_some() { Purpose::Reconnect } else { Purpose::Connect },
            mode: reconnects.is_none().then_some(signup.asked),
            phone_number_id: reconnects,
            lang: signup.lang.clone(),
            exp: signup.ends_at.as_secs(),
        }
    }

    /// Its text, signed.
    pub fn sign(&self, key: &SecretString) -> String {
        let payload = URL_SAFE_NO_PAD.encode(serde_json::json!(self).to_string());
        let tag = mac(key, &payload).finalize().into_bytes();
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Reads one that one of these keys signed; nothing if none did.
    pub fn read<'k>(text: &str, keys: impl IntoIterator<Item = &'k SecretString>) -> Option<Self> {
        let (payload, tag) = text.split_once('.').filter(|_| text.len() <= MAX_LENGTH)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        // `verify_slice` compares in constant time.
        keys.into_iter().find(|key| mac(key, payload).verify_slice(&tag).is_ok())?;
        let link: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        (link.v == 1 && link.aud == "signup").then_some(link)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac(key: &SecretString, payload: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes any key length");
    mac.chain_update(PREFIX).chain_update(payload)
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn a_link_is_read_under_its_key_and_no_letter_of_it_can_be_changed() {
        let (key, old) = (SecretString::from("key"), SecretString::from("old"));
        let now = Timestamp::from_secs(1_795_190_400);
        let signup =
            Signup::new(SignupId::new("6f1d"), AccountId(3), Mode::Coexistence, "https://a.example".to_owned(), now);
        let text = Link::to(&signup).sign(&key);
        assert_eq!(Link::read(&text, [&key]), Some(Link::to(&signup)));
        assert_eq!(Link::read(&text, [&old, &key]), Some(Link::to(&signup)), "also after a rotation");
        assert_eq!(Link::read(&text, [&old]), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last letter of base64 has bits that count for nothing, and is refused where they are set.
            assert!(Link::read(&forged, [&key]).is_none(), "{at}");
        }
        for wrong in ["", ".", "a", "a.b.c", &text[1..], &format!("{text}A"), &"a".repeat(5000)] {
            assert_eq!(Link::read(wrong, [&key]), None, "{wrong}");
        }
    }

    #[test]
    fn a_link_says_what_the_operator_asked_for() {
        let now = Timestamp::from_secs(1_795_190_400);
        let mut signup =
            Signup::new(SignupId::new("6f1d"), AccountId(3), Mode::Cloud, "https://a.example".to_owned(), now);
        let said = |signup: &Signup| serde_json::to_value(Link::to(signup)).unwrap();
        assert_eq!(
            said(&signup),
            serde_json::json!({"v": 1, "aud": "signup", "id": "6f1d", "account": 3, "purpose": "connect",
                "mode": "cloud", "lang": "es", "exp": 1_795_449_600})
        );
        signup.reconnects = Some(PhoneNumberId::new("104"));
        assert_eq!(
            said(&signup),
            serde_json::json!({"v": 1, "aud": "signup", "id": "6f1d", "account": 3, "purpose": "reconnect",
                "phone_number_id": "104", "lang": "es", "exp": 1_795_449_600})
        );
    }
}
