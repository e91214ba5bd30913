//! What the token in hand may do in each account (§3.1).

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
            Self::Administrator => {
                "the token is an administrator's: what stands before Chatwoot forbids it, or the inbox is not of type API"
            }
        }
    }
}

/// Of which accounts a token's user is a member, and as what.
#[derive(Debug, Deserialize)]
pub struct Memberships {
    /// Nothing where the token is no user's.
    #[serde(default)]
    accounts: Option<Vec<Membership>>,
}

#[derive(Debug, Deserialize)]
struct Membership {
    id: AccountId,
    #[serde(default)]
    role: Option<String>,
}

impl Memberships {
    /// What the token is worth in an account.
    pub fn rights(&self, account: AccountId) -> Rights {
        let Some(accounts) = &self.accounts else { return Rights::None };
        let own = accounts.iter().find(|membership| membership.id == account);
        match own.map(|membership| membership.role.as_deref()) {
            None => Rights::Elsewhere,
            Some(Some("administrator")) => Rights::Administrator,
            Some(_) => Rights::Limited,
        }
    }
}

impl Chatwoot {
    /// Looks the token up, for all accounts at once. A bot's has no profile, and is refused like one that is nobody's.
    pub async fn memberships(&self) -> Result<Memberships, ChatwootError> {
        match self.json(self.outside(Method::GET, &["api", "v1", "profile"])).await {
            Err(ChatwootError::Unauthorized) => Ok(Memberships { accounts: None }),
            answer => answer,
        }
    }
}
