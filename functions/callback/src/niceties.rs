//! What is no message: that an agent types or resolves, and commands. No callback of these is looked for when it is lost, but
//! for a command's, which `send` finds in the conversation.

use chatwoot::callback::{Look, Place};
use domain::{Channel, Hint, OutboundTask, Typing, Written};
use uuid::Uuid;

use crate::{Callback, Trouble};

/// The dashboard tells of typing anew after each pause; within so many seconds it is the same news.
const TYPING_EVERY: i64 = 5;

impl Callback {
    /// Queued, not called: Meta's token and its ten seconds do not belong into a function that has to answer in five.
    pub(crate) async fn typing(&self, channel: &Channel, place: &Place) -> u16 {
        let now = self.clock.now();
        if !is_of(channel, place) || !channel.shows_typing(now) {
            return 200;
        }
        let (number, account, conversation) = (channel.phone_number_id.clone(), channel.account, place.conversation);
        let dedup = format!("typing:{number}:{conversation}:{}", now.as_secs().div_euclid(TYPING_EVERY));
        let task = OutboundTask::TypingV1(Typing { channel: number, account, conversation, at: now });
        self.offer(&task, dedup).await
    }

    /// A look at the conversation, which ticks what the customer had written by now.
    pub(crate) async fn resolved(&self, channel: &Channel, place: &Place) -> u16 {
        let now = self.clock.now();
        if !is_of(channel, place) || !channel.shows_read(now) {
            return 200;
        }
        let hint = Hint::look(channel.phone_number_id.clone(), channel.account, place.conversation);
        let task = OutboundTask::HintV1(Hint { resolved_at: Some(now), ..hint });
        self.offer(&task, Uuid::new_v4().to_string()).await
    }

    /// Nobody misses a nicety that could not be queued.
    async fn offer(&self, task: &OutboundTask, dedup: String) -> u16 {
        if let Err(error) = self.put(task, dedup).await {
            tracing::info!(%error, "a receipt could not be queued; the next one does its work");
        }
        200
    }

    pub(crate) async fn command(&self, channel: &Channel, look: &Look) -> Result<u16, Trouble> {
        let written = Written {
            channel: channel.phone_number_id.clone(),
            account: look.account,
            conversation: look.conversation,
            message: look.message,
        };
        let dedup = written.dedup();
        self.put(&OutboundTask::CommandV1(written), dedup).await?;
        Ok(200)
    }
}

fn is_of(channel: &Channel, place: &Place) -> bool {
    place.inbox == channel.inbox && place.account.is_none_or(|account| account == channel.account)
}
