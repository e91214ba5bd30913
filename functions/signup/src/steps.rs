//! Takes the steps of a signup, one after the other, as far as they go now.
//! Each ends with a conditional write. Killed anywhere, the next worker begins the step again; each step looks first at what is
//! there. What Meta takes once is written down before it is sent.

mod assets;
mod past;
mod registration;

use app::{HandlerError, onboarding::Onboarding, sync_templates};
use domain::{
    Channel, PhoneNumberId, Signup, Timestamp,
    channel::{ChannelEvent, ChannelState},
    signup::{SignupFault, SignupStep},
};
use platform::{Metric, SecretError};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;
use whatsapp::setup::NumberInfo;

use crate::{Handler, stop::Stop};

/// How often a fresh token may be refused before it is believed.
const MAX_REFUSALS: u32 = 3;

/// More steps than there are.
const MAX_STEPS: usize = 24;

/// What the steps of one signup share.
pub(crate) struct Walk<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) signup: Signup,
    token: Option<SecretString>,
}

impl Handler {
    /// Takes the steps of a signup until `until`, or until it has to wait. Gives it back as it stands then.
    pub(crate) async fn walk(&self, mut signup: Signup, until: Timestamp) -> Result<Signup, HandlerError> {
        let now = self.clients.clock.now();
        let is_due = signup.is_underway() && signup.next_at <= now;
        if signup.leased_until > now || !(is_due || signup.is_exchanging() || signup.is_over(now)) {
            return Ok(signup);
        }
        if !self.signups.lease(&mut signup).await? {
            return Ok(self.signups.get(&signup.id).await?.unwrap_or(signup));
        }
        self.walk_leased(signup, until).await
    }

    /// The same for one that is leased already.
    pub(crate) async fn walk_leased(&self, signup: Signup, until: Timestamp) -> Result<Signup, HandlerError> {
        let mut walk = Walk::new(self, signup);
        for _ in 0..MAX_STEPS {
            let now = self.clients.clock.now();
            if walk.signup.is_over(now) {
                walk.close().await?;
            }
            let signup = &walk.signup;
            let has_more = signup.is_underway() || signup.is_exchanging();
            if now >= until || !has_more || signup.next_at > now || signup.need.is_some() {
                break;
            }
            let stepped = Box::pin(walk.step()).await;
            walk.settle(stepped).await?;
        }
        walk.signup.leased_until = Timestamp::default();
        self.signups.save(&mut walk.signup).await?;
        Ok(walk.signup)
    }

    /// The name of a signup's own secret, in which its token is until the channel's secret has it.
    pub(crate) fn signup_secret(&self, signup: &Signup) -> String {
        format!("{}{}", self.signup_prefix, signup.id)
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(handler: &'a Handler, signup: Signup) -> Self {
        Self { handler, signup, token: None }
    }
}

impl Walk<'_> {
    fn now(&self) -> Timestamp {
        self.handler.clients.clock.now()
    }

    async fn step(&mut self) -> Result<(), Stop> {
        match self.signup.step {
            SignupStep::Token => self.assets().await,
            SignupStep::Assets => self.inbox().await,
            SignupStep::Inbox => self.channel().await,
            SignupStep::Channel => self.subscription().await,
            SignupStep::Subscribed => self.registration().await,
            SignupStep::Register => self.contacts().await,
            SignupStep::Contacts => self.history().await,
            SignupStep::History => self.finish().await,
            SignupStep::Open => self.take_up().await,
            SignupStep::Done => Ok(()),
        }
    }

    /// Writes down what became of a step.
    pub(crate) async fn settle(&mut self, stepped: Result<(), Stop>) -> Result<(), HandlerError> {
        let now = self.now();
        match stepped {
            Ok(()) | Err(Stop::Asks) => {}
            Err(Stop::Wait(fault)) => self.signup.wait(fault, now),
            Err(Stop::Pause(fault, time)) => self.signup.pause(fault, time, now),
            Err(Stop::Unauthorized) if self.signup.tries < MAX_REFUSALS => {
                self.signup.wait(Some(SignupFault::Meta), now);
            }
            Err(Stop::Unauthorized) => self.reopen(SignupFault::Token).await?,
            Err(Stop::Reopen(fault)) => self.reopen(fault).await?,
            Err(Stop::Error(error)) => {
                tracing::warn!(%error, "a signup has to wait");
                self.signup.wait(None, now);
            }
        }
        self.save().await
    }

    async fn reopen(&mut self, fault: SignupFault) -> Result<(), HandlerError> {
        tracing::warn!(?fault, account = %self.signup.account, "a signup has to go through Meta's dialog again");
        if fault == SignupFault::Elsewhere {
            self.handler.clients.metrics.count(Metric::SignupConflict);
        }
        self.handler.secrets.forget(&self.handler.signup_secret(&self.signup)).await?;
        let now = self.now();
        self.signup.reopen(fault, now);
        Ok(())
    }

