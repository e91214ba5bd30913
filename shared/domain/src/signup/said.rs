//! Names what the person is asked and told, and how Meta's dialog ended.

use serde::{Deserialize, Serialize};

use crate::{PhoneNumberId, WabaId};

/// What the person has to say before it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum Need {
    /// Which number is meant.
    Choice {
        /// The ones there are.
        of: Vec<Candidate>,
    },
    /// Whether a number is meant that is on no phone, though one on a phone was asked for.
    Mode,
    /// The code by which Meta checks the number.
    Verification,
    /// The number's own PIN.
    Pin {
        /// How often it may still be tried.
        tries_left: u32,
    },
}

/// A number that may be the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The number.
    pub number: PhoneNumberId,
    /// Its account at Meta.
    pub waba: WabaId,
    /// The name customers see.
    pub name: String,
    /// Its last four digits.
    pub ending: String,
}

/// How the dialog ended, where that says more than that it did. Graph decides; this decides what the person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// With an account and no number.
    OnlyAccount,
    /// Access to what is there already was given anew.
    GrantOnly,
    /// A number came from another provider.
    Migration,
}

impl Finish {
    /// By Meta's name of the event.
    pub fn named(event: &str) -> Option<Self> {
        match event {
            "FINISH_ONLY_WABA" => Some(Self::OnlyAccount),
            "FINISH_GRANT_ONLY_API_ACCESS" => Some(Self::GrantOnly),
            "FINISH_OBO_MIGRATION" => Some(Self::Migration),
            _ => None,
        }
    }
}

/// What is wrong. Whatever it is, the page has words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignupFault {
    /// Meta refused the code: too old, or used.
    Code,
    /// Nobody knows what became of the code.
    CodeLost,
    /// The token is for another app, or not valid.
    Token,
    /// A permission was not given.
    Permissions,
    /// The number belongs to another account of Chatwoot.
    Elsewhere,
    /// The link is for another number.
    OtherNumber,
    /// There is an account, and no number in it.
    NoNumber,
    /// The number is on no phone, and was to be.
    NotOnPhone,
    /// The number is in the app on a phone, and not joined to it.
    OnPhone,
    /// Access was given anew, and there was no number to renew.
    GrantOnly,
    /// The number comes from another provider.
    Migration,
    /// Something of ours is set up wrongly.
    Setup,
    /// Meta did not show the account.
    NoAccount,
    /// The code of the check was wrong.
    WrongCode,
    /// The PIN was wrong.
    WrongPin,
    /// PINs were tried too often.
    PinLocked,
    /// Codes or registrations were asked for too often.
    TooOften,
    /// Meta refused the registration.
    Registration,
    /// Webhooks that the phone's past needs are not ticked at Meta.
    Fields,
    /// Meta does not answer, or refuses.
    Meta,
    /// Chatwoot does not answer, or refuses.
    Chatwoot,
}
