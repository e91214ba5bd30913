//! What is no message and no status. What we know becomes a line for the operator, what we do not know a dead letter, so
//! that it can be looked at, and put back once a newer version knows it.

use app::BridgeError;
use domain::task::{About, Notice};
use queue::Record;
use store::Fate;

use crate::Forward;

/// The fate of what the business wrote to its own number.
pub(crate) const OWN_NOTE: &str = "note_to_oneself";

impl Forward {
    pub(crate) async fn notice(&self, record: &Record, notice: &Notice) -> Result<(), BridgeError> {
        let channel = notice.counted_under();
        let Some(before) = self.claim(record, channel, &notice.item).await? else { return Ok(()) };
        let fate = match notice.about {
            About::Account => {
                self.account(record, notice).await?;
                Fate::Done
            }
            About::Ignored => Fate::Refused("not_for_us"),
            About::UnknownStatus => {
                tracing::warn!(
                    channel.id = channel,
                    "Meta reports a status of a message that this version does not know"
                );
                Fate::Refused("unknown_status")
            }
            About::OtherStatus => Fate::Refused("not_about_a_message"),
            About::OwnNote => Fate::Refused(OWN_NOTE),
            About::UnknownField => return self.bury(record, channel, Some(&before.held), "unknown_field").await,
            About::Unreadable => return self.bury(record, channel, Some(&before.held), "unreadable_item").await,
        };
        Ok(self.clients.counters.close(channel, &before.held, fate).await?)
    }
}
