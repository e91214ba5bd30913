//! Tasks are what the queues carry: versioned, tagged JSON. So a deploy never meets a body it cannot read.

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, ConfirmationCode, ConversationId, KeyedHash, Message, MessageGroup, MessageId, PhoneNumberId,
    StatusUpdate, Timestamp, WabaId, keyed_hash::WorkItem, template::Picked,
};

/// Days after which nothing waits in a queue any more: what is still counted as waiting then is lost.
pub const QUEUES_KEEP_DAYS: i64 = 14;

/// A task on `inbound.fifo`: one item of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum InboundTask {
    /// A customer's message or an echo from the shop's phone.
    MessageV1(Box<Message>),
    /// How far a message of ours came.
    StatusV1(StatusUpdate),
    /// Something about the account or the number, or something we do not know.
    NoticeV1(AccountNotice),
    /// A file of an earlier message that could not be fetched then: ask for it again. `reconcile` makes this task; it is no
    /// item of Meta's.
    FileV1(MediaRetry),
    /// A drain marker: an erasure puts it last into a message group. Once it comes out, nothing older is left there.
    DrainMarkerV1(DrainMarker),
}

/// The erasure that waits for a message group, and that group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainMarker {
    /// Stands for the drain marker where a task needs an item.
    pub item: KeyedHash<WorkItem>,
    /// The erasure.
    pub code: ConfirmationCode,
    /// The message group it was put into.
    pub group: MessageGroup,
}

/// A task on `erasure.fifo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum ErasureTask {
    /// Continue this request.
    RequestV1 {
        /// Which.
        code: ConfirmationCode,
    },
    /// The labels of a conversation changed: an agent may have asked for an erasure, or withdrawn it.
    LabelsV1(SyncRequest),
    /// Delete the dead letters that an erasure put back and whose retention is over.
    LettersV1,
}

impl ErasureTask {
    /// The message group that keeps its order: one request, one conversation, or all dead letters.
    pub fn group(&self) -> MessageGroup {
        match self {
            Self::RequestV1 { code } => MessageGroup::Erasure(code.clone()),
            Self::LabelsV1(request) => MessageGroup::Labels(request.account, request.conversation),
            Self::LettersV1 => MessageGroup::OverdueDeadLetters,
        }
    }
}

/// The channel under which items are counted that name no number.
pub const ACCOUNT_CHANNEL: &str = "account";

fn counted_under(channel: Option<&PhoneNumberId>) -> &str {
    channel.map_or(ACCOUNT_CHANNEL, PhoneNumberId::as_str)
}

impl InboundTask {
    /// What is claimed for it.
    pub fn item(&self) -> &KeyedHash<WorkItem> {
        match self {
            Self::MessageV1(message) => &message.item,
            Self::StatusV1(status) => &status.item,
            Self::NoticeV1(notice) => &notice.item,
            Self::FileV1(file) => &file.item,
            Self::DrainMarkerV1(marker) => &marker.item,
        }
    }

    /// The channel it is counted under.
    pub fn channel(&self) -> &str {
        match self {
            Self::MessageV1(message) => message.channel.as_str(),
            Self::StatusV1(status) => status.channel.as_str(),
            Self::NoticeV1(notice) => notice.counted_under(),
            Self::FileV1(file) => file.channel.as_str(),
            Self::DrainMarkerV1(_) => ACCOUNT_CHANNEL,
        }
    }
}

/// The file to ask for again. The table holds the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRetry {
    /// The number its message came to.
    pub channel: PhoneNumberId,
    /// The item of its message.
    pub item: KeyedHash<WorkItem>,
}

/// The part of an inbound task that every version has: enough to count a task that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnreadTask {
    /// What is claimed for it.
    pub item: KeyedHash<WorkItem>,
    /// The number it came to, where it says so.
    #[serde(default)]
    pub channel: Option<PhoneNumberId>,
}

impl UnreadTask {
    /// The channel it is counted under.
    pub fn channel(&self) -> &str {
        counted_under(self.channel.as_ref())
    }
}

/// An item that is neither a message nor a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountNotice {
    /// The keyed hash of the item.
    pub item: KeyedHash<WorkItem>,
    /// The number it is about, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<PhoneNumberId>,
    /// The webhook field it came under.
    pub field: String,
    /// What kind of notice it is.
    pub about: NoticeSubject,
    /// The item as Meta wrote it.
    pub raw: String,
    /// The account its entry names; a partner's portfolio on some events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waba: Option<WabaId>,
    /// When it happened, where the entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl AccountNotice {
    /// The channel it is counted under.
    pub fn counted_under(&self) -> &str {
        counted_under(self.channel.as_ref())
    }
}

/// The kind of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeSubject {
    /// A field we know: the operator gets a line.
    Account,
    /// Not meant for us: the App Dashboard's test sample, or another product of the same app.
    Ignored,
    /// A status with a word we do not know: it tells nothing about a message.
    UnknownStatus,
    /// A status of a payment or of something else that is no message.
    OtherStatus,
    /// A message the business wrote to its own number, or an event about that number itself.
    OwnNote,
    /// A field we do not know, or do not handle: kept in the dead letters.
    UnknownField,
    /// An item whose shape tells nothing: no person, no message.
    Unreadable,
}

