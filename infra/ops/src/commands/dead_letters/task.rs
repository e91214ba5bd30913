//! Reads what a dead letter holds as the task it is.

use domain::{
    AccountId, ConversationId, ErasureTask, HistoryTask, Identity, InboundTask, KeyedHash, OutboundTask, PhoneNumberId,
    UserId, WaId, keyed_hash::WorkItem, task::UnreadTask,
};

use super::Of;
use crate::person::masked;

/// A task, by the queue it belongs to.
#[derive(Clone, Debug)]
pub(super) enum Task {
    Inbound(InboundTask),
    History(HistoryTask),
    Outbound(OutboundTask),
    Erasure(ErasureTask),
    /// A task of another version.
    OtherVersion(Option<UnreadTask>),
    /// No task.
    Unreadable,
}

impl Task {
    pub(super) fn read(of: Of, body: &str) -> Self {
        let read = match of {
            Of::Inbound => serde_json::from_str(body).map(Self::Inbound),
            Of::History => serde_json::from_str(body).map(Self::History),
            Of::Outbound => serde_json::from_str(body).map(Self::Outbound),
            Of::Erasure => serde_json::from_str(body).map(Self::Erasure),
        };
        read.unwrap_or_else(|_| {
            let tagged = serde_json::from_str::<serde_json::Value>(body);
            if tagged.is_ok_and(|value| value["task"].is_string()) {
                Self::OtherVersion(serde_json::from_str(body).ok())
            } else {
                Self::Unreadable
            }
        })
    }

    /// What kind of task it is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Inbound(InboundTask::MessageV1(_)) => "message",
            Self::Inbound(InboundTask::StatusV1(_)) => "status",
            Self::Inbound(InboundTask::NoticeV1(_)) => "notice",
            Self::Inbound(InboundTask::FileV1(_)) | Self::History(HistoryTask::FileV1(_)) => "file",
            Self::Inbound(InboundTask::DrainMarkerV1(_))
            | Self::History(HistoryTask::DrainMarkerV1(_))
            | Self::Outbound(OutboundTask::DrainMarkerV1(_)) => "drain_marker",
            Self::History(HistoryTask::SliceV1(_)) => "slice",
            Self::History(HistoryTask::ChunkV1(_)) => "chunk",
            Self::History(HistoryTask::NameV1(_)) => "name",
            Self::Outbound(OutboundTask::SyncRequestV1(_)) => "sync_request",
            Self::Outbound(OutboundTask::TypingV1(_)) => "typing",
            Self::Outbound(OutboundTask::CommandV1(_)) => "command",
            Self::Erasure(ErasureTask::RequestV1 { .. }) => "request",
            Self::Erasure(ErasureTask::LabelsV1(_)) => "labels",
            Self::Erasure(ErasureTask::LettersV1) => "letters",
            Self::OtherVersion(_) => "task_of_another_version",
            Self::Unreadable => "no_task",
        }
    }

    /// The number it is about.
    pub(super) fn channel(&self) -> Option<&PhoneNumberId> {
        match self {
            Self::Inbound(InboundTask::MessageV1(message)) => Some(&message.channel),
            Self::Inbound(InboundTask::StatusV1(status)) => Some(&status.channel),
            Self::Inbound(InboundTask::NoticeV1(notice)) => notice.channel.as_ref(),
            Self::Inbound(InboundTask::FileV1(file)) => Some(&file.channel),
            Self::History(task) => task.channel(),
            Self::Outbound(OutboundTask::SyncRequestV1(request)) | Self::Erasure(ErasureTask::LabelsV1(request)) => {
                Some(&request.channel)
            }
            Self::Outbound(OutboundTask::TypingV1(typing)) => Some(&typing.channel),
            Self::Outbound(OutboundTask::CommandV1(command)) => Some(&command.channel),
            Self::OtherVersion(Some(unread)) => unread.channel.as_ref(),
            Self::Inbound(InboundTask::DrainMarkerV1(_))
            | Self::Outbound(OutboundTask::DrainMarkerV1(_))
            | Self::Erasure(_)
            | Self::OtherVersion(None)
            | Self::Unreadable => None,
        }
    }

    /// The person it names.
    pub(super) fn customer(&self) -> Option<&Identity> {
        match self {
            Self::Inbound(InboundTask::MessageV1(message)) => Some(&message.customer),
            Self::Inbound(InboundTask::StatusV1(status)) => Some(&status.customer),
            Self::History(task) => task.customer(),
            _ => None,
        }
    }

    /// The conversation it names.
    pub(super) fn conversation(&self) -> Option<(AccountId, ConversationId)> {
        match self {
            Self::Outbound(task) => task.conversation(),
            Self::Erasure(ErasureTask::LabelsV1(request)) => Some((request.account, request.conversation)),
            _ => None,
        }
    }

    /// The item whose claim says whether it was done.
    pub(super) fn item(&self) -> Option<&KeyedHash<WorkItem>> {
        match self {
            Self::Inbound(InboundTask::DrainMarkerV1(_)) | Self::History(HistoryTask::DrainMarkerV1(_)) => None,
            Self::Inbound(task) => Some(task.item()),
            Self::History(task) => Some(task.item()),
            _ => None,
        }
    }

    /// The person, as far as it may be shown.
    pub(super) fn masked(&self) -> Option<String> {
        let customer = self.customer()?;
        let phone = customer.phone.as_ref().or(customer.wa_id.as_ref()).map(WaId::as_str);
        let user = customer.user_id.as_ref().map(UserId::as_str);
        phone.or(user).map(masked)
    }
}
