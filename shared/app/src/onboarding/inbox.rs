//! Finds a number's inbox in Chatwoot, or makes it. The channel's secret is worked out from it.

use chatwoot::{
    Chatwoot, ChatwootError,
    inboxes::{InboxSettings, WantedInbox},
};
use domain::{InboxId, Timestamp};
use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;
use whatsapp::setup::NumberInfo;

use super::{Onboarding, OnboardingError, Wanted, exposed, member};

/// A number's inbox.
pub(super) struct InboxPlace {
    pub(super) inbox: InboxSettings,
    /// Whether it was made or changed.
    pub(super) changed: bool,
    /// The secret in the path of its callbacks, where Chatwoot does not sign them.
    path_secret: Option<String>,
}

impl Onboarding<'_> {
    /// The inbox of a number: the one it is bound to, the one whose callbacks come to it, or a new one.
    pub(super) async fn inbox(
        &self,
        chatwoot: &Chatwoot,
        wanted: &Wanted<'_>,
        number: &NumberInfo,
        bound: Option<InboxId>,
        stored: Option<&Map<String, Value>>,
    ) -> Result<InboxPlace, OnboardingError> {
        let route = format!("/callbacks/chatwoot/{}", wanted.number);
        let door = format!("{}{route}", self.api_url.as_str().trim_end_matches('/'));
        let known = self.find(chatwoot, &route, bound).await?;
        let mut changed = known.is_none();
        let found = if let Some(known) = known {
            known
        } else {
            let usual = format!("WhatsApp {}", number.display);
            let name = wanted.inbox_name.unwrap_or(&usual);
            self.make(chatwoot, &WantedInbox { name, webhook_url: &door }, &route).await?
        };
        if !found.is_api() {
            return Err(OnboardingError::NotAnApiInbox(found.id));
        }
        let signs = found.secret.as_ref().is_some_and(|secret| !secret.is_empty());
        // What does not sign is let in by its path.
        let path_secret = (!signs).then(|| member(stored, "callback_path_secret").map_or_else(random, str::to_owned));
        let door = path_secret.as_ref().map_or_else(|| door.clone(), |secret| format!("{door}/{secret}"));
        let is_right = found.webhook_url.as_deref() == Some(&door) && found.lock_to_single_conversation;
        let inbox = if is_right {
            found
        } else {
            changed = true;
            let pointed = chatwoot.point_inbox(found.id, &door).await?;
            InboxSettings { secret: pointed.secret.clone().or(found.secret), ..pointed }
        };
        Ok(InboxPlace { inbox, changed, path_secret })
    }

    async fn find(
        &self,
        chatwoot: &Chatwoot,
        route: &str,
        bound: Option<InboxId>,
    ) -> Result<Option<InboxSettings>, OnboardingError> {
        let inboxes = chatwoot.inboxes().await?;
        if let Some(bound) = inboxes.iter().find(|inbox| Some(inbox.id) == bound) {
            return Ok(Some(bound.clone()));
        }
        let mut ours = inboxes.into_iter().filter(|inbox| leads_to(inbox.webhook_url.as_deref(), route));
        match (ours.next(), ours.next()) {
            (Some(first), Some(second)) => Err(OnboardingError::SeveralInboxes(first.id, second.id)),
            (only, _) => Ok(only),
        }
    }

    /// Makes it. Where no answer came it may have been made all the same.
    async fn make(
        &self,
        chatwoot: &Chatwoot,
        wanted: &WantedInbox<'_>,
        route: &str,
    ) -> Result<InboxSettings, OnboardingError> {
        match chatwoot.create_inbox(wanted).await {
            Ok(made) => Ok(made),
            Err(error @ ChatwootError::NoAnswer(_)) => {
                self.find(chatwoot, route, None).await?.ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl InboxPlace {
    /// The channel's secret: what is there stays, what differs is replaced, and what signed until now counts for what is under
    /// way.
    pub(super) fn secret(
        &self,
        stored: Option<&Map<String, Value>>,
        token: &SecretString,
        ends_at: Option<Timestamp>,
    ) -> Map<String, Value> {
        let mut secret = stored.cloned().unwrap_or_default();
        secret.insert("access_token".to_owned(), exposed(token));
        // So that `reconcile` can tell of the end.
        match ends_at {
            Some(end) => secret.insert("access_token_expires_at".to_owned(), end.as_secs().into()),
            None => secret.remove("access_token_expires_at"),
        };
        let before = member(stored, "callback_secret");
        // Nothing signs with one that was drawn here, but it must be none that can be guessed.
        let signing = self.inbox.secret.clone().filter(|signing| !signing.is_empty());
        let signing = signing.or_else(|| before.map(str::to_owned)).unwrap_or_else(random);
        if let Some(before) = before.filter(|before| *before != signing) {
            secret.insert("callback_secret_previous".to_owned(), before.into());
        }
        secret.insert("callback_secret".to_owned(), signing.into());
        match &self.path_secret {
            Some(path) => secret.insert("callback_path_secret".to_owned(), path.as_str().into()),
            // Once Chatwoot signs, nothing else gets in.
            None => secret.remove("callback_path_secret"),
        };
        secret
    }
}

/// Whether callbacks come to this route, with a secret behind it or without.
fn leads_to(webhook_url: Option<&str>, route: &str) -> bool {
    let Some((_, rest)) = webhook_url.unwrap_or_default().split_once(route) else { return false };
    rest.is_empty() || rest.strip_prefix('/').is_some_and(|secret| !secret.contains('/'))
}

fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_known_by_where_its_callbacks_go() {
        let route = "/callbacks/chatwoot/1048";
        for ours in
            ["https://api.example/callbacks/chatwoot/1048", "https://old.example/callbacks/chatwoot/1048/s3cret"]
        {
            assert!(leads_to(Some(ours), route), "{ours}");
        }
        for other in ["https://api.example/callbacks/chatwoot/10485", "https://api.example/", ""] {
            assert!(!leads_to(Some(other), route), "{other}");
        }
        assert!(!leads_to(None, route));
    }

    #[test]
    fn a_secret_keeps_what_is_there_and_what_signed_before() {
        let inbox = InboxSettings {
            id: InboxId(1),
            name: String::new(),
            channel_type: "Channel::Api".to_owned(),
            webhook_url: None,
            lock_to_single_conversation: true,
            secret: Some("new".to_owned()),
        };
        let place = InboxPlace { inbox, changed: false, path_secret: None };
        let stored = serde_json::json!({"access_token": "old", "callback_secret": "older", "pin": "123456"});
        let secret = place.secret(stored.as_object(), &"token".to_owned().into(), None);
        let expected = serde_json::json!({"access_token": "token", "callback_secret": "new",
            "callback_secret_previous": "older", "pin": "123456"});
        assert_eq!(Value::from(secret.clone()), expected);
        assert_eq!(place.secret(Some(&secret), &"token".to_owned().into(), None), secret, "a repeat changes nothing");
    }
}
