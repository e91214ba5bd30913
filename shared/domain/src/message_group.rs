//! Names the message groups of the queues, and reads the names.
//! Tasks of one group are worked on in order, one at a time. A group's name holds no more of a person than a keyed hash.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, ConfirmationCode, ConversationId, KeyedHash, PhoneNumberId, WabaId, Wamid,
    keyed_hash::{Person, WorkItem},
    task::ACCOUNT_CHANNEL,
};

/// A message group. Each name that SQS tells is that of one group, and is written again as it was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum MessageGroup {
    /// `inbound.fifo`: what a person writes to a number.
    Person(PhoneNumberId, KeyedHash<Person>),
    /// `inbound.fifo`: the statuses of one message. A status that cannot be shown must not hold up what the customer writes.
    Statuses(PhoneNumberId, KeyedHash<Wamid>),
    /// `inbound.fifo`: notices about a number.
    Number(PhoneNumberId),
    /// `inbound.fifo`: notices about an account.
    Account(WabaId),
    /// `history.fifo`: one slice of a person's past, or one file of it. No slice waits for another in the queue.
    Past(PhoneNumberId, KeyedHash<Person>, KeyedHash<WorkItem>),
    /// `history.fifo`: what the phone's contact book says of a person.
    ContactBook(PhoneNumberId, KeyedHash<Person>),
    /// `history.fifo`: how far Meta's transfer is.
    Transfer(PhoneNumberId),
    /// `outbound.fifo`: the sync requests of a conversation.
    Conversation(PhoneNumberId, ConversationId),
    /// `outbound.fifo`: that an agent is typing. Messages must not wait for it, nor it for messages.
    Typing(PhoneNumberId, ConversationId),
    /// `outbound.fifo`: agents' commands, likewise.
    Commands(PhoneNumberId, ConversationId),
    /// `erasure.fifo`: one request.
    Erasure(ConfirmationCode),
    /// `erasure.fifo`: the end of the time in which a request can be withdrawn. It must not hold up what confirms the request.
    ErasureGrace(ConfirmationCode),
    /// `erasure.fifo`: the labels of a conversation.
    Labels(AccountId, ConversationId),
    /// `erasure.fifo`: the dead letters that were put back and are past their time.
    OverdueDeadLetters,
    /// A dead-letter queue: one body that could not be read. In a shared group the first ten would hide the others from a
    /// search for a person.
    UnreadableBody(String),
    /// A dead-letter queue: one dead letter that an erasure put back, behind no other.
    KeptDeadLetter(String),
}

const TYPING: &str = "typing";
const COMMANDS: &str = "commands";
const STATUSES: &str = "statuses";
const PAST: &str = "past";
const BOOK: &str = "book";
const TRANSFER: &str = "transfer";
const GRACE: &str = "grace";
const LABELS: &str = "labels";
const OVERDUE_LETTERS: &str = "letters";
const UNREADABLE_BODY: &str = "unreadable";
const KEPT_LETTER: &str = "kept";

impl MessageGroup {
    /// Whether it never holds more than one message.
    pub fn has_one_message(&self) -> bool {
        matches!(self, Self::UnreadableBody(_) | Self::KeptDeadLetter(_))
    }
}

impl fmt::Display for MessageGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(number, person) => write!(f, "{number}#{person}"),
            Self::Statuses(number, message) => write!(f, "{number}#{message}#{STATUSES}"),
            Self::Number(number) => write!(f, "{number}#{ACCOUNT_CHANNEL}"),
            Self::Account(account) => write!(f, "{ACCOUNT_CHANNEL}#{account}"),
            Self::Past(number, person, slice) => write!(f, "{number}#{person}#{slice}#{PAST}"),
            Self::ContactBook(number, person) => write!(f, "{number}#{person}#{BOOK}"),
            Self::Transfer(number) => write!(f, "{number}#{TRANSFER}"),
            Self::Conversation(number, conversation) => write!(f, "{number}#{conversation}"),
            Self::Typing(number, conversation) => write!(f, "{number}#{conversation}#{TYPING}"),
            Self::Commands(number, conversation) => write!(f, "{number}#{conversation}#{COMMANDS}"),
            Self::Erasure(code) => write!(f, "{code}"),
            Self::ErasureGrace(code) => write!(f, "{code}#{GRACE}"),
            Self::Labels(account, conversation) => write!(f, "{LABELS}#{account}#{conversation}"),
            Self::OverdueDeadLetters => f.write_str(OVERDUE_LETTERS),
            Self::UnreadableBody(id) => write!(f, "{UNREADABLE_BODY}#{id}"),
            Self::KeptDeadLetter(id) => write!(f, "{KEPT_LETTER}#{id}"),
        }
    }
}

