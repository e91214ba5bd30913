//! Holds what a phone app tells of its past: chats in slices, and names.
//! When a number joins in coexistence, Meta sends up to 180 days of the phone's chats once. Each slice is one task and names one
//! person.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Author, Content, DrainMarker, Identity, KeyedHash, PhoneNumberId, Timestamp, Wamid,
    keyed_hash::{Person, WorkItem},
    message::Media,
};

/// A task on `history.fifo`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum HistoryTask {
    /// Messages of one chat.
    SliceV1(Box<HistorySlice>),
    /// A chunk without messages: how far Meta is, or that the shop shares no history.
    ChunkV1(HistoryChunk),
    /// A name of the phone's contact book.
    NameV1(BookEntry),
    /// A file of a message in the history.
    FileV1(HistoryFile),
    /// A drain marker that an erasure puts into a message group.
    DrainMarkerV1(DrainMarker),
}

impl HistoryTask {
    /// What is claimed for it.
    pub fn item(&self) -> &KeyedHash<WorkItem> {
        match self {
            Self::SliceV1(slice) => &slice.item,
            Self::ChunkV1(chunk) => &chunk.item,
            Self::NameV1(name) => &name.item,
            Self::FileV1(file) => &file.item,
            Self::DrainMarkerV1(marker) => &marker.item,
        }
    }

    /// The number it is about; a drain marker is about none.
    pub fn channel(&self) -> Option<&PhoneNumberId> {
        match self {
            Self::SliceV1(slice) => Some(&slice.channel),
            Self::ChunkV1(chunk) => Some(&chunk.channel),
            Self::NameV1(name) => Some(&name.channel),
            Self::FileV1(file) => Some(&file.channel),
            Self::DrainMarkerV1(_) => None,
        }
    }

    /// How many of Meta's items it stands for in the item ledger.
    pub fn weight(&self) -> i64 {
        match self {
            Self::SliceV1(slice) => slice.weight(),
            _ => 1,
        }
    }

    /// The person it is about, where it names one.
    pub fn customer(&self) -> Option<&Identity> {
        match self {
            Self::SliceV1(slice) => Some(&slice.customer),
            Self::NameV1(name) => Some(&name.customer),
            Self::FileV1(file) => Some(&file.customer),
            Self::ChunkV1(_) | Self::DrainMarkerV1(_) => None,
        }
    }
}

/// Where a chunk stands in Meta's transfer, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChunkPosition {
    /// 0 for the last day, 1 up to 90 days, 2 up to 180.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<i64>,
    /// Its place in the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
    /// How much of all was sent, in per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<i64>,
}

/// A chunk that has no messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryChunk {
    /// The number.
    pub channel: PhoneNumberId,
    /// The keyed hash of the chunk.
    pub item: KeyedHash<WorkItem>,
    /// Where it stands.
    #[serde(default)]
    pub position: ChunkPosition,
    /// Meta's code, if there is no history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<i64>,
}

/// Messages of one chat, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistorySlice {
    /// The number.
    pub channel: PhoneNumberId,
    /// The keyed hash of the slice: number, chunk and the ids of its messages.
    pub item: KeyedHash<WorkItem>,
    /// The chunk it came in.
    #[serde(default)]
    pub position: ChunkPosition,
    /// The keyed hash by which the person is put in order.
    pub person: KeyedHash<Person>,
    /// The person.
    pub customer: Identity,
    /// Their username, without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What was said.
    pub messages: Vec<PastMessage>,
    /// How many messages say nothing about who wrote them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sideless: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl HistorySlice {
    /// How many of Meta's items it stands for.
    pub fn weight(&self) -> i64 {
        i64::try_from(self.messages.len()).unwrap_or(i64::MAX).saturating_add(self.sideless)
    }

    /// When its first and its last message were written.
    pub fn range(&self) -> (Timestamp, Timestamp) {
        let times = || self.messages.iter().map(|message| message.at);
        (times().min().unwrap_or_default(), times().max().unwrap_or_default())
    }
}

/// A message of the phone's past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastMessage {
    /// Meta's id, or one of ours where it has none.
    pub id: Wamid,
    /// Who wrote it.
    pub author: Author,
    /// When it reached the recipient's phone.
    pub at: Timestamp,
    /// Whether Meta did not say when: it has the time of its neighbor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timeless: bool,
    /// How far it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PastState>,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Wamid>,
    /// What it says.
    pub content: Content,
}

