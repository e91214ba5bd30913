//! Makes a link.

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use domain::{AccountId, PhoneNumberId, Signup, SignupId, channel::Mode};
use platform::AppSecrets;
use serde_json::json;
use signup::Link;
use store::{Channels, Signups};

use super::short;
use crate::{
    session::Session,
    told::{NoSuch, Told},
};

/// How the number is to be used.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum WantedMode {
    /// It stays in WhatsApp Business on a phone.
    Coexistence,
    /// It is on no phone.
    Cloud,
}

/// The page's language.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Es,
    En,
}

/// The command.
#[derive(Debug, Args)]
pub(crate) struct MakeLink {
    /// The account in Chatwoot that gets the number.
    #[arg(long, value_name = "ID", required_unless_present = "reconnect")]
    account: Option<i64>,
    /// Whether the number stays on a phone; the person can still choose otherwise.
    #[arg(long, default_value = "coexistence", conflicts_with = "reconnect")]
    mode: WantedMode,
    /// A number in service that needs a new token or was disconnected, by Meta's id.
    #[arg(long, value_name = "PHONE_NUMBER_ID")]
    reconnect: Option<String>,
    /// The page's language, unless the browser asks for the other.
    #[arg(long, default_value = "es")]
    lang: Language,
    /// The name of the inbox, if it has to be made.
    #[arg(long, value_name = "NAME")]
    inbox_name: Option<String>,
    /// An agent who is to see the inbox, by address or id; may be repeated. Administrators see all.
    #[arg(long = "member", value_name = "AGENT")]
    members: Vec<String>,
}

impl MakeLink {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let secrets = stack.secrets().get::<AppSecrets>(&stack.app_secret).await.context("the app's secret")?;
        let Some(key) = &secrets.link_key else {
            bail!("the app's secret has no link_key; `ops app` makes one");
        };
        let now = stack.clock().now();
        let api_url = stack.api_url()?.as_str().trim_end_matches('/').to_owned();
        let mode = match self.mode {
            WantedMode::Coexistence => Mode::Coexistence,
            WantedMode::Cloud => Mode::Cloud,
        };
        let signup = match (&self.reconnect, self.account) {
            (Some(number), account) => {
                let number = PhoneNumberId::new(number);
                let known = Channels::new(stack.table()).look_again(&number).await?;
                let known = known.ok_or_else(|| NoSuch(format!("there is no channel {number}")))?;
                let account = account.map_or(known.account, AccountId);
                ensure!(account == known.account, "the number belongs to account {}", known.account);
                Signup { reconnects: Some(number), ..Signup::new(SignupId::mint(), account, known.mode, api_url, now) }
            }
            (None, Some(account)) => Signup::new(SignupId::mint(), AccountId(account), mode, api_url, now),
            (None, None) => bail!("say which account of Chatwoot gets the number: --account"),
        };
        let mut members = Vec::new();
        if !self.members.is_empty() {
            let clients = stack.clients().await?;
            let people = clients.chatwoot(signup.account).await?.agents().await?;
            for named in &self.members {
                let is_meant = |user: &&chatwoot::agents::AgentUser| {
                    user.email.eq_ignore_ascii_case(named) || user.id.to_string() == *named
                };
                let Some(user) = people.iter().find(is_meant) else {
                    bail!("nobody in the account has the address or id {named}");
                };
                // The id alone: no address stands in the table or in a log.
                members.push(user.id.to_string());
            }
        }
        let lang = match self.lang {
            Language::Es => "es",
            Language::En => "en",
        };
        let signup = Signup { lang: lang.to_owned(), inbox_name: self.inbox_name.clone(), members, ..signup };
        Signups::new(stack.table()).create(&signup).await?;
        let url = format!("{}/signup?t={}", signup.api_url, Link::to(&signup).sign(key));
        let json = json!({ "id": signup.id, "url": url, "ends_at": signup.ends_at.as_secs() });
        let words = format!(
            "{url}\n\nSend it to whoever owns the number. It can be used for 72 hours, once, in one browser; `ops signup list` shows how far it is ({}).",
            short(&signup.id)
        );
        Ok(Told::new(json, words))
    }
}
