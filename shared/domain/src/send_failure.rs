//! A send failure says why an agent's message did not reach the customer. The crate `texts` has its sentence.

use serde::{Deserialize, Serialize};

use crate::{Clue, message::MediaKind, outgoing::FileWay, template::Fault};

/// Why an agent's message did not reach the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SendFailure {
    /// More than 24 h since the customer's last message.
    WindowClosed,
    /// The same, but a template costs nothing: an advert brought the customer less than 72 h ago.
    WindowClosedFree,
    /// The customer never wrote, so there is no window.
    NeverWrote,
    /// The customer wrote only to Meta's own agent, who has the chat.
    Standby,
    /// We saw the message more than an hour after it was written.
    SeenTooLate,
    /// It is unknown whether it was sent.
    Unconfirmed,
    /// Meta refused it, with this code.
    Refused {
        /// Meta's error code.
        code: i64,
        /// What else Meta told about it.
        #[serde(default, skip_serializing_if = "Clue::is_empty")]
        clue: Clue,
    },
    /// Meta was out of reach for too long.
    Unreachable,
    /// A file could not be read from Chatwoot.
    FileUnreadable,
    /// Chatwoot names its files by an address that the bridge is not configured to trust.
    FileElsewhere,
    /// A file is larger than WhatsApp takes.
    FileTooLarge,
    /// A file has no bytes.
    FileEmpty,
    /// WhatsApp takes no files of this type, and cannot fetch it from Chatwoot by itself.
    FileKind,
    /// A picture, video or sound is larger than WhatsApp takes of its kind, and WhatsApp cannot fetch it from Chatwoot by itself.
    FileHeavy {
        /// Its kind.
        kind: MediaKind,
    },
    /// WhatsApp does not take this very file, though it takes others of its type.
    FileRefused,
    /// Meta gave up a file that it had accepted.
    FileFailed {
        /// How it went there.
        way: FileWay,
        /// What its address answered, if Meta tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http: Option<u16>,
    },
    /// A file did not get from Chatwoot to WhatsApp within the time limit.
    FileSlow,
    /// The message crashes the bridge each time.
    Unworkable,
    /// There is neither text nor a file in it.
    Empty,
    /// It is a reaction, and WhatsApp's id of the message it is on is not known any more.
    NothingToReactTo,
    /// Retry removed the choices from the message in Chatwoot.
    ItemsLost,
    /// A template that cannot be sent as it was picked.
    Template {
        /// What is wrong with it.
        #[serde(default)]
        fault: Fault,
    },
    /// It is unknown which customer the conversation is with.
    NoRecipient,
    /// The channel was paused, restricted or disconnected for too long.
    ChannelDown,
    /// The person asked that their data be erased.
    Erased,
    /// It is a command, and those are notes.
    Command,
    /// A bot or a rule writes more than a person would want.
    Braked,
    /// It is useless without a link, and Chatwoot gives none: a survey, a video call.
    LinkMissing,
    /// The same, since Chatwoot calls itself by an address that the bridge is not configured with.
    LinkElsewhere,
}

impl SendFailure {
    /// Meta refused it with this code, and told nothing else.
    pub fn refused(code: i64) -> Self {
        Self::Refused { code, clue: Clue::default() }
    }

    /// Whether it is about one file alone, whatever part failed; see [`Outgoing::is_of_file`](crate::Outgoing::is_of_file).
    pub fn is_of_file(self) -> bool {
        matches!(
            self,
            Self::FileUnreadable
                | Self::FileElsewhere
                | Self::FileTooLarge
                | Self::FileEmpty
                | Self::FileKind
                | Self::FileHeavy { .. }
                | Self::FileRefused
                | Self::FileFailed { .. }
                | Self::FileSlow
                | Self::Refused { code: 131_052 | 131_053, .. }
        )
    }
}
