//! Numbers whose access was withdrawn: perhaps they are ours again, and nobody said so. A new token in the channel's secret
//! makes no event.

use app::{BridgeError, is_ours};
use domain::{
    Channel,
    channel::{Cut, Happening, State},
};
use platform::Metric;

use crate::Reconcile;

impl Reconcile {
    /// Asks Graph about a number that was withdrawn. What waits for it gets its hints in this very round.
    pub(crate) async fn regained(&self, channel: &Channel) -> Result<(), BridgeError> {
        let State::Disconnected { why: Cut::Removed, .. } = channel.state else { return Ok(()) };
        if !is_ours(&self.clients, channel).await? {
            return Ok(());
        }
        let id = &channel.phone_number_id;
        let at = self.clients.clock.now().max(channel.state_at);
        if self.clients.channels.happened(id, Happening::Reconnected, at).await?.is_some() {
            self.metrics.count(Metric::ChannelUp);
            tracing::warn!(channel.id = %id, "a number whose access had been withdrawn can send again");
        }
        Ok(())
    }
}
