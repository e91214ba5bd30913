//! Names the data locations that an erasure clears.

use serde::{Deserialize, Serialize};

/// A system that may hold data about a person, in the order in which they are cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataLocation {
    /// Tasks waiting on their way into Chatwoot.
    InboundQueue,
    /// Sync requests on their way out.
    OutboundQueue,
    /// The dead letters of every queue.
    DeadLetters,
    /// Conversations, contacts and their files.
    Chatwoot,
    /// The bridge's own table.
    Table,
    /// Files at Meta.
    MetaMedia,
    /// Meta's contact book.
    MetaContactBook,
}

impl DataLocation {
    /// All there are, in order.
    pub const ALL: [Self; 7] = [
        Self::InboundQueue,
        Self::OutboundQueue,
        Self::DeadLetters,
        Self::Chatwoot,
        Self::Table,
        Self::MetaMedia,
        Self::MetaContactBook,
    ];

    /// In one word, for logs and receipts.
    pub fn word(self) -> &'static str {
        match self {
            Self::InboundQueue => "inbound_queue",
            Self::OutboundQueue => "outbound_queue",
            Self::DeadLetters => "dead_letters",
            Self::Chatwoot => "chatwoot",
            Self::Table => "table",
            Self::MetaMedia => "meta_media",
            Self::MetaContactBook => "meta_contact_book",
        }
    }
}