    /// Nothing comes of it any more: no token of it stays behind. A number that has its channel keeps that.
    async fn close(&mut self) -> Result<(), HandlerError> {
        tracing::warn!(account = %self.signup.account, step = ?self.signup.step, "a signup is closed before its end");
        let (handler, secrets) = (self.handler, &self.handler.secrets);
        secrets.forget(&handler.signup_secret(&self.signup)).await?;
        if let Some(number) = &self.signup.number {
            handler.signups.let_go(number, &self.signup.id).await?;
            let has_channel = handler.clients.channels.look_again(number).await?.is_some();
            if self.signup.step == SignupStep::Inbox && !has_channel {
                secrets.remove(&format!("{}{number}", handler.channel_prefix)).await?;
            }
        }
        let (fault, now) = (self.signup.fault.unwrap_or(SignupFault::CodeLost), self.now());
        self.signup.reopen(fault, now);
        self.save().await
    }

    /// Writes the signup, or gives up: somebody else has it by now.
    pub(crate) async fn save(&mut self) -> Result<(), HandlerError> {
        if self.handler.signups.save(&mut self.signup).await? {
            Ok(())
        } else {
            Err(HandlerError::Busy(std::time::Duration::from_secs(1)))
        }
    }

    pub(crate) fn done(&mut self, step: SignupStep) {
        let now = self.now();
        self.signup.done(step, now);
        tracing::info!(account = %self.signup.account, ?step, "a step of a signup is done");
    }

