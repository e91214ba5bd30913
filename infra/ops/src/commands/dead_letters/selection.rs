//! Which dead letters are meant.

use clap::Args;
use deletion::OperatorCommand;
use domain::{HashKey, PhoneNumberId, RefusalReason, Timestamp};
use store::DataSubject;

use super::{Letter, MOVED_BY_SQS, Of, task::Task};
use crate::{commands::channel::number, input, stack::Stack};

/// What they are chosen by; all that is given has to hold.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Only those of this queue.
    #[arg(long, value_enum)]
    queue: Option<Of>,
    /// Only those with this reason (docs/reference.md); `moved_by_sqs` are those that SQS moved itself.
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    /// Only those about this number, by Meta's id.
    #[arg(long, value_name = "PHONE_NUMBER_ID", value_parser = number)]
    channel: Option<PhoneNumberId>,
    /// Only those about the customer with this phone.
    #[arg(long, conflicts_with = "user_id")]
    phone: Option<String>,
    /// Only those about the customer with this user id.
    #[arg(long)]
    user_id: Option<String>,
    /// Only those that came at this time or later, such as 2026-11-24T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    since: Option<Timestamp>,
    /// Only those that came before this time.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    until: Option<Timestamp>,
    /// Only these, by the ids `list` shows.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

/// A selection, and what is known of the customer it names.
pub(super) struct Wanted<'s> {
    selection: &'s Selection,
    customer: Option<(HashKey, DataSubject)>,
}

impl Selection {
    /// Whether it means all there are.
    pub(super) fn is_everything(&self) -> bool {
        let Self { queue, reason, channel, phone, user_id, since, until, ids } = self;
        let all = queue.is_none() && reason.is_none() && channel.is_none() && phone.is_none() && user_id.is_none();
        all && since.is_none() && until.is_none() && ids.is_empty()
    }

    /// The queues to look through.
    pub(super) fn queues(&self) -> Vec<Of> {
        self.queue.map_or(Of::ALL.to_vec(), |queue| vec![queue])
    }

    /// Looks up whom it names.
    pub(super) async fn wanted(&self, stack: &Stack) -> anyhow::Result<Wanted<'_>> {
        let command = match (&self.phone, &self.user_id) {
            (Some(phone), _) => OperatorCommand::Phone(phone.clone()),
            (None, Some(user_id)) => OperatorCommand::UserId(user_id.clone()),
            (None, None) => return Ok(Wanted { selection: self, customer: None }),
        };
        let Some(mut subject) = command.target()? else { return Ok(Wanted { selection: self, customer: None }) };
        stack.belongings().await?.gather(&mut subject).await?;
        Ok(Wanted { selection: self, customer: Some((stack.key().await?, subject)) })
    }
}

impl Wanted<'_> {
    /// Whether a letter is meant.
    pub(super) fn means(&self, letter: &Letter, task: &Task) -> bool {
        let Selection { reason, channel, since, until, ids, .. } = self.selection;
        let at = letter.first().since();
        reason.as_ref().is_none_or(|reason| reason == letter.reason())
            && channel.as_ref().is_none_or(|channel| task.channel() == Some(channel))
            && since.is_none_or(|since| at >= since)
            && until.is_none_or(|until| at < until)
            && (ids.is_empty() || ids.iter().any(|id| id == letter.id()))
            && self.customer.as_ref().is_none_or(|(key, subject)| is_about(task, key, subject))
    }
}

fn is_about(task: &Task, key: &HashKey, subject: &DataSubject) -> bool {
    let named = task
        .customer()
        .is_some_and(|customer| customer.aliases(key).iter().any(|alias| subject.aliases.contains(&alias.subject)));
    let theirs =
        |(account, conversation)| subject.conversations.iter().any(|(of, id, _)| (*of, *id) == (account, conversation));
    named || task.conversation().is_some_and(theirs)
}

fn reason(given: &str) -> Result<String, String> {
    if given == MOVED_BY_SQS || RefusalReason::DOCUMENTED.iter().any(|(word, _)| *word == given) {
        return Ok(given.to_owned());
    }
    let all: Vec<_> = RefusalReason::DOCUMENTED.iter().map(|(word, _)| *word).chain([MOVED_BY_SQS]).collect();
    Err(format!("there is no such reason; those there are: {}", all.join(", ")))
}