/// A task on `outbound.fifo`: a sync request says that a conversation may have something to send. It carries no content, except
/// the values of a template, which only the callback tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum OutboundTask {
    /// Sync this conversation.
    SyncRequestV1(SyncRequest),
    /// An agent is typing.
    TypingV1(Typing),
    /// An agent wrote a command.
    CommandV1(CommandNote),
    /// A drain marker that an erasure puts into a message group.
    DrainMarkerV1(DrainMarker),
}

impl OutboundTask {
    /// The conversation it is about; a drain marker is about none.
    pub fn conversation(&self) -> Option<(AccountId, ConversationId)> {
        match self {
            Self::SyncRequestV1(request) => Some((request.account, request.conversation)),
            Self::TypingV1(typing) => Some((typing.account, typing.conversation)),
            Self::CommandV1(command) => Some((command.account, command.conversation)),
            Self::DrainMarkerV1(_) => None,
        }
    }

    /// The message group in which it keeps its order: one conversation. Tasks that are no messages have a message group of
    /// their own beside it: messages must not wait for them, nor they for messages.
    pub fn group(&self) -> MessageGroup {
        match self {
            Self::SyncRequestV1(request) => MessageGroup::Conversation(request.channel.clone(), request.conversation),
            Self::TypingV1(typing) => MessageGroup::Typing(typing.channel.clone(), typing.conversation),
            Self::CommandV1(command) => MessageGroup::Commands(command.channel.clone(), command.conversation),
            Self::DrainMarkerV1(marker) => marker.group.clone(),
        }
    }
}

/// Where an agent is typing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The number the conversation belongs to.
    pub channel: PhoneNumberId,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation in it.
    pub conversation: ConversationId,
    /// When that was.
    pub at: Timestamp,
}

/// The note that holds a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandNote {
    /// The number the conversation belongs to.
    pub channel: PhoneNumberId,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation in it.
    pub conversation: ConversationId,
    /// The note. Its text stays in Chatwoot.
    pub message: MessageId,
}

impl CommandNote {
    /// One note is one command, whichever event reports it.
    pub fn dedup(&self) -> String {
        format!("command:{}:{}", self.account, self.message)
    }
}

/// Which conversation to sync, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// The number the conversation belongs to.
    pub channel: PhoneNumberId,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation in it.
    pub conversation: ConversationId,
    /// A message that is a template. Only the callback says so; Chatwoot's list does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<MessageId>,
    /// What was picked in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picked: Option<Box<Picked>>,
    /// The message a callback told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// A message that Chatwoot marked failed because its callback failed, and that does not have to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red: Option<MessageId>,
    /// The link of the survey it is. Only the callback says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<String>,
    /// When an agent resolved the conversation, if that is what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Since when Chatwoot has not shown what happened in the channel, if that is so: what was written meanwhile is not late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_since: Option<Timestamp>,
}

impl SyncRequest {
    /// A request to sync a conversation.
    pub fn new(channel: PhoneNumberId, account: AccountId, conversation: ConversationId) -> Self {
        Self {
            channel,
            account,
            conversation,
            template: None,
            picked: None,
            message: None,
            red: None,
            survey: None,
            resolved_at: None,
            unseen_since: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;

    #[test]
    fn what_was_picked_comes_out_of_the_queue_as_it_went_in() {
        let picked = Picked {
            name: "x".to_owned(),
            body: [("1".to_owned(), "Ana".to_owned())].into(),
            buttons: vec![None, Some("8".to_owned())],
            ..Picked::default()
        };
        let request = SyncRequest::new(PhoneNumberId::new("1"), AccountId(3), ConversationId(4));
        let task = OutboundTask::SyncRequestV1(SyncRequest {
            template: Some(MessageId(5)),
            picked: Some(Box::new(picked)),
            ..request
        });
        assert_eq!(serde_json::from_str::<OutboundTask>(&serde_json::to_string(&task).unwrap()).unwrap(), task);
    }

    #[test]
    fn what_an_older_version_queued_is_still_read() {
        let contents = [
            r#"{"kind":"choice","title":"Sí","id":null}"#,
            r#"{"kind":"form","fields":[["a",{"text":"b"}]]}"#,
            r#"{"kind":"order","text":null,"lines":[]}"#,
            r#"{"kind":"number_changed","what":"user_changed_number"}"#,
            r#"{"kind":"call","event":"terminate COMPLETED"}"#,
            r#"{"kind":"preference","value":"stop"}"#,
            r#"{"kind":"contacts","cards":[{"name":"Eva","phones":[],"emails":[],"company":null}]}"#,
            r#"{"kind":"edit","original":"wamid.X","content":{"kind":"text","body":"hola"}}"#,
        ];
        for content in contents {
            let body = format!(
                r#"{{"task":"message_v1","channel":"1","item":"i","author":"customer","customer":{{}},"sent_at":1,"content":{content}}}"#
            );
            let task: InboundTask = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{content}: {error}"));
            let InboundTask::MessageV1(message) = &task else { panic!("{content}") };
            assert!(!matches!(message.content, Content::Unsupported { .. }));
            assert_eq!(serde_json::from_str::<InboundTask>(&serde_json::to_string(&task).unwrap()).unwrap(), task);
        }
    }
}
