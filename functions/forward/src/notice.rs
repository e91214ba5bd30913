//! Handles notices: what is neither a message nor a status. A known one becomes a log line for the operator. An unknown one
//! becomes a dead letter, so that it can be inspected, and redriven once a newer version knows it.

use app::HandlerError;
use domain::{
    RefusalReason,
    task::{AccountNotice, NoticeSubject},
};
use queue::Record;
use store::ItemOutcome;

use crate::Handler;

impl Handler {
    pub(crate) async fn notice(&self, record: &Record, notice: &AccountNotice) -> Result<(), HandlerError> {
        let channel = notice.counted_under();
        let Some(before) = self.claim(record, channel, &notice.item).await? else { return Ok(()) };
        let fate = match notice.about {
            NoticeSubject::Account => {
                self.account(record, notice).await?;
                ItemOutcome::Done
            }
            NoticeSubject::Ignored => ItemOutcome::Refused(RefusalReason::NotForUs),
            NoticeSubject::UnknownStatus => {
                tracing::warn!(
                    channel.id = channel,
                    "Meta reports a status of a message that this version does not know"
                );
                ItemOutcome::Refused(RefusalReason::UnknownStatus)
            }
            NoticeSubject::OtherStatus => ItemOutcome::Refused(RefusalReason::NotAboutAMessage),
            NoticeSubject::OwnNote => ItemOutcome::Refused(RefusalReason::NoteToOneself),
            NoticeSubject::UnknownField => {
                return self.dead_letter(record, channel, Some(&before.held), RefusalReason::UnknownField).await;
            }
            NoticeSubject::Unreadable => {
                return self.dead_letter(record, channel, Some(&before.held), RefusalReason::UnreadableItem).await;
            }
        };
        Ok(self.clients.ledger.close(channel, &before.held, fate).await?)
    }
}