    /// The token: in the signup's own secret until the channel's has it.
    pub(crate) async fn token(&mut self) -> Result<SecretString, Stop> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let own = self.handler.secrets.read(&self.handler.signup_secret(&self.signup)).await?;
        let stored = match own {
            Some(stored) => Some(stored),
            None => self.channel_secret().await?,
        };
        let token = stored.as_ref().and_then(|stored| stored.get("access_token")).and_then(Value::as_str);
        let token = token.map(SecretString::from).ok_or(Stop::Reopen(SignupFault::CodeLost))?;
        self.token = Some(token.clone());
        Ok(token)
    }

    async fn channel_secret(&self) -> Result<Option<Map<String, Value>>, SecretError> {
        let Some(number) = &self.signup.number else { return Ok(None) };
        self.handler.secrets.read(&format!("{}{number}", self.handler.channel_prefix)).await
    }

    /// The number. A signup that has none yet goes back to where it is found.
    fn number(&mut self) -> Result<PhoneNumberId, Stop> {
        if let Some(number) = &self.signup.number {
            Ok(number.clone())
        } else {
            self.signup.step = SignupStep::Token;
            Err(Stop::Wait(None))
        }
    }

    async fn number_info(&self, number: &PhoneNumberId, token: &SecretString) -> Result<NumberInfo, Stop> {
        Ok(self.handler.clients.graph_api.number(number, token).await?)
    }

    fn api_url(&self) -> Result<Url, Stop> {
        self.signup.api_url.parse().map_err(|_| Stop::Wait(None))
    }

    /// Makes the inbox, and stores the channel's secret; the signup's own is not needed any more then.
    async fn inbox(&mut self) -> Result<(), Stop> {
        let (token, number, api_url) = (self.token().await?, self.number()?, self.api_url()?);
        let clients = &self.handler.clients;
        if !self.handler.signups.hold(&number, &self.signup.id).await? {
            return Err(Stop::Wait(None));
        }
        let known = clients.channels.look_again(&number).await?;
        if known.as_ref().is_some_and(|known| known.account != self.signup.account) {
            return Err(Stop::Reopen(SignupFault::Elsewhere));
        }
        let info = self.number_info(&number, &token).await?;
        let before = match &known {
            Some(known) => Some(known.inbox),
            None => self.moved(&number, &info).await?.map(|before| {
                self.signup.moved_from = Some(before.phone_number_id.clone());
                before.inbox
            }),
        };
        let chatwoot = clients.chatwoot(self.signup.account).await?;
        let onboarding = self.onboarding(&api_url);
        let wanted = self.wanted(&number, &token);
        let placed = onboarding.settle(&chatwoot, &wanted, &info, before, self.signup.token_ends_at).await?;
        self.handler.secrets.forget(&self.handler.signup_secret(&self.signup)).await?;
        self.signup.inbox = Some(placed.inbox.id);
        self.done(SignupStep::Inbox);
        Ok(())
    }

    /// The channel of the same phone under an id it had before.
    async fn moved(&self, number: &PhoneNumberId, info: &NumberInfo) -> Result<Option<Channel>, Stop> {
        let all = self.handler.clients.channels.all().await?;
        Ok(all.into_iter().find(|channel| {
            channel.account == self.signup.account
                && channel.phone_number_id != *number
                && channel.is_number(&info.display)
        }))
    }

    fn wanted<'w>(&'w self, number: &PhoneNumberId, token: &SecretString) -> app::onboarding::Wanted<'w> {
        app::onboarding::Wanted {
            number: number.clone(),
            token: token.clone(),
            waba: self.signup.waba.clone(),
            account: Some(self.signup.account),
            inbox_name: self.signup.inbox_name.as_deref(),
            members: &self.signup.members,
        }
    }

    fn onboarding<'o>(&'o self, api_url: &'o Url) -> Onboarding<'o> {
        Onboarding {
            clients: &self.handler.clients,
            secrets: self.handler.secrets.clone(),
            app_secret: &self.handler.app_secret,
            secret_prefix: &self.handler.channel_prefix,
            api_url,
            progress: &|_| (),
        }
    }

    /// The channel, before the subscription, so that the first webhook finds its number.
    async fn channel(&mut self) -> Result<(), Stop> {
        let (token, number, api_url) = (self.token().await?, self.number()?, self.api_url()?);
        let clients = &self.handler.clients;
        let (Some(waba), Some(inbox), Some(mode)) = (self.signup.waba.clone(), self.signup.inbox, self.signup.found)
        else {
            self.signup.step = SignupStep::Token;
            return Err(Stop::Wait(None));
        };
        if !self.handler.signups.hold(&number, &self.signup.id).await? {
            return Err(Stop::Wait(None));
        }
        let info = self.number_info(&number, &token).await?;
        let known = clients.channels.look_again(&number).await?;
        let before = match &self.signup.moved_from {
            Some(before) => clients.channels.look_again(before).await?,
            None => None,
        };
        let onboarding = self.onboarding(&api_url);
        let wanted = self.wanted(&number, &token);
        let account = self.signup.account;
        let mut channel = onboarding.channel(known.as_deref(), &wanted, waba, &info.display, account, inbox, mode);
        if let (None, Some(before)) = (&known, &before) {
            // The same number under another id: what was chosen for it stays.
            (channel.paused, channel.paused_incoming) = (before.paused, before.paused_incoming);
            (channel.receipts, channel.since) = (before.receipts, before.since.or(channel.since));
            channel.offered.clone_from(&before.offered);
        }
        onboarding.bind(known.as_deref(), &channel).await?;
        if let Some(before) = before {
            // The secret first: without its channel nothing would lead to it.
            self.handler.secrets.remove(&before.secret).await?;
            clients.channels.remove(&before.phone_number_id).await?;
            let before = &before.phone_number_id;
            tracing::warn!(channel.id = %number, before = %before, "a number has another id now; its inbox is the same");
        }
        self.done(SignupStep::Channel);
        Ok(())
    }

    async fn subscription(&mut self) -> Result<(), Stop> {
        let (token, number, api_url) = (self.token().await?, self.number()?, self.api_url()?);
        let clients = &self.handler.clients;
        let Some(channel) = clients.channels.look_again(&number).await? else {
            self.signup.step = SignupStep::Inbox;
            return Err(Stop::Wait(None));
        };
        let onboarding = self.onboarding(&api_url);
        let app = onboarding.app().await?;
        let is_new = onboarding.subscribe(&app, &channel, &token).await?;
        if is_new && onboarding.subscribe(&app, &channel, &token).await? && self.signup.tries < MAX_REFUSALS {
            // It was accepted, and is not to be seen yet.
            return Err(Stop::Wait(Some(SignupFault::Meta)));
        }
        self.done(SignupStep::Subscribed);
        Ok(())
    }

    /// What is left: the templates, and a number that is back.
    async fn finish(&mut self) -> Result<(), Stop> {
        let number = self.number()?;
        let clients = &self.handler.clients;
        let Some(channel) = clients.channels.look_again(&number).await? else {
            self.signup.step = SignupStep::Inbox;
            return Err(Stop::Wait(None));
        };
        if matches!(channel.state, ChannelState::Disconnected { .. }) {
            let at = self.now().max(channel.state_at);
            if clients.channels.apply_event(&number, ChannelEvent::Reconnected, at).await?.is_some() {
                clients.metrics.count(Metric::ChannelUp);
            }
        }
        if let Err(error) = sync_templates(clients, &channel).await {
            tracing::warn!(%error, channel.id = %number, "the inbox offers no templates before the next round");
        }
        self.handler.signups.let_go(&number, &self.signup.id).await?;
        self.done(SignupStep::Done);
        clients.metrics.count(Metric::SignupDone);
        tracing::info!(channel.id = %number, account = %self.signup.account, "a number was connected by its owner");
        Ok(())
    }
}
