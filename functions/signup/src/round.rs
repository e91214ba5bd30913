//! Takes up what a closed laptop left behind, and looks at every number's token once a day.

use std::time::Duration;

use app::HandlerError;
use domain::{
    Channel, Timestamp,
    channel::{ChannelEvent, ChannelState, DisconnectReason},
};
use platform::Metric;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use store::Signups;

use crate::Handler;

/// How long a round begins what it has to do: the function ends after 25 s, and a step may take 15.
pub(crate) const TIME: Duration = Duration::from_secs(10);

/// How long a signup may stand still before the operator is told.
const STANDING: Duration = Duration::from_secs(2 * 3600);

/// How often a token is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(86_400);

/// How many tokens a round looks at.
const MAX_CHECKS: usize = 20;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoundReport {
    /// Signups that were taken up.
    pub taken_up: usize,
    /// Signups that have stood still for too long.
    pub standing: u64,
    /// Tokens that were looked at.
    pub checked: usize,
}

impl Handler {
    /// Makes one round.
    pub async fn round(&self, until: Timestamp) -> Result<RoundReport, HandlerError> {
        let mut report = RoundReport::default();
        for signup in self.signups.due().await? {
            if self.clients.clock.now() >= until {
                break;
            }
            report.taken_up += 1;
            if let Err(error) = Box::pin(self.walk(signup, until)).await {
                tracing::warn!(%error, "a signup has to wait for the next round");
            }
        }
        let all = self.signups.all().await?;
        let now = self.clients.clock.now();
        report.standing = Signups::standing(&all, STANDING, now);
        if report.standing > 0 {
            tracing::error!(signups = report.standing, page = "docs/runbook/signup.md", "signups stand still");
        }
        self.clients.metrics.measure(Metric::SignupStanding, report.standing);
        report.checked = self.look_at_tokens(until).await?;
        self.clients.metrics.emit();
        Ok(report)
    }

    async fn look_at_tokens(&self, until: Timestamp) -> Result<usize, HandlerError> {
        let mut checked = 0;
        for channel in self.clients.channels.all().await? {
            let now = self.clients.clock.now();
            if checked >= MAX_CHECKS || now >= until {
                break;
            }
            let last = self.signups.checked_at(&channel.phone_number_id).await?;
            if last.is_some_and(|last| now.since(last) < CHECK_INTERVAL) {
                continue;
            }
            checked += 1;
            if let Err(error) = Box::pin(self.look_at_token(&channel)).await {
                tracing::warn!(%error, channel.id = %channel.phone_number_id, "a token could not be looked at");
                continue;
            }
            self.signups.checked(&channel.phone_number_id).await?;
        }
        Ok(checked)
    }

    /// Asks Meta about a token: whether it is good still, and when it ends. No webhook tells of either.
    async fn look_at_token(&self, channel: &Channel) -> Result<(), HandlerError> {
        let Some(mut stored) = self.secrets.read(&channel.secret).await? else { return Ok(()) };
        let Some(token) = stored.get("access_token").and_then(Value::as_str).map(SecretString::from) else {
            return Ok(());
        };
        let info = self.clients.graph_api.debug_token(&self.access().await?, &token).await?;
        let id = &channel.phone_number_id;
        let now = self.clients.clock.now();
        let is_over = !info.is_valid || info.expires_at.is_some_and(|end| end <= now);
        if is_over {
            // A signup may have brought a new one while Meta was asked about the old one.
            if self.secrets.read(&channel.secret).await?.as_ref() != Some(&stored) {
                return Ok(());
            }
            self.clients.metrics.count(Metric::TokenRefused);
            tracing::error!(
                channel.id = %id, page = "docs/runbook/tokens.md",
                "a number's token is not valid any more; `ops signup link --reconnect` makes a link for its owner"
            );
            if channel.state == ChannelState::Live {
                let event = ChannelEvent::Cut(DisconnectReason::Removed);
                self.clients.channels.apply_event(id, event, now.max(channel.state_at)).await?;
                self.clients.metrics.count(Metric::ChannelDown);
            }
            return Ok(());
        }
        let known = stored.get("access_token_expires_at").and_then(Value::as_i64).filter(|end| *end > 0);
        let told = info.expires_at.map(Timestamp::as_secs);
        if told.is_some() && told != known {
            // Written only over the token that was looked at.
            let there = self.secrets.read(&channel.secret).await?;
            if there.as_ref() == Some(&stored) {
                stored.insert("access_token_expires_at".to_owned(), told.into());
                self.secrets.write(&channel.secret, &stored).await?;
            }
        }
        Ok(())
    }
}
