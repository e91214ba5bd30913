//! Says what would become of a dead letter that is put back.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    AccountId, Channel, ConversationId, ErasureTask, HistoryTask, Identity, InboundTask, OutboundTask, PhoneNumberId,
    RefusalReason, Timestamp,
};
use store::{Channels, Claims, Conversations, CustomerStore, ErasureCheck, ErasureLedger, Reach, Tombstones};

use super::{Letter, task::Task};
use crate::stack::Stack;

/// What would become of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outlook {
    /// It is worked on like any task: shown in Chatwoot, sent, continued.
    Goes,
    /// It was done already: nothing happens.
    Duplicate,
    /// Its person was erased since: it is dropped.
    Erased,
    /// Its person is being erased: it waits for the end.
    Waits,
    /// Its number is paused: it waits for `resume`.
    Paused,
    /// The customer last wrote more than a day ago: free text turns red, with the reason; templates go.
    WindowClosed,
    /// The same reason would bring it back at once: it stays.
    ComesBack,
    /// It holds no task: it stays.
    NoTask,
}

impl Outlook {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Goes => "goes",
            Self::Duplicate => "duplicate",
            Self::Erased => "erased",
            Self::Waits => "waits",
            Self::Paused => "paused",
            Self::WindowClosed => "window_closed",
            Self::ComesBack => "comes_back",
            Self::NoTask => "no_task",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Goes => "worked on like any task",
            Self::Duplicate => "done already, nothing happens",
            Self::Erased => "of persons erased since, dropped",
            Self::Waits => "wait until the erasure of their person is done",
            Self::Paused => "wait until their number goes on",
            Self::WindowClosed => "free text turns red: the customer last wrote more than a day ago",
            Self::ComesBack => "would come back for the same reason, and stay",
            Self::NoTask => "hold no task, and stay",
        }
    }

    /// Whether it is put back.
    pub(super) const fn is_put_back(self) -> bool {
        !matches!(self, Self::ComesBack | Self::NoTask)
    }
}

/// What outlooks are read from.
pub(super) struct Outlooks {
    numbers: BTreeMap<PhoneNumberId, Arc<Channel>>,
    claims: Claims,
    tombstones: Tombstones,
    customers: CustomerStore,
    conversations: Conversations,
    erasures: ErasureLedger,
    now: Timestamp,
}

impl Outlooks {
    pub(super) async fn new(stack: &Stack) -> anyhow::Result<Self> {
        let (table, key) = (stack.table(), stack.key().await?);
        let numbers = Channels::new(table.clone()).all().await?;
        Ok(Self {
            numbers: numbers.into_iter().map(|one| (one.phone_number_id.clone(), Arc::new(one))).collect(),
            claims: Claims::new(table.clone()),
            tombstones: Tombstones::new(table.clone(), key.clone()),
            customers: CustomerStore::new(table.clone(), key),
            conversations: Conversations::new(table.clone()),
            erasures: ErasureLedger::new(table),
            now: stack.clock().now(),
        })
    }

    /// Of one letter.
    pub(super) async fn of(&self, letter: &Letter, task: &Task) -> anyhow::Result<Outlook> {
        if let Some(item) = task.item()
            && self.claims.is_repeat(item).await?
        {
            return Ok(Outlook::Duplicate);
        }
        match task {
            Task::Inbound(task) => self.inbound(letter, task).await,
            Task::History(task) => self.history(task).await,
            Task::Outbound(task) => self.outbound(task).await,
            Task::Erasure(ErasureTask::RequestV1 { code }) => {
                let entry = self.erasures.get(code).await?;
                Ok(match entry {
                    Some(entry) if entry.erasure.is_closed() => Outlook::Duplicate,
                    Some(_) => Outlook::Goes,
                    None => Outlook::ComesBack,
                })
            }
            Task::Erasure(ErasureTask::LabelsV1(_) | ErasureTask::LettersV1) => Ok(Outlook::Goes),
            Task::OtherVersion(_) => Ok(Outlook::ComesBack),
            Task::Unreadable => Ok(Outlook::NoTask),
        }
    }

