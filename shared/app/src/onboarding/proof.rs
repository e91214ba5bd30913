//! Looks at both sides: does what the bridge needs stand there now?

use std::collections::BTreeSet;

use chatwoot::Chatwoot;
use domain::{Channel, channel::Mode};
use secrecy::SecretString;
use whatsapp::setup::{AppAccess, AppSubscription, COEXISTENCE_FIELDS, WEBHOOK_FIELDS};

use super::{Onboarding, OnboardingError};

/// What both sides say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Whether Meta gives the app the account's webhooks.
    pub subscribed: bool,
    /// Where Meta posts them; nothing, if no address was entered.
    pub webhook_url: Option<String>,
    /// Where they ought to go.
    pub wanted_url: String,
    /// The fields that are not ticked.
    pub missing_fields: Vec<&'static str>,
    /// Whether the inbox posts its callbacks to the bridge, locked to a single conversation.
    pub inbox_points_here: bool,
}

impl Proof {
    /// Whether messages flow both ways now.
    pub fn holds(&self) -> bool {
        self.subscribed
            && self.inbox_points_here
            && self.webhook_url.as_ref() == Some(&self.wanted_url)
            && !self.missing_fields.contains(&"messages")
    }
}

impl Onboarding<'_> {
    /// Asks Graph and Chatwoot.
    pub async fn prove(
        &self,
        app: &AppAccess,
        chatwoot: &Chatwoot,
        channel: &Channel,
        token: &SecretString,
    ) -> Result<Proof, OnboardingError> {
        let graph = &self.clients.graph_api;
        let subscribed = graph.subscribed_apps(&channel.waba_id, token).await?.contains(&app.id);
        let subscription = graph.app_subscription(app).await?;
        let inbox = chatwoot.inbox(channel.inbox).await?;
        let base = self.api_url.as_str().trim_end_matches('/');
        let door = format!("{base}/callbacks/chatwoot/{}", channel.phone_number_id);
        let points_here = inbox.webhook_url.as_deref().and_then(|url| url.strip_prefix(&door));
        let points_here = points_here.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Ok(Proof {
            subscribed,
            missing_fields: missing_fields(subscription.as_ref(), channel.mode),
            webhook_url: subscription.filter(|there| there.is_active).map(|there| there.callback_url),
            wanted_url: format!("{base}/webhooks/meta"),
            inbox_points_here: points_here && inbox.lock_to_single_conversation,
        })
    }
}

/// The fields to tick that are not ticked.
pub fn missing_fields(subscription: Option<&AppSubscription>, mode: Mode) -> Vec<&'static str> {
    let none = BTreeSet::new();
    let ticked = subscription.map_or(&none, |there| &there.fields);
    let more = if mode == Mode::Coexistence { &COEXISTENCE_FIELDS[..] } else { &[] };
    WEBHOOK_FIELDS.iter().chain(more).copied().filter(|field| !ticked.contains(*field)).collect()
}
