//! Handles notices: what is neither a message nor a status. A known one becomes a log line for the operator. An unknown one
//! becomes a dead letter, so that it can be inspected, and redriven once a newer version knows it.

use app::HandlerError;
use domain::{
    RefusalReason,
    task::{AccountNotice, NoticeSubject},
};
use queue::Record;
use store::ItemOutcome;

use crate::{Handler, account, attempt::Attempt};

/// Handles a notice that the erasure guard let in; `record` is what may be kept of it.
pub(crate) async fn handle(handler: &Handler, record: &Record, notice: &AccountNotice) -> Result<(), HandlerError> {
    let channel = notice.counted_under();
    let Some(attempt) = Attempt::claim(handler, record, channel, &notice.item).await? else { return Ok(()) };
    let outcome = match notice.about {
        NoticeSubject::Account => {
            account::apply(handler, record, notice).await?;
            ItemOutcome::Done
        }
        NoticeSubject::Ignored => ItemOutcome::Refused(RefusalReason::NotForUs),
        NoticeSubject::UnknownStatus => {
            tracing::warn!(channel.id = channel, "Meta reports a status of a message that this version does not know");
            ItemOutcome::Refused(RefusalReason::UnknownStatus)
        }
        NoticeSubject::OtherStatus => ItemOutcome::Refused(RefusalReason::NotAboutAMessage),
        NoticeSubject::OwnNote => ItemOutcome::Refused(RefusalReason::NoteToOneself),
        NoticeSubject::UnknownField => return attempt.dead_letter(RefusalReason::UnknownField).await,
        NoticeSubject::Unreadable => return attempt.dead_letter(RefusalReason::UnreadableItem).await,
    };
    attempt.close(outcome).await
}
