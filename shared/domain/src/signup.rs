//! Holds how far the connection of a number by its owner is.
//! A link leads to a page, the page to Meta's dialog, the dialog to a code, and the code to a token. From the token on each step
//! can be begun again, except the two requests that Meta takes once.

mod said;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, InboxId, KeyedHash, PhoneNumberId, SignupId, Timestamp, WabaId,
    channel::Mode,
    keyed_hash::{Administrator, WorkItem},
};

pub use said::{Candidate, Finish, Need, SignupFault};

/// How long a link can be used.
pub const LINK_TTL: Duration = Duration::from_secs(72 * 3600);

/// How many codes a link takes in all.
pub const MAX_CODES: u32 = 5;

/// How long Meta takes the two requests for what the phone knows.
pub const SYNC_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// How long a link shows how far everything is after its end, and takes answers.
pub const SHOWN_FOR: Duration = Duration::from_secs(7 * 86_400);

/// None of the two is begun so close to the end.
pub const SYNC_MARGIN: Duration = Duration::from_secs(1800);

/// A request without an outcome after this is taken for lost: it may have been taken, and is not repeated.
pub const INTENT_TTL: Duration = Duration::from_secs(60);

/// The last step that is done, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignupStep {
    /// The link can be used.
    #[default]
    Open,
    /// A token is in the signup's own secret.
    Token,
    /// Graph has said which account, which number, and how it is used.
    Assets,
    /// The inbox is there, and the channel's secret.
    Inbox,
    /// The channel is in the table.
    Channel,
    /// The app gets the account's webhooks.
    Subscribed,
    /// The number is registered, or need not be.
    Register,
    /// The phone's contact book was asked for, or need not be.
    Contacts,
    /// Its history was.
    History,
    /// Everything is done.
    Done,
}

/// How far one of the two requests is that Meta takes once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OnceOnly {
    /// Not begun, or certainly not sent.
    #[default]
    None,
    /// It is about to be sent. Written before the call.
    Intent {
        /// Since when.
        at: Timestamp,
    },
    /// Meta has taken it.
    Asked {
        /// When.
        at: Timestamp,
    },
    /// It is not sent again.
    Spent {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: Spent,
    },
}

/// Why a request is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// Its answer was lost.
    Unknown,
    /// The time for it is over.
    TooLate,
}

/// A signup: one link and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and every combination occurs")]
pub struct Signup {
    /// Its id.
    pub id: SignupId,
    /// The account of Chatwoot that gets the number.
    pub account: AccountId,
    /// The number, if it is one that is connected again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnects: Option<PhoneNumberId>,
    /// How the number is to be used.
    pub asked: Mode,
    /// The page's language, `es` or `en`, unless a browser asks for the other.
    pub lang: String,
    /// Where the bridge's API answers.
    pub api_url: String,
    /// The inbox's name, if it has to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox_name: Option<String>,
    /// Who is to see it, by ids in Chatwoot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// When the link was made.
    pub made_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Whether the operator took it back.
    #[serde(default)]
    pub revoked: bool,
    /// Counts the writes.
    #[serde(default)]
    pub stamp: i64,
    /// Until when somebody works on it.
    #[serde(default)]
    pub leased_until: Timestamp,
    /// The browser it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<KeyedHash<WorkItem>>,
    /// How many codes came.
    #[serde(default)]
    pub codes: u32,
    /// The last code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<KeyedHash<WorkItem>>,
    /// The last step that is done.
    #[serde(default)]
    pub step: SignupStep,
    /// What is wrong now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<SignupFault>,
    /// What the person has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<Need>,
    /// Meta's id of the dialog that was broken off, for a question to Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The accounts that the browser named. Graph has to confirm them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<WabaId>,
    /// The number that it named, or the person chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_number: Option<PhoneNumberId>,
    /// How the dialog ended, if that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// Who went through the dialog, as far as it said, until the number is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<KeyedHash<Administrator>>,
    /// Whether the person wants the number though it is on no phone.
    #[serde(default)]
    pub accepts_cloud: bool,
    /// When the dialog was completed: when its code came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboarded_at: Option<Timestamp>,
    /// When the token ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_ends_at: Option<Timestamp>,
    /// The account at Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waba: Option<WabaId>,
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PhoneNumberId>,
    /// How it is used, as Graph says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Mode>,
    /// Its last four digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ending: String,
    /// The inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<InboxId>,
    /// Whether the number was in service before, and still is.
    #[serde(default)]
    pub was_live: bool,
    /// The number's channel before its id changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<PhoneNumberId>,
    /// Whether Meta has checked it just now.
    #[serde(default)]
    pub verified: bool,
    /// When its registration was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registrations: Vec<Timestamp>,
    /// How often the person's PIN was tried.
    #[serde(default)]
    pub pins: u32,
    /// When a code to check the number was asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_asked_at: Option<Timestamp>,
    /// The request for the contact book.
    #[serde(default)]
    pub contacts: OnceOnly,
    /// The request for the history.
    #[serde(default)]
    pub history: OnceOnly,
    /// How often the next step did not go through.
    #[serde(default)]
    pub tries: u32,
    /// When the next step is tried.
    #[serde(default)]
    pub next_at: Timestamp,
    /// When a step was done last.
    #[serde(default)]
    pub moved_at: Timestamp,
    /// When the item goes, in epoch seconds.
    pub expires_at: i64,
}

