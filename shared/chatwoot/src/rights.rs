//! Checks what a token may do in each account (§3.1).

use domain::AccountId;
use reqwest::Method;
use serde::Deserialize;

use crate::{Chatwoot, ChatwootError};

/// The rights of a token in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It belongs to no user, or no longer does.
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

/// The accounts in which a token's user is a member, with the role in each.
#[derive(Debug, Deserialize)]
pub struct Memberships {
    /// `None` where the token belongs to no user.
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
    /// The accounts in which it may do everything.
    pub fn administered(&self) -> Vec<AccountId> {
        let accounts = self.accounts.iter().flatten();
        let own = accounts.filter(|membership| membership.role.as_deref() == Some("administrator"));
        own.map(|membership| membership.id).collect()
    }

    /// Whether the token belongs to a user at all.
    pub fn is_anybodys(&self) -> bool {
        self.accounts.is_some()
    }

    /// The rights of the token in an account.
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
    /// Looks the token up, for all accounts at once. A bot's token has no profile, and is refused like one that belongs to no
    /// user.
    pub async fn memberships(&self) -> Result<Memberships, ChatwootError> {
        match self.json(self.outside(Method::GET, &["api", "v1", "profile"])).await {
            Err(ChatwootError::Unauthorized) => Ok(Memberships { accounts: None }),
            answer => answer,
        }
    }
}
