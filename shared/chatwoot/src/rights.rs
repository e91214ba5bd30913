//! What the token in hand may do in an account (§3.1).

use domain::AccountId;
use reqwest::Method;
use serde::Deserialize;

use crate::{Chatwoot, ChatwootError};

/// What a token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It is nobody's, or no longer.
    None,
    /// Its user does not belong to the account.
    Elsewhere,
    /// Its user may not do everything in the account.
    Limited,
    /// Its user is an administrator of the account.
    Administrator,
}

impl Rights {
    /// What is wrong with it, for the operator.
    pub fn cause(self) -> &'static str {
        match self {
            Self::None => "chatwoot_token is no user's token, or was replaced in Chatwoot",
            Self::Elsewhere => "the token's user is no member of the account",
            Self::Limited => "the token's user is no administrator of the account",
            Self::Administrator => "the token is an administrator's",
        }
    }
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    accounts: Vec<Membership>,
}

#[derive(Deserialize)]
struct Membership {
    id: AccountId,
    #[serde(default)]
    role: Option<String>,
}

impl Chatwoot {
    /// Looks the token up. A bot's has no profile, and is refused like one that is nobody's.
    pub async fn rights(&self) -> Result<Rights, ChatwootError> {
        let profile: Profile = match self.json(self.outside(Method::GET, &["api", "v1", "profile"])).await {
            Ok(profile) => profile,
            Err(ChatwootError::Unauthorized) => return Ok(Rights::None),
            Err(error) => return Err(error),
        };
        let own = profile.accounts.iter().find(|membership| membership.id == self.account());
        Ok(match own.map(|membership| membership.role.as_deref()) {
            None => Rights::Elsewhere,
            Some(Some("administrator")) => Rights::Administrator,
            Some(_) => Rights::Limited,
        })
    }
}