/// How long a signup is kept after its link ended, or it was done.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

impl Signup {
    /// A new link.
    pub fn new(id: SignupId, account: AccountId, asked: Mode, api_url: String, now: Timestamp) -> Self {
        Self {
            id,
            account,
            reconnects: None,
            asked,
            lang: "es".to_owned(),
            api_url,
            inbox_name: None,
            members: Vec::new(),
            made_at: now,
            ends_at: now + LINK_TTL,
            revoked: false,
            stamp: 0,
            leased_until: Timestamp::default(),
            browser: None,
            codes: 0,
            code: None,
            step: SignupStep::Open,
            fault: None,
            need: None,
            session: None,
            claimed: Vec::new(),
            claimed_number: None,
            finish: None,
            administrator: None,
            verified: false,
            accepts_cloud: false,
            onboarded_at: None,
            token_ends_at: None,
            waba: None,
            number: None,
            found: None,
            ending: String::new(),
            inbox: None,
            was_live: false,
            moved_from: None,
            registrations: Vec::new(),
            pins: 0,
            code_asked_at: None,
            contacts: OnceOnly::None,
            history: OnceOnly::None,
            tries: 0,
            next_at: Timestamp::default(),
            moved_at: now,
            expires_at: (now + LINK_TTL + KEPT_FOR).as_secs(),
        }
    }

    /// Whether a code is being exchanged, or was when its worker died.
    pub fn is_exchanging(&self) -> bool {
        self.step == SignupStep::Open && self.code.is_some() && self.fault.is_none()
    }

