//! Somebody goes through the dialog: the number joins, the page gets an event and a code, or not.

use std::time::Duration;

use anyhow::Context as _;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Account, Line, Outcome,
    outcome::{Joins, Subject, forgery},
};
use crate::{
    Meta,
    postman::{self, Posted},
    prospect,
    state::State,
    world::World,
};

/// The portfolio that the app belongs to.
pub(crate) const OUR_BUSINESS: &str = "130000000000001";
/// The step at which somebody gives up, if it is not said.
const STEP: &str = "PHONE_NUMBER_VERIFICATION";

/// What is chosen in the dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// How it ends.
    pub outcome: Outcome,
    /// The id of the number; without it the one of [`prospect::NUMBER`].
    pub number: Option<String>,
    /// The step at which it is cancelled; without it the verification of the number.
    pub step: Option<String>,
    /// The address to come back to, for a full page. A window has none.
    pub redirect_uri: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignedUp {
    /// The code, if the page got one.
    pub code: Option<String>,
    /// The events of the session, in order; those of a forger first.
    pub events: Vec<Value>,
    /// The id under which the number joined, if one did.
    pub phone_number_id: Option<String>,
}

impl Meta {
    /// Somebody goes through the dialog with the known dealer's number.
    pub async fn signs_up(&self, outcome: Outcome) -> anyhow::Result<SignedUp> {
        self.dialog(Choice { outcome, ..Choice::default() }).await
    }

    /// Somebody goes through the dialog. `PARTNER_ADDED` is posted before this ends; whether it was answered 200 is not told here.
    /// Fails if there is no such number.
    pub async fn dialog(&self, choice: Choice) -> anyhow::Result<SignedUp> {
        let (done, posted) = self.world.dialog(&choice)?;
        if let Some(posted) = posted {
            let _ = postman::outcome(posted).await;
        }
        Ok(done)
    }

    /// The same phone gets another id with its next signup.
    pub fn move_number(&self, from: &str, to: &str) {
        self.world.state().signup.moves.insert(from.to_owned(), to.to_owned());
    }
}

impl World {
    /// What the dialog does at once, and the webhook that follows.
    pub(crate) fn dialog(&self, choice: &Choice) -> anyhow::Result<(SignedUp, Option<Posted>)> {
        let mut state = self.state();
        let now = self.now();
        let asked = choice.number.as_deref().unwrap_or(prospect::NUMBER);
        // Whoever was moved is still found under the old id, until somebody chooses the new one.
        let known = state.number(asked).context("there is no such number")?;
        let (account, outcome) = (known.waba_id.clone(), choice.outcome);
        let owner = state.account(&account);
        let mut accounts = vec![account.clone()];
        let mut joined = Vec::new();
        match outcome.joins() {
            Joins::No => {}
            Joins::Account => {}
            Joins::Several => {
                let others = state.signup.accounts.iter();
                let others = others.filter(|(id, other)| **id != account && other.owner == owner.owner);
                accounts.extend(others.map(|(id, _)| id.clone()));
                let numbers: Vec<_> =
                    state.numbers.iter().filter(|number| accounts.contains(&number.waba_id)).collect();
                let ids: Vec<_> = numbers.into_iter().map(|number| number.phone_number_id.clone()).collect();
                joined.extend(ids.iter().map(|id| state.join(id, Joins::OnPhone, now)));
            }
            joins => joined.push(state.join(asked, joins, now)),
        }
        joined.iter().for_each(|id| self.postman.open(id));
        let business = owner.owner.as_ref().map_or(prospect::BUSINESS, |(id, _)| id).to_owned();
        let number = joined.first().map_or(asked, String::as_str).to_owned();
        let subject = Subject {
            number: &number,
            account: &account,
            accounts: &accounts,
            business: &business,
            step: choice.step.as_deref().unwrap_or(STEP),
            now: now.as_secs(),
        };
        let forged = outcome.is_forged().then(forgery);
        let events = forged.into_iter().chain(outcome.event(&subject)).collect();
        let announces = state.signup.rules.announces && outcome.joins() != Joins::No;
        let code =
            outcome.gives_code().then(|| state.mint_code(accounts, owner.person, choice.redirect_uri.clone(), now));
        let done = SignedUp { code, events, phone_number_id: joined.into_iter().next() };
        let added = json!({"event": "PARTNER_ADDED", "waba_info": {"waba_id": account, "owner_business_id": business}});
        let body = account_update(OUR_BUSINESS, now.as_secs().into(), added);
        Ok((done, announces.then(|| self.postman.queue_for_app(&number, &body))))
    }
}

/// A webhook about an account; `time` is a number, and sometimes a text.
pub(crate) fn account_update(entry: &str, time: Value, value: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": entry, "time": time, "changes": [{"value": value, "field": "account_update"}]}],
    })
}

impl State {
    /// What is known of an account.
    pub(crate) fn account(&self, waba_id: &str) -> Account {
        let known = self.signup.accounts.get(waba_id).cloned();
        known.unwrap_or_else(|| Account { name: "LMotos".into(), owner: None, person: prospect::PERSON.into() })
    }

    /// The number joins, anew if it was there; its id, which may be another one now.
    fn join(&mut self, asked: &str, joins: Joins, now: Timestamp) -> String {
        let id = self.signup.moves.remove(asked).unwrap_or_else(|| asked.to_owned());
        let was_withdrawn = self.withdrawn.remove(asked);
        self.number_status.remove(asked);
        if let Some(number) = self.numbers.iter_mut().find(|number| number.phone_number_id == asked) {
            id.clone_into(&mut number.phone_number_id);
            number.coexistence = joins == Joins::OnPhone;
            if was_withdrawn {
                number.access_token.clear();
            }
        }
        let listed = now + Duration::from_secs(self.signup.rules.appears_after);
        let before = self.lines.remove(asked).unwrap_or_else(|| Line::not_joined("LMotos".into()));
        let line = Line {
            verification: if joins == Joins::Unverified { "NOT_VERIFIED" } else { "VERIFIED" },
            registered: joins == Joins::Registered,
            joined_at: Some(now),
            appears_at: Some(listed),
            asked: std::collections::BTreeSet::new(),
            ..before
        };
        self.lines.insert(id.clone(), line);
        id
    }
}