    async fn inbound(&self, letter: &Letter, task: &InboundTask) -> anyhow::Result<Outlook> {
        match task {
            InboundTask::MessageV1(message) => {
                let Some(number) = self.numbers.get(&message.channel) else { return Ok(Outlook::ComesBack) };
                let erased = self.erased(number.account, &message.customer, message.sent_at).await?;
                Ok(erased.unwrap_or(if number.paused_incoming { Outlook::Paused } else { Outlook::Goes }))
            }
            InboundTask::StatusV1(status) => {
                let Some(number) = self.numbers.get(&status.channel) else { return Ok(Outlook::Goes) };
                Ok(match self.erased(number.account, &status.customer, status.at).await? {
                    // A tick does not wait.
                    Some(_) => Outlook::Erased,
                    None => Outlook::Goes,
                })
            }
            InboundTask::NoticeV1(_) => {
                let lasts = [RefusalReason::UnknownField.word(), RefusalReason::UnreadableItem.word()];
                Ok(if lasts.contains(&letter.reason()) { Outlook::ComesBack } else { Outlook::Goes })
            }
            InboundTask::FileV1(_) | InboundTask::DrainMarkerV1(_) => Ok(Outlook::Goes),
        }
    }

    async fn history(&self, task: &HistoryTask) -> anyhow::Result<Outlook> {
        let Some(channel) = task.channel() else { return Ok(Outlook::Goes) };
        let Some(number) = self.numbers.get(channel) else { return Ok(Outlook::ComesBack) };
        let Some(customer) = task.customer() else { return Ok(Outlook::Goes) };
        // Whatever an erasure covers of a past, the rest of the slice goes on.
        Ok(match self.tombstones.check_past(number.account, customer, self.now).await? {
            ErasureCheck::NotYet(_) => Outlook::Waits,
            ErasureCheck::No | ErasureCheck::Erased(_) => Outlook::Goes,
        })
    }

    async fn outbound(&self, task: &OutboundTask) -> anyhow::Result<Outlook> {
        let channel = match task {
            OutboundTask::SyncRequestV1(request) => &request.channel,
            OutboundTask::CommandV1(command) => &command.channel,
            // Late typing is shown to no customer.
            OutboundTask::TypingV1(_) | OutboundTask::DrainMarkerV1(_) => return Ok(Outlook::Goes),
        };
        let Some((account, conversation)) = task.conversation() else { return Ok(Outlook::Goes) };
        let Some(number) = self.numbers.get(channel) else { return Ok(Outlook::ComesBack) };
        if number.paused {
            return Ok(Outlook::Paused);
        }
        self.reached(channel, account, conversation).await
    }

    async fn reached(
        &self,
        channel: &PhoneNumberId,
        account: AccountId,
        conversation: ConversationId,
    ) -> anyhow::Result<Outlook> {
        // One that nobody knows was opened by an agent, and is looked up in Chatwoot.
        let known = self.conversations.get(account, conversation).await?;
        let Some(customer) = known.and_then(|known| known.customer) else { return Ok(Outlook::Goes) };
        Ok(match self.customers.reach(account, &customer, channel).await? {
            Reach::At(thread) if thread.window.is_open(self.now) => Outlook::Goes,
            Reach::At(_) | Reach::Unheard | Reach::Lost => Outlook::WindowClosed,
        })
    }

    async fn erased(&self, account: AccountId, customer: &Identity, at: Timestamp) -> anyhow::Result<Option<Outlook>> {
        Ok(match self.tombstones.check(account, customer, at).await?.0 {
            ErasureCheck::No => None,
            ErasureCheck::Erased(_) => Some(Outlook::Erased),
            ErasureCheck::NotYet(_) => Some(Outlook::Waits),
        })
    }
}
