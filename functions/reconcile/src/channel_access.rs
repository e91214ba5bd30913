//! Checks whether a withdrawn number is accessible again. No event tells of a new token in the channel's secret.

use app::{HandlerError, has_channel_access};
use domain::{
    Channel,
    channel::{ChannelEvent, ChannelState, DisconnectReason},
};
use platform::Metric;

use crate::Handler;

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
            self.metrics.count(Metric::ChannelUp);
            tracing::warn!(channel.id = %id, "a number whose access had been withdrawn can send again");
        }
        Ok(())
    }
}
