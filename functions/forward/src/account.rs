//! Handles Meta's notices about accounts and numbers. Each becomes a log line and a metric for the operator, and changes
//! the channel's state where it says so. Messages to customers wait while a number cannot send, and go on when it can
//! again.

use app::{HandlerError, has_channel_access, sync_requests, sync_templates};
use domain::{
    Channel, Timestamp,
    channel::{ChannelEvent, DisconnectReason},
    task::AccountNotice,
};
use platform::Metric;
use queue::Record;
use store::{PastAsked, Signups};
use whatsapp::account::{self, AccountChange, AccountEvent};

use crate::Handler;

/// Fields of notices that change which templates agents can choose.
const TEMPLATE_FIELDS: [&str; 3] =
    ["message_template_status_update", "message_template_components_update", "template_category_update"];

/// What a notice says about one channel.
struct ChannelNotice<'a> {
    handler: &'a Handler,
    notice: &'a AccountNotice,
    event: &'a AccountEvent,
    channel: &'a Channel,
}

/// Handles a notice about an account. Doing it again changes nothing.
pub(crate) async fn apply(handler: &Handler, record: &Record, notice: &AccountNotice) -> Result<(), HandlerError> {
    let field = known(&notice.field);
    let Some(event) = account::read(notice) else {
        handler.metrics.count(Metric::AccountEvent);
        tracing::warn!(field, "Meta reports something about the account");
        return Ok(());
    };
    let at = notice.at.unwrap_or(record.sent_at);
    let channels = event.channels(handler.clients.channels.all().await?);
    if let (AccountChange::PartnerAdded, Some(account)) = (event.change, event.account()) {
        // A signup whose page was told nothing finds its account by this.
        Signups::new(handler.clients.table.clone()).hint(account).await?;
    }
    if channels.is_empty() {
        let (event, detail) = (event.event.as_str(), event.detail.as_str());
        tracing::warn!(field, event, detail, "Meta reports something about an account without a channel here");
    }
    for channel in &channels {
        tell_operator(field, &event, channel);
        let about = ChannelNotice { handler, notice, event: &event, channel };
        if TEMPLATE_FIELDS.contains(&field) {
            about.sync_templates().await;
        }
        if let Some(event) = about.channel_event().await? {
            about.change(event, at).await?;
        }
    }
    handler.metrics.count(Metric::AccountEvent);
    if event.urgent {
        handler.metrics.count(Metric::AccountTrouble);
    }
    Ok(())
}

impl ChannelNotice<'_> {
    /// Updates the templates agents can choose. If that fails now, the next round of `reconcile` does it.
    async fn sync_templates(&self) {
        if let Err(error) = sync_templates(&self.handler.clients, self.channel).await {
            tracing::warn!(%error, channel.id = %self.channel.phone_number_id, "an inbox offers other templates only after the next round");
        }
    }

    /// Finds out what really happened. A notice that a partner left or came does not say which partner, so Graph is asked
    /// (§2.6).
    async fn channel_event(&self) -> Result<Option<ChannelEvent>, HandlerError> {
        let change = self.event.change;
        Ok(match change {
            AccountChange::To(event) => Some(event),
            AccountChange::Left | AccountChange::PartnerAdded
                if has_channel_access(&self.handler.clients, self.channel).await? =>
            {
                Some(ChannelEvent::Reconnected)
            }
            AccountChange::Left => {
                // If it joins again, its phone may be asked for its past again.
                PastAsked::new(self.handler.clients.table.clone()).forget(&self.channel.phone_number_id).await?;
                Some(ChannelEvent::Cut(DisconnectReason::Removed))
            }
            AccountChange::PartnerAdded | AccountChange::Nothing => None,
        })
    }

    async fn change(&self, event: ChannelEvent, at: Timestamp) -> Result<(), HandlerError> {
        let Handler { clients, metrics, .. } = self.handler;
        let id = &self.channel.phone_number_id;
        let Some((before, after)) = clients.channels.apply_event(id, event, at).await? else {
            tracing::info!(channel.id = %id, "an event about the account came too late to change anything");
            return Ok(());
        };
        let now = clients.clock.now();
        if before.state != after.state {
            let (from, state) = (before.state.word(), after.state.word());
            match (before.hold(now).is_some(), after.hold(now).is_some()) {
                (false, true) => {
                    metrics.count(Metric::ChannelDown);
                    tracing::error!(channel.id = %id, from, state, "a number cannot send; see docs/runbook/channel-down.md");
                }
                (true, false) => {
                    metrics.count(Metric::ChannelUp);
                    tracing::warn!(channel.id = %id, from, state, "a number can send again");
                }
                _ => tracing::warn!(channel.id = %id, from, state, "the state of a number changed"),
            }
        }
        // Also done when the channel was live before: the attempt that stored the change may have crashed before it queued
        // the sync requests.
        if matches!(event, ChannelEvent::Reconnected | ChannelEvent::Reinstated) && after.hold(now).is_none() {
            self.request_syncs().await?;
        }
        Ok(())
    }

    /// Queues a sync request for every conversation that waits.
    async fn request_syncs(&self) -> Result<(), HandlerError> {
        let cause = self.notice.item.to_string();
        let messages = sync_requests(&self.handler.clients, &self.channel.phone_number_id, &cause).await?;
        Ok(self.handler.outbound.send_all(messages).await?)
    }
}

fn tell_operator(field: &str, about: &AccountEvent, channel: &Channel) {
    let (event, detail) = (about.event.as_str(), about.detail.as_str());
    let id = &channel.phone_number_id;
    if about.urgent {
        tracing::error!(channel.id = %id, field, event, detail, "Meta reports trouble with the account");
    } else {
        tracing::warn!(channel.id = %id, field, event, detail, "Meta reports something about the account");
    }
}

/// A field's name comes from outside; only one that looks like a field name goes into a log.
fn known(field: &str) -> &str {
    let plain = field.len() <= 64 && field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain { field } else { "?" }
}