    /// Whether nothing can come of it any more, though its token may still be there: it was taken back, or what it waits for
    /// cannot be said any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let early = matches!(self.step, SignupStep::Token | SignupStep::Assets);
        self.is_underway() && (self.revoked || early && now >= self.ends_at + SHOWN_FOR)
    }

    /// Whether there is a token, and more to do with it.
    pub fn is_underway(&self) -> bool {
        !matches!(self.step, SignupStep::Open | SignupStep::Done)
    }

    /// Whether a code may come.
    pub fn takes_codes(&self, now: Timestamp) -> bool {
        self.step == SignupStep::Open && !self.revoked && now < self.ends_at && self.codes < MAX_CODES
    }

    /// Whether the phone's past may still be asked for.
    pub fn may_ask(&self, now: Timestamp) -> bool {
        self.onboarded_at.is_some_and(|at| now + SYNC_MARGIN < at + SYNC_WINDOW)
    }

    /// Whether the phone's past is to be asked for: a number that was in service all the time gave it before.
    pub fn wants_past(&self) -> bool {
        self.found == Some(Mode::Coexistence) && !(self.was_live && self.reconnects.is_some())
    }

    /// A step is done.
    pub fn done(&mut self, step: SignupStep, now: Timestamp) {
        self.step = step;
        (self.fault, self.need, self.tries, self.next_at, self.moved_at) = (None, None, 0, now, now);
        if step == SignupStep::Done {
            self.expires_at = (now + KEPT_FOR).as_secs();
        }
    }

    /// The next step did not go through; it is tried again.
    pub fn wait(&mut self, fault: Option<SignupFault>, now: Timestamp) {
        const PACES: [u64; 6] = [5, 15, 30, 60, 300, 600];
        let at = usize::try_from(self.tries).unwrap_or(usize::MAX).min(PACES.len() - 1);
        (self.fault, self.need) = (fault, None);
        self.tries += 1;
        self.next_at = now + Duration::from_secs(PACES[at]);
    }

    /// The next step did not go through, and is not tried again for so long.
    pub fn pause(&mut self, fault: SignupFault, time: Duration, now: Timestamp) {
        self.wait(Some(fault), now);
        self.next_at = now + time;
    }

    /// The person has to say something.
    pub fn ask(&mut self, need: Need, fault: Option<SignupFault>) {
        (self.need, self.fault) = (Some(need), fault);
    }

    /// The dialog has to be gone through again. The code stays known: posted once more, it has the same answer.
    pub fn reopen(&mut self, fault: SignupFault, now: Timestamp) {
        let fresh = Self::new(self.id.clone(), self.account, self.asked, self.api_url.clone(), self.made_at);
        *self = Self {
            reconnects: self.reconnects.take(),
            lang: std::mem::take(&mut self.lang),
            inbox_name: self.inbox_name.take(),
            members: std::mem::take(&mut self.members),
            ends_at: self.ends_at,
            revoked: self.revoked,
            stamp: self.stamp,
            leased_until: self.leased_until,
            browser: self.browser.take(),
            codes: self.codes,
            code: self.code.take(),
            fault: Some(fault),
            moved_at: now,
            expires_at: self.expires_at,
            ..fresh
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn signup() -> Signup {
        Signup::new(SignupId::new("s"), AccountId(3), Mode::Coexistence, "https://api.example".to_owned(), NOW)
    }

    #[test]
    fn a_link_takes_codes_for_its_time_and_not_too_many() {
        let mut signup = signup();
        assert!(signup.takes_codes(NOW + LINK_TTL - Duration::from_secs(1)));
        assert!(!signup.takes_codes(NOW + LINK_TTL));
        signup.codes = MAX_CODES;
        assert!(!signup.takes_codes(NOW));
        signup.codes = 0;
        signup.revoked = true;
        assert!(!signup.takes_codes(NOW));
    }

    #[test]
    fn a_reopened_link_forgets_the_dialog_but_not_its_codes_and_its_browser() {
        let mut signup = signup();
        (signup.codes, signup.browser) = (2, Some(KeyedHash::new("b")));
        signup.waba = Some(WabaId::new("1"));
        signup.done(SignupStep::Assets, NOW);
        signup.reopen(SignupFault::Elsewhere, NOW);
        assert_eq!((signup.step, signup.codes, signup.waba.clone()), (SignupStep::Open, 2, None));
        assert!(signup.browser.is_some() && signup.takes_codes(NOW));
    }

    #[test]
    fn the_past_is_not_asked_for_in_the_last_half_hour() {
        let mut signup = signup();
        signup.onboarded_at = Some(NOW);
        let hours = |hours: u64, minutes: u64| NOW + Duration::from_secs(hours * 3600 + minutes * 60);
        assert!(signup.may_ask(hours(23, 29)));
        assert!(!signup.may_ask(hours(23, 45)));
    }
}
