//! Brings a number into service, and takes it out of it, step by step.
//!
//! Each step looks first at what is there: begun again after anything, it goes on. Who asks for it brings the token; this module
//! knows no command line and no page.

mod error;
mod inbox;
mod proof;

use chatwoot::{
    Chatwoot,
    inboxes::InboxSettings,
    rights::{Memberships, Rights},
};
use domain::{
    AccountId, Channel, InboxId, PhoneNumberId, Timestamp, WabaId,
    channel::{ChannelState, Mode, ReceiptSettings},
};
use platform::SecretWriter;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use whatsapp::{
    GraphError,
    setup::{AppAccess, NumberInfo, TokenInfo},
};

pub use self::{
    error::{OnboardingError, chatwoot_words, graph_words},
    proof::{Proof, missing_fields},
};

use crate::{Clients, sync_templates};

/// How many numbers of how many accounts are looked through for one number's account.
const MAX_ACCOUNTS: usize = 50;

/// A step, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What Meta says of the token.
    Token,
    /// What Meta says of the number.
    Number,
    /// The number's account.
    Account,
    /// What Chatwoot says of its token.
    Chatwoot,
    /// The inbox.
    Inbox,
    /// Who sees the inbox.
    Members,
    /// The channel's secret.
    Secret,
    /// The channel's item.
    Channel,
    /// The app's subscription to the account.
    Subscription,
    /// The templates in the inbox.
    Templates,
    /// A look at both sides.
    Proof,
}

/// What is asked for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The number.
    pub number: PhoneNumberId,
    /// Its token.
    pub token: SecretString,
    /// Its account at Meta, where it is known.
    pub waba: Option<WabaId>,
    /// The account in Chatwoot; without it, the only one that the token administers.
    pub account: Option<AccountId>,
    /// The inbox's name, for one that has to be made.
    pub inbox_name: Option<&'a str>,
    /// Who is to see it, by address or id.
    pub members: &'a [String],
}

/// What there is now.
#[derive(Debug)]
pub struct Onboarded {
    /// The channel.
    pub channel: Channel,
    /// What Meta says of its token.
    pub token: TokenInfo,
    /// What Meta says of its number.
    pub number: NumberInfo,
    /// Its inbox.
    pub inbox: InboxSettings,
    /// What this run changed; nothing in a repeat.
    pub changed: Vec<Step>,
    /// How many see the inbox, administrators apart.
    pub members: usize,
    /// Whether the templates are in the inbox; the next round of `reconcile` does it otherwise.
    pub offered: bool,
    /// What a look at both sides says.
    pub proof: Proof,
}

/// An inbox that was found or made, with its channel's secret stored.
#[derive(Debug)]
pub struct Placed {
    /// The inbox.
    pub inbox: InboxSettings,
    /// How many see it, administrators apart.
    pub members: usize,
    /// What was changed.
    pub changed: Vec<Step>,
}

/// Brings numbers into service.
pub struct Onboarding<'a> {
    /// Stores, and clients of both sides.
    pub clients: &'a Clients,
    /// Writes the channels' secrets.
    pub secrets: SecretWriter,
    /// The name of the app's secret.
    pub app_secret: &'a str,
    /// What the names of the channels' secrets begin with.
    pub secret_prefix: &'a str,
    /// Where the bridge's API answers.
    pub api_url: &'a Url,
    /// Told of each step as it begins.
    pub progress: &'a (dyn Fn(Step) + Sync),
}

/// What of the app's secret is needed here.
#[derive(Deserialize)]
struct AppIdentity {
    app_id: String,
    app_secret: SecretString,
}

