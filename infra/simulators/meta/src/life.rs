//! What happens to an account after its signup: webhooks, ended tokens, and Meta's two callbacks about a person.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Meta, postman, prospect,
    signup::{OUR_BUSINESS, account_update},
    state::State,
    wire,
    world::World,
};

/// The subcode of a token whose session was ended.
const SESSION_ENDED: u32 = 467;
/// The subcode of a token whose app was removed.
const APP_REMOVED: u32 = 458;
/// The status of a number that is on no phone at the moment.
const OFF: &str = "DISCONNECTED";

/// A webhook `account_update`, with what it tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountUpdate {
    /// A signup for the app ended.
    PartnerAdded,
    /// The app was installed.
    PartnerAppInstalled,
    /// A partner has to go, and it is us.
    PartnerRemoved,
    /// The same words of another partner: nothing changes for us.
    PartnerRemovedOther,
    /// The owner disconnects the number in its app.
    RemovedByOwner,
    /// The phone was not used for 14 days.
    RemovedInactive,
    /// The owner removes the app.
    AppUninstalled,
    /// The number has a new phone: for the time being there is no traffic, and access stays.
    Offboarded,
    /// It is back by itself.
    Reconnected,
}

impl Meta {
    /// Something happens to an account, and the webhook that tells of it is posted. Fails if nobody knows the account, or if the
    /// webhook was not answered 200; what has happened has happened all the same.
    pub async fn account_update(&self, waba_id: &str, update: AccountUpdate) -> anyhow::Result<()> {
        let posted = {
            let mut state = self.world.state();
            let number = state.numbers.iter().find(|number| number.waba_id == waba_id);
            let line = number.context("there is no such account")?.phone_number_id.clone();
            let body = self.body(&state, waba_id, update);
            happen(&self.world, &mut state, waba_id, update);
            self.world.postman.queue_for_app(&line, &body)
        };
        let status = postman::outcome(posted).await?;
        anyhow::ensure!(status == 200, "the webhook was answered {status}");
        Ok(())
    }

    fn body(&self, state: &State, waba_id: &str, update: AccountUpdate) -> Value {
        let now = self.world.now().as_secs();
        let owner = state.account(waba_id).owner.map_or_else(|| prospect::BUSINESS.to_owned(), |(id, _)| id);
        let info = json!({"waba_id": waba_id, "owner_business_id": owner});
        let mut of_app = info.clone();
        of_app["partner_app_id"] = state.subscriptions.app_id.clone().unwrap_or_default().into();
        let display = state.numbers.iter().find(|number| number.waba_id == waba_id);
        let display = display.map(|number| number.display_phone_number.clone());
        let gone = |reason: &str, by: &str| {
            json!({"phone_number": display, "event": "PARTNER_REMOVED",
                "disconnection_info": {"reason": reason, "initiated_by": by}})
        };
        let partner = |event: &str, info: Value| json!({"event": event, "waba_info": info});
        let of_us = |value| account_update(OUR_BUSINESS, now.into(), value);
        let of_account = |value| account_update(waba_id, now.into(), value);
        match update {
            AccountUpdate::PartnerAdded => of_us(partner("PARTNER_ADDED", info)),
            AccountUpdate::PartnerAppInstalled => of_us(partner("PARTNER_APP_INSTALLED", of_app)),
            AccountUpdate::PartnerRemoved | AccountUpdate::PartnerRemovedOther => {
                of_us(partner("PARTNER_REMOVED", info))
            }
            AccountUpdate::RemovedByOwner => of_account(gone("ACCOUNT_DISCONNECTED", "USER")),
            AccountUpdate::RemovedInactive => of_account(gone("PRIMARY_INACTIVITY", "SYSTEM")),
            AccountUpdate::AppUninstalled => of_us(partner("PARTNER_APP_UNINSTALLED", of_app)),
            AccountUpdate::Offboarded => of_account(json!({"event": "ACCOUNT_OFFBOARDED"})),
            // This one's time is a text in Meta's sample.
            AccountUpdate::Reconnected => {
                account_update(waba_id, now.to_string().into(), json!({"event": "ACCOUNT_RECONNECTED"}))
            }
        }
    }

    /// Where Meta's two callbacks about a person are posted; without it beside the webhook, at `/deletion/meta`.
    pub fn set_callbacks(&self, deauthorize: Option<&str>, deletion: Option<&str>) {
        let signup = &mut self.world.state().signup;
        signup.deauthorize_url = deauthorize.map(str::to_owned);
        signup.deletion_url = deletion.map(str::to_owned);
    }

    /// A person removes the app: the tokens of their signups are dead, and the deauthorize callback is posted. Its status and body.
    pub async fn deauthorize(&self, user_id: &str) -> anyhow::Result<(u16, Value)> {
        let url = {
            let mut state = self.world.state();
            let own = state.signup.grants.iter().filter(|(_, grant)| grant.person == user_id);
            let tokens: Vec<_> = own.map(|(token, _)| token.clone()).collect();
            for token in tokens {
                state.signup.ended.entry(token).or_insert(APP_REMOVED);
            }
            state.signup.deauthorize_url.clone()
        };
        self.call_back(url, "/deletion/meta/deauthorize", user_id).await
    }

    /// A person asks Meta to have their data deleted: the deletion callback is posted. Its status and body.
    pub async fn asks_deletion(&self, user_id: &str) -> anyhow::Result<(u16, Value)> {
        let url = self.world.state().signup.deletion_url.clone();
        self.call_back(url, "/deletion/meta", user_id).await
    }

    /// `signed_request` about a person, as Meta's callbacks bring it.
    pub fn signed_request(&self, user_id: &str) -> String {
        let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": self.world.now().as_secs(), "expires": 0,
            "user_id": user_id});
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let signature = wire::hmac(self.world.postman.app_secret().as_bytes(), payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(signature))
    }

    async fn call_back(&self, url: Option<String>, path: &str, user_id: &str) -> anyhow::Result<(u16, Value)> {
        let beside = || {
            let webhook = reqwest::Url::parse(&self.world.postman.webhook()?).ok()?;
            webhook.join(path).ok().map(String::from)
        };
        let url = url.or_else(beside).context("no callback is set")?;
        let body = format!("signed_request={}", self.signed_request(user_id));
        let request = self.world.fetcher.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer =
            request.body(body).timeout(postman::MAX_WAIT).send().await.context("the callback did not answer")?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }
}

/// What the webhook tells of.
fn happen(world: &World, state: &mut State, waba_id: &str, update: AccountUpdate) {
    let own: Vec<_> = state.numbers.iter().filter(|number| number.waba_id == waba_id).collect();
    let own: Vec<_> = own.into_iter().map(|number| number.phone_number_id.clone()).collect();
    match update {
        AccountUpdate::PartnerAdded | AccountUpdate::PartnerAppInstalled | AccountUpdate::PartnerRemovedOther => {}
        AccountUpdate::Offboarded => {
            state.number_status.extend(own.into_iter().map(|number| (number, OFF.to_owned())));
        }
        AccountUpdate::Reconnected => own.iter().for_each(|number| drop(state.number_status.remove(number))),
        AccountUpdate::PartnerRemoved
        | AccountUpdate::RemovedByOwner
        | AccountUpdate::RemovedInactive
        | AccountUpdate::AppUninstalled => {
            let uninstalled = update == AccountUpdate::AppUninstalled;
            state.end_tokens(waba_id, if uninstalled { APP_REMOVED } else { SESSION_ENDED });
            state.withdrawn.extend(own);
            world.postman.feeds().forget(waba_id);
        }
    }
}
