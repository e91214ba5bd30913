//! Makes links by which numbers are connected, so that a newcomer can go through it.

use anyhow::Context as _;
use domain::{AccountId, PhoneNumberId, SharedClock, Signup, SignupId, channel::Mode};
use secrecy::SecretString;
use serde::Deserialize;
use signup::Link;
use store::Signups;

/// What makes links.
#[derive(Debug)]
pub(crate) struct Links {
    signups: Signups,
    key: Option<SecretString>,
    account: AccountId,
    api_url: String,
    clock: SharedClock,
}

/// What link is wanted; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wanted {
    account: Option<i64>,
    mode: Option<Mode>,
    reconnect: Option<String>,
    lang: Option<texts::Locale>,
}

impl Links {
    pub(crate) fn new(signups: Signups, key: Option<&String>, account: i64, api_url: &str, clock: SharedClock) -> Self {
        let key = key.map(|key| SecretString::from(key.as_str()));
        Self { signups, key, account: AccountId(account), api_url: api_url.to_owned(), clock }
    }

    /// Makes a link, and gives its id and its address.
    pub(crate) async fn make(&self, wanted: Wanted) -> anyhow::Result<(SignupId, String)> {
        let key = self.key.as_ref().context("the configuration has no app.link_key")?;
        let account = wanted.account.map_or(self.account, AccountId);
        let mode = wanted.mode.unwrap_or(Mode::Coexistence);
        let mut signup = Signup::new(SignupId::mint(), account, mode, self.api_url.clone(), self.clock.now());
        signup.reconnects = wanted.reconnect.map(PhoneNumberId::new);
        wanted.lang.unwrap_or_default().code().clone_into(&mut signup.lang);
        self.signups.create(&signup).await?;
        let link = Link::to(&signup).sign(key);
        Ok((signup.id, format!("{}/signup?t={link}", self.api_url)))
    }
}
