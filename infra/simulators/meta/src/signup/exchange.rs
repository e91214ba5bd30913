//! A code becomes a token: within 30 seconds, once, and only with the address it was made for.

use std::time::Duration;

use domain::Timestamp;

use super::{Code, Grant, minted};
use crate::{TokenFacts, state::State};

/// How long a code lives.
const CODE_LIVES: Duration = Duration::from_secs(30);

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRefusal {
    Unknown,
    TooOld,
    OtherRedirect,
    Used,
}

impl State {
    /// A code that gives a token for these accounts.
    pub(crate) fn mint_code(
        &mut self,
        accounts: Vec<String>,
        person: String,
        redirect_uri: Option<String>,
        now: Timestamp,
    ) -> String {
        let code = minted("AQ");
        let kept = Code { accounts, person, made_at: now, redirect_uri, used: false };
        self.signup.codes.insert(code.clone(), kept);
        code
    }

    /// The token for a code, and for how many seconds it lives if that is said.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: Option<&str>,
        now: Timestamp,
    ) -> Result<(String, Option<u64>), CodeRefusal> {
        let kept = self.signup.codes.get_mut(code).ok_or(CodeRefusal::Unknown)?;
        if kept.used {
            return Err(CodeRefusal::Used);
        }
        if now > kept.made_at + CODE_LIVES {
            return Err(CodeRefusal::TooOld);
        }
        // A code of a window has none, and Meta's own code sends an empty one with it.
        if kept.redirect_uri.as_deref().unwrap_or_default() != redirect_uri.unwrap_or_default() {
            return Err(CodeRefusal::OtherRedirect);
        }
        kept.used = true;
        let grant = Grant { accounts: kept.accounts.clone(), person: kept.person.clone(), issued_at: now };
        let token = minted("EAA");
        let rules = &self.signup.rules;
        let lives = rules.token_lives;
        let facts = TokenFacts {
            scopes: rules.scopes.clone(),
            expires_at: lives.map(|lives| (now + Duration::from_secs(lives)).as_secs()),
            app_id: None,
            granular: rules.granular,
        };
        self.subscriptions.tokens.insert(token.clone(), facts);
        self.signup.grants.insert(token.clone(), grant);
        self.signup.issued.push(token.clone());
        Ok((token, lives))
    }
}
