//! Checks whether a withdrawn number is accessible again. No event tells of a new token in the channel's secret, nor of an old
//! one's end.

use std::{sync::atomic::Ordering, time::Duration};

use app::{HandlerError, has_channel_access};
use domain::{
    Channel,
    channel::{ChannelEvent, ChannelState, DisconnectReason},
};
use platform::{ChannelSecrets, Metric};

use crate::Handler;

/// How long before a token's end the operator is told.
const TOKEN_ENDING: Duration = Duration::from_secs(15 * 86_400);

/// How long before it they are told again.
const TOKEN_ENDING_SOON: Duration = Duration::from_secs(7 * 86_400);

impl Handler {
    /// Asks Graph about a number that was withdrawn. What waits for it gets its sync requests in this very round.
    pub(crate) async fn regained(&self, channel: &Channel) -> Result<(), HandlerError> {
        let ChannelState::Disconnected { why: DisconnectReason::Removed, .. } = channel.state else { return Ok(()) };
        if !has_channel_access(&self.clients, channel).await? {
            return Ok(());
        }
        let id = &channel.phone_number_id;
        let at = self.clients.clock.now().max(channel.state_at);
        if self.clients.channels.apply_event(id, ChannelEvent::Reconnected, at).await?.is_some() {
            self.clients.metrics.count(Metric::ChannelUp);
            tracing::warn!(channel.id = %id, "a number whose access had been withdrawn can send again");
        }
        Ok(())
    }

    /// Notes that this round did not go through.
    pub(crate) fn failed(&self, error: &HandlerError) {
        self.incomplete.store(true, Ordering::Relaxed);
        self.count_refusal(error);
    }

    /// Counts a token that was refused, whichever side refused it.
    pub(crate) fn count_refusal(&self, error: &HandlerError) {
        let by_graph = matches!(error, HandlerError::Graph(error) if error.is_unauthorized());
        if by_graph || error.is_unauthorized() {
            self.clients.metrics.count(Metric::TokenRefused);
        }
    }

    /// Tells of a token that ends soon. Its end stands beside it in the secret, which this round has read already.
    pub(crate) async fn look_at_token_end(&self, channel: &Channel) {
        let Ok(secrets) = self.clients.secrets.get::<ChannelSecrets>(&channel.secret).await else { return };
        let Some(end) = secrets.access_token_expires_at else { return };
        let now = self.clients.clock.now();
        if end <= now + TOKEN_ENDING_SOON {
            self.clients.metrics.count(Metric::TokenEndingSoon);
        }
        if end <= now + TOKEN_ENDING {
            self.clients.metrics.count(Metric::TokenEnding);
            tracing::warn!(channel.id = %channel.phone_number_id, "a number's token ends soon; see docs/runbook/tokens.md");
        }
    }
}
