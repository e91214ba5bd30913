//! How signups go: what a configuration gives, and what Meta refuses.

use serde::{Deserialize, Serialize};

use crate::Meta;

/// Whom a configuration makes tokens for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenKind {
    /// The business: the id is a system user's.
    #[default]
    SystemUser,
    /// The person who signed up.
    User,
}

/// When the dialog offers a number that is on a phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// If the launch asks for it by its feature type.
    #[default]
    Asked,
    /// Always, as with a configuration that has the box ticked.
    Always,
    /// Never: whoever asks wrongly gets the ordinary flow, and is not told.
    Never,
}

/// How signups go from now on. What is left out of JSON is as at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignupRules {
    /// For how many seconds a token lives; for ever, if that is not said.
    pub token_lives: Option<u64>,
    /// Whom tokens are made for.
    pub token_kind: TokenKind,
    /// Whether `debug_token` tells of new tokens which accounts they are good for.
    pub granular: bool,
    /// The permissions of new tokens.
    pub scopes: Vec<String>,
    /// After how many seconds the account lists a number that has joined.
    pub appears_after: u64,
    /// Whether `PARTNER_ADDED` follows a signup by itself.
    pub announces: bool,
    /// When a number that is on a phone is offered.
    pub coexistence: Offer,
    /// The ids of configurations there are; any, if that is not said.
    pub configs: Option<Vec<String>>,
    /// The valid addresses to come back to; any, if that is not said.
    pub redirect_uris: Option<Vec<String>>,
    /// The base of the address that forged messages come from; the same server by another name, if that is not said.
    pub forger: Option<String>,
    /// Fields of a number that this version of Graph does not know.
    pub refused_fields: Vec<String>,
}

impl Default for SignupRules {
    fn default() -> Self {
        Self {
            token_lives: None,
            token_kind: TokenKind::default(),
            granular: true,
            scopes: crate::TokenFacts::default().scopes,
            appears_after: 0,
            announces: true,
            coexistence: Offer::default(),
            configs: None,
            redirect_uris: None,
            forger: None,
            refused_fields: Vec::new(),
        }
    }
}

impl Meta {
    /// How signups go from now on.
    pub fn set_signup(&self, rules: SignupRules) {
        self.world.state().signup.rules = rules;
    }
}
