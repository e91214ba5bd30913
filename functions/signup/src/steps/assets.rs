//! Finds out from Graph alone which account and which number were connected, and how the number is used.
//! What the browser says is a claim that saves a question; it is never believed.

use std::time::Duration;

use app::onboarding::OnboardingError;
use domain::{
    HashKey, PhoneNumberId, Timestamp, WabaId,
    channel::{ChannelState, Mode},
    signup::{Candidate, Need, SignupFault, SignupStep},
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

impl Walk<'_> {
    /// Which account, which number, and how it is used.
    pub(super) async fn assets(&mut self) -> Result<(), Stop> {
        let token = self.token().await?;
        let info = self.examine(&token).await?;
        self.signup.token_ends_at = info.expires_at;
        let accounts = self.accounts(&info, &token).await?;
        let listed = self.listed(&accounts, &token).await?;
        let chosen = self.choose(listed)?;
        let found = self.usage(&chosen.number, &token).await?;
        let known = self.handler.clients.channels.look_again(&chosen.number).await?;
        if known.as_ref().is_some_and(|known| known.account != self.signup.account) {
            return Err(Stop::Reopen(SignupFault::Elsewhere));
        }
        self.remember_administrators(&info, &chosen.number).await?;
        let signup = &mut self.signup;
        signup.administrator = None;
        signup.was_live = known.is_some_and(|known| known.state == ChannelState::Live);
        (signup.waba, signup.number) = (Some(chosen.waba), Some(chosen.number));
        (signup.found, signup.ending) = (Some(found), chosen.ending);
        self.done(SignupStep::Assets);
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

    /// The accounts that the token sees: those the browser named, else those of the token, else the one Meta told us of.
    async fn accounts(&self, info: &TokenInfo, token: &SecretString) -> Result<Vec<WabaId>, Stop> {
        let hinted: Vec<_> = self.signup.hinted.iter().cloned().collect();
        for named in [&self.signup.claimed, &info.accounts, &hinted] {
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
        let is_late = self.now().since(self.signup.onboarded_at.unwrap_or_default()) >= SLOW;
        match self.handler.clients.graph_api.usage(number, token).await? {
            Usage::Coexistence => Ok(Mode::Coexistence),
            // Meta is about to join the two.
            Usage::PhoneOnly if !is_late => Err(Stop::Wait(Some(SignupFault::Meta))),
            Usage::PhoneOnly | Usage::Cloud if self.signup.asked == Mode::Cloud || self.signup.accepts_cloud => {
                Ok(Mode::Cloud)
            }
            Usage::PhoneOnly | Usage::Cloud => {
                self.signup.ask(Need::Mode, None);
                Err(Stop::Asks)
            }
        }
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
