//! Finds out from Graph alone which account and which number were connected, and how the number is used.
//! What the browser says is a claim that saves a question; it is never believed.

use std::time::Duration;

use app::onboarding::OnboardingError;
use domain::{
    HashKey, PhoneNumberId, Timestamp, WabaId,
    channel::{ChannelState, Mode},
    signup::{Candidate, Finish, Need, SignupFault, SignupStep},
};
use platform::AppSecrets;
use secrecy::SecretString;
use whatsapp::{setup::TokenInfo, signup::Usage};

use super::Walk;
use crate::stop::Stop;

/// How long Meta may take to show what was just connected.
const SLOW: Duration = Duration::from_secs(900);

/// More accounts than one person connects at once.
const MAX_ACCOUNTS: usize = 10;

/// A number as Graph lists it.
struct Listed {
    candidate: Candidate,
    on_phone: Option<bool>,
}

/// Who names an account.
#[derive(Clone, Copy)]
enum Source {
    Page,
    Token,
    Webhook,
}

impl Walk<'_> {
    /// Which account, which number, and how it is used.
    pub(super) async fn assets(&mut self) -> Result<(), Stop> {
        let token = self.token().await?;
        self.hear_dialog().await?;
        let info = self.examine(&token).await?;
        self.signup.token_ends_at = info.expires_at;
        let accounts = self.accounts(&info, &token).await?;
        let listed = self.listed(&accounts, &token).await?;
        let chosen = self.choose(listed)?;
        let known = self.handler.clients.channels.look_again(&chosen.number).await?;
        if known.as_ref().is_some_and(|known| known.account != self.signup.account) {
            return Err(Stop::Reopen(SignupFault::Elsewhere));
        }
        if self.signup.finish == Some(Finish::GrantOnly) && known.is_none() {
            // Access alone brings no number into service: it renews one that is.
            return Err(Stop::Reopen(SignupFault::GrantOnly));
        }
        let found = self.usage(&chosen.number, &token).await?;
        self.remember_administrators(&info, &chosen.number).await?;
        let signup = &mut self.signup;
        signup.administrator = None;
        signup.was_live = known.is_some_and(|known| known.state == ChannelState::Live);
        (signup.waba, signup.number) = (Some(chosen.waba), Some(chosen.number));
        (signup.found, signup.ending) = (Some(found), chosen.ending);
        self.done(SignupStep::Assets);
        Ok(())
    }

    /// What the page told of the dialog beside the code.
    async fn hear_dialog(&mut self) -> Result<(), Stop> {
        let told = self.handler.signups.told(&self.signup.id, self.onboarded_at()).await?;
        let signup = &mut self.signup;
        if signup.claimed.is_empty() {
            signup.claimed = told.accounts;
        }
        signup.claimed_number = signup.claimed_number.take().or(told.number);
        signup.finish = signup.finish.or(told.finish);
        Ok(())
    }

    async fn examine(&self, token: &SecretString) -> Result<TokenInfo, Stop> {
        let url = self.api_url()?;
        let app = self.onboarding(&url).app().await?;
        let info = match self.handler.clients.graph_api.debug_token(&app, token).await {
            Ok(info) => info,
            // What is refused here is the app's own token.
            Err(error) if error.is_unauthorized() || error.code() == Some(1) => {
                return Err(OnboardingError::AppRefused.into());
            }
            Err(error) => return Err(error.into()),
        };
        if info.app_id != app.id || !info.is_valid {
            return Err(Stop::Reopen(SignupFault::Token));
        }
        if info.lacks().is_empty() { Ok(info) } else { Err(Stop::Reopen(SignupFault::Permissions)) }
    }

    /// The accounts that the token sees: those the browser named, else those of the token, else those Meta told us of.
    async fn accounts(&self, info: &TokenInfo, token: &SecretString) -> Result<Vec<WabaId>, Stop> {
        for source in [Source::Page, Source::Token, Source::Webhook] {
            let named = match source {
                Source::Page => self.signup.claimed.clone(),
                Source::Token => info.accounts.clone(),
                Source::Webhook => self.handler.signups.hinted(self.onboarded_at()).await?,
            };
            let mut seen = Vec::new();
            for waba in named.iter().take(MAX_ACCOUNTS) {
                if !seen.contains(waba) && self.handler.clients.graph_api.sees_account(waba, token).await? {
                    seen.push(waba.clone());
                }
            }
            if !seen.is_empty() {
                return Ok(seen);
            }
        }
        Err(self.not_shown(SignupFault::NoAccount))
    }

    /// What Meta does not show may come within minutes.
    fn not_shown(&self, fault: SignupFault) -> Stop {
        let since = self.signup.onboarded_at.unwrap_or_default();
        if self.now().since(since) < SLOW { Stop::Wait(Some(fault)) } else { Stop::Reopen(fault) }
    }

    async fn listed(&self, accounts: &[WabaId], token: &SecretString) -> Result<Vec<Listed>, Stop> {
        let mut listed = Vec::new();
        for waba in accounts {
            for number in self.handler.clients.graph_api.account_numbers(waba, token).await? {
                let digits: String = number.display.chars().filter(char::is_ascii_digit).collect();
                listed.push(Listed {
                    candidate: Candidate {
                        number: PhoneNumberId::new(number.id),
                        waba: waba.clone(),
                        name: number.name.chars().take(80).collect(),
                        ending: digits[digits.len().saturating_sub(4)..].to_owned(),
                    },
                    on_phone: number.on_phone,
                });
            }
        }
        Ok(listed)
    }

    /// The number that is meant: the one to connect again, the one that was named, the only one that fits; else the person says.
    fn choose(&mut self, listed: Vec<Listed>) -> Result<Candidate, Stop> {
        if let Some(wanted) = &self.signup.reconnects {
            let found = listed.into_iter().map(|one| one.candidate).find(|one| one.number == *wanted);
            return found.ok_or_else(|| self.not_shown(SignupFault::OtherNumber));
        }
        if listed.is_empty() && self.signup.finish == Some(Finish::OnlyAccount) {
            // There is nothing to wait for: the dialog itself says so.
            return Err(Stop::Reopen(SignupFault::NoNumber));
        }
        if listed.is_empty() {
            return Err(self.not_shown(SignupFault::NoNumber));
        }
        let named = listed.iter().find(|one| Some(&one.candidate.number) == self.signup.claimed_number.as_ref());
        if let Some(named) = named {
            return Ok(named.candidate.clone());
        }
        let on_phone: Vec<_> = listed.iter().filter(|one| one.on_phone == Some(true)).collect();
        let fitting = match (self.signup.asked, on_phone.as_slice()) {
            (Mode::Coexistence, [only]) => Some(*only),
            _ if listed.len() == 1 => listed.first(),
            _ => None,
        };
        if let Some(fitting) = fitting {
            return Ok(fitting.candidate.clone());
        }
        let of = listed.into_iter().map(|one| one.candidate).take(20).collect();
        self.signup.ask(Need::Choice { of }, None);
        Err(Stop::Asks)
    }

    /// How the number is used. What was asked for counts for nothing: whoever wanted a number on a phone and got another is asked.
    async fn usage(&mut self, number: &PhoneNumberId, token: &SecretString) -> Result<Mode, Stop> {
        match self.handler.clients.graph_api.usage(number, token).await? {
            Usage::Coexistence => Ok(Mode::Coexistence),
            Usage::Cloud if self.signup.finish == Some(Finish::Migration) && !self.signup.accepts_cloud => {
                tracing::warn!(
                    account = %self.signup.account, page = "docs/runbook/signup.md",
                    "a number comes from another provider; its owner is asked whether that is meant"
                );
                self.signup.ask(Need::Mode, Some(SignupFault::Migration));
                Err(Stop::Asks)
            }
            Usage::Cloud if self.signup.asked == Mode::Cloud || self.signup.accepts_cloud => Ok(Mode::Cloud),
            Usage::Cloud => {
                self.signup.ask(Need::Mode, None);
                Err(Stop::Asks)
            }
            Usage::PhoneOnly => Err(self.on_phone_only()),
            // No answer is no verdict.
            Usage::Unknown => Err(Stop::Wait(Some(SignupFault::Meta))),
        }
    }

    /// Meta is about to join app and number; if that does not come, the person chooses it in the dialog. Such a number is never
    /// registered: that would take it from its phone.
    pub(super) fn on_phone_only(&self) -> Stop {
        let is_late = self.now().since(self.onboarded_at()) >= SLOW;
        if is_late { Stop::Reopen(SignupFault::OnPhone) } else { Stop::Wait(Some(SignupFault::Meta)) }
    }

    /// Who connected it, as a keyed hash: by that Meta's callbacks name them.
    async fn remember_administrators(&self, info: &TokenInfo, number: &PhoneNumberId) -> Result<(), Stop> {
        let secrets = self.handler.clients.secrets.get::<AppSecrets>(&self.handler.app_secret).await?;
        let key = HashKey::new(secrets.subject_key);
        let by_token = info.user_id.as_ref().map(|id| key.administrator(id));
        for who in by_token.iter().chain(&self.signup.administrator) {
            self.handler.administrators.connected(who, number, info.is_of_a_person).await?;
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// The moment from which on Meta counts its day.
    pub(super) fn onboarded_at(&self) -> Timestamp {
        self.signup.onboarded_at.unwrap_or_default()
    }
}