/// How far a message of the phone's past came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastState {
    /// It did not go out.
    Failed,
    /// It went out.
    Sent,
    /// It arrived.
    Delivered,
    /// It was read, or played.
    Read,
}

/// An entry of the phone's contact book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEntry {
    /// The number.
    pub channel: PhoneNumberId,
    /// The keyed hash of the entry.
    pub item: KeyedHash<WorkItem>,
    /// The person.
    pub customer: Identity,
    /// What the shop calls them; absent if the entry was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the entry was changed.
    pub at: Timestamp,
}

/// A file of a message in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryFile {
    /// The number.
    pub channel: PhoneNumberId,
    /// The keyed hash of the item.
    pub item: KeyedHash<WorkItem>,
    /// The person.
    pub customer: Identity,
    /// The message it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Wamid>,
    /// When that was written.
    pub at: Timestamp,
    /// Where it is at Meta; absent if the webhook names no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
}

/// How far an import is, in what people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// It was asked for, and nothing has come yet.
    Asked,
    /// Meta is sending.
    Receiving {
        /// How much, in per cent.
        percent: i64,
    },
    /// It is being written.
    Copying {
        /// How many messages are settled.
        settled: i64,
        /// Out of how many.
        of: i64,
    },
    /// It is done.
    Done,
    /// The shop did not share it.
    NotShared,
    /// It was asked for too late, or once more.
    TooLate,
    /// It was asked for, and nothing came.
    Nothing,
}

/// Meta's codes of a history that does not come: asked for already, asked for too late, not shared.
pub const ASKED_ALREADY: i64 = 2_593_107;
/// See [`ASKED_ALREADY`].
pub const ASKED_TOO_LATE: i64 = 2_593_108;

/// How long after the request nothing may come before people are told that nothing came.
pub const SILENCE_MAX: Duration = Duration::from_secs(6 * 3600);

/// How long nothing may come after the last chunk of a transfer without a gap.
pub const QUIET_WHOLE: Duration = Duration::from_secs(60);

/// The same where chunks are missing below those that came.
pub const QUIET_TORN: Duration = Duration::from_secs(600);

/// The same where Meta did not say that it sent all.
pub const QUIET_OPEN: Duration = Duration::from_secs(3600);

/// What came until then is written in any case.
pub const TRANSFER_MAX: Duration = Duration::from_secs(12 * 3600);

/// How far Meta's transfer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// When the first chunk came.
    pub first_at: Timestamp,
    /// When the last new one came.
    pub last_at: Timestamp,
    /// The most that Meta said, in per cent.
    pub progress: i64,
    /// Phase and place of each chunk that came.
    pub chunks: std::collections::BTreeSet<(i64, i64)>,
}

impl Transfer {
    /// When what came may be written, unless more comes: the oldest messages come last, and notes stand in the order in which they
    /// are written.
    pub fn opens_at(&self) -> Timestamp {
        let quiet = match self.progress {
            ..100 => QUIET_OPEN,
            _ if self.is_whole() => QUIET_WHOLE,
            _ => QUIET_TORN,
        };
        (self.last_at + quiet).min(self.first_at + TRANSFER_MAX)
    }

    /// Whether no chunk is missing below those that came.
    fn is_whole(&self) -> bool {
        let mut before: Option<(i64, i64)> = None;
        self.chunks.iter().all(|&(phase, order)| {
            let follows = match before {
                Some((same, last)) if same == phase => order == last + 1,
                _ => order <= 1,
            };
            before = Some((phase, order));
            follows
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn transfer(progress: i64, chunks: &[(i64, i64)]) -> Transfer {
        Transfer { first_at: START, last_at: START, progress, chunks: chunks.iter().copied().collect() }
    }

    #[test]
    fn what_came_waits_until_it_is_likely_to_be_all() {
        for (progress, chunks, quiet) in [
            (100, &[(0, 1), (0, 2), (2, 1)][..], QUIET_WHOLE),
            (100, &[(0, 0), (0, 1)], QUIET_WHOLE),
            (100, &[(0, 1), (0, 3)], QUIET_TORN),
            (100, &[(0, 1), (1, 2)], QUIET_TORN),
            (99, &[(0, 1)], QUIET_OPEN),
        ] {
            assert_eq!(transfer(progress, chunks).opens_at(), START + quiet, "{progress} {chunks:?}");
        }
    }

    #[test]
    fn it_does_not_wait_for_ever() {
        let restless = Transfer { last_at: START + TRANSFER_MAX, ..transfer(40, &[(0, 1)]) };
        assert_eq!(restless.opens_at(), START + TRANSFER_MAX);
    }
}