impl From<&str> for MessageGroup {
    fn from(name: &str) -> Self {
        let Some((first, rest)) = name.split_once('#') else {
            return if name == OVERDUE_LETTERS {
                Self::OverdueDeadLetters
            } else {
                Self::Erasure(ConfirmationCode::new(name))
            };
        };
        let number = || PhoneNumberId::new(first);
        match (first, rest, rest.rsplit_once('#')) {
            (UNREADABLE_BODY, id, _) => return Self::UnreadableBody(id.to_owned()),
            (KEPT_LETTER, id, _) => return Self::KeptDeadLetter(id.to_owned()),
            (_, GRACE, _) => return Self::ErasureGrace(ConfirmationCode::new(first)),
            (_, ACCOUNT_CHANNEL, _) => return Self::Number(number()),
            (_, TRANSFER, _) => return Self::Transfer(number()),
            (_, _, Some((person, BOOK))) => return Self::ContactBook(number(), KeyedHash::new(person)),
            (_, _, Some((rest, PAST))) => {
                if let Some((person, slice)) = rest.rsplit_once('#') {
                    return Self::Past(number(), KeyedHash::new(person), KeyedHash::new(slice));
                }
            }
            (ACCOUNT_CHANNEL, account, _) => return Self::Account(WabaId::new(account)),
            (LABELS, _, Some((account, conversation))) => {
                if let Some((account, conversation)) = integer(account).zip(integer(conversation)) {
                    return Self::Labels(AccountId(account), ConversationId(conversation));
                }
            }
            (_, _, Some((message, STATUSES))) => return Self::Statuses(number(), KeyedHash::new(message)),
            (_, _, Some((conversation, kind))) => match (integer(conversation).map(ConversationId), kind) {
                (Some(conversation), TYPING) => return Self::Typing(number(), conversation),
                (Some(conversation), COMMANDS) => return Self::Commands(number(), conversation),
                _ => {}
            },
            (_, conversation, None) => {
                if let Some(conversation) = integer(conversation) {
                    return Self::Conversation(number(), ConversationId(conversation));
                }
            }
        }
        Self::Person(number(), KeyedHash::new(rest))
    }
}

/// A number in the one spelling in which it is written.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

impl From<String> for MessageGroup {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<MessageGroup> for String {
    fn from(group: MessageGroup) -> Self {
        group.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups() -> impl Strategy<Value = MessageGroup> {
        let number = || "[0-9]{1,17}".prop_map(PhoneNumberId::new);
        let conversation = || any::<i64>().prop_map(ConversationId);
        let code = || "[0-9a-f]{32}".prop_map(ConfirmationCode::new);
        let id = "[0-9a-f]{8}-[0-9a-f]{4}";
        prop_oneof![
            (number(), "[0-9a-f]{32}").prop_map(|(at, of)| MessageGroup::Person(at, KeyedHash::new(of))),
            (number(), "[0-9a-f]{32}").prop_map(|(at, of)| MessageGroup::Statuses(at, KeyedHash::new(of))),
            (number(), "[0-9a-f]{32}", "[0-9a-f]{32}")
                .prop_map(|(at, of, slice)| { MessageGroup::Past(at, KeyedHash::new(of), KeyedHash::new(slice)) }),
            (number(), "[0-9a-f]{32}").prop_map(|(at, of)| MessageGroup::ContactBook(at, KeyedHash::new(of))),
            number().prop_map(MessageGroup::Transfer),
            number().prop_map(MessageGroup::Number),
            "[0-9a-f]{1,32}".prop_map(|id| MessageGroup::Account(WabaId::new(id))),
            (number(), conversation()).prop_map(|(at, of)| MessageGroup::Conversation(at, of)),
            (number(), conversation()).prop_map(|(at, of)| MessageGroup::Typing(at, of)),
            (number(), conversation()).prop_map(|(at, of)| MessageGroup::Commands(at, of)),
            code().prop_map(MessageGroup::Erasure),
            code().prop_map(MessageGroup::ErasureGrace),
            (any::<i64>(), conversation()).prop_map(|(at, of)| MessageGroup::Labels(AccountId(at), of)),
            Just(MessageGroup::OverdueDeadLetters),
            id.prop_map(MessageGroup::UnreadableBody),
            id.prop_map(MessageGroup::KeptDeadLetter),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(group in groups()) {
            let name = group.to_string();
            prop_assert!((1..=128).contains(&name.len()));
            prop_assert_eq!(MessageGroup::from(name), group);
        }

        #[test]
        fn what_is_read_is_written_as_it_was(name in "[a-z0-9#-]{0,40}|[0-9]{1,3}#0?[0-9]{1,3}(#(typing|commands|grace|account|past|book|transfer))?") {
            prop_assert_eq!(MessageGroup::from(name.as_str()).to_string(), name);
        }
    }
}
