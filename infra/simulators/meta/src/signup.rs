//! What Embedded Signup leaves at Meta: accounts, codes, tokens with their grants, and each number's own state.

mod access;
mod exchange;
mod line;
mod outcome;
mod past;
mod rules;
mod ways;

use std::collections::{BTreeSet, HashMap};

use domain::Timestamp;
use serde_json::Value;

pub(crate) use self::{
    access::Access,
    exchange::CodeRefusal,
    line::{Line, SentCode},
    outcome::{ALL, Joins, forgery},
    ways::{OUR_BUSINESS, account_update},
};
pub use self::{
    outcome::Outcome,
    past::{Declined, Past},
    rules::{Offer, SignupRules, TokenKind},
    ways::{Choice, SignedUp},
};

/// A WhatsApp business account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// The id and the name of the portfolio that owns it.
    pub(crate) owner: Option<(String, String)>,
    /// Who signs it up, by the app-scoped id.
    pub(crate) person: String,
}

/// What a token that came of a signup may see.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) accounts: Vec<String>,
    /// The person who signed up, by the app-scoped id.
    pub(crate) person: String,
    pub(crate) issued_at: Timestamp,
}

/// A code that may be exchanged for a token.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) accounts: Vec<String>,
    pub(crate) person: String,
    pub(crate) made_at: Timestamp,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) used: bool,
}

/// Everything about signups.
#[derive(Debug, Default)]
pub(crate) struct Signup {
    pub(crate) rules: SignupRules,
    pub(crate) accounts: HashMap<String, Account>,
    pub(crate) codes: HashMap<String, Code>,
    /// The tokens that codes were exchanged for.
    pub(crate) grants: HashMap<String, Grant>,
    /// The same, in the order in which they were made.
    pub(crate) issued: Vec<String>,
    /// Tokens that were ended, with the subcode that says how.
    pub(crate) ended: HashMap<String, u32>,
    /// Numbers that no token sees, though it sees their account.
    pub(crate) hidden: BTreeSet<String>,
    /// The id that a number gets with its next signup.
    pub(crate) moves: HashMap<String, String>,
    /// What `FB.login` and the full page were asked for, in order.
    pub(crate) launches: Vec<Value>,
    /// The addresses of the deauthorize and the deletion callback, where they are not the usual ones.
    pub(crate) deauthorize_url: Option<String>,
    pub(crate) deletion_url: Option<String>,
}

/// A name that cannot be guessed, of letters and digits.
fn minted(prefix: &str) -> String {
    format!("{prefix}{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