impl Onboarding<'_> {
    /// Takes every step that is missing.
    pub async fn add(&self, wanted: &Wanted<'_>) -> Result<Onboarded, OnboardingError> {
        let clients = self.clients;
        let mut changed = Vec::new();
        let app = self.app().await?;
        self.begin(Step::Token);
        let token = self.checked_token(&app, &wanted.token).await?;
        self.begin(Step::Number);
        let number = self.number(wanted).await?;
        let on_phone = self.on_phone(wanted).await?;
        self.begin(Step::Account);
        let waba = self.account(wanted, &token).await?;
        self.begin(Step::Chatwoot);
        let known = clients.channels.look_again(&wanted.number).await?;
        let account = self.chatwoot_account(wanted.account.or(known.as_ref().map(|known| known.account))).await?;
        if let Some(known) = known.as_ref().filter(|known| known.account != account) {
            return Err(OnboardingError::BoundElsewhere(known.account));
        }
        let chatwoot = clients.chatwoot(account).await?;
        let bound = known.as_ref().map(|known| known.inbox);
        let placed = Box::pin(self.settle(&chatwoot, wanted, &number, bound, token.expires_at)).await?;
        changed.extend(&placed.changed);
        let mode = if on_phone { Mode::Coexistence } else { Mode::Cloud };
        let channel = self.channel(known.as_deref(), wanted, waba, &number.display, account, placed.inbox.id, mode);
        // Before the subscription, so that the first webhook finds its number.
        if self.bind(known.as_deref(), &channel).await? {
            changed.push(Step::Channel);
        }
        if self.subscribe(&app, &channel, &wanted.token).await? {
            changed.push(Step::Subscription);
        }
        self.begin(Step::Templates);
        let offered = sync_templates(clients, &channel).await;
        if let Err(error) = &offered {
            tracing::warn!(%error, "the inbox offers no templates yet");
        }
        self.begin(Step::Proof);
        let proof = self.prove(&app, &chatwoot, &channel, &wanted.token).await?;
        let Placed { inbox, members, .. } = placed;
        Ok(Onboarded { channel, token, number, inbox, changed, members, offered: offered.is_ok(), proof })
    }

    /// Finds or makes the inbox of a number, and stores the channel's secret. `bound` is the inbox that is known to be its.
    pub async fn settle(
        &self,
        chatwoot: &Chatwoot,
        wanted: &Wanted<'_>,
        number: &NumberInfo,
        bound: Option<InboxId>,
        token_ends_at: Option<Timestamp>,
    ) -> Result<Placed, OnboardingError> {
        let mut changed = Vec::new();
        let people = people(chatwoot, wanted.members).await?;
        let name = self.secret_name(&wanted.number);
        let stored = self.secrets.read(&name).await?;
        self.begin(Step::Inbox);
        let place = self.inbox(chatwoot, wanted, number, bound, stored.as_ref()).await?;
        if place.changed {
            changed.push(Step::Inbox);
        }
        self.begin(Step::Members);
        let already = chatwoot.inbox_members(place.inbox.id).await?;
        let missing: Vec<_> = people.into_iter().filter(|id| already.iter().all(|member| member.id != *id)).collect();
        if !missing.is_empty() {
            chatwoot.add_inbox_members(place.inbox.id, &missing).await?;
            changed.push(Step::Members);
        }
        let members = already.len() + missing.len();
        self.begin(Step::Secret);
        let secret = place.secret(stored.as_ref(), &wanted.token, token_ends_at);
        if stored.as_ref() != Some(&secret) {
            self.secrets.write(&name, &secret).await?;
            changed.push(Step::Secret);
        }
        Ok(Placed { inbox: place.inbox, members, changed })
    }

    /// A number's channel, with what is known of it already.
    #[expect(clippy::too_many_arguments, reason = "a channel has that many sides")]
    pub fn channel(
        &self,
        known: Option<&Channel>,
        wanted: &Wanted<'_>,
        waba_id: WabaId,
        display: &str,
        account: AccountId,
        inbox: InboxId,
        mode: Mode,
    ) -> Channel {
        Channel {
            phone_number_id: wanted.number.clone(),
            waba_id,
            display_phone_number: display.to_owned(),
            account,
            inbox,
            mode,
            state: known.map_or(ChannelState::Live, |known| known.state),
            state_at: known.map_or(Timestamp::default(), |known| known.state_at),
            paused: known.is_some_and(|known| known.paused),
            paused_incoming: known.is_some_and(|known| known.paused_incoming),
            receipts: known.map_or_else(ReceiptSettings::default, |known| known.receipts),
            echoes: known.map(|known| known.echoes).unwrap_or_default(),
            secret: self.secret_name(&wanted.number),
            since: known.and_then(|known| known.since).or_else(|| Some(self.clients.clock.now())),
            offered: known.filter(|known| known.inbox == inbox).and_then(|known| known.offered.clone()),
        }
    }

    /// Writes a channel, unless it stands there so, or belongs to another account by now. Tells whether it was written.
    pub async fn bind(&self, known: Option<&Channel>, channel: &Channel) -> Result<bool, OnboardingError> {
        self.begin(Step::Channel);
        if known == Some(channel) {
            return Ok(false);
        }
        if self.clients.channels.bind(channel).await? {
            return Ok(true);
        }
        let now = self.clients.channels.look_again(&channel.phone_number_id).await?;
        Err(OnboardingError::BoundElsewhere(now.map_or(channel.account, |now| now.account)))
    }

    /// Lets the app have the account's webhooks. Tells whether it had them not.
    pub async fn subscribe(
        &self,
        app: &AppAccess,
        channel: &Channel,
        token: &SecretString,
    ) -> Result<bool, OnboardingError> {
        self.begin(Step::Subscription);
        let is_new = !self.is_subscribed(app, channel, token).await?;
        if is_new {
            self.clients.graph_api.subscribe(&channel.waba_id, token).await?;
        }
        Ok(is_new)
    }

    /// Takes a number out of service: no webhooks, no channel, no secret. Its inbox and what was written stay. What cannot be
    /// ended at Meta is told, and holds nothing up: its owner may have taken the token away already.
    pub async fn remove(&self, channel: &Channel) -> Result<Option<GraphError>, OnboardingError> {
        let others = self.clients.channels.all().await?;
        let shared = others
            .iter()
            .any(|other| other.waba_id == channel.waba_id && other.phone_number_id != channel.phone_number_id);
        self.begin(Step::Subscription);
        // The subscription is the account's: another number of it goes on.
        let left = if shared { None } else { self.unsubscribe(channel).await? };
        self.begin(Step::Secret);
        self.secrets.remove(&channel.secret).await?;
        // Last: the channel alone tells a repeat that there is something left to do.
        self.begin(Step::Channel);
        self.clients.channels.remove(&channel.phone_number_id).await?;
        Ok(left)
    }

    async fn unsubscribe(&self, channel: &Channel) -> Result<Option<GraphError>, OnboardingError> {
        let stored = self.secrets.read(&channel.secret).await?;
        let token = stored.as_ref().and_then(|stored| stored.get("access_token")).and_then(Value::as_str);
        let Some(token) = token else { return Ok(None) };
        match self.clients.graph_api.unsubscribe(&channel.waba_id, &token.to_owned().into()).await {
            Ok(()) => Ok(None),
            Err(error @ GraphError::Refused { .. }) => Ok(Some(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// The app, as it asks Meta about itself.
    pub async fn app(&self) -> Result<AppAccess, OnboardingError> {
        let app: AppIdentity = self.clients.secrets.get(self.app_secret).await.map_err(OnboardingError::AppSecret)?;
        Ok(AppAccess { id: app.app_id, secret: app.app_secret })
    }

    fn begin(&self, step: Step) {
        (self.progress)(step);
    }

    /// The name of the channel's secret.
    pub fn secret_name(&self, number: &PhoneNumberId) -> String {
        format!("{}{number}", self.secret_prefix)
    }

    async fn checked_token(&self, app: &AppAccess, token: &SecretString) -> Result<TokenInfo, OnboardingError> {
        let info = match self.clients.graph_api.debug_token(app, token).await {
            Ok(info) => info,
            // What is refused here is the app's own token.
            Err(error @ GraphError::Refused { .. }) if error.is_unauthorized() || error.code() == Some(1) => {
                return Err(OnboardingError::AppRefused);
            }
            Err(error) => return Err(error.into()),
        };
        let now = self.clients.clock.now();
        if !info.is_valid || info.expires_at.is_some_and(|end| end <= now) {
            return Err(OnboardingError::TokenInvalid);
        }
        if info.app_id != app.id {
            return Err(OnboardingError::TokenOfAnotherApp(info.app_id));
        }
        let lacks = info.lacks();
        if lacks.is_empty() { Ok(info) } else { Err(OnboardingError::TokenLacks(lacks)) }
    }

    async fn number(&self, wanted: &Wanted<'_>) -> Result<NumberInfo, OnboardingError> {
        match self.clients.graph_api.number(&wanted.number, &wanted.token).await {
            Ok(number) => Ok(number),
            Err(GraphError::Refused { code: 33 | 100, .. }) => Err(OnboardingError::NoSuchNumber),
            Err(error) => Err(error.into()),
        }
    }

    async fn on_phone(&self, wanted: &Wanted<'_>) -> Result<bool, OnboardingError> {
        match self.clients.graph_api.is_on_phone(&wanted.number, &wanted.token).await {
            Ok(on_phone) => Ok(on_phone),
            // A version of Graph without these fields knows no number that is on a phone as well.
            Err(GraphError::Refused { code: 100, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The account that has the number: the one that is named, one of those the token is good for, or what the number says.
    async fn account(&self, wanted: &Wanted<'_>, token: &TokenInfo) -> Result<WabaId, OnboardingError> {
        let graph = &self.clients.graph_api;
        if let Some(named) = &wanted.waba {
            return match graph.numbers_of(named, &wanted.token).await {
                Ok(numbers) if numbers.contains(&wanted.number) => Ok(named.clone()),
                Ok(_) | Err(GraphError::Refused { code: 33 | 100, .. }) => {
                    Err(OnboardingError::NotInAccount(named.clone()))
                }
                Err(error) => Err(error.into()),
            };
        }
        for candidate in token.accounts.iter().take(MAX_ACCOUNTS) {
            match graph.numbers_of(candidate, &wanted.token).await {
                Ok(numbers) if numbers.contains(&wanted.number) => return Ok(candidate.clone()),
                Ok(_) | Err(GraphError::Refused { code: 33 | 100, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let told = graph.account_of(&wanted.number, &wanted.token).await?;
        told.ok_or(OnboardingError::NoAccountAtMeta)
    }

    async fn is_subscribed(
        &self,
        app: &AppAccess,
        channel: &Channel,
        token: &SecretString,
    ) -> Result<bool, OnboardingError> {
        Ok(self.clients.graph_api.subscribed_apps(&channel.waba_id, token).await?.contains(&app.id))
    }

    async fn chatwoot_account(&self, wanted: Option<AccountId>) -> Result<AccountId, OnboardingError> {
        let memberships = self.clients.chatwoot(wanted.unwrap_or(AccountId(0))).await?.memberships().await?;
        match wanted {
            Some(account) => may(&memberships, account).map(|()| account),
            None if !memberships.is_anybodys() => Err(OnboardingError::ChatwootRights(Rights::None)),
            None => match memberships.administered().as_slice() {
                [only] => Ok(*only),
                [] => Err(OnboardingError::ChatwootRights(Rights::Limited)),
                several => Err(OnboardingError::SeveralAccounts(several.to_vec())),
            },
        }
    }
}

/// The users who are named by address or id.
async fn people(chatwoot: &Chatwoot, named: &[String]) -> Result<Vec<i64>, OnboardingError> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let everybody = chatwoot.agents().await?;
    let id = |named: &String| {
        let user =
            everybody.iter().find(|user| user.email.eq_ignore_ascii_case(named) || user.id.to_string() == *named);
        user.map(|user| user.id).ok_or_else(|| OnboardingError::NoSuchAgent(named.clone()))
    };
    named.iter().map(id).collect()
}

fn may(memberships: &Memberships, account: AccountId) -> Result<(), OnboardingError> {
    match memberships.rights(account) {
        Rights::Administrator => Ok(()),
        rights => Err(OnboardingError::ChatwootRights(rights)),
    }
}

/// A member of a secret that has a value.
fn member<'s>(stored: Option<&'s Map<String, Value>>, name: &str) -> Option<&'s str> {
    stored?.get(name)?.as_str().filter(|value| !value.is_empty())
}

fn exposed(secret: &SecretString) -> Value {
    secret.expose_secret().into()
}
